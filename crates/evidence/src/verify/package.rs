//! An evidence package, checked byte for byte.

use super::{Trust, heads};
use crate::canonical::canonical_json;
use crate::checkpoint::SignedCheckpoint;
use crate::leaf::LeafView;
use crate::merkle::{leaf_hash, root_from_inclusion};
use crate::note::{Algorithm, Note, VerifierKey};
use crate::package::archive::{self, Member};
use crate::package::attest::{self, Judgement, Role};
use crate::package::{
    CHECKPOINT, FORMAT, LEAVES, LOG_VKEY, MANIFEST, MEMBERS, PACKAGE_BYTES_MAX, RECORDS_MAX,
    SIGNATURE, VERSION, WITNESSES, is_records, lines_of, signed_text,
};
use crate::report::{Failure, FailureKind, Report};
use crate::{Error, Result};
use data_encoding::BASE64;
use schema::{Digest, sha256};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use uuid::Uuid;

const ASK_AGAIN: &str = "ask for the package again, by a way you trust, and compare the two";
/// A tree of 2^63 leaves has proofs of 63 hashes.
const PROOF_HASHES_MAX: usize = 64;

/// [`verify_package`] of a file. An error means that it could not be read at all.
pub fn verify_package_file(
    path: &Path,
    trust: &Trust,
    against: &[(String, Vec<u8>)],
) -> Result<Report> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    file.take(PACKAGE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    verify_package(&bytes, trust, against)
}

/// Checks a package: its layout to the last byte, the signature over its manifest, every file and
/// record by digest, every leaf by its proof up to the signed checkpoint, and every record that
/// has a leaf against it. `against` are older or newer checkpoints of the same log, by name.
pub fn verify_package(
    bytes: &[u8],
    trust: &Trust,
    against: &[(String, Vec<u8>)],
) -> Result<Report> {
    let mut report = Report::new("package");
    report.checked.bytes = bytes.len() as u64;
    let members = check_layout(bytes, &mut report);
    let beside = member(&members, LOG_VKEY).and_then(read_key);
    let key = heads::signing_key(trust, beside.as_ref());
    if let (Some(trusted), Some(beside)) = (&trust.log, &beside)
        && trusted != beside
    {
        report.fail(Failure::file(
            FailureKind::KeySwapped,
            LOG_VKEY,
            format!("it holds `{}`, not `{}`, which you trust", beside.short(), trusted.short()),
            "ask the operator, by a way you trust, which key is theirs and since when",
        ));
    }
    let manifest = check_manifest(&members, key, trust, &mut report);
    if let Some(manifest) = &manifest {
        check_digests(&members, manifest, &mut report);
    }
    let head = check_checkpoint(&members, key, trust, manifest.as_ref(), &mut report);
    if let Some(head) = &head {
        for (name, bytes) in against {
            compare(name, bytes, head, key, trust, &mut report)?;
        }
        check_records(&members, head, &mut report);
    }
    heads::note_limits(&mut report, trust, !against.is_empty());
    report
        .not_checked
        .push("whether the export left out records: compare with the ledger itself".to_owned());
    Ok(report)
}

fn member<'a>(members: &'a [Member], name: &str) -> Option<&'a [u8]> {
    members.iter().find(|m| m.name == name).map(|m| m.bytes.as_slice())
}

fn read_key(bytes: &[u8]) -> Option<VerifierKey> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    line.parse().ok().filter(|key: &VerifierKey| key.algorithm() == Algorithm::Ed25519)
}

