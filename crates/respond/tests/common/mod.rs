//! Findings, incidents and a small policy file for the tests of the ladder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(dead_code)]

use respond::{Context, Mode, PolicySet, Protected};
use schema::{
    Action, Analytic, Entity, Finding, Incident, IncidentStatus, OutcomeResult, Severity, Stage,
    Timestamp,
};
use uuid::Uuid;

pub const START: Timestamp = 1_764_000_000_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub fn policies(yaml: &str) -> PolicySet {
    PolicySet::parse("test.yaml", yaml).unwrap_or_else(|d| panic!("{}", d[0]))
}

pub fn context(mode: Mode) -> Context {
    Context { mode, protected: Protected::default() }
}

pub fn finding(
    number: u128,
    rule: &str,
    outcome: OutcomeResult,
    entities: &[&str],
    time: Timestamp,
) -> Finding {
    Finding {
        id: Uuid::from_u128(number),
        rule: rule.to_owned(),
        rule_version: 1,
        analytic: None,
        time,
        first_seen: time,
        last_seen: time,
        severity: Severity::High,
        confidence: 90,
        entities: entities.iter().map(|text| text.parse::<Entity>().unwrap()).collect(),
        site: Some("shop".to_owned()),
        outcome,
        outcome_reason: None,
        attack: Vec::new(),
        evidence: Vec::new(),
        evidence_total: 0,
        numbers: Default::default(),
    }
}

pub fn incident() -> Incident {
    Incident {
        id: Uuid::from_u128(1),
        title: "test".to_owned(),
        opened: START,
        updated: START,
        severity: Severity::High,
        status: IncidentStatus::New,
        findings: Vec::new(),
        entities: Vec::new(),
        sites: Vec::new(),
        story: Vec::new(),
        assignee: None,
        classification: None,
        comments: Vec::new(),
        ticket: None,
        told: Vec::new(),
    }
}

/// The same finding, as a written rule in this stage makes it.
pub fn staged(finding: Finding, stage: Stage) -> Finding {
    let analytic = Some(Box::new(Analytic { stage, ..Analytic::default() }));
    Finding { analytic, ..finding }
}

/// Puts an action where the one with its id was, or at the end.
pub fn keep(actions: &mut Vec<Action>, action: Action) {
    match actions.iter_mut().find(|known| known.id == action.id) {
        Some(known) => *known = action,
        None => actions.push(action),
    }
}
