//! What the words of SQL are, and which fingerprints injections have.

use super::FINGERPRINT_MAX;
use super::token::TEXT_MAX;
use std::sync::LazyLock;

const WORDS: &str = include_str!("words.txt");
const FINGERPRINTS: &str = include_str!("fingerprints.txt");

/// Slots for the words, at least three of four empty, so that most misses are found at once.
const WORD_SLOTS: usize = 4096;
/// Slots for the fingerprints, half of them empty.
const FINGERPRINT_SLOTS: usize = 16384;

/// The tables are read when first asked for.
pub fn get() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);
    &TABLES
}

/// A word, or a phrase with single spaces, in capitals.
#[derive(Debug)]
pub struct Word {
    pub text: &'static [u8],
    pub kind: u8,
    key: Key,
}

#[derive(Debug)]
pub struct Tables {
    words: Vec<Word>,
    /// Where a word is in `words`, plus 1; 0 is empty.
    word_slots: Box<[u16]>,
    fingerprint_slots: Box<[u64]>,
    /// How long words are that start with this byte, one bit each.
    lengths: [u32; 256],
    /// The same for what comes before a phrase's later spaces.
    phrase_heads: [u32; 256],
}

impl Tables {
    fn new() -> Self {
        let lines = WORDS.lines().filter(|line| !line.starts_with('#'));
        let words: Vec<Word> = lines
            .filter_map(|line| line.split_once(' '))
            .map(|(kind, text)| Word {
                text: text.as_bytes(),
                kind: kind.bytes().next().unwrap_or_default(),
                key: Key::of(&[text.as_bytes()]),
            })
            .collect();
        let mut tables = Self {
            words: Vec::new(),
            word_slots: vec![0; WORD_SLOTS].into(),
            fingerprint_slots: vec![0; FINGERPRINT_SLOTS].into(),
            lengths: [0; 256],
            phrase_heads: [0; 256],
        };
        for (number, word) in (1u16..).zip(&words) {
            place(&mut tables.word_slots, word.key.slot(), number);
            note_length(&mut tables.lengths, word.text);
            for (at, _) in word.text.iter().enumerate().filter(|(_, byte)| **byte == b' ') {
                note_length(&mut tables.phrase_heads, word.text.get(..at).unwrap_or_default());
            }
        }
        let lines = FINGERPRINTS.lines().filter(|line| !line.starts_with('#'));
        for fingerprint in lines.flat_map(str::split_ascii_whitespace) {
            let packed = pack(fingerprint.as_bytes());
            place(&mut tables.fingerprint_slots, fingerprint_slot(packed), packed);
        }
        tables.words = words;
        tables
    }

    /// The word or phrase that `text` is, in any case.
    pub fn word(&self, text: &[u8]) -> Option<&Word> {
        if !has_length(&self.lengths, text) {
            return None;
        }
        self.find(&Key::of(&[text]))
    }

    /// The phrase that `head`, a space and `tail` are, in any case.
    pub fn phrase(&self, head: &[u8], tail: &[u8]) -> Option<&Word> {
        if !has_length(&self.phrase_heads, head) || head.len() + 1 + tail.len() > TEXT_MAX {
            return None;
        }
        self.find(&Key::of(&[head, b" ", tail]))
    }

    fn find(&self, key: &Key) -> Option<&Word> {
        probe(&self.word_slots, key.slot())
            .filter_map(|number| self.words.get(usize::from(number).wrapping_sub(1)))
            .find(|word| word.key == *key)
    }

    /// Whether an injection has this fingerprint, in any case.
    pub fn is_fingerprint(&self, kinds: &[u8]) -> bool {
        if kinds.is_empty() || kinds.len() > FINGERPRINT_MAX {
            return false;
        }
        let packed = pack(kinds);
        probe(&self.fingerprint_slots, fingerprint_slot(packed)).any(|known| known == packed)
    }
}

fn note_length(lengths: &mut [u32; 256], text: &[u8]) {
    if let Some(first) = text.first()
        && let Some(bits) = lengths.get_mut(usize::from(*first))
    {
        *bits |= 1 << text.len();
    }
}

fn has_length(lengths: &[u32; 256], text: &[u8]) -> bool {
    let Some(first) = text.first() else {
        return false;
    };
    let bits = lengths.get(usize::from(first.to_ascii_uppercase())).copied().unwrap_or(0);
    text.len() <= TEXT_MAX && bits >> text.len() & 1 == 1
}

/// Puts `one` into the first empty slot from `slot` on.
fn place<T: Copy + Default + PartialEq>(slots: &mut [T], slot: usize, one: T) {
    let (before, after) = slots.split_at_mut(slot);
    let mut around = after.iter_mut().chain(before);
    if let Some(empty) = around.find(|held| **held == T::default()) {
        *empty = one;
    }
}

/// What is in the slots from `slot` on, up to the first empty one.
fn probe<T: Copy + Default + PartialEq>(slots: &[T], slot: usize) -> impl Iterator<Item = T> {
    let (before, after) = slots.split_at_checked(slot).unwrap_or_default();
    after.iter().chain(before).copied().take_while(|held| *held != T::default())
}

/// A text of up to [`TEXT_MAX`] bytes in capitals, its length in the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key([u64; 4]);

impl Key {
    fn of(parts: &[&[u8]]) -> Self {
        let mut bytes = [0u8; TEXT_MAX + 1];
        let mut len = 0;
        for part in parts {
            if let Some(place) = bytes.get_mut(len..).and_then(|rest| rest.get_mut(..part.len())) {
                place.copy_from_slice(part);
            }
            len += part.len();
        }
        let mut words = [0u64; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = to_capitals(u64::from_le_bytes(*chunk));
        }
        let [a, b, c, d] = words;
        Self([a, b, c, d | (len as u64) << 56])
    }

    fn slot(&self) -> usize {
        let [a, b, c, d] = self.0;
        let mixed = (a ^ b.rotate_left(23))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add((c ^ d).wrapping_mul(0xd6e8_feb8_6659_fd93));
        top_bits(mixed, WORD_SLOTS)
    }
}

/// ASCII letters in capitals, eight bytes at a time.
const fn to_capitals(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * EACH);
    let from_a = low + (0x80 - b'a' as u64) * EACH;
    let past_z = low + (0x7f - b'z' as u64) * EACH;
    let letters = (from_a ^ past_z) & !word & (0x80 * EACH);
    word ^ (letters >> 2)
}

fn pack(kinds: &[u8]) -> u64 {
    kinds.iter().fold(0, |packed, kind| packed << 8 | u64::from(kind.to_ascii_uppercase()))
}

fn fingerprint_slot(packed: u64) -> usize {
    top_bits(packed.wrapping_mul(0x9e37_79b9_7f4a_7c15), FINGERPRINT_SLOTS)
}

/// A number below `slots`, a power of two, from the bits of a product that mix best.
#[expect(clippy::cast_possible_truncation, reason = "below `slots`")]
const fn top_bits(mixed: u64, slots: usize) -> usize {
    (mixed >> (64 - slots.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests;
