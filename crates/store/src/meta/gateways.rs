//! Gateways and sources: how far each has come, and what was lost on the way.

use super::{Read, Result, Tx, count, stored};
use schema::{TenantId, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayState {
    pub id: String,
    /// The newest restriction version it said it enforces.
    pub applied_version: u64,
    pub applied: Option<Timestamp>,
    pub last_seen: Timestamp,
    /// Events it had to drop, in all.
    pub dropped: u64,
}

/// Events that were dropped before they reached us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The gateway or listener that dropped them.
    pub source: String,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Permanent code: `spool-full`, `rate-limited`…
    pub reason: String,
    pub dropped: u64,
    pub received: Timestamp,
}

/// A gateway is "seen" at most this often on disk; one fsync per request would be too many.
const SEEN_EVERY_MS: i64 = 30_000;

impl Read<'_> {
    pub fn gateways(&self, tenant: &TenantId) -> Result<Vec<GatewayState>> {
        self.all(
            "SELECT id, applied_version, applied, last_seen, dropped FROM gateways WHERE tenant = ?1 ORDER BY id",
            (tenant.as_str(),),
            gateway,
        )
    }

    pub fn gateway(&self, tenant: &TenantId, id: &str) -> Result<Option<GatewayState>> {
        self.maybe(
            "SELECT id, applied_version, applied, last_seen, dropped FROM gateways WHERE tenant = ?1 AND id = ?2",
            (tenant.as_str(), id),
            gateway,
        )
    }

    /// Whether a note that the gateway was seen is due.
    pub fn gateway_seen_is_due(&self, tenant: &TenantId, id: &str, now: Timestamp) -> Result<bool> {
        Ok(self.gateway(tenant, id)?.is_none_or(|g| now - g.last_seen >= SEEN_EVERY_MS))
    }

    /// Newest first.
    pub fn losses(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Loss>> {
        self.all(
            "SELECT source, since, until, reason, dropped, received FROM losses
             WHERE tenant = ?1 ORDER BY until DESC, source LIMIT ?2",
            (tenant.as_str(), stored(limit as u64)),
            |row| {
                Ok(Loss {
                    source: row.get(0)?,
                    since: row.get(1)?,
                    until: row.get(2)?,
                    reason: row.get(3)?,
                    dropped: count(row, 4)?,
                    received: row.get(5)?,
                })
            },
        )
    }

    /// All events of the tenant known to be dropped.
    pub fn dropped_total(&self, tenant: &TenantId) -> Result<u64> {
        let total = self.maybe(
            "SELECT coalesce(sum(dropped), 0) FROM losses WHERE tenant = ?1",
            (tenant.as_str(),),
            |row| count(row, 0),
        )?;
        Ok(total.unwrap_or(0))
    }

    pub fn next_sequence(&self, tenant: &TenantId, source: &str) -> Result<u64> {
        let next = self.maybe(
            "SELECT next_sequence FROM sources WHERE tenant = ?1 AND source = ?2",
            (tenant.as_str(), source),
            |row| count(row, 0),
        )?;
        Ok(next.unwrap_or(0))
    }
}

impl Tx<'_> {
    pub fn gateway_seen(&self, tenant: &TenantId, id: &str, now: Timestamp) -> Result<()> {
        self.run(
            "INSERT INTO gateways (tenant, id, applied_version, last_seen) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen",
            (tenant.as_str(), id, now),
        )?;
        Ok(())
    }

    /// The gateway enforces `version` now. An older one, told late, changes nothing.
    pub fn gateway_applied(
        &self,
        tenant: &TenantId,
        id: &str,
        version: u64,
        now: Timestamp,
    ) -> Result<()> {
        self.gateway_seen(tenant, id, now)?;
        self.run(
            "UPDATE gateways SET applied_version = ?3, applied = ?4
             WHERE tenant = ?1 AND id = ?2 AND (applied IS NULL OR applied_version < ?3)",
            (tenant.as_str(), id, stored(version), now),
        )?;
        Ok(())
    }

    /// Counts a loss; `false` when it was told before.
    pub fn add_loss(&self, tenant: &TenantId, loss: &Loss) -> Result<bool> {
        let added = self.run(
            "INSERT INTO losses (tenant, source, since, until, reason, dropped, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            (
                tenant.as_str(),
                &loss.source,
                loss.since,
                loss.until,
                &loss.reason,
                stored(loss.dropped),
                loss.received,
            ),
        )?;
        if added > 0 {
            self.run(
                "UPDATE gateways SET dropped = dropped + ?3 WHERE tenant = ?1 AND id = ?2",
                (tenant.as_str(), &loss.source, stored(loss.dropped)),
            )?;
        }
        Ok(added > 0)
    }

    /// Takes `number` sequence numbers for a source; the first of them.
    pub fn take_sequences(&self, tenant: &TenantId, source: &str, number: u64) -> Result<u64> {
        let first = self.next_sequence(tenant, source)?;
        self.run(
            "INSERT INTO sources (tenant, source, next_sequence) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET next_sequence = excluded.next_sequence",
            (tenant.as_str(), source, stored(first.saturating_add(number))),
        )?;
        Ok(first)
    }
}

fn gateway(row: &rusqlite::Row<'_>) -> rusqlite::Result<GatewayState> {
    Ok(GatewayState {
        id: row.get(0)?,
        applied_version: count(row, 1)?,
        applied: row.get(2)?,
        last_seen: row.get(3)?,
        dropped: count(row, 4)?,
    })
}
