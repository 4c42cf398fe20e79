use super::*;
use std::fs;

const RULES: &str = r#"SecRule ARGS "@detectSQLi" "id:1,phase:2,deny,log,msg:'SQL',tag:'attack-sqli',severity:CRITICAL"
"#;

fn line(at: i64, client: &str, query: &str) -> String {
    json!({
        "class_uid": 4002, "time": at, "src_endpoint": {"ip": client},
        "http_request": {"http_method": "GET", "version": "1.1",
            "url": {"hostname": "shop.example", "path": "/search", "query_string": query}},
        "http_response": {"code": 200},
        // What a gateway with other rules told of it is not what these rules say.
        "plura": {"site": "shop", "waf": [{"rules": "old", "stage": "enforce", "blocked": true,
            "matches": [{"rule": 9, "phase": 1, "variable": "ARGS:q"}]}]},
    })
    .to_string()
}

#[test]
fn rules_that_no_gateway_has_are_counted_over_a_file_of_events() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, events) = (folder.path().join("shop.conf"), folder.path().join("events.ndjson"));
    fs::write(&rules, RULES).unwrap();
    let lines = [
        line(10, "192.0.2.1", "q=1%27%20OR%201%3D1--"),
        line(20, "192.0.2.2", "q=1%27%20OR%202%3D2--"),
        line(30, "192.0.2.2", "q=union%20square"),
        "not json".to_owned(),
        json!({"class_uid": 3002, "time": 40}).to_string(),
    ];
    fs::write(&events, lines.join("\n")).unwrap();
    let mut replay = Replay::new(inspectors(&[rules], &Settings::default(), true).unwrap());
    each_of(&events, Format::Json, |event| match event {
        Some(event) => replay.add(event),
        None => replay.seen.passed_over += 1,
    })
    .unwrap();
    let (seen, report) = replay.finish();
    assert_eq!((seen.requests, seen.passed_over, seen.would_block), (3, 2, 2));
    assert_eq!(seen.unseen["request-headers"], 3);
    let [set] = &report.sets[..] else { panic!("{report:?}") };
    assert_eq!((set.rules.as_str(), set.stage.as_str()), ("shop", "shadow"));
    assert_eq!((set.events, set.clients, set.would_block, set.blocked), (2, 2, 2, 0));
    let [rule] = &report.rules[..] else { panic!("{report:?}") };
    assert_eq!((rule.rule, rule.hits, rule.alone), (1, 2, 2));
    assert_eq!((rule.first_seen, rule.last_seen), (10, 20));
    assert_eq!(rule.parameters[0].name, "ARGS:q");
    assert!(summary(&seen, &report).contains("2 would have been blocked"));
}

#[test]
fn rule_sets_of_one_name_are_refused_and_broken_ones_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    for sub in [&a, &b] {
        fs::create_dir(sub).unwrap();
        fs::write(sub.join("mine.conf"), RULES).unwrap();
    }
    let both = [a.join("mine.conf"), b.join("mine.conf")];
    let failure = inspectors(&both, &Settings::default(), true).unwrap_err();
    assert!(failure.message.contains("both called `mine`"), "{failure}");
    assert_eq!(inspectors(&[a, b], &Settings::default(), true).unwrap().len(), 2);
    fs::write(&both[0], "SecRule ARGS \"@rx (\" \"id:1,phase:2,deny\"\n").unwrap();
    let failure = inspectors(&both[..1], &Settings::default(), true).unwrap_err();
    assert!(failure.message.contains("mine.conf:1"), "{failure}");
}
