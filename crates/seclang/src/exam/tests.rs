//! The exam on small suites: what is sent, who refuses it, what is answered, what is found wanting.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::engine::Engine;
use crate::load::{Files, load};
use std::collections::BTreeMap;

fn read(text: &str) -> Vec<Test> {
    let (tests, unknown) = read_tests("suite.yaml", text).unwrap();
    assert_eq!(unknown, Vec::new());
    tests
}

/// The bytes of the only stage of a suite whose input is `input`, a flow mapping.
fn sent(input: &str) -> String {
    let text = format!(
        "rule_id: 1\ntests:\n  - test_id: 1\n    stages:\n      - input: {input}\n        output: {{}}\n"
    );
    let tests = read(&text);
    String::from_utf8(build(&tests[0].stages[0].input, Redirect::No).unwrap()).unwrap()
}

#[test]
fn what_a_test_leaves_out_is_filled_in() {
    assert_eq!(sent("{}"), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(sent("{autocomplete_headers: false}"), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(sent("{stop_magic: true}"), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        sent("{method: POST, uri: /x, version: HTTP/1.0, headers: {Host: a, connection: b}}"),
        "POST /x HTTP/1.0\r\nHost: a\r\nconnection: b\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_map_of_headers_is_sorted_and_a_list_is_not() {
    let end = "Connection: close\r\n\r\n";
    let map = sent("{headers: {b: 7, a: , Z: x y}}");
    assert_eq!(map, format!("GET / HTTP/1.1\r\nZ: x y\r\na: \r\nb: 7\r\n{end}"));
    let list = sent("{ordered_headers: [{name: b, value: 1}, {name: a, value: 2}, {name: b}]}");
    assert_eq!(list, format!("GET / HTTP/1.1\r\nb: 1\r\na: 2\r\nb: \r\n{end}"));
}

#[test]
fn form_data_is_encoded_unless_it_already_is() {
    let body = |data: &str| {
        let text = sent(&format!("{{method: POST, data: '{data}'}}"));
        assert!(text.contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n"), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        body.to_owned()
    };
    assert_eq!(body("a=<b> c&d"), "a=%3Cb%3E+c&d");
    assert_eq!(body("a=%3Cb%3E&<"), "a=%3Cb%3E&<", "it is encoded, says the percent sign");
    assert_eq!(body("a=x=y&"), "a=x%3Dy");
    assert_eq!(body("="), "=");
    assert_eq!(body("&&a"), "&&a");
}

#[test]
fn multipart_data_gets_carriage_returns() {
    let text = sent(
        "{method: POST, headers: {Content-Type: 'Multipart/Form-Data; boundary=x'}, data: \"--x\\n\\n1\\r\\n--x--\\n\"}",
    );
    assert!(text.ends_with("\r\n\r\n--x\r\n\r\n1\r\r\n--x--\r\n"), "{text:?}");
}

#[test]
fn data_may_repeat_a_text() {
    let text = sent(
        "{method: POST, headers: {Content-Type: text/plain}, data: 'a={{ \"xy\" | repeat 3 }};'}",
    );
    assert!(text.ends_with("\r\n\r\na=xyxyxy;"), "{text}");
    let fault = read_tests(
        "suite.yaml",
        "rule_id: 1\ntests:\n  - test_id: 7\n    stages:\n      - input: {data: '{{ env \"HOME\" }}'}\n        output: {}\n",
    )
    .unwrap_err();
    assert_eq!(fault.place, "suite.yaml:3:14");
    assert!(fault.problem.contains("test 1-7: the template"), "{fault}");
}

#[test]
fn an_encoded_request_is_sent_as_it_is() {
    assert_eq!(
        sent("{encoded_request: \"R0VUIC8gSFRUUC8x\\nLjANCg0K\"}"),
        "GET / HTTP/1.0\r\n\r\n"
    );
}

#[test]
fn unknown_keys_are_told_of_and_wrong_values_refused() {
    let text = "meta: {author: x}\nrule_id: 1\ntests:\n  - test_id: 1\n    stages:\n      - input: {urri: /}\n        output: {log: {expect_id: 5}}\n";
    let (tests, unknown) = read_tests("suite.yaml", text).unwrap();
    assert_eq!(tests[0].stages[0].expected.expect_ids, [5]);
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].place, "suite.yaml:6:23");
    assert!(unknown[0].problem.contains("`urri`"), "{}", unknown[0]);
    let fault = read_tests("suite.yaml", "rule_id: x\ntests: []\n").unwrap_err();
    assert!(fault.place.starts_with("suite.yaml:1:"), "{fault}");
}

#[test]
fn a_strict_server_refuses_what_it_must() {
    let bad = [
        "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP\\1.1\r\nHost: a\r\n\r\n",
        "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a%1F\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{0}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ];
    for raw in bad {
        assert!(matches!(parse(raw.as_bytes()), Err(Refusal::Bad(_))), "{raw:?}");
    }
    let unfinished = [
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ];
    for raw in unfinished {
        assert!(matches!(parse(raw.as_bytes()), Err(Refusal::Unfinished(_))), "{raw:?}");
    }
}

#[test]
fn chunks_are_joined_and_overrule_a_length() {
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nX: 1\r\n 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nTrailer: 1\r\n\r\nnext";
    let request = parse(raw.as_bytes()).unwrap();
    assert_eq!(request.body, b"abcd");
    assert_eq!(request.header("content-length"), None);
    assert_eq!(request.header("x"), Some(&b"1 2"[..]));
}

fn reflected(body: &str) -> Response {
    respond(&Request {
        method: b"POST".to_vec(),
        target: b"/reflect?x".to_vec(),
        body: body.as_bytes().to_vec(),
        ..Request::default()
    })
}

#[test]
fn the_backend_gives_back_what_is_described() {
    let answer = reflected(r#"{"status": 503, "headers": {"x-y": " z "}, "Body": "<?xml v"}"#);
    assert_eq!((answer.status, answer.body.as_slice()), (503, &b"<?xml v"[..]));
    assert_eq!(answer.header("X-Y"), Some("z"));
    assert_eq!(answer.header("Content-Type"), Some("text/xml; charset=utf-8"));
    let answer = reflected(r#"{"encodedBody": "PGEgaHJlZj4="}"#);
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"<a href>"[..]));
    assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
    for wrong in ["", "[]", "{\"status\": 99}", "{\"body\": 1}", "{\"encodedBody\": \"*\"}"] {
        assert_eq!(reflected(wrong).status, 400, "{wrong}");
    }
    let other =
        Request { method: b"GET".to_vec(), target: b"/reflect".to_vec(), ..Request::default() };
    let answer = respond(&other);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("Content-Type"), None);
}

struct Map(BTreeMap<&'static str, String>);

impl Files for Map {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).map(|text| text.clone().into()).ok_or_else(|| "is not there".to_owned())
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

const RULES: &str = r#"
SecRule ARGS "@contains attack" "id:1,phase:2,pass,log,msg:'an attack',logdata:'%{MATCHED_VAR_NAME}'"
SecRule ARGS:stop "@streq now" "id:2,phase:1,deny,status:418,log"
SecRule ARGS:go "@streq away" "id:3,phase:1,redirect:'/there?x=1',status:302,log"
SecRule ARGS:hang "@streq up" "id:4,phase:1,drop,log"
SecRule RESPONSE_BODY "@contains leak" "id:5,phase:4,pass,log"
SecRule TX:blocking_paranoia_level "@eq 3" "id:6,phase:1,pass,log"
"#;

fn target() -> Native {
    let setup = exam_setup(Some(3)).replace("DetectionOnly", "On");
    let files = Map(BTreeMap::from([(EXAM_SETUP_FILE, setup), ("rules.conf", RULES.to_owned())]));
    let rules = load(&files, &exam_roots(&[], &["rules.conf"])).unwrap();
    Native::new(Arc::new(Engine::new(rules)))
}

/// What was not met when `stages` were run.
fn sat(stages: &str, overrides: &str) -> Outcome {
    let text = format!("rule_id: 1\ntests:\n  - test_id: 1\n    stages:\n{stages}");
    let overrides = match overrides {
        "" => Overrides::default(),
        text => read_overrides("overrides.yaml", text).unwrap().0,
    };
    run(&mut target(), &read(&text)[0], &overrides).unwrap()
}

fn stage(input: &str, output: &str) -> String {
    let input = if input.is_empty() { String::new() } else { format!(", {input}") };
    format!("      - input: {{headers: {{Host: a}}{input}}}\n        output: {output}\n")
}

fn why(input: &str, output: &str) -> Vec<String> {
    sat(&stage(input, output), "").failure.map(|failed| failed.why).unwrap_or_default()
}

#[test]
fn expectations_are_met_or_named() {
    let attack = "uri: '/?q=attack'";
    assert_eq!(
        why(attack, "{status: 200, log: {expect_ids: [1, 6], no_expect_ids: [2]}}"),
        [""; 0]
    );
    assert_eq!(why(attack, "{status: [200, 403], log: {match_regex: 'data \"ARGS:q\"'}}"), [""; 0]);
    assert_eq!(why(attack, "{log_contains: '[id \"1\"]', no_log_contains: '[id \"2\"]'}"), [""; 0]);
    assert_eq!(why(attack, "{status: 403}"), ["expected status 403, got 200"]);
    assert_eq!(why(attack, "{log: {expect_ids: [1, 2, 5]}}"), ["rule 2, 5 did not match"]);
    assert_eq!(why(attack, "{log: {no_expect_ids: [1]}}"), ["rule 1 matched"]);
    assert_eq!(
        why("", "{log: {no_match_regex: '\\[id'}}"),
        ["a log line matches `\\[id` (rules 6)"]
    );
    assert_eq!(why("", "{log: {expect_ids: [6]}, isolated: true}"), [""; 0]);
    assert_eq!(
        why(attack, "{log: {expect_ids: [6]}, isolated: true}"),
        ["only one rule may match, but 2 did"]
    );
    assert_eq!(why("", "{log: {match_regex: '('}}").len(), 2);
}

#[test]
fn stopped_requests_answer_with_what_rules_say() {
    assert_eq!(why("uri: '/?stop=now'", "{status: 418, log: {expect_ids: [2]}}"), [""; 0]);
    assert_eq!(why("uri: '/?hang=up'", "{expect_error: true}"), [""; 0]);
    assert_eq!(why("uri: '/?hang=up'", "{}"), ["no answer: rule 4 closed the connection"]);
    assert_eq!(
        why("uri: '/'", "{expect_error: true}"),
        ["expected the connection to fail, got status 200"]
    );
    assert_eq!(why("uri: 'x'", "{status: 400, log: {no_match_regex: .}}"), [""; 0]);
    let refused = sat(&stage("uri: x", "{log: {expect_ids: [1]}}"), "").failure.unwrap();
    assert_eq!(refused.got.refused.as_deref(), Some("the target is neither a path nor a URL"));
}

#[test]
fn responses_are_looked_at() {
    let leak = r#"method: POST, uri: /reflect, data: '{"body": "a leak", "status": 203}', headers: {Host: a, Content-Type: application/json}"#;
    let text = format!(
        "      - input: {{{leak}}}\n        output: {{status: 203, response_contains: 'a l.ak$', log: {{expect_ids: [5]}}}}\n"
    );
    assert_eq!(sat(&text, "").failure, None);
}

#[test]
fn a_stage_follows_the_redirect_before_it() {
    let first = stage("uri: '/?go=away'", "{status: 302}");
    let second =
        stage("uri: /no, follow_redirect: true", "{status: 200, log: {no_expect_ids: [3]}}");
    assert_eq!(sat(&format!("{first}{second}"), "").failure, None);
    let alone = sat(&second, "").failure.unwrap();
    assert_eq!((alone.stage, alone.got.status), (1, None));
}

#[test]
fn an_override_takes_the_place_of_an_expectation() {
    let text = stage("uri: '/?q=attack'", "{log: {no_expect_ids: [1]}}");
    let over = "test_overrides:\n  - {rule_id: 1, test_ids: [1], reason: we see it, output: {log: {expect_ids: [1]}}}\n";
    let outcome = sat(&text, over);
    assert!(outcome.passed());
    assert_eq!(outcome.excused.as_deref(), Some("we see it"));
    let elsewhere = sat(&text, &over.replace("test_ids: [1]", "test_ids: [2]"));
    assert_eq!((elsewhere.passed(), elsewhere.excused), (false, None));
}
