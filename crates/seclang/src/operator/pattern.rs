//! `@rx`: a pattern of PCRE, run by Rust's engine, whose time is linear in the value.

use super::needs::{self, Needs};
use super::pcre;
use super::{CAPTURES_MAX, Captures};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::sync::OnceLock;

type Refusal = (String, Option<String>);

/// What a compiled pattern may take.
pub const REGEX_BYTES_MAX: usize = 10 * 1024 * 1024;
/// What each thread's lazy automaton of a pattern may take.
pub const REGEX_DFA_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A pattern of no more states than this compiles for sure: it is compiled when it first runs. A larger one is
/// compiled when it is read, so that what does not fit is known then.
pub const STATES_SURE_MAX: usize = 20_000;

/// A pattern that was understood. It is compiled when it first runs.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written in the rule.
    pub text: String,
    /// In the words of `regex-syntax`.
    translated: String,
    needs: Needs,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// # Errors
    /// Names what is not understood, not supported or too large.
    pub fn new(text: &[u8]) -> Result<Self, Refusal> {
        let translated = pcre::translate(text)?;
        if translated.atomic {
            // To be proven equivalent; until then it is refused.
            return Err((
                "possessive quantifiers and atomic groups are not supported".to_owned(),
                Some("leave out the `+` behind the quantifier, the `>` behind `(?`".to_owned()),
            ));
        }
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .multi_line(true)
            .build()
            .parse(&translated.text)
            .map_err(|error| {
                (format!("the pattern is not understood: {}", reason(&error)), None)
            })?;
        let pattern = Self {
            text: String::from_utf8_lossy(text).into_owned(),
            translated: translated.text,
            regex: OnceLock::new(),
            needs: needs::of_hir(&hir),
        };
        if states(&hir) > STATES_SURE_MAX {
            let regex = compile(&pattern.translated).map_err(|error| {
                (
                    format!("the pattern cannot be compiled: {error}"),
                    Some("make its repetitions smaller".to_owned()),
                )
            })?;
            let _ = pattern.regex.set(Some(regex));
        }
        Ok(pattern)
    }

    /// The compiled pattern. `None` never comes to pass for what [`Pattern::new`] let through.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| compile(&self.translated).ok()).as_ref()
    }

    /// What every match has.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Whether it is somewhere in `value`. The groups of the first match are caught.
    pub fn test(&self, value: &[u8], captures: Option<&mut Captures>) -> bool {
        let Some(regex) = self.regex() else {
            return false;
        };
        match captures {
            None => regex.is_match(value),
            // Most values do not match, and those that do not need no room for groups.
            Some(captures) => {
                regex.is_match(value)
                    && regex.captures(value).is_some_and(|found| {
                        push(&found, captures);
                        true
                    })
            }
        }
    }

    /// As [`test`](Self::test), with the groups of all matches one behind the other.
    pub fn test_all(&self, value: &[u8], captures: Option<&mut Captures>) -> bool {
        let Some(captures) = captures else {
            return self.test(value, None);
        };
        let Some(regex) = self.regex() else {
            return false;
        };
        let mut matches = false;
        for found in regex.captures_iter(value) {
            matches = true;
            push(&found, captures);
            if captures.groups.len() >= CAPTURES_MAX {
                break;
            }
        }
        matches
    }
}

/// The groups up to the last that took part; those between that did not are empty.
fn push(found: &regex::bytes::Captures<'_>, captures: &mut Captures) {
    let last = (0..found.len()).rev().find(|at| found.get(*at).is_some()).unwrap_or(0);
    for group in found.iter().take(last + 1) {
        captures.push(group.map_or(b"", |group| group.as_bytes()));
    }
}

fn compile(translated: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated)
        .unicode(false)
        .dot_matches_new_line(true)
        .multi_line(true)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_DFA_BYTES_MAX)
        .build()
}

/// So many ranges of a class take about as much as a state.
const RANGES_PER_STATE: usize = 8;

fn ranges(class: &Class) -> usize {
    match class {
        Class::Bytes(class) => class.ranges().len(),
        Class::Unicode(class) => class.ranges().len(),
    }
}

/// Roughly how many states a pattern needs: literals and classes, times their repetitions.
fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        // Each range of a class is a transition of its own: wide classes weigh more.
        HirKind::Class(class) => 1 + ranges(class) / RANGES_PER_STATE,
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(states).fold(1, usize::saturating_add)
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            let times = usize::try_from(times).unwrap_or(usize::MAX);
            states(&repetition.sub).saturating_add(1).saturating_mul(times)
        }
    }
}

fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "unknown syntax".to_owned(),
    }
}
