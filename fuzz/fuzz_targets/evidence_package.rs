//! An evidence package from a stranger.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    evidence::fuzz_package(data);
});
