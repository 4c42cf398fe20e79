//! Back to what was acknowledged, whatever a crash left.
//!
//! The order of writing is: journal (synced), then tree files, then checkpoint. So the journal is
//! never behind the tree, and holds every entry since the last bundle boundary at which the tree's
//! files were synced: everything a crash can have torn is rebuilt from it and from files synced
//! before. A torn last record was never acknowledged and is dropped. When the checkpoint file is
//! ahead of the journal, the journal was damaged by something else than a crash; the tree is then
//! taken from its files, if they are whole. Nothing is ever rolled back in silence: what cannot be
//! brought together is an error.

use super::files::UNFINISHED;
use super::{CHECKPOINT, Files, JOURNAL, LOG_VKEY, State, Writes, grow};
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::journal::{self, HEADER, JOURNAL_BYTES_MAX};
use crate::merkle::{Edge, TILE_WIDTH, root_of};
use crate::note::{NOTE_BYTES_MAX, VerifierKey};
use crate::tile::{self, BUNDLE_BYTES_MAX, Tile};
use crate::{Error, Result, SigningKey};
use schema::Digest;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};

pub(super) struct Recovered {
    pub state: State,
    pub journal: File,
    pub journal_bytes: u64,
}

/// A tree that the folder claims to hold: its head, and the entries from `first` on.
struct Claim {
    signed: SignedCheckpoint,
    first: u64,
    entries: Vec<Vec<u8>>,
}

pub(super) fn recover(files: &Files, origin: &str, key: &SigningKey) -> Result<Recovered> {
    let journal = files.read(JOURNAL, JOURNAL_BYTES_MAX)?;
    let journalled = claim_of_journal(journal.as_deref().unwrap_or(&[]));
    let stored = files
        .read(CHECKPOINT, NOTE_BYTES_MAX as u64)?
        .and_then(|bytes| SignedCheckpoint::parse(&bytes).ok());
    for signed in
        [journalled.as_ref().map(|claim| &claim.signed), stored.as_ref()].into_iter().flatten()
    {
        check_owner(files, origin, key.verifier(), signed)?;
    }
    // A line that names our key and does not hold is a torn file, not a head.
    let stored = stored.filter(|signed| signed.is_signed_by(key.verifier()));
    let journalled = journalled.filter(|claim| claim.signed.is_signed_by(key.verifier()));

    let stored_size = stored.as_ref().map(|signed| signed.checkpoint.size);
    let claim = match (journalled, stored.clone()) {
        (Some(claim), _) if stored_size.is_none_or(|size| size <= claim.signed.checkpoint.size) => {
            claim
        }
        (_, Some(signed)) => claim_of_files(files, signed)?,
        (Some(claim), None) => claim,
        (None, None) => new_ledger(files, origin, key)?,
    };
    let (state, writes) = rebuild(files, &claim, key.verifier())?;
    check_nothing_beyond(files, state.edge.size())?;

    let _guard = files.committing();
    let vkey = format!("{}\n", key.verifier());
    if files.read(LOG_VKEY, NOTE_BYTES_MAX as u64).ok().flatten().as_deref()
        != Some(vkey.as_bytes())
    {
        files.replace_synced(LOG_VKEY, vkey.as_bytes())?;
    }
    let mut unsynced = BTreeSet::new();
    for (tile, bytes) in &writes {
        files.replace(&tile.path(), bytes)?;
        unsynced.insert(*tile);
    }
    // A stored note of the same head may carry cosignatures besides.
    if stored.is_none_or(|signed| signed.note.text != claim.signed.note.text) {
        files.replace(CHECKPOINT, state.checkpoint.as_bytes())?;
    }
    files.sync_tiles(&unsynced)?;
    remove_leftovers(files, state.edge.size())?;
    let (journal, journal_bytes) = start_journal(files, &state)?;
    Ok(Recovered { state, journal, journal_bytes })
}

/// A new journal, durable, that begins with the tail; open for appending.
pub(super) fn start_journal(files: &Files, state: &State) -> Result<(File, u64)> {
    let first = state.edge.size() - state.tail.len() as u64;
    let mut bytes = HEADER.to_vec();
    bytes.extend(journal::encode(first, &state.tail, &state.checkpoint));
    files.replace_synced(JOURNAL, &bytes)?;
    let path = files.path(JOURNAL);
    let file = OpenOptions::new().append(true).open(&path).map_err(Error::io(&path))?;
    Ok((file, bytes.len() as u64))
}

fn claim_of_journal(bytes: &[u8]) -> Option<Claim> {
    let contents = journal::decode(bytes);
    let first = contents.records.first()?.first;
    let signed = SignedCheckpoint::parse(contents.records.last()?.checkpoint).ok()?;
    let entries =
        contents.records.iter().flat_map(|r| r.entries.iter().map(|e| e.to_vec())).collect();
    Some(Claim { signed, first, entries })
}

