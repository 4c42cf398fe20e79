use super::*;
use serde_json::{Value, json};

fn seen(time: i64, client: &str, path: &str, set: Value) -> Event {
    let mut event = Event {
        time,
        src_ip: Some(client.to_owned()),
        path: Some(path.to_owned()),
        ..Event::default()
    };
    event.rest.insert("plura".to_owned(), json!({ "waf": [set] }));
    event
}

fn matched(rule: u64, variable: &str) -> Value {
    json!({ "rule": rule, "phase": 2, "message": "SQL", "tags": ["attack-sqli"], "severity": "critical", "variable": variable })
}

#[test]
fn an_operator_sees_what_would_have_been_blocked() {
    let sum = json!({ "rule": 949_110, "phase": 2, "tags": ["anomaly-evaluation"], "variable": "TX:score" });
    let shadow = |matches: Value| json!({ "rules": "crs", "stage": "shadow", "would_block": true, "matches": matches });
    let mut counting = Counting::default();
    counting.add(&seen(
        10,
        "192.0.2.1",
        "/search",
        shadow(json!([matched(942_100, "ARGS:q"), sum.clone()])),
    ));
    counting.add(&seen(
        30,
        "192.0.2.2",
        "/search",
        shadow(json!([matched(942_100, "ARGS:q"), matched(942_190, "ARGS:q"), sum])),
    ));
    counting.add(&seen(
        20,
        "192.0.2.1",
        "/cart",
        json!({ "rules": "crs", "stage": "shadow",
        "matches": [matched(942_100, "ARGS:id"), matched(942_100, "ARGS:q")] }),
    ));
    counting.add(&seen(
        40,
        "192.0.2.3",
        "/",
        json!({ "rules": "crs", "stage": "enforce", "blocked": true,
        "matches": [matched(942_100, "ARGS:q")] }),
    ));
    counting.add(&seen(
        50,
        "192.0.2.3",
        "/",
        json!({ "rules": "crs", "stage": "enforce", "blocked": true, "refused": true }),
    ));
    counting.add(&Event::default());
    let report = counting.report();

    assert_eq!(report.events, 5);
    let [enforce, shadow] = &report.sets[..] else { panic!() };
    assert_eq!((enforce.blocked, enforce.uninspected, enforce.would_block), (1, 1, 0));
    assert_eq!((shadow.events, shadow.clients, shadow.would_block), (3, 2, 2));
    let first = &report.rules[0];
    assert_eq!(
        (first.rule, first.stage.as_str(), first.message.as_str()),
        (942_100, "shadow", "SQL")
    );
    assert_eq!((first.hits, first.clients, first.would_block, first.alone), (3, 2, 2, 1));
    assert_eq!((first.first_seen, first.last_seen), (10, 30));
    assert_eq!(first.paths[0], Top { name: "/search".to_owned(), hits: 2 });
    assert_eq!(first.parameters[0], Top { name: "ARGS:q".to_owned(), hits: 3 });
    // What only adds up comes last, however often.
    assert_eq!(report.rules.last().unwrap().rule, 949_110);
    let last = report.rules.iter().find(|rule| rule.stage == "enforce").unwrap();
    assert_eq!((last.blocked, last.alone), (1, 1));
}
