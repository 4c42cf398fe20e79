//! Every modifier, every kind of correlation and every form of a filter has a case that fires and near misses.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};
use sigma::correlation::{Correlator, State, rule::Kind};
use sigma::{LogSource, MODIFIERS, Options, Record, RuleSet};
use std::collections::BTreeSet;

fn load(text: &str) -> RuleSet {
    let mut options = Options::default();
    options.placeholders.insert("admins".to_owned(), vec!["root".to_owned(), "adm*".to_owned()]);
    let set = RuleSet::load([("r.yml", text)], &options);
    if let Some(refused) = set.refused.first() {
        panic!("{text}\n{}", refused.problems[0]);
    }
    set
}

fn record(event: &Value) -> Record<'_> {
    Record::json(LogSource::new(Some("p"), Some("test"), None), event)
}

fn fires(set: &RuleSet, event: &Value) -> bool {
    !set.evaluate(&record(event)).is_empty()
}

const TIME: &str = "2026-03-04T05:06:07Z";

/// Selection, what fires, and what only nearly does.
fn modifier_cases() -> Vec<(&'static str, Vec<Value>, Vec<Value>)> {
    let texts = |list: &[&str]| list.iter().map(|text| json!(text)).collect::<Vec<Value>>();
    let case = |line, firing: &[&str], quiet: &[&str]| (line, texts(firing), texts(quiet));
    vec![
        case("a|contains|all: [x, y]", &["y-x"], &["x", "y"]),
        case("a|contains: bc", &["abcd", "BC"], &["b c", "cb"]),
        case("a|startswith: ab", &["abc", "AB"], &["xab"]),
        case("a|endswith: bc", &["abc", "BC"], &["bcx"]),
        ("a|exists: true", vec![json!(""), json!(0), json!(null)], vec![]),
        ("a|exists: false", vec![], vec![json!("x"), json!(null)]),
        case("a|cased: aB", &["aB"], &["ab", "AB"]),
        case("a|neq: x", &["y"], &["x", "X"]),
        case("a|windash|contains: ' -e'", &["x -e", "x /e", "x –e"], &["x e", "x_e"]),
        case("a|re: 'a+b$'", &["xaab"], &["xaabc", "AB"]),
        case("a|re|i: 'a+b$'", &["xAAB"], &["xAABc"]),
        case("a|re|m: '^b$'", &["a\nb"], &["a\nbb"]),
        case("a|re|s: 'a.b'", &["a\nb"], &["ab"]),
        case("a|base64: foobar", &["Zm9vYmFy"], &["Zm9vYmF", "foobar"]),
        case(
            "a|base64offset|contains: foobar",
            &["Zm9vYmFy", "xxmb29iYXxx", "Zvb2Jhc"],
            &["foobar", "Zm9vYg"],
        ),
        case("a|utf16le|base64: cmd", &["YwBtAGQA"], &["Y21k", "AGMAbQBk"]),
        case("a|utf16be|base64: cmd", &["AGMAbQBk"], &["YwBtAGQA"]),
        case("a|utf16|base64: cmd", &["//5jAG0AZAA="], &["YwBtAGQA"]),
        case("a|wide|base64: cmd", &["YwBtAGQA"], &["Y21k"]),
        ("a|lt: 5", vec![json!(4), json!("4.9")], vec![json!(5), json!("x")]),
        ("a|lte: 5", vec![json!(5), json!("5")], vec![json!(5.1), json!(null)]),
        ("a|gt: 5", vec![json!(6), json!("5.1")], vec![json!(5), json!(true)]),
        ("a|gte: 5", vec![json!(5), json!("5")], vec![json!(4.9), json!("")]),
        case("a|minute: 6", &[TIME], &["2026-03-04T06:05:07Z", "6"]),
        case("a|hour: 5", &[TIME], &["2026-03-04T06:05:07Z", "5"]),
        case("a|day: 4", &[TIME], &["2026-04-03T05:06:07Z", "4"]),
        case("a|week: 10", &[TIME], &["2026-03-09T05:06:07Z", "10"]),
        case("a|month: 3", &[TIME], &["2026-04-03T05:06:07Z", "3"]),
        case("a|year: 2026", &[TIME], &["2025-03-04T05:06:07Z", "2026"]),
        case("a|cidr: 10.1.0.0/16", &["10.1.2.3"], &["10.2.0.1", "10.1", "x"]),
        case("a|expand: '%admins%'", &["root", "admin"], &["%admins%", "toor"]),
        case("a|fieldref: other", &["same", "SAME"], &["sam", "other"]),
    ]
}

