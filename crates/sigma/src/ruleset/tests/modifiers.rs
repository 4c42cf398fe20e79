//! Each modifier: an event that fires, near misses that stay quiet, and what it does not go with.

use super::*;

#[test]
fn contains_startswith_endswith() {
    check_field("a|contains: Foo", &[a("xxfOOxx"), a("foo")], &[a("fo o"), json!({"b": "foo"})]);
    check_field("a|startswith: Foo", &[a("FOObar")], &[a("xfoo")]);
    check_field("a|endswith: '\\Foo'", &[a("x\\foo")], &[a("x\\foo ")]);
    check_field("a|contains: 'f*o'", &[a("-fxxo-")], &[a("-o f-")]);
    check_field("a|contains: 46", &[json!({"a": 4688})], &[json!({"a": 4588})]);
}

#[test]
fn all() {
    check_field("a|contains|all: [x, y]", &[a("y..x")], &[a("x"), a("y")]);
    check("s:\n  '|all': [x, y]\ncondition: s", &[json!({"a": "x", "b": "y"})], &[a("x")]);
    check_field("a|contains|all: [x]", &[a("x")], &[a("y")]);
}

#[test]
fn re_and_its_flags() {
    check_field("a|re: '^f.o$'", &[a("foo")], &[a("Foo"), a("fooo"), a("f\no")]);
    check_field("a|re: 'o{2}'", &[a("xfoox")], &[a("fo")]);
    check_field("a|re|i: '^f.o$'", &[a("FOO")], &[a("FO")]);
    check_field("a|re|m: '^b$'", &[a("a\nb\nc")], &[a("a\nbb\nc")]);
    check_field("a|re|s: 'a.b'", &[a("a\nb")], &[a("ab")]);
    check_field("a|re|i|m|s: '^a.b$'", &[a("x\nA\nB")], &[a("x\nAB")]);
    check_field("a|re|startswith: 'b|c'", &[a("cx")], &[a("xc")]);
    check_field("a|re|endswith: 'b|c'", &[a("xc")], &[a("cx")]);
    check_field("a|re: '\\d'", &[json!({"a": 7})], &[json!({"a": null}), json!({})]);
}

#[test]
fn cased() {
    check_field("a|cased: Foo", &[a("Foo")], &[a("foo")]);
    check_field("a|contains|cased: Foo", &[a("xFoox")], &[a("xfoox")]);
    check_field("a|cased: 'F?o*'", &[a("Fxox")], &[a("fxox")]);
}

#[test]
fn cidr() {
    check_field(
        "a|cidr: [10.0.0.0/8, 'fe80::/10']",
        &[a("10.1.1.1"), a("fe80::2"), a("::ffff:10.0.0.1")],
        &[a("11.1.1.1"), a("10.1.1.1x"), a("fec0::1")],
    );
    check_field("a|cidr: 192.0.2.7", &[a("192.0.2.7")], &[a("192.0.2.8")]);
}

#[test]
fn base64_and_utf16() {
    check_field("a|base64: 'http://'", &[a("aHR0cDovLw==")], &[a("aHR0cDovL")]);
    check_field("a|base64|contains: foo", &[a("xxZm9vxx")], &[a("Zm9")]);
    check_field(
        "a|base64offset|contains: /bin/bash",
        &[a("L2Jpbi9iYXNo"), a("eC9iaW4vYmFzaCAteA=="), a("eHgvYmluL2Jhc2gK")],
        &[a("L2Jpbi9iYX")],
    );
    check_field(
        "a|wide|base64offset|contains: ping",
        &[a("cABpAG4AZwA="), a("eHBwAGkAbgBnAHg=")],
        &[a("cGluZw==")],
    );
    check_field("a|utf16le|base64: cmd", &[a("YwBtAGQA")], &[a("Y21k")]);
    check_field("a|utf16be|base64: cmd", &[a("AGMAbQBk")], &[a("YwBtAGQA")]);
    check_field("a|utf16|base64: cmd", &[a("//5jAG0AZAA=")], &[a("YwBtAGQA")]);
    check_field("a|wide|contains: cmd", &[a("xc\0m\0d\0x")], &[a("cmd")]);
    check_field("a|utf16: cmd", &[a("\u{ff}\u{fe}c\0m\0d\0")], &[a("c\0m\0d\0")]);
    check_field("a|utf16be: cmd", &[a("\0c\0m\0d")], &[a("c\0m\0d\0")]);
    check_field("a|utf16le: cmd", &[a("c\0m\0d\0")], &[a("\0c\0m\0d")]);
}

