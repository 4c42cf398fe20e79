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

/// Without an account, from a network of its own.
fn nameless(n: usize) -> Event {
    Event { account: None, src_ip: Some(format!("10.0.{n}.1")), ..comment(n) }
}

/// The same over a content type that CRS does not list.
fn upload(event: Event, path: &str) -> Event {
    let mut event = event;
    let text = event.rest["plura"].to_string().replace("attack-xss", "attack-protocol");
    let text = text.replace("941160", "920420").replace("ARGS:text", "TX:content_type");
    event.rest.insert("plura".to_owned(), serde_json::from_str(&text).unwrap());
    event.endpoint = Some(path.to_owned());
    event.request_content_type = Some("text/csv; charset=utf-8".to_owned());
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
    assert!(
        text.contains("    reason: \"`NoScript` matched 6 visitors in 6 requests, 6 "),
        "{text}"
    );
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
fn strangers_count_by_network_whatever_sessions_and_keys_they_make_up() {
    let upload = |event: Event| upload(event, "POST /api/import");
    assert_eq!(learned(&[], (0..6).map(|n| upload(nameless(n)))).0.len(), 1);
    // A rule about attacks: they may be one attacker from many networks.
    let (suggested, declined) = learned(&[], (0..6).map(nameless).chain((0..4).map(comment)));
    assert_eq!(suggested, []);
    assert!(declined[0].why.starts_with("4 of 10 have logged in"), "{}", declined[0].why);

    let made_up = |n: usize| Event {
        session: Some(format!("session-{n}")),
        credential: Some(format!("key-{n}")),
        src_ip: Some(format!("192.0.2.{n}")),
        ..upload(nameless(n))
    };
    assert_eq!(learned(&[], (0..40).map(made_up)), (Vec::new(), Vec::new()));
    let of_six = |n: usize| Event { src_ip: Some(format!("2001:db8:1:{n:x}::1")), ..made_up(n) };
    assert_eq!(learned(&[], (0..40).map(of_six)), (Vec::new(), Vec::new()));

    // Nor is an account one that a login tries, or a token claims.
    let tried = |n: usize| Event { outcome_action: Some("login".to_owned()), ..upload(comment(n)) };
    assert_eq!(learned(&[], (0..6).map(tried)), (Vec::new(), Vec::new()));
    let claimed = |n: usize| {
        let mut event = upload(comment(n));
        event.rest["plura"]["account_from"] = json!("basic-user");
        event
    };
    assert_eq!(learned(&[], (0..6).map(claimed)), (Vec::new(), Vec::new()));
}

#[test]
fn near_miss_an_attacker_is_among_them() {
    // Customer 3 did more than the others.
    let more = tripped(3, "GET /orders", 942_100, "ARGS:sort");
    let flagged = [finding("account:customer-3", 80)];
    let (suggested, declined) = learned(&flagged, (0..6).map(comment).chain([more]));
    assert_eq!(
        (suggested, declined[0].why.as_str()),
        (Vec::new(), "1 who matched it there have findings")
    );
    // Nor does a name help where something else was found.
    let mut stuffing = finding("account:customer-3", 80);
    stuffing.rule = "credential-stuffing".to_owned();
    assert_eq!(learned(&[stuffing], (0..6).map(comment)).0, []);
    // Nobody is cleared by those without a name.
    let strangers = (0..7).map(|n| upload(nameless(n), "POST /api/import"));
    let (suggested, declined) = learned(&[finding("address:10.0.3.1", 80)], strangers);
    assert_eq!(
        (suggested, declined[0].why.as_str()),
        (Vec::new(), "1 who matched it there have findings")
    );
    // An address speaks only of the nameless.
    let (suggested, _) = learned(&[finding("address:192.0.2.3", 80)], (0..6).map(comment));
    assert_eq!(suggested.len(), 1);
    // One request that tripped is told with less; that is what false positives look like.
    let (suggested, _) = learned(&[finding("account:customer-3", 45)], (0..6).map(comment));
    assert_eq!(suggested.len(), 1);
}

#[test]
fn who_trips_only_where_the_others_do_is_one_of_them() {
    let flagged = [finding("account:customer-3", 80)];
    let (suggested, declined) = learned(&flagged, (0..6).map(comment));
    assert_eq!(declined, []);
    let reason = &suggested[0].reason;
    assert!(
        reason.ends_with("; 1 of them with findings only about what others trip over, too"),
        "{reason}"
    );
    // Near miss: too few others.
    assert_eq!(learned(&flagged, (0..5).map(comment)).0, []);
}

#[test]
fn an_attacker_elsewhere_is_told_of() {
    let mut elsewhere = tripped(99, "GET /search", 941_160, "ARGS:q");
    elsewhere.account = None;
    let flagged = [finding("address:192.0.2.99", 80)];
    let (suggested, _) = learned(&flagged, (0..6).map(comment).chain([elsewhere]));
    let reason = &suggested[0].reason;
    assert!(reason.ends_with("; elsewhere on this host it matched 1 with findings"), "{reason}");
}

#[test]
fn a_content_type_is_sent_everywhere_and_that_is_no_scan() {
    let paths = ["POST /api/import", "POST /api/prices", "POST /api/stock", "POST /api/orders"];
    let uploads = (0..6).flat_map(|n| paths.map(|path| upload(comment(n), path)));
    // What the detection finds light speaks against nobody.
    let mut light = finding("account:customer-3", 60);
    light.severity = Severity::Low;
    let (suggested, declined) = learned(&[light], uploads);
    assert_eq!((suggested.len(), declined), (4, Vec::new()));
    assert!(suggested[0].reason.ends_with("; they sent text/csv (6)"), "{}", suggested[0].reason);
}

#[test]
fn near_miss_a_scan_and_a_parameter_that_is_a_number() {
    let scan = ["GET /a", "GET /b", "GET /c"].map(|path| tripped(2, path, 930_120, "ARGS:f"));
    let (suggested, declined) = learned(&[], (0..6).map(comment).chain(scan));
    assert_eq!(suggested, []);
    assert!(declined[0].why.starts_with("account:customer-2 tripped"), "{}", declined[0].why);

    // Near miss: three places at which everybody with a name trips.
    let forms = ["POST /comments", "POST /reviews", "POST /questions"];
    let all = (0..6).flat_map(|n| forms.map(|path| tripped(n, path, 941_160, "ARGS:text")));
    assert_eq!(learned(&[], all.clone()).0.len(), 3);
    // Without names it is a scan.
    let without = |(n, event): (usize, Event)| {
        let address = format!("10.0.{}.1", n / forms.len());
        Event { account: None, src_ip: Some(address), ..event }
    };
    let (suggested, declined) = learned(&[], all.enumerate().map(without));
    assert_eq!((suggested, declined.len()), (Vec::new(), 3));
    assert!(declined[0].why.starts_with("network:10.0.0.0/24 tripped"), "{}", declined[0].why);

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
        learning.add(&tripped(n, "POST /upload", 920_420, "TX:content_type"));
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
