//! `RESPONSE_ARGS`: what rules see of JSON answers and of streams of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use seclang::{
    Connection, Engine, Files, Limit, NoMemory, RequestHead, ResponseHead, Verdict, load,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

struct One(String);

impl Files for One {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.clone().into_bytes())
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

const READ: &str = r#"SecAction "id:1,phase:1,pass,nolog,ctl:responseBodyProcessor=JSON,ctl:forceResponseBodyVariable=On""#;

fn answered(rules: &str, kind: &str, body: &str) -> (bool, Verdict) {
    let text = format!("SecRuleEngine On\nSecResponseBodyAccess On\nSecArgumentsLimit 10\n{rules}");
    let rules = load(&One(text), &["rules.conf"]).unwrap();
    let connection = Connection {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        client_port: 1,
        server: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_port: 2,
        unique_id: "x",
        time_ms: 0,
        utc_offset_secs: 0,
    };
    let head = RequestHead { method: b"GET", target: b"/", protocol: b"HTTP/1.1", headers: &[] };
    let run = |engine: Engine| {
        let mut transaction = Arc::new(engine).begin(&connection, &head, Arc::new(NoMemory));
        transaction.request_headers();
        transaction.request_body(b"", true);
        let headers: [(&[u8], &[u8]); 1] = [(b"Content-Type", kind.as_bytes())];
        let head = ResponseHead { status: 200, protocol: b"HTTP/1.1", headers: &headers };
        transaction.response_headers(&head);
        let wanted = transaction.wants_response_body();
        transaction.response_body(body.as_bytes(), true);
        (wanted, transaction.finish())
    };
    let planned = run(Engine::new(rules.clone()));
    assert_eq!(planned, run(Engine::new(rules).without_plan()));
    planned
}

fn ids(rules: &str, kind: &str, body: &str) -> Vec<u64> {
    let all = format!("{READ}\n{rules}");
    answered(&all, kind, body).1.matches.iter().map(|found| found.rule).collect()
}

#[test]
fn names_are_those_of_arguments() {
    let rules = r#"SecRule RESPONSE_ARGS:json.choices.array_0.text "@streq hi" "id:2,phase:4,pass,log"
SecRule RESPONSE_ARGS:/total/ "@gt 5" "id:3,phase:4,pass,log"
SecRule &RESPONSE_ARGS "@eq 2" "id:4,phase:4,pass,log"
SecRule RESPONSE_ARGS|!RESPONSE_ARGS:json.choices.array_0.text "@contains hi" "id:5,phase:4,pass,log"
SecRule ARGS "@unconditionalMatch" "id:6,phase:4,pass,log""#;
    let body = r#"{"choices":[{"text":"hi"}],"usage":{"total":7}}"#;
    assert_eq!(ids(rules, "application/json", body), [2, 3, 4]);
}

#[test]
fn nothing_is_read_that_no_rule_asked_for() {
    let rules = r#"SecRule RESPONSE_ARGS "@unconditionalMatch" "id:2,phase:4,pass,log""#;
    let (wanted, verdict) = answered(rules, "text/event-stream", "data: {\"a\":1}\n\n");
    assert!(!wanted);
    assert!(verdict.matches.is_empty());
    let (wanted, _) = answered(READ, "text/event-stream", "data: {\"a\":1}\n\n");
    assert!(wanted);
}

#[test]
fn a_secret_cut_by_a_stream_is_found_and_one_of_two_answers_is_not() {
    let rules = r#"SecRule RESPONSE_ARGS "@rx secret-[0-9]{4}" "id:2,phase:4,pass,log""#;
    let cut =
        "data: {\"t\":\"sec\"}\r\n\r\ndata: {\"t\":\"ret-1\"}\r\n\r\ndata: {\"t\":\"234\"}\r\n\r\n";
    assert_eq!(ids(rules, "text/event-stream; charset=utf-8", cut), [2]);
    let two = "data: {\"index\":0,\"t\":\"secret-\"}\n\ndata: {\"index\":1,\"t\":\"1234\"}\n\n";
    assert_eq!(ids(rules, "text/event-stream", two), [0; 0]);
}

#[test]
fn limits_are_told() {
    let many = format!("[{}1]", "1,".repeat(10));
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let stream = |event: &str| format!("data: {event}\n\n");
    for (kind, body, limit) in [
        ("application/json", many.clone(), Limit::Arguments),
        ("application/json", deep.clone(), Limit::Depth),
        ("text/event-stream", stream(&many), Limit::Arguments),
        ("text/event-stream", stream(&deep), Limit::Depth),
    ] {
        let limits = answered(READ, kind, &body).1.limits;
        assert_eq!(limits, [limit], "{kind}");
    }
    for body in ["", "no json", "{\"a\":", "[1,2]"] {
        assert_eq!(answered(READ, "application/json", body).1.limits, []);
    }
}
