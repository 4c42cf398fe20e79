//! What is kept of a decision, so that it can be explained and judged again.

use super::answer::Texts;
use super::wire::Question;
use crate::deeds;
use schema::{Leaf, LeafKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use store::meta::TrustDecision;
use trust::{Decision, Demands, Readings};
use utoipa::ToSchema;
use uuid::Uuid;

/// The cause of a record that tells who was let in, for replays: no refusal and no change.
pub const OPENED: &str = "opened";

/// A decision with everything it was made from: the same policy and readings give it again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Record {
    pub id: Uuid,
    pub time: Timestamp,
    /// Whom it is about: an entity, or `type:id` as the enforcement point named it.
    pub session: String,
    pub action: String,
    /// `type:id`
    pub resource: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub subject_properties: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Every signal it was judged by, from the caller or from our own evidence.
    #[schema(value_type = Object)]
    pub readings: Readings,
    #[schema(value_type = Object)]
    pub demands: Demands,
    /// SHA-256 of the site's text; absent when the tenant has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[schema(value_type = Object)]
    pub decision: Decision,
    /// What the enforcement point was told; with obligations it cannot perform it is a refusal.
    pub permit: bool,
    /// Permanent code: `refused`, `changed`, `opened`, `finding`, `signal`, `register`, `site`, `policy`.
    pub cause: String,
    /// The finding or other record that caused it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Uuid>,
    /// The decision before it about the same, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Times the same was asked and answered alike since the record before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u64,
    /// The gravest reasons in words.
    pub reason_admin: Texts,
    /// Codes of what was noticed about the request itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What an earlier decision said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Previous {
    pub id: Uuid,
    pub time: Timestamp,
    #[schema(value_type = f64)]
    pub score: trust::Points,
    pub permit: bool,
    #[schema(value_type = Vec<String>)]
    pub decisions: Vec<Arc<str>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Record {
    /// Whether the ledger is to have a leaf of it: not of who was let in as usual.
    pub fn is_attested(&self) -> bool {
        self.cause != OPENED
    }

    /// The leaf that attests it: its digest, never what it says of a person.
    pub fn leaf(&self, tenant: &TenantId) -> Leaf {
        let decisions = self.decision.decisions.join(" ");
        let reason = format!("trust {} {decisions}", self.cause);
        let mut leaf =
            deeds::leaf(tenant, LeafKind::Decision, "trust", self.id, self, &reason, self.time);
        leaf.causes.clone_from(&self.causes);
        leaf
    }

    pub fn stored(&self) -> Result<TrustDecision, serde_json::Error> {
        Ok(TrustDecision {
            id: self.id,
            time: self.time,
            session: self.session.clone(),
            permit: self.permit,
            doc: serde_json::value::to_raw_value(self)?,
        })
    }

    pub fn read(doc: &RawValue) -> Result<Record, serde_json::Error> {
        serde_json::from_str(doc.get())
    }
}

/// Whom a question is about, as records and lists name them.
pub fn session_of(question: &Question) -> String {
    format!("{}:{}", question.subject.kind, question.subject.id)
}
