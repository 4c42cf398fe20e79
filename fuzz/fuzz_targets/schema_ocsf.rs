//! Any JSON as an OCSF event: read, written and read again it is the same event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::Event;

fuzz_target!(|data: &[u8]| {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let (event, _) = Event::from_ocsf(value);
    let (again, _) = Event::from_ocsf(event.to_ocsf());
    assert_eq!(event, again);
});
