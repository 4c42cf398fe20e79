//! Where tiles and entry bundles lie and what they hold: <https://c2sp.org/tlog-tiles>.

use crate::ENTRY_BYTES_MAX;
use crate::merkle::{TILE_HEIGHT, TILE_WIDTH};
use schema::Digest;

/// A bundle of 256 entries of the greatest length.
pub(crate) const BUNDLE_BYTES_MAX: u64 = TILE_WIDTH * (ENTRY_BYTES_MAX as u64 + 2);
pub(crate) const HASH_BYTES: usize = 32;
/// tlog-tiles has 64-bit sizes: no tree has more levels of height 8.
const LEVELS_MAX: u8 = 8;

/// One file of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tile {
    /// None for the entries themselves.
    pub level: Option<u8>,
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

impl Tile {
    pub fn is_full(self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    pub fn path(self) -> String {
        let kind = self.level.map_or_else(|| "entries".to_owned(), |level| level.to_string());
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        let part = if self.is_full() { String::new() } else { format!(".p/{}", self.width) };
        format!("tile/{kind}/{}{part}", groups.join("/"))
    }

    /// Reads a path in the one spelling [`Tile::path`] gives it.
    pub fn parse(path: &str) -> Option<Tile> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = if kind == "entries" {
            None
        } else {
            Some(kind.parse().ok().filter(|l| *l < LEVELS_MAX)?)
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, 256),
        };
        let mut index = 0u64;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Tile { level, index, width };
        (width > 0 && tile.path() == path).then_some(tile)
    }

    /// The records it stands for: first and one past the last.
    pub fn records(self) -> (u64, u64) {
        let shift = TILE_HEIGHT * u32::from(self.level.unwrap_or(0));
        let first = self.index.saturating_mul(TILE_WIDTH);
        let scale = |n: u64| n.checked_shl(shift).unwrap_or(u64::MAX);
        (scale(first), scale(first.saturating_add(u64::from(self.width))))
    }
}

/// How many hashes level `level` of a tree of `size` leaves has.
pub(crate) fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0)
}

/// The tile levels of a tree of `size` leaves.
pub(crate) fn levels(size: u64) -> u8 {
    (0..LEVELS_MAX)
        .take_while(|level| hashes_at(*level, size) > 0)
        .count()
        .try_into()
        .unwrap_or(LEVELS_MAX)
}

/// The tile of `level` (none: entries) that holds hash `index * 256`, if a tree of `size` has one.
pub(crate) fn tile_at(level: Option<u8>, index: u64, size: u64) -> Option<Tile> {
    let hashes = hashes_at(level.unwrap_or(0), size);
    let left = hashes.checked_sub(index.checked_mul(TILE_WIDTH)?)?;
    let width = u16::try_from(left.min(TILE_WIDTH)).ok().filter(|w| *w > 0)?;
    Some(Tile { level, index, width })
}

/// How many files hold the hashes of `level` (none: the entries).
pub(crate) fn tiles_at(level: Option<u8>, size: u64) -> u64 {
    hashes_at(level.unwrap_or(0), size).div_ceil(TILE_WIDTH)
}

/// The partial files at the right edge of a tree of `size` leaves.
pub(crate) fn partials(size: u64) -> Vec<Tile> {
    std::iter::once(None)
        .chain((0..levels(size)).map(Some))
        .filter_map(|level| tile_at(level, hashes_at(level.unwrap_or(0), size) / TILE_WIDTH, size))
        .collect()
}

pub(crate) fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// None when the bytes are not `width` hashes.
pub(crate) fn decode_hashes(bytes: &[u8], width: u16) -> Option<Vec<Digest>> {
    let (chunks, rest) = bytes.as_chunks::<HASH_BYTES>();
    (rest.is_empty() && chunks.len() == usize::from(width))
        .then(|| chunks.iter().map(|c| Digest(*c)).collect())
}

/// Appends an entry to a bundle; the caller has checked its length.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry.get(..usize::from(length)).unwrap_or(entry));
}

/// The entries of a bundle, and how many bytes at its end are no entry.
pub(crate) fn split_entries(mut bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let Some((entry, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        else {
            break;
        };
        entries.push(entry);
        bytes = rest;
    }
    (entries, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| Tile { level, index, width };
        for (tile, path) in [
            (tile(Some(0), 1_234_067, 256), "tile/0/x001/x234/067"),
            (tile(Some(1), 0, 17), "tile/1/000.p/17"),
            (tile(None, 273, 112), "tile/entries/273.p/112"),
        ] {
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::parse(path), Some(tile));
        }
        for path in [
            "tile/00/000",
            "tile/0/0",
            "tile/0/x000/000",
            "tile/0/000.p/256",
            "tile/0/000.p/08",
            "tile/9/000",
            "tile/0/../000",
            "tile/0/000.p/0",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }

    #[test]
    fn the_edge_of_a_tree_of_70_000_is_as_the_specification_counts_it() {
        let paths: Vec<String> = partials(70_000).into_iter().map(Tile::path).collect();
        assert_eq!(
            paths,
            ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        let paths: Vec<String> = partials(256).into_iter().map(Tile::path).collect();
        assert_eq!(paths, ["tile/1/000.p/1"]);
        assert!(partials(0).is_empty());
    }
}
