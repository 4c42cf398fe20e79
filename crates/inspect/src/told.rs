//! An outcome as an entry of `plura.waf`: the rules' own words as written, and of the exchange only what
//! [`Show`] lets be told again. The one writer of what [`schema::waf_sets`] reads.

use crate::outcome::SetOutcome;
use seclang::{Match, Phase, Severity};
use serde_json::{Map, Value};

/// Matches of one rule set told in an event; the others are counted. A request that matches more is no
/// subtle one.
const MATCHES_MAX: usize = 50;
/// Characters of matched data that are told.
pub const DATA_CHARS_MAX: usize = 200;
/// Characters of a variable's name.
const NAME_CHARS_MAX: usize = 128;

/// What of an exchange may be told again.
pub trait Show {
    /// The name of what matched, not longer than is told; `cut`: it was. A name is the client's to choose,
    /// so it may be a secret, too.
    fn name(&mut self, name: &str, cut: bool) -> String;

    /// What matched, where it can be told: `ARGS`, `q` and what the transformations made of the value.
    fn data(&mut self, collection: &str, part: Option<&str>, value: &[u8]) -> Option<String>;
}

/// One rule set's say. `blocked`: it is the one that blocked.
pub fn entry(set: &SetOutcome, blocked: bool, show: &mut dyn Show) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("rules", set.rules.name.as_str().into());
    if !set.rules.version.is_empty() {
        put("version", set.rules.version.as_str().into());
    }
    put("stage", set.stage.into());
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
    if let Some(unseen) = &set.record {
        put("from_record", true.into());
        if !unseen.is_empty() {
            put("unseen", unseen.clone().into());
        }
    }
    if set.refused {
        put("refused", true.into());
    }
    let shown = set.matches.iter().take(MATCHES_MAX);
    put("matches", shown.map(|m| one(set, m, show)).collect::<Vec<_>>().into());
    let others = set.matches.len().saturating_sub(MATCHES_MAX) as u64;
    if others + set.matches_dropped > 0 {
        put("matches_dropped", (others + set.matches_dropped).into());
    }
    Value::Object(out)
}

fn one(set: &SetOutcome, found: &Match, show: &mut dyn Show) -> Value {
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
    put("variable", variable_name(collection, part, show).into());
    if let Some(data) = show.data(collection, part, &found.value) {
        put("data", data.into());
    }
    if !found.transformations.is_empty() {
        let steps = found.transformations.iter().map(|step| step_name(&format!("{step:?}")));
        put("transformations", steps.collect::<Vec<_>>().into());
    }
    Value::Object(out)
}

fn variable_name(collection: &str, part: Option<&str>, show: &mut dyn Show) -> String {
    let Some(part) = part else { return collection.to_owned() };
    let short: String = part.chars().take(NAME_CHARS_MAX).collect();
    let cut = short.len() < part.len();
    format!("{collection}:{}", show.name(&short, cut))
}

/// `json.user.password` is called `password`.
pub fn last_part(name: &str) -> &str {
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
