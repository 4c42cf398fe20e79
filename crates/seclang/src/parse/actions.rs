//! `"id:1,phase:2,deny,msg:'…',setvar:'tx.a=1'"`: what a rule is and does.

mod deeds;

use super::{Problem, controls, did_you_mean, number, unquoted};
use crate::rule::{Allow, Deed, Disruptive, Phase, Sanitise, Severity, Text};
use crate::text::Escapes;
use crate::transform::Transformation;

/// Actions in one directive. CRS has under 60.
pub const ACTIONS_MAX: usize = 1000;

/// One action, not yet put in its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Id(u64),
    Phase(Phase),
    Chain,
    Disruptive(Disruptive),
    Block,
    Status(u16),
    Log(bool),
    AuditLog(bool),
    Capture,
    MultiMatch,
    Message(Text),
    LogData(Text),
    Severity(Severity),
    Tag(Text),
    Revision(String),
    Version(String),
    Maturity(u8),
    Accuracy(u8),
    Skip(u32),
    SkipAfter(String),
    /// `None` is `t:none`: forget those before.
    Transform(Option<Transformation>),
    Deed(Deed),
    /// `xmlns`: names are compared without their namespace.
    Namespace(String),
}

/// Names of all actions, those that cannot be done included.
const NAMES: [&str; 47] = [
    "accuracy",
    "allow",
    "append",
    "auditlog",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "deprecatevar",
    "drop",
    "exec",
    "expirevar",
    "id",
    "initcol",
    "log",
    "logdata",
    "maturity",
    "msg",
    "multiMatch",
    "noauditlog",
    "nolog",
    "pass",
    "pause",
    "phase",
    "prepend",
    "proxy",
    "redirect",
    "rev",
    "sanitiseArg",
    "sanitiseMatched",
    "sanitiseMatchedBytes",
    "sanitiseRequestHeader",
    "sanitiseResponseHeader",
    "setenv",
    "setrsc",
    "setsid",
    "setuid",
    "setvar",
    "severity",
    "skip",
    "skipAfter",
    "status",
    "t",
    "tag",
    "ver",
    "xmlns",
];

/// All actions of a list; everything that is wrong with it, not just the first.
pub(crate) fn parse(text: &str) -> Result<Vec<Action>, Vec<Problem>> {
    let items = split(text).map_err(|problem| vec![problem])?;
    let mut actions = Vec::with_capacity(items.len());
    let mut problems = Vec::new();
    for (name, value) in items {
        match action(name, value.as_deref()) {
            Ok(action) => actions.push(action),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(actions) } else { Err(problems) }
}

type Item<'a> = (&'a str, Option<String>);

/// Names and values between commas. A value in `'…'` may have commas; `\'` is a quote in it.
fn split(text: &str) -> Result<Vec<Item<'_>>, Problem> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find([':', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim();
        if name.is_empty() {
            return Err(Problem::new(rest, "no action before this")
                .hint("leave out the comma or colon that is too many"));
        }
        let (value, after) = match after.strip_prefix(':') {
            Some(written) => {
                let (value, after) = value(name, written.trim_start())?;
                (Some(value), after)
            }
            None => (None, after),
        };
        items.push((name, value));
        if items.len() > ACTIONS_MAX {
            return Err(
                Problem::new(name, format!("over {ACTIONS_MAX} actions")).hint("split the rule")
            );
        }
        rest = match after.trim_start().strip_prefix(',') {
            Some(next) => next.trim_start(),
            None => after.trim_start(),
        };
    }
    Ok(items)
}

