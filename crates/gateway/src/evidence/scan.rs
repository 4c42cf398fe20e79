//! Finds secrets and personal data in running text. One automaton finds the words worth looking at;
//! one byte loop finds digits, `@` and escapes. Where neither finds anything, nothing more is done.

mod pairs;

use super::names::{Class, Kind, NAME_STEMS, Names};
use super::{digits, shapes};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use pairs::{Separator, after_scheme, name_end, name_start, separator, value};

/// What stands in a span of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Secret,
    Personal(Kind),
    /// A token the capture limit may have cut in half.
    Cut,
    /// Something encoded once more, and what protection made of it decoded.
    Replaced(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) what: What,
}

/// How a known key begins and what follows.
struct Shape {
    prefix: &'static str,
    /// Fewest characters that follow.
    tail_min: usize,
}

const fn shape(prefix: &'static str, tail_min: usize) -> Shape {
    Shape { prefix, tail_min }
}

/// Token formats as their issuers document them.
const SHAPES: &[Shape] = &[
    shape("sk-", 16),
    shape("sk_live_", 10),
    shape("sk_test_", 10),
    shape("rk_live_", 10),
    shape("rk_test_", 10),
    shape("whsec_", 16),
    shape("ghp_", 20),
    shape("gho_", 20),
    shape("ghu_", 20),
    shape("ghs_", 20),
    shape("ghr_", 20),
    shape("github_pat_", 20),
    shape("glpat-", 16),
    shape("AKIA", 16),
    shape("ASIA", 16),
    shape("xoxb-", 10),
    shape("xoxp-", 10),
    shape("xoxa-", 10),
    shape("xoxr-", 10),
    shape("xoxs-", 10),
    shape("xoxe-", 10),
    shape("xoxe.", 10),
    shape("xapp-", 10),
    shape("AIza", 30),
    shape("ya29.", 16),
    shape("eyJ", 10),
    shape("npm_", 30),
    shape("hf_", 30),
    shape("SG.", 30),
    shape("gsk_", 30),
    shape("xai-", 30),
    shape("dop_v1_", 30),
    shape("dckr_pat_", 16),
    shape("shpat_", 16),
    shape("shpss_", 16),
    shape("figd_", 20),
    shape("lin_api_", 20),
    shape("tskey-", 16),
    shape("ATATT3", 20),
    shape("sq0csp-", 20),
    shape("pypi-AgE", 20),
    shape("AGE-SECRET-KEY-1", 20),
];

#[derive(Clone, Copy)]
enum Hit {
    /// Part of a name that may tell what follows.
    Name,
    Shape(usize),
    /// `Bearer `, `Basic `.
    Scheme,
    /// `://`
    Url,
    /// `-----BEGIN `
    Pem,
}

pub(super) struct Scanner {
    words: AhoCorasick,
    hits: Vec<Hit>,
    pub(super) names: Names,
}

/// Words after `password is` and `password:` that tell about a password and are none. Only in running
/// text; a field called `password` is always destroyed.
const ABOUT: &[&str] = &[
    "a",
    "an",
    "and",
    "are",
    "be",
    "by",
    "can",
    "cannot",
    "changed",
    "confirmed",
    "correct",
    "does",
    "empty",
    "expired",
    "failed",
    "for",
    "forgotten",
    "from",
    "if",
    "in",
    "incorrect",
    "invalid",
    "is",
    "leaked",
    "limit",
    "limited",
    "lost",
    "mismatch",
    "missing",
    "must",
    "need",
    "needed",
    "needs",
    "never",
    "no",
    "not",
    "null",
    "of",
    "ok",
    "on",
    "or",
    "required",
    "reset",
    "sent",
    "short",
    "should",
    "stolen",
    "the",
    "to",
    "too",
    "undefined",
    "unknown",
    "updated",
    "valid",
    "was",
    "weak",
    "will",
    "with",
    "wrong",
    "you",
    "your",
    "none",
    "true",
    "false",
];

/// Bytes of a token that are looked at to tell a key from words.
const SAMPLE_BYTES: usize = 64;
/// A JWT's first dot comes before this.
const JWT_HEADER_BYTES_MAX: usize = 4096;
/// Longest number looked for behind its name, and longest text where a site names some.
const NUMBER_BYTES_MAX: usize = 64;
const NAMED_BYTES_MAX: usize = 256;
/// Of the run at the cut, this many bytes are taken back; longer tokens with a known beginning are
/// found by that.
const CUT_BYTES_MAX: usize = 512;

