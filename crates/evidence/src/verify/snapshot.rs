//! The folder as it was at one moment, while its writer may go on.

use crate::Error;
use crate::note::NOTE_BYTES_MAX;
use crate::tile::{BUNDLE_BYTES_MAX, HASH_BYTES, Tile};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for a writer in the middle of a commit: milliseconds as a rule.
const WRITER_WAIT_STEPS: u32 = 200;
const WRITER_WAIT_STEP: Duration = Duration::from_millis(10);
/// `tile/0/x001/x234/x067/000.p/255` and no deeper.
const DEPTH_MAX: usize = 12;
/// Files listed; 4 M are a ledger of 500 M records.
const FILES_MAX: usize = 4_000_000;

/// Small files and the tree's right edge are held; whole tiles never change and are read later.
#[derive(Debug)]
pub(super) struct Snapshot {
    dir: PathBuf,
    held: BTreeMap<String, Vec<u8>>,
    pub files: BTreeSet<String>,
    /// Names that are neither file nor folder (links, pipes), or not UTF-8.
    pub odd: Vec<String>,
}

impl Snapshot {
    pub fn take(dir: &Path) -> Result<Snapshot, Error> {
        let lock = File::open(dir.join("tile")).ok();
        let mut locked = false;
        if let Some(file) = &lock {
            for _ in 0..WRITER_WAIT_STEPS {
                match file.try_lock_shared() {
                    Ok(()) => {
                        locked = true;
                        break;
                    }
                    Err(fs::TryLockError::WouldBlock) => std::thread::sleep(WRITER_WAIT_STEP),
                    // A file system without locks: then there is no writer here either.
                    Err(fs::TryLockError::Error(_)) => break,
                }
            }
        }
        let mut snapshot = Snapshot {
            dir: dir.to_owned(),
            held: BTreeMap::new(),
            files: BTreeSet::new(),
            odd: Vec::new(),
        };
        snapshot.list(Path::new(""), 0)?;
        let changing: Vec<String> = snapshot
            .files
            .iter()
            .filter(|name| Tile::parse(name).is_none_or(|tile| !tile.is_full()))
            .filter(|name| limit(name).is_some())
            .cloned()
            .collect();
        for name in changing {
            let bytes = snapshot.read_from_disk(&name)?;
            snapshot.held.insert(name, bytes);
        }
        if locked && let Some(file) = lock {
            let _ = file.unlock();
        }
        Ok(snapshot)
    }

    /// The file's bytes, cut off one byte above what such a file may have; none if there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Some(bytes) = self.held.get(name) {
            return Ok(Some(bytes.clone()));
        }
        if !self.files.contains(name) {
            return Ok(None);
        }
        self.read_from_disk(name).map(Some)
    }

    fn read_from_disk(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.dir.join(name);
        let file = File::open(&path).map_err(Error::io(&path))?;
        let mut bytes = Vec::new();
        file.take(limit(name).unwrap_or(0) + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::io(&path))?;
        Ok(bytes)
    }

    fn list(&mut self, below: &Path, depth: usize) -> Result<(), Error> {
        let path = self.dir.join(below);
        for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
            let entry = entry.map_err(Error::io(&path))?;
            let relative = below.join(entry.file_name());
            let name = relative.to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(Error::io(&path))?;
            let readable = relative.to_str().is_some();
            if kind.is_dir() && depth < DEPTH_MAX {
                self.list(&relative, depth + 1)?;
            } else if kind.is_file() && readable && self.files.len() < FILES_MAX {
                self.files.insert(name);
            } else {
                self.odd.push(name);
            }
        }
        Ok(())
    }
}

/// The most bytes a file of that name may have; none for names we do not know.
fn limit(name: &str) -> Option<u64> {
    match name {
        "checkpoint" | "cosigned" | "log.vkey" | "witnesses" => Some(NOTE_BYTES_MAX as u64),
        "journal" => Some(crate::journal::JOURNAL_BYTES_MAX),
        _ => Tile::parse(name).map(|tile| match tile.level {
            None => BUNDLE_BYTES_MAX,
            Some(_) => u64::from(tile.width) * HASH_BYTES as u64,
        }),
    }
}
