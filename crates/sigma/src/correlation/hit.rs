//! Hits in little room: hundreds of thousands wait at one time, and their events are named in every window.

use super::saved::{Reader, put_number, put_text};
use crate::event::cut;
use crate::limits::EVENT_ID_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// Names an event, and decides among events of one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventId {
    /// Ours are UUIDs, which as bytes need no room of their own.
    Uuid([u8; 16]),
    Text(Box<str>),
}

/// Where the groups of a UUID's digits begin and end.
const UUID_GROUPS: [(usize, usize); 5] = [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)];

impl EventId {
    pub fn new(text: &str) -> EventId {
        match uuid(text) {
            Some(bytes) => EventId::Uuid(bytes),
            None => EventId::Text(cut(text, EVENT_ID_BYTES_MAX).into()),
        }
    }

    /// Bytes beside those of the value itself.
    pub(super) fn heap(&self) -> usize {
        match self {
            EventId::Uuid(_) => 0,
            EventId::Text(text) => text.len() + super::ALLOCATION_BYTES,
        }
    }
}

/// Only as it is written in lower case, so that what comes out is what went in.
fn uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut digits = [0_u8; 32];
    let mut filled = 0;
    for (number, (from, to)) in UUID_GROUPS.into_iter().enumerate() {
        if number > 0 && text.as_bytes().get(from - 1) != Some(&b'-') {
            return None;
        }
        let group = text.as_bytes().get(from..to)?;
        digits.get_mut(filled..filled + group.len())?.copy_from_slice(group);
        filled += group.len();
    }
    let mut bytes = [0; 16];
    data_encoding::HEXLOWER.decode_mut(&digits, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventId::Text(text) => f.write_str(text),
            EventId::Uuid(bytes) => {
                for (place, byte) in bytes.iter().enumerate() {
                    if matches!(place, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// Texts, some of them absent, as one run of bytes: no two lists come to the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Packed(pub(super) Box<[u8]>);

impl Packed {
    pub(super) fn of<'t>(values: impl IntoIterator<Item = Option<&'t str>>) -> Packed {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|value| pack(&mut bytes, value));
        Packed(bytes.into())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = Option<&str>> {
        unpack(&self.0)
    }
}

/// Length and one, then the bytes; nothing for what is absent.
pub(super) fn pack(bytes: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => put_number(bytes, 0),
        Some(text) => {
            put_number(bytes, text.len() as u64 + 1);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
}

pub(super) fn unpack(bytes: &[u8]) -> impl Iterator<Item = Option<&str>> {
    slices(bytes).map(|value| value.and_then(|bytes| std::str::from_utf8(bytes).ok()))
}

fn slices(bytes: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        let length = reader.number().ok()?;
        Some(match length.checked_sub(1) {
            None => None,
            Some(length) => Some(reader.bytes(usize::try_from(length).ok()?).ok()?),
        })
    })
}

/// Names of the fields of a rule's hits, the same for all of them.
pub(super) type FieldNames = Arc<[Arc<str>]>;

/// A rule that fired on an event, with the fields that correlations ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub time_ms: i64,
    pub event: EventId,
    /// How the rule is called: `Meta::key`.
    pub rule: Arc<str>,
    pub(super) names: FieldNames,
    pub(super) values: Packed,
}

impl Hit {
    /// A field's value, where the event had one.
    pub fn field(&self, name: &str) -> Option<&str> {
        let place = self.names.iter().position(|known| **known == *name)?;
        let value = slices(&self.values.0).nth(place).flatten()?;
        std::str::from_utf8(value).ok()
    }

    /// About how many bytes it takes to keep.
    pub(super) fn weight(&self) -> usize {
        size_of::<Hit>() + self.values.0.len() + super::ALLOCATION_BYTES + self.event.heap()
    }

    pub(super) fn put_event(bytes: &mut Vec<u8>, event: &EventId) {
        match event {
            EventId::Uuid(uuid) => {
                bytes.push(1);
                bytes.extend_from_slice(uuid);
            }
            EventId::Text(text) => {
                bytes.push(0);
                put_text(bytes, text);
            }
        }
    }
}
