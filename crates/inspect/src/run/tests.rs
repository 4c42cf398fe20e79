use super::*;
use crate::disk::Disk;
use schema::{class, waf_sets};
use serde_json::json;

fn inspector(rules: &str) -> Inspector {
    let disk = Disk { texts: vec![("rules.conf".to_owned(), rules.to_owned())] };
    match Rules::load("mine", &disk, &["rules.conf"], true) {
        Ok(rules) => Inspector::new(Arc::new(rules), &Settings::default()),
        Err(faults) => panic!("{}", faults.iter().map(ToString::to_string).collect::<String>()),
    }
}

fn get(path: &str, query: &str) -> Event {
    Event {
        class_uid: class::HTTP_ACTIVITY,
        method: Some("GET".to_owned()),
        host: Some("shop.example".to_owned()),
        path: Some(path.to_owned()),
        query: Some(query.to_owned()),
        http_version: Some("1.1".to_owned()),
        src_ip: Some("192.0.2.1".to_owned()),
        http_code: Some(200),
        ..Event::default()
    }
}

fn post(kind: &str, body: &str) -> Event {
    Event {
        method: Some("POST".to_owned()),
        query: None,
        request_content_type: Some(kind.to_owned()),
        request_body: Some(body.to_owned()),
        ..get("/", "")
    }
}

fn ids(inspector: &Inspector, event: &Event) -> Vec<u64> {
    let outcome = inspector.inspect(&Record::of(event).unwrap());
    outcome.matches.iter().map(|found| found.rule).collect()
}

const SQLI: &str = r#"SecRule ARGS "@detectSQLi" "id:1,phase:2,deny,log,msg:'sql',tag:'attack-sqli',severity:CRITICAL""#;

