use schema::Digest;
use serde::Serialize;
use std::fmt;

/// Failures a report lists; beyond it they are counted.
pub(crate) const FAILURES_MAX: usize = 500;

/// What a check found. `ok` means that nothing checked was wrong; `not_checked` says what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub ok: bool,
    /// `ledger` or `package`.
    pub kind: &'static str,
    /// Records in the tree, as its checkpoint says.
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// `name+key id` of the key that signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Whether the caller had said to trust that key.
    pub trusted: bool,
    /// Witnesses whose cosignatures hold, with the time in seconds since the epoch.
    pub cosigned: Vec<String>,
    pub checked: Checked,
    pub failures: Vec<Failure>,
    /// Failures beyond the listed ones.
    pub failures_unlisted: u64,
    /// In plain words, what this check could not tell.
    pub not_checked: Vec<String>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Checked {
    pub files: u64,
    pub bytes: u64,
    /// Ledger entries, or records of a package.
    pub records: u64,
    pub signatures: u64,
    pub proofs: u64,
}

/// One thing that is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Permanent code.
    pub kind: FailureKind,
    /// Index of the ledger record, where one is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub place: String,
    pub message: String,
    pub hint: String,
}

/// Codes are for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A record is not the one that was logged.
    RecordAltered,
    /// Entries are missing or too many.
    RecordCount,
    /// A record that is no leaf, though the tree holds it.
    RecordInvalid,
    /// A tile's hashes are not those of what is below it.
    TileAltered,
    /// The tree is not the one that was signed.
    RootMismatch,
    FileMissing,
    FileUnknown,
    /// A file that cannot be read as what it must be.
    FileInvalid,
    /// A checkpoint's or package's signature does not hold.
    SignatureInvalid,
    /// Signed by another key than the trusted one.
    KeySwapped,
    /// A cosignature does not hold, or is by nobody known.
    CosignatureInvalid,
    /// A witness asked for did not cosign.
    CosignatureMissing,
    /// Fewer records than an older checkpoint says.
    Truncated,
    /// Another history than an older checkpoint says.
    Forked,
    /// The journal does not agree with the tree.
    JournalInvalid,
    /// The journal is ahead: the last writer did not end well.
    Unsettled,
    /// A record of a package is not what its leaf attests.
    RecordUnattested,
    /// A leaf's proof does not lead to the checkpoint.
    ProofInvalid,
    /// The package is not laid out as packages are.
    PackageInvalid,
    /// The file of a package is not what its manifest says.
    DigestMismatch,
}

impl FailureKind {
    pub fn code(self) -> &'static str {
        match self {
            FailureKind::RecordAltered => "record-altered",
            FailureKind::RecordCount => "record-count",
            FailureKind::RecordInvalid => "record-invalid",
            FailureKind::TileAltered => "tile-altered",
            FailureKind::RootMismatch => "root-mismatch",
            FailureKind::FileMissing => "file-missing",
            FailureKind::FileUnknown => "file-unknown",
            FailureKind::FileInvalid => "file-invalid",
            FailureKind::SignatureInvalid => "signature-invalid",
            FailureKind::KeySwapped => "key-swapped",
            FailureKind::CosignatureInvalid => "cosignature-invalid",
            FailureKind::CosignatureMissing => "cosignature-missing",
            FailureKind::Truncated => "truncated",
            FailureKind::Forked => "forked",
            FailureKind::JournalInvalid => "journal-invalid",
            FailureKind::Unsettled => "unsettled",
            FailureKind::RecordUnattested => "record-unattested",
            FailureKind::ProofInvalid => "proof-invalid",
            FailureKind::PackageInvalid => "package-invalid",
            FailureKind::DigestMismatch => "digest-mismatch",
        }
    }
}

impl Report {
    pub(crate) fn new(kind: &'static str) -> Report {
        Report {
            ok: true,
            kind,
            size: 0,
            root: None,
            origin: None,
            signer: None,
            trusted: false,
            cosigned: Vec::new(),
            checked: Checked::default(),
            failures: Vec::new(),
            failures_unlisted: 0,
            not_checked: Vec::new(),
        }
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.ok = false;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        } else {
            self.failures_unlisted += 1;
        }
    }
}

impl Failure {
    pub(crate) fn file(
        kind: FailureKind,
        file: &str,
        message: impl Into<String>,
        hint: &str,
    ) -> Failure {
        Failure {
            kind,
            index: None,
            file: Some(file.to_owned()),
            place: format!("file `{file}`"),
            message: message.into(),
            hint: hint.to_owned(),
        }
    }

    pub(crate) fn record(
        kind: FailureKind,
        index: u64,
        file: &str,
        message: impl Into<String>,
        hint: &str,
    ) -> Failure {
        Failure {
            kind,
            index: Some(index),
            file: Some(file.to_owned()),
            place: format!("record {index} in `{file}`"),
            message: message.into(),
            hint: hint.to_owned(),
        }
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Failure {
        self.place = place.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]\n  hint: {}", self.place, self.message, self.kind.code(), self.hint)
    }
}
