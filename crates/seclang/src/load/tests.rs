//! Whole files in, rule sets or complaints out.

mod errors;
mod exceptions;
mod idle;
mod properties;
mod rules;
mod settings;

use super::{Files, load};
use crate::place::Diagnostic;
use crate::rule::Rule;
use crate::ruleset::RuleSet;
use std::collections::BTreeMap;

/// Files in memory.
#[derive(Default)]
struct Folder(BTreeMap<String, Vec<u8>>);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let bytes = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        Self(files.iter().map(bytes).collect())
    }
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let fits = |name: &&String| {
            let between = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            between.is_some_and(|between| !between.contains('/'))
        };
        self.0.keys().filter(fits).cloned().collect()
    }
}

fn load_text(text: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    load(&Folder::with(&[("rules.conf", text)]), &["rules.conf"])
}

fn loaded(text: &str) -> RuleSet {
    load_text(text).unwrap_or_else(|problems| panic!("{}", told(&problems)))
}

fn rule(text: &str) -> Rule {
    let rules = loaded(text);
    let rule = rules.rules().next().cloned();
    rule.unwrap_or_else(|| panic!("no rule"))
}

fn told(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn problems(text: &str) -> String {
    told(&load_text(text).map(|_| ()).unwrap_err())
}

fn notices(text: &str) -> String {
    told(&loaded(text).notices)
}
