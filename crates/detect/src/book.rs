//! Findings that may still grow, and the events behind suspicions.
//!
//! The promise to those who read findings: for one rule and entity there is at most one new finding per
//! refire time; while it lasts it comes again, under the same id, only when it has become graver, surer,
//! twice as big, known in its outcome, or names a new account or credential.

use crate::hash::Key;
use crate::rules::Rule;
use crate::table::Table;
use schema::{
    AttackRef, Confidence, Entity, EntityKind, Event, Finding, OutcomeResult, Severity, Timestamp,
};
use std::collections::VecDeque;
use uuid::Uuid;

/// Entities a finding names.
///
/// Enough for the sources of a small swarm and the accounts it opened.
pub(crate) const ENTITIES_MAX: usize = 96;

/// The events behind something that may become a finding, and who else took part; the latest ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    events: VecDeque<(Timestamp, Uuid)>,
    /// Events cited that are no longer, or never were, in `events`.
    beyond: u64,
    last: Timestamp,
    others: Vec<(Timestamp, Entity)>,
}

impl Trail {
    pub(crate) fn cite(&mut self, event: &Event) {
        self.cite_id(event.time, event.id);
    }

    pub(crate) fn cite_id(&mut self, time: Timestamp, id: Uuid) {
        if self.events.iter().any(|(_, known)| *known == id) {
            return;
        }
        self.last = self.last.max(time);
        if self.events.len() >= Finding::EVIDENCE_MAX {
            self.events.pop_front();
            self.beyond += 1;
        }
        // Late ones take their place, so that evidence is in the order of events.
        let place =
            self.events.iter().rposition(|(known, _)| *known <= time).map_or(0, |at| at + 1);
        self.events.insert(place, (time, id));
    }

    /// Names one more who took part, at most `max` of its kind.
    pub(crate) fn name(
        &mut self,
        time: Timestamp,
        kind: EntityKind,
        value: Option<&str>,
        max: usize,
    ) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        if let Some(known) =
            self.others.iter_mut().find(|(_, other)| other.kind == kind && other.value == value)
        {
            known.0 = known.0.max(time);
        } else if self.others.iter().filter(|(_, other)| other.kind == kind).count() < max {
            self.others.push((time, Entity::new(kind, value)));
        }
    }

    /// Takes a name back: who it is turned out to have had no part in this.
    pub(crate) fn unname(&mut self, kind: EntityKind, value: Option<&str>) {
        let Some(value) = value else { return };
        self.others.retain(|(_, other)| other.kind != kind || other.value != value);
    }

    /// Forgets what happened before `horizon`: an old slip is no evidence of today's attack.
    fn forget_before(&mut self, horizon: Timestamp) {
        while self.events.front().is_some_and(|(time, _)| *time < horizon) {
            self.events.pop_front();
            self.beyond = 0;
        }
        self.others.retain(|(time, _)| *time >= horizon);
    }

    pub(crate) fn total(&self) -> u64 {
        self.events.len() as u64 + self.beyond
    }

    fn first(&self) -> Option<Timestamp> {
        self.events.front().map(|(time, _)| *time)
    }

    /// Who took part, in the order they came.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Entity> {
        self.others.iter().map(|(_, entity)| entity)
    }

    pub(crate) fn count_of(&self, kind: EntityKind) -> usize {
        self.others().filter(|other| other.kind == kind).count()
    }

    /// Puts those of `kind` first.
    pub(crate) fn put_first(&mut self, kind: EntityKind) {
        self.others.sort_by_key(|(_, other)| other.kind != kind);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.events.capacity() * 24
            + self
                .others
                .iter()
                .map(|(_, other)| size_of::<(Timestamp, Entity)>() + other.value.len())
                .sum::<usize>()
    }
}