#[test]
fn every_modifier_has_a_case_that_fires_and_a_near_miss() {
    let (mut fired, mut missed) = (BTreeSet::new(), BTreeSet::new());
    for (line, firing, quiet) in modifier_cases() {
        let set = load(&format!(
            "title: t\nlogsource: {{category: test}}\ndetection:\n  s: {{{line}}}\n  condition: s\n"
        ));
        let modifiers = line.split(": ").next().unwrap().split('|').skip(1);
        let modifiers: Vec<&str> = modifiers.collect();
        for (events, wanted, seen) in [(firing, true, &mut fired), (quiet, false, &mut missed)] {
            for value in &events {
                // The field beside it has the value that is looked for and decides nothing.
                let event = json!({"a": value, "b": value, "other": "same"});
                assert_eq!(fires(&set, &event), wanted, "{line}\n{event}");
                let nested = json!({"a": [value], "other": "same"});
                assert_eq!(fires(&set, &nested), wanted, "{line}\n{nested}");
                seen.extend(modifiers.iter().copied());
            }
        }
    }
    let all: BTreeSet<&str> = MODIFIERS.iter().copied().collect();
    assert_eq!(fired, all, "modifiers without a case that fires");
    assert_eq!(missed, all, "modifiers without a near miss");
}

const RULES: &str =
    "title: a\nname: a\nlogsource: {category: test}\ndetection: {s: {what: a}, condition: s}
---\ntitle: b\nname: b\nlogsource: {category: test}\ndetection: {s: {what: b}, condition: s}
---\ntitle: c\nname: c\n";

/// Type, the rest of the correlation, events (second, what, number) that fire, and near misses.
type Happened = &'static [(i64, &'static str, i64)];
const CORRELATIONS: &[(Kind, &str, Happened, &[Happened])] = &[
    (
        Kind::EventCount,
        "rules: [a], condition: {gte: 3}",
        &[(0, "a", 1), (5, "a", 1), (10, "a", 1)],
        &[&[(0, "a", 1), (5, "a", 1), (11, "a", 1)], &[(0, "a", 1), (5, "b", 1), (10, "a", 1)]],
    ),
    (
        Kind::ValueCount,
        "rules: [a], condition: {field: n, gte: 2}",
        &[(0, "a", 1), (10, "a", 2)],
        &[&[(0, "a", 1), (10, "a", 1)], &[(0, "a", 1), (11, "a", 2)]],
    ),
    (
        Kind::Temporal,
        "rules: [a, b]",
        &[(0, "b", 1), (10, "a", 1)],
        &[&[(0, "b", 1), (11, "a", 1)], &[(0, "a", 1), (1, "a", 1)]],
    ),
    (
        Kind::TemporalOrdered,
        "rules: [a, b]",
        &[(0, "a", 1), (10, "b", 1)],
        &[&[(0, "b", 1), (10, "a", 1)], &[(0, "a", 1), (11, "b", 1)]],
    ),
    (
        Kind::ValueSum,
        "rules: [a], condition: {field: n, gt: 9}",
        &[(0, "a", 5), (10, "a", 5)],
        &[&[(0, "a", 5), (10, "a", 4)], &[(0, "a", 5), (11, "a", 5)]],
    ),
    (
        Kind::ValueAvg,
        "rules: [a], condition: {field: n, gte: 5}",
        &[(0, "a", 1), (9, "a", 9)],
        &[&[(0, "a", 1), (9, "a", 8)], &[(0, "a", 1), (10, "a", 9), (11, "a", 0)]],
    ),
    (
        Kind::ValuePercentile,
        "rules: [a], condition: {field: n, percentile: 50, lt: 5}",
        &[(0, "a", 4), (1, "a", 4), (2, "a", 99)],
        &[&[(0, "a", 4), (1, "a", 5), (2, "a", 5)]],
    ),
];

