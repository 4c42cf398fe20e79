//! A small ledger and package to play with.
#![allow(dead_code)]

use evidence::{
    Algorithm, Ledger, Package, PackageContents, SigningKey, Trust, VerifierKey, record_digest,
};
use schema::{Leaf, LeafKind, TenantId, id_from_seed};
use serde_json::{Value, json};
use std::path::Path;

pub const ORIGIN: &str = "plura.example/acme";

/// Where syncing costs nothing, if there is such a place: these tests open ledgers by the hundred.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[7; 32]).unwrap()
}

pub fn other_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[8; 32]).unwrap()
}

pub fn witness() -> SigningKey {
    SigningKey::from_seed("witness.example/w1", Algorithm::Cosignature, &[9; 32]).unwrap()
}

pub fn trust() -> Trust {
    Trust { log: Some(key().verifier().clone()), witnesses: Vec::new() }
}

pub fn trust_with_witness() -> Trust {
    let witness: VerifierKey = witness().verifier().clone();
    Trust { witnesses: vec![witness], ..trust() }
}

pub fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

pub fn leaf(n: u64) -> Leaf {
    let time = 1_700_000_000_000 + i64::try_from(n).unwrap();
    Leaf {
        tenant: tenant(),
        kind: LeafKind::Finding,
        time,
        actor: "system".to_owned(),
        subject: id_from_seed(time, &n.to_be_bytes()),
        digest: schema::sha256(&n.to_be_bytes()),
        reason: format!("rule-{n}"),
        causes: Vec::new(),
    }
}

pub fn leaves(range: std::ops::Range<u64>) -> Vec<Leaf> {
    range.map(leaf).collect()
}

pub fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, ORIGIN, key()).unwrap()
}

/// Leaves `0..count` in one append.
pub fn ledger_of(dir: &Path, count: u64) -> Ledger {
    let mut ledger = open(dir);
    ledger.append(&leaves(0..count)).unwrap();
    ledger
}

fn record(kind: &str, n: u64) -> Value {
    let id = id_from_seed(1_700_000_100_000, format!("{kind}{n}").as_bytes());
    json!({ "id": id, "kind": kind, "numbers": { "observed": 0.1 + n as f64, "expected": n }, "text": "값 \"quoted\"" })
}

pub fn contents() -> PackageContents {
    let event = |n: u64| {
        let id = id_from_seed(1_700_000_100_000, format!("event{n}").as_bytes());
        json!({ "class_uid": 4002, "metadata": { "uid": id }, "time": n, "http_request": { "body": "x".repeat(40) } })
    };
    PackageContents {
        tenant: tenant(),
        created: 1_700_000_200_000,
        incident: record("incident", 0),
        findings: (0..3).map(|n| record("finding", n)).collect(),
        actions: (0..2).map(|n| record("action", n)).collect(),
        events: (0..12).map(event).collect(),
    }
}

/// Leaves as the server would have appended them while the incident unfolded.
pub fn history(contents: &PackageContents) -> Vec<Leaf> {
    let leaf = |kind: LeafKind, value: &Value| Leaf {
        tenant: tenant(),
        kind,
        time: 1_700_000_150_000,
        actor: "system".to_owned(),
        subject: value["id"].as_str().unwrap().parse().unwrap(),
        digest: record_digest(value),
        reason: "test".to_owned(),
        causes: Vec::new(),
    };
    let mut leaves = vec![leaf(LeafKind::Incident, &contents.incident)];
    leaves.extend(contents.findings.iter().map(|f| leaf(LeafKind::Finding, f)));
    leaves.extend(contents.actions.iter().map(|a| leaf(LeafKind::Decision, a)));
    leaves
}

/// A package out of a ledger of 300 other leaves, and the ledger.
pub fn package(dir: &Path) -> (Package, Ledger) {
    let mut ledger = ledger_of(dir, 300);
    let contents = contents();
    ledger.append(&history(&contents)).unwrap();
    let package = Package::build(&ledger, &contents).unwrap();
    (package, ledger)
}

/// The same numbers on every run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// Every file below, relative, in order.
pub fn files(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, below: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, "", &mut found);
    found.sort();
    found
}

pub fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    for name in files(from) {
        let target = to.join(&name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(from.join(&name), target).unwrap();
    }
    std::fs::create_dir_all(to.join("tile")).unwrap();
}
