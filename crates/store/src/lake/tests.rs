//! The store from outside, with a switch to stop it between two steps.

use super::*;
use schema::class;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

mod finding;
mod flushing;
mod keeping;
mod sql;

/// 2026-11-22T00:00:00Z.
const DAY: Timestamp = 1_795_305_600_000;

fn config(folder: &Path) -> StoreConfig {
    StoreConfig { flush_check: None, ..StoreConfig::new(folder) }
}

fn open(folder: &TempDir) -> Store {
    Store::open(config(folder.path())).unwrap()
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// The request `sequence` of gateway `gw`, a second after the one before.
fn request(sequence: i64) -> Event {
    let time = DAY + sequence * 1000;
    Event {
        id: schema::event_id(&tenant("acme"), "gw", sequence as u64, time),
        time,
        received: time + 5,
        class_uid: class::HTTP_ACTIVITY,
        activity_id: 6,
        source: Some("gw".into()),
        sequence: Some(sequence),
        method: Some("POST".into()),
        path: Some(format!("/orders/{sequence}")),
        account: Some(format!("user{}", sequence % 3)),
        src_ip: Some("192.0.2.7".into()),
        outcome: Some(if sequence % 2 == 0 { "success" } else { "failure" }.into()),
        http_code: Some(200),
        ..Event::default()
    }
}

fn requests(numbers: std::ops::Range<i64>) -> Vec<Event> {
    numbers.map(request).collect()
}

async fn ask(store: &Store, of: &str, sql: &str) -> Vec<Vec<Value>> {
    store.query(&tenant(of), sql, QueryLimits::default()).await.unwrap().rows
}

async fn refused(store: &Store, sql: &str) -> StoreError {
    match store.query(&tenant("acme"), sql, QueryLimits::default()).await {
        Ok(result) => panic!("`{sql}` gave {:?}", result.rows),
        Err(error) => error,
    }
}

/// The sequences of all events, by SQL.
async fn sequences(store: &Store, of: &str) -> Vec<i64> {
    let rows = ask(store, of, "SELECT sequence FROM events ORDER BY sequence").await;
    rows.into_iter().map(|row| row[0].as_i64().unwrap()).collect()
}

/// Every file below `folder` whose name ends so.
fn files_ending(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                found.push(path);
            }
        }
    }
    found
}
