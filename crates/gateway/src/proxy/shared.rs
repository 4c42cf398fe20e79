//! What all workers of one gateway share.

use super::live::{Live, Site};
use crate::enforce::{Enforcer, RequestKeys};
use crate::evidence::{self, Exchange, Keys, Recorder, RequestHead, SessionBook};
use crate::metrics::Metrics;
use crate::trust::Asker;
use crate::waf;
use schema::{Restrictions, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Takes finished exchanges and keeps them. The proxy knows no more of it.
pub trait Record: Send + Sync {
    /// Must not block: `false` means it could not take this one.
    fn record(&self, site: &Arc<evidence::Site>, exchange: Exchange) -> bool;

    /// Appends its metrics.
    fn write_metrics(&self, out: &mut String);

    /// Stops; what was recorded is on disk when this returns.
    fn stop(&self);
}

impl Record for Recorder {
    fn record(&self, site: &Arc<evidence::Site>, exchange: Exchange) -> bool {
        Recorder::record(self, site, exchange)
    }

    fn write_metrics(&self, out: &mut String) {
        Recorder::write_metrics(self, out);
    }

    fn stop(&self) {
        Recorder::stop(self);
    }
}

/// The evidence half of a gateway.
pub struct Evidence {
    pub keys: Arc<Keys>,
    /// Learnt by the recorder from logins, asked by the proxy.
    pub book: Arc<SessionBook>,
    pub recorder: Arc<dyn Record>,
}

pub struct Shared {
    pub gateway: Arc<str>,
    live: RwLock<Arc<Live>>,
    pub enforcer: Arc<Enforcer>,
    pub metrics: Arc<Metrics>,
    pub evidence: Evidence,
    pub contact: Contact,
    pub waf: waf::Common,
    /// There when there is a server to ask.
    pub trust: Option<Arc<Asker>>,
}

impl Shared {
    pub fn new(
        gateway: Arc<str>,
        live: Live,
        enforcer: Arc<Enforcer>,
        evidence: Evidence,
        trust: Option<Arc<Asker>>,
    ) -> Self {
        Shared {
            gateway,
            live: RwLock::new(Arc::new(live)),
            enforcer,
            metrics: Arc::new(Metrics::default()),
            evidence,
            contact: Contact::default(),
            waf: waf::Common::default(),
            trust,
        }
    }

    /// Puts a set of restrictions in force, and forgets the decisions it says to reconsider.
    pub fn apply(&self, restrictions: &Restrictions) {
        self.enforcer.load(restrictions);
        if let Some(asker) = &self.trust {
            asker.reconsider(&restrictions.reconsider);
        }
    }

    /// Whose request it is.
    pub fn request_keys(&self, site: &Site, head: &RequestHead) -> RequestKeys {
        self.claimed_keys(site, head).0
    }

    /// The same, and whether its account is but a claim: enough to be restricted, not to be trusted.
    pub fn claimed_keys(&self, site: &Site, head: &RequestHead) -> (RequestKeys, bool) {
        let Evidence { keys, book, .. } = &self.evidence;
        let found = evidence::request_keys(head, None, &site.evidence, keys, book);
        let is_claim = found.is_account_claimed;
        let keys = RequestKeys {
            site: site.config.name.clone(),
            credential: found.credential,
            session: found.session,
            account: found.account,
            device: None,
            address: Some(found.address.to_string()),
            endpoint: Some(found.endpoint),
        };
        (keys, is_claim)
    }

    /// The configuration in force; a request keeps the one it began with.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn replace_live(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }
}

/// When the server last answered; what fail-open and fail-closed go by.
#[derive(Debug)]
pub struct Contact {
    /// `NO_SERVER` while there is none to reach.
    last: AtomicI64,
}

const NO_SERVER: i64 = i64::MAX;

impl Default for Contact {
    fn default() -> Self {
        Contact { last: AtomicI64::new(NO_SERVER) }
    }
}

impl Contact {
    pub fn note(&self, now: Timestamp) {
        self.last.store(now, Ordering::Relaxed);
    }

    /// Milliseconds since the server last answered; `None` when there is no server to reach.
    pub fn silence_ms(&self, now: Timestamp) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        (last != NO_SERVER).then(|| u64::try_from(now.saturating_sub(last)).unwrap_or(0))
    }
}

/// Milliseconds since the epoch, UTC. The proxy is the rim: this is where time comes from.
pub fn now() -> Timestamp {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
