//! `@detectSQLi` and `@detectXSS`: libinjection's judgement.

use super::Captures;
use crate::byteset::ByteSet;

/// SQL needs a byte that ends a word: one word, or a number and a word, is never taken for an injection.
pub const SQLI_BYTES: ByteSet = ByteSet::NONE
    .with_range(0, b'0' - 1)
    .with_range(b':', b'@')
    .with_range(b'[', b'^')
    .with(b'`')
    .with_range(b'{', 0x7f)
    .with(0xa0);

/// A script needs a tag, or an attribute and its value.
pub const XSS_BYTES: ByteSet = ByteSet::NONE.with_all(b"<=");

/// `false`: [`sqli`] is not worth its time.
pub fn may_be_sqli(value: &[u8]) -> bool {
    value.iter().any(|byte| SQLI_BYTES.contains(*byte))
}

/// `false`: [`xss`] is not worth its time.
pub fn may_be_xss(value: &[u8]) -> bool {
    memchr::memchr2(b'<', b'=', value).is_some()
}

/// Whether a database might take `value` for SQL. Its fingerprint is caught.
pub fn sqli(value: &[u8], captures: Option<&mut Captures>) -> bool {
    if !may_be_sqli(value) {
        return false;
    }
    let Some(fingerprint) = super::sqli::sqli(value) else {
        return false;
    };
    if let Some(captures) = captures {
        captures.push(fingerprint.as_bytes());
    }
    true
}

/// Whether a browser might take `value` for a script. The value is caught.
pub fn xss(value: &[u8], captures: Option<&mut Captures>) -> bool {
    if !may_be_xss(value) || !super::xss::is_xss(value) {
        return false;
    }
    if let Some(captures) = captures {
        captures.push(value);
    }
    true
}
