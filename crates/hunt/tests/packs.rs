//! Our own packs: every rule fires on what it is for and stays quiet on what is nearly that.
#![allow(clippy::unwrap_used)]

use hunt::{read_rules, trials};
use sigma::Options;
use std::path::Path;

#[test]
fn every_rule_of_a_pack_fires_on_its_case_and_not_on_the_near_miss() {
    let packs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs"));
    let packs = ["public-sector", "linux-web", "ransomware-early"].map(|pack| packs.join(pack));
    let files = read_rules(&packs);
    let trial = trials(&files, &Options::shipped());
    assert!(files.files.len() >= 12, "{}", files.files.len());
    assert!(trial.failed.is_empty() && trial.problems.is_empty(), "{trial:#?}");
    assert!(trial.untested.is_empty() && trial.one_sided.is_empty(), "{trial:#?}");
    assert!(trial.passed > 2 * files.files.len());
}
