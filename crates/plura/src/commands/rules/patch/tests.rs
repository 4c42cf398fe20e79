use super::*;
use inspect::{Disk, Inspector, Record, Rules, Settings};
use schema::{Event, class};
use std::sync::Arc;

const DAY: i64 = 24 * 60 * 60 * 1000;
const MADE: i64 = 1_767_225_600_000;

fn patch(path: &str, part: Part, demand: Demand) -> Patch {
    Patch {
        id: None,
        host: Some("shop.example".to_owned()),
        path: path.to_owned(),
        method: None,
        part,
        demand,
        reason: "the search joins its parameter into SQL".to_owned(),
        references: vec!["CVE-2026-12345".to_owned()],
        made: MADE,
        expires: MADE + 30 * DAY,
    }
}

fn loaded(patch: &Patch) -> Inspector {
    let text = patch.seclang().unwrap();
    let disk = Disk { texts: vec![("patch.conf".to_owned(), text.clone())] };
    match Rules::load("patch", &disk, &["patch.conf"], true) {
        Ok(rules) => {
            assert!(rules.engine.rules().rule(patch.id()).is_some(), "{text}");
            Inspector::new(Arc::new(rules), &Settings::default())
        }
        Err(faults) => panic!("{text}\n{faults:?}"),
    }
}

fn get(target: &str) -> Event {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    Event {
        class_uid: class::HTTP_ACTIVITY,
        time: MADE + DAY,
        method: Some("GET".to_owned()),
        host: Some("shop.example".to_owned()),
        path: Some(path.to_owned()),
        query: query.map(str::to_owned),
        ..Event::default()
    }
}

fn post(path: &str, kind: &str, body: &str) -> Event {
    Event {
        method: Some("POST".to_owned()),
        request_content_type: Some(kind.to_owned()),
        request_body: Some(body.to_owned()),
        ..get(path)
    }
}

/// Whether the patch would have blocked it, and it was the patch.
fn refuses(inspector: &Inspector, event: &Event) -> bool {
    let outcome = inspector.inspect(&Record::of(event).unwrap());
    outcome.decided.is_some_and(|(rule, _)| IDS.contains(&rule))
}

#[test]
fn a_patch_refuses_the_exploit_lets_the_ordinary_request_pass_and_ends_by_itself() {
    let parameter = || Part::Parameter("q".to_owned());
    let rule = loaded(&patch("/search", parameter(), Demand::Shape(Shape::Word, Some(20))));
    let exploit = get("/search?q=1%27%20OR%201%3D1--");
    assert!(refuses(&rule, &exploit));
    assert!(!refuses(&rule, &get("/search?q=shoes")));
    assert!(!refuses(&rule, &get("/search?other=1%27")));
    assert!(!refuses(&rule, &get("/about?q=1%27%20OR%201%3D1--")));
    let elsewhere = Event { host: Some("docs.example".to_owned()), ..exploit.clone() };
    assert!(!refuses(&rule, &elsewhere));
    // The last second it holds, and the first it does not.
    let at = |time| Event { time, ..exploit.clone() };
    assert!(refuses(&rule, &at(MADE + 30 * DAY - 1_000)));
    assert!(!refuses(&rule, &at(MADE + 30 * DAY)));
}

#[test]
fn the_same_place_in_another_spelling_is_the_same_place() {
    let rule = loaded(&patch(
        "/search",
        Part::Parameter("q".to_owned()),
        Demand::Shape(Shape::Digits, None),
    ));
    for path in [
        "/search",
        "//search",
        "/x/../search",
        "/%73earch",
        "/%2573earch",
        "/search/",
        "/search;v=1",
        "/./search",
    ] {
        assert!(refuses(&rule, &get(&format!("{path}?q=x"))), "{path}");
        assert!(!refuses(&rule, &get(&format!("{path}?q=7"))), "{path}");
    }
    for path in ["/searches", "/search/more", "/v2/search"] {
        assert!(!refuses(&rule, &get(&format!("{path}?q=x"))), "{path}");
    }
    // A second parameter of the name, and a second line, hide nothing.
    assert!(refuses(&rule, &get("/search?q=7&q=x")));
    assert!(refuses(&rule, &get("/search?q=7%0a%3Cscript%3E")));
    assert!(refuses(&rule, &get("/search?q=7%0a")));
}

#[test]
fn templates_and_folders_are_places() {
    let part = || Part::Parameter("q".to_owned());
    let order = loaded(&patch("/orders/{id}/pay", part(), Demand::Shape(Shape::Digits, None)));
    assert!(refuses(&order, &get("/orders/17/pay?q=x")));
    assert!(!refuses(&order, &get("/orders/17/refund?q=x")));
    assert!(!refuses(&order, &get("/orders/pay?q=x")));
    let folder = loaded(&patch("/api/*", part(), Demand::Shape(Shape::Digits, None)));
    assert!(refuses(&folder, &get("/api?q=x")) && refuses(&folder, &get("/api/v1/a?q=x")));
    assert!(!refuses(&folder, &get("/apis?q=x")));
    let root = loaded(&patch("/*", part(), Demand::Shape(Shape::Digits, None)));
    assert!(refuses(&root, &get("/?q=x")) && refuses(&root, &get("/a/b?q=x")));
}

