//! Sigma: rules and events in, matches with their reasons out.
//!
//! Pure: no clock, no files, no network. The language is that of the Sigma specification 2.1; where it leaves
//! a choice, `docs/sigma.md` says which was made.

pub mod attack;
mod collection;
mod compile;
pub mod condition;
pub mod correlation;
mod document;
mod engine;
mod event;
pub mod exam;
pub mod limits;
mod modifier;
pub mod ocsf;
mod pipeline;
mod predicate;
mod rule;
mod ruleset;
mod text;
mod yaml;

pub use compile::{Check, Options, Variant};
pub use engine::{Engine, Runner};
pub use event::{Cursor, Doc, Event, HEADER_CHANNEL, Json, Kind, Name, Reader, Record, Scalar};
pub use modifier::{Anchor, MODIFIERS, Modifier, Order, RegexFlags, TimePart};
pub use pipeline::{Pipeline, SHIPPED};
pub use predicate::{Number, Predicate, Predicates, Test};
pub use rule::{Level, LogSource, Meta, Related, Relation, Status};
pub use ruleset::{Compiled, Match, Matched, Refused, RuleSet};
pub use text::{DASHES, Piece, fold};
