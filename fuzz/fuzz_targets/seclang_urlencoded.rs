//! A query string, a form, a request target, cookies.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclang::fuzz_urlencoded(data);
});
