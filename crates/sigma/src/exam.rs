//! The exam of SigmaHQ: every event that comes with a rule has to make that rule fire.

use crate::event::{Event, Record};
use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// Samples of events, and the rules that have to fire on each of them.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// Ids of rules.
    pub rules: Vec<String>,
    pub samples: Vec<Sample>,
}

/// Events of one file.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub events: Vec<Value>,
    pub form: Form,
    /// On how many of the events the rule has to fire at least; one where nothing is said.
    pub matches: Option<usize>,
}

/// How events are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Records of an event log, of this product.
    EventLog(String),
    /// JSON from this source.
    Json(LogSource),
    /// JSON from the source that the rule names.
    Ruled,
}

/// What one rule made of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "why")]
pub enum Outcome {
    Passed,
    /// The rule does not run, for this reason.
    Refused(String),
    /// The rule runs and stayed quiet, or is not there.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub case: String,
    pub rule: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The result of an exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub passed: usize,
    pub total: usize,
    /// Neither passed nor refused with a reason, and rules refused without one.
    pub unexplained: usize,
    pub rules: usize,
    pub refused: usize,
    /// All that did not pass.
    pub answers: Vec<Answer>,
}

/// Sits the exam.
pub fn exam(set: &RuleSet, cases: &[Case]) -> Report {
    let by_id: HashMap<&str, usize> = set
        .rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| Some((rule.meta.id.as_deref()?, index)))
        .collect();
    let refused: HashMap<&str, String> = set
        .refused
        .iter()
        .filter_map(|refused| {
            let why = refused.problems.first().map(ToString::to_string).unwrap_or_default();
            Some((refused.id.as_deref()?, why))
        })
        .collect();
    let mut report = Report {
        passed: 0,
        total: 0,
        unexplained: set.refused.iter().filter(|refused| refused.problems.is_empty()).count(),
        rules: set.rules.len(),
        refused: set.refused.len(),
        answers: Vec::new(),
    };
    for case in cases {
        for id in &case.rules {
            report.total += 1;
            let outcome = match (by_id.get(id.as_str()), refused.get(id.as_str())) {
                (Some(rule), _) => match falls_short(set, *rule, case) {
                    None => Outcome::Passed,
                    Some(why) => Outcome::Failed(why),
                },
                (None, Some(why)) => Outcome::Refused(why.clone()),
                (None, None) => Outcome::Failed("the rule is not among those loaded".to_owned()),
            };
            match outcome {
                Outcome::Passed => report.passed += 1,
                outcome => {
                    report.unexplained += usize::from(matches!(outcome, Outcome::Failed(_)));
                    report.answers.push(Answer {
                        case: case.name.clone(),
                        rule: id.clone(),
                        outcome,
                    });
                }
            }
        }
    }
    report
}

/// Why the rule does not do with a sample what it should; none if it does with all.
fn falls_short(set: &RuleSet, rule: usize, case: &Case) -> Option<String> {
    if case.samples.is_empty() {
        return Some("the case has no events".to_owned());
    }
    case.samples.iter().find_map(|sample| {
        let fired = sample.events.iter().filter(|event| fires(set, rule, sample, event)).count();
        let name = &sample.name;
        match sample.matches.unwrap_or(1).max(1) {
            wanted if fired >= wanted => None,
            _ if fired == 0 => Some(format!("the rule stays quiet on `{name}`")),
            wanted => Some(format!("the rule fires {fired} times on `{name}`, not {wanted} times")),
        }
    })
}

fn fires(set: &RuleSet, rule: usize, sample: &Sample, event: &Value) -> bool {
    let record = match &sample.form {
        Form::EventLog(product) => Record::event_log(product, event),
        Form::Json(logsource) => Record::json(logsource.clone(), event),
        Form::Ruled => {
            let own = set.rules.get(rule).map(|rule| rule.logsource.clone());
            Record::json(own.unwrap_or_default(), event)
        }
    };
    set.evaluate_rule(rule, &record as &dyn Event).is_some()
}
