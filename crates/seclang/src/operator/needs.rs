//! What a value must have to match, so that most values need not be looked at.

use super::Operator;
use crate::byteset::ByteSet;

/// What every value that an operator matches has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// At least so many bytes.
    pub min_len: usize,
    /// A byte of each of these.
    pub byte_sets: Vec<ByteSet>,
    /// One of these, in lower case, wherever and in whatever ASCII case it stands. `None`: nothing is known.
    /// An empty list: nothing matches.
    pub literals: Option<Vec<Vec<u8>>>,
}

impl Operator {
    /// What a value must have for [`test`](Self::test) to hold. For operators whose argument has macros, as
    /// for those that match nearly anything: nothing.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Pm(words) => Needs {
                min_len: words.words.iter().map(Vec::len).min().unwrap_or(0),
                byte_sets: Vec::new(),
                literals: Some(words.words.iter().map(|word| word.to_ascii_lowercase()).collect()),
            },
            Self::Rx(pattern) | Self::RxGlobal(pattern) => Needs {
                min_len: pattern.hir().properties().minimum_len().unwrap_or(0),
                ..Needs::default()
            },
            _ => Needs::default(),
        }
    }
}
