#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::*;
use crate::compile::Options;
use crate::event::{Reader, Record};
use proptest::prelude::*;
use serde_json::{Value, json};

fn engine(rules: &[&str]) -> Arc<Engine> {
    let names: Vec<String> = (0..rules.len()).map(|number| format!("{number}.yml")).collect();
    let files = names.iter().map(String::as_str).zip(rules.iter().copied());
    Arc::new(Engine::new(Arc::new(RuleSet::load(files, &Options::shipped()))))
}

/// All ways agree: rule by rule and through the index, on either kind of JSON.
fn agree(runner: &mut Runner, event: &Value) -> usize {
    let set = Arc::clone(runner.engine().set());
    let mut text = serde_json::to_vec(event).unwrap();
    let mut reader = Reader::default();
    let doc = reader.read(&mut text).unwrap();
    let mut found = 0;
    for product in ["windows", "linux"] {
        let (one, two) =
            (Record::event_log(product, event), Record::event_log(product, doc.root()));
        let plain = set.evaluate(&one);
        assert_eq!(runner.evaluate(&one), plain, "{event}");
        let rules = |found: &[Match]| found.iter().map(|m| m.rule).collect::<Vec<_>>();
        assert_eq!(rules(&set.evaluate(&two)), rules(&plain), "as a tape: {event}");
        assert_eq!(rules(&runner.evaluate(&two)), rules(&plain), "as a tape: {event}");
        found += plain.len();
    }
    found
}

const PROCESS: &str = r"
title: shell
logsource: {product: windows, category: process_creation}
detection:
  selection:
    Image|endswith: '\cmd.exe'
    CommandLine|contains: ['whoami', 'net user']
  filter: {ParentImage|endswith: '\setup.exe'}
  condition: selection and not filter
";

#[test]
fn a_rule_is_tried_only_where_a_witness_is() {
    let engine = engine(&[PROCESS]);
    let mut runner = engine.runner();
    let event = |channel: &str, id: u32, line: &str| json!({"Channel": channel, "EventID": id, "Image": r"C:\Windows\cmd.exe", "CommandLine": line});
    let sysmon = "Microsoft-Windows-Sysmon/Operational";
    let check = |runner: &mut Runner, event: Value, fires: usize, tried: u64| {
        let before = runner.stats().tried;
        assert_eq!(runner.evaluate(&Record::event_log("windows", &event)).len(), fires, "{event}");
        assert_eq!(runner.stats().tried - before, tried, "{event}");
    };
    check(&mut runner, event(sysmon, 1, "cmd /c WHOAMI"), 1, 1);
    check(&mut runner, event(sysmon, 1, "cmd /c dir"), 0, 0);
    // Of another kind: not even looked at.
    check(&mut runner, event(sysmon, 13, "cmd /c whoami"), 0, 0);
    check(&mut runner, event("Security", 1, "cmd /c whoami"), 0, 0);
    check(&mut runner, json!({"CommandLine": "whoami"}), 0, 0);
}

#[test]
fn what_was_known_of_one_event_is_not_believed_of_the_next() {
    let engine = engine(&[PROCESS]);
    let mut runner = engine.runner();
    let event = |line: &str, parent: &str| {
        json!({"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": "1",
               "Image": r"C:\Windows\cmd.exe", "CommandLine": line, "ParentImage": parent})
    };
    for _ in 0..2 {
        assert_eq!(agree(&mut runner, &event("whoami", r"C:\a.exe")), 1);
        assert_eq!(agree(&mut runner, &event("whoami", r"C:\SETUP.exe")), 0);
        assert_eq!(agree(&mut runner, &event("nothing", r"C:\a.exe")), 0);
    }
    // Rounds begin anew after the last number.
    runner.round = u32::MAX;
    assert_eq!(agree(&mut runner, &event("nothing", r"C:\a.exe")), 0);
    assert_eq!(agree(&mut runner, &event("whoami", r"C:\a.exe")), 1);
}

#[test]
fn a_witness_that_said_which_kind_it_is_leads_to_its_rules_all_the_same() {
    let kind = r"
title: any cleared log
logsource: {product: windows}
detection:
  selection: {EventID: 1102}
  condition: selection
";
    let witness = r"
title: one of two
logsource: {product: windows}
detection:
  one: {EventID: 1102, a: x}
  two: {EventID: 104, b: y}
  condition: 1 of *
";
    let mut runner = engine(&[kind, witness]).runner();
    // The first event of a kind is judged before it is looked up, the second is not.
    for _ in 0..2 {
        assert_eq!(agree(&mut runner, &json!({"EventID": 1102, "Channel": "c", "a": "x"})), 2);
        assert_eq!(agree(&mut runner, &json!({"EventID": 104, "Channel": "c", "b": "y"})), 1);
        assert_eq!(agree(&mut runner, &json!({"EventID": 104, "Channel": "c", "a": "x"})), 0);
    }
}

