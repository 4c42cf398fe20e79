use super::{
    APPROVAL_DEADLINE_MAX_MS, APPROVAL_DEADLINE_MS, APPROVALS_MAX, ApprovalRule, BLAST_DAYS_MAX,
    BlastLimits, COOLDOWN_MAX_MS, COOLDOWN_MS, OutcomeWanted, POLICIES_MAX, POLICY_BYTES_MAX,
    Policy, PolicySet, RATE_PER_MINUTE_MAX, STEPS_MAX, Scope, Step, TTL_MAX_MS, TTL_MIN_MS, Title,
    When, Which,
};
use crate::duration::{format_duration, parse_duration};
use crate::{Glob, Protected, yaml};
use schema::{Diagnostic, EntityKind, Rung, Severity};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    protected: RawProtected,
    #[serde(default)]
    policies: Vec<RawPolicy>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawProtected {
    accounts: Vec<String>,
    administrators: Vec<String>,
    credentials: Vec<String>,
    sessions: Vec<String>,
    endpoints: Vec<String>,
    devices: Vec<String>,
    addresses: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    policy: Spanned<String>,
    version: Spanned<u32>,
    title: Title,
    when: RawWhen,
    then: Spanned<Vec<RawStep>>,
    #[serde(default)]
    notify: Vec<String>,
    blast: Option<Spanned<BlastLimits>>,
    cooldown: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWhen {
    rules: Spanned<Vec<String>>,
    min_confidence: Option<Spanned<u8>>,
    min_severity: Option<Severity>,
    entity: Option<EntityKind>,
    #[serde(default)]
    outcome: OutcomeWanted,
    #[serde(default)]
    sites: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    rung: Spanned<Rung>,
    target: Spanned<EntityKind>,
    #[serde(default)]
    which: Which,
    #[serde(default)]
    scope: Scope,
    ttl: Spanned<String>,
    rate_per_minute: Option<Spanned<u32>>,
    approval: Option<Spanned<ApprovalRule>>,
    approvals: Option<Spanned<u32>>,
    approval_deadline: Option<Spanned<String>>,
    escalate_after: Option<Spanned<String>>,
}

/// Collects what is wrong while reading on, so that one run tells of everything.
struct Reader<'a> {
    file: &'a str,
    diagnostics: Vec<Diagnostic>,
}

pub(super) fn parse(file: &str, text: &str) -> Result<PolicySet, Vec<Diagnostic>> {
    let raw: RawFile = yaml::read(file, text, POLICY_BYTES_MAX).map_err(|d| vec![d])?;
    let mut reader = Reader { file, diagnostics: Vec::new() };
    let protected = reader.protected(raw.protected);
    let mut policies: Vec<Policy> = Vec::new();
    for raw in raw.policies {
        let place = raw.policy.referenced;
        let policy = reader.policy(raw);
        if policies.iter().any(|other| other.id == policy.id) {
            reader.wrong(
                "duplicate-policy",
                place,
                format!("policy `{}` is there twice", policy.id),
                "give one of them another id, or remove it",
            );
        }
        if policies.len() == POLICIES_MAX {
            reader.wrong(
                "too-many-policies",
                place,
                format!("a file holds at most {POLICIES_MAX} policies"),
                "join policies that differ only in their rules",
            );
            break;
        }
        policies.push(policy);
    }
    if reader.diagnostics.is_empty() {
        Ok(PolicySet { policies, protected })
    } else {
        Err(reader.diagnostics)
    }
}