/// What a rule has to say.
pub(crate) struct Draft {
    pub(crate) rule: Rule,
    /// Whom the rule speaks of: with the rule and the time this makes the id.
    pub(crate) subject: Entity,
    pub(crate) key: Key,
    pub(crate) time: Timestamp,
    pub(crate) severity: Severity,
    pub(crate) confidence: Confidence,
    pub(crate) outcome: OutcomeResult,
    pub(crate) reason: Option<&'static str>,
    pub(crate) entities: Vec<Entity>,
    pub(crate) site: Option<String>,
    pub(crate) attack: Vec<AttackRef>,
    pub(crate) numbers: Vec<(&'static str, f64)>,
    /// The number that grows with the attack.
    pub(crate) magnitude: f64,
    pub(crate) trail: Trail,
}

impl Draft {
    /// A draft about `subject`, as `event` made it.
    pub(crate) fn new(rule: Rule, subject: Entity, key: Key, event: &Event) -> Draft {
        Draft {
            rule,
            entities: vec![subject.clone()],
            subject,
            key,
            time: event.time,
            severity: Severity::Low,
            confidence: 30,
            outcome: OutcomeResult::Unknown,
            reason: None,
            site: event.site.clone(),
            attack: Vec::new(),
            numbers: Vec::new(),
            magnitude: 1.0,
            trail: Trail::default(),
        }
    }

    pub(crate) fn attack(&mut self, pairs: &[(&str, &str)]) {
        self.attack
            .extend(pairs.iter().map(|(tactic, technique)| AttackRef::new(tactic, technique)));
    }

    pub(crate) fn involve(&mut self, kind: EntityKind, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            push_entity(&mut self.entities, Entity::new(kind, value));
        }
    }

    /// Everyone `event` names.
    pub(crate) fn involve_all(&mut self, event: &Event) {
        for kind in EntityKind::ALL {
            self.involve(kind, event.entity(kind));
        }
    }
}

fn push_entity(entities: &mut Vec<Entity>, entity: Entity) -> bool {
    let new = entities.len() < ENTITIES_MAX && !entities.contains(&entity);
    if new {
        entities.push(entity);
    }
    new
}

struct Open {
    finding: Finding,
    magnitude: f64,
    reported: f64,
    told_confidence: Confidence,
    /// Grown since it was last told.
    grown: bool,
}

pub(crate) struct Book {
    trails: Table<Trail>,
    open: Table<Option<Open>>,
    refire_ms: i64,
}

impl Book {
    pub(crate) fn new(trails: usize, findings: usize, refire_secs: u32) -> Self {
        Book {
            trails: Table::new(trails),
            open: Table::new(findings),
            refire_ms: i64::from(refire_secs.max(1)) * 1000,
        }
    }

    /// The trail of `rule` and `key`, without what is older than `memory_secs` before `time`.
    pub(crate) fn trail(
        &mut self,
        rule: Rule,
        key: Key,
        time: Timestamp,
        memory_secs: u32,
    ) -> &mut Trail {
        let trail = self.trails.touch(crate::hash::pair(rule as u64 + 1, key), Trail::default);
        trail.forget_before(time - i64::from(memory_secs) * 1000);
        trail
    }

    pub(crate) fn known_trail(&self, rule: Rule, key: Key) -> Option<&Trail> {
        self.trails.get(crate::hash::pair(rule as u64 + 1, key))
    }

    /// Whether a finding of `rule` about `key` is under way at `time`.
    pub(crate) fn is_open(&self, rule: Rule, key: Key, time: Timestamp) -> bool {
        matches!(self.open.get(crate::hash::pair(rule as u64 + 1, key)),
            Some(Some(open)) if (time - open.finding.last_seen).abs() <= self.refire_ms)
    }

