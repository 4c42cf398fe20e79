//! A whole exchange through capture, protection and outcome.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gateway::evidence::fuzz_exchange(data);
});
