//! Bodies that are slow in coming, or many: what rules wait for, and how much room they take.

use crate::common::{Naive, Running, problem_code, read_until, send, start, status, within};
use gateway::evidence::{Exchange, SessionBook, Site, SiteSpec, observe};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/waf/own.conf");

fn gateway(upstream: SocketAddr, settings: &str, limits: &str, top: &str) -> Running {
    let site = format!("    waf: [{{rules: own{settings}}}]");
    let top = format!(
        "rule_sets: {{own: {{files: ['{OWN}']}}}}\nlimits: {{shutdown_ms: 500{limits}}}\n{top}"
    );
    start(upstream, &site, &top)
}

fn waf(exchange: &Exchange) -> serde_json::Value {
    let site = Site::compile("shop", &SiteSpec::default()).unwrap();
    let event = observe(exchange, &site, &crate::common::keys(), &SessionBook::new(10));
    event.rest["plura"]["waf"][0].clone()
}

fn limits(exchange: &Exchange) -> String {
    waf(exchange)["limits"].to_string()
}

fn post(from: &str, kind: &str, length: usize, body: &str) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {from}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn attack(from: &str) -> Vec<u8> {
    let body = format!("q=1+UNION+SELECT+password&b={}", "x".repeat(500));
    post(from, "application/x-www-form-urlencoded", body.len(), &body)
}

/// Uploads that stop after `sent` bytes of `length`.
async fn stopped_uploads(
    addr: SocketAddr,
    count: usize,
    length: usize,
    sent: usize,
) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        let request = post("192.0.2.1", "text/plain", length, &"x".repeat(sent));
        socket.write_all(&request).await.unwrap();
        sockets.push(socket);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    sockets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_announced_and_not_sent_takes_no_room() {
    let (upstream, _naive) = Naive::start().await;
    let limits = ", waf_bytes_max: 131172, waf_wait_ms: 20000";
    let gateway = gateway(upstream, ", stage: enforce", limits, "trusted_proxies: [127.0.0.1/32]");
    let _idle = stopped_uploads(gateway.addr, 16, 131_072, 0).await;
    for from in ["192.0.2.1", "192.0.2.2"] {
        let answer = send(gateway.addr, &attack(from)).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (403, "waf-blocked"),
            "{from}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_client_does_not_switch_the_rules_off_for_others() {
    let (upstream, _naive) = Naive::start().await;
    let limits = ", waf_bytes_max: 80000, waf_wait_ms: 20000";
    let gateway = gateway(upstream, ", stage: enforce", limits, "trusted_proxies: [127.0.0.1/32]");
    let _idle = stopped_uploads(gateway.addr, 20, 10_000, 9_990).await;
    let answer = send(gateway.addr, &attack("192.0.2.2")).await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (403, "waf-blocked"));
}

const CONVERSATION: &[u8] = b"POST /talk HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_conversation_goes_on_after_a_short_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway(listener.local_addr().unwrap(), "", ", waf_wait_ms: 100", "");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(CONVERSATION).await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "first").await;
    // The answer begins before the question ends, and neither says when it does.
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n";
    behind.write_all(answer).await.unwrap();
    read_until(&mut client, "answer").await;
    client.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut behind, "last\r\n0\r\n\r\n").await;
    behind.write_all(b"3\r\nend\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut client, "end\r\n0\r\n\r\n").await;
    let exchange = gateway.exchanges(1).await.pop().unwrap();
    assert_eq!(&exchange.request_body.bytes[..], b"firstlast");
    assert_eq!(&exchange.response_body.bytes[..], b"answerend");
    let told = limits(&exchange);
    assert!(told.contains("\"request-slow\"") && told.contains("\"response-slow\""), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_slow_gets_past_no_rule_that_blocks() {
    let slow = String::from_utf8_lossy(CONVERSATION);
    let slow = slow.replace("text/plain", "application/x-www-form-urlencoded");
    for settings in [", stage: enforce", ", stage: enforce, fail: closed"] {
        let (upstream, naive) = Naive::start().await;
        let gateway = gateway(upstream, settings, ", waf_wait_ms: 100, stall_ms: 1000", "");
        let mut client = TcpStream::connect(gateway.addr).await.unwrap();
        client.write_all(slow.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        client.write_all(b"18\r\n 1 UNION SELECT password\r\n0\r\n\r\n").await.unwrap();
        let answer = read_until(&mut client, "waf-blocked").await;
        assert_eq!((status(&answer), naive.requests()), (403, 0), "{settings}");

        let mut client = TcpStream::connect(gateway.addr).await.unwrap();
        client.write_all(slow.as_bytes()).await.unwrap();
        let answer = read_until(&mut client, "\r\n\r\n").await;
        assert_eq!((status(&answer), naive.requests()), (408, 0), "who never goes on: {settings}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_answer_passes_unless_nothing_may_uninspected() {
    for (fail, expected) in [("open", "answer"), ("closed", "HTTP/1.1 504")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (settings, limits) =
            (format!(", stage: enforce, fail: {fail}"), ", waf_wait_ms: 100, stall_ms: 1000");
        let gateway = gateway(listener.local_addr().unwrap(), &settings, limits, "");
        let mut client = TcpStream::connect(gateway.addr).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let (mut behind, _) = within(listener.accept()).await.unwrap();
        read_until(&mut behind, "\r\n\r\n").await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n";
        behind.write_all(answer).await.unwrap();
        read_until(&mut client, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_came_in_time_counts() {
    let (upstream, _naive) = Naive::start().await;
    let gateway = gateway(upstream, "", ", waf_wait_ms: 100", "");
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    let begun = "q=1+UNION+SELECT+password&b=";
    let request = post("192.0.2.1", "application/x-www-form-urlencoded", 1_000, begun);
    client.write_all(&request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.write_all(&vec![b'x'; 1_000 - begun.len()]).await.unwrap();
    assert_eq!(status(&read_until(&mut client, "\r\n\r\n").await), 200);
    let told = waf(&gateway.exchanges(1).await.pop().unwrap());
    assert_eq!((&told["would_block"], &told["decided_by"]), (&true.into(), &399.into()), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn xml_passes_without_room_where_the_site_says_so() {
    let (upstream, _naive) = Naive::start().await;
    let body = format!("<order><item>{}</item></order>", "x".repeat(200));
    for (fail, expected) in [("open", 200), ("closed", 503)] {
        let settings = format!(", stage: enforce, fail: {fail}");
        let gateway = gateway(upstream, &settings, ", waf_bytes_max: 100", "");
        let answer = send(gateway.addr, &post("192.0.2.1", "text/xml", body.len(), &body)).await;
        assert_eq!(status(&answer), expected, "{fail}: {answer}");
        // What is broken is refused all the same, when there is room.
        let answer = send(gateway.addr, &post("192.0.2.1", "text/xml", 6, "<order")).await;
        assert_eq!(status(&answer), 400, "{answer}");
    }
}