fn check_layout(bytes: &[u8], report: &mut Report) -> Vec<Member> {
    let mut fail = |place: String, message: String| {
        report.fail(Failure {
            kind: FailureKind::PackageInvalid,
            index: None,
            file: None,
            place,
            message,
            hint: ASK_AGAIN.to_owned(),
        });
    };
    if bytes.len() > PACKAGE_BYTES_MAX {
        fail(
            "the file".to_owned(),
            format!("it is larger than a package can be ({PACKAGE_BYTES_MAX} bytes)"),
        );
        return Vec::new();
    }
    let (members, stopped) = archive::decode(bytes);
    if let Some((at, why)) = stopped {
        fail(
            format!("byte {at} of the package"),
            format!("it cannot be read from there on: {why}"),
        );
    } else if let Some((at, place)) = archive::first_difference(bytes, &members) {
        fail(
            format!("byte {at} of the package, in {place}"),
            "it is not as packages are written".to_owned(),
        );
    }
    for member in &members {
        if !MEMBERS.contains(&member.name.as_str()) {
            let name = member.name.escape_debug();
            fail(format!("member `{name}`"), "it does not belong in a package".to_owned());
        }
    }
    let found: Vec<&str> =
        members.iter().map(|m| m.name.as_str()).filter(|name| MEMBERS.contains(name)).collect();
    let expected = MEMBERS.iter().filter(|name| **name != WITNESSES || found.contains(name));
    for name in expected.clone().filter(|name| !found.contains(name)) {
        fail(format!("file `{name}`"), "it is missing from the package".to_owned());
    }
    if found.len() == expected.clone().count() && !found.iter().eq(expected) {
        fail("the file".to_owned(), format!("its members are out of order: {}", found.join(", ")));
    } else if found.iter().collect::<BTreeSet<_>>().len() != found.len() {
        fail("the file".to_owned(), format!("a member is there twice: {}", found.join(", ")));
    }
    report.checked.files = members.len() as u64;
    members
}

fn check_manifest(
    members: &[Member],
    key: Option<&VerifierKey>,
    trust: &Trust,
    report: &mut Report,
) -> Option<Value> {
    let bytes = member(members, MANIFEST)?;
    if let Some(signature) = member(members, SIGNATURE) {
        match Note::parse(signature) {
            Err(error) => {
                report.fail(Failure::file(
                    FailureKind::FileInvalid,
                    SIGNATURE,
                    error.to_string(),
                    ASK_AGAIN,
                ));
            }
            Ok(note) => {
                if heads::check_signature(report, key, trust.log.is_some(), &note, SIGNATURE) {
                    report.trusted = trust.log.is_some();
                    report.signer = key.map(VerifierKey::short);
                } else {
                    report.signer = note.signatures.first().map(|line| line.key());
                }
                if note.signatures.len() != 1 {
                    let message = "it has signatures beside the log's own, which nobody can check";
                    report.fail(Failure::file(
                        FailureKind::FileInvalid,
                        SIGNATURE,
                        message,
                        ASK_AGAIN,
                    ));
                }
                if note.text != signed_text(bytes) {
                    let message =
                        "the signature is over another manifest: manifest or signature was changed";
                    report.fail(Failure::file(
                        FailureKind::SignatureInvalid,
                        MANIFEST,
                        message,
                        ASK_AGAIN,
                    ));
                }
            }
        }
    }
    let invalid = |why: &str| Failure::file(FailureKind::FileInvalid, MANIFEST, why, ASK_AGAIN);
    let value: Value =
        match bytes.strip_suffix(b"\n").and_then(|line| serde_json::from_slice(line).ok()) {
            Some(value) if Some(canonical_json(&value).as_slice()) == bytes.strip_suffix(b"\n") => {
                value
            }
            _ => {
                report.fail(invalid("it is not one line of canonical JSON"));
                return None;
            }
        };
    let version = value.get("version").and_then(Value::as_u64);
    if value.get("format").and_then(Value::as_str) != Some(FORMAT) || version != Some(VERSION) {
        report.fail(invalid(
            "it is not of a format and version this verifier knows: use a newer one",
        ));
        return None;
    }
    Some(value)
}