impl Scanner {
    pub(super) fn new(names: Names, extra_stems: &[String]) -> Option<Scanner> {
        let mut patterns: Vec<String> = Vec::new();
        let mut hits = Vec::new();
        let mut add = |pattern: &str, hit| {
            patterns.push(pattern.to_owned());
            hits.push(hit);
        };
        for (i, shape) in SHAPES.iter().enumerate() {
            add(shape.prefix, Hit::Shape(i));
        }
        add("bearer ", Hit::Scheme);
        add("basic ", Hit::Scheme);
        add("://", Hit::Url);
        add("-----begin ", Hit::Pem);
        for stem in NAME_STEMS.iter().copied().chain(extra_stems.iter().map(String::as_str)) {
            add(stem, Hit::Name);
        }
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&patterns)
            .ok()?;
        Some(Scanner { words, hits, names })
    }

    /// Positions, ascending, near which something may stand. None at all: the text is clean.
    pub(super) fn candidates(&self, text: &str, out: &mut Vec<u32>) {
        out.clear();
        let mut words = self.words.find_iter(text).map(|m| m.start()).peekable();
        digits::marks(text.as_bytes(), |at| {
            while let Some(word) = words.next_if(|word| *word < at) {
                out.push(u32::try_from(word).unwrap_or(u32::MAX));
            }
            out.push(u32::try_from(at).unwrap_or(u32::MAX));
        });
        out.extend(words.map(|word| u32::try_from(word).unwrap_or(u32::MAX)));
    }

    /// Everything found in `text`, ascending, not overlapping.
    ///
    /// `cut`: the text ends because a limit was reached, so its last token may be half of something.
    pub(super) fn spans(&self, text: &str, cut: bool, out: &mut Vec<Span>) {
        out.clear();
        // The token that ends here was read once; what begins inside it ends there too.
        let mut token_read = 0;
        for found in self.words.find_iter(text) {
            let (start, end) = (found.start(), found.end());
            // Most hits lie inside something already found.
            if out.last().is_some_and(|span: &Span| start < span.end) {
                continue;
            }
            match self.hits.get(found.pattern().as_usize()) {
                Some(Hit::Name) => self.named(text, start, end, out),
                Some(Hit::Shape(i)) => {
                    if let Some(shape) = SHAPES.get(*i) {
                        shaped(text, start, end, shape, cut, &mut token_read, out);
                    }
                }
                Some(Hit::Scheme) => scheme(text, start, end, cut, out),
                Some(Hit::Url) => userinfo(text, end, out),
                Some(Hit::Pem) => pem(text, start, end, out),
                None => {}
            }
        }
        digits::spans(text, out);
        if cut && let Some(span) = cut_tail(text) {
            out.push(span);
        }
        merge(out);
    }

    /// A name with a separator and a value: `password=x`, `"token": "y"`, `비밀번호는 z`, `<pin>1</pin>`.
    fn named(&self, text: &str, start: usize, end: usize, out: &mut Vec<Span>) {
        let bytes = text.as_bytes();
        let name_start = name_start(text, start);
        let name_end = name_end(text, end);
        let Some((separator, value_at)) = separator(text, name_start, name_end) else { return };
        let name = text.get(name_start..name_end).unwrap_or_default();
        let mut class = self.names.classify(name);
        if class == Class::Plain {
            // `API key: …`, `card number: …`: the word before belongs to the name.
            let before = text.get(..name_start).unwrap_or_default();
            let trimmed = before.trim_end_matches([' ', '-', '_']);
            if trimmed.len() < before.len() {
                let word = pairs::name_start(text, trimmed.len());
                class = self.names.classify(text.get(word..name_end).unwrap_or_default());
            }
        }
        let personal = match class {
            Class::Plain => return,
            Class::Secret | Class::SecretText => None,
            Class::Personal(kind) => Some(kind),
        };
        // What is no secret may go unhidden, and the next name begin inside it: it is read once more then,
        // so its length has a limit.
        let reach = match personal {
            Some(kind) => {
                let limit = if kind == Kind::Other { NAMED_BYTES_MAX } else { NUMBER_BYTES_MAX };
                let end = text.len().min(value_at + limit);
                (end..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(end)
            }
            None => text.len(),
        };
        let window = text.get(..reach).unwrap_or(text);
        let Some((start, end, quoted)) = value(window, value_at, separator) else { return };
        let value = text.get(start..end).unwrap_or_default();
        match personal {
            Some(kind) => {
                let value = value.trim_end_matches(|c: char| !c.is_alphanumeric());
                let fits = match kind {
                    Kind::Passport => shapes::passport(value),
                    Kind::Email => value.contains('@'),
                    Kind::Other => !value.is_empty(),
                    Kind::Phone => shapes::numberish(value, 7),
                    Kind::Rrn | Kind::MyNumber | Kind::Card | Kind::BankAccount => {
                        shapes::numberish(value, 8)
                    }
                };
                if fits {
                    out.push(Span { start, end: start + value.len(), what: What::Personal(kind) });
                }
            }
            None => {
                // `Password: correct horse battery` on a line of its own is all secret; in the middle of
                // a sentence the value ends with the word.
                let before =
                    text.get(..name_start).unwrap_or_default().trim_end_matches([' ', '\t']);
                let begins_line = before.is_empty() || before.ends_with('\n');
                if !quoted && separator == Separator::Colon && begins_line {
                    let rest = text.get(start..).unwrap_or_default();
                    let end = start + rest.find(['\r', '\n']).unwrap_or(rest.len());
                    let (start, end) = after_scheme(text, bytes, start, end, true);
                    out.push(Span { start, end, what: What::Secret });
                    return;
                }
                if !quoted && matches!(separator, Separator::Is | Separator::Colon) {
                    let plain = value.trim_matches(|c: char| !c.is_alphanumeric());
                    if ABOUT.contains(&plain.to_ascii_lowercase().as_str()) {
                        return;
                    }
                }
                // `true`, `null` and counts in broken JSON are no secrets; nor is what we wrote ourselves.
                let literal = matches!(value, "true" | "false" | "null" | "[" | "{" | "");
                // `pass 2 of 3` counts; a PIN or a one-time code has four digits or more.
                let count = value.bytes().all(|b| b.is_ascii_digit())
                    && (class == Class::SecretText
                        || (separator == Separator::Blank && value.len() < 4));
                if !literal && !count {
                    // `Authorization: Bearer x`: the scheme may stay, what follows may not.
                    let (start, end) = after_scheme(text, bytes, start, end, quoted);
                    out.push(Span { start, end, what: What::Secret });
                }
            }
        }
    }
}

