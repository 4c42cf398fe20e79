//! The rim of the loop: feeds each tenant's [`Engine`] from the store, writes down what it says with
//! its ledger leaf in one commit, and tells the gateways.
//!
//! One task per tenant owns that tenant's engine, so the order of events is the order of intake and
//! nothing needs a lock. A batch is durable before the task sees it; what it had not judged when the
//! process was killed is judged at the next start, because the engine is rebuilt from the store.

pub mod rules;

use super::inspection::Inspection;
use super::outside::{Delivered, Outside};
use super::rules::packs::Packs;
use super::{Engine, leaves};
use crate::app::Blocking;
use crate::deeds;
use crate::handle::{
    ActionCommand, Amendment, Answer, IngestAnswer, Pipeline, PolicyChange, now, parse_policy,
    respond_mode,
};
use crate::identity::secrets::random;
use crate::ledgers::Ledgers;
use crate::problem::Problem;
use crate::trust::void::Voids;
use crate::trust::{Cause, Changed, Desk, Desks};
use detect::{DetectConfig, GroupConfig};
use respond::connectors::{Connectors, Operation};
use respond::{BlastCounter, Context, PolicySet, Proposal, Protected};
use schema::{
    Action, ActionState, Actor, BlastRadius, Entity, EntityKind, Event, Finding, Incident,
    Restrictions, Rung, TenantId, Timestamp,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::meta::{ActionFilter, Change, IncidentFilter, Meta, Policy, SigmaException, Tenant};
use store::{EventFilter, Order, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};
use uuid::Uuid;

/// Batches that may wait for one tenant's engine; then intake waits too, and senders hold back.
const BATCHES_WAITING_MAX: usize = 64;

/// Stored past that rebuilds the baselines at start: a week and a day, so that every time of week was seen.
const LEARN_MS: i64 = 8 * 24 * 60 * 60 * 1000;

/// How often time is told to an engine when nothing arrives: well below the second in which a time
/// limit should end.
const TICK: Duration = Duration::from_millis(250);

/// How far behind the mark of judged events may be on disk; that much is judged again after a kill.
const MARK_EVERY_MS: i64 = 2_000;

/// Events read to count a blast radius: as many as the store gives at once. Beyond it the count is a
/// lower bound, far above any limit a policy sets.
const BLAST_EVENTS_MAX: usize = 10_000;

/// Open incidents and actions taken up at a start.
const RESTORED_MAX: usize = 10_000;

const MARK: &str = "pipeline.judged";
const HASH_KEY: &str = "pipeline.hash-key";

/// How the engines of all tenants judge.
#[derive(Clone, Default)]
pub struct Tuning {
    pub detect: DetectConfig,
    pub group: GroupConfig,
    pub protected: Protected,
    pub outside: Outside,
    /// Rules over records that no gateway inspected.
    pub waf: Option<Arc<Inspection>>,
    /// Rule folders all tenants share.
    pub packs: Option<Arc<Packs>>,
}

/// The real pipeline: store, engines, metadata, ledger.
pub struct Judged {
    shared: Arc<Shared>,
    tenants: Mutex<HashMap<TenantId, TenantHandle>>,
}

struct Shared {
    store: Store,
    meta: Meta,
    ledgers: Ledgers,
    desks: Desks,
    tuning: Tuning,
}

#[derive(Clone)]
struct TenantHandle {
    commands: mpsc::Sender<Command>,
    restrictions: watch::Receiver<Arc<Restrictions>>,
}

enum Command {
    Events(Vec<Event>),
    Act(ActionCommand, oneshot::Sender<Result<Action, Problem>>),
    Amend {
        id: Uuid,
        actor: Actor,
        amendment: Amendment,
        answer: oneshot::Sender<Result<Incident, Problem>>,
    },
    Policy(Box<PolicySet>),
    Tenant(Box<Tenant>),
    Rules(oneshot::Sender<Result<(), Problem>>),
    Applied {
        gateway: String,
        version: u64,
        answer: oneshot::Sender<Result<(), Problem>>,
    },
    Delivered(Delivered),
    /// Decisions of the trust engine are void.
    Reconsider(Option<Vec<Entity>>, oneshot::Sender<Result<(), Problem>>),
}

impl Judged {
    /// Starts the engines of all tenants there are; new ones start with their first batch.
    pub fn start(
        store: Store,
        meta: Meta,
        ledgers: Ledgers,
        desks: Desks,
        tuning: Tuning,
    ) -> Result<Judged, Problem> {
        let tenants = meta.read(|read| read.tenants())?;
        let judged = Judged {
            shared: Arc::new(Shared { store, meta, ledgers, desks, tuning }),
            tenants: Mutex::default(),
        };
        for tenant in tenants {
            judged.handle(&tenant.id);
        }
        Ok(judged)
    }

    fn handle(&self, tenant: &TenantId) -> TenantHandle {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants
            .entry(tenant.clone())
            .or_insert_with(|| {
                let (commands, inbox) = mpsc::channel(BATCHES_WAITING_MAX);
                let (published, restrictions) = watch::channel(Arc::default());
                let worker = Worker {
                    shared: Arc::clone(&self.shared),
                    tenant: tenant.clone(),
                    // Weak, so that the worker ends when nobody else can command it any more.
                    commands: commands.downgrade(),
                    engine: Engine::new(
                        self.shared.tuning.detect.clone(),
                        self.shared.tuning.group.clone(),
                        PolicySet::default(),
                        Context::default(),
                        [0; 16],
                    ),
                    published,
                    desk: None,
                    voids: Voids::default(),
                    judged_until: 0,
                    has_failed: false,
                    marked_until: 0,
                    exceptions: Vec::new(),
                    counted: 0,
                };
                tokio::spawn(worker.run(inbox, now()));
                TenantHandle { commands, restrictions }
            })
            .clone()
    }

    async fn send(&self, tenant: &TenantId, command: Command) -> Result<(), Problem> {
        let sent = self.handle(tenant).commands.send(command).await;
        sent.map_err(|_| {
            Problem::unavailable("pipeline-ended", "the pipeline has ended".to_owned())
        })
    }

    async fn ask<T>(
        &self,
        tenant: &TenantId,
        command: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Command,
    ) -> Result<T, Problem> {
        let (sender, answer) = oneshot::channel();
        self.send(tenant, command(sender)).await?;
        answer.await.map_err(|_| {
            Problem::unavailable("pipeline-ended", "the pipeline has ended".to_owned())
        })?
    }
}

impl Pipeline for Judged {
    fn ingest(&self, tenant: TenantId, mut events: Vec<Event>) -> Answer<'_, IngestAnswer> {
        Box::pin(async move {
            let total = events.len() as u64;
            // The engine must exist before the batch is stamped: it learns from what came before it did.
            let handle = self.handle(&tenant);
            let received = now();
            for event in &mut events {
                event.received = received;
            }
            if let Some(waf) = &self.shared.tuning.waf {
                events = waf.over(events).await;
            }
            let appended = self.shared.store.append(&tenant, events.clone()).await?;
            let mut accepted = appended.accepted.iter();
            events.retain(|_| accepted.next().copied().unwrap_or(false));
            let count = events.len() as u64;
            if !events.is_empty() {
                // A closed channel means shutdown: the batch is durable and judged at the next start.
                let _ = handle.commands.send(Command::Events(events)).await;
            }
            Ok(IngestAnswer { accepted: count, duplicates: total - count })
        })
    }

    fn waf(&self) -> Option<&Inspection> {
        self.shared.tuning.waf.as_deref()
    }

    fn act(&self, tenant: TenantId, command: ActionCommand) -> Answer<'_, Action> {
        Box::pin(async move { self.ask(&tenant, |answer| Command::Act(command, answer)).await })
    }

    fn amend(
        &self,
        tenant: TenantId,
        id: Uuid,
        actor: Actor,
        amendment: Amendment,
    ) -> Answer<'_, Incident> {
        Box::pin(async move {
            self.ask(&tenant, |answer| Command::Amend { id, actor, amendment, answer }).await
        })
    }

    fn put_policy(&self, tenant: TenantId, change: PolicyChange) -> Answer<'_, Policy> {
        Box::pin(async move {
            let parsed = parse_policy(&change.text)?;
            let of = tenant.clone();
            let policy = self
                .shared
                .meta
                .blocking(move |meta| {
                    meta.write(|tx| {
                        let PolicyChange { text, actor, reason } = &change;
                        let (policy, is_new) = tx.put_policy(&of, text, actor, reason, now())?;
                        if is_new {
                            tx.attest(&[deeds::of_policy(&of, &policy)])?;
                        }
                        Ok(policy)
                    })
                })
                .await?;
            self.shared.ledgers.wake();
            self.send(&tenant, Command::Policy(Box::new(parsed))).await?;
            Ok(policy)
        })
    }

    fn connectors(&self, tenant: &TenantId) -> Option<Arc<Connectors>> {
        self.shared.tuning.outside.of(tenant)
    }

    fn packs(&self) -> Option<&Arc<Packs>> {
        self.shared.tuning.packs.as_ref()
    }

    fn rules_changed(&self, tenant: TenantId) -> Answer<'_, ()> {
        Box::pin(async move { self.ask(&tenant, Command::Rules).await })
    }

    fn tenant_changed(&self, tenant: Tenant) -> Answer<'_, ()> {
        Box::pin(async move {
            let id = tenant.id.clone();
            self.send(&id, Command::Tenant(Box::new(tenant))).await
        })
    }

    fn restrictions(&self, tenant: TenantId) -> Answer<'_, watch::Receiver<Arc<Restrictions>>> {
        Box::pin(async move { Ok(self.handle(&tenant).restrictions) })
    }

    fn reconsider(&self, tenant: TenantId, entities: Option<Vec<Entity>>) -> Answer<'_, ()> {
        Box::pin(
            async move { self.ask(&tenant, |answer| Command::Reconsider(entities, answer)).await },
        )
    }

    fn applied(&self, tenant: TenantId, gateway: String, version: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.ask(&tenant, |answer| Command::Applied { gateway, version, answer }).await
        })
    }
}

