//! Sigma rules in the running server: from a text to a finding, an exception that ends, the ledger.

use crate::common::{As, House, agent, config};
use serde_json::{Value, json};
use server::rights::Scope;
use std::fs;
use std::time::{Duration, Instant};
use store::meta::Role;

const ID: &str = "7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11";

const RULE: &str = "
title: Scanner by its name
id: 7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11
status: stable
author: Kim, for the house
license: DRL-1.1
logsource: {category: webserver}
detection:
  selection: {c-useragent|startswith: sqlmap, sc-status: 200}
  condition: selection
level: high
tags: [attack.reconnaissance, attack.t1595.002]
";

const SPREE: &str = "
title: One visit
id: 11111111-0f0e-4a53-9a35-0d3d2a0b6f11
name: visit
logsource: {category: webserver}
detection:
  selection: {cs-uri-stem: /spree}
  condition: selection
---
title: Spree
id: 22222222-0f0e-4a53-9a35-0d3d2a0b6f11
correlation:
  type: event_count
  rules: [visit]
  group-by: [c-ip]
  timespan: 10m
  condition: {gte: 3}
level: medium
";

async fn house() -> House {
    house_with(|_| {}).await
}

async fn house_with(change: impl FnOnce(&mut server::Config)) -> House {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    change(&mut config);
    start(folder, config).await
}

