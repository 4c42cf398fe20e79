//! Bodies of any kind through protection.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gateway::evidence::fuzz_protect(data);
});
