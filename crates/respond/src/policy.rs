//! Response policies: which finding, how sure, about whom, with which outcome, leads to which rung.

mod parse;

use crate::duration::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::{Glob, Protected};
use schema::{Confidence, Diagnostic, EntityKind, Finding, OutcomeResult, Rung, Severity};
use serde::{Deserialize, Serialize};

/// The longest time limit an action may have. A restriction somebody still wants after a month is a
/// decision to be made again, not a reflex to be kept.
pub const TTL_MAX_MS: i64 = 30 * DAY_MS;
/// The shortest: under a minute a gateway's poll and a client's retry already blur it.
pub const TTL_MIN_MS: i64 = MINUTE_MS;
/// A proposal nobody answered in a week speaks of another week's attack.
pub const APPROVAL_DEADLINE_MAX_MS: i64 = 7 * DAY_MS;
/// How long a proposal waits when its policy does not say.
pub const APPROVAL_DEADLINE_MS: i64 = HOUR_MS;
/// How long a human's undo or rejection holds automation back when the policy does not say.
pub const COOLDOWN_MS: i64 = DAY_MS;
pub const COOLDOWN_MAX_MS: i64 = 30 * DAY_MS;
/// More people than this is a committee; the attack is over before they meet.
pub const APPROVALS_MAX: u32 = 5;
/// Size of one policy file in bytes.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;
/// Policies in one set.
pub const POLICIES_MAX: usize = 256;
/// Steps in one policy: seven rungs on two targets, with room to spare.
pub const STEPS_MAX: usize = 16;
/// Entities one step may touch automatically; a finding that names more asks a human.
pub const TARGETS_MAX: usize = 64;
/// The past a blast radius is counted over, in days, when the policy does not say.
pub const BLAST_DAYS: u32 = 7;
pub const BLAST_DAYS_MAX: u32 = 90;
/// Requests per minute a `limit` may allow.
pub const RATE_PER_MINUTE_MAX: u32 = 1_000_000;

/// All policies of a tenant, in the order they are asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PolicySet {
    pub policies: Vec<Policy>,
    /// What no automatic step may touch, joined with what the [`crate::Context`] protects.
    pub protected: Protected,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    pub id: String,
    pub version: u32,
    pub title: Title,
    pub when: When,
    pub then: Vec<Step>,
    /// Names of connectors to tell.
    pub notify: Vec<String>,
    pub blast: BlastLimits,
    pub cooldown_ms: i64,
}

/// What people read, in the languages of the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Title {
    pub ko: String,
    pub en: String,
    pub ja: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct When {
    /// The finding's rule fits one of these.
    pub rules: Vec<Glob>,
    pub min_confidence: Confidence,
    pub min_severity: Severity,
    /// The kind of the finding's first entity.
    pub entity: Option<EntityKind>,
    pub outcome: OutcomeWanted,
    /// The finding's site fits one of these; empty means any, also none.
    pub sites: Vec<Glob>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeWanted {
    Success,
    Failure,
    /// Success or failure, but not unknown.
    Known,
    #[default]
    Any,
}

impl OutcomeWanted {
    pub fn accepts(self, outcome: OutcomeResult) -> bool {
        match self {
            OutcomeWanted::Success => outcome == OutcomeResult::Success,
            OutcomeWanted::Failure => outcome == OutcomeResult::Failure,
            OutcomeWanted::Known => outcome != OutcomeResult::Unknown,
            OutcomeWanted::Any => true,
        }
    }
}

/// One rung on one kind of entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub rung: Rung,
    pub target: EntityKind,
    pub which: Which,
    pub scope: Scope,
    pub ttl_ms: i64,
    pub rate_per_minute: Option<u32>,
    pub approval: ApprovalRule,
    pub approvals: u32,
    pub approval_deadline_ms: i64,
    /// Only once a lower rung of this policy has been in force on the target for this long.
    pub escalate_after_ms: Option<i64>,
}

/// Which of the finding's entities of the target kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    #[default]
    All,
    /// Only the one named first.
    First,
}

/// Where the restriction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The site of the finding; every site when it names none.
    #[default]
    Site,
    /// Every site of the tenant.
    Tenant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalRule {
    /// The policy asks nobody. The ladder's own rules still do.
    Never,
    /// A human decides when the blast radius is above the policy's limits or not known.
    AboveBlast,
    Always,
}

/// A human decides when an action would have hit more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlastLimits {
    pub days: u32,
    pub max_requests: u64,
    pub max_accounts: u64,
    pub max_sessions: u64,
    pub max_addresses: u64,
}

impl Default for BlastLimits {
    /// Our judgement, not a measurement: a handful of people and their week.
    fn default() -> Self {
        BlastLimits {
            days: BLAST_DAYS,
            max_requests: 10_000,
            max_accounts: 3,
            max_sessions: 50,
            max_addresses: 50,
        }
    }
}

impl When {
    pub fn accepts(&self, finding: &Finding) -> bool {
        self.rules.iter().any(|rule| rule.matches(&finding.rule))
            && finding.confidence >= self.min_confidence
            && finding.severity >= self.min_severity
            && self.entity.is_none_or(|kind| finding.primary().is_some_and(|e| e.kind == kind))
            && self.outcome.accepts(finding.outcome)
            && (self.sites.is_empty()
                || finding
                    .site
                    .as_deref()
                    .is_some_and(|site| self.sites.iter().any(|glob| glob.matches(site))))
    }
}

impl PolicySet {
    /// Reads one policy file. `file_name` is what diagnostics call it.
    pub fn parse(file_name: &str, yaml: &str) -> Result<PolicySet, Vec<Diagnostic>> {
        parse::parse(file_name, yaml)
    }

    /// Adds the policies of `other` after ours; refuses an id that both have.
    pub fn join(mut self, other: PolicySet) -> Result<PolicySet, Diagnostic> {
        for policy in other.policies {
            if self.policy(&policy.id).is_some() {
                return Err(Diagnostic::new(
                    "duplicate-policy",
                    policy.id.as_str(),
                    format!("policy `{}` is there twice", policy.id),
                )
                .hint("give one of them another id, or remove it"));
            }
            self.policies.push(policy);
        }
        if self.policies.len() > POLICIES_MAX {
            return Err(Diagnostic::new(
                "too-many-policies",
                "policies",
                format!("{} policies are more than {POLICIES_MAX}", self.policies.len()),
            )
            .hint("join policies that differ only in their rules"));
        }
        self.protected.join(&other.protected);
        Ok(self)
    }

    pub fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == id)
    }

    /// Connectors to tell of an action of `policy`.
    pub fn notify(&self, policy: &str) -> &[String] {
        self.policy(policy).map(|p| p.notify.as_slice()).unwrap_or_default()
    }
}
