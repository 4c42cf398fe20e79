//! What was last asked of whom, and answered: so that it can be judged again when something changes.

use super::desk::{Fresh, Keep, REPEAT_MS};
use super::record::{OPENED, Previous};
use super::wire::Question;
use schema::{Entity, EntityKind, Timestamp};
use serde_json::{Map, Value as Json};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::mem::take;
use std::sync::Arc;

/// Sessions remembered per tenant; the one that was silent for longest is forgotten first. About
/// 2 KiB each.
const SESSIONS_MAX: usize = 10_000;

/// Actions on resources remembered of one session.
const OUTCOMES_MAX: usize = 8;

/// First permissions written down per tenant and day. A week of them, which a replay looks at, leaves
/// 30,000 of the 100,000 records that are kept to refusals and changes.
const OPENED_MAX: usize = 10_000;

/// Refusals of one session written down in a minute: who walks from path to path is on record without
/// filling it. What lies beyond is counted in the next one's `repeats`.
const REFUSED_MAX: u32 = 60;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Default)]
pub struct Recent {
    sessions: HashMap<Arc<str>, Last>,
    /// Sessions by when they were last asked about.
    order: BTreeMap<u64, Arc<str>>,
    /// Sessions by whom their latest question is about.
    about: HashMap<Entity, BTreeSet<Arc<str>>>,
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
    /// Whose it was found to be.
    account: Option<Box<str>>,
    pub entities: Vec<Entity>,
    /// Newest last.
    outcomes: Vec<Outcome>,
    refused: Refused,
}

/// How much of a session's refusals was written down lately.
#[derive(Debug, Clone, Copy, Default)]
struct Refused {
    since: Timestamp,
    kept: u32,
    left_out: u64,
}

impl Refused {
    /// How many were left out before this one, if it is to be written down.
    fn next(&mut self, at: Timestamp) -> Option<u64> {
        if at - self.since >= REPEAT_MS {
            (self.since, self.kept) = (at, 0);
        }
        if self.kept >= REFUSED_MAX {
            self.left_out += 1;
            return None;
        }
        self.kept += 1;
        Some(take(&mut self.left_out))
    }
}

/// What came of one action on one resource.
#[derive(Debug, Clone)]
pub struct Outcome {
    what: u64,
    last: Previous,
    /// When its record was last kept; 0 when it never was.
    recorded: Timestamp,
    repeats: u64,
}

/// An action on a resource, as a number: only ever compared within this process.
pub(super) fn what(question: &Question) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&question.action, &question.resource.kind, &question.resource.id).hash(&mut hasher);
    for properties in [&question.action_properties, &question.resource.properties] {
        properties.len().hash(&mut hasher);
        mix(properties, &mut hasher);
    }
    hasher.finish()
}

fn mix(properties: &Map<String, Json>, hasher: &mut DefaultHasher) {
    for (name, value) in properties {
        match value {
            Json::String(text) => (name, 0, text).hash(hasher),
            other => (name, 1, other.to_string()).hash(hasher),
        }
    }
}

impl Outcome {
    pub(super) fn of(what: u64, fresh: &Fresh, is_kept: bool) -> Outcome {
        Outcome {
            what,
            last: Previous {
                id: fresh.id,
                time: fresh.time,
                score: fresh.decision.score,
                permit: fresh.permit,
                decisions: fresh.decision.decisions.clone(),
            },
            recorded: if is_kept { fresh.time } else { 0 },
            repeats: 0,
        }
    }

    pub(super) fn previous(&self) -> Previous {
        self.last.clone()
    }

    /// Whether the session stands as it stood.
    pub(super) fn is_alike(&self, fresh: &Fresh) -> bool {
        self.last.permit == fresh.permit && self.last.decisions == fresh.decision.decisions
    }
}

impl Last {
    pub(super) fn outcome_mut(&mut self, what: u64) -> Option<&mut Outcome> {
        self.outcomes.iter_mut().find(|outcome| outcome.what == what)
    }

    /// Whether this is about the same entities as the question before.
    fn is_about_same(&self, question: &Question, account: Option<&str>) -> bool {
        self.question.subject == question.subject
            && self.question.context.address == question.context.address
            && self.account.as_deref() == account
    }

