//! The tar file around the members. One list of members has exactly one encoding.

use std::io;
use tar::{Archive, Builder, EntryType, Header};

/// More members than any package has; enough to name a stray one.
const MEMBERS_MAX: usize = 16;
/// tar's unit.
const BLOCK_BYTES: usize = 512;

/// A ustar archive: owner 0, mode 0400, time 0, no padding but tar's own.
pub(crate) fn encode(members: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o400);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        builder.append(&header, *bytes)?;
    }
    builder.into_inner()
}

/// A member as found. Nothing is ever unpacked to disk, so a name is only text here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Where its content begins.
    pub start: usize,
}

/// Reads the members up to the first thing that is not one; gives also where and why it stopped.
pub(crate) fn decode(bytes: &[u8]) -> (Vec<Member>, Option<(usize, String)>) {
    let mut members: Vec<Member> = Vec::new();
    let mut archive = Archive::new(bytes);
    let stopped = |members: &[Member], why: String| {
        let at =
            members.last().map_or(0, |m| (m.start + m.bytes.len()).next_multiple_of(BLOCK_BYTES));
        Some((at, why))
    };
    let entries = match archive.entries() {
        // Raw: no long names, no extensions; we write none.
        Ok(entries) => entries.raw(true),
        Err(error) => return (members, Some((0, error.to_string()))),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let why = stopped(&members, error.to_string());
                return (members, why);
            }
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if members.len() == MEMBERS_MAX || entry.header().entry_type() != EntryType::Regular {
            let why =
                stopped(&members, format!("`{}` is no member of a package", name.escape_debug()));
            return (members, why);
        }
        let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        let Some(content) = start.checked_add(size).and_then(|end| bytes.get(start..end)) else {
            let why =
                stopped(&members, format!("`{}` is longer than the file", name.escape_debug()));
            return (members, why);
        };
        members.push(Member { name, bytes: content.to_vec(), start });
    }
    (members, None)
}

/// The first byte at which the archive is not the one encoding of its members, and where that is.
pub(crate) fn first_difference(bytes: &[u8], members: &[Member]) -> Option<(usize, String)> {
    let list: Vec<(&str, &[u8])> =
        members.iter().map(|m| (m.name.as_str(), m.bytes.as_slice())).collect();
    let Ok(expected) = encode(&list) else {
        return Some((0, "a member's name cannot be written".to_owned()));
    };
    let common = bytes.iter().zip(&expected).position(|(a, b)| a != b);
    let at = common
        .or_else(|| (bytes.len() != expected.len()).then(|| bytes.len().min(expected.len())))?;
    let place = members
        .iter()
        .find(|m| at < (m.start + m.bytes.len()).next_multiple_of(BLOCK_BYTES))
        .map_or_else(
            || "the end of the archive".to_owned(),
            |m| {
                let part = if at < m.start { "header" } else { "padding" };
                format!("the {part} of `{}`", m.name.escape_debug())
            },
        );
    Some((at, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_pinned() {
        let bytes = encode(&[("manifest.json", b"{}\n".as_slice())]).unwrap();
        assert_eq!(bytes.len(), 4 * BLOCK_BYTES);
        // Any change here makes older packages fail to verify.
        let header = "manifest.json";
        assert_eq!(&bytes[..header.len()], header.as_bytes());
        assert_eq!(&bytes[100..108], b"0000400\0");
        assert_eq!(&bytes[108..124], b"0000000\x000000000\0");
        assert_eq!(&bytes[124..148], b"00000000003\x0000000000000\0");
        assert_eq!(&bytes[156..157], b"0");
        assert_eq!(&bytes[257..265], b"ustar\x0000");
        assert!(bytes[265..512].iter().all(|b| *b == 0));
        assert_eq!(&bytes[512..515], b"{}\n");
        let (members, stopped) = decode(&bytes);
        assert_eq!((members.len(), stopped), (1, None));
        assert_eq!(first_difference(&bytes, &members), None);
    }

    #[test]
    fn a_member_that_claims_more_than_there_is_and_a_link_are_not_read() {
        let mut header = Header::new_ustar();
        header.set_path("incident.json").unwrap();
        header.set_size(1 << 40);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        let (members, stopped) = decode(header.as_bytes());
        assert!(members.is_empty() && stopped.unwrap().1.contains("longer than the file"));

        header.set_size(0);
        header.set_entry_type(EntryType::Symlink);
        header.set_cksum();
        let (members, stopped) = decode(header.as_bytes());
        assert!(members.is_empty() && stopped.unwrap().1.contains("no member"));
    }
}
