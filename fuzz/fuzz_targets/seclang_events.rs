//! An answer that comes as a stream of events.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclang::fuzz_events(data);
});
