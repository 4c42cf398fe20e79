//! A ledger folder, checked from its entries up to its signed head.

use super::snapshot::Snapshot;
use super::{Trust, heads};
use crate::checkpoint::SignedCheckpoint;
use crate::journal;
use crate::merkle::TILE_WIDTH;
use crate::note::{Algorithm, VerifierKey};
use crate::report::{Failure, FailureKind, Report};
use crate::tile::{self, Tile};
use crate::{Error, Result};
use schema::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tree::Tree;

mod tree;

/// Missing files named before the check gives up on a folder that is mostly not there.
const MISSING_MAX: u64 = 64;
pub(super) const RESTORE: &str =
    "restore it from a copy you trust; if there is none, treat these records as changed";

#[derive(Debug, Clone, Default)]
pub struct FolderOptions {
    /// Older checkpoints kept elsewhere, each with the name to call it by.
    pub against: Vec<(String, Vec<u8>)>,
}

/// Checks a ledger folder: every record, every hash, every signature, every file.
///
/// The folder may be in use by its writer. An error means that it could not be read at all; what
/// is wrong with it is in the report.
pub fn verify_folder(dir: &Path, trust: &Trust, options: &FolderOptions) -> Result<Report> {
    let snapshot = Snapshot::take(dir)?;
    let mut report = Report::new("ledger");
    let beside = read_log_key(&snapshot, trust, &mut report)?;
    let key = heads::signing_key(trust, beside.as_ref());
    let Some(head) = read_checkpoint(&snapshot, "checkpoint", &mut report)? else {
        heads::note_limits(&mut report, trust, false);
        return Ok(report);
    };
    report.size = head.checkpoint.size;
    report.root = Some(head.checkpoint.root);
    report.origin = Some(head.checkpoint.origin.clone());
    report.signer = key.filter(|key| head.is_signed_by(key)).map(VerifierKey::short);
    heads::check_signature(&mut report, key, trust.log.is_some(), &head.note, "checkpoint");
    report.trusted = trust.log.as_ref().is_some_and(|key| head.is_signed_by(key));
    if report.signer.is_none() {
        report.signer = head.note.signatures.first().map(|line| line.key());
    }

    let witnesses = read_witnesses(&snapshot, &mut report)?;
    let known: Vec<&VerifierKey> = trust.witnesses.iter().chain(&witnesses).collect();
    heads::check_cosignatures(&mut report, key, &known, &head, "checkpoint");
    let cosigned = if snapshot.files.contains("cosigned") || !witnesses.is_empty() {
        read_checkpoint(&snapshot, "cosigned", &mut report)?
    } else {
        None
    };
    // Older heads of the same log that this tree must contain, by the file that holds them.
    let mut older: Vec<(String, SignedCheckpoint)> = Vec::new();
    if let Some(cosigned) = cosigned {
        heads::check_signature(&mut report, key, trust.log.is_some(), &cosigned.note, "cosigned");
        heads::check_cosignatures(&mut report, key, &known, &cosigned, "cosigned");
        check_witnesses_used(&mut report, &witnesses, &cosigned);
        older.push(("cosigned".to_owned(), cosigned));
    }
    let signed_heads: Vec<&SignedCheckpoint> =
        std::iter::once(&head).chain(older.iter().map(|(_, head)| head)).collect();
    heads::check_witnesses_present(&mut report, trust, &signed_heads, "checkpoint");
    for (name, bytes) in &options.against {
        let given = SignedCheckpoint::parse(bytes)
            .map_err(|error| Error::BadCheckpoint(format!("`{name}`: {error}")))?;
        heads::check_signature(&mut report, key, trust.log.is_some(), &given.note, name);
        older.push((name.clone(), given));
    }

    if check_files(&snapshot, head.checkpoint.size, &mut report) {
        let sizes: BTreeSet<u64> = older.iter().map(|(_, head)| head.checkpoint.size).collect();
        let mut tree = Tree::new(&snapshot, &head.checkpoint, &mut report);
        let roots = tree.check_entries(&sizes)?;
        tree.check_tiles()?;
        for (name, old) in &older {
            compare(&mut report, &head, name, old, &roots);
        }
        // By another key: told already.
        let signer = key.filter(|key| head.is_signed_by(key));
        check_journal(&snapshot, &head, signer, &mut report)?;
    } else {
        report.not_checked.push("the records: too many files are missing".to_owned());
        for (name, old) in &older {
            compare(&mut report, &head, name, old, &BTreeMap::new());
        }
    }
    heads::note_limits(&mut report, trust, !options.against.is_empty());
    Ok(report)
}

fn missing(name: &str) -> Failure {
    Failure::file(FailureKind::FileMissing, name, "the file is missing", RESTORE)
}