#[test]
fn kinds_that_an_attacker_makes_up_cost_no_memory() {
    let engine = engine(&[PROCESS]);
    let mut runner = engine.runner();
    for number in 0..ROUTES_MAX + 10 {
        let event = json!({"Channel": format!("c{number}"), "EventID": 1});
        runner.evaluate(&Record::event_log("windows", &event));
    }
    assert!(runner.routes.len() <= ROUTES_MAX);
    let known = runner.routes.len();
    let event = json!({"Channel": "c".repeat(ROUTE_BYTES_MAX + 1), "EventID": 1});
    runner.evaluate(&Record::event_log("windows", &event));
    assert_eq!(runner.routes.len(), known);
}

#[test]
fn many_members_are_found_as_few_are() {
    let engine = engine(&[PROCESS]);
    let mut runner = engine.runner();
    let mut event = json!({"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1,
                           "Image": r"\cmd.exe", "CommandLine": "whoami"});
    for number in 0..2_000 {
        event[format!("field{number}")] = json!(number);
    }
    assert_eq!(agree(&mut runner, &event), 1);
}

/// Words that are parts of each other, in either case, with what is special to patterns.
const WORDS: [&str; 14] = [
    "abc", "ABC", "abcd", "xabcx", "ab", "é", "É", "aé-b", "-a b", "/a b", "1", "10.0.0.1", "a\\b",
    "",
];

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn item() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(&["a", "b", "c", "EventID", "Channel", "d.e"][..]);
    let modifier = prop::sample::select(
        &[
            "",
            "|contains",
            "|startswith",
            "|endswith",
            "|contains|all",
            "|cased",
            "|contains|cased",
            "|re",
            "|re|i",
            "|windash|contains",
            "|exists",
            "|neq",
            "|gt",
            "|lte",
            "|fieldref",
            "|fieldref|endswith",
            "|base64offset|contains",
            "|cidr",
            "|endswith|neq",
        ][..],
    );
    (field, modifier, prop::collection::vec(value(), 1..3)).prop_map(|(field, modifier, values)| {
        let of = |value: &String| match modifier {
            "|exists" => json!(value.len() > 2),
            "|gt" | "|lte" => json!(value.len()),
            "|cidr" => json!("10.0.0.0/8"),
            "|fieldref" | "|fieldref|endswith" => json!("b"),
            "|re" | "|re|i" => json!(format!("{}|x(yz)+", regex::escape(value))),
            "" if value.len() == 1 => Value::Null,
            _ => json!(value),
        };
        let values: Vec<Value> = values.iter().map(of).collect();
        let single = matches!(modifier, "|exists" | "|fieldref" | "|fieldref|endswith");
        let value = if single { values[0].clone() } else { json!(values) };
        json!({format!("{field}{modifier}"): value})
    })
}

fn rule() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(
        &[
            "s0",
            "s0 and s1",
            "s0 or s1",
            "s0 and not s1",
            "not s0",
            "1 of s*",
            "all of s*",
            "(s0 or s1) and not s2",
            "s0 and not (s1 or s2)",
            "k",
            "k or s0",
            "s1 and not k",
        ][..],
    );
    let source = prop::sample::select(vec![
        json!({"product": "windows"}),
        json!({"product": "windows", "category": "process_creation"}),
        json!({"product": "linux"}),
        json!({"category": "none"}),
        json!({"product": "windows", "service": "security"}),
    ]);
    let keywords = prop::collection::vec(value(), 1..3);
    (prop::collection::vec(item(), 3), keywords, condition, source).prop_map(
        |(items, keywords, condition, source)| {
            json!({
                "title": "generated",
                "logsource": source,
                "detection": {
                    "s0": items[0], "s1": items[1], "s2": items[2], "k": keywords,
                    "condition": condition,
                },
            })
            .to_string()
        },
    )
}

fn event() -> impl Strategy<Value = Value> {
    let scalar = || {
        prop_oneof![
            6 => value().prop_map(|text| json!(text)),
            1 => Just(Value::Null),
            1 => (0..20i64).prop_map(|number| json!(number)),
            1 => Just(json!(true)),
            1 => prop::collection::vec(value(), 0..3).prop_map(|texts| json!(texts)),
        ]
    };
    let id = prop::sample::select(vec![json!(1), json!("1"), json!(4688), Value::Null]);
    let channel = prop::sample::select(
        &["Microsoft-Windows-Sysmon/Operational", "Security", "security", "abc"][..],
    );
    let fields = (scalar(), scalar(), scalar(), scalar());
    (fields, id, channel, 0..8u8).prop_map(|((a, b, c, d), id, channel, there)| {
        let mut event = json!({"EventID": id, "Channel": channel, "a": a, "d": {"e": d}});
        if there & 1 == 1 {
            event["b"] = b;
        }
        if there & 2 == 2 {
            event["c"] = c;
        }
        match there & 4 {
            4 => json!({"Event": {"System": {"EventID": event["EventID"], "Channel": channel},
                                  "EventData": event}}),
            _ => event,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_index_finds_what_trying_every_rule_finds(
        rules in prop::collection::vec(rule(), 1..12),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let mut runner = engine(&rules).runner();
        for event in &events {
            agree(&mut runner, event);
        }
    }
}
