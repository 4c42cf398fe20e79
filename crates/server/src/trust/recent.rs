//! What was last asked of whom, and answered: so that it can be judged again when something changes.

use super::record::{Previous, Record};
use super::wire::Question;
use schema::{Entity, EntityKind, Timestamp};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};

/// Sessions remembered per tenant; the one that was silent for longest is forgotten first. About
/// 2 KiB each.
const SESSIONS_MAX: usize = 10_000;

/// Actions on resources remembered of one session.
const OUTCOMES_MAX: usize = 8;

/// First permissions written down per tenant and day. A week of them, which a replay looks at, leaves
/// 30,000 of the 100,000 records that are kept to refusals and changes.
const OPENED_MAX: usize = 10_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Default)]
pub struct Recent {
    sessions: HashMap<String, Last>,
    /// Sessions by when they were last asked about.
    order: BTreeMap<u64, String>,
    /// Sessions by whom their latest question is about.
    about: HashMap<Entity, BTreeSet<String>>,
    tick: u64,
    opened: Opened,
}

/// Which actions on which resources sessions were let in to, and it was written down, this day (UTC).
#[derive(Default)]
struct Opened {
    day: i64,
    keys: HashSet<u64>,
}

#[derive(Debug, Clone)]
pub struct Last {
    tick: u64,
    pub question: Question,
    pub entities: Vec<Entity>,
    /// Newest last.
    outcomes: Vec<Outcome>,
}

/// What came of one action on one resource.
#[derive(Debug, Clone)]
pub struct Outcome {
    what: u64,
    last: Previous,
    /// When its record was last kept; 0 when it never was.
    pub(super) recorded: Timestamp,
    pub(super) repeats: u64,
}

