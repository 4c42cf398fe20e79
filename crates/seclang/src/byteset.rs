//! A set of bytes: which ones a value has, which ones a pattern needs.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

/// From here on a table of the bytes seen pays.
const LONG_BYTES_MIN: usize = 64;

impl ByteSet {
    pub const ALL: Self = Self([u64::MAX; 4]);
    pub const NONE: Self = Self([0; 4]);

    /// The bytes that occur in `value`.
    pub fn of(value: &[u8]) -> Self {
        if value.len() >= LONG_BYTES_MIN {
            return Self::of_long(value);
        }
        let mut words = [0u64; 4];
        for byte in value {
            if let Some(word) = words.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
        Self(words)
    }

    /// Notes each byte in a table first, which is less to do for each.
    fn of_long(value: &[u8]) -> Self {
        let mut seen = [0u8; 256];
        for byte in value {
            if let Some(slot) = seen.get_mut(usize::from(*byte)) {
                *slot = 1;
            }
        }
        let mut words = [0u64; 4];
        let (eights, _) = seen.as_chunks::<8>();
        for (number, eight) in eights.iter().enumerate() {
            // Multiplied so that the lowest bits of the eight bytes come to stand side by side at the top.
            let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            if let Some(word) = words.get_mut(number / 8) {
                *word |= bits << (number % 8 * 8);
            }
        }
        Self(words)
    }

    pub const fn with(mut self, byte: u8) -> Self {
        let bit = 1u64 << (byte & 63);
        match byte >> 6 {
            0 => self.0[0] |= bit,
            1 => self.0[1] |= bit,
            2 => self.0[2] |= bit,
            _ => self.0[3] |= bit,
        }
        self
    }

    /// Both ends included.
    pub const fn with_range(mut self, from: u8, to: u8) -> Self {
        let mut byte = from as u16;
        while byte <= to as u16 {
            #[expect(clippy::cast_possible_truncation, reason = "at most `to`")]
            let one = byte as u8;
            self = self.with(one);
            byte += 1;
        }
        self
    }

    pub const fn with_all(mut self, mut bytes: &[u8]) -> Self {
        while let [first, rest @ ..] = bytes {
            self = self.with(*first);
            bytes = rest;
        }
        self
    }

    pub fn insert(&mut self, byte: u8) {
        *self = self.with(byte);
    }

    pub const fn contains(self, byte: u8) -> bool {
        let word = match byte >> 6 {
            0 => self.0[0],
            1 => self.0[1],
            2 => self.0[2],
            _ => self.0[3],
        };
        word & (1u64 << (byte & 63)) != 0
    }

    pub const fn union(self, other: Self) -> Self {
        Self([
            self.0[0] | other.0[0],
            self.0[1] | other.0[1],
            self.0[2] | other.0[2],
            self.0[3] | other.0[3],
        ])
    }

    pub const fn meets(self, other: Self) -> bool {
        (self.0[0] & other.0[0])
            | (self.0[1] & other.0[1])
            | (self.0[2] & other.0[2])
            | (self.0[3] & other.0[3])
            != 0
    }

    pub const fn len(self) -> u32 {
        self.0[0].count_ones()
            + self.0[1].count_ones()
            + self.0[2].count_ones()
            + self.0[3].count_ones()
    }

    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::*;

    #[test]
    fn long_values_have_the_bytes_they_have() {
        for step in 1..40usize {
            for length in [0, 1, LONG_BYTES_MIN - 1, LONG_BYTES_MIN, 700] {
                let value: Vec<u8> = (0..length).map(|at| (at * step % 256) as u8).collect();
                let mut expected = ByteSet::NONE;
                value.iter().for_each(|byte| expected.insert(*byte));
                assert_eq!(ByteSet::of(&value), expected, "{step} {length}");
            }
        }
    }
}
