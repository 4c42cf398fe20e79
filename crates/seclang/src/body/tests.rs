//! What holds for every body, tried on random and broken ones.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::multipart::{Limits, Multipart};
use super::*;
use crate::bag::Bag;
use crate::request::{Target, parse_cookies};
use crate::variable::XmlPath;

/// A bag in one line: `a=1 b=2`.
pub(super) fn shown(bag: &Bag) -> String {
    let entries =
        bag.iter().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
    entries.collect::<Vec<_>>().join(" ")
}

const MULTIPART: &str = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\\\"\"\r\nX: y\r\n z\r\n\r\n1\r\n--b--\r\n";
const JSON: &str = r#"{"a":[1,-2.5e3,"x\u00e9\n",{"b":null}],"":{},"c":[[],true]}"#;
const XML: &str = r#"<?xml version="1.0" encoding="utf-8"?><!DOCTYPE a><a b="1&lt;"><!-- c --><d:e>&#65;<![CDATA[<]]></d:e></a>"#;
const URLENCODED: &str = "a=1&b=%41+%zz&&c=&=d&%u0041";

/// Pieces of `seed` in any order, with bytes between them.
fn broken(seed: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..seed.len(), 0..24_usize, proptest::collection::vec(any::<u8>(), 0..3));
    (proptest::collection::vec(piece, 0..12), any::<bool>()).prop_map(move |(pieces, whole)| {
        let mut bytes = if whole { seed.as_bytes().to_vec() } else { Vec::new() };
        for (from, count, noise) in pieces {
            let cut = seed.as_bytes().iter().skip(from).take(count);
            let at = from.min(bytes.len());
            bytes.splice(at..at, cut.copied().chain(noise));
        }
        bytes
    })
}

fn check_urlencoded(body: &[u8]) {
    let mut out = Bag::default();
    urlencoded::parse(body, b'&', 1000, &mut out);
    assert!(out.bytes() <= body.len() && out.len() <= 1000);
}

fn check_multipart(body: &[u8]) {
    let mut out = Multipart::default();
    multipart::parse(
        b"multipart/form-data; boundary=b",
        body,
        Limits { arguments_max: 9, files_max: 2 },
        &mut out,
    );
    let bags =
        [&out.args, &out.files, &out.file_sizes, &out.names, &out.filenames, &out.part_headers];
    let bytes: usize = bags.into_iter().map(Bag::bytes).sum();
    assert!(
        bytes <= 4 * body.len() * (multipart::PART_HEADERS_MAX + 1),
        "{bytes} of {}",
        body.len()
    );
    assert_eq!(out.file_sizes.len(), out.file_contents.len());
    assert!(out.contents(body).map(|(_, content)| content.len()).sum::<usize>() <= body.len());
}

fn check_json(body: &[u8]) {
    let mut out = Bag::default();
    let result = json::parse(body, 64, 1000, &mut out);
    assert!(
        out.bytes() <= (body.len() * json::JSON_OUTPUT_FACTOR).max(json::JSON_OUTPUT_BYTES_MIN)
    );
    let depth = body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    // What serde_json takes, we take, and the reverse.
    if depth <= 64 && body.len() < 900 && !body.is_empty() {
        let other = serde_json::from_slice::<serde::de::IgnoredAny>(body);
        // It ignores broken UTF-8 and lone surrogates in strings it throws away.
        if result.is_ok() {
            assert!(other.is_ok(), "{}", body.escape_ascii());
        }
    }
}

fn check_xml(body: &[u8]) {
    let (document, _) = xml::parse(body);
    for path in ["/*", "//@*", "//text()", "/a//e", "//*"] {
        let mut out = Bag::default();
        assert!(document.select(&XmlPath::parse(path).unwrap(), &mut out));
        let repeated = if path == "//*" { xml::XML_DEPTH_MAX } else { 1 };
        // Legacy encodings grow to three bytes a character at most.
        assert!(out.bytes() <= 3 * body.len() * repeated, "{path}: {}", out.bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_break_a_processor(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        check_urlencoded(&body);
        check_multipart(&body);
        check_json(&body);
        check_xml(&body);
    }

    #[test]
    fn broken_urlencoded(body in broken(URLENCODED)) { check_urlencoded(&body) }

    #[test]
    fn broken_multipart(body in broken(MULTIPART)) { check_multipart(&body) }

    #[test]
    fn broken_json(body in broken(JSON)) { check_json(&body) }

    #[test]
    fn broken_xml(body in broken(XML)) { check_xml(&body) }

    #[test]
    fn a_broken_content_type(header in broken("multipart/form-data; boundary=\"a b;c\"")) {
        let mut out = Multipart::default();
        multipart::parse(&header, MULTIPART.as_bytes(), Limits { arguments_max: 9, files_max: 2 }, &mut out);
    }

    #[test]
    fn a_broken_head(bytes in broken("http://h:1/a%20b\\c?d=%41#e")) {
        let parts = Target::parse(&bytes);
        prop_assert!(parts.uri.len() <= bytes.len() && parts.filename.len() <= bytes.len());
        prop_assert!(parts.basename().len() <= parts.filename.len());
        for v1 in [false, true] {
            let mut cookies = Bag::default();
            parse_cookies(&bytes, v1, &mut cookies);
            prop_assert!(cookies.bytes() <= bytes.len());
        }
    }
}
