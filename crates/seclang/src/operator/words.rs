//! `@pm` and `@pmFromFile`: many words at once; `@containsWord`.

use super::Captures;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

type Refusal = (String, Option<String>);

/// Words of one rule, in bytes.
pub const WORDS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Up to here a DFA would be worth its memory; beyond, a contiguous NFA is small and nearly as quick.
pub const WORDS_DFA_BYTES_MAX: usize = 512;

/// Words, any of which is looked for without regard to ASCII case.
#[derive(Clone, Debug)]
pub struct Words {
    pub words: Vec<Vec<u8>>,
    pub automaton: AhoCorasick,
}

impl Words {
    /// As `@pm` has them: separated by white space, bytes in hexadecimal between bars (`|0d 0a|`), and a
    /// backslash before `:`, `;`, `"` and itself.
    ///
    /// Where that makes no sense, such as `||`, bars and backslashes are themselves.
    ///
    /// # Errors
    /// Too many words, or none.
    pub fn parse(argument: &[u8]) -> Result<Self, Refusal> {
        let argument = match argument.trim_ascii() {
            [b'"', inside @ .., b'"'] => inside,
            all => all,
        };
        let mut words = Vec::new();
        let mut word = Vec::new();
        let mut rest = argument;
        loop {
            rest = match rest {
                [] => break,
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, tail @ ..] => {
                    push(&mut word, &mut words);
                    tail
                }
                [b'\\', byte @ (b':' | b';' | b'"' | b'\\'), tail @ ..] => {
                    word.push(*byte);
                    tail
                }
                [b'|', tail @ ..] => match hex(tail) {
                    Some((bytes, tail)) => {
                        word.extend_from_slice(&bytes);
                        tail
                    }
                    None => {
                        word.push(b'|');
                        tail
                    }
                },
                [byte, tail @ ..] => {
                    word.push(*byte);
                    tail
                }
            };
        }
        push(&mut word, &mut words);
        Self::build(words)
    }

    /// As files have them: one on each line, taken as it is. Empty lines and those whose first sign is `#`
    /// do not count.
    ///
    /// # Errors
    /// Too many words, or none.
    pub fn parse_file(content: &[u8]) -> Result<Self, Refusal> {
        let words = content
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty() && line.trim_ascii_start().first() != Some(&b'#'))
            .map(<[u8]>::to_vec)
            .collect();
        Self::build(words)
    }

    fn build(words: Vec<Vec<u8>>) -> Result<Self, Refusal> {
        let bytes: usize = words.iter().map(Vec::len).sum();
        if bytes > WORDS_BYTES_MAX {
            return Err((
                format!("the words have {bytes} bytes, {WORDS_BYTES_MAX} are allowed"),
                Some("split them into several rules".to_owned()),
            ));
        }
        let kind = if bytes <= WORDS_DFA_BYTES_MAX {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .build(&words)
            .map_err(|error| (format!("the words do not fit together: {error}"), None))?;
        Ok(Self { words, automaton })
    }

    /// The word that ends first is caught, as it is written in the rule.
    pub fn test(&self, value: &[u8], captures: Option<&mut Captures>) -> bool {
        let Some(captures) = captures else {
            return self.automaton.is_match(value);
        };
        let Some(found) = self.automaton.find(value) else {
            return false;
        };
        if let Some(word) = self.words.get(found.pattern().as_usize()) {
            captures.push(word);
        }
        true
    }
}

fn push(word: &mut Vec<u8>, words: &mut Vec<Vec<u8>>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

/// `0d 0a|`: the bytes, and what comes behind the bar.
fn hex(tail: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = memchr::memchr(b'|', tail)?;
    let digits: Vec<u32> = tail
        .get(..end)?
        .iter()
        .filter(|byte| **byte != b' ')
        .map(|byte| char::from(*byte).to_digit(16))
        .collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return None;
    }
    let bytes = pairs.iter().filter_map(|[high, low]| u8::try_from(high * 16 + low).ok()).collect();
    Some((bytes, tail.get(end + 1..)?))
}

/// Whether `word` stands in `value` with no letter before or behind it.
///
/// As libmodsecurity: digits and `_` are no letters, and the empty word is everywhere.
pub fn contains_word(value: &[u8], word: &[u8]) -> bool {
    if word.is_empty() || value == word {
        return true;
    }
    let mut seen = false;
    for at in memchr::memmem::find_iter(value, word) {
        seen = true;
        if stands_alone(value, at, word.len()) {
            return true;
        }
    }
    // Occurrences that overlap, which the iterator passes over.
    seen && overlaps(value, word)
}

fn stands_alone(value: &[u8], at: usize, length: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| value.get(at));
    let behind = value.get(at + length);
    !before.is_some_and(u8::is_ascii_alphabetic) && !behind.is_some_and(u8::is_ascii_alphabetic)
}

/// As Knuth, Morris and Pratt have it: every occurrence, in linear time.
fn overlaps(value: &[u8], word: &[u8]) -> bool {
    // For each prefix of the word: how long its longest proper border is.
    let mut borders = vec![0; word.len()];
    let mut length = 0;
    for (at, byte) in word.iter().enumerate().skip(1) {
        length = advance(&borders, word, length, *byte);
        if let Some(border) = borders.get_mut(at) {
            *border = length;
        }
    }
    if length == 0 {
        return false;
    }
    let mut matched = 0;
    value.iter().enumerate().any(|(at, byte)| {
        matched = advance(&borders, word, matched, *byte);
        if matched < word.len() {
            return false;
        }
        matched = length;
        stands_alone(value, at + 1 - word.len(), word.len())
    })
}

fn advance(borders: &[usize], word: &[u8], mut matched: usize, byte: u8) -> usize {
    loop {
        if word.get(matched) == Some(&byte) {
            return matched + 1;
        }
        let Some(shorter) = matched.checked_sub(1).and_then(|at| borders.get(at)) else {
            return 0;
        };
        matched = *shorter;
    }
}
