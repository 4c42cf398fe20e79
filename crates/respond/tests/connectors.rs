//! Connectors against servers in this process: what is sent, what failure looks like, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use respond::connectors::{
    Connectors, ConnectorsConfig, Notice, Operation, Rim, SigningSecret, sign,
};
use schema::{
    Action, ActionChange, ActionState, Entity, EntityKind, Rung, Secret, TenantId, Timestamp,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use uuid::Uuid;

const NOW: Timestamp = 1_764_000_000_000;
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A clock that stands still and a chance that always draws the most; pauses are noted, not waited for.
#[derive(Default)]
struct Still(Mutex<Vec<u64>>);

impl Rim for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
    fn chance(&self, max: u64) -> u64 {
        max
    }
    fn pause(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.lock().unwrap().push(time.as_millis() as u64);
        Box::pin(std::future::ready(()))
    }
}

#[derive(Debug, Clone)]
struct Got {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Answers requests in turn with status and body; the last answer stays.
struct Server {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

type Answers = Arc<Mutex<Vec<(u16, &'static str, &'static str)>>>;

impl Server {
    async fn start(answers: &[(u16, &'static str, &'static str)]) -> Server {
        Server::start_with(answers, None).await
    }

    async fn start_with(
        answers: &[(u16, &'static str, &'static str)],
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let answers: Answers = Arc::new(Mutex::new(answers.to_vec()));
        let log = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answers, tls) = (Arc::clone(&log), Arc::clone(&answers), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, log, answers).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, log, answers).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn serve<S>(stream: S, log: Arc<Mutex<Vec<Got>>>, answers: Answers)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let headers = request
                .headers()
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned()))
                .collect();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            log.lock().unwrap().push(Got { line, headers, body });
            let mut answers = answers.lock().unwrap();
            let (status, header, text) =
                if answers.len() > 1 { answers.remove(0) } else { answers[0] };
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header.split_once(": ") {
                response = response.header(name, value);
            }
            response.body(Full::new(Bytes::from_static(text.as_bytes())))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct Set {
    connectors: Connectors,
    rim: Arc<Still>,
    _folder: TempDir,
}

/// Opens a configuration in which `FOLDER` holds `key` and `token`, and `PORT` is the server's.
fn open(yaml: &str, port: u16) -> Result<Set, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), format!("{KEY}\n")).unwrap();
    std::fs::write(folder.path().join("token"), "Bearer s3cr3t-token").unwrap();
    std::fs::write(folder.path().join("weak"), "short").unwrap();
    let yaml =
        yaml.replace("FOLDER", folder.path().to_str().unwrap()).replace("PORT", &port.to_string());
    let config =
        ConnectorsConfig::parse("connectors.yaml", &yaml).unwrap_or_else(|d| panic!("{d}"));
    let rim = Arc::new(Still::default());
    match Connectors::open(&config, Arc::clone(&rim) as Arc<dyn Rim>) {
        Ok(connectors) => Ok(Set { connectors, rim, _folder: folder }),
        Err(diagnostics) => Err(diagnostics.into_iter().map(|d| d.code).collect()),
    }
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn action(target: Entity) -> Action {
    Action {
        id: Uuid::from_u128(5),
        incident: Uuid::from_u128(6),
        findings: vec![Uuid::from_u128(7)],
        reason: "account-takeover".to_owned(),
        policy: "p".to_owned(),
        policy_version: 1,
        rung: Rung::Revoke,
        target,
        sites: Vec::new(),
        rate_per_minute: None,
        state: ActionState::Pending,
        created: NOW,
        expires: NOW + 3_600_000,
        approval: None,
        blast: None,
        history: vec![ActionChange {
            time: NOW,
            actor: "policy:p@1".to_owned(),
            state: ActionState::Pending,
            reason: "account-takeover".to_owned(),
        }],
    }
}

fn account() -> Action {
    action(Entity::new(EntityKind::Account, "kim \"k\"/../x@example.com"))
}

