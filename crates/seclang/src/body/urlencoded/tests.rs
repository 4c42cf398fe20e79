#![allow(clippy::unwrap_used)]

use super::*;
use crate::body::tests::shown;

fn check(input: &str, expected: &str, invalid_encoding: bool) {
    let mut out = Bag::default();
    let result = parse(input.as_bytes(), b'&', 1000, &mut out);
    assert_eq!(shown(&out), expected, "{input}");
    assert_eq!(result, UrlEncoded { invalid_encoding, truncated: false }, "{input}");
}

#[test]
fn names_and_values() {
    check("", "", false);
    check("a=1&b=2", "a=1 b=2", false);
    check("a=1&a=2", "a=1 a=2", false);
    check("a", "a=", false);
    check("a=", "a=", false);
    check("=1", "=1", false);
    check("a=b=c", "a=b=c", false);
    check("a=1&", "a=1", false);
    check("&a=1", "a=1", false);
    check("a=1&&b=2", "a=1 b=2", false);
    check("&", "", false);
    check("a=1;b=2", "a=1;b=2", false);
}

#[test]
fn escapes_are_decoded_once() {
    check("a+b=c+d", "a b=c d", false);
    check("%61=%2526%26%3d", "a=%26&=", false);
    check("a=%00%0d%0A", r"a=\x00\r\n", false);
    check("a=%c0%af", r"a=\xc0\xaf", false);
}

#[test]
fn broken_escapes_stay_and_are_flagged() {
    check("a=%", "a=%", true);
    check("a=%4", "a=%4", true);
    check("a=%zz%41", "a=%zzA", true);
    check("a=%u0041", "a=%u0041", true);
    check("a=%%41", "a=%A", true);
    check("%g=1", "%g=1", true);
    check("a=100%&b=2", "a=100% b=2", true);
}

#[test]
fn separators_and_limits() {
    let mut out = Bag::default();
    parse(b"a=1;b=2&c", b';', 10, &mut out);
    assert_eq!(shown(&out), "a=1 b=2&c");

    let mut out = Bag::default();
    assert!(!parse(b"a&b", b'&', 2, &mut out).truncated);
    assert!(parse(b"c&d&e", b'&', 2, &mut out).truncated);
    assert_eq!(shown(&out), "a= b= c= d=");

    let mut out = Bag::default();
    assert!(!parse(b"&&&a&&&b&&", b'&', 2, &mut out).truncated);
    assert_eq!(shown(&out), "a= b=");
}
