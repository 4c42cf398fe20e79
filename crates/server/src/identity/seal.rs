//! Secrets that have to be read again, sealed with a key that is not in the database.

use crate::files::{private_file, private_folder};
use crate::identity::secrets::random;
use crate::problem::Problem;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use schema::Timestamp;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const KEY_BYTES: usize = 32;

/// Seals and opens what belongs to a person (AES-256-GCM; the nonce is random and stands in front).
#[derive(Clone)]
pub struct Seal(Arc<Keys>);

struct Keys {
    seal: LessSafeKey,
    tickets: hmac::Key,
}

/// Random bytes of a ticket, before its end (8 bytes) and its tag (32).
const TICKET_RANDOM: usize = 16;

impl Seal {
    /// The key is in `<data>/keys/identity.key`, made at the first start.
    pub fn open(data: &Path) -> Result<Seal, String> {
        let path = data.join("keys/identity.key");
        let told = |cause: std::io::Error| format!("`{}`: {cause}", path.display());
        if !path.exists() {
            let key = random::<KEY_BYTES>().map_err(|_| "no random numbers".to_owned())?;
            private_folder(&data.join("keys")).map_err(told)?;
            private_file(&path, HEXLOWER.encode(&key).as_bytes()).map_err(told)?;
        }
        let text = std::fs::read_to_string(&path).map_err(told)?;
        let key = HEXLOWER.decode(text.trim().as_bytes()).unwrap_or_default();
        let tickets =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), b"plura identity tickets 1\x01");
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| {
            format!("`{}` is not 64 hex digits: restore it from the backup", path.display())
        })?;
        let tickets = hmac::Key::new(hmac::HMAC_SHA256, tickets.as_ref());
        Ok(Seal(Arc::new(Keys { seal: LessSafeKey::new(key), tickets })))
    }

    /// Something only we can have given, until `expires`; nothing has to be kept of it.
    pub fn ticket(&self, expires: Timestamp) -> Result<String, Problem> {
        let body = [&random::<TICKET_RANDOM>()?[..], &expires.to_be_bytes()].concat();
        let tag = hmac::sign(&self.0.tickets, &body);
        Ok(BASE64URL_NOPAD.encode(&[&body, tag.as_ref()].concat()))
    }

    /// When a ticket of ours ends; `None` when it is not ours.
    pub fn ticket_end(&self, ticket: &str) -> Option<Timestamp> {
        let bytes = BASE64URL_NOPAD.decode(ticket.as_bytes()).ok()?;
        let (body, tag) = bytes.split_at_checked(TICKET_RANDOM + 8)?;
        hmac::verify(&self.0.tickets, body, tag).ok()?;
        let (_, end) = body.split_last_chunk::<8>()?;
        Some(Timestamp::from_be_bytes(*end))
    }

    pub fn seal(&self, person: Uuid, secret: &[u8]) -> Result<String, Problem> {
        let nonce = random::<NONCE_LEN>()?;
        let mut bytes = secret.to_vec();
        self.0
            .seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(person.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| Problem::internal(&"sealing failed"))?;
        Ok(BASE64URL_NOPAD.encode(&[&nonce[..], &bytes].concat()))
    }

    /// `None` when it was sealed with another key, for another person, or changed.
    pub fn unseal(&self, person: Uuid, sealed: &str) -> Option<Vec<u8>> {
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut rest = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let secret =
            self.0.seal.open_in_place(nonce, Aad::from(person.as_bytes()), &mut rest).ok()?;
        Some(secret.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_person_open_it() {
        let (mina, yuki) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let folder = tempfile::tempdir().unwrap();
        let seal = Seal::open(folder.path()).unwrap();
        let sealed = seal.seal(mina, b"secret").unwrap();
        assert_eq!(Seal::open(folder.path()).unwrap().unseal(mina, &sealed).unwrap(), b"secret");
        assert_eq!(seal.unseal(yuki, &sealed), None);
        let other = if &sealed[20..21] == "_" { "A" } else { "_" };
        let touched = format!("{}{other}{}", &sealed[..20], &sealed[21..]);
        assert_eq!(seal.unseal(mina, &touched), None);
        assert_eq!(seal.unseal(mina, ""), None);
        let ticket = seal.ticket(77).unwrap();
        assert_eq!(seal.ticket_end(&ticket), Some(77));
        assert_ne!(ticket, seal.ticket(77).unwrap());
        let other = tempfile::tempdir().unwrap();
        assert_eq!(Seal::open(other.path()).unwrap().ticket_end(&ticket), None);
        for forged in ["", "AAAA", &ticket[1..], &format!("A{}", &ticket[1..])] {
            assert!(forged == ticket || seal.ticket_end(forged).is_none(), "{forged}");
        }
        assert_eq!(Seal::open(other.path()).unwrap().unseal(mina, &sealed), None);
        std::fs::write(other.path().join("keys/identity.key"), "short").unwrap();
        assert!(Seal::open(other.path()).err().unwrap().contains("64 hex digits"));
    }
}
