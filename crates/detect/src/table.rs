//! A bounded map from keys to state: full, it forgets one not seen for long.

use crate::hash::Key;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Places looked at for one not seen lately before the one at hand must go: bounds the cost of forgetting.
const LOOKS_MAX: usize = 256;

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
    /// Seen since the hand last came by.
    seen: bool,
    value: V,
}

/// Forgets by second chance (CLOCK: Corbató 1968), which keeps what a list of recent use would keep
/// without touching neighbours at every look. The same input forgets the same keys.
///
/// The hash map is only ever asked for one key; walking goes by place.
pub(crate) struct Table<V> {
    places: HashMap<Key, u32, BuildHasherDefault<AsIs>>,
    nodes: Vec<Node<V>>,
    hand: usize,
    capacity: usize,
    evicted: u64,
}

#[expect(
    clippy::indexing_slicing,
    reason = "`places` holds only indexes of `nodes`, which never shrinks, and the hand is taken modulo its length"
)]
impl<V> Table<V> {
    /// `capacity` is at least 1 and below 2^32.
    pub(crate) fn new(capacity: usize) -> Self {
        Table {
            places: HashMap::default(),
            nodes: Vec::new(),
            hand: 0,
            capacity: capacity.clamp(1, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// The state of `key`, made new if unknown, and now seen.
    pub(crate) fn touch(&mut self, key: Key, make: impl FnOnce() -> V) -> &mut V {
        if let Some(&place) = self.places.get(&key) {
            let node = &mut self.nodes[place as usize];
            node.seen = true;
            return &mut node.value;
        }
        let place = if self.nodes.len() < self.capacity {
            self.nodes.push(Node { key, seen: false, value: make() });
            self.nodes.len() - 1
        } else {
            let place = self.unseen();
            self.evicted += 1;
            let node = &mut self.nodes[place];
            self.places.remove(&node.key);
            *node = Node { key, seen: false, value: make() };
            place
        };
        self.places.insert(key, place as u32);
        &mut self.nodes[place].value
    }

    /// The next place not seen since the hand last passed.
    fn unseen(&mut self) -> usize {
        for _ in 0..LOOKS_MAX {
            let place = self.hand % self.nodes.len();
            self.hand = place + 1;
            if !std::mem::take(&mut self.nodes[place].seen) {
                return place;
            }
        }
        let place = self.hand % self.nodes.len();
        self.hand = place + 1;
        place
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

    /// Visits every state, by place.
    pub(crate) fn for_each_mut(&mut self, mut visit: impl FnMut(&mut V)) {
        self.nodes.iter_mut().for_each(|node| visit(&mut node.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_not_seen_for_long_is_forgotten() {
        let mut table = Table::new(2);
        *table.touch(1, || 0) += 1;
        *table.touch(2, || 0) += 2;
        *table.touch(1, || 0) += 10;
        *table.touch(3, || 0) += 3;
        assert_eq!((table.get(1), table.get(2), table.get(3)), (Some(&11), None, Some(&3)));
        let mut seen = Vec::new();
        table.for_each_mut(|value| seen.push(*value));
        assert_eq!((seen, table.evicted(), table.len()), (vec![11, 3], 1, 2));
    }
}