const EGRESS: &str = "egress: [{ host: 127.0.0.1, port: PORT, internal: true }]\n";
const WEBHOOK: &str = "connectors: [{ name: soc, webhook: { url: 'http://127.0.0.1:PORT/hook', secret_file: FOLDER/key } }]";
const IDENTITY: &str = "connectors:
  - name: idp
    retry: { attempts: 3, base_ms: 100, pause_max_ms: 1000 }
    identity:
      on: [{ rung: revoke, target: account }]
      authorization_file: FOLDER/token
      apply:
        url: 'http://127.0.0.1:PORT/users/{{action.target.value}}/disable?until={{action.expires}}'
        body: '{\"reason\": \"{{action.reason}} for {{action.target.value}}\", \"action\": \"{{action.id}}\"}'
        expect: { status: [204] }
      verify:
        method: GET
        url: 'http://127.0.0.1:PORT/users/{{action.target.value}}'
        expect: { json: { /status: SUSPENDED } }
      undo:
        url: 'http://127.0.0.1:PORT/users/{{action.target.value}}/enable'
";

#[tokio::test]
async fn a_webhook_is_signed_masked_and_idempotent() {
    let server = Server::start(&[(503, "", ""), (200, "", "thanks")]).await;
    let set = open(&format!("{EGRESS}{WEBHOOK}"), server.address.port()).unwrap();
    let (tenant, action) = (tenant(), account());
    let notice = Notice::about(&tenant, "action.pending", &action);
    let delivery = set.connectors.notify("soc", &notice).await;
    assert_eq!((delivery.attempts, delivery.result.as_ref().unwrap().status), (2, 200));
    assert_eq!(*set.rim.0.lock().unwrap(), [500], "one pause: half fixed, half drawn");

    let got = server.got();
    assert_eq!(got.len(), 2);
    let secret = SigningSecret::parse(&Secret::new(KEY)).unwrap();
    for request in &got {
        assert_eq!(request.line, "POST /hook");
        let header = |name: &str| request.headers[name].as_str();
        let signed = sign(&secret, header("webhook-id"), NOW, request.body.as_bytes());
        assert_eq!(header("webhook-signature"), signed.signature);
        assert_eq!(header("webhook-timestamp"), "1764000000");
        assert_eq!(header("content-type"), "application/json");
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["type"], "action.pending");
        assert_eq!(body["data"]["action"]["target"], "account:k***@example.com");
        assert_eq!(body["data"]["tenant"], "acme");
        assert!(!request.body.contains("kim"), "an account is not named in full");
    }
    assert_eq!(got[0].headers["webhook-id"], got[1].headers["webhook-id"]);
    assert_eq!(got[0].headers["idempotency-key"], got[1].headers["idempotency-key"]);
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_tells_no_secret() {
    let server = Server::start(&[(401, "", "token s3cr3t-token is wrong")]).await;
    let set = open(&format!("{EGRESS}{IDENTITY}"), server.address.port()).unwrap();
    let delivery = set.connectors.apply(&tenant(), &account()).await.remove(0);
    let failure = delivery.result.clone().unwrap_err();
    assert_eq!((failure.code, delivery.attempts, server.got().len()), ("unexpected-status", 1, 1));
    assert_eq!(server.got()[0].headers["authorization"], "Bearer s3cr3t-token");
    let shown =
        format!("{delivery:?} {} {}", delivery.reason(), serde_json::to_string(&delivery).unwrap());
    assert!(!shown.contains("s3cr3t") && !shown.contains("kim"), "{shown}");
}

#[tokio::test]
async fn retries_end_and_respect_what_the_other_side_asks() {
    let server = Server::start(&[(429, "retry-after: 700", ""), (500, "", "")]).await;
    let set = open(&format!("{EGRESS}{IDENTITY}"), server.address.port()).unwrap();
    let delivery = set.connectors.apply(&tenant(), &account()).await.remove(0);
    assert_eq!((delivery.attempts, server.got().len()), (3, 3));
    assert!(!delivery.is_done());
    assert_eq!(*set.rim.0.lock().unwrap(), [1000, 200], "never above `pause_max_ms`");
}

