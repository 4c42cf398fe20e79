//! The binary: exit codes, and words that say what was and was not checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plura-verify")).args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn exit_codes_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (package, ledger) = common::package(&log);
    let tar = dir.path().join("incident.tar");
    package.write(&tar).unwrap();
    let vkey = ledger.verifier().to_string();
    let kept = dir.path().join("kept");
    std::fs::write(&kept, ledger.checkpoint()).unwrap();
    drop(ledger);

    for path in [&log, &tar] {
        let fine = run(&[text(path), "--key", &vkey, "--against", text(&kept)]);
        let words = String::from_utf8(fine.stdout).unwrap();
        assert_eq!(fine.status.code(), Some(0), "{words}");
        assert!(
            words.contains("the key you trust") && words.contains("OK: nothing was changed"),
            "{words}"
        );

        let untrusting = run(&[text(path)]);
        let words = String::from_utf8(untrusting.stdout).unwrap();
        assert_eq!(untrusting.status.code(), Some(0));
        assert!(
            words.contains("which you have not told me to trust") && words.contains("(--witness)"),
            "{words}"
        );
    }
    // The key may be given as a file, and the report as JSON.
    let json = run(&[text(&log), "--key", text(&log.join("log.vkey")), "-o", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["trusted"], &report["size"]),
        (&true.into(), &true.into(), &306.into())
    );

    let bundle = log.join("tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[3000] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let failed = run(&[text(&log), "--key", &vkey]);
    let words = String::from_utf8(failed.stdout).unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        words.contains("FAILED record 13 in `tile/entries/000`")
            && words.contains("[record-altered]"),
        "{words}"
    );

    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&[text(&log), "--nonsense"]).status.code(), Some(2));
    for bad in [
        vec!["/nonexistent"],
        vec![text(&tar), "--key", "x+y+z"],
        vec![text(&tar), "--witness", &vkey],
        vec![text(&tar), "--against", text(&tar)],
    ] {
        let refused = run(&bad);
        assert_eq!(refused.status.code(), Some(3), "{bad:?}");
        assert!(!refused.stderr.is_empty());
    }
}