    /// Remembers the outcome of what was asked now; why to keep its record, if so. `is_opening`: a
    /// permission that is not on record today.
    fn note(&mut self, what: u64, fresh: &Fresh, is_opening: bool) -> Option<Keep> {
        let Some(known) = self.outcomes.iter_mut().find(|outcome| outcome.what == what) else {
            let keep = match (fresh.permit, is_opening) {
                (false, _) => self.refused.next(fresh.time).map(|left_out| Keep {
                    code: "refused",
                    repeats: left_out,
                    previous: None,
                }),
                (true, true) => Some(Keep { code: OPENED, repeats: 0, previous: None }),
                (true, false) => None,
            };
            self.put(Outcome::of(what, fresh, keep.is_some()));
            return keep;
        };
        let is_due = fresh.time - known.recorded >= REPEAT_MS;
        let code = match (known.is_alike(fresh), fresh.permit) {
            (false, _) => Some("changed"),
            (true, false) if is_due => Some("refused"),
            (true, true) if is_opening => Some(OPENED),
            _ => None,
        };
        let left_out = match code {
            Some("refused") => self.refused.next(fresh.time),
            _ => Some(0),
        };
        let Some((code, left_out)) = code.zip(left_out) else {
            known.last.id = fresh.id;
            known.last.time = fresh.time;
            known.last.score = fresh.decision.score;
            known.repeats += 1;
            return None;
        };
        // An opening is no turn: whoever looks for those finds none in it.
        let previous = (code != OPENED).then(|| known.previous());
        let repeats = known.repeats + left_out;
        *known = Outcome::of(what, fresh, true);
        Some(Keep { code, repeats, previous })
    }

    fn put(&mut self, outcome: Outcome) {
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
struct Opening(u64);

impl Recent {
    /// What a permission opens, when that is not on record today and there is room for it.
    fn opening(&mut self, session: &str, question: &Question, at: Timestamp) -> Option<Opening> {
        let day = at.div_euclid(DAY_MS);
        if self.opened.day != day {
            self.opened = Opened { day, keys: HashSet::new() };
        }
        let mut hasher = DefaultHasher::new();
        let resource = (&question.resource.kind, &question.resource.id);
        (session, &question.action, resource).hash(&mut hasher);
        let key = hasher.finish();
        let is_new = self.opened.keys.len() < OPENED_MAX && !self.opened.keys.contains(&key);
        is_new.then_some(Opening(key))
    }

    /// It is on record now.
    fn opened(&mut self, opening: Opening) {
        self.opened.keys.insert(opening.0);
    }

    /// Remembers a question and what came of it; why to keep its record, if so.
    pub(super) fn note(
        &mut self,
        session: &str,
        question: Question,
        fresh: &Fresh,
    ) -> Option<Keep> {
        let what = what(&question);
        let opening =
            if fresh.permit { self.opening(session, &question, fresh.time) } else { None };
        self.tick += 1;
        let (tick, account) = (self.tick, fresh.account.as_deref());
        let known = self.sessions.get_mut(session);
        let keep = match known.filter(|last| last.is_about_same(&question, account)) {
            // Most ask again as they asked before: who is whom stays as it is.
            Some(last) => {
                if let Some(name) = self.order.remove(&last.tick) {
                    self.order.insert(tick, name);
                }
                last.tick = tick;
                last.question = question;
                last.note(what, fresh, opening.is_some())
            }
            None => self.renew(session, question, account).note(what, fresh, opening.is_some()),
        };
        if let (Some(opening), Some(_)) = (opening, &keep) {
            self.opened(opening);
        }
        keep
    }

    /// The session's memory, with this as its latest question; `account` is whose it was found to be.
    fn renew(&mut self, session: &str, question: Question, account: Option<&str>) -> &mut Last {
        let tick = self.tick;
        let mut entities = entities_of(&question);
        if let Some(account) = account {
            let account = Entity::new(EntityKind::Account, account);
            if !entities.contains(&account) {
                entities.push(account);
            }
        }
        let (outcomes, refused) = match self.forget(session) {
            Some(known) => (known.outcomes, known.refused),
            None => {
                if self.sessions.len() >= SESSIONS_MAX
                    && let Some(oldest) = self.order.values().next().cloned()
                {
                    self.forget(&oldest);
                }
                Default::default()
            }
        };
        let name: Arc<str> = session.into();
        self.order.insert(tick, Arc::clone(&name));
        for entity in &entities {
            self.about.entry(entity.clone()).or_default().insert(Arc::clone(&name));
        }
        let last =
            Last { tick, question, account: account.map(Box::from), entities, outcomes, refused };
        self.sessions.entry(name).insert_entry(last).into_mut()
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

    /// Sessions that are, or use, one of `about`; all of them for `None`.
    pub(super) fn concerned(&self, about: Option<&[Entity]>) -> BTreeSet<Arc<str>> {
        match about {
            None => self.order.values().cloned().collect(),
            Some(about) => {
                about.iter().filter_map(|e| self.about.get(e)).flatten().cloned().collect()
            }
        }
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
        let site = "grants: [{subjects: [kim], actions: [GET], resources: ['route:*']}]";
        let evidence = Evidence::new(parse_site(site).unwrap(), None);
        let desk = Desk::new("default".parse().unwrap(), rules, evidence, NOW);
        let text = r#"{"subject":{"type":"session","id":"s","properties":{"account":"kim"}},
            "action":{"name":"GET"},"resource":{"type":"route","id":"shop/GET /"}}"#;
        let question = parse::<Asked>(text.as_bytes()).unwrap().question().unwrap();
        let of = |session: usize| {
            let mut question = question.clone();
            question.subject.id = session.to_string();
            question
        };
        let kept = |session, at| desk.judge(of(session), at).unwrap().record.is_some();
        let mut forbidden = of(0);
        forbidden.action = "DELETE".to_owned();
        let refused = desk.judge(forbidden, NOW).unwrap();
        assert!(!refused.answer.decision && refused.record.is_some());
        assert!(desk.recent().opened.keys.is_empty(), "a refusal opens nothing");
        assert_eq!((0..=OPENED_MAX).filter(|session| kept(*session, NOW)).count(), OPENED_MAX);
        assert!(kept(OPENED_MAX, NOW + DAY_MS), "a new day");
    }

    #[test]
    fn who_walks_from_path_to_path_fills_no_records() {
        let rules: Rules = parse_policy("", PROFILE_DEFAULT).unwrap();
        let evidence = Evidence::new(parse_site("grants: []").unwrap(), None);
        let desk = Desk::new("default".parse().unwrap(), rules, evidence, NOW);
        let ask = |session: &str, path: u32, at| {
            let text = format!(
                r#"{{"subject":{{"type":"session","id":"{session}"}},"action":{{"name":"GET"}},
                    "resource":{{"type":"route","id":"shop/GET /{path}"}}}}"#
            );
            let question = parse::<Asked>(text.as_bytes()).unwrap().question().unwrap();
            let judged = desk.judge(question, at).unwrap();
            assert!(!judged.answer.decision);
            judged.record
        };
        let walked = (0..1000).filter(|path| ask("s", *path, NOW).is_some()).count();
        assert_eq!(walked, REFUSED_MAX as usize);
        assert!(ask("other", 1, NOW).is_some(), "each has its own");
        let later = ask("s", 1000, NOW + REPEAT_MS).unwrap();
        assert_eq!(later.repeats, u64::from(1000 - REFUSED_MAX), "nothing goes uncounted");
    }

