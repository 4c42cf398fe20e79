//! A decision point and an application, played.

use crate::common::{Running, keys, start_config, yaml};
use bytes::Bytes;
use gateway::Config;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use schema::{Reconsider, Restrictions};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

type Rule = Box<dyn Fn(&Value) -> (u16, String) + Send>;

/// Answers as its rule says, and pushes what is to be reconsidered.
pub struct Pdp {
    pub addr: SocketAddr,
    dir: tempfile::TempDir,
    inner: Arc<Inner>,
    serving: tokio::task::JoinHandle<()>,
}

struct Inner {
    rule: Mutex<Rule>,
    asked: Mutex<Vec<Value>>,
    authorization: Mutex<String>,
    held: watch::Sender<bool>,
    restrictions: watch::Sender<Restrictions>,
    applied: AtomicU64,
    since: AtomicI64,
    stopped: watch::Sender<bool>,
}

impl Pdp {
    pub async fn start(rule: impl Fn(&Value) -> (u16, String) + Send + 'static) -> Pdp {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            rule: Mutex::new(Box::new(rule)),
            asked: Mutex::default(),
            authorization: Mutex::default(),
            held: watch::Sender::new(false),
            restrictions: watch::Sender::new(Restrictions::default()),
            applied: AtomicU64::new(0),
            since: AtomicI64::new(1),
            stopped: watch::Sender::new(false),
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "t0ken\n").unwrap();
        let shared = Arc::clone(&inner);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let inner = Arc::clone(&shared);
                let mut stopped = inner.stopped.subscribe();
                tokio::spawn(async move {
                    let service = service_fn(move |request| Arc::clone(&inner).serve(request));
                    let serving =
                        http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    tokio::select! {
                        _ = serving => {}
                        _ = stopped.wait_for(|stopped| *stopped) => {}
                    }
                });
            }
        });
        Pdp { addr, dir, inner, serving }
    }

    pub fn rule(&self, rule: impl Fn(&Value) -> (u16, String) + Send + 'static) {
        *self.inner.rule.lock().unwrap() = Box::new(rule);
    }

    /// Answers are made, and not sent while this is on.
    pub fn hold(&self, on: bool) {
        self.inner.held.send_replace(on);
    }

    pub fn asked(&self) -> Vec<Value> {
        self.inner.asked.lock().unwrap().clone()
    }

    pub fn authorization(&self) -> String {
        self.inner.authorization.lock().unwrap().clone()
    }

    /// Adds changes, each of its own moment; says the version.
    pub fn push(&self, version: u64, entities: &[Option<String>]) -> u64 {
        let change = |entity: &Option<String>| Reconsider {
            entity: entity.as_deref().map(|text| text.parse().unwrap()),
            since: self.inner.since.fetch_add(1, Ordering::SeqCst),
        };
        let mut reconsider = self.inner.restrictions.borrow().reconsider.clone();
        reconsider.extend(entities.iter().map(change));
        self.push_all(version, reconsider)
    }

    pub fn push_all(&self, version: u64, reconsider: Vec<Reconsider>) -> u64 {
        let set = Restrictions { version, reconsider, ..Restrictions::default() };
        self.inner.restrictions.send_replace(set);
        version
    }

    pub fn has_applied(&self, version: u64) -> bool {
        self.inner.applied.load(Ordering::SeqCst) >= version
    }

    /// No more connections, and the ones there are closed.
    pub fn stop(&self) {
        self.serving.abort();
        self.inner.stopped.send_replace(true);
    }
}

