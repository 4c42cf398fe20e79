//! A map that forgets what was used least recently.

use std::collections::HashMap;

/// SHA-256 of what a value belongs to: of one size, whatever a client sends.
pub type Key = [u8; 32];

const NONE: u32 = u32::MAX;

/// Holds `max` values at most; finding, adding and forgetting take the same time however many.
pub struct Lru<V> {
    places: HashMap<Key, u32>,
    slots: Vec<Slot<V>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    max: usize,
}

struct Slot<V> {
    key: Key,
    value: Option<V>,
    newer: u32,
    older: u32,
}

impl<V> Lru<V> {
    pub fn new(max: usize) -> Self {
        Lru {
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            max: max.max(1),
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    fn slot(&mut self, place: u32) -> Option<&mut Slot<V>> {
        self.slots.get_mut(place as usize)
    }

    /// The value, which thereby is the one used last.
    pub fn get(&mut self, key: &Key) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        if self.newest != place {
            self.unlink(place);
            self.link(place);
        }
        self.slot(place)?.value.as_mut()
    }

    /// Adds or replaces; returns what had to go for lack of room.
    pub fn insert(&mut self, key: Key, value: V) -> Option<V> {
        if let Some(place) = self.places.get(&key).copied() {
            if let Some(slot) = self.slot(place) {
                slot.value = Some(value);
            }
            self.unlink(place);
            self.link(place);
            return None;
        }
        let gone = if self.places.len() >= self.max { self.pop() } else { None };
        let slot = Slot { key, value: Some(value), newer: NONE, older: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(old) = self.slot(place) {
                    *old = slot;
                }
                place
            }
            None => {
                let Ok(place) = u32::try_from(self.slots.len()) else { return gone };
                self.slots.push(slot);
                place
            }
        };
        self.places.insert(key, place);
        self.link(place);
        gone
    }

    /// Forgets what was used least recently.
    pub fn pop(&mut self) -> Option<V> {
        self.forget(self.oldest)
    }

    pub fn remove(&mut self, key: &Key) {
        if let Some(place) = self.places.get(key).copied() {
            self.forget(place);
        }
    }

    /// Forgets what `keep` does not want; says how many.
    pub fn retain(&mut self, keep: impl Fn(&V) -> bool) -> usize {
        let gone: Vec<Key> = self
            .slots
            .iter()
            .filter(|slot| slot.value.as_ref().is_some_and(|value| !keep(value)))
            .map(|slot| slot.key)
            .collect();
        gone.iter().for_each(|key| self.remove(key));
        gone.len()
    }

    fn forget(&mut self, place: u32) -> Option<V> {
        self.unlink(place);
        let slot = self.slot(place)?;
        let value = slot.value.take();
        let key = slot.key;
        self.places.remove(&key);
        self.free.push(place);
        value
    }

    fn unlink(&mut self, place: u32) {
        let Some(slot) = self.slot(place) else { return };
        let (newer, older) = (slot.newer, slot.older);
        (slot.newer, slot.older) = (NONE, NONE);
        match self.slot(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slot(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts an unlinked slot first.
    fn link(&mut self, place: u32) {
        let before = std::mem::replace(&mut self.newest, place);
        if let Some(slot) = self.slot(place) {
            slot.older = before;
        }
        match self.slot(before) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn key(n: u8) -> Key {
        [n; 32]
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut lru = Lru::new(2);
        lru.insert(key(1), 1);
        lru.insert(key(2), 2);
        assert_eq!(lru.get(&key(1)), Some(&mut 1));
        lru.insert(key(3), 3);
        assert_eq!(lru.get(&key(2)), None);
        assert_eq!(lru.len(), 2);
        lru.remove(&key(1));
        lru.remove(&key(1));
        lru.insert(key(4), 4);
        lru.insert(key(5), 5);
        assert_eq!([1, 3, 4, 5].map(|n| lru.get(&key(n)).copied()), [None, None, Some(4), Some(5)]);
        assert_eq!((lru.retain(|v| *v != 4), lru.len()), (1, 1));
    }

    #[test]
    fn it_is_what_a_plain_list_would_be() {
        // A list in the order of use beside it, through 20,000 steps of a fixed pseudo-random walk.
        let (mut lru, mut list) = (Lru::new(8), VecDeque::<(u8, u32)>::new());
        let mut state = 0x9E37_79B9u32;
        for step in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let n = (state % 13) as u8;
            let found = list.iter().position(|(k, _)| *k == n).and_then(|at| list.remove(at));
            match state >> 30 {
                0 => {
                    list.push_front((n, step));
                    list.truncate(8);
                    lru.insert(key(n), step);
                }
                1 => lru.remove(&key(n)),
                _ => {
                    assert_eq!(lru.get(&key(n)).copied(), found.map(|(_, v)| v));
                    if let Some(found) = found {
                        list.push_front(found);
                    }
                }
            }
            assert_eq!(lru.len(), list.len());
        }
    }
}
