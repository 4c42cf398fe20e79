//! Tests in go-ftw's form, and the exam's own reader of requests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plura_fuzz::{crs, files, seed};
use seclang::exam::{
    BODY_BYTES_MAX, HEADERS_MAX, Redirect, build, parse, read_overrides, read_tests, respond,
};

fuzz_target!(init: seed("exam", seeds), |data: &[u8]| {
    sit(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok((tests, _)) = read_tests("a.yaml", text) {
        for stage in tests.iter().flat_map(|test| &test.stages) {
            for redirect in [Redirect::No, Redirect::To(Some("http://a/b?c".to_owned()))] {
                if let Ok(request) = build(&stage.input, redirect) {
                    sit(&request);
                }
            }
        }
    }
    let _ = read_overrides("a.yaml", text);
});

fn sit(raw: &[u8]) {
    let Ok(request) = parse(raw) else { return };
    assert!(request.headers.len() <= HEADERS_MAX && request.body.len() <= BODY_BYTES_MAX);
    assert!(request.body.len() < raw.len());
    assert!(!respond(&request).raw().is_empty());
    // What follows a request is not looked at, and one that is cut is not taken for whole.
    assert_eq!(parse(&[raw, b"GET / HTTP/1.1\r\n"].concat()), Ok(request));
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n".to_vec(),
        b"PUT http://a/ HTTP/1.1\nHost: a\nContent-Length: 3\n b\n\nabc".to_vec(),
        b"version: 1\ntest_overrides:\n  - rule_id: 1\n    test_ids: [2]\n    reason: 'x'\n    expect_failure: true\n    output: {status: 400}\n".to_vec(),
    ];
    let folder = crs().map(|folder| files(&folder.join("tests/regression/tests"), ".yaml"));
    for path in folder.unwrap_or_default() {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut parts = text.split("\n  - test_id");
        let head = parts.next().unwrap_or_default();
        seeds.extend(parts.take(8).map(|part| format!("{head}\n  - test_id{part}").into_bytes()));
    }
    seeds
}
