//! Names and values in one piece of memory: what a collection holds, without an allocation per value.

/// Named values in the order they came. A name may come more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bag {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    name: (u32, u32),
    value: (u32, u32),
}

impl Bag {
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.keep(name);
        let value = self.keep(value);
        self.entries.push(Entry { name, value });
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    pub fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        self.entries.get(index).map(|entry| (self.part(entry.name), self.part(entry.value)))
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| (self.part(entry.name), self.part(entry.value)))
    }

    /// All names and values together, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes beyond 4 GiB would not be kept; every body has a limit far below.
    fn keep(&mut self, part: &[u8]) -> (u32, u32) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(part);
        match (u32::try_from(from), u32::try_from(self.bytes.len())) {
            (Ok(from), Ok(to)) => (from, to),
            _ => {
                self.bytes.truncate(from);
                (0, 0)
            }
        }
    }

    fn part(&self, (from, to): (u32, u32)) -> &[u8] {
        self.bytes.get(from as usize..to as usize).unwrap_or_default()
    }
}
