//! Telling others of an incident: who is there, what is sent, and what came of it.

use crate::api::plant;
use crate::common::{As, House, config};
use crate::sigma::start;
use schema::TenantId;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use store::meta::Role;

/// A ticket system: hands on what it was sent.
fn desk() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, log) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            got.send(serde_json::from_slice(&body).unwrap()).unwrap();
            let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
        }
    });
    (port, log)
}

async fn house(port: u16) -> House {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("connectors.yaml");
    let text = format!(
        "egress: [{{ host: 127.0.0.1, internal: true }}]
connectors:
  - name: desk
    ticket:
      request:
        url: 'http://127.0.0.1:{port}/issue'
        body: '{{\"about\": \"{{{{incident.title}}}}{{{{title.en}}}}\", \"who\": \"{{{{incident.entities}}}}\", \"event\": \"{{{{event}}}}\"}}'
  - name: gone
    retry: {{ attempts: 1, base_ms: 1, pause_max_ms: 1 }}
    ticket: {{ request: {{ url: 'http://127.0.0.1:1/issue', body: '{{}}' }} }}
  - name: idp
    identity:
      on: [{{ rung: revoke, target: session }}]
      apply: {{ url: 'http://127.0.0.1:{port}/revoke', body: '{{}}' }}
"
    );
    std::fs::write(&file, text).unwrap();
    let mut config = config(folder.path());
    config.connectors.insert("default".parse().unwrap(), file);
    start(folder, config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_of_and_keeps_what_came_of_it() {
    let (port, log) = desk();
    let house = house(port).await;
    let (_, owner) = house.owner();
    let home: TenantId = "default".parse().unwrap();
    let (incident, _) = plant(&house, &home, vec![], "awaiting-approval");
    let path = format!("/api/v1/incidents/{incident}");

    let listed = house.get("/api/v1/connectors", &owner).await.ok().json();
    assert_eq!(
        listed,
        json!([
            { "name": "desk", "kind": "ticket", "takes_notices": true, "masked": true },
            { "name": "gone", "kind": "ticket", "takes_notices": true, "masked": true },
            { "name": "idp", "kind": "identity", "takes_notices": false, "masked": false },
        ])
    );
    let tell = |connector: &'static str, reason: &'static str| {
        let (house, owner) = (&house, &owner);
        let path = format!("{path}/tell");
        let body = json!({ "connector": connector, "reason": reason });
        async move { house.post(&path, owner, body).await }
    };
    let told = tell("desk", "needs the platform team").await.ok().json();
    assert_eq!(told["told"][0]["connector"], "desk");
    assert_eq!(told["told"][0]["reason"], "needs the platform team");
    assert_eq!((&told["told"][0]["answer"]["status"]), 201);
    assert_eq!(
        log.try_recv().unwrap(),
        json!({ "about": "api-key-theft", "who": "credential:9f2c", "event": "incident.told" })
    );
    // Nobody there: that stands in the incident as well.
    let failed = tell("gone", "again").await.ok().json();
    let answer = &failed["told"][1]["answer"];
    assert_eq!((&answer["tries"], answer["failure"].is_string()), (&1.into(), true), "{answer}");
    assert_eq!(answer.get("status"), None);
    assert_eq!(tell("idp", "no").await.code(), "not-a-notice");
    assert_eq!(tell("nobody", "no").await.status, 404);
    assert_eq!(tell("desk", " ").await.code(), "reason-missing");
    let kept = house.get(&path, &owner).await.ok().json();
    assert_eq!(kept["incident"]["told"].as_array().unwrap().len(), 2, "refusals are not there");

    // The ticket's number is kept by hand, one line, and can be taken away.
    let keep =
        |ticket: Value| house.call("PATCH", &path, &owner, Some(json!({ "ticket": ticket })));
    let is = "https://desk.example/SEC-17";
    assert_eq!(keep(is.into()).await.ok().json()["ticket"], is);
    assert_eq!(keep("two\nlines".into()).await.code(), "ticket-invalid");
    assert_eq!(keep("x".repeat(501).into()).await.code(), "ticket-invalid");
    assert_eq!(house.get(&path, &owner).await.ok().json()["incident"]["ticket"], is);
    assert_eq!(keep(Value::Null).await.ok().json().get("ticket"), None);

    let audit = house.get("/api/v1/audit", &owner).await.ok().json();
    let codes: Vec<&str> =
        audit.as_array().unwrap().iter().map(|e| e["leaf"]["reason"].as_str().unwrap()).collect();
    for code in ["telling", "told", "ticket-changed"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    assert!(log.try_recv().is_err(), "told once");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_tried_by_those_who_set_policy_and_by_no_other_tenant() {
    let (port, log) = desk();
    let house = house(port).await;
    let (_, owner) = house.owner();
    let test = |name: &str, who: &As| {
        let path = format!("/api/v1/connectors/{name}/test");
        let (house, who) = (&house, who.clone());
        async move { house.post(&path, &who, json!({ "reason": "new desk" })).await }
    };
    assert_eq!(test("desk", &owner).await.ok().json()["status"], 201);
    let first = log.try_recv().unwrap();
    assert_eq!(
        (&first["event"], &first["about"]),
        (&json!("connector.test"), &json!("This is a test"))
    );
    assert!(test("gone", &owner).await.ok().json()["failure"].is_string());
    assert_eq!(test("idp", &owner).await.code(), "not-a-notice");

    let (_, analyst) = house.person("ana", &[("default", Role::Analyst)]);
    assert_eq!(house.get("/api/v1/connectors", &analyst).await.status, 200);
    assert_eq!(test("desk", &analyst).await.status, 403);
    let (_, viewer) = house.person("vi", &[("default", Role::Viewer)]);
    assert_eq!(house.get("/api/v1/connectors", &viewer).await.status, 403);

    house.tenant("other");
    let (_, theirs) = house.person("o", &[("other", Role::Owner)]);
    assert_eq!(house.get("/api/v1/connectors", &theirs).await.ok().json(), json!([]));
    assert_eq!(test("desk", &theirs).await.status, 404);
    assert!(log.try_recv().is_err());
    house.server.shutdown().await;
}
