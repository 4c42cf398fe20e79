//! What rules remember between requests, in the gateway's memory: bounded, and forgotten in time.

use crate::config::MemoryConfig;
use crate::trust::Lru;
use seclang::{Collection, Memory, Record, Vars};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an entry takes beside its names and values.
const ENTRY_BYTES: usize = 256;

/// The collections of one rule set on one site.
pub struct Remembered {
    kept: Arc<Mutex<Kept>>,
    bytes_max: usize,
    timeout_ms: i64,
}

struct Kept {
    entries: Lru<Entry>,
    bytes: usize,
}

struct Entry {
    record: Record,
    updated: i64,
    bytes: usize,
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").field("keys", &self.keys()).finish_non_exhaustive()
    }
}

impl Remembered {
    /// `timeout_secs`: what was not changed for so long is forgotten (`SecCollectionTimeout`).
    pub fn new(config: &MemoryConfig, timeout_secs: u64) -> Self {
        Remembered {
            kept: Arc::new(Mutex::new(Kept { entries: Lru::new(config.keys_max), bytes: 0 })),
            bytes_max: config.bytes_max,
            timeout_ms: timeout_ms(timeout_secs),
        }
    }

    /// The same collections, forgotten after another time.
    pub fn with_timeout(&self, timeout_secs: u64) -> Self {
        Remembered {
            kept: Arc::clone(&self.kept),
            bytes_max: self.bytes_max,
            timeout_ms: timeout_ms(timeout_secs),
        }
    }

    pub fn keys(&self) -> usize {
        self.kept().entries.len()
    }

    pub fn bytes(&self) -> usize {
        self.kept().bytes
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, entry: &Entry, now_ms: i64) -> bool {
        now_ms.saturating_sub(entry.updated) >= self.timeout_ms
    }
}

impl Memory for Remembered {
    fn open(&self, collection: Collection, key: &[u8], now_ms: i64) -> Record {
        let mut kept = self.kept();
        match kept.entries.get(&place(collection, key)) {
            Some(entry) if !self.is_over(entry, now_ms) => aged(entry, now_ms),
            _ => Record::default(),
        }
    }

    fn close(
        &self,
        collection: Collection,
        key: &[u8],
        before: &Record,
        after: Record,
        now_ms: i64,
    ) {
        let place = place(collection, key);
        let mut kept = self.kept();
        let (now, old_bytes) = match kept.entries.get(&place) {
            Some(entry) if !self.is_over(entry, now_ms) => (aged(entry, now_ms), entry.bytes),
            Some(entry) => (Record::default(), entry.bytes),
            None => (Record::default(), 0),
        };
        let record = merged(now, before, after);
        let bytes = weight(&record);
        if bytes > self.bytes_max {
            return;
        }
        kept.bytes = (kept.bytes + bytes).saturating_sub(old_bytes);
        let dropped = kept.entries.insert(place, Entry { record, updated: now_ms, bytes });
        kept.bytes = kept.bytes.saturating_sub(dropped.map_or(0, |entry| entry.bytes));
        while kept.bytes > self.bytes_max {
            let Some(oldest) = kept.entries.pop() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.bytes);
        }
    }
}

fn timeout_ms(secs: u64) -> i64 {
    i64::try_from(secs).unwrap_or(i64::MAX).saturating_mul(1000)
}

fn place(collection: Collection, key: &[u8]) -> [u8; 32] {
    let mut text = collection.name().as_bytes().to_vec();
    text.push(0);
    text.extend_from_slice(key);
    schema::sha256(&text).0
}

fn weight(record: &Record) -> usize {
    let vars: usize = record.vars.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    let names: usize = record.expires.iter().map(|(name, _)| name.len() + 32).sum();
    let sinks: usize = record.sinks.iter().map(|(name, ..)| name.len() + 40).sum();
    ENTRY_BYTES + vars + names + sinks
}

/// What is left of an entry by now: expired names gone, sinking numbers lower.
fn aged(entry: &Entry, now_ms: i64) -> Record {
    let mut record = entry.record.clone();
    for (name, ends) in &entry.record.expires {
        if *ends <= now_ms {
            record.vars.remove(name);
        }
    }
    record.expires.retain(|(_, ends)| *ends > now_ms);
    let elapsed_secs = u64::try_from(now_ms.saturating_sub(entry.updated)).unwrap_or(0) / 1000;
    for (name, amount, secs) in &entry.record.sinks {
        let lost = elapsed_secs.checked_div(*secs).unwrap_or(0).saturating_mul(*amount);
        let lost = i64::try_from(lost).unwrap_or(i64::MAX);
        if let Some(value) = number(record.vars.get(name)).filter(|_| lost > 0) {
            let left = value.saturating_sub(lost).max(0);
            record.vars.set(name, left.to_string().as_bytes());
        }
    }
    record
}

/// What one transaction changed, applied to what others made of it meanwhile: numbers count together, for
/// else two requests at once would count as one.
fn merged(mut now: Record, before: &Record, after: Record) -> Record {
    let mut vars: Vars = std::mem::take(&mut now.vars);
    for (name, value) in after.vars.iter() {
        let was = before.vars.get(name);
        if was == Some(value) {
            continue;
        }
        let counted =
            match (number(was.or(Some(b"0"))), number(Some(value)), number(vars.get(name))) {
                (Some(was), Some(value), Some(now)) => {
                    Some(now.saturating_add(value.saturating_sub(was)))
                }
                _ => None,
            };
        match counted {
            Some(sum) => vars.set(name, sum.to_string().as_bytes()),
            None => vars.set(name, value),
        };
    }
    for (name, _) in before.vars.iter() {
        if after.vars.get(name).is_none() {
            vars.remove(name);
        }
    }
    let expires =
        replaced(now.expires, &before.expires, after.expires, |(name, _)| name.as_slice());
    let sinks = replaced(now.sinks, &before.sinks, after.sinks, |(name, ..)| name.as_slice());
    Record { vars, expires, sinks }
}

/// What one transaction made otherwise takes the place of what is there now; the rest stays.
fn replaced<T: PartialEq, N: PartialEq + ?Sized>(
    mut now: Vec<T>,
    before: &[T],
    after: Vec<T>,
    name: impl Fn(&T) -> &N,
) -> Vec<T> {
    let is_gone = |of: &&T| !after.iter().any(|item| name(item) == name(of));
    for gone in before.iter().filter(is_gone) {
        now.retain(|item| name(item) != name(gone));
    }
    for item in after {
        if !before.contains(&item) {
            now.retain(|known| name(known) != name(&item));
            now.push(item);
        }
    }
    now
}

fn number(value: Option<&[u8]>) -> Option<i64> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
