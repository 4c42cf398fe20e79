//! What came of an inspection, on its way to the record.

use super::log::LogFile;
use inspect::SetOutcome;
use seclang::Match;
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
