//! The seam between the API and the loop: what routes ask of the pipeline, and nothing more.
//!
//! One pipeline is the only writer of findings, incidents and actions; routes read them from the
//! metadata and send what people decide through here.

use crate::app::Blocking;
use crate::deeds;
use crate::ledgers::Ledgers;
use crate::pipeline::inspection::Inspection;
use crate::pipeline::rules::packs::Packs;
use crate::problem::Problem;
use crate::trust::void::Voids;
use axum::http::StatusCode;
use respond::connectors::Connectors;
use respond::{Context, PolicySet, Protected, Refusal};
use schema::{
    Action, ActionState, Actor, Classification, Comment, Diagnostic, Entity, Event, Incident,
    IncidentStatus, LeafKind, Notification, Restrictions, StepKind, StoryStep, TenantId, Timestamp,
};
use std::collections::HashMap;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;
use store::meta::{Change, Meta, MetaError, Policy, Tenant};
use tokio::sync::watch;
use uuid::Uuid;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// How a batch fared. Given only when every accepted event is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IngestAnswer {
    pub accepted: u64,
    pub duplicates: u64,
}

/// A person decides about an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionCommand {
    pub id: Uuid,
    pub act: Act,
    pub actor: Actor,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Approve,
    Reject,
    Undo,
    Extend {
        until: Timestamp,
    },
    /// Of an action that ended; the answer is a new one.
    Reapply,
}

/// A person works on an incident. `None` leaves a thing as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amendment {
    pub status: Option<IncidentStatus>,
    /// `Some(None)` takes it from whoever has it.
    pub assignee: Option<Option<String>>,
    pub classification: Option<Classification>,
    pub comment: Option<String>,
    /// `Some(None)` takes it away.
    pub ticket: Option<Option<String>>,
    /// One more, or what came of one that is there.
    pub told: Option<Notification>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyChange {
    pub text: String,
    pub actor: Actor,
    pub reason: String,
}

/// What the loop does for the API.
pub trait Pipeline: Send + Sync + 'static {
    /// The rules that run over what comes in, for their figures.
    fn waf(&self) -> Option<&Inspection> {
        None
    }

    /// Whom the tenant tells of things, and who carries its actions out.
    fn connectors(&self, _tenant: &TenantId) -> Option<Arc<Connectors>> {
        None
    }

    /// The rule folders all tenants share.
    fn packs(&self) -> Option<&Arc<Packs>> {
        None
    }

    /// Makes the events durable, then lets the engines see the new ones.
    fn ingest(&self, tenant: TenantId, events: Vec<Event>) -> Answer<'_, IngestAnswer>;

    fn act(&self, tenant: TenantId, command: ActionCommand) -> Answer<'_, Action>;

    fn amend(
        &self,
        tenant: TenantId,
        id: Uuid,
        actor: Actor,
        amendment: Amendment,
    ) -> Answer<'_, Incident>;

    /// Checks, stores and uses a policy text; the version it got.
    fn put_policy(&self, tenant: TenantId, change: PolicyChange) -> Answer<'_, Policy>;

    /// The tenant's rules or exceptions changed and are stored: they hold when this has answered.
    fn rules_changed(&self, tenant: TenantId) -> Answer<'_, ()>;

    /// The tenant's mode or retention changed and is stored: use it from now on.
    fn tenant_changed(&self, tenant: Tenant) -> Answer<'_, ()>;

    /// The restrictions in force, and every change of them.
    fn restrictions(&self, tenant: TenantId) -> Answer<'_, watch::Receiver<Arc<Restrictions>>>;

    /// Decisions of the trust engine about these entities (`None`: everybody) are void: gateways
    /// are told to ask again.
    fn reconsider(&self, tenant: TenantId, entities: Option<Vec<Entity>>) -> Answer<'_, ()>;

    /// A gateway enforces this version now.
    fn applied(&self, tenant: TenantId, gateway: String, version: u64) -> Answer<'_, ()>;
}

/// The pipeline as routes hold it.
#[derive(Clone)]
pub struct PipelineHandle(Arc<dyn Pipeline>);

