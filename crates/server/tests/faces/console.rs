//! The console's files beside the API: who gets them, and with which headers.

use crate::common::{Answer, As, House};

const VISIT: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");

fn header(answer: &Answer, name: &str) -> String {
    answer.headers.get(name).cloned().unwrap_or_default()
}

/// The console's types are made from this file (`npm run api`): `BLESS=1` rewrites it.
#[test]
fn the_console_knows_the_api_as_it_is() {
    const KNOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../console/openapi.json");
    let api = <server::api::openapi::Api as utoipa::OpenApi>::openapi();
    let text = api.to_pretty_json().unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(KNOWN, &text).unwrap();
    }
    let known = std::fs::read_to_string(KNOWN).unwrap_or_default();
    assert!(known == text, "the API has changed: BLESS=1, then `npm run api` in console/");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_pages_and_the_api_stays_the_api() {
    let house = House::open().await;

    for path in ["/", "/incidents", "/incidents/0199?tab=evidence"] {
        let page = house.send("GET", path, &As::Nobody, &[VISIT], Vec::new()).await.ok();
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(header(&page, "cache-control"), "no-cache");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        let policy = header(&page, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        let known = header(&page, "etag");
        let headers = [VISIT, ("if-none-match", &known)];
        let again = house.send("GET", path, &As::Nobody, &headers, Vec::new()).await;
        assert_eq!(again.status, 304, "{path}");
    }

    // A program is told what is not there, in its own form.
    for (method, path) in [
        ("GET", "/api/nothing"),
        ("GET", "/api"),
        ("GET", "/access/nothing"),
        ("GET", "/.well-known/nothing"),
        ("GET", "/metrics/nothing"),
        ("POST", "/incidents"),
    ] {
        let answer = house.send(method, path, &As::Nobody, &[VISIT], Vec::new()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "no-such-route"),
            "{method} {path}"
        );
    }
    for path in ["/assets/nothing.js", "/incidents", "/../Cargo.toml", "/assets/%2e%2e/index.html"]
    {
        let answer = house.send("GET", path, &As::Nobody, &[("accept", "*/*")], Vec::new()).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "no-such-route"), "{path}");
    }
    let health = house.send("GET", "/healthz", &As::Nobody, &[VISIT], Vec::new()).await.ok();
    assert_eq!(health.json()["status"], "ok");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colleagues_are_known_by_name_to_whoever_reads_incidents() {
    let house = House::open().await;
    house.tenant("other");
    house.person("ann", &[("default", store::meta::Role::Analyst)]);
    house.person("stranger", &[("other", store::meta::Role::Owner)]);
    let (_, viewer) = house.person("vic", &[("default", store::meta::Role::Viewer)]);
    let people = house.get("/api/v1/people", &viewer).await.ok().json();
    let people = people.as_array().unwrap();
    let ann = people.iter().find(|person| person["display"] == "ann").unwrap();
    assert_eq!(ann["role"], "analyst");
    assert!(people.iter().all(|person| person["display"] != "stranger"), "{people:?}");
    assert!(people.iter().all(|person| person.get("name").is_none()), "login names stay private");
    house.server.shutdown().await;
}
