//! What has been taken in already: number ranges per source, and a window of ids for events
//! whose source does not number them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use uuid::Uuid;

/// Ranges kept per source. A source that sends in order needs one; 1,024 gaps at once mean that
/// the oldest gap will not be filled any more, and its lower range is forgotten first.
pub(crate) const RANGES_MAX: usize = 1024;
/// Sources remembered per tenant; the one unused longest is forgotten first.
pub(crate) const SOURCES_MAX: usize = 16_384;
/// Ids of unnumbered events remembered per tenant, newest kept (about 3 MiB of memory).
pub(crate) const IDS_MAX: usize = 65_536;

/// A set of whole numbers as ranges, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| *end >= number)
    }

    /// `false` when it was in already.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        let after = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        let end = after.unwrap_or(number);
        let before = number.checked_sub(1).and_then(|last| {
            self.ranges.range_mut(..=last).next_back().filter(|(_, e)| **e == last)
        });
        match before {
            Some((_, before_end)) => *before_end = end,
            None => {
                self.ranges.insert(number, end);
            }
        }
        if self.ranges.len() > RANGES_MAX {
            self.ranges.pop_first();
        }
        true
    }

    pub fn remove(&mut self, number: u64) {
        let Some((&start, &end)) = self.ranges.range(..=number).next_back() else { return };
        if end < number {
            return;
        }
        self.ranges.remove(&start);
        if let Some(last) = number.checked_sub(1).filter(|last| *last >= start) {
            self.ranges.insert(start, last);
        }
        if let Some(next) = number.checked_add(1).filter(|next| *next <= end) {
            self.ranges.insert(next, end);
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.ranges.len() * 16);
        for (start, end) in &self.ranges {
            bytes.extend_from_slice(&start.to_le_bytes());
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> RangeSet {
        let number = |part: &[u8]| part.try_into().map_or(0, u64::from_le_bytes);
        let (pairs, _) = bytes.as_chunks::<16>();
        let ranges = pairs
            .iter()
            .map(|pair| pair.split_at(8))
            .map(|(start, end)| (number(start), number(end)))
            .filter(|(start, end)| start <= end)
            .collect();
        RangeSet { ranges }
    }
}

#[derive(Debug, Default)]
struct SeenSource {
    ranges: RangeSet,
    /// The tick of its last change.
    used: u64,
}

/// How an event says which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Sequence(String, u64),
    Id(Uuid),
}

/// What one tenant has taken in.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    sources: HashMap<String, SeenSource>,
    ids: HashSet<Uuid>,
    /// The same ids in order of arrival; the first has the number `first_id`.
    id_order: VecDeque<Uuid>,
    first_id: u64,
    tick: u64,
    /// Everything up to this tick and id number is in the catalog.
    saved_tick: u64,
    saved_id: u64,
}

/// What changed since the catalog last heard of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct SeenChange {
    pub sources: Vec<(String, Vec<u8>, u64)>,
    /// New ids with their numbers.
    pub ids: Vec<(u64, Uuid)>,
    /// Ids with a lower number may be forgotten.
    pub first_id: u64,
    tick: u64,
}

impl Seen {
    /// From what the catalog holds.
    pub fn restore(sources: Vec<(String, Vec<u8>, u64)>, ids: Vec<(u64, Uuid)>) -> Seen {
        let tick = sources.iter().map(|(_, _, used)| *used).max().unwrap_or(0);
        let first_id = ids.first().map_or(0, |(number, _)| *number);
        let saved_id = ids.last().map_or(first_id, |(number, _)| number + 1);
        Seen {
            sources: sources
                .into_iter()
                .map(|(source, bytes, used)| {
                    (source, SeenSource { ranges: RangeSet::from_bytes(&bytes), used })
                })
                .collect(),
            ids: ids.iter().map(|(_, id)| *id).collect(),
            id_order: ids.into_iter().map(|(_, id)| id).collect(),
            first_id,
            tick,
            saved_tick: tick,
            saved_id,
        }
    }

    /// A new group of appends begins.
    pub fn next_tick(&mut self) {
        self.tick += 1;
    }

    /// `false` when it is a duplicate.
    pub fn insert(&mut self, key: &Key) -> bool {
        match key {
            Key::Sequence(source, sequence) => {
                if !self.sources.contains_key(source) {
                    self.make_room();
                    self.sources.insert(source.clone(), SeenSource::default());
                }
                let Some(seen) = self.sources.get_mut(source) else { return true };
                let new = seen.ranges.insert(*sequence);
                if new {
                    seen.used = self.tick;
                }
                new
            }
            Key::Id(id) => {
                let new = self.ids.insert(*id);
                if new {
                    self.id_order.push_back(*id);
                    if self.id_order.len() > IDS_MAX
                        && let Some(oldest) = self.id_order.pop_front()
                    {
                        self.ids.remove(&oldest);
                        self.first_id += 1;
                    }
                }
                new
            }
        }
    }