fn value<'a>(name: &str, written: &'a str) -> Result<(String, &'a str), Problem> {
    let quote = written.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let Some(quote) = quote else { return Ok(bare_value(written)) };
    let inside = written.get(1..).unwrap_or_default();
    let mut value = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            match letters.next() {
                Some((_, next)) if next == quote => value.push(quote),
                Some((_, next)) => value.extend(['\\', next]),
                None => value.push('\\'),
            }
        } else if letter == quote {
            let after = inside.get(at + 1..).unwrap_or_default();
            let next = after.trim_start();
            if next.is_empty() || next.starts_with(',') {
                return Ok((value, after));
            }
            return Err(Problem::new(name, format!("text after the closing `{quote}`"))
                .hint(format!("put a comma after it; within the text write `\\{quote}`")));
        } else {
            value.push(letter);
        }
    }
    Err(Problem::new(name, format!("the `{quote}` is not closed"))
        .hint(format!("end the text with `{quote}`")))
}

/// Up to the next comma; `\,` is a comma in it.
fn bare_value(written: &str) -> (String, &str) {
    let mut escaped = false;
    let end = written
        .char_indices()
        .find(|(_, letter)| {
            let found = *letter == ',' && !escaped;
            escaped = *letter == '\\' && !escaped;
            found
        })
        .map_or(written.len(), |(at, _)| at);
    let (value, after) = written.split_at(end);
    (value.trim_end().replace("\\,", ","), after)
}

fn action(name: &str, value: Option<&str>) -> Result<Action, Problem> {
    let lower = name.to_ascii_lowercase();
    let needed = || {
        value
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Problem::new(name, "has no value").hint(format!("write `{name}:…`")))
    };
    let text = || Text::parse(value.unwrap_or_default(), Escapes::Remove);
    let words = || needed().map(|value| unquoted(value).to_owned());
    Ok(match lower.as_str() {
        "block" | "capture" | "chain" | "deny" | "drop" | "pass" | "log" | "nolog" | "auditlog"
        | "noauditlog" | "multimatch" => flag(name, &lower, value)?,
        "id" => Action::Id(number(name, needed()?)?),
        "phase" => Action::Phase(phase(needed()?)?),
        "status" => Action::Status(status(needed()?)?),
        "severity" => Action::Severity(severity(needed()?)?),
        "maturity" => Action::Maturity(number(name, needed()?)?),
        "accuracy" => Action::Accuracy(number(name, needed()?)?),
        "skip" => Action::Skip(number(name, needed()?)?),
        "skipafter" => Action::SkipAfter(words()?),
        "rev" => Action::Revision(words()?),
        "ver" => Action::Version(words()?),
        "xmlns" => Action::Namespace(words()?),
        "msg" => Action::Message(text()?),
        "logdata" => Action::LogData(text()?),
        "tag" => {
            needed()?;
            Action::Tag(text()?)
        }
        "redirect" => {
            needed()?;
            Action::Disruptive(Disruptive::Redirect(text()?))
        }
        "allow" => Action::Disruptive(Disruptive::Allow(allow(value)?)),
        "t" => Action::Transform(transformation(needed()?)?),
        "ctl" => Action::Deed(Deed::Control(controls::parse(needed()?)?)),
        "setvar" => Action::Deed(deeds::set(needed()?)?),
        "expirevar" => Action::Deed(deeds::expire(needed()?)?),
        "deprecatevar" => Action::Deed(deeds::deprecate(needed()?)?),
        "initcol" => Action::Deed(deeds::open(needed()?)?),
        "setsid" | "setuid" | "setrsc" => Action::Deed(deeds::open_named(&lower, needed()?)?),
        "setenv" => Action::Deed(deeds::set_env(needed()?)?),
        _ if lower.starts_with("saniti") => Action::Deed(Deed::Sanitise(sanitise(name, value)?)),
        _ => return Err(impossible(name, &lower)),
    })
}

fn flag(name: &str, lower: &str, value: Option<&str>) -> Result<Action, Problem> {
    if value.is_some() {
        return Err(Problem::new(name, "takes no value").hint(format!("write just `{name}`")));
    }
    Ok(match lower {
        "block" => Action::Block,
        "capture" => Action::Capture,
        "chain" => Action::Chain,
        "deny" => Action::Disruptive(Disruptive::Deny),
        "drop" => Action::Disruptive(Disruptive::Drop),
        "pass" => Action::Disruptive(Disruptive::Pass),
        "log" => Action::Log(true),
        "nolog" => Action::Log(false),
        "auditlog" => Action::AuditLog(true),
        "noauditlog" => Action::AuditLog(false),
        _ => Action::MultiMatch,
    })
}

