//! Our own packs: what each document says of itself. `hunt` tries them on the cases beside them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

use serde_json::Value;
use sigma::{Options, RuleSet};
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
