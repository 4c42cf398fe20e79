//! What can be looked up of a predicate, and how often events are expected to have it.

use crate::predicate::Test;
use crate::text::{Piece, fold};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Something in the folded text of a value without which a predicate does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Found {
    Whole(String),
    Start(String),
    End(String),
    Inside(String),
}

/// Texts that many values have in them: finding a part of one says little.
const COMMON: &[&str] = &[
    "c:\\windows\\system32\\",
    "c:\\windows\\syswow64\\",
    "c:\\program files\\",
    "c:\\program files (x86)\\",
    "c:\\users\\",
    "\\appdata\\local\\temp\\",
    "\\powershell.exe",
    "\\pwsh.exe",
    "\\cmd.exe",
    "\\svchost.exe",
    "\\services.exe",
    "\\lsass.exe",
    "\\explorer.exe",
    "\\rundll32.exe",
    "hklm\\software\\microsoft\\windows\\currentversion\\",
    "hkey_local_machine\\",
    "\\registry\\machine\\",
    "\\device\\harddiskvolume",
    "nt authority\\system",
    "microsoft corporation",
    "https://www.",
    "http://",
    "/usr/bin/",
    "/bin/bash",
    "true",
    "success",
    "0x",
];

/// Branches of a regular expression that are looked up apart from each other.
const BRANCHES_MAX: usize = 64;
/// Characters below which a text says too little to look for it.
const SHORT: usize = 3;

/// What can be looked up: one of them has to be there for the test to hold. None if nothing can.
pub(super) fn needles(test: &Test) -> Option<Vec<Found>> {
    let own = |text: &str| fold(text).into_owned();
    Some(match test {
        Test::Equals { text, .. } => vec![Found::Whole(own(text))],
        Test::StartsWith { text, .. } if !text.is_empty() => vec![Found::Start(own(text))],
        Test::EndsWith { text, .. } if !text.is_empty() => vec![Found::End(own(text))],
        Test::Contains { text, .. } if !text.is_empty() => vec![Found::Inside(own(text))],
        Test::Glob { pieces, .. } => vec![longest(pieces)?],
        Test::Regex { pattern, flags } => {
            let hir = regex_syntax::ParserBuilder::new()
                .case_insensitive(flags.insensitive)
                .multi_line(flags.multiline)
                .dot_matches_new_line(flags.singleline)
                .nest_limit(crate::limits::REGEX_DEPTH_MAX)
                .build()
                .parse(&crate::predicate::ascii_classes(pattern))
                .ok()?;
            let texts = required(&hir).filter(|texts| texts.len() <= BRANCHES_MAX)?;
            let long = texts.iter().all(|text| text.chars().count() >= SHORT);
            long.then(|| texts.into_iter().map(Found::Inside).collect::<Vec<_>>())?
        }
        _ => return None,
    })
}

/// The longest text of a pattern, and where it stands.
fn longest(pieces: &[Piece]) -> Option<Found> {
    let texts = pieces.iter().enumerate().filter_map(|(at, piece)| match piece {
        Piece::Text(text) => Some((at, fold(text).into_owned())),
        _ => None,
    });
    let (at, text) = texts.max_by_key(|(_, text)| text.len())?;
    Some(match at {
        0 => Found::Start(text),
        at if at + 1 == pieces.len() => Found::End(text),
        _ => Found::Inside(text),
    })
}

/// Folded texts of which one is in everything that an expression matches.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => required(&repeated.sub),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(required(part)?);
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut keep = |texts: Vec<String>| {
                if best.as_ref().is_none_or(|best| worth(&texts) > worth(best)) {
                    best = Some(texts);
                }
            };
            let mut run = String::new();
            for part in parts {
                if let Some(text) = plain(part) {
                    run.push_str(&text);
                    continue;
                }
                keep(vec![std::mem::take(&mut run)]);
                if let Some(texts) = required(part) {
                    keep(texts);
                }
            }
            keep(vec![run]);
            best
        }
        _ => plain(hir).map(|text| vec![text]),
    }
}

/// Long texts are better, and few.
fn worth(texts: &[String]) -> (usize, usize) {
    let shortest = texts.iter().map(String::len).min().unwrap_or(0);
    (shortest, usize::MAX - texts.len())
}

/// The folded text, where an expression is one: letters in either case count as one.
fn plain(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).ok().map(|text| fold(text).into_owned())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let letters: Vec<char> = class
                .ranges()
                .iter()
                .flat_map(|range| (range.start()..=range.end()).take(4))
                .take(4)
                .collect();
            let folded = |c: &char| fold(c.encode_utf8(&mut [0; 4])).into_owned();
            let first = folded(letters.first()?);
            let same = letters.len() < 4 && letters.iter().all(|c| folded(c) == first);
            same.then_some(first)
        }
        _ => None,
    }
}

/// The share of events expected to pass a test.
///
/// Guesses, by how long the text is and whether it is an ordinary one; what they decide is how fast rules run,
/// never which fire.
pub(super) fn expected(test: &Test) -> f64 {
    match test {
        Test::Equals { text, .. } => 0.4 * share(text),
        Test::StartsWith { text, .. } | Test::EndsWith { text, .. } => 0.7 * share(text),
        Test::Contains { text, .. } => share(text),
        Test::Glob { .. } | Test::Regex { .. } => needles(test).map_or(0.3, |found| {
            found
                .iter()
                .map(|found| match found {
                    Found::Whole(text)
                    | Found::Start(text)
                    | Found::End(text)
                    | Found::Inside(text) => share(text),
                })
                .sum::<f64>()
                .min(0.3)
        }),
        Test::Cidr(_) | Test::Null | Test::Exists(false) => 0.3,
        Test::Number { .. } | Test::TimePart { .. } => 0.2,
        Test::Exists(true) => 0.7,
        Test::Field { .. } => 0.1,
    }
}

fn share(text: &str) -> f64 {
    let text = fold(text);
    if COMMON.iter().any(|common| common.contains(text.as_ref())) {
        return 0.2;
    }
    match text.chars().count() {
        0..=2 => 0.2,
        3 => 0.06,
        4 => 0.03,
        5..=7 => 0.01,
        8..=11 => 0.003,
        _ => 0.001,
    }
}
