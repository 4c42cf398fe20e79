//! The thirty cases of the original document.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use trust::Policy;
mod common;

use common::shared;
use trust::exam::{parse_cases, sit};
use trust::vary::{Spread, robustness};

#[test]
fn every_case_is_judged_as_the_text_judges_it() {
    let Some(text) = shared("trust/scenarios.yaml") else {
        println!("skipped: no corpora");
        return;
    };
    let policy = Policy::shipped();
    let exam = sit(&policy, &parse_cases("scenarios.yaml", &text).unwrap(), None);
    let mut wrong = String::new();
    for row in &exam.cases {
        println!(
            "{} {} {} {:?} {:?} | {:?}",
            row.id, row.score, row.profile, row.expected, row.decisions, row.diagnostics
        );
        if !row.passed {
            wrong.push_str(&format!("{row:?}\n"));
        }
    }
    assert_eq!((exam.passed, exam.total), (30, 30), "{wrong}");
}

#[test]
fn the_verdicts_do_not_hang_on_the_exact_numbers() {
    let Some(text) = shared("trust/scenarios.yaml") else {
        println!("skipped: no corpora");
        return;
    };
    let cases = parse_cases("scenarios.yaml", &text).unwrap();
    for seed in 1..=3 {
        let found = robustness(&Policy::shipped(), &cases, 300, Spread::default(), seed);
        assert!(found.all_in_range >= 285, "{found:?}");
    }
}
