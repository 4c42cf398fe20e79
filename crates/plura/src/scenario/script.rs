//! A scenario as its author writes it: `scenarios/NAME/scenario.yaml` and the raw inputs beside it.
//! `docs/scenarios.md` is the reference.

use gateway::config::{RuleSetConfig, WafConfig};
use schema::{Diagnostic, Rung};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Requests one scenario may expand to. A week of ordinary traffic is about 40,000.
pub const TURNS_MAX: u64 = 400_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub title: BTreeMap<String, String>,
    /// Draws of chance (jitter, choice of products) come from here alone.
    pub seed: u64,
    /// The moment that relative times count from, RFC 3339.
    pub zero: String,
    /// Ordinary life before zero, so that baselines have something to learn from.
    #[serde(default)]
    pub history: Span,
    /// Ordinary life after zero.
    pub duration: Span,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default)]
    pub traffic: Traffic,
    /// ModSecurity rules by name, as in `gateway.yaml`; files are beside the script.
    #[serde(default)]
    pub rule_sets: BTreeMap<String, RuleSetConfig>,
    /// By site: its rule sets at work, as `waf` of a site in `gateway.yaml`.
    #[serde(default)]
    pub waf: BTreeMap<String, Vec<WafConfig>>,
    pub scenes: Vec<Scene>,
    /// Where this script was read from; raw inputs are beside it.
    #[serde(skip)]
    pub folder: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Observe,
    Canary,
    #[default]
    Enforce,
}

/// Ordinary users, drawn from the seed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// This many accounts, from `user0000`, visit the shop.
    #[serde(default)]
    pub shoppers: u32,
    #[serde(default = "two")]
    pub visits_per_day: f64,
    /// This many employees, from `user1990`, work in shifts around the clock at `staff.example`.
    #[serde(default)]
    pub staff: u32,
    /// These customers call the model API, each in its own rhythm.
    #[serde(default)]
    pub api_customers: Vec<u32>,
    #[serde(default = "ten")]
    pub calls_per_hour: f64,
    /// Hours after zero in which the shop is this many times as busy, with new customers among the old.
    #[serde(default)]
    pub peaks: Vec<Peak>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    pub from: Span,
    pub until: Span,
    pub times: f64,
}

fn two() -> f64 {
    2.0
}

fn ten() -> f64 {
    10.0
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Scene {
    Play(Box<Play>),
    Logs(Logs),
    Human(Human),
}

/// Requests somebody makes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// Who: the name under which the expected outcome counts the answers.
    pub play: String,
    pub at: Span,
    #[serde(default = "one")]
    pub count: u32,
    #[serde(default)]
    pub every: Span,
    /// Up to this much later, drawn for each round.
    #[serde(default)]
    pub jitter: Span,
    /// Pause between the requests of one round.
    #[serde(default)]
    pub pause: Span,
    #[serde(default)]
    pub vars: BTreeMap<String, Var>,
    /// Rounds with the same jar share cookies.
    #[serde(default)]
    pub jar: Option<String>,
    pub requests: Vec<Template>,
}

fn one() -> u32 {
    1
}

/// What `${name}` stands for in round n.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Var {
    /// Round robin.
    Cycle(Vec<String>),
    /// `pattern` with its run of `#` replaced by first, first + 1, … and round again after last.
    Numbers { pattern: String, first: u32, last: u32 },
    /// One value a line, round robin, from a file beside the script.
    Lines { lines: String },
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub from: String,
    #[serde(default = "get")]
    pub method: String,
    #[serde(default)]
    pub host: Option<String>,
    pub path: String,
    #[serde(default)]
    pub query: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub form: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub json: Option<serde_json::Value>,
    #[serde(default)]
    pub file: Option<Upload>,
}

fn get() -> String {
    "GET".to_owned()
}

/// One multipart part with a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    pub name: String,
    #[serde(rename = "type")]
    pub content_type: String,
    pub content: String,
}