#[tokio::test]
async fn an_identity_provider_acts_is_verified_and_takes_it_back() {
    let server =
        Server::start(&[(204, "", ""), (200, "", r#"{"status":"SUSPENDED"}"#), (200, "", "")])
            .await;
    let set = open(&format!("{EGRESS}{IDENTITY}"), server.address.port()).unwrap();
    let (tenant, action) = (tenant(), account());
    assert!(set.connectors.executes(&action));
    let applied = set.connectors.apply(&tenant, &action).await.remove(0);
    assert!(applied.is_done(), "{}", applied.reason());
    let undone = set.connectors.undo(&tenant, &action).await.remove(0);
    assert!(undone.is_done() && undone.operation == Operation::Undo);

    let got = server.got();
    let lines: Vec<&str> = got.iter().map(|g| g.line.as_str()).collect();
    let user = "kim%20%22k%22%2F..%2Fx%40example.com";
    assert_eq!(
        lines,
        [
            format!("POST /users/{user}/disable?until=2025-11-24T17%3A00%3A00.000Z"),
            format!("GET /users/{user}"),
            format!("POST /users/{user}/enable"),
        ]
    );
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(body["reason"], "account-takeover for kim \"k\"/../x@example.com");
    assert_ne!(got[0].headers["idempotency-key"], got[2].headers["idempotency-key"]);

    let mut other = action;
    other.rung = Rung::Block;
    assert!(!set.connectors.executes(&other), "a near miss: the rung is not its own");
    assert!(set.connectors.apply(&tenant, &other).await.is_empty());
    assert_eq!(server.got().len(), 3);
}

#[tokio::test]
async fn an_effect_that_is_not_seen_is_a_failure() {
    let server = Server::start(&[
        (204, "", ""),
        (200, "", r#"{"status":"ACTIVE"}"#),
        (204, "", ""),
        (200, "", "not json"),
        (204, "", ""),
        (404, "", ""),
    ])
    .await;
    let set = open(&format!("{EGRESS}{IDENTITY}"), server.address.port()).unwrap();
    let delivery = set.connectors.apply(&tenant(), &account()).await.remove(0);
    assert_eq!(delivery.result.unwrap_err().code, "not-verified");
    assert_eq!((delivery.attempts, server.got().len()), (3, 6));
}

#[tokio::test]
async fn nobody_home_no_undo_and_no_such_connector_are_failures() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let without_undo = IDENTITY.split("      undo:").next().unwrap();
    let set = open(&format!("{EGRESS}{without_undo}"), port).unwrap();
    let (tenant, action) = (tenant(), account());
    let code = |delivery: respond::connectors::Delivery| delivery.result.unwrap_err().code;
    assert_eq!(code(set.connectors.apply(&tenant, &action).await.remove(0)), "connection-failed");
    assert_eq!(code(set.connectors.undo(&tenant, &action).await.remove(0)), "no-undo");
    let notice = Notice::about(&tenant, "action.pending", &action);
    assert_eq!(code(set.connectors.notify("nobody", &notice).await), "unknown-connector");
    assert_eq!(code(set.connectors.notify("idp", &notice).await), "not-a-notice");
}

#[tokio::test]
async fn an_internal_address_is_not_reached_by_name_or_number() {
    let server = Server::start(&[(200, "", "")]).await;
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        let yaml = format!(
            "egress: [{{ host: '{host}', port: PORT }}]\nconnectors: [{{ name: soc, webhook: {{ url: 'https://{host}:PORT/', secret_file: FOLDER/key }} }}]"
        );
        let set = open(&yaml, server.address.port()).unwrap();
        let (tenant, action) = (tenant(), account());
        let notice = Notice::about(&tenant, "action.pending", &action);
        let delivery = set.connectors.notify("soc", &notice).await;
        assert_eq!(delivery.result.unwrap_err().code, "address-not-allowed", "{host}");
        assert_eq!(delivery.attempts, 1);
    }
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn what_cannot_work_is_told_before_it_is_needed() {
    let codes = |yaml: &str| open(yaml, 9).map(|_| ()).unwrap_err();
    assert_eq!(codes(WEBHOOK), ["egress-not-open"]);
    let public = EGRESS.replace(", internal: true", "");
    assert_eq!(codes(&format!("{public}{WEBHOOK}")), ["plain-http"]);
    let mixed = EGRESS.replace("}]", "}, { host: 127.0.0.1, port: 1 }]");
    assert_eq!(codes(&format!("{mixed}{WEBHOOK}")), ["mixed-internal"]);
    let weak = WEBHOOK.replace("FOLDER/key", "FOLDER/weak");
    assert_eq!(codes(&format!("{EGRESS}{weak}")), ["weak-secret"]);
    let none = WEBHOOK.replace("FOLDER/key", "FOLDER/none");
    assert_eq!(codes(&format!("{EGRESS}{none}")), ["unreadable-secret"]);
    let typo = IDENTITY.replace("{{action.reason}}", "{{action.raeson}}");
    assert_eq!(codes(&format!("{EGRESS}{typo}")), ["bad-template"]);
    let unquoted = IDENTITY.replace(r#""action": "#, "");
    assert_eq!(codes(&format!("{EGRESS}{unquoted}")), ["body-not-json"]);
    let open_host = IDENTITY
        .replace("127.0.0.1:PORT/users/{{action.target.value}}/enable", "{{action.reason}}/x");
    assert_eq!(codes(&format!("{EGRESS}{open_host}")), ["host-not-fixed"]);
    let two = WEBHOOK
        .replace("webhook:", "email: { host: h, port: 25, from: a@b.c, to: [a@b.c] }, webhook:");
    assert_eq!(codes(&format!("{EGRESS}{two}")), ["bad-kind"]);
}

/// A TLS server for `localhost`, and its certificate in PEM.
fn tls_server() -> (tokio_rustls::TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

#[tokio::test]
async fn a_certificate_has_to_be_vouched_for() {
    let (acceptor, pem) = tls_server();
    let server = Server::start_with(&[(200, "", "")], Some(acceptor)).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let body = "egress: [{ host: localhost, internal: true }]\nconnectors: [{ name: jira, ticket: { request: { url: 'https://localhost:PORT/issue', body: '{\"summary\": \"{{action.rung}} {{action.target}}\"}' }, authorization_file: FOLDER/token } }]";
    let (tenant, action) = (tenant(), account());
    let notice = Notice::about(&tenant, "action.pending", &action);

    let trusted =
        open(&format!("ca_file: {}\n{body}", ca.display()), server.address.port()).unwrap();
    let delivery = trusted.connectors.notify("jira", &notice).await;
    assert!(delivery.is_done(), "{}", delivery.reason());
    assert_eq!(server.got()[0].body, r#"{"summary": "revoke account:k***@example.com"}"#);

    let stranger = open(body, server.address.port()).unwrap();
    let delivery = stranger.connectors.notify("jira", &notice).await;
    assert_eq!(delivery.result.unwrap_err().code, "connection-failed");
    assert_eq!(server.got().len(), 1);
}

/// A mail server that says `answers` to DATA's end, one per mail; the last one stays.
async fn mail_server(
    answers: &[&'static str],
    tls: Option<tokio_rustls::TlsAcceptor>,
) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&mails);
    let mut answers: Vec<&'static str> = answers.to_vec();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &tls {
                None => take_mail(stream, &log, &mut answers).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        take_mail(stream, &log, &mut answers).await;
                    }
                }
            }
        }
    });
    (port, mails)
}

