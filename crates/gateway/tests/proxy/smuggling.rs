//! What two servers could read in two ways never reaches the second one.

use crate::common::{self, Naive, problem_code, send, start, status, within};
use gateway::proxy::refusal::Refusal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The request an attacker hopes the server behind sees.
const HIDDEN: &str = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";

/// Refused by name, the connection closed, and nothing of it upstream.
async fn check(request: &str, code: &str) {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let answer = gateway.send(request.as_bytes()).await;
    assert_eq!(problem_code(&answer), code, "{request:?}");
    let refusal = Refusal::ALL.iter().find(|r| r.code() == code).unwrap();
    assert_eq!(status(&answer), refusal.status().as_u16());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one answer and no more: {answer}");
    assert!(answer.contains("connection: close"));
    assert_eq!(gateway.handle.metrics().refusals(*refusal), 1);
    assert!(!naive.text().contains("/admin"), "{}", naive.text());
    assert_eq!(naive.requests(), 0, "{}", naive.text());
}

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lengths_that_disagree() {
    let chunks = format!("0\r\n\r\n{HIDDEN}");
    // CL.TE and TE.CL (Linhart et al. 2005; Kettle 2019).
    check(
        &post("Content-Length: 6\r\nTransfer-Encoding: chunked", &chunks),
        "content-length-and-transfer-encoding",
    )
    .await;
    check(
        &post("Transfer-Encoding: chunked\r\nContent-Length: 6", &chunks),
        "content-length-and-transfer-encoding",
    )
    .await;
    check(&post("Content-Length: 0\r\nContent-Length: 33", HIDDEN), "repeated-content-length")
        .await;
    check(&post("Content-Length: 0\r\nContent-Length: 0", HIDDEN), "repeated-content-length").await;
    check(&post("Content-Length: 0, 33", HIDDEN), "invalid-content-length").await;
    check(&post("Content-Length: +0", HIDDEN), "invalid-content-length").await;
    check(&post("Content-Length: 0x21", HIDDEN), "invalid-content-length").await;
    check(&post("Content-Length: -1", HIDDEN), "invalid-content-length").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn transfer_codings_that_hide() {
    let chunks = format!("0\r\n\r\n{HIDDEN}");
    for value in
        ["xchunked", "chunked, identity", "identity, chunked", "\"chunked\"", "chunked;q=1", "gzip"]
    {
        check(
            &post(&format!("Transfer-Encoding: {value}"), &chunks),
            "unsupported-transfer-encoding",
        )
        .await;
    }
    check(
        &post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", &chunks),
        "unsupported-transfer-encoding",
    )
    .await;
    check(&post("Transfer-Encoding:\u{b}chunked", &chunks), "invalid-header-value").await;
    check(&post("Transfer-Encoding : chunked", &chunks), "space-before-colon").await;
    check(&post("X: y\r\n Transfer-Encoding: chunked", &chunks), "folded-header").await;
    check(&post("Transfer-Encoding:\r\n chunked", &chunks), "unsupported-transfer-encoding").await;
    check(
        &format!("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        "transfer-encoding-in-http10",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lines_that_end_elsewhere() {
    check(&post("X: y\nTransfer-Encoding: chunked", HIDDEN), "bare-line-feed").await;
    check("GET / HTTP/1.1\nHost: a\n\n", "bare-line-feed").await;
    check(&post("X: y\rTransfer-Encoding: chunked", HIDDEN), "bare-carriage-return").await;
    check(&post("X: y\0z", HIDDEN), "nul-byte").await;
    check(&post("X\u{1}Y: z", HIDDEN), "invalid-header-name").await;
    check(&post("Content Length: 5", HIDDEN), "invalid-header-name").await;
    check(&format!("\r\n{HIDDEN}"), "invalid-request-line").await;
    check("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "folded-header").await;
    check("GET  /admin HTTP/1.1\r\nHost: a\r\n\r\n", "invalid-request-line").await;
    check("GET /admin\tHTTP/1.1\r\nHost: a\r\n\r\n", "invalid-request-line").await;
    check("GET /admin HTTP/1.9\r\nHost: a\r\n\r\n", "unsupported-version").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn hosts_that_disagree() {
    check("GET http://b/admin HTTP/1.1\r\nHost: a\r\n\r\n", "host-mismatch").await;
    check("GET /admin HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "repeated-host").await;
    check("GET /admin HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "repeated-host").await;
    check("GET /admin HTTP/1.1\r\nHost: a/b\r\n\r\n", "invalid-host").await;
    check("GET /admin HTTP/1.1\r\nHost: a@b\r\n\r\n", "invalid-host").await;
    check("GET /admin HTTP/1.1\r\nX: y\r\n\r\n", "missing-host").await;
    check("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "method-refused").await;
}

/// A body may already be on its way when it turns bad: then it never ends, and nothing follows it.
async fn check_body(body: &str, code: &str) {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let answer = gateway.send(post("Transfer-Encoding: chunked", body).as_bytes()).await;
    assert_eq!(problem_code(&answer), code, "{body:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    let seen = naive.text();
    assert!(!seen.contains("/admin") && !seen.contains("0\r\n\r\n"), "{seen}");
    assert!(naive.requests() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn chunks_that_are_not() {
    check_body(&format!("5 \r\nhello\r\n0\r\n\r\n{HIDDEN}"), "invalid-chunk-size").await;
    check_body(&format!("0x5\r\nhello\r\n0\r\n\r\n{HIDDEN}"), "invalid-chunk-size").await;
    check_body(&format!("-1\r\nhello\r\n0\r\n\r\n{HIDDEN}"), "invalid-chunk-size").await;
    check_body(&format!("fffffffffffffffff\r\n{HIDDEN}"), "invalid-chunk-size").await;
    check_body(&format!("5\nhello\r\n0\r\n\r\n{HIDDEN}"), "bare-line-feed").await;
    check_body(&format!("5;a\rb\r\nhello\r\n0\r\n\r\n{HIDDEN}"), "bare-carriage-return").await;
    check_body(&format!("5\r\nhelloXX0\r\n\r\n{HIDDEN}"), "invalid-chunk-end").await;
    check_body(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300)), "chunk-extension-too-long")
        .await;
    check_body("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "invalid-trailer").await;
    let trailers = "X: y\r\n".repeat(1000);
    check_body(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n"), "trailers-too-large").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_well_formed_passes_in_turn() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let two = format!(
        "POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Late: a\r\n\r\n{}",
        "GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    let answer = gateway.send(two.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    let seen = naive.text();
    assert!(seen.contains("hello") && !seen.contains("x=y") && !seen.contains("X-Late"), "{seen}");
    assert!(!seen.to_ascii_lowercase().contains("x-late"), "trailers are dropped: {seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_good_request_before_a_bad_one_is_answered_first() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let request = format!(
        "GET /good HTTP/1.1\r\nHost: a\r\n\r\n{}{HIDDEN}",
        post("Content-Length: 1\r\nContent-Length: 2", "x")
    );
    let answer = gateway.send(request.as_bytes()).await;
    let statuses: Vec<_> =
        answer.match_indices("HTTP/1.1 ").map(|(i, _)| &answer[i + 9..i + 12]).collect();
    assert_eq!(statuses, ["200", "400"]);
    assert_eq!(naive.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_upgrade_to_http2_is_not_passed_on() {
    // h2c smuggling (Bishop Fox 2020).
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let answer = gateway.send(request.as_bytes()).await;
    assert_eq!(status(&answer), 200);
    let seen = naive.text().to_ascii_lowercase();
    assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn http2_by_prior_knowledge_is_off() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let answer = send(gateway.addr, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(problem_code(&answer), "unsupported-version");
    assert_eq!(naive.requests(), 0);
}

// HTTP/2, frame by frame.

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// HPACK without table or Huffman code: literal fields, never indexed (RFC 7541 §6.2.3).
fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in list {
        out.push(0x10);
        for text in [name, value] {
            out.push(u8::try_from(text.len()).unwrap());
            out.extend(text.as_bytes());
        }
    }
    out
}

/// The status answered, or the frame that refused the stream.
async fn http2(gateway: &common::Running, head: &[(&str, &str)], body: Option<&str>) -> String {
    let asking = async {
        let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        let end = if body.is_none() { END_STREAM } else { 0 };
        bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &fields(head)));
        if let Some(body) = body {
            bytes.extend(frame(DATA, END_STREAM, 1, body.as_bytes()));
        }
        socket.write_all(&bytes).await.unwrap();
        loop {
            let mut prefix = [0u8; 9];
            if socket.read_exact(&mut prefix).await.is_err() {
                return "closed".to_owned();
            }
            let length = u32::from_be_bytes([0, prefix[0], prefix[1], prefix[2]]);
            let mut payload = vec![0u8; length as usize];
            socket.read_exact(&mut payload).await.unwrap();
            match prefix[3] {
                RST_STREAM => return format!("reset {}", payload[3]),
                GOAWAY => return "goaway".to_owned(),
                // Indexed statuses of the static table, or a literal.
                HEADERS => {
                    return match payload[0] {
                        0x88 => "200".to_owned(),
                        0x8c => "400".to_owned(),
                        _ => String::from_utf8_lossy(&payload).into_owned(),
                    };
                }
                _ => {}
            }
        }
    };
    within(asking).await
}

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn http2_heads_that_would_break_http1() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "listeners: [{address: '127.0.0.1:0', h2c: true}]");
    let with = |field: (&'static str, &'static str)| [GET.as_slice(), &[field]].concat();
    assert_eq!(http2(&gateway, &GET, None).await, "200");
    assert_eq!(naive.requests(), 1);
    // "HTTP/2: The Sequel is Always Worse" (Kettle 2021): each of these once split a request.
    for field in [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("x", "y\r\nGET /admin HTTP/1.1"),
        ("x", "y\nz"),
        ("x", "y\0z"),
        ("x\r\ny", "z"),
        ("x: y", "z"),
        ("X-Upper", "z"),
        (":path", "/admin"),
        ("host", "b"),
        ("content-length", "5, 5"),
        ("content-length", "+5"),
    ] {
        let answer = http2(&gateway, &with(field), None).await;
        assert!(
            answer == "reset 1" || answer == "400" || answer == "goaway",
            "{field:?}: {answer}"
        );
    }
    for path in ["/ HTTP/1.1\r\nX: y", "/a b", ""] {
        let mut head = GET;
        head[2].1 = path;
        let answer = http2(&gateway, &head, None).await;
        assert!(answer == "reset 1" || answer == "400" || answer == "goaway", "{path:?}: {answer}");
    }
    let mut head = GET;
    head[3].1 = "a\r\nX: y";
    assert_ne!(http2(&gateway, &head, None).await, "200");
    assert_eq!(naive.requests(), 1, "{}", naive.text());
    assert!(!naive.text().contains("admin"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn http2_bodies_of_another_length() {
    let (upstream, naive) = Naive::start().await;
    let gateway = start(upstream, "", "listeners: [{address: '127.0.0.1:0', h2c: true}]");
    let with = |length: &'static str| [POST.as_slice(), &[("content-length", length)]].concat();
    // H2.CL: the rest of the body would be the next request behind us.
    for length in ["0", "5", "300"] {
        let answer = http2(&gateway, &with(length), Some(HIDDEN)).await;
        assert_eq!(answer, "reset 1", "content-length {length}");
    }
    assert!(!naive.text().contains("/admin"), "{}", naive.text());
    let right = [POST.as_slice(), &[("content-length", "32")]].concat();
    assert_eq!(HIDDEN.len(), 32);
    assert_eq!(http2(&gateway, &right, Some(HIDDEN)).await, "200");
    let answered = naive.text().matches("content-length: 32").count();
    assert_eq!(answered, 1, "{}", naive.text());
}
