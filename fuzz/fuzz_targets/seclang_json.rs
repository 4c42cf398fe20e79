//! A JSON body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::Bag;
use seclang::body::json::{JSON_OUTPUT_BYTES_MIN, JSON_OUTPUT_FACTOR, parse};

fuzz_target!(|data: &[u8]| {
    let mut out = Bag::default();
    let result = parse(data, 512, 1000, &mut out);
    assert!(out.len() <= 1000);
    assert!(out.bytes() <= (data.len() * JSON_OUTPUT_FACTOR).max(JSON_OUTPUT_BYTES_MIN));
    if result.is_ok() && !data.is_empty() {
        let other = serde_json::from_slice::<serde_json::Value>(data);
        // It nests 128 deep and keeps numbers as floats.
        let is_limit = |text: String| text.contains("recursion") || text.contains("out of range");
        assert!(other.is_ok() || other.is_err_and(|error| is_limit(error.to_string())));
    }
});
