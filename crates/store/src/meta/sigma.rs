//! Detection rules of a tenant, exceptions from them, and how often each fired.

use super::{Cursor, MetaError, Read, Result, Tx, count, parsed, stored, unreadable};
use schema::{Entity, Stage, TenantId, Timestamp};
use uuid::Uuid;

/// Rules of one tenant's own; switched rules of packs count too.
pub const SIGMA_RULES_MAX: u64 = 10_000;
/// Exceptions in force at once, in one tenant.
pub const SIGMA_EXCEPTIONS_MAX: u64 = 1_000;
/// Days that hits are counted for.
pub const SIGMA_HITS_DAYS: i64 = 400;

/// One version of a rule, or of a switch put upon a pack's rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SigmaRule {
    /// How findings name it: the first document's id, name or title.
    pub id: String,
    pub version: u32,
    pub text: String,
    pub enabled: bool,
    /// How far what it finds may go. `enforce` is not written: records of before there were stages keep their digest.
    #[serde(skip_serializing_if = "Stage::is_enforce")]
    pub stage: Stage,
    /// `site`, or the pack it came in.
    pub origin: String,
    pub author: String,
    pub reason: String,
    pub changed: Timestamp,
    /// It looks at what was received from here on; 0 when it is stored: from then on.
    pub since: Timestamp,
    pub removed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SigmaException {
    pub id: Uuid,
    /// Any rule without one.
    pub rule: Option<String>,
    /// A selection as JSON.
    pub selection: Option<String>,
    pub entity: Option<Entity>,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// When it was taken back, or was seen to have expired.
    pub ended: Option<Timestamp>,
    pub suppressed: u64,
}

/// How often a rule fired on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigmaHits {
    pub rule: String,
    pub day: i64,
    pub hits: u64,
    pub suppressed: u64,
}

/// What was counted since it was last kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigmaCounts {
    pub hits: Vec<SigmaHits>,
    /// By exception.
    pub suppressed: Vec<(Uuid, u64)>,
}

const RULE: &str = "SELECT id, version, text, enabled, origin, author, reason, changed, removed, stage, coalesce(since, changed) FROM sigma_rules AS r";
const NEWEST: &str = "version = (SELECT max(version) FROM sigma_rules WHERE tenant = r.tenant AND id = r.id) AND removed = 0";
const EXCEPTION: &str = "SELECT id, rule, selection, entity, author, reason, created, expires, ended, suppressed FROM sigma_exceptions";

impl Read<'_> {
    /// All that hold, by id.
    pub fn sigma_rules(&self, tenant: &TenantId) -> Result<Vec<SigmaRule>> {
        self.all(
            &format!("{RULE} WHERE tenant = ?1 AND {NEWEST} ORDER BY id"),
            (tenant.as_str(),),
            rule,
        )
    }

    pub fn sigma_rule(&self, tenant: &TenantId, id: &str) -> Result<Option<SigmaRule>> {
        self.maybe(
            &format!("{RULE} WHERE tenant = ?1 AND id = ?2 AND {NEWEST}"),
            (tenant.as_str(), id),
            rule,
        )
    }

    pub fn sigma_exception(&self, tenant: &TenantId, id: Uuid) -> Result<Option<SigmaException>> {
        self.maybe(
            &format!("{EXCEPTION} WHERE tenant = ?1 AND id = ?2"),
            (tenant.as_str(), id.to_string()),
            exception,
        )
    }

    /// Newest first; those that ended only when asked for.
    pub fn sigma_exceptions(
        &self,
        tenant: &TenantId,
        with_ended: bool,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<SigmaException>> {
        let Cursor { time, id } = after.unwrap_or(Cursor { time: i64::MAX, id: Uuid::max() });
        self.all(
            &format!(
                "{EXCEPTION} WHERE tenant = ?1 AND (?2 OR ended IS NULL) AND (created, id) < (?3, ?4)
                 ORDER BY created DESC, id DESC LIMIT ?5"
            ),
            (tenant.as_str(), with_ended, time, id.to_string(), stored(limit as u64)),
            exception,
        )
    }

    /// Those that held at some time from `since` on, oldest first.
    pub fn sigma_exceptions_since(
        &self,
        tenant: &TenantId,
        since: Timestamp,
    ) -> Result<Vec<SigmaException>> {
        self.all(
            &format!(
                "{EXCEPTION} WHERE tenant = ?1 AND expires > ?2 AND (ended IS NULL OR ended > ?2)
                 ORDER BY created, id"
            ),
            (tenant.as_str(), since),
            exception,
        )
    }

    /// Hits from a day on, by rule and day.
    pub fn sigma_hits(&self, tenant: &TenantId, since_day: i64) -> Result<Vec<SigmaHits>> {
        self.all(
            "SELECT rule, day, hits, suppressed FROM sigma_hits WHERE tenant = ?1 AND day >= ?2 ORDER BY rule, day",
            (tenant.as_str(), since_day),
            |row| {
                Ok(SigmaHits {
                    rule: row.get(0)?,
                    day: row.get(1)?,
                    hits: count(row, 2)?,
                    suppressed: count(row, 3)?,
                })
            },
        )
    }
}

