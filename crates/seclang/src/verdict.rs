//! What came of a transaction: which rules matched, on what, and what is to be done.

use crate::place::Place;
use crate::rule::{Phase, Severity};
use crate::transform::Transformation;
use std::sync::Arc;

/// What the rules want done with the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    pub rule: u64,
    pub phase: Phase,
    pub deed: Interrupt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupt {
    Deny {
        status: u16,
    },
    /// Close the connection.
    Drop,
    Redirect {
        status: u16,
        location: Vec<u8>,
    },
}

/// A rule that matched and wants to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub rule: u64,
    pub place: Place,
    pub phase: Phase,
    pub message: Vec<u8>,
    pub log_data: Vec<u8>,
    pub severity: Option<Severity>,
    pub tags: Vec<Arc<[u8]>>,
    /// The variable that matched last: `ARGS:q`.
    pub variable: Vec<u8>,
    /// What it held after the transformations, up to [`VALUE_BYTES_MAX`].
    pub value: Vec<u8>,
    pub transformations: Vec<Transformation>,
    /// The test, as written in the rule.
    pub test: String,
    /// The rule says `log`: it belongs into the error log; else it is for the audit log only.
    pub logged: bool,
    pub audited: bool,
    /// The rule would interrupt (and did, unless the engine only detects).
    pub disruptive: bool,
}

/// How much of a matched value a [`Match`] keeps.
pub const VALUE_BYTES_MAX: usize = 512;

/// The most matches that are kept of one transaction; [`Verdict::matches_dropped`] counts the others.
pub const MATCHES_MAX: usize = 1_000;

/// A limit that was reached: what was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    RequestBody,
    RequestBodyNoFiles,
    /// `SecArgumentsLimit`, of a request or of an answer; or what their names may take.
    Arguments,
    /// [`crate::HEADERS_MAX`].
    Headers,
    /// [`crate::COOKIES_MAX`]: those behind are looked at as one.
    Cookies,
    /// JSON or XML within itself: `SecRequestBodyJsonDepthLimit`, [`crate::XML_DEPTH_MAX`].
    Depth,
    /// [`crate::XML_ELEMENTS_MAX`], [`crate::XML_ATTRIBUTES_MAX`], [`crate::XML_VALUES_MAX`], or what a path selects is
    /// several times the document.
    Elements,
    /// [`crate::PARTS_MAX`], [`crate::PART_HEADERS_MAX`], or the length of a part's header.
    Parts,
    /// `SecUploadFileLimit`.
    Files,
    ResponseBody,
    Matches,
    /// [`crate::VARS_MAX`], or [`crate::EXPANDED_BYTES_MAX`] in one of them.
    Variables,
    /// [`crate::WORK_MAX`]: no more rules were confirmed. Or what transformations made did not fit, a test gave up
    /// before its end, a pattern made of a request is none.
    Work,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub interruption: Option<Interruption>,
    /// What would have been done, had the engine not been told to detect only.
    pub would: Option<Interruption>,
    pub matches: Vec<Match>,
    pub matches_dropped: u64,
    pub limits: Vec<Limit>,
    /// An audit log entry is asked for: by rules, `SecAuditEngine` or `ctl:auditEngine`.
    pub audit: bool,
}
