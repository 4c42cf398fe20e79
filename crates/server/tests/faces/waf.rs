//! ModSecurity rules over body logs: an application without a gateway.

use crate::common::{As, House, agent, config};
use serde_json::{Value, json};
use server::rights::Scope;
use std::fs;
use std::time::Duration;

const RULES: &str = r#"
SecRule ARGS "@detectSQLi" "id:100001,phase:2,pass,log,msg:'SQL in an argument',tag:'attack-sqli',severity:CRITICAL,setvar:tx.blocking_inbound_anomaly_score=+5,setvar:tx.inbound_anomaly_score_threshold=5"
SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@ge 5" "id:100002,phase:2,deny,log,msg:'Too much',tag:'anomaly-evaluation',severity:CRITICAL"
"#;

/// A server that runs rules over what comes in for the site `shop`.
async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("shop.conf");
    fs::write(&rules, RULES).unwrap();
    let mut config = config(folder.path());
    let text = format!(
        "waf: {{rule_sets: {{shop: {{files: ['{}']}}}}, inspect: [{{rules: shop, sites: [shop]}}]}}",
        rules.display()
    );
    config.waf = server::Config::parse("server.yaml", &text).unwrap().waf;
    let data = config.data.clone();
    let tuning = config.tuning().unwrap();
    let server = server::start(config, tuning).await.unwrap();
    House { agent: agent(&data), folder, server }
}

/// A line of nginx's with the body in it.
fn line(second: i64, client: &str, query: &str, body: &str) -> String {
    let time = schema::format_time(server::handle::now() - 60_000 + second * 1000);
    json!({
        "time_iso8601": time, "remote_addr": client, "request_method": "POST",
        "request_uri": format!("/search?{query}"), "status": "200", "http_host": "shop.example",
        "server_protocol": "HTTP/1.1", "http_user_agent": "Mozilla/5.0",
        "http_content_type": "application/x-www-form-urlencoded", "request_body": body,
    })
    .to_string()
}

async fn send(house: &House, token: &As, source: &str, site: &str, lines: &[String]) {
    let path = format!("/api/v1/intake/logs?source={source}&format=json-access&site={site}");
    let body = lines.join("\n").into_bytes();
    let answer = house.send("POST", &path, token, &[], body).await.ok().json();
    assert_eq!(answer["accepted"], json!(lines.len()), "{answer}");
}

async fn findings(house: &House, people: &As) -> Vec<Value> {
    let page = house.get("/api/v1/findings?limit=100", people).await.ok().json();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn waf_an_attack_in_a_body_log_becomes_a_finding_and_a_near_miss_does_not() {
    let house = house().await;
    let (owner, people) = house.owner();
    let token = house.token("default", owner, &[Scope::Intake]);
    // Somebody who writes of unions, and somebody whose site has no rules.
    let near: Vec<String> = (0..12)
        .map(|n| line(n, "192.0.2.61", "p=1", "q=union+of+select+committees&password=a'b"))
        .collect();
    send(&house, &token, "web-1", "shop", &near).await;
    let attack = |n: i64, client: &str| {
        line(
            n,
            client,
            "p=1",
            &format!("q=shoes'+UNION+ALL+SELECT+{n},pass+FROM+users--&password=x"),
        )
    };
    let elsewhere: Vec<String> = (0..12).map(|n| attack(n, "203.0.113.7")).collect();
    send(&house, &token, "web-2", "docs", &elsewhere).await;
    let attacks: Vec<String> = (0..12).map(|n| attack(20 + n, "198.51.100.23")).collect();
    send(&house, &token, "web-1b", "shop", &attacks).await;

    let mut found = Vec::new();
    for _ in 0..100 {
        found = findings(&house, &people).await;
        if found.iter().any(|finding| finding["rule"] == "web-attack") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let attacks: Vec<&Value> = found.iter().filter(|f| f["rule"] == "web-attack").collect();
    assert!(!attacks.is_empty(), "{found:?}");
    for finding in &attacks {
        let text = finding.to_string();
        assert!(text.contains("198.51.100.23"), "{text}");
        assert!(!text.contains("192.0.2.61") && !text.contains("203.0.113.7"), "{text}");
    }

    // What the rules told is stored with the event, without the secret beside it.
    let sql = "SELECT rest, request_body FROM events WHERE src_ip = '198.51.100.23'";
    let rows = house.post("/api/v1/query", &people, json!({ "sql": sql })).await.ok().json();
    let rest: Value = serde_json::from_str(rows["rows"][0][0].as_str().unwrap()).unwrap();
    let set = &rest["plura"]["waf"][0];
    assert_eq!((&set["rules"], &set["stage"]), (&json!("shop"), &json!("shadow")), "{set}");
    assert_eq!((&set["from_record"], &set["would_block"]), (&json!(true), &json!(true)), "{set}");
    assert_eq!((&set["decided_by"], &set["inbound_score"]), (&json!(100_002), &json!(5)), "{set}");
    assert!(rows["rows"][0][1].as_str().unwrap().ends_with("password=****"), "{rows}");
    for quiet in ["192.0.2.61", "203.0.113.7"] {
        let sql = format!(
            "SELECT count(*) FROM events WHERE src_ip = '{quiet}' AND rest LIKE '%\"waf\":%'"
        );
        let rows = house.post("/api/v1/query", &people, json!({ "sql": sql })).await.ok().json();
        assert_eq!(rows["rows"][0][0], json!(0), "{quiet}");
    }
    let metrics = house.get("/metrics", &people).await.ok();
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    assert!(metrics.contains("plura_intake_waf_would_block_total 12"), "{metrics}");
    assert!(metrics.contains("plura_intake_waf_inspected_total 24"), "{metrics}");
    house.server.shutdown().await;
}
