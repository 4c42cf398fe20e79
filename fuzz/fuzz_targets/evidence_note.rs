//! A signed note: checkpoint, cosignature.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    evidence::fuzz_note(data);
});
