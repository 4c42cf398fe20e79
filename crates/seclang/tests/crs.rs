//! OWASP CRS loads as it comes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

mod common;

use common::{Disk, shared};
use seclang::{RuleSet, load};
use std::fs;
use std::path::Path;

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
