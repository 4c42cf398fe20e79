//! ModSecurity's rule language: rules and a parsed request and response in, a verdict with reasons out.
//!
//! Pure: no clock, no files, no network. Semantics are those of ModSecurity v3 (libmodsecurity), as its
//! reference manual and OWASP CRS expect them.

mod bag;
mod byteset;
mod load;
mod operator;
mod parse;
mod place;
mod rule;
mod ruleset;
mod text;
mod transform;
mod variable;

pub use bag::Bag;
pub use load::{Files, load};
pub use place::{Diagnostic, Place};
pub use ruleset::{RuleSet, Settings};