#[test]
fn fields_of_a_body_are_parts() {
    let rule = loaded(&Patch {
        method: Some("post".to_owned()),
        ..patch("/orders", Part::Field("items.*.id".to_owned()), Demand::Shape(Shape::Uuid, None))
    });
    let order = |id: &str| {
        let body = format!(
            r#"{{"items":[{{"id":"b0a1c2d3-0000-4000-8000-000000000000"}},{{"id":"{id}"}}]}}"#
        );
        post("/orders", "application/json", &body)
    };
    assert!(refuses(&rule, &order("1;drop table orders")));
    assert!(!refuses(&rule, &order("b0a1c2d3-0000-4000-8000-00000000000f")));
    let put = Event { method: Some("PUT".to_owned()), ..order("1;drop table orders") };
    assert!(!refuses(&rule, &put));
    let form =
        loaded(&patch("/login", Part::Parameter("user[name]".to_owned()), Demand::Length(5)));
    let kind = "application/x-www-form-urlencoded";
    assert!(refuses(&form, &post("/login", kind, "user[name]=kimkim&x=1")));
    assert!(!refuses(&form, &post("/login", kind, "user[name]=kim&x=aaaaaaaaaa")));
}

#[test]
fn each_demand_has_what_it_refuses_and_what_it_lets_pass() {
    for (demand, refused, passed) in [
        (Demand::Shape(Shape::Number, None), "1e9", "-1.5"),
        (Demand::Shape(Shape::Hex, Some(4)), "abcde", "abcd"),
        (Demand::Shape(Shape::Date, None), "2026-1-1", "2026-11-22"),
        (Demand::Shape(Shape::Boolean, None), "truefalse", "true"),
        (Demand::Shape(Shape::Email, None), "kim@", "kim@shop.example"),
        (Demand::Only(r#"[a-z"]+%{1,2}"#.to_owned()), "a%25%25%25", "a\"%25"),
        (Demand::OneOf(vec!["a.b".to_owned(), "c|d".to_owned()]), "axb", "c%7Cd"),
        (Demand::Not(r"\$\{jndi:".to_owned()), "%24%7Bjndi:ldap", "jndi"),
        (Demand::NotSql, "1%27%20UNION%20SELECT%20a%20FROM%20b--", "union"),
        (Demand::NotHtml, "%3Cscript%3Ealert(1)%3C/script%3E", "script"),
    ] {
        let rule = loaded(&patch("/a", Part::Parameter("q".to_owned()), demand.clone()));
        assert!(refuses(&rule, &get(&format!("/a?q={refused}"))), "{demand:?} {refused}");
        assert!(!refuses(&rule, &get(&format!("/a?q={passed}"))), "{demand:?} {passed}");
    }
    let gone = loaded(&patch("/debug/*", Part::Whole, Demand::Nothing));
    assert!(refuses(&gone, &get("/debug/vars")) && !refuses(&gone, &get("/")));
    let cookie =
        loaded(&patch("/*", Part::Cookie("theme".to_owned()), Demand::Shape(Shape::Word, None)));
    let with = |cookie: &str| Event {
        request_headers: Some(serde_json::json!([{"name": "cookie", "value": cookie}])),
        ..get("/")
    };
    assert!(
        refuses(&cookie, &with("a=b; theme=dark'")) && !refuses(&cookie, &with("a='; theme=dark"))
    );
}

#[test]
fn what_no_rule_can_say_is_refused_with_a_hint() {
    let part = || Part::Parameter("q".to_owned());
    let digits = || Demand::Shape(Shape::Digits, None);
    let fine = patch("/a", part(), digits());
    for wrong in [
        Patch { id: Some(942_100), ..fine.clone() },
        Patch { host: Some("shop.example\"".to_owned()), ..fine.clone() },
        Patch { path: "a".to_owned(), ..fine.clone() },
        Patch { path: "/a?b".to_owned(), ..fine.clone() },
        Patch { path: "/a/*/b".to_owned(), ..fine.clone() },
        Patch { method: Some("GET \"".to_owned()), ..fine.clone() },
        Patch { part: Part::Whole, ..fine.clone() },
        Patch { part: Part::Parameter("a\nb".to_owned()), ..fine.clone() },
        Patch { demand: Demand::Shape(Shape::Uuid, Some(9)), ..fine.clone() },
        Patch { demand: Demand::Shape(Shape::Digits, Some(0)), ..fine.clone() },
        Patch { demand: Demand::Only("a\nSecRuleEngine Off".to_owned()), ..fine.clone() },
        Patch { reason: "',pass,msg:'x".to_owned(), ..fine.clone() },
        Patch { references: vec!["a\nb".to_owned()], ..fine.clone() },
    ] {
        let fault = wrong.seclang().unwrap_err();
        assert!(!fault.hint.is_empty() && !fault.message.is_empty(), "{fault:?}");
    }
    // A name that looks like more than one stays one.
    let odd = loaded(&patch("/a", Part::Parameter("a|b, c'd e".to_owned()), digits()));
    assert!(refuses(&odd, &get("/a?a%7Cb%2C%20c%27d%20e=x")));
    assert!(!refuses(&odd, &get("/a?a=x&b=x")));
}

#[test]
fn a_patch_has_the_same_id_wherever_it_is_made() {
    let one = patch("/search", Part::Parameter("q".to_owned()), Demand::Nothing);
    let again = Patch { demand: Demand::Length(7), made: 0, ..one.clone() };
    assert_eq!(one.id(), again.id());
    assert!((40_000..=99_999).contains(&one.id()));
    assert_ne!(one.id(), Patch { path: "/searches".to_owned(), ..one.clone() }.id());
}
