//! Golden stories: exchanges in, events out. `BLESS=1` rewrites what was expected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use gateway::evidence::*;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    /// What it tells, for the reader.
    #[allow(dead_code)]
    story: String,
    #[serde(default)]
    site: SiteSpec,
    exchanges: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    request: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    status: u16,
    #[serde(default)]
    response_headers: Vec<(String, String)>,
    #[serde(default)]
    response_body: String,
    #[serde(default)]
    enforced: Option<schema::Rung>,
}

fn headers(list: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        let name: http::HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn exchange(step: &Step, number: u64) -> Exchange {
    let (method, target) = step.request.split_once(' ').unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let received = 1_790_000_000_000 + i64::try_from(number).unwrap() * 1000;
    Exchange {
        gateway: "gw-1".into(),
        sequence: number,
        request: RequestHead {
            received,
            client_ip: "203.0.113.9".parse().unwrap(),
            client_port: 50_000,
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query,
            host: "shop.example".to_owned(),
            headers: headers(&step.headers),
            ..RequestHead::default()
        },
        request_body: CapturedBody::whole(step.body.clone()),
        status: Some(step.status),
        response_headers: headers(&step.response_headers),
        response_body: CapturedBody::whole(step.response_body.clone()),
        finished: received + 12,
        upstream: step.enforced.is_none().then(|| "127.0.0.1:9000".to_owned()),
        enforced: step.enforced.map(|rung| Enforced {
            rung,
            action: uuid::Uuid::from_u128(5),
            reason: "credential-stuffing".to_owned(),
        }),
        ..Exchange::default()
    }
}

fn check(name: &str) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let story: Story = serde_saphyr::from_str(
        &std::fs::read_to_string(data.join(format!("{name}.yaml"))).unwrap(),
    )
    .unwrap();
    let site = Site::compile("shop", &story.site).unwrap();
    let keys = Keys::new(&[42; 32]);
    let book = SessionBook::new(100);
    let mut out = String::new();
    for (number, step) in story.exchanges.iter().enumerate() {
        let exchange = exchange(step, number as u64 + 1);
        // Who it is, is known before the answer as the event will tell it after.
        let before = request_keys(
            &exchange.request,
            Some(&exchange.request_body.bytes),
            &site,
            &keys,
            &book,
        );
        let event = observe(&exchange, &site, &keys, &book);
        assert_eq!(before.credential, event.credential);
        assert_eq!(before.session, event.session);
        assert_eq!(Some(&before.endpoint), event.endpoint.as_ref());
        assert_eq!(before.account, event.account);
        for entity in event.entities() {
            assert!(before.concerns(&entity), "{entity}");
        }
        let mut told = event.to_ocsf();
        // In which order members stand depends on what else is built with `serde_json`.
        told.sort_all_objects();
        out.push_str(&serde_json::to_string_pretty(&told).unwrap());
        out.push('\n');
    }
    let expected = data.join(format!("{name}.out.json"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expected, &out).unwrap();
    }
    let expected = std::fs::read_to_string(expected).unwrap_or_default();
    assert!(out == expected, "`{name}` changed; look at it, then run with BLESS=1\n{out}");
}

#[test]
fn a_login_names_the_session_that_orders() {
    check("login-then-order");
}

#[test]
fn an_api_key_asks_a_model() {
    check("model-with-key");
}

#[test]
fn a_shell_is_uploaded_and_stopped() {
    check("upload-and-block");
}