impl PipelineHandle {
    pub fn new(pipeline: impl Pipeline) -> Self {
        PipelineHandle(Arc::new(pipeline))
    }
}

impl Deref for PipelineHandle {
    type Target = dyn Pipeline;

    fn deref(&self) -> &(dyn Pipeline + 'static) {
        self.0.as_ref()
    }
}

/// Reads a policy text; what is wrong with it otherwise.
pub fn parse_policy(text: &str) -> Result<PolicySet, Problem> {
    PolicySet::parse("policy.yaml", text).map_err(bad_policy)
}

fn bad_policy(diagnostics: Vec<Diagnostic>) -> Problem {
    Problem::bad_request("policy-invalid", "the policy cannot be used as it is")
        .hint("the diagnostics name each place; the policy in force stays")
        .diagnostics(diagnostics)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = if refusal.code == "no-such-action" {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::CONFLICT
        };
        Problem::new(status, refusal.code, refusal.message).hint(refusal.hint)
    }
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Self {
        if error.is_temporary() {
            return Problem::unavailable(error.code, error.message);
        }
        Problem::internal(&error)
    }
}

impl Amendment {
    /// Applies it; `false` when nothing changes by it.
    pub fn apply(&self, incident: &mut Incident, actor: &str, now: Timestamp) -> bool {
        let before = incident.clone();
        if let Some(status) = self.status {
            incident.status = status;
        }
        if let Some(assignee) = &self.assignee {
            incident.assignee.clone_from(assignee);
        }
        if let Some(classification) = self.classification {
            incident.classification = Some(classification);
        }
        if let Some(text) = &self.comment {
            let author = actor.strip_prefix("user:").unwrap_or(actor).to_owned();
            incident.story.push(StoryStep {
                time: now,
                kind: StepKind::Note,
                subject: schema::id_from_seed(now, format!("{author}\0{text}").as_bytes()),
                code: "comment".to_owned(),
                attack: None,
                entities: Vec::new(),
            });
            incident.comments.push(Comment { time: now, author, text: text.clone() });
        }
        if let Some(ticket) = &self.ticket {
            incident.ticket.clone_from(ticket);
        }
        if let Some(told) = &self.told {
            match incident.told.iter_mut().find(|known| known.id == told.id) {
                Some(known) => known.clone_from(told),
                None => incident.told.push(told.clone()),
            }
        }
        let is_changed = *incident != before;
        if is_changed {
            incident.updated = incident.updated.max(now);
        }
        is_changed
    }

    /// The permanent code of what it does, for the ledger: never the text itself.
    pub fn code(&self) -> &'static str {
        match self {
            Amendment { comment: Some(_), .. } => "commented",
            Amendment { status: Some(_), .. } => "status-changed",
            Amendment { classification: Some(_), .. } => "classified",
            Amendment { ticket: Some(_), .. } => "ticket-changed",
            Amendment { told: Some(Notification { answer: None, .. }), .. } => "telling",
            Amendment { told: Some(_), .. } => "told",
            _ => "assigned",
        }
    }
}

/// Store and metadata without the engines: events are kept and found, people's decisions carried
/// out and attested, and nothing is detected. Intake-only servers and tests run on it.
pub struct Unjudged {
    store: Store,
    meta: Meta,
    ledgers: Ledgers,
    watches: Mutex<HashMap<TenantId, watch::Sender<Arc<Restrictions>>>>,
    voids: Mutex<HashMap<TenantId, Voids>>,
}

impl Unjudged {
    pub fn new(store: Store, meta: Meta, ledgers: Ledgers) -> Self {
        Unjudged { store, meta, ledgers, watches: Mutex::default(), voids: Mutex::default() }
    }

