//! Compares an answer with what is expected of it, in go-ftw's order.

use super::{Answer, Expected, NoAnswer};
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// What came, as far as expectations are about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// `None` when there was no answer.
    pub status: Option<u16>,
    pub ids: BTreeSet<u64>,
    /// Why no rule was asked, or there was no answer.
    pub refused: Option<String>,
}

impl Got {
    pub fn of(answer: &Result<Answer, NoAnswer>) -> Self {
        match answer {
            Ok(answer) => Self {
                status: Some(answer.status),
                ids: ids(&answer.log),
                refused: answer.refused.clone(),
            },
            Err(NoAnswer::Broken(why) | NoAnswer::Unusable(why)) => {
                Self { refused: Some(why.clone()), ..Self::default() }
            }
        }
    }
}

/// What is not met, one thing each; empty when all is.
pub fn check(expected: &Expected, answer: &Result<Answer, NoAnswer>) -> Vec<String> {
    let answer = match (expected.expect_error, answer) {
        (true, Err(_)) => return Vec::new(),
        (true, Ok(answer)) => {
            return vec![format!("expected the connection to fail, got status {}", answer.status)];
        }
        (false, Err(NoAnswer::Broken(why) | NoAnswer::Unusable(why))) => {
            return vec![format!("no answer: {why}")];
        }
        (false, Ok(answer)) => answer,
    };
    let mut why = Vec::new();
    if !expected.status.is_empty() && !expected.status.contains(&answer.status) {
        why.push(format!("expected status {}, got {}", listed(&expected.status), answer.status));
    }
    if let Some(pattern) = &expected.response_contains
        && !found(pattern, [answer.raw.as_slice()], &mut why)
    {
        why.push(format!("`{pattern}` is not in the response"));
    }
    let lines = || answer.log.iter().map(String::as_bytes);
    for pattern in &expected.match_regexes {
        if !found(pattern, lines(), &mut why) {
            why.push(format!("no log line matches `{pattern}`"));
        }
    }
    let ids = ids(&answer.log);
    let missing: Vec<u64> =
        expected.expect_ids.iter().copied().filter(|id| !ids.contains(id)).collect();
    if !missing.is_empty() {
        why.push(format!("rule {} did not match", listed(&missing)));
    }
    if expected.isolated && ids.len() != 1 {
        why.push(format!("only one rule may match, but {} did", ids.len()));
    }
    for pattern in &expected.no_match_regexes {
        if found(pattern, lines(), &mut why) {
            let ids: Vec<u64> = ids.iter().copied().collect();
            why.push(format!("a log line matches `{pattern}` (rules {})", listed(&ids)));
        }
    }
    let unwanted: Vec<u64> =
        expected.no_expect_ids.iter().copied().filter(|id| ids.contains(id)).collect();
    if !unwanted.is_empty() {
        why.push(format!("rule {} matched", listed(&unwanted)));
    }
    why
}

/// The rules named in log lines, in ModSecurity's form or in JSON.
fn ids(log: &[String]) -> BTreeSet<u64> {
    static ID: LazyLock<Option<regex::Regex>> =
        LazyLock::new(|| regex::Regex::new(r#"\[id \\?"(\d+)\\?"\]|"id":\s*"?(\d+)"?"#).ok());
    let Some(pattern) = ID.as_ref() else { return BTreeSet::new() };
    log.iter()
        .flat_map(|line| pattern.captures_iter(line))
        .filter_map(|found| found.get(1).or_else(|| found.get(2))?.as_str().parse().ok())
        .collect()
}

fn found<'a>(
    pattern: &str,
    texts: impl IntoIterator<Item = &'a [u8]>,
    why: &mut Vec<String>,
) -> bool {
    match Regex::new(pattern) {
        Ok(regex) => texts.into_iter().any(|text| regex.is_match(text)),
        Err(_) => {
            why.push(format!("`{pattern}` is not a regular expression"));
            false
        }
    }
}

fn listed<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