impl Reader<'_> {
    fn wrong(&mut self, code: &str, at: Location, message: String, hint: &str) {
        self.diagnostics
            .push(Diagnostic::new(code, yaml::place(self.file, Some(at)), message).hint(hint));
    }

    fn protected(&mut self, raw: RawProtected) -> Protected {
        let globs = |list: Vec<String>| list.into_iter().map(Glob::new).collect();
        let mut protected = Protected {
            accounts: globs(raw.accounts),
            administrators: raw.administrators.into_iter().collect(),
            credentials: globs(raw.credentials),
            sessions: globs(raw.sessions),
            endpoints: globs(raw.endpoints),
            devices: globs(raw.devices),
            addresses: Vec::new(),
        };
        for address in raw.addresses {
            if let Err(unknown) = protected.protect_address(&address.value) {
                self.wrong(
                    "not-an-address",
                    address.referenced,
                    unknown.to_string(),
                    "write an address, `10.0.0.0/8` or `2001:db8::/32`",
                );
            }
        }
        protected
    }

    fn policy(&mut self, raw: RawPolicy) -> Policy {
        let id = raw.policy.value;
        let slug = (1..=63).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !slug {
            self.wrong(
                "bad-id",
                raw.policy.referenced,
                format!("`{id}` is not a policy id"),
                "use 1 to 63 of `a-z`, `0-9` and `-`",
            );
        }
        if raw.version.value == 0 {
            self.wrong(
                "bad-version",
                raw.version.referenced,
                format!("policy `{id}` has version 0"),
                "count from 1, and up with every change",
            );
        }
        if raw.then.value.is_empty() || raw.then.value.len() > STEPS_MAX {
            self.wrong(
                "bad-steps",
                raw.then.referenced,
                format!("policy `{id}` has {} steps", raw.then.value.len()),
                &format!("give `then` 1 to {STEPS_MAX} steps"),
            );
        }
        if raw.when.rules.value.is_empty() {
            self.wrong(
                "no-rules",
                raw.when.rules.referenced,
                format!("policy `{id}` names no rule and would never speak"),
                "name the rules it answers, or `\"*\"` for every one",
            );
        }
        if let Some(confidence) = raw.when.min_confidence.as_ref().filter(|c| c.value > 100) {
            self.wrong(
                "bad-confidence",
                confidence.referenced,
                format!("`min_confidence: {}` is above 100", confidence.value),
                "confidence goes from 0 (a guess) to 100 (certain)",
            );
        }
        let blast = raw.blast.map_or_else(BlastLimits::default, |blast| {
            if !(1..=BLAST_DAYS_MAX).contains(&blast.value.days) {
                self.wrong(
                    "bad-blast-days",
                    blast.referenced,
                    format!("`days: {}` is not a past we can replay", blast.value.days),
                    &format!("use 1 to {BLAST_DAYS_MAX} days"),
                );
            }
            blast.value
        });
        let cooldown_ms =
            self.duration("cooldown", raw.cooldown, 0, COOLDOWN_MAX_MS).unwrap_or(COOLDOWN_MS);
        Policy {
            version: raw.version.value,
            title: raw.title,
            when: When {
                rules: raw.when.rules.value.into_iter().map(Glob::new).collect(),
                min_confidence: raw.when.min_confidence.map_or(0, |c| c.value),
                min_severity: raw.when.min_severity.unwrap_or(Severity::Informational),
                entity: raw.when.entity,
                outcome: raw.when.outcome,
                sites: raw.when.sites.into_iter().map(Glob::new).collect(),
            },
            then: raw.then.value.into_iter().map(|step| self.step(step)).collect(),
            notify: raw.notify,
            blast,
            cooldown_ms,
            id,
        }
    }

    fn step(&mut self, raw: RawStep) -> Step {
        let (rung, target) = (raw.rung.value, raw.target.value);
        if !fits(rung, target) {
            self.wrong(
                "rung-does-not-fit",
                raw.target.referenced,
                format!("`{rung}` has no meaning for `{target}`"),
                "`revoke` is for credential, session and account, `rotate` for credential; use `block` or `isolate`",
            );
        }
        match (&raw.rate_per_minute, rung) {
            (None, Rung::Limit) => self.wrong(
                "missing-rate",
                raw.rung.referenced,
                "`limit` has no `rate_per_minute`".to_owned(),
                "say how many requests a minute may pass",
            ),
            (Some(rate), Rung::Limit) if !(1..=RATE_PER_MINUTE_MAX).contains(&rate.value) => self
                .wrong(
                    "bad-rate",
                    rate.referenced,
                    format!("`rate_per_minute: {}` is not a rate", rate.value),
                    &format!("use 1 to {RATE_PER_MINUTE_MAX}; to let nothing pass, use `block`"),
                ),
            (Some(rate), other) if other != Rung::Limit => self.wrong(
                "rate-does-not-fit",
                rate.referenced,
                format!("`{other}` takes no `rate_per_minute`"),
                "remove it, or use `limit`",
            ),
            _ => {}
        }
        let approval = match raw.approval {
            None if rung <= Rung::Limit => ApprovalRule::Never,
            None => ApprovalRule::AboveBlast,
            Some(rule) => {
                if rule.value == ApprovalRule::Never && rung > Rung::StepUp {
                    self.wrong(
                        "never-is-too-far",
                        rule.referenced,
                        format!("`{rung}` cuts people off and cannot say `approval: never`"),
                        "use `above-blast`, and raise the `blast` limits if they are too tight",
                    );
                }
                rule.value
            }
        };
        let approvals = raw.approvals.map_or(1, |approvals| {
            if !(1..=APPROVALS_MAX).contains(&approvals.value) {
                self.wrong(
                    "bad-approvals",
                    approvals.referenced,
                    format!("`approvals: {}` cannot be met", approvals.value),
                    &format!("use 1 to {APPROVALS_MAX}"),
                );
            }
            approvals.value
        });
        Step {
            rung,
            target,
            which: raw.which,
            scope: raw.scope,
            ttl_ms: self
                .duration("ttl", Some(raw.ttl), TTL_MIN_MS, TTL_MAX_MS)
                .unwrap_or(TTL_MIN_MS),
            rate_per_minute: raw.rate_per_minute.map(|rate| rate.value),
            approval,
            approvals,
            approval_deadline_ms: self
                .duration(
                    "approval_deadline",
                    raw.approval_deadline,
                    TTL_MIN_MS,
                    APPROVAL_DEADLINE_MAX_MS,
                )
                .unwrap_or(APPROVAL_DEADLINE_MS),
            escalate_after_ms: self.duration("escalate_after", raw.escalate_after, 0, TTL_MAX_MS),
        }
    }

    fn duration(
        &mut self,
        name: &str,
        raw: Option<Spanned<String>>,
        min_ms: i64,
        max_ms: i64,
    ) -> Option<i64> {
        let raw = raw?;
        match parse_duration(&raw.value) {
            Err(wrong) => {
                self.wrong(
                    "bad-duration",
                    raw.referenced,
                    format!("`{name}`: {wrong}"),
                    "write a whole number and a unit: `90s`, `30m`, `4h`, `7d`",
                );
                None
            }
            Ok(ms) if ms < min_ms || ms > max_ms => {
                self.wrong(
                    "duration-out-of-range",
                    raw.referenced,
                    format!("`{name}: {}` is outside its limits", raw.value),
                    &format!(
                        "use {} to {}",
                        format_duration(min_ms.max(1_000)),
                        format_duration(max_ms)
                    ),
                );
                None
            }
            Ok(ms) => Some(ms),
        }
    }
}

/// Whether a rung means something for a kind of entity.
fn fits(rung: Rung, target: EntityKind) -> bool {
    match rung {
        Rung::Rotate => target == EntityKind::Credential,
        Rung::Revoke => {
            matches!(target, EntityKind::Credential | EntityKind::Session | EntityKind::Account)
        }
        _ => true,
    }
}
