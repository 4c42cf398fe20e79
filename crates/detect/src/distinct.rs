//! How many different things: exact while few, then an estimate of fixed size.

use crate::hash::Key;

/// Below this the set is kept and the count exact.
const EXACT_MAX: usize = 64;
/// Registers of the estimate: HyperLogLog (Flajolet, Fusy, Gandouet and Meunier 2007) has a standard
/// error of 1.04 / sqrt(256) = 6.5 %.
const REGISTERS: usize = 256;

/// A set that can only be counted. Empty it owns no memory; at most [`REGISTERS`] bytes or 64 short hashes.
#[derive(Debug, Clone, Default)]
pub(crate) enum Distinct {
    #[default]
    Empty,
    /// Sorted.
    Exact(Vec<u32>),
    Estimate(Box<[u8; REGISTERS]>),
}

impl Distinct {
    /// Adds a keyed hash; true when the count may have changed.
    pub(crate) fn insert(&mut self, key: Key) -> bool {
        // A second mix: keys of short names under one scope differ in every bit already, but `short` keys are reused.
        let hash = crate::hash::pair(key, 1);
        match self {
            Distinct::Empty => {
                *self = Distinct::Exact(vec![(hash >> 32) as u32]);
                true
            }
            Distinct::Exact(sorted) => match sorted.binary_search(&((hash >> 32) as u32)) {
                Ok(_) => false,
                Err(place) if sorted.len() < EXACT_MAX => {
                    sorted.insert(place, (hash >> 32) as u32);
                    true
                }
                Err(_) => {
                    let mut registers = Box::new([0u8; REGISTERS]);
                    for short in sorted.iter() {
                        raise(&mut registers, *short);
                    }
                    raise(&mut registers, (hash >> 32) as u32);
                    *self = Distinct::Estimate(registers);
                    true
                }
            },
            Distinct::Estimate(registers) => raise(registers, (hash >> 32) as u32),
        }
    }

    /// Whether `key` is known to be in it; `false` too once only an estimate is kept.
    pub(crate) fn contains(&self, key: Key) -> bool {
        let hash = crate::hash::pair(key, 1);
        matches!(self, Distinct::Exact(sorted) if sorted.binary_search(&((hash >> 32) as u32)).is_ok())
    }

    pub(crate) fn count(&self) -> u32 {
        match self {
            Distinct::Empty => 0,
            Distinct::Exact(sorted) => sorted.len() as u32,
            Distinct::Estimate(registers) => estimate(registers),
        }
    }

    /// How many are in one or the other.
    pub(crate) fn union_count(&self, other: &Distinct) -> u32 {
        match (self, other) {
            (Distinct::Empty, set) | (set, Distinct::Empty) => set.count(),
            (Distinct::Exact(a), Distinct::Exact(b)) => {
                let both = a.iter().filter(|short| b.binary_search(short).is_ok()).count();
                (a.len() + b.len() - both) as u32
            }
            (Distinct::Estimate(registers), Distinct::Exact(sorted))
            | (Distinct::Exact(sorted), Distinct::Estimate(registers)) => {
                let mut union = registers.clone();
                for short in sorted {
                    raise(&mut union, *short);
                }
                estimate(&union)
            }
            (Distinct::Estimate(a), Distinct::Estimate(b)) => {
                let mut union = a.clone();
                for (to, from) in union.iter_mut().zip(b.iter()) {
                    *to = (*to).max(*from);
                }
                estimate(&union)
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Distinct::Empty => 0,
            Distinct::Exact(sorted) => sorted.capacity() * 4,
            Distinct::Estimate(_) => REGISTERS,
        }
    }
}

/// The low byte chooses the register, the leading zeros of the other 24 bits its height.
fn raise(registers: &mut [u8; REGISTERS], short: u32) -> bool {
    let height = ((short >> 8) << 8).leading_zeros().min(24) as u8 + 1;
    match registers.get_mut((short & 0xff) as usize) {
        Some(register) if *register < height => {
            *register = height;
            true
        }
        _ => false,
    }
}

fn estimate(registers: &[u8; REGISTERS]) -> u32 {
    let places = REGISTERS as f64;
    let mut sum = 0.0;
    let mut empty = 0u32;
    for height in registers {
        sum += 1.0 / (1u64 << u32::from(*height)) as f64;
        empty += u32::from(*height == 0);
    }
    // Constant and small-range correction as in the paper, figure 3.
    let raw = 0.7213 / (1.0 + 1.079 / places) * places * places / sum;
    let corrected = if raw <= 2.5 * places && empty > 0 {
        places * (places / f64::from(empty)).ln()
    } else {
        raw
    };
    corrected.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Hasher, Of};

    #[test]
    fn exact_when_few_and_near_when_many() {
        let hasher = Hasher::new([7; 16]);
        let key = |i: u32| hasher.key(Of::Object, 0, &format!("order {i}"));
        let mut set = Distinct::default();
        for round in 0..2 {
            for i in 0..64 {
                assert_eq!(set.insert(key(i)), round == 0);
            }
        }
        assert_eq!(set.count(), 64);
        for i in 0..10_000 {
            set.insert(key(i));
        }
        let error = f64::from(set.count()) / 10_000.0 - 1.0;
        assert!(error.abs() < 0.2, "three standard errors: {error}");

        let mut other = Distinct::default();
        (9_990..10_010).for_each(|i| _ = other.insert(key(i)));
        let union = f64::from(set.union_count(&other)) / 10_010.0 - 1.0;
        assert!(union.abs() < 0.2, "{union}");
    }
}
