//! Proofs and leaves, read from the tiles.

use super::*;
use crate::merkle::{Nodes, TILE_HEIGHT, root_of};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The tree in the files of a ledger whose state is known.
struct Tiles<'a> {
    files: &'a Files,
    edge: &'a Edge,
    /// Tiles read so far: proofs ask for the same few again and again.
    read: RefCell<BTreeMap<Tile, Rc<[Digest]>>>,
}

impl Nodes for Tiles<'_> {
    type Error = Error;

    fn node(&self, level: u32, index: u64) -> Result<Digest> {
        let tile_level = level / TILE_HEIGHT;
        let height = level % TILE_HEIGHT;
        let (first, count) = (index << height, 1u64 << height);
        let place = u8::try_from(tile_level)
            .ok()
            .and_then(|level| tile::tile_at(Some(level), first / TILE_WIDTH, self.edge.size()))
            .ok_or_else(|| {
                Error::damaged(format!("tile/{tile_level}"), "the tree is not that large")
            })?;
        let stored;
        let hashes = if place.is_full() {
            stored = self.read(place)?;
            &stored
        } else {
            self.edge.level(usize::try_from(tile_level).unwrap_or(usize::MAX))
        };
        let from = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let wanted = from
            .checked_add(usize::try_from(count).unwrap_or(usize::MAX))
            .and_then(|to| hashes.get(from..to))
            .ok_or_else(|| Error::damaged(place.path(), "the tree is not that large"))?;
        Ok(root_of(wanted))
    }
}

impl Tiles<'_> {
    fn read(&self, place: Tile) -> Result<Rc<[Digest]>> {
        if let Some(hashes) = self.read.borrow().get(&place) {
            return Ok(Rc::clone(hashes));
        }
        let hashes: Rc<[Digest]> = self
            .files
            .read(&place.path(), 256 * tile::HASH_BYTES as u64)?
            .and_then(|bytes| tile::decode_hashes(&bytes, place.width))
            .ok_or_else(|| Error::damaged(place.path(), "it is missing or not whole"))?
            .into();
        self.read.borrow_mut().insert(place, Rc::clone(&hashes));
        Ok(hashes)
    }
}

impl Ledger {
    /// That the leaf at `index` is in the tree of [`Ledger::checkpoint`].
    pub fn prove(&self, index: u64) -> Result<Proof> {
        let size = self.len();
        if index >= size {
            return Err(Error::OutOfRange { index, size });
        }
        let path = merkle::inclusion_path(&self.tiles(), index, size)?;
        let leaf = self.leaves(index..index + 1)?.pop();
        let leaf = leaf.ok_or(Error::OutOfRange { index, size })?;
        Ok(Proof { index, leaf, path, size })
    }

    /// The paths of [`Ledger::prove`] for many leaves, each tile read once.
    pub(crate) fn paths(&self, indices: impl Iterator<Item = u64>) -> Result<Vec<Vec<Digest>>> {
        let tiles = self.tiles();
        indices.map(|index| merkle::inclusion_path(&tiles, index, self.len())).collect()
    }

    /// That the tree of `old_size` leaves is the beginning of this one (RFC 6962 §2.1.2).
    pub fn consistency(&self, old_size: u64) -> Result<Vec<Digest>> {
        if old_size > self.len() {
            return Err(Error::OutOfRange { index: old_size, size: self.len() });
        }
        merkle::consistency_path(&self.tiles(), old_size, self.len())
    }

    /// The root when the ledger had `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<Digest> {
        if size > self.len() {
            return Err(Error::OutOfRange { index: size, size: self.len() });
        }
        merkle::range_root(&self.tiles(), 0, size)
    }

    /// The leaves of a range, in order.
    pub fn leaves(&self, range: Range<u64>) -> Result<Vec<Leaf>> {
        let asked = range.end.saturating_sub(range.start);
        if asked > READ_LEAVES_MAX {
            return Err(Error::TooMany { asked, max: READ_LEAVES_MAX });
        }
        if range.end > self.len() {
            return Err(Error::OutOfRange { index: range.end - 1, size: self.len() });
        }
        let mut leaves = Vec::new();
        let mut index = range.start;
        while index < range.end {
            let bundle = self.bundle(index / TILE_WIDTH)?;
            let last = (index / TILE_WIDTH + 1) * TILE_WIDTH;
            while index < range.end.min(last) {
                leaves.push(entry_leaf(&bundle, index)?);
                index += 1;
            }
        }
        Ok(leaves)
    }

    /// The leaves about any of `subjects`, with their indices, in order. Reads the whole ledger.
    pub fn leaves_about(&self, subjects: &BTreeSet<Uuid>) -> Result<Vec<(u64, Leaf)>> {
        let mut found = Vec::new();
        for bundle in 0..tile::tiles_at(None, self.len()) {
            let entries = self.bundle(bundle)?;
            let first = bundle * TILE_WIDTH;
            for index in first..first + entries.len() as u64 {
                let leaf = entry_leaf(&entries, index)?;
                if subjects.contains(&leaf.subject) {
                    found.push((index, leaf));
                }
            }
        }
        Ok(found)
    }

    /// The newest checkpoint, with its cosignatures when it has any, and the vkeys of those who
    /// made them, one a line.
    pub(crate) fn newest_checkpoint(&self) -> Result<(String, String)> {
        let max = crate::note::NOTE_BYTES_MAX as u64;
        let stored = self
            .files
            .read(CHECKPOINT, max)?
            .and_then(|bytes| SignedCheckpoint::parse(&bytes).ok());
        let cosigned = stored.filter(|stored| {
            stored.note.signatures.len() > 1
                && SignedCheckpoint::parse(self.checkpoint().as_bytes())
                    .is_ok_and(|own| own.note.text == stored.note.text)
        });
        let witnesses =
            self.files.read(WITNESSES, max)?.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(match (cosigned, witnesses) {
            (Some(cosigned), Some(witnesses)) => (cosigned.note.to_string(), witnesses),
            _ => (self.checkpoint().to_owned(), String::new()),
        })
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    fn tiles(&self) -> Tiles<'_> {
        Tiles { files: &self.files, edge: &self.state.edge, read: RefCell::default() }
    }

    fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>> {
        let place = tile::tile_at(None, index, self.len())
            .ok_or(Error::OutOfRange { index: index * TILE_WIDTH, size: self.len() })?;
        if !place.is_full() {
            return Ok(self.state.tail.clone());
        }
        self.files
            .read(&place.path(), tile::BUNDLE_BYTES_MAX)?
            .and_then(|bytes| journal::whole_bundle(&bytes, u64::from(place.width)))
            .ok_or_else(|| Error::damaged(place.path(), "it is missing or not whole"))
    }
}

fn entry_leaf(bundle: &[Vec<u8>], index: u64) -> Result<Leaf> {
    let place = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
    bundle
        .get(place)
        .and_then(|entry| serde_json::from_slice(entry).ok())
        .ok_or_else(|| Error::damaged(format!("record {index}"), "it is not a leaf"))
}