    /// Takes a draft; gives the finding to tell, if there is something to tell.
    pub(crate) fn report(&mut self, draft: Draft) -> Option<Finding> {
        let place = self.open.touch(crate::hash::pair(draft.rule as u64 + 1, draft.key), || None);
        match place {
            Some(open) if (draft.time - open.finding.last_seen).abs() <= self.refire_ms => {
                open.grow(draft)
            }
            _ => {
                let window_start = draft.time.div_euclid(self.refire_ms) * self.refire_ms;
                let id = Finding::id_for(draft.rule.name(), &draft.subject, window_start);
                let magnitude = draft.magnitude;
                let finding = Finding {
                    id,
                    rule: draft.rule.name().to_owned(),
                    rule_version: draft.rule.version(),
                    analytic: None,
                    time: draft.time,
                    first_seen: draft.trail.first().unwrap_or(draft.time).min(draft.time),
                    last_seen: draft.time.max(draft.trail.last),
                    severity: draft.severity,
                    confidence: draft.confidence.min(100),
                    entities: Vec::new(),
                    site: draft.site,
                    outcome: draft.outcome,
                    outcome_reason: draft.reason.map(str::to_owned),
                    attack: draft.attack,
                    evidence: draft.trail.events.iter().map(|(_, id)| *id).collect(),
                    evidence_total: draft.trail.total(),
                    numbers: draft
                        .numbers
                        .into_iter()
                        .map(|(name, number)| (name.to_owned(), number))
                        .collect(),
                };
                let mut finding = finding;
                for entity in draft
                    .entities
                    .into_iter()
                    .chain(draft.trail.others.into_iter().map(|(_, other)| other))
                {
                    push_entity(&mut finding.entities, entity);
                }
                *place = Some(Open {
                    magnitude,
                    reported: magnitude,
                    told_confidence: finding.confidence,
                    grown: false,
                    finding: finding.clone(),
                });
                Some(finding)
            }
        }
    }

    /// Findings that ended before `quiet_before` and had grown since they were last told; the last word on each.
    pub(crate) fn close(&mut self, quiet_before: Timestamp) -> Vec<Finding> {
        let mut told = Vec::new();
        self.open.for_each_mut(|place| {
            if place.as_ref().is_some_and(|open| open.finding.last_seen < quiet_before)
                && let Some(open) = place.take()
                && open.grown
            {
                told.push(open.finding);
            }
        });
        told.sort_by_key(|finding| (finding.time, finding.id));
        told
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.trails.evicted() + self.open.evicted()
    }

    pub(crate) fn bytes(&mut self) -> usize {
        let mut heap = 0;
        self.trails.for_each_mut(|trail| heap += trail.heap_bytes());
        self.open.for_each_mut(|open| heap += if open.is_some() { 2_048 } else { 0 });
        self.trails.bytes() + self.open.bytes() + heap
    }
}

impl Open {
    fn grow(&mut self, draft: Draft) -> Option<Finding> {
        let finding = &mut self.finding;
        let mut worth_telling = draft.severity > finding.severity
            || draft.confidence >= self.told_confidence.saturating_add(10)
            || (draft.outcome == OutcomeResult::Success
                && finding.outcome != OutcomeResult::Success)
            || (draft.outcome != OutcomeResult::Unknown
                && finding.outcome == OutcomeResult::Unknown);
        finding.severity = finding.severity.max(draft.severity);
        finding.confidence = finding.confidence.max(draft.confidence.min(100));
        // What came about once stays so.
        if finding.outcome != OutcomeResult::Success && draft.outcome != OutcomeResult::Unknown {
            finding.outcome = draft.outcome;
            finding.outcome_reason =
                draft.reason.map(str::to_owned).or(finding.outcome_reason.take());
        }
        if let Some(first) = draft.trail.first() {
            finding.first_seen = finding.first_seen.min(first);
        }
        finding.last_seen = finding.last_seen.max(draft.time).max(draft.trail.last);
        for entity in draft.entities.iter().chain(draft.trail.others()) {
            let telling = matches!(entity.kind, EntityKind::Account | EntityKind::Credential);
            worth_telling |= push_entity(&mut finding.entities, entity.clone()) && telling;
        }
        for reference in draft.attack {
            if !finding.attack.contains(&reference) {
                // Another technique is another stage.
                worth_telling = true;
                finding.attack.push(reference);
            }
        }
        finding.evidence_total = finding.evidence_total.max(draft.trail.total());
        for (_, id) in &draft.trail.events {
            if finding.evidence.len() < Finding::EVIDENCE_MAX && !finding.evidence.contains(id) {
                finding.evidence.push(*id);
            }
        }
        for (name, number) in draft.numbers {
            let kept = finding.numbers.entry(name.to_owned()).or_insert(number);
            *kept = kept.max(number);
        }
        self.magnitude = self.magnitude.max(draft.magnitude);
        if worth_telling || self.magnitude >= 2.0 * self.reported {
            self.reported = self.magnitude;
            self.told_confidence = finding.confidence;
            self.grown = false;
            return Some(finding.clone());
        }
        self.grown = true;
        None
    }
}