fn claim_of_files(files: &Files, signed: SignedCheckpoint) -> Result<Claim> {
    let size = signed.checkpoint.size;
    let first = size - size % TILE_WIDTH;
    let entries = match tile::tile_at(None, first / TILE_WIDTH, size) {
        None => Vec::new(),
        Some(tile) => files
            .read(&tile.path(), BUNDLE_BYTES_MAX)?
            .and_then(|bytes| journal::whole_bundle(&bytes, u64::from(tile.width)))
            .ok_or_else(|| {
                Error::damaged(tile.path(), "its entries cannot be read, nor found in the journal")
            })?,
    };
    Ok(Claim { signed, first, entries })
}

fn new_ledger(files: &Files, origin: &str, key: &SigningKey) -> Result<Claim> {
    if let Some(name) = files.tree_files()?.into_iter().find(|name| !name.ends_with(UNFINISHED)) {
        return Err(Error::damaged(
            name,
            "there are entries, but neither checkpoint nor journal can be read",
        ));
    }
    let head = Checkpoint { origin: origin.to_owned(), size: 0, root: Edge::default().root() };
    let note = head.sign(key);
    Ok(Claim { signed: SignedCheckpoint { checkpoint: head, note }, first: 0, entries: Vec::new() })
}

/// Whether someone else's ledger lies here.
fn check_owner(
    files: &Files,
    origin: &str,
    key: &VerifierKey,
    signed: &SignedCheckpoint,
) -> Result<()> {
    let dir = files.dir().to_owned();
    if !signed.note.signatures.iter().any(|line| key.names(line)) {
        let found = signed.note.signatures.first().map_or_else(String::new, |line| line.key());
        return Err(Error::WrongKey { dir, found, given: key.short() });
    }
    if signed.is_signed_by(key) && signed.checkpoint.origin != origin {
        return Err(Error::WrongOrigin {
            dir,
            found: signed.checkpoint.origin.clone(),
            given: origin.to_owned(),
        });
    }
    Ok(())
}

/// The tree of a claim, proven by its signed root, and every file of it from the claim's first
/// entry on.
fn rebuild(files: &Files, claim: &Claim, key: &VerifierKey) -> Result<(State, Writes)> {
    let head = &claim.signed.checkpoint;
    let mut levels = vec![Vec::new()];
    // What is before the claim's entries was synced: its hashes are the roots of its full tiles.
    for level in 1..tile::levels(claim.first) {
        let count = tile::hashes_at(level, claim.first);
        let from = count - count % TILE_WIDTH;
        let hashes: Result<Vec<Digest>> =
            (from..count).map(|index| full_tile_root(files, level - 1, index)).collect();
        levels.push(hashes?);
    }
    let base = State {
        edge: Edge::from_parts(claim.first, levels),
        tail: Vec::new(),
        checkpoint: String::new(),
    };
    // The journal and the state hold the log's own lines only, no cosignatures.
    let mut own = claim.signed.note.clone();
    own.signatures.retain(|line| key.names(line));
    let text = own.to_string();
    let (state, mut writes) = grow(&base, &claim.entries, |_| text);
    if state.edge.size() != head.size || state.edge.root() != head.root {
        return Err(Error::damaged(
            CHECKPOINT,
            format!(
                "the tree in the files is not the tree of {} records that was signed",
                head.size
            ),
        ));
    }
    // `grow` leaves out partial tiles that the base has too; here any file may be torn.
    let written: BTreeSet<Tile> = writes.iter().map(|(tile, _)| *tile).collect();
    for tile in tile::partials(head.size) {
        if let Some(level) = tile.level.filter(|_| !written.contains(&tile)) {
            writes.push((tile, tile::encode_hashes(state.edge.level(usize::from(level)))));
        }
    }
    Ok((state, writes))
}

fn full_tile_root(files: &Files, level: u8, index: u64) -> Result<Digest> {
    let tile = Tile { level: Some(level), index, width: 256 };
    let bytes = files.read(&tile.path(), 256 * tile::HASH_BYTES as u64)?;
    let hashes = bytes.and_then(|bytes| tile::decode_hashes(&bytes, tile.width));
    hashes
        .map(|hashes| root_of(&hashes))
        .ok_or_else(|| Error::damaged(tile.path(), "it is missing or not 256 hashes"))
}

/// Files of a larger tree mean that acknowledged records were lost from journal and checkpoint.
fn check_nothing_beyond(files: &Files, size: u64) -> Result<()> {
    for name in files.tree_files()? {
        if let Some(tile) = Tile::parse(&name)
            && !is_within(tile, size)
        {
            return Err(Error::damaged(
                name,
                format!(
                    "it belongs to a larger tree than the {size} records that journal and checkpoint hold"
                ),
            ));
        }
    }
    Ok(())
}

fn is_within(tile: Tile, size: u64) -> bool {
    tile::tile_at(tile.level, tile.index, size).is_some_and(|now| tile.width <= now.width)
}

fn remove_leftovers(files: &Files, size: u64) -> Result<()> {
    for name in files.tree_files()? {
        let stale = Tile::parse(&name)
            .filter(|tile| tile::tile_at(tile.level, tile.index, size) != Some(*tile));
        if let Some(tile) = stale {
            files.remove_tile(tile)?;
        } else if name.ends_with(UNFINISHED) {
            files.remove(&name)?;
        }
    }
    Ok(())
}
