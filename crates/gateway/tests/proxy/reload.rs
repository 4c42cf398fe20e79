//! A new configuration takes over between two requests; a bad one never does.

use crate::common::{Naive, config, read_until, start, status, within, yaml};
use gateway::Config;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloading_under_load_drops_nothing() {
    let (one, first) = Naive::start().await;
    let (two, second) = Naive::start().await;
    let gateway = start(one, "", "");
    let addr = gateway.addr;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(addr).await.unwrap();
                let mut answered = 0usize;
                while !stop.load(Ordering::SeqCst) {
                    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
                    let answer = read_until(&mut socket, "ok").await;
                    assert_eq!(status(&answer), 200);
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for i in 0..40 {
        let mut next = config(if i % 2 == 0 { two } else { one }, "", "");
        // The address it was given stands for port 0.
        next.listeners[0].address = if i % 3 == 0 { addr } else { next.listeners[0].address };
        gateway.handle.reload(next).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for client in clients {
        answered += within(client).await.unwrap();
    }
    let seen = first.requests() + second.requests();
    assert_eq!(seen, answered, "every request was passed on once and answered once");
    assert!(first.requests() > 0 && second.requests() > 0);
    assert_eq!(gateway.handle.metrics().reloads.get(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bad_configuration_changes_nothing() {
    let (upstream, _naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let good = config(upstream, "", "");
    let codes = |config: Config| -> Vec<String> {
        gateway.handle.reload(config).unwrap_err().into_iter().map(|f| f.code).collect()
    };
    assert_eq!(codes(Config { sites: vec![], ..good.clone() }), ["site-missing"]);
    assert_eq!(codes(Config { workers: 2, ..good.clone() }), ["needs-restart"]);
    let mut tls = good.clone();
    tls.listeners = Config::parse("x", &yaml(upstream, "", "listeners: [{address: '127.0.0.1:0', tls: {certificates: [{cert_file: /nowhere.pem, key_file: /nowhere.key}]}}]")).unwrap().listeners;
    assert_eq!(codes(tls), ["tls-invalid"]);
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut occupied = good.clone();
    occupied.listeners[0].address = taken.local_addr().unwrap();
    assert_eq!(codes(occupied), ["address-unavailable"]);
    let mut route = good.clone();
    route.sites[0].routes = serde_json::from_str(r#"[{"match": "nonsense"}]"#).unwrap();
    assert_eq!(codes(route), ["route-match"]);
    assert_eq!(gateway.handle.metrics().reloads_refused.get(), 5);
    assert_eq!(status(&gateway.get("/", "").await), 200);
    assert_eq!(gateway.handle.addrs(), [gateway.addr]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn listeners_come_and_go() {
    let (upstream, _naive) = Naive::start().await;
    let gateway = start(upstream, "", "");
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = free.local_addr().unwrap();
    drop(free);
    let mut next = config(upstream, "", "");
    next.listeners[0].address = other;
    let mut kept = TcpStream::connect(gateway.addr).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut kept, "ok").await;
    gateway.handle.reload(next).unwrap();
    assert_eq!(gateway.handle.addrs(), [other]);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&crate::common::send(other, request).await), 200);
    // A connection made to the old address goes on.
    kept.write_all(request).await.unwrap();
    read_until(&mut kept, "ok").await;
    let refused = async {
        while TcpStream::connect(gateway.addr).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    within(refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn shutdown_lets_what_is_under_way_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = start(listener.local_addr().unwrap(), "", "limits: {shutdown_ms: 8000}");
    let addr = gateway.addr;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "\r\n\r\n").await;
    let stopping = tokio::task::spawn_blocking(move || gateway.handle.shutdown());
    // The idle one is let go at once: the gateway has begun to stop.
    let mut rest = Vec::new();
    within(idle.read_to_end(&mut rest)).await.unwrap();
    behind.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    within(client.read_to_end(&mut rest)).await.unwrap();
    let answer = String::from_utf8_lossy(&rest).into_owned();
    assert!(status(&answer) == 200 && answer.contains("connection: close"), "{answer}");
    within(stopping).await.unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
}
