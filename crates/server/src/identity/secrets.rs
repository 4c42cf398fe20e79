//! Random secrets and their digests: session ids, CSRF values, API tokens, one-time passwords.

use crate::problem::Problem;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use ring::rand::{SecureRandom, SystemRandom};
use schema::{Digest, Secret, Timestamp, sha256};
use std::cell::RefCell;
use uuid::Uuid;

/// 256 bits: nothing to guess, so a plain SHA-256 of it is a safe thing to keep.
const SECRET_BYTES: usize = 32;

pub fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::internal(&"the system gives no random numbers"))?;
    Ok(bytes)
}

/// Random bytes of an id.
const SEED_BYTES: usize = 16;

/// Drawn at once for 128 ids: ids are no secrets, and asking the system each time costs more than the rest.
const SEEDS_BYTES: usize = 128 * SEED_BYTES;

thread_local! {
    static SEEDS: RefCell<Vec<[u8; SEED_BYTES]>> = const { RefCell::new(Vec::new()) };
}

/// A new id at the rim, where nothing is replayed.
pub fn new_id(now: Timestamp) -> Result<Uuid, Problem> {
    let seed = SEEDS.with_borrow_mut(|seeds| {
        if seeds.is_empty() {
            let drawn = random::<SEEDS_BYTES>()?;
            seeds.extend_from_slice(drawn.as_chunks::<SEED_BYTES>().0);
        }
        seeds.pop().ok_or_else(|| Problem::internal(&"no random numbers left"))
    })?;
    Ok(schema::id_from_seed(now, &seed))
}

/// A session id for the cookie.
pub fn session_id() -> Result<Secret, Problem> {
    Ok(Secret::new(BASE64URL_NOPAD.encode(&random::<SECRET_BYTES>()?)))
}

/// The value a page must send with every write, derived from the session so that nothing has to be kept.
pub fn csrf_of(session_id: &str) -> String {
    sha256(format!("plura csrf\0{session_id}").as_bytes()).to_hex()
}

/// A new API token: its text, its public prefix, the digest to keep.
pub fn api_token() -> Result<(Secret, String, Digest), Problem> {
    let prefix = HEXLOWER.encode(&random::<6>()?);
    let secret = HEXLOWER.encode(&random::<SECRET_BYTES>()?);
    let digest = sha256(secret.as_bytes());
    Ok((Secret::new(format!("plura_{prefix}_{secret}")), prefix, digest))
}

/// The prefix and the digest of the secret of a token as sent.
pub fn parse_token(text: &str) -> Option<(&str, Digest)> {
    let (prefix, secret) = text.strip_prefix("plura_")?.split_once('_')?;
    Some((prefix, sha256(secret.as_bytes())))
}

/// A password to type once: 80 bits in groups, without letters that look alike.
pub fn one_time_password() -> Result<Secret, Problem> {
    let text = BASE32_NOPAD.encode(&random::<10>()?).to_lowercase();
    let groups: Vec<&str> =
        [0..4, 4..8, 8..12, 12..16].into_iter().filter_map(|range| text.get(range)).collect();
    Ok(Secret::new(groups.join("-")))
}

/// Compares without telling by its time how much was right.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
