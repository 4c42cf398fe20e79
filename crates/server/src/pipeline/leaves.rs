//! Records become ledger leaves: who, when, why, the digest of what, and its causes.

use evidence::record_digest;
use schema::{
    Action, ActionState, Actor, Finding, Incident, Leaf, LeafKind, TenantId, Timestamp, sha256,
};
use serde::Serialize;

/// Causes a leaf names; a finding's further events are found by its own evidence list.
const CAUSES_MAX: usize = 64;

pub fn of_finding(tenant: &TenantId, finding: &Finding) -> Leaf {
    Leaf {
        tenant: tenant.clone(),
        kind: LeafKind::Finding,
        time: finding.time,
        actor: format!("rule:{}@{}", finding.rule, finding.rule_version),
        subject: finding.id,
        digest: digest(finding),
        reason: finding.rule.clone(),
        causes: finding.evidence.iter().copied().take(CAUSES_MAX).collect(),
    }
}

pub fn of_incident(
    tenant: &TenantId,
    incident: &Incident,
    actor: &str,
    reason: &str,
    now: Timestamp,
) -> Leaf {
    Leaf {
        tenant: tenant.clone(),
        kind: LeafKind::Incident,
        time: now,
        actor: actor.to_owned(),
        subject: incident.id,
        digest: digest(incident),
        reason: reason.to_owned(),
        causes: incident.findings.iter().rev().copied().take(CAUSES_MAX).collect(),
    }
}

/// The latest change of an action: a decision when it was made, later what became of it.
pub fn of_action(tenant: &TenantId, action: &Action) -> Leaf {
    let last = action.history.last();
    let kind = match action.state {
        _ if action.history.len() <= 1 => LeafKind::Decision,
        ActionState::Undone => LeafKind::Undo,
        ActionState::Rejected => LeafKind::Rejection,
        ActionState::Expired => LeafKind::Expiry,
        ActionState::Pending | ActionState::AwaitingApproval
            if last.is_some_and(|change| change.actor.starts_with("user:")) =>
        {
            LeafKind::Approval
        }
        _ => LeafKind::Action,
    };
    Leaf {
        tenant: tenant.clone(),
        kind,
        time: last.map_or(action.created, |change| change.time),
        actor: last.map_or_else(Actor::new, |change| change.actor.clone()),
        subject: action.id,
        digest: digest(action),
        // Codes only: what a human wrote is in the record, which the digest binds and erasure can reach.
        reason: format!("{} {} {}", action.rung, action.state.as_str(), action.reason),
        causes: std::iter::once(action.incident)
            .chain(action.findings.iter().copied())
            .take(CAUSES_MAX)
            .collect(),
    }
}

fn digest(record: &impl Serialize) -> schema::Digest {
    match serde_json::to_value(record) {
        Ok(value) => record_digest(&value),
        // Our own records always serialise; a digest of nothing would be noticed by the verifier.
        Err(_) => sha256(b""),
    }
}
