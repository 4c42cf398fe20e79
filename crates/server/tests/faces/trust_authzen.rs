//! The trust engine's face to enforcement points: the AuthZEN certification scenario over HTTP
//! (`openid/authzen`, certification/authorization-api-1_0-scenario.md), and hostile input.

use crate::common::{Answer, As, House};
use serde_json::{Value, json};
use server::rights::Scope;

/// The scenario's §1 as a site: who may do what, by name and by properties.
const FIXTURE: &str = r#"
grants:
  - {subjects: [alice, bob], actions: [read], resources: ["record:record-1", "record:record-2"]}
  - {subjects: [alice], actions: [write], resources: ["record:record-1", "record:record-2"], unless: {resource: {status: archived}}}
  - {subjects: [alice], actions: [delete], resources: ["record:record-1"], when: {action: {soft: true}}}
  - {subjects: [bob], actions: [write], resources: ["record:*"], when: {resource: {status: archived}, subject: {role: admin}}}
  - {subjects: [bob], actions: [write], resources: ["record:record-2"], when: {resource: {status: archived}}}
"#;

async fn house() -> (House, As, As) {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let body = json!({ "text": FIXTURE, "reason": "certification" });
    house.call("PUT", "/api/v1/trust/site", &session, Some(body)).await.ok();
    let pep = house.token("default", owner, &[Scope::Decide]);
    (house, session, pep)
}

fn asks(subject: &str, action: &str, resource: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": subject },
        "action": { "name": action },
        "resource": { "type": "record", "id": resource },
    })
}

fn with(mut asked: Value, part: &str, properties: Value) -> Value {
    asked[part]["properties"] = properties;
    asked
}

fn decided(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()["decision"].as_bool().unwrap()
}

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

