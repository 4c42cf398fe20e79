//! Failed logins cost waiting time, by account and by address; nothing locks for ever.

use schema::Timestamp;
use std::net::IpAddr;
use store::meta::Attempts;

/// Tries that cost nothing: people mistype (OWASP Authentication Cheat Sheet speaks of a threshold
/// and an observation window; NIST SP 800-63B-4 §3.2.2 allows at most 100 in a row).
const FREE_ACCOUNT: u32 = 5;
/// More, since many people share an address, and each may mistype a password and a code.
const FREE_ADDRESS: u32 = 50;

/// The first wait; it doubles with every further failure…
const WAIT_FIRST_MS: i64 = 1_000;
/// …up to this. An owner under attack can always get in again within it.
const WAIT_MAX_MS: i64 = 15 * 60 * 1000;

/// Failures are forgotten after this long without another.
const FORGOTTEN_MS: i64 = 24 * 3600 * 1000;

/// What a failure is counted against.
pub fn account(name: &str) -> String {
    // A digest: whatever is typed into the name field, perhaps a password, is not kept.
    format!("account:{}", schema::sha256(name.to_lowercase().as_bytes()))
}

/// An account at an address it logged in from before. It has a count of its own, so that an attacker
/// elsewhere who keeps the account waiting does not keep its owner out (OWASP speaks of device cookies).
pub fn known(name: &str, from: IpAddr) -> String {
    format!("known:{}:{}", account(name), address(from))
}

/// How long an address stays known without a login.
pub const KNOWN_MS: i64 = 90 * 24 * 3600 * 1000;

/// An IPv6 customer has a /64 at least; one address of it is as good as another.
pub fn address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("address:{v4}"),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("address:{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Milliseconds until the next try is heard; 0 when it may come now.
pub fn wait_ms(attempts: Attempts, now: Timestamp) -> i64 {
    (attempts.locked_until - now).max(0)
}

/// One more failure.
pub fn failed(subject: &str, attempts: Attempts, now: Timestamp) -> Attempts {
    let is_forgotten = now - attempts.last > FORGOTTEN_MS;
    let failures = if is_forgotten { 1 } else { attempts.failures.saturating_add(1) };
    let free = if subject.starts_with("address:") { FREE_ADDRESS } else { FREE_ACCOUNT };
    let wait = match failures.checked_sub(free) {
        None | Some(0) => 0,
        Some(over) => WAIT_FIRST_MS
            .checked_shl(over - 1)
            .filter(|wait| (1..=WAIT_MAX_MS).contains(wait))
            .unwrap_or(WAIT_MAX_MS),
    };
    Attempts { failures, last: now, locked_until: now + wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_ends() {
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for _ in 0..100 {
            attempts = failed("account:x", attempts, 1);
            waits.push(wait_ms(attempts, 1));
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000]);
        assert_eq!(waits[99], WAIT_MAX_MS);
        assert_eq!(wait_ms(attempts, 1 + WAIT_MAX_MS), 0);
        assert_eq!(failed("account:x", attempts, 2 + FORGOTTEN_MS).failures, 1);
    }

    #[test]
    fn neighbours_in_a_prefix_share_their_count() {
        let of = |text: &str| address(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
