//! Response policies: the text, version by version.

use super::{Read, Result, Tx};
use schema::{TenantId, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub version: u32,
    pub text: String,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
}

const POLICY: &str = "SELECT version, text, author, reason, created FROM policies";

impl Read<'_> {
    /// The one in force; `None` until the tenant has one.
    pub fn policy(&self, tenant: &TenantId) -> Result<Option<Policy>> {
        self.maybe(
            &format!("{POLICY} WHERE tenant = ?1 ORDER BY version DESC LIMIT 1"),
            (tenant.as_str(),),
            policy,
        )
    }

    pub fn policy_version(&self, tenant: &TenantId, version: u32) -> Result<Option<Policy>> {
        self.maybe(
            &format!("{POLICY} WHERE tenant = ?1 AND version = ?2"),
            (tenant.as_str(), version),
            policy,
        )
    }

    /// Newest first; `before` a version, for the next page.
    pub fn policy_history(
        &self,
        tenant: &TenantId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Policy>> {
        self.all(
            &format!("{POLICY} WHERE tenant = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3"),
            (
                tenant.as_str(),
                before.map_or(i64::MAX, i64::from),
                i64::try_from(limit).unwrap_or(i64::MAX),
            ),
            policy,
        )
    }
}

impl Tx<'_> {
    /// Stores the next version. The same text as the one in force is that version again.
    pub fn put_policy(
        &self,
        tenant: &TenantId,
        text: &str,
        author: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Policy, bool)> {
        let current = self.policy(tenant)?;
        if let Some(same) = current.as_ref().filter(|policy| policy.text == text) {
            return Ok((same.clone(), false));
        }
        let policy = Policy {
            version: current.map_or(0, |policy| policy.version) + 1,
            text: text.to_owned(),
            author: author.to_owned(),
            reason: reason.to_owned(),
            created: now,
        };
        self.run(
            "INSERT INTO policies (tenant, version, text, author, reason, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (tenant.as_str(), policy.version, text, author, reason, now),
        )?;
        Ok((policy, true))
    }
}

fn policy(row: &rusqlite::Row<'_>) -> rusqlite::Result<Policy> {
    Ok(Policy {
        version: row.get(0)?,
        text: row.get(1)?,
        author: row.get(2)?,
        reason: row.get(3)?,
        created: row.get(4)?,
    })
}
