//! Sigma rule files: nothing is dropped in silence, and what loads runs on any record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sigma::{LogSource, Options, Record, RuleSet};
use std::sync::LazyLock;

/// Read once: they are larger than most rules.
static OPTIONS: LazyLock<Options> = LazyLock::new(Options::shipped);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // After a line of its own, the rest may be an event.
    let (text, event) = text.split_once("\n#EVENT\n").unwrap_or((text, "{}"));
    let set = RuleSet::load([("r.yml", text)], &OPTIONS);
    assert!(set.refused.iter().all(|refused| !refused.problems.is_empty()));
    assert!(set.refused.iter().flat_map(|r| &r.problems).all(|problem| problem.hint.is_some()));
    let event = serde_json::from_str(event).unwrap_or_else(|_| json!({"a": ["x", 1, null]}));
    set.evaluate(&Record::event_log("windows", &event));
    for rule in &set.rules {
        for variant in &rule.variants {
            set.evaluate(&Record::json(variant.logsource.clone(), &event));
        }
    }
    set.evaluate(&Record::json(LogSource::default(), &event));
});
