//! Looks up in one value which predicates of a field it has.

use super::inside::Inside;
use super::needle::Found;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};

/// Beginnings and ends are told apart by this many bytes; the rest is compared.
const AFFIX: usize = 8;

/// The predicates behind a text.
pub(super) type Behind = Box<[u32]>;

#[derive(Default)]
pub(super) struct Builder {
    texts: HashMap<Found, Vec<u32>>,
}

impl Builder {
    pub(super) fn add(&mut self, found: Found, predicate: u32) {
        let predicates = self.texts.entry(found).or_default();
        if predicates.last() != Some(&predicate) {
            predicates.push(predicate);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn build(self) -> FieldIndex {
        let mut index = FieldIndex::default();
        let mut inside: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (found, predicates) in self.texts {
            let predicates = predicates.into_boxed_slice();
            match found {
                Found::Whole(text) => drop(index.whole.insert(text.into(), predicates)),
                Found::Start(text) => index.starts.add(text.as_bytes(), false, predicates),
                Found::End(text) => index.ends.add(text.as_bytes(), true, predicates),
                Found::Inside(text) => drop(inside.insert(text, predicates.into_vec())),
            }
        }
        if !inside.is_empty() {
            index.inside = Some(Inside::of(inside));
        }
        index
    }
}

/// What is looked up in the values of one field.
#[derive(Debug, Default)]
pub(super) struct FieldIndex {
    whole: HashMap<Box<str>, Behind, FixedState>,
    starts: Affixes,
    ends: Affixes,
    inside: Option<Inside>,
}

impl FieldIndex {
    /// Gives every predicate that the text may have; some more than once.
    pub(super) fn look(&self, text: &str, each: &mut impl FnMut(u32)) {
        let mut all = |predicates: &[u32]| predicates.iter().for_each(|predicate| each(*predicate));
        if !self.whole.is_empty()
            && let Some(predicates) = self.whole.get(text)
        {
            all(predicates);
        }
        self.starts.look(text.as_bytes(), false, &mut all);
        self.ends.look(text.as_bytes(), true, &mut all);
        if let Some(inside) = &self.inside {
            inside.look(text.as_bytes(), &mut all);
        }
    }

    /// Whether all that is looked for may stand anywhere, so that several values can be looked through as one.
    pub(super) fn is_inside_only(&self) -> bool {
        self.whole.is_empty() && self.starts.tables.is_empty() && self.ends.tables.is_empty()
    }

    /// As [`FieldIndex::look`], in values that were put together.
    pub(super) fn look_inside(&self, joined: &[u8], each: &mut impl FnMut(u32)) {
        let mut all = |predicates: &[u32]| predicates.iter().for_each(|predicate| each(*predicate));
        if let Some(inside) = &self.inside {
            inside.look(joined, &mut all);
        }
    }
}

/// Texts by their first or last bytes, those of one length in a table.
#[derive(Debug, Default)]
struct Affixes {
    tables: Vec<(usize, Table)>,
}

type Table = HashMap<u64, Vec<Affix>, FixedState>;

#[derive(Debug)]
struct Affix {
    text: Box<[u8]>,
    predicates: Behind,
}

impl Affixes {
    fn add(&mut self, text: &[u8], from_end: bool, predicates: Behind) {
        let length = text.len().min(AFFIX);
        let Some(key) = word(text, length, from_end) else { return };
        let table = match self.tables.iter().position(|(own, _)| *own == length) {
            Some(at) => at,
            None => {
                self.tables.push((length, HashMap::default()));
                self.tables.len() - 1
            }
        };
        if let Some((_, table)) = self.tables.get_mut(table) {
            table.entry(key).or_default().push(Affix { text: text.into(), predicates });
        }
    }

    fn look(&self, text: &[u8], from_end: bool, all: &mut impl FnMut(&[u32])) {
        for (length, table) in &self.tables {
            let found = word(text, *length, from_end).and_then(|key| table.get(&key));
            for affix in found.into_iter().flatten() {
                let fits = match from_end {
                    true => text.ends_with(&affix.text),
                    false => text.starts_with(&affix.text),
                };
                if fits {
                    all(&affix.predicates);
                }
            }
        }
    }
}

/// The first or last bytes as a number; none if there are not that many.
fn word(text: &[u8], length: usize, from_end: bool) -> Option<u64> {
    let bytes = match from_end {
        true => text.get(text.len().checked_sub(length)?..)?,
        false => text.get(..length)?,
    };
    Some(match bytes.first_chunk::<AFFIX>() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    })
}
