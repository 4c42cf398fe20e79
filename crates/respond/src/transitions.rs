//! What may happen to an action after it was decided. See `docs/response.md` for the table.

use crate::decide::write;
use crate::policy::{APPROVAL_DEADLINE_MS, TTL_MAX_MS, TTL_MIN_MS};
use crate::{Context, Hold, Mode, PolicySet};
use schema::{Action, ActionState, Approval, Rung, Timestamp, id_from_seed};
use serde::Serialize;
use std::fmt;

/// Characters of a reason; longer ones are cut, since a long story belongs into the incident's comments.
pub const REASON_CHARS_MAX: usize = 1_000;

/// How the history of an action begins that repeats one that ended.
pub(crate) const REAPPLIED: &str = "reapplied";

/// Why a transition was not made. The action is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Permanent.
    pub code: &'static str,
    pub message: String,
    pub hint: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]\n  hint: {}", self.message, self.code, self.hint)
    }
}

impl std::error::Error for Refusal {}

fn refuse(code: &'static str, message: String, hint: &'static str) -> Result<(), Refusal> {
    Err(Refusal { code, message, hint })
}

/// A person says yes. The action is pending once as many different people as needed have.
///
/// `others` are the tenant's actions, so that nothing is set twice and the last administrator stays.
/// Who proposed cannot approve. The time limit runs from the moment of approval.
pub fn approve(
    action: &mut Action,
    others: &[Action],
    context: &Context,
    actor: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    person(actor)?;
    waiting(action, now)?;
    if action.history.first().is_some_and(|first| first.actor == actor) {
        return refuse(
            "proposer-cannot-approve",
            format!("`{actor}` proposed action `{}`", action.id),
            "ask somebody else to approve it",
        );
    }
    may_hold(action, others, context, now)?;
    let Some(approval) = action.approval.as_mut() else {
        return refuse(
            "not-awaiting-approval",
            format!("action `{}` asks for no approval", action.id),
            "nothing is to be done",
        );
    };
    if approval.given.iter().any(|given| given == actor) {
        return refuse(
            "already-approved",
            format!("`{actor}` has already approved action `{}`", action.id),
            "a second person has to approve it",
        );
    }
    approval.given.push(actor.to_owned());
    let given = approval.given.len();
    let needed = approval.needed;
    let enough = u32::try_from(given).unwrap_or(u32::MAX) >= needed;
    if enough {
        let ttl_ms = action.expires.saturating_sub(action.created).min(TTL_MAX_MS);
        action.expires = now.saturating_add(ttl_ms);
        write(action, now, actor, ActionState::Pending, told("approved", reason));
    } else {
        let code = format!("approved {given} of {needed}");
        write(action, now, actor, ActionState::AwaitingApproval, told(&code, reason));
    }
    Ok(())
}

/// What no person's yes passes.
fn may_hold(
    action: &Action,
    others: &[Action],
    context: &Context,
    now: Timestamp,
) -> Result<(), Refusal> {
    if context.mode == Mode::Observe {
        return refuse(
            "tenant-observes",
            format!("action `{}` cannot be executed while the tenant only observes", action.id),
            "set the tenant to canary or enforce first",
        );
    }
    if context.protected.is_last_administrator(&action.target, action.rung, others, now) {
        return refuse(
            "last-administrator",
            format!("`{}` is the last administrator who can still get in", action.target.value),
            "name another administrator first, or use `step-up`",
        );
    }
    let in_force = others.iter().find(|other| {
        other.id != action.id
            && other.state.is_in_force()
            && other.expires > now
            && other.rung == action.rung
            && other.target == action.target
            && crate::propose::covers(&other.sites, &action.sites)
    });
    match in_force {
        Some(other) => refuse(
            "already-in-force",
            format!("action `{}` already has `{}` on `{}`", other.id, other.rung, other.target),
            "extend that one, or reject this",
        ),
        None => Ok(()),
    }
}