async fn take_mail<S: AsyncRead + AsyncWrite>(
    stream: S,
    log: &Mutex<Vec<String>>,
    answers: &mut Vec<&'static str>,
) {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    let _ = write.write_all(b"220 test ESMTP\r\n").await;
    let mut mail = String::new();
    let mut in_data = false;
    while let Ok(Some(line)) = lines.next_line().await {
        let reply = if in_data {
            mail.push_str(&line);
            mail.push('\n');
            if line != "." {
                continue;
            }
            in_data = false;
            log.lock().unwrap().push(std::mem::take(&mut mail));
            if answers.len() > 1 { answers.remove(0) } else { answers[0] }
        } else if line == "DATA" {
            in_data = true;
            "354 go on"
        } else if line.starts_with("EHLO") {
            "250-test\r\n250 AUTH PLAIN"
        } else if line.starts_with("AUTH") {
            log.lock().unwrap().push(line);
            "235 welcome"
        } else if line.starts_with("QUIT") {
            "221 bye"
        } else {
            "250 ok"
        };
        if write.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
            break;
        }
    }
}

const MAIL: &str = "egress: [{ host: 127.0.0.1, port: PORT, internal: true }]
connectors: [{ name: mail, email: { host: 127.0.0.1, port: PORT, tls: none, from: 'Plura <plura@example.com>', to: [soc@example.com], language: ko } }]";