/// One tenant's engine and its surroundings.
struct Worker {
    shared: Arc<Shared>,
    tenant: TenantId,
    commands: mpsc::WeakSender<Command>,
    engine: Engine,
    published: watch::Sender<Arc<Restrictions>>,
    /// Where the tenant's accesses are judged; none while what it judges by cannot be used.
    desk: Option<Arc<Desk>>,
    voids: Voids,
    /// Everything received up to here has been judged and written down.
    judged_until: Timestamp,
    /// Something was judged and could not be written down: the mark stays before it.
    has_failed: bool,
    /// The same, as the metadata knows it.
    marked_until: Timestamp,
    /// Exceptions from rules whose end has not been written down.
    exceptions: Vec<SigmaException>,
    /// When hits of rules were last written down.
    counted: Timestamp,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, started: Timestamp) {
        if let Err(problem) = self.restore(started).await {
            self.has_failed = true;
            warn!(tenant = %self.tenant, %problem, "the past could not be read in full; baselines learn anew");
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let done = tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                _ = tick.tick() => self.tick().await,
            };
            if let Err(problem) = done {
                // Nothing is lost: the events are durable, and what was not written down is judged
                // again at the next start. But somebody has to know.
                self.has_failed = true;
                warn!(tenant = %self.tenant, %problem, "judging failed");
            }
        }
        let _ = self.keep_rules(now()).await;
        let _ = self.mark(Timestamp::MAX).await;
    }

    /// Policies, open incidents and live actions from the metadata; baselines from the stored past.
    async fn restore(&mut self, started: Timestamp) -> Result<(), Problem> {
        let tenant = self.tenant.clone();
        let hash_key = self.hash_key().await?;
        self.engine = Engine::new(
            self.shared.tuning.detect.clone(),
            self.shared.tuning.group.clone(),
            shipped()?,
            Context::default(),
            hash_key,
        );
        let (policy, mode, incidents, actions, version, mark) = self
            .shared
            .meta
            .blocking(move |meta| {
                meta.read(|read| {
                    let incidents = read.incidents(
                        &tenant,
                        &IncidentFilter { limit: RESTORED_MAX, ..IncidentFilter::default() },
                    )?;
                    let open: Vec<Incident> =
                        incidents.into_iter().filter(|i| i.status.is_open()).collect();
                    Ok((
                        read.policy(&tenant)?,
                        read.tenant(&tenant)?.map(|t| t.mode).unwrap_or_default(),
                        open,
                        read.actions(
                            &tenant,
                            &ActionFilter { limit: RESTORED_MAX, ..ActionFilter::default() },
                        )?,
                        read.restriction_version(&tenant)?,
                        read.setting(&tenant, MARK)?
                            .and_then(|text| text.parse::<Timestamp>().ok()),
                    ))
                })
            })
            .await?;
        if let Some(policy) = policy {
            match parse_policy(&policy.text) {
                Ok(set) => self.engine.set_policies(set),
                Err(problem) => {
                    warn!(tenant = %self.tenant, %problem, "stored policy unusable; the shipped ones hold")
                }
            }
        }
        let protected = self.shared.tuning.protected.clone();
        self.engine.set_context(Context { mode: respond_mode(mode), protected });
        self.engine.restore(incidents, actions);
        match self.shared.desks.desk(&self.tenant).await {
            Ok(desk) => self.desk = Some(desk),
            Err(problem) => warn!(tenant = %self.tenant, %problem, "no access can be judged"),
        }
        if let Err(problem) = self.load_rules().await {
            warn!(tenant = %self.tenant, %problem, "written rules are not at work");
        }
        self.voids = Voids::since_start(started);
        // Restrictions hold again before anything is learnt.
        self.publish(version);
        self.learn(started, mark.unwrap_or(started)).await
    }

    /// The tenant's key for the detector's tables, drawn once.
    async fn hash_key(&self) -> Result<[u8; 16], Problem> {
        let fresh: [u8; 16] = random()?;
        let tenant = self.tenant.clone();
        self.shared
            .meta
            .blocking(move |meta| {
                meta.write(|tx| {
                    let known =
                        tx.setting(&tenant, HASH_KEY)?.and_then(|text| text.parse::<u128>().ok());
                    if let Some(known) = known {
                        return Ok(known.to_be_bytes());
                    }
                    tx.set_setting(&tenant, HASH_KEY, &u128::from_be_bytes(fresh).to_string())?;
                    Ok(fresh)
                })
            })
            .await
    }

    /// The stored past passes through the detector; what was not judged before a kill is judged now.
    async fn learn(&mut self, started: Timestamp, mark: Timestamp) -> Result<(), Problem> {
        self.judged_until = mark;
        self.marked_until = mark;
        let (engine, desk, mut unjudged) = (&mut self.engine, &self.desk, Vec::new());
        let rules_from = mark.saturating_sub(engine.watch.memory_ms());
        let learnt = self
            .shared
            .store
            .replay(&self.tenant, started - LEARN_MS, started, |event| {
                let findings = match event.received >= rules_from {
                    true => engine.observe(&event),
                    false => engine.learn(&event),
                };
                if let Some(desk) = desk {
                    desk.learn(&event, &findings);
                }
                if event.received > mark {
                    unjudged.extend(findings);
                } else {
                    // Counted before the restart.
                    engine.watch.take_counts();
                }
            })
            .await?;
        self.judge_all(unjudged).await?;
        self.judged_until = self.judged_until.max(started.saturating_sub(1));
        if learnt > 0 {
            info!(tenant = %self.tenant, events = learnt, "baselines rebuilt from the stored past");
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), Problem> {
        match command {
            Command::Events(events) => self.judge_events(events).await,
            Command::Act(command, answer) => {
                let _ = answer.send(self.act(command).await);
                Ok(())
            }
            Command::Amend { id, actor, amendment, answer } => {
                let _ = answer.send(self.amend(id, &actor, &amendment).await);
                Ok(())
            }
            Command::Policy(policies) => {
                self.engine.set_policies(*policies);
                Ok(())
            }
            Command::Tenant(tenant) => {
                let protected = self.shared.tuning.protected.clone();
                self.engine.set_context(Context { mode: respond_mode(tenant.mode), protected });
                Ok(())
            }
            Command::Rules(answer) => {
                let _ = answer.send(self.load_rules().await);
                Ok(())
            }
            Command::Applied { gateway, version, answer } => {
                let _ = answer.send(self.applied(&gateway, version).await);
                Ok(())
            }
            Command::Delivered(delivered) => self.delivered(delivered).await,
            Command::Reconsider(entities, answer) => {
                self.voids.add(entities.as_deref(), now());
                let change = Change { restrictions_changed: true, ..Change::default() };
                let _ = answer.send(self.record(change).await);
                Ok(())
            }
        }
    }

    async fn judge_events(&mut self, events: Vec<Event>) -> Result<(), Problem> {
        let mut last = self.judged_until;
        let mut turned = Vec::new();
        for event in &events {
            last = last.max(event.received);
            if let Some(desk) = &self.desk {
                let causes = [event.id];
                let changed = desk.change(Cause::Signal, &causes, now(), |evidence| {
                    Some(evidence.observe(event))
                })?;
                turned.extend(changed.turned);
            }
            let findings = self.engine.observe(event);
            self.judge_all(findings).await?;
        }
        if !turned.is_empty() {
            // What an event changes for a session shows in its latest decision; who only stands as
            // before is asked about again when the decision has run its time.
            let sessions: Vec<Entity> =
                turned.iter().filter_map(|turned| turned.entities.first().cloned()).collect();
            self.voids.add(Some(&sessions), now());
            self.shared.desks.keep(&self.tenant, turned).await?;
            let change = Change { restrictions_changed: true, ..Change::default() };
            self.record(change).await?;
        }
        self.judged_until = last;
        Ok(())
    }

    async fn judge_all(&mut self, findings: Vec<Finding>) -> Result<(), Problem> {
        for finding in findings {
            self.judge(finding).await?;
        }
        Ok(())
    }

    /// Finding → incident → proposals → actions, written down together.
    async fn judge(&mut self, finding: Finding) -> Result<(), Problem> {
        let time = now();
        let is_void = self.distrust(&finding, time).await?;
        let considered = self.engine.consider(&finding, time);
        let mut change = Change {
            leaves: vec![leaves::of_finding(&self.tenant, &finding)],
            restrictions_changed: is_void,
            ..Change::default()
        };
        for incident in considered.incidents {
            put(&mut change.incidents, incident);
        }
        for action in considered.actions {
            change.leaves.push(leaves::of_action(&self.tenant, &action));
            change.actions.push(action);
        }
        for proposal in considered.proposals {
            let blast = self.blast(&proposal, time).await?;
            let (mut action, incident) = self.engine.settle(proposal, blast, now());
            self.fail_without_executor(&mut action);
            change.leaves.push(leaves::of_action(&self.tenant, &action));
            change.restrictions_changed |=
                action.state.is_in_force() && action.rung > Rung::Observe;
            change.actions.push(action);
            if let Some(incident) = incident {
                put(&mut change.incidents, incident);
            }
        }
        for incident in &change.incidents {
            change.leaves.push(leaves::of_incident(
                &self.tenant,
                incident,
                "system",
                "folded",
                time,
            ));
        }
        change.findings.push(finding);
        self.record(change).await
    }

    /// A finding lowers the trust of its entities at once; whether decisions about them are void by it.
    async fn distrust(&mut self, finding: &Finding, time: Timestamp) -> Result<bool, Problem> {
        let Some(desk) = &self.desk else { return Ok(false) };
        let Changed { concerned, turned } =
            desk.change(Cause::Finding, &[finding.id], time, |evidence| {
                Some(evidence.find(finding))
            })?;
        let is_void = desk.is_used(time) && concerned.as_ref().is_none_or(|all| !all.is_empty());
        if is_void {
            self.voids.add(concerned.as_deref(), time);
        }
        self.shared.desks.keep(&self.tenant, turned).await?;
        Ok(is_void)
    }

    /// The findings of an incident that is over no longer speak against anybody.
    async fn absolve(&mut self, incident: &Incident, time: Timestamp) -> Result<bool, Problem> {
        let Some(desk) = self.desk.as_ref().filter(|_| !incident.status.is_open()) else {
            return Ok(false);
        };
        let Changed { concerned, turned } =
            desk.change(Cause::Finding, &[incident.id], time, |evidence| {
                let findings = incident.findings.iter();
                Some(findings.flat_map(|id| evidence.book.finding_closed(*id)).collect())
            })?;
        let is_void = desk.is_used(time) && concerned.as_ref().is_some_and(|all| !all.is_empty());
        if is_void {
            self.voids.add(concerned.as_deref(), time);
        }
        self.shared.desks.keep(&self.tenant, turned).await?;
        Ok(is_void)
    }

    /// Tells the gateways what holds now.
    fn publish(&mut self, version: u64) {
        let time = now();
        let mut restrictions = self.engine.restrictions(version, time);
        restrictions.reconsider = self.voids.current(time);
        self.published.send_replace(Arc::new(restrictions));
    }

    /// Counts by replay whom a step would have hit in the days before the incident.
    async fn blast(
        &self,
        proposal: &Proposal,
        now: Timestamp,
    ) -> Result<Option<BlastRadius>, Problem> {
        let Some((since, until)) = self.engine.blast_range(proposal, now) else { return Ok(None) };
        let target = proposal.action.target.clone();
        let filter = EventFilter {
            entities: vec![target.clone()],
            from: Some(since),
            until: Some(until),
            order: Order::NewestFirst,
            limit: BLAST_EVENTS_MAX,
            ..EventFilter::default()
        };
        let past = self.shared.store.events(&self.tenant, &filter).await?;
        let mut counter = BlastCounter::new(target, proposal.action.sites.clone(), since);
        for event in &past {
            counter.count(event);
        }
        Ok(Some(counter.radius()))
    }

    /// Said at once rather than left pending for ever: no gateway reaches into a host.
    fn fail_without_executor(&mut self, action: &mut Action) {
        let nobody_acts = action.target.kind == EntityKind::Device
            && action.state == ActionState::Pending
            && !self.shared.tuning.outside.executes(&self.tenant, action);
        if nobody_acts
            && let Some(failed) =
                self.engine.executed(action.id, "system", Err("no-executor"), now())
        {
            *action = failed;
        }
    }

    async fn act(&mut self, command: ActionCommand) -> Result<Action, Problem> {
        let ActionCommand { id, act, actor, reason } = command;
        let time = now();
        let had_failed =
            self.engine.actions().any(|one| one.id == id && one.state == ActionState::Failed);
        let (mut action, incident) = self.engine.act(id, &act, &actor, &reason, time)?;
        if had_failed {
            self.fail_without_executor(&mut action);
        }
        let mut change = Change {
            leaves: vec![leaves::of_action(&self.tenant, &action)],
            actions: vec![action.clone()],
            restrictions_changed: true,
            ..Change::default()
        };
        if let Some(incident) = incident {
            change.leaves.push(leaves::of_incident(
                &self.tenant,
                &incident,
                &actor,
                "action-told",
                time,
            ));
            change.incidents.push(incident);
        }
        self.record(change).await?;
        Ok(action)
    }

    async fn amend(
        &mut self,
        id: Uuid,
        actor: &str,
        amendment: &Amendment,
    ) -> Result<Incident, Problem> {
        let time = now();
        let known = match self.engine.incident(id) {
            Some(incident) => Some(incident.clone()),
            None => {
                let tenant = self.tenant.clone();
                self.shared
                    .meta
                    .blocking(move |meta| meta.read(|read| read.incident(&tenant, id)))
                    .await?
            }
        };
        let mut incident = known.ok_or_else(|| Problem::not_found("incident", id))?;
        if amendment.apply(&mut incident, actor, time) {
            let change = Change {
                leaves: vec![leaves::of_incident(
                    &self.tenant,
                    &incident,
                    actor,
                    amendment.code(),
                    time,
                )],
                incidents: vec![incident.clone()],
                restrictions_changed: self.absolve(&incident, time).await?,
                ..Change::default()
            };
            self.record(change).await?;
            self.engine.put_incident(incident.clone());
        }
        Ok(incident)
    }

    /// A gateway enforces this version: what was pending under it is in force.
    async fn applied(&mut self, gateway: &str, version: u64) -> Result<(), Problem> {
        let time = now();
        let (tenant, name) = (self.tenant.clone(), gateway.to_owned());
        self.shared
            .meta
            .blocking(move |meta| {
                meta.write(|tx| tx.gateway_applied(&tenant, &name, version, time))
            })
            .await?;
        if version < self.published.borrow().version {
            return Ok(());
        }
        let confirmed = self.engine.confirm_all(&format!("gateway:{gateway}"), time);
        if confirmed.is_empty() {
            return Ok(());
        }
        let change = Change {
            leaves: confirmed
                .iter()
                .map(|action| leaves::of_action(&self.tenant, action))
                .collect(),
            actions: confirmed,
            ..Change::default()
        };
        self.record(change).await
    }

    async fn tick(&mut self) -> Result<(), Problem> {
        let time = now();
        let findings = self.engine.advance(time);
        self.judge_all(findings).await?;
        let ended = self.engine.expire(time);
        if !ended.is_empty() {
            let change = Change {
                leaves: ended
                    .iter()
                    .map(|action| leaves::of_action(&self.tenant, action))
                    .collect(),
                actions: ended,
                restrictions_changed: true,
                ..Change::default()
            };
            self.record(change).await?;
        }
        self.keep_rules(time).await?;
        self.mark(time).await
    }

    /// Writes a change with its leaves in one commit, then tells whoever waits for it.
    async fn record(&mut self, change: Change) -> Result<(), Problem> {
        let restrictions_changed = change.restrictions_changed;
        let tenant = self.tenant.clone();
        let outside = &self.shared.tuning.outside;
        let errands: Vec<_> = change
            .actions
            .iter()
            .filter_map(|action| outside.errand(&tenant, action, &self.engine.notify(action)))
            .collect();
        let recorded = self.shared.meta.blocking(move |meta| meta.record(&tenant, &change)).await?;
        self.shared.ledgers.wake();
        if restrictions_changed {
            self.publish(recorded.restriction_version);
        }
        for errand in errands {
            let commands = self.commands.clone();
            tokio::spawn(async move {
                let delivered = errand.run().await;
                if let Some(commands) = commands.upgrade() {
                    let _ = commands.send(Command::Delivered(delivered)).await;
                }
            });
        }
        Ok(())
    }

    /// What connectors did about an action is part of its history; notes start no new errands.
    async fn delivered(&mut self, delivered: Delivered) -> Result<(), Problem> {
        let time = now();
        let mut told = None;
        for delivery in &delivered.deliveries {
            let actor = format!("connector:{}", delivery.connector);
            let reason = delivery.reason();
            let is_done = delivery.result.is_ok();
            if !is_done {
                warn!(tenant = %self.tenant, action = %delivered.action, reason, "a connector failed");
            }
            told = match delivery.operation {
                Operation::Apply if is_done => {
                    self.engine.executed(delivered.action, &actor, Ok(&reason), time)
                }
                Operation::Apply => {
                    self.engine.executed(delivered.action, &actor, Err(&reason), time)
                }
                Operation::Notify | Operation::Undo => {
                    self.engine.note(delivered.action, &actor, &reason, time)
                }
            };
        }
        let Some(action) = told else { return Ok(()) };
        let change = Change {
            leaves: vec![leaves::of_action(&self.tenant, &action)],
            actions: vec![action],
            restrictions_changed: true,
            ..Change::default()
        };
        let tenant = self.tenant.clone();
        let recorded = self.shared.meta.blocking(move |meta| meta.record(&tenant, &change)).await?;
        self.shared.ledgers.wake();
        self.publish(recorded.restriction_version);
        Ok(())
    }

    /// Remembers how far judging has come.
    async fn mark(&mut self, time: Timestamp) -> Result<(), Problem> {
        let judged = self.judged_until;
        if self.has_failed
            || judged <= self.marked_until
            || time.saturating_sub(self.marked_until) < MARK_EVERY_MS
        {
            return Ok(());
        }
        let tenant = self.tenant.clone();
        self.shared
            .meta
            .blocking(move |meta| {
                meta.write(|tx| tx.set_setting(&tenant, MARK, &judged.to_string()))
            })
            .await?;
        self.marked_until = judged;
        Ok(())
    }
}

/// The policies a tenant has that wrote none of its own.
fn shipped() -> Result<PolicySet, Problem> {
    PolicySet::shipped().map_err(|faults| {
        Problem::internal(&faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })
}

/// The newest form of an incident replaces an older one in the same change.
fn put(incidents: &mut Vec<Incident>, incident: Incident) {
    match incidents.iter_mut().find(|known| known.id == incident.id) {
        Some(known) => *known = incident,
        None => incidents.push(incident),
    }
}
