//! Appending, proving, and coming back after a crash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{ORIGIN, copy, files, leaf, leaves, ledger_of, open, other_key, trust};
use evidence::{
    Error, FolderOptions, Ledger, Report, SignedCheckpoint, consistency_holds, leaf_bytes,
    leaf_hash, root_from_inclusion, verify_folder,
};
use std::path::Path;

fn verify(dir: &Path) -> Report {
    verify_folder(dir, &trust(), &FolderOptions::default()).unwrap()
}

fn assert_clean(dir: &Path, size: u64) {
    let report = verify(dir);
    assert!(report.ok, "{:#?}", report.failures);
    assert_eq!((report.size, report.trusted), (size, true));
}

#[test]
fn what_is_appended_is_read_proven_and_verified_in_any_batching() {
    let one = common::scratch();
    let many = common::scratch();
    let mut ledger = open(one.path());
    assert_clean(one.path(), 0);
    let mut first = 0;
    for step in [1, 1, 253, 1, 1, 255, 300, 700] {
        assert_eq!(ledger.append(&leaves(first..first + step)).unwrap(), first..first + step);
        first += step;
        assert_clean(one.path(), first);
    }
    let whole = ledger_of(many.path(), first);
    assert_eq!(whole.checkpoint(), ledger.checkpoint(), "batching leaves no trace");

    let root = ledger.root();
    for index in [0, 1, 255, 256, 511, 512, 1023, 1024, first - 1] {
        let proof = ledger.prove(index).unwrap();
        assert_eq!(proof.leaf, leaf(index));
        let hash = leaf_hash(&leaf_bytes(&proof.leaf));
        assert_eq!(root_from_inclusion(index, first, hash, &proof.path), Some(root));
    }
    for old in [1, 255, 256, 257, 700, first] {
        let path = ledger.consistency(old).unwrap();
        assert!(consistency_holds(old, first, ledger.root_at(old).unwrap(), root, &path), "{old}");
    }
    assert_eq!(ledger.leaves(250..520).unwrap(), leaves(250..520));
    assert!(matches!(ledger.prove(first), Err(Error::OutOfRange { .. })));
    assert!(matches!(ledger.leaves(0..first + 1), Err(Error::OutOfRange { .. })));
}

#[test]
fn a_leaf_too_large_is_refused_and_nothing_of_its_batch_is_added() {
    let dir = common::scratch();
    let mut ledger = ledger_of(dir.path(), 3);
    let mut large = leaf(4);
    large.reason = "x".repeat(66_000);
    let refused = ledger.append(&[leaf(3), large]).unwrap_err();
    assert_eq!(refused.code(), "leaf-too-large");
    assert!(refused.to_string().contains("leaf 1 "));
    assert_eq!(ledger.append(&[leaf(3)]).unwrap(), 3..4);
    assert_clean(dir.path(), 4);
}

#[test]
fn one_writer_its_own_key_and_its_own_origin() {
    let dir = common::scratch();
    let ledger = ledger_of(dir.path(), 3);
    assert!(matches!(Ledger::open(dir.path(), ORIGIN, common::key()), Err(Error::Locked(_))));
    drop(ledger);
    assert!(matches!(Ledger::open(dir.path(), ORIGIN, other_key()), Err(Error::WrongKey { .. })));
    assert!(matches!(
        Ledger::open(dir.path(), "plura.example/other", common::key()),
        Err(Error::WrongOrigin { .. })
    ));
    assert_eq!(open(dir.path()).len(), 3);
}

/// A crash while the second append was being written to the journal: any prefix of it, or any
/// garbage in its place, may be there. The tree's files are those of before.
#[test]
fn a_torn_append_is_gone_whole_and_what_was_acknowledged_is_there_whole() {
    let dir = common::scratch();
    let live = dir.path().join("live");
    let mut ledger = ledger_of(&live, 260);
    let before = dir.path().join("before");
    copy(&live, &before);
    ledger.append(&leaves(260..261)).unwrap();
    let journal = std::fs::read(live.join("journal")).unwrap();
    let old = std::fs::read(before.join("journal")).unwrap().len();
    assert!(journal.len() > old);
    let crashed = dir.path().join("crashed");
    for cut in old..=journal.len() {
        copy(&before, &crashed);
        let mut torn = journal[..cut].to_vec();
        std::fs::write(crashed.join("journal"), &torn).unwrap();
        let expected = if cut == journal.len() { 261 } else { 260 };
        assert_eq!(open(&crashed).len(), expected, "cut at {cut}");
        if cut % 16 == 0 || cut == journal.len() {
            assert_clean(&crashed, expected);
        }
        if cut < journal.len() {
            // The file grew, and what was to fill it did not get there.
            copy(&before, &crashed);
            torn.resize(journal.len(), 0);
            std::fs::write(crashed.join("journal"), &torn).unwrap();
            let mut reopened = open(&crashed);
            assert_eq!(reopened.len(), 260, "zeros from {cut}");
            assert_eq!(reopened.append(&leaves(260..261)).unwrap(), 260..261);
        }
    }
}

