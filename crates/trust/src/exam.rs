//! Sits a policy down before cases: what each expects, and what the policy says.

use crate::engine::decide;
use crate::policy::Policy;
use crate::yaml;
use crate::{Decision, Demands, Points, Reading, Readings, Value};
use schema::Diagnostic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of a file of cases.
pub const CASES_BYTES_MAX: usize = 8 << 20;

/// Cases as a file has them; what a case tells beside its signals and expectation is for people.
#[derive(Debug, Deserialize)]
struct RawCases {
    scenarios: Vec<RawCase>,
}

#[derive(Debug, Deserialize)]
struct RawCase {
    id: String,
    #[serde(default)]
    title_ko: String,
    #[serde(default)]
    title_en: String,
    /// The profile it is judged by, when the case says so itself.
    profile: Option<String>,
    source: Option<RawSource>,
    /// By group, then signal; the groups are for people.
    #[serde(default)]
    signals: BTreeMap<String, BTreeMap<String, RawValue>>,
    expected: RawExpected,
    #[serde(default)]
    obligations: Vec<RawObligation>,
}

#[derive(Debug, Deserialize)]
struct RawSource {
    line: u32,
}

#[derive(Debug, Deserialize)]
struct RawExpected {
    trust: [f64; 2],
    decision: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct RawObligation {
    code: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawValue {
    Bool(bool),
    Integer(i64),
    Text(String),
}

/// One case, ready to be judged.
#[derive(Debug, Clone)]
pub struct Case {
    pub id: String,
    pub title_ko: String,
    pub title_en: String,
    pub profile: Option<String>,
    pub line: Option<u32>,
    pub readings: Readings,
    /// Lowest and highest score.
    pub trust: (Points, Points),
    pub decisions: Vec<String>,
    pub obligations: Vec<String>,
}

/// How a case came out.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub id: String,
    pub title_en: String,
    pub title_ko: String,
    pub profile: String,
    pub passed: bool,
    pub score: Points,
    pub low: Points,
    pub high: Points,
    /// Lowest and highest score expected.
    pub expected: [Points; 2],
    pub in_range: bool,
    pub decisions: Vec<String>,
    pub expected_decisions: Vec<String>,
    pub decision_equal: bool,
    pub obligations: Vec<String>,
    /// Expected, and not emitted.
    pub obligations_missing: Vec<String>,
    /// Expected, and left to the resource's own policy: the trust policy has no such obligation.
    pub obligations_elsewhere: Vec<String>,
    /// Emitted, and at odds with the decision.
    pub obligations_contradicting: Vec<String>,
    /// Why it could not be judged at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// All cases.
#[derive(Debug, Clone, Serialize)]
pub struct Exam {
    pub policy: String,
    pub passed: usize,
    pub total: usize,
    pub cases: Vec<Row>,
}

/// Reads a file of cases in the form of `scenarios.yaml`.
pub fn parse_cases(file: &str, text: &str) -> Result<Vec<Case>, Diagnostic> {
    let raw: RawCases = yaml::read(file, text, CASES_BYTES_MAX)?;
    Ok(raw.scenarios.into_iter().map(Case::from).collect())
}

impl From<RawCase> for Case {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; points are far smaller")]
    fn from(raw: RawCase) -> Self {
        let points = |value: f64| Points((value * 100.0).round() as i64);
        let mut readings = Readings::new();
        for (name, value) in raw.signals.into_values().flatten() {
            let value = match value {
                RawValue::Bool(value) => Value::Bool(value),
                RawValue::Integer(value) => Value::Integer(value),
                RawValue::Text(text) => Value::Text(text),
            };
            readings.insert(name, Reading { value, is_silent: false });
        }
        Case {
            id: raw.id,
            title_ko: raw.title_ko,
            title_en: raw.title_en,
            profile: raw.profile,
            line: raw.source.map(|source| source.line),
            readings,
            trust: (points(raw.expected.trust[0]), points(raw.expected.trust[1])),
            decisions: raw.expected.decision,
            obligations: raw.obligations.into_iter().map(|duty| duty.code).collect(),
        }
    }
}

/// Judges every case: by `profile` where one is given, else by the profile the case names, else by
/// the one made for the part of the text it comes from, else by the most lenient.
pub fn sit(policy: &Policy, cases: &[Case], profile: Option<usize>) -> Exam {
    let rows: Vec<Row> = cases.iter().map(|case| row(policy, case, profile)).collect();
    Exam {
        policy: policy.hash().to_owned(),
        passed: rows.iter().filter(|row| row.passed).count(),
        total: rows.len(),
        cases: rows,
    }
}

/// The profile a case is judged by.
pub fn fitting(policy: &Policy, case: &Case) -> usize {
    let named = case.profile.as_deref().and_then(|id| policy.profile(id));
    named.or_else(|| case.line.and_then(|line| policy.profile_of_line(line))).unwrap_or(0)
}

fn row(policy: &Policy, case: &Case, profile: Option<usize>) -> Row {
    let profile = profile.unwrap_or_else(|| fitting(policy, case));
    let (decision, diagnostics) = match policy.state(&case.readings) {
        Ok(state) => (Some(decide(policy, profile, &state, &Demands::default())), Vec::new()),
        Err(diagnostics) => (None, diagnostics),
    };
    let words = |codes: &[std::sync::Arc<str>]| -> Vec<String> {
        codes.iter().map(ToString::to_string).collect()
    };
    let decisions = decision.as_ref().map_or_else(Vec::new, |d| words(&d.decisions));
    let obligations = decision.as_ref().map_or_else(Vec::new, |d| words(&d.obligations));
    let score = decision.as_ref().map_or(Points(0), |d| d.score);
    let wanted = |code: &&String| !obligations.contains(code);
    let is_known = |code: &String| policy.performed_by(code).is_some();
    let (missing, elsewhere): (Vec<String>, Vec<String>) =
        case.obligations.iter().filter(wanted).cloned().partition(is_known);
    let contradicting = decision.as_ref().map_or_else(Vec::new, |decision| {
        policy
            .state(&case.readings)
            .map_or_else(|_| Vec::new(), |s| contradictions(policy, &s, decision))
    });
    let in_range = decision.is_some() && (case.trust.0..=case.trust.1).contains(&score);
    let mut expected = case.decisions.clone();
    let mut given = decisions.clone();
    expected.sort();
    given.sort();
    let decision_equal = expected == given;
    Row {
        id: case.id.clone(),
        title_en: case.title_en.clone(),
        title_ko: case.title_ko.clone(),
        profile: policy.profiles().get(profile).copied().unwrap_or_default().to_owned(),
        passed: in_range && decision_equal && missing.is_empty() && contradicting.is_empty(),
        score,
        low: decision.as_ref().map_or(Points(0), |d| d.low),
        high: decision.as_ref().map_or(Points(0), |d| d.high),
        expected: [case.trust.0, case.trust.1],
        in_range,
        decisions,
        expected_decisions: case.decisions.clone(),
        decision_equal,
        obligations,
        obligations_missing: missing,
        obligations_elsewhere: elsewhere,
        obligations_contradicting: contradicting,
        diagnostics,
    }
}

/// The exam as the table of docs/trust.md.
pub fn markdown(exam: &Exam) -> String {
    let mut lines = vec![
        "| case | what happens | profile | expected | score | interval | decision |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for row in &exam.cases {
        let [low, high] = row.expected;
        lines.push(format!(
            "| {} | {} | {} | {:.0}–{:.0} | {}{} | {:.0}–{:.0} | {} |",
            row.id,
            row.title_en.replace('|', "/"),
            row.profile,
            low.to_f64(),
            high.to_f64(),
            row.score,
            if row.passed { "" } else { " **missed**" },
            row.low.to_f64(),
            row.high.to_f64(),
            row.decisions.join(", "),
        ));
    }
    lines.join("\n")
}

/// Obligations that the policy's own `contradictions` forbid beside the decision.
pub fn contradictions(policy: &Policy, state: &crate::State, decision: &Decision) -> Vec<String> {
    policy
        .contradicted(state, decision)
        .into_iter()
        .filter(|code| decision.obligations.iter().any(|given| **given == **code))
        .map(|code| code.to_string())
        .collect()
}
