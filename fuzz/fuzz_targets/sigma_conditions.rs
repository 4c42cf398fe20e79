//! Sigma conditions: what is read can be run, what is not is told with what to do.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sigma::{LogSource, Options, Record, RuleSet};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(wrong) = sigma::condition::parse(text) {
        assert!(!wrong.message.is_empty() && !wrong.hint.is_empty());
    }
    if text.contains(['\'', '\n', '\r', '\0']) {
        return;
    }
    let rule = format!(
        "title: t\nlogsource: {{category: c}}\ndetection:\n  selection: {{a: x}}\n  filter_one: {{b|contains: y}}\n  filter_two: [z]\n  condition: '{text}'\n"
    );
    let set = RuleSet::load([("r.yml", rule.as_str())], &Options::default());
    assert_eq!(set.rules.len() + set.refused.len(), 1);
    assert!(set.refused.iter().all(|refused| !refused.problems.is_empty()));
    let event = json!({"a": "x", "b": "-y-", "c": "z"});
    set.evaluate(&Record::json(LogSource::new(None, Some("c"), None), &event));
});
