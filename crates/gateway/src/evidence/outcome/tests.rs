use super::*;
use crate::evidence::{
    CapturedBody, Exchange, Keys, RouteSpec, SessionBook, Site, SiteSpec, observe,
};

fn rule(when: &str, result: OutcomeResult, reason: &str) -> OutcomeSpec {
    OutcomeSpec {
        when: Some(when.to_owned()),
        result,
        reason: Some(reason.to_owned()),
        reason_from: None,
        action: None,
    }
}

fn outcome(rules: Vec<OutcomeSpec>, status: u16, answer: &str) -> (Site, schema::Event) {
    let route = RouteSpec {
        pattern: "* /login".to_owned(),
        action: Some("login".to_owned()),
        outcome: rules,
        object_from: Some("request.query.item".to_owned()),
        ..RouteSpec::default()
    };
    let site =
        Site::compile("s", &SiteSpec { routes: vec![route], ..SiteSpec::default() }).unwrap();
    let mut exchange = Exchange { status: Some(status), ..Exchange::default() };
    exchange.request.path = "/login".to_owned();
    exchange.request.query = Some("item=A7".to_owned());
    exchange.response_body = CapturedBody::whole(answer.to_owned());
    let event = observe(&exchange, &site, &Keys::new(&[1; 32]), &SessionBook::new(4));
    (site, event)
}

#[track_caller]
fn check(rules: Vec<OutcomeSpec>, status: u16, answer: &str, result: &str, reason: Option<&str>) {
    let (_, event) = outcome(rules, status, answer);
    assert_eq!((event.outcome.as_deref(), event.outcome_reason.as_deref()), (Some(result), reason));
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rules = || {
        vec![
            rule(
                "response.status == 200 && response.json.ok == true",
                OutcomeResult::Success,
                "welcome",
            ),
            rule(
                "response.status == 200 && response.json.code == 12",
                OutcomeResult::Failure,
                "bad-password",
            ),
            rule(
                "response.status >= 400 && response.status < 500",
                OutcomeResult::Failure,
                "refused",
            ),
            rule("response.body.contains('maintenance')", OutcomeResult::Unknown, "maintenance"),
        ]
    };
    check(rules(), 200, r#"{"ok":true}"#, "success", Some("welcome"));
    check(rules(), 200, r#"{"ok":false,"code":12}"#, "failure", Some("bad-password"));
    check(rules(), 403, "", "failure", Some("refused"));
    check(rules(), 200, "under maintenance", "unknown", Some("maintenance"));
    check(rules(), 200, "hello", "success", None);
    check(rules(), 302, "", "unknown", Some("redirect"));
}

#[test]
fn a_reason_from_the_answer_is_protected() {
    let rules = vec![OutcomeSpec {
        reason: None,
        reason_from: Some("response.json.error".to_owned()),
        ..rule("has(response.json.error)", OutcomeResult::Failure, "")
    }];
    check(rules.clone(), 200, r#"{"error":"locked"}"#, "failure", Some("locked"));
    let (_, event) = outcome(rules, 200, r#"{"error":"no such user kim@example.com"}"#);
    assert!(!event.outcome_reason.unwrap().contains("kim@"));
}

#[test]
fn an_expression_that_fails_is_counted_and_holds_not() {
    let rules = vec![rule("response.json.a.b.c == 1", OutcomeResult::Failure, "x")];
    let (site, event) = outcome(rules, 200, "{}");
    assert_eq!(
        (event.outcome.as_deref(), event.outcome_object.as_deref()),
        (Some("success"), Some("A7"))
    );
    assert_eq!(site.expression_errors(), 1);
}

#[test]
fn mistakes_in_expressions_are_told_with_their_place() {
    let long = format!("response.status == 1 || {}", "true || ".repeat(200));
    let loops = "request.json.all(x, request.json.all(y, x == y))";
    for bad in ["response.status ==", "respons.status == 200", long.as_str(), loops] {
        let spec = SiteSpec {
            routes: vec![RouteSpec {
                pattern: "/x".to_owned(),
                outcome: vec![rule(bad, OutcomeResult::Success, "x")],
                ..RouteSpec::default()
            }],
            ..SiteSpec::default()
        };
        let wrong = Site::compile("shop", &spec).err().expect(bad);
        assert_eq!(wrong[0].code, "outcome-expression");
        assert_eq!(wrong[0].place, "sites.shop.routes[0].outcome[0].when");
    }
}

#[test]
fn tokens_are_found_in_answers_and_streams() {
    assert_eq!(
        usage(r#"{"usage":{"prompt_tokens":12,"completion_tokens":30,"x":{"y":1}}}"#),
        (Some(12), Some(30))
    );
    let stream = "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\ndata: [DONE]\n";
    assert_eq!(usage(stream), (Some(5), Some(9)));
    let anthropic = "data: {\"message\":{\"usage\":{\"input_tokens\":7}}}\ndata: {\"usage\":{\"output_tokens\":3}}\n";
    assert_eq!(usage(anthropic), (Some(7), Some(3)));
    assert_eq!(usage("\"usage\": how to"), (None, None));
}
