//! ModSecurity's rule language: rules and a parsed request and response in, a verdict with reasons out.
//!
//! Pure: no clock, no files, no network. Semantics are those of ModSecurity v3 (libmodsecurity), as its
//! reference manual and OWASP CRS expect them.

mod bag;
mod body;
mod byteset;
mod engine;
pub mod exam;
mod explain;
mod fuzz;
mod input;
mod load;
mod log_line;
mod operator;
mod parse;
mod place;
mod request;
mod rule;
mod ruleset;
mod text;
mod transform;
mod variable;
mod verdict;

pub use bag::Bag;
pub use body::multipart::{PART_HEADERS_MAX, PARTS_MAX};
pub use body::xml::{XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX, XML_VALUES_MAX};
pub use engine::{
    EXPANDED_BYTES_MAX, Engine, HEADERS_MAX, Memory, NoMemory, Overrides, Record, Transaction,
    VARS_MAX, Vars, WORK_MAX, Without,
};
pub use explain::{Condition, Explanation, explain};
pub use fuzz::{
    fuzz_events, fuzz_json, fuzz_multipart, fuzz_operator, fuzz_sqli, fuzz_transform,
    fuzz_urlencoded, fuzz_xml, fuzz_xss,
};
pub use input::{Connection, RequestHead, ResponseHead};
pub use load::{FILE_BYTES_MAX, FILES_MAX, Files, load};
pub use operator::sqli::{Fingerprint, sqli};
pub use operator::xss::is_xss;
pub use place::{Diagnostic, Place};
pub use request::COOKIES_MAX;
pub use rule::{EngineMode, Link, Phase, Piece, Rule, Severity, Text};
pub use ruleset::{RuleSet, Settings};
pub use transform::Transformation;
pub use variable::Collection;
pub use verdict::{Interrupt, Interruption, Limit, MATCHES_MAX, Match, VALUE_BYTES_MAX, Verdict};
