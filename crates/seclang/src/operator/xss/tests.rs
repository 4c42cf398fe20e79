//! What libinjection 3.9.2 says of these values, and what holds for every value.

use super::*;
use crate::operator::injection::may_be_xss;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const SCRIPTS: &[&[u8]] = &[
    b"<script>go()</script>",
    b"<ScRiPt src=x>",
    b"<scr\x00ipt>",
    b"<svg onload=go()>",
    b"<svgx>",
    b"<xslt>",
    b"<img src=x onerror=go()>",
    b"<img src=x onerror\x00=go()>",
    b"<a href=javascript:go()>",
    b"<a href=\"  jAvA&#x53;cript:go()\">",
    b"<a href='&#106;&#0097;va'>",
    b"<a href=&#x144;ata:x>",
    b"<a href=\"\x01\xa0data:text/html,x\">",
    b"<a href=\"ja\nva:x\">",
    b"<a href=view-source:x>",
    b"<a href=vbscript:x>",
    b"<a style=x>",
    b"<b filter=x>",
    b"<set attributeName=onload to=x>",
    b"<set attributeName=\"href\" to=x>",
    b"<a xmlns:x=y>",
    b"<a xlink:role=y>",
    b"<!doctype html>",
    b"<!--a`b-->",
    b"<!--[if IE]>",
    b"<!-- a --><script>",
    b"<!-- a -!><script>",
    b"<!-- a -\x00-><script>",
    b"<!-- a - -><script>",
    b"<!x`>",
    b"<!entity x>",
    b"<?import x>",
    b"<?xml version=1>",
    b"<?php `x` ?>",
    b"<%`%>",
    b"<% a % > <script>",
    b"<% a %><script>",
    b"<![CDATA[x]]><script>",
    b"</script x>",
    b"</><script>",
    b"</ x`>",
    b"</a b><script>",
    b"<a/><script>",
    b"<a b='c'd><script>",
    b"<a b=`c`onerror=x>",
    b"<a ////onerror=x>",
    b"<\x00script>",
    b"x onerror=go()",
    b"/onerror=go()",
    b"' onerror=go() x='",
    b"\" style=\"x",
    b"` onerror=go()",
    b"'><script>",
    b"\"><base href=x>",
    b"href=javascript:x",
    b"<iframe",
    b"<listener>",
    b"<vmlframe/x>",
    b"<meta\x0bx>",
];

const HARMLESS: &[&[u8]] = &[
    b"",
    b"<a href=&#x164;ata:x>",
    b"<a href=&#x;java:x>",
    b"<a href=&#>",
    b"<a href=&#99999999;data:>",
    b"<a href=/view-source:x>",
    b"<a href=http://x/?java:>",
    b"<a style>",
    b"<set attributeName=class to=x>",
    b"<a xl\x00ink=y>",
    b"<a onabort/=x>",
    b"<a on=x>",
    b"<a onx=>",
    b"<a onxy=>",
    b"<a onxyz x>",
    b"<!DOCTYP html>",
    b"<!--[i-->",
    b"<!--xml-->",
    b"<!-- a --",
    b"<![CDATA[<script>]]>",
    b"</script>",
    b"<a b=\"c<script>",
    b"<a \xffonerror=x>",
    b"<a b=\xff onerror=x>",
    b"<1script>",
    b"< script>",
    b"x' a=b",
    b"a < b and c = d",
    b"1 <= 2",
    b"key=value&other=thing",
    b"<p>hello</p>",
    b"<b class=\"x\">bold</b>",
    b"<a href=\"https://example.org/?a=b\">x</a>",
    b"x = y",
    b"<",
    b"<a",
    b"<a b",
    b"<a b=",
    b"<a b='",
    b"<handlers>",
];

#[test]
fn scripts_are_found() {
    for value in SCRIPTS {
        assert!(is_xss(value), "{}", value.escape_ascii());
    }
    for value in HARMLESS {
        assert!(!is_xss(value), "{}", value.escape_ascii());
    }
}

#[test]
fn a_long_value_takes_no_longer_than_its_length() {
    let start = Instant::now();
    for part in [
        "<",
        "</",
        "<a ",
        "<a b=",
        "<a b='",
        "<!--",
        "<!-- -\0",
        "<!-- --",
        "<![CDATA[]",
        "<%%",
        "<?",
        "<!",
        "/",
        "a=",
        "href=&#0;",
        "<a href='&#10;",
        "\0",
        "' x=",
        "=",
        "<a/",
        "href=' \0",
    ] {
        let value = part.repeat(100_000);
        let _ = is_xss(value.as_bytes());
        let _ = is_xss(format!("<a href='&#x{value}").as_bytes());
    }
    // Seconds even without optimisation; hours if anything were looked at again and again.
    assert!(start.elapsed() < Duration::from_secs(120));
}

/// Marks, names and bytes that the reader treats differently.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    let marks = prop::sample::select(vec![
        "<",
        ">",
        "</",
        "/",
        "=",
        "'",
        "\"",
        "`",
        " ",
        "\0",
        "<!--",
        "-->",
        "-!>",
        "<!",
        "<?",
        "<%",
        "%>",
        "<![CDATA[",
        "]]>",
        "&#",
        "&#x",
        ";",
        "6a",
        "106",
        "java",
        "data:",
        "view-source",
        "vbscript",
        "on",
        "onload",
        "style",
        "href",
        "src",
        "xmlns",
        "attributename",
        "script",
        "svg",
        "a",
        "doctype",
        "import",
        "entity",
        "[if",
        "xml",
    ]);
    prop_oneof![
        4 => marks.prop_map(|mark| mark.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_value_has_a_verdict(parts in prop::collection::vec(parts(), 0..24)) {
        let value = parts.concat();
        let everywhere = [State::Text, State::BeforeName]
            .into_iter()
            .chain([b'\'', b'"', b'`'].map(State::InQuotes))
            .any(|start| runs(&value, start));
        // What is left out early would have been found harmless.
        prop_assert_eq!(is_xss(&value), everywhere, "{}", value.escape_ascii());
        prop_assert!(may_be_xss(&value) || !everywhere, "{}", value.escape_ascii());
    }
}