impl Tx<'_> {
    /// Stores the next version of a rule; `version` and `changed` of what is given are set here.
    pub fn put_sigma_rule(
        &self,
        tenant: &TenantId,
        next: &SigmaRule,
        now: Timestamp,
    ) -> Result<SigmaRule> {
        let known: i64 = self.one(
            "SELECT count(DISTINCT id) FROM sigma_rules WHERE tenant = ?1 AND id <> ?2",
            (tenant.as_str(), &next.id),
        )?;
        if known.cast_unsigned() >= SIGMA_RULES_MAX {
            return Err(MetaError::Refused(
                "the tenant has 10000 rules of its own, the most there may be: load them as a folder (`sigma.rules`)",
            ));
        }
        let last: i64 = self.one(
            "SELECT coalesce(max(version), 0) FROM sigma_rules WHERE tenant = ?1 AND id = ?2",
            (tenant.as_str(), &next.id),
        )?;
        let version = u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1);
        let since = if next.since == 0 { now } else { next.since };
        let rule = SigmaRule { version, changed: now, since, ..next.clone() };
        self.run(
            "INSERT INTO sigma_rules (tenant, id, version, text, enabled, origin, author, reason, changed, removed, stage, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            (
                tenant.as_str(),
                &rule.id,
                rule.version,
                &rule.text,
                rule.enabled,
                &rule.origin,
                &rule.author,
                &rule.reason,
                rule.changed,
                rule.removed,
                rule.stage.as_str(),
                rule.since,
            ),
        )?;
        Ok(rule)
    }

    pub fn put_sigma_exception(&self, tenant: &TenantId, exception: &SigmaException) -> Result<()> {
        let live: i64 = self.one(
            "SELECT count(*) FROM sigma_exceptions WHERE tenant = ?1 AND ended IS NULL",
            (tenant.as_str(),),
        )?;
        if live.cast_unsigned() >= SIGMA_EXCEPTIONS_MAX {
            return Err(MetaError::Refused(
                "the tenant has 1000 exceptions, the most there may be: take some back, or change the rule",
            ));
        }
        self.run(
            "INSERT INTO sigma_exceptions (tenant, id, rule, selection, entity, author, reason, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                tenant.as_str(),
                exception.id.to_string(),
                &exception.rule,
                &exception.selection,
                exception.entity.as_ref().map(Entity::to_string),
                &exception.author,
                &exception.reason,
                exception.created,
                exception.expires,
            ),
        )?;
        Ok(())
    }

    /// `false` when there is none that still holds.
    pub fn end_sigma_exception(&self, tenant: &TenantId, id: Uuid, at: Timestamp) -> Result<bool> {
        let ended = self.run(
            "UPDATE sigma_exceptions SET ended = ?3 WHERE tenant = ?1 AND id = ?2 AND ended IS NULL",
            (tenant.as_str(), id.to_string(), at),
        )?;
        Ok(ended > 0)
    }

    /// Adds what was counted, and forgets days that are long past.
    pub fn count_sigma(&self, tenant: &TenantId, counts: &SigmaCounts, today: i64) -> Result<()> {
        for SigmaHits { rule, day, hits, suppressed } in &counts.hits {
            self.run(
                "INSERT INTO sigma_hits (tenant, rule, day, hits, suppressed) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET hits = hits + excluded.hits, suppressed = suppressed + excluded.suppressed",
                (tenant.as_str(), rule, day, stored(*hits), stored(*suppressed)),
            )?;
        }
        for (id, times) in &counts.suppressed {
            self.run(
                "UPDATE sigma_exceptions SET suppressed = suppressed + ?3 WHERE tenant = ?1 AND id = ?2",
                (tenant.as_str(), id.to_string(), stored(*times)),
            )?;
        }
        self.run(
            "DELETE FROM sigma_hits WHERE tenant = ?1 AND day < ?2",
            (tenant.as_str(), today.saturating_sub(SIGMA_HITS_DAYS)),
        )?;
        Ok(())
    }
}

fn rule(row: &rusqlite::Row<'_>) -> rusqlite::Result<SigmaRule> {
    Ok(SigmaRule {
        id: row.get(0)?,
        version: row.get(1)?,
        text: row.get(2)?,
        enabled: row.get(3)?,
        origin: row.get(4)?,
        author: row.get(5)?,
        reason: row.get(6)?,
        changed: row.get(7)?,
        removed: row.get(8)?,
        stage: {
            let word = serde_json::Value::String(row.get(9)?);
            serde_json::from_value(word).map_err(|cause| unreadable(9, cause))?
        },
        since: row.get(10)?,
    })
}

fn exception(row: &rusqlite::Row<'_>) -> rusqlite::Result<SigmaException> {
    let entity: Option<String> = row.get(3)?;
    Ok(SigmaException {
        id: parsed(row, 0)?,
        rule: row.get(1)?,
        selection: row.get(2)?,
        entity: entity.as_deref().and_then(|text| text.parse().ok()),
        author: row.get(4)?,
        reason: row.get(5)?,
        created: row.get(6)?,
        expires: row.get(7)?,
        ended: row.get(8)?,
        suppressed: count(row, 9)?,
    })
}
