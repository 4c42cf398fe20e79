#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::compile::Options;
use crate::event::Record;
use crate::rule::LogSource;
use serde_json::{Value, json};

mod hostile;
mod order;

const RULES: &str = "
title: failed
id: f
name: failed
logsource: {category: test}
detection: {s: {what: failed}, condition: s}
---
title: worked
id: w
name: worked
logsource: {category: test}
detection: {s: {what: worked}, condition: s}
---
title: third
id: t
name: third
logsource: {category: test}
detection: {s: {what: third}, condition: s}
";

fn load(correlation: &str) -> RuleSet {
    let text = format!("{RULES}\n---\ntitle: c\nid: c\nname: c\ncorrelation:\n{correlation}");
    RuleSet::load([("c.yml", text.as_str())], &Options::default())
}

fn sound(correlation: &str) -> RuleSet {
    let set = load(correlation);
    if let Some(refused) = set.refused.first() {
        panic!("{correlation}: {}", refused.problems[0]);
    }
    set
}

/// One event: second, what happened, and other fields.
type Happened = (i64, &'static str, Value);

fn feed(
    set: &RuleSet,
    correlator: &Correlator,
    state: &mut State,
    (index, (second, what, fields)): (usize, &Happened),
) -> Vec<Finding> {
    let mut event = fields.clone();
    event["what"] = json!(what);
    let record = Record::json(LogSource::new(None, Some("test"), None), &event);
    let mut findings = Vec::new();
    for found in set.evaluate(&record) {
        let id = format!("e{index:04}");
        let hit = correlator.hit(found.rule, second * 1000, &id, &record);
        findings.extend(hit.into_iter().flat_map(|hit| correlator.observe(state, hit)));
    }
    findings
}

fn run(set: &RuleSet, happened: &[Happened]) -> Vec<Finding> {
    let correlator = Correlator::new(set, 0);
    let mut state = State::default();
    let mut findings: Vec<Finding> = happened
        .iter()
        .enumerate()
        .flat_map(|event| feed(set, &correlator, &mut state, event))
        .collect();
    findings.extend(correlator.finish(&mut state));
    assert_eq!(state.waiting, 0);
    findings
}

fn at(second: i64, what: &'static str, user: &str) -> Happened {
    (second, what, json!({ "user": user }))
}

fn seconds(findings: &[Finding]) -> Vec<i64> {
    findings.iter().map(|finding| finding.time_ms / 1000).collect()
}

/// The correlation fires at these seconds.
fn check(correlation: &str, happened: &[Happened], expected: &[i64]) {
    let findings = run(&sound(correlation), happened);
    assert_eq!(seconds(&findings), expected, "{correlation}\n{findings:?}");
}

#[test]
fn event_count() {
    let three = "  type: event_count\n  rules: [failed]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 3}\n";
    let f = |second, user| at(second, "failed", user);
    check(three, &[f(0, "ann"), f(30, "ann"), f(60, "ann")], &[60]);
    // One second too late; another user; another rule.
    check(three, &[f(0, "ann"), f(30, "ann"), f(61, "ann")], &[]);
    check(three, &[f(0, "ann"), f(1, "ben"), f(2, "ann")], &[]);
    check(three, &[f(0, "ann"), at(1, "worked", "ann"), f(2, "ann")], &[]);
    // Told once, then counted anew.
    check(three, &(0..7).map(|s| f(s, "ann")).collect::<Vec<_>>(), &[2, 5]);
    let found = run(&sound(three), &[f(0, "ann"), f(1, "ann"), f(2, "ann")]).remove(0);
    assert_eq!(found.group, [("user".to_owned(), "ann".to_owned())]);
    assert_eq!(
        (found.figure, found.began_ms, found.events),
        (3.0, 0, vec!["e0000".into(), "e0001".into(), "e0002".into()])
    );
}

#[test]
fn a_count_from_above_is_judged_when_its_time_is_over() {
    let few =
        "  type: event_count\n  rules: [failed]\n  timespan: 10s\n  condition: {gte: 2, lt: 4}\n";
    let f = |second| at(second, "failed", "ann");
    check(few, &[f(0), f(1)], &[10]);
    check(few, &[f(0)], &[]);
    check(few, &[f(0), f(1), f(2), f(3)], &[]);
    check(few, &[f(0), f(9), f(10), f(11)], &[10, 20]);
}

#[test]
fn value_count() {
    let users = "  type: value_count\n  rules: [failed]\n  group-by: [host]\n  timespan: 1m\n  condition: {field: user, gt: 2}\n";
    let f = |second, user: &str| (second, "failed", json!({"host": "h", "user": user}));
    check(users, &[f(0, "a"), f(1, "b"), f(2, "c")], &[2]);
    check(users, &[f(0, "a"), f(1, "b"), f(2, "a"), f(3, "b")], &[]);
    check(users, &[f(0, "a"), f(1, "b"), f(61, "c")], &[]);
    // Seen again, it is not old.
    check(users, &[f(0, "a"), f(1, "b"), f(59, "a"), f(60, "c")], &[60]);
    let pairs = "  type: value_count\n  rules: [failed]\n  group-by: [host]\n  timespan: 1m\n  condition: {field: [user, from], gte: 2}\n";
    let g = |second, user: &str, from: &str| {
        (second, "failed", json!({"host": "h", "user": user, "from": from}))
    };
    check(pairs, &[g(0, "a", "bc"), g(1, "ab", "c")], &[1]);
    check(pairs, &[g(0, "a", "b"), g(1, "a", "b")], &[]);
}

#[test]
fn temporal() {
    let both = "  type: temporal\n  rules: [failed, worked]\n  group-by: [user]\n  timespan: 1m\n";
    let happened = |one, two| [at(0, one, "ann"), at(60, two, "ann")];
    check(both, &happened("failed", "worked"), &[60]);
    check(both, &happened("worked", "failed"), &[60]);
    check(both, &happened("failed", "failed"), &[]);
    check(both, &[at(0, "failed", "ann"), at(61, "worked", "ann")], &[]);
    check(both, &[at(0, "failed", "ann"), at(1, "worked", "ben")], &[]);
    let two_of = "  type: temporal\n  rules: [failed, worked, third]\n  timespan: 1m\n  condition: {gte: 2}\n";
    check(two_of, &happened("third", "failed"), &[60]);
    check(two_of, &happened("third", "third"), &[]);
    let words = "  type: temporal\n  rules: [failed, worked, third]\n  timespan: 1m\n  condition: failed and (worked or third)\n";
    check(words, &happened("failed", "third"), &[60]);
    check(words, &happened("worked", "third"), &[]);
    let without = "  type: temporal\n  rules: [failed, worked]\n  timespan: 1m\n  condition: failed and not worked\n";
    check(without, &[at(0, "failed", "ann")], &[60]);
    check(without, &[at(0, "failed", "ann"), at(59, "worked", "ann")], &[]);
}

#[test]
fn temporal_ordered() {
    let order = "  type: temporal_ordered\n  rules: [failed, worked, third]\n  timespan: 1m\n";
    let e = |second, what| at(second, what, "ann");
    check(order, &[e(0, "failed"), e(1, "worked"), e(60, "third")], &[60]);
    check(order, &[e(0, "failed"), e(1, "third"), e(2, "worked")], &[]);
    check(order, &[e(0, "failed"), e(1, "worked"), e(61, "third")], &[]);
    // A later beginning counts.
    check(order, &[e(0, "failed"), e(5, "failed"), e(6, "worked"), e(61, "third")], &[61]);
    check(order, &[e(0, "worked"), e(1, "failed"), e(2, "worked"), e(3, "third")], &[3]);
}

#[test]
fn value_sum_avg_percentile() {
    let with = |kind: &str, condition: &str| {
        format!(
            "  type: {kind}\n  rules: [failed]\n  timespan: 10s\n  condition: {{field: n, {condition}}}\n"
        )
    };
    let n = |second, n: Value| (second, "failed", json!({ "n": n }));
    let sum = with("value_sum", "gt: 100");
    check(&sum, &[n(0, json!(60)), n(10, json!("40.5"))], &[10]);
    check(&sum, &[n(0, json!(60)), n(10, json!(40))], &[]);
    check(&sum, &[n(0, json!(60)), n(11, json!(60))], &[]);
    let avg = with("value_avg", "gte: 5");
    check(&avg, &[n(0, json!(1)), n(1, json!(9))], &[10]);
    check(&avg, &[n(0, json!(9)), n(1, json!(0))], &[]);
    let p90 = with("value_percentile", "percentile: 90, gte: 9");
    check(&p90, &(1..=10).map(|i| n(0, json!(i))).collect::<Vec<_>>(), &[10]);
    check(&p90, &(0..=9).map(|i| n(0, json!(i))).collect::<Vec<_>>(), &[]);
    check(
        &with("value_percentile", "lt: 3"),
        &[n(0, json!(1)), n(1, json!(2)), n(2, json!(9))],
        &[10],
    );
    check(&avg, &[n(0, json!("no number"))], &[]);
}

#[test]
fn aliases_bring_different_fields_together() {
    let alias = "  type: temporal\n  rules: [failed, worked]\n  group-by: [ip]\n  timespan: 1m\n  aliases:\n    ip: {failed: src, worked: dst}\n";
    let e = |second, what, field: &str, ip: &str| (second, what, json!({ field: ip }));
    check(alias, &[e(0, "failed", "src", "x"), e(1, "worked", "dst", "x")], &[1]);
    check(alias, &[e(0, "failed", "src", "x"), e(1, "worked", "src", "x")], &[]);
    check(alias, &[e(0, "failed", "src", "x"), e(1, "worked", "dst", "y")], &[]);
}

#[test]
fn correlations_stand_on_each_other() {
    let chain = "  type: event_count\n  rules: [failed]\n  group-by: [user, host]\n  timespan: 1m\n  condition: {gte: 2}\n---\ntitle: d\nid: d\ncorrelation:\n  type: temporal_ordered\n  rules: [c, worked]\n  group-by: [user]\n  timespan: 1m\n";
    let e = |second, what, host: &str| (second, what, json!({"user": "ann", "host": host}));
    let told = |happened: &[Happened]| {
        run(&sound(chain), happened).into_iter().map(|f| f.correlation).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&[e(0, "failed", "h"), e(1, "failed", "h"), e(2, "worked", "other")]),
        ["c", "d"]
    );
    assert_eq!(told(&[e(0, "failed", "h"), e(2, "worked", "h"), e(3, "failed", "h")]), ["c"]);
    assert_eq!(
        told(&[e(0, "failed", "h"), e(1, "failed", "i"), e(2, "worked", "h")]),
        [] as [&str; 0]
    );
}

