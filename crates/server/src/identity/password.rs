//! Password hashing, and what a password has to be.

use crate::app::in_background;
use crate::identity::secrets::random;
use crate::problem::Problem;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use schema::Secret;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Argon2id with 19 MiB, 2 passes, 1 lane: OWASP Password Storage Cheat Sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at once: bounds the memory logins can take (19 MiB each).
const HASHES_AT_ONCE: usize = 2;

/// Long enough to resist guessing without rules that make people write it down (NIST SP 800-63B-4 §3.1.1
/// asks for 15 where the password is all there is).
pub const PASSWORD_CHARS_MIN: usize = 15;
/// A longer one only costs time.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// Hashes and checks passwords, a few at a time.
#[derive(Clone)]
pub struct Passwords {
    hasher: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// Checked against when there is no such account, so that the time of the answer tells nothing.
    decoy: Arc<str>,
}

impl Passwords {
    pub fn new() -> Result<Passwords, Problem> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .map_err(|cause| Problem::internal(&cause))?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&hasher, &random::<16>()?)?;
        Ok(Passwords {
            hasher,
            turns: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            decoy: decoy.into(),
        })
    }

    /// As a PHC string.
    pub async fn hash(&self, password: Secret) -> Result<String, Problem> {
        let _turn = self.turns.acquire().await.map_err(|cause| Problem::internal(&cause))?;
        let hasher = self.hasher.clone();
        in_background(move || hash(&hasher, password.reveal().as_bytes())).await?
    }

    /// Whether it is the one; `None` takes as long and is never right.
    pub async fn is_right(
        &self,
        password: Secret,
        stored: Option<String>,
    ) -> Result<bool, Problem> {
        let _turn = self.turns.acquire().await.map_err(|cause| Problem::internal(&cause))?;
        let hasher = self.hasher.clone();
        let is_known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.as_ref().to_owned());
        let is_right = in_background(move || {
            PasswordVerifier::<str>::verify_password(
                &hasher,
                password.reveal().as_bytes(),
                stored.as_str(),
            )
            .is_ok()
        })
        .await?;
        Ok(is_known && is_right)
    }
}

fn hash(hasher: &Argon2<'_>, password: &[u8]) -> Result<String, Problem> {
    let hashed = hasher
        .hash_password_with_salt(password, &random::<16>()?)
        .map_err(|cause| Problem::internal(&cause))?;
    Ok(hashed.to_string())
}

/// Says what is wrong with a password somebody chose.
pub fn check(password: &Secret, name: &str) -> Result<(), Problem> {
    let weak = |detail: &str| {
        Problem::bad_request("password-too-weak", detail).hint(
            "a few unrelated words make a good one; spaces and every other character are welcome",
        )
    };
    let chars = password.reveal().chars().count();
    if chars < PASSWORD_CHARS_MIN {
        return Err(weak(&format!("the password has fewer than {PASSWORD_CHARS_MIN} characters")));
    }
    if chars > PASSWORD_CHARS_MAX {
        return Err(weak(&format!("the password has more than {PASSWORD_CHARS_MAX} characters")));
    }
    let lower = password.reveal().to_lowercase();
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if lower.contains(&name.to_lowercase()) || lower.contains("plura") || distinct.len() < 6 {
        return Err(weak("the password is easy to guess from its account or repeats itself"));
    }
    Ok(())
}
