//! The folder: locks, whole-file replacement, syncing.

use crate::tile::Tile;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a file is called while it is being written.
pub(crate) const UNFINISHED: &str = ".tmp";
/// How long a commit waits for readers taking their snapshot, in steps. Readers need
/// milliseconds; one that stays on does not stop the ledger.
const READER_WAIT_STEPS: u32 = 500;
const READER_WAIT_STEP: Duration = Duration::from_millis(1);

/// An open ledger folder. Holds the writer's lock, which is on the folder itself, until dropped.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    _writer: File,
    /// Locked for the moment in which files change, so that a reader can take a snapshot.
    tiles: Arc<File>,
}

/// Files may change while this lives. Not to be taken twice: dropping one unlocks.
pub(super) struct Committing(Option<Arc<File>>);

impl Drop for Committing {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            let _ = file.unlock();
        }
    }
}

impl Files {
    pub fn open(dir: &Path) -> Result<Files> {
        let tiles = dir.join("tile");
        fs::create_dir_all(&tiles).map_err(Error::io(&tiles))?;
        let writer = File::open(dir).map_err(Error::io(dir))?;
        match writer.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { path: dir.to_owned(), source });
            }
        }
        let tiles = File::open(&tiles).map_err(Error::io(&tiles))?;
        Ok(Files { dir: dir.to_owned(), _writer: writer, tiles: Arc::new(tiles) })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn committing(&self) -> Committing {
        for _ in 0..READER_WAIT_STEPS {
            match self.tiles.try_lock() {
                Ok(()) => return Committing(Some(Arc::clone(&self.tiles))),
                Err(TryLockError::WouldBlock) => std::thread::sleep(READER_WAIT_STEP),
                Err(TryLockError::Error(_)) => break,
            }
        }
        Committing(None)
    }

    /// At most `max` bytes; none when there is no such file.
    pub fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
        read_bounded(&self.dir.join(name), max)
    }

    /// Puts the file there whole; not yet durable.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes, false)
    }

    /// Puts the file there whole and durable.
    pub fn replace_synced(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes, true)?;
        let path = self.dir.join(name);
        sync_dir(path.parent().unwrap_or(&self.dir))
    }

    fn write(&self, name: &str, bytes: &[u8], sync: bool) -> Result<()> {
        let path = self.dir.join(name);
        let unfinished = self.dir.join(format!("{name}{UNFINISHED}"));
        let open = || File::create(&unfinished);
        let mut file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(&self.dir);
                fs::create_dir_all(parent).map_err(Error::io(parent))?;
                open().map_err(Error::io(&unfinished))?
            }
            opened => opened.map_err(Error::io(&unfinished))?,
        };
        file.write_all(bytes).map_err(Error::io(&unfinished))?;
        if sync {
            file.sync_all().map_err(Error::io(&unfinished))?;
        }
        fs::rename(&unfinished, &path).map_err(Error::io(&path))
    }

    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::Io { path, source: error })
            }
            _ => Ok(()),
        }
    }

    /// Removes a tile's file, and the folder of its partial tiles once that is empty.
    pub fn remove_tile(&self, tile: Tile) -> Result<()> {
        let path = tile.path();
        self.remove(&path)?;
        if let Some(parent) = Path::new(&path).parent().filter(|_| !tile.is_full()) {
            // Fails while it holds other files, which is as it should be.
            let _ = fs::remove_dir(self.dir.join(parent));
        }
        Ok(())
    }

    /// Makes these tiles, the checkpoint and their folders durable.
    pub fn sync_tiles(&self, tiles: &BTreeSet<Tile>) -> Result<()> {
        let mut dirs = BTreeSet::from([self.dir.clone()]);
        for tile in tiles {
            let path = self.dir.join(tile.path());
            File::open(&path).and_then(|file| file.sync_all()).map_err(Error::io(&path))?;
            let mut parent = path.parent();
            while let Some(dir) = parent.filter(|dir| *dir != self.dir) {
                if !dirs.insert(dir.to_owned()) {
                    break;
                }
                parent = dir.parent();
            }
        }
        let checkpoint = self.dir.join(super::CHECKPOINT);
        File::open(&checkpoint).and_then(|file| file.sync_all()).map_err(Error::io(&checkpoint))?;
        dirs.iter().try_for_each(|dir| sync_dir(dir))
    }

    /// Every file below `tile/` and unfinished ones beside it, relative to the folder.
    pub fn tree_files(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut pending = vec!["tile".to_owned()];
        while let Some(dir) = pending.pop() {
            let path = self.dir.join(&dir);
            for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
                let entry = entry.map_err(Error::io(&path))?;
                let name = format!("{dir}/{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type().map_err(Error::io(&path))?;
                if kind.is_dir() { pending.push(name) } else { found.push(name) }
            }
        }
        for name in
            [super::CHECKPOINT, super::JOURNAL, super::LOG_VKEY, super::COSIGNED, super::WITNESSES]
        {
            let name = format!("{name}{UNFINISHED}");
            if self.dir.join(&name).exists() {
                found.push(name);
            }
        }
        Ok(found)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { path: path.to_owned(), source }),
    };
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > max {
        return Err(Error::damaged(
            path.display().to_string(),
            format!("it is larger than {max} bytes"),
        ));
    }
    Ok(Some(bytes))
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(Error::io(dir))
}
