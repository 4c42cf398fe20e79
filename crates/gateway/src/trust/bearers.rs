//! What is remembered of a bearer between decisions: since when, how fast, and what was proved.

use super::lru::{Key, Lru};
use super::question::Proof;
use crate::enforce::Bucket;
use schema::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bearers remembered; of those not heard of for longest, nothing is left: their proof is asked for
/// again, their age counts anew. 100,000 take about 20 MiB.
const BEARERS_MAX: usize = 100_000;

pub struct Bearers(Mutex<Lru<Bearer>>);

struct Bearer {
    /// When something was first decided about it, or it last proved itself.
    since: Timestamp,
    pass: Option<(Timestamp, Proof)>,
    /// With the rate it was made for.
    bucket: Option<(u32, Bucket)>,
}

impl Bearers {
    pub fn new() -> Self {
        Bearers(Mutex::new(Lru::new(BEARERS_MAX)))
    }

    fn with<T>(&self, key: &Key, now: Timestamp, act: impl FnOnce(&mut Bearer) -> T) -> Option<T> {
        let mut bearers: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bearers.get(key).is_none() {
            bearers.insert(*key, Bearer { since: now, pass: None, bucket: None });
        }
        bearers.get(key).map(act)
    }

    /// Since when it is known; from now on when it was not.
    pub fn since(&self, key: &Key, now: Timestamp) -> Timestamp {
        self.with(key, now, |bearer| bearer.since).unwrap_or(now)
    }

    /// It proved who it is: that holds until `until`, and its age counts from now.
    pub fn note_proof(&self, key: &Key, now: Timestamp, until: Timestamp, proof: Proof) {
        self.with(key, now, |bearer| {
            bearer.since = now;
            bearer.pass = Some((until, proof));
        });
    }

    /// Its proof while it holds, and until when it does.
    pub fn proof(&self, key: &Key, now: Timestamp) -> Option<(Timestamp, Proof)> {
        self.with(key, now, |bearer| bearer.pass.clone())
            .flatten()
            .filter(|(until, _)| now < *until)
    }

    /// Takes a token of its rate, or says in how many seconds there is one.
    pub fn take(&self, key: &Key, rate_per_minute: u32, now: Timestamp) -> Result<(), u64> {
        self.with(key, now, |bearer| {
            let (_, bucket) = match &mut bearer.bucket {
                Some(kept) if kept.0 == rate_per_minute => kept,
                other => other.insert((rate_per_minute, Bucket::new(rate_per_minute))),
            };
            bucket.take(now)
        })
        .unwrap_or(Ok(()))
    }
}
