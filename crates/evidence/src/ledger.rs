use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::journal;
use crate::leaf::{ENTRY_BYTES_MAX, leaf_bytes};
use crate::merkle::{self, Edge, TILE_WIDTH, leaf_hash};
use crate::note::{Algorithm, VerifierKey};
use crate::tile::{self, Tile};
use crate::{Error, Result, SigningKey};
use files::Files;
use schema::{Digest, Leaf};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use uuid::Uuid;

mod files;
mod reading;
mod recovery;

/// Leaves one append may bring.
const APPEND_LEAVES_MAX: usize = 65_536;
/// Leaves one call of [`Ledger::leaves`] gives.
const READ_LEAVES_MAX: u64 = 65_536;

/// The files of a ledger folder beside `tile/`.
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const JOURNAL: &str = "journal";
pub(crate) const LOG_VKEY: &str = "log.vkey";
/// The newest checkpoint that witnesses cosigned.
pub(crate) const COSIGNED: &str = "cosigned";
/// The vkeys of those witnesses, one a line.
pub(crate) const WITNESSES: &str = "witnesses";

/// An append-only log of [`Leaf`]s in a folder, one writer at a time.
///
/// [`Ledger::append`] returns when the leaves will survive a crash: they are in the journal and
/// that is synced. The tree's own files follow without waiting, and are synced when the journal
/// has grown. Opening puts everything back to what was acknowledged, whatever a crash tore.
#[derive(Debug)]
pub struct Ledger {
    files: Files,
    origin: String,
    key: SigningKey,
    state: State,
    journal: File,
    journal_bytes: u64,
    /// What it began with: the tail at that time.
    journal_floor: u64,
    /// Tree files written since they were last synced.
    unsynced: BTreeSet<Tile>,
    /// Something failed halfway: the next append first recovers, as opening does.
    unsettled: bool,
}

/// The tree as of the last acknowledged append.
#[derive(Debug, Clone)]
struct State {
    edge: Edge,
    /// The entries of the last, partial bundle.
    tail: Vec<Vec<u8>>,
    checkpoint: String,
}

/// That a leaf is in the tree of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub index: u64,
    pub leaf: Leaf,
    /// From the leaf's sibling to the root's child (RFC 6962 §2.1.1).
    pub path: Vec<Digest>,
    /// The tree it belongs to.
    pub size: u64,
}

impl Ledger {
    /// Opens the ledger in `dir`, making it when the folder is empty or absent, and recovers it
    /// when the last writer did not end well.
    ///
    /// `origin` names the log in its checkpoints (a URL without scheme, as tlog-checkpoint advises).
    pub fn open(dir: &Path, origin: &str, key: SigningKey) -> Result<Ledger> {
        if key.verifier().algorithm() != Algorithm::Ed25519 {
            return Err(Error::BadKey(
                "it is for cosigning: a ledger signs with an Ed25519 key".to_owned(),
            ));
        }
        if origin.is_empty() || origin.chars().any(char::is_control) {
            return Err(Error::BadCheckpoint(
                "the origin must be one line of text: `plura.example/tenant`".to_owned(),
            ));
        }
        let files = Files::open(dir)?;
        let recovered = recovery::recover(&files, origin, &key)?;
        Ok(Ledger {
            files,
            origin: origin.to_owned(),
            key,
            state: recovered.state,
            journal: recovered.journal,
            journal_bytes: recovered.journal_bytes,
            journal_floor: recovered.journal_bytes,
            unsynced: BTreeSet::new(),
            unsettled: false,
        })
    }

    /// Adds leaves; all of them are durable on return, or none is added. Gives their indices.
    pub fn append(&mut self, leaves: &[Leaf]) -> Result<Range<u64>> {
        let mut entries = Vec::with_capacity(leaves.len());
        let mut bytes = 0;
        for (position, leaf) in leaves.iter().enumerate() {
            let entry = leaf_bytes(leaf);
            if entry.len() > ENTRY_BYTES_MAX {
                return Err(Error::EntryTooLarge { position, bytes: entry.len() });
            }
            bytes += entry.len() + 2;
            entries.push(entry);
        }
        if leaves.len() > APPEND_LEAVES_MAX || bytes > journal::APPEND_BYTES_MAX {
            return Err(Error::BatchTooLarge { leaves: leaves.len(), bytes });
        }
        if self.unsettled {
            self.recover()?;
        }
        let first = self.len();
        if entries.is_empty() {
            return Ok(first..first);
        }
        let (state, writes) = grow(&self.state, &entries, |edge| self.signed(edge));
        let record = journal::encode(first, &entries, &state.checkpoint);
        let _guard = self.files.committing();
        self.write_journal(&record)?;
        // From here on the leaves are in the ledger, whatever becomes of the files below.
        let before = std::mem::replace(&mut self.state, state);
        if let Err(error) = self.apply(before.edge.size(), writes) {
            tracing::warn!(%error, dir = %self.files.dir().display(), "ledger files lag behind the journal; recovering at the next append");
            self.unsettled = true;
        }
        Ok(first..self.len())
    }

    /// The newest checkpoint, a signed note, as the log itself signs it (without cosignatures).
    pub fn checkpoint(&self) -> &str {
        &self.state.checkpoint
    }

