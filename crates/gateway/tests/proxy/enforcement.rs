//! Decisions take hold at the next request, and let go at once.

use crate::common::{
    Naive, Running, body, keys, problem_code, read_until, restriction, start, status, within,
};
use schema::{Restriction, Rung};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const SITE: &str = "    step_up: {url: /verify, allow: [/static/*]}
    routes:
      - {match: 'POST /login', action: login, account: ['json:user']}";

async fn shop() -> (Running, std::sync::Arc<Naive>) {
    let (upstream, naive) = Naive::start().await;
    (start(upstream, SITE, ""), naive)
}

async fn with_key(gateway: &Running, key: &str) -> String {
    gateway.get("/v1/models", &format!("Authorization: Bearer {key}\r\n")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_is_limited_blocked_revoked_and_given_back() {
    let (gateway, naive) = shop().await;
    let target = format!("credential:{}", keys().secret_hash(b"sk-leaked"));
    assert_eq!(status(&with_key(&gateway, "sk-leaked").await), 200);

    let limit = Restriction { rate_per_minute: Some(1), ..restriction(1, &target, Rung::Limit) };
    gateway.restrict(1, vec![limit]);
    assert_eq!(status(&with_key(&gateway, "sk-leaked").await), 200);
    let answer = with_key(&gateway, "sk-leaked").await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (429, "rate-limited"));
    let wait = answer.lines().find_map(|l| l.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&wait.parse::<u32>().unwrap()), "{answer}");

    gateway.restrict(2, vec![restriction(2, &target, Rung::Block)]);
    let answer = gateway
        .get("/v1/models", "Authorization: Bearer sk-leaked\r\nAccept-Language: ja\r\n")
        .await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (403, "blocked"));
    assert!(answer.contains("content-language: ja"), "{answer}");
    let problem: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(problem["reference"], Uuid::from_u128(2).to_string());
    assert_eq!(problem["reason"], "credential-stuffing");

    gateway.restrict(3, vec![restriction(3, &target, Rung::Revoke)]);
    let answer = with_key(&gateway, "sk-leaked").await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (401, "credential-revoked"));
    assert!(answer.contains("www-authenticate: Bearer error=\"invalid_token\""));
    assert_eq!(status(&with_key(&gateway, "sk-other").await), 200, "another key is left alone");

    gateway.restrict(4, vec![]);
    assert_eq!(status(&with_key(&gateway, "sk-leaked").await), 200, "undone");
    assert_eq!(naive.requests(), 4);
    let exchanges = gateway.exchanges(7).await;
    let enforced: Vec<_> =
        exchanges.iter().filter_map(|e| e.enforced.as_ref().map(|e| e.rung)).collect();
    assert_eq!(enforced, [Rung::Limit, Rung::Block, Rung::Revoke]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_step_up_leaves_the_way_to_prove_oneself_open() {
    let (gateway, naive) = shop().await;
    gateway.restrict(
        1,
        vec![restriction(1, &format!("session:{}", keys().secret_hash(b"s1")), Rung::StepUp)],
    );
    let ask = async |path: &str, accept: &str| {
        gateway.get(path, &format!("Cookie: sid=s1\r\nAccept: {accept}\r\n")).await
    };
    let page = ask("/orders", "text/html,*/*").await;
    assert_eq!(status(&page), 302);
    assert!(page.contains("location: /verify\r\n"), "{page}");
    let api = ask("/orders", "application/json").await;
    assert_eq!((status(&api), problem_code(&api).as_str()), (401, "step-up-required"));
    assert!(body(&api).contains("\"step_up_url\":\"/verify\""), "{api}");
    assert_eq!(naive.requests(), 0);
    assert_eq!(status(&ask("/verify", "text/html").await), 200);
    assert_eq!(status(&ask("/static/app.css", "*/*").await), 200);
    assert_eq!(status(&ask("/static/../orders", "*/*").await), 401);
    assert_eq!(naive.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_account_is_found_in_the_body_of_its_login() {
    let (gateway, naive) = shop().await;
    let login = async |user: &str, pad: usize| {
        let json = format!("{{\"user\":\"{user}\",\"pw\":\"{}\"}}", "x".repeat(pad));
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        gateway.send(request.as_bytes()).await
    };
    gateway.restrict(1, vec![restriction(1, "account:kim", Rung::Block)]);
    assert_eq!(status(&login("kim", 8).await), 403);
    assert_eq!(naive.requests(), 0);
    assert_eq!(status(&login("lee", 8).await), 200);
    assert!(
        naive.text().contains("{\"user\":\"lee\",\"pw\":\"xxxxxxxx\"}"),
        "the body goes through whole"
    );
    let padded = login("kim", 20_000).await;
    assert_eq!((status(&padded), problem_code(&padded).as_str()), (413, "body-too-large"));
    assert_eq!(naive.requests(), 1);
    gateway.restrict(2, vec![]);
    assert_eq!(status(&login("kim", 20_000).await), 200, "nobody restricted, nothing read");
    let exchanges = gateway.exchanges(4).await;
    assert!(
        exchanges[0].request_body.bytes.starts_with(b"{\"user\":\"kim\""),
        "the try is on record"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_under_way_ends_with_the_decision() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream: SocketAddr = listener.local_addr().unwrap();
    let gateway = start(upstream, SITE, "");
    let open = async |head: &str| {
        let mut client = TcpStream::connect(gateway.addr).await.unwrap();
        client
            .write_all(b"GET /stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\n\r\n")
            .await
            .unwrap();
        let (mut behind, _) = within(listener.accept()).await.unwrap();
        read_until(&mut behind, "\r\n\r\n").await;
        behind.write_all(head.as_bytes()).await.unwrap();
        read_until(&mut client, "first").await;
        (client, behind)
    };
    let (mut stream, _behind) =
        open("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nfirst").await;
    let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
    socket.write_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "\r\n\r\n").await;
    behind.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst").await.unwrap();
    read_until(&mut socket, "first").await;

    gateway.restrict(1, vec![restriction(1, "credential:somebody-else", Rung::Block)]);
    behind.write_all(b"second").await.unwrap();
    read_until(&mut socket, "second").await;
    let target = format!("credential:{}", keys().secret_hash(b"k"));
    gateway.restrict(2, vec![restriction(1, &target, Rung::Block)]);
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
    let _ = within(socket.read_to_end(&mut rest)).await;
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "cut off, not ended: {rest:?}");
    assert_eq!(gateway.handle.metrics().streams_ended.get(), 2);
}

/// An application whose `/verify` gives a new session when the code is right.
async fn verifying() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                loop {
                    let mut seen = Vec::new();
                    while !seen.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { return };
                        seen.push(byte);
                    }
                    let head = String::from_utf8_lossy(&seen).into_owned();
                    let answer = if head.starts_with("POST /verify?code=42 ") {
                        "HTTP/1.1 200 OK\r\nSet-Cookie: sid=fresh; HttpOnly\r\nContent-Length: 2\r\n\r\nok"
                    } else if head.starts_with("POST /verify") {
                        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
                    } else {
                        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                    };
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_has_proved_who_they_are_goes_on() {
    let site = "    step_up: {url: /verify, pass_secs: 60}
    routes:
      - {match: 'POST /verify', action: step-up}
      - {match: 'POST /login', action: login, account: ['query:user']}";
    let gateway = start(verifying().await, site, "");
    let ask = async |line: &str, sid: &str| {
        let request =
            format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: sid={sid}\r\n\r\n");
        status(&gateway.send(request.as_bytes()).await)
    };
    // Both sessions belong to kim: the gateway has learnt it from their logins.
    for sid in ["owner", "thief"] {
        assert_eq!(ask("POST /login?user=kim", sid).await, 200);
    }
    gateway.learn().await;
    gateway.restrict(1, vec![restriction(1, "account:kim", Rung::StepUp)]);
    assert_eq!(ask("GET /orders", "owner").await, 401);
    assert_eq!(ask("POST /verify?code=7", "owner").await, 403, "a wrong code proves nothing");
    assert_eq!(ask("GET /orders", "owner").await, 401);
    assert_eq!(ask("POST /verify?code=42", "owner").await, 200);
    assert_eq!(gateway.handle.metrics().step_ups_passed.get(), 1);
    assert_eq!(ask("GET /orders", "owner").await, 200);
    assert_eq!(ask("GET /orders", "fresh").await, 200, "the session it was given goes on, too");
    assert_eq!(ask("GET /orders", "thief").await, 401, "another session of the account does not");
    gateway.restrict(2, vec![restriction(2, "account:kim", Rung::StepUp)]);
    assert_eq!(ask("GET /orders", "owner").await, 401, "a later decision asks anew");
}
