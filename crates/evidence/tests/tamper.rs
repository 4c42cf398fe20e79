//! What was changed is found and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{
    Random, contents, copy, files, history, leaf, leaves, ledger_of, open, other_key, package,
    trust, witness,
};
use evidence::{
    Error, FailureKind, FolderOptions, Ledger, Package, Previous, Report, SignedCheckpoint, Trust,
    cosign, leaf_bytes, verify_folder, verify_package,
};
use std::path::Path;

fn verify(dir: &Path) -> Report {
    verify_folder(dir, &trust(), &FolderOptions::default()).unwrap()
}

fn verify_against(dir: &Path, checkpoint: &str) -> Report {
    let options = FolderOptions {
        against: vec![("kept.checkpoint".to_owned(), checkpoint.as_bytes().to_vec())],
    };
    verify_folder(dir, &trust(), &options).unwrap()
}

fn kinds(report: &Report) -> Vec<FailureKind> {
    let mut kinds: Vec<FailureKind> = report.failures.iter().map(|f| f.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn assert_named(report: &Report, what: &str) {
    assert!(!report.ok && !report.failures.is_empty(), "not noticed: {what}");
    for failure in &report.failures {
        assert!(
            !failure.place.is_empty() && !failure.hint.is_empty() && !failure.message.is_empty(),
            "{what}"
        );
    }
}

/// A cosigned ledger of 700 leaves: every kind of file there is.
fn cosigned_ledger(dir: &Path) -> Ledger {
    cosigned_of(dir, 700)
}

fn cosigned_of(dir: &Path, count: u64) -> Ledger {
    let mut ledger = ledger_of(dir, count);
    let note = cosign(ledger.checkpoint(), ledger.verifier(), &witness(), 1_700_000_300_000, None)
        .unwrap();
    ledger.record_cosigned(&note, &[witness().verifier().clone()]).unwrap();
    ledger
}

#[test]
fn every_random_byte_change_in_a_ledger_is_found_and_the_record_named() {
    let dir = common::scratch();
    let clean = dir.path().join("clean");
    drop(cosigned_ledger(&clean));
    let report =
        verify_folder(&clean, &common::trust_with_witness(), &FolderOptions::default()).unwrap();
    assert!(report.ok, "{:#?}", report.failures);
    assert_eq!(report.cosigned.len(), 1);

    let names = files(&clean);
    assert_eq!(
        names,
        [
            "checkpoint",
            "cosigned",
            "journal",
            "log.vkey",
            "tile/0/000",
            "tile/0/001",
            "tile/0/002.p/188",
            "tile/1/000.p/2",
            "tile/entries/000",
            "tile/entries/001",
            "tile/entries/002.p/188",
            "witnesses",
        ]
    );
    let mut random = Random(2026);
    for round in 0..312 {
        // Each file in turn, so that the small ones are hit as often as the large ones.
        let name = &names[round % names.len()];
        let path = clean.join(name);
        let bytes = std::fs::read(&path).unwrap();
        let place = random.below(bytes.len());
        let mut changed = bytes.clone();
        changed[place] ^= u8::try_from(1 + random.below(255)).unwrap();
        std::fs::write(&path, &changed).unwrap();
        let what = format!("byte {place} of {name}");
        // With and without a trusted key: integrity does not hang on trust.
        let trust = if round % 2 == 0 { trust() } else { Trust::default() };
        let report = verify_folder(&clean, &trust, &FolderOptions::default()).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_named(&report, &what);
        assert!(
            report.failures.iter().any(|f| f.file.as_deref() == Some(name)),
            "{what}: {:#?}",
            report.failures
        );
        if name.starts_with("tile/entries") {
            // The record itself is named, unless the byte was a length and the rest cannot be told apart.
            let index = record_at(&bytes, place)
                + 256
                    * names
                        .iter()
                        .filter(|n| n.starts_with("tile/entries") && n.as_str() < name.as_str())
                        .count() as u64;
            let named = report
                .failures
                .iter()
                .any(|f| f.index == Some(index) || f.kind == FailureKind::RecordCount);
            assert!(named, "{what}: record {index}: {:#?}", report.failures);
        }
    }
    assert!(verify(&clean).ok, "put back as it was");
}

/// Which entry of a bundle a byte belongs to.
fn record_at(bundle: &[u8], place: usize) -> u64 {
    let (mut at, mut index) = (0, 0);
    loop {
        at += 2 + usize::from(u16::from_be_bytes([bundle[at], bundle[at + 1]]));
        if place < at {
            return index;
        }
        index += 1;
    }
}

#[test]
fn every_byte_of_checkpoint_cosignature_and_keys_counts() {
    let dir = common::scratch();
    drop(cosigned_of(dir.path(), 2));
    for name in ["checkpoint", "cosigned", "log.vkey", "witnesses"] {
        let path = dir.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x20;
            std::fs::write(&path, &changed).unwrap();
            let trust = if place % 2 == 0 { trust() } else { Trust::default() };
            let report = verify_folder(dir.path(), &trust, &FolderOptions::default()).unwrap();
            assert_named(&report, &format!("byte {place} of {name}"));
        }
        std::fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_deleted_an_added_a_cut_and_a_grown_file_are_found() {
    let dir = common::scratch();
    let clean = dir.path().join("clean");
    drop(cosigned_ledger(&clean));
    let changed = dir.path().join("changed");
    for name in files(&clean) {
        copy(&clean, &changed);
        std::fs::remove_file(changed.join(&name)).unwrap();
        assert_named(&verify(&changed), &format!("{name} deleted"));

        copy(&clean, &changed);
        let bytes = std::fs::read(clean.join(&name)).unwrap();
        std::fs::write(changed.join(&name), &bytes[..bytes.len() - 1]).unwrap();
        assert_named(&verify(&changed), &format!("{name} cut"));
        std::fs::write(changed.join(&name), [&bytes[..], b"\n"].concat()).unwrap();
        assert_named(&verify(&changed), &format!("{name} grown"));
    }
    for name in [
        "tile/entries/003.p/1",
        "tile/0/002",
        "tile/2/000.p/1",
        "notes.txt",
        "checkpoint.tmp",
        "tile/0/../x",
    ] {
        copy(&clean, &changed);
        let path = changed.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
        assert_eq!(kinds(&verify(&changed)), [FailureKind::FileUnknown], "{name}");
    }
    copy(&clean, &changed);
    std::os::unix::fs::symlink("/etc/hostname", changed.join("link")).unwrap();
    assert_eq!(kinds(&verify(&changed)), [FailureKind::FileUnknown]);
}

fn entries(dir: &Path, name: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(dir.join(name)).unwrap();
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        entries.push(rest[2..2 + length].to_vec());
        rest = &rest[2 + length..];
    }
    entries
}

fn write_entries(dir: &Path, name: &str, entries: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
        bytes.extend(entry);
    }
    std::fs::write(dir.join(name), bytes).unwrap();
}

#[test]
fn records_deleted_inserted_swapped_or_replaced_are_named() {
    let dir = common::scratch();
    drop(ledger_of(dir.path(), 700));
    let name = "tile/entries/001";
    let clean = entries(dir.path(), name);
    type Change = fn(&mut Vec<Vec<u8>>);
    let changes: [(&str, Change, u64); 4] = [
        ("deleted", |e| drop(e.remove(100)), 356),
        ("inserted", |e| e.insert(100, leaf_bytes(&leaf(9999))), 356),
        ("swapped", |e| e.swap(100, 103), 356),
        ("replaced", |e| e[100] = leaf_bytes(&leaf(9999)), 356),
    ];
    for (what, change, index) in changes {
        let mut changed = clean.clone();
        change(&mut changed);
        write_entries(dir.path(), name, &changed);
        let report = verify(dir.path());
        assert_named(&report, what);
        let altered =
            report.failures.iter().find(|f| f.kind == FailureKind::RecordAltered).unwrap();
        assert_eq!(altered.index, Some(index), "{what}");
        match what {
            "swapped" => assert!(altered.message.contains("but record 359"), "{}", altered.message),
            "replaced" => assert_eq!(report.failures.len(), 1, "{:#?}", report.failures),
            _ => assert!(kinds(&report).contains(&FailureKind::RecordCount), "{what}"),
        }
    }
    // A bundle and its tile changed together: the hash above gives them away.
    let mut changed = clean;
    changed[7] = leaf_bytes(&leaf(9999));
    write_entries(dir.path(), name, &changed);
    let tile: Vec<u8> = changed.iter().flat_map(|e| evidence::leaf_hash(e).0).collect();
    std::fs::write(dir.path().join("tile/0/001"), tile).unwrap();
    let report = verify(dir.path());
    assert_eq!(kinds(&report), [FailureKind::RecordAltered], "{:#?}", report.failures);
    assert_eq!(report.failures[0].place, "records 256 to 511");
}

#[test]
fn truncation_and_rewriting_are_found_against_a_checkpoint_kept_elsewhere() {
    let dir = common::scratch();
    let mut ledger = ledger_of(&dir.path().join("log"), 300);
    let old = ledger.checkpoint().to_owned();
    ledger.append(&leaves(300..700)).unwrap();
    let kept = ledger.checkpoint().to_owned();
    drop(ledger);
    let report = verify_against(&dir.path().join("log"), &old);
    assert!(report.ok, "{:#?}", report.failures);

    // The operator starts over, with the same key, and stops early.
    drop(ledger_of(&dir.path().join("short"), 650));
    assert!(verify(&dir.path().join("short")).ok, "alone it cannot be told");
    let report = verify_against(&dir.path().join("short"), &kept);
    assert_eq!(kinds(&report), [FailureKind::Truncated]);
    assert!(report.failures[0].place.contains("records 650 to 699"));

    // Or leaves one record out.
    let mut forged = open(&dir.path().join("forged"));
    let mut all = leaves(0..701);
    all.remove(17);
    forged.append(&all).unwrap();
    drop(forged);
    for (checkpoint, what) in [(&old, "an older head"), (&kept, "a head of the same size")] {
        assert_eq!(
            kinds(&verify_against(&dir.path().join("forged"), checkpoint)),
            [FailureKind::Forked],
            "{what}"
        );
    }
    let alone = verify(&dir.path().join("forged"));
    assert!(alone.ok && alone.not_checked.iter().any(|n| n.contains("rewrote the whole history")));
}

#[test]
fn a_ledger_signed_anew_with_another_key_is_only_as_good_as_that_key() {
    let dir = common::scratch();
    let mut swapped = Ledger::open(dir.path(), common::ORIGIN, other_key()).unwrap();
    swapped.append(&leaves(0..20)).unwrap();
    drop(swapped);
    assert_eq!(kinds(&verify(dir.path())), [FailureKind::KeySwapped]);
    let report = verify_folder(dir.path(), &Trust::default(), &FolderOptions::default()).unwrap();
    assert!(report.ok && !report.trusted);
    let short = other_key().verifier().short();
    assert!(
        report.not_checked.iter().any(|n| n.contains(&short) && n.contains("not told me to trust"))
    );
}

#[test]
fn a_witness_keeps_the_operator_from_rewriting() {
    let dir = common::scratch();
    let mut ledger = cosigned_ledger(&dir.path().join("log"));
    let seen =
        SignedCheckpoint::parse(&std::fs::read(dir.path().join("log/cosigned")).unwrap()).unwrap();
    ledger.append(&leaves(700..800)).unwrap();
    // The older cosignature stays beside the newer head, and the ledger can still be opened.
    drop(ledger);
    let mut ledger = open(&dir.path().join("log"));
    let with_witness = |dir: &Path| {
        verify_folder(dir, &common::trust_with_witness(), &FolderOptions::default()).unwrap()
    };
    let report = with_witness(&dir.path().join("log"));
    assert!(report.ok, "{:#?}", report.failures);
    assert!(report.cosigned[0].contains("for 700 records"));

    let proof = ledger.consistency(seen.checkpoint.size).unwrap();
    let previous = Some(Previous { checkpoint: &seen.checkpoint, proof: &proof });
    let note =
        cosign(ledger.checkpoint(), ledger.verifier(), &witness(), 1_700_000_400_000, previous)
            .unwrap();
    ledger.record_cosigned(&note, &[witness().verifier().clone()]).unwrap();
    assert!(with_witness(&dir.path().join("log")).cosigned[0].contains("for 800 records"));

    // The operator rewrites all 900 records with its own key: the witness will not sign.
    let mut forged = open(&dir.path().join("forged"));
    let mut all = leaves(0..901);
    all.remove(17);
    forged.append(&all).unwrap();
    let proof = forged.consistency(700).unwrap();
    let previous = Some(Previous { checkpoint: &seen.checkpoint, proof: &proof });
    let refused =
        cosign(forged.checkpoint(), forged.verifier(), &witness(), 1_700_000_500_000, previous);
    assert!(matches!(refused, Err(Error::CosignRefused(_))));
    assert_eq!(kinds(&with_witness(&dir.path().join("forged"))), [FailureKind::CosignatureMissing]);
    // Nor can a cosignature be moved over from the true log.
    assert!(forged.record_cosigned(&note, &[witness().verifier().clone()]).is_err());
}

#[test]
fn every_random_byte_change_in_a_package_is_found() {
    let dir = common::scratch();
    let (package, _ledger) = package(dir.path());
    let clean = verify_package(package.bytes(), &trust(), &[]).unwrap();
    assert!(clean.ok, "{:#?}", clean.failures);
    assert_eq!((package.summary().attested, package.summary().unattested), (6, 12));
    let mut random = Random(1);
    let mut bytes = package.bytes().to_vec();
    for round in 0..312 {
        let place = random.below(bytes.len());
        let before = bytes[place];
        bytes[place] ^= u8::try_from(1 + random.below(255)).unwrap();
        let trust = if round % 2 == 0 { trust() } else { Trust::default() };
        let report = verify_package(&bytes, &trust, &[]).unwrap();
        bytes[place] = before;
        assert_named(&report, &format!("byte {place}"));
    }
    // Every byte of the first header, and of headers and padding a spread; content has digests.
    let spread = (512..bytes.len()).filter(|place| package.bytes()[*place] == 0).step_by(17);
    for place in (0..512).chain(spread) {
        bytes[place] ^= 1;
        assert_named(
            &verify_package(&bytes, &Trust::default(), &[]).unwrap(),
            &format!("byte {place}"),
        );
        bytes[place] ^= 1;
    }
    for cut in [0, 1, 511, 512, 1024, bytes.len() - 1024, bytes.len() - 1] {
        assert_named(
            &verify_package(&bytes[..cut], &trust(), &[]).unwrap(),
            &format!("cut at {cut}"),
        );
    }
    bytes.push(0);
    assert_named(&verify_package(&bytes, &trust(), &[]).unwrap(), "one byte more");
}

#[test]
fn the_altered_record_of_a_package_is_named() {
    let dir = common::scratch();
    let (package, _ledger) = package(dir.path());
    let id = contents().findings[1]["id"].as_str().unwrap().to_owned();
    let mut bytes = package.bytes().to_vec();
    let place = find(&bytes, format!("\"id\":\"{id}\",\"kind\":\"finding\"").as_bytes()) + 60;
    bytes[place] ^= 1;
    let report = verify_package(&bytes, &trust(), &[]).unwrap();
    let named = report.failures.iter().find(|f| f.kind == FailureKind::RecordAltered).unwrap();
    assert!(
        named.place.contains("line 2 of `findings.ndjson`") && named.place.contains(&id),
        "{named}"
    );
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn a_package_is_made_twice_the_same_and_not_of_records_the_ledger_denies() {
    let dir = common::scratch();
    let (package, mut ledger) = package(dir.path());
    let mut contents = contents();
    assert_eq!(Package::build(&ledger, &contents).unwrap().bytes(), package.bytes());

    contents.actions[0]["kind"] = "another".into();
    let refused = Package::build(&ledger, &contents).unwrap_err();
    assert_eq!(refused.code(), "package-record-mismatch");

    // Export leaves attest the newer state of an action, and each event, as exported.
    let leaves = contents.export_leaves(&"user:kim".to_owned(), "court-order").unwrap();
    ledger.append(&leaves).unwrap();
    let exported = Package::build(&ledger, &contents).unwrap();
    assert_eq!((exported.summary().attested, exported.summary().unattested), (18, 0));
    let report = verify_package(exported.bytes(), &trust(), &[]).unwrap();
    assert!(report.ok, "{:#?}", report.failures);
    assert_eq!((report.checked.records, report.checked.proofs), (18, 24));

    // But a finding stays what it was when it was found.
    contents.findings[0]["kind"] = "another".into();
    ledger.append(&contents.export_leaves(&"user:kim".to_owned(), "court-order").unwrap()).unwrap();
    assert!(matches!(Package::build(&ledger, &contents), Err(Error::RecordMismatch { .. })));
}

#[test]
fn a_package_by_another_key_or_of_another_history_is_told() {
    let dir = common::scratch();
    let (package, ledger) = package(&dir.path().join("log"));
    let mut other = Ledger::open(&dir.path().join("other"), common::ORIGIN, other_key()).unwrap();
    other.append(&leaves(0..300)).unwrap();
    other.append(&history(&contents())).unwrap();
    let swapped = Package::build(&other, &contents()).unwrap();
    assert_eq!(
        kinds(&verify_package(swapped.bytes(), &trust(), &[]).unwrap()),
        [FailureKind::KeySwapped]
    );

    let mut forged = open(&dir.path().join("forged"));
    forged.append(&leaves(1..301)).unwrap();
    forged.append(&history(&contents())).unwrap();
    let forged = Package::build(&forged, &contents()).unwrap();
    let kept = [("kept".to_owned(), ledger.checkpoint().as_bytes().to_vec())];
    assert!(verify_package(forged.bytes(), &trust(), &[]).unwrap().ok);
    assert_eq!(
        kinds(&verify_package(forged.bytes(), &trust(), &kept).unwrap()),
        [FailureKind::Forked]
    );
    assert!(verify_package(package.bytes(), &trust(), &kept).unwrap().ok);
}

#[test]
fn hostile_packages_are_refused_in_bounded_time() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let long = "x".repeat(100);
    let cases: Vec<Vec<(&str, Vec<u8>)>> = vec![
        vec![("../../etc/passwd", b"x".to_vec())],
        vec![("/abs", b"x".to_vec())],
        vec![(long.as_str(), b"x".to_vec())],
        vec![("manifest.json", deep.clone().into_bytes()), ("incident.json", deep.clone().into_bytes()), ("leaves.ndjson", deep.into_bytes())],
        vec![("manifest.json", b"{\"files\":[]}\n".to_vec()); 40],
        vec![("checkpoint", b"a\n9223372036854775807\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\xe2\x80\x94 a AAAAAA==\n".to_vec())],
        vec![("leaves.ndjson", format!("{{\"index\":0,\"leaf\":{{}},\"proof\":[{}]}}\n", vec!["\"\""; 100_000].join(",")).into_bytes())],
    ];
    for members in cases {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in &members {
            let mut header = tar::Header::new_ustar();
            // Names that the crate would refuse to write.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, bytes.as_slice()).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        assert_named(&verify_package(&bytes, &Trust::default(), &[]).unwrap(), members[0].0);
        evidence::fuzz_package(&bytes);
    }
    let mut random = Random(3);
    for _ in 0..300 {
        let length = random.below(3000);
        let bytes: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        evidence::fuzz_package(&bytes);
        evidence::fuzz_note(&bytes);
        evidence::fuzz_journal(&bytes);
    }
}

#[test]
fn a_ledger_folder_that_claims_to_be_vast_is_given_up_on_soon() {
    let dir = common::scratch();
    drop(ledger_of(dir.path(), 3));
    let head =
        "plura.example/acme\n9223372036854775807\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    std::fs::write(dir.path().join("checkpoint"), format!("{head}\n\u{2014} a AAAAAA==\n"))
        .unwrap();
    let report = verify(dir.path());
    assert!(kinds(&report).contains(&FailureKind::FileMissing));
    assert!(report.not_checked.iter().any(|n| n.contains("too many files are missing")));
}
