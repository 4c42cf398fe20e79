//! Directives that set something, and those that are known and do nothing here.

use super::directives::single;
use super::{Loader, beside, status, unicode};
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

/// Known, harmless, and decided elsewhere: the name and where.
#[rustfmt::skip]
const ELSEWHERE: [(&str, &str); 47] = [
    ("SecAuditLog", AUDIT), ("SecAuditLog2", AUDIT), ("SecAuditLogDirMode", AUDIT),
    ("SecAuditLogFileMode", AUDIT), ("SecAuditLogFormat", AUDIT), ("SecAuditLogPrefix", AUDIT),
    ("SecAuditLogStorageDir", AUDIT), ("SecAuditLogType", AUDIT),
    ("SecDebugLog", DEBUG), ("SecDebugLogLevel", DEBUG),
    ("SecTmpDir", MEMORY), ("SecDataDir", MEMORY), ("SecUploadDir", MEMORY),
    ("SecUploadKeepFiles", MEMORY), ("SecUploadFileMode", MEMORY),
    ("SecTmpSaveUploadedFiles", MEMORY), ("SecRequestBodyInMemoryLimit", MEMORY),
    ("SecPcreMatchLimit", LINEAR), ("SecPcreMatchLimitRecursion", LINEAR),
    ("SecStatusEngine", "nothing is reported to anybody"),
    ("SecServerSignature", "the gateway's own settings decide what it tells of itself"),
    ("SecSensorId", "the gateway's own name is used"),
    ("SecGeoLookupDb", LOOKUP), ("SecGsbLookupDb", LOOKUP), ("SecHttpBlKey", LOOKUP),
    ("SecCacheTransformations", "transformed values are always shared between rules"),
    ("SecDisableBackendCompression", "the gateway's own settings decide"),
    ("SecRuleInheritance", "there is one rule set, nothing to inherit from"),
    ("SecRulePerfTime", "time is measured for all rules"),
    ("SecRemoteRulesFailAction", "rules never come over the network"),
    ("SecUnicodeCodePage", "`SecUnicodeMapFile` names the code page"),
    ("SecConnReadStateLimit", CONNECTIONS), ("SecConnWriteStateLimit", CONNECTIONS),
    ("SecReadStateLimit", CONNECTIONS), ("SecWriteStateLimit", CONNECTIONS),
    ("SecUnixSocketPermissions", "there is no such socket"),
    ("SecHashKey", HASH), ("SecHashParam", HASH), ("SecHashMethodRx", HASH),
    ("SecHashMethodPm", HASH), ("SecEncryptionKey", HASH), ("SecEncryptionParam", HASH),
    ("SecEncryptionMethodRx", HASH), ("SecEncryptionMethodPm", HASH),
    ("SecRequestEncoding", "bodies are read as they come"),
    ("SecInterceptOnError", "what cannot be read is in REQBODY_ERROR; a rule decides"),
    ("SecArgumentsDecode", "arguments are always decoded once"),
];

const AUDIT: &str = "the audit log is configured with the gateway";
const DEBUG: &str = "logging is configured with the gateway";
const MEMORY: &str = "bodies are held in memory within their limits, never in files";
const LINEAR: &str = "regexes run in linear time and need no such limit";
const LOOKUP: &str = "no lookup goes out; operators that need one are refused";
const CONNECTIONS: &str = "the gateway limits connections";
const HASH: &str = "links are not signed";

/// Fine when `Off`; what to do instead of `On`.
#[rustfmt::skip]
const ONLY_OFF: [(&str, &str); 9] = [
    ("SecXmlExternalEntity", "write `Off`: external entities are never fetched"),
    ("SecConnEngine", "write `Off`: the gateway limits connections"),
    ("SecHashEngine", "write `Off`: links are not signed"),
    ("SecEncryptionEngine", "write `Off`: links are not signed"),
    ("SecContentInjection", "write `Off`: responses are not written into"),
    ("SecStreamInBodyInspection", "write `Off`: REQUEST_BODY has the whole body"),
    ("SecStreamOutBodyInspection", "write `Off`: RESPONSE_BODY has the whole body"),
    ("SecParseXmlIntoArgs", "write `Off`, and look at `XML:/*` and `XML://@*`"),
    ("SecUseLua", "write `Off`: scripts are never run"),
];

