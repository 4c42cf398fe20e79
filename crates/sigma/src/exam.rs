//! The exam of SigmaHQ: every event that comes with a rule has to make that rule fire.

use crate::event::{Event, Record};
use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// An event, or several, and the rules that have to fire on one of them.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// Ids of rules.
    pub rules: Vec<String>,
    pub events: Vec<Value>,
    /// How the events are read; none for records of Windows' event log.
    pub logsource: Option<LogSource>,
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
                (Some(rule), _) if fires(set, *rule, case) => Outcome::Passed,
                (Some(_), _) => Outcome::Failed("the rule stays quiet".to_owned()),
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

fn fires(set: &RuleSet, rule: usize, case: &Case) -> bool {
    case.events.iter().any(|event| {
        let record = match &case.logsource {
            Some(logsource) => Record::json(logsource.clone(), event),
            None => Record::event_log("windows", event),
        };
        set.evaluate_rule(rule, &record as &dyn Event).is_some()
    })
}
