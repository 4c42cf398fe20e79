//! What every route holds.

use crate::config::Config;
use crate::handle::PipelineHandle;
use crate::identity::guard::KnownTokens;
use crate::identity::password::Passwords;
use crate::identity::seal::Seal;
use crate::ledgers::Ledgers;
use crate::problem::Problem;
use crate::ssf::Issuer;
use crate::trust::Desks;
use schema::TenantId;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;
use store::meta::{Meta, MetaError};
use tokio::sync::{Semaphore, watch};

#[derive(Clone)]
pub struct App(Arc<Parts>);

impl From<Parts> for App {
    fn from(parts: Parts) -> App {
        App(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// One of each; a request goes through several hands, and each holds the [`App`].
pub struct Parts {
    pub store: Store,
    pub meta: Meta,
    pub ledgers: Ledgers,
    pub pipeline: PipelineHandle,
    /// Where accesses are judged.
    pub desks: Desks,
    /// Whose security events are believed.
    pub issuers: Arc<Vec<Issuer>>,
    pub passwords: Passwords,
    /// What people's one-time codes are kept under.
    pub seal: Seal,
    pub known_tokens: KnownTokens,
    pub config: Arc<Config>,
    pub counters: Arc<Counters>,
    /// Requests at once.
    pub requests: Arc<Semaphore>,
    pub sources: Sources,
    /// Becomes true when the server is to end; long polls then answer at once.
    pub ending: watch::Receiver<bool>,
    pub is_ready: Arc<AtomicBool>,
}

/// What `/metrics` shows beside the store's own figures.
#[derive(Debug, Default)]
pub struct Counters {
    /// Answers by the first digit of their status.
    pub answers: [AtomicU64; 6],
    pub requests_shed: AtomicU64,
    pub events_accepted: AtomicU64,
    pub events_duplicate: AtomicU64,
    pub events_rejected: AtomicU64,
    pub intake_bytes: AtomicU64,
    pub syslog_messages: AtomicU64,
    pub syslog_dropped: AtomicU64,
    pub logins_failed: AtomicU64,
    pub connections: AtomicU64,
    pub handshakes_failed: AtomicU64,
}

/// One lock per source whose records we number ourselves, so that two requests never take the same numbers.
#[derive(Clone, Default)]
pub struct Sources(Arc<Mutex<HashMap<(TenantId, String), SourceLock>>>);

pub type SourceLock = Arc<tokio::sync::Mutex<()>>;

impl Sources {
    pub fn lock_of(&self, tenant: &TenantId, source: &str) -> SourceLock {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A lock nobody holds can be made anew: the map stays as small as the intake is parallel.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry((tenant.clone(), source.to_owned())).or_default())
    }
}

/// SQLite blocks; requests do not.
pub trait Blocking {
    fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Meta) -> Result<T, MetaError> + Send + 'static,
    ) -> impl Future<Output = Result<T, Problem>> + Send;

    fn blocking_problem<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Meta) -> Result<T, Problem> + Send + 'static,
    ) -> impl Future<Output = Result<T, Problem>> + Send;
}

impl Blocking for Meta {
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Meta) -> Result<T, MetaError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.blocking_problem(move |meta| Ok(ask(meta)?)).await
    }

    async fn blocking_problem<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Meta) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let meta = self.clone();
        in_background(move || ask(&meta)).await?
    }
}

/// Runs what blocks or computes for long away from the threads that answer.
pub async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|cause| Problem::internal(&cause))
}
