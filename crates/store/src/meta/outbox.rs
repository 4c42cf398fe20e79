//! Ledger leaves on their way: committed with the record they attest, appended to the ledger after.
//!
//! The ledger is appended in outbox order, so after a crash the ledger's length tells how many of
//! the pending leaves made it: none is appended twice, none is lost.

use super::{Read, Result, Tx, count, document, stored, to_json};
use schema::{Leaf, TenantId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLeaf {
    pub id: i64,
    pub leaf: Leaf,
}

impl Read<'_> {
    /// The leaves not yet known to be in the tenant's ledger, oldest first.
    pub fn pending_leaves(&self, tenant: &TenantId, limit: usize) -> Result<Vec<PendingLeaf>> {
        self.all(
            "SELECT id, leaf FROM outbox WHERE tenant = ?1 AND ledger_index IS NULL ORDER BY id LIMIT ?2",
            (tenant.as_str(), stored(limit as u64)),
            |row| Ok(PendingLeaf { id: row.get(0)?, leaf: document(row, 1)? }),
        )
    }

    /// How many of the tenant's leaves are known to be in its ledger.
    pub fn appended_leaves(&self, tenant: &TenantId) -> Result<u64> {
        let appended = self.maybe(
            "SELECT coalesce(max(ledger_index) + 1, 0) FROM outbox WHERE tenant = ?1 AND ledger_index IS NOT NULL",
            (tenant.as_str(),),
            |row| count(row, 0),
        )?;
        Ok(appended.unwrap_or(0))
    }

    /// Where in the ledger the leaves about `subject` are, oldest first.
    pub fn leaves_about(
        &self,
        tenant: &TenantId,
        subject: uuid::Uuid,
        limit: usize,
    ) -> Result<Vec<(u64, Leaf)>> {
        self.all(
            "SELECT ledger_index, leaf FROM outbox
             WHERE tenant = ?1 AND subject = ?2 AND ledger_index IS NOT NULL ORDER BY ledger_index LIMIT ?3",
            (tenant.as_str(), subject.to_string(), stored(limit as u64)),
            |row| Ok((count(row, 0)?, document(row, 1)?)),
        )
    }

    /// A stretch of the ledger, oldest first.
    pub fn ledger_entries(
        &self,
        tenant: &TenantId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Leaf)>> {
        self.all(
            "SELECT ledger_index, leaf FROM outbox
             WHERE tenant = ?1 AND ledger_index >= ?2 ORDER BY ledger_index LIMIT ?3",
            (tenant.as_str(), stored(from), stored(limit as u64)),
            |row| Ok((count(row, 0)?, document(row, 1)?)),
        )
    }
}

impl Tx<'_> {
    /// Adds leaves to the outbox, in order.
    pub fn attest(&self, leaves: &[Leaf]) -> Result<()> {
        for leaf in leaves {
            self.run(
                "INSERT INTO outbox (tenant, subject, leaf) VALUES (?1, ?2, ?3)",
                (leaf.tenant.as_str(), leaf.subject.to_string(), to_json("leaf", leaf)?),
            )?;
        }
        Ok(())
    }

    /// Notes that these leaves, in this order, are in the ledger from `first` on.
    pub fn appended(&self, ids: &[i64], first: u64) -> Result<()> {
        for (index, id) in (first..).zip(ids) {
            self.run("UPDATE outbox SET ledger_index = ?2 WHERE id = ?1", (id, stored(index)))?;
        }
        Ok(())
    }
}