/// Never.
#[rustfmt::skip]
const REFUSED: [(&str, &str, &str); 4] = [
    ("SecRemoteRules", "rules never come over the network", "save the rules as a file and include it"),
    ("SecRuleScript", "scripts are never run", "write the test as a `SecRule`"),
    ("SecGuardianLog", "starts a process: never", "leave it out; findings go to the server"),
    ("SecChrootDir", "the gateway is confined by the system that starts it", "leave it out"),
];

impl Loader<'_> {
    pub(super) fn setting(
        &mut self,
        name: &str,
        words: &[&str],
        place: &Place,
    ) -> Result<(), Problem> {
        let known = |names: &str| name.eq_ignore_ascii_case(names);
        if let Some((_, problem, hint)) = REFUSED.iter().find(|(refused, ..)| known(refused)) {
            return Err(Problem::new(name, *problem).hint(*hint));
        }
        if let Some((_, hint)) = ONLY_OFF.iter().find(|(off, _)| known(off)) {
            return match switch(name, single(name, words)?) {
                Ok(false) => Ok(()),
                _ => Err(Problem::new(name, "can only be `Off`").hint(*hint)),
            };
        }
        if let Some((_, why)) = ELSEWHERE.iter().find(|(elsewhere, _)| known(elsewhere)) {
            self.notice(place, Problem::new(name, format!("has no effect: {why}")));
            return Ok(());
        }
        self.engine_setting(name, words, place)
    }

    fn engine_setting(&mut self, name: &str, words: &[&str], place: &Place) -> Result<(), Problem> {
        let lower = name.to_ascii_lowercase();
        let settings = &mut self.settings;
        match lower.as_str() {
            "secruleengine" => {
                settings.engine = controls::engine_mode(name, single(name, words)?)?;
            }
            "secauditengine" => {
                settings.audit = controls::audit_mode(name, single(name, words)?)?;
            }
            "secauditlogparts" => {
                settings.audit_parts = controls::audit_parts(name, single(name, words)?)?;
            }
            "secauditlogrelevantstatus" => {
                settings.audit_relevant_status = Some(status::parse(name, &words.join(" "))?);
            }
            "seccomponentsignature" => self.signatures.push(words.join(" ")),
            "secwebappid" => settings.web_app_id = words.join(" "),
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
            _ => self.body_setting(name, words)?,
        }
        Ok(())
    }

    fn body_setting(&mut self, name: &str, words: &[&str]) -> Result<(), Problem> {
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
            }
            "secresponsebodylimitaction" => {
                settings.response_body_limit_rejects = rejects(name, value()?)?;
            }
            "secresponsebodylimit" => settings.response_body_limit = number(name, value()?)?,
            "secargumentslimit" => settings.arguments_max = number(name, value()?)?,
            "secuploadfilelimit" => settings.upload_file_limit = number(name, value()?)?,
            "seccollectiontimeout" => settings.collection_timeout_secs = number(name, value()?)?,
            "secresponsebodymimetype" => self.mime_types(name, words)?,
            "secresponsebodymimetypesclear" | "secresponsebodymimetypeclear" => {
                settings.response_body_mime_types.clear();
                self.mime_types_set = true;
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
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
    let known = NAMES
        .into_iter()
        .chain(ELSEWHERE.iter().map(|(name, _)| *name))
        .chain(ONLY_OFF.iter().map(|(name, _)| *name));
    problem.hint(did_you_mean(name, known).unwrap_or_else(|| {
        "see the reference manual's chapter \"Configuration Directives\"".to_owned()
    }))
}
