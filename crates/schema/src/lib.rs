//! The nouns of Plura: what is seen ([`Event`]), what we think of it ([`Finding`], [`Incident`]),
//! what we do about it ([`Action`], [`Restriction`]) and whom it concerns ([`Entity`]).
//!
//! Engines meet only through these types. Times are milliseconds since the Unix epoch, UTC,
//! as OCSF has them; people see RFC 3339.

mod action;
mod diagnostic;
mod digest;
mod entity;
mod event;
mod finding;
mod incident;
mod ledger;
#[cfg(feature = "openapi")]
mod openapi;
mod secret;
mod tenant;
mod time;
mod waf;

pub use action::{
    Action, ActionChange, ActionState, Actor, Approval, BlastRadius, Reconsider, Restriction,
    Restrictions, Rung, UnknownRung,
};
pub use diagnostic::{Diagnostic, nearest};
pub use digest::{Digest, event_id, id_from_seed, sha256};
pub use entity::{Entity, EntityKind, UnknownEntity};
pub use event::{
    COLUMNS, Cell, Column, ColumnKind, Event, OCSF_VERSION, OwnedCell, activity, class,
};
pub use finding::{
    Analytic, AttackRef, Confidence, Finding, MatchedField, OutcomeResult, Severity, Stage,
};
pub use incident::{
    Classification, Comment, Incident, IncidentStatus, Notification, NotificationAnswer, StepKind,
    StoryStep,
};
pub use ledger::{Leaf, LeafKind};
pub use secret::Secret;
pub use tenant::{InvalidTenant, TenantId};
pub use time::{Timestamp, format_time, parse_time};
pub use waf::{WafMatch, WafSet, waf_sets, waf_sets_of};
