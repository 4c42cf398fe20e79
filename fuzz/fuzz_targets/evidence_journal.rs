//! A ledger's journal after a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    evidence::fuzz_journal(data);
});