#[test]
fn windash() {
    check_field(
        "a|windash|contains: ' -f '",
        &[a("x -f y"), a("x /F y"), a("x –f y"), a("x —f y"), a("x ―f y")],
        &[a("x +f y"), a("x f y")],
    );
    check_field("a|contains|windash: ' /c'", &[a("x -c")], &[a("x c")]);
    check_field(
        "a|windash|contains|all: ['-a -b -c -d', z]",
        &[a("z /a -b –c ―d")],
        &[a("z /a -b –c d"), a("/a -b –c ―d")],
    );
}

#[test]
fn exists() {
    check_field(
        "a|exists: true",
        &[a(""), json!({"a": null}), json!({"a": []})],
        &[json!({"b": 1})],
    );
    check_field("a|exists: false", &[json!({"b": 1})], &[a("x"), json!({"a": null})]);
}

#[test]
fn comparisons() {
    let n = |n: f64| json!({ "a": n });
    check_field(
        "a|lt: 5",
        &[n(4.9), json!({"a": 4}), a("4")],
        &[json!({"a": 5}), a("x"), json!({})],
    );
    check_field("a|lte: 5", &[json!({"a": 5}), a(" 5 ")], &[n(5.1), json!({"a": null})]);
    check_field("a|gt: 5", &[n(5.5), a("6")], &[json!({"a": 5}), json!({"a": true})]);
    check_field("a|gte: 5.5", &[n(5.5), json!({"a": 6})], &[json!({"a": 5})]);
    // Not told apart as fractions of 64 bits.
    check_field(
        "a|gt: 9007199254740992",
        &[json!({"a": 9007199254740993i64})],
        &[json!({"a": 9007199254740992i64})],
    );
}

#[test]
fn neq() {
    check_field("a|neq: x", &[a("y"), json!({})], &[a("X")]);
    check_field("a|neq: [1, 2]", &[json!({"a": 3})], &[json!({"a": 1}), a("2")]);
    check_field("a|contains|neq: x", &[a("y")], &[a("yxy")]);
    check_field("a|neq|fieldref: b", &[json!({"a": 1, "b": 2})], &[json!({"a": 1, "b": 1})]);
}

#[test]
fn parts_of_times() {
    let t = || a("2026-03-04T05:06:07Z");
    for (name, is, not) in [
        ("minute", 6, 7),
        ("hour", 5, 6),
        ("day", 4, 3),
        ("week", 10, 11),
        ("month", 3, 4),
        ("year", 2026, 2025),
    ] {
        check_field(&format!("a|{name}: {is}"), &[t()], &[a("05:06"), json!({"a": is})]);
        check_field(&format!("a|{name}: {not}"), &[], &[t()]);
        check_field(&format!("a|{name}|gte: {is}"), &[t()], &[]);
        check_field(&format!("a|{name}|neq: {not}"), &[t()], &[]);
    }
    check_field("a|hour|lt: 6", &[t()], &[a("2026-03-04 06:00")]);
    check_field("a|hour: [4, 5]", &[t()], &[a("2026-03-04 06:00")]);
}

