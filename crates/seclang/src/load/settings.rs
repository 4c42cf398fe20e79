//! Directives that set something.

use super::directives::single;
use super::elsewhere::some;
use super::{Loader, beside, elsewhere, status, unicode};
use crate::parse::{Problem, controls, did_you_mean, number, switch};
use crate::place::Place;

/// Media types whose bodies are looked at.
pub const MIME_TYPES_MAX: usize = 200;

/// Everything that can stand at the start of a line.
#[rustfmt::skip]
const NAMES: [&str; 38] = [
    "Include", "IncludeOptional", "SecAction", "SecArgumentSeparator", "SecArgumentsLimit",
    "SecAuditEngine", "SecAuditLogParts", "SecAuditLogRelevantStatus", "SecCollectionTimeout",
    "SecComponentSignature", "SecCookieFormat", "SecCookieV0Separator", "SecDefaultAction",
    "SecMarker", "SecRequestBodyAccess", "SecRequestBodyJsonDepthLimit", "SecRequestBodyLimit",
    "SecRequestBodyLimitAction", "SecRequestBodyNoFilesLimit", "SecResponseBodyAccess",
    "SecResponseBodyLimit", "SecResponseBodyLimitAction", "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear", "SecRule", "SecRuleEngine", "SecRuleRemoveById",
    "SecRuleRemoveByMsg", "SecRuleRemoveByTag", "SecRuleUpdateActionById",
    "SecRuleUpdateTargetById", "SecRuleUpdateTargetByMsg", "SecRuleUpdateTargetByTag",
    "SecUnicodeMapFile", "SecUploadFileLimit", "SecWebAppId", "SecXmlExternalEntity",
    "SecRuleInheritance",
];

pub(super) const AUDIT_PARTS: &str = "an entry has the parts that the event has";

