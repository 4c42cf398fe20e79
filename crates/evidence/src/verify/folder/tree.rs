//! Entries against hashes, hashes against hashes, up to the signed root; and which side is at
//! fault where two disagree.

use super::super::snapshot::Snapshot;
use super::RESTORE;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::leaf::LeafView;
use crate::merkle::{Edge, TILE_WIDTH, empty_root, leaf_hash, root_of};
use crate::report::{Failure, FailureKind, Report};
use crate::tile::{self, Tile};
use schema::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// Records named one by one per bundle; the rest of it are counted.
const NAMED_PER_BUNDLE: usize = 8;

pub(super) struct Tree<'a> {
    snapshot: &'a Snapshot,
    head: &'a Checkpoint,
    report: &'a mut Report,
    /// Whether the stored partial tiles lead to the signed root.
    edge_holds: Option<bool>,
    /// The last whole tile read per level: a parent is asked for 256 times in a row.
    last: BTreeMap<u8, (u64, Option<Vec<Digest>>)>,
    /// Level 0 tiles whose disagreement with their entries is already told.
    told: BTreeSet<u64>,
}

impl<'a> Tree<'a> {
    pub fn new(snapshot: &'a Snapshot, head: &'a Checkpoint, report: &'a mut Report) -> Tree<'a> {
        Tree {
            snapshot,
            head,
            report,
            edge_holds: None,
            last: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Every record against the level 0 hashes. Gives the roots the tree had at `sizes`: by its
    /// entries, and by its tiles where those differ.
    pub fn check_entries(&mut self, sizes: &BTreeSet<u64>) -> Result<BTreeMap<u64, Vec<Digest>>> {
        let mut roots = BTreeMap::new();
        roots.insert(0, vec![empty_root()]);
        // By entries, and by tiles from where they first differ.
        let mut edges = vec![Edge::default()];
        let size = self.head.size;
        for index in 0..tile::tiles_at(None, size) {
            let Some(place) = tile::tile_at(None, index, size) else { break };
            let bytes = self.snapshot.read(&place.path())?;
            let stored = self.hashes(0, index)?;
            let (entries, left) = bytes.as_deref().map(tile::split_entries).unwrap_or_default();
            self.report.checked.files += u64::from(bytes.is_some());
            self.report.checked.bytes += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            let hashes: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
            if bytes.is_some() {
                self.check_bundle(place, &entries, left, &hashes, stored.as_deref())?;
            }
            let by_entries = if hashes.len() == usize::from(place.width) {
                &hashes
            } else {
                stored.as_ref().unwrap_or(&hashes)
            };
            let by_tiles = stored.as_ref().unwrap_or(by_entries);
            if edges.len() == 1 && by_entries != by_tiles {
                edges.extend(edges.first().cloned());
            }
            for (edge, hashes) in edges.iter_mut().zip([by_entries, by_tiles]) {
                for hash in hashes.iter().take(usize::from(place.width)) {
                    edge.push(*hash, |_, _, _| ());
                    if sizes.contains(&edge.size()) {
                        roots.entry(edge.size()).or_insert_with(Vec::new).push(edge.root());
                    }
                }
            }
        }
        Ok(roots)
    }

    fn check_bundle(
        &mut self,
        place: Tile,
        entries: &[&[u8]],
        left: usize,
        hashes: &[Digest],
        stored: Option<&[Digest]>,
    ) -> Result<()> {
        let name = place.path();
        let first = place.index * TILE_WIDTH;
        self.report.checked.records += entries.len() as u64;
        if entries.len() != usize::from(place.width) || left > 0 {
            let tail = if left > 0 {
                format!(" and {left} bytes that are no record")
            } else {
                String::new()
            };
            let mut failure = Failure::file(
                FailureKind::RecordCount,
                &name,
                format!("it holds {} records{tail}, where {} belong", entries.len(), place.width),
                RESTORE,
            )
            .at(format!(
                "record {} on, in `{name}`",
                first + entries.len().min(usize::from(place.width)) as u64
            ));
            failure.index = Some(first);
            self.report.fail(failure);
        }
        let differing: Vec<usize> = stored.map_or_else(Vec::new, |stored| {
            hashes
                .iter()
                .zip(stored)
                .enumerate()
                .filter(|(_, (a, b))| a != b)
                .map(|(i, _)| i)
                .collect()
        });
        if differing.is_empty() {
            for (index, entry) in (first..).zip(entries) {
                if let Err(why) = LeafView::parse(entry) {
                    let message = format!("it is in the tree, but {why}");
                    let hint = "the log was written by other software, or by a broken version: ask its operator";
                    self.report.fail(Failure::record(
                        FailureKind::RecordInvalid,
                        index,
                        &name,
                        message,
                        hint,
                    ));
                }
            }
            if stored.is_none() && !self.entries_fit(place, hashes)? {
                let message = "its hashes are gone, and the records do not lead to the signed root without them";
                let failure = Failure::file(FailureKind::RecordAltered, &name, message, RESTORE);
                self.report.fail(failure.at(range_of(place)));
            }
            return Ok(());
        }
        self.told.insert(place.index);
        let tile_name = Tile { level: Some(0), ..place }.path();
        let proven = self.is_authentic(0, place.index)?;
        if !proven && self.entries_fit(place, hashes)? {
            for i in differing.iter().take(NAMED_PER_BUNDLE) {
                let index = first + *i as u64;
                let message = "the tile's hash of this record was changed; the record itself is as it was logged";
                self.report.fail(Failure::record(
                    FailureKind::TileAltered,
                    index,
                    &tile_name,
                    message,
                    RESTORE,
                ));
            }
            return Ok(());
        }
        for i in differing.iter().take(NAMED_PER_BUNDLE) {
            let moved = stored.and_then(|stored| {
                hashes.get(*i).and_then(|hash| stored.iter().position(|s| s == hash))
            });
            let what = entries.get(*i).and_then(|entry| LeafView::parse(entry).ok());
            let what = what.map_or_else(String::new, |leaf| {
                format!(" (it now reads as `{}` of {})", leaf.kind, leaf.subject)
            });
            let message = match moved {
                Some(from) => format!(
                    "it is not the record that was logged here, but record {}{what}",
                    first + from as u64
                ),
                None if proven => format!("it is not the record that was logged{what}"),
                None => {
                    format!("record and tile disagree, and neither leads to the signed root{what}")
                }
            };
            self.report.fail(Failure::record(
                FailureKind::RecordAltered,
                first + *i as u64,
                &name,
                message,
                RESTORE,
            ));
        }
        if let Some(more) = differing.len().checked_sub(NAMED_PER_BUNDLE).filter(|more| *more > 0) {
            let message = format!("{more} more of its records are not those that were logged");
            self.report.fail(
                Failure::file(FailureKind::RecordAltered, &name, message, RESTORE)
                    .at(range_of(place)),
            );
        }
        Ok(())
    }

    /// Every tile against the hash its parent has of it, and the right edge against the root.
    pub fn check_tiles(&mut self) -> Result<()> {
        let size = self.head.size;
        for level in 0..tile::levels(size) {
            for index in 0..tile::tiles_at(Some(level), size) {
                let Some(place) = tile::tile_at(Some(level), index, size) else { break };
                let name = place.path();
                let Some(bytes) = self.snapshot.read(&name)? else { continue };
                self.report.checked.files += 1;
                self.report.checked.bytes += bytes.len() as u64;
                let Some(hashes) = tile::decode_hashes(&bytes, place.width) else {
                    let message = format!("it is not {} hashes of 32 bytes", place.width);
                    let failure = Failure::file(FailureKind::FileInvalid, &name, message, RESTORE);
                    self.report.fail(failure.at(format!("file `{name}` ({})", range_of(place))));
                    continue;
                };
                if place.is_full() {
                    self.check_parent(place, &root_of(&hashes))?;
                }
            }
        }
        if !self.edge_holds()? && self.report.ok {
            let message = "the records do not lead to the root that was signed";
            let failure = Failure::file(FailureKind::RootMismatch, "checkpoint", message, RESTORE);
            self.report.fail(failure);
        }
        Ok(())
    }

    fn check_parent(&mut self, place: Tile, root: &Digest) -> Result<()> {
        let level = place.level.unwrap_or(0);
        let Some(parent) = tile::tile_at(Some(level + 1), place.index / TILE_WIDTH, self.head.size)
        else {
            return Ok(());
        };
        let said = self.hash_of(place)?;
        if said.is_none_or(|said| said == *root) {
            return Ok(());
        }
        if !self.is_authentic(level + 1, parent.index)? {
            let name = parent.path();
            let message =
                format!("hash {} is not that of the tile below it", place.index % TILE_WIDTH);
            let failure = Failure::file(FailureKind::TileAltered, &name, message, RESTORE);
            self.report.fail(failure.at(format!(
                "hash {} in `{name}` ({})",
                place.index % TILE_WIDTH,
                range_of(place)
            )));
        } else if level > 0 {
            let name = place.path();
            let failure =
                Failure::file(FailureKind::TileAltered, &name, "its hashes were changed", RESTORE);
            self.report.fail(failure.at(format!("file `{name}` ({})", range_of(place))));
        } else if !self.told.contains(&place.index) {
            let name = Tile { level: None, ..place }.path();
            let message = "records and their hashes were changed together: they do not lead to the signed root";
            let mut failure = Failure::file(FailureKind::RecordAltered, &name, message, RESTORE)
                .at(range_of(place));
            failure.index = Some(place.records().0);
            self.report.fail(failure);
        }
        Ok(())
    }

    /// Whether the stored tile leads, by stored tiles, to the signed root.
    fn is_authentic(&mut self, level: u8, index: u64) -> Result<bool> {
        let Some(place) = tile::tile_at(Some(level), index, self.head.size) else {
            return Ok(false);
        };
        if !place.is_full() {
            return self.edge_holds();
        }
        let Some(hashes) = self.hashes(level, index)? else { return Ok(false) };
        Ok(self.hash_of(place)? == Some(root_of(&hashes))
            && self.is_authentic(level + 1, index / TILE_WIDTH)?)
    }

    /// Whether the records of a bundle lead to the signed root, whatever the tile beside them says.
    fn entries_fit(&mut self, place: Tile, hashes: &[Digest]) -> Result<bool> {
        if hashes.len() != usize::from(place.width) {
            return Ok(false);
        }
        if place.is_full() {
            let parent = Tile { level: Some(0), ..place };
            return Ok(self.hash_of(parent)? == Some(root_of(hashes))
                && self.is_authentic(1, place.index / TILE_WIDTH)?);
        }
        let Some(mut levels) = self.partial_hashes()? else { return Ok(false) };
        match levels.first_mut() {
            Some(level) => *level = hashes.to_vec(),
            None => return Ok(false),
        }
        Ok(Edge::from_parts(self.head.size, levels).root() == self.head.root)
    }

    fn edge_holds(&mut self) -> Result<bool> {
        if let Some(holds) = self.edge_holds {
            return Ok(holds);
        }
        let levels = self.partial_hashes()?;
        let holds = levels.is_some_and(|levels| {
            Edge::from_parts(self.head.size, levels).root() == self.head.root
        });
        self.edge_holds = Some(holds);
        Ok(holds)
    }

    /// The stored partial tiles by level; none when one cannot be read. A level 0 that is missing
    /// is left empty, for [`Tree::entries_fit`] to fill in.
    fn partial_hashes(&mut self) -> Result<Option<Vec<Vec<Digest>>>> {
        let size = self.head.size;
        let mut levels = Vec::new();
        for level in 0..tile::levels(size) {
            let index = tile::hashes_at(level, size) / TILE_WIDTH;
            let hashes = match tile::tile_at(Some(level), index, size) {
                None => Some(Vec::new()),
                Some(_) => self.hashes(level, index)?,
            };
            match hashes {
                Some(hashes) => levels.push(hashes),
                None if level == 0 => levels.push(Vec::new()),
                None => return Ok(None),
            }
        }
        Ok(Some(levels))
    }

    /// The hash that the parent tile has of a full tile.
    fn hash_of(&mut self, place: Tile) -> Result<Option<Digest>> {
        let hashes = self.hashes(place.level.unwrap_or(0) + 1, place.index / TILE_WIDTH)?;
        let slot = usize::try_from(place.index % TILE_WIDTH).unwrap_or(usize::MAX);
        Ok(hashes.and_then(|hashes| hashes.get(slot).copied()))
    }

    /// The hashes of a stored tile; none when it is missing or not whole.
    fn hashes(&mut self, level: u8, index: u64) -> Result<Option<Vec<Digest>>> {
        if let Some((held, hashes)) = self.last.get(&level)
            && *held == index
        {
            return Ok(hashes.clone());
        }
        let Some(place) = tile::tile_at(Some(level), index, self.head.size) else {
            return Ok(None);
        };
        let hashes = self
            .snapshot
            .read(&place.path())?
            .and_then(|bytes| tile::decode_hashes(&bytes, place.width));
        self.last.insert(level, (index, hashes.clone()));
        Ok(hashes)
    }
}

fn range_of(place: Tile) -> String {
    let (first, end) = place.records();
    format!("records {first} to {}", end.saturating_sub(1))
}
