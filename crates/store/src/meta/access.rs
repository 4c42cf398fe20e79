//! What lets a request in: sessions, API tokens, and the count of failed tries.

use super::{MetaError, Read, Result, Tx, document, parsed, to_json};
use schema::{Digest, TenantId, Timestamp};
use std::net::IpAddr;
use uuid::Uuid;

/// A login. The id itself is only in the user's cookie; here is its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id_sha256: Digest,
    pub user: Uuid,
    pub created: Timestamp,
    pub last_seen: Timestamp,
    /// The absolute end, however busy the session is.
    pub expires: Timestamp,
    pub address: IpAddr,
}

/// An API token. The secret itself is only with its holder; here is its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: Uuid,
    pub tenant: TenantId,
    /// The public part, by which a token is found and recognised.
    pub prefix: String,
    pub secret_sha256: Digest,
    pub name: String,
    pub scopes: Vec<String>,
    pub created_by: Uuid,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

/// Failed logins in a row of one account or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    pub failures: u32,
    pub last: Timestamp,
    pub locked_until: Timestamp,
}

/// Accounts and addresses whose failures are remembered; the oldest go first. An attacker with many
/// addresses costs us at most this many rows (about 100 bytes each). Pairs that logged in before
/// (`known:`) are few and not pushed out by them.
const ATTEMPTS_MAX: i64 = 100_000;

const TOKEN: &str = "SELECT id, tenant, prefix, secret_sha256, name, scopes, created_by, created, expires, last_used, revoked FROM tokens";

