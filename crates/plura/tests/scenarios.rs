//! Every story through the real engines, as a person would run it: twice, to the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::process::{Command, Output};

fn run(extra: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plura"))
        .args(["scenario", "run", "--all", "-o", "json", "--folder"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios"))
        .args(extra)
        .output()
        .unwrap()
}

#[test]
fn every_story_comes_out_as_expected_and_twice_the_same() {
    if std::env::var_os("BLESS").is_some() {
        run(&["--bless"]);
    }
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| run(&[]));
        (run(&[]), second.join().unwrap())
    });
    let told: Value = serde_json::from_slice(&first.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&first.stderr)));
    let stories = told["stories"].as_array().unwrap();
    for story in stories {
        assert_eq!(story["differences"], serde_json::json!([]), "{}", story["name"]);
    }
    assert!(first.status.success());
    assert!(stories.len() >= 7, "{} stories", stories.len());
    assert!(first.stdout == second.stdout, "two runs differ");

    // What a bless must not wave through.
    let outcome = |name: &str| {
        &stories.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no {name}"))["outcome"]
    };
    let quiet = outcome("quiet-week");
    assert!(matches!(quiet["highest_automatic_rung"].as_str(), Some("observe" | "limit")));
    assert_eq!(
        quiet["actions"].as_array().unwrap().iter().filter(|a| a["rung"] != "limit").count(),
        0
    );
    let findings: u64 =
        quiet["findings"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert!(findings <= 1, "quiet week: {}", quiet["findings"]);
    for (name, rules) in [
        ("llm-api-key-theft", &["credential-theft", "action-block"][..]),
        (
            "credential-stuffing-to-takeover",
            &["credential-stuffing", "account-takeover", "action-step-up"],
        ),
        (
            "webshell-to-reverse-shell",
            &["web-shell-upload", "web-shell", "reverse-shell", "action-block"],
        ),
        ("l7-flood", &["l7-flood", "action-limit"]),
        ("session-theft-inside", &["object-enumeration"]),
    ] {
        let incidents = outcome(name)["incidents"].as_array().unwrap();
        assert_eq!(incidents.len(), 1, "{name}: one story, one incident");
        let story: Vec<&str> = incidents[0]["story"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        for rule in rules {
            assert!(
                story.iter().any(|line| line.split(' ').next() == Some(rule)),
                "{name}: {rule} in {story:?}"
            );
        }
    }
    // A hundred attacks are one incident; what got through is cut off, who tripped once is not.
    let waf = outcome("web-attack-waf");
    assert_eq!(waf["answers"]["scanner"]["200"], Value::Null);
    for (who, actions) in [
        ("203.0.113.44", &["limit"][..]),
        ("198.51.100.23", &["limit", "block"]),
        ("192.0.2.61", &[]),
        ("192.0.2.62", &[]),
    ] {
        let target = format!("address:{who}");
        let rungs: Vec<&str> = waf["actions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|action| action["target"] == target)
            .map(|action| action["rung"].as_str().unwrap())
            .collect();
        assert_eq!(rungs, actions, "{who}");
    }
    for (who, answers) in [("reader", 3), ("author", 2)] {
        assert_eq!(waf["answers"][who], serde_json::json!({ "200": answers }), "{who}");
    }
    // Whoever did nothing wrong got in, but for the accounts that were broken into.
    let users = &outcome("l7-flood")["answers"]["users"];
    assert!(users.get("429").is_none() && users.get("403").is_none(), "{users}");
    assert_eq!(outcome("llm-api-key-theft")["answers"]["owner"], serde_json::json!({ "200": 4 }));
}

#[test]
fn a_broken_story_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let story = folder.path().join("broken");
    std::fs::create_dir(&story).unwrap();
    std::fs::write(story.join("scenario.yaml"), "title: {en: x}\nseed: 1\nzero: noon\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_plura"))
        .args(["scenario", "run", "broken", "--folder"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("scenario.yaml") && told.contains("hint:"), "{told}");
}
