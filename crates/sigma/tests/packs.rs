//! Our own packs: every rule fires on what it is for and stays quiet on what is nearly that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

use serde_json::Value;
use sigma::correlation::{Correlator, State};
use sigma::{LogSource, Options, Record, RuleSet};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const PACKS: [&str; 3] = ["public-sector", "linux-web", "ransomware-early"];
const TEST_ENDING: &str = ".test.yml";

fn folder(pack: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs")).join(pack)
}

/// Rule files of all packs, by their place, with their texts.
fn rules() -> BTreeMap<PathBuf, String> {
    let entries = PACKS.iter().flat_map(|pack| fs::read_dir(folder(pack)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_rule = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        name.ends_with(".yml") && !name.ends_with(TEST_ENDING)
    };
    paths.filter(is_rule).map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The shipped pipelines, read once.
fn options() -> &'static Options {
    static OPTIONS: OnceLock<Options> = OnceLock::new();
    OPTIONS.get_or_init(Options::shipped)
}

fn load(path: &Path, text: &str) -> RuleSet {
    let set = RuleSet::load([(path.to_str().unwrap(), text)], options());
    let refused = set.refused.first().map(|refused| refused.problems[0].to_string());
    assert!(refused.is_none(), "{}", refused.unwrap());
    assert!(set.notices.is_empty(), "{:?}", set.notices);
    set
}

fn logsource(value: &Value) -> LogSource {
    let part = |name: &str| value[name].as_str();
    LogSource::new(part("product"), part("category"), part("service"))
}

/// `{n}` in texts is the number of the event.
fn numbered(value: &Value, number: u64) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("{n}", &number.to_string())),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect()
        }
        other => other.clone(),
    }
}

/// The events of a case at their seconds: `event`, or `events` of `{at, times, event}`.
fn events(case: &Value) -> Vec<(i64, Value)> {
    if let Some(event) = case.get("event") {
        return vec![(0, event.clone())];
    }
    let mut all = Vec::new();
    for item in case["events"].as_array().expect("`event` or `events`") {
        for number in 0..item["times"].as_u64().unwrap_or(1) {
            all.push((item["at"].as_i64().unwrap(), numbered(&item["event"], number)));
        }
    }
    all
}

/// Whether the last document of the file, which it is named after, fires.
fn fires(set: &RuleSet, name: &str, source: &LogSource, events: &[(i64, Value)]) -> bool {
    let correlator = Correlator::new(set, 0);
    let mut state = State::default();
    let mut fired = Vec::new();
    let mut findings = Vec::new();
    for (index, (second, event)) in events.iter().enumerate() {
        let record = match (&source.product, &source.category) {
            (Some(product), None) => Record::event_log(product, event),
            _ => Record::json(source.clone(), event),
        };
        for found in set.evaluate(&record) {
            fired.extend(set.rules[found.rule].meta.name.clone());
            let hit = correlator.hit(found.rule, second * 1000, &format!("e{index}"), &record);
            findings.extend(hit.into_iter().flat_map(|hit| correlator.observe(&mut state, hit)));
        }
    }
    findings.extend(correlator.finish(&mut state));
    for correlation in &set.correlations {
        let key = correlation.meta.key();
        if findings.iter().any(|finding| finding.correlation == key) {
            fired.extend(correlation.meta.name.clone());
        }
    }
    fired.iter().any(|fired| fired == name)
}

#[test]
fn every_rule_fires_on_its_case_and_not_on_the_near_miss() {
    let rules = rules();
    assert!(rules.len() >= 12, "{}", rules.len());
    let mut wrong = Vec::new();
    for (path, text) in &rules {
        let set = load(path, text);
        let name = path.file_stem().unwrap().to_str().unwrap();
        let test = path.with_file_name(format!("{name}{TEST_ENDING}"));
        let test = fs::read_to_string(&test).unwrap_or_else(|_| panic!("no {}", test.display()));
        let test: Value = serde_saphyr::from_str(&test).unwrap();
        let source = logsource(&test["logsource"]);
        let cases = test["cases"].as_array().unwrap();
        for wanted in [true, false] {
            if !cases.iter().any(|case| case["fires"] == wanted) {
                wrong.push(format!("{name}: no case with `fires: {wanted}`"));
            }
        }
        for case in cases {
            let source = case.get("logsource").map_or_else(|| source.clone(), logsource);
            let wanted = case["fires"].as_bool().unwrap();
            if fires(&set, name, &source, &events(case)) != wanted {
                wrong.push(format!("{name}: `{}` should fire: {wanted}", case["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_document_says_all_about_itself() {
    let mut seen = BTreeMap::new();
    for (path, text) in rules() {
        let set = load(&path, &text);
        let rules = set.rules.iter().map(|rule| &rule.meta);
        for meta in rules.chain(set.correlations.iter().map(|correlation| &correlation.meta)) {
            let place = &meta.place;
            let id = meta.id.clone().unwrap_or_else(|| panic!("{place}: no id"));
            assert!(id.len() == 36, "{place}: `{id}` is no UUID");
            assert_eq!(seen.insert(id, place.clone()), None, "{place}");
            assert_eq!(meta.author.as_deref(), Some("Plura"), "{place}");
            assert!(
                meta.date.is_some() && meta.level.is_some() && meta.status.is_some(),
                "{place}"
            );
            assert!(meta.description.is_some() && !meta.falsepositives.is_empty(), "{place}");
            assert!(meta.tags.iter().any(|tag| tag.starts_with("attack.")), "{place}");
        }
    }
    for pack in PACKS {
        let manifest: Value =
            serde_json::from_slice(&fs::read(folder(pack).join("pack.json")).unwrap()).unwrap();
        assert_eq!(manifest["pack"], pack);
        assert!(manifest["version"].as_str().unwrap().split('.').count() == 3);
    }
}

/// One set of all of them: names do not clash, and nobody's ids are taken.
#[test]
fn packs_go_together_and_with_the_public_rules() {
    let rules = rules();
    let texts = rules.iter().map(|(path, text)| (path.to_str().unwrap(), text.as_str()));
    let set = RuleSet::load(texts, options());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let shared = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let root = Path::new(&shared).join("corpora/sigma");
    if !root.exists() {
        println!("skipped: no corpora");
        return;
    }
    let ours: Vec<&str> = set
        .rules
        .iter()
        .filter_map(|rule| rule.meta.id.as_deref())
        .chain(set.correlations.iter().filter_map(|correlation| correlation.meta.id.as_deref()))
        .collect();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yml") {
                let text = fs::read_to_string(&path).unwrap();
                let id = text.lines().find_map(|line| line.strip_prefix("id: "));
                assert!(!id.is_some_and(|id| ours.contains(&id.trim())), "{}", path.display());
            }
        }
    }
}
