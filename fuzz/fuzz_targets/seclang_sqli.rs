//! Any bytes as SQL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::sqli;

fuzz_target!(|data: &[u8]| {
    if let Some(found) = sqli(data) {
        assert!((1..=5).contains(&found.as_bytes().len()));
    }
    // A quote more is read in another way, too.
    let _ = sqli(&[data, b"'"].concat());
    let _ = sqli(&[data, b"\""].concat());
});