    /// How many leaves there are.
    pub fn len(&self) -> u64 {
        self.state.edge.size()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn root(&self) -> Digest {
        self.state.edge.root()
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What others need to check this ledger: hand it to them by another way than the ledger.
    pub fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// Makes the tree's own files durable and starts the journal anew. Appends do this by
    /// themselves now and then; call it before copying the folder.
    pub fn settle(&mut self) -> Result<()> {
        if self.unsettled {
            return self.recover();
        }
        let _guard = self.files.committing();
        self.settle_files()
    }

    /// For callers that are committing already.
    fn settle_files(&mut self) -> Result<()> {
        self.files.sync_tiles(&self.unsynced)?;
        let (journal, bytes) = recovery::start_journal(&self.files, &self.state)?;
        self.journal = journal;
        self.journal_bytes = bytes;
        self.journal_floor = bytes;
        self.unsynced.clear();
        Ok(())
    }

    /// Keeps a checkpoint of this ledger with the cosignatures on it, as [`crate::cosign`] gives it.
    ///
    /// Every line must be by this ledger's key or by one of `witnesses`, and hold.
    pub fn record_cosigned(&mut self, note: &str, witnesses: &[VerifierKey]) -> Result<()> {
        let refuse =
            |why: &str| Error::CosignRefused(format!("{why}: cosign a checkpoint of this ledger"));
        let signed = SignedCheckpoint::parse(note.as_bytes())?;
        let head = &signed.checkpoint;
        if head.origin != self.origin || !signed.is_signed_by(self.key.verifier()) {
            return Err(refuse("the checkpoint is not by this ledger"));
        }
        if head.size > self.len() || head.root != self.root_at(head.size)? {
            return Err(refuse("the checkpoint is not of this ledger's history"));
        }
        let mut keys = BTreeSet::new();
        for line in signed.note.signatures.iter().filter(|s| !self.key.verifier().names(s)) {
            let key = witnesses
                .iter()
                .find(|key| {
                    key.algorithm() == Algorithm::Cosignature && key.verify(&signed.note.text, line)
                })
                .ok_or_else(|| {
                    refuse(&format!("the signature by `{}` is not by a given witness", line.key()))
                })?;
            keys.insert(key.to_string());
        }
        if keys.is_empty() {
            return Err(refuse("it has no cosignature"));
        }
        let lines: String = keys.into_iter().map(|key| key + "\n").collect();
        let _guard = self.files.committing();
        self.files.replace_synced(COSIGNED, note.as_bytes())?;
        self.files.replace_synced(WITNESSES, lines.as_bytes())?;
        if head.size == self.len() {
            self.files.replace_synced(CHECKPOINT, note.as_bytes())?;
        }
        Ok(())
    }

    fn signed(&self, edge: &Edge) -> String {
        let head = Checkpoint { origin: self.origin.clone(), size: edge.size(), root: edge.root() };
        head.sign(&self.key).to_string()
    }

    fn write_journal(&mut self, record: &[u8]) -> Result<()> {
        let written = self.journal.write_all(record).and_then(|()| self.journal.sync_data());
        if let Err(source) = written {
            // Not acknowledged, so it must not come back: cut it off again, then start over.
            self.unsettled = true;
            let _ = self.journal.set_len(self.journal_bytes);
            return Err(Error::Io { path: self.files.dir().join(JOURNAL), source });
        }
        self.journal_bytes += record.len() as u64;
        Ok(())
    }

    /// Brings the tree's files up to the state, of which `writes` are new since `old_size`.
    fn apply(&mut self, old_size: u64, writes: Writes) -> Result<()> {
        for (tile, bytes) in &writes {
            self.files.replace(&tile.path(), bytes)?;
            self.unsynced.insert(*tile);
        }
        self.files.replace(CHECKPOINT, self.state.checkpoint.as_bytes())?;
        let now: BTreeSet<Tile> = tile::partials(self.len()).into_iter().collect();
        for old in tile::partials(old_size) {
            if !now.contains(&old) {
                self.files.remove_tile(old)?;
                self.unsynced.remove(&old);
            }
        }
        if self.journal_bytes - self.journal_floor > journal::SETTLE_BYTES {
            self.settle_files()?;
        }
        Ok(())
    }

    fn recover(&mut self) -> Result<()> {
        let recovered = recovery::recover(&self.files, &self.origin, &self.key)?;
        self.state = recovered.state;
        self.journal = recovered.journal;
        self.journal_bytes = recovered.journal_bytes;
        self.journal_floor = recovered.journal_bytes;
        self.unsynced.clear();
        self.unsettled = false;
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // A folder at rest has a short journal; nothing is lost when this fails.
        if !self.unsynced.is_empty() && !self.unsettled {
            let _ = self.settle();
        }
    }
}

/// Files of the tree to write, whole.
type Writes = Vec<(Tile, Vec<u8>)>;

/// The state after `entries`, and every file that differs.
fn grow(state: &State, entries: &[Vec<u8>], sign: impl FnOnce(&Edge) -> String) -> (State, Writes) {
    let mut edge = state.edge.clone();
    let mut tail = state.tail.clone();
    let mut writes = Vec::new();
    for entry in entries {
        tail.push(entry.clone());
        edge.push(leaf_hash(entry), |level, index, hashes| {
            let tile = Tile { level: Some(level), index, width: 256 };
            writes.push((tile, tile::encode_hashes(hashes)));
        });
        if tail.len() as u64 == TILE_WIDTH {
            let tile = Tile { level: None, index: edge.size() / TILE_WIDTH - 1, width: 256 };
            writes.push((tile, bundle(&tail)));
            tail.clear();
        }
    }
    let before: BTreeSet<Tile> = tile::partials(state.edge.size()).into_iter().collect();
    for tile in tile::partials(edge.size()) {
        // A partial tile of the same place and width holds the same hashes.
        if !before.contains(&tile) {
            let bytes = match tile.level {
                None => bundle(&tail),
                Some(level) => tile::encode_hashes(edge.level(usize::from(level))),
            };
            writes.push((tile, bytes));
        }
    }
    let checkpoint = sign(&edge);
    (State { edge, tail, checkpoint }, writes)
}

fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        tile::push_entry(&mut bytes, entry);
    }
    bytes
}

#[cfg(test)]
mod tests;
