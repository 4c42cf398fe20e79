use super::*;
use schema::Severity;
use serde_json::json;

const NOW: Timestamp = 1_795_392_000_000;

/// A comment with markup in it, as the rules told of it in shadow.
fn comment(n: usize) -> Event {
    tripped(n, "POST /comments", 941_160, "ARGS:text")
}

fn tripped(n: usize, endpoint: &str, rule: u64, variable: &str) -> Event {
    let mut event = Event {
        host: Some("shop.example".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        account: Some(format!("customer-{n}")),
        src_ip: Some(format!("192.0.2.{n}")),
        outcome: Some("success".to_owned()),
        ..Event::default()
    };
    let set = json!({
        "rules": "crs", "stage": "shadow", "would_block": true, "decided_by": 949_110, "phase": 2,
        "inbound_score": 5, "inbound_threshold": 5,
        "matches": [{ "rule": rule, "phase": 2, "message": "NoScript", "tags": ["attack-xss"],
            "severity": "critical", "variable": variable }],
    });
    event.rest.insert("plura".to_owned(), json!({ "waf": [set] }));
    event
}

fn finding(entity: &str, confidence: u8) -> Finding {
    serde_json::from_value(json!({
        "id": uuid::Uuid::nil(), "rule": "web-attack", "rule_version": 1, "time": NOW, "first_seen": NOW,
        "last_seen": NOW, "severity": Severity::High, "confidence": confidence, "entities": [entity],
        "outcome": "success", "attack": [], "evidence": [], "evidence_total": 0, "numbers": {},
    }))
    .unwrap()
}

fn learned(
    flagged: &[Finding],
    events: impl IntoIterator<Item = Event>,
) -> (Vec<Suggestion>, Vec<Declined>) {
    let mut learning = Learning::default();
    flagged.iter().for_each(|finding| learning.flag(finding));
    events.into_iter().for_each(|event| learning.add(&event));
    learning.suggest(5, &BTreeMap::new(), NOW)
}

#[test]
fn where_many_trip_and_come_to_success_an_exception_is_suggested() {
    let (suggested, declined) = learned(&[], (0..6).map(comment));
    assert_eq!(declined, []);
    let [one] = &suggested[..] else { panic!("{suggested:?}") };
    assert_eq!(
        (one.rule, one.host.as_str(), one.path.as_str()),
        (941_160, "shop.example", "POST /comments")
    );
    assert_eq!(one.parameter, "ARGS:text");
    assert!(one.reason.contains("6 visitors in 6 requests"), "{}", one.reason);

    // The gateway reads it, and it ends after a week.
    let text = yaml(&suggested);
    assert!(text.contains("  # 941160 in ARGS:text at POST /comments of shop.example: "), "{text}");
    let read: BTreeMap<String, Vec<gateway::config::WafException>> =
        serde_saphyr::from_str(&text).unwrap();
    let exception = &read["exceptions"][0];
    assert_eq!(exception.parameter.as_deref(), Some("ARGS:text"));
    assert_eq!(exception.ends(), Some(NOW + EXPIRES_MS));
}

#[test]
fn what_visitors_chose_stays_within_its_quotes() {
    let name = "ARGS:a\"\n- rule: 1 # \u{202e}x\u{2028}y";
    let (suggested, _) = learned(&[], (0..6).map(|n| tripped(n, "GET /search", 941_160, name)));
    let text = yaml(&suggested);
    assert_eq!(crate::output::printable(&text), text);
    let read: BTreeMap<String, Vec<gateway::config::WafException>> =
        serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read["exceptions"].len(), 1);
    assert_eq!(read["exceptions"][0].parameter.as_deref(), Some(name));
}

#[test]
fn near_miss_too_few_or_not_to_success() {
    assert_eq!(learned(&[], (0..4).map(comment)), (Vec::new(), Vec::new()));
    // One who comes often is one.
    assert_eq!(learned(&[], (0..50).map(|_| comment(1))), (Vec::new(), Vec::new()));
    let refused = (0..6).map(|n| {
        let mut event = comment(n);
        event.outcome = Some("failure".to_owned());
        event
    });
    let (suggested, declined) = learned(&[], refused);
    assert_eq!((suggested, declined[0].why.as_str()), (Vec::new(), "0 of 6 came to success"));
}

#[test]
fn near_miss_an_attacker_is_among_them() {
    let (suggested, declined) = learned(&[finding("account:customer-3", 80)], (0..6).map(comment));
    assert_eq!(
        (suggested, declined[0].why.as_str()),
        (Vec::new(), "1 who matched it have findings")
    );
    // Elsewhere on the same host counts, too; an address speaks only of the nameless.
    let mut elsewhere = tripped(99, "GET /search", 941_160, "ARGS:q");
    elsewhere.account = None;
    let flagged = [finding("address:192.0.2.99", 80)];
    let (suggested, _) = learned(&flagged, (0..6).map(comment).chain([elsewhere]));
    assert_eq!(suggested, []);
    let (suggested, _) = learned(&[finding("address:192.0.2.3", 80)], (0..6).map(comment));
    assert_eq!(suggested.len(), 1);
    // One request that tripped is told with less; that is what false positives look like.
    let (suggested, _) = learned(&[finding("account:customer-3", 45)], (0..6).map(comment));
    assert_eq!(suggested.len(), 1);
}

#[test]
fn near_miss_a_scan_and_a_parameter_that_is_a_number() {
    let scan = ["GET /a", "GET /b", "GET /c"].map(|path| tripped(2, path, 930_120, "ARGS:f"));
    let (suggested, declined) = learned(&[], (0..6).map(comment).chain(scan));
    assert_eq!(suggested, []);
    assert!(declined[0].why.starts_with("account:customer-2 tripped"), "{}", declined[0].why);

    let mut learning = Learning::default();
    (0..6).for_each(|n| learning.add(&tripped(n, "GET /orders/{id}", 942_100, "ARGS:page")));
    let place = learning.candidates(5).next().unwrap();
    assert_eq!(place.path, "GET /orders/*");
    let mut ordinary = Shapes::default();
    (0..20).for_each(|n| {
        ordinary.add(&Event { query: Some(format!("page={n}")), ..Event::default() })
    });
    let shapes = BTreeMap::from([((place.host.clone(), place.path.clone()), ordinary)]);
    let (suggested, declined) = learning.suggest(5, &shapes, NOW);
    assert_eq!(suggested, []);
    assert!(declined[0].why.contains("only numbers"), "{}", declined[0].why);
}

#[test]
fn the_reason_names_shapes_and_content_types() {
    let mut learning = Learning::default();
    (0..6).for_each(|n| learning.add(&comment(n)));
    (0..6).for_each(|n| {
        learning.add(&tripped(n, "POST /upload", 920_420, "REQUEST_HEADERS:Content-Type"));
    });
    let mut text = Shapes::default();
    text.add(&Event { query: Some("text=good+shoes".to_owned()), ..Event::default() });
    let mut types = Shapes::default();
    let kind = Some("application/vnd.shop+json".to_owned());
    types.add(&Event { request_content_type: kind, ..Event::default() });
    let host = "shop.example".to_owned();
    let shapes = BTreeMap::from([
        ((host.clone(), "POST /comments".to_owned()), text),
        ((host, "POST /upload".to_owned()), types),
    ]);
    let (suggested, _) = learning.suggest(5, &shapes, NOW);
    assert!(suggested[0].reason.ends_with("ordinary content types: application/vnd.shop+json (1)"));
    assert!(suggested[1].reason.ends_with("1 ordinary values: free text 100 %"));
}
