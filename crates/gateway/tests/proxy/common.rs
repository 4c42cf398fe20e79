//! A gateway, something behind it and something before it, all in one process.

use gateway::evidence::{Exchange, Keys, SessionBook, Site};
use gateway::proxy::shared::{Evidence, Record};
use gateway::{Config, Gateway, GatewayHandle};
use schema::{Restriction, Restrictions, Rung};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps exchanges in memory.
#[derive(Default)]
pub struct Collector {
    exchanges: Mutex<Vec<Exchange>>,
    pub full: std::sync::atomic::AtomicBool,
}

impl Record for Collector {
    fn record(&self, _: &Arc<Site>, exchange: Exchange) -> bool {
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return false;
        }
        self.exchanges.lock().unwrap().push(exchange);
        true
    }

    fn write_metrics(&self, _: &mut String) {}

    fn stop(&self) {}
}

pub struct Running {
    pub handle: GatewayHandle,
    pub collector: Arc<Collector>,
    pub addr: SocketAddr,
    book: Arc<SessionBook>,
    site: gateway::evidence::SiteSpec,
}

pub fn keys() -> Keys {
    Keys::new(&[7; 32])
}

/// Starts a gateway with one site for every host, in front of `upstream`; `more` is YAML of the
/// site (six spaces deep) and `top` YAML of the file.
pub fn start(upstream: SocketAddr, more: &str, top: &str) -> Running {
    start_config(config(upstream, more, top))
}

pub fn config(upstream: SocketAddr, more: &str, top: &str) -> Config {
    Config::parse("gateway.yaml", &yaml(upstream, more, top)).unwrap_or_else(|f| panic!("{f:?}"))
}

pub fn yaml(upstream: SocketAddr, more: &str, top: &str) -> String {
    let limits = if top.contains("limits:") { "" } else { "limits: {shutdown_ms: 500}" };
    let listeners =
        if top.contains("listeners:") { "" } else { "listeners: [{address: '127.0.0.1:0'}]" };
    format!(
        "gateway: edge-1
admin: 127.0.0.1:0
{listeners}
{limits}
{top}
sites:
  - name: shop
    hosts: ['*']
    upstreams: [{{url: 'http://{upstream}'}}]
{more}
"
    )
}

pub fn start_config(config: Config) -> Running {
    let collector = Arc::new(Collector::default());
    let book = Arc::new(SessionBook::new(1000));
    let site = config.sites[0].evidence();
    let evidence = Evidence {
        keys: Arc::new(keys()),
        book: Arc::clone(&book),
        recorder: Arc::clone(&collector) as Arc<dyn Record>,
    };
    let handle = Gateway::start_with(config, evidence).unwrap_or_else(|f| panic!("{f:?}"));
    let addr = handle.addrs()[0];
    Running { handle, collector, addr, book, site }
}

impl Running {
    /// The exchanges recorded, once there are `count`.
    pub async fn exchanges(&self, count: usize) -> Vec<Exchange> {
        eventually(|| {
            let exchanges = self.collector.exchanges.lock().unwrap();
            (exchanges.len() >= count).then(|| exchanges.clone())
        })
        .await
    }

    /// The exchanges recorded so far.
    pub fn recorded(&self) -> Vec<Exchange> {
        self.collector.exchanges.lock().unwrap().clone()
    }

    pub fn restrict(&self, version: u64, restrictions: Vec<Restriction>) {
        self.handle.enforcer().load(&Restrictions {
            version,
            restrictions,
            ..Restrictions::default()
        });
    }

    /// What the recorder would: sessions learnt from the logins recorded so far.
    pub async fn learn(&self) {
        let site = Site::compile("shop", &self.site).unwrap();
        for exchange in self.exchanges(1).await {
            gateway::evidence::observe(&exchange, &site, &keys(), &self.book);
        }
    }

    /// One request on its own connection; the answer until the gateway closes it.
    pub async fn send(&self, request: &[u8]) -> String {
        send(self.addr, request).await
    }

    pub async fn get(&self, path: &str, headers: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n"
        );
        self.send(request.as_bytes()).await
    }

    pub async fn metrics(&self) -> String {
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        send(self.handle.admin_addr(), request).await
    }
}

pub fn restriction(action: u128, target: &str, rung: Rung) -> Restriction {
    Restriction {
        action: Uuid::from_u128(action),
        target: target.parse().unwrap(),
        rung,
        sites: vec![],
        rate_per_minute: None,
        expires: i64::MAX,
        reason: "credential-stuffing".into(),
    }
}

/// Asks again until there is an answer; for what another thread does in its own time.
pub async fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it did not come about")
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

pub async fn send(addr: SocketAddr, request: &[u8]) -> String {
    let sending = async {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    within(sending).await
}

pub fn status(answer: &str) -> u16 {
    answer
        .get(9..12)
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer:?}"))
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

pub fn problem_code(answer: &str) -> String {
    let value: serde_json::Value =
        serde_json::from_str(body(answer)).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
    value["code"].as_str().unwrap_or_default().to_owned()
}

/// Reads until `end` has come.
pub async fn read_until(socket: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let reading = async {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(end) {
            let mut byte = [0u8; 1];
            let read = socket.read(&mut byte).await.unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&byte);
        }
        String::from_utf8_lossy(&seen).into_owned()
    };
    within(reading).await
}

/// A server that trusts whatever it gets, as the naive ones do: answers 200 to each head, keeps all
/// bytes.
#[derive(Default)]
pub struct Naive {
    pub bytes: Mutex<Vec<u8>>,
}

impl Naive {
    pub async fn start() -> (SocketAddr, Arc<Naive>) {
        let naive = Arc::new(Naive::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::clone(&naive);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&seen).serve(socket));
            }
        });
        (addr, naive)
    }

    async fn serve(self: Arc<Self>, mut socket: TcpStream) {
        let mut pending = Vec::new();
        let mut space = [0u8; 4096];
        while let Ok(read @ 1..) = socket.read(&mut space).await {
            self.bytes.lock().unwrap().extend_from_slice(&space[..read]);
            pending.extend_from_slice(&space[..read]);
            // One answer per head; bodies are read by length or until the last chunk.
            while let Some(end) = whole_request(&pending) {
                pending.drain(..end);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if socket.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Request lines seen.
    pub fn requests(&self) -> usize {
        self.text().matches(" HTTP/1.1\r\n").count()
    }
}

fn whole_request(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let lower = text[..head].to_ascii_lowercase();
    if lower.contains("transfer-encoding: chunked") {
        return text[head..].find("0\r\n\r\n").map(|end| head + end + 5);
    }
    let length = lower
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))
        .map_or(0, |v| v.trim().parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}