    /// Says what is in force now to whoever watches.
    async fn publish(
        &self,
        tenant: &TenantId,
    ) -> Result<watch::Receiver<Arc<Restrictions>>, Problem> {
        let of = tenant.clone();
        let mut restrictions = self
            .meta
            .blocking(move |meta| {
                meta.read(|read| {
                    let live = read.live_actions(&of)?;
                    Ok(respond::restrictions(&live, read.restriction_version(&of)?, now()))
                })
            })
            .await?;
        {
            let mut voids = self.voids.lock().unwrap_or_else(PoisonError::into_inner);
            let voids = voids.entry(tenant.clone()).or_insert_with(|| Voids::since_start(now()));
            restrictions.reconsider = voids.current(now());
        }
        let restrictions = Arc::new(restrictions);
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = watches
            .entry(tenant.clone())
            .or_insert_with(|| watch::channel(Arc::clone(&restrictions)).0);
        sender.send_if_modified(|current| {
            let is_newer = restrictions.version > current.version;
            if is_newer {
                *current = restrictions;
            }
            is_newer
        });
        Ok(sender.subscribe())
    }

    async fn decide(&self, tenant: TenantId, command: ActionCommand) -> Result<Action, Problem> {
        let of = tenant.clone();
        let action = self
            .meta
            .blocking_problem(move |meta| {
                let time = now();
                let mut refused = None;
                let done = meta.write(|tx| {
                    let id = command.id;
                    let mut action =
                        tx.action(&of, id)?.ok_or_else(|| MetaError::Missing(id.to_string()))?;
                    if let Err(refusal) = transition(tx, &of, &mut action, &command, time)? {
                        refused = Some(refusal);
                        return Err(MetaError::Refused("see the refusal"));
                    }
                    let leaf = deeds::leaf(
                        &of,
                        deeds::kind_of(command.act),
                        &command.actor,
                        action.id,
                        &action,
                        action.state.as_str(),
                        time,
                    );
                    let change = Change {
                        actions: vec![action.clone()],
                        leaves: vec![leaf],
                        restrictions_changed: true,
                        ..Change::default()
                    };
                    tx.record(&of, &change)?;
                    Ok(action)
                });
                match refused {
                    Some(refusal) => Err(refusal.into()),
                    None => Ok(done?),
                }
            })
            .await?;
        self.ledgers.wake();
        self.publish(&tenant).await?;
        Ok(action)
    }
}

fn transition(
    tx: &store::meta::Tx<'_>,
    tenant: &TenantId,
    action: &mut Action,
    command: &ActionCommand,
    now: Timestamp,
) -> store::meta::Result<Result<(), Refusal>> {
    let ActionCommand { act, actor, reason, .. } = command;
    Ok(match act {
        Act::Approve | Act::Reapply => {
            let others: Vec<Action> = tx
                .live_actions(tenant)?
                .into_iter()
                .filter(|other| other.id != action.id)
                .collect();
            let mode = tx.tenant(tenant)?.map(|tenant| tenant.mode).unwrap_or_default();
            let context = Context { mode: respond_mode(mode), protected: Protected::default() };
            if *act == Act::Approve {
                respond::approve(action, &others, &context, actor, reason, now)
            } else {
                respond::reapply(
                    &PolicySet::default(),
                    action,
                    &others,
                    &context,
                    actor,
                    reason,
                    now,
                )
                .map(|again| *action = again)
            }
        }
        Act::Reject => respond::reject(action, actor, reason, now),
        Act::Undo => respond::undo(action, actor, reason, now),
        Act::Extend { until } => respond::extend(action, actor, *until, reason, now),
    })
}

pub fn respond_mode(mode: store::meta::Mode) -> respond::Mode {
    match mode {
        store::meta::Mode::Observe => respond::Mode::Observe,
        store::meta::Mode::Canary => respond::Mode::Canary,
        store::meta::Mode::Enforce => respond::Mode::Enforce,
    }
}

