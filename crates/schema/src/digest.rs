use crate::TenantId;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

/// A SHA-256 digest; lowercase hex in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// SHA-256 (FIPS 180-4) of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0u8; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    Digest(out)
}

impl Digest {
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub fn parse(text: &str) -> Option<Digest> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a digest is 64 lowercase hex digits"))
    }
}

/// A UUIDv7 (RFC 9562 §5.7) whose random part is drawn from `seed`.
///
/// Same time and seed, same id: replaying yesterday gives yesterday's ids. At the rim, where
/// nothing is replayed, the seed is random.
pub fn id_from_seed(time_ms: i64, seed: &[u8]) -> Uuid {
    let digest = sha256(seed);
    let mut random = [0u8; 10];
    for (to, from) in random.iter_mut().zip(digest.0) {
        *to = from;
    }
    let millis = u64::try_from(time_ms).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The id of the event that `source` sent as its `sequence`th record.
///
/// Sent twice it gets the same id, which is what makes intake idempotent.
pub fn event_id(tenant: &TenantId, source: &str, sequence: u64, time_ms: i64) -> Uuid {
    let mut seed = Vec::with_capacity(source.len() + 48);
    seed.extend_from_slice(tenant.as_str().as_bytes());
    seed.push(0);
    seed.extend_from_slice(source.as_bytes());
    seed.push(0);
    seed.extend_from_slice(&sequence.to_be_bytes());
    id_from_seed(time_ms, &seed)
}
