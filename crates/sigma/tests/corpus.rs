//! The public rules compile, and fire on the events that come with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

use serde_json::Value;
use sigma::exam::{Case, Form, Sample, exam};
use sigma::{Options, Pipeline, RuleSet, SHIPPED};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let path = PathBuf::from(root).join(path);
    if !path.exists() {
        println!("skipped: no corpora");
        return None;
    }
    Some(path)
}

fn files(folder: &Path, ends: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, ends, found);
        } else if path.to_str().unwrap().ends_with(ends) {
            found.push(path);
        }
    }
}

const FOLDERS: [&str; 4] =
    ["rules", "rules-compliance", "rules-emerging-threats", "rules-threat-hunting"];

fn public_rules(root: &Path) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        if root.join(folder).exists() {
            files(&root.join(folder), ".yml", &mut paths);
        }
    }
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn load(texts: &[(String, String)], options: &Options) -> RuleSet {
    RuleSet::load(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())), options)
}

/// Every folder of `regression_data` with an event in it.
fn cases(root: &Path) -> Vec<Case> {
    let mut infos = Vec::new();
    files(&root.join("regression_data"), "info.yml", &mut infos);
    infos
        .iter()
        .map(|info| {
            let folder = info.parent().unwrap();
            let rules: Vec<String> = fs::read_to_string(info)
                .unwrap()
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- id: ").map(str::to_owned))
                .collect();
            let mut events = Vec::new();
            let mut form = Form::EventLog("windows".to_owned());
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.extension().and_then(|ending| ending.to_str()) {
                    Some("json" | "jsoncls") => {
                        let text = fs::read_to_string(&path).unwrap();
                        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
                        events.extend(values.map(Result::unwrap));
                    }
                    // A line of a network device.
                    Some("raw") => {
                        form = Form::Ruled;
                        let text = fs::read_to_string(&path).unwrap();
                        events
                            .extend(text.lines().map(|line| serde_json::json!({"message": line})));
                    }
                    _ => {}
                }
            }
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let samples = vec![Sample { name: name.clone(), events, form, matches: None }];
            Case { name, rules, samples }
        })
        .collect()
}

#[test]
fn shipped_pipelines_are_sound() {
    for (file, text) in SHIPPED {
        if let Err(problems) = Pipeline::parse(file, text) {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    }
    assert_eq!(Pipeline::shipped().len(), SHIPPED.len());
}

#[test]
fn every_public_rule_compiles_or_says_why_not_and_fires_on_its_event() {
    let Some(root) = shared("corpora/sigma") else { return };
    let texts = public_rules(&root);
    let began = Instant::now();
    let set = load(&texts, &Options::shipped());
    println!("{} files in {:?}, {} predicates", texts.len(), began.elapsed(), set.predicates.len());
    for refused in &set.refused {
        println!("refused: {}: {}", refused.file, refused.problems[0]);
    }
    for notice in set.notices.iter().take(40) {
        println!("notice: {notice}");
    }
    println!("{} notices", set.notices.len());
    let report = exam(&set, &cases(&root));
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    assert_eq!(set.rules.len() + set.refused.len(), texts.len());
    // The two name a placeholder that only the site can fill in.
    assert!(set.refused.iter().all(|refused| refused.problems[0].code == "unknown-placeholder"));
    assert_eq!(report.unexplained, 0);
    assert_eq!(report.passed, report.total);
}
