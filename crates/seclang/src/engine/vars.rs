//! A collection that rules write: TX, and what an opened IP, SESSION, USER, RESOURCE or GLOBAL holds.

/// Names (in lower case) and values, in the order they were first set.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    entries: Vec<Var>,
    /// Where entries are by their hash, counted from 1; 0 is free. At most half of it is taken.
    table: Vec<u16>,
}

impl PartialEq for Vars {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Vars {}

/// The least room in the table: CRS sets a hundred variables.
const TABLE_MIN: usize = 256;

const _: () = assert!(VARS_MAX < u16::MAX as usize);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Var {
    hash: u32,
    name: Vec<u8>,
    value: Vec<u8>,
    /// Laid down by whoever runs the engine: rules cannot change it.
    pinned: bool,
}

/// The same for a name in any case of letters. Eight bytes at a time: names are asked for hundreds of times.
fn hash(name: &[u8]) -> u32 {
    /// The bit that tells small letters from capitals. Other bytes that differ in it share a place.
    const CASE: u64 = 0x2020_2020_2020_2020;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, eight: [u8; 8]| {
        (hash.rotate_left(5) ^ (u64::from_le_bytes(eight) | CASE)).wrapping_mul(FACTOR)
    };
    let (eights, rest) = name.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let hash = eights.iter().fold(0, |hash, eight| mix(hash, *eight));
    (mix(hash, last) >> 32) as u32
}

impl Vars {
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let at = self.find(hash(name), name)?;
        self.entries.get(at).map(|var| var.value.as_slice())
    }

    fn find(&self, hash: u32, name: &[u8]) -> Option<usize> {
        let last = self.table.len().checked_sub(1)?;
        let mut slot = hash as usize & last;
        loop {
            let at = usize::from(*self.table.get(slot)?).checked_sub(1)?;
            let var = self.entries.get(at)?;
            if var.hash == hash && var.name.eq_ignore_ascii_case(name) {
                return Some(at);
            }
            slot = (slot + 1) & last;
        }
    }

    fn add(&mut self, var: Var) {
        self.entries.push(var);
        if self.table.len() < 2 * self.entries.len() {
            self.arrange();
        } else {
            self.place(self.entries.len() - 1);
        }
    }

    /// Makes the table anew.
    fn arrange(&mut self) {
        let room = (2 * self.entries.len()).next_power_of_two().max(TABLE_MIN);
        self.table.clear();
        self.table.resize(room, 0);
        for at in 0..self.entries.len() {
            self.place(at);
        }
    }

    fn place(&mut self, at: usize) {
        let (Some(var), Some(last)) = (self.entries.get(at), self.table.len().checked_sub(1))
        else {
            return;
        };
        let mut slot = var.hash as usize & last;
        while self.table.get(slot).is_some_and(|taken| *taken != 0) {
            slot = (slot + 1) & last;
        }
        if let (Some(free), Ok(number)) = (self.table.get_mut(slot), u16::try_from(at + 1)) {
            *free = number;
        }
    }

    /// Sets a value. `false`: there are [`VARS_MAX`] names already and this is another.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        let hash = hash(name);
        let full = self.entries.len() >= VARS_MAX;
        let known = self.find(hash, name).and_then(|at| self.entries.get_mut(at));
        match known {
            Some(var) if var.pinned => {}
            Some(var) => {
                var.value.clear();
                var.value.extend_from_slice(value);
            }
            None if full => return false,
            None => self.add(Var {
                hash,
                name: name.to_ascii_lowercase(),
                value: value.to_vec(),
                pinned: false,
            }),
        }
        true
    }

    /// Sets a value that stays, whatever rules do.
    pub fn pin(&mut self, name: &[u8], value: &[u8]) {
        self.set(name, value);
        if let Some(at) = self.find(hash(name), name)
            && let Some(var) = self.entries.get_mut(at)
        {
            var.pinned = true;
        }
    }

    pub fn remove(&mut self, name: &[u8]) {
        if let Some(at) = self.find(hash(name), name)
            && self.entries.get(at).is_some_and(|var| !var.pinned)
        {
            self.entries.remove(at);
            self.arrange();
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|var| (var.name.as_slice(), var.value.as_slice()))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The most names in one collection: rules that name variables after parameters could make any number.
pub const VARS_MAX: usize = 5_000;

/// What a number in a rule is worth: leading spaces, a sign, digits; anything else is 0.
pub fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().take_while(|b| b.is_ascii_digit()).fold(0i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    if negative { value.saturating_neg() } else { value }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a list that is searched from its start would do.
        #[test]
        fn names_are_found_as_they_were_set(
            deeds in proptest::collection::vec((0..4u8, "[a-cA-C]{0,3}", "[0-9]{0,2}"), 0..400)
        ) {
            let mut vars = Vars::default();
            let mut list: Vec<(String, String, bool)> = Vec::new();
            for (deed, name, value) in deeds {
                let lower = name.to_ascii_lowercase();
                let at = list.iter().position(|(known, _, _)| *known == lower);
                match (deed, at) {
                    (0, _) => {
                        vars.remove(name.as_bytes());
                        list.retain(|(known, _, pinned)| *pinned || *known != lower);
                    }
                    (1, _) if name.len() == 3 => {
                        vars.pin(name.as_bytes(), value.as_bytes());
                        match at {
                            Some(at) if list[at].2 => {}
                            Some(at) => list[at] = (lower, value, true),
                            None => list.push((lower, value, true)),
                        }
                    }
                    (_, at) => {
                        vars.set(name.as_bytes(), value.as_bytes());
                        match at {
                            Some(at) if list[at].2 => {}
                            Some(at) => list[at].1 = value,
                            None => list.push((lower, value, false)),
                        }
                    }
                }
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let held: Vec<_> = vars.iter().map(|(n, v)| (text(n), text(v))).collect();
                let wanted: Vec<_> = list.iter().map(|(n, v, _)| (n.clone(), v.clone())).collect();
                prop_assert_eq!(held, wanted);
                for (name, value, _) in &list {
                    prop_assert_eq!(vars.get(name.as_bytes()), Some(value.as_bytes()));
                }
                prop_assert_eq!(vars.get(b"nobody"), None);
            }
        }
    }
}
