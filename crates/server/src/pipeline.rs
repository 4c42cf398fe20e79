//! The loop on one page: event → findings → incident → proposals → action → restrictions, and back.
//!
//! [`Engine`] is one tenant's reasoning. It is pure: events and the time go in, values come out, and
//! it remembers nothing that a replay of the same events would not rebuild. The rim that feeds it
//! from the store and carries out what it says is [`worker`]; a scenario feeds it from files.

pub mod inspection;
pub mod leaves;
pub mod outside;
pub mod rules;
pub mod worker;

pub use crate::handle::Act;

use detect::{DetectConfig, Detector, GroupConfig, Grouper};
use respond::{Context, PolicySet, Proposal, Refusal};
use rules::Watch;
use schema::{
    Action, ActionState, BlastRadius, Comment, EntityKind, Event, Finding, Incident,
    IncidentStatus, Restrictions, StepKind, StoryStep, Timestamp,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Actions that ended are remembered this long: above the longest cool-down a policy may name (30 days).
const ENDED_ACTIONS_KEPT_MS: i64 = 31 * 24 * 60 * 60 * 1000;

/// Incidents that a finding may still join or a human may still open are kept in memory this long
/// after their last change; older ones are in the metadata only.
const INCIDENTS_KEPT_MS: i64 = 31 * 24 * 60 * 60 * 1000;

/// One tenant's reasoning, from event to restriction.
pub struct Engine {
    detector: Detector,
    /// Written rules; none until they are [set](Watch::set_rules).
    pub watch: Watch,
    group: GroupConfig,
    grouper: Grouper,
    policies: PolicySet,
    context: Context,
    incidents: BTreeMap<Uuid, Incident>,
    /// The first moment of each incident's evidence: what came before is the past that replay asks about.
    began: BTreeMap<Uuid, Timestamp>,
    actions: BTreeMap<Uuid, Action>,
}

/// What one finding led to.
#[derive(Debug, Default)]
pub struct Considered {
    /// The finding's incident as it now stands, and those it absorbed.
    pub incidents: Vec<Incident>,
    /// Actions that moved to this incident from one it absorbed.
    pub actions: Vec<Action>,
    /// Each is to be [settled](Engine::settle), in order.
    pub proposals: Vec<Proposal>,
}

impl Engine {
    /// `hash_key` keeps those who choose keys (attackers) from choosing where they land in the
    /// detector's tables; one key per tenant, kept, so that a replay gives the same bytes.
    pub fn new(
        detect: DetectConfig,
        group: GroupConfig,
        policies: PolicySet,
        context: Context,
        hash_key: [u8; 16],
    ) -> Self {
        Engine {
            watch: Watch::new(detect.time.refire_secs),
            detector: Detector::with_hash_key(detect, hash_key),
            grouper: Grouper::new(group.clone()),
            group,
            policies,
            context,
            incidents: BTreeMap::new(),
            began: BTreeMap::new(),
            actions: BTreeMap::new(),
        }
    }

    /// Takes up what was known before a restart.
    pub fn restore(&mut self, incidents: Vec<Incident>, actions: Vec<Action>) {
        self.grouper = Grouper::restore(self.group.clone(), incidents.clone());
        for incident in incidents {
            self.began.insert(incident.id, incident.opened);
            self.incidents.insert(incident.id, incident);
        }
        self.actions.extend(actions.into_iter().map(|action| (action.id, action)));
    }

    /// One event, seen once.
    pub fn observe(&mut self, event: &Event) -> Vec<Finding> {
        let mut found = self.detector.observe(event);
        found.extend(self.watch.observe(event));
        found
    }

    /// An event of the past that only baselines are learnt from: too old to bear on written rules.
    pub fn learn(&mut self, event: &Event) -> Vec<Finding> {
        self.detector.observe(event)
    }

    /// Time passes: windows close, also when nothing arrives.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut found = self.detector.advance(now);
        found.extend(self.watch.advance(now));
        found
    }

    /// A finding joins its incident, and the policies say what they want done.
    pub fn consider(&mut self, finding: &Finding, now: Timestamp) -> Considered {
        let Some(folded) = self.grouper.fold(finding) else { return Considered::default() };
        let (incident, absorbed, moved) = self.adopt(folded, finding, now);
        let existing: Vec<Action> = self.actions.values().cloned().collect();
        let proposals =
            respond::propose(&self.policies, &self.context, &incident, finding, &existing, now);
        let mut incidents = absorbed;
        incidents.insert(0, incident);
        Considered { incidents, actions: moved, proposals }
    }

    /// What replay has to count before `proposal` can be settled: `None` when nothing.
    ///
    /// The range is the past of the incident, from the policy's horizon up to the first evidence:
    /// what the attack itself did is not somebody who would have been hit.
    pub fn blast_range(
        &self,
        proposal: &Proposal,
        now: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let until = self.began.get(&proposal.action.incident).copied().unwrap_or(now);
        proposal
            .wants_blast_radius(&self.policies)
            .then(|| (proposal.blast_since(&self.policies, now).min(until), until))
    }

    /// The proposal becomes an action, whatever state the policies and the replay leave it in.
    pub fn settle(
        &mut self,
        proposal: Proposal,
        blast: Option<BlastRadius>,
        now: Timestamp,
    ) -> (Action, Option<Incident>) {
        let action = respond::decide(&self.policies, proposal, blast, now);
        let incident = self.tell(&action, now);
        self.actions.insert(action.id, action.clone());
        (action, incident)
    }

    /// A human decides.
    pub fn act(
        &mut self,
        id: Uuid,
        act: &Act,
        actor: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Action, Option<Incident>), Refusal> {
        let Some(mut action) = self.actions.get(&id).cloned() else {
            return Err(Refusal {
                code: "no-such-action",
                message: format!("action `{id}` is not known, or ended long ago"),
                hint: "list the actions and use an id from there",
            });
        };
        match act {
            Act::Approve | Act::Reapply => {
                let others: Vec<Action> =
                    self.actions.values().filter(|other| other.id != id).cloned().collect();
                let context = self.full_context();
                if *act == Act::Approve {
                    respond::approve(&mut action, &others, &context, actor, reason, now)?;
                } else {
                    action = respond::reapply(
                        &self.policies,
                        &action,
                        &others,
                        &context,
                        actor,
                        reason,
                        now,
                    )?;
                }
            }
            Act::Reject => respond::reject(&mut action, actor, reason, now)?,
            Act::Undo => respond::undo(&mut action, actor, reason, now)?,
            Act::Extend { until } => respond::extend(&mut action, actor, *until, reason, now)?,
        }
        let incident = self.tell(&action, now);
        self.actions.insert(action.id, action.clone());
        Ok((action, incident))
    }

    /// A gateway confirms that everything in force up to now holds, as far as gateways can hold it.
    pub fn confirm_all(&mut self, actor: &str, now: Timestamp) -> Vec<Action> {
        let mut confirmed = Vec::new();
        let pending = |a: &&mut Action| {
            a.state == ActionState::Pending && a.target.kind != EntityKind::Device
        };
        for action in self.actions.values_mut().filter(pending) {
            if respond::confirm(action, actor, now).is_ok() {
                confirmed.push(action.clone());
            }
        }
        confirmed
    }

    /// What an executor other than a gateway says of an action: it holds, or it could not be done.
    ///
    /// What a gateway holds besides stays as it is; then the failure is told in the history only.
    pub fn executed(
        &mut self,
        id: Uuid,
        actor: &str,
        result: Result<&str, &str>,
        now: Timestamp,
    ) -> Option<Action> {
        let action = self.actions.get_mut(&id)?;
        let is_only_outside = action.target.kind == EntityKind::Device;
        match result {
            Ok(told) => {
                if action.state == ActionState::Pending {
                    // Refused only when it is not pending, which was just looked at.
                    let _ = respond::confirm(action, actor, now);
                }
                respond::note(action, actor, told, now);
            }
            Err(why) if is_only_outside && action.state == ActionState::Pending => {
                let _ = respond::fail(action, actor, why, now);
            }
            Err(why) => respond::note(action, actor, why, now),
        }
        Some(action.clone())
    }

    /// Writes what happened beside an action into its history.
    pub fn note(&mut self, id: Uuid, actor: &str, told: &str, now: Timestamp) -> Option<Action> {
        let action = self.actions.get_mut(&id)?;
        respond::note(action, actor, told, now);
        Some(action.clone())
    }

    /// Connectors that the policy of an action wants told.
    pub fn notify(&self, action: &Action) -> Vec<String> {
        self.policies.notify(&action.policy).to_vec()
    }

    /// Ends what has run its time, and forgets what ended long ago.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Action> {
        let mut ended = Vec::new();
        for action in self.actions.values_mut() {
            if respond::expire(action, now).is_ok() {
                ended.push(action.clone());
            }
        }
        self.actions.retain(|_, action| {
            action.state.is_in_force()
                || action.state == ActionState::AwaitingApproval
                || action.history.last().is_none_or(|last| now - last.time < ENDED_ACTIONS_KEPT_MS)
        });
        self.incidents.retain(|_, incident| now - incident.updated < INCIDENTS_KEPT_MS);
        let incidents = &self.incidents;
        self.began.retain(|id, _| incidents.contains_key(id));
        ended
    }

    /// A human worked on an incident: status, assignee, classification, comments.
    pub fn put_incident(&mut self, incident: Incident) {
        self.grouper.update(&incident);
        self.incidents.insert(incident.id, incident);
    }

    pub fn incident(&self, id: Uuid) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }

    pub fn set_policies(&mut self, policies: PolicySet) {
        self.policies = policies;
    }

    /// Mode, and what no automatic step may touch besides what the policies protect themselves.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// The context people's decisions are held to: what the policies protect is protected here too.
    fn full_context(&self) -> Context {
        let mut context = self.context.clone();
        context.protected.join(&self.policies.protected);
        context
    }

    /// What gateways are to enforce now.
    pub fn restrictions(&self, version: u64, now: Timestamp) -> Restrictions {
        let actions: Vec<Action> =
            self.actions.values().filter(|action| action.state.is_in_force()).cloned().collect();
        respond::restrictions(&actions, version, now)
    }

    /// What the grouper folded becomes the incident we hold; those it absorbed are closed and say so.
    fn adopt(
        &mut self,
        mut folded: Incident,
        finding: &Finding,
        now: Timestamp,
    ) -> (Incident, Vec<Incident>, Vec<Action>) {
        let (mut absorbed, mut moved) = (Vec::new(), Vec::new());
        for merge in self.grouper.take_merges() {
            let Some(other) = self.incidents.get_mut(&merge.absorbed) else { continue };
            keep_told(&mut folded, other);
            other.status = IncidentStatus::Closed;
            other.updated = now;
            other.comments.push(Comment {
                time: now,
                author: "system".to_owned(),
                text: format!("merged into {}", merge.into),
            });
            absorbed.push(other.clone());
            if let Some(began) = self.began.get(&merge.absorbed).copied() {
                let into = self.began.entry(merge.into).or_insert(began);
                *into = (*into).min(began);
            }
        }
        if !absorbed.is_empty() {
            // Actions of the absorbed incident are told in, and belong to, the one that goes on.
            let gone: Vec<Uuid> = absorbed.iter().map(|incident| incident.id).collect();
            for action in self.actions.values_mut().filter(|a| gone.contains(&a.incident)) {
                action.incident = folded.id;
                moved.push(action.clone());
            }
            self.grouper.update(&folded);
        }
        let began = self.began.entry(folded.id).or_insert(finding.first_seen);
        *began = (*began).min(finding.first_seen);
        self.incidents.insert(folded.id, folded.clone());
        (folded, absorbed, moved)
    }

    /// An action becomes part of its incident's story.
    fn tell(&mut self, action: &Action, now: Timestamp) -> Option<Incident> {
        let incident = self.incidents.get_mut(&action.incident)?;
        let code = match action.state {
            ActionState::Pending | ActionState::Active => format!("action-{}", action.rung),
            other => format!("action-{}-{}", action.rung, other.as_str()),
        };
        let is_told = incident.story.iter().any(|s| s.subject == action.id && s.code == code);
        if is_told {
            return None;
        }
        incident.story.push(StoryStep {
            time: now,
            kind: StepKind::Action,
            subject: action.id,
            code,
            attack: None,
            entities: vec![action.target.clone()],
        });
        incident.updated = incident.updated.max(now);
        self.grouper.update(incident);
        Some(incident.clone())
    }
}

/// Steps of an absorbed incident that are not findings (actions, notes) go on being told.
fn keep_told(folded: &mut Incident, known: &Incident) {
    for step in known.story.iter().filter(|step| step.kind != StepKind::Finding) {
        if !folded.story.contains(step) {
            folded.story.push(step.clone());
        }
    }
    folded.story.sort_by_key(|step| step.time);
    folded.updated = folded.updated.max(known.updated);
}
