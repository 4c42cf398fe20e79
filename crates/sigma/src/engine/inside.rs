//! Texts that may stand anywhere in a value, and which of them do.

use super::index::Behind;
use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, PatternID, StartKind, packed};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};

/// Texts up to which an automaton looks for them, after a look with vector instructions that none is there.
const FEW_TEXTS_MAX: usize = 64;
/// Bytes of texts up to which an automaton keeps every step it could take: some 256 bytes for each.
const FEW_BYTES_MAX: usize = 16_000;

/// Bytes by which texts are found: each by the most that it has.
const WIDTHS: [usize; 4] = [8, 4, 3, 2];
const WORD: usize = 8;
/// Bits for each text in a table that tells that none is there: one of 32 places is taken, so most are told.
const BITS_PER_TEXT: usize = 32;
/// A table stays within the first two caches.
const BITS_MAX: usize = 1 << 18;

/// Predicates behind each text.
type Texts = BTreeMap<String, Vec<u32>>;

#[derive(Debug)]
pub(super) enum Inside {
    Few { gate: Option<packed::Searcher>, automaton: Box<DFA>, behind: Vec<Behind> },
    Many(Many),
}

impl Inside {
    pub(super) fn of(texts: Texts) -> Self {
        let bytes: usize = texts.keys().map(String::len).sum();
        if texts.len() <= FEW_TEXTS_MAX && bytes <= FEW_BYTES_MAX {
            let mut builder = DFA::builder();
            builder.start_kind(StartKind::Unanchored).prefilter(false);
            if let Ok(automaton) = builder.build(texts.keys()) {
                let gate = packed::Searcher::new(texts.keys());
                let behind = texts.into_values().map(Vec::into_boxed_slice).collect();
                return Inside::Few { gate, automaton: Box::new(automaton), behind };
            }
        }
        Inside::Many(Many::of(texts))
    }

    /// Gives what is behind every text that stands in the other; some more than once.
    pub(super) fn look(&self, text: &[u8], all: &mut impl FnMut(&[u32])) {
        match self {
            Inside::Few { gate, automaton, behind } => {
                if gate.as_ref().is_some_and(|gate| gate.find(text).is_none()) {
                    return;
                }
                scan(&**automaton, text, &mut |pattern: PatternID| {
                    all(behind.get(pattern.as_usize()).map_or(&[], |predicates| predicates));
                });
            }
            Inside::Many(many) => many.look(text, all),
        }
    }
}

/// Every text that stands somewhere in the other, those within each other too.
fn scan(automaton: &impl Automaton, text: &[u8], each: &mut impl FnMut(PatternID)) {
    let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
    for byte in text {
        state = automaton.next_state(Anchored::No, state, *byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            for at in 0..automaton.match_len(state) {
                each(automaton.match_pattern(state, at));
            }
        }
    }
}

/// Each text by some bytes of it that few others have. An automaton over thousands of texts waits for memory at
/// each byte; here no step waits for the one before.
#[derive(Debug, Default)]
pub(super) struct Many {
    widths: Vec<Width>,
    /// Texts of one byte.
    bytes: Vec<(u8, Behind)>,
}

/// Texts that are found by so many bytes.
#[derive(Debug)]
struct Width {
    bytes: usize,
    /// Leaves so many bytes of a word.
    mask: u64,
    /// Tells that no text has these bytes.
    bits: Box<[u64]>,
    shift: u32,
    texts: HashMap<u64, Vec<Text>, FixedState>,
}

#[derive(Debug)]
struct Text {
    text: Box<[u8]>,
    /// How many bytes come before those by which it is found.
    before: usize,
    behind: Behind,
}

impl Many {
    fn of(texts: Texts) -> Self {
        let mut many = Many::default();
        let mut rest: Vec<(String, Vec<u32>)> = Vec::new();
        for (text, predicates) in texts {
            match text.as_bytes() {
                [byte] => many.bytes.push((*byte, predicates.into_boxed_slice())),
                _ => rest.push((text, predicates)),
            }
        }
        for bytes in WIDTHS {
            let (own, shorter) = rest.into_iter().partition(|(text, _)| text.len() >= bytes);
            rest = shorter;
            many.widths.extend(Width::of(bytes, own));
        }
        many
    }

    fn look(&self, text: &[u8], all: &mut impl FnMut(&[u32])) {
        for width in &self.widths {
            width.look(text, all);
        }
        for (byte, behind) in &self.bytes {
            if memchr::memchr(*byte, text).is_some() {
                all(behind);
            }
        }
    }
}

