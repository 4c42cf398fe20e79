//! Second factors: one-time codes (TOTP), recovery codes, passkeys, and what browsers were asked to sign.

use super::{MetaError, Read, Result, Tx, parsed};
use schema::{Digest, Timestamp};
use uuid::Uuid;

/// The secret behind somebody's one-time codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeCodes {
    /// Sealed by the server; this database alone does not tell it.
    pub sealed: String,
    pub created: Timestamp,
    /// In force since; `None` while the person has not yet shown a code of it.
    pub confirmed: Option<Timestamp>,
    /// The newest time step a code was taken for: none is taken twice (RFC 6238 §5.2).
    pub last_step: i64,
}

/// A key in somebody's device or password manager (WebAuthn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    pub user: Uuid,
    /// base64url, as the browser names it.
    pub id: String,
    pub name: String,
    /// The host and port it was made for.
    pub site: String,
    /// COSE's number.
    pub algorithm: i64,
    /// base64url.
    pub public_key: String,
    /// As the authenticator last counted; many never count.
    pub signatures: u32,
    pub created: Timestamp,
    pub last_used: Option<Timestamp>,
}

const PASSKEY: &str = "SELECT user, id, name, site, algorithm, public_key, signatures, created, last_used FROM passkeys";

impl Read<'_> {
    pub fn one_time_codes(&self, user: Uuid) -> Result<Option<OneTimeCodes>> {
        self.maybe(
            "SELECT sealed, created, confirmed, last_step FROM one_time_codes WHERE user = ?1",
            (user.to_string(),),
            |row| {
                Ok(OneTimeCodes {
                    sealed: row.get(0)?,
                    created: row.get(1)?,
                    confirmed: row.get(2)?,
                    last_step: row.get(3)?,
                })
            },
        )
    }

    /// Whether anybody's secret lies here sealed.
    pub fn has_one_time_codes(&self) -> Result<bool> {
        self.one("SELECT EXISTS (SELECT 1 FROM one_time_codes)", ())
    }

    pub fn recovery_codes_left(&self, user: Uuid) -> Result<i64> {
        self.one("SELECT count(*) FROM recovery_codes WHERE user = ?1", (user.to_string(),))
    }

    /// Somebody's passkeys, oldest first.
    pub fn passkeys(&self, user: Uuid) -> Result<Vec<Passkey>> {
        let sql = format!("{PASSKEY} WHERE user = ?1 ORDER BY created, id");
        self.all(&sql, (user.to_string(),), passkey)
    }

    pub fn passkey(&self, id: &str) -> Result<Option<Passkey>> {
        self.maybe(&format!("{PASSKEY} WHERE id = ?1"), (id,), passkey)
    }

    /// Whether more than the password is asked of somebody.
    pub fn has_second_factor(&self, user: Uuid) -> Result<bool> {
        self.one(
            "SELECT EXISTS (SELECT 1 FROM one_time_codes WHERE user = ?1 AND confirmed IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM passkeys WHERE user = ?1)",
            (user.to_string(),),
        )
    }
}