fn impossible(name: &str, lower: &str) -> Problem {
    let (problem, hint) = match lower {
        "exec" => ("starts a process: never", "leave it out; a playbook can react to the finding"),
        "append" | "prepend" => ("content is never put into a response", "leave it out"),
        "pause" => {
            ("a request is never held back by a rule", "use `drop`, or a limit at the gateway")
        }
        "proxy" => {
            ("a rule does not choose where a request goes", "use `deny`, or a route at the gateway")
        }
        _ => {
            return Problem::new(name, "unknown action")
                .hint(did_you_mean(name, NAMES.into_iter()).unwrap_or_else(|| {
                    "see the reference manual's chapter \"Actions\"".to_owned()
                }));
        }
    };
    Problem::new(name, problem).hint(hint)
}

pub(crate) fn phase(written: &str) -> Result<Phase, Problem> {
    Ok(match unquoted(written).to_ascii_lowercase().as_str() {
        "1" => Phase::RequestHeaders,
        "2" | "request" => Phase::RequestBody,
        "3" => Phase::ResponseHeaders,
        "4" | "response" => Phase::ResponseBody,
        "5" | "logging" => Phase::Logging,
        _ => {
            return Err(Problem::new(format!("phase:{written}"), "unknown phase")
                .hint("write 1 to 5, `request`, `response` or `logging`"));
        }
    })
}

fn status(written: &str) -> Result<u16, Problem> {
    let status = number("status", written)?;
    if (100..=999).contains(&status) {
        Ok(status)
    } else {
        Err(Problem::new(format!("status:{written}"), "no HTTP status")
            .hint("write one of three digits"))
    }
}

fn severity(written: &str) -> Result<Severity, Problem> {
    Ok(match unquoted(written).to_ascii_lowercase().as_str() {
        "0" | "emergency" => Severity::Emergency,
        "1" | "alert" => Severity::Alert,
        "2" | "critical" => Severity::Critical,
        "3" | "error" => Severity::Error,
        "4" | "warning" => Severity::Warning,
        "5" | "notice" => Severity::Notice,
        "6" | "info" => Severity::Info,
        "7" | "debug" => Severity::Debug,
        _ => {
            let names =
                ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];
            return Err(Problem::new(format!("severity:{written}"), "unknown severity").hint(
                did_you_mean(written, names.into_iter())
                    .unwrap_or_else(|| "write 0 to 7, or `EMERGENCY` to `DEBUG`".to_owned()),
            ));
        }
    })
}

fn allow(value: Option<&str>) -> Result<Allow, Problem> {
    match value.map(|value| unquoted(value).to_ascii_lowercase()).as_deref() {
        None => Ok(Allow::All),
        Some("phase") => Ok(Allow::Phase),
        Some("request") => Ok(Allow::Request),
        Some(other) => Err(Problem::new(format!("allow:{other}"), "unknown kind of `allow`")
            .hint("write `allow`, `allow:phase` or `allow:request`")),
    }
}

fn transformation(written: &str) -> Result<Option<Transformation>, Problem> {
    if written.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    Transformation::parse(written).map(Some).ok_or_else(|| {
        const KNOWN: [&str; 36] = [
            "none",
            "base64Decode",
            "base64DecodeExt",
            "base64Encode",
            "cmdLine",
            "compressWhitespace",
            "cssDecode",
            "escapeSeqDecode",
            "hexDecode",
            "hexEncode",
            "htmlEntityDecode",
            "jsDecode",
            "length",
            "lowercase",
            "md5",
            "normalizePath",
            "normalizePathWin",
            "parityEven7bit",
            "parityOdd7bit",
            "parityZero7bit",
            "removeComments",
            "removeCommentsChar",
            "removeNulls",
            "removeWhitespace",
            "replaceComments",
            "replaceNulls",
            "sha1",
            "sqlHexDecode",
            "trim",
            "trimLeft",
            "trimRight",
            "uppercase",
            "urlDecode",
            "urlDecodeUni",
            "urlEncode",
            "utf8toUnicode",
        ];
        Problem::new(format!("t:{written}"), "unknown transformation").hint(
            did_you_mean(written, KNOWN.into_iter()).unwrap_or_else(|| {
                "see the reference manual's chapter \"Transformation functions\"".to_owned()
            }),
        )
    })
}

