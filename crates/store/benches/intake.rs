//! Durable intake: events per second acknowledged after fdatasync, beside SQLite doing the same.
//!
//! `cargo bench -p store --no-default-features --bench intake` builds without DataFusion.
//! `PLURA_BENCH_DIR` names a folder on the disk to be measured (default: the system's temporary
//! folder). Wall and CPU time are the median of five runs; CPU is user + system of the process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use schema::{Event, TenantId};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use store::{Intake, IntakeConfig};

const EVENTS: usize = 200_000;
const BATCH: usize = 500;
const SENDERS: usize = 4;
const RUNS: usize = 5;

fn main() {
    let folder = std::env::var_os("PLURA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let lines: Vec<Vec<u8>> =
        (0..EVENTS).map(|n| serde_json::to_vec(&request(n)).unwrap()).collect();
    let events: Vec<Event> = lines.iter().map(|line| parse(line)).collect();
    let json_bytes: usize = lines.iter().map(Vec::len).sum();
    println!(
        "{EVENTS} events, {} B of JSON each, batches of {BATCH}, {SENDERS} senders, median of {RUNS} runs",
        json_bytes / EVENTS
    );

    report("store: parsed events -> durable", || {
        let batches: Vec<Vec<Event>> = events.chunks(BATCH).map(<[Event]>::to_vec).collect();
        intake(&folder, batches, |batch| batch)
    });
    report("store: NDJSON bytes -> durable", || {
        let batches: Vec<Vec<Vec<u8>>> = lines.chunks(BATCH).map(<[Vec<u8>]>::to_vec).collect();
        intake(&folder, batches, |batch| batch.iter().map(|line| parse(line)).collect())
    });
    report("  of it Event::from_ocsf alone", || {
        let begun = Start::now();
        let total: i64 = lines.iter().map(|line| parse(line).time & 1).sum();
        assert!(total >= 0);
        begun.elapsed()
    });
    report("SQLite WAL synchronous=FULL, same JSON", || sqlite(&folder, &lines));
}

/// A log-in as a gateway sends it: headers both ways, a small body both ways.
fn request(n: usize) -> Value {
    let time = 1_795_305_600_000_i64 + n as i64;
    let tenant: TenantId = "bench".parse().unwrap();
    json!({
        "metadata": {
            "uid": schema::event_id(&tenant, "gw-1", n as u64, time), "version": "1.6.0",
            "log_source": "gw-1", "sequence": n, "log_format": "ocsf", "logged_time": time + 3,
            "product": { "name": "Plura", "vendor_name": "Plura" },
        },
        "time": time, "class_uid": 4002, "activity_id": 6, "severity_id": 1, "status_id": 1,
        "category_uid": 4, "type_uid": 400_206,
        "src_endpoint": { "ip": format!("198.51.100.{}", n % 250), "port": 40_000 + n % 20_000 },
        "dst_endpoint": { "ip": "10.0.0.5", "port": 443 },
        "http_request": {
            "http_method": "POST", "version": "2", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/141",
            "url": { "scheme": "https", "hostname": "shop.example", "path": "/api/login" },
            "http_headers": [
                { "name": "content-type", "value": "application/json" },
                { "name": "accept", "value": "application/json" },
                { "name": "authorization", "value": "****" },
            ],
            "body_length": 58,
        },
        "http_response": {
            "code": 200, "latency": 12 + n % 40, "content_type": "application/json", "body_length": 71,
            "http_headers": [{ "name": "content-type", "value": "application/json" }],
        },
        "actor": { "session": { "uid": format!("{:016x}", n / 7) }, "user": { "name": format!("user{}", n % 5000) } },
        "plura": {
            "site": "shop", "endpoint": "POST /api/login", "credential": format!("{:032x}", n % 900),
            "outcome": { "result": "success", "action": "login", "reason": "ok" },
            "request": { "content_type": "application/json", "body": format!("{{\"user\":\"user{}\",\"password\":\"****\"}}", n % 5000) },
            "response": { "body": format!("{{\"ok\":true,\"order\":{n}}}"), "personal_count": 0 },
        },
    })
}

fn parse(line: &[u8]) -> Event {
    Event::from_ocsf(serde_json::from_slice(line).unwrap()).0
}

/// Appends all batches from several senders at once.
fn intake<B: Send + 'static>(
    folder: &Path,
    batches: Vec<B>,
    events: impl Fn(B) -> Vec<Event> + Copy + Send + 'static,
) -> Spent {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let tenant: TenantId = "bench".parse().unwrap();
    let config = IntakeConfig { buffer_bytes_max: 1 << 30, ..IntakeConfig::default() };
    let intake = Arc::new(Intake::open(tenant, folder.path(), &config).unwrap());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut shares: Vec<Vec<B>> = (0..SENDERS).map(|_| Vec::new()).collect();
    for (index, batch) in batches.into_iter().enumerate() {
        shares[index % SENDERS].push(batch);
    }
    let begun = Start::now();
    runtime.block_on(async {
        let mut senders = Vec::new();
        for share in shares {
            let intake = intake.clone();
            senders.push(tokio::spawn(async move {
                for batch in share {
                    let appended = intake.append(events(batch)).await.unwrap();
                    assert_eq!(appended.duplicates(), 0);
                }
            }));
        }
        for sender in senders {
            sender.await.unwrap();
        }
    });
    let spent = begun.elapsed();
    assert_eq!(intake.stats().unflushed, EVENTS as u64);
    spent
}

fn sqlite(folder: &Path, lines: &[Vec<u8>]) -> Spent {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let mut db = rusqlite::Connection::open(folder.path().join("events.sqlite")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    // The source and its number keep out duplicates there as here.
    db.execute_batch("CREATE TABLE events (source TEXT, sequence INTEGER, json TEXT, PRIMARY KEY (source, sequence)) WITHOUT ROWID").unwrap();
    let begun = Start::now();
    for (index, batch) in lines.chunks(BATCH).enumerate() {
        let transaction = db.transaction().unwrap();
        {
            let mut insert = transaction
                .prepare_cached("INSERT OR IGNORE INTO events VALUES (?, ?, ?)")
                .unwrap();
            for (offset, line) in batch.iter().enumerate() {
                let sequence = (index * BATCH + offset) as i64;
                let text = std::str::from_utf8(line).unwrap();
                insert.execute(("gw-1", sequence, text)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    begun.elapsed()
}

#[derive(Clone, Copy)]
struct Spent {
    wall: f64,
    cpu: f64,
}

struct Start {
    wall: Instant,
    cpu: f64,
}

impl Start {
    fn now() -> Start {
        Start { wall: Instant::now(), cpu: cpu_secs() }
    }

    fn elapsed(&self) -> Spent {
        Spent { wall: self.wall.elapsed().as_secs_f64(), cpu: cpu_secs() - self.cpu }
    }
}

/// User and system time of this process; the kernel counts in hundredths of a second.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn report(what: &str, run: impl Fn() -> Spent) {
    let mut runs: Vec<Spent> = (0..RUNS).map(|_| run()).collect();
    runs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let Spent { wall, .. } = runs[RUNS / 2];
    runs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let Spent { cpu, .. } = runs[RUNS / 2];
    println!(
        "{what:42} {:>9.0} events/s   {:>6.2} us CPU/event",
        EVENTS as f64 / wall,
        cpu * 1e6 / EVENTS as f64
    );
}
