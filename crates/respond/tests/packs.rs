//! Every shipped policy file has a story beside it: findings in, actions out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use respond::{Context, Mode, PolicySet, Protected, decide, propose};
use schema::{
    Action, BlastRadius, Entity, Finding, Incident, IncidentStatus, OutcomeResult, Severity,
    Timestamp,
};
use serde::Deserialize;
use std::path::Path;
use uuid::Uuid;

const NOW: Timestamp = 1_764_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "enforce")]
    mode: Mode,
    #[serde(default)]
    protected: Option<ProtectedAddresses>,
    finding: Seen,
    blast: Option<Radius>,
    actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtectedAddresses {
    addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    rule: String,
    confidence: u8,
    severity: Severity,
    outcome: OutcomeResult,
    site: Option<String>,
    entities: Vec<Entity>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
struct Radius {
    requests: u64,
    accounts: u64,
    sessions: u64,
    addresses: u64,
}

fn enforce() -> Mode {
    Mode::Enforce
}

fn finding(seen: Seen) -> Finding {
    Finding {
        id: Uuid::from_u128(7),
        rule: seen.rule,
        rule_version: 1,
        analytic: None,
        time: NOW,
        first_seen: NOW,
        last_seen: NOW,
        severity: seen.severity,
        confidence: seen.confidence,
        entities: seen.entities,
        site: seen.site,
        outcome: seen.outcome,
        outcome_reason: None,
        attack: Vec::new(),
        evidence: Vec::new(),
        evidence_total: 0,
        numbers: Default::default(),
    }
}

fn incident(finding: &Finding) -> Incident {
    Incident {
        id: Uuid::from_u128(8),
        title: finding.rule.clone(),
        opened: NOW,
        updated: NOW,
        severity: finding.severity,
        status: IncidentStatus::New,
        findings: vec![finding.id],
        entities: finding.entities.clone(),
        sites: Vec::new(),
        story: Vec::new(),
        assignee: None,
        classification: None,
        comments: Vec::new(),
        ticket: None,
        told: Vec::new(),
    }
}

fn line(action: &Action) -> String {
    let ttl_ms = action.expires - action.created;
    let ttl = match ttl_ms {
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms => format!("{}m", ms / 60_000),
    };
    let code = action.approval.as_ref().map(|a| format!(" {}", a.code)).unwrap_or_default();
    format!("{} {} {} {ttl}{code}", action.rung, action.target, action.state.as_str())
}

#[test]
fn every_shipped_policy_does_what_its_story_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/respond");
    let policies = PolicySet::shipped().unwrap();
    for (file, _) in respond::SHIPPED {
        let path = folder.join(file.replace(".yaml", ".test.yaml"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let story: File = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut fired = false;
        let mut quiet = false;
        for case in story.cases {
            let mut protected = Protected::default();
            for address in case.protected.iter().flat_map(|p| &p.addresses) {
                protected.protect_address(address).unwrap();
            }
            let context = Context { mode: case.mode, protected };
            let finding = finding(case.finding);
            let radius = case.blast.map(|r| BlastRadius {
                since: NOW,
                requests: r.requests,
                accounts: r.accounts,
                sessions: r.sessions,
                addresses: r.addresses,
            });
            let actions: Vec<String> =
                propose(&policies, &context, &incident(&finding), &finding, &[], NOW)
                    .into_iter()
                    .map(|proposal| line(&decide(&policies, proposal, radius, NOW)))
                    .collect();
            assert_eq!(actions, case.actions, "{file}: {}", case.name);
            fired |= !actions.is_empty();
            quiet |= actions.is_empty();
        }
        assert!(fired && quiet, "{file} needs a case that fires and a near miss that stays quiet");
    }
}

#[test]
fn no_file_in_the_pack_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/respond");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            assert!(
                respond::SHIPPED.iter().any(|(file, _)| *file == name),
                "{name} is not shipped"
            );
        }
    }
}