#[test]
fn generate_decides_whether_rules_are_told_by_themselves() {
    let count = "  type: event_count\n  rules: [failed]\n  timespan: 1m\n  condition: {gte: 3}\n";
    let alone = |correlation: &str| {
        sound(correlation).rules.iter().map(|rule| rule.standalone).collect::<Vec<_>>()
    };
    assert_eq!(alone(count), [false, true, true]);
    assert_eq!(alone(&format!("{count}generate: true\n")), [true, true, true]);
}

#[test]
fn mistakes_are_told() {
    let code = |correlation: &str| load(correlation).refused[0].problems[0].code.clone();
    let count =
        |rest: &str| format!("  type: event_count\n  rules: [failed]\n  timespan: 1m\n{rest}");
    assert_eq!(code("  type: event_cuont\n"), "unknown-value");
    assert_eq!(code("  rules: [failed]\n"), "missing-field");
    assert_eq!(code(&count("")), "missing-field");
    assert_eq!(code(&count("  condition: {}\n")), "bad-correlation");
    assert_eq!(code(&count("  condition: {gte: 1, field: x}\n")), "bad-correlation");
    assert_eq!(code(&count("  condition: {gte: 100000}\n")), "bad-correlation");
    assert_eq!(code(&count("  condition: {atleast: 1}\n")), "unknown-field");
    assert_eq!(code(&count("  condition: {gte: 1}\n  groupby: [x]\n")), "unknown-field");
    assert_eq!(
        code("  type: event_count\n  rules: [nobody]\n  timespan: 1m\n  condition: {gte: 1}\n"),
        "unknown-rule"
    );
    assert_eq!(
        code("  type: event_count\n  rules: [failed]\n  timespan: 1y\n  condition: {gte: 1}\n"),
        "bad-timespan"
    );
    assert_eq!(
        code("  type: value_count\n  rules: [failed]\n  timespan: 1m\n  condition: {gte: 1}\n"),
        "missing-field"
    );
    assert_eq!(
        code("  type: temporal\n  rules: [c, failed]\n  timespan: 1m\n"),
        "correlation-loop"
    );
    assert_eq!(
        code("  type: temporal\n  rules: [failed]\n  timespan: 1m\n  condition: faild\n"),
        "unknown-identifier"
    );
    assert_eq!(
        code(
            "  type: temporal_ordered\n  rules: [failed, worked]\n  timespan: 1m\n  condition: {gte: 1}\n"
        ),
        "bad-correlation"
    );
    assert_eq!(
        code("  type: temporal\n  rules: [failed]\n  timespan: 1m\n  aliases: {a: {worked: x}}\n"),
        "bad-correlation"
    );
}

