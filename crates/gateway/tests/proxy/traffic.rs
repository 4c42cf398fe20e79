//! What goes through goes through whole, at once, and on record.

use crate::common::{
    Naive, body, eventually, problem_code, read_until, send, start, status, within,
};
use gateway::evidence::{ExchangeError, Scheme};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An upstream whose every connection is played by hand.
async fn by_hand() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_are_kept_on_both_sides() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    let (mut behind, first) = {
        client.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let (mut behind, _) = within(listener.accept()).await.unwrap();
        let first = read_until(&mut behind, "\r\n\r\n").await;
        (behind, first)
    };
    assert!(first.starts_with("GET /1 HTTP/1.1\r\n"), "{first}");
    for i in 2..6 {
        behind
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok")
            .await
            .unwrap();
        let answer = read_until(&mut client, "ok").await;
        assert!(!answer.to_ascii_lowercase().contains("keep-alive"), "{answer}");
        client.write_all(format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let next = read_until(&mut behind, "\r\n\r\n").await;
        assert!(next.starts_with(&format!("GET /{i} ")), "the same connection carries it: {next}");
    }
    assert_eq!(gateway.handle.metrics().upstream_connects.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_first_byte_arrives_before_the_last_is_sent() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    // Up: a chunk reaches the upstream while the body is open.
    client
        .write_all(
            b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        )
        .await
        .unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    let seen = read_until(&mut behind, "first").await;
    assert!(seen.contains("transfer-encoding: chunked"), "{seen}");
    client.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut behind, "last\r\n0\r\n\r\n").await;
    // Down: the same, the other way.
    behind
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await
        .unwrap();
    read_until(&mut client, "one").await;
    behind.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut client, "two\r\n0\r\n\r\n").await;

    let exchange = &gateway.exchanges(1).await[0];
    assert_eq!(&exchange.request_body.bytes[..], b"firstlast");
    assert_eq!(exchange.request_body.sha256, Some(schema::sha256(b"firstlast")));
    assert_eq!(&exchange.response_body.bytes[..], b"onetwo");
    assert_eq!((exchange.status, exchange.error), (Some(200), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn event_streams_are_not_held_back() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "limits: {stall_ms: 50, shutdown_ms: 500}");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "\r\n\r\n").await;
    behind
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        .await
        .unwrap();
    read_until(&mut client, "data: 1\n\n").await;
    // Longer than `stall_ms`: events may be rare.
    tokio::time::sleep(std::time::Duration::from_millis(120)).await;
    behind.write_all(b"data: 2\n\n").await.unwrap();
    read_until(&mut client, "data: 2\n\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn websockets_go_both_ways() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n").await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    let asked = read_until(&mut behind, "\r\n\r\n").await;
    assert!(
        asked.contains("upgrade: websocket") && asked.contains("sec-websocket-key: x"),
        "{asked}"
    );
    behind.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\nhello").await.unwrap();
    let answer = read_until(&mut client, "hello").await;
    assert!(
        answer.starts_with("HTTP/1.1 101") && answer.contains("sec-websocket-accept: y"),
        "{answer}"
    );
    // From here on nothing is HTTP, and nothing is checked.
    client.write_all(b"\x81\x03abc\n\0\r").await.unwrap();
    let mut echo = [0u8; 8];
    within(behind.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"\x81\x03abc\n\0\r");
    behind.write_all(&echo).await.unwrap();
    drop(behind);
    let mut rest = Vec::new();
    within(client.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, echo);
    drop(client);
    let exchange = &gateway.exchanges(1).await[0];
    assert_eq!(
        (exchange.status, exchange.request_body.total_len, exchange.response_body.total_len),
        (Some(101), 8, 13)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_upgrade_that_is_declined_is_an_ordinary_request() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client
        .write_all(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await
        .unwrap();
    read_until(&mut client, "ok").await;
    client.write_all(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut client, "ok").await;
    assert_eq!(naive.requests(), 2);
    // Bytes sent along with the question would be two things to two readers.
    let early = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = gateway.send(early).await;
    assert_eq!(problem_code(&answer), "early-tunnel-data");
    assert_eq!(naive.requests(), 2);
}

fn certificate(dir: &std::path::Path, name: &str) -> String {
    let key = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    std::fs::write(dir.join(format!("{name}.pem")), key.cert.pem()).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), key.signing_key.serialize_pem()).unwrap();
    format!(
        "{{hosts: ['{name}'], cert_file: '{0}.pem', key_file: '{0}.key'}}",
        dir.join(name).display()
    )
}

