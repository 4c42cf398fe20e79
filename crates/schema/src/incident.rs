use crate::{AttackRef, Entity, Severity, Timestamp, class};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// OCSF Incident Finding `status_id` 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IncidentStatus {
    New,
    InProgress,
    OnHold,
    Resolved,
    Closed,
}

impl IncidentStatus {
    pub fn id(self) -> i64 {
        match self {
            IncidentStatus::New => 1,
            IncidentStatus::InProgress => 2,
            IncidentStatus::OnHold => 3,
            IncidentStatus::Resolved => 4,
            IncidentStatus::Closed => 5,
        }
    }

    pub fn is_open(self) -> bool {
        !matches!(self, IncidentStatus::Resolved | IncidentStatus::Closed)
    }
}

/// What a human decided it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Classification {
    TruePositive,
    FalsePositive,
    Benign,
    Undetermined,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comment {
    pub time: Timestamp,
    /// User id of the author.
    pub author: String,
    pub text: String,
}

/// A person told another system of the incident, through a connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notification {
    pub id: Uuid,
    pub time: Timestamp,
    /// User id of whoever told.
    pub author: String,
    pub connector: String,
    pub reason: String,
    /// Absent while it is under way; it stays so when the server was stopped before there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<NotificationAnswer>,
}

/// What came of telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotificationAnswer {
    pub time: Timestamp,
    pub tries: u32,
    /// HTTP status or SMTP reply code of a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A permanent code of what went wrong, and the same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    Finding,
    Action,
    Note,
}

/// One line of the story, in event-time order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoryStep {
    pub time: Timestamp,
    pub kind: StepKind,
    /// The finding, action or comment it tells of.
    pub subject: Uuid,
    /// A permanent code (the rule, or `action-limit`…); the reader's language chooses the sentence.
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack: Option<AttackRef>,
    pub entities: Vec<Entity>,
}

/// Related findings, told as one story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Incident {
    pub id: Uuid,
    /// The rule of the weightiest finding; a code, not a sentence.
    pub title: String,
    pub opened: Timestamp,
    pub updated: Timestamp,
    pub severity: Severity,
    pub status: IncidentStatus,
    /// Finding ids in the order they joined.
    pub findings: Vec<Uuid>,
    /// All entities, the most often named first.
    pub entities: Vec<Entity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<String>,
    pub story: Vec<StoryStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<Comment>,
    /// The ticket in another system: its number or its address, as people keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Who was told, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Notification>,
}

impl Incident {
    /// Telling again is refused from here on.
    pub const TOLD_MAX: usize = 100;

    /// As an OCSF Incident Finding (2005).
    pub fn to_ocsf(&self) -> Value {
        json!({
            "class_uid": class::INCIDENT_FINDING,
            "category_uid": class::INCIDENT_FINDING / 1000,
            "activity_id": if self.opened == self.updated { 1 } else { 2 },
            "type_uid": class::INCIDENT_FINDING * 100 + if self.opened == self.updated { 1 } else { 2 },
            "time": self.updated,
            "start_time": self.opened,
            "severity_id": self.severity.id(),
            "status_id": self.status.id(),
            "metadata": {
                "uid": self.id,
                "version": crate::OCSF_VERSION,
                "product": { "name": "Plura", "vendor_name": "Plura" },
            },
            "finding_info_list": self.findings.iter().map(|uid| json!({ "uid": uid, "title": self.title })).collect::<Vec<_>>(),
            "plura": { "entities": self.entities, "sites": self.sites },
        })
    }
}