/// Tree files are not synced one by one: after a power cut any of those written since may be
/// short, empty, stale or absent. The journal has it all.
#[test]
fn any_torn_file_of_the_tree_is_rebuilt() {
    let dir = common::scratch();
    let live = dir.path().join("live");
    let mut ledger = ledger_of(&live, 250);
    ledger.append(&leaves(250..515)).unwrap();
    let reference = dir.path().join("reference");
    copy(&live, &reference);
    let checkpoint = ledger.checkpoint().to_owned();
    drop(ledger);
    let crashed = dir.path().join("crashed");
    let mut tried = 0;
    for name in files(&reference).into_iter().filter(|name| name != "journal") {
        let bytes = std::fs::read(reference.join(&name)).unwrap();
        // A spread of cuts through each.
        for cut in (0..bytes.len()).step_by(bytes.len().div_ceil(24)) {
            copy(&reference, &crashed);
            std::fs::write(crashed.join(&name), &bytes[..cut]).unwrap();
            let reopened = open(&crashed);
            assert_eq!(reopened.checkpoint(), checkpoint, "{name} cut at {cut}");
            drop(reopened);
            if tried % 4 == 0 {
                assert_clean(&crashed, 515);
            }
            tried += 1;
        }
        copy(&reference, &crashed);
        std::fs::remove_file(crashed.join(&name)).unwrap();
        std::fs::write(crashed.join("checkpoint.tmp"), b"half").unwrap();
        drop(open(&crashed));
        assert_clean(&crashed, 515);
    }
    assert!(tried > 150, "{tried}");
}

/// All of the tree's files at once, as an unlucky power cut would have it.
#[test]
fn the_journal_alone_brings_back_what_was_not_settled() {
    let dir = common::scratch();
    let live = dir.path().join("live");
    let mut ledger = open(&live);
    ledger.append(&leaves(0..400)).unwrap();
    ledger.settle().unwrap();
    ledger.append(&leaves(400..900)).unwrap();
    let crashed = dir.path().join("crashed");
    copy(&live, &crashed);
    for name in files(&crashed) {
        let settled = name == "tile/entries/000" || name == "tile/0/000" || name == "journal";
        if !settled {
            std::fs::write(crashed.join(&name), b"torn").unwrap();
        }
    }
    let reopened = open(&crashed);
    assert_eq!(reopened.checkpoint(), ledger.checkpoint());
    assert_eq!(reopened.leaves(0..900).unwrap(), leaves(0..900));
    assert_clean(&crashed, 900);
}

#[test]
fn damage_that_no_crash_makes_is_never_rolled_back_in_silence() {
    let dir = common::scratch();
    let live = dir.path().join("live");
    let mut ledger = ledger_of(&live, 300);
    let early = std::fs::read(live.join("journal")).unwrap();
    ledger.append(&leaves(300..310)).unwrap();
    drop(ledger);
    let damaged = dir.path().join("damaged");

    // The journal is lost, the tree is whole: it is taken from the tree.
    copy(&live, &damaged);
    std::fs::remove_file(damaged.join("journal")).unwrap();
    assert_eq!(open(&damaged).len(), 310);

    // The journal went back in time, and the checkpoint with it: records would be lost.
    copy(&live, &damaged);
    std::fs::write(damaged.join("journal"), &early).unwrap();
    std::fs::write(damaged.join("checkpoint"), b"").unwrap();
    let refused = Ledger::open(&damaged, ORIGIN, common::key()).unwrap_err();
    assert!(
        matches!(&refused, Error::Damaged { place, .. } if place.contains(".p/54")),
        "{refused}"
    );

    // Neither is left, but there are records: that is not a new ledger.
    std::fs::remove_file(damaged.join("journal")).unwrap();
    assert!(matches!(Ledger::open(&damaged, ORIGIN, common::key()), Err(Error::Damaged { .. })));

    // An old, settled tile that is wrong stops the ledger and is named.
    copy(&live, &damaged);
    let mut tile = std::fs::read(damaged.join("tile/0/000")).unwrap();
    tile[77] ^= 1;
    std::fs::write(damaged.join("tile/0/000"), tile).unwrap();
    assert!(matches!(Ledger::open(&damaged, ORIGIN, common::key()), Err(Error::Damaged { .. })));
}