#[tokio::test]
async fn a_mail_is_sent_deferred_and_refused() {
    let (port, mails) = mail_server(&["451 later", "250 taken", "550 no such user"], None).await;
    let set = open(MAIL, port).unwrap();
    let (tenant, action) = (tenant(), account());
    let title = respond::policy::Title {
        ko: "세션 폐기".to_owned(),
        en: "revoke".to_owned(),
        ja: "失効".to_owned(),
    };
    let notice =
        Notice { title: Some(&title), ..Notice::about(&tenant, "action.pending", &action) };
    let delivery = set.connectors.notify("mail", &notice).await;
    assert!(delivery.is_done(), "{}", delivery.reason());
    assert_eq!((delivery.attempts, delivery.result.unwrap().status), (2, 250));
    let ids: Vec<String> = mails
        .lock()
        .unwrap()
        .iter()
        .map(|mail| mail.lines().find(|l| l.starts_with("Message-ID")).unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "a second copy is known as one");

    let delivery = set.connectors.notify("mail", &notice).await;
    assert_eq!(delivery.attempts, 1);
    assert_eq!(delivery.result.unwrap_err().code, "mail-refused");
}

#[tokio::test]
async fn a_mail_is_not_sent_where_tls_was_asked_for_and_not_offered() {
    let (port, mails) = mail_server(&["250 taken"], None).await;
    let set = open(&MAIL.replace("tls: none", "tls: starttls"), port).unwrap();
    let (tenant, action) = (tenant(), account());
    let delivery =
        set.connectors.notify("mail", &Notice::about(&tenant, "action.pending", &action)).await;
    assert_eq!(delivery.result.unwrap_err().code, "mail-failed");
    assert!(mails.lock().unwrap().is_empty());
    let secret = MAIL.replace("tls: none", "tls: none, username: u, password_file: FOLDER/token");
    assert_eq!(open(&secret, port).map(|_| ()).unwrap_err(), ["plain-password"]);
}

#[tokio::test]
async fn a_mail_goes_over_tls_to_the_name_on_the_certificate() {
    let (acceptor, pem) = tls_server();
    let (port, mails) = mail_server(&["250 taken"], Some(acceptor)).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let (tenant, action) = (tenant(), account());
    let notice = Notice::about(&tenant, "action.pending", &action);
    let yaml = |host: &str| {
        let mail = MAIL
            .replace("tls: none", "tls: tls, username: u, password_file: FOLDER/token")
            .replace("127.0.0.1", host);
        format!("ca_file: {}\n{mail}", ca.display())
    };
    let named = open(&yaml("localhost"), port).unwrap();
    let delivery = named.connectors.notify("mail", &notice).await;
    assert!(delivery.is_done(), "{}", delivery.reason());
    assert_eq!(mails.lock().unwrap().len(), 2, "the login, then the mail");

    let other = open(&yaml("127.0.0.1"), port).unwrap();
    let delivery = other.connectors.notify("mail", &notice).await;
    assert_eq!(
        delivery.result.unwrap_err().code,
        "mail-failed",
        "the certificate names localhost only"
    );
    assert_eq!(mails.lock().unwrap().len(), 2);
}
