//! OWASP CRS loads as it comes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

mod common;

use common::{Disk, shared};
use seclang::{Files, RuleSet, load};
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

/// One file is another; the rest is as on disk.
struct Changed {
    path: String,
    bytes: Vec<u8>,
}

impl Files for Changed {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == self.path { Ok(self.bytes.clone()) } else { Disk.read(path) }
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        Disk.matching(pattern)
    }
}

#[test]
fn no_damaged_rule_file_panics() {
    const PIECE_BYTES: usize = 2000;
    const PUT: [&[u8]; 12] =
        [b"\"", b"'", b"\\", b"\n", b"|", b"/", b"%{", b"}", b",", b":", b"\xff", b"\\\n"];
    let Some(folder) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return;
    };
    // A fixed walk, so that what fails once fails again.
    let mut state = 1_u64;
    let mut below = move |limit: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit.max(1)
    };
    let (mut whole, mut refused) = (0, 0);
    for path in roots(&folder) {
        let bytes = fs::read(&path).unwrap();
        let paragraphs: Vec<usize> =
            (0..bytes.len()).filter(|at| *at == 0 || bytes[..*at].ends_with(b"\n\n")).collect();
        for _ in 0..6 {
            let start = paragraphs[below(paragraphs.len())];
            let end = paragraphs.iter().find(|end| **end > start + PIECE_BYTES);
            let mut piece = bytes[start..end.copied().unwrap_or(bytes.len())].to_vec();
            for _ in 0..below(4) {
                let at = below(piece.len());
                let cut = below(3).min(piece.len() - at);
                piece.splice(at..at + cut, PUT[below(PUT.len())].iter().copied());
            }
            match load(&Changed { path: path.clone(), bytes: piece }, &[&path]) {
                Ok(_) => whole += 1,
                Err(problems) => {
                    assert!(problems.iter().all(|problem| problem.place.line > 0));
                    refused += 1;
                }
            }
        }
    }
    println!("{whole} loaded, {refused} refused");
    assert!(whole > 0 && refused > 0);
}
