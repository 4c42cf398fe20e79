//! OWASP CRS loads as it comes, and its own tests pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod common;

use common::{Disk, shared};
use seclang::exam::{
    EXAM_SETUP_FILE, Native, Outcome, Overrides, Redirect, Target, Test, build, exam_roots,
    exam_setup, parse, read_overrides, read_tests, run,
};
use seclang::{Engine, Files, RuleSet, load};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn roots(crs: &Path) -> Vec<String> {
    let mut rules: Vec<String> = fs::read_dir(crs.join("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".conf"))
        .collect();
    rules.sort();
    rules.insert(0, crs.join("crs-setup.conf.example").to_str().unwrap().to_owned());
    rules
}

fn crs() -> Option<(Vec<String>, RuleSet)> {
    let Some(folder) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return None;
    };
    let roots = roots(&folder);
    let borrowed: Vec<&str> = roots.iter().map(String::as_str).collect();
    match load(&Disk, &borrowed) {
        Ok(rules) => Some((roots, rules)),
        Err(problems) => {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{} problems:\n{}", told.len(), told.join("\n"));
        }
    }
}

/// Lines that start with one of these words, as `grep` would count them.
fn count(roots: &[String], words: &[&str]) -> usize {
    let texts = roots.iter().map(|root| fs::read_to_string(root).unwrap());
    texts
        .map(|text| {
            text.lines()
                .filter(|line| {
                    let first = line.split_whitespace().next().unwrap_or_default();
                    words.contains(&first)
                })
                .count()
        })
        .sum()
}

#[test]
fn all_of_crs_loads_without_a_word() {
    let Some((roots, rules)) = crs() else { return };
    for notice in rules.notices.iter() {
        println!("{notice}");
    }
    assert!(rules.notices.is_empty(), "{} notices", rules.notices.len());
    let links: usize = rules.rules().map(|rule| rule.links.len()).sum();
    assert_eq!(links, count(&roots, &["SecRule", "SecAction"]));
    let markers = rules.phases[0].len()
        + rules.phases[1].len()
        + rules.phases[2].len()
        + rules.phases[3].len()
        + rules.phases[4].len()
        - rules.len();
    assert_eq!(markers, 5 * count(&roots, &["SecMarker"]));
    assert_eq!(rules.signatures.len(), count(&roots, &["SecComponentSignature"]));
    println!("{} rules, {links} links", rules.len());
}

/// The files on disk, and the exam's setup among them.
struct WithSetup;

impl Files for WithSetup {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == EXAM_SETUP_FILE { Ok(exam_setup(None).into()) } else { Disk.read(path) }
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        Disk.matching(pattern)
    }
}

fn tests_of(folder: &Path) -> Vec<Test> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(path).unwrap();
        read_tests(name, &text).unwrap_or_else(|fault| panic!("{fault}")).0
    };
    files.iter().flat_map(read).collect()
}

fn told(outcome: &Outcome) -> String {
    let failure = outcome.failure.as_ref().unwrap();
    let refused = failure.got.refused.as_ref().map(|why| format!(" [refused: {why}]"));
    let place = format!("{}:{}", outcome.file, outcome.line);
    let name = format!("{}-{}", outcome.rule, outcome.id);
    format!("{name} ({place}): {}{}", failure.why.join("; "), refused.unwrap_or_default())
}

/// What is expected otherwise than by the suite stands in `crs-overrides.yaml`, with its reason. One that
/// is no longer needed is a failure too.
#[test]
fn crs_tests_pass() {
    let Some(folder) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return;
    };
    let roots = roots(&folder);
    let all: Vec<&str> = roots.iter().map(String::as_str).collect();
    let (setup, rules) = all.split_at(1);
    let rules = load(&WithSetup, &exam_roots(setup, rules)).unwrap();
    let mut target = Native::new(Arc::new(Engine::new(rules)));
    let tests = tests_of(&folder.join("tests/regression/tests"));
    let overrides = include_str!("crs-overrides.yaml");
    let (overrides, unknown) = read_overrides("crs-overrides.yaml", overrides).unwrap();
    assert!(unknown.is_empty(), "{unknown:?}");
    let none = Overrides::default();
    let (mut passed, mut excused, mut failures, mut stale) = (0, 0, Vec::new(), Vec::new());
    let began = std::time::Instant::now();
    for test in &tests {
        let outcome = run(&mut target, test, &overrides).unwrap();
        match (&outcome.excused, outcome.passed()) {
            (_, false) => failures.push(told(&outcome)),
            (None, true) => passed += 1,
            (Some(_), true) if run(&mut target, test, &none).unwrap().passed() => {
                stale.push(format!("{}-{}", test.rule, test.id));
            }
            (Some(_), true) => excused += 1,
        }
    }
    println!("{:?}", began.elapsed());
    println!("{passed} passed, {excused} excused, {} failed of {}", failures.len(), tests.len());
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(stale.is_empty(), "needs no override any more: {}", stale.join(", "));
}

/// The same rules match on the same values, with the same scores in what they say, whether the plan picks
/// the rules or all of them look at everything.
#[test]
fn the_plan_changes_nothing_in_any_test_of_crs() {
    let Some(folder) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return;
    };
    let roots = roots(&folder);
    let all: Vec<&str> = roots.iter().map(String::as_str).collect();
    let (setup, rules) = all.split_at(1);
    let rules = load(&WithSetup, &exam_roots(setup, rules)).unwrap();
    let mut planned = Native::new(Arc::new(Engine::new(rules.clone())));
    let mut plain = Native::new(Arc::new(Engine::new(rules).without_plan()));
    let (mut compared, mut lines, mut different) = (0, 0, Vec::new());
    let began = std::time::Instant::now();
    for test in tests_of(&folder.join("tests/regression/tests")) {
        for stage in &test.stages {
            let request = build(&stage.input, Redirect::No).unwrap();
            let one = planned.send(&stage.input, &request);
            if one != plain.send(&stage.input, &request) {
                different.push(format!("{}-{}", test.rule, test.id));
            }
            compared += 1;
            lines += one.map_or(0, |answer| answer.log.len());
        }
    }
    println!("{compared} requests, {lines} matches, {:?}", began.elapsed());
    assert!(different.is_empty(), "{}", different.join(", "));
    assert!(lines > compared, "{lines} matches of {compared} requests");
}

/// A request that the server refuses proves nothing about rules: but for these, only tests that ask for
/// status 400 are refused.
const REFUSED: [(u64, u64, &str); 2] = [
    (920_100, 7, "a fragment in the target; its twin 920100-8 asks for the 400 by name"),
    (920_290, 2, "a percent sign in Host; 920274-1 asks for the 400 by name"),
];

#[test]
fn only_tests_that_expect_it_are_refused() {
    let Some(folder) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return;
    };
    let mut wrong = Vec::new();
    for test in tests_of(&folder.join("tests/regression/tests")) {
        for stage in &test.stages {
            let request = build(&stage.input, Redirect::No).unwrap();
            let Err(refusal) = parse(&request) else { continue };
            let known = REFUSED.iter().any(|(rule, id, _)| (*rule, *id) == (test.rule, test.id));
            if !known && !stage.expected.status.contains(&400) {
                wrong.push(format!("{}-{}: {refusal:?}", test.rule, test.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