fn read_log_key(
    snapshot: &Snapshot,
    trust: &Trust,
    report: &mut Report,
) -> Result<Option<VerifierKey>> {
    const NAME: &str = "log.vkey";
    let Some(bytes) = snapshot.read(NAME)? else {
        report.fail(missing(NAME));
        return Ok(None);
    };
    let key = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
        .and_then(|line| line.parse::<VerifierKey>().ok())
        .filter(|key| key.algorithm() == Algorithm::Ed25519);
    match (&key, &trust.log) {
        (None, _) => report.fail(Failure::file(
            FailureKind::FileInvalid,
            NAME,
            "it is not the vkey of a log",
            RESTORE,
        )),
        (Some(key), Some(trusted)) if key != trusted => report.fail(Failure::file(
            FailureKind::KeySwapped,
            NAME,
            format!("it holds `{}`, not `{}`, which you trust", key.short(), trusted.short()),
            "ask the operator, by a way you trust, which key is theirs and since when",
        )),
        _ => {}
    }
    Ok(key)
}

fn read_checkpoint(
    snapshot: &Snapshot,
    name: &str,
    report: &mut Report,
) -> Result<Option<SignedCheckpoint>> {
    let Some(bytes) = snapshot.read(name)? else {
        report.fail(missing(name));
        return Ok(None);
    };
    match SignedCheckpoint::parse(&bytes) {
        Ok(signed) => Ok(Some(signed)),
        Err(error) => {
            report.fail(Failure::file(FailureKind::FileInvalid, name, error.to_string(), RESTORE));
            Ok(None)
        }
    }
}

fn read_witnesses(snapshot: &Snapshot, report: &mut Report) -> Result<Vec<VerifierKey>> {
    const NAME: &str = "witnesses";
    let Some(bytes) = snapshot.read(NAME)? else { return Ok(Vec::new()) };
    let lines = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let keys: Option<Vec<VerifierKey>> =
        lines.and_then(|lines| lines.split('\n').map(|line| line.parse().ok()).collect());
    match keys {
        Some(keys) if keys.iter().all(|key| key.algorithm() == Algorithm::Cosignature) => Ok(keys),
        _ => {
            let message = "it is not a list of cosignature vkeys, one a line";
            report.fail(Failure::file(FailureKind::FileInvalid, NAME, message, RESTORE));
            Ok(Vec::new())
        }
    }
}

/// The writer keeps exactly the keys of the cosignatures it keeps.
fn check_witnesses_used(
    report: &mut Report,
    witnesses: &[VerifierKey],
    cosigned: &SignedCheckpoint,
) {
    for (i, key) in witnesses.iter().enumerate() {
        let used = cosigned.note.signatures.iter().any(|line| key.names(line));
        let again = witnesses.iter().take(i).any(|earlier| earlier == key);
        if !used || again {
            report.fail(Failure::file(
                FailureKind::FileInvalid,
                "witnesses",
                format!(
                    "`{}` is listed {}",
                    key.short(),
                    if again { "twice" } else { "but has not cosigned" }
                ),
                RESTORE,
            ));
        }
    }
}

/// Whether every file is there that a tree of `size` has, and none besides. False when so many are
/// missing that reading the rest tells nothing.
fn check_files(snapshot: &Snapshot, size: u64, report: &mut Report) -> bool {
    let mut expected: BTreeSet<String> =
        ["checkpoint", "journal", "log.vkey", "cosigned", "witnesses"].map(str::to_owned).into();
    if !snapshot.files.contains("journal") {
        report.fail(missing("journal"));
    }
    let mut absent = 0;
    for level in std::iter::once(None).chain((0..tile::levels(size)).map(Some)) {
        for index in 0..tile::tiles_at(level, size) {
            let Some(place) = tile::tile_at(level, index, size) else { break };
            let name = place.path();
            if !snapshot.files.contains(&name) {
                let (first, end) = place.records();
                let mut failure =
                    missing(&name).at(format!("records {first} to {} in `{name}`", end - 1));
                failure.index = Some(first);
                report.fail(failure);
                absent += 1;
                if absent == MISSING_MAX {
                    return false;
                }
            }
            expected.insert(name);
        }
    }
    let unknown =
        snapshot.files.iter().filter(|name| !expected.contains(*name)).chain(&snapshot.odd);
    for name in unknown {
        let message = match Tile::parse(name) {
            Some(_) => format!("the file does not belong to a tree of {size} records"),
            None => "the file is not part of a ledger".to_owned(),
        };
        let hint = if name.ends_with(".tmp") {
            "an interrupted write leaves such a file: opening the ledger removes it"
        } else {
            "find out who put it there, and remove it; if the ledger was restored, records may be missing"
        };
        report.fail(Failure::file(FailureKind::FileUnknown, name, message, hint));
    }
    true
}