pub(super) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'+' | b'=' | b'~' | b'|')
}

pub(super) fn token_end(text: &str, at: usize) -> usize {
    let tail = text.as_bytes().get(at..).unwrap_or_default();
    at + tail.iter().position(|b| !is_token_byte(*b)).unwrap_or(tail.len())
}

fn shaped(
    text: &str,
    start: usize,
    end: usize,
    shape: &Shape,
    cut: bool,
    read: &mut usize,
    out: &mut Vec<Span>,
) {
    let bytes = text.as_bytes();
    // Prefixes are case-sensitive; the automaton is not.
    if text.get(start..end) != Some(shape.prefix) {
        return;
    }
    let before = start.checked_sub(1).and_then(|i| bytes.get(i));
    if before.is_some_and(|b| b.is_ascii_alphanumeric()) {
        return;
    }
    if *read < end {
        *read = token_end(text, end);
    }
    let stop = *read;
    let token = text.get(start..stop).unwrap_or_default();
    // Enough to judge by, however long it is.
    let sample = text.as_bytes().get(end..stop.min(end + SAMPLE_BYTES)).unwrap_or_default();
    let at_cut = cut && stop == text.len();
    let fits = match shape.prefix {
        // A JWT or JWE: base64url JSON, a dot, and more of it. Plain base64 JSON is looked into instead.
        "eyJ" => at_cut || token.len() > 20 && has_dot(token),
        "AKIA" | "ASIA" => {
            token
                .bytes()
                .skip(4)
                .take(16)
                .filter(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
                .count()
                == 16
        }
        // `sk-learn-something-long` is words; a key has a digit or both cases.
        "sk-" => looks_random(sample),
        _ => true,
    };
    if (fits && stop - end >= shape.tail_min) || at_cut {
        let token = token.trim_end_matches(['.', '/', '|']);
        out.push(Span { start, end: start + token.len(), what: What::Secret });
    }
}

fn has_dot(token: &str) -> bool {
    let header = token.as_bytes().get(..token.len().min(JWT_HEADER_BYTES_MAX)).unwrap_or_default();
    memchr::memchr(b'.', header).is_some()
}

fn looks_random(text: &[u8]) -> bool {
    let digit = text.iter().any(u8::is_ascii_digit);
    let upper = text.iter().any(u8::is_ascii_uppercase);
    let lower = text.iter().any(u8::is_ascii_lowercase);
    digit || (upper && lower) || text.iter().all(u8::is_ascii_alphanumeric)
}

fn scheme(text: &str, start: usize, end: usize, cut: bool, out: &mut Vec<Span>) {
    let before = start.checked_sub(1).and_then(|i| text.as_bytes().get(i));
    if before.is_some_and(|b| b.is_ascii_alphanumeric()) {
        return;
    }
    let stop = token_end(text, end);
    let token = text.get(end..stop).unwrap_or_default();
    let mixed = token.bytes().any(|b| b.is_ascii_digit() || matches!(b, b'_' | b'=' | b'+' | b'/'))
        || token.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    if (token.len() >= 8 && mixed) || token.len() >= 24 || (cut && stop == text.len()) {
        out.push(Span { start: end, end: stop, what: What::Secret });
    }
}

/// `scheme://user:password@host`: the password, or the lone user (a token, as Git hosts take it).
fn userinfo(text: &str, at: usize, out: &mut Vec<Span>) {
    let rest = text.get(at..).unwrap_or_default();
    let end = rest
        .find(|c: char| {
            matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\') || c.is_whitespace()
        })
        .unwrap_or(rest.len());
    let Some((user, _)) = rest.get(..end).and_then(|authority| authority.rsplit_once('@')) else {
        return;
    };
    let start = match user.split_once(':') {
        Some((name, _)) => at + name.len() + 1,
        // `https://kim@host` names someone; a token there is long.
        None if user.len() >= 16 => at,
        None => return,
    };
    let end = at + user.len();
    if end > start {
        out.push(Span { start, end, what: What::Secret });
    }
}

/// A private key block, to its end line or the end of the text.
fn pem(text: &str, start: usize, end: usize, out: &mut Vec<Span>) {
    let rest = text.get(end..).unwrap_or_default();
    let label = rest.split("-----").next().unwrap_or_default();
    let private = label.len() <= 64 && label.to_ascii_uppercase().contains("PRIVATE KEY");
    if private {
        let stop = match rest.find("-----END ") {
            Some(at) => {
                let tail = rest.get(at + 9..).unwrap_or_default();
                end + at + 9 + tail.find("-----").map_or(tail.len(), |i| i + 5)
            }
            None => text.len(),
        };
        out.push(Span { start, end: stop, what: What::Secret });
    }
}

/// The run of token characters at the end, and the digit groups before it.
fn cut_tail(text: &str) -> Option<Span> {
    let bytes = text.as_bytes();
    let part = |b: u8| {
        is_token_byte(b)
            || matches!(
                b,
                b'@' | b':' | b'%' | b'\\' | b'#' | b'!' | b'$' | b'*' | b'^' | b'(' | b')'
            )
    };
    let floor = bytes.len().saturating_sub(CUT_BYTES_MAX);
    let mut start = bytes.len();
    while start > floor {
        let before = bytes.get(start - 1).copied().unwrap_or_default();
        let joins_digits = before == b' '
            && start >= 2
            && bytes.get(start - 2).is_some_and(|b| b.is_ascii_digit() || *b == b'-' || *b == b')')
            && bytes.get(start).is_none_or(|b| b.is_ascii_digit() || *b == b'-' || *b == b'(');
        if !part(before) && !joins_digits {
            break;
        }
        start -= 1;
    }
    (start < bytes.len()).then_some(Span { start, end: bytes.len(), what: What::Cut })
}

/// Sorts, and joins what overlaps: the union is hidden, under the strongest of its reasons.
pub(super) fn merge(spans: &mut Vec<Span>) {
    if spans.len() < 2 {
        return;
    }
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        match merged.last_mut() {
            Some(last) if span.start < last.end => {
                last.what = match (&last.what, &span.what) {
                    (What::Secret, _) | (_, What::Secret) => What::Secret,
                    // Two readings of one place: neither may show what the other hides.
                    (What::Replaced(_), _) | (_, What::Replaced(_)) => What::Secret,
                    (What::Cut, _) | (_, What::Cut) => What::Cut,
                    (kind, _) => kind.clone(),
                };
                last.end = last.end.max(span.end);
            }
            _ => merged.push(span),
        }
    }
    *spans = merged;
}

#[cfg(test)]
mod tests;