impl Read<'_> {
    pub fn session(&self, id_sha256: &Digest) -> Result<Option<Session>> {
        self.maybe(
            "SELECT id_sha256, user, created, last_seen, expires, address FROM sessions WHERE id_sha256 = ?1",
            (id_sha256.to_hex(),),
            session,
        )
    }

    pub fn token_by_prefix(&self, prefix: &str) -> Result<Option<Token>> {
        self.maybe(&format!("{TOKEN} WHERE prefix = ?1"), (prefix,), token)
    }

    pub fn token(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Token>> {
        self.maybe(
            &format!("{TOKEN} WHERE tenant = ?1 AND id = ?2"),
            (tenant.as_str(), id.to_string()),
            token,
        )
    }

    pub fn tokens(&self, tenant: &TenantId) -> Result<Vec<Token>> {
        self.all(
            &format!("{TOKEN} WHERE tenant = ?1 ORDER BY created DESC, id"),
            (tenant.as_str(),),
            token,
        )
    }

    /// Whether what `actor` sends under this Idempotency-Key was done before.
    pub fn has_key(&self, tenant: &TenantId, actor: &str, key: &str) -> Result<bool> {
        self.one(
            "SELECT EXISTS (SELECT 1 FROM seen_keys WHERE tenant = ?1 AND actor = ?2 AND key = ?3)",
            (tenant.as_str(), actor, key),
        )
    }

    /// The failures counted against `subject`, if it was ever counted.
    pub fn counted(&self, subject: &str) -> Result<Option<Attempts>> {
        self.maybe(
            "SELECT failures, last, locked_until FROM attempts WHERE subject = ?1",
            (subject,),
            |row| {
                Ok(Attempts { failures: row.get(0)?, last: row.get(1)?, locked_until: row.get(2)? })
            },
        )
    }

    pub fn attempts(&self, subject: &str) -> Result<Attempts> {
        Ok(self.counted(subject)?.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Starts a session, and forgets those that are over.
    pub fn create_session(&self, session: &Session) -> Result<()> {
        self.run("DELETE FROM sessions WHERE expires <= ?1", (session.created,))?;
        self.run(
            "INSERT INTO sessions (id_sha256, user, created, last_seen, expires, address)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                session.id_sha256.to_hex(),
                session.user.to_string(),
                session.created,
                session.last_seen,
                session.expires,
                session.address.to_string(),
            ),
        )?;
        Ok(())
    }

    pub fn touch_session(&self, id_sha256: &Digest, now: Timestamp) -> Result<()> {
        self.run(
            "UPDATE sessions SET last_seen = ?2 WHERE id_sha256 = ?1",
            (id_sha256.to_hex(), now),
        )?;
        Ok(())
    }

    pub fn end_session(&self, id_sha256: &Digest) -> Result<()> {
        self.run("DELETE FROM sessions WHERE id_sha256 = ?1", (id_sha256.to_hex(),))?;
        Ok(())
    }

    /// Ends every session of `user` but `keep`.
    pub fn end_sessions(&self, user: Uuid, keep: Option<&Digest>) -> Result<()> {
        self.run(
            "DELETE FROM sessions WHERE user = ?1 AND id_sha256 <> ?2",
            (user.to_string(), keep.map(Digest::to_hex).unwrap_or_default()),
        )?;
        Ok(())
    }

    pub fn create_token(&self, token: &Token) -> Result<()> {
        self.run(
            "INSERT INTO tokens (id, tenant, prefix, secret_sha256, name, scopes, created_by, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            (
                token.id.to_string(),
                token.tenant.as_str(),
                &token.prefix,
                token.secret_sha256.to_hex(),
                &token.name,
                to_json("scopes", &token.scopes)?,
                token.created_by.to_string(),
                token.created,
                token.expires,
            ),
        )?;
        Ok(())
    }

    pub fn touch_token(&self, id: Uuid, now: Timestamp) -> Result<()> {
        self.run("UPDATE tokens SET last_used = ?2 WHERE id = ?1", (id.to_string(), now))?;
        Ok(())
    }

    /// Revokes for good; `false` when it was revoked already.
    pub fn revoke_token(&self, tenant: &TenantId, id: Uuid, now: Timestamp) -> Result<bool> {
        if self.token(tenant, id)?.is_none() {
            return Err(MetaError::Missing(id.to_string()));
        }
        let touched = self.run(
            "UPDATE tokens SET revoked = ?3 WHERE tenant = ?1 AND id = ?2 AND revoked IS NULL",
            (tenant.as_str(), id.to_string(), now),
        )?;
        Ok(touched > 0)
    }

    pub fn set_attempts(&self, subject: &str, attempts: Attempts) -> Result<()> {
        self.run(
            "INSERT INTO attempts (subject, failures, last, locked_until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET failures = excluded.failures, last = excluded.last, locked_until = excluded.locked_until",
            (subject, attempts.failures, attempts.last, attempts.locked_until),
        )?;
        let over: i64 = self.one(
            "SELECT count(*) - ?1 FROM attempts WHERE subject NOT LIKE 'known:%'",
            (ATTEMPTS_MAX,),
        )?;
        if over > 0 {
            self.run(
                "DELETE FROM attempts WHERE subject IN
                 (SELECT subject FROM attempts WHERE subject NOT LIKE 'known:%' ORDER BY last LIMIT ?1)",
                (over,),
            )?;
        }
        Ok(())
    }

    pub fn clear_attempts(&self, subject: &str) -> Result<()> {
        self.run("DELETE FROM attempts WHERE subject = ?1", (subject,))?;
        Ok(())
    }

    /// Forgets pairs of account and address that have not logged in since `before`.
    pub fn forget_known(&self, before: Timestamp) -> Result<()> {
        self.run("DELETE FROM attempts WHERE subject LIKE 'known:%' AND last < ?1", (before,))?;
        Ok(())
    }

    /// Notes that what `actor` sent under this Idempotency-Key was done; kept for a day.
    pub fn note_key(
        &self,
        tenant: &TenantId,
        actor: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<()> {
        const KEPT_MS: i64 = 24 * 3600 * 1000;
        self.run("DELETE FROM seen_keys WHERE time < ?1", (now - KEPT_MS,))?;
        self.run(
            "INSERT INTO seen_keys (tenant, actor, key, time) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            (tenant.as_str(), actor, key, now),
        )?;
        Ok(())
    }
}

fn session(row: &rusqlite::Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id_sha256: digest(row, 0)?,
        user: parsed(row, 1)?,
        created: row.get(2)?,
        last_seen: row.get(3)?,
        expires: row.get(4)?,
        address: parsed(row, 5)?,
    })
}

fn token(row: &rusqlite::Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: parsed(row, 0)?,
        tenant: parsed(row, 1)?,
        prefix: row.get(2)?,
        secret_sha256: digest(row, 3)?,
        name: row.get(4)?,
        scopes: document(row, 5)?,
        created_by: parsed(row, 6)?,
        created: row.get(7)?,
        expires: row.get(8)?,
        last_used: row.get(9)?,
        revoked: row.get(10)?,
    })
}

fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text: String = row.get(column)?;
    Digest::parse(&text).ok_or_else(|| {
        super::unreadable(column, std::io::Error::other("a digest is 64 lowercase hex digits"))
    })
}
