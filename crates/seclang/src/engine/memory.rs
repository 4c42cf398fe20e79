//! Collections that outlive a transaction: IP, SESSION, USER, RESOURCE, GLOBAL. Kept by whoever runs the
//! engine; the engine says what it read and what it changed.

use super::vars::Vars;
use crate::variable::Collection;

/// One opened collection: what `initcol` found under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub vars: Vars,
    /// When a name is to be forgotten, in milliseconds since 1970.
    pub expires: Vec<(Vec<u8>, i64)>,
    /// Numbers that sink with time: name, by how much, every how many seconds.
    pub sinks: Vec<(Vec<u8>, u64, u64)>,
}

pub trait Memory: Send + Sync + std::fmt::Debug {
    /// What is known under `key` now, expired names left out.
    fn open(&self, collection: Collection, key: &[u8], now_ms: i64) -> Record;

    /// Called once, when the transaction ends, for each collection it changed.
    fn close(
        &self,
        collection: Collection,
        key: &[u8],
        before: &Record,
        after: Record,
        now_ms: i64,
    );
}

/// Remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn open(&self, _: Collection, _: &[u8], _: i64) -> Record {
        Record::default()
    }

    fn close(&self, _: Collection, _: &[u8], _: &Record, _: Record, _: i64) {}
}
