use crate::{Entity, Event, Timestamp, class, format_time, id_from_seed};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// OCSF `severity_id` 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub fn id(self) -> i64 {
        match self {
            Severity::Informational => 1,
            Severity::Low => 2,
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Informational => "informational",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// 0 (a guess) to 100 (certain).
pub type Confidence = u8;

/// Whether the thing tried came about. Control above `limit` asks for a known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeResult {
    Success,
    Failure,
    #[default]
    Unknown,
}

impl OutcomeResult {
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeResult::Success => "success",
            OutcomeResult::Failure => "failure",
            OutcomeResult::Unknown => "unknown",
        }
    }
}

/// A MITRE ATT&CK tactic and technique: `TA0006`, `T1110.004`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttackRef {
    pub tactic: String,
    pub technique: String,
}

impl AttackRef {
    pub fn new(tactic: &str, technique: &str) -> Self {
        AttackRef { tactic: tactic.to_owned(), technique: technique.to_owned() }
    }
}

/// How far what a written rule finds may go.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Kept and counted; nothing follows from it.
    Shadow,
    /// It makes incidents; nothing above `limit` without a human.
    Canary,
    /// As the tenant's mode and policies say.
    #[default]
    Enforce,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Shadow => "shadow",
            Stage::Canary => "canary",
            Stage::Enforce => "enforce",
        }
    }

    pub fn is_enforce(&self) -> bool {
        *self == Stage::Enforce
    }
}

/// What the author of a rule says of it, and what made it fire: findings of written rules carry it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Analytic {
    pub title: String,
    /// Named wherever the rule speaks, as the Detection Rule License asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The pack it came in, or `site`.
    pub origin: String,
    /// The rule's stage when it fired; absent is `enforce`.
    #[serde(default, skip_serializing_if = "Stage::is_enforce")]
    pub stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Of the first event; what was absent is not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<MatchedField>,
}

/// A field and the value that made a rule fire, secrets masked as in the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MatchedField {
    /// As the rule names it.
    pub field: String,
    /// Where it stands in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The beginning of it.
    pub value: String,
}

/// One detection: what, about whom, how sure, by which numbers, from which events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Same rule, entities and window, same id: a replay finds the same finding again.
    pub id: Uuid,
    /// The rule that speaks: `credential-stuffing`.
    pub rule: String,
    pub rule_version: u32,
    /// Event time at which the rule was satisfied.
    pub time: Timestamp,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub severity: Severity,
    pub confidence: Confidence,
    /// The entity to act on first, then the others involved.
    pub entities: Vec<Entity>,
    /// The site (protected application) it happened on, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Whether what the attacker tried succeeded.
    pub outcome: OutcomeResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_reason: Option<String>,
    pub attack: Vec<AttackRef>,
    /// Ids of the events that made it, oldest first; at most [`Finding::EVIDENCE_MAX`].
    pub evidence: Vec<Uuid>,
    /// How many there were in all.
    pub evidence_total: u64,
    /// The numbers that made it: observed, expected, threshold…
    pub numbers: BTreeMap<String, f64>,
    /// Who wrote the rule and what it found, where it is a written one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analytic: Option<Box<Analytic>>,
}

impl Finding {
    /// Evidence ids a finding carries; the rest is found by entity and time.
    pub const EVIDENCE_MAX: usize = 64;

    /// The id for `rule` speaking of `entity` in the window that began at `window_start`.
    pub fn id_for(rule: &str, entity: &Entity, window_start: Timestamp) -> Uuid {
        id_from_seed(window_start, format!("finding\0{rule}\0{entity}\0{window_start}").as_bytes())
    }

    /// How far it may go: findings that no written rule made go all the way.
    pub fn stage(&self) -> Stage {
        self.analytic.as_ref().map_or(Stage::Enforce, |analytic| analytic.stage)
    }

    /// Kept to be looked at only: no incident, action or score comes of it.
    pub fn is_shadow(&self) -> bool {
        self.stage() == Stage::Shadow
    }

    pub fn primary(&self) -> Option<&Entity> {
        self.entities.first()
    }

    /// As an OCSF Detection Finding (2004).
    pub fn to_ocsf(&self) -> Value {
        json!({
            "class_uid": class::DETECTION_FINDING,
            "category_uid": class::DETECTION_FINDING / 1000,
            "activity_id": 1,
            "type_uid": class::DETECTION_FINDING * 100 + 1,
            "time": self.time,
            "severity_id": self.severity.id(),
            "status_id": 1,
            "confidence_score": self.confidence,
            "metadata": {
                "uid": self.id,
                "version": crate::OCSF_VERSION,
                "product": { "name": "Plura", "vendor_name": "Plura" },
            },
            "finding_info": {
                "uid": self.id,
                "title": self.analytic.as_ref().map_or(&self.rule, |analytic| &analytic.title),
                "analytic": { "name": self.rule, "type_id": 1, "version": self.rule_version.to_string() },
                "first_seen_time": self.first_seen,
                "last_seen_time": self.last_seen,
                "created_time_dt": format_time(self.time),
                "attacks": self.attack.iter().map(|a| json!({
                    "tactic": { "uid": a.tactic },
                    "technique": { "uid": a.technique },
                })).collect::<Vec<_>>(),
                "related_events": self.evidence.iter().map(|uid| json!({ "uid": uid })).collect::<Vec<_>>(),
                "related_events_count": self.evidence_total,
            },
            "plura": {
                "entities": self.entities,
                "site": self.site,
                "outcome": { "result": self.outcome, "reason": self.outcome_reason },
                "numbers": self.numbers,
                "analytic": self.analytic,
            },
        })
    }

    /// Adds an event to the evidence, keeping to the limit.
    pub fn cite(&mut self, event: &Event) {
        self.evidence_total += 1;
        self.first_seen = self.first_seen.min(event.time);
        self.last_seen = self.last_seen.max(event.time);
        if self.evidence.len() < Finding::EVIDENCE_MAX {
            self.evidence.push(event.id);
        }
    }
}
