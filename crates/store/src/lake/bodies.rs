//! Long bodies, kept once per content beside the lake: `<aa>/<sha256>.zst`.

use crate::faults::Faults;
use crate::{Result, StoreError, log};
use schema::Digest;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What one body may unpack to; a capture is far smaller.
const BODY_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) struct BodyFolder {
    root: PathBuf,
    /// Folders with new names that are not durable yet.
    unsynced: Mutex<BTreeSet<PathBuf>>,
}

impl BodyFolder {
    pub fn new(root: &Path) -> BodyFolder {
        BodyFolder { root: root.to_owned(), unsynced: Mutex::default() }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let hex = digest.to_hex();
        let (shard, _) = hex.split_at(2);
        self.root.join(shard).join(format!("{hex}.zst"))
    }

    /// Stores a body, unless it is there. Durable after [`BodyFolder::sync`].
    pub fn put(&self, digest: Digest, body: &str, faults: &Faults) -> Result<()> {
        let path = self.path(digest);
        if path.exists() {
            return Ok(());
        }
        let failed = |error: &io::Error| StoreError::io("keep a body", error);
        let packed = zstd::bulk::compress(body.as_bytes(), 3).map_err(|e| failed(&e))?;
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        // A body is complete under its own name or not there: the name is given last.
        let partial = path.with_extension("part");
        let written = faults.write(packed.len()).and_then(|()| {
            fs::create_dir_all(&folder)?;
            let mut file = File::create(&partial)?;
            file.write_all(&packed)?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        });
        if let Err(error) = written {
            let _ = fs::remove_file(&partial);
            return Err(failed(&error));
        }
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).insert(folder);
        Ok(())
    }

    /// Makes the names of new bodies durable.
    pub fn sync(&self) -> Result<()> {
        let folders =
            std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        if folders.is_empty() {
            return Ok(());
        }
        let failed = |error: &io::Error| StoreError::io("keep a body", error);
        for folder in folders {
            log::sync_folder(&folder).map_err(|e| failed(&e))?;
        }
        log::sync_folder(&self.root).map_err(|e| failed(&e))
    }

    /// The body, or `None` when it is gone (deleted by retention meanwhile) or damaged.
    pub fn read(&self, digest: Digest) -> Option<String> {
        let file = File::open(self.path(digest)).ok()?;
        let mut text = String::new();
        zstd::Decoder::new(file).ok()?.take(BODY_BYTES_MAX).read_to_string(&mut text).ok()?;
        if schema::sha256(text.as_bytes()) != digest {
            tracing::warn!(%digest, "a kept body does not match its digest");
            return None;
        }
        Some(text)
    }

    pub fn remove(&self, digest: Digest) -> Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove a body", &error))
            }
            _ => Ok(()),
        }
    }
}
