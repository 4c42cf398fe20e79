//! Any bytes through transformations.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclang::fuzz_transform(data);
});