#[test]
fn fieldref() {
    let two = |a: &str, b: &str| json!({"a": a, "b": b});
    check_field("a|fieldref: b", &[two("X", "x")], &[two("x", "y"), json!({"a": "x"}), json!({})]);
    check_field("a|fieldref|cased: b", &[two("x", "x")], &[two("X", "x")]);
    check_field(
        "a|fieldref|startswith: b",
        &[two("abc", "AB")],
        &[two("abc", "bc"), two("abc", "")],
    );
    check_field("a|fieldref|endswith: b", &[two("abc", "bc")], &[two("abc", "ab")]);
    check_field("a|fieldref|contains: b", &[two("abc", "b")], &[two("abc", "x")]);
}

#[test]
fn expand() {
    check_field("a|expand: '%Admins%'", &[a("root"), a("ADMx")], &[a("%Admins%"), a("ann")]);
    check_field("a: '%Admins%'", &[a("%admins%")], &[a("root")]);
    check_field("a|contains|expand: 'x%Admins%'", &[a("--xroot--")], &[a("root")]);
    let told = refused_field("a|expand: '%Nobody%'");
    assert_eq!(told.code, "unknown-placeholder");
    assert!(told.message.contains("`%Nobody%`"));
}

#[test]
fn every_modifier_is_known() {
    assert_eq!(crate::MODIFIERS.len(), 31);
    let told = refused_field("a|contians: x");
    assert_eq!(told.code, "unknown-modifier");
    assert_eq!(told.hint.as_deref(), Some("did you mean `contains`?"));
    assert_eq!(told.place, "r.yml:6:5");
}

#[test]
fn what_does_not_go_together_is_refused() {
    for line in [
        "a|contains|contains: x",
        "a|contains|startswith: x",
        "a|i: x",
        "a|i|re: x",
        "a|re|cidr: x",
        "a|re|base64: x",
        "a|re|windash: x",
        "a|re|expand: x",
        "a|re|cased: x",
        "a|cidr|contains: 10.0.0.0/8",
        "a|lt|gt: 1",
        "a|lt|contains: 1",
        "a|hour|day: 1",
        "a|hour|contains: 1",
        "a|exists|contains: true",
        "a|exists|neq: true",
        "a|contains|base64: x",
        "a|base64|wide: x",
        "a|base64|base64offset: x",
        "a|wide|utf16: x",
        "a|base64|windash: x",
        "a|endswith|fieldref: b",
        "a|fieldref|base64: b",
        "'|startswith': x",
        "'|cidr': 10.0.0.0/8",
    ] {
        let told = refused_field(line);
        assert_eq!(told.code, "bad-modifiers", "{line}: {told}");
        assert!(told.hint.is_some());
    }
}

#[test]
fn values_have_to_be_of_the_kind() {
    for line in [
        "a|lt: x",
        "a|hour: x",
        "a|hour: 1.5",
        "a|exists: 1",
        "a|re: 1",
        "a|cidr: 1",
        "a|base64: 1",
        "a|contains: null",
        "a|fieldref: 1",
        "a: {b: c}",
        "a: [[b]]",
    ] {
        assert_eq!(refused_field(line).code, "wrong-type", "{line}");
    }
    assert_eq!(refused_field("a|cidr: 10.0.0.0/99").code, "bad-network");
    assert_eq!(refused_field("a|cidr: 10.0.0.1/8").hint.as_deref(), Some("write 10.0.0.0/8"));
    assert_eq!(refused_field("a|base64: 'x*'").code, "bad-modifiers");
    assert_eq!(refused_field("a: []").code, "no-values");
    assert_eq!(refused_field("a|re: '(?=x)y'").code, "bad-pattern");
    assert_eq!(refused_field("a|re|startswith: 'a)(b'").code, "bad-pattern");
    assert_eq!(refused_field("a|re: '((a{99}){99}){99}'").code, "bad-pattern");
    assert_eq!(refused_field(&format!("a|re: '{}'", "a".repeat(5000))).code, "bad-pattern");
    assert_eq!(refused_field(&format!("a: '{}'", "a".repeat(20_000))).code, "value-too-long");
}
