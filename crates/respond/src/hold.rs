use crate::propose::{Wanted, overlap};
use crate::transitions::REAPPLIED;
use crate::{Context, PolicySet};
use schema::{Action, ActionState, Classification, Incident, Rung, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a human has to decide. Codes are for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// The tenant protects this entity.
    ProtectedEntity,
    /// No other administrator could still get in.
    LastAdministrator,
    /// A human called the incident a false alarm.
    ClassifiedBenign,
    /// A human took the same or a lower rung back within the cool-down.
    RecentlyUndone,
    /// A human said no to the same or a lower rung within the cool-down.
    RecentlyRejected,
    /// One step would touch more entities than [`crate::policy::TARGETS_MAX`].
    TooManyTargets,
    /// The policy says `approval: always`.
    PolicyRequires,
    /// Above `limit`, and whether the attack succeeded is not known.
    OutcomeUnknown,
    /// Above `limit`, and the tenant, or the rule that fired, is in canary.
    CanaryMode,
    /// It would have hit more than the policy allows.
    BlastRadius,
    /// Nobody counted whom it would have hit.
    BlastUnknown,
    /// The policy changed between proposal and decision.
    PolicyChanged,
}

impl Hold {
    pub fn code(self) -> &'static str {
        match self {
            Hold::ProtectedEntity => "protected-entity",
            Hold::LastAdministrator => "last-administrator",
            Hold::ClassifiedBenign => "classified-benign",
            Hold::RecentlyUndone => "recently-undone",
            Hold::RecentlyRejected => "recently-rejected",
            Hold::TooManyTargets => "too-many-targets",
            Hold::PolicyRequires => "policy-requires",
            Hold::OutcomeUnknown => "outcome-unknown",
            Hold::CanaryMode => "canary-mode",
            Hold::BlastRadius => "blast-radius",
            Hold::BlastUnknown => "blast-unknown",
            Hold::PolicyChanged => "policy-changed",
        }
    }
}

/// Whether a person thought better of it: what they took back or turned down is in force again by their hand.
fn repeats(later: &Action, ended: &Action) -> bool {
    later.state.is_in_force()
        && later.target == ended.target
        && later.rung == ended.rung
        && overlap(&later.sites, &ended.sites)
        && later.created >= ended.created
        && later.history.first().is_some_and(|first| first.reason.starts_with(REAPPLIED))
}

/// What holds a wanted step back before its blast radius is even asked for.
pub(crate) fn standing(
    policies: &PolicySet,
    context: &Context,
    incident: &Incident,
    wanted: &Wanted<'_>,
    too_many: bool,
    existing: &[Action],
    now: Timestamp,
) -> Option<Hold> {
    let rung = wanted.step.rung;
    if rung == Rung::Observe {
        return None;
    }
    let both = [&policies.protected, &context.protected];
    if both.iter().any(|protected| protected.covers(wanted.target)) {
        return Some(Hold::ProtectedEntity);
    }
    if both.iter().any(|p| p.is_last_administrator(wanted.target, rung, existing, now)) {
        return Some(Hold::LastAdministrator);
    }
    if matches!(
        incident.classification,
        Some(Classification::FalsePositive | Classification::Benign)
    ) {
        return Some(Hold::ClassifiedBenign);
    }
    let turned_down = |state: ActionState| {
        existing.iter().any(|action| {
            action.target == *wanted.target
                && action.state == state
                && action.rung <= rung
                && overlap(&action.sites, &wanted.sites)
                && action
                    .history
                    .last()
                    .is_some_and(|change| change.time.saturating_add(wanted.cooldown_ms()) > now)
                && !existing.iter().any(|later| repeats(later, action))
        })
    };
    if turned_down(ActionState::Undone) {
        return Some(Hold::RecentlyUndone);
    }
    if turned_down(ActionState::Rejected) {
        return Some(Hold::RecentlyRejected);
    }
    too_many.then_some(Hold::TooManyTargets)
}
