//! One-time codes by time (TOTP, RFC 6238 over RFC 4226) and the recovery codes beside them. Pure.

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use schema::{Digest, Secret, Timestamp, sha256};

/// As every authenticator app takes them: HMAC-SHA-1, six digits, thirty seconds (RFC 6238 §4).
const STEP_MS: i64 = 30_000;
const DIGITS: usize = 6;

/// Bytes of a secret: the length of the hash (RFC 4226 §4, R6).
pub const SECRET_BYTES: usize = 20;

/// Steps before and after the present one whose codes are taken: clocks drift, people type (RFC 6238 §5.2).
const SKEW_STEPS: i64 = 1;

/// Recovery codes given at a time.
pub const RECOVERY_CODES: usize = 10;

/// The code of one time step.
fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    // The last four bits say where the 31 bits begin (RFC 4226 §5.3); a tag has 20 bytes, 15 + 4 of them are there.
    let tag = tag.as_ref();
    let start = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let bits = tag.iter().skip(start).take(4).fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    format!("{:0DIGITS$}", (bits & 0x7fff_ffff) % 10_u32.pow(DIGITS as u32))
}

/// Whether it looks like a one-time code at all.
pub fn is_code(typed: &str) -> bool {
    let typed = plain(typed);
    typed.len() == DIGITS && typed.bytes().all(|byte| byte.is_ascii_digit())
}

/// The time step a typed code belongs to; `None` when it is not one of now.
pub fn step_of(secret: &[u8], typed: &str, now: Timestamp) -> Option<i64> {
    let typed = plain(typed);
    if typed.len() != DIGITS {
        return None;
    }
    let present = now.div_euclid(STEP_MS);
    (present - SKEW_STEPS..=present + SKEW_STEPS)
        .find(|step| super::secrets::is_same(code(secret, *step).as_bytes(), typed.as_bytes()))
}

/// What an authenticator app reads from a QR code
/// (the Key URI format: `otpauth://totp/ISSUER:ACCOUNT?secret=…`).
pub fn uri(secret: &[u8], account: &str) -> String {
    let mut label = String::new();
    for byte in account.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                label.push(char::from(byte));
            }
            _ => label.push_str(&format!("%{byte:02X}")),
        }
    }
    format!(
        "otpauth://totp/Plura:{label}?secret={}&issuer=Plura&algorithm=SHA1&digits={DIGITS}&period={}",
        BASE32_NOPAD.encode(secret),
        STEP_MS / 1000
    )
}

/// For typing by hand.
pub fn text(secret: &[u8]) -> Secret {
    Secret::new(BASE32_NOPAD.encode(secret))
}

/// What is kept of a recovery code: 80 random bits need no slow hash.
pub fn recovery_digest(typed: &str) -> Digest {
    sha256(format!("plura recovery\0{}", plain(typed)).as_bytes())
}

/// As people type: with spaces, hyphens, in capitals.
fn plain(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, in six digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        let told = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (secs, expected) in told {
            assert_eq!(code(secret, secs / 30), expected);
            assert_eq!(step_of(secret, expected, secs * 1000), Some(secs / 30));
        }
    }

    #[test]
    fn a_code_lives_a_minute_and_a_half() {
        let secret = b"12345678901234567890";
        let typed = " 287 082 ";
        let step = 59 / 30;
        for (secs, taken) in [(0, true), (30, true), (89, true), (90, false), (-1, false)] {
            assert_eq!(step_of(secret, typed, secs * 1000).is_some(), taken, "at {secs}");
        }
        assert_eq!(step_of(secret, typed, 59_000), Some(step));
        for wrong in ["", "287083", "28708", "2870820", "２８７０８２"] {
            assert_eq!(step_of(secret, wrong, 59_000), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_reads_the_address() {
        assert_eq!(
            uri(b"12345678901234567890", "mina@예시.kr"),
            "otpauth://totp/Plura:mina%40%EC%98%88%EC%8B%9C.kr?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Plura&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(recovery_digest("abcd-EFGH ijkl"), recovery_digest("abcdefghijkl"));
        assert_ne!(recovery_digest("abcdefghijkl"), recovery_digest("abcdefghijkm"));
    }
}
