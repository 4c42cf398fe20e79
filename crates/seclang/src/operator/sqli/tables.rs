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
/// For what finds no slot before the end.
const SPARE_SLOTS: usize = 64;

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
                key: Key::of(text.as_bytes()),
            })
            .collect();
        let mut tables = Self {
            words: Vec::new(),
            word_slots: vec![0; WORD_SLOTS + SPARE_SLOTS].into(),
            fingerprint_slots: vec![0; FINGERPRINT_SLOTS + SPARE_SLOTS].into(),
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
        let first = text.first()?.to_ascii_uppercase();
        if !has_length(&self.lengths, first, text.len()) {
            return None;
        }
        self.find(&Key::of(text)).map(|(_, word)| word)
    }

    /// The text of word number `index`.
    pub fn word_text(&self, index: usize) -> &[u8] {
        self.words.get(index).map_or(&[], |word| word.text)
    }

    /// Whether a phrase may start with words of this length and first byte in capitals.
    pub fn may_be_phrase_head(&self, first: u8, len: usize) -> bool {
        has_length(&self.phrase_heads, first, len)
    }

    /// The phrase that `head`, a space and `tail` are, in any case, and its number.
    pub fn phrase(&self, head: &[u8], tail: &[u8]) -> Option<(usize, &Word)> {
        let len = head.len() + 1 + tail.len();
        let mut bytes = [0u8; TEXT_MAX];
        let (first, rest) = bytes.split_at_mut_checked(head.len())?;
        let (space, rest) = rest.split_first_mut()?;
        first.copy_from_slice(head);
        *space = b' ';
        rest.get_mut(..tail.len())?.copy_from_slice(tail);
        self.find(&Key::of(bytes.get(..len)?))
    }

    fn find(&self, key: &Key) -> Option<(usize, &Word)> {
        let mut slot = key.slot();
        loop {
            let index = usize::from(*self.word_slots.get(slot)?).checked_sub(1)?;
            let word = self.words.get(index)?;
            if word.key == *key {
                return Some((index, word));
            }
            slot += 1;
        }
    }

    /// Whether an injection has this fingerprint, in any case.
    pub fn is_fingerprint(&self, kinds: &[u8]) -> bool {
        if kinds.is_empty() || kinds.len() > FINGERPRINT_MAX {
            return false;
        }
        let packed = pack(kinds);
        let from = self.fingerprint_slots.get(fingerprint_slot(packed)..).unwrap_or_default();
        from.iter().take_while(|known| **known != 0).any(|known| *known == packed)
    }
}

fn note_length(lengths: &mut [u32; 256], text: &[u8]) {
    if let Some(first) = text.first()
        && let Some(bits) = lengths.get_mut(usize::from(*first))
    {
        *bits |= 1 << text.len();
    }
}

fn has_length(lengths: &[u32; 256], first: u8, len: usize) -> bool {
    let bits = lengths.get(usize::from(first)).copied().unwrap_or(0);
    len <= TEXT_MAX && bits >> len & 1 == 1
}

/// Puts `one` into the first empty slot from `slot` on.
fn place<T: Copy + Default + PartialEq>(slots: &mut [T], slot: usize, one: T) {
    let mut from = slots.iter_mut().skip(slot);
    if let Some(empty) = from.find(|held| **held == T::default()) {
        *empty = one;
    }
}

/// A text of up to [`TEXT_MAX`] bytes in capitals, its length in the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key([u64; 4]);

impl Key {
    fn of(text: &[u8]) -> Self {
        let mut words = [0u64; 4];
        let (chunks, tail) = text.as_chunks::<8>();
        let mut places = words.iter_mut();
        for (chunk, place) in chunks.iter().zip(places.by_ref()) {
            *place = to_capitals(u64::from_le_bytes(*chunk));
        }
        if let Some(place) = places.next() {
            let tail = tail.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            *place = to_capitals(tail);
        }
        let [a, b, c, d] = words;
        Self([a, b, c, d | (text.len() as u64) << 56])
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
