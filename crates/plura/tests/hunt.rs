//! Hunting as a person does it: files in, exit codes, summaries and timelines out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RULE: &str = r"
title: Whoami
id: 11111111-1111-4111-8111-111111111111
status: test
level: medium
author: A. Nyone
tags: [attack.discovery, attack.t1033]
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\whoami.exe'}
  condition: selection
";

const EVENTS: &str = r#"{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "=ws1", "UtcTime": "2026-01-02 03:04:05.000", "Image": "C:\\whoami.exe"}
no event
{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "\u001b[2Jws2", "UtcTime": "2026-01-02 03:04:06.000", "Image": "C:\\whoami.exe"}
{"EventID": 5, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "C:\\whoami.exe"}
"#;

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn plura(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plura"));
    command.env("PLURA_LANG", "en").current_dir(folder).args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "rules/whoami.yml", RULE);
    put(folder.path(), "logs/a.jsonl", EVENTS);
    put(folder.path(), "logs/notes.txt", "no events");
    folder
}

#[test]
fn a_hunt_counts_what_it_found_and_what_it_could_not_read() {
    let site = site();
    let out = plura(site.path(), &["-o", "json", "hunt", "--rules", "rules", "logs"]);
    assert_eq!(code(&out), 1);
    let told = json(&out);
    assert_eq!((&told["hits"], &told["records"]["records"]), (&2.into(), &3.into()));
    assert_eq!(told["records"]["unreadable"], 1);
    assert_eq!(told["files"]["passed_over"], 1);
    assert_eq!(told["problems"]["first"][0]["place"], "logs/a.jsonl:2");
    assert_eq!(told["by_rule"][0]["author"], "A. Nyone");
    assert_eq!(told["by_tactic"][0]["techniques"][0], "T1033");
    assert_eq!(told["by_host"].as_array().unwrap().len(), 2);
    let quiet = plura(site.path(), &["hunt", "--rules", "rules", "--min-level", "high", "logs"]);
    assert_eq!(code(&quiet), 0);
    let later =
        ["hunt", "--rules", "rules", "--from", "2026-01-02T03:04:06Z", "-o", "json", "logs"];
    assert_eq!(json(&plura(site.path(), &later))["hits"], 1);
}

