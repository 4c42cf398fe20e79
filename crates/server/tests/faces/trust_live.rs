//! Trust as it changes: findings, registers, other tenants, and proxies that ask in other ways.

use crate::common::{As, House, agent, config};
use schema::{Entity, EntityKind, Event, activity, class};
use serde_json::{Value, json};
use server::config::ExtAuthzConfig;
use server::pipeline::worker::Tuning;
use server::rights::Scope;
use std::time::{Duration, Instant};

async fn judged() -> House {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let data = config.data.clone();
    let server = server::start(config, Tuning::default()).await.unwrap();
    House { agent: agent(&data), folder, server }
}

fn route(session: &str) -> Value {
    json!({
        "subject": { "type": "session", "id": session, "properties": { "account": "newcomer" } },
        "action": { "name": "GET" },
        "resource": { "type": "route", "id": "shop/GET /orders/{id}", "properties": { "site": "shop" } },
        "context": { "address": "203.0.113.90", "signals": { "proxy_vpn_tor": "none" } },
    })
}

/// A session walks through other people's orders and is refused most of them.
fn walk(session: &str) -> Vec<Event> {
    let now = server::handle::now();
    (0..150i64)
        .map(|order| {
            let refused = order % 3 > 0;
            let (code, outcome) = if refused { (404, "failure") } else { (200, "success") };
            Event {
                time: now - 150_000 + order * 1000,
                class_uid: class::HTTP_ACTIVITY,
                activity_id: activity::of_method("GET"),
                method: Some("GET".to_owned()),
                endpoint: Some("GET /orders/{id}".to_owned()),
                path: Some(format!("/orders/{}", 5_000 + order)),
                site: Some("shop".to_owned()),
                http_code: Some(code),
                outcome: Some(outcome.to_owned()),
                outcome_reason: refused.then(|| "not-found".to_owned()),
                account: Some("newcomer".to_owned()),
                session: Some(session.to_owned()),
                src_ip: Some("203.0.113.90".to_owned()),
                source: Some("gateway-1".to_owned()),
                sequence: Some(order + 1),
                ..Event::default()
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_a_finding_on_a_session_denies_it_and_wakes_the_gateways() {
    let house = judged().await;
    let (owner, people) = house.owner();
    let pep = house.token("default", owner, &[Scope::Gateway]);
    let before = house.post("/access/v1/evaluation", &pep, route("s-1")).await.ok().json();
    assert_eq!(before["decision"], true, "{before}");
    assert!(before["context"]["score"].as_f64().unwrap() >= 55.0, "{before}");

    let tenant: schema::TenantId = "default".parse().unwrap();
    let mut watch = house.server.app.pipeline.restrictions(tenant.clone()).await.unwrap();
    let version = watch.borrow_and_update().version;
    let mut events = walk("s-1");
    for event in &mut events {
        let sequence = u64::try_from(event.sequence.unwrap()).unwrap();
        event.id = schema::event_id(&tenant, "gateway-1", sequence, event.time);
    }
    let told = Instant::now();
    house.server.app.pipeline.ingest(tenant, events).await.unwrap();
    let about = |entity: &Entity| entity.kind == EntityKind::Account && entity.value == "newcomer";
    let woken = tokio::time::timeout(
        Duration::from_secs(10),
        watch.wait_for(|now| {
            now.version > version
                && now.reconsider.iter().any(|r| r.entity.as_ref().is_some_and(about))
        }),
    );
    let restrictions = woken.await.expect("gateways are told").unwrap().clone();
    println!("woken after {:?}: {restrictions:?}", told.elapsed());

    let after = house.post("/access/v1/evaluation", &pep, route("s-1")).await.ok().json();
    assert_eq!(after["decision"], false, "{after}");
    // The change is on record before anybody asked again, with the finding that caused it.
    house.server.app.desks.writer().flush().await.unwrap();
    let page = "/api/v1/trust/decisions?session=session:s-1";
    let records = house.get(page, &people).await.ok().json();
    // More findings may have followed by now: the one that made it fall is the oldest.
    let fell = |record: &&Value| record["cause"] == "finding" && record["permit"] == false;
    let turned = records["items"].as_array().unwrap().iter().rfind(fell);
    let turned = turned.unwrap_or_else(|| panic!("{records}"));
    assert_eq!(turned["previous"]["permit"], true);
    assert_eq!(
        (&turned["permit"], &turned["causes"].as_array().unwrap().len()),
        (&json!(false), &1)
    );
    for language in ["en", "ko", "ja"] {
        assert!(!turned["reason_admin"][language].as_str().unwrap().is_empty());
    }
    let finding = turned["causes"][0].as_str().unwrap();
    house.get(&format!("/api/v1/findings/{finding}"), &people).await.ok();
    // And in the ledger.
    let about = format!("/api/v1/audit?subject={}", turned["id"].as_str().unwrap());
    let leaves = house.get(&about, &people).await.ok().json();
    assert_eq!(leaves[0]["leaf"]["kind"], "decision", "{leaves}");
    assert_eq!(leaves[0]["leaf"]["causes"], turned["causes"]);

    let view = house.get("/api/v1/trust/sessions/session:s-1", &people).await.ok().json();
    assert_eq!(view["last"]["permit"], false);
    // Another session of somebody else stands as it stood.
    let mut other = route("s-2");
    other["subject"]["properties"]["account"] = json!("somebody");
    other["context"]["address"] = json!("198.51.100.4");
    let other = house.post("/access/v1/evaluation", &pep, other).await.ok().json();
    assert_eq!(other["decision"], true, "{other}");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_registers_site_and_policy_are_judged_by_at_once_and_stay_in_their_tenant() {
    let house = House::open().await;
    house.tenant("other");
    let (owner, people) = house.owner();
    let (olga, foreign) = house.person("olga", &[("other", store::meta::Role::Owner)]);
    let pep = house.token("default", owner, &[Scope::Decide]);
    let foreign_pep = house.token("other", olga, &[Scope::Decide]);
    let ask = || {
        let mut asked = route("s-1");
        asked["subject"]["properties"]["device"] = json!("laptop-7");
        asked
    };
    let first = house.post("/access/v1/evaluation", &pep, ask()).await.ok().json();
    assert_eq!(first["decision"], true);

    let tenant: schema::TenantId = "default".parse().unwrap();
    let watch = house.server.app.pipeline.restrictions(tenant).await.unwrap();
    let version = || watch.borrow().version;
    let before = version();
    let device = "/api/v1/trust/registers/devices/laptop-7";
    let stolen = json!({ "account": "newcomer", "registered": true, "stolen_reported": true });
    assert_eq!(house.call("PUT", device, &people, Some(stolen)).await.status, 204);
    assert!(version() > before, "gateways are told");
    let second = house.post("/access/v1/evaluation", &pep, ask()).await.ok().json();
    assert_eq!((&second["decision"], &second["context"]["score"]), (&json!(false), &json!(0.0)));

    // The neighbour sees none of it, and none of it touches them.
    let theirs = house.post("/access/v1/evaluation", &foreign_pep, ask()).await.ok().json();
    assert_eq!(theirs["decision"], true);
    let list = house.get("/api/v1/trust/registers/devices", &foreign).await.ok().json();
    assert_eq!(list["items"], json!([]));
    house.server.app.desks.writer().flush().await.unwrap();
    let records = house.get("/api/v1/trust/decisions", &foreign).await.ok().json();
    let records = records["items"].as_array().unwrap();
    let [own] = &records[..] else { panic!("their own permission only: {records:?}") };
    assert_eq!(own["cause"], "opened");
    let ours = house.get("/api/v1/trust/decisions", &people).await.ok().json();
    let id = ours["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ours["items"][0]["cause"], "register", "{ours}");
    // Who was let in is on record for replays, and the ledger is not told.
    let opened = ours["items"].as_array().unwrap().iter().find(|r| r["cause"] == "opened").unwrap();
    assert_eq!(opened["permit"], true);
    let about = format!("/api/v1/audit?subject={}", opened["id"].as_str().unwrap());
    assert_eq!(house.get(&about, &people).await.ok().json(), json!([]));
    let path = format!("/api/v1/trust/decisions/{id}");
    assert_eq!(house.get(&path, &foreign).await.status, 404);
    house.get(&path, &people).await.ok();
    let path = "/api/v1/trust/sessions/session:s-1";
    house.get(path, &people).await.ok();
    assert_eq!(house.call("DELETE", device, &foreign, None).await.status, 404);
    assert_eq!(house.call("PUT", device, &pep, Some(json!({}))).await.status, 403);

    for (register, body) in [
        ("devices", json!({ "patch_state": "perfect" })),
        ("devices", json!({ "colour": "grey" })),
        ("trips", json!({ "account": "kim", "country": "Japan", "from": 1, "until": 2 })),
        ("trips", json!({ "account": "kim", "country": "JP", "from": 2, "until": 1 })),
        ("invitations", json!({ "inviter": "kim" })),
    ] {
        let path = format!("/api/v1/trust/registers/{register}/x");
        let answer = house.call("PUT", &path, &people, Some(body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "entry-invalid"));
    }
    assert_eq!(house.get("/api/v1/trust/registers/cars", &people).await.status, 404);

    // A site or policy with faults changes nothing; a good one judges at once.
    let site = "/api/v1/trust/site";
    let bad = json!({ "text": "grants: 7", "reason": "x" });
    assert_eq!(house.call("PUT", site, &people, Some(bad)).await.code(), "trust-site-invalid");
    let closed = json!({ "text": "grants: []", "reason": "nobody may" });
    house.call("PUT", site, &people, Some(closed)).await.ok();
    let third = house.post("/access/v1/evaluation", &pep, route("s-9")).await.ok().json();
    assert_eq!(third["decision"], false, "{third}");
    let policy = "/api/v1/trust/policy";
    let bad = json!({ "profile": "lenient", "reason": "x" });
    assert_eq!(house.call("PUT", policy, &people, Some(bad)).await.code(), "profile-unknown");
    let strict = json!({ "profile": "strict", "reason": "audit" });
    let stored = house.call("PUT", policy, &people, Some(strict)).await.ok().json();
    assert_eq!((&stored["version"], &stored["profile"]), (&json!(1), &json!("strict")));
    let fourth = house.post("/access/v1/evaluation", &pep, route("s-9")).await.ok().json();
    assert_eq!(fourth["context"]["profile"], "strict");
    assert_eq!(house.get(site, &foreign).await.ok().json()["version"], 0);
    house.server.shutdown().await;
}

const GRANTS: &str = r#"
grants: [{subjects: ["*"], actions: [GET], resources: ["route:shop/GET /orders/*"]}]
resources: [{name: admin, type: route, id: "shop/* /admin/*", required: [device_registered]}]
reputation: [{cidr: 198.51.100.7, ip_rep: bad, proxy_vpn_tor: tor}]
"#;

async fn with_site(house: &House, people: &As) {
    let body = json!({ "text": GRANTS, "reason": "a shop" });
    house.call("PUT", "/api/v1/trust/site", people, Some(body)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_forward_auth_speaks_to_nginx_and_traefik() {
    let house = House::with(|config| {
        config.trust.front.step_up_url = Some("https://login.example/?back={url}".to_owned());
    })
    .await;
    let (owner, people) = house.owner();
    let pep = house.token("default", owner, &[Scope::Decide]);
    with_site(&house, &people).await;
    let path = "/api/v1/trust/forward-auth";
    let ask = async |query: &str, who: &As, headers: &[(&str, &str)]| {
        house.send("GET", &format!("{path}{query}"), who, headers, Vec::new()).await
    };
    let nginx = |uri: &'static str, address: &'static str| {
        [
            ("x-original-uri", uri),
            ("x-original-method", "GET"),
            ("x-real-ip", address),
            ("cookie", "sid=secret-7"),
        ]
    };
    let home = "203.0.113.9";
    let allowed = ask("?site=shop", &pep, &nginx("/orders/7?x=1", home)).await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(allowed.headers["plura-decision"], "allow_conditional");
    assert!(allowed.headers.contains_key("plura-trust-score"));

    let proof = ask("?site=shop", &pep, &nginx("/cart", home)).await;
    assert_eq!(proof.status, 401, "{proof:?}");
    assert_eq!(proof.headers["location"], "https://login.example/?back=%2Fcart");
    assert!(proof.headers["plura-obligations"].contains("step_up_mfa"));
    let denied = ask("?site=shop", &pep, &nginx("/orders/7", "198.51.100.7")).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    let tricked = ask("?site=shop", &pep, &nginx("/orders/..%2fadmin", home)).await;
    assert_eq!((tricked.status, &*tricked.headers["plura-decision"]), (403, "path-ambiguous"));

    // Who asks must have a token, tell of a request, and not of two.
    assert_eq!(ask("?site=shop", &As::Nobody, &nginx("/orders/7", home)).await.status, 401);
    assert_eq!(ask("?site=shop", &people, &nginx("/orders/7", home)).await.status, 403);
    assert_eq!(ask("?site=shop", &pep, &[]).await.code(), "request-untold");
    let traefik = [
        ("x-forwarded-uri", "/cart"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-host", "shop"),
        ("x-forwarded-for", "1.2.3.4, 203.0.113.9"),
    ];
    let sent_along = [&traefik[..], &[("x-original-uri", "/orders/7")]].concat();
    assert_eq!(ask("", &pep, &sent_along).await.code(), "headers-ambiguous");
    let found = ask("?proxy=traefik", &pep, &sent_along).await;
    assert_eq!(found.status, 401, "what the client sent along does not count");
    house.server.shutdown().await;
}

mod envoy {
    //! A `CheckRequest` as Envoy writes it, over real HTTP/2.

    use super::*;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use std::sync::Arc;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        assert!(bytes.len() < 16_384);
        let length = bytes.len();
        let mut out = vec![number << 3 | 2];
        if length < 128 {
            out.push(length as u8);
        } else {
            out.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
        }
        out.extend(bytes);
        out
    }

    fn pair(number: u8, key: &str, value: &str) -> Vec<u8> {
        field(number, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())
    }

    fn check(path: &str, address: &str) -> Vec<u8> {
        let http = [
            field(2, b"GET"),
            pair(3, "cookie", "sid=secret-7"),
            field(4, path.as_bytes()),
            field(5, b"shop.example"),
        ]
        .concat();
        // Attributes: the source (a peer, its address, its socket), the request, and what the route says.
        let source = field(1, &field(1, &field(1, &field(2, address.as_bytes()))));
        let request = field(4, &field(2, &http));
        let extension = pair(10, "site", "shop");
        field(1, &[source, request, extension].concat())
    }

    fn framed(message: &[u8]) -> Bytes {
        let mut out = vec![0];
        out.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        out.extend(message);
        out.into()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn trust_envoy_asks_over_grpc() {
        let house = House::with(|config| {
            config.trust.ext_authz =
                Some(ExtAuthzConfig { listen: "127.0.0.1:0".parse().unwrap() });
        })
        .await;
        let (owner, people) = house.owner();
        let As::Token(token) = house.token("default", owner, &[Scope::Decide]) else { panic!() };
        with_site(&house, &people).await;

        let pem = house.server.app.config.data.join("tls/server.pem");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let address = house.server.ext_authz.unwrap();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);

        let call = async |token: &str, body: Bytes| -> (String, Vec<u8>) {
            let request = hyper::Request::post(format!(
                "https://localhost:{}/envoy.service.auth.v3.Authorization/Check",
                address.port()
            ))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(body))
            .unwrap();
            let response = sender.clone().send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let early = response.headers().get("grpc-status").cloned();
            let body = response.into_body().collect().await.unwrap();
            let status = early.or_else(|| body.trailers()?.get("grpc-status").cloned());
            let bytes = body.to_bytes();
            (
                status.unwrap().to_str().unwrap().to_owned(),
                bytes.get(5..).unwrap_or_default().to_vec(),
            )
        };
        let has =
            |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());

        let (status, allowed) = call(&token, framed(&check("/orders/7", "203.0.113.9"))).await;
        assert_eq!(status, "0");
        assert_eq!(allowed[..2], [0x0a, 0], "status OK");
        assert!(has(&allowed, "plura-trust-score") && has(&allowed, "allow_conditional"));
        let (status, proof) = call(&token, framed(&check("/cart", "203.0.113.9"))).await;
        assert_eq!((status.as_str(), &proof[..4]), ("0", &[0x0a, 2, 8, 16][..]), "unauthenticated");
        let (status, denied) = call(&token, framed(&check("/orders/7", "198.51.100.7"))).await;
        assert_eq!((status.as_str(), &denied[..4]), ("0", &[0x0a, 2, 8, 7][..]), "denied");

        assert_eq!(call("plura_x_y", framed(&check("/orders/7", "203.0.113.9"))).await.0, "16");
        assert_eq!(call(&token, framed(&[0xff, 0xff])).await.0, "3");
        assert_eq!(call(&token, Bytes::from_static(b"")).await.0, "3");
        assert_eq!(call(&token, Bytes::from_static(&[1, 0, 0, 0, 0])).await.0, "12", "compressed");
        assert_eq!(call(&token, framed(&vec![0; 3 << 20])).await.0, "8", "too large");
        house.server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_a_pushed_signal_turns_a_session_once_and_survives_a_restart() {
    let signer = server::ssf::set::Signer::open(&server::ssf::set::Signer::generate().unwrap());
    let signer = signer.unwrap();
    let issuer = server::config::SsfIssuer {
        issuer: "https://idp.example".to_owned(),
        audience: "https://plura.example".to_owned(),
        tenant: "default".parse().unwrap(),
        jwks_file: None,
        jwks: Some(signer.jwks().to_string()),
    };
    let house = House::with(|config| config.trust.signal_issuers = vec![issuer.clone()]).await;
    let (owner, people) = house.owner();
    let pep = house.token("default", owner, &[Scope::Decide]);
    let idp = house.token("default", owner, &[Scope::Signals]);
    let before = house.post("/access/v1/evaluation", &pep, route("s-1")).await.ok().json();
    assert_eq!(before["decision"], true);
    let token = |jti: &str| {
        signer.sign(&json!({
            "iss": "https://idp.example", "aud": "https://plura.example", "jti": jti,
            "iat": server::handle::now() / 1000,
            "sub_id": { "format": "complex", "session": { "format": "opaque", "id": "s-1" } },
            "events": { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {} },
        }))
        .unwrap()
        .into_bytes()
    };
    let media = [("content-type", "application/secevent+jwt")];
    let push = async |who: &As, body: Vec<u8>| {
        house.send("POST", "/api/v1/ssf/events", who, &media, body).await
    };
    assert_eq!(push(&pep, token("1")).await.status, 403);
    let refused = push(&idp, b"a.b.c".to_vec()).await;
    assert_eq!((refused.status, &refused.json()["err"]), (400, &json!("invalid_request")));
    let sent = token("1");
    assert_eq!(push(&idp, sent.clone()).await.status, 202);
    let after = house.post("/access/v1/evaluation", &pep, route("s-1")).await.ok().json();
    assert_eq!(after["decision"], false, "{after}");
    assert_eq!(push(&idp, sent).await.status, 202, "again changes nothing");
    house.server.app.desks.writer().flush().await.unwrap();
    let records =
        house.get("/api/v1/trust/decisions?session=session:s-1", &people).await.ok().json();
    let causes: Vec<&str> =
        records["items"].as_array().unwrap().iter().map(|r| r["cause"].as_str().unwrap()).collect();
    assert_eq!(causes.iter().filter(|cause| **cause == "signal").count(), 1, "{causes:?}");

    let House { folder, server, .. } = house;
    server.shutdown().await;
    let mut again = config(folder.path());
    again.trust.signal_issuers = vec![issuer];
    let house = House::start(folder, again).await;
    let still = house.post("/access/v1/evaluation", &pep, route("s-1")).await.ok().json();
    assert_eq!(still["decision"], false, "{still}");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_a_session_that_falls_here_falls_at_the_next_house() {
    // The first house's key is made beforehand, so that the second can be told of it.
    let folder = tempfile::tempdir().unwrap();
    let mut first = config(folder.path());
    let key = server::ssf::set::Signer::generate().unwrap();
    std::fs::create_dir_all(first.data.join("keys")).unwrap();
    std::fs::write(first.data.join("keys/ssf.key"), &key).unwrap();
    let jwks = server::ssf::set::Signer::open(&key).unwrap().jwks();
    let issuer = server::config::SsfIssuer {
        issuer: "https://first.example".to_owned(),
        audience: "https://second.example".to_owned(),
        tenant: "default".parse().unwrap(),
        jwks_file: None,
        jwks: Some(jwks.to_string()),
    };
    let second = House::with(|config| config.trust.signal_issuers = vec![issuer]).await;
    let (owner, _) = second.owner();
    let As::Token(token) = second.token("default", owner, &[Scope::Signals]) else { panic!() };
    let there = second.token("default", owner, &[Scope::Decide]);
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, token).unwrap();
    first.trust.signal_receivers = vec![server::config::SsfReceiver {
        tenant: "default".parse().unwrap(),
        url: format!("https://localhost:{}/api/v1/ssf/events", second.server.address.port()),
        ca_file: second.server.app.config.data.join("tls/server.pem"),
        token_file: Some(token_file),
        issuer: "https://first.example".to_owned(),
        audience: "https://second.example".to_owned(),
    }];
    let first = House::start(folder, first).await;
    let (owner, people) = first.owner();
    let here = first.token("default", owner, &[Scope::Decide]);
    assert_eq!(first.get("/api/v1/ssf/jwks.json", &As::Nobody).await.ok().json(), jwks);
    let ask = || {
        let mut asked = route("s-1");
        asked["subject"]["properties"]["device"] = json!("laptop-7");
        asked
    };
    for (house, pep) in [(&first, &here), (&second, &there)] {
        let answer = house.post("/access/v1/evaluation", pep, ask()).await.ok().json();
        assert_eq!(answer["decision"], true);
    }
    let tenant: schema::TenantId = "default".parse().unwrap();
    let mut watch = second.server.app.pipeline.restrictions(tenant).await.unwrap();
    let version = watch.borrow_and_update().version;
    let stolen = json!({ "account": "newcomer", "registered": true, "stolen_reported": true });
    let device = "/api/v1/trust/registers/devices/laptop-7";
    assert_eq!(first.call("PUT", device, &people, Some(stolen)).await.status, 204);
    let told = watch.wait_for(|now| now.version > version);
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("told").unwrap();
    let answer = second.post("/access/v1/evaluation", &there, ask()).await.ok().json();
    assert_eq!(answer["decision"], false, "{answer}");
    first.server.shutdown().await;
    second.server.shutdown().await;
}
