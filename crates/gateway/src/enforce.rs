//! Enforces decisions: which restriction concerns a request, and what it asks for.

mod bucket;
mod pattern;

pub use pattern::{Pattern, plain_path};

pub(crate) use bucket::Bucket;
use schema::{EntityKind, Restriction, Restrictions, Rung, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch;
use uuid::Uuid;

/// Requests per minute of a limit that does not say.
pub const RATE_PER_MINUTE_DEFAULT: u32 = 60;
/// Step-up proofs remembered; the oldest to end go first.
const PASSES_MAX: usize = 100_000;

/// Whose request it is. What is not known is `None` and cannot be restricted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestKeys {
    pub site: String,
    pub credential: Option<String>,
    pub session: Option<String>,
    /// Of the session, learnt from its login.
    pub account: Option<String>,
    pub device: Option<String>,
    pub address: Option<String>,
    /// `METHOD /path/template`.
    pub endpoint: Option<String>,
}

impl RequestKeys {
    fn of_kind(&self, kind: EntityKind) -> Option<&str> {
        match kind {
            EntityKind::Credential => self.credential.as_deref(),
            EntityKind::Account => self.account.as_deref(),
            EntityKind::Session => self.session.as_deref(),
            EntityKind::Endpoint => self.endpoint.as_deref(),
            EntityKind::Device => self.device.as_deref(),
            EntityKind::Address => self.address.as_deref(),
        }
    }

    /// What a proof of identity is bound to: the session, or what stands for one.
    fn bearer(&self) -> Option<(EntityKind, &str)> {
        [EntityKind::Session, EntityKind::Credential, EntityKind::Account]
            .into_iter()
            .find_map(|kind| self.of_kind(kind).map(|value| (kind, value)))
    }
}

/// The action behind a verdict, as far as the client may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub action: Uuid,
    pub rung: Rung,
    pub reason: String,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// 429: more than its rate; ask again after so many seconds.
    Limit {
        cause: Cause,
        retry_after_secs: u64,
    },
    /// Only the way to prove who it is stays open.
    StepUp(Cause),
    /// Only what is needed to recover stays open.
    Isolate(Cause),
    /// 403.
    Block(Cause),
    /// 401: the credential or session is no longer accepted.
    Revoke(Cause),
}

impl Verdict {
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Verdict::Allow => None,
            Verdict::Limit { cause, .. }
            | Verdict::StepUp(cause)
            | Verdict::Isolate(cause)
            | Verdict::Block(cause)
            | Verdict::Revoke(cause) => Some(cause),
        }
    }

    /// Ends what is under way, too: streams and tunnels do not outlive it.
    pub fn ends_streams(&self) -> bool {
        matches!(
            self,
            Verdict::StepUp(_) | Verdict::Isolate(_) | Verdict::Block(_) | Verdict::Revoke(_)
        )
    }
}

struct Entry {
    restriction: Restriction,
    bucket: Option<Arc<Mutex<Bucket>>>,
}

#[derive(Default)]
struct Set {
    version: u64,
    total: usize,
    /// By entity kind, then value.
    index: [HashMap<String, Vec<Entry>>; EntityKind::ALL.len()],
}

impl Set {
    fn of_kind(&self, kind: EntityKind) -> Option<&HashMap<String, Vec<Entry>>> {
        let place = EntityKind::ALL.iter().position(|k| *k == kind)?;
        self.index.get(place)
    }

    /// The restrictions in force on a request, highest rung first.
    fn matching(&self, keys: &RequestKeys, now: Timestamp) -> Vec<&Entry> {
        let mut found: Vec<&Entry> = EntityKind::ALL
            .into_iter()
            .filter_map(|kind| self.of_kind(kind)?.get(keys.of_kind(kind)?))
            .flatten()
            .filter(|entry| entry.restriction.in_force(&keys.site, now))
            .collect();
        found.sort_by_key(|e| (std::cmp::Reverse(e.restriction.rung), e.restriction.action));
        found
    }
}

/// An address has one spelling here, however it was written.
fn canonical(restriction: &Restriction) -> String {
    let value = &restriction.target.value;
    match value.parse::<std::net::IpAddr>() {
        Ok(address) if restriction.target.kind == EntityKind::Address => {
            address.to_canonical().to_string()
        }
        _ => value.clone(),
    }
}

trait InForce {
    fn in_force(&self, site: &str, now: Timestamp) -> bool;
}

impl InForce for Restriction {
    fn in_force(&self, site: &str, now: Timestamp) -> bool {
        now < self.expires && (self.sites.is_empty() || self.sites.iter().any(|s| s == site))
    }
}

/// Holds the restrictions in force and judges requests by them; shared by all workers.
pub struct Enforcer {
    set: RwLock<Arc<Set>>,
    /// True when nothing is restricted: then no request pays for looking.
    empty: AtomicBool,
    version: AtomicU64,
    /// Counts the sets loaded.
    generation: AtomicU64,
    changed: watch::Sender<u64>,
    /// Which bearer has met which step-up action, and until when that holds.
    passes: Mutex<HashMap<(EntityKind, String, Uuid), Timestamp>>,
}

impl Default for Enforcer {
    fn default() -> Self {
        Enforcer::new()
    }
}

impl Enforcer {
    pub fn new() -> Self {
        Enforcer {
            set: RwLock::default(),
            empty: AtomicBool::new(true),
            version: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            passes: Mutex::default(),
        }
    }