    /// Takes back inserts that did not become durable, newest first.
    pub fn undo(&mut self, keys: &[&Key]) {
        for key in keys.iter().rev() {
            match key {
                Key::Sequence(source, sequence) => {
                    if let Some(seen) = self.sources.get_mut(source) {
                        seen.ranges.remove(*sequence);
                    }
                }
                Key::Id(id) => {
                    self.ids.remove(id);
                    if self.id_order.back() == Some(id) {
                        self.id_order.pop_back();
                    }
                }
            }
        }
    }

    fn make_room(&mut self) {
        if self.sources.len() < SOURCES_MAX {
            return;
        }
        // Forgetting an eighth at a time keeps the search for the oldest rare.
        let mut by_use: Vec<(u64, String)> =
            self.sources.iter().map(|(name, seen)| (seen.used, name.clone())).collect();
        by_use.sort_unstable();
        for (_, name) in by_use.into_iter().take(SOURCES_MAX / 8) {
            self.sources.remove(&name);
        }
    }

    pub fn changes(&self) -> SeenChange {
        let mut sources: Vec<_> = self
            .sources
            .iter()
            .filter(|(_, seen)| seen.used > self.saved_tick)
            .map(|(name, seen)| (name.clone(), seen.ranges.to_bytes(), seen.used))
            .collect();
        sources.sort_unstable();
        let skip =
            usize::try_from(self.saved_id.saturating_sub(self.first_id)).unwrap_or(usize::MAX);
        let ids = (self.first_id..).zip(self.id_order.iter().copied()).skip(skip).collect();
        SeenChange { sources, ids, first_id: self.first_id, tick: self.tick }
    }

    /// The catalog has `change`.
    pub fn saved(&mut self, change: &SeenChange) {
        self.saved_tick = self.saved_tick.max(change.tick);
        if let Some((number, _)) = change.ids.last() {
            self.saved_id = self.saved_id.max(number + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str, sequence: u64) -> Key {
        Key::Sequence(source.into(), sequence)
    }

    #[test]
    fn ranges_join_split_and_survive_as_bytes() {
        let mut set = RangeSet::default();
        for number in [5, 7, 6, 0, u64::MAX] {
            assert!(set.insert(number));
            assert!(!set.insert(number));
        }
        assert_eq!(set.ranges.len(), 3);
        set.remove(6);
        assert!(!set.contains(6) && set.contains(5) && set.contains(7));
        set.remove(u64::MAX);
        assert!(!set.contains(u64::MAX));
        assert_eq!(RangeSet::from_bytes(&set.to_bytes()), set);
    }

    #[test]
    fn ranges_agree_with_a_plain_set() {
        let mut set = RangeSet::default();
        let mut plain = HashSet::new();
        let mut state = 7u64;
        for _ in 0..5000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 33) % 300;
            if state & (1 << 20) == 0 {
                assert_eq!(set.insert(number), plain.insert(number));
            } else {
                set.remove(number);
                plain.remove(&number);
            }
        }
        assert!((0..300).all(|n| set.contains(n) == plain.contains(&n)));
    }

    #[test]
    fn ranges_are_bounded_and_forget_the_lowest() {
        let mut set = RangeSet::default();
        for number in 0..=RANGES_MAX as u64 {
            set.insert(number * 2);
        }
        assert_eq!(set.ranges.len(), RANGES_MAX);
        assert!(!set.contains(0) && set.contains(2));
    }

    #[test]
    fn only_changes_are_saved_and_what_was_undone_may_come_again() {
        let mut seen = Seen::default();
        seen.next_tick();
        assert!(seen.insert(&of("a", 1)) && !seen.insert(&of("a", 1)) && seen.insert(&of("b", 1)));
        assert!(seen.insert(&Key::Id(Uuid::from_u128(1))));
        let change = seen.changes();
        assert_eq!((change.sources.len(), change.ids.len()), (2, 1));
        seen.saved(&change);
        seen.next_tick();
        assert!(seen.insert(&of("b", 2)) && seen.insert(&Key::Id(Uuid::from_u128(2))));
        let later = seen.changes();
        assert_eq!((later.sources.len(), later.ids.clone()), (1, vec![(1, Uuid::from_u128(2))]));
        seen.undo(&[&of("b", 2), &Key::Id(Uuid::from_u128(2))]);
        assert!(seen.insert(&of("b", 2)) && seen.insert(&Key::Id(Uuid::from_u128(2))));

        let mut again = Seen::restore(change.sources, change.ids);
        assert!(!again.insert(&of("a", 1)) && !again.insert(&Key::Id(Uuid::from_u128(1))));
        assert!(again.insert(&of("a", 2)));
    }

    #[test]
    fn the_id_window_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..=IDS_MAX as u128 {
            assert!(seen.insert(&Key::Id(Uuid::from_u128(number))));
        }
        assert_eq!((seen.ids.len(), seen.first_id), (IDS_MAX, 1));
        assert!(seen.insert(&Key::Id(Uuid::from_u128(0))));
    }
}
