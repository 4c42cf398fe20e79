use super::shelf::name;
use schema::{Entity, EntityKind, Finding, OutcomeResult, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A finding lowers trust for a day, unless its incident is closed before.
const FINDING_TTL_MS: i64 = 24 * 3_600_000;
/// Entities of one finding that are remembered.
const ENTITIES_MAX: usize = 64;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Live {
    severity: Severity,
    until: Timestamp,
    /// With how grave it is for each.
    entities: Vec<(Entity, Severity)>,
}

/// Findings that still count, by what they are about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Listed", from = "Listed")]
pub(super) struct Findings {
    capacity: usize,
    live: BTreeMap<Uuid, Live>,
    about: BTreeMap<Entity, BTreeSet<Uuid>>,
    /// The least grave first, then the one that expires first: what goes when there are too many.
    order: BTreeSet<(Severity, Timestamp, Uuid)>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    capacity: usize,
    live: BTreeMap<Uuid, Live>,
}

impl Findings {
    pub(super) fn new(capacity: usize) -> Self {
        Findings {
            capacity: capacity.max(1),
            live: BTreeMap::new(),
            about: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// The entities it concerns.
    pub(super) fn open(&mut self, finding: &Finding) -> Vec<Entity> {
        let seen = finding.time.max(finding.last_seen);
        let entities = concerned(finding);
        if entities.is_empty() {
            return Vec::new();
        }
        let mut told: BTreeSet<Entity> =
            entities.iter().map(|(entity, _)| entity.clone()).collect();
        // The same finding, grown: it is as grave as it now says.
        told.extend(self.close(finding.id));
        let until = seen.saturating_add(FINDING_TTL_MS);
        self.put(finding.id, Live { severity: finding.severity, until, entities });
        told.into_iter().collect()
    }

    fn put(&mut self, id: Uuid, live: Live) {
        self.order.insert((live.severity, live.until, id));
        for (entity, _) in &live.entities {
            self.about.entry(entity.clone()).or_default().insert(id);
        }
        self.live.insert(id, live);
        while self.live.len() > self.capacity {
            let Some((_, _, least)) = self.order.first().copied() else { return };
            self.close(least);
        }
    }

    pub(super) fn close(&mut self, id: Uuid) -> Vec<Entity> {
        let Some(live) = self.live.remove(&id) else { return Vec::new() };
        self.order.remove(&(live.severity, live.until, id));
        for (entity, _) in &live.entities {
            if let Some(ids) = self.about.get_mut(entity) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.about.remove(entity);
                }
            }
        }
        live.entities.into_iter().map(|(entity, _)| entity).collect()
    }

    pub(super) fn close_about(&mut self, entity: &Entity) -> Vec<Entity> {
        let ids = self.about.get(&short(entity)).cloned().unwrap_or_default();
        let told: BTreeSet<Entity> = ids.into_iter().flat_map(|id| self.close(id)).collect();
        told.into_iter().collect()
    }

    /// The gravest that counts at `at`.
    pub(super) fn gravest(&self, kind: EntityKind, value: &str, at: Timestamp) -> Option<Severity> {
        let entity = Entity::new(kind, name(value));
        let ids = self.about.get(&entity)?;
        ids.iter()
            .filter_map(|id| self.live.get(id))
            .filter(|live| at < live.until)
            .flat_map(|live| &live.entities)
            .filter(|(about, _)| *about == entity)
            .map(|(_, severity)| *severity)
            .max()
    }
}

fn short(entity: &Entity) -> Entity {
    Entity::new(entity.kind, name(&entity.value))
}

/// Whom a finding speaks against, and how gravely.
///
/// An attack on a login page names accounts that are its targets: those of a campaign count when it got in
/// (the first entity is an address or endpoint, and the outcome success), and one whose password is being
/// guessed (ATT&CK T1110, outcome failure) counts as low: else anybody could lower anybody's trust by failing
/// to log in as them.
fn concerned(finding: &Finding) -> Vec<(Entity, Severity)> {
    if finding.severity <= Severity::Informational {
        return Vec::new();
    }
    let acts = |kind| {
        matches!(
            kind,
            EntityKind::Session | EntityKind::Account | EntityKind::Credential | EntityKind::Device
        )
    };
    let failed = finding.outcome == OutcomeResult::Failure;
    let guesses = failed && finding.attack.iter().any(|a| a.technique.starts_with("T1110"));
    let is_campaign = finding.primary().is_some_and(|entity| !acts(entity.kind));
    finding
        .entities
        .iter()
        .filter(|entity| acts(entity.kind) && !entity.value.is_empty())
        .filter(|_| !is_campaign || finding.outcome == OutcomeResult::Success)
        .take(ENTITIES_MAX)
        .map(|entity| {
            let severity = if guesses { Severity::Low } else { finding.severity };
            (short(entity), severity)
        })
        .collect()
}

impl From<Findings> for Listed {
    fn from(findings: Findings) -> Self {
        Listed { capacity: findings.capacity, live: findings.live }
    }
}

impl From<Listed> for Findings {
    fn from(listed: Listed) -> Self {
        let mut findings = Findings::new(listed.capacity);
        for (id, live) in listed.live {
            findings.put(id, live);
        }
        findings
    }
}