fn check_digests(members: &[Member], manifest: &Value, report: &mut Report) {
    let listed: Vec<&Value> = manifest
        .get("files")
        .and_then(Value::as_array)
        .map(|f| f.iter().collect())
        .unwrap_or_default();
    let name_of = |entry: &&Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
    let names: Vec<String> = listed.iter().filter_map(name_of).collect();
    let present: Vec<&str> = members
        .iter()
        .map(|m| m.name.as_str())
        .filter(|name| ![MANIFEST, SIGNATURE].contains(name))
        .collect();
    if names != present {
        let message =
            format!("it lists {}, and the package holds {}", names.join(", "), present.join(", "));
        report.fail(Failure::file(FailureKind::DigestMismatch, MANIFEST, message, ASK_AGAIN));
    }
    for entry in listed {
        let Some(name) = name_of(&entry) else { continue };
        let Some(bytes) = member(members, &name) else { continue };
        let digest = entry.get("sha256").and_then(Value::as_str).and_then(Digest::parse);
        let length = entry.get("bytes").and_then(Value::as_u64);
        let said: Vec<Option<Digest>> = entry
            .get("records")
            .and_then(Value::as_array)
            .map(|list| list.iter().map(|d| d.as_str().and_then(Digest::parse)).collect())
            .unwrap_or_default();
        if digest == Some(sha256(bytes)) && length == Some(bytes.len() as u64) {
            continue;
        }
        let mut named = false;
        if is_records(&name) {
            let lines: Vec<&[u8]> = lines_of(bytes).collect();
            if lines.len() != said.len() {
                let message = format!(
                    "it holds {} records, where the manifest says {}",
                    lines.len(),
                    said.len()
                );
                report.fail(Failure::file(FailureKind::RecordCount, &name, message, ASK_AGAIN));
                named = true;
            }
            for (number, (line, digest)) in lines.iter().zip(&said).enumerate() {
                if *digest != Some(sha256(line)) {
                    let place = place_of(&name, number, line);
                    let message = "the record is not the one that was packaged";
                    report.fail(
                        Failure::file(FailureKind::RecordAltered, &name, message, ASK_AGAIN)
                            .at(place),
                    );
                    named = true;
                }
            }
        }
        if !named {
            let message = "its content is not what the manifest says";
            report.fail(Failure::file(FailureKind::DigestMismatch, &name, message, ASK_AGAIN));
        }
    }
}

/// `line 3 of `findings.ndjson` (record 0193…)`.
fn place_of(name: &str, number: usize, line: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(line).ok();
    let what = match &value {
        Some(value) => {
            let index = value.get("index").and_then(Value::as_u64);
            index
                .map(|index| format!(" (ledger record {index})"))
                .or_else(|| attest::record_id(value).map(|id| format!(" (record {id})")))
        }
        None => spelled_id(line).map(|id| format!(" (record {id})")),
    };
    format!("line {} of `{name}`{}", number + 1, what.unwrap_or_default())
}

/// The id in a line that is JSON no more, to name it by.
fn spelled_id(line: &[u8]) -> Option<Uuid> {
    let text = String::from_utf8_lossy(line);
    ["\"id\":\"", "\"uid\":\""].into_iter().find_map(|member| {
        let (_, rest) = text.split_once(member)?;
        rest.split('"').next()?.parse().ok()
    })
}

fn check_checkpoint(
    members: &[Member],
    key: Option<&VerifierKey>,
    trust: &Trust,
    manifest: Option<&Value>,
    report: &mut Report,
) -> Option<SignedCheckpoint> {
    let head = match SignedCheckpoint::parse(member(members, CHECKPOINT)?) {
        Ok(head) => head,
        Err(error) => {
            report.fail(Failure::file(
                FailureKind::FileInvalid,
                CHECKPOINT,
                error.to_string(),
                ASK_AGAIN,
            ));
            return None;
        }
    };
    report.size = head.checkpoint.size;
    report.root = Some(head.checkpoint.root);
    report.origin = Some(head.checkpoint.origin.clone());
    report.trusted &=
        heads::check_signature(report, key, trust.log.is_some(), &head.note, CHECKPOINT);
    let witnesses: Vec<VerifierKey> = member(members, WITNESSES)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
        .unwrap_or_default();
    let known: Vec<&VerifierKey> = trust.witnesses.iter().chain(&witnesses).collect();
    heads::check_cosignatures(report, key, &known, &head, CHECKPOINT);
    heads::check_witnesses_present(report, trust, &[&head], CHECKPOINT);
    if let Some(manifest) = manifest {
        let same = manifest.get("size").and_then(Value::as_u64) == Some(head.checkpoint.size)
            && manifest.get("origin").and_then(Value::as_str)
                == Some(head.checkpoint.origin.as_str());
        if !same {
            let message = "it is not the checkpoint that the manifest speaks of";
            report.fail(Failure::file(FailureKind::DigestMismatch, CHECKPOINT, message, ASK_AGAIN));
        }
    }
    Some(head)
}

