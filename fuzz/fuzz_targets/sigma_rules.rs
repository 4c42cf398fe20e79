//! Sigma rule files: nothing is dropped in silence, and what loads runs on any record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sigma::{Engine, LogSource, Match, Options, Reader, Record, RuleSet};
use std::sync::{Arc, LazyLock};

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
    let engine = Arc::new(Engine::new(Arc::new(set)));
    let mut runner = engine.runner();
    // The index finds what trying every rule finds.
    let mut same = |record: &Record<'_>| {
        assert_eq!(runner.evaluate(record), engine.set().evaluate(record));
    };
    same(&Record::event_log("windows", &event));
    for rule in &engine.set().rules {
        for variant in &rule.variants {
            same(&Record::json(variant.logsource.clone(), &event));
        }
    }
    same(&Record::json(LogSource::default(), &event));
    // As a tape it is the same event, but for members of one name and the order of members.
    let mut text = event.to_string().into_bytes();
    let mut reader = Reader::default();
    let doc = reader.read(&mut text).expect("what serde wrote can be read");
    let tape = runner.evaluate(&Record::event_log("windows", doc.root()));
    let value = runner.evaluate(&Record::event_log("windows", &event));
    let rules = |found: &[Match]| found.iter().map(|found| found.rule).collect::<Vec<_>>();
    assert_eq!(rules(&tape), rules(&value));
});