impl Loader<'_> {
    pub(super) fn setting(
        &mut self,
        name: &str,
        words: &[&str],
        place: &Place,
    ) -> Result<(), Problem> {
        match self.idle_setting(name, words, place) {
            Some(done) => done,
            None => self.engine_setting(name, words, place),
        }
    }

    fn engine_setting(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        let lower = name.to_ascii_lowercase();
        let settings = &mut self.settings;
        match lower.as_str() {
            "secruleengine" => {
                settings.engine = controls::engine_mode(name, single(name, words)?)?;
            }
            "secauditengine" => {
                settings.audit = Some(controls::audit_mode(name, single(name, words)?)?);
            }
            "secauditlogparts" => {
                controls::audit_parts(name, single(name, words)?)?;
                self.notice(place, Problem::new(name, format!("has no effect: {AUDIT_PARTS}")));
            }
            "secauditlogrelevantstatus" => {
                some(name, words)?;
                settings.audit_relevant_status = Some(status::parse(name, &words.join(" "))?);
            }
            "seccomponentsignature" => {
                some(name, words)?;
                self.signatures.push(words.join(" "));
            }
            "secwebappid" => {
                some(name, words)?;
                settings.web_app_id = words.join(" ");
            }
            "secargumentseparator" => match single(name, words)?.as_bytes() {
                [separator] => settings.argument_separator = *separator,
                _ => {
                    return Err(Problem::new(name, "is not one character")
                        .hint("write one, such as `&` or `;`"));
                }
            },
            "seccookieformat" => match single(name, words)? {
                "0" => settings.cookie_format_v1 = false,
                "1" => settings.cookie_format_v1 = true,
                other => {
                    return Err(Problem::new(name, format!("`{other}` is no cookie format"))
                        .hint("write `0` or `1`"));
                }
            },
            "seccookiev0separator" => {
                if single(name, words)? != ";" {
                    return Err(Problem::new(name, "cookies are separated by `;` only")
                        .hint("leave it out"));
                }
            }
            "secunicodemapfile" => self.unicode_map(name, words, place)?,
            _ => self.body_setting(name, words, place)?,
        }
        Ok(())
    }

    fn body_setting(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        let settings = &mut self.settings;
        let value = || single(name, words);
        match name.to_ascii_lowercase().as_str() {
            "secrequestbodyaccess" => settings.request_body_access = switch(name, value()?)?,
            "secresponsebodyaccess" => settings.response_body_access = switch(name, value()?)?,
            "secrequestbodylimit" => settings.request_body_limit = number(name, value()?)?,
            "secrequestbodynofileslimit" => {
                settings.request_body_no_files_limit = number(name, value()?)?;
            }
            "secrequestbodyjsondepthlimit" => {
                settings.request_body_json_depth = number(name, value()?)?;
            }
            "secrequestbodylimitaction" => {
                settings.request_body_limit_rejects = rejects(name, value()?)?;
                if settings.request_body_limit_rejects {
                    self.reject_notice(name, place);
                }
            }
            "secresponsebodylimitaction" => {
                settings.response_body_limit_rejects = rejects(name, value()?)?;
                if settings.response_body_limit_rejects {
                    self.reject_notice(name, place);
                }
            }
            "secresponsebodylimit" => settings.response_body_limit = number(name, value()?)?,
            "secargumentslimit" => settings.arguments_max = number(name, value()?)?,
            "secuploadfilelimit" => settings.upload_file_limit = number(name, value()?)?,
            "seccollectiontimeout" => settings.collection_timeout_secs = number(name, value()?)?,
            "secresponsebodymimetype" => self.mime_types(name, words)?,
            "secresponsebodymimetypesclear" | "secresponsebodymimetypeclear" => {
                if let Some(more) = words.first() {
                    return Err(Problem::new(name, format!("`{more}` is one word too many"))
                        .hint(format!("write just `{name}`")));
                }
                settings.response_body_mime_types.clear();
                self.mime_types_set = true;
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// Rules look at a body up to the limit; what else is done about it is for whoever runs the engine.
    fn reject_notice(&mut self, name: &str, place: &Place) {
        let problem = Problem::new(name, "has no effect: the gateway decides what is refused")
            .hint("write `fail: closed` at the site, or `ProcessPartial` here");
        self.notice(place, problem);
    }

    /// The first takes the place of the defaults; those after it add.
    fn mime_types(&mut self, name: &str, words: &[&str]) -> Result<(), Problem> {
        if words.is_empty() {
            return Err(
                Problem::new(name, "has no value").hint(format!("write `{name} text/html`"))
            );
        }
        let types = &mut self.settings.response_body_mime_types;
        if !self.mime_types_set {
            types.clear();
            self.mime_types_set = true;
        }
        for word in words.iter().flat_map(|word| word.split_ascii_whitespace()) {
            let plain = word.split(';').next().unwrap_or(word).to_ascii_lowercase();
            if types.len() >= MIME_TYPES_MAX {
                return Err(Problem::new(name, format!("over {MIME_TYPES_MAX} types"))
                    .hint("name those that pages have"));
            }
            if !types.contains(&plain) {
                types.push(plain);
            }
        }
        Ok(())
    }

    fn unicode_map(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        let [file, code_page] = words else {
            return Err(Problem::new(name, "wants a file and a code page")
                .hint(format!("write `{name} unicode.mapping 20127`")));
        };
        let path = beside(&place.file, file);
        let bytes = self.files.read(&path).map_err(|why| {
            Problem::new(path.as_str(), format!("cannot be read: {why}"))
                .hint("check the path; it is relative to the file that names it")
        })?;
        let map = unicode::parse(name, &bytes, number(name, code_page)?)?;
        self.settings.unicode_map = Some(std::sync::Arc::new(map));
        Ok(())
    }
}

fn rejects(name: &str, written: &str) -> Result<bool, Problem> {
    if written.eq_ignore_ascii_case("reject") {
        Ok(true)
    } else if written.eq_ignore_ascii_case("processpartial") {
        Ok(false)
    } else {
        Err(Problem::new(name, format!("`{written}` is no such action"))
            .hint("write `Reject` or `ProcessPartial`"))
    }
}

fn unknown(name: &str) -> Problem {
    let problem = Problem::new(name, "unknown directive");
    if name.contains(['"', ':', ',']) {
        return problem.hint("it belongs to the line before: end that with a backslash");
    }
    let known = NAMES.into_iter().chain(elsewhere::names());
    problem.hint(did_you_mean(name, known).unwrap_or_else(|| {
        "see the reference manual's chapter \"Configuration Directives\"".to_owned()
    }))
}
