//! What a web application firewall told becomes findings: who attacks, and who does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod traffic;
use schema::{Entity, EntityKind, Event, OutcomeResult, Severity};
use serde_json::{Value, json};
use traffic::*;

const SQL: (u64, &str) = (942_100, "attack-sqli");
const SHELL: (u64, &str) = (932_160, "attack-rce");
const SCRIPT: (u64, &str) = (941_100, "attack-xss");
const FILES: (u64, &str) = (930_120, "attack-lfi");
const TYPE: (u64, &str) = (920_420, "attack-protocol");

/// A search, as the rules told of it in shadow.
fn tripped(time: i64, address: &str, rules: &[(u64, &str)]) -> Event {
    let mut event = http(time, "GET", "/search", "/search");
    event.src_ip = Some(address.to_owned());
    told(&mut event, rules, 5 * rules.len() as i64, "ARGS:q");
    event
}

fn told(event: &mut Event, rules: &[(u64, &str)], score: i64, variable: &str) {
    let found = |(rule, tag): &(u64, &str)| {
        json!({ "rule": rule, "phase": 2, "tags": [tag, "paranoia-level/1"], "severity": "critical",
            "variable": variable })
    };
    let mut set = json!({
        "rules": "crs", "stage": "shadow", "enforced": false, "blocked": false,
        "would_block": score >= 5, "inbound_score": score, "inbound_threshold": 5,
        "matches": rules.iter().map(found).collect::<Vec<_>>(),
    });
    if score >= 5 {
        set["decided_by"] = 949_110.into();
        set["phase"] = 2.into();
    }
    event.rest.insert("plura".to_owned(), json!({ "waf": [set] }));
}

fn set(event: &mut Event) -> &mut Value {
    &mut event.rest["plura"]["waf"][0]
}

fn block(event: &mut Event) {
    refuse(event, 403, "waf-blocked");
    event.enforced_rung = Some("block".to_owned());
    let set = set(event);
    set["stage"] = "enforce".into();
    set["enforced"] = true.into();
    set["blocked"] = true.into();
    set["would_block"] = false.into();
}

/// The answer tells of a database.
fn leak(event: &mut Event, tag: &str) {
    event.http_code = Some(500);
    event.outcome = Some("failure".to_owned());
    if event.rest.is_empty() {
        told(event, &[], 0, "");
    }
    let set = set(event);
    set["outbound_score"] = 4.into();
    set["outbound_threshold"] = 4.into();
    let found = json!({ "rule": 951_240, "phase": 4, "tags": [tag], "severity": "error", "variable": "RESPONSE_BODY" });
    set["matches"].as_array_mut().unwrap().push(found);
}

#[test]
fn a_scanner_is_one_finding_and_one_incident() {
    for blocked in [true, false] {
        let mut world = World::new();
        for request in 0..400i64 {
            let rules = [[SQL], [SHELL], [SCRIPT], [FILES]][request as usize % 4];
            let path = format!("/page-{}", request % 40);
            let mut event = tripped(NOW + request * 200, "203.0.113.9", &rules);
            event.endpoint = Some(format!("GET {path}"));
            // It sends another name of itself, another cookie and another key each time.
            event.user_agent = Some(format!("scanner/{request}"));
            event.session = Some(format!("made-up-{request}"));
            event.credential = Some(format!("made-up-{request}"));
            if blocked {
                block(&mut event);
            } else {
                refuse(&mut event, 404, "not-found");
            }
            world.see(event);
        }
        let [finding] = world.of("web-attack")[..] else { panic!("{:?}", world.rules()) };
        assert_eq!(world.incidents.len(), 1, "blocked {blocked}");
        assert_eq!(finding.primary(), Some(&Entity::new(EntityKind::Address, "203.0.113.9")));
        assert_eq!((finding.severity, finding.outcome), (Severity::Medium, OutcomeResult::Failure));
        let reason = if blocked { "waf-blocked" } else { "request-refused" };
        assert_eq!(finding.outcome_reason.as_deref(), Some(reason));
        assert!(finding.confidence >= 80, "{}", finding.confidence);
        let techniques: Vec<&str> = finding.attack.iter().map(|a| a.technique.as_str()).collect();
        assert_eq!(techniques, ["T1190", "T1595.002"]);
        assert!(finding.numbers["sqli"] >= 20.0 && finding.numbers["endpoints"] >= 8.0);
        assert!(finding.evidence_total >= 64);
        let told = world.found.iter().filter(|finding| finding.rule == "web-attack").count();
        assert!(told <= 12, "told {told} times");
    }
}

