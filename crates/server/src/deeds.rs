//! Ledger leaves for what people and machines do at the API: who, when, why, and the digest of what.

use evidence::record_digest;
use schema::{Leaf, LeafKind, TenantId, Timestamp};
use serde::Serialize;
use store::meta::{Policy, SigmaException, SigmaRule};
use uuid::Uuid;

/// A leaf about `what`. `reason` is a permanent code, or words the actor gave for the record; never personal data.
pub fn leaf(
    tenant: &TenantId,
    kind: LeafKind,
    actor: &str,
    subject: Uuid,
    what: &impl Serialize,
    reason: &str,
    time: Timestamp,
) -> Leaf {
    Leaf {
        tenant: tenant.clone(),
        kind,
        time,
        actor: actor.to_owned(),
        subject,
        // What cannot be told as JSON is attested as null: the leaf still says who, when and about whom.
        digest: record_digest(&serde_json::to_value(what).unwrap_or_default()),
        reason: reason.to_owned(),
        causes: Vec::new(),
    }
}

pub fn of_policy(tenant: &TenantId, policy: &Policy) -> Leaf {
    let subject = schema::id_from_seed(
        policy.created,
        format!("policy\0{tenant}\0{}", policy.version).as_bytes(),
    );
    leaf(
        tenant,
        LeafKind::PolicyChange,
        &policy.author,
        subject,
        &policy.text,
        &format!("policy-version-{}", policy.version),
        policy.created,
    )
}

/// The ledger's name for a rule: its own id where that is a UUID.
pub fn subject_of_rule(tenant: &TenantId, id: &str) -> Uuid {
    let seed = || schema::id_from_seed(0, format!("rule\0{tenant}\0{id}").as_bytes());
    id.parse().unwrap_or_else(|_| seed())
}

/// `code` says what became of it: `rule-added`…
pub fn of_rule(tenant: &TenantId, rule: &SigmaRule, code: &str) -> Leaf {
    let subject = subject_of_rule(tenant, &rule.id);
    leaf(tenant, LeafKind::RuleChange, &rule.author, subject, rule, code, rule.changed)
}

/// `code` says what became of it: `exception-added`…
pub fn of_exception(
    tenant: &TenantId,
    exception: &SigmaException,
    actor: &str,
    code: &str,
    time: Timestamp,
) -> Leaf {
    leaf(tenant, LeafKind::ExceptionChange, actor, exception.id, exception, code, time)
}

pub fn kind_of(act: crate::handle::Act) -> LeafKind {
    match act {
        crate::handle::Act::Approve => LeafKind::Approval,
        crate::handle::Act::Reject => LeafKind::Rejection,
        crate::handle::Act::Undo => LeafKind::Undo,
        crate::handle::Act::Extend { .. } => LeafKind::Action,
        crate::handle::Act::Reapply => LeafKind::Decision,
    }
}
