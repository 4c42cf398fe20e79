//! Response policies as data, the reversible ladder, blast radius and connectors.
//!
//! The core is pure: findings, policies, actions and the time go in, actions come out. Only
//! [`connectors`] talks to anybody. `docs/response.md` tells what is guaranteed.

mod blast;
#[cfg(feature = "connectors")]
pub mod connectors;
mod decide;
mod duration;
mod glob;
mod hold;
pub mod policy;
mod propose;
mod protected;
mod restrictions;
mod shipped;
mod simulate;
mod transitions;
mod yaml;

pub use blast::{BlastCounter, DISTINCT_MAX, blast_radius};
pub use decide::{ACTION_FINDINGS_MAX, HISTORY_MAX, decide};
pub use glob::Glob;
pub use hold::Hold;
pub use policy::PolicySet;
pub use propose::{Context, Mode, Proposal, ProposalKind, propose};
pub use protected::{NotAnAddress, Protected};
pub use restrictions::{restored_by_undo, restrictions};
pub use shipped::SHIPPED;
pub use simulate::{Difference, compare, expire_due, simulate};
pub use transitions::{
    REASON_CHARS_MAX, Refusal, approve, confirm, expire, extend, fail, note, reapply, reject, undo,
};
