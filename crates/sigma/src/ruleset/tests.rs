#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::event::Record;
use serde_json::{Value, json};

mod language;
mod modifiers;
mod routing;

/// A rule with this `detection`, one level in.
fn rule(detection: &str) -> String {
    let detection: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: t\nid: r1\nlogsource: {{category: test}}\ndetection:\n{detection}")
}

fn load(text: &str) -> RuleSet {
    let mut options = Options::default();
    options.placeholders.insert("Admins".to_owned(), vec!["root".to_owned(), "adm*".to_owned()]);
    RuleSet::load([("r.yml", text)], &options)
}

fn fires_on(set: &RuleSet, event: &Value) -> bool {
    let record = Record::json(LogSource::new(None, Some("test"), None), event);
    !set.evaluate(&record).is_empty()
}

/// The detection fires on each of the first events, and on none of the others.
fn check(detection: &str, firing: &[Value], quiet: &[Value]) {
    let set = load(&rule(detection));
    if let Some(refused) = set.refused.first() {
        panic!("{detection}: {}", refused.problems[0]);
    }
    for event in firing {
        assert!(fires_on(&set, event), "should fire: {detection}\n{event}");
    }
    for event in quiet {
        assert!(!fires_on(&set, event), "should stay quiet: {detection}\n{event}");
    }
}

/// One field of a selection.
fn check_field(line: &str, firing: &[Value], quiet: &[Value]) {
    check(&format!("s:\n  {line}\ncondition: s"), firing, quiet);
}

/// Why a detection is refused.
fn refused(detection: &str) -> Diagnostic {
    let set = load(&rule(detection));
    assert!(set.rules.is_empty(), "should be refused: {detection}");
    set.refused[0].problems[0].clone()
}

fn refused_field(line: &str) -> Diagnostic {
    refused(&format!("s:\n  {line}\ncondition: s"))
}

fn a(value: &str) -> Value {
    json!({ "a": value })
}

#[test]
fn a_match_tells_fields_and_values() {
    let set = load(&rule(
        "s:\n  Image|endswith: '\\cmd.exe'\n  CommandLine|contains: [x, whoami]\nf:\n  User: SYSTEM\ncondition: s and not f",
    ));
    let event = json!({"Image": "C:\\CMD.exe", "CommandLine": "cmd /c whoami", "User": "Ann"});
    let record = Record::json(LogSource::new(None, Some("test"), None), &event);
    let found = set.evaluate(&record);
    let told: Vec<(&str, &str)> =
        found[0].matched.iter().map(|m| (m.field.as_str(), m.value.as_str())).collect();
    assert_eq!(told, [("Image", "C:\\CMD.exe"), ("CommandLine", "cmd /c whoami")]);
    assert_eq!(set.rules[found[0].rule].meta.id.as_deref(), Some("r1"));
}

#[test]
fn metadata_is_kept() {
    let text = "
title: A rule
id: 929a690e-bef0-4204-a928-ef5e620d6fcc
name: a_rule
status: stable
level: high
description: d
license: MIT
author: Ann, Ben
references: [https://example.org/]
date: 2026-01-02
modified: 2026-02-03
related: [{id: x, type: derived}]
tags: [attack.t1059.001]
falsepositives: Admins
fields: [User]
scope: [server]
regression_tests_path: x
logsource: {category: test}
detection: {s: {a: b}, condition: s}
";
    let set = load(text);
    let meta = &set.rules[0].meta;
    assert_eq!(meta.author.as_deref(), Some("Ann, Ben"));
    assert_eq!((meta.level.unwrap().word(), meta.status.unwrap().word()), ("high", "stable"));
    assert_eq!(
        (meta.date.as_deref(), meta.modified.as_deref()),
        (Some("2026-01-02"), Some("2026-02-03"))
    );
    assert_eq!(meta.falsepositives, ["Admins"]);
    assert_eq!((meta.tags[0].as_str(), meta.related[0].id.as_str()), ("attack.t1059.001", "x"));
    assert_eq!(meta.custom, ["regression_tests_path"]);
    assert_eq!(meta.place, "r.yml:2:1");
    assert_eq!(set.notices, []);
}

#[test]
fn two_rules_of_one_id_are_not_both_loaded() {
    let text =
        format!("{}\n---\n{}", rule("s: {a: b}\ncondition: s"), rule("s: {a: c}\ncondition: s"));
    let set = load(&text);
    assert_eq!((set.rules.len(), set.refused.len()), (1, 1));
    assert_eq!(set.refused[0].problems[0].code, "duplicate-id");
}

fn with_filter(filter: &str) -> RuleSet {
    load(&format!("{}\n---\ntitle: f\n{filter}", rule("s: {a: b}\ncondition: s")))
}

#[test]
fn a_filter_adds_its_condition_to_the_rules_it_names() {
    let set = with_filter(
        "logsource: {category: test}\nfilter:\n  rules: [r1]\n  s: {User|startswith: adm_}\n  condition: not s\n",
    );
    assert_eq!(set.notices, []);
    assert!(fires_on(&set, &json!({"a": "b", "User": "ann"})));
    assert!(!fires_on(&set, &json!({"a": "b", "User": "ADM_ann"})));
}

#[test]
fn a_filter_leaves_other_rules_and_sources_alone() {
    for filter in [
        "logsource: {category: test}\nfilter:\n  rules: [r2]\n  s: {User: x}\n  condition: not s\n",
        "logsource: {category: test, product: p}\nfilter:\n  rules: any\n  s: {User: x}\n  condition: not s\n",
    ] {
        assert!(fires_on(&with_filter(filter), &json!({"a": "b", "User": "x"})), "{filter}");
    }
    let unknown = with_filter(
        "logsource: {category: test}\nfilter:\n  rules: [r2]\n  s: {User: x}\n  condition: not s\n",
    );
    assert_eq!(unknown.notices[0].code, "unknown-rule");
}

#[test]
fn a_filter_that_only_keeps_is_told() {
    let set = with_filter(
        "logsource: {category: test}\nfilter:\n  rules: any\n  s: {User: x}\n  condition: s\n",
    );
    assert_eq!(set.notices[0].code, "filter-keeps");
    assert!(fires_on(&set, &json!({"a": "b", "User": "x"})));
    assert!(!fires_on(&set, &json!({"a": "b", "User": "y"})));
}
