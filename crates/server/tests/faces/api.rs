//! The API as a client meets it: decisions, gateways, policies, audit, and errors that say what to do.

use crate::common::{As, House, event, ndjson};
use schema::{
    Action, Entity, EntityKind, Finding, Incident, IncidentStatus, LeafKind, OutcomeResult,
    Severity, TenantId,
};
use serde_json::json;
use server::rights::Scope;
use server::{deeds, handle};
use std::collections::BTreeMap;
use std::time::Instant;
use store::meta::{Change, Role};
use uuid::Uuid;

/// Method, path, headers and body sent; status and code answered.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

fn key() -> Entity {
    Entity::new(EntityKind::Credential, "9f2c")
}

/// What the engines would have written: an incident with a finding and an action in `state`.
pub fn plant(house: &House, tenant: &TenantId, evidence: Vec<Uuid>, state: &str) -> (Uuid, Uuid) {
    let now = handle::now();
    let finding = Finding {
        id: Uuid::now_from(now, 1),
        rule: "api-key-theft".to_owned(),
        rule_version: 1,
        analytic: None,
        time: now,
        first_seen: now,
        last_seen: now,
        severity: Severity::High,
        confidence: 90,
        entities: vec![key()],
        site: None,
        outcome: OutcomeResult::Success,
        outcome_reason: None,
        attack: vec![],
        evidence_total: evidence.len() as u64,
        evidence,
        numbers: BTreeMap::new(),
    };
    let incident = Incident {
        id: Uuid::now_from(now, 2),
        title: finding.rule.clone(),
        opened: now,
        updated: now,
        severity: Severity::High,
        status: IncidentStatus::New,
        findings: vec![finding.id],
        entities: vec![key()],
        sites: vec![],
        story: vec![],
        assignee: None,
        classification: None,
        comments: vec![],
        ticket: None,
        told: vec![],
    };
    let action: Action = serde_json::from_value(json!({
        "id": Uuid::now_from(now, 3), "incident": incident.id, "findings": [finding.id],
        "reason": finding.rule, "policy": "credential-theft", "policy_version": 1, "rung": "block",
        "target": key(), "state": state, "created": now, "expires": now + 3_600_000,
        "approval": { "code": "policy-requires", "deadline": now + 600_000 },
        "history": [{ "time": now, "actor": "policy:credential-theft@1", "state": state, "reason": "policy-requires" }],
    }))
    .unwrap();
    let leaf = |kind, subject, what: &serde_json::Value| {
        deeds::leaf(tenant, kind, "system", subject, what, "planted", now)
    };
    let change = Change {
        leaves: vec![
            leaf(LeafKind::Finding, finding.id, &json!(finding)),
            leaf(LeafKind::Incident, incident.id, &json!(incident)),
            leaf(LeafKind::Decision, action.id, &json!(action)),
        ],
        findings: vec![finding],
        incidents: vec![incident.clone()],
        actions: vec![action.clone()],
        restrictions_changed: true,
    };
    house.server.app.meta.record(tenant, &change).unwrap();
    (incident.id, action.id)
}

trait NowFrom {
    fn now_from(time: i64, number: u8) -> Uuid;
}

impl NowFrom for Uuid {
    fn now_from(time: i64, number: u8) -> Uuid {
        schema::id_from_seed(time, &[number])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_reaches_the_gateway_and_undo_takes_it_back() {
    let house = House::open().await;
    let other = house.tenant("other");
    let (owner, session) = house.owner();
    let home: TenantId = "default".parse().unwrap();
    let mode = json!({ "mode": "enforce", "reason": "test" });
    house.call("PATCH", "/api/v1/tenant", &session, Some(mode)).await.ok();
    let (incident, action) = plant(&house, &home, vec![], "awaiting-approval");
    let gateway = house.token("default", owner, &[Scope::Gateway]);
    let start = house.get("/api/v1/gateway/restrictions", &gateway).await.ok().json();
    assert_eq!(start["restrictions"], json!([]));
    let poll = |after: u64| {
        let path = format!("/api/v1/gateway/restrictions?after={after}&wait=15");
        let (house, gateway) = (&house, &gateway);
        async move {
            let answer = house.get(&path, gateway).await.ok();
            (answer, Instant::now())
        }
    };

    // Nothing newer: the poll ends with 304.
    let version = start["version"].as_u64().unwrap();
    let path = format!("/api/v1/gateway/restrictions?after={version}&wait=0");
    assert_eq!(house.get(&path, &gateway).await.status, 304);

    let decide = |what: &'static str, body: serde_json::Value| {
        let path = format!("/api/v1/actions/{action}/{what}");
        let (house, session) = (&house, &session);
        async move { house.post(&path, session, body).await }
    };
    assert_eq!(decide("approve", json!({ "reason": " " })).await.code(), "reason-missing");
    let (polled, approved) = tokio::join!(poll(version), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        (decide("approve", json!({ "reason": "the key is stolen" })).await, Instant::now())
    });
    let ((polled, woken), (approved, decided)) = (polled, approved);
    assert_eq!(approved.ok().json()["state"], "pending");
    assert!(woken.saturating_duration_since(decided).as_millis() < 1000);
    let restrictions = polled.json();
    assert_eq!(restrictions["restrictions"][0]["target"], "credential:9f2c");
    let version = restrictions["version"].as_u64().unwrap();