#[test]
fn what_a_log_tells_of_a_request_is_what_rules_look_at() {
    let rules = inspector(SQLI);
    for event in [
        get("/search", "q=1%27%20OR%201%3D1--"),
        post("application/x-www-form-urlencoded", "q=1'+OR+1=1--"),
        post("application/json", r#"{"a":[{"q":"1' OR 1=1--"}]}"#),
    ] {
        assert_eq!(ids(&rules, &event), [1], "{event:?}");
    }
    assert_eq!(ids(&rules, &get("/search", "q=union%20square")), [] as [u64; 0]);
}

#[test]
fn what_was_told_is_read_as_a_gateway_would_have_told_it() {
    let rules = inspector(SQLI);
    let mut event = get("/search", "q=1%27%20OR%201%3D1--");
    let record = Record::of(&event).unwrap();
    put(&mut event, told(&[rules.inspect(&record)], &record));
    let [set] = &waf_sets(&event)[..] else { panic!("{event:?}") };
    assert_eq!((set.rules, set.stage, set.would_block), ("mine", "shadow", true));
    assert_eq!((set.decided_by, set.phase), (Some(1), Some(2)));
    assert_eq!((set.matches[0].message, set.matches[0].variable), ("sql", "ARGS:q"));
    assert_eq!(set.matches[0].data, Some("1' OR 1=1--"));
    let entry = &event.rest["plura"]["waf"][0];
    assert_eq!(entry["unseen"], json!(["request-headers", "response-headers"]));
    assert_eq!(entry["limits"], json!(null));
    // And goes again without a trace.
    put(&mut event, None);
    assert!(event.rest.is_empty());
}

#[test]
fn hidden_values_match_nothing_neither_by_what_they_are_nor_by_what_they_are_not() {
    let rules = inspector(
        r#"SecRule ARGS:pin "!@rx ^\d+$" "id:1,phase:2,deny,log"
SecRule ARGS "@rx [\[\]#*]" "id:2,phase:2,deny,log"
SecRule REQUEST_COOKIES "!@rx ^\d+$" "id:3,phase:2,deny,log""#,
    );
    let mut hidden =
        get("/", "pin=[secret:0123456789abcdef]&mail=[email:k***@example.com%230a1b2c3d]");
    hidden.request_headers =
        Some(json!([{"name": "cookie", "value": "sid=[secret:0123456789abcdef]"}]));
    assert_eq!(ids(&rules, &hidden), [] as [u64; 0]);
    let stars = post("application/json", r#"{"pin":"****","note":"card ****"}"#);
    assert_eq!(
        ids(&inspector(r#"SecRule ARGS:json.pin "!@rx ^\d+$" "id:1,phase:2,deny,log""#), &stars),
        [] as [u64; 0]
    );
    // What stands around a mask is looked at.
    assert_eq!(ids(&rules, &get("/", "note=to+[email:k***@example.com%230a1b2c3d]+[x]")), [2]);
    assert_eq!(ids(&rules, &get("/", "pin=abc")), [1]);
}

#[test]
fn nothing_of_what_was_hidden_is_told_again() {
    let rules = inspector(r#"SecRule ARGS:q "@contains x" "id:1,phase:2,deny,log""#);
    let mut event = get("/", "q=axb&pin=[secret:0123456789abcdef]");
    let record = Record::of(&event).unwrap();
    put(&mut event, told(&[rules.inspect(&record)], &record));
    assert_eq!(waf_sets(&event)[0].matches[0].data, None);
    assert!(event.rest["plura"]["waf"][0]["unseen"].to_string().contains("masked"));
}

#[test]
fn what_a_log_leaves_out_was_not_missing_in_the_request() {
    let rules = inspector(
        r#"SecRule &REQUEST_HEADERS:Host "@eq 0" "id:1,phase:1,deny,log"
SecRule &REQUEST_HEADERS:Accept "@eq 0" "id:2,phase:1,deny,log"
SecRule REQUEST_PROTOCOL "!@streq HTTP/9" "id:3,phase:1,deny,log"
SecRule &RESPONSE_HEADERS:X-Frame-Options "@eq 0" "id:4,phase:3,deny,log"
SecRule REMOTE_ADDR "!@ipMatch 192.0.2.0/24" "id:5,phase:1,deny,log""#,
    );
    let mut event = get("/", "");
    event.http_version = None;
    event.src_ip = None;
    event.host = None;
    assert_eq!(ids(&rules, &event), [] as [u64; 0]);
    // Where headers were kept, what is not among them was not there.
    event.request_headers = Some(json!([{"name": "host", "value": "shop.example"}]));
    event.response_headers = Some(json!([]));
    event.http_version = Some("1.1".to_owned());
    event.src_ip = Some("198.51.100.1".to_owned());
    assert_eq!(ids(&rules, &event), [2, 3, 5, 4]);
}

#[test]
fn a_body_that_was_not_kept_is_no_broken_body() {
    let rules = inspector(SQLI);
    let mut event = post("multipart/form-data; boundary=x", "");
    event.request_body = None;
    let outcome = rules.inspect(&Record::of(&event).unwrap());
    assert!(outcome.is_quiet(), "{outcome:?}");
    assert!(outcome.record.unwrap().contains(&"request-body"));
    // One that was cut is a limit, and what there is of it is looked at.
    let mut event = post("application/json", r#"{"q":"1' OR 1=1--","rest":"aaa"#);
    event.request_truncated = Some(true);
    let outcome = rules.inspect(&Record::of(&event).unwrap());
    assert_eq!(outcome.limits, ["request-body"]);
    assert_eq!(outcome.matches[0].rule, 1);
    event.request_truncated = None;
    assert!(ids(&rules, &event).contains(&77_000_010), "broken, and not cut");
}

#[test]
fn answers_are_looked_at_where_they_were_kept() {
    let rules = inspector(
        r#"SecRule RESPONSE_BODY "@contains ORA-01756" "id:1,phase:4,deny,log,tag:'attack-disclosure'""#,
    );
    let mut event = get("/", "");
    event.response_content_type = Some("text/html".to_owned());
    event.response_body = Some("<p>ORA-01756: quoted string".to_owned());
    assert_eq!(ids(&rules, &event), [1]);
    event.response_content_type = Some("image/png".to_owned());
    assert_eq!(ids(&rules, &event), [] as [u64; 0]);
}

#[test]
fn levels_and_thresholds_are_pinned() {
    let rules = r#"SecAction "id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=1,setvar:tx.inbound_anomaly_score_threshold=5"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 3" "id:2,phase:1,deny,log""#;
    assert_eq!(ids(&inspector(rules), &get("/", "")), [] as [u64; 0]);
    let mut strict = inspector(rules);
    let wanted = Settings { paranoia: Some(3), inbound_threshold: Some(7), ..Settings::default() };
    strict = Inspector::new(Arc::clone(strict.rules()), &wanted);
    let outcome = strict.inspect(&Record::of(&get("/", "")).unwrap());
    assert_eq!(outcome.matches[0].rule, 2);
    assert_eq!(outcome.inbound_threshold, Some(7));
}
