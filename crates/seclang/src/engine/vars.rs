//! A collection that rules write: TX, and what an opened IP, SESSION, USER, RESOURCE or GLOBAL holds.

/// Names (in lower case) and values, in the order they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vars {
    entries: Vec<Var>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Var {
    hash: u32,
    name: Vec<u8>,
    value: Vec<u8>,
    /// Laid down by whoever runs the engine: rules cannot change it.
    pinned: bool,
}

/// FNV-1a over the name in lower case: a table of a hundred names is searched by comparing numbers.
pub fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}

impl Vars {
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let hash = hash(name);
        self.entries
            .iter()
            .find(|var| var.hash == hash && var.name.eq_ignore_ascii_case(name))
            .map(|var| var.value.as_slice())
    }

    /// Sets a value. `false`: there are [`VARS_MAX`] names already and this is another.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        let hash = hash(name);
        let full = self.entries.len() >= VARS_MAX;
        let known =
            self.entries.iter_mut().find(|v| v.hash == hash && v.name.eq_ignore_ascii_case(name));
        match known {
            Some(var) if var.pinned => {}
            Some(var) => {
                var.value.clear();
                var.value.extend_from_slice(value);
            }
            None if full => return false,
            None => self.entries.push(Var {
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
        let hash = hash(name);
        for var in &mut self.entries {
            var.pinned |= var.hash == hash && var.name.eq_ignore_ascii_case(name);
        }
    }

    pub fn remove(&mut self, name: &[u8]) {
        let hash = hash(name);
        self.entries
            .retain(|var| var.pinned || var.hash != hash || !var.name.eq_ignore_ascii_case(name));
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