#[test]
fn an_attack_that_passed_is_graver_than_one_that_was_blocked() {
    let severity = |passed: bool| {
        let mut world = World::new();
        for request in 0..5 {
            let mut event = tripped(NOW + request * SECOND, "203.0.113.9", &[SHELL]);
            if !passed {
                block(&mut event);
            }
            world.see(event);
        }
        let [finding] = world.of("web-attack")[..] else { panic!("{:?}", world.rules()) };
        let ran = finding.attack.iter().any(|a| a.technique == "T1059");
        (finding.severity, finding.outcome, ran, finding.numbers["would_block"])
    };
    assert_eq!(severity(true), (Severity::High, OutcomeResult::Success, true, 5.0));
    assert_eq!(severity(false), (Severity::Medium, OutcomeResult::Failure, false, 0.0));
}

#[test]
fn a_single_critical_one_that_passed_is_told_at_once() {
    let mut world = World::new();
    world.see(tripped(NOW, "203.0.113.9", &[SQL, (942_190, "attack-sqli")]));
    let [finding] = world.of("web-attack")[..] else { panic!("{:?}", world.rules()) };
    assert_eq!((finding.severity, finding.outcome), (Severity::High, OutcomeResult::Success));
    // One request alone cuts nobody off.
    assert!(finding.confidence < 60, "{}", finding.confidence);
    assert_eq!(finding.numbers["would_block"], 1.0);

    // One match alone is less; the database's own words in the answer make it certain.
    let mut world = World::new();
    world.see(tripped(NOW, "203.0.113.9", &[SQL]));
    assert_eq!(world.of("web-attack")[0].severity, Severity::Medium);
    let mut answered = tripped(NOW + SECOND, "203.0.113.9", &[SQL]);
    leak(&mut answered, "attack-disclosure");
    world.see(answered);
    let [finding] = world.of("web-attack")[..] else { panic!() };
    assert_eq!((finding.severity, finding.numbers["leaks"]), (Severity::Critical, 1.0));
}

#[test]
fn an_account_is_named_when_it_is_known_and_not_when_it_is_stated() {
    for (action, subject) in [
        (None, Entity::new(EntityKind::Account, "mallory")),
        (Some("login"), Entity::new(EntityKind::Address, "203.0.113.9")),
    ] {
        let mut world = World::new();
        for request in 0..6 {
            let mut event = tripped(NOW + request * SECOND, "203.0.113.9", &[SQL]);
            as_customer(&mut event, "mallory", "203.0.113.9");
            event.outcome_action = action.map(str::to_owned);
            block(&mut event);
            world.see(event);
        }
        assert_eq!(world.of("web-attack")[0].primary(), Some(&subject));
    }
}

