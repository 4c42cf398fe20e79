//! The write-ahead journal: what was acknowledged since the tree's files were last made durable.
//!
//! `plura-journal-1\n`, then records: payload length (u32, big-endian), SHA-256 of the payload,
//! payload. A payload is: index of its first entry (u64), how many (u32), the entries as in a
//! bundle, then the signed checkpoint after them. The first record begins at a bundle's start, so
//! that the journal alone can rebuild the tree's right edge.

use crate::tile::{push_entry, split_entries};
use schema::sha256;

pub(crate) const HEADER: &[u8] = b"plura-journal-1\n";
/// Bytes of leaves one append may bring.
pub(crate) const APPEND_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Above this the tree's files are made durable and the journal starts anew. Low enough that
/// opening after a crash takes a moment, high enough that few appends pay for it.
pub(crate) const SETTLE_BYTES: u64 = 1024 * 1024;
/// The most a journal holds: a full tail, what was below [`SETTLE_BYTES`], and one more append.
pub(crate) const JOURNAL_BYTES_MAX: u64 =
    crate::tile::BUNDLE_BYTES_MAX + SETTLE_BYTES + 2 * APPEND_BYTES_MAX as u64;

/// One acknowledged append, or the tail that a new journal begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub first: u64,
    pub entries: Vec<&'a [u8]>,
    /// The note as text.
    pub checkpoint: &'a [u8],
}

pub(crate) fn encode(first: u64, entries: &[Vec<u8>], checkpoint: &str) -> Vec<u8> {
    let mut payload = first.to_be_bytes().to_vec();
    payload.extend_from_slice(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes());
    for entry in entries {
        push_entry(&mut payload, entry);
    }
    payload.extend_from_slice(checkpoint.as_bytes());
    let mut record = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    record.extend_from_slice(&sha256(&payload).0);
    record.extend_from_slice(&payload);
    record
}

/// What a journal's bytes hold.
#[derive(Debug, Default)]
pub(crate) struct Contents<'a> {
    pub records: Vec<Record<'a>>,
    /// How many bytes from the start are sound; the rest is torn or altered.
    pub sound: usize,
}

/// Reads records until the first that is not whole, not what its digest says or out of order.
pub(crate) fn decode(bytes: &[u8]) -> Contents<'_> {
    let mut contents = Contents::default();
    let Some(mut rest) = bytes.strip_prefix(HEADER) else { return contents };
    contents.sound = HEADER.len();
    let mut next = None;
    while let Some((record, after)) = decode_one(rest) {
        let starts_well = match next {
            None => record.first % crate::merkle::TILE_WIDTH == 0,
            Some(next) => record.first == next,
        };
        let Some(end) = record.first.checked_add(record.entries.len() as u64) else { break };
        if !starts_well {
            break;
        }
        next = Some(end);
        contents.sound = bytes.len() - after.len();
        contents.records.push(record);
        rest = after;
    }
    contents
}

fn decode_one(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (digest, rest) = rest.split_first_chunk::<32>()?;
    let (payload, after) =
        rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    if sha256(payload).0 != *digest {
        return None;
    }
    let (first, rest) = payload.split_first_chunk::<8>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut entries = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = tail;
    }
    Some((Record { first: u64::from_be_bytes(*first), entries, checkpoint: rest }, after))
}

/// Entries of a bundle of exactly `count`, or none.
pub(crate) fn whole_bundle(bytes: &[u8], count: u64) -> Option<Vec<Vec<u8>>> {
    let (entries, left) = split_entries(bytes);
    (left == 0 && entries.len() as u64 == count)
        .then(|| entries.into_iter().map(<[u8]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_altered_tail_is_dropped_and_what_is_before_it_kept() {
        let mut bytes = HEADER.to_vec();
        bytes.extend(encode(256, &[b"a".to_vec(), b"bc".to_vec()], "one\n"));
        let first = bytes.len();
        bytes.extend(encode(258, &[b"d".to_vec()], "two\n"));
        let all = decode(&bytes);
        assert_eq!((all.records.len(), all.sound), (2, bytes.len()));
        assert_eq!(all.records[0].entries, [b"a".as_slice(), b"bc"]);
        assert_eq!(all.records[1].checkpoint, b"two\n");
        for cut in first..bytes.len() {
            assert_eq!(decode(&bytes[..cut]).sound, first);
            let mut altered = bytes.clone();
            altered[cut] ^= 1;
            assert_eq!(decode(&altered).sound, first, "byte {cut}");
        }
        // A record that does not follow on is not taken, however sound it is itself.
        let mut gap = HEADER.to_vec();
        gap.extend(encode(1, &[], "x\n"));
        assert_eq!(decode(&gap).records, []);
    }
}