async fn tls(
    addr: SocketAddr,
    dir: &std::path::Path,
    name: &'static str,
    alpn: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config =
        gateway::proxy::tls::client_config(Some(&dir.join(format!("{name}.pem")))).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(addr).await.unwrap();
    within(connector.connect(name.try_into().unwrap(), socket)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tls_chooses_the_certificate_and_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) =
        (certificate(dir.path(), "one.example"), certificate(dir.path(), "two.example"));
    let (upstream, naive) = Naive::start().await;
    let top =
        format!("listeners: [{{address: '127.0.0.1:0', tls: {{certificates: [{one}, {two}]}}}}]");
    let gateway = start(upstream, "", &top);
    // Each name verifies against its own certificate only.
    let mut stream = tls(gateway.addr, dir.path(), "two.example", b"http/1.1").await;
    stream.write_all(b"GET /1 HTTP/1.1\r\nHost: two.example\r\n\r\n").await.unwrap();
    read_until(&mut stream, "ok").await;

    let stream = tls(gateway.addr, dir.path(), "one.example", b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let ask = |path: &str| {
        Request::get(format!("https://one.example{path}"))
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .body(Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    let (first, second) = within(async {
        tokio::join!(sender.clone().send_request(ask("/2")), sender.send_request(ask("/3")))
    })
    .await;
    for response in [first.unwrap(), second.unwrap()] {
        assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
        assert_eq!(&response.into_body().collect().await.unwrap().to_bytes()[..], b"ok");
    }
    let seen = naive.text();
    assert!(seen.contains("cookie: a=b; c=d") && seen.contains("host: one.example"), "{seen}");
    assert!(seen.contains("x-forwarded-proto: https"), "{seen}");
    let exchanges = gateway.exchanges(3).await;
    assert!(exchanges.iter().all(|e| e.request.scheme == Scheme::Https && e.status == Some(200)));
    assert_eq!(exchanges.iter().filter(|e| e.request.version == Version::HTTP_2).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_upstream_that_fails_is_told_as_a_problem() {
    let (dead, listener) = by_hand().await;
    drop(listener);
    let gateway = start(dead, "", "");
    let answer = gateway.get("/", "Accept-Language: ko\r\n").await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (502, "upstream-unreachable"));
    assert!(answer.contains("application/problem+json") && answer.contains("content-language: ko"));
    assert_eq!(gateway.exchanges(1).await[0].error, Some(ExchangeError::UpstreamUnreachable));

    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "limits: {response_header_ms: 60, shutdown_ms: 500}");
    let (answer, _held) = tokio::join!(gateway.get("/", ""), listener.accept());
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (504, "upstream-timeout"));

    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "nonsense\r\n\r\n",
        "",
    ] {
        let (upstream, listener) = by_hand().await;
        let gateway = start(upstream, "", "");
        let behind = async {
            let (mut behind, _) = listener.accept().await.unwrap();
            read_until(&mut behind, "\r\n\r\n").await;
            behind.write_all(broken.as_bytes()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(gateway.get("/", ""), behind);
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (502, "upstream-broken"),
            "{broken:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_response_that_breaks_off_breaks_off_for_the_client_too() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "");
    let behind = async {
        let (mut behind, _) = listener.accept().await.unwrap();
        read_until(&mut behind, "\r\n\r\n").await;
        behind.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    };
    let (answer, ()) = tokio::join!(gateway.get("/", ""), behind);
    assert!(answer.contains("content-length: 10") && body(&answer) == "half", "{answer}");
    let exchange = &gateway.exchanges(1).await[0];
    assert_eq!(exchange.error, Some(ExchangeError::UpstreamBroken));
    assert_eq!((exchange.response_body.sha256, exchange.response_body.truncated), (None, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_closed_while_idle_is_replaced() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "");
    for _ in 0..3 {
        let behind = async {
            let (mut behind, _) = listener.accept().await.unwrap();
            read_until(&mut behind, "\r\n\r\n").await;
            behind.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            // Closed without a word, as servers do with idle connections.
        };
        let (answer, ()) = tokio::join!(gateway.get("/", ""), behind);
        assert_eq!(status(&answer), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_upstream_that_is_down_is_left_out() {
    let (dead, listener) = by_hand().await;
    drop(listener);
    let (alive, naive) = Naive::start().await;
    let yaml = crate::common::yaml(dead, "    health: {failures_max: 1, eject_ms: 60000}", "")
        .replace(
            &format!("[{{url: 'http://{dead}'}}]"),
            &format!("[{{url: 'http://{dead}'}}, {{url: 'http://{alive}'}}]"),
        );
    let gateway =
        crate::common::start_config(gateway::Config::parse("gateway.yaml", &yaml).unwrap());
    for _ in 0..4 {
        assert_eq!(status(&gateway.get("/", "").await), 200);
    }
    assert_eq!(naive.requests(), 4);
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains(&format!("upstream_healthy{{site=\"shop\",upstream=\"{dead}\"}} 0")),
        "{metrics}"
    );
    assert!(metrics.contains(&format!("upstream_healthy{{site=\"shop\",upstream=\"{alive}\"}} 1")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn active_checks_take_out_and_bring_back() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "    health: {path: /healthz, interval_ms: 100}", "");
    let healthy =
        |value: u8| format!("upstream_healthy{{site=\"shop\",upstream=\"{upstream}\"}} {value}");
    for (answer, value) in [("503 No", 0), ("200 OK", 1)] {
        let (mut behind, _) = within(listener.accept()).await.unwrap();
        let asked = read_until(&mut behind, "\r\n\r\n").await;
        assert!(asked.starts_with("GET /healthz "), "{asked}");
        behind
            .write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut metrics = gateway.metrics().await;
        for _ in 0..200 {
            if metrics.contains(&healthy(value)) {
                break;
            }
            metrics = gateway.metrics().await;
        }
        assert!(metrics.contains(&healthy(value)), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_client_is_who_our_proxies_say() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "trusted_proxies: [127.0.0.0/8]");
    gateway.get("/", "X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n").await;
    let exchange = gateway.exchanges(1).await.remove(0);
    assert_eq!(
        (exchange.request.client_ip.to_string().as_str(), exchange.request.client_port),
        ("203.0.113.7", 0)
    );
    assert!(
        naive.text().contains("x-forwarded-for: 6.6.6.6, 203.0.113.7, 127.0.0.1\r\n"),
        "{}",
        naive.text()
    );

    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    gateway.get("/", "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n").await;
    assert_eq!(gateway.exchanges(1).await[0].request.client_ip.to_string(), "127.0.0.1");
    assert!(
        naive.text().contains("x-forwarded-for: 127.0.0.1\r\n")
            && !naive.text().contains("203.0.113.7")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn long_bodies_are_kept_to_the_limit_and_hashed_whole() {
    let (upstream, _naive) = Naive::start().await;
    let gateway = start(upstream, "", "limits: {body_bytes_max: 1000, shutdown_ms: 500}");
    let long = "x".repeat(300_000);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n{long}"
    );
    assert_eq!(status(&gateway.send(request.as_bytes()).await), 200);
    let exchange = &gateway.exchanges(1).await[0];
    let body = &exchange.request_body;
    assert_eq!((body.bytes.len(), body.total_len, body.truncated), (1000, 300_000, true));
    assert_eq!(body.sha256, Some(schema::sha256(long.as_bytes())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_recorder_costs_evidence_and_not_traffic() {
    let (upstream, _naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    gateway.collector.full.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(status(&gateway.get("/", "").await), 200);
    eventually(|| (gateway.handle.stats().exchanges_lost == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_leaves_or_dawdles_is_on_record() {
    let (upstream, listener) = by_hand().await;
    let gateway =
        start(upstream, "", "limits: {stall_ms: 60, header_read_ms: 60, shutdown_ms: 500}");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "\r\n\r\n").await;
    drop(client);
    assert_eq!(gateway.exchanges(1).await[0].error, Some(ExchangeError::ClientGone));

    let slow_body =
        gateway.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").await;
    assert_eq!((status(&slow_body), problem_code(&slow_body).as_str()), (408, "body-timeout"));
    assert_eq!(gateway.exchanges(2).await[1].error, Some(ExchangeError::ClientTimeout));
    let slow_head = gateway.send(b"GET / HTTP/1.1\r\nHo").await;
    assert_eq!((status(&slow_head), problem_code(&slow_head).as_str()), (408, "header-timeout"));
    assert_eq!(gateway.send(b"").await, "", "silence is closed without a word");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_host_nobody_claims_is_turned_away() {
    let (upstream, naive) = Naive::start().await;
    let yaml = crate::common::yaml(upstream, "", "")
        .replace("hosts: ['*']", "hosts: [shop.example, '*.shop.example']");
    let gateway =
        crate::common::start_config(gateway::Config::parse("gateway.yaml", &yaml).unwrap());
    for (host, expected) in [
        ("SHOP.example:80", 200),
        ("a.shop.example", 200),
        ("shop.example.", 200),
        ("xshop.example", 404),
        ("127.0.0.1", 404),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = send(gateway.addr, request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{host}");
    }
    assert_eq!(naive.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_response_that_never_ends_is_cut_where_asked() {
    let (upstream, listener) = by_hand().await;
    let gateway = start(upstream, "", "limits: {total_ms: 80, shutdown_ms: 500}");
    let behind = async {
        let (mut behind, _) = listener.accept().await.unwrap();
        read_until(&mut behind, "\r\n\r\n").await;
        behind
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nfirst")
            .await
            .unwrap();
        behind
    };
    let (answer, _behind) = tokio::join!(gateway.get("/", ""), behind);
    assert!(answer.contains("first") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(gateway.exchanges(1).await[0].error, Some(ExchangeError::UpstreamTimeout));
}
