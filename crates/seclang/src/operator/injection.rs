//! `@detectSQLi` and `@detectXSS`: libinjection's judgement.

use super::Captures;

/// Whether a database might take `value` for SQL. Its fingerprint is caught.
pub fn sqli(value: &[u8], captures: Option<&mut Captures>) -> bool {
    let found = libinjectionrs::detect_sqli(value);
    if !found.is_injection() {
        return false;
    }
    if let (Some(captures), Some(fingerprint)) = (captures, found.fingerprint) {
        captures.push(fingerprint.as_str().as_bytes());
    }
    true
}

/// Whether a browser might take `value` for a script. The value is caught.
pub fn xss(value: &[u8], captures: Option<&mut Captures>) -> bool {
    if !libinjectionrs::detect_xss(value).is_injection() {
        return false;
    }
    if let Some(captures) = captures {
        captures.push(value);
    }
    true
}