impl Pipeline for Unjudged {
    fn ingest(&self, tenant: TenantId, events: Vec<Event>) -> Answer<'_, IngestAnswer> {
        Box::pin(async move {
            let total = events.len() as u64;
            let appended = self.store.append(&tenant, events).await?;
            let accepted = appended.accepted.iter().filter(|accepted| **accepted).count() as u64;
            Ok(IngestAnswer { accepted, duplicates: total - accepted })
        })
    }

    fn act(&self, tenant: TenantId, command: ActionCommand) -> Answer<'_, Action> {
        Box::pin(self.decide(tenant, command))
    }

    fn amend(
        &self,
        tenant: TenantId,
        id: Uuid,
        actor: Actor,
        amendment: Amendment,
    ) -> Answer<'_, Incident> {
        Box::pin(async move {
            let incident = self
                .meta
                .blocking(move |meta| {
                    let time = now();
                    meta.write(|tx| {
                        let (incident, is_changed) =
                            tx.amend_incident(&tenant, id, |incident| {
                                amendment.apply(incident, &actor, time)
                            })?;
                        if is_changed {
                            let code = amendment.code();
                            tx.attest(&[deeds::leaf(
                                &tenant,
                                LeafKind::Incident,
                                &actor,
                                id,
                                &incident,
                                code,
                                time,
                            )])?;
                        }
                        Ok(incident)
                    })
                })
                .await?;
            self.ledgers.wake();
            Ok(incident)
        })
    }

    fn put_policy(&self, tenant: TenantId, change: PolicyChange) -> Answer<'_, Policy> {
        Box::pin(async move {
            parse_policy(&change.text)?;
            let policy = self
                .meta
                .blocking(move |meta| {
                    meta.write(|tx| {
                        let PolicyChange { text, actor, reason } = &change;
                        let time = now();
                        let (policy, is_new) = tx.put_policy(&tenant, text, actor, reason, time)?;
                        if is_new {
                            tx.attest(&[deeds::of_policy(&tenant, &policy)])?;
                        }
                        Ok(policy)
                    })
                })
                .await?;
            self.ledgers.wake();
            Ok(policy)
        })
    }

    fn rules_changed(&self, _tenant: TenantId) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn tenant_changed(&self, _tenant: Tenant) -> Answer<'_, ()> {
        // Nothing is held in memory here: the next question reads what is stored.
        Box::pin(async { Ok(()) })
    }

    fn restrictions(&self, tenant: TenantId) -> Answer<'_, watch::Receiver<Arc<Restrictions>>> {
        Box::pin(async move { self.publish(&tenant).await })
    }

    fn reconsider(&self, tenant: TenantId, entities: Option<Vec<Entity>>) -> Answer<'_, ()> {
        Box::pin(async move {
            {
                let mut voids = self.voids.lock().unwrap_or_else(PoisonError::into_inner);
                voids.entry(tenant.clone()).or_default().add(entities.as_deref(), now());
            }
            let of = tenant.clone();
            let change = Change { restrictions_changed: true, ..Change::default() };
            self.meta.blocking(move |meta| meta.record(&of, &change)).await?;
            self.publish(&tenant).await?;
            Ok(())
        })
    }

    fn applied(&self, tenant: TenantId, gateway: String, version: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.meta
                .blocking(move |meta| {
                    let time = now();
                    meta.write(|tx| {
                        tx.gateway_applied(&tenant, &gateway, version, time)?;
                        if version < tx.restriction_version(&tenant)? {
                            return Ok(());
                        }
                        let mut confirmed = Change::default();
                        let actor = format!("gateway:{gateway}");
                        let live = tx.live_actions(&tenant)?;
                        for mut action in
                            live.into_iter().filter(|a| a.state == ActionState::Pending)
                        {
                            if respond::confirm(&mut action, &actor, time).is_ok() {
                                confirmed.leaves.push(deeds::leaf(
                                    &tenant,
                                    LeafKind::Action,
                                    &actor,
                                    action.id,
                                    &action,
                                    action.state.as_str(),
                                    time,
                                ));
                                confirmed.actions.push(action);
                            }
                        }
                        tx.record(&tenant, &confirmed)?;
                        Ok(())
                    })
                })
                .await?;
            self.ledgers.wake();
            Ok(())
        })
    }
}

/// The wall clock; engines never read it.
pub fn now() -> Timestamp {
    jiff::Timestamp::now().as_millisecond()
}
