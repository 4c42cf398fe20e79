//! Bytes in: what is answered is durable, what is wrong is named, what is sent twice is kept once.

use crate::common::{As, House, config, event, listener, ndjson};
use serde_json::{Value, json};
use server::config::SyslogProtocol;
use server::rights::Scope;
use server::start_unjudged;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Headers and body sent, status and code answered.
type Case<'a> = (&'a [(&'a str, &'a str)], Vec<u8>, u16, &'a str);

const EVENTS: &str = "/api/v1/intake/events";

#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_once_and_survive_a_restart() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let token = house.token("default", owner, &[Scope::Intake]);
    let batch = ndjson(&[event("gw-1", 1, "alice"), event("gw-1", 2, "bob")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&batch).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(batch.as_slice(), 1).unwrap();

    let first = house.send("POST", EVENTS, &token, &[], batch).await.ok().json();
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(2), &json!(0)));
    for (encoding, body) in [("gzip", gzip), ("zstd", zstd)] {
        let header = [("content-encoding", encoding)];
        let again = house.send("POST", EVENTS, &token, &header, body).await.ok().json();
        assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(2)));
    }
    let filter = "/api/v1/events?entity=account:bob&class=4002";
    let found = house.get(filter, &session).await.ok().json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);

    let House { folder, server, .. } = house;
    server.shutdown().await;
    let server = start_unjudged(config(folder.path())).await.unwrap();
    let house = House { agent: crate::common::agent(&folder.path().join("data")), folder, server };
    let found = house.get(filter, &session).await.ok().json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_named_and_costs_only_itself() {
    let house = House::open().await;
    let (owner, _) = house.owner();
    let token = house.token("default", owner, &[Scope::Intake]);
    let mut body = ndjson(&[event("gw-1", 1, "alice")]);
    body.extend_from_slice(b"{\"time\": 12,\n[1]\n{\"class_uid\":0}\n\n");
    body.extend(ndjson(&[event("gw-1", 2, "bob")]));
    let answer = house.send("POST", EVENTS, &token, &[], body).await.ok().json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(3)));
    let told: Vec<(&str, &str)> = answer["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["code"].as_str().unwrap(), d["place"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("not-json", "line 2, column 12"),
            ("not-an-object", "line 3"),
            ("time-missing", "line 4 $.time")
        ]
    );
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_and_broken_bodies_are_refused() {
    let house = House::with(|config| {
        config.limits.intake_decoded_bytes_max = 1 << 20;
        config.limits.intake_bytes_max = 100_000;
    })
    .await;
    let (owner, _) = house.owner();
    let token = house.token("default", owner, &[Scope::Intake]);
    let zeros = vec![b' '; 8 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(zeros.as_slice(), 1).unwrap();
    assert!(gzip.len() < 100_000 && zstd.len() < 100_000);
    let cases: [Case<'_>; 5] = [
        (&[("content-encoding", "gzip")], gzip, 413, "body-too-large"),
        (&[("content-encoding", "zstd")], zstd, 413, "body-too-large"),
        (&[("content-encoding", "gzip")], b"not gzip".to_vec(), 400, "encoding-invalid"),
        (&[("content-encoding", "br")], b"x".to_vec(), 415, "media-type-unsupported"),
        (&[], vec![b'x'; 200_000], 413, "body-too-large"),
    ];
    for (headers, body, status, code) in cases {
        let answer = house.send("POST", EVENTS, &token, headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_numbered_and_unreadable_ones_kept() {
    let house = House::open().await;
    let (owner, session) = house.owner();
    let token = house.token("default", owner, &[Scope::Intake]);
    let line =
        "192.0.2.9 - - [22/Nov/2026:04:33:00 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n";
    let body = format!("{line}what is this\n");
    let path = "/api/v1/intake/logs?source=web-1&format=combined&site=shop";
    for _ in 0..2 {
        // The same bytes again are new lines of the log, as far as anybody can tell.
        let answer = house.send("POST", path, &token, &[], body.clone().into()).await.ok().json();
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(0)));
        assert!(!answer["diagnostics"].as_array().unwrap().is_empty());
    }
    // Unless the sender counts.
    let counted = format!("{path}&first_sequence=1000");
    for accepted in [2, 0] {
        let answer =
            house.send("POST", &counted, &token, &[], body.clone().into()).await.ok().json();
        assert_eq!(answer["accepted"], json!(accepted));
    }
    let unread = house.get("/api/v1/events?text=what%20is%20this", &session).await.ok().json();
    assert_eq!(unread["items"].as_array().unwrap().len(), 3);
    let unknown =
        house.send("POST", "/api/v1/intake/logs?source=x&format=nope", &token, &[], vec![]);
    assert_eq!(unknown.await.code(), "format-unknown");
    house.server.shutdown().await;
}

async fn wait_for(house: &House, session: &As, text: &str, count: usize) -> Vec<Value> {
    // Syslog has no answer to wait for: asked until it is there, far longer than it takes.
    for _ in 0..200 {
        let found = house.get(&format!("/api/v1/events?text={text}"), session).await.ok().json();
        let items = found["items"].as_array().unwrap();
        if items.len() >= count {
            return items.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{text}` did not arrive {count} times")
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_comes_by_udp_tcp_and_tls() {
    let house = House::with(|config| {
        config.syslog = vec![
            listener("by-udp", SyslogProtocol::Udp),
            listener("by-tcp", SyslogProtocol::Tcp),
            listener("by-tls", SyslogProtocol::Tls),
        ];
    })
    .await;
    let (_, session) = house.owner();
    let at = |name: &str| house.server.syslog.iter().find(|b| b.name == name).unwrap().address;
    let message = |text: &str| format!("<86>1 2026-11-22T04:33:00Z web-1 sshd 7 - - {text}");

    let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(message("marker-udp").as_bytes(), at("by-udp")).await.unwrap();

    let counted = message("marker-tcp");
    let stream = format!("{} {counted}{}\n", counted.len(), message("marker-tcp two"));
    let mut tcp = tokio::net::TcpStream::connect(at("by-tcp")).await.unwrap();
    tcp.write_all(stream.as_bytes()).await.unwrap();
    tcp.shutdown().await.unwrap();

    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(house.folder.path().join("data/tls/server.pem")).unwrap();
    let cert =
        <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(
            &pem,
        );
    roots.add(cert.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(at("by-tls")).await.unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect("localhost".try_into().unwrap(), tcp)
        .await
        .unwrap();
    tls.write_all(format!("{}\n", message("marker-tls")).as_bytes()).await.unwrap();
    tls.shutdown().await.unwrap();

    for (text, count, source) in
        [("marker-udp", 1, "by-udp"), ("marker-tcp", 2, "by-tcp"), ("marker-tls", 1, "by-tls")]
    {
        let found = wait_for(&house, &session, text, count).await;
        assert_eq!(found.len(), count);
        assert!(found.iter().all(|event| event["metadata"]["log_source"] == source));
    }
    house.server.shutdown().await;
}
