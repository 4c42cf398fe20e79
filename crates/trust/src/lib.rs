//! Judges an access: signals and a policy in; a score from 0 to 100, a decision, its obligations and
//! every reason out.
//!
//! Pure: no clock, no files, no chance. The same policy and the same readings give the same bytes.

mod book;
pub mod compare;
mod decision;
mod engine;
pub mod exam;
mod expr;
mod gather;
mod policy;
mod reading;
mod site;
pub mod soundness;
pub mod vary;
mod vocabulary;
mod yaml;

pub use book::{
    Book, BookLimits, BookSizes, DeviceOwner, DeviceRecord, DeviceType, EdrState, MdmState,
    MfaMethod, MfaResult, PatchState, Place, Trip,
};
pub use decision::{Contribution, Decision, Demands, Knowledge, Part, Points, Reason};
pub use engine::decide;
pub use expr::CONDITION_BYTES_MAX;
pub use gather::{Ask, Gathered, Origin, gather};
pub use policy::{
    By, CATEGORIES, DECISIONS_MAX, ITEMS_MAX, Language, POLICY_BYTES_MAX, Policy, TTL_SECS_MAX,
};
pub use reading::{Reading, Readings, Value};
pub use site::{
    AddressReputation, Anonymiser, GeoPolicy, Network, NetworkType, Properties, ResourceDemands,
    Sensitivity, Site, SourceClass, UserType,
};
pub use vocabulary::{SIGNALS_MAX, SignalKind, State, TEXT_BYTES_MAX, VALUES_MAX};
