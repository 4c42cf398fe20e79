//! Names of fields, prepared for being looked for in many events.

use std::sync::Arc;

/// How shippers name the header's fields in flat records.
const FLAT_NAMES: &[(&str, &[&str])] = &[
    ("Provider_Name", &["ProviderName", "SourceName", "provider_name"]),
    ("Provider_Guid", &["ProviderGuid"]),
    ("Computer", &["Hostname", "ComputerName", "computer_name", "host"]),
    ("EventRecordID", &["RecordNumber", "record_id"]),
    ("TimeCreated_SystemTime", &["EventTime", "@timestamp"]),
    ("Execution_ProcessID", &["ExecutionProcessID"]),
    ("EventID", &["event_id"]),
    ("Channel", &["channel"]),
];

/// The channel by which pipelines tell records apart: of a Windows record's header, where its data may have a field
/// of that name too, as the record does that says which log was cleared. No rule can write it.
pub const HEADER_CHANNEL: &str = "\0Channel";

/// The field of the header that a name means.
pub(crate) fn of_header(name: &str) -> Option<&str> {
    name.strip_prefix('\0')
}

/// The name of a field, with what is asked about names again and again.
#[derive(Debug, Clone)]
pub struct Name {
    text: Arc<str>,
    pub(super) hash: u32,
    /// Whether it may be a path.
    pub(super) dotted: bool,
    /// What it means in the header.
    pub(super) header: Option<Arc<Name>>,
    /// What stands in for it in flat records.
    pub(super) flat: &'static [&'static str],
}

impl Name {
    pub fn new(text: &str) -> Self {
        Name {
            text: text.into(),
            hash: hash(text),
            dotted: text.contains('.'),
            header: of_header(text).map(|own| Arc::new(Name::new(own))),
            flat: flat_names(text),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

pub(super) fn flat_names(name: &str) -> &'static [&'static str] {
    FLAT_NAMES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, names)| names)
}

/// Tells short names apart at little cost. Not against ill will: tables of it stay small.
pub(super) fn hash(text: &str) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = text.len() as u64;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(ODD).rotate_left(29);
    }
    let last = rest.iter().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    let state = (state ^ last).wrapping_mul(ODD);
    (state >> 32) as u32
}

/// Whether there may be a space in a name: eight bytes at a time.
pub(super) fn has_space(text: &str) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    words.iter().any(|word| {
        let without = u64::from_le_bytes(*word) ^ (ONES * u64::from(b' '));
        without.wrapping_sub(ONES) & !without & (ONES << 7) != 0
    }) || rest.contains(&b' ')
}