#[test]
fn terminals_and_spreadsheets_are_not_driven_by_attackers() {
    let site = site();
    let out = plura(site.path(), &["hunt", "--rules", "rules", "--save", "found.csv", "logs"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(!text.contains('\u{1b}') && text.contains("By host"), "{text}");
    let csv = fs::read_to_string(site.path().join("found.csv")).unwrap();
    assert!(csv.contains(",\"'=ws1\","), "{csv}");
    assert!(!site.path().join("found.csv.partial").exists());
    let out = plura(site.path(), &["hunt", "--rules", "rules", "--timeline", "timesketch", "logs"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.starts_with("message,datetime,timestamp_desc,"), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn what_cannot_be_done_is_told_by_its_exit_code() {
    let site = site();
    let check = |args: &[&str], wanted: i32| {
        let out = plura(site.path(), args);
        assert_eq!(code(&out), wanted, "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    check(&["hunt", "logs"], 2);
    check(&["hunt", "--rules", "rules", "--timeline", "csv", "-o", "json", "logs"], 2);
    check(&["hunt", "--rules", "logs", "logs"], 3);
    check(&["hunt", "--rules", "rules", "nothing"], 3);
    check(&["hunt", "--rules", "rules", "--save", "no/such/folder.csv", "logs"], 3);
    check(&["rules", "exam", "--rules", "rules", "--regression", "logs"], 3);
}

#[test]
fn sigma_rules_are_checked_tried_and_examined() {
    let site = site();
    put(
        site.path(),
        "rules/whoami.test.yml",
        "- name: fires\n  event: {EventID: 1, Channel: Microsoft-Windows-Sysmon/Operational, Image: 'C:\\whoami.exe'}\n  fires: true\n",
    );
    let out = plura(site.path(), &["-o", "json", "rules", "check", "rules"]);
    assert_eq!((code(&out), &json(&out)["rules"]), (0, &1.into()));
    let out = plura(site.path(), &["-o", "json", "rules", "test", "rules"]);
    assert_eq!((code(&out), &json(&out)["passed"]), (0, &1.into()));
    let info = "rule_metadata:\n  - id: 11111111-1111-4111-8111-111111111111\nregression_tests_info:\n  - {type: json, match_count: 2, path: regression_data/x/a.jsonl}\n";
    put(site.path(), "regression_data/x/info.yml", info);
    let events: Vec<&str> = EVENTS.lines().filter(|line| line.starts_with('{')).collect();
    put(site.path(), "regression_data/x/a.jsonl", &events.join("\n"));
    let exam = ["-o", "json", "rules", "exam", "--rules", "rules", "--regression", "."];
    let out = plura(site.path(), &exam);
    let told = json(&out);
    assert_eq!((code(&out), &told["passed"], &told["total"]), (0, &1.into(), &1.into()), "{told}");
    put(
        site.path(),
        "regression_data/x/info.yml",
        &info.replace("match_count: 2", "match_count: 3"),
    );
    let out = plura(site.path(), &exam);
    assert_eq!((code(&out), &json(&out)["unexplained"]), (1, &1.into()));
    put(site.path(), "rules/bad.yml", &RULE.replace("selection\n", "selektion\n"));
    let out = plura(site.path(), &["-o", "json", "rules", "check", "rules"]);
    let told = json(&out);
    assert_eq!((code(&out), told["refused"].as_array().unwrap().len()), (1, 1));
}

#[test]
fn a_pack_is_signed_verified_and_compared() {
    let site = site();
    put(site.path(), "rules/pack.json", r#"{"pack": "own", "version": "1.0.0"}"#);
    let sign = ["-o", "json", "rules", "sign", "rules", "--key", "key", "--name", "house"];
    let out = plura(site.path(), &sign);
    let told = json(&out);
    assert_eq!((code(&out), &told["pack"], &told["files"]), (0, &"own 1.0.0".into(), &2.into()));
    let inside = ["rules", "sign", "rules", "--key", "rules/key"];
    assert_eq!(code(&plura(site.path(), &inside)), 3);
    assert!(!site.path().join("rules/key").exists());
    let key = told["key"].as_str().unwrap().to_owned();
    let verify = ["-o", "json", "rules", "verify", "rules", "--key", key.as_str()];
    let out = plura(site.path(), &verify);
    assert_eq!((code(&out), &json(&out)["pack"]), (0, &"own 1.0.0".into()));

    put(site.path(), "newer/whoami.yml", &RULE.replace("level: medium", "level: high"));
    put(site.path(), "newer/other.yml", &RULE.replace("11111111", "22222222"));
    let out = plura(site.path(), &["-o", "json", "rules", "diff", "rules", "newer"]);
    let told = json(&out);
    assert_eq!((code(&out), &told["added"][0]["file"]), (1, &"newer/other.yml".into()), "{told}");
    let changed = &told["changed"][0];
    assert_eq!(
        (&changed["finds_otherwise"], &changed["changes"][0]["after"]),
        (&false.into(), &"high".into())
    );
    let same = plura(site.path(), &["rules", "diff", "rules", "rules"]);
    assert_eq!(code(&same), 0, "{}", String::from_utf8_lossy(&same.stdout));

    put(site.path(), "rules/whoami.yml", &RULE.replace("medium", "low"));
    let out = plura(site.path(), &verify);
    assert_eq!((code(&out), &json(&out)["code"]), (1, &"folder-unsigned".into()));
    fs::remove_file(site.path().join("rules/pack.json")).unwrap();
    assert_eq!(code(&plura(site.path(), &sign)), 3);
}