#[test]
fn what_comes_too_late_or_without_its_group_is_counted() {
    let set = sound(
        "  type: event_count\n  rules: [failed]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 2}\n",
    );
    let correlator = Correlator::new(&set, 5_000);
    let mut state = State::default();
    let happened = [
        at(100, "failed", "ann"),
        at(94, "failed", "ann"),
        at(95, "failed", "ann"),
        (101, "failed", json!({})),
    ];
    for event in happened.iter().enumerate() {
        assert_eq!(feed(&set, &correlator, &mut state, event), []);
    }
    assert_eq!(seconds(&correlator.advance_to(&mut state, 200_000)), [100]);
    assert_eq!(state.told, Told { late: 1, ungrouped: 1, ..Told::default() });
    assert_eq!(state.groups(), 0);
}

#[test]
fn the_same_event_delivered_twice_counts_once() {
    let set =
        sound("  type: event_count\n  rules: [failed]\n  timespan: 1m\n  condition: {gte: 2}\n");
    let correlator = Correlator::new(&set, 5_000);
    let mut state = State::default();
    let one = at(1, "failed", "ann");
    for _ in 0..3 {
        assert_eq!(feed(&set, &correlator, &mut state, (0, &one)), []);
    }
    assert_eq!(correlator.finish(&mut state), []);
}
