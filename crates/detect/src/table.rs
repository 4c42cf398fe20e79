//! A bounded map from keys to state: full, it forgets the least recently seen.

use crate::hash::Key;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const NONE: u32 = u32::MAX;

/// Keys are keyed hashes already; hashing them again would add nothing.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

struct Node<V> {
    key: Key,
    newer: u32,
    older: u32,
    value: V,
}

/// Eviction follows the order in which keys were touched, so the same input forgets the same keys.
///
/// The hash map is only ever asked for one key; walking goes along the list, newest first.
pub(crate) struct Table<V> {
    places: HashMap<Key, u32, BuildHasherDefault<AsIs>>,
    nodes: Vec<Node<V>>,
    newest: u32,
    oldest: u32,
    capacity: usize,
    evicted: u64,
}

#[expect(
    clippy::indexing_slicing,
    reason = "places and links hold only indexes of `nodes`, which never shrinks"
)]
impl<V> Table<V> {
    /// `capacity` is at least 1 and below 2^32 - 1.
    pub(crate) fn new(capacity: usize) -> Self {
        Table {
            places: HashMap::default(),
            nodes: Vec::new(),
            newest: NONE,
            oldest: NONE,
            capacity: capacity.clamp(1, NONE as usize - 1),
            evicted: 0,
        }
    }

    /// The state of `key`, made new if unknown, and now the most recently seen.
    pub(crate) fn touch(&mut self, key: Key, make: impl FnOnce() -> V) -> &mut V {
        if let Some(&place) = self.places.get(&key) {
            if self.newest != place {
                self.unlink(place);
                self.link(place);
            }
            return &mut self.nodes[place as usize].value;
        }
        let place = if self.nodes.len() < self.capacity {
            self.nodes.push(Node { key, newer: NONE, older: NONE, value: make() });
            (self.nodes.len() - 1) as u32
        } else {
            let place = self.oldest;
            self.unlink(place);
            self.places.remove(&self.nodes[place as usize].key);
            self.evicted += 1;
            let node = &mut self.nodes[place as usize];
            node.key = key;
            node.value = make();
            place
        };
        self.places.insert(key, place);
        self.link(place);
        &mut self.nodes[place as usize].value
    }

    pub(crate) fn get(&self, key: Key) -> Option<&V> {
        self.places.get(&key).map(|&place| &self.nodes[place as usize].value)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        self.places.get(&key).map(|&place| &mut self.nodes[place as usize].value)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes of the table itself, without what values own on the heap.
    pub(crate) fn bytes(&self) -> usize {
        // One control byte and a 16-byte pair per place of the hash map.
        self.nodes.capacity() * size_of::<Node<V>>() + self.places.capacity() * 17
    }

    /// Visits every state, most recently seen first.
    pub(crate) fn for_each_mut(&mut self, mut visit: impl FnMut(&mut V)) {
        let mut place = self.newest;
        while place != NONE {
            let node = &mut self.nodes[place as usize];
            visit(&mut node.value);
            place = node.older;
        }
    }

    fn unlink(&mut self, place: u32) {
        let (newer, older) = (self.nodes[place as usize].newer, self.nodes[place as usize].older);
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
    }

    fn link(&mut self, place: u32) {
        self.nodes[place as usize].older = self.newest;
        self.nodes[place as usize].newer = NONE;
        match self.newest {
            NONE => self.oldest = place,
            newest => self.nodes[newest as usize].newer = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_seen_is_forgotten() {
        let mut table = Table::new(2);
        *table.touch(1, || 0) += 1;
        *table.touch(2, || 0) += 2;
        *table.touch(1, || 0) += 10;
        *table.touch(3, || 0) += 3;
        assert_eq!((table.get(1), table.get(2), table.get(3)), (Some(&11), None, Some(&3)));
        let mut seen = Vec::new();
        table.for_each_mut(|value| seen.push(*value));
        assert_eq!((seen, table.evicted(), table.len()), (vec![3, 11], 1, 2));
    }
}