pub async fn start(folder: tempfile::TempDir, config: server::Config) -> House {
    let data = config.data.clone();
    let began = Instant::now();
    let server = loop {
        match server::start(config.clone(), config.tuning().unwrap()).await {
            Ok(server) => break server,
            // The tenants' workers of a server that was just shut down let go of the store a moment later.
            Err(server::StartError::Store(error))
                if error.code == "store-in-use" && began.elapsed() < Duration::from_secs(10) =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    House { agent: agent(&data), folder, server }
}

struct Desk<'a> {
    house: &'a House,
    people: As,
    intake: As,
    lines: std::cell::Cell<u64>,
}

impl<'a> Desk<'a> {
    fn of(house: &'a House, tenant: &str, name: &str) -> Desk<'a> {
        let (maker, people) = house.person(name, &[(tenant, Role::Owner)]);
        let intake = house.token(tenant, maker, &[Scope::Intake]);
        Desk { house, people, intake, lines: std::cell::Cell::new(0) }
    }

    /// One request as a web server logs it.
    async fn visit(&self, client: &str, path: &str, agent: &str) {
        let number = self.lines.get() + 1;
        self.lines.set(number);
        let time = schema::format_time(server::handle::now());
        let line = json!({
            "time_iso8601": time, "remote_addr": client, "request_method": "GET", "request_uri": path,
            "status": "200", "http_host": "shop.example", "http_user_agent": agent,
        });
        let path = format!(
            "/api/v1/intake/logs?source=web-{number}-{client}&format=json-access&site=shop"
        );
        let body = line.to_string().into_bytes();
        self.house.send("POST", &path, &self.intake, &[], body).await.ok();
    }

    async fn findings(&self, rule: &str) -> Vec<Value> {
        let path = format!("/api/v1/findings?rule={rule}&limit=100");
        let page = self.house.get(&path, &self.people).await.ok().json();
        page["items"].as_array().unwrap().clone()
    }

    /// Findings of the rule with this many events in all, once they are there.
    async fn wait(&self, rule: &str, events: u64) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let found = self.findings(rule).await;
            let total: u64 = found.iter().map(|f| f["evidence_total"].as_u64().unwrap()).sum();
            if total >= events {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{found:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn items(&self, path: &str) -> Vec<Value> {
        let page = self.house.get(path, &self.people).await.ok().json();
        page["items"].as_array().unwrap().clone()
    }

    /// Rung, state and hold of each action on an address.
    async fn actions(&self, client: &str) -> Vec<[String; 3]> {
        let told = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let actions = self.items(&format!("/api/v1/actions?target=address:{client}")).await;
        let mut all: Vec<[String; 3]> = actions
            .iter()
            .map(|a| [told(&a["rung"]), told(&a["state"]), told(&a["approval"]["code"])])
            .collect();
        all.sort();
        all
    }

    /// These actions on an address, once they are there.
    async fn settled(&self, client: &str, wanted: &[[String; 3]]) {
        let began = Instant::now();
        loop {
            let actions = self.actions(client).await;
            if actions == wanted {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{client}: {actions:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Moves a rule to a stage.
    async fn stage(&self, id: &str, stage: &str) -> Value {
        let body = json!({ "stage": stage, "reason": "its findings were looked at" });
        let path = format!("/api/v1/sigma/rules/{id}");
        self.house.call("PUT", &path, &self.people, Some(body)).await.ok().json()
    }

    async fn codes(&self) -> Vec<String> {
        let mut codes = Vec::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            let page = self.house.get("/api/v1/audit?limit=500", &self.people).await.ok().json();
            let items = page.as_array().unwrap();
            codes = items
                .iter()
                .map(|item| item["leaf"]["reason"].as_str().unwrap_or_default().to_owned())
                .collect();
            if codes.iter().any(|code| code == "rule-removed") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        codes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigma_a_rule_lives_from_its_text_to_its_removal() {
    let house = house().await;
    house.tenant("other");
    let home = Desk::of(&house, "default", "kim");
    let other = Desk::of(&house, "other", "lee");

    // What cannot run is told with its place, and not taken.
    let broken = RULE.replace("startswith", "beginswith");
    let answer = house
        .post("/api/v1/sigma/rules", &home.people, json!({ "text": broken, "reason": "r" }))
        .await;
    assert_eq!((answer.status, answer.code()), (400, "rule-invalid".to_owned()));
    assert!(answer.json()["diagnostics"][0]["place"].as_str().unwrap().starts_with("rule.yml:"));
    let check = house
        .post("/api/v1/sigma/rules/check", &home.people, json!({ "text": RULE }))
        .await
        .ok()
        .json();
    assert_eq!((&check["valid"], &check["rules"][0]["served"]), (&json!(true), &json!(true)));

    // Before the rule is there nothing fires; a replay says what it would have found.
    home.visit("198.51.100.1", "/before", "sqlmap/1.8").await;
    let body = json!({ "text": RULE, "reason": "scanners", "enabled": false });
    let made = house.post("/api/v1/sigma/rules", &home.people, body.clone()).await.ok().json();
    assert_eq!(
        (&made["id"], &made["version"], &made["enabled"]),
        (&json!(ID), &json!(1), &json!(false))
    );
    let twice = house.post("/api/v1/sigma/rules", &home.people, body).await;
    assert_eq!((twice.status, twice.code()), (409, "rule-exists".to_owned()));
    let replay = format!("/api/v1/sigma/rules/{ID}/replay");
    let replayed = house.post(&replay, &home.people, json!({})).await.ok().json();
    assert_eq!((&replayed["hits"], &replayed["complete"]), (&json!(1), &json!(true)), "{replayed}");
    assert_eq!(replayed["entities"][0]["entity"], "address:198.51.100.1");

    let rule = format!("/api/v1/sigma/rules/{ID}");
    let on = json!({ "enabled": true, "reason": "replayed" });
    let changed = house.call("PUT", &rule, &home.people, Some(on)).await.ok().json();
    assert_eq!((&changed["version"], &changed["enabled"]), (&json!(2), &json!(true)));

    // The next matching event fires, a near miss and another tenant's do not.
    home.visit("198.51.100.2", "/x", "Mozilla/5.0 sqlmap").await;
    other.visit("198.51.100.3", "/x", "sqlmap/1.8").await;
    home.visit("198.51.100.3", "/x?q=1", "sqlmap/1.8").await;
    let found = home.wait(ID, 1).await;
    assert_eq!(found.len(), 1);
    let finding = &found[0];
    assert_eq!((&finding["severity"], &finding["rule_version"]), (&json!("high"), &json!(2)));
    let analytic = &finding["analytic"];
    assert_eq!(analytic["author"], "Kim, for the house");
    assert_eq!(analytic["title"], "Scanner by its name");
    assert_eq!(analytic["matched"][0]["path"], "http_request.user_agent");
    assert_eq!(finding["attack"][0], json!({ "tactic": "TA0043", "technique": "T1595.002" }));
    assert_eq!(finding["entities"][0], "address:198.51.100.3");
    let incidents = house.get("/api/v1/incidents", &home.people).await.ok().json();
    assert_eq!(incidents["items"][0]["findings"][0], finding["id"]);

    // Who may not read events is not told their values.
    let (_, viewer) = house.person("vic", &[("default", Role::Viewer)]);
    let shown = house.get(&format!("/api/v1/findings?rule={ID}"), &viewer).await.ok().json();
    assert_eq!(shown["items"][0]["analytic"]["matched"][0]["value"], "****");

    // An exception keeps it quiet while it holds, and no longer.
    let until = server::handle::now() + 2_000;
    let exception = json!({
        "rule": ID, "selection": { "cs-uri-stem|startswith": "/x" }, "entity": "address:198.51.100.3",
        "reason": "our own scan", "expires_at": until,
    });
    let exception =
        house.post("/api/v1/sigma/exceptions", &home.people, exception).await.ok().json();
    home.visit("198.51.100.3", "/x?q=2", "sqlmap/1.8").await;
    home.visit("198.51.100.3", "/y", "sqlmap/1.8").await;
    let told = home.wait(ID, 2).await;
    let total: u64 = told.iter().map(|f| f["evidence_total"].as_u64().unwrap()).sum();
    assert_eq!(total, 2, "/x is quiet, /y is told: {told:?}");
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    home.visit("198.51.100.3", "/x?q=3", "sqlmap/1.8").await;
    home.wait(ID, 3).await;
    let gone = house.get("/api/v1/sigma/exceptions?ended=true", &home.people).await.ok().json();
    assert_eq!(gone["items"][0]["id"], exception["id"]);
    assert_eq!(gone["items"][0]["ended"], json!(until));

    // Counted: four hits, one of them suppressed.
    let began = Instant::now();
    let noise = loop {
        let noise = house.get("/api/v1/sigma/noise", &home.people).await.ok().json();
        if noise["rules"][0]["hits"] == 4 || began.elapsed() > Duration::from_secs(10) {
            break noise;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(
        (&noise["rules"][0]["hits"], &noise["rules"][0]["suppressed"]),
        (&json!(4), &json!(1)),
        "{noise}"
    );
    let gone = house.get("/api/v1/sigma/exceptions?ended=true", &home.people).await.ok().json();
    assert_eq!(gone["items"][0]["suppressed"], 1);
    let coverage = house.get("/api/v1/sigma/coverage", &home.people).await.ok().json();
    assert_eq!(coverage["techniques"][0]["technique"], "T1595.002");
    assert_eq!(coverage["techniques"][0]["hits"], 4);

    // Removed, it is quiet; and all of it is in the ledger.
    assert_eq!(house.call("DELETE", &rule, &home.people, None).await.status, 204);
    home.visit("198.51.100.9", "/z", "sqlmap/1.8").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(home.findings(ID).await.iter().all(|f| f["entities"][0] != "address:198.51.100.9"));
    assert_eq!(house.get(&rule, &home.people).await.status, 404);
    let codes = home.codes().await;
    for code in [
        "rule-added",
        "rule-changed",
        "rule-removed",
        "exception-added",
        "exception-expired",
        ID,
        "folded",
    ] {
        assert!(codes.iter().any(|known| known == code), "{code} of {codes:?}");
    }

    // Another tenant has none of it.
    assert_eq!(other.findings(ID).await, Vec::<Value>::new());
    let theirs = house.get("/api/v1/sigma/rules", &other.people).await.ok().json();
    assert_eq!(theirs["total"], 0);
    let theirs = house.get("/api/v1/sigma/exceptions?ended=true", &other.people).await.ok().json();
    assert_eq!(theirs["items"], json!([]));
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigma_a_correlation_groups_and_names_who_it_was() {
    let house = house().await;
    let id = "22222222-0f0e-4a53-9a35-0d3d2a0b6f11";
    let desk = Desk::of(&house, "default", "kim");
    let body = json!({ "text": SPREE, "reason": "r" });
    house.post("/api/v1/sigma/rules", &desk.people, body).await.ok();
    desk.visit("198.51.100.7", "/spree", "a").await;
    desk.visit("198.51.100.7", "/spree", "a").await;
    desk.visit("198.51.100.8", "/spree", "a").await;
    desk.visit("198.51.100.7", "/spree", "a").await;
    let found = desk.wait(id, 3).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["analytic"]["matched"][0]["value"], "198.51.100.7");
    assert_eq!(found[0]["entities"][0], "address:198.51.100.7");
    house.server.shutdown().await;
}

/// Whatever a rule of these tests finds is limited, and blocked where nothing speaks against it.
const POLICY: &str = "
policies:
  - policy: scanners
    version: 1
    title: { ko: 가, en: a, ja: あ }
    when: { rules: ['*-0f0e-4a53-9a35-0d3d2a0b6f11'], outcome: success }
    then:
      - { rung: limit, target: address, ttl: 1h, rate_per_minute: 10 }
      - { rung: block, target: address, ttl: 4h }
";

/// The same rule under another id, for another path.
const SENTRY_ID: &str = "55555555-0f0e-4a53-9a35-0d3d2a0b6f11";

fn sentry() -> String {
    RULE.replace(ID, SENTRY_ID)
        .replace("{c-useragent|startswith: sqlmap, sc-status: 200}", "{cs-uri-stem: /sentry}")
}

fn seen(actions: &[[&str; 3]]) -> Vec<[String; 3]> {
    actions.iter().map(|action| action.map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigma_a_rule_moves_from_shadow_over_canary_to_enforce() {
    let house = house().await;
    let desks = [("acme", "kim"), ("other", "lee")].map(|(tenant, name)| {
        house.tenant(tenant);
        Desk::of(&house, tenant, name)
    });
    let [home, other] = &desks;
    for desk in &desks {
        let policy = json!({ "text": POLICY, "reason": "start" });
        house.call("PUT", "/api/v1/policy", &desk.people, Some(policy)).await.ok();
        let sentry = json!({ "text": sentry(), "reason": "beside it" });
        let made = house.post("/api/v1/sigma/rules", &desk.people, sentry).await.ok().json();
        assert_eq!(made["stage"], "enforce", "as it was before there were stages");
    }
    let acts = seen(&[["block", "pending", ""], ["limit", "pending", ""]]);
    let holds = seen(&[["block", "awaiting-approval", "canary-mode"], ["limit", "pending", ""]]);

    // Another word is none of the three.
    let odd = json!({ "text": RULE, "reason": "r", "stage": "bold" });
    assert_eq!(house.post("/api/v1/sigma/rules", &home.people, odd).await.status, 400);
    let odd = house.get("/api/v1/sigma/rules?stage=bold", &home.people).await;
    assert_eq!(odd.code(), "query-invalid");

    // A filter would silence the rules of other texts at once: it is not tried in shadow.
    let filter = "---\ntitle: Quiet\nlogsource: {category: webserver}\nfilter:\n  rules: any\n  s: {cs-uri-stem: /sentry}\n  condition: not s\n";
    let both = json!({ "text": format!("{RULE}{filter}"), "reason": "r", "stage": "shadow" });
    let refused = house.post("/api/v1/sigma/rules", &home.people, both).await.json();
    assert_eq!(refused["diagnostics"][0]["code"], "filter-staged", "{refused}");

    // Shadow: found, kept, marked, and nothing follows. A rule beside it and another tenant's act.
    let body = json!({ "text": RULE, "reason": "new", "stage": "shadow" });
    let made = house.post("/api/v1/sigma/rules", &home.people, body).await.ok().json();
    assert_eq!((&made["stage"], &made["enabled"]), (&json!("shadow"), &json!(true)));
    let body = json!({ "text": RULE, "reason": "new" });
    house.post("/api/v1/sigma/rules", &other.people, body).await.ok();
    for desk in &desks {
        desk.visit("198.51.100.3", "/x", "sqlmap/1.8").await;
        desk.visit("198.51.100.9", "/sentry", "a").await;
        desk.wait(ID, 1).await;
        desk.wait(SENTRY_ID, 1).await;
    }
    let shadow = home.findings(ID).await;
    assert_eq!(shadow[0]["analytic"]["stage"], "shadow");
    let all = home.items("/api/v1/incidents").await;
    assert_eq!(all.len(), 1, "of the rule beside it: {all:?}");
    assert_eq!(all[0]["title"], SENTRY_ID);
    assert_eq!(home.actions("198.51.100.3").await, seen(&[]));
    assert_eq!(home.actions("198.51.100.9").await, acts);
    assert_eq!(other.actions("198.51.100.3").await, acts, "another tenant's is not in shadow");
    for (stage, found) in [("shadow", 1), ("canary", 0), ("enforce", 1)] {
        let listed = home.items(&format!("/api/v1/findings?stage={stage}")).await;
        assert_eq!(listed.len(), found, "{stage}: {listed:?}");
        let rules = home.items(&format!("/api/v1/sigma/rules?stage={stage}")).await;
        assert_eq!(rules.len(), found, "{stage}: {rules:?}");
    }
    let named = house.get("/api/v1/entities/address:198.51.100.3", &home.people).await.ok().json();
    assert_eq!(named["findings"][0]["id"], shadow[0]["id"]);

    // Canary holds for the next event: an incident, and no more than `limit` without a hand.
    let moved = home.stage(ID, "canary").await;
    assert_eq!((&moved["stage"], &moved["version"]), (&json!("canary"), &json!(2)));
    assert_eq!(moved["reason"], "its findings were looked at");
    home.visit("198.51.100.3", "/y", "sqlmap/1.8").await;
    let found = home.wait(ID, 2).await;
    assert_eq!(found.len(), 2, "not the one of the shadow, grown: {found:?}");
    let canary = found.iter().find(|f| f["analytic"]["stage"] == "canary").unwrap();
    home.settled("198.51.100.3", &holds).await;
    let all = home.items("/api/v1/incidents?entity=address:198.51.100.3").await;
    assert_eq!((all.len(), &all[0]["findings"]), (1, &json!([canary["id"]])));

    // What waited is settled by the same rule in enforce; a stranger is blocked at once.
    home.stage(ID, "enforce").await;
    home.visit("198.51.100.3", "/z", "sqlmap/1.8").await;
    home.visit("198.51.100.4", "/z", "sqlmap/1.8").await;
    home.settled("198.51.100.3", &acts).await;
    home.settled("198.51.100.4", &acts).await;
    let found = home.findings(ID).await;
    let full: Vec<&Value> = found.iter().filter(|f| f["analytic"]["stage"].is_null()).collect();
    assert_eq!(full.len(), 2, "{found:?}");

    // Back in canary, a restart changes nothing of it; the enforced rule beside it is as it was.
    home.stage(ID, "canary").await;
    let told = [home, other].map(|desk| (desk.people.clone(), desk.intake.clone()));
    let House { folder, server, .. } = house;
    server.shutdown().await;
    let config = config(folder.path());
    let house = start(folder, config).await;
    let [home, other] = told.map(|(people, intake)| Desk {
        house: &house,
        people,
        intake,
        lines: std::cell::Cell::new(100),
    });
    let rule = house.get(&format!("/api/v1/sigma/rules/{ID}"), &home.people).await.ok().json();
    assert_eq!(rule["stage"], "canary");
    for desk in [&home, &other] {
        desk.visit("198.51.100.5", "/x", "sqlmap/1.8").await;
    }
    home.settled("198.51.100.5", &holds).await;
    other.settled("198.51.100.5", &acts).await;
    home.visit("198.51.100.6", "/sentry", "a").await;
    home.settled("198.51.100.6", &acts).await;

    // Each move has its leaf.
    let leaves = house.get("/api/v1/audit?limit=500", &home.people).await.ok().json();
    let leaves = leaves.as_array().unwrap();
    let moves = leaves.iter().filter(|item| item["leaf"]["reason"] == "rule-changed").count();
    assert_eq!(moves, 3);
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigma_folders_of_rules_are_shared_and_chosen_from() {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("house-pack");
    fs::create_dir(&pack).unwrap();
    fs::write(pack.join("a.yml"), RULE).unwrap();
    let low = RULE
        .replace(ID, "33333333-0f0e-4a53-9a35-0d3d2a0b6f11")
        .replace("level: high", "level: low");
    fs::write(pack.join("b.yml"), low).unwrap();
    fs::write(pack.join("broken.yml"), "title: x\n").unwrap();
    let mut config = config(folder.path());
    let text = format!("sigma: {{rules: ['{}', /does/not/exist]}}", pack.display());
    config.sigma = server::Config::parse("server.yaml", &text).unwrap().sigma;
    let house = start(folder, config).await;
    let desk = Desk::of(&house, "default", "kim");
    let list = house.get("/api/v1/sigma/rules", &desk.people).await.ok().json();
    assert_eq!(
        (&list["total"], &list["enabled"], &list["broken"]),
        (&json!(3), &json!(2), &json!(1)),
        "{list}"
    );
    assert_eq!(list["faults"][0]["code"], "rules-unreadable");

    let choice = json!({ "selection": { "level": "medium" }, "reason": "noise" });
    house.call("PUT", "/api/v1/sigma/selection", &desk.people, Some(choice)).await.ok();
    desk.visit("198.51.100.3", "/x", "sqlmap/1.8").await;
    let found = desk.wait(ID, 1).await;
    assert_eq!(found[0]["analytic"]["origin"], "house-pack");
    assert!(desk.findings("33333333-0f0e-4a53-9a35-0d3d2a0b6f11").await.is_empty());

    // A pack's rule is staged here, and nowhere else.
    house.tenant("other");
    let other = Desk::of(&house, "other", "lee");
    let staged = desk.stage(ID, "shadow").await;
    assert_eq!((&staged["stage"], &staged["enabled"]), (&json!("shadow"), &json!(true)));
    assert_eq!(staged["text"], RULE);
    for one in [&desk, &other] {
        one.visit("198.51.100.3", "/x", "sqlmap/1.8").await;
    }
    let found = desk.wait(ID, 2).await;
    assert_eq!((found.len(), &found[0]["analytic"]["stage"]), (2, &json!("shadow")));
    assert!(other.wait(ID, 1).await[0]["analytic"]["stage"].is_null());

    // It is switched, not rewritten.
    let rule = format!("/api/v1/sigma/rules/{ID}");
    let text = json!({ "text": RULE, "reason": "r" });
    assert_eq!(house.call("PUT", &rule, &desk.people, Some(text)).await.code(), "rule-of-pack");
    let off = json!({ "enabled": false, "reason": "r" });
    let off = house.call("PUT", &rule, &desk.people, Some(off)).await.ok().json();
    assert_eq!((&off["enabled"], off["text"].as_str()), (&json!(false), Some(RULE)));
    desk.visit("198.51.100.4", "/x", "sqlmap/1.8").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(desk.findings(ID).await.len(), 2);

    // Read anew, the folder has one more; what was said of the others stays.
    let more = RULE.replace(ID, "44444444-0f0e-4a53-9a35-0d3d2a0b6f11");
    fs::write(pack.join("c.yml"), more).unwrap();
    house.server.reread_rules().await.unwrap();
    let list = house.get("/api/v1/sigma/rules", &desk.people).await.ok().json();
    assert_eq!((&list["total"], &list["enabled"]), (&json!(4), &json!(1)), "{list}");
    desk.visit("198.51.100.5", "/x", "sqlmap/1.8").await;
    desk.wait("44444444-0f0e-4a53-9a35-0d3d2a0b6f11", 1).await;
    assert_eq!(desk.findings(ID).await.len(), 2);
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigma_folders_are_loaded_as_they_were_signed_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, seed: u8| {
        evidence::SigningKey::from_seed(name, evidence::Algorithm::Ed25519, &[seed; 32]).unwrap()
    };
    let (ours, strange) = (key("house", 1), key("stranger", 2));
    let [good, foreign, bare] = ["good", "foreign", "bare"].map(|name| folder.path().join(name));
    for (number, pack) in [&good, &foreign, &bare].into_iter().enumerate() {
        fs::create_dir(pack).unwrap();
        fs::write(pack.join("a.yml"), RULE.replace("7e9b7a2c", &format!("{number}e9b7a2c")))
            .unwrap();
        fs::write(pack.join("a.test.yml"), "- {name: x, fires: true, event: {}}\n").unwrap();
    }
    evidence::sign_folder(&good, "good 1.0.0", &ours).unwrap();
    evidence::sign_folder(&foreign, "foreign 1.0.0", &strange).unwrap();
    let mut config = config(folder.path());
    let folders = [&good, &foreign, &bare].map(|pack| pack.display().to_string()).join(", ");
    let text = format!("sigma: {{rules: [{folders}], keys: ['{}']}}", ours.verifier());
    config.sigma = server::Config::parse("server.yaml", &text).unwrap().sigma;
    let house = start(folder, config).await;
    let (_, people) = house.owner();
    let list = house.get("/api/v1/sigma/rules", &people).await.ok().json();
    assert_eq!((&list["total"], &list["broken"]), (&json!(1), &json!(0)), "{list}");
    let packs = house.get("/api/v1/sigma/packs", &people).await.ok().json();
    let by = ours.verifier().short();
    assert_eq!(
        packs["items"],
        json!([
            {"name": "good", "signed_as": "good 1.0.0", "signed_by": by, "files": 1},
            {"name": "foreign", "files": 0},
            {"name": "bare", "files": 0},
        ])
    );
    let codes: Vec<&str> =
        list["faults"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["rules-unsigned", "rules-unsigned"]);

    // Changed under way: what was verified is what is told, and after it is read again nothing of it is at work.
    let own = "0e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11";
    fs::write(good.join("a.yml"), "title: forged\n").unwrap();
    let told = house.get(&format!("/api/v1/sigma/rules/{own}"), &people).await.ok().json();
    assert_eq!(told["text"], json!(RULE.replace("7e9b7a2c", "0e9b7a2c")));
    house.server.reread_rules().await.unwrap();
    let list = house.get("/api/v1/sigma/rules", &people).await.ok().json();
    assert_eq!(list["total"], json!(0), "{list}");
    house.server.shutdown().await;

    let bad = server::Config::parse("server.yaml", "sigma: {keys: [nonsense]}");
    assert!(bad.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigma_exceptions_that_say_too_much_or_nothing_are_refused() {
    let house = house().await;
    let (_, people) = house.owner();
    let day = 24 * 60 * 60 * 1000;
    for (body, code) in [
        (json!({ "reason": "r" }), "exception-too-wide"),
        (json!({ "rule": "nothing", "reason": "r" }), "rule-unknown"),
        (json!({ "entity": "address:192.0.2.1", "reason": " " }), "reason-missing"),
        (json!({ "entity": "192.0.2.1", "reason": "r" }), "exception-invalid"),
        (
            json!({ "entity": "address:192.0.2.1", "reason": "r", "expires_at": 5 }),
            "expires-invalid",
        ),
        (
            json!({ "entity": "address:192.0.2.1", "reason": "r", "expires_at": server::handle::now() + 91 * day }),
            "expires-invalid",
        ),
        (json!({ "selection": "x", "reason": "r" }), "exception-invalid"),
        (json!({ "selection": { "a|nonsense": "x" }, "reason": "r" }), "exception-invalid"),
    ] {
        let answer = house.post("/api/v1/sigma/exceptions", &people, body.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, code.to_owned()), "{body}");
    }
    let body = json!({ "entity": "address:192.0.2.1", "reason": "r" });
    let made = house.post("/api/v1/sigma/exceptions", &people, body).await.ok().json();
    let holds = made["expires_at"].as_i64().unwrap() - made["created"].as_i64().unwrap();
    assert_eq!(holds, 7 * day);
    house.server.shutdown().await;
}