    let applied = json!({ "gateway": "gw-1", "version": version });
    house.post("/api/v1/gateway/applied", &gateway, applied).await.ok();
    let shown = house.get(&format!("/api/v1/actions/{action}"), &session).await.ok().json();
    assert_eq!(shown["state"], "active");
    let entity = house.get("/api/v1/entities/credential:9f2c", &session).await.ok().json();
    assert_eq!(entity["restrictions"][0]["rung"], "block");
    assert_eq!(entity["incidents"][0]["id"], json!(incident));

    // Another tenant's gateway and people see none of it.
    let (olga, olga_session) = house.person("olga", &[("other", Role::Owner)]);
    let foreign = house.token(other.as_str(), olga, &[Scope::Gateway]);
    let seen = house.get("/api/v1/gateway/restrictions", &foreign).await.ok().json();
    assert_eq!(seen["restrictions"], json!([]));
    let path = format!("/api/v1/actions/{action}/undo");
    let undo = house.post(&path, &olga_session, json!({ "reason": "mine?" })).await;
    assert_eq!(undo.code(), "not-found");

    decide("undo", json!({ "reason": "the owner called" })).await.ok();
    let (after, _) = poll(version).await;
    assert_eq!(after.json()["restrictions"], json!([]));
    assert_eq!(decide("undo", json!({ "reason": "again" })).await.status, 409);
    let leaves = house.get(&format!("/api/v1/audit?subject={action}"), &session).await.ok().json();
    let kinds: Vec<&str> =
        leaves.as_array().unwrap().iter().map(|e| e["leaf"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["decision", "approval", "action", "undo"]);

    // It was right after all: a new action, with whoever wanted it and why.
    let again =
        decide("reapply", json!({ "reason": "the caller was not the owner" })).await.ok().json();
    assert_ne!(again["id"], json!(action));
    assert_eq!(again["state"], "pending");
    let held = house.get("/api/v1/gateway/restrictions", &gateway).await.ok().json();
    assert_eq!(held["restrictions"][0]["target"], "credential:9f2c");
    assert_eq!(decide("reapply", json!({ "reason": "twice" })).await.code(), "already-in-force");
    let subject = again["id"].as_str().unwrap();
    let leaves = house.get(&format!("/api/v1/audit?subject={subject}"), &session).await.ok().json();
    assert_eq!(leaves[0]["leaf"]["kind"], "decision");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_worked_on_exported_and_verified() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let home: TenantId = "default".parse().unwrap();
    let intake = house.token("default", owner, &[Scope::Intake]);
    let body = ndjson(&[event("gw-1", 1, "alice")]);
    house.send("POST", "/api/v1/intake/events", &intake, &[], body).await.ok();
    let found = house.get("/api/v1/events", &session).await.ok().json();
    let cited = found["items"][0]["metadata"]["uid"].as_str().unwrap().parse().unwrap();
    let (incident, _) = plant(&house, &home, vec![cited], "awaiting-approval");
    let path = format!("/api/v1/incidents/{incident}");

    let change = json!({ "status": "in-progress", "assignee": owner });
    house.call("PATCH", &path, &session, Some(change)).await.ok();
    let unknown = json!({ "assignee": Uuid::nil() });
    assert_eq!(house.call("PATCH", &path, &session, Some(unknown)).await.code(), "not-found");
    let comment = serde_json::to_vec(&json!({ "text": "called the customer" })).unwrap();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k-1")];
    for _ in 0..2 {
        let to = format!("{path}/comments");
        house.send("POST", &to, &session, &headers, comment.clone()).await.ok();
    }
    let view = house.get(&path, &session).await.ok().json();
    assert_eq!(view["incident"]["comments"].as_array().unwrap().len(), 1);
    assert_eq!(view["incident"]["status"], "in-progress");
    assert_eq!(view["findings"].as_array().unwrap().len(), 1);
    let open = house.get("/api/v1/incidents?status=new,in-progress&severity=high", &session).await;
    assert_eq!(open.ok().json()["items"].as_array().unwrap().len(), 1);
    let none = house.get("/api/v1/incidents?status=closed", &session).await.ok().json();
    assert_eq!(none["items"], json!([]));

    let to = format!("{path}/export");
    let package = house.post(&to, &session, json!({ "reason": "for the police" })).await.ok();
    let checkpoint = house.get("/api/v1/audit/checkpoint", &session).await.ok().json();
    let log = checkpoint["verifier"].as_str().unwrap().parse().unwrap();
    let trust = evidence::Trust { log: Some(log), witnesses: vec![] };
    let report = evidence::verify_package(&package.bytes, &trust, &[]).unwrap();
    assert!(report.ok, "{report:?}");
    let mut broken = package.bytes.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    assert!(!evidence::verify_package(&broken, &trust, &[]).unwrap().ok);

    let proof = house.get("/api/v1/audit/0/proof", &session).await.ok().json();
    assert_eq!(proof["leaf"]["reason"], "first-owner");
    assert_eq!(house.get("/api/v1/audit/99999/proof", &session).await.code(), "not-found");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_shown_for_a_reason_and_recorded() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let intake = house.token("default", owner, &[Scope::Intake]);
    let plain = event("gw-1", 1, "alice");
    let mut sealed = event("gw-1", 2, "bob");
    sealed["plura"]["sealed"] =
        json!([{ "place": "request.body#0", "kind": "email", "value": "AAAA" }]);
    let body = ndjson(&[plain, sealed]);
    house.send("POST", "/api/v1/intake/events", &intake, &[], body).await.ok();
    let id = |account: &str| {
        let path = format!("/api/v1/events?entity=account:{account}");
        let (house, session) = (&house, &session);
        async move {
            let found = house.get(&path, session).await.ok().json();
            found["items"][0]["metadata"]["uid"].as_str().unwrap().to_owned()
        }
    };
    let (alice, bob) = (id("alice").await, id("bob").await);
    let reveal = |id: &str, who: &As, reason: &str| {
        let path = format!("/api/v1/events/{id}/reveal");
        let (house, who, body) = (&house, who.clone(), json!({ "reason": reason }));
        async move { house.post(&path, &who, body).await }
    };
    assert_eq!(reveal(&bob, &session, "").await.code(), "reason-missing");
    assert_eq!(reveal(&alice, &session, "look").await.code(), "nothing-sealed");
    assert_eq!(reveal(&bob, &session, "look").await.code(), "tenant-key-missing");
    let (_, analyst) = house.person("ann", &[("default", Role::Analyst)]);
    assert_eq!(reveal(&bob, &analyst, "look").await.code(), "forbidden");

    let keys = house.folder.path().join("data/keys");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join("tenant-default.key"), "07".repeat(32)).unwrap();
    let shown = reveal(&bob, &session, "the customer asked for it").await.ok().json();
    // Sealed under another key than ours: named, not shown.
    assert_eq!(shown["unreadable"], json!(["request.body#0"]));
    let leaves = house.get(&format!("/api/v1/audit?subject={bob}"), &session).await.ok().json();
    assert_eq!(leaves[0]["leaf"]["kind"], "evidence-view");
    assert_eq!(leaves[0]["leaf"]["reason"], "the customer asked for it");
    assert_eq!(leaves[0]["leaf"]["actor"], format!("user:{owner}"));
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_checked_versioned_and_kept() {
    let house = House::open().await;
    let (_, session) = house.owner();
    assert_eq!(house.get("/api/v1/policy", &session).await.code(), "policy-missing");
    let bad = json!({ "text": "policies: [{ id: 3 }]", "reason": "try" });
    let refused = house.call("PUT", "/api/v1/policy", &session, Some(bad)).await;
    assert_eq!(refused.code(), "policy-invalid");
    assert!(
        refused.json()["diagnostics"][0]["place"].as_str().unwrap().starts_with("policy.yaml:")
    );
    let check = json!({ "text": "policies: [{ id: 3 }]" });
    let check = house.post("/api/v1/policy/check", &session, check).await.ok().json();
    assert_eq!(check["valid"], false);

    let (_, text) = respond::SHIPPED[0];
    let good = json!({ "text": text, "reason": "start" });
    for _ in 0..2 {
        let put = house.call("PUT", "/api/v1/policy", &session, Some(good.clone())).await.ok();
        assert_eq!(put.json()["version"], 1);
    }
    let changed = json!({ "text": format!("{text}\n# changed\n"), "reason": "a note" });
    house.call("PUT", "/api/v1/policy", &session, Some(changed)).await.ok();
    let history = house.get("/api/v1/policy/versions", &session).await.ok().json();
    let versions: Vec<&serde_json::Value> =
        history.as_array().unwrap().iter().map(|p| &p["version"]).collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(
        house.get("/api/v1/policy/versions/1", &session).await.ok().json()["reason"],
        "start"
    );
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_with_a_code_and_a_hint() {
    let house = House::open().await;
    let (_, session) = house.owner();
    let json_type = ("content-type", "application/json");
    let cases: [Case<'_>; 12] = [
        ("GET", "/api/v1/nothing", &[], b"", 404, "no-such-route"),
        ("POST", "/", &[], b"", 404, "no-such-route"),
        ("DELETE", "/api/v1/incidents", &[], b"", 405, "method-not-allowed"),
        (
            "POST",
            "/api/v1/query",
            &[("content-type", "text/plain")],
            b"x",
            415,
            "media-type-unsupported",
        ),
        ("POST", "/api/v1/query", &[json_type], b"{\"sql\": ", 400, "body-invalid"),
        ("POST", "/api/v1/query", &[json_type], b"{\"sqll\": \"x\"}", 400, "body-invalid"),
        ("GET", "/api/v1/incidents?limit=0", &[], b"", 400, "limit-invalid"),
        ("GET", "/api/v1/incidents?colour=red", &[], b"", 400, "query-invalid"),
        ("GET", "/api/v1/incidents?status=odd", &[], b"", 400, "query-invalid"),
        ("GET", "/api/v1/incidents?after=xyz", &[], b"", 400, "cursor-invalid"),
        ("GET", "/api/v1/incidents/not-an-id", &[], b"", 400, "path-invalid"),
        ("GET", "/api/v1/events?since=yesterday", &[], b"", 400, "time-invalid"),
    ];
    for (method, path, headers, body, status, code) in cases {
        let answer = house.send(method, path, &session, headers, body.to_vec()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let sql = json!({ "sql": "select\n  nothing from events" });
    let problem = house.post("/api/v1/query", &session, sql).await;
    assert_eq!(problem.status, 400);
    assert!(!problem.json()["hint"].as_str().unwrap().is_empty());
    let large = json!({ "sql": "x".repeat(2 << 20) });
    assert_eq!(house.post("/api/v1/query", &session, large).await.code(), "body-too-large");
    let wrong = house.send("DELETE", "/api/v1/incidents", &session, &[], vec![]).await;
    assert_eq!(wrong.headers["allow"], "GET");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_are_counted_once_and_shown() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let gateway = house.token("default", owner, &[Scope::Gateway]);
    let loss =
        json!({ "gateway": "gw-1", "dropped": 7, "since": 1, "until": 2, "reason": "spool-full" });
    for counted in [true, false] {
        let answer = house.post("/api/v1/gateway/loss", &gateway, loss.clone()).await.ok().json();
        assert_eq!(answer["counted"], counted);
    }
    let health = house.get("/api/v1/health", &session).await.ok().json();
    assert_eq!((&health["dropped"], &health["gateways"][0]["dropped"]), (&json!(7), &json!(7)));
    house.get("/readyz", &As::Nobody).await.ok();
    let metrics = house.get("/metrics", &As::Nobody).await.ok();
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    assert!(metrics.contains("plura_events_dropped_total{tenant=\"default\"} 7"), "{metrics}");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_reach_the_ledger_exactly_once_whatever_the_crash() {
    let house = House::open().await;
    let (_, session) = house.owner();
    let size = house.get("/api/v1/audit/checkpoint", &session).await.ok().json()["size"].as_u64();
    let House { folder, server, .. } = house;
    let meta = server.app.meta.clone();
    let home: TenantId = "default".parse().unwrap();
    server.shutdown().await;

    // Killed after the ledger took three leaves and before the metadata knew.
    let leaf = |n: i64| {
        deeds::leaf(&home, LeafKind::ConfigChange, "system", Uuid::nil(), &n, "crash-test", n)
    };
    let leaves: Vec<schema::Leaf> = (0..5).map(leaf).collect();
    meta.write(|tx| tx.attest(&leaves)).unwrap();
    let data = folder.path().join("data");
    let key = evidence::SigningKey::load(&data.join("keys/ledger-default.key")).unwrap();
    let mut ledger =
        evidence::Ledger::open(&data.join("ledger/default"), "plura/default", key).unwrap();
    ledger.append(&leaves[..3]).unwrap();
    drop((ledger, meta));

    let house = House::start(folder, crate::common::config(data.parent().unwrap())).await;
    let checkpoint = house.get("/api/v1/audit/checkpoint", &session).await.ok().json();
    assert_eq!(checkpoint["size"].as_u64(), size.map(|size| size + 5));
    let audit = house.get("/api/v1/audit?limit=5", &session).await.ok().json();
    let times: Vec<i64> =
        audit.as_array().unwrap().iter().map(|e| e["leaf"]["time"].as_i64().unwrap()).collect();
    assert_eq!(times, [0, 1, 2, 3, 4]);
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_deletes_whole_days_and_says_so() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let intake = house.token("default", owner, &[Scope::Intake]);
    let body = ndjson(&[event("gw-1", 1, "alice")]);
    house.send("POST", "/api/v1/intake/events", &intake, &[], body).await.ok();
    let change = json!({ "retention": { "class_days": { "4002": 30 } }, "reason": "the contract" });
    house.call("PATCH", "/api/v1/tenant", &session, Some(change)).await.ok();
    let zero = json!({ "retention": { "default_days": 0 }, "reason": "x" });
    let refused = house.call("PATCH", "/api/v1/tenant", &session, Some(zero)).await;
    assert_eq!(refused.code(), "retention-invalid");

    let kept =
        |house: &House| house.server.app.store.tenant_stats(&"default".parse().unwrap()).events;
    server::retention::apply(&house.server.app, handle::now()).await.unwrap();
    assert_eq!(kept(&house), 1);
    // What counts is when it was received, too: a year from now both are long ago.
    let later = handle::now() + 365 * 24 * 3_600_000;
    server::retention::apply(&house.server.app, later).await.unwrap();
    assert_eq!(kept(&house), 0);
    let audit = house.get("/api/v1/audit", &session).await.ok().json();
    let last = audit.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["leaf"]["kind"], "retention-deletion");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_home_as_a_file_and_recorded() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let intake = house.token("default", owner, &[Scope::Intake]);
    let mut events: Vec<_> = (0..3).map(|n| event("app", n, "kim")).collect();
    events.push(event("app", 3, "=1+1"));
    let headers = [("content-type", "application/x-ndjson")];
    house.send("POST", "/api/v1/intake/events", &intake, &headers, ndjson(&events)).await.ok();
    let sql =
        json!({ "sql": "SELECT account, src_ip FROM events ORDER BY account DESC", "rows": 3 });
    let take = async |accept: &str, who: &As| {
        let headers = [("content-type", "application/json"), ("accept", accept)];
        house.send("POST", "/api/v1/query", who, &headers, sql.to_string().into_bytes()).await
    };
    let csv = take("text/csv", &session).await.ok();
    assert_eq!(csv.headers["content-type"], "text/csv");
    assert_eq!(csv.headers["plura-truncated"], "rows");
    assert!(csv.headers["content-disposition"].contains("events.csv"));
    let text = String::from_utf8(csv.bytes).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    let lines = take("application/x-ndjson", &session).await.ok();
    let text = String::from_utf8(lines.bytes).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["account"], "kim");
    let parquet = take("application/vnd.apache.parquet", &session).await.ok();
    assert_eq!(parquet.headers["plura-truncated"], "rows");
    assert_eq!(
        (&parquet.bytes[..4], &parquet.bytes[parquet.bytes.len() - 4..]),
        (&b"PAR1"[..], &b"PAR1"[..])
    );
    let (_, viewer) = house.person("lee", &[("default", Role::Viewer)]);
    assert_eq!(take("text/csv", &viewer).await.code(), "forbidden");
    let bad = json!({ "sql": "SELECT nothing FROM events" }).to_string().into_bytes();
    let headers = [("content-type", "application/json"), ("accept", "text/csv")];
    let refused = house.send("POST", "/api/v1/query", &session, &headers, bad).await;
    assert_eq!(refused.code(), "unknown-column");
    let audit = house.get("/api/v1/audit", &session).await.ok().json();
    let files = audit.as_array().unwrap().iter().filter(|e| e["leaf"]["reason"] == "query-file");
    assert_eq!(files.count(), 3);
    house.server.shutdown().await;
}
