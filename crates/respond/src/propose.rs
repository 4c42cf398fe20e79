use crate::policy::{ApprovalRule, Policy, PolicySet, Scope, Step, TARGETS_MAX, Which};
use crate::{Hold, Protected, hold};
use schema::{
    Action, ActionState, Entity, EntityKind, Finding, Incident, OutcomeResult, Rung, Stage,
    Timestamp, id_from_seed,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far a tenant lets automation go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Dry run, the default of a new tenant: every action is only told of.
    #[default]
    Observe,
    /// `limit` is executed; whatever is above waits for a human.
    Canary,
    Enforce,
}

/// What the tenant says beside its policies.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    pub mode: Mode,
    pub protected: Protected,
}

/// What a proposal does to the actions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalKind {
    New,
    /// The same restriction is in force: it runs longer.
    Extend,
    /// The same proposal waits for a human: one more reason for it.
    Support,
}

/// What a policy wants done, before anybody decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    pub kind: ProposalKind,
    /// The action as it would be, or, unless new, as it stands.
    pub action: Action,
    /// The policy that speaks, which may be another than that of the action it extends.
    pub policy: String,
    pub policy_version: u32,
    /// Its step, counted from 0.
    pub step: usize,
    pub finding: Uuid,
    /// The rule of that finding.
    pub rule: String,
    pub outcome: OutcomeResult,
    pub mode: Mode,
    /// Of that finding: in canary it is held as in a tenant that is.
    pub stage: Stage,
    /// Why a human has to decide, whatever the blast radius.
    pub hold: Option<Hold>,
}

impl Proposal {
    /// Whether [`crate::decide`] wants to know whom this would have hit.
    pub fn wants_blast_radius(&self, policies: &PolicySet) -> bool {
        self.action.blast.is_none()
            && self.kind != ProposalKind::Extend
            && (self.action.rung > Rung::Limit
                || self.step(policies).is_some_and(|s| s.approval == ApprovalRule::AboveBlast))
    }

    /// The first moment of the past to replay for it.
    pub fn blast_since(&self, policies: &PolicySet, now: Timestamp) -> Timestamp {
        let days =
            policies.policy(&self.policy).map_or(crate::policy::BLAST_DAYS, |p| p.blast.days);
        now.saturating_sub(i64::from(days) * crate::duration::DAY_MS)
    }

    /// The step that speaks, if the policy is still the one that proposed it.
    pub(crate) fn step<'a>(&self, policies: &'a PolicySet) -> Option<&'a Step> {
        policies
            .policy(&self.policy)
            .filter(|policy| policy.version == self.policy_version)?
            .then
            .get(self.step)
    }
}

/// What the policies want done about one finding of an incident, given the actions there are.
///
/// Same inputs, same proposals with the same ids. A finding already answered proposes nothing, nor does
/// one in shadow; a restriction in force is extended, never doubled; no lower rung is added while a higher
/// one holds the target. `existing` are the tenant's actions on the finding's entities, those that ended
/// within the cool-down included.
pub fn propose(
    policies: &PolicySet,
    context: &Context,
    incident: &Incident,
    finding: &Finding,
    existing: &[Action],
    now: Timestamp,
) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = Vec::new();
    if finding.is_shadow() {
        return proposals;
    }
    for policy in policies.policies.iter().filter(|policy| policy.when.accepts(finding)) {
        for (index, step) in policy.then.iter().enumerate() {
            let targets = targets(step, finding);
            let too_many = targets.len() > TARGETS_MAX && step.rung > Rung::Limit;
            for target in targets {
                let wanted = Wanted { policy, index, step, target, sites: sites(step, finding) };
                // The first policy that asks for a rung on a target is the one that gets it.
                let asked = proposals.iter().any(|other| {
                    other.action.rung == step.rung
                        && other.action.target == *target
                        && covers(&other.action.sites, &wanted.sites)
                });
                if asked || !wanted.is_due(existing, finding, now) {
                    continue;
                }
                let hold =
                    hold::standing(policies, context, incident, &wanted, too_many, existing, now);
                proposals.extend(wanted.against(
                    existing,
                    incident,
                    finding,
                    context.mode,
                    hold,
                    now,
                ));
            }
        }
    }
    proposals
}

/// A step of a policy aimed at one entity.
pub(crate) struct Wanted<'a> {
    policy: &'a Policy,
    index: usize,
    pub(crate) step: &'a Step,
    pub(crate) target: &'a Entity,
    pub(crate) sites: Vec<String>,
}

