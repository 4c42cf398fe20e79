//! What another policy would have said of accesses that were judged before.

use crate::decision::{Decision, Demands, Points};
use crate::engine::decide;
use crate::policy::Policy;
use crate::reading::Readings;
use schema::Diagnostic;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An access that was judged once: what was known, and what was demanded.
#[derive(Debug, Clone, Deserialize)]
pub struct Judged {
    #[serde(default)]
    pub id: String,
    /// Whom it concerned.
    #[serde(default)]
    pub session: String,
    pub readings: Readings,
    #[serde(default)]
    pub demands: Demands,
    pub decision: Option<Profiled>,
}

/// The profile something was judged by.
#[derive(Debug, Clone, Deserialize)]
pub struct Profiled {
    pub profile: String,
}

/// An access the two policies judge differently.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub id: String,
    pub session: String,
    pub old_score: Points,
    pub new_score: Points,
    pub old_decisions: Vec<Arc<str>>,
    pub new_decisions: Vec<Arc<str>>,
}

/// What came of judging by both.
#[derive(Debug, Default, Serialize)]
pub struct Comparison {
    /// Both could judge these.
    pub judged: usize,
    pub other_score: usize,
    pub other_decision: usize,
    /// Why one of them could not; one for each access.
    pub unreadable: Vec<Diagnostic>,
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Judges one more access by both policies, by `profile` or by the one it was judged by.
    pub fn add(&mut self, old: &Policy, new: &Policy, access: &Judged, profile: Option<&str>) {
        let of = profile.or(access.decision.as_ref().map(|judged| judged.profile.as_str()));
        let judge = |policy: &Policy| -> Result<Decision, Vec<Diagnostic>> {
            let state = policy.state(&access.readings)?;
            let profile = of.and_then(|id| policy.profile(id)).unwrap_or(0);
            Ok(decide(policy, profile, &state, &access.demands))
        };
        match (judge(old), judge(new)) {
            (Ok(before), Ok(after)) => {
                self.judged += 1;
                self.other_score += usize::from(before.score != after.score);
                if before.decisions != after.decisions {
                    self.other_decision += 1;
                    self.changes.push(Change {
                        id: access.id.clone(),
                        session: access.session.clone(),
                        old_score: before.score,
                        new_score: after.score,
                        old_decisions: before.decisions,
                        new_decisions: after.decisions,
                    });
                }
            }
            (before, after) => {
                let why = before.err().into_iter().chain(after.err()).flatten().take(1);
                self.unreadable.extend(why);
            }
        }
    }
}
