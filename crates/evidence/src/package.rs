//! One incident's evidence in one file that anyone can check: `docs/evidence.md` has the layout.

use crate::canonical::{canonical_json, record_digest};
use crate::note::Note;
use crate::{Error, Ledger, Result, SigningKey};
use attest::{Judgement, Role};
use data_encoding::BASE64;
use schema::{Actor, Digest, Leaf, LeafKind, TenantId, Timestamp, sha256};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use uuid::Uuid;

pub(crate) mod archive;
pub(crate) mod attest;

/// A package is held in memory to be made and to be checked.
pub(crate) const PACKAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Records of all kinds in one package; an incident cites thousands, not millions.
pub(crate) const RECORDS_MAX: usize = 200_000;

pub(crate) const FORMAT: &str = "plura-evidence-package";
pub(crate) const VERSION: u64 = 1;

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const SIGNATURE: &str = "manifest.note";
pub(crate) const INCIDENT: &str = "incident.json";
pub(crate) const LEAVES: &str = "leaves.ndjson";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const LOG_VKEY: &str = "log.vkey";
pub(crate) const WITNESSES: &str = "witnesses";

/// Every member in its order; the last is there only when witnesses cosigned.
pub(crate) const MEMBERS: [&str; 10] = [
    MANIFEST,
    SIGNATURE,
    INCIDENT,
    "findings.ndjson",
    "actions.ndjson",
    "events.ndjson",
    LEAVES,
    CHECKPOINT,
    LOG_VKEY,
    WITNESSES,
];

/// The records of one incident, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageContents {
    pub tenant: TenantId,
    /// When the export is made.
    pub created: Timestamp,
    /// `schema::Incident`.
    pub incident: Value,
    /// `schema::Finding`.
    pub findings: Vec<Value>,
    /// `schema::Action`.
    pub actions: Vec<Value>,
    /// The evidence as OCSF, protected as it is stored.
    pub events: Vec<Value>,
}

/// A package, made and signed.
#[derive(Debug, Clone)]
pub struct Package {
    bytes: Vec<u8>,
    summary: PackageSummary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageSummary {
    pub digest: Digest,
    pub bytes: u64,
    /// Records whose content a leaf attests.
    pub attested: u64,
    /// Records bound by the package's signature alone.
    pub unattested: u64,
    pub leaves: u64,
}

impl PackageContents {
    /// One `Export` leaf per record, to append to the ledger before [`Package::build`]: then every
    /// record of the package, each event too, is attested as exported, by whom and why.
    pub fn export_leaves(&self, actor: &Actor, reason: &str) -> Result<Vec<Leaf>> {
        self.records()?
            .into_iter()
            .map(|(_, id, value)| {
                Ok(Leaf {
                    tenant: self.tenant.clone(),
                    kind: LeafKind::Export,
                    time: self.created,
                    actor: actor.clone(),
                    subject: id,
                    digest: record_digest(value),
                    reason: reason.to_owned(),
                    causes: Vec::new(),
                })
            })
            .collect()
    }