/// `kill -9` of a process that appends: this test binary runs itself as that process.
#[test]
fn killed_at_any_moment_every_acknowledged_leaf_is_there() {
    const ROLE: &str = "EVIDENCE_TEST_APPENDER";
    if let Ok(dir) = std::env::var(ROLE) {
        let dir = Path::new(&dir);
        let mut ledger = open(&dir.join("ledger"));
        let mut acknowledged =
            std::fs::OpenOptions::new().append(true).open(dir.join("acknowledged")).unwrap();
        loop {
            let first = ledger.len();
            let end = ledger.append(&leaves(first..first + 37)).unwrap().end;
            std::io::Write::write_all(&mut acknowledged, &end.to_be_bytes()).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("acknowledged"), b"").unwrap();
    let mut random = common::Random(5);
    let mut total = 0;
    for round in 0..8 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed_at_any_moment_every_acknowledged_leaf_is_there",
                "--nocapture",
            ])
            .env(ROLE, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Killed once it has got going: after a number of acknowledgements, not after a time.
        let target = total + 37 * (1 + random.next() % 40);
        let acknowledged = || {
            let bytes = std::fs::read(dir.path().join("acknowledged")).unwrap();
            bytes.as_chunks::<8>().0.last().map_or(0, |last| u64::from_be_bytes(*last))
        };
        while acknowledged() < target {
            assert_eq!(child.try_wait().unwrap(), None, "the appender stopped by itself");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let ledger = open(&dir.path().join("ledger"));
        total = ledger.len();
        assert!(total >= acknowledged(), "round {round}: {total} of {}", acknowledged());
        assert_eq!(total % 37, 0, "an append is there whole or not at all");
        for first in (0..total).step_by(1000) {
            let end = total.min(first + 1000);
            assert_eq!(ledger.leaves(first..end).unwrap(), leaves(first..end));
        }
        drop(ledger);
        assert_clean(&dir.path().join("ledger"), total);
    }
}

#[test]
fn a_reader_checks_while_the_writer_writes() {
    let dir = common::scratch();
    let path = dir.path().join("ledger");
    let mut ledger = ledger_of(&path, 10);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..150 {
                let first = ledger.len();
                ledger.append(&leaves(first..first + 7)).unwrap();
                if i % 40 == 39 {
                    ledger.settle().unwrap();
                }
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let mut last = 0;
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let report = verify(&path);
            assert!(report.ok, "{:#?}", report.failures);
            assert!(report.size >= last);
            last = report.size;
        }
    });
    assert_clean(&path, 10 + 150 * 7);
}

/// A disk that is full for tiles, say: the leaves are in the journal, and that is what counts.
#[test]
fn a_tree_that_cannot_be_written_loses_nothing() {
    let dir = common::scratch();
    let mut ledger = ledger_of(dir.path(), 300);
    let bundles = dir.path().join("tile/entries");
    let aside = dir.path().join("aside");
    std::fs::rename(&bundles, &aside).unwrap();
    std::fs::write(&bundles, b"in the way").unwrap();
    assert_eq!(ledger.append(&leaves(300..310)).unwrap(), 300..310, "acknowledged");
    assert_eq!(ledger.append(&leaves(310..311)).unwrap_err().code(), "ledger-io");
    std::fs::remove_file(&bundles).unwrap();
    std::fs::rename(&aside, &bundles).unwrap();
    assert_eq!(ledger.append(&leaves(310..311)).unwrap(), 310..311);
    assert_eq!(ledger.leaves(0..311).unwrap(), leaves(0..311));
    assert_clean(dir.path(), 311);
}

#[test]
fn the_checkpoint_is_a_signed_note_of_the_tree() {
    let dir = common::scratch();
    let ledger = ledger_of(dir.path(), 5);
    let signed = SignedCheckpoint::parse(ledger.checkpoint().as_bytes()).unwrap();
    assert!(signed.is_signed_by(ledger.verifier()));
    assert_eq!((signed.checkpoint.size, signed.checkpoint.root), (5, ledger.root()));
    assert_eq!(
        std::fs::read_to_string(dir.path().join("checkpoint")).unwrap(),
        ledger.checkpoint()
    );
}
