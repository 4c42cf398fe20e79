use crate::{Actor, Digest, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of thing a ledger leaf attests. Kinds are added, never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LeafKind {
    Finding,
    Incident,
    Decision,
    Action,
    Approval,
    Rejection,
    Undo,
    Expiry,
    PolicyChange,
    Login,
    LoginFailed,
    EvidenceView,
    Export,
    RetentionDeletion,
    UserChange,
    TokenChange,
    ConfigChange,
    IntakeBatch,
    IntakeLoss,
    /// A detection rule was added, changed or removed.
    RuleChange,
    /// An exception from rules was made or taken back, or ended by itself.
    ExceptionChange,
}

/// One record of the audit log: who, when, why, and the digest of what.
///
/// It holds digests and ids only, so that personal data stays erasable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Leaf {
    pub tenant: TenantId,
    pub kind: LeafKind,
    pub time: Timestamp,
    pub actor: Actor,
    /// Id of the record attested.
    pub subject: Uuid,
    /// SHA-256 of the record's canonical JSON.
    pub digest: Digest,
    /// A permanent code or a short reason; never personal data.
    pub reason: String,
    /// The records that caused it: an action names its findings, a finding its first events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Uuid>,
}