    fn records(&self) -> Result<Vec<(Role, Uuid, &Value)>> {
        let roles = [
            (Role::Incident, std::slice::from_ref(&self.incident)),
            (Role::Finding, self.findings.as_slice()),
            (Role::Action, self.actions.as_slice()),
            (Role::Event, self.events.as_slice()),
        ];
        let mut records = Vec::new();
        for (role, values) in roles {
            for (i, value) in values.iter().enumerate() {
                let id = attest::record_id(value).ok_or_else(|| {
                    Error::BadRecord(format!("number {} for `{}` has no id", i + 1, role.file()))
                })?;
                records.push((role, id, value));
            }
        }
        if records.len() > RECORDS_MAX {
            return Err(Error::PackageTooLarge {
                what: format!("{} records", records.len()),
                max: RECORDS_MAX as u64,
            });
        }
        Ok(records)
    }
}

impl Package {
    /// Puts the records together with every leaf about them, proofs and checkpoint, and signs.
    ///
    /// A record whose newest leaf attests something else is refused: such a package would not verify.
    pub fn build(ledger: &Ledger, contents: &PackageContents) -> Result<Package> {
        let records = contents.records()?;
        let subjects: BTreeSet<Uuid> = records.iter().map(|(_, id, _)| *id).collect();
        let leaves = ledger.leaves_about(&subjects)?;
        let by_subject =
            attest::by_subject(leaves.iter().map(|(index, leaf)| (*index, attest::view(leaf))));
        let (mut attested, mut unattested) = (0, 0);
        for (role, id, value) in &records {
            match attest::judge(
                *role,
                by_subject.get(id).map_or(&[], Vec::as_slice),
                record_digest(value),
            ) {
                Judgement::Attested(_) => attested += 1,
                Judgement::NoLeaf => unattested += 1,
                Judgement::Differs(leaf) => {
                    return Err(Error::RecordMismatch {
                        record: format!("{id} of {}", role.file()),
                        leaf,
                    });
                }
            }
        }
        let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
        for role in Role::ALL {
            let of_role = records.iter().filter(|(r, _, _)| *r == role);
            files.push((role.file(), of_role.flat_map(|(_, _, value)| line(value)).collect()));
        }
        let mut proofs = Vec::new();
        let paths = ledger.paths(leaves.iter().map(|(index, _)| *index))?;
        for ((index, leaf), path) in leaves.iter().zip(paths) {
            let path: Vec<String> = path.iter().map(|hash| BASE64.encode(&hash.0)).collect();
            proofs.extend(line(&json!({ "index": index, "leaf": leaf, "proof": path })));
        }
        files.push((LEAVES, proofs));
        let (checkpoint, witnesses) = ledger.newest_checkpoint()?;
        files.push((CHECKPOINT, checkpoint.into_bytes()));
        files.push((LOG_VKEY, format!("{}\n", ledger.verifier()).into_bytes()));
        if !witnesses.is_empty() {
            files.push((WITNESSES, witnesses.into_bytes()));
        }
        let manifest = line(&json!({
            "format": FORMAT,
            "version": VERSION,
            "tenant": contents.tenant,
            "incident": attest::record_id(&contents.incident),
            "created": contents.created,
            "origin": ledger.origin(),
            "size": ledger.len(),
            "key": ledger.verifier().to_string(),
            "files": files.iter().map(|(name, bytes)| describe(name, bytes)).collect::<Vec<_>>(),
        }));
        let note = sign(&manifest, ledger.key());
        files.insert(0, (SIGNATURE, note.to_string().into_bytes()));
        files.insert(0, (MANIFEST, manifest));
        let members: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let bytes = archive::encode(&members)
            .map_err(|error| Error::BadRecord(format!("the archive: {error}")))?;
        if bytes.len() > PACKAGE_BYTES_MAX {
            return Err(Error::PackageTooLarge {
                what: format!("{} bytes", bytes.len()),
                max: PACKAGE_BYTES_MAX as u64,
            });
        }
        let summary = PackageSummary {
            digest: sha256(&bytes),
            bytes: bytes.len() as u64,
            attested,
            unattested,
            leaves: leaves.len() as u64,
        };
        Ok(Package { bytes, summary })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn summary(&self) -> PackageSummary {
        self.summary
    }

    /// Writes it to a new file that only its owner can read; durable on return.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::io(path))?;
        file.write_all(&self.bytes).and_then(|()| file.sync_all()).map_err(Error::io(path))?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => {
                File::open(parent).and_then(|dir| dir.sync_all()).map_err(Error::io(parent))
            }
            None => Ok(()),
        }
    }
}

/// What the package's signature is over. Its second line is no tree size, so no one can take it
/// for a checkpoint, nor a checkpoint for it.
pub(crate) fn signed_text(manifest: &[u8]) -> String {
    format!("{FORMAT} v{VERSION}\n{MANIFEST} sha256 {}\n", sha256(manifest))
}

fn sign(manifest: &[u8], key: &SigningKey) -> Note {
    let text = signed_text(manifest);
    let signature = key.sign(&text);
    Note { text, signatures: vec![signature] }
}

/// A file's entry in the manifest; for records also the digest of each.
fn describe(name: &str, bytes: &[u8]) -> Value {
    let mut entry = json!({ "name": name, "bytes": bytes.len(), "sha256": sha256(bytes) });
    if is_records(name)
        && let Some(members) = entry.as_object_mut()
    {
        let digests: Vec<Digest> = lines_of(bytes).map(sha256).collect();
        members.insert("records".to_owned(), json!(digests));
    }
    entry
}

/// Whether the member holds one JSON record a line.
pub(crate) fn is_records(name: &str) -> bool {
    name.ends_with(".ndjson") || name == INCIDENT
}

/// The lines without their ends.
pub(crate) fn lines_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let none = bytes.is_empty();
    whole.split(|byte| *byte == b'\n').filter(move |_| !none)
}

fn line(value: &Value) -> Vec<u8> {
    let mut line = canonical_json(value);
    line.push(b'\n');
    line
}
