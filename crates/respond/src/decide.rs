use crate::policy::{ApprovalRule, BlastLimits, PolicySet, Step};
use crate::{Hold, Mode, Proposal, ProposalKind};
use schema::{
    Action, ActionChange, ActionState, Approval, BlastRadius, OutcomeResult, Rung, Stage, Timestamp,
};

/// Finding ids an action carries; the incident has them all.
pub const ACTION_FINDINGS_MAX: usize = 64;
/// Lines of history automation may write. A human's undo, and what an executor reports, always fit.
pub const HISTORY_MAX: usize = 256;

/// Turns a proposal into an action: simulated, waiting for a human, or pending.
///
/// Nothing above `limit` becomes pending unless the finding's outcome is known. For a proposal that
/// extends or supports an action, that action is returned as it then stands.
pub fn decide(
    policies: &PolicySet,
    proposal: Proposal,
    blast: Option<BlastRadius>,
    now: Timestamp,
) -> Action {
    let step = proposal.step(policies);
    let blast = blast.or(proposal.action.blast);
    let gate = match step {
        Some(step) => gate(policies, &proposal, step, blast),
        None => Some(Hold::PolicyChanged),
    };
    match proposal.kind {
        ProposalKind::New => create(proposal, step, gate, blast, now),
        ProposalKind::Extend => extend(proposal, step, gate, now),
        ProposalKind::Support => support(proposal, step, gate, blast, now),
    }
}

/// Why a human has to decide, or `None` where automation may.
fn gate(
    policies: &PolicySet,
    proposal: &Proposal,
    step: &Step,
    blast: Option<BlastRadius>,
) -> Option<Hold> {
    if step.rung == Rung::Observe {
        return None;
    }
    if proposal.hold.is_some() {
        return proposal.hold;
    }
    if step.approval == ApprovalRule::Always {
        return Some(Hold::PolicyRequires);
    }
    if step.rung > Rung::Limit {
        if proposal.outcome == OutcomeResult::Unknown {
            return Some(Hold::OutcomeUnknown);
        }
        if proposal.mode == Mode::Canary || proposal.stage < Stage::Enforce {
            return Some(Hold::CanaryMode);
        }
    }
    if step.approval == ApprovalRule::Never {
        return None;
    }
    let limits = policies.policy(&proposal.policy).map(|p| p.blast).unwrap_or_default();
    match blast {
        None => Some(Hold::BlastUnknown),
        Some(blast) => exceeds(&blast, &limits).then_some(Hold::BlastRadius),
    }
}

fn exceeds(blast: &BlastRadius, limits: &BlastLimits) -> bool {
    blast.requests > limits.max_requests
        || blast.accounts > limits.max_accounts
        || blast.sessions > limits.max_sessions
        || blast.addresses > limits.max_addresses
}

fn create(
    proposal: Proposal,
    step: Option<&Step>,
    gate: Option<Hold>,
    blast: Option<BlastRadius>,
    now: Timestamp,
) -> Action {
    let actor = actor(&proposal);
    let mut action = proposal.action;
    action.blast = blast;
    action.approval = gate.map(|hold| Approval {
        code: hold.code().to_owned(),
        deadline: now.saturating_add(
            step.map_or(crate::policy::APPROVAL_DEADLINE_MS, |step| step.approval_deadline_ms),
        ),
        needed: step.map_or(1, |step| step.approvals),
        given: Vec::new(),
    });
    let (state, reason) = match (proposal.mode, gate) {
        (Mode::Observe, None) => (ActionState::Simulated, "dry-run: would be pending".to_owned()),
        (Mode::Observe, Some(hold)) => {
            (ActionState::Simulated, format!("dry-run: would await approval: {}", hold.code()))
        }
        // Watching needs no executor that could confirm it.
        (_, None) if action.rung == Rung::Observe => (ActionState::Active, action.reason.clone()),
        (_, None) => (ActionState::Pending, action.reason.clone()),
        (_, Some(hold)) => (ActionState::AwaitingApproval, hold.code().to_owned()),
    };
    write(&mut action, now, &actor, state, reason);
    action
}

/// A restriction that is seen to be needed again runs longer, if it could be set anew.
fn extend(proposal: Proposal, step: Option<&Step>, gate: Option<Hold>, now: Timestamp) -> Action {
    let actor = actor(&proposal);
    let mut action = proposal.action;
    cite(&mut action, proposal.finding);
    // A dry run changes nothing that is in force.
    let may = gate.is_none()
        && (proposal.mode != Mode::Observe || action.state == ActionState::Simulated)
        && action.history.len() < HISTORY_MAX;
    if let (true, Some(step)) = (may, step) {
        let until = now.saturating_add(step.ttl_ms);
        // A tenth of its time: an attack of a thousand findings must not write a thousand lines.
        if until.saturating_sub(action.expires) >= step.ttl_ms / 10 {
            action.expires = until;
            let (state, reason) = (action.state, format!("extended: {}", proposal.rule));
            write(&mut action, now, &actor, state, reason);
        }
    }
    action
}

/// A proposal that waits gets one more reason, which may settle what it waited for.
fn support(
    proposal: Proposal,
    step: Option<&Step>,
    gate: Option<Hold>,
    blast: Option<BlastRadius>,
    now: Timestamp,
) -> Action {
    let actor = actor(&proposal);
    let mut action = proposal.action;
    cite(&mut action, proposal.finding);
    action.blast = blast;
    if let (None, Some(step), true) = (gate, step, proposal.mode != Mode::Observe) {
        let waited_for = action.approval.take().map(|approval| approval.code).unwrap_or_default();
        action.policy_version = proposal.policy_version;
        action.expires = now.saturating_add(step.ttl_ms);
        write(
            &mut action,
            now,
            &actor,
            ActionState::Pending,
            format!("settled: {waited_for}, by {}", proposal.rule),
        );
    }
    action
}

fn actor(proposal: &Proposal) -> String {
    format!("policy:{}@{}", proposal.policy, proposal.policy_version)
}

fn cite(action: &mut Action, finding: uuid::Uuid) {
    if !action.findings.contains(&finding) && action.findings.len() < ACTION_FINDINGS_MAX {
        action.findings.push(finding);
    }
}

/// Adds a line of history and takes its state. Times never run backwards within one history.
pub(crate) fn write(
    action: &mut Action,
    now: Timestamp,
    actor: &str,
    state: ActionState,
    reason: String,
) {
    let time = action.history.last().map_or(now, |last| now.max(last.time));
    action.state = state;
    action.history.push(ActionChange { time, actor: actor.to_owned(), state, reason });
}
