//! Operators as rules write them, and any bytes as their value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plura_fuzz::{OWN_RULES, Own, crs_rules, seed};
use seclang::load;

fuzz_target!(init: seed("operators", tests), |data: &[u8]| {
    seclang::fuzz_operator(data);
});

/// Each test of our rules and of CRS's, with its own text for a value.
fn tests() -> Vec<Vec<u8>> {
    let sets = [load(&Own(OWN_RULES.as_bytes()), &["own.conf"]).ok(), crs_rules()];
    let mut tests: Vec<String> = sets
        .iter()
        .flatten()
        .flat_map(|rules| rules.rules())
        .flat_map(|rule| {
            rule.links.iter().filter_map(|link| Some(link.test.as_ref()?.text.clone()))
        })
        .collect();
    tests.sort();
    tests.dedup();
    tests.iter().map(|text| format!("\0{text}\n{text}").into_bytes()).collect()
}
