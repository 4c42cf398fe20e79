//! What trust is judged by, and what was judged: texts by version, registers, decisions.

use super::{Cursor, Read, Result, Tx, stored, to_json};
use rusqlite::types::Value;
use schema::{TenantId, Timestamp};
use serde_json::value::RawValue;
use uuid::Uuid;

/// A text trust is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrustText {
    Policy,
    Site,
}

impl TrustText {
    pub fn as_str(self) -> &'static str {
        match self {
            TrustText::Policy => "policy",
            TrustText::Site => "site",
        }
    }
}

/// One version of such a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustVersion {
    pub version: u32,
    /// YAML; empty for the shipped policy.
    pub text: String,
    /// Which of the policy's profiles judges; empty for a site.
    pub profile: String,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
}

/// Something entered into a register.
#[derive(Debug, Clone)]
pub struct TrustEntry {
    pub id: String,
    /// JSON.
    pub doc: Box<RawValue>,
    pub author: String,
    pub changed: Timestamp,
}

/// A decision kept: the columns it is found by, and its record as JSON.
#[derive(Debug, Clone)]
pub struct TrustDecision {
    pub id: Uuid,
    pub time: Timestamp,
    /// Whose it is: the entity it was asked for, as text.
    pub session: String,
    pub permit: bool,
    pub doc: Box<RawValue>,
}

/// Newest first.
#[derive(Debug, Clone, Default)]
pub struct TrustDecisionFilter {
    pub session: Option<String>,
    pub permit: Option<bool>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<Cursor>,
    pub limit: usize,
}

const VERSION: &str = "SELECT version, text, profile, author, reason, created FROM trust_texts WHERE tenant = ?1 AND what = ?2";

