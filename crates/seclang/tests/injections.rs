//! Values of the field, labelled by others.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code)] // the other tests load rules, too
mod common;

use common::shared;
use seclang::{is_xss, sqli};
use std::collections::BTreeMap;
use std::fs;

/// The fields of comma-separated values in quotes; a quote in a field is doubled.
fn rows(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut rows = vec![vec![Vec::new()]];
    let mut in_quotes = false;
    for byte in text {
        let row = rows.last_mut().expect("one row");
        let field = row.last_mut().expect("one field");
        match (byte, in_quotes) {
            (b'"', _) => {
                in_quotes = !in_quotes;
                field.push(b'"');
            }
            (b',', false) => row.push(Vec::new()),
            (b'\n', false) => rows.push(vec![Vec::new()]),
            (b'\r', false) => {}
            _ => field.push(*byte),
        }
    }
    for field in rows.iter_mut().flatten() {
        if let [b'"', inside @ .., b'"'] = field.as_slice() {
            let mut plain = Vec::new();
            let mut bytes = inside.iter();
            while let Some(byte) = bytes.next() {
                plain.push(*byte);
                if *byte == b'"' {
                    bytes.next();
                }
            }
            *field = plain;
        }
    }
    rows
}

#[test]
fn parameters_of_the_field() {
    let Some(file) = shared("corpora/httpparams/train.csv") else {
        println!("skipped: no corpora");
        return;
    };
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for row in rows(&fs::read(file).expect("the corpus")).iter().skip(1) {
        let [value, _, kind, _] = row.as_slice() else { continue };
        let count = counts.entry(String::from_utf8_lossy(kind).into_owned()).or_default();
        count[0] += 1;
        count[1] += usize::from(sqli(value).is_some());
        count[2] += usize::from(is_xss(value));
    }
    // By kind: values, taken for SQL, taken for scripts; the numbers of libinjection 3.9.2.
    let counts: Vec<_> = counts.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    let expected = [
        ("cmdi", [59, 1, 0]),
        ("norm", [12870, 0, 0]),
        ("path-traversal", [193, 0, 0]),
        ("sqli", [7235, 7005, 0]),
        ("xss", [355, 9, 278]),
    ];
    assert_eq!(counts, expected);
}
