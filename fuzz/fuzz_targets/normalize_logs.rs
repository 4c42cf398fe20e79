//! Log lines in every format, split anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    normalize::fuzz_parse(data);
});