/// A log file beside the script. `@{+90s audit}` in it becomes that moment in the form named:
/// `audit` (seconds.millis), `rfc3164`, `rfc3339`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    pub logs: String,
    pub at: Span,
    pub format: String,
    #[serde(default)]
    pub device: Option<String>,
}

/// What a person does: undo every action in force of a rung.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Human {
    pub human: HumanAct,
    pub at: Span,
    pub rung: Rung,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HumanAct {
    Approve,
    Reject,
    Undo,
}

/// A length of time as people write it: `1500ms`, `90s`, `10m`, `2h`, `8d`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub i64);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_span(&text).map(Span).ok_or_else(|| {
            format!("`{text}` is not a length of time: write a number and ms, s, m, h or d")
        })
    }
}

pub fn span_ms(text: &str) -> Option<i64> {
    parse_span(text)
}

fn parse_span(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('+');
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(split)?;
    let unit_ms = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let ms = number.parse::<f64>().ok()? * unit_ms;
    // Beyond a year a story is a mistake.
    (ms.is_finite() && ms <= 366.0 * 86_400_000.0).then_some(ms as i64)
}

/// Reads `folder/scenario.yaml`.
pub fn load(folder: &Path) -> Result<Script, Diagnostic> {
    let file = folder.join("scenario.yaml");
    let place = file.display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Diagnostic::new("scenario-unreadable", place.clone(), format!("cannot read it: {error}"))
            .hint("a scenario is a folder with a `scenario.yaml` in it")
    })?;
    let mut script: Script = serde_saphyr::from_str(&text).map_err(|error| {
        Diagnostic::new("scenario-invalid", place.clone(), error.to_string())
            .hint("docs/scenarios.md lists every field")
    })?;
    folder.clone_into(&mut script.folder);
    if schema::parse_time(&script.zero).is_none() {
        return Err(Diagnostic::new(
            "scenario-invalid",
            place,
            format!("`zero: {}` is not a time", script.zero),
        )
        .hint("write it like 2026-03-02T09:00:00Z"));
    }
    Ok(script)
}

/// Replaces every `@{+90s form}` in a log by that moment, in a story told `speed` times as fast.
pub fn stamp_log(text: &str, zero: i64, speed: f64) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        out.push_str(before);
        let (inside, tail) = after.split_once('}').ok_or("`@{` without `}`")?;
        let (span, form) =
            inside.split_once(' ').ok_or_else(|| format!("`@{{{inside}}}` names no form"))?;
        let after = parse_span(span).ok_or_else(|| format!("`{span}` is not a length of time"))?;
        let time = zero + (after as f64 / speed) as i64;
        out.push_str(&stamp(time, form)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn stamp(time: i64, form: &str) -> Result<String, String> {
    let at = jiff::Timestamp::from_millisecond(time).map_err(|error| error.to_string())?;
    let utc = at.to_zoned(jiff::tz::TimeZone::UTC);
    match form {
        "audit" => Ok(format!("{}.{:03}", time.div_euclid(1000), time.rem_euclid(1000))),
        "rfc3164" => Ok(utc.strftime("%b %e %H:%M:%S").to_string()),
        "rfc3339" => Ok(schema::format_time(time)),
        _ => Err(format!("`{form}` is not a form of time: use audit, rfc3164 or rfc3339")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_nonsense_is_refused() {
        assert_eq!(parse_span("1500ms"), Some(1_500));
        assert_eq!(parse_span("+1.5h"), Some(5_400_000));
        for wrong in ["", "12", "h", "5 parsecs", "9999d", "1e9d"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn logs_get_their_times() {
        let text = "a @{+1.5s audit} b @{+0s rfc3164} c @{+1m rfc3339}";
        assert_eq!(
            stamp_log(text, 1_772_442_000_000, 1.0).unwrap(),
            "a 1772442001.500 b Mar  2 09:00:00 c 2026-03-02T09:01:00.000Z"
        );
        assert!(stamp_log("@{+1s klingon}", 0, 1.0).is_err());
    }
}