    #[test]
    fn who_is_concerned_follows_the_latest_question() {
        let rules: Rules = parse_policy("", PROFILE_DEFAULT).unwrap();
        let evidence = Evidence::new(parse_site("").unwrap(), None);
        let desk = Desk::new("default".parse().unwrap(), rules, evidence, NOW);
        let ask = |account: &str, device: &str, address: &str| {
            let text = format!(
                r#"{{"subject":{{"type":"session","id":"s","properties":{{"account":"{account}","device":"{device}"}}}},
                    "action":{{"name":"GET"}},"resource":{{"type":"route","id":"shop/GET /"}},
                    "context":{{"address":"{address}"}}}}"#
            );
            let question = parse::<Asked>(text.as_bytes()).unwrap().question().unwrap();
            desk.judge(question, NOW).unwrap();
        };
        let concerned = |kind, value: &str| {
            let about = [Entity::new(kind, value)];
            !desk.recent().concerned(Some(&about)).is_empty()
        };
        ask("kim", "laptop", "10.0.0.1");
        ask("kim", "laptop", "10.0.0.1");
        assert!(concerned(EntityKind::Account, "kim") && concerned(EntityKind::Device, "laptop"));
        ask("kim", "phone", "10.0.0.1");
        assert!(!concerned(EntityKind::Device, "laptop") && concerned(EntityKind::Device, "phone"));
        ask("lee", "phone", "10.0.0.2");
        assert!(!concerned(EntityKind::Account, "kim") && concerned(EntityKind::Account, "lee"));
        assert!(!concerned(EntityKind::Address, "10.0.0.1"));
        assert!(concerned(EntityKind::Address, "10.0.0.2") && desk.sessions() == 1);
    }
}