/// A package has no whole tree: only a checkpoint of the same size can be compared.
fn compare(
    name: &str,
    bytes: &[u8],
    head: &SignedCheckpoint,
    key: Option<&VerifierKey>,
    trust: &Trust,
    report: &mut Report,
) -> Result<()> {
    let given = SignedCheckpoint::parse(bytes)
        .map_err(|error| Error::BadCheckpoint(format!("`{name}`: {error}")))?;
    heads::check_signature(report, key, trust.log.is_some(), &given.note, name);
    let (now, then) = (&head.checkpoint, &given.checkpoint);
    if then.origin != now.origin || (then.size == now.size && then.root != now.root) {
        let message = format!(
            "it is another history than the package's: {} records of `{}`",
            then.size, then.origin
        );
        let hint = "keep both checkpoints: together, signed by one key, they prove it to anyone";
        report.fail(Failure::file(FailureKind::Forked, name, message, hint));
    } else if then.size != now.size {
        report.not_checked.push(format!(
            "`{name}` against the package: it is of {} records, the package of {}; run `plura verify` on the ledger with both",
            then.size, now.size
        ));
    }
    Ok(())
}

/// Leaves by their proofs, then records by their leaves.
fn check_records(members: &[Member], head: &SignedCheckpoint, report: &mut Report) {
    let mut proven = Vec::new();
    let lines = member(members, LEAVES).map(lines_of).into_iter().flatten();
    let mut previous = None;
    for (number, line) in lines.take(RECORDS_MAX).enumerate() {
        report.checked.proofs += 1;
        match check_leaf(line, head) {
            Ok((index, leaf)) if previous.is_none_or(|p| p < index) => {
                previous = Some(index);
                proven.push((index, leaf));
            }
            failed => {
                let why = failed.err().unwrap_or("it is not in the ledger's order");
                let failure = Failure::file(FailureKind::ProofInvalid, LEAVES, why, ASK_AGAIN);
                report.fail(failure.at(place_of(LEAVES, number, line)));
            }
        }
    }
    let leaves = attest::by_subject(proven.into_iter());
    let (mut records, mut unattested) = (0u64, 0u64);
    for role in Role::ALL {
        let name = role.file();
        for (number, line) in
            member(members, name).map(lines_of).into_iter().flatten().take(RECORDS_MAX).enumerate()
        {
            records += 1;
            let mut fail = |kind, message: String| {
                report.fail(
                    Failure::file(kind, name, message, ASK_AGAIN).at(place_of(name, number, line)),
                );
            };
            let value: Option<Value> = serde_json::from_slice(line).ok();
            let Some(value) = value.filter(|value| canonical_json(value) == line) else {
                fail(FailureKind::RecordInvalid, "it is not canonical JSON".to_owned());
                continue;
            };
            let Some(id) = attest::record_id(&value) else {
                fail(FailureKind::RecordInvalid, "it has no id".to_owned());
                continue;
            };
            match attest::judge(role, leaves.get(&id).map_or(&[], Vec::as_slice), sha256(line)) {
                Judgement::Attested(_) => {}
                Judgement::NoLeaf => unattested += 1,
                Judgement::Differs(leaf) => fail(
                    FailureKind::RecordUnattested,
                    format!("it is not what ledger record {leaf} attests of {id}"),
                ),
            }
        }
    }
    report.checked.records = records;
    if unattested > 0 {
        report.not_checked.push(format!(
            "{unattested} of {records} records against the ledger: they have no leaf of their own and are bound by the package's signature alone"
        ));
    }
}

fn check_leaf(
    line: &[u8],
    head: &SignedCheckpoint,
) -> std::result::Result<(u64, LeafView), &'static str> {
    let value: Value = serde_json::from_slice(line).map_err(|_| "it is not JSON")?;
    if canonical_json(&value) != line {
        return Err("it is not in canonical form");
    }
    let index = value.get("index").and_then(Value::as_u64).ok_or("it has no index")?;
    let leaf = value.get("leaf").ok_or("it has no leaf")?;
    let path = value.get("proof").and_then(Value::as_array).filter(|p| p.len() <= PROOF_HASHES_MAX);
    let path: Option<Vec<Digest>> = path.and_then(|path| {
        path.iter()
            .map(|hash| BASE64.decode(hash.as_str()?.as_bytes()).ok()?.try_into().ok().map(Digest))
            .collect()
    });
    let path = path.ok_or("it has no proof")?;
    let view = LeafView::of(leaf)?;
    let root =
        root_from_inclusion(index, head.checkpoint.size, leaf_hash(&canonical_json(leaf)), &path);
    if root == Some(head.checkpoint.root) {
        Ok((index, view))
    } else {
        Err(
            "its proof does not lead to the signed checkpoint: the leaf, its place or the proof was changed",
        )
    }
}