fn correlates(rest: &str, kind: Kind, events: Happened) -> bool {
    let set = load(&format!("{RULES}correlation: {{type: {kind}, timespan: 10s, {rest}}}\n"));
    let correlator = Correlator::new(&set, 0);
    let mut state = State::default();
    let mut findings = Vec::new();
    for (index, (second, what, n)) in events.iter().enumerate() {
        let event = json!({"what": what, "n": n});
        let record = record(&event);
        for found in set.evaluate(&record) {
            let hit = correlator.hit(found.rule, second * 1000, &index.to_string(), &record);
            findings.extend(hit.into_iter().flat_map(|hit| correlator.observe(&mut state, hit)));
        }
    }
    findings.extend(correlator.finish(&mut state));
    !findings.is_empty()
}

#[test]
fn every_kind_of_correlation_fires_and_has_near_misses() {
    let mut kinds = BTreeSet::new();
    for (kind, rest, firing, quiet) in CORRELATIONS {
        assert!(correlates(rest, *kind, firing), "{kind} should fire");
        for events in *quiet {
            assert!(!correlates(rest, *kind, events), "{kind} should stay quiet: {events:?}");
        }
        kinds.insert(kind.word());
    }
    assert_eq!(kinds.len(), 7);
}

/// What a filter names, and of the three rules those it leaves alone.
#[test]
fn every_form_of_a_filter_leaves_out_and_leaves_alone() {
    let rules = "title: one\nid: 7d1a2c3e-0000-4000-8000-000000000001\nname: one\nlogsource: {category: test}\ndetection: {s: {x: 1}, condition: s}
---\ntitle: two\nname: two\nlogsource: {product: p, category: test}\ndetection: {s: {x: 1}, condition: s}
---\ntitle: three\nname: three\nlogsource: {product: p}\ndetection: {s: {x: 1}, condition: s}\n";
    let cases = [
        ("category: test", "[7d1a2c3e-0000-4000-8000-000000000001]", vec!["two", "three"]),
        ("category: test", "[one, two]", vec!["three"]),
        ("product: p", "[one, two, three]", vec!["one"]),
        ("category: test", "any", vec!["three"]),
        ("product: p", "any", vec!["one"]),
        ("product: q", "any", vec!["one", "two", "three"]),
        ("product: p, category: test", "any", vec!["one", "three"]),
    ];
    for (source, targets, left) in cases {
        let set = load(&format!(
            "{rules}---\ntitle: f\nlogsource: {{{source}}}\nfilter:\n  rules: {targets}\n  selection: {{user: svc}}\n  condition: not selection\n"
        ));
        let fired = |event: &Value| -> Vec<String> {
            let found = set.evaluate(&record(event)).into_iter();
            found.filter_map(|found| set.rules[found.rule].meta.name.clone()).collect()
        };
        let of = format!("{source} {targets}");
        assert_eq!(fired(&json!({"x": 1, "user": "svc"})), left, "{of}");
        // Nearly what is left out.
        assert_eq!(fired(&json!({"x": 1, "user": "svc2"})), ["one", "two", "three"], "{of}");
        assert_eq!(fired(&json!({"x": 1})), ["one", "two", "three"], "{of}");
    }
}
