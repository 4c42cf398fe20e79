//! Which names hold secrets.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// In a name without its separators, anywhere.
const ANYWHERE: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "authkey",
    "accesstoken",
    "authorization",
    "credential",
    "session",
    "sessid",
    "cookie",
    "jwt",
    "bearer",
    "cvv",
    "cvc",
    "securitycode",
    "token",
];

/// The whole name.
const WHOLE: [&str; 13] = [
    "pass", "pwd", "pw", "auth", "sid", "otp", "totp", "pin", "userpwd", "dbpass", "dbpwd",
    "xauth", "mfacode",
];

/// Names of counts and flags that the list above would take for secrets.
const NOT: [&str; 11] = [
    "tokens",
    "tokencount",
    "tokentype",
    "maxtokens",
    "sessions",
    "sessioncount",
    "sessionduration",
    "sslsessionreused",
    "passwordless",
    "passwordstatus",
    "cookiesenabled",
];

/// The whole name, if the value looks drawn at random: these names mean other things too.
const BY_VALUE: [&str; 6] = ["key", "sig", "signature", "code", "state", "ticket"];

/// Headers whose value is a secret, in messages and on command lines.
const HEADERS: [&str; 9] = [
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "xapikey",
    "apikey",
    "xauthtoken",
    "xcsrftoken",
    "xamzsecuritytoken",
];

/// Longest name judged; separators do not count.
const NAME_BYTES_MAX: usize = 64;

/// The last part of what stands before an equals sign, percent-decoded, and whether it was inside
/// an encoded URL: `next=%2Fa%3Ftoken` is `token`.
pub(super) fn part_name(written: &[u8]) -> (Vec<u8>, bool) {
    if memchr::memchr(b'%', written).is_none() {
        return (written.to_vec(), false);
    }
    let mut decoded = written.to_vec();
    // Twice, for a URL within a URL's query within a query.
    for _ in 0..2 {
        decoded = percent_decoded(&decoded);
    }
    let last = decoded.rsplit(|b| matches!(b, b'?' | b'&' | b'/' | b';' | b'#' | b'=' | b' '));
    let name = last.into_iter().next().unwrap_or_default();
    (name.to_vec(), name.len() != decoded.len())
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Lower case, without `-`, `_`, `.` and brackets.
fn plain(name: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(name.len().min(NAME_BYTES_MAX));
    for byte in name {
        if byte.is_ascii_alphanumeric() {
            if out.len() == NAME_BYTES_MAX {
                return None;
            }
            out.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    (!out.is_empty()).then_some(out)
}

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Plain,
    Secret,
    /// A secret if it looks drawn at random.
    ByValue,
}

pub(super) fn judge(name: &[u8]) -> Verdict {
    // `PWD` in capitals is the working directory, in sudo's lines and in environments.
    if name == b"PWD" || name == b"OLDPWD" {
        return Verdict::Plain;
    }
    let Some(name) = plain(name) else { return Verdict::Plain };
    let secret = has_secret_part(&name)
        || WHOLE.contains(&name.as_str())
        || (name.ends_with("pass") && !matches!(name.as_str(), "bypass" | "compass"));
    if secret {
        if NOT.iter().any(|not| name.ends_with(not)) { Verdict::Plain } else { Verdict::Secret }
    } else if BY_VALUE.contains(&name.as_str()) {
        Verdict::ByValue
    } else {
        Verdict::Plain
    }
}

/// Every name in every line is asked: one pass over it instead of one for each part.
fn has_secret_part(name: &str) -> bool {
    static PARTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| AhoCorasick::new(ANYWHERE).ok());
    match PARTS.as_ref() {
        Some(parts) => parts.is_match(name),
        None => ANYWHERE.iter().any(|part| name.contains(part)),
    }
}

/// Whether any value under this name is a secret.
pub(crate) fn is_secret_name(name: &[u8]) -> bool {
    judge(name) == Verdict::Secret
}

pub(super) fn is_secret_header(name: &[u8]) -> bool {
    plain(name).is_some_and(|name| HEADERS.contains(&name.as_str()))
}

/// Long, of the letters of base64, and of more than one kind: words and numbers are not.
pub(super) fn looks_like_secret(value: &[u8], length_min: usize) -> bool {
    let text = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'_' | b'.' | b'+' | b'/' | b'=' | b'~' | b'%')
    };
    let digit = value.iter().any(u8::is_ascii_digit);
    let letter = value.iter().any(u8::is_ascii_alphabetic);
    let upper = value.iter().skip(1).any(u8::is_ascii_uppercase);
    value.len() >= length_min
        && value.iter().all(text)
        && letter
        && (digit || upper || value.ends_with(b"="))
}