/// An action on a resource, as a number: only ever compared within this process.
pub(super) fn what(question: &Question) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&question.action, &question.resource.kind, &question.resource.id).hash(&mut hasher);
    question.action_properties.len().hash(&mut hasher);
    for properties in [&question.action_properties, &question.resource.properties] {
        for (name, value) in properties {
            (name, value.to_string()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

impl Outcome {
    pub(super) fn of(what: u64, record: &Record, is_kept: bool) -> Outcome {
        Outcome {
            what,
            last: Previous {
                id: record.id,
                time: record.time,
                score: record.decision.score,
                permit: record.permit,
                decisions: record.decision.decisions.iter().map(|d| d.to_string()).collect(),
            },
            recorded: if is_kept { record.time } else { 0 },
            repeats: 0,
        }
    }

    pub(super) fn previous(&self) -> Previous {
        self.last.clone()
    }

    /// Whether the session stands as it stood.
    pub(super) fn is_alike(&self, record: &Record) -> bool {
        self.last.permit == record.permit
            && self.last.decisions.iter().map(String::as_str).eq(record
                .decision
                .decisions
                .iter()
                .map(|decision| &**decision))
    }
}

impl Last {
    pub(super) fn outcome_mut(&mut self, what: u64) -> Option<&mut Outcome> {
        self.outcomes.iter_mut().find(|outcome| outcome.what == what)
    }

    pub(super) fn put(&mut self, outcome: Outcome) {
        if self.outcomes.len() >= OUTCOMES_MAX {
            self.outcomes.remove(0);
        }
        self.outcomes.push(outcome);
    }

    /// The newest answer.
    pub fn newest(&self) -> Option<&Previous> {
        self.outcomes.iter().map(|outcome| &outcome.last).max_by_key(|last| last.time)
    }
}

/// A session at a resource, with an action on it; only ever compared within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening(u64);

impl Recent {
    /// What a permission opens, when that is not on record today and there is room for it.
    pub(super) fn opening(&mut self, record: &Record) -> Option<Opening> {
        if !record.permit {
            return None;
        }
        let day = record.time.div_euclid(DAY_MS);
        if self.opened.day != day {
            self.opened = Opened { day, keys: HashSet::new() };
        }
        let mut hasher = DefaultHasher::new();
        (&record.session, &record.action, &record.resource).hash(&mut hasher);
        let key = hasher.finish();
        let is_new = self.opened.keys.len() < OPENED_MAX && !self.opened.keys.contains(&key);
        is_new.then_some(Opening(key))
    }

    /// It is on record now.
    pub(super) fn opened(&mut self, opening: Opening) {
        self.opened.keys.insert(opening.0);
    }

    /// The session's memory, with this as its latest question; `account` is whose it was found to be.
    pub(super) fn entry(
        &mut self,
        session: String,
        question: Question,
        account: Option<String>,
    ) -> &mut Last {
        self.tick += 1;
        let tick = self.tick;
        let mut entities = entities_of(&question);
        if let Some(account) = account {
            let account = Entity::new(EntityKind::Account, account);
            if !entities.contains(&account) {
                entities.push(account);
            }
        }
        let outcomes = match self.forget(&session) {
            Some(known) => known.outcomes,
            None => {
                if self.sessions.len() >= SESSIONS_MAX
                    && let Some(oldest) = self.order.values().next().cloned()
                {
                    self.forget(&oldest);
                }
                Vec::new()
            }
        };
        self.order.insert(tick, session.clone());
        for entity in &entities {
            self.about.entry(entity.clone()).or_default().insert(session.clone());
        }
        let last = Last { tick, question, entities, outcomes };
        self.sessions.entry(session).insert_entry(last).into_mut()
    }

    fn forget(&mut self, session: &str) -> Option<Last> {
        let last = self.sessions.remove(session)?;
        self.order.remove(&last.tick);
        for entity in &last.entities {
            if let Some(sessions) = self.about.get_mut(entity) {
                sessions.remove(session);
                if sessions.is_empty() {
                    self.about.remove(entity);
                }
            }
        }
        Some(last)
    }

    pub fn get(&self, session: &str) -> Option<&Last> {
        self.sessions.get(session)
    }

    pub(super) fn get_mut(&mut self, session: &str) -> Option<&mut Last> {
        self.sessions.get_mut(session)
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The latest questions of those who are, or use, one of `about`; of everybody for `None`.
    pub(super) fn concerned(&self, about: Option<&[Entity]>) -> Vec<(String, Question)> {
        let names: BTreeSet<&String> = match about {
            None => self.order.values().collect(),
            Some(about) => about.iter().filter_map(|e| self.about.get(e)).flatten().collect(),
        };
        let found = names.into_iter().filter_map(|name| self.sessions.get_key_value(name));
        found.map(|(name, last)| (name.clone(), last.question.clone())).collect()
    }
}

/// Whom a question is about, strongest first: its subject, then what the subject is said to use.
pub fn entities_of(question: &Question) -> Vec<Entity> {
    let mut entities = Vec::new();
    let mut add = |kind: EntityKind, value: &str| {
        let entity = Entity::new(kind, value);
        if !value.is_empty() && !entities.contains(&entity) {
            entities.push(entity);
        }
    };
    if let Some(kind) = entity_kind(&question.subject.kind) {
        add(kind, &question.subject.id);
    }
    for (name, kind) in [
        ("session", EntityKind::Session),
        ("credential", EntityKind::Credential),
        ("account", EntityKind::Account),
        ("device", EntityKind::Device),
    ] {
        if let Some(value) = question.subject.properties.get(name).and_then(|v| v.as_str()) {
            add(kind, value);
        }
    }
    if let Some(address) = &question.context.address {
        add(EntityKind::Address, address);
    }
    entities
}

/// The entity a subject type stands for.
pub fn entity_kind(subject_type: &str) -> Option<EntityKind> {
    Some(match subject_type {
        "session" => EntityKind::Session,
        "user" | "account" | "identity" => EntityKind::Account,
        "credential" | "api_key" | "token" | "client" => EntityKind::Credential,
        "device" => EntityKind::Device,
        "address" => EntityKind::Address,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::desk::Rules;
    use super::super::{Desk, Evidence, PROFILE_DEFAULT, parse_policy, parse_site};
    use super::*;
    use crate::trust::wire::{Asked, parse};

    const NOW: Timestamp = 1_795_000_000_000;

    #[test]
    fn a_flood_of_sessions_does_not_fill_the_records_with_permissions() {
        let rules: Rules = parse_policy("", PROFILE_DEFAULT).unwrap();
        let evidence = Evidence::new(parse_site("").unwrap(), None);
        let desk = Desk::new("default".parse().unwrap(), rules, evidence, NOW);
        let text = r#"{"subject":{"type":"session","id":"s","properties":{"account":"kim"}},
            "action":{"name":"GET"},"resource":{"type":"route","id":"shop/GET /"}}"#;
        let question = parse::<Asked>(text.as_bytes()).unwrap().question().unwrap();
        let mut record = desk.judge(question, NOW).unwrap().record.unwrap();
        let mut recent = Recent::default();
        let mut kept = 0;
        for session in 0..=OPENED_MAX {
            record.session = format!("session:{session}");
            if let Some(opening) = recent.opening(&record) {
                recent.opened(opening);
                kept += 1;
            }
        }
        assert_eq!(kept, OPENED_MAX);
        record.time += DAY_MS;
        assert!(recent.opening(&record).is_some(), "a new day");
        record.permit = false;
        assert!(recent.opening(&record).is_none(), "a refusal opens nothing");
    }
}