impl Width {
    /// None for no texts.
    fn of(bytes: usize, texts: Vec<(String, Vec<u32>)>) -> Option<Self> {
        let places = (texts.len() * BITS_PER_TEXT).next_power_of_two().clamp(64, BITS_MAX);
        let mut width = Width {
            bytes,
            mask: u64::MAX >> (64 - 8 * bytes),
            bits: vec![0; places / 64].into_boxed_slice(),
            shift: 64 - places.ilog2(),
            texts: HashMap::default(),
        };
        let mut shared: HashMap<u64, usize, FixedState> = HashMap::default();
        for word in texts.iter().flat_map(|(text, _)| width.words(text.as_bytes())) {
            *shared.entry(word).or_default() += 1;
        }
        let none = texts.is_empty();
        for (text, behind) in texts {
            let words = width.words(text.as_bytes()).enumerate();
            let rarest = words.max_by_key(|(_, word)| {
                let shared = shared.get(word).copied().unwrap_or(1);
                rarity(*word) - 2 * shared.ilog2() as i32
            });
            let Some((before, word)) = rarest else { continue };
            let (place, bit) = width.place(word);
            if let Some(bits) = width.bits.get_mut(place) {
                *bits |= bit;
            }
            let text = text.into_bytes().into_boxed_slice();
            let behind = behind.into_boxed_slice();
            width.texts.entry(word).or_default().push(Text { text, before, behind });
        }
        (!none).then_some(width)
    }

    /// The bytes at each place of a text, as numbers.
    fn words<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = u64> + use<'t> {
        text.windows(self.bytes)
            .map(|bytes| bytes.iter().rev().fold(0, |word: u64, byte| word << 8 | u64::from(*byte)))
    }

    /// Where the bit of a word stands.
    fn place(&self, word: u64) -> (usize, u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = word.wrapping_mul(ODD) >> self.shift;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    fn look(&self, text: &[u8], all: &mut impl FnMut(&[u32])) {
        let mut confirm = |at: usize, word: u64| {
            let word = word & self.mask;
            let (place, bit) = self.place(word);
            if self.bits.get(place).is_some_and(|bits| bits & bit != 0) {
                self.confirm(text, at, word, all);
            }
        };
        for (at, bytes) in text.array_windows::<WORD>().enumerate() {
            confirm(at, u64::from_le_bytes(*bytes));
        }
        // At the end words are not whole: with nothing behind them.
        let tail = text.len().saturating_sub(WORD - 1);
        for at in tail..(text.len() + 1).saturating_sub(self.bytes) {
            let rest = text.get(at..).unwrap_or_default().iter().rev();
            confirm(at, rest.fold(0, |word: u64, byte| word << 8 | u64::from(*byte)));
        }
    }

    #[cold]
    fn confirm(&self, text: &[u8], at: usize, word: u64, all: &mut impl FnMut(&[u32])) {
        for known in self.texts.get(&word).into_iter().flatten() {
            let from = at.checked_sub(known.before);
            let there = from.and_then(|from| text.get(from..)).unwrap_or_default();
            if there.starts_with(&known.text) {
                all(&known.behind);
            }
        }
    }
}

/// How seldom bytes stand in the values of events, twice the logarithm; guessed by what paths, command lines and
/// addresses are made of.
fn rarity(word: u64) -> i32 {
    let bits = |byte: u8| match byte {
        0 => 0,
        b'e' | b's' | b'o' | b't' | b'r' | b'i' | b'n' | b'a' | b' ' | b'\\' => 8,
        b'a'..=b'z' | b'.' | b'-' | b'/' | b':' => 10,
        b'0'..=b'9' => 11,
        _ => 14,
    };
    word.to_le_bytes().into_iter().map(bits).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn found(texts: &BTreeSet<String>, text: &str, many: bool) -> BTreeSet<u32> {
        let texts: Texts =
            texts.iter().cloned().zip(0..).map(|(text, number)| (text, vec![number])).collect();
        let inside = if many { Inside::Many(Many::of(texts)) } else { Inside::of(texts) };
        let mut all = BTreeSet::new();
        inside.look(text.as_bytes(), &mut |behind| all.extend(behind));
        all
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_stands_there(
            texts in prop::collection::btree_set("[ab가]{1,12}", 1..80),
            text in "[ab가]{0,40}",
        ) {
            let expected: BTreeSet<u32> = texts.iter().zip(0..)
                .filter(|(own, _)| text.contains(own.as_str()))
                .map(|(_, number)| number)
                .collect();
            prop_assert_eq!(&found(&texts, &text, true), &expected);
            prop_assert_eq!(&found(&texts, &text, false), &expected);
        }
    }

    #[test]
    fn a_text_is_found_at_the_very_end_and_not_beyond_it() {
        let texts: BTreeSet<String> =
            ["a", "ab", "abc", "abcd", "abcdefgh", "abcdefghi"].map(str::to_owned).into();
        for text in ["abcdefghi", "xabcdefgh", "abcdefg", "xxabc", "ab", "a", "", "b\0\0\0\0"] {
            let expected: BTreeSet<u32> = (0..)
                .zip(&texts)
                .filter(|(_, own)| text.contains(own.as_str()))
                .map(|(n, _)| n)
                .collect();
            assert_eq!(found(&texts, text, true), expected, "{text}");
        }
    }
}
