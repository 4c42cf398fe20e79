//! One finding for a rule and whom it speaks of, however often it fires.
//!
//! The same promise as the detector's: at most one new finding per refire time; while it lasts it comes again, under
//! the same id, only when there is twice as much of it, its outcome became known, or it names a new account or credential.

use super::finding::staged;
use schema::{Entity, EntityKind, Event, Finding, OutcomeResult, Stage, Timestamp, id_from_seed};
use std::collections::{BTreeMap, BTreeSet};

/// Entities a finding names.
pub(super) const ENTITIES_MAX: usize = 96;
/// Findings under way; over that the one that was quiet longest gets its last word early.
const OPEN_MAX: usize = 50_000;

/// What a rule found in one stage does not grow in another: a change holds for the next event.
type Key = (String, Stage, Option<Entity>);

struct Open {
    finding: Finding,
    /// Events when it was last told.
    told: u64,
    /// An exception stood between: the next one is a new finding.
    is_quieted: bool,
}

pub(super) struct Groups {
    open: BTreeMap<Key, Open>,
    by_age: BTreeSet<(Timestamp, Key)>,
    refire_ms: i64,
}

impl Groups {
    pub(super) fn new(refire_ms: i64) -> Groups {
        Groups { open: BTreeMap::new(), by_age: BTreeSet::new(), refire_ms }
    }

    pub(super) fn refire_ms(&self) -> i64 {
        self.refire_ms
    }

    /// Takes a draft whose id is not set yet; gives the finding to tell, if there is something to tell.
    pub(super) fn report(&mut self, draft: Finding, event: &Event) -> Option<Finding> {
        let key = (draft.rule.clone(), draft.stage(), draft.primary().cloned());
        let mut is_quieted = false;
        if let Some(open) = self.open.get_mut(&key) {
            is_quieted = open.is_quieted;
            let is_near = (event.time - open.finding.last_seen).abs() <= self.refire_ms;
            if is_near && !is_quieted {
                self.by_age.remove(&(open.finding.last_seen, key.clone()));
                let told = open.grow(draft, event);
                self.by_age.insert((open.finding.last_seen, key));
                return told;
            }
            self.by_age.remove(&(open.finding.last_seen, key.clone()));
        }
        let window = match is_quieted {
            true => event.time,
            false => event.time.div_euclid(self.refire_ms) * self.refire_ms,
        };
        let mut finding = draft;
        let rule = staged(&finding.rule, finding.stage());
        finding.id = match finding.primary() {
            Some(entity) => Finding::id_for(&rule, entity, window),
            None => {
                let seed = format!("finding\0{rule}\0\0{window}");
                id_from_seed(window, seed.as_bytes())
            }
        };
        let open = Open { finding: finding.clone(), told: 1, is_quieted: false };
        self.by_age.insert((finding.last_seen, key.clone()));
        self.open.insert(key, open);
        while self.open.len() > OPEN_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.open.remove(&oldest);
        }
        Some(finding)
    }

    /// An exception held: what was under way is over.
    pub(super) fn quiet(&mut self, rule: &str, stage: Stage, entity: Option<&Entity>) {
        if let Some(open) = self.open.get_mut(&(rule.to_owned(), stage, entity.cloned())) {
            open.is_quieted = true;
        }
    }

    /// Gives up what is under way in a stage where `may` says no: its last word would still be acted upon.
    pub(super) fn retain(&mut self, may: impl Fn(&str, Stage) -> bool) {
        self.open.retain(|(rule, stage, _), _| may(rule, *stage));
        self.by_age.retain(|(_, (rule, stage, _))| may(rule, *stage));
    }

    /// The last word on findings that were quiet for the refire time and had grown since they were told.
    pub(super) fn close(&mut self, now: Timestamp) -> Vec<Finding> {
        let until = now.saturating_sub(self.refire_ms);
        let mut told = Vec::new();
        while self.by_age.first().is_some_and(|(last, _)| *last < until)
            && let Some((_, key)) = self.by_age.pop_first()
        {
            let open = self.open.remove(&key);
            told.extend(
                open.filter(|open| open.finding.evidence_total > open.told)
                    .map(|open| open.finding),
            );
        }
        told
    }
}

impl Open {
    fn grow(&mut self, draft: Finding, event: &Event) -> Option<Finding> {
        let finding = &mut self.finding;
        if finding.evidence.contains(&event.id) {
            return None;
        }
        let is_known_now =
            draft.outcome != OutcomeResult::Unknown && finding.outcome == OutcomeResult::Unknown;
        let is_success_now =
            draft.outcome == OutcomeResult::Success && finding.outcome != OutcomeResult::Success;
        let mut is_news = is_known_now || is_success_now;
        if is_news {
            finding.outcome = draft.outcome;
            finding.outcome_reason = draft.outcome_reason;
        }
        for entity in draft.entities {
            if finding.entities.len() < ENTITIES_MAX && !finding.entities.contains(&entity) {
                is_news |= matches!(entity.kind, EntityKind::Account | EntityKind::Credential);
                finding.entities.push(entity);
            }
        }
        finding.cite(event);
        finding.numbers.insert("events".to_owned(), finding.evidence_total as f64);
        is_news |= finding.evidence_total >= self.told.saturating_mul(2);
        is_news.then(|| {
            self.told = self.finding.evidence_total;
            self.finding.clone()
        })
    }
}
