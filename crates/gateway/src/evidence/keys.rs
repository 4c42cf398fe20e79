use data_encoding::{BASE64, HEXLOWER};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use schema::{Digest, Secret};
use std::fmt;
use uuid::Uuid;

/// The tenant's key, and what is derived from it. Never printed, never written.
///
/// One 32-byte master key gives, by HMAC-SHA-256 with a label (the expand step of RFC 5869 for one
/// block), a key per purpose; knowing one tells nothing of the others.
#[derive(Clone)]
pub struct Keys {
    secrets: hmac::Key,
    personal: hmac::Key,
    seal: hmac::Key,
    nonce: hmac::Key,
    digests: hmac::Key,
}

/// What a tenant key may look like.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    #[error(
        "the tenant key has {0} bytes: write 32 random bytes as 64 hex digits or as base64, for example with `openssl rand -hex 32`"
    )]
    Length(usize),
    #[error("the tenant key is neither hex nor base64: make one with `openssl rand -hex 32`")]
    Encoding,
}

impl Keys {
    pub const LEN: usize = 32;

    pub fn new(master: &[u8; Keys::LEN]) -> Keys {
        let master = hmac::Key::new(hmac::HMAC_SHA256, master);
        let derive = |label: &str| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, label.as_bytes()).as_ref())
        };
        Keys {
            secrets: derive("plura gateway secrets 1\u{1}"),
            personal: derive("plura gateway personal 1\u{1}"),
            seal: derive("plura gateway seal 1\u{1}"),
            nonce: derive("plura gateway nonce 1\u{1}"),
            digests: derive("plura gateway digests 1\u{1}"),
        }
    }

    /// Reads 64 hex digits or base64 of 32 bytes.
    pub fn parse(text: &Secret) -> Result<Keys, KeyError> {
        let text = text.reveal().trim();
        let bytes = HEXLOWER
            .decode(text.to_ascii_lowercase().as_bytes())
            .or_else(|_| BASE64.decode(text.as_bytes()))
            .map_err(|_| KeyError::Encoding)?;
        let master: [u8; Keys::LEN] =
            bytes.as_slice().try_into().map_err(|_| KeyError::Length(bytes.len()))?;
        Ok(Keys::new(&master))
    }

    /// The keyed hash that stands for a secret: 16 hex digits.
    ///
    /// The credential and session entities are the same hash, so that a token handed out in a
    /// response body is found again where it is used.
    pub fn secret_hash(&self, secret: &[u8]) -> String {
        hex_prefix::<8>(hmac::sign(&self.secrets, secret).as_ref())
    }

    /// In place of the plain SHA-256 of a body in which something was hidden.
    ///
    /// Whoever has the plain digest and the rest of a login form can try passwords against it at leisure;
    /// against this only the holder of the tenant key can. Equal bodies stay equal.
    pub(super) fn keyed_digest(&self, digest: &Digest) -> String {
        format!("keyed:{}", HEXLOWER.encode(hmac::sign(&self.digests, &digest.0).as_ref()))
    }

    /// The keyed hash beside masked personal data: 8 hex digits, enough to find equals with.
    pub(super) fn personal_hash(&self, value: &[u8]) -> String {
        hex_prefix::<4>(hmac::sign(&self.personal, value).as_ref())
    }

    /// Encrypts `plain` so that only the holder of the tenant key reads it: AES-256-GCM under a key
    /// of this event alone, with `place` bound to it.
    ///
    /// The nonce is HMAC(event id, place, plaintext), not chance, so that observing is a pure
    /// function. That is safe: two seals share key and nonce only when event, place and
    /// plaintext are the same (then the ciphertext is the same too and tells nothing new), or when
    /// 96 bits of HMAC collide among the at most `SEALED_MAX` values of one event's key.
    pub(super) fn seal(&self, event: Uuid, place: &str, plain: &str) -> Option<String> {
        let mut context = hmac::Context::with_key(&self.nonce);
        context.update(event.as_bytes());
        context.update(&(place.len() as u64).to_be_bytes());
        context.update(place.as_bytes());
        context.update(plain.as_bytes());
        let tag = context.sign();
        let nonce: [u8; NONCE_LEN] = tag.as_ref().first_chunk().copied()?;
        let mut sealed = plain.as_bytes().to_vec();
        self.event_key(event)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .ok()?;
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        Some(BASE64.encode(&out))
    }

    /// The plaintext of one entry of [`schema::Event::sealed`]; `None` when it was made under
    /// another key, for another event or place, or was changed.
    pub fn unseal(&self, event: Uuid, place: &str, sealed: &str) -> Option<Secret> {
        let bytes = BASE64.decode(sealed.as_bytes()).ok()?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let plain = self
            .event_key(event)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place.as_bytes()),
                &mut body,
            )
            .ok()?;
        std::str::from_utf8(plain).ok().map(Secret::new)
    }

    fn event_key(&self, event: Uuid) -> Option<LessSafeKey> {
        let key = hmac::sign(&self.seal, event.as_bytes());
        UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
    }
}

fn hex_prefix<const N: usize>(bytes: &[u8]) -> String {
    bytes.first_chunk::<N>().map(|b| HEXLOWER.encode(b)).unwrap_or_default()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_at_its_own_event_and_place() {
        let keys = Keys::new(&[7; 32]);
        let event = Uuid::from_u128(1);
        let sealed = keys.seal(event, "request.body#0", "kim@example.com").unwrap();
        assert_eq!(
            keys.unseal(event, "request.body#0", &sealed).unwrap().reveal(),
            "kim@example.com"
        );
        assert_eq!(keys.unseal(event, "request.body#1", &sealed), None);
        assert_eq!(keys.unseal(Uuid::from_u128(2), "request.body#0", &sealed), None);
        assert_eq!(Keys::new(&[8; 32]).unseal(event, "request.body#0", &sealed), None);
        assert_eq!(keys.seal(event, "request.body#0", "kim@example.com"), Some(sealed));
    }

    #[test]
    fn a_key_is_32_bytes_of_hex_or_base64() {
        let hash = |text: &str| Keys::parse(&Secret::new(text)).map(|k| k.secret_hash(b"x"));
        let hex = hash(&"0A".repeat(32)).unwrap();
        assert_eq!(hash(&BASE64.encode(&[10; 32])).unwrap(), hex);
        assert_eq!(hash("00ff").unwrap_err(), KeyError::Length(2));
        assert_eq!(hash("not a key").unwrap_err(), KeyError::Encoding);
    }
}
