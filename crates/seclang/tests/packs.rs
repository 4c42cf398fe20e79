//! The packs of rules that come with Plura: they load, and each rule has a case that fires and a near miss.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod common;

use common::{Disk, shared};
use seclang::exam::{Native, Overrides, Test, read_tests, run};
use seclang::{Engine, RuleSet, load};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn pack(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs").join(name)
}

fn loaded(files: &[PathBuf]) -> RuleSet {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    load(&Disk, &files).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    })
}

fn tests(folder: &Path) -> Vec<Test> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (tests, notes) = read_tests(name, &fs::read_to_string(path).unwrap())
            .unwrap_or_else(|fault| panic!("{fault}"));
        assert!(notes.is_empty(), "{notes:?}");
        tests
    };
    files.iter().flat_map(read).collect()
}

/// What each test says comes to pass, with the plan and without.
fn check(name: &str) -> (RuleSet, Vec<Test>) {
    let folder = pack(name);
    let rules = loaded(&[folder.join("tests/setup.conf"), folder.join(format!("{name}.conf"))]);
    assert!(rules.notices.is_empty(), "{:?}", rules.notices);
    let tests = tests(&folder.join("tests"));
    let planned = Engine::new(rules.clone());
    let plain = Engine::new(rules.clone()).without_plan();
    let mut failures = Vec::new();
    for (how, engine) in [("planned", planned), ("plain", plain)] {
        let mut target = Native::new(Arc::new(engine));
        for test in &tests {
            let outcome = run(&mut target, test, &Overrides::default()).unwrap();
            if let Some(failure) = outcome.failure {
                let why = failure.why.join("; ");
                failures.push(format!(
                    "{how} {}-{} ({}): {why}: {:?}",
                    test.rule, test.id, test.description, failure.got
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    (rules, tests)
}

#[test]
fn each_rule_of_the_llm_pack_fires_and_has_a_near_miss() {
    let (rules, tests) = check("llm-api");
    let stages = || tests.iter().flat_map(|test| &test.stages);
    let fired: BTreeSet<u64> = stages().flat_map(|s| s.expected.expect_ids.clone()).collect();
    let quiet: BTreeSet<u64> = stages().flat_map(|s| s.expected.no_expect_ids.clone()).collect();
    for rule in rules.rules().filter(|rule| rule.log) {
        assert!(fired.contains(&rule.id), "{} fires in no test", rule.id);
        assert!(quiet.contains(&rule.id), "{} has no near miss", rule.id);
    }
}

#[test]
fn the_llm_pack_loads_beside_crs() {
    let Some(crs) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return;
    };
    let mut files: Vec<PathBuf> = fs::read_dir(crs.join("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .collect();
    files.sort();
    files.insert(0, crs.join("crs-setup.conf.example"));
    files.push(pack("llm-api").join("llm-api.conf"));
    assert!(loaded(&files).notices.is_empty());
}