impl Tx<'_> {
    /// Keeps a secret that is not in force yet. One in force stays, and is not replaced.
    pub fn propose_one_time_codes(&self, user: Uuid, sealed: &str, now: Timestamp) -> Result<()> {
        let touched = self.run(
            "INSERT INTO one_time_codes (user, sealed, created) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET sealed = excluded.sealed, created = excluded.created
             WHERE confirmed IS NULL",
            (user.to_string(), sealed, now),
        )?;
        if touched == 0 {
            return Err(MetaError::Refused(
                "one-time codes are in force already: remove them first",
            ));
        }
        Ok(())
    }

    /// Puts the secret in force, if it is still the one that `sealed` says.
    pub fn confirm_one_time_codes(
        &self,
        user: Uuid,
        sealed: &str,
        step: i64,
        now: Timestamp,
    ) -> Result<()> {
        let touched = self.run(
            "UPDATE one_time_codes SET confirmed = ?3, last_step = ?4
             WHERE user = ?1 AND sealed = ?2 AND confirmed IS NULL",
            (user.to_string(), sealed, now, step),
        )?;
        if touched == 0 { Err(MetaError::Missing("one-time codes".to_owned())) } else { Ok(()) }
    }

    /// Takes the code of a step; false when one of it or of a later step was taken before.
    pub fn take_step(&self, user: Uuid, step: i64) -> Result<bool> {
        let touched = self.run(
            "UPDATE one_time_codes SET last_step = ?2
             WHERE user = ?1 AND confirmed IS NOT NULL AND last_step < ?2",
            (user.to_string(), step),
        )?;
        Ok(touched > 0)
    }

    /// In place of all that were there.
    pub fn set_recovery_codes(&self, user: Uuid, codes: &[Digest]) -> Result<()> {
        self.run("DELETE FROM recovery_codes WHERE user = ?1", (user.to_string(),))?;
        for code in codes {
            self.run(
                "INSERT INTO recovery_codes (user, code_sha256) VALUES (?1, ?2)",
                (user.to_string(), code.to_hex()),
            )?;
        }
        Ok(())
    }

    /// Takes a recovery code; false when it is none, or was taken.
    pub fn take_recovery_code(&self, user: Uuid, code: &Digest) -> Result<bool> {
        let touched = self.run(
            "DELETE FROM recovery_codes WHERE user = ?1 AND code_sha256 = ?2",
            (user.to_string(), code.to_hex()),
        )?;
        Ok(touched > 0)
    }

    pub fn remove_one_time_codes(&self, user: Uuid) -> Result<()> {
        self.run("DELETE FROM one_time_codes WHERE user = ?1", (user.to_string(),))?;
        self.forget_recovery_if_last(user)
    }

    pub fn add_passkey(&self, passkey: &Passkey) -> Result<()> {
        if self.passkey(&passkey.id)?.is_some() {
            return Err(MetaError::Exists(passkey.name.clone()));
        }
        self.run(
            "INSERT INTO passkeys (user, id, name, site, algorithm, public_key, signatures, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                passkey.user.to_string(),
                &passkey.id,
                &passkey.name,
                &passkey.site,
                passkey.algorithm,
                &passkey.public_key,
                passkey.signatures,
                passkey.created,
            ),
        )?;
        Ok(())
    }

    /// It was used: with a count that grows, or always 0. False when a copy of it seems to be about
    /// (WebAuthn Level 3, §7.2 step 22).
    pub fn use_passkey(&self, id: &str, signatures: u32, now: Timestamp) -> Result<bool> {
        let touched = self.run(
            "UPDATE passkeys SET signatures = ?2, last_used = ?3
             WHERE id = ?1 AND (signatures < ?2 OR (signatures = 0 AND ?2 = 0))",
            (id, signatures, now),
        )?;
        Ok(touched > 0)
    }

    pub fn remove_passkey(&self, user: Uuid, id: &str) -> Result<bool> {
        let sql = "DELETE FROM passkeys WHERE user = ?1 AND id = ?2";
        let touched = self.run(sql, (user.to_string(), id))?;
        self.forget_recovery_if_last(user)?;
        Ok(touched > 0)
    }

    /// Without a second factor there is nothing to recover.
    fn forget_recovery_if_last(&self, user: Uuid) -> Result<()> {
        if !self.has_second_factor(user)? {
            self.run("DELETE FROM recovery_codes WHERE user = ?1", (user.to_string(),))?;
        }
        Ok(())
    }

    /// Every second factor of somebody, who lost them.
    pub fn reset_second_factors(&self, user: Uuid) -> Result<()> {
        for table in ["one_time_codes", "passkeys", "recovery_codes", "challenges"] {
            self.run(&format!("DELETE FROM {table} WHERE user = ?1"), (user.to_string(),))?;
        }
        self.end_sessions(user, None)
    }

    /// What a browser was asked to sign for somebody who adds a passkey; one question at a time.
    pub fn ask(&self, user: Uuid, challenge: &str, expires: Timestamp) -> Result<()> {
        self.run("DELETE FROM challenges WHERE user = ?1", (user.to_string(),))?;
        self.run(
            "INSERT INTO challenges (challenge, user, expires) VALUES (?1, ?2, ?3)",
            (challenge, user.to_string(), expires),
        )?;
        Ok(())
    }

    /// Takes the question that was asked of somebody; false when there is none such, or it is too old.
    pub fn take_question(&self, user: Uuid, challenge: &str, now: Timestamp) -> Result<bool> {
        let touched = self.run(
            "DELETE FROM challenges WHERE challenge = ?1 AND user = ?2 AND expires > ?3",
            (challenge, user.to_string(), now),
        )?;
        Ok(touched > 0)
    }

    /// Notes that a question to nobody in particular was answered; false when it was before.
    pub fn note_answered(
        &self,
        challenge: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        self.run("DELETE FROM challenges WHERE expires <= ?1", (now,))?;
        let touched = self.run(
            "INSERT INTO challenges (challenge, user, expires) VALUES (?1, NULL, ?2)
             ON CONFLICT DO NOTHING",
            (challenge, expires),
        )?;
        Ok(touched > 0)
    }
}

fn passkey(row: &rusqlite::Row<'_>) -> rusqlite::Result<Passkey> {
    Ok(Passkey {
        user: parsed(row, 0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        site: row.get(3)?,
        algorithm: row.get(4)?,
        public_key: row.get(5)?,
        signatures: row.get(6)?,
        created: row.get(7)?,
        last_used: row.get(8)?,
    })
}
