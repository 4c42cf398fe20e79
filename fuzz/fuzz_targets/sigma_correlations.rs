//! Correlations: the document, and then hits at any time, with the state saved in between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sigma::correlation::{Correlator, State};
use sigma::{LogSource, Options, Record, RuleSet};

const RULES: &str = "title: a\nid: a\nlogsource: {category: c}\ndetection: {s: {w: a}, condition: s}\n---\ntitle: b\nid: b\nlogsource: {category: c}\ndetection: {s: {w: b}, condition: s}\n---\ntitle: c\nid: c\ncorrelation:\n";

fuzz_target!(|data: &[u8]| {
    let (times, text) = data.split_at(data.len().min(32));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let body: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let rules = format!("{RULES}{body}");
    let set = RuleSet::load([("r.yml", rules.as_str())], &Options::default());
    let correlator = Correlator::new(&set, 20_000);
    let mut state = State::default();
    for (index, time) in times.iter().enumerate() {
        let event = json!({"w": if time % 2 == 0 { "a" } else { "b" }, "user": time % 3, "n": time});
        let record = Record::json(LogSource::new(None, Some("c"), None), &event);
        for found in set.evaluate(&record) {
            let id = index.to_string();
            if let Some(hit) = correlator.hit(found.rule, i64::from(*time) * 1000, &id, &record) {
                correlator.observe(&mut state, hit);
            }
        }
    }
    let saved = serde_json::to_string(&state).unwrap_or_default();
    let mut restored: State = serde_json::from_str(&saved).unwrap_or_default();
    assert_eq!(correlator.finish(&mut state), correlator.finish(&mut restored));
});