#[tokio::test(flavor = "multi_thread")]
async fn trust_alice_and_bob_eight_decisions() {
    let (house, _, pep) = house().await;
    let archived = json!({ "status": "archived" });
    let cases = [
        (asks("alice", "read", "record-1"), true),
        (asks("alice", "write", "record-1"), true),
        (asks("bob", "read", "record-1"), true),
        (asks("bob", "write", "record-1"), false),
        (with(asks("alice", "write", "record-2"), "resource", archived.clone()), false),
        (
            with(
                with(asks("bob", "write", "record-2"), "resource", archived),
                "subject",
                json!({ "role": "admin" }),
            ),
            true,
        ),
        (with(asks("alice", "delete", "record-1"), "action", json!({ "soft": true })), true),
        (with(asks("alice", "delete", "record-1"), "action", json!({ "soft": false })), false),
    ];
    for (rule, (asked, decision)) in cases.into_iter().enumerate() {
        let answer = house.post(EVALUATION, &pep, asked.clone()).await;
        assert_eq!(decided(&answer), decision, "rule {}: {}", rule + 1, answer.json());
        // §2.2.3 and §2.6: context changes nothing, and the same question has the same answer.
        let mut again = asked;
        again["context"] = json!({ "time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1" });
        let again = house.post(EVALUATION, &pep, again).await;
        assert_eq!(decided(&again), decision);
        assert_eq!(again.json()["context"]["notes"], json!(["context-time-skewed"]));
    }
    // §2.2.8, §2.2.9
    let mut odd =
        with(asks("alice", "read", "record-1"), "subject", json!({ "department": "Sales" }));
    odd["foo"] = json!("bar");
    odd["futureField"] = json!({ "nested": true });
    assert!(decided(&house.post(EVALUATION, &pep, odd).await));
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_errors_headers_and_discovery() {
    let (house, _, pep) = house().await;
    let whole = asks("alice", "read", "record-1");
    for (part, field) in [
        ("subject", None),
        ("action", None),
        ("resource", None),
        ("subject", Some("type")),
        ("subject", Some("id")),
        ("action", Some("name")),
        ("resource", Some("type")),
        ("resource", Some("id")),
    ] {
        let mut asked = whole.clone();
        match field {
            None => asked.as_object_mut().unwrap().remove(part),
            Some(field) => asked[part].as_object_mut().unwrap().remove(field),
        };
        let answer = house.post(EVALUATION, &pep, asked).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "evaluation-invalid"));
    }
    let json_media = ("content-type", "application/json");
    let body = whole.to_string().into_bytes();
    for (headers, body, status) in [
        (vec![("content-type", "text/plain")], body.clone(), 400),
        (vec![], body.clone(), 400),
        (vec![json_media], b"{".to_vec(), 400),
        (vec![json_media], Vec::new(), 400),
        (vec![("content-type", "application/json; charset=utf-8")], body.clone(), 200),
    ] {
        let answer = house.send("POST", EVALUATION, &pep, &headers, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let headers = [json_media, ("x-request-id", "bfe9eb29-ab87-4ca3-be83")];
    for (who, status) in [(&pep, 200), (&As::Nobody, 401)] {
        let answer = house.send("POST", EVALUATION, who, &headers, body.clone()).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["x-request-id"], "bfe9eb29-ab87-4ca3-be83");
    }
    let found = house.get("/.well-known/authzen-configuration", &As::Nobody).await.ok().json();
    let base = format!("https://localhost:{}", house.server.address.port());
    assert_eq!(found["policy_decision_point"], json!(base));
    assert_eq!(found["access_evaluation_endpoint"], json!(format!("{base}{EVALUATION}")));
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_batches() {
    let (house, _, pep) = house().await;
    let decisions = |answer: Answer| -> Vec<bool> {
        let answer = answer.ok().json();
        let all = answer["evaluations"].as_array().unwrap_or_else(|| panic!("{answer}"));
        all.iter().map(|one| one["decision"].as_bool().unwrap()).collect()
    };
    let resource = |id: &str, status: &str| json!({ "resource": { "type": "record", "id": id, "properties": { "status": status } } });
    let alice = json!({ "type": "user", "id": "alice" });
    // §3.2.3 and §3.2.7: each its own properties; what is missing comes from the defaults.
    let batch = json!({
        "subject": alice, "action": { "name": "write" }, "resource": { "type": "record" },
        "evaluations": [
            { "resource": { "id": "record-1", "properties": { "status": "active" } } },
            resource("record-2", "archived"),
        ],
    });
    assert_eq!(decisions(house.post(EVALUATIONS, &pep, batch.clone()).await), [true, false]);
    // §3.2.4: subjects with properties of their own.
    let subjects = json!({
        "action": { "name": "write" }, "resource": resource("record-2", "archived")["resource"],
        "evaluations": [
            { "subject": alice },
            { "subject": { "type": "user", "id": "bob", "properties": { "role": "admin" } } },
        ],
    });
    assert_eq!(decisions(house.post(EVALUATIONS, &pep, subjects).await), [false, true]);
    // Three ways through the same questions: true, false, true.
    let mut three = batch;
    three["evaluations"].as_array_mut().unwrap().push(resource("record-1", "active"));
    for (semantic, expected) in [
        ("execute_all", &[true, false, true][..]),
        ("deny_on_first_deny", &[true, false]),
        ("permit_on_first_permit", &[true]),
    ] {
        three["options"] = json!({ "evaluations_semantic": semantic, "other": 1 });
        let answer = house.post(EVALUATIONS, &pep, three.clone()).await;
        assert_eq!(decisions(answer), expected, "{semantic}");
    }
    three["options"] = json!({ "evaluations_semantic": "allow_all" });
    assert_eq!(house.post(EVALUATIONS, &pep, three).await.status, 400);
    // §3.4.1: one that is incomplete is a refusal of its own.
    let broken = json!({
        "subject": alice, "action": { "name": "read" },
        "evaluations": [{ "resource": { "type": "record", "id": "record-1" } }, {}],
    });
    let answer = house.post(EVALUATIONS, &pep, broken).await.ok().json();
    assert_eq!(answer["evaluations"][0]["decision"], true);
    assert_eq!(answer["evaluations"][1]["decision"], false);
    assert_eq!(answer["evaluations"][1]["context"]["error"]["status"], 400);
    // §3.4.2, §3.4.3: without questions it is a single one.
    for rest in [json!(null), json!([])] {
        let mut single = asks("alice", "read", "record-1");
        if rest.is_array() {
            single["evaluations"] = rest;
        }
        assert!(decided(&house.post(EVALUATIONS, &pep, single).await));
    }
    let many: Vec<Value> = (0..501).map(|_| json!({})).collect();
    let answer = house.post(EVALUATIONS, &pep, json!({ "evaluations": many })).await;
    assert_eq!(answer.code(), "too-many-evaluations");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_searches() {
    let (house, _, pep) = house().await;
    let search = async |what: &str, body: Value| -> Vec<String> {
        let answer = house.post(&format!("/access/v1/search/{what}"), &pep, body).await.ok().json();
        let results = answer["results"].as_array().unwrap().iter();
        let key = if what == "action" { "name" } else { "id" };
        results.map(|result| result[key].as_str().unwrap().to_owned()).collect()
    };
    let (user, record) = (json!({ "type": "user" }), json!({ "type": "record", "id": "record-1" }));
    let read = json!({ "name": "read" });
    let who = json!({ "subject": user, "action": read, "resource": record });
    assert_eq!(search("subject", who.clone()).await, ["alice", "bob"]);
    let archived =
        json!({ "type": "record", "id": "record-2", "properties": { "status": "archived" } });
    let writers = json!({ "subject": user, "action": { "name": "write" }, "resource": archived });
    assert_eq!(search("subject", writers).await, ["bob"]);
    let what = json!({ "subject": { "type": "user", "id": "alice" }, "action": read, "resource": { "type": "record" } });
    assert_eq!(search("resource", what).await, ["record-1", "record-2"]);
    let deeds = json!({ "subject": { "type": "user", "id": "alice" }, "resource": record });
    assert_eq!(search("action", deeds).await, ["read", "write"]);
    let nobody = json!({ "subject": { "type": "user", "id": "nobody" }, "resource": record });
    assert!(search("action", nobody).await.is_empty());
    let ships = json!({ "subject": { "type": "spaceship" }, "action": read, "resource": record });
    assert!(search("subject", ships).await.is_empty());
    // Page by page.
    let mut paged = who;
    paged["page"] = json!({ "limit": 1 });
    let first = house.post("/access/v1/search/subject", &pep, paged.clone()).await.ok().json();
    assert_eq!(first["results"][0]["id"], "alice");
    paged["page"] = json!({ "token": first["page"]["next_token"] });
    let second = house.post("/access/v1/search/subject", &pep, paged).await.ok().json();
    assert_eq!(second["results"], json!([{ "type": "user", "id": "bob" }]));
    assert_eq!(second["page"]["next_token"], "");
    for (what, body) in [
        ("subject", json!({ "subject": user, "resource": record })),
        ("subject", json!({ "subject": user, "action": read, "resource": { "type": "record" } })),
        ("resource", json!({ "action": read, "resource": { "type": "record" } })),
        ("resource", json!({ "subject": user, "action": read, "resource": { "type": "record" } })),
        ("action", json!({ "subject": { "type": "user", "id": "alice" } })),
    ] {
        let answer = house.post(&format!("/access/v1/search/{what}"), &pep, body.clone()).await;
        assert_eq!(answer.status, 400, "{what} {body}");
    }
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_hostile_input_is_refused_with_a_problem_and_never_allowed() {
    let (house, _, pep) = house().await;
    let media = [("content-type", "application/json")];
    let asked = asks("alice", "read", "record-1");
    let (whole, subject) = (asked.to_string(), asked["subject"].to_string());
    let signals = |text: &str| {
        whole.replacen('{', &format!(r#"{{"context":{{"signals":{text}}},"#), 1).into_bytes()
    };
    let long = "x".repeat(5_000);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let many: String = (0..200).map(|n| format!(r#""s{n}":true,"#)).collect();
    for (name, body) in [
        ("NaN", signals(r#"{"failed_attempts_recent":NaN}"#)),
        ("infinite", signals(r#"{"failed_attempts_recent":1e999}"#)),
        ("too large", signals(r#"{"failed_attempts_recent":99999999999999999999}"#)),
        ("beyond its range", signals(r#"{"failed_attempts_recent":-5}"#)),
        ("a fraction", signals(r#"{"failed_attempts_recent":0.5}"#)),
        ("wrong type", signals(r#"{"mfa_result":true}"#)),
        ("not in the enum", signals(r#"{"mfa_result":"yes"}"#)),
        ("unknown signal", signals(r#"{"mfa_reslt":"success"}"#)),
        ("null", signals(r#"{"mfa_result":null}"#)),
        ("twice", signals(r#"{"mfa_result":"fail","mfa_result":"success"}"#)),
        ("long signal", signals(&format!(r#"{{"locale_lang":"{long}"}}"#))),
        ("many signals", signals(&format!("{{{many}\"last\":true}}"))),
        ("signals as a list", signals("[]")),
        ("control characters", whole.replace("alice", "ali\\u0000ce").into_bytes()),
        ("long id", whole.replace("alice", &long).into_bytes()),
        (
            "subject twice",
            whole.replacen('{', r#"{"subject":{"type":"user","id":"eve"},"#, 1).into_bytes(),
        ),
        ("subject as a list", whole.replace(&subject, r#"["user","alice"]"#).into_bytes()),
        ("deep", whole.replacen('{', &format!(r#"{{"context":{deep},"#), 1).into_bytes()),
        ("not UTF-8", [whole.as_bytes(), &[0xff]].concat()),
        ("two bodies", whole.repeat(2).into_bytes()),
    ] {
        let answer = house.send("POST", EVALUATION, &pep, &media, body).await;
        assert_eq!(answer.status, 400, "{name}: {}", String::from_utf8_lossy(&answer.bytes));
        answer.code();
        let problem = answer.json();
        assert!(problem["hint"].is_string() && problem["decision"].is_null(), "{name}: {problem}");
    }
    let huge = signals(&format!(r#"{{"locale_lang":"{}"}}"#, "x".repeat(10 << 20)));
    let answer = house.send("POST", EVALUATION, &pep, &media, huge).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body-too-large"));

    // A clock that is off or unreadable is noted, and ours judges.
    let mut odd = asks("bob", "write", "record-1");
    odd["context"] = json!({ "time": "yesterday" });
    let answer = house.post(EVALUATION, &pep, odd).await.ok().json();
    assert_eq!(answer["context"]["notes"], json!(["context-time-unreadable"]));
    let mut skewed = asks("bob", "write", "record-1");
    skewed["context"] = json!({ "time": "2019-01-01T00:00:00Z" });
    let answer = house.post(EVALUATION, &pep, skewed).await.ok().json();
    assert_eq!(answer["decision"], false);
    assert_eq!(answer["context"]["notes"], json!(["context-time-skewed"]));
    house.server.shutdown().await;
}

const WHAT_IF: &str = "/api/v1/trust/what-if";
const CHECK: &str = "/api/v1/trust/policy/check";
const COMPARE: &str = "/api/v1/trust/policy/compare";

#[tokio::test(flavor = "multi_thread")]
async fn trust_is_tried_without_anything_coming_of_it() {
    let (house, people, pep) = house().await;
    let signals = json!({ "mfa_result": "success" });
    let nothing = house.post(WHAT_IF, &people, json!({ "signals": {} })).await.ok().json();
    let good = house.post(WHAT_IF, &people, json!({ "signals": signals })).await.ok().json();
    let bad = json!({ "signals": { "mfa_result": "fail" } });
    let bad = house.post(WHAT_IF, &people, bad).await.ok().json();
    let score = |answer: &Value| answer["decision"]["score"].as_f64().unwrap();
    assert!(score(&bad) < score(&good), "{bad} {good}");
    assert_eq!(nothing["signals"]["mfa_result"]["kind"], "one-of", "{nothing}");
    for language in ["en", "ko", "ja"] {
        let sentences = nothing["sentences"][language].as_array().unwrap();
        assert_eq!(sentences.len(), nothing["decision"]["reasons"].as_array().unwrap().len());
    }
    let unknown = json!({ "signals": { "moon_phase": "full" } });
    let refused = house.post(WHAT_IF, &people, unknown).await;
    assert_eq!(refused.code(), "signals-invalid");
    assert!(refused.json()["diagnostics"][0]["message"].as_str().unwrap().contains("moon_phase"));
    let profile = json!({ "signals": {}, "profile": "mild" });
    assert_eq!(house.post(WHAT_IF, &people, profile).await.code(), "profile-unknown");
    assert_eq!(house.post(WHAT_IF, &pep, json!({ "signals": {} })).await.code(), "forbidden");

    // A policy before it is used: faults with their places, cases, and what it would have changed.
    let shipped = house.get("/api/v1/trust/policy", &people).await.ok().json();
    let text = shipped["text"].as_str().unwrap();
    let faulty = house.post(CHECK, &people, json!({ "policy": "meta: [" })).await;
    assert_eq!(faulty.code(), "trust-policy-invalid");
    assert!(
        faulty.json()["diagnostics"][0]["place"].as_str().unwrap().starts_with("trust-policy.yaml")
    );
    let cases = "scenarios:\n- {id: mfa, signals: {identity: {mfa_result: success}}, expected: {trust: [0, 100], decision: [allow]}}\n";
    let body = json!({ "policy": text, "cases": "scenarios: 3" });
    assert_eq!(house.post(CHECK, &people, body).await.code(), "cases-invalid");
    let body = json!({ "policy": text, "cases": cases });
    let checked = house.post(CHECK, &people, body).await.json();
    assert_eq!(checked["unsound"], json!([]), "{checked}");
    assert_eq!((&checked["hash"], &checked["exam"]["total"]), (&shipped["hash"], &1.into()));
    assert_eq!(checked["exam"]["cases"][0]["in_range"], true);

    for asked in [asks("alice", "read", "record-1"), asks("mallory", "read", "record-1")] {
        house.post(EVALUATION, &pep, asked).await.ok();
    }
    let body = json!({ "policy": text });
    let same = house.post(COMPARE, &people, body).await.ok().json();
    let comparison = &same["comparison"];
    assert!(comparison["judged"].as_u64().unwrap() >= 1, "{same}");
    assert_eq!((&comparison["other_score"], &comparison["changes"]), (&0.into(), &json!([])));
    let strict = shipped["profiles"].as_array().unwrap().last().unwrap();
    let body = json!({ "policy": text, "since": "2999-01-01T00:00:00Z", "profile": strict });
    let none = house.post(COMPARE, &people, body).await.ok().json();
    assert_eq!(none["comparison"]["judged"], 0);
    // Nothing came of it.
    assert_eq!(house.get("/api/v1/trust/policy", &people).await.ok().json()["version"], 0);
    house.server.shutdown().await;
}
