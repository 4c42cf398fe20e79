use super::*;
use serde_json::json;
use sigma::{Level, Options};

const RULES: &str = "
title: Whoami
id: 11111111-1111-4111-8111-111111111111
status: test
level: medium
author: A. Nyone
tags: [attack.discovery, attack.t1033]
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\\whoami.exe'}
  condition: selection
---
title: Shell of a web server
status: test
level: high
logsource: {product: linux, service: auditd}
detection:
  selection: {exe: /bin/sh}
  condition: selection
---
title: Much asked
id: 22222222-2222-4222-8222-222222222222
level: high
correlation:
  type: event_count
  rules: [11111111-1111-4111-8111-111111111111]
  group-by: [Computer]
  timespan: 1m
  condition: {gte: 2}
  generate: true
";

fn hunt_with(rules: &str, choice: &Choice, span: Span, said: Option<LogSource>) -> Hunt {
    let files = vec![("rules.yml".to_owned(), rules.to_owned())];
    let files = RuleFiles { files, problems: Vec::new() };
    let hunt = Hunt::new(files, &Options::shipped(), choice.clone(), span, said);
    assert!(hunt.rules().refused.is_empty(), "{:?}", hunt.rules().refused);
    hunt
}

fn hunt(choice: &Choice, span: Span, said: Option<LogSource>) -> Hunt {
    hunt_with(RULES, choice, span, said)
}

fn whoami(second: u8) -> Value {
    json!({
        "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "ws1",
        "UtcTime": format!("2026-01-02 03:04:{second:02}.000"), "RecordNumber": 40 + second,
        "Image": "C:\\Windows\\System32\\whoami.exe",
    })
}

fn run(hunt: &mut Hunt, events: &[Value]) -> Vec<Hit> {
    let mut hits = Vec::new();
    let file: Arc<str> = Arc::from("x.jsonl");
    for (number, event) in (1..).zip(events) {
        let json = serde_json::to_vec(event).unwrap();
        hunt.take(&file, &Item { number, json: &json }, &mut hits).unwrap();
    }
    hits.extend(hunt.finish());
    hits
}

#[test]
fn a_hit_says_all_that_one_asks_of_it() {
    let mut hunt = hunt(&Choice::default(), Span::default(), None);
    let hits = run(&mut hunt, &[whoami(5)]);
    assert_eq!(
        serde_json::to_value(&hits).unwrap(),
        json!([{
            "time": "2026-01-02T03:04:05.000Z", "host": "ws1",
            "channel": "Microsoft-Windows-Sysmon/Operational", "event_id": "1", "record_id": "45",
            "rule": "Whoami", "rule_id": "11111111-1111-4111-8111-111111111111",
            "level": "medium", "status": "test", "author": "A. Nyone", "license": null,
            "tactics": ["discovery"], "techniques": ["T1033"],
            "tags": ["attack.discovery", "attack.t1033"], "pipeline": "windows",
            "matched": hits[0].matched, "file": "x.jsonl", "record": 1,
        }])
    );
    assert!(hits[0].matched.iter().any(|pair| pair.value.ends_with("whoami.exe")));
}

#[test]
fn correlations_are_told_whatever_the_order_of_files() {
    let check = |seconds: &[u8], wanted: usize| {
        let mut hunt = hunt(&Choice::default(), Span::default(), None);
        let events: Vec<Value> = seconds.iter().map(|second| whoami(*second)).collect();
        let hits = run(&mut hunt, &events);
        assert_eq!(hits.len(), seconds.len() + wanted, "{seconds:?}");
        if let Some(hit) = hits.last().filter(|_| wanted > 0) {
            assert_eq!((hit.rule.rule.as_str(), hit.host.as_deref()), ("Much asked", Some("ws1")));
            assert_eq!(hit.correlation.as_ref().unwrap().count, 2);
        }
    };
    check(&[5], 0);
    check(&[5, 6], 1);
    check(&[50, 5], 1);
}

