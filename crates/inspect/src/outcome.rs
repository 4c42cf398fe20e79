//! What one rule set has to say of one exchange.

use crate::rules::Rules;
use seclang::{Limit, Match, Phase};
use std::sync::Arc;

/// As it was found: what of it may be written down is for [`crate::entry`] to say.
#[derive(Debug, Clone)]
pub struct SetOutcome {
    pub rules: Arc<Rules>,
    /// `shadow`, `canary` or `enforce`.
    pub stage: &'static str,
    /// Whether it might block this client.
    pub enforced: bool,
    /// The rule that decided, and when: it blocked, or would have.
    pub decided: Option<(u64, Phase)>,
    pub inbound_score: Option<i64>,
    pub outbound_score: Option<i64>,
    pub inbound_threshold: Option<i64>,
    pub outbound_threshold: Option<i64>,
    pub matches: Vec<Match>,
    pub matches_dropped: u64,
    /// Codes of what was not looked at, and why.
    pub limits: Vec<&'static str>,
    /// It did not end well for want of a limit, and the site wants none let through then.
    pub refused: bool,
    /// Rules ask for an entry in the audit log.
    pub audited: bool,
    /// It comes of a record, after the fact: codes of what the record does not hold ([`crate::Unseen`]).
    pub record: Option<Vec<&'static str>>,
}

impl SetOutcome {
    /// Whether there is nothing to tell.
    pub fn is_quiet(&self) -> bool {
        self.decided.is_none() && self.matches.is_empty() && self.limits.is_empty()
    }
}

/// Permanent codes of limits.
pub fn limit_code(limit: Limit) -> &'static str {
    match limit {
        Limit::RequestBody => "request-body",
        Limit::RequestBodyNoFiles => "request-body-no-files",
        Limit::Arguments => "arguments",
        Limit::Headers => "headers",
        Limit::Cookies => "cookies",
        Limit::Depth => "depth",
        Limit::Elements => "elements",
        Limit::Parts => "parts",
        Limit::Files => "files",
        Limit::ResponseBody => "response-body",
        Limit::Matches => "matches",
        Limit::Variables => "variables",
        Limit::Work => "work",
    }
}
