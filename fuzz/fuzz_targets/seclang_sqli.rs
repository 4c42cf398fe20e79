//! Any bytes as SQL.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclang::fuzz_sqli(data);
});