impl Wanted<'_> {
    pub(crate) fn cooldown_ms(&self) -> i64 {
        self.policy.cooldown_ms
    }

    /// A finding speaks of now, escalation goes upward only, and where the step says so only after a lower rung had its time.
    fn is_due(&self, existing: &[Action], finding: &Finding, now: Timestamp) -> bool {
        // Taken in its time it would be over by now: yesterday's log, imported today, blocks nobody.
        if seen(finding).saturating_add(self.step.ttl_ms) <= now {
            return false;
        }
        let mut on_target = existing.iter().filter(|action| {
            action.target == *self.target && action.state.is_in_force() && action.expires > now
        });
        if on_target.clone().any(|a| a.rung > self.step.rung && covers(&a.sites, &self.sites)) {
            return false;
        }
        match self.step.escalate_after_ms {
            None => true,
            Some(after_ms) => on_target.any(|action| {
                action.policy == self.policy.id
                    // Once escalated, the step itself stays due so that it can be extended.
                    && (action.rung == self.step.rung
                        || (action.rung < self.step.rung
                            // The attack itself went on that long: an old finding told late does not escalate.
                            && in_force_since(action)
                                .is_some_and(|since| seen(finding).saturating_sub(since) >= after_ms)))
            }),
        }
    }

    fn against(
        &self,
        existing: &[Action],
        incident: &Incident,
        finding: &Finding,
        mode: Mode,
        hold: Option<Hold>,
        now: Timestamp,
    ) -> Option<Proposal> {
        let same =
            |action: &&Action| action.rung == self.step.rung && action.target == *self.target;
        let ours = |action: &&Action| same(action) && action.policy == self.policy.id;
        let seen = seen(finding);
        let answered_until = |action: &Action, until: Option<Timestamp>| {
            action.findings.contains(&finding.id) && until.is_some_and(|until| seen <= until)
        };
        let last_change = |action: &Action| action.history.last().map(|change| change.time);
        let answered = |action: &Action| answered_until(action, last_change(action));
        let proposal = |kind, action: Action| Proposal {
            kind,
            action,
            policy: self.policy.id.clone(),
            policy_version: self.policy.version,
            step: self.index,
            finding: finding.id,
            rule: finding.rule.clone(),
            outcome: finding.outcome,
            mode,
            stage: finding.stage(),
            hold,
        };

        let in_force = existing.iter().filter(same).find(|action| {
            action.state.is_in_force() && action.expires > now && covers(&action.sites, &self.sites)
        });
        if let Some(action) = in_force {
            return (!answered(action)).then(|| proposal(ProposalKind::Extend, action.clone()));
        }
        let waiting = existing.iter().filter(ours).find(|action| {
            action.state == ActionState::AwaitingApproval
                && action.approval.as_ref().is_some_and(|a| a.deadline > now)
                && covers(&action.sites, &self.sites)
        });
        if let Some(action) = waiting {
            return Some(proposal(ProposalKind::Support, action.clone()));
        }
        let simulated = existing.iter().filter(ours).find(|action| {
            mode == Mode::Observe
                && action.state == ActionState::Simulated
                && action.expires > now
                && covers(&action.sites, &self.sites)
        });
        if let Some(action) = simulated {
            return (!answered(action)).then(|| proposal(ProposalKind::Extend, action.clone()));
        }
        // What ended has answered what was seen until then; a dry run ends with its time.
        let ended = |action: &Action| match action.state {
            ActionState::Simulated => answered_until(action, Some(action.expires)),
            _ => answered(action),
        };
        if existing.iter().filter(same).any(ended) {
            return None;
        }
        let before =
            existing.iter().filter(ours).filter(|a| a.findings.contains(&finding.id)).count();
        Some(proposal(ProposalKind::New, self.draft(incident, finding, before, now)))
    }

    /// The action before it is decided; [`crate::decide`] sets its state and first history line.
    fn draft(
        &self,
        incident: &Incident,
        finding: &Finding,
        before: usize,
        now: Timestamp,
    ) -> Action {
        let seed = format!(
            "action\0{}\0{}\0{}\0{}\0{}\0{}\0{}\0{before}",
            self.policy.id,
            self.policy.version,
            self.step.rung,
            self.target,
            self.sites.join(","),
            incident.id,
            finding.id,
        );
        Action {
            id: id_from_seed(finding.time, seed.as_bytes()),
            incident: incident.id,
            findings: vec![finding.id],
            reason: finding.rule.clone(),
            policy: self.policy.id.clone(),
            policy_version: self.policy.version,
            rung: self.step.rung,
            target: self.target.clone(),
            sites: self.sites.clone(),
            rate_per_minute: self.step.rate_per_minute,
            state: ActionState::AwaitingApproval,
            created: now,
            expires: now.saturating_add(self.step.ttl_ms),
            approval: None,
            blast: None,
            history: Vec::new(),
        }
    }
}

/// Whether a restriction on `outer` holds everywhere one on `inner` would; empty means every site.
pub(crate) fn covers(outer: &[String], inner: &[String]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|site| outer.contains(site)))
}

/// Whether two restrictions hold on some common site.
pub(crate) fn overlap(one: &[String], other: &[String]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|site| other.contains(site))
}

/// When the action came into force, if it ever did.
pub(crate) fn in_force_since(action: &Action) -> Option<Timestamp> {
    action.history.iter().find(|change| change.state.is_in_force()).map(|change| change.time)
}

/// The last moment a finding speaks of.
fn seen(finding: &Finding) -> Timestamp {
    finding.time.max(finding.last_seen)
}

fn targets<'a>(step: &Step, finding: &'a Finding) -> Vec<&'a Entity> {
    let mut targets: Vec<&Entity> = Vec::new();
    for entity in finding.entities.iter().filter(|entity| entity.kind == step.target) {
        if !targets.contains(&entity) {
            targets.push(entity);
        }
    }
    if step.which == Which::First {
        targets.truncate(1);
    }
    targets
}

fn sites(step: &Step, finding: &Finding) -> Vec<String> {
    match step.scope {
        // A host is a host, whichever of its sites the finding came from.
        _ if step.target == EntityKind::Device => Vec::new(),
        Scope::Site => finding.site.iter().cloned().collect(),
        Scope::Tenant => Vec::new(),
    }
}
