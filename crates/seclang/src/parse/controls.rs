//! `ctl:…`: what a rule may change for the rest of its transaction.

use super::{Problem, did_you_mean, number, switch, targets, unquoted};
use crate::rule::{AuditMode, BodyProcessor, Control, EngineMode, IdRange};
use crate::variable::{Collection, Selector};

const NAMES: [&str; 20] = [
    "auditEngine",
    "auditLogParts",
    "debugLogLevel",
    "forceRequestBodyVariable",
    "forceResponseBodyVariable",
    "hashEngine",
    "hashEnforcement",
    "parseXmlIntoArgs",
    "requestBodyAccess",
    "requestBodyLimit",
    "requestBodyProcessor",
    "responseBodyAccess",
    "responseBodyLimit",
    "responseBodyProcessor",
    "ruleEngine",
    "ruleRemoveById",
    "ruleRemoveByMsg",
    "ruleRemoveByTag",
    "ruleRemoveTargetById",
    "ruleRemoveTargetByTag",
];

/// `ruleEngine=Off`.
pub(super) fn parse(written: &str) -> Result<Control, Problem> {
    let Some((name, value)) = written.split_once('=') else {
        return Err(Problem::new(format!("ctl:{written}"), "no `=` with a value")
            .hint("write `ctl:name=value`"));
    };
    let (name, value) = (name.trim(), value.trim());
    let subject = format!("ctl:{name}");
    if value.is_empty() {
        return Err(Problem::new(subject, "has no value").hint(format!("write `ctl:{name}=…`")));
    }
    Ok(match name.to_ascii_lowercase().as_str() {
        "ruleengine" => Control::RuleEngine(engine_mode(&subject, value)?),
        "auditengine" => Control::AuditEngine(audit_mode(&subject, value)?),
        "auditlogparts" => Control::AuditLogParts(audit_parts(&subject, value)?),
        "requestbodyaccess" => Control::RequestBodyAccess(switch(&subject, value)?),
        "responsebodyaccess" => Control::ResponseBodyAccess(switch(&subject, value)?),
        "requestbodyprocessor" => Control::RequestBodyProcessor(processor(&subject, value)?),
        "responsebodyprocessor" => {
            Control::ResponseBodyProcessor(answer_processor(&subject, value)?)
        }
        "requestbodylimit" => Control::RequestBodyLimit(number(&subject, value)?),
        "responsebodylimit" => Control::ResponseBodyLimit(number(&subject, value)?),
        "forcerequestbodyvariable" => Control::ForceRequestBodyVariable(switch(&subject, value)?),
        "forceresponsebodyvariable" => Control::ForceResponseBodyVariable(switch(&subject, value)?),
        "ruleremovebyid"
        | "ruleremovetargetbyid"
        | "ruleremovebytag"
        | "ruleremovetargetbytag"
        | "ruleremovebymsg"
        | "ruleremovetargetbymsg" => removal(&subject, name, value)?,
        "debugloglevel" => {
            number::<u32>(&subject, value)?;
            Control::DebugLogLevel
        }
        "hashengine" | "hashenforcement" => match switch(&subject, value) {
            Ok(false) => Control::None,
            _ => {
                return Err(Problem::new(subject, "can only be `Off`")
                    .hint("leave it out: links are not signed"));
            }
        },
        "parsexmlintoargs" => match switch(&subject, value) {
            Ok(false) => Control::None,
            _ => {
                return Err(Problem::new(subject, "XML is not put into ARGS")
                    .hint("look at `XML:/*` and `XML://@*` instead"));
            }
        },
        _ => {
            return Err(Problem::new(subject, "unknown setting").hint(
                did_you_mean(name, NAMES.into_iter())
                    .unwrap_or_else(|| "see the reference manual, action `ctl`".to_owned()),
            ));
        }
    })
}

fn removal(subject: &str, name: &str, value: &str) -> Result<Control, Problem> {
    let lower = name.to_ascii_lowercase();
    let Some(by) = lower.strip_prefix("ruleremovetargetby") else {
        return Ok(match lower.as_str() {
            "ruleremovebyid" => Control::RemoveById(id_ranges(subject, value)?),
            "ruleremovebytag" => Control::RemoveByTag(unquoted(value).to_owned()),
            _ => Control::RemoveByMessage(unquoted(value).to_owned()),
        });
    };
    let Some((what, target)) = unquoted(value).split_once(';') else {
        return Err(Problem::new(subject, "no `;` with a variable")
            .hint(format!("write `ctl:{name}=…;ARGS:name`")));
    };
    let what = unquoted(what);
    let (collection, selector): (Collection, Selector) = targets::parse_one(target)?;
    Ok(match by {
        "id" => Control::RemoveTargetById(id_ranges(subject, what)?, collection, selector),
        "tag" => Control::RemoveTargetByTag(what.to_owned(), collection, selector),
        _ => Control::RemoveTargetByMessage(what.to_owned(), collection, selector),
    })
}

