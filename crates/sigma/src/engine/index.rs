//! Looks up in one value which predicates of a field it has.

use super::needle::Found;
use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, PatternID, StartKind, packed};
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};

/// Beginnings and ends are told apart by this many bytes; the rest is compared.
const AFFIX: usize = 8;

/// Bytes of texts up to which an automaton keeps every step it could take: some 256 bytes for each.
const DFA_BYTES_MAX: usize = 16_000;

/// Texts up to which a look with vector instructions comes before the automaton.
const GATE_TEXTS_MAX: usize = 64;

/// Predicates behind each text, by place of the text.
type Behind = Vec<Box<[u32]>>;

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
            match Inside::of(inside) {
                Ok(inside) => index.inside = Some(inside),
                Err(anyway) => index.anyway = anyway,
            }
        }
        index
    }
}

/// Texts that may stand anywhere in a value.
#[derive(Debug)]
struct Inside {
    /// Tells quickly that none is there.
    gate: Option<packed::Searcher>,
    automaton: Automata,
    behind: Behind,
}

/// The same steps, written out in full or in brief.
#[derive(Debug)]
enum Automata {
    Large(DFA),
    Small(NFA),
}

impl Inside {
    /// The predicates, if there are more texts than an automaton can number: every value may have them then.
    fn of(texts: BTreeMap<String, Vec<u32>>) -> Result<Self, Vec<u32>> {
        let bytes: usize = texts.keys().map(String::len).sum();
        let automaton = match bytes <= DFA_BYTES_MAX {
            true => DFA::builder()
                .start_kind(StartKind::Unanchored)
                .prefilter(false)
                .build(texts.keys())
                .map(Automata::Large),
            false => NFA::builder().prefilter(false).build(texts.keys()).map(Automata::Small),
        };
        let gate = match texts.len() <= GATE_TEXTS_MAX {
            true => packed::Searcher::new(texts.keys()),
            false => None,
        };
        match automaton {
            Ok(automaton) => {
                let behind = texts.into_values().map(Vec::into_boxed_slice).collect();
                Ok(Inside { gate, automaton, behind })
            }
            Err(_) => Err(texts.into_values().flatten().collect()),
        }
    }

    fn look(&self, text: &[u8], all: &mut impl FnMut(&[u32])) {
        if self.gate.as_ref().is_some_and(|gate| gate.find(text).is_none()) {
            return;
        }
        let mut each = |pattern: PatternID| {
            all(self.behind.get(pattern.as_usize()).map_or(&[], |predicates| predicates));
        };
        match &self.automaton {
            Automata::Large(automaton) => scan(automaton, text, &mut each),
            Automata::Small(automaton) => scan(automaton, text, &mut each),
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

/// What is looked up in the values of one field.
#[derive(Debug, Default)]
pub(super) struct FieldIndex {
    whole: HashMap<Box<str>, Box<[u32]>, FixedState>,
    starts: Affixes,
    ends: Affixes,
    inside: Option<Inside>,
    anyway: Vec<u32>,
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
        all(&self.anyway);
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
        all(&self.anyway);
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
    predicates: Box<[u32]>,
}

impl Affixes {
    fn add(&mut self, text: &[u8], from_end: bool, predicates: Box<[u32]>) {
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