impl Read<'_> {
    /// The version in force; `None` until there is one.
    pub fn trust_text(&self, tenant: &TenantId, what: TrustText) -> Result<Option<TrustVersion>> {
        self.maybe(
            &format!("{VERSION} ORDER BY version DESC LIMIT 1"),
            (tenant.as_str(), what.as_str()),
            version,
        )
    }

    /// Newest first; `before` a version, for the next page.
    pub fn trust_history(
        &self,
        tenant: &TenantId,
        what: TrustText,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Vec<TrustVersion>> {
        self.all(
            &format!("{VERSION} AND version < ?3 ORDER BY version DESC LIMIT ?4"),
            (
                tenant.as_str(),
                what.as_str(),
                before.map_or(i64::MAX, i64::from),
                stored(limit as u64),
            ),
            version,
        )
    }

    /// A register's entries by id; `after` an id, for the next page.
    pub fn trust_entries(
        &self,
        tenant: &TenantId,
        register: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TrustEntry>> {
        self.all(
            "SELECT id, doc, author, changed FROM trust_entries
             WHERE tenant = ?1 AND register = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            (tenant.as_str(), register, after.unwrap_or_default(), stored(limit as u64)),
            entry,
        )
    }

    pub fn trust_entry(
        &self,
        tenant: &TenantId,
        register: &str,
        id: &str,
    ) -> Result<Option<TrustEntry>> {
        self.maybe(
            "SELECT id, doc, author, changed FROM trust_entries
             WHERE tenant = ?1 AND register = ?2 AND id = ?3",
            (tenant.as_str(), register, id),
            entry,
        )
    }

    pub fn trust_entries_count(&self, tenant: &TenantId, register: &str) -> Result<u64> {
        let count: i64 = self.one(
            "SELECT count(*) FROM trust_entries WHERE tenant = ?1 AND register = ?2",
            (tenant.as_str(), register),
        )?;
        Ok(count.cast_unsigned())
    }

    pub fn trust_decision(&self, tenant: &TenantId, id: Uuid) -> Result<Option<TrustDecision>> {
        self.maybe(
            "SELECT id, time, session, permit, doc FROM trust_decisions WHERE tenant = ?1 AND id = ?2",
            (tenant.as_str(), id.to_string()),
            decision,
        )
    }

    pub fn trust_decisions(
        &self,
        tenant: &TenantId,
        filter: &TrustDecisionFilter,
    ) -> Result<Vec<TrustDecision>> {
        let mut sql = String::from(
            "SELECT id, time, session, permit, doc FROM trust_decisions WHERE tenant = ?1",
        );
        let mut values = vec![Value::Text(tenant.as_str().to_owned())];
        let mut add = |clause: &str, value: Value| {
            values.push(value);
            sql.push_str(&clause.replace('?', &format!("?{}", values.len())));
        };
        if let Some(session) = &filter.session {
            add(" AND session = ?", Value::Text(session.clone()));
        }
        if let Some(permit) = filter.permit {
            add(" AND permit = ?", Value::Integer(i64::from(permit)));
        }
        if let Some(since) = filter.since {
            add(" AND time >= ?", Value::Integer(since));
        }
        if let Some(until) = filter.until {
            add(" AND time < ?", Value::Integer(until));
        }
        if let Some(Cursor { time, id }) = filter.after {
            add(" AND (time, id) < (?", Value::Integer(time));
            add(", ?)", Value::Text(id.to_string()));
        }
        add(" ORDER BY time DESC, id DESC LIMIT ?", Value::Integer(stored(filter.limit as u64)));
        self.all(&sql, rusqlite::params_from_iter(values), decision)
    }
}

impl Tx<'_> {
    /// Stores the next version. The same text and profile as those in force are that version again.
    #[expect(clippy::too_many_arguments, reason = "one column each")]
    pub fn put_trust_text(
        &self,
        tenant: &TenantId,
        what: TrustText,
        text: &str,
        profile: &str,
        author: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(TrustVersion, bool)> {
        let current = self.trust_text(tenant, what)?;
        let same = |v: &&TrustVersion| v.text == text && v.profile == profile;
        if let Some(same) = current.as_ref().filter(same) {
            return Ok((same.clone(), false));
        }
        let next = TrustVersion {
            version: current.map_or(0, |version| version.version) + 1,
            text: text.to_owned(),
            profile: profile.to_owned(),
            author: author.to_owned(),
            reason: reason.to_owned(),
            created: now,
        };
        self.run(
            "INSERT INTO trust_texts (tenant, what, version, text, profile, author, reason, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (tenant.as_str(), what.as_str(), next.version, text, profile, author, reason, now),
        )?;
        Ok((next, true))
    }

    /// Enters or replaces; `false` when it is there as it is.
    pub fn put_trust_entry(
        &self,
        tenant: &TenantId,
        register: &str,
        id: &str,
        doc: &impl serde::Serialize,
        author: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let doc = to_json("register entry", doc)?;
        let touched = self.run(
            "INSERT INTO trust_entries (tenant, register, id, doc, author, changed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET doc = excluded.doc, author = excluded.author,
               changed = excluded.changed WHERE doc <> excluded.doc",
            (tenant.as_str(), register, id, doc, author, now),
        )?;
        Ok(touched > 0)
    }

    /// `false` when there was none.
    pub fn delete_trust_entry(&self, tenant: &TenantId, register: &str, id: &str) -> Result<bool> {
        let gone = self.run(
            "DELETE FROM trust_entries WHERE tenant = ?1 AND register = ?2 AND id = ?3",
            (tenant.as_str(), register, id),
        )?;
        Ok(gone > 0)
    }

    pub fn put_trust_decision(&self, tenant: &TenantId, decision: &TrustDecision) -> Result<()> {
        self.run(
            "INSERT INTO trust_decisions (tenant, id, time, session, permit, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            (
                tenant.as_str(),
                decision.id.to_string(),
                decision.time,
                &decision.session,
                decision.permit,
                decision.doc.get(),
            ),
        )?;
        Ok(())
    }

    /// Forgets decisions made before `until`, and beyond the newest `kept`; their leaves stay.
    pub fn forget_trust_decisions(
        &self,
        tenant: &TenantId,
        until: Timestamp,
        kept: usize,
    ) -> Result<usize> {
        self.run(
            "DELETE FROM trust_decisions WHERE tenant = ?1 AND (time < ?2 OR (time, id) < (
               SELECT time, id FROM trust_decisions WHERE tenant = ?1
               ORDER BY time DESC, id DESC LIMIT 1 OFFSET ?3))",
            (tenant.as_str(), until, stored(kept as u64)),
        )
    }

    /// Notes a security event token; `false` when it was noted before.
    pub fn see_token(
        &self,
        tenant: &TenantId,
        issuer: &str,
        jti: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let seen = self.run(
            "INSERT INTO ssf_seen (tenant, issuer, jti, time) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            (tenant.as_str(), issuer, jti, now),
        )?;
        Ok(seen > 0)
    }

    /// Forgets tokens noted before `until`: by then they are too old to be taken.
    pub fn forget_seen_tokens(&self, until: Timestamp) -> Result<usize> {
        self.run("DELETE FROM ssf_seen WHERE time < ?1", (until,))
    }
}

fn version(row: &rusqlite::Row<'_>) -> rusqlite::Result<TrustVersion> {
    Ok(TrustVersion {
        version: row.get(0)?,
        text: row.get(1)?,
        profile: row.get(2)?,
        author: row.get(3)?,
        reason: row.get(4)?,
        created: row.get(5)?,
    })
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<TrustEntry> {
    Ok(TrustEntry {
        id: row.get(0)?,
        doc: super::document(row, 1)?,
        author: row.get(2)?,
        changed: row.get(3)?,
    })
}

fn decision(row: &rusqlite::Row<'_>) -> rusqlite::Result<TrustDecision> {
    Ok(TrustDecision {
        id: super::parsed(row, 0)?,
        time: row.get(1)?,
        session: row.get(2)?,
        permit: row.get(3)?,
        doc: super::document(row, 4)?,
    })
}
