//! Real event logs, whole and damaged, and SigmaHQ's exam as its files lie there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

use hunt::read::{Told, read_from};
use hunt::{Choice, Hunt, Span, find, load, options, read, read_rules, sit};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

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

/// Records, and problems by their codes.
fn told(name: &str, bytes: &[u8]) -> (u64, BTreeMap<String, u64>) {
    let (mut records, mut problems) = (0, BTreeMap::new());
    let _ = read_from(name, Box::new(bytes), false, &mut |told| {
        match told {
            // As the hunt does it.
            Told::Record(item) => match serde_json::from_slice::<serde_json::Value>(item.json) {
                Ok(_) => records += 1,
                Err(_) => *problems.entry("bad-json".to_owned()).or_default() += 1,
            },
            Told::Problem(problem) => *problems.entry(problem.code).or_default() += 1,
        }
        ControlFlow::Continue(())
    });
    (records, problems)
}

#[test]
fn damaged_event_logs_are_read_as_far_as_they_go() {
    let Some(folder) = shared("corpora/evtx-odd") else { return };
    let found = find(&[folder], false);
    let mut all = 0;
    for input in &found.inputs {
        let bytes = fs::read(input.path.as_ref().unwrap()).unwrap();
        let (records, problems) = told(&input.name(), &bytes);
        let name = input.name();
        println!("{records:6} {:40.40} {problems:?}", name.rsplit('/').next().unwrap());
        assert!(records > 0, "{name}");
        all += records;
    }
    println!("{all} records in {} files", found.inputs.len());
    assert!(all > 10_000);
}

/// Changes that chance makes, the same at every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

#[test]
fn damage_by_chance_ends_no_hunt_and_is_told() {
    let Some(folder) = shared("corpora/evtx-odd") else { return };
    let rounds: u64 = std::env::var("ROUNDS").map_or(30, |rounds| rounds.parse().unwrap());
    let bytes = fs::read(folder.join("new-user-security.evtx")).unwrap();
    let (whole, problems) = told("x.evtx", &bytes);
    assert!(problems.is_empty(), "{problems:?}");
    let mut silent = 0;
    for round in 1..=rounds {
        let mut chance = Chance(round * 0x9e37_79b9);
        let mut damaged = bytes.clone();
        // Where records are; the rest of the file is zeroes.
        for _ in 0..=chance.next(200) {
            let at = 4096 + chance.next(40_000);
            damaged[at] = u8::try_from(chance.next(256)).unwrap();
        }
        if round % 5 == 0 {
            damaged.truncate(4096 + chance.next(60_000));
        }
        let (records, problems) = told("x.evtx", &damaged);
        silent += u64::from(records < whole && problems.is_empty());
    }
    println!("{silent} of {rounds} damaged files lost records in silence");
    assert_eq!(silent, 0);
}

#[test]
fn the_public_exam_is_passed_on_event_logs_and_on_json() {
    let Some(root) = shared("corpora/sigma") else { return };
    let files = read_rules(std::slice::from_ref(&root));
    assert!(files.problems.is_empty(), "{:?}", files.problems);
    let set = load(&files, &options(&[], None).unwrap());
    let (report, problems) = sit(&set, &root);
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!((report.passed, report.unexplained), (report.total, 0));
    assert!(report.total >= 123 && report.rules > 3_700);
}

#[test]
fn a_case_that_has_only_an_event_log_is_a_case() {
    let Some(root) = shared("corpora/sigma") else { return };
    let (cases, problems) = hunt::regression_cases(&root);
    assert!(problems.is_empty(), "{problems:?}");
    let counted = cases.iter().flat_map(|case| &case.samples).filter(|s| s.matches.is_some());
    println!("{} cases, {} samples with a count", cases.len(), counted.count());
    for case in &cases {
        let has = |end: &str| case.samples.iter().any(|sample| sample.name.ends_with(end));
        assert!(has(".evtx") || has(".raw"), "{}", case.name);
        assert!(case.samples.iter().all(|sample| !sample.events.is_empty()), "{}", case.name);
    }
}

#[test]
fn a_hunt_over_files_names_host_time_and_rule() {
    let (Some(root), Some(logs)) = (shared("corpora/sigma"), shared("corpora/evtx")) else {
        return;
    };
    let logs = logs.join("TA0005-Defense Evasion/T1070.001-Clear Windows event logs");
    let files = read_rules(&[root.join("rules/windows/builtin")]);
    let options = options(&[], None).unwrap();
    let mut hunt = Hunt::new(files, &options, Choice::default(), Span::default(), None);
    let mut hits = Vec::new();
    for input in find(&[logs], false).inputs {
        let file: Arc<str> = input.name().into();
        let _ = read(&input, false, &|bytes| bytes, &mut |told| {
            if let Told::Record(item) = told {
                hunt.take(&file, &item, &mut hits).unwrap();
            }
            ControlFlow::Continue(())
        });
    }
    println!("{} hits in {} records", hits.len(), hunt.counts().records);
    // The folder's name is older than the rules: ATT&CK 19 revoked T1070.001 for it.
    assert!(hits.iter().any(|hit| hit.rule.techniques.contains(&"T1685.005".to_owned())));
    for hit in &hits {
        assert!(hit.time.is_some() && hit.host.is_some() && hit.event_id.is_some(), "{hit:?}");
        assert!(hit.rule.author.is_some() && hit.channel.is_some(), "{hit:?}");
    }
}
