use super::*;
use crate::evidence::{Exchange, Keys, RecorderConfig, SessionBook, Site, SiteSpec, SpoolConfig};
use std::collections::BTreeSet;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers as a script says, and remembers what it took.
#[derive(Default)]
struct Server {
    /// Statuses to answer with, first to last; then 200.
    script: Mutex<Vec<u16>>,
    events: Mutex<Vec<u64>>,
    losses: Mutex<Vec<serde_json::Value>>,
    /// An event with this sequence is refused, and every batch it is in.
    poison: Mutex<Option<u64>>,
}

async fn serve(server: Arc<Server>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let mut buffer = Vec::new();
                loop {
                    let mut chunk = [0u8; 8192];
                    let head_end = loop {
                        if let Some(at) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                            break at;
                        }
                        match socket.read(&mut chunk).await {
                            Ok(0) | Err(_) => return,
                            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
                        }
                    };
                    let head = String::from_utf8_lossy(&buffer[..head_end]).to_lowercase();
                    assert!(
                        head.contains("authorization: bearer t0ken")
                            && head.contains("plura-source: gw-1")
                    );
                    let length: usize = head
                        .split("content-length: ")
                        .nth(1)
                        .unwrap()
                        .lines()
                        .next()
                        .unwrap()
                        .parse()
                        .unwrap();
                    while buffer.len() < head_end + 4 + length {
                        let n = socket.read(&mut chunk).await.unwrap();
                        buffer.extend_from_slice(&chunk[..n]);
                    }
                    let body: Vec<u8> = buffer[head_end + 4..head_end + 4 + length].to_vec();
                    buffer.drain(..head_end + 4 + length);
                    let status = server.answer(&head, &body);
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\n{{}}");
                    socket.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

impl Server {
    fn answer(&self, head: &str, body: &[u8]) -> u16 {
        let mut script = self.script.lock().unwrap();
        if !script.is_empty() {
            return script.remove(0);
        }
        if head.starts_with("post /api/v1/gateway/loss") {
            self.losses.lock().unwrap().push(serde_json::from_slice(body).unwrap());
            return 200;
        }
        let text = String::from_utf8(zstd::decode_all(body).unwrap()).unwrap();
        let sequences: Vec<u64> = text
            .lines()
            .map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(event["metadata"]["log_source"], "gw-1");
                event["metadata"]["sequence"].as_u64().unwrap()
            })
            .collect();
        if self.poison.lock().unwrap().is_some_and(|bad| sequences.contains(&bad)) {
            return 422;
        }
        self.events.lock().unwrap().extend(sequences);
        200
    }
}

struct Bench {
    dir: tempfile::TempDir,
    site: Arc<Site>,
    server: Arc<Server>,
    url: String,
}

impl Bench {
    async fn new() -> Bench {
        let server = Arc::new(Server::default());
        Bench {
            dir: tempfile::tempdir().unwrap(),
            site: Arc::new(Site::compile("shop", &SiteSpec::default()).unwrap()),
            url: serve(Arc::clone(&server)).await,
            server,
        }
    }

    fn recorder(&self, bytes_max: u64) -> Recorder {
        let spool =
            SpoolConfig { bytes_max, segment_bytes: 4096, ..SpoolConfig::new(self.dir.path()) };
        let book = Arc::new(SessionBook::new(10));
        Recorder::start(RecorderConfig::new("gw-1", spool), Keys::new(&[1; 32]), book).unwrap()
    }

    fn record(&self, recorder: &Recorder, n: usize) {
        for _ in 0..n {
            assert!(
                recorder.record(&self.site, Exchange { status: Some(200), ..Exchange::default() })
            );
        }
        recorder.settle();
    }

    /// Ships until `done`.
    async fn ship(&self, recorder: &Recorder, done: impl Fn(&Server) -> bool) {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let config = ShipperConfig {
            url: self.url.clone(),
            token: Secret::new("t0ken\n"),
            tls: Arc::new(tls),
        };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Shipper::new(config, recorder).unwrap().run(stopped));
        let wait = async {
            while !done(&self.server) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("shipped within a minute");
        stop.send(true).unwrap();
        task.await.unwrap();
    }

    fn got(&self) -> usize {
        self.server.events.lock().unwrap().iter().collect::<BTreeSet<_>>().len()
    }
}

#[tokio::test]
async fn a_server_that_stumbles_gets_everything_in_order() {
    let bench = Bench::new().await;
    *bench.server.script.lock().unwrap() = vec![503, 429, 401, 500, 404];
    let recorder = bench.recorder(1 << 20);
    bench.record(&recorder, 100);
    bench.ship(&recorder, |s| s.events.lock().unwrap().len() >= 100).await;
    let events = bench.server.events.lock().unwrap().clone();
    assert!(events.is_sorted() && events.len() == 100);
    recorder.stop();
    assert!(recorder.figures().batch_failures >= 5);
    assert_eq!(recorder.figures().dropped_total(), 0);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_server_is() {
    let bench = Bench::new().await;
    let recorder = bench.recorder(1 << 20);
    bench.record(&recorder, 50);
    recorder.stop();
    drop(recorder);
    let recorder = bench.recorder(1 << 20);
    bench.record(&recorder, 50);
    bench.ship(&recorder, |s| s.events.lock().unwrap().len() >= 100).await;
    let events = bench.server.events.lock().unwrap().clone();
    assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), 100, "no sequence twice");
    recorder.stop();
}

#[tokio::test]
async fn a_refused_event_is_kept_aside_and_the_others_arrive() {
    let bench = Bench::new().await;
    let recorder = bench.recorder(1 << 20);
    bench.record(&recorder, 20);
    let first = recorder.common.spool().next_sequence() - 20;
    *bench.server.poison.lock().unwrap() = Some(first + 7);
    bench
        .ship(&recorder, |s| {
            s.events.lock().unwrap().len() >= 19 && !s.losses.lock().unwrap().is_empty()
        })
        .await;
    assert_eq!(bench.got(), 19);
    let loss = bench.server.losses.lock().unwrap()[0].clone();
    assert_eq!((loss["reason"].as_str(), loss["dropped"].as_u64()), (Some("refused"), Some(1)));
    let parked: Vec<_> = std::fs::read_dir(bench.dir.path().join("parked")).unwrap().collect();
    assert_eq!(parked.len(), 1);
    recorder.stop();
}

#[tokio::test]
async fn what_a_full_spool_drops_is_reported_to_the_last_one() {
    let bench = Bench::new().await;
    let recorder = bench.recorder(20_000);
    bench.record(&recorder, 200);
    recorder.stop();
    drop(recorder);
    // The count survives the restart.
    let recorder = bench.recorder(20_000);
    let figures = recorder.figures();
    let kept = 200 - figures.dropped_total();
    assert!(figures.dropped_total() > 0 && kept > 0);
    let reported = |s: &Server| {
        s.losses.lock().unwrap().iter().map(|l| l["dropped"].as_u64().unwrap()).sum::<u64>()
    };
    bench
        .ship(&recorder, |s| s.events.lock().unwrap().len() as u64 >= kept && reported(s) > 0)
        .await;
    assert_eq!(
        bench.got() as u64 + reported(&bench.server),
        200,
        "every exchange is there or counted"
    );
    recorder.stop();
}
