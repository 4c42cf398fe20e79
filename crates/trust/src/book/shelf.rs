use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest name kept as it is; the 256 bytes hold a mail address (RFC 5321 §4.5.3.1: 254) and any of our
/// keyed hashes. Of a longer one the digest stands in, so that it is still one name and takes no more room.
const NAME_BYTES_MAX: usize = 256;

/// The name under which something is remembered.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    if text.len() <= NAME_BYTES_MAX {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("sha256:{}", schema::sha256(text.as_bytes())))
    }
}

#[derive(Debug, Clone)]
struct Place<V> {
    tick: u64,
    value: V,
}

/// A map of bounded size: full, it forgets what was not touched for longest. The same calls forget the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    into = "Listed<V>",
    from = "Listed<V>",
    bound(serialize = "V: Clone + Serialize", deserialize = "V: Deserialize<'de>")
)]
pub(crate) struct Shelf<V> {
    capacity: usize,
    places: BTreeMap<Box<str>, Place<V>>,
    /// Names by when they were last touched.
    order: BTreeMap<u64, Box<str>>,
    tick: u64,
}

/// A shelf as it is written down: what was touched last comes last.
#[derive(Serialize, Deserialize)]
struct Listed<V> {
    capacity: usize,
    entries: Vec<(Box<str>, V)>,
}

impl<V> Shelf<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Shelf {
            capacity: capacity.max(1),
            places: BTreeMap::new(),
            order: BTreeMap::new(),
            tick: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.places.get(name(key).as_ref()).map(|place| &place.value)
    }

    /// Without touching it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.places.get_mut(name(key).as_ref()).map(|place| &mut place.value)
    }

    /// Touches what is there, or puts `make()` there.
    pub(crate) fn entry(&mut self, key: &str, make: impl FnOnce() -> V) -> &mut V {
        let key = name(key);
        self.tick += 1;
        let tick = self.tick;
        match self.places.get(key.as_ref()) {
            Some(place) => {
                self.order.remove(&place.tick);
            }
            None if self.places.len() >= self.capacity => {
                if let Some((_, oldest)) = self.order.pop_first() {
                    self.places.remove(&oldest);
                }
            }
            None => {}
        }
        let key: Box<str> = key.into();
        self.order.insert(tick, key.clone());
        let place = self.places.entry(key).or_insert_with(|| Place { tick, value: make() });
        place.tick = tick;
        &mut place.value
    }
}

impl<V: Clone> From<Shelf<V>> for Listed<V> {
    fn from(shelf: Shelf<V>) -> Self {
        let Shelf { capacity, mut places, order, .. } = shelf;
        let entries = order
            .into_values()
            .filter_map(|key| places.remove(&key).map(|place| (key, place.value)))
            .collect();
        Listed { capacity, entries }
    }
}

impl<V> From<Listed<V>> for Shelf<V> {
    fn from(listed: Listed<V>) -> Self {
        let mut shelf = Shelf::new(listed.capacity);
        for (key, value) in listed.entries {
            shelf.entry(&key, || value);
        }
        shelf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_it_forgets_what_was_not_touched_for_longest() {
        let mut shelf = Shelf::new(2);
        shelf.entry("kim", || 1);
        shelf.entry("lee", || 2);
        shelf.entry("kim", || 9);
        shelf.entry("han", || 3);
        assert_eq!(
            (shelf.get("kim"), shelf.get("lee"), shelf.get("han")),
            (Some(&1), None, Some(&3))
        );

        let text = serde_json::to_string(&shelf).unwrap();
        let mut again: Shelf<i32> = serde_json::from_str(&text).unwrap();
        again.entry("choi", || 4);
        assert_eq!((again.get("kim"), again.get("han")), (None, Some(&3)));
    }

    #[test]
    fn a_long_name_is_still_one_name() {
        let mut shelf = Shelf::new(8);
        let (long, other) = ("a".repeat(100_000), "a".repeat(100_001));
        shelf.entry(&long, || 1);
        assert_eq!((shelf.get(&long), shelf.get(&other)), (Some(&1), None));
        assert!(serde_json::to_string(&shelf).unwrap().len() < 200);
    }
}
