use crate::{Entity, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The ladder, lowest first. Automatic steps above [`Rung::Limit`] need a known outcome or a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Watch and tell; nothing is held back.
    Observe,
    /// Rate limit.
    Limit,
    /// The next request must prove who sends it.
    StepUp,
    /// Quarantine: only what is needed to recover is reachable.
    Isolate,
    Block,
    /// The credential or session is no longer accepted.
    Revoke,
    /// Revoked and replaced by its issuer.
    Rotate,
}

impl Rung {
    pub const ALL: [Rung; 7] = [
        Rung::Observe,
        Rung::Limit,
        Rung::StepUp,
        Rung::Isolate,
        Rung::Block,
        Rung::Revoke,
        Rung::Rotate,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Rung::Observe => "observe",
            Rung::Limit => "limit",
            Rung::StepUp => "step-up",
            Rung::Isolate => "isolate",
            Rung::Block => "block",
            Rung::Revoke => "revoke",
            Rung::Rotate => "rotate",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rung: use observe, limit, step-up, isolate, block, revoke or rotate")]
pub struct UnknownRung(pub String);

impl FromStr for Rung {
    type Err = UnknownRung;

    fn from_str(text: &str) -> Result<Self, UnknownRung> {
        Rung::ALL
            .into_iter()
            .find(|r| r.as_str() == text)
            .ok_or_else(|| UnknownRung(text.to_owned()))
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ActionState {
    /// Would have been done, but the tenant only watches (dry run).
    Simulated,
    AwaitingApproval,
    /// Decided; its executor has not confirmed it yet.
    Pending,
    /// Confirmed in force by its executor.
    Active,
    Rejected,
    /// Taken back by a human.
    Undone,
    /// Its time limit passed.
    Expired,
    /// Given up after its retries; says why in the history.
    Failed,
}

impl ActionState {
    pub fn is_in_force(self) -> bool {
        matches!(self, ActionState::Pending | ActionState::Active)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            ActionState::Simulated => "simulated",
            ActionState::AwaitingApproval => "awaiting-approval",
            ActionState::Pending => "pending",
            ActionState::Active => "active",
            ActionState::Rejected => "rejected",
            ActionState::Undone => "undone",
            ActionState::Expired => "expired",
            ActionState::Failed => "failed",
        }
    }
}

/// Who did it: `user:<id>`, `policy:<id>@<version>`, `gateway:<id>`, `system`.
pub type Actor = String;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionChange {
    pub time: Timestamp,
    pub actor: Actor,
    pub state: ActionState,
    /// Why, in the words of who did it, or a permanent code.
    pub reason: String,
}

/// Why a human has to say yes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approval {
    /// Permanent code: `policy-requires`, `outcome-unknown`, `blast-radius`, `protected-entity`.
    pub code: String,
    /// After this the proposal lapses.
    pub deadline: Timestamp,
    /// How many different people have to say yes.
    #[serde(default = "one")]
    pub needed: u32,
    /// Who has said yes so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Actor>,
}

fn one() -> u32 {
    1
}

/// Whom the action would have hit in the days before, counted by replay of stored events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlastRadius {
    /// First moment of the replayed past.
    pub since: Timestamp,
    /// Successful requests that would have been stopped, those of the incident's own evidence excluded.
    pub requests: u64,
    pub accounts: u64,
    pub sessions: u64,
    pub addresses: u64,
}

/// One step of control, with its cause, its limit and its way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    pub id: Uuid,
    pub incident: Uuid,
    /// Its reason: the findings that led to it.
    pub findings: Vec<Uuid>,
    /// The rule of the finding that tipped it; a permanent code.
    pub reason: String,
    pub policy: String,
    pub policy_version: u32,
    pub rung: Rung,
    pub target: Entity,
    /// Sites it is enforced on; empty means all of the tenant's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<String>,
    /// For [`Rung::Limit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u32>,
    pub state: ActionState,
    pub created: Timestamp,
    pub expires: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast: Option<BlastRadius>,
    /// Every change of state, first to last.
    pub history: Vec<ActionChange>,
}

/// What a gateway needs to know to enforce one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restriction {
    pub action: Uuid,
    pub target: Entity,
    pub rung: Rung,
    /// Empty means every site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u32>,
    pub expires: Timestamp,
    /// Permanent code shown to the blocked client as part of the problem+json.
    pub reason: String,
}

/// The whole set in force for a tenant; a gateway replaces what it had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restrictions {
    /// Grows with every change; a gateway asks for what is newer than the one it has.
    pub version: u64,
    pub restrictions: Vec<Restriction>,
    /// Entities whose trust changed: decisions made about them before that moment are void.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reconsider: Vec<Reconsider>,
}

/// An enforcement point forgets what it was told of this entity before `since`, and asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reconsider {
    /// `None`: of everybody (a new policy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Entity>,
    pub since: Timestamp,
}