/// Whether the tree contains an older head.
fn compare(
    report: &mut Report,
    head: &SignedCheckpoint,
    name: &str,
    old: &SignedCheckpoint,
    roots: &BTreeMap<u64, Vec<Digest>>,
) {
    let (now, then) = (&head.checkpoint, &old.checkpoint);
    const HINT: &str =
        "keep both checkpoints: together, signed by one key, they prove it to anyone";
    if now.origin != then.origin {
        report.fail(Failure::file(
            FailureKind::Forked,
            name,
            format!("it is of the log `{}`, this is `{}`", then.origin, now.origin),
            "compare with a checkpoint of the same log",
        ));
    } else if then.size > now.size {
        let mut failure = Failure::file(
            FailureKind::Truncated,
            name,
            format!(
                "it attests {} records, and the ledger has {}: {} were cut off",
                then.size,
                now.size,
                then.size - now.size
            ),
            HINT,
        )
        .at(format!("records {} to {}", now.size, then.size - 1));
        failure.index = Some(now.size);
        report.fail(failure);
    } else if then.size == now.size && then.root != now.root {
        report.fail(Failure::file(
            FailureKind::Forked,
            name,
            format!("two histories of {} records were signed: the roots differ", now.size),
            HINT,
        ));
    } else if let Some(found) = roots.get(&then.size)
        && !found.contains(&then.root)
    {
        report.fail(
            Failure::file(
                FailureKind::Forked,
                name,
                format!(
                    "the first {} records are not those it attests: history was rewritten",
                    then.size
                ),
                HINT,
            )
            .at(format!("records 0 to {}", then.size.saturating_sub(1))),
        );
    }
}

/// The journal repeats the newest entries; it must say the same as the tree.
fn check_journal(
    snapshot: &Snapshot,
    head: &SignedCheckpoint,
    key: Option<&VerifierKey>,
    report: &mut Report,
) -> Result<()> {
    const NAME: &str = "journal";
    const OPEN: &str = "if the server was just stopped or crashed, open the ledger once (start the server) and check again; else restore the file";
    let Some(bytes) = snapshot.read(NAME)? else { return Ok(()) };
    report.checked.files += 1;
    report.checked.bytes += bytes.len() as u64;
    let contents = journal::decode(&bytes);
    let mut invalid = |place: String, message: String| {
        report.fail(Failure::file(FailureKind::JournalInvalid, NAME, message, OPEN).at(place));
    };
    if contents.sound != bytes.len() {
        invalid(
            format!("byte {} of file `{NAME}`", contents.sound),
            "a record there is torn or was changed".to_owned(),
        );
    }
    let Some(last) = contents.records.last() else {
        if contents.sound == bytes.len() {
            invalid(format!("file `{NAME}`"), "it holds no record".to_owned());
        }
        return Ok(());
    };
    let end = last.first + last.entries.len() as u64;
    let size = head.checkpoint.size;
    let own = SignedCheckpoint::parse(last.checkpoint)
        .ok()
        .filter(|s| key.is_none_or(|key| s.is_signed_by(key)));
    match own {
        None => invalid(
            format!("file `{NAME}`"),
            "the checkpoint it ends with does not hold".to_owned(),
        ),
        Some(_) if end > size => report.fail(
            Failure::file(
                FailureKind::Unsettled,
                NAME,
                format!("it holds {} records that are not in the tree yet", end - size),
                OPEN,
            )
            .at(format!("records {size} to {} in `{NAME}`", end - 1)),
        ),
        Some(own) if own.note.text != head.note.text => {
            invalid(
                format!("file `{NAME}`"),
                format!("it ends at record {end}, with another head than `checkpoint`"),
            );
        }
        Some(_) => {}
    }
    let mut bundle: Option<(u64, Vec<u8>)> = None;
    for record in &contents.records {
        for (index, entry) in
            (record.first..).zip(&record.entries).filter(|(index, _)| *index < size)
        {
            let number = index / TILE_WIDTH;
            if bundle.as_ref().is_none_or(|(held, _)| *held != number) {
                let place = tile::tile_at(None, number, size).map(Tile::path).unwrap_or_default();
                bundle = Some((number, snapshot.read(&place)?.unwrap_or_default()));
            }
            let Some((_, bytes)) = &bundle else { continue };
            let stored = tile::split_entries(bytes)
                .0
                .get(usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX))
                .copied();
            if stored.is_some_and(|stored| stored != *entry) {
                report.fail(Failure::record(
                    FailureKind::JournalInvalid,
                    index,
                    NAME,
                    "the journal holds another record than the tree",
                    RESTORE,
                ));
            }
        }
    }
    Ok(())
}
