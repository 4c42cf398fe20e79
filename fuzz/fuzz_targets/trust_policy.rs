//! A trust policy: whole texts, and conditions put into one that is sound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trust::Policy;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Policy::parse("policy.yaml", text);
    // One line into a place where a condition stands; quotes would only end it.
    if text.len() < 4_000 && !text.contains(['"', '\\', '\n', '\r']) {
        let with = Policy::SHIPPED.replacen("when: \"remote_tool_present\"", &format!("when: \"{text}\""), 1);
        let _ = Policy::parse("policy.yaml", &with);
    }
});
