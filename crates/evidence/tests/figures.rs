//! What it costs. Not a test of time: run it by hand, on a quiet machine and a real disk:
//! `cargo test --release -p evidence --test figures -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{leaves, open, trust};
use evidence::{FolderOptions, verify_folder};
use std::time::Instant;

#[test]
#[ignore = "prints figures; decides nothing but that they can be had"]
fn figures() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path());
    let timed = |what: &str, count: u64, began: Instant| {
        let micros = began.elapsed().as_micros();
        println!(
            "{what}: {count} in {} ms, {:.1} µs each",
            micros / 1000,
            micros as f64 / count as f64
        );
    };
    let began = Instant::now();
    for n in 0..1_000 {
        ledger.append(&leaves(n..n + 1)).unwrap();
    }
    timed("append one leaf, durable", 1_000, began);
    let began = Instant::now();
    for first in (1_000..101_000).step_by(100) {
        ledger.append(&leaves(first..first + 100)).unwrap();
    }
    timed("append 100 leaves, durable, per append", 1_000, began);
    let began = Instant::now();
    for index in (0..101_000).step_by(101) {
        ledger.prove(index).unwrap();
    }
    timed("prove", 1_000, began);
    drop(ledger);
    let began = Instant::now();
    let ledger = open(dir.path());
    timed("open a ledger of 101,000", 1, began);
    let began = Instant::now();
    let report = verify_folder(dir.path(), &trust(), &FolderOptions::default()).unwrap();
    assert!(report.ok && report.size == ledger.len(), "{:#?}", report.failures);
    timed("verify, per record", report.size, began);
}
