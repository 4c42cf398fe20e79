//! The server decides, the gateway follows: at once, after a restart, and when the server is gone.

use crate::common::{
    Naive, Running, eventually, keys, problem_code, read_until, restriction, start, status, within,
};
use schema::{Restrictions, Rung};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// A server played by hand: takes a request, returns its head and body.
struct Server(TcpListener);

impl Server {
    async fn start() -> (Server, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (Server(listener), addr)
    }

    /// The next connection; the gateway opens another one only when the first is busy or closed.
    async fn accept(&self) -> TcpStream {
        within(self.0.accept()).await.unwrap().0
    }
}

async fn answer(socket: &mut TcpStream, status: &str, body: &str) {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(answer.as_bytes()).await.unwrap();
}

fn set(version: u64, restrictions: Vec<schema::Restriction>) -> String {
    serde_json::to_string(&Restrictions { version, restrictions, ..Restrictions::default() })
        .unwrap()
}

fn top(dir: &std::path::Path, server: SocketAddr) -> String {
    std::fs::write(dir.join("token"), "t0ken\n").unwrap();
    let dir = dir.display();
    format!(
        "server: {{url: 'http://{server}', token_file: '{dir}/token'}}\nstate_dir: '{dir}/state'"
    )
}

async fn with_key(gateway: &Running) -> u16 {
    status(&gateway.get("/", "Authorization: Bearer k\r\n").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn decisions_are_taken_over_confirmed_and_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let (upstream, _naive) = Naive::start().await;
    let (server, addr) = Server::start().await;
    let target = format!("credential:{}", keys().secret_hash(b"k"));
    let gateway = start(upstream, "", &top(dir.path(), addr));
    assert_eq!(with_key(&gateway).await, 200);

    let mut socket = server.accept().await;
    let asked = read_until(&mut socket, "\r\n\r\n").await;
    assert!(asked.starts_with("GET /api/v1/gateway/restrictions?after=0&wait=0 "), "{asked}");
    assert!(asked.contains("authorization: Bearer t0ken\r\n"), "{asked}");
    answer(&mut socket, "200 OK", &set(7, vec![restriction(1, &target, Rung::Block)])).await;
    let confirmed = read_until(&mut socket, "}").await;
    assert!(confirmed.starts_with("POST /api/v1/gateway/applied "), "{confirmed}");
    assert!(confirmed.ends_with("{\"gateway\":\"edge-1\",\"version\":7}"), "{confirmed}");
    assert_eq!(with_key(&gateway).await, 403, "in force before it is confirmed");
    answer(&mut socket, "200 OK", "").await;
    let asked = read_until(&mut socket, "\r\n\r\n").await;
    assert!(asked.contains("?after=7&wait=25 "), "{asked}");
    answer(&mut socket, "304 Not Modified", "").await;
    read_until(&mut socket, "?after=7&wait=25 ").await;

    // Gone with the server: a new gateway enforces what the old one knew.
    drop((socket, server));
    let kept = dir.path().join("state/restrictions.json");
    eventually(|| kept.exists().then_some(())).await;
    drop(gateway);
    let gateway = start(upstream, "", &top(dir.path(), addr));
    assert_eq!(with_key(&gateway).await, 403);
    assert_eq!(gateway.handle.stats().restrictions_version, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_site_that_fails_closed_waits_for_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (upstream, naive) = Naive::start().await;
    let (server, addr) = Server::start().await;
    let closed =
        start(upstream, "    fail: closed\n    fail_grace_secs: 0", &top(dir.path(), addr));
    let mut first = server.accept().await;
    let mut code = String::new();
    // The grace is over when a millisecond has passed.
    while code.is_empty() {
        let answer = closed.get("/", "").await;
        if status(&answer) == 503 {
            code = problem_code(&answer);
        }
    }
    assert_eq!(code, "server-unreachable");
    assert!(closed.metrics().await.contains("plura_gateway_server_reachable 0"));
    let before = naive.requests();
    let metrics = closed.handle.metrics();
    assert!(metrics.refused_closed.get() >= 1);
    drop(closed);
    drop(first);

    let dir = tempfile::tempdir().unwrap();
    let open = start(upstream, "    fail: open\n    fail_grace_secs: 0", &top(dir.path(), addr));
    first = server.accept().await;
    while open.handle.metrics().passed_open.get() == 0 {
        assert_eq!(status(&open.get("/", "").await), 200);
    }
    assert!(naive.requests() > before);
    read_until(&mut first, "\r\n\r\n").await;
    answer(&mut first, "200 OK", &set(0, vec![])).await;
    eventually(|| (open.handle.metrics().server_reachable.get() == 1).then_some(())).await;
}
