//! A policy that cannot be read says where, why and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use respond::PolicySet;
use serde_json::Value;

const GOOD: &str = "policies:
  - policy: stop-theft
    version: 1
    title: { ko: 가, en: a, ja: あ }
    when: { rules: [credential-theft], min_confidence: 80, outcome: known }
    then:
      - { rung: block, target: credential, ttl: 4h }
      - { rung: limit, target: credential, ttl: 1h, rate_per_minute: 5 }
";

/// The first diagnostic after replacing `from` by `to` in a good file, in one line.
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let diagnostics = PolicySet::parse("p.yaml", &GOOD.replace(from, to)).unwrap_err();
    let d = &diagnostics[0];
    let told =
        format!("{} {} {} | {}", d.code, d.place, d.message, d.hint.clone().unwrap_or_default());
    assert_eq!(told, expected);
}

#[test]
fn errors_name_code_place_and_hint() {
    assert!(PolicySet::parse("p.yaml", GOOD).is_ok());
    check(
        "min_confidence",
        "min_confidense",
        "unknown-field p.yaml:5:40 unknown field `min_confidense` | did you mean `min_confidence`?",
    );
    check(
        "rung: block",
        "rung: blok",
        "unknown-value p.yaml:7:17 `blok` is not known here | did you mean `block`?",
    );
    check("    version: 1\n", "", "missing-field p.yaml:5:5 `version` is missing | add `version:`");
    check(
        "4h",
        "4 hours",
        "bad-duration p.yaml:7:49 `ttl`: `4 hours` is not a length of time | write a whole number and a unit: `90s`, `30m`, `4h`, `7d`",
    );
    check(
        "4h",
        "31d",
        "duration-out-of-range p.yaml:7:49 `ttl: 31d` is outside its limits | use 1m to 30d",
    );
    check(
        ", rate_per_minute: 5",
        "",
        "missing-rate p.yaml:8:17 `limit` has no `rate_per_minute` | say how many requests a minute may pass",
    );
    check(
        "ttl: 4h",
        "ttl: 4h, approval: never",
        "never-is-too-far p.yaml:7:63 `block` cuts people off and cannot say `approval: never` | use `above-blast`, and raise the `blast` limits if they are too tight",
    );
    check(
        "rung: block, target: credential",
        "rung: revoke, target: address",
        "rung-does-not-fit p.yaml:7:33 `revoke` has no meaning for `address` | `revoke` is for credential, session and account, `rotate` for credential; use `block` or `isolate`",
    );
    check(
        "min_confidence: 80",
        "min_confidence: 101",
        "bad-confidence p.yaml:5:56 `min_confidence: 101` is above 100 | confidence goes from 0 (a guess) to 100 (certain)",
    );
    check(
        "policies:",
        "protected: { addresses: [10.0.0.0/33] }\npolicies:",
        "not-an-address p.yaml:1:26 `10.0.0.0/33` is neither an address nor a network | write an address, `10.0.0.0/8` or `2001:db8::/32`",
    );
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text =
        GOOD.replace("4h", "forever").replace("1h", "never").replace("version: 1", "version: 0");
    let codes: Vec<String> =
        PolicySet::parse("p.yaml", &text).unwrap_err().into_iter().map(|d| d.code).collect();
    assert_eq!(codes, ["bad-version", "bad-duration", "bad-duration"]);
}

#[test]
fn an_id_is_there_once() {
    let set = PolicySet::parse("p.yaml", GOOD).unwrap();
    assert_eq!(set.clone().join(set).unwrap_err().code, "duplicate-policy");
}

/// The JSON Schema editors use must name the fields the parser knows, no more and no fewer.
#[test]
fn the_json_schema_knows_the_same_fields_as_the_parser() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs/respond/policy.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let keys = |pointer: &str| -> Vec<String> {
        let mut names: Vec<String> =
            schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    let known = |from: &str, to: &str| -> Vec<String> {
        let hint = PolicySet::parse("p.yaml", &GOOD.replacen(from, to, 1)).unwrap_err()[0]
            .hint
            .clone()
            .unwrap();
        let mut names: Vec<String> = hint
            .trim_start_matches("use one of ")
            .split(", ")
            .map(|n| n.trim_matches('`').to_owned())
            .collect();
        names.sort();
        names
    };
    let odd = "zzzzzzzzzzzz: 1";
    assert_eq!(keys("/properties"), known("policies:", &format!("{odd}\npolicies:")));
    assert_eq!(
        keys("/$defs/protected/properties"),
        known("policies:", &format!("protected: {{ {odd} }}\npolicies:"))
    );
    assert_eq!(keys("/$defs/policy/properties"), known("    version: 1", &format!("    {odd}")));
    assert_eq!(keys("/$defs/when/properties"), known("rules: [credential-theft]", odd));
    assert_eq!(keys("/$defs/step/properties"), known("rung: block", odd));
    assert_eq!(
        keys("/$defs/blast/properties"),
        known("    version: 1", &format!("    blast: {{ {odd} }}"))
    );
    let values = |pointer: &str| schema.pointer(pointer).unwrap().as_array().unwrap().len();
    assert_eq!(values("/$defs/step/properties/rung/enum"), schema::Rung::ALL.len());
    assert_eq!(values("/$defs/entity_kind/enum"), schema::EntityKind::ALL.len());
}