impl Inner {
    async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        let (status, text) = match (parts.method, parts.uri.path()) {
            (Method::POST, "/access/v1/evaluation") => {
                let header = parts.headers["authorization"].to_str().unwrap().to_owned();
                *self.authorization.lock().unwrap() = header;
                let asked: Value = serde_json::from_slice(&body).unwrap();
                let answer = self.rule.lock().unwrap()(&asked);
                self.asked.lock().unwrap().push(asked);
                let _ = self.held.subscribe().wait_for(|held| !held).await;
                answer
            }
            (Method::GET, "/api/v1/gateway/restrictions") => {
                let query = parts.uri.query().unwrap();
                let after: u64 = query
                    .split('&')
                    .find_map(|p| p.strip_prefix("after="))
                    .unwrap()
                    .parse()
                    .unwrap();
                let mut newer = self.restrictions.subscribe();
                let set = if query.contains("wait=0") {
                    newer.borrow().clone()
                } else {
                    newer.wait_for(|set| set.version > after).await.unwrap().clone()
                };
                (200, serde_json::to_string(&set).unwrap())
            }
            _ => {
                let applied: Value = serde_json::from_slice(&body).unwrap();
                self.applied.store(applied["version"].as_u64().unwrap(), Ordering::SeqCst);
                (200, String::new())
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

/// An AuthZEN answer with the id `d-1`.
pub fn answer(decision: bool, mut context: Value) -> (u16, String) {
    context["id"] = json!("d-1");
    (200, json!({"decision": decision, "context": context}).to_string())
}

pub fn allow() -> (u16, String) {
    answer(true, json!({"decisions": ["allow"], "ttl_secs": 900}))
}

pub fn deny() -> (u16, String) {
    answer(false, json!({"decisions": ["deny"], "ttl_secs": 900}))
}

pub fn session(sid: &str) -> String {
    format!("session:{}", keys().secret_hash(sid.as_bytes()))
}

/// A gateway with its application.
pub struct Shop {
    running: Running,
    pub app: Arc<App>,
}

impl Deref for Shop {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

pub async fn start(pdp: &Pdp, trust: &str) -> Shop {
    let app = App::start().await;
    Shop { running: start_config(config(pdp, &app, trust)), app }
}

pub fn config(pdp: &Pdp, app: &App, trust: &str) -> Config {
    let site = format!(
        "    trust: {trust}
    step_up: {{url: /verify, mfa_method: otp}}
    routes:
      - {{match: 'POST /verify', action: step-up}}
      - {{match: 'POST /login', action: login, account: ['query:user']}}
      - {{match: 'POST /signin', action: login, account: ['json:user']}}"
    );
    let token = pdp.dir.path().join("token");
    let top = format!("server: {{url: 'http://{}', token_file: '{}'}}", pdp.addr, token.display());
    Config::parse("gateway.yaml", &yaml(app.addr, &site, &top)).unwrap_or_else(|f| panic!("{f:?}"))
}

/// What the recorder makes of an exchange, as OCSF.
pub async fn observed(gateway: &Running, number: usize) -> Value {
    let site =
        gateway::evidence::Site::compile("shop", &gateway::evidence::SiteSpec::default()).unwrap();
    let book = gateway::evidence::SessionBook::new(10);
    let exchange = gateway.exchanges(number + 1).await[number].clone();
    let mut line = Vec::new();
    gateway::evidence::observe_line(&exchange, &site, &keys(), &book, &mut line);
    serde_json::from_slice(&line).unwrap()
}

/// An application with pages, files and streams.
pub struct App {
    pub addr: SocketAddr,
    requests: AtomicUsize,
    said: broadcast::Sender<&'static str>,
}

impl App {
    pub async fn start() -> Arc<App> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Arc::new(App {
            addr: listener.local_addr().unwrap(),
            requests: AtomicUsize::new(0),
            said: broadcast::Sender::new(8),
        });
        let serving = Arc::clone(&app);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(socket));
            }
        });
        app
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// To every stream open.
    pub async fn say(&self, word: &'static str) {
        self.said.send(word).unwrap();
    }

    async fn serve(self: Arc<Self>, mut socket: TcpStream) {
        loop {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                let Ok(byte) = socket.read_u8().await else { return };
                seen.push(byte);
            }
            let mut said = self.said.subscribe();
            self.requests.fetch_add(1, Ordering::SeqCst);
            let head = String::from_utf8_lossy(&seen).to_ascii_lowercase();
            if head.contains("transfer-encoding: chunked") {
                // Reads on until there is no more.
                let mut space = [0u8; 65_536];
                while let Ok(1..) = socket.read(&mut space).await {}
                return;
            }
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
            for _ in 0..length.map_or(0, |length| length.parse().unwrap()) {
                let Ok(_) = socket.read_u8().await else { return };
            }
            let (method, target) = head.split_once(' ').unwrap();
            let path = target.split([' ', '?']).next().unwrap();
            let html = "content-type: text/html\r\n";
            let (line, headers) = match path {
                "/verify" if head.contains("code=42") => ("200 OK", html),
                "/verify" => ("403 Forbidden", html),
                "/picture" => {
                    ("200 OK", "content-type: image/png\r\ncontent-disposition: inline\r\n")
                }
                "/report" => (
                    "200 OK",
                    "content-type: text/html\r\ncontent-disposition: attachment; filename=a.html\r\n",
                ),
                "/table.csv" => ("200 OK", "content-type: text/csv; charset=utf-8\r\n"),
                "/part-of-big" => (
                    "206 Partial Content",
                    "content-type: text/html\r\ncontent-range: bytes 0-5/10485761\r\n",
                ),
                "/big" => {
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 10485761\r\n\r\nsecret";
                    let _ = socket.write_all(head.as_bytes()).await;
                    let _ = socket.read_u8().await;
                    return;
                }
                "/endless" => {
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n";
                    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
                    if socket.write_all(head.as_bytes()).await.is_ok() {
                        while socket.write_all(&chunk).await.is_ok() {}
                    }
                    return;
                }
                "/stream" | "/slow" | "/ws" => {
                    let head = if path == "/ws" {
                        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
                    } else {
                        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
                    };
                    let mut word =
                        if path == "/slow" { said.recv().await.unwrap() } else { "first" };
                    if socket.write_all(head.as_bytes()).await.is_err() {
                        return;
                    }
                    while socket.write_all(word.as_bytes()).await.is_ok() {
                        word = match said.recv().await {
                            Ok(word) => word,
                            Err(_) => return,
                        };
                    }
                    return;
                }
                _ => ("200 OK", html),
            };
            let body = if method == "head" { "" } else { "secret" };
            let answer = format!("HTTP/1.1 {line}\r\n{headers}content-length: 6\r\n\r\n{body}");
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
