//! Where events are kept: acknowledged means durable, and asked means found.
//!
//! [`Intake`] makes events durable (a log, synced before it acknowledges, and free of duplicates).
//! `Store` adds the lake: Parquet files whose transactional catalog decides what a query sees,
//! SQL for one tenant at a time, replay and retention. Only this crate knows DataFusion.

#![cfg_attr(not(feature = "lake"), allow(dead_code, reason = "the intake alone flushes nothing"))]

#[cfg(feature = "lake")]
mod catalog;
mod codec;
mod dedupe;
mod error;
mod faults;
mod intake;
mod log;
pub mod meta;

#[cfg(feature = "lake")]
mod lake;

pub use error::{Position, StoreError};
pub use intake::{Appended, Intake, IntakeConfig, IntakeStats};
pub use log::fuzz_log;

#[cfg(feature = "lake")]
pub use lake::{
    Cursor, Deletion, EventFilter, Hold, Limit, Order, QueryColumn, QueryFile, QueryLimits,
    QueryResult, Retention, Store, StoreConfig, TenantStats, events_schema,
};

/// What every fallible call of this crate returns.
pub type Result<T> = std::result::Result<T, StoreError>;
