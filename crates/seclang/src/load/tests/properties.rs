use super::{Folder, load};
use crate::load::DIAGNOSTICS_MAX;
use proptest::prelude::*;

/// Something of everything, to be cut and mixed.
const SAMPLE: &str = include_str!("sample.conf");

fn try_load(text: &[u8]) {
    let mut folder = Folder::default();
    folder.0.insert("a/rules.conf".to_owned(), text.to_vec());
    match load(&folder, &["a/rules.conf"]) {
        Ok(rules) => {
            assert_eq!(rules.rules().count(), rules.len());
            assert!(rules.rules().all(|rule| !rule.links.is_empty() && rule.id > 0));
        }
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= DIAGNOSTICS_MAX);
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!(problems.iter().all(|problem| problem.place.line as usize <= lines));
        }
    }
}

#[test]
fn the_sample_loads() {
    let rules = super::loaded(SAMPLE);
    let told: Vec<&str> = rules.notices.iter().map(|notice| notice.subject.as_str()).collect();
    assert!(rules.len() >= 6);
    assert_eq!(told, ["sanitiseArg", "setenv"], "{}", super::told(&rules.notices));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        try_load(&bytes);
    }

    #[test]
    fn no_text_of_our_letters_panics(
        text in "(Sec(Rule|Action|Marker|DefaultAction|RuleRemoveById) |ARGS|TX|XML|[:.|!&@/'\"\\\\%{}=,;*\\- \n\t]|rx|id:|msg:|setvar:tx\\.|ctl:|t:|chain|é|[0-9a-c]){0,60}"
    ) {
        try_load(text.as_bytes());
    }

    #[test]
    fn no_change_of_a_real_file_panics(
        changes in proptest::collection::vec((0..SAMPLE.len(), 0..40usize, "[\\x00-\\x7fé|/'\"\\\\]{0,3}"), 1..6)
    ) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, cut, put) in changes {
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, put.bytes());
        }
        try_load(&bytes);
    }
}