/// A person wants an action that ended to hold again: a new action with the same effect, for as long
/// as its policy says now.
///
/// Their word counts as one approval: where the policy, or the action it repeats, needed more, the new
/// one waits for the others. The same holds it back as an approval: [`approve`].
pub fn reapply(
    policies: &PolicySet,
    ended: &Action,
    others: &[Action],
    context: &Context,
    actor: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Action, Refusal> {
    person(actor)?;
    let has_ended = matches!(
        ended.state,
        ActionState::Undone | ActionState::Expired | ActionState::Rejected | ActionState::Failed
    );
    if !has_ended || ended.rung == Rung::Observe {
        refuse(
            "not-ended",
            format!(
                "action `{}` is {}, there is nothing to apply again",
                ended.id,
                ended.state.as_str()
            ),
            "approve it while it waits, extend it while it holds",
        )?;
    }
    may_hold(ended, others, context, now)?;
    let waiting = others.iter().find(|other| {
        other.state == ActionState::AwaitingApproval
            && other.rung == ended.rung
            && other.target == ended.target
            && crate::propose::covers(&other.sites, &ended.sites)
    });
    if let Some(other) = waiting {
        refuse(
            "already-waiting",
            format!("action `{}` waits to set the same on `{}`", other.id, other.target),
            "approve that one",
        )?;
    }
    let steps = policies.policy(&ended.policy).map_or(&[][..], |policy| &policy.then);
    let step =
        steps.iter().find(|step| step.rung == ended.rung && step.target == ended.target.kind);
    // Its policy is gone: as long as it had. What was extended or approved late had longer.
    let had_ms = ended.expires.saturating_sub(ended.created).clamp(TTL_MIN_MS, TTL_MAX_MS);
    let ttl_ms = step.map_or(had_ms, |step| step.ttl_ms);
    let seed = format!("reapply\0{}\0{actor}", ended.id);
    let mut action = Action {
        id: id_from_seed(now, seed.as_bytes()),
        created: now,
        expires: now.saturating_add(ttl_ms),
        history: Vec::new(),
        ..ended.clone()
    };
    let needed = ended.approval.as_ref().map_or(1, |approval| approval.needed);
    let needed = step.map_or(needed, |step| step.approvals.max(needed));
    let state = if needed > 1 { ActionState::AwaitingApproval } else { ActionState::Pending };
    let deadline_ms = step.map_or(APPROVAL_DEADLINE_MS, |step| step.approval_deadline_ms);
    let code = ended.approval.as_ref().map(|approval| approval.code.clone());
    action.approval = (code.is_some() || needed > 1).then(|| Approval {
        code: code.unwrap_or_else(|| Hold::PolicyRequires.code().to_owned()),
        deadline: now.saturating_add(deadline_ms),
        needed,
        given: vec![actor.to_owned()],
    });
    write(&mut action, now, actor, state, told(REAPPLIED, reason));
    Ok(action)
}

/// A person says no.
pub fn reject(
    action: &mut Action,
    actor: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    person(actor)?;
    waiting(action, now)?;
    write(action, now, actor, ActionState::Rejected, told("rejected", reason));
    Ok(())
}

/// A person takes a restriction back, at once and for good: a later finding needs a human again.
pub fn undo(action: &mut Action, actor: &str, reason: &str, now: Timestamp) -> Result<(), Refusal> {
    person(actor)?;
    if !action.state.is_in_force() {
        return refuse(
            "not-in-force",
            format!(
                "action `{}` is {}, there is nothing to undo",
                action.id,
                action.state.as_str()
            ),
            if action.state == ActionState::AwaitingApproval {
                "reject it instead"
            } else {
                "look for the action in force with `plura action list`"
            },
        );
    }
    write(action, now, actor, ActionState::Undone, told("undone", reason));
    Ok(())
}

/// A person lets a restriction run until `until`.
pub fn extend(
    action: &mut Action,
    actor: &str,
    until: Timestamp,
    reason: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    person(actor)?;
    if !action.state.is_in_force() || action.expires <= now {
        return refuse(
            "not-in-force",
            format!("action `{}` is not in force any more", action.id),
            "a new finding or a new request has to propose it again",
        );
    }
    if until <= action.expires {
        return refuse(
            "not-longer",
            format!("action `{}` already runs until then", action.id),
            "give a later time; to shorten it, undo it",
        );
    }
    if until > now.saturating_add(TTL_MAX_MS) {
        return refuse(
            "too-long",
            format!("action `{}` cannot run longer than 30 days from now", action.id),
            "extend it by less, and look at it again then",
        );
    }
    action.expires = until;
    let state = action.state;
    write(action, now, actor, state, told("extended", reason));
    Ok(())
}

/// An executor says that it holds. Said again by another, it changes nothing.
pub fn confirm(action: &mut Action, actor: &str, now: Timestamp) -> Result<(), Refusal> {
    match action.state {
        ActionState::Active => Ok(()),
        ActionState::Pending => {
            write(action, now, actor, ActionState::Active, "confirmed".to_owned());
            Ok(())
        }
        other => refuse(
            "not-pending",
            format!("action `{}` is {} and cannot be confirmed", action.id, other.as_str()),
            "remove the restriction from the executor: it should not hold",
        ),
    }
}

/// An executor gave up after its retries.
pub fn fail(action: &mut Action, actor: &str, reason: &str, now: Timestamp) -> Result<(), Refusal> {
    match action.state {
        ActionState::Pending => {
            write(action, now, actor, ActionState::Failed, told("failed", reason));
            Ok(())
        }
        other => refuse(
            "not-pending",
            format!("action `{}` is {} and cannot fail", action.id, other.as_str()),
            "note what happened with `note`; undo it if it should not hold",
        ),
    }
}

/// Ends an action whose time limit, or whose time for approval, has passed.
pub fn expire(action: &mut Action, now: Timestamp) -> Result<(), Refusal> {
    let (due, reason) = match (action.state, &action.approval) {
        (ActionState::Pending | ActionState::Active, _) => (action.expires, "time-limit"),
        (ActionState::AwaitingApproval, Some(approval)) => (approval.deadline, "approval-lapsed"),
        _ => {
            return refuse(
                "already-final",
                format!("action `{}` is {}", action.id, action.state.as_str()),
                "nothing is to be done",
            );
        }
    };
    if due > now {
        return refuse(
            "not-due",
            format!("action `{}` still has time", action.id),
            "call again after its time limit",
        );
    }
    write(action, now, "system", ActionState::Expired, reason.to_owned());
    Ok(())
}

/// Writes what happened beside the action, such as a connector's result, without changing its state.
pub fn note(action: &mut Action, actor: &str, reason: &str, now: Timestamp) {
    let state = action.state;
    write(action, now, actor, state, cut(reason));
}

fn person(actor: &str) -> Result<(), Refusal> {
    if actor.strip_prefix("user:").is_some_and(|id| !id.is_empty()) {
        Ok(())
    } else {
        refuse(
            "not-a-person",
            format!("`{actor}` is not a person"),
            "policies, connectors and the system cannot decide for a human",
        )
    }
}

fn waiting(action: &Action, now: Timestamp) -> Result<(), Refusal> {
    if action.state != ActionState::AwaitingApproval {
        return refuse(
            "not-awaiting-approval",
            format!("action `{}` is {}", action.id, action.state.as_str()),
            "look at its history with `plura action show`",
        );
    }
    if action.approval.as_ref().is_some_and(|approval| approval.deadline <= now) {
        return refuse(
            "approval-lapsed",
            format!("the time to answer action `{}` has passed", action.id),
            "the next finding proposes it again",
        );
    }
    Ok(())
}

fn told(code: &str, reason: &str) -> String {
    let reason = cut(reason.trim());
    if reason.is_empty() { code.to_owned() } else { format!("{code}: {reason}") }
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
