//! What the rules found, for the record: their own words as written, and of the request only what the
//! rest of the event shows, too.

use super::protect::Protect;
use crate::waf::{Outcome, SetOutcome};
use http::{HeaderMap, HeaderName};
use seclang::{Match, Phase, Severity};
use serde_json::{Map, Value};

/// Matches of one rule set told in an event; the others are counted. A request that matches more is no
/// subtle one.
const MATCHES_MAX: usize = 50;
/// Characters of matched data that are told.
const DATA_CHARS_MAX: usize = 200;
/// Characters of a variable's name.
const NAME_CHARS_MAX: usize = 128;

/// What of the request may be told again.
pub(super) struct Open<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Nothing was hidden in the query or the request body, and all of it was looked at: what rules made
    /// of a parameter hides nothing, either. A secret in other spelling would pass for harmless.
    pub(super) arguments: bool,
}

/// `plura.waf`: one entry for each rule set with something to tell.
pub(super) fn entries(
    outcome: &Outcome,
    open: &Open<'_>,
    protect: &mut Protect<'_>,
) -> Option<Value> {
    let sets = outcome.sets.iter().enumerate().filter(|(_, set)| !set.is_quiet());
    let sets: Vec<Value> =
        sets.map(|(i, set)| entry(set, outcome.blocked == Some(i), open, protect)).collect();
    (!sets.is_empty()).then_some(Value::Array(sets))
}

fn entry(set: &SetOutcome, blocked: bool, open: &Open<'_>, protect: &mut Protect<'_>) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("rules", set.rules.name.as_str().into());
    if !set.rules.version.is_empty() {
        put("version", set.rules.version.as_str().into());
    }
    put("stage", set.stage.as_str().into());
    put("enforced", set.enforced.into());
    put("blocked", blocked.into());
    put("would_block", (!blocked && set.decided.is_some()).into());
    if let Some((rule, phase)) = set.decided {
        put("decided_by", rule.into());
        put("phase", phase_number(phase).into());
    }
    for (name, value) in [
        ("inbound_score", set.inbound_score),
        ("inbound_threshold", set.inbound_threshold),
        ("outbound_score", set.outbound_score),
        ("outbound_threshold", set.outbound_threshold),
    ] {
        if let Some(value) = value {
            put(name, value.into());
        }
    }
    if !set.limits.is_empty() {
        put("limits", set.limits.clone().into());
    }
    if set.refused {
        put("refused", true.into());
    }
    let shown = set.matches.iter().take(MATCHES_MAX);
    put("matches", shown.map(|m| one(set, m, open, protect)).collect::<Vec<_>>().into());
    let others = set.matches.len().saturating_sub(MATCHES_MAX) as u64;
    if others + set.matches_dropped > 0 {
        put("matches_dropped", (others + set.matches_dropped).into());
    }
    Value::Object(out)
}

fn one(set: &SetOutcome, found: &Match, open: &Open<'_>, protect: &mut Protect<'_>) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("rule", found.rule.into());
    put("phase", phase_number(found.phase).into());
    if let Some(said) = set.rules.said(found.rule) {
        put("message", said.message.as_str().into());
        if !said.tags.is_empty() {
            put("tags", said.tags.clone().into());
        }
    }
    if let Some(severity) = found.severity {
        put("severity", severity_name(severity).into());
    }
    let variable = String::from_utf8_lossy(&found.variable);
    let (collection, part) = match variable.split_once(':') {
        Some((collection, part)) => (collection, Some(part)),
        None => (&*variable, None),
    };
    put("variable", variable_name(collection, part, protect).into());
    if let Some(data) = data(collection, part, &found.value, open, protect) {
        put("data", data.into());
    }
    if !found.transformations.is_empty() {
        let steps = found.transformations.iter().map(|step| step_name(&format!("{step:?}")));
        put("transformations", steps.collect::<Vec<_>>().into());
    }
    Value::Object(out)
}

/// The name of what matched. A name is the client's to choose, so it may be a secret, too.
fn variable_name(collection: &str, part: Option<&str>, protect: &mut Protect<'_>) -> String {
    let Some(part) = part else { return collection.to_owned() };
    let short: String = part.chars().take(NAME_CHARS_MAX).collect();
    let cut = short.len() < part.len();
    let hidden = protect.text(&short, cut, 0).unwrap_or(short);
    format!("{collection}:{hidden}")
}

/// What matched, where it can be told: an argument of a request that holds nothing to hide, a header
/// without a secret. Whole bodies, cookies and responses are never repeated here.
fn data(
    collection: &str,
    part: Option<&str>,
    value: &[u8],
    open: &Open<'_>,
    protect: &mut Protect<'_>,
) -> Option<String> {
    let name = part.unwrap_or_default();
    match collection {
        "ARGS" | "ARGS_GET" | "ARGS_POST" | "ARGS_NAMES" | "ARGS_GET_NAMES" | "ARGS_POST_NAMES"
            if open.arguments => {}
        "REQUEST_HEADERS" if header_is_open(name, open.headers, protect) => {}
        "REQUEST_METHOD" | "REQUEST_PROTOCOL" | "RESPONSE_STATUS" => {}
        _ => return None,
    }
    let text = std::str::from_utf8(value).ok()?;
    let class = protect.scanner.names.classify(last_part(name));
    if protect.field(class, text, false, 0).is_some() {
        return None;
    }
    Some(text.chars().take(DATA_CHARS_MAX).collect())
}

fn header_is_open(name: &str, headers: &HeaderMap, protect: &mut Protect<'_>) -> bool {
    let Ok(name) = HeaderName::try_from(name) else { return false };
    let mut lines = headers.get_all(&name).iter().peekable();
    lines.peek().is_some()
        && lines.all(|line| line.to_str().is_ok_and(|text| protect.header(&name, text).is_none()))
}

/// `json.user.password` is called `password`.
fn last_part(name: &str) -> &str {
    name.rsplit(['.', '[']).next().unwrap_or(name).trim_end_matches(']')
}

fn phase_number(phase: Phase) -> u8 {
    phase as u8
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Emergency => "emergency",
        Severity::Alert => "alert",
        Severity::Critical => "critical",
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
        Severity::Info => "info",
        Severity::Debug => "debug",
    }
}

/// `UrlDecodeUni` is `urlDecodeUni` in rules.
fn step_name(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or(String::new(), |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}
