//! What a connection sends, read by the guard: the same however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gateway::proxy::fuzz_requests(data);
});