#[test]
fn a_correlation_wants_rules_that_are_not_told() {
    let choice = Choice { level_min: Some(Level::High), ..Choice::default() };
    let mut hunt = hunt(&choice, Span::default(), None);
    assert_eq!(hunt.chosen(), 2);
    let hits = run(&mut hunt, &[whoami(5), whoami(6)]);
    assert_eq!(hits.iter().map(|hit| hit.rule.rule.as_str()).collect::<Vec<_>>(), ["Much asked"]);
}

#[test]
fn what_is_left_out_is_counted() {
    let from = schema::parse_time("2026-01-02T03:04:06Z");
    let mut hunt = hunt(&Choice::default(), Span { from, to: None }, None);
    let timeless = json!({"EventID": 1, "Channel": "Security"});
    assert_eq!(run(&mut hunt, &[whoami(5), whoami(6), timeless]).len(), 1);
    assert_eq!((hunt.counts().records, hunt.counts().outside, hunt.counts().untimed), (3, 1, 1));
}

#[test]
fn what_records_are_is_said_or_unknown() {
    let audit = json!({"exe": "/bin/sh", "time": 1_700_000_000});
    let mut unknown = hunt(&Choice::default(), Span::default(), None);
    assert!(run(&mut unknown, std::slice::from_ref(&audit)).is_empty());
    assert_eq!(unknown.counts().unknown_kind, 1);
    let said = LogSource::new(Some("linux"), None, Some("auditd"));
    let mut known = hunt(&Choice::default(), Span::default(), Some(said));
    // Records that say what they are keep to it.
    assert_eq!(run(&mut known, &[audit, whoami(1)]).len(), 2);
}

#[test]
fn records_in_a_record_and_what_is_none() {
    let mut hunt = hunt(&Choice::default(), Span::default(), None);
    assert_eq!(run(&mut hunt, &[json!({"Records": [whoami(1), whoami(40)]})]).len(), 3);
    let file: Arc<str> = Arc::from("x");
    let mut tell = |json: &[u8]| {
        hunt.take(&file, &Item { number: 9, json }, &mut Vec::new()).unwrap_err().to_string()
    };
    assert!(tell(b"{").starts_with("x:9: the record is not JSON"));
    assert!(tell(b"7").starts_with("x:9: the record is JSON but no object"));
}

#[test]
fn events_in_ocsf_are_seen_by_the_names_of_their_source() {
    let event = |image: &str, second: u8| {
        json!({
            "class_uid": 1007, "activity_id": 1, "type_uid": 100_701, "time": 1_767_323_040_000_i64 + i64::from(second) * 1000,
            "metadata": {
                "uid": format!("019b0000-0000-7000-8000-0000000000{second:02}"),
                "log_name": "edr",
            },
            "device": {"hostname": "web1", "os": {"type_id": 200}},
            "process": {"pid": 7, "file": {"path": image}, "cmd_line": image},
        })
    };
    let rules = RULES.replace("product: windows, category", "product: linux, category");
    let rules = rules.replace("'\\whoami.exe'", "/whoami");
    let mut hunt = hunt_with(&rules, &Choice::default(), Span::default(), None);
    let events =
        [event("/usr/bin/whoami", 1), event("/usr/bin/who", 2), event("/usr/bin/whoami", 3)];
    let hits = run(&mut hunt, &events);
    let told: Vec<_> = hits
        .iter()
        .map(|hit| {
            (hit.rule.rule.as_str(), hit.record, hit.host.as_deref(), hit.record_id.as_deref())
        })
        .collect();
    let id = |second: u8| format!("019b0000-0000-7000-8000-0000000000{second:02}");
    assert_eq!(
        told[..2],
        [
            ("Whoami", Some(1), Some("web1"), Some(id(1).as_str())),
            ("Whoami", Some(3), Some("web1"), Some(id(3).as_str())),
        ]
    );
    assert_eq!(hunt.counts().records, 3);
    let spree = hits.iter().find_map(|hit| hit.correlation.as_ref()).unwrap();
    assert_eq!(spree.events, [id(1), id(3)]);
}