pub(crate) fn engine_mode(subject: &str, value: &str) -> Result<EngineMode, Problem> {
    match unquoted(value).to_ascii_lowercase().as_str() {
        "on" => Ok(EngineMode::On),
        "off" => Ok(EngineMode::Off),
        "detectiononly" => Ok(EngineMode::DetectionOnly),
        other => Err(Problem::new(subject, format!("`{other}` is no mode"))
            .hint("write `On`, `Off` or `DetectionOnly`")),
    }
}

pub(crate) fn audit_mode(subject: &str, value: &str) -> Result<AuditMode, Problem> {
    match unquoted(value).to_ascii_lowercase().as_str() {
        "on" => Ok(AuditMode::On),
        "off" => Ok(AuditMode::Off),
        "relevantonly" => Ok(AuditMode::RelevantOnly),
        other => Err(Problem::new(subject, format!("`{other}` is no mode"))
            .hint("write `On`, `Off` or `RelevantOnly`")),
    }
}

/// Letters A to K and Z, a sign before them for a change.
pub(crate) fn audit_parts(subject: &str, value: &str) -> Result<String, Problem> {
    let value = unquoted(value);
    let letters = value.strip_prefix(['+', '-']).unwrap_or(value);
    let known = |letter: char| matches!(letter.to_ascii_uppercase(), 'A'..='K' | 'Z');
    if letters.is_empty() || !letters.chars().all(known) {
        return Err(Problem::new(subject, format!("`{value}` names unknown parts"))
            .hint("write letters from A to K, and Z"));
    }
    Ok(value.to_ascii_uppercase())
}

fn processor(subject: &str, value: &str) -> Result<BodyProcessor, Problem> {
    match unquoted(value).to_ascii_uppercase().as_str() {
        "URLENCODED" => Ok(BodyProcessor::UrlEncoded),
        "MULTIPART" => Ok(BodyProcessor::Multipart),
        "JSON" => Ok(BodyProcessor::Json),
        "XML" => Ok(BodyProcessor::Xml),
        "RAW" => Ok(BodyProcessor::Raw),
        other => Err(Problem::new(subject, format!("unknown body processor `{other}`"))
            .hint("write `URLENCODED`, `MULTIPART`, `JSON`, `XML` or `RAW`")),
    }
}

/// Answers are values (RESPONSE_ARGS), a document (RESPONSE_XML), or just text (RESPONSE_BODY).
fn answer_processor(subject: &str, value: &str) -> Result<BodyProcessor, Problem> {
    match processor(subject, value)? {
        BodyProcessor::UrlEncoded | BodyProcessor::Multipart => {
            Err(Problem::new(subject, format!("no answer is read as `{value}`"))
                .hint("write `JSON`, `XML` or `RAW`"))
        }
        answer => Ok(answer),
    }
}

/// `1-5 7`: numbers and ranges, between spaces or commas.
pub(crate) fn id_ranges(subject: &str, written: &str) -> Result<Vec<IdRange>, Problem> {
    /// Ranges in one directive.
    const RANGES_MAX: usize = 10_000;
    let mut ranges = Vec::new();
    for part in
        unquoted(written).split([' ', '\t', ',']).map(unquoted).filter(|part| !part.is_empty())
    {
        let range = match part.split_once('-') {
            Some((from, to)) => IdRange { from: number(subject, from)?, to: number(subject, to)? },
            None => {
                let id = number(subject, part)?;
                IdRange { from: id, to: id }
            }
        };
        if range.from > range.to {
            return Err(Problem::new(subject, format!("the range `{part}` is upside down"))
                .hint("write the smaller id first"));
        }
        ranges.push(range);
        if ranges.len() > RANGES_MAX {
            return Err(Problem::new(subject, format!("over {RANGES_MAX} ids"))
                .hint("use ranges, or several directives"));
        }
    }
    if ranges.is_empty() {
        return Err(Problem::new(subject, "no id").hint("write ids and ranges, such as `1-5 7`"));
    }
    Ok(ranges)
}
