//! Processing pipelines: read or told, and rules go through what is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sigma::{Options, Pipeline, RuleSet};

const RULE: &str = "title: t\nlogsource: {product: windows, category: process_creation, service: sysmon}\ndetection:\n  s: {Image|endswith|expand: '%x%', a|fieldref: b}\n  condition: s\n";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Pipeline::parse("p.yml", text) {
        Ok(pipeline) => {
            let options = Options { pipelines: vec![pipeline], ..Options::default() };
            let set = RuleSet::load([("r.yml", RULE)], &options);
            assert_eq!(set.rules.len() + set.refused.len(), 1);
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
});
