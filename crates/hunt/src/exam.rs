//! SigmaHQ's regression suite on disk: a folder for each case, with `info.yml` and events beside it.

use crate::input::{Input, unreadable};
use crate::kind::{Kind, kind_of};
use crate::limits::{CASE_RECORDS_MAX, FOLDERS_DEPTH_MAX, YAML_BYTES_MAX};
use crate::read::{Told, read};
use crate::rules::text_of;
use schema::Diagnostic;
use serde::Deserialize;
use serde_json::Value;
use sigma::RuleSet;
use sigma::exam::{Case, Form, Report, Sample, exam};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What we need of `info.yml`; the rest of it is for people.
#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    rule_metadata: Vec<RuleName>,
    #[serde(default)]
    regression_tests_info: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct RuleName {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Test {
    /// From the root of the checkout.
    path: Option<String>,
    match_count: Option<usize>,
}

/// Ends of files that hold events; those of the last are lines of text.
const ENDS: &[&str] = &["evtx", "json", "jsonl", "ndjson", "jsoncls", "gz", "zst", "raw", "log"];

/// Sits the exam with what `folder` holds.
pub fn sit(set: &RuleSet, folder: &Path) -> (Report, Vec<Diagnostic>) {
    let (cases, problems) = regression_cases(folder);
    (exam(set, &cases), problems)
}

/// Every folder below with an `info.yml`, and what could not be read.
///
/// Each file of events in it is a sample, so a rule has to fire on the EVTX and on the JSON beside it.
/// `match_count` is how often at least: two cases of the suite say 1 of a file with three right matches.
pub fn regression_cases(folder: &Path) -> (Vec<Case>, Vec<Diagnostic>) {
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    // Of a checkout only the suite: the rest of it is many files.
    let suite = folder.join("regression_data");
    let root = if suite.is_dir() { suite } else { folder.to_owned() };
    walk(&root, 0, &mut cases, &mut problems);
    (cases, problems)
}

fn walk(folder: &Path, depth: usize, cases: &mut Vec<Case>, problems: &mut Vec<Diagnostic>) {
    if depth > FOLDERS_DEPTH_MAX {
        let message = format!("more than {FOLDERS_DEPTH_MAX} folders within each other");
        return problems.push(Diagnostic::new("too-deep", folder.display().to_string(), message));
    }
    let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return problems.push(unreadable(folder, &error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), depth + 1, cases, problems),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    let named = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "info.yml");
    let Some(info) = files.iter().find(named) else { return };
    match read_info(info) {
        Ok(info) => cases.push(case(folder, &info, &files, problems)),
        Err(problem) => problems.push(problem),
    }
}

fn read_info(path: &Path) -> Result<Info, Diagnostic> {
    let text = text_of(path, YAML_BYTES_MAX)?;
    serde_saphyr::from_str(&text).map_err(|error| {
        let place = path.display().to_string();
        Diagnostic::new("bad-case", place, format!("cannot read the case: {error}"))
            .hint("`rule_metadata` and `regression_tests_info` are lists, as in SigmaHQ's suite")
    })
}

fn case(folder: &Path, info: &Info, files: &[PathBuf], problems: &mut Vec<Diagnostic>) -> Case {
    let mut samples = Vec::new();
    let mut tests: Vec<&Test> = info.regression_tests_info.iter().collect();
    for path in files {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        if !ENDS.contains(&end) {
            continue;
        }
        let test = tests.iter().position(|test| names(test, path)).map(|at| tests.remove(at));
        let mut sample = read_sample(path, problems);
        sample.matches = test.and_then(|test| test.match_count);
        samples.push(sample);
    }
    for test in tests {
        if let Some(path) = &test.path {
            let message = format!("`{path}` is named by the case and not in its folder");
            let place = folder.join("info.yml").display().to_string();
            problems.push(Diagnostic::new("missing-sample", place, message));
        }
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rules = info.rule_metadata.iter().map(|rule| rule.id.clone()).collect();
    Case { name, rules, samples }
}

/// Whether it is the file that the test is about; the suite may lie under another folder.
fn names(test: &Test, path: &Path) -> bool {
    test.path.as_deref().and_then(|own| Path::new(own).file_name()) == path.file_name()
        && path.file_name().is_some()
}

fn read_sample(path: &Path, problems: &mut Vec<Diagnostic>) -> Sample {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let texts = name.ends_with(".raw") || name.ends_with(".log");
    let mut sample = Sample { name, events: Vec::new(), form: Form::Ruled, matches: None };
    let bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    let input = Input { path: Some(path.to_owned()), bytes };
    let _ = read(&input, texts, &|bytes| bytes, &mut |told| {
        match told {
            Told::Record(item) => match serde_json::from_slice::<Value>(item.json) {
                Ok(value) => sample.events.push(value),
                Err(error) => {
                    let place = format!("{}:{}", path.display(), item.number);
                    let message = format!("the record is not JSON: {error}");
                    problems.push(Diagnostic::new("bad-json", place, message));
                }
            },
            Told::Problem(problem) => problems.push(problem),
        }
        match sample.events.len() < CASE_RECORDS_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    if let Some(Kind::EventLog(product)) = sample.events.first().and_then(|e| kind_of(e, None)) {
        sample.form = Form::EventLog(product.to_owned());
    }
    sample
}
