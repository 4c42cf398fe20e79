//! Keys of entities: keyed 64-bit hashes, so that state holds no strings.

use siphasher::sip::SipHasher13;
use std::net::{IpAddr, Ipv6Addr};

/// The keyed hash of one entity, or of a pair of them.
pub(crate) type Key = u64;

/// What a key stands for; part of the hash, so that kinds never meet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Scope = 1,
    Endpoint,
    Account,
    Session,
    Credential,
    Source,
    Network,
    Agent,
    Object,
    Device,
    File,
    Word,
    Stream,
    Secret,
}

/// SipHash-1-3 (Aumasson and Bernstein 2012): attackers choose account names, paths and user
/// agents, so the hash is keyed; it is the same on every machine, so a replay is too.
pub(crate) struct Hasher {
    first: u64,
    second: u64,
}

impl Hasher {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let whole = u128::from_le_bytes(key);
        Hasher { first: whole as u64, second: (whole >> 64) as u64 }
    }

    /// The key of `text` as `of` within `scope` (0: everywhere).
    pub(crate) fn key(&self, of: Of, scope: Key, text: &str) -> Key {
        SipHasher13::new_with_keys(self.first ^ scope, self.second ^ ((of as u64) << 56))
            .hash(text.as_bytes())
    }

    /// The key of a /24 (IPv4) or /48 (IPv6): what one subscriber or office commonly holds
    /// (RFC 6177 gives a site up to a /48).
    pub(crate) fn network(&self, address: IpAddr) -> u32 {
        let masked = match address.to_canonical() {
            IpAddr::V4(v4) => u128::from(u32::from(v4) >> 8),
            IpAddr::V6(v6) => (u128::from(v6) >> 80) | (1 << 64),
        };
        let hash =
            SipHasher13::new_with_keys(self.first, self.second ^ ((Of::Network as u64) << 56))
                .hash(&masked.to_le_bytes());
        short(hash)
    }
}

/// A key of two keys.
pub(crate) fn pair(a: Key, b: Key) -> Key {
    // Both are keyed hashes already; a multiply by an odd constant (2^64 / golden ratio) tells (a,b) from (b,a).
    (a ^ b.rotate_left(23)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b
}

/// 32 bits of a key, never 0: 0 means an empty place.
pub(crate) fn short(key: Key) -> u32 {
    ((key >> 32) as u32).max(1)
}

/// Loopback, private and link-local addresses: not the way out of a network (RFC 1918, 4193, 3927).
pub(crate) fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || is_local_v6(v6),
    }
}

fn is_local_v6(v6: Ipv6Addr) -> bool {
    let first = (u128::from(v6) >> 112) as u16;
    (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80
}