fn sanitise(name: &str, value: Option<&str>) -> Result<Sanitise, Problem> {
    let part = || {
        value.map(|value| unquoted(value).to_owned()).filter(|part| !part.is_empty()).ok_or_else(
            || {
                Problem::new(name, "has no value")
                    .hint(format!("name what to hide: `{name}:password`"))
            },
        )
    };
    Ok(match name.to_ascii_lowercase().replace("sanitize", "sanitise").as_str() {
        "sanitisearg" => Sanitise::Argument(part()?),
        "sanitiserequestheader" => Sanitise::RequestHeader(part()?),
        "sanitiseresponseheader" => Sanitise::ResponseHeader(part()?),
        "sanitisematched" if value.is_some() => {
            return Err(Problem::new(name, "takes no value").hint(format!("write just `{name}`")));
        }
        "sanitisematched" => Sanitise::Matched,
        "sanitisematchedbytes" => {
            if let Some(left) = value.map(unquoted) {
                let ends = left.split_once('/').filter(|(first, last)| {
                    [first, last].iter().all(|end| number::<u32>(name, end).is_ok())
                });
                if ends.is_none() {
                    return Err(Problem::new(
                        name,
                        format!("`{left}` is not what to leave at both ends"),
                    )
                    .hint(format!("write `{name}:1/4`, or no value")));
                }
            }
            Sanitise::MatchedBytes
        }
        _ => return Err(impossible(name, "")),
    })
}

impl Action {
    /// What it is called in a rule.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Phase(_) => "phase",
            Self::Chain => "chain",
            Self::Disruptive(Disruptive::Pass) => "pass",
            Self::Disruptive(Disruptive::Deny) => "deny",
            Self::Disruptive(Disruptive::Drop) => "drop",
            Self::Disruptive(Disruptive::Allow(_)) => "allow",
            Self::Disruptive(Disruptive::Redirect(_)) => "redirect",
            Self::Block => "block",
            Self::Status(_) => "status",
            Self::Log(true) => "log",
            Self::Log(false) => "nolog",
            Self::AuditLog(true) => "auditlog",
            Self::AuditLog(false) => "noauditlog",
            Self::Capture => "capture",
            Self::MultiMatch => "multiMatch",
            Self::Message(_) => "msg",
            Self::LogData(_) => "logdata",
            Self::Severity(_) => "severity",
            Self::Tag(_) => "tag",
            Self::Revision(_) => "rev",
            Self::Version(_) => "ver",
            Self::Maturity(_) => "maturity",
            Self::Accuracy(_) => "accuracy",
            Self::Skip(_) => "skip",
            Self::SkipAfter(_) => "skipAfter",
            Self::Transform(_) => "t",
            Self::Deed(deed) => deed_name(deed),
            Self::Namespace(_) => "xmlns",
        }
    }
}

fn deed_name(deed: &Deed) -> &'static str {
    match deed {
        Deed::Set { .. } => "setvar",
        Deed::Expire { .. } => "expirevar",
        Deed::Deprecate { .. } => "deprecatevar",
        Deed::Open { .. } => "initcol",
        Deed::Control(_) => "ctl",
        Deed::SetEnv { .. } => "setenv",
        Deed::Sanitise(_) => "sanitise",
    }
}

#[cfg(test)]
mod tests;
