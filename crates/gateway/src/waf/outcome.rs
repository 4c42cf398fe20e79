//! What came of an inspection, on its way to the record.

use super::load::Rules;
use super::log::LogFile;
use crate::config::Stage;
use seclang::{Limit, Match, Phase};
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Of one exchange. As it was found: [`crate::evidence`] protects it before it goes anywhere.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The event's id, which a blocked visitor was told.
    pub id: Uuid,
    /// Which of `sets` blocked it.
    pub blocked: Option<usize>,
    pub sets: Vec<SetOutcome>,
    /// Where the request came in.
    pub server: SocketAddr,
    /// Where ModSecurity's audit log is written, if it is.
    pub audit: Option<Arc<LogFile>>,
}

/// Of one rule set.
#[derive(Debug, Clone)]
pub struct SetOutcome {
    pub rules: Arc<Rules>,
    pub stage: Stage,
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
}

impl SetOutcome {
    /// Whether there is anything to tell.
    pub fn is_quiet(&self) -> bool {
        self.decided.is_none() && self.matches.is_empty() && self.limits.is_empty()
    }
}

impl Outcome {
    /// It was held back because not all of it could be inspected.
    pub fn is_refused(&self) -> bool {
        self.blocked.and_then(|set| self.sets.get(set)).is_some_and(|set| set.refused)
    }

    /// Roughly what it holds in memory.
    pub fn weight(&self) -> usize {
        let of = |found: &Match| {
            size_of::<Match>() + found.message.len() + found.log_data.len() + found.value.len()
        };
        self.sets.iter().flat_map(|set| &set.matches).map(of).sum()
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
