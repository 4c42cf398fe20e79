//! Any bytes as HTML.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::is_xss;

fuzz_target!(|data: &[u8]| {
    // Without a tag or a value there is nothing to run.
    assert!(!is_xss(data) || data.contains(&b'<') || data.contains(&b'='));
    let _ = is_xss(&[b"<a href='", data].concat());
});
