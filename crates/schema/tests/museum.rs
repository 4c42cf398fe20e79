//! A sample of every version the event format ever had. What was stored once is read for ever, and
//! comes out as it went in.
#![allow(clippy::unwrap_used)]

use schema::Event;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn every_sample_of_every_version_is_read_whole() {
    let museum = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/museum");
    let mut seen = 0;
    for version in fs::read_dir(museum).unwrap() {
        for sample in fs::read_dir(version.unwrap().path()).unwrap() {
            let file = sample.unwrap().path();
            let given: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let (event, diagnostics) = Event::from_ocsf(given.clone());
            assert_eq!(diagnostics, [], "{}", file.display());
            assert_eq!(event.to_ocsf(), given, "{}", file.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen} samples");
}