    /// Replaces the whole set. Rate limits that stay keep their count.
    pub fn load(&self, restrictions: &Restrictions) {
        let old = self.current();
        let mut buckets = HashMap::new();
        for entry in old.index.iter().flat_map(HashMap::values).flatten() {
            if let Some(bucket) = &entry.bucket {
                buckets
                    .insert((entry.restriction.action, entry.restriction.rate_per_minute), bucket);
            }
        }
        let mut set = Set {
            version: restrictions.version,
            total: restrictions.restrictions.len(),
            index: Default::default(),
        };
        for restriction in &restrictions.restrictions {
            let bucket = (restriction.rung == Rung::Limit).then(|| {
                let rate = restriction.rate_per_minute;
                buckets.get(&(restriction.action, rate)).map(|b| Arc::clone(b)).unwrap_or_else(
                    || Arc::new(Mutex::new(Bucket::new(rate.unwrap_or(RATE_PER_MINUTE_DEFAULT)))),
                )
            });
            let place = EntityKind::ALL.iter().position(|k| *k == restriction.target.kind);
            if let Some(map) = place.and_then(|p| set.index.get_mut(p)) {
                map.entry(canonical(restriction))
                    .or_default()
                    .push(Entry { restriction: restriction.clone(), bucket });
            }
        }
        let empty = set.total == 0;
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        self.empty.store(empty, Ordering::Release);
        self.version.store(restrictions.version, Ordering::Release);
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.changed.send_replace(generation);
    }

    /// What the restrictions in force ask for. Takes a token from every limit it passes.
    pub fn check(&self, keys: &RequestKeys, now: Timestamp) -> Verdict {
        self.judge(keys, now, true)
    }

    /// As [`Enforcer::check`] for something already under way: no token is taken.
    pub fn recheck(&self, keys: &RequestKeys, now: Timestamp) -> Verdict {
        self.judge(keys, now, false)
    }

    fn judge(&self, keys: &RequestKeys, now: Timestamp, take: bool) -> Verdict {
        if self.is_empty() {
            return Verdict::Allow;
        }
        let set = self.current();
        for entry in set.matching(keys, now) {
            let restriction = &entry.restriction;
            let cause = || Cause {
                action: restriction.action,
                rung: restriction.rung,
                reason: restriction.reason.clone(),
            };
            match restriction.rung {
                Rung::Observe => {}
                Rung::Limit => {
                    if let Some(bucket) = entry.bucket.as_ref().filter(|_| take) {
                        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Err(retry_after_secs) = bucket.take(now) {
                            return Verdict::Limit { cause: cause(), retry_after_secs };
                        }
                    }
                }
                Rung::StepUp => {
                    if !self.has_passed(keys, restriction.action, now) {
                        return Verdict::StepUp(cause());
                    }
                }
                Rung::Isolate => return Verdict::Isolate(cause()),
                Rung::Block => return Verdict::Block(cause()),
                Rung::Revoke | Rung::Rotate => return Verdict::Revoke(cause()),
            }
        }
        Verdict::Allow
    }

    /// The visitor proved who they are: the step-up actions on them now are met until `until`.
    ///
    /// The proof is bound to the session (or credential) that gave it: another session of the same
    /// account has to prove itself, and an action decided later asks anew.
    pub fn note_step_up(&self, keys: &RequestKeys, now: Timestamp, until: Timestamp) -> usize {
        let Some((kind, value)) = keys.bearer() else { return 0 };
        let set = self.current();
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        if passes.len() >= PASSES_MAX {
            passes.retain(|_, end| *end > now);
        }
        if passes.len() >= PASSES_MAX {
            let soonest = passes.iter().min_by_key(|(_, end)| **end).map(|(key, _)| key.clone());
            soonest.and_then(|key| passes.remove(&key));
        }
        let mut noted = 0;
        for entry in set.matching(keys, now) {
            if entry.restriction.rung == Rung::StepUp {
                passes.insert((kind, value.to_owned(), entry.restriction.action), until);
                noted += 1;
            }
        }
        noted
    }

    fn has_passed(&self, keys: &RequestKeys, action: Uuid, now: Timestamp) -> bool {
        let passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        !passes.is_empty()
            && [EntityKind::Session, EntityKind::Credential, EntityKind::Account]
                .into_iter()
                .filter_map(|kind| keys.of_kind(kind).map(|value| (kind, value.to_owned(), action)))
                .any(|key| passes.get(&key).is_some_and(|end| now < *end))
    }

    pub fn is_empty(&self) -> bool {
        self.empty.load(Ordering::Acquire)
    }

    /// Whether any account is restricted: only then a login body is worth reading first.
    pub fn restricts_accounts(&self, site: &str, now: Timestamp) -> bool {
        !self.is_empty()
            && self.current().of_kind(EntityKind::Account).is_some_and(|accounts| {
                accounts.values().flatten().any(|e| e.restriction.in_force(site, now))
            })
    }

    /// The version of the set in force.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Changes with every set loaded.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Restrictions loaded, ended ones included.
    pub fn total(&self) -> usize {
        self.current().total
    }

    /// Tells when the set was replaced.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn current(&self) -> Arc<Set> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = self.current();
        write!(f, "Enforcer(version {}, {} restrictions)", set.version, set.total)
    }
}

#[cfg(test)]
mod tests;
