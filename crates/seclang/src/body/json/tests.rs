#![allow(clippy::unwrap_used)]

use super::*;
use crate::body::tests::shown;

fn read(body: &[u8]) -> (String, Option<String>) {
    let mut out = Bag::default();
    let error = parse(body, 32, 100, &mut out).err().map(|error| error.to_string());
    (shown(&out), error)
}

fn check(body: &str, expected: &str) {
    assert_eq!(read(body.as_bytes()), (expected.to_owned(), None), "{body}");
}

fn check_error(body: impl AsRef<[u8]>, expected: &str, error: &str) {
    let body = body.as_ref();
    let (values, text) = read(body);
    let text = text.unwrap_or_default();
    assert_eq!(values, expected, "{}", body.escape_ascii());
    assert!(
        text.starts_with("JSON parsing error: ") && text.contains(error),
        "{}: {text}",
        body.escape_ascii()
    );
}

#[test]
fn names_are_paths() {
    check(r#"{"a":"1","b":{"c":"2"}}"#, "json.a=1 json.b.c=2");
    check(
        r#"{"a":[1,[2,3],{"b":4}],"c":5}"#,
        "json.a.array_0=1 json.a.array_1.array_0=2 json.a.array_1.array_1=3 json.a.array_2.b=4 json.c=5",
    );
    check(r#"[{"a":1},{"a":2}]"#, "json.array_0.a=1 json.array_1.a=2");
    check("[[[1]]]", "json.array_0.array_0.array_0=1");
    check(r#"{"":1,"a":{"":[2]}}"#, "json.empty-key=1 json.a.empty-key.array_0=2");
    check(r#"{"a.b":1,"a=\"b\"":2}"#, r#"json.a.b=1 json.a=\"b\"=2"#);
}

#[test]
fn values_are_as_an_application_reads_them() {
    check(r#"{"a":true,"b":false,"c":null}"#, "json.a=true json.b=false json.c=");
    check(
        r#"[1,-0,1.50,1e400,12345678901234567890]"#,
        "json.array_0=1 json.array_1=-0 json.array_2=1.50 json.array_3=1e400 json.array_4=12345678901234567890",
    );
    check(
        r#"["\u003cscript\u003e","\/\"\\\n","\ud83d\ude00","\u0000"]"#,
        r#"json.array_0=<script> json.array_1=/\"\\\n json.array_2=\xf0\x9f\x98\x80 json.array_3=\x00"#,
    );
    check(" \t\r\n\"x\" ", "json=x");
    check("7", "json=7");
    check("", "");
}

#[test]
fn nothing_hides() {
    // Duplicate keys: which one counts is the application's choice.
    check(r#"{"a":1,"a":2}"#, "json.a=1 json.a=2");
    // A key without a value below it.
    check(r#"{"<script>":{},"b":[[]]}"#, "json.<script>= json.b.array_0=");
    check("{}", "");
    check("[]", "");
}

#[test]
fn what_is_not_json_is_an_error_and_what_came_before_stays() {
    check_error(r#"{"a":1,"b"}"#, "json.a=1", "expected `:`");
    check_error(r#"{"a":1} x"#, "json.a=1", "trailing characters");
    check_error(r#"{"a":1}{"b":2}"#, "json.a=1", "trailing characters");
    check_error(r#"{"a":1,}"#, "json.a=1", "trailing comma");
    check_error("[1,]", "json.array_0=1", "trailing comma");
    check_error(r#"{"a":"1"#, "", "EOF");
    check_error(r#"{"a":1 /* x */}"#, "json.a=1", "expected `,` or `}`");
    check_error("// x\n{}", "", "expected value");
    check_error("{a:1}", "", "key must be a string");
    check_error("{'a':1}", "", "key must be a string");
    check_error("[NaN]", "", "expected value");
    check_error("[-Infinity]", "", "number");
    check_error("[01]", "", "number");
    check_error("[+1]", "", "expected value");
    check_error("[.5]", "", "expected value");
    check_error("   ", "", "EOF");
    check_error("a=1&b=2", "", "expected value");
    check_error("{\"a\":\"\n\"}", "", "control character");
    check_error(r#"["\x41"]"#, "", "escape");
    check_error(r#"["\ud800"]"#, "", "hex escape");
}

#[test]
fn only_utf_8_is_read() {
    check_error(b"\xef\xbb\xbf{\"a\":1}", "", "expected value");
    check_error(b"\xff\xfe{\0}\0", "", "expected value");
    check_error(b"{\0\"\0", "", "key must be a string");
    check_error(b"[\"\xc0\xaf\"]", "", "unicode");
    check_error(b"[\"\xed\xa0\x80\"]", "", "unicode");
    check_error(b"[1]\0", "json.array_0=1", "trailing characters");
}

#[test]
fn limits_are_errors() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(
        &format!("[1,{}]", deep(31)),
        &format!("json.array_0=1 json.array_1{}=", ".array_0".repeat(30)),
    );
    check_error(format!("[1,{}]", deep(32)), "json.array_0=1", "depth limit");
    let mut out = Bag::default();
    assert!(parse("[".repeat(1_000_000).as_bytes(), usize::MAX, 1, &mut out).is_err());

    let mut out = Bag::default();
    assert!(parse(b"[1,2,3]", 9, 2, &mut out).unwrap_err().to_string().contains("Arguments limit"));
    assert_eq!(out.len(), 2);

    // One long key over many small values: linear, not their product.
    let body = format!(r#"{{"{}":[{}1]}}"#, "k".repeat(60_000), "1,".repeat(30_000));
    let mut out = Bag::default();
    assert!(parse(body.as_bytes(), 9, usize::MAX, &mut out).is_err());
    assert!(out.bytes() <= body.len() * JSON_OUTPUT_FACTOR);
}
