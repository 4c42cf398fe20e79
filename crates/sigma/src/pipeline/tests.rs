#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn problem(text: &str) -> Diagnostic {
    Pipeline::parse("p.yml", text).unwrap_err().remove(0)
}

const WINDOWS: &str = "
name: test
priority: 10
vars: {admins: [root, 'adm*']}
transformations:
  - id: one
    type: add_condition
    conditions: {Channel: Sysmon, EventID: 1}
    rule_conditions:
      - {type: logsource, product: windows, category: process_creation}
  - type: field_name_mapping
    mapping: {Image: [exe, path], CommandLine: cmd}
  - type: field_name_prefix
    prefix: data.
    field_name_conditions:
      - {type: exclude_fields, fields: [Channel, EventID]}
";

#[test]
fn a_rule_it_knows_gets_fields_and_names() {
    let pipeline = Pipeline::parse("p.yml", WINDOWS).unwrap();
    let rule = LogSource::new(Some("windows"), Some("process_creation"), None);
    let applied = pipeline.apply(&rule).unwrap().unwrap();
    assert_eq!(applied.logsource, LogSource::new(Some("windows"), None, None));
    assert_eq!(applied.fields("Image"), ["data.exe", "data.path"]);
    assert_eq!(applied.fields("Other"), ["data.Other"]);
    assert_eq!(applied.added_fields(0, "Channel"), ["Channel"]);
    assert_eq!(applied.added().count(), 1);
}

#[test]
fn a_rule_it_does_not_know_is_left_alone() {
    let pipeline = Pipeline::parse("p.yml", WINDOWS).unwrap();
    for other in [
        LogSource::new(Some("linux"), Some("process_creation"), None),
        LogSource::new(Some("windows"), Some("file_event"), None),
        LogSource::new(None, Some("process_creation"), None),
    ] {
        assert!(pipeline.apply(&other).unwrap().is_none(), "{other}");
    }
}

#[test]
fn a_service_beside_the_category_is_still_asked_for() {
    let pipeline = Pipeline::parse("p.yml", WINDOWS).unwrap();
    let rule = LogSource::new(Some("windows"), Some("process_creation"), Some("edr"));
    let applied = pipeline.apply(&rule).unwrap().unwrap();
    assert_eq!(applied.logsource, LogSource::new(Some("windows"), None, Some("edr")));
}

#[test]
fn what_is_not_supported_is_an_error_with_a_place() {
    let with = |step: &str| format!("name: a\ntransformations:\n  - {step}\n");
    let told = problem(&with("{type: replace_string}"));
    assert_eq!(
        (told.code.as_str(), told.place.as_str()),
        ("unsupported-transformation", "p.yml:3:5")
    );
    let told = problem(&with("{type: field_name_maping, mapping: {a: b}}"));
    assert_eq!(told.hint.as_deref(), Some("did you mean `field_name_mapping`?"));
    let told = problem(&with(
        "{type: value_placeholders, rule_conditions: [{type: contains_detection_item}]}",
    ));
    assert_eq!(told.code, "unsupported-condition");
    assert_eq!(problem(&with("{type: value_placeholders, include: [a]}")).code, "unknown-field");
    assert_eq!(
        problem(&with("{type: value_placeholders, rule_cond_op: xor}")).code,
        "unknown-value"
    );
    assert_eq!(problem("transformations: []\n").code, "missing-field");
    assert_eq!(problem("name: a\n---\nname: b\n").code, "wrong-document");
}

#[test]
fn conditions_may_be_joined_by_or_and_turned_around() {
    let with = |more: &str| {
        let text = format!(
            "name: a\ntransformations:\n  - type: field_name_suffix\n    suffix: .x\n    rule_conditions:\n      - {{type: logsource, product: one}}\n      - {{type: logsource, product: two}}\n{more}"
        );
        let pipeline = Pipeline::parse("p.yml", &text).unwrap();
        ["one", "two", "three"].map(|product| {
            pipeline.apply(&LogSource::new(Some(product), None, None)).unwrap().is_some()
        })
    };
    assert_eq!(with(""), [false, false, false]);
    assert_eq!(with("    rule_cond_op: or\n"), [true, true, false]);
    assert_eq!(with("    rule_cond_op: or\n    rule_cond_not: true\n"), [false, false, true]);
}

#[test]
fn a_pipeline_may_refuse_a_rule() {
    let text = "name: a\ntransformations:\n  - type: rule_failure\n    message: not here\n    rule_conditions: [{type: logsource, product: one}]\n";
    let pipeline = Pipeline::parse("p.yml", text).unwrap();
    assert_eq!(pipeline.apply(&LogSource::new(Some("one"), None, None)).unwrap_err(), "not here");
    assert!(pipeline.apply(&LogSource::new(Some("two"), None, None)).unwrap().is_none());
}
