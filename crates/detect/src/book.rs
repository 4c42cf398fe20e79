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
use uuid::Uuid;

/// Entities a finding names.
pub(crate) const ENTITIES_MAX: usize = 32;

/// The events behind something that may become a finding, and who else took part.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    pub(crate) events: Vec<Uuid>,
    pub(crate) total: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) others: Vec<Entity>,
}

impl Trail {
    pub(crate) fn cite(&mut self, event: &Event) {
        if self.total == 0 || event.time < self.first {
            self.first = event.time;
        }
        self.last = self.last.max(event.time);
        self.total += 1;
        if self.events.len() < Finding::EVIDENCE_MAX {
            self.events.push(event.id);
        }
    }

    /// Names one more who took part, at most `max` of its kind.
    pub(crate) fn name(&mut self, kind: EntityKind, value: Option<&str>, max: usize) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        let same = |other: &&Entity| other.kind == kind;
        if !self.others.iter().any(|other| other.kind == kind && other.value == value)
            && self.others.iter().filter(same).count() < max
        {
            self.others.push(Entity::new(kind, value));
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.events.capacity() * 16
            + self.others.iter().map(|other| size_of::<Entity>() + other.value.len()).sum::<usize>()
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

    /// The trail of `rule` and `key`, begun anew when it went cold `memory_secs` before `time`.
    pub(crate) fn trail(
        &mut self,
        rule: Rule,
        key: Key,
        time: Timestamp,
        memory_secs: u32,
    ) -> &mut Trail {
        let trail = self.trails.touch(crate::hash::pair(rule as u64 + 1, key), Trail::default);
        if trail.total > 0 && time - trail.last > i64::from(memory_secs) * 1000 {
            *trail = Trail::default();
        }
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
                    time: draft.time,
                    first_seen: if draft.trail.total > 0 { draft.trail.first } else { draft.time },
                    last_seen: draft.time.max(draft.trail.last),
                    severity: draft.severity,
                    confidence: draft.confidence.min(100),
                    entities: Vec::new(),
                    site: draft.site,
                    outcome: draft.outcome,
                    outcome_reason: draft.reason.map(str::to_owned),
                    attack: draft.attack,
                    evidence: draft.trail.events,
                    evidence_total: draft.trail.total,
                    numbers: draft
                        .numbers
                        .into_iter()
                        .map(|(name, number)| (name.to_owned(), number))
                        .collect(),
                };
                let mut finding = finding;
                for entity in draft.entities.into_iter().chain(draft.trail.others) {
                    push_entity(&mut finding.entities, entity);
                }
                *place = Some(Open {
                    finding: finding.clone(),
                    magnitude,
                    reported: magnitude,
                    grown: false,
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
            || draft.confidence >= finding.confidence.saturating_add(10)
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
        if draft.trail.total > 0 {
            finding.first_seen = finding.first_seen.min(draft.trail.first);
        }
        finding.last_seen = finding.last_seen.max(draft.time).max(draft.trail.last);
        for entity in draft.entities.into_iter().chain(draft.trail.others) {
            let telling = matches!(entity.kind, EntityKind::Account | EntityKind::Credential);
            worth_telling |= push_entity(&mut finding.entities, entity) && telling;
        }
        for reference in draft.attack {
            if !finding.attack.contains(&reference) {
                finding.attack.push(reference);
            }
        }
        for id in draft.trail.events {
            if finding.evidence.len() < Finding::EVIDENCE_MAX && !finding.evidence.contains(&id) {
                finding.evidence.push(id);
            }
        }
        finding.evidence_total = finding.evidence_total.max(draft.trail.total);
        for (name, number) in draft.numbers {
            let kept = finding.numbers.entry(name.to_owned()).or_insert(number);
            *kept = kept.max(number);
        }
        self.magnitude = self.magnitude.max(draft.magnitude);
        if worth_telling || self.magnitude >= 2.0 * self.reported {
            self.reported = self.magnitude;
            self.grown = false;
            return Some(finding.clone());
        }
        self.grown = true;
        None
    }
}