#[test]
fn an_answer_that_tells_too_much_is_of_its_endpoint() {
    for (tag, blocked, severity) in [
        ("attack-disclosure", false, Severity::Medium),
        ("attack-disclosure", true, Severity::Low),
        ("attack-rce", false, Severity::High),
    ] {
        let mut world = World::new();
        for visitor in 0..30 {
            let mut event = http(NOW + visitor * SECOND, "GET", "/list", "/list");
            event.src_ip = Some(home(visitor as u64));
            leak(&mut event, tag);
            if blocked {
                block(&mut event);
            }
            world.see(event);
        }
        let [finding] = world.of("response-disclosure")[..] else { panic!("{:?}", world.rules()) };
        assert_eq!(finding.primary(), Some(&Entity::new(EntityKind::Endpoint, "GET /list")));
        assert_eq!(finding.severity, severity, "{tag} {blocked}");
        // Whoever was shown it did nothing.
        assert!(world.of("web-attack").is_empty());
    }
}

#[test]
fn near_miss_below_the_mark_and_what_was_not_inspected() {
    let mut world = World::new();
    for visitor in 0..40 {
        let mut event = http(NOW + visitor * SECOND, "GET", "/search", "/search");
        as_customer(&mut event, &name(visitor as u64 % 4), &home(visitor as u64 % 4));
        told(&mut event, &[SQL], 3, "ARGS:q");
        world.see(event.clone());
        event.id = uuid::Uuid::nil();
        event.rest["plura"]["waf"] = json!([{ "rules": "crs", "stage": "enforce", "enforced": true,
            "blocked": true, "refused": true, "limits": ["memory"], "matches": [] }]);
        world.see(event);
    }
    world.quiet();
}

#[test]
fn near_miss_a_client_with_an_odd_content_type() {
    // One device that always sends what no browser does: noted as low, and no incident.
    let mut world = World::new();
    for request in 0..200 {
        world.see(tripped(NOW + request * 3 * SECOND, "198.51.100.4", &[TYPE]));
    }
    assert!(world.found.iter().all(|finding| finding.severity == Severity::Low));
    assert!(world.incidents.is_empty());
}

#[test]
fn near_miss_a_form_where_everybody_writes_markup() {
    let mut world = World::new();
    let comment = |time, customer: u64| {
        let mut event = http(time, "POST", "/comments", "/comments");
        as_customer(&mut event, &name(customer), &home(customer));
        told(&mut event, &[SCRIPT, (941_160, "attack-xss")], 10, "ARGS:text");
        event
    };
    for customer in 0..20 {
        world.see(comment(NOW + customer as i64 * MINUTE, customer));
    }
    // The place is known by now: somebody who writes a lot is nobody.
    for request in 0..20 {
        world.see(comment(NOW + HOUR + request * 10 * SECOND, 40));
    }
    world.quiet();
    // What is new at that place is told all the same.
    let mut event = comment(NOW + 2 * HOUR, 41);
    told(&mut event, &[SCRIPT, SHELL], 10, "ARGS:text");
    world.see(event);
    assert_eq!(world.of("web-attack").len(), 1);
}

#[test]
fn a_scanner_makes_no_place_familiar() {
    let mut world = World::new();
    for machine in 0..10 {
        for page in 0..8i64 {
            let address = format!("203.0.{machine}.9");
            let mut event = tripped(NOW + (machine * 8 + page) * SECOND, &address, &[SQL]);
            event.endpoint = Some(format!("GET /page-{}", (page + machine) % 8));
            world.see(event);
        }
    }
    assert_eq!(world.of("web-attack").len(), 10);
}

#[test]
fn made_up_sessions_of_one_network_make_no_place_familiar() {
    let mut world = World::new();
    let sent = |time, address: &str, session: &str| {
        let mut event = tripped(time, address, &[SQL]);
        event.session = Some(session.to_owned());
        event
    };
    for visitor in 0..10 {
        let (address, session) = (format!("198.51.100.{visitor}"), format!("made-up-{visitor}"));
        world.see(sent(NOW + visitor * MINUTE, &address, &session));
    }
    let before = world.of("web-attack").len();
    for request in 0..20 {
        world.see(sent(NOW + HOUR + request * SECOND, "203.0.113.7", "another"));
    }
    assert!(world.of("web-attack").len() > before, "the place is not familiar");
}
