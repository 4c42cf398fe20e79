//! Who may do what: every route, asked by every role and every scope, against the golden table.
//! `BLESS=1 cargo nextest run -p server --test faces roles` rewrites it; the diff is what is reviewed.

use crate::common::{As, House};
use serde_json::json;
use server::rights::{ROUTES, Scope, table_text};
use std::collections::BTreeSet;
use std::fmt::Write;
use store::meta::Role;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/roles.txt");
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// The path with every variable filled by something that does not exist.
fn filled(path: &str) -> String {
    path.replace("{id}", NOBODY)
        .replace("{entity}", "account:nobody")
        .replace("{version}", "999")
        .replace("{index}", "999999")
        .replace("{register}", "devices")
        .replace("{entry}", "nothing")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_by_every_role() {
    let house = House::open().await;
    house.tenant("other");
    let (owner, _) = house.owner();
    let mut callers: Vec<(String, As)> = vec![("nobody".to_owned(), As::Nobody)];
    for role in Role::ALL {
        let (_, session) = house.person(&format!("a-{role}"), &[("default", role)]);
        callers.push((role.to_string(), session));
    }
    let (_, elsewhere) = house.person("elsewhere", &[("other", Role::Owner)]);
    callers.push(("owner-of-other".to_owned(), elsewhere.clone()));
    let As::Session { cookie, csrf, .. } = elsewhere else { panic!("a session") };
    let intruder = As::Session { cookie, csrf, tenant: Some("default".to_owned()) };
    callers.push(("other-to-home".to_owned(), intruder));
    for scope in Scope::ALL {
        let token = house.token("default", owner, &[scope]);
        callers.push((format!("token-{}", scope.as_str()), token));
    }

    let mut text = table_text();
    writeln!(text, "\nroutes (yes: let in; no: 403; 401: who are you)").unwrap();
    let width = ROUTES.iter().map(|route| route.path.len() + 8).max().unwrap();
    let mut header = format!("{:<width$}", "");
    for (name, _) in &callers {
        write!(header, " {name}").unwrap();
    }
    writeln!(text, "{header}").unwrap();
    for route in ROUTES.iter().filter(|route| !route.path.ends_with("/logout")) {
        let mut line = format!("{:<width$}", format!("{:<7}{}", route.method, route.path));
        for (name, caller) in &callers {
            let body = (route.method != "GET").then(|| json!({}));
            let answer = house.call(route.method, &filled(route.path), caller, body).await;
            let verdict = match answer.status {
                401 => "401",
                403 => "no",
                404 if answer.code() == "no-such-route" => panic!("no handler: {}", route.path),
                405 | 500.. => panic!("{} {}: {answer:?}", route.method, route.path),
                _ => "yes",
            };
            write!(line, " {verdict:<0$}", name.len()).unwrap();
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
    }

    if std::env::var_os("BLESS").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert_eq!(golden, text, "who may do what has changed: review it, then BLESS=1");
    house.server.shutdown().await;
}

#[test]
fn router_table_and_description_list_the_same_routes() {
    let table: BTreeSet<String> =
        ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(table.len(), ROUTES.len(), "a route is listed twice");

    let source = include_str!("../../src/api/mod.rs");
    let routed: BTreeSet<&str> = source
        .split(".route(")
        .skip(1)
        .map(|rest| rest.split('"').nth(1).expect("a path literal"))
        .collect();
    let listed: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    assert_eq!(routed, listed, "a route without a line in `ROUTES` is open to nobody");

    let api = <server::api::openapi::Api as utoipa::OpenApi>::openapi();
    let api = serde_json::to_value(&api).unwrap();
    let described: BTreeSet<String> = api["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
            methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(described, table, "every route is documented");
    let mut names = BTreeSet::new();
    for operation in api["paths"].as_object().unwrap().values().flat_map(|i| i.as_object().unwrap())
    {
        let name = operation.1["operationId"].as_str().unwrap();
        assert!(names.insert(name), "two operations are called `{name}`");
    }
    for name in references(&api) {
        let schema = name.strip_prefix("#/components/schemas/").unwrap_or(&name);
        assert!(api["components"]["schemas"][schema].is_object(), "`{name}` leads nowhere");
    }
    assert_eq!(api["openapi"].as_str().unwrap().get(..3), Some("3.1"));
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let is_open = operation["security"] == json!([{}]);
            assert!(is_open || responses.contains_key("default"), "{method} {path}: no problem");
        }
    }
}

/// Every `$ref` in there.
fn references(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value.as_str().filter(|_| name == "$ref") {
                Some(target) => vec![target.to_owned()],
                None => references(value),
            })
            .collect(),
        serde_json::Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
