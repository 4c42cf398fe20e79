use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

/// What stopped the ledger, a key or a package. Verification does not fail with these: what it
/// finds wrong is a [`crate::Failure`] in its report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use `{path}`: {source}: check that the folder exists, is ours and has space")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the ledger `{0}` is in use by another process: stop that one first")]
    Locked(PathBuf),
    #[error(
        "leaf {position} of this append takes {bytes} bytes and at most {} fit: shorten its reason or name fewer causes",
        crate::ENTRY_BYTES_MAX
    )]
    EntryTooLarge { position: usize, bytes: usize },
    #[error("an append of {leaves} leaves and {bytes} bytes is too large: append in smaller parts")]
    BatchTooLarge { leaves: usize, bytes: usize },
    #[error(
        "the ledger is damaged at `{place}`: {detail}: keep it as it is, run `plura verify` on it and restore a copy"
    )]
    Damaged { place: String, detail: String },
    #[error(
        "the ledger `{dir}` belongs to key `{found}`, not to `{given}`: give the key it was made with"
    )]
    WrongKey { dir: PathBuf, found: String, given: String },
    #[error(
        "the ledger `{dir}` has the origin `{found}`, not `{given}`: open it under its own origin"
    )]
    WrongOrigin { dir: PathBuf, found: String, given: String },
    #[error("there is no record {index}: the ledger has {size}: ask for one below that")]
    OutOfRange { index: u64, size: u64 },
    #[error("{asked} records at once are too many: ask for at most {max}")]
    TooMany { asked: u64, max: u64 },
    #[error("not a usable key: {0}")]
    BadKey(String),
    #[error(
        "the key file `{0}` can be read by others: run `chmod 600` on it, and replace the key if it was exposed"
    )]
    KeyFileOpen(PathBuf),
    #[error("not a signed note: {0}")]
    BadNote(String),
    #[error("not a checkpoint: {0}")]
    BadCheckpoint(String),
    #[error("will not cosign: {0}")]
    CosignRefused(String),
    #[error(
        "record `{record}` is not what the ledger attests in leaf {leaf}: export the state that was attested, or append a leaf for this one"
    )]
    RecordMismatch { record: String, leaf: u64 },
    #[error("not a record to package: {0}")]
    BadRecord(String),
    #[error(
        "the folder `{folder}`: {why}: get it from its maker again, or sign it anew if it is yours"
    )]
    Folder { folder: PathBuf, why: String },
    #[error("the package would be too large: {what} (at most {max}): narrow the export")]
    PackageTooLarge { what: String, max: u64 },
}

impl Error {
    /// Permanent code.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "ledger-io",
            Error::Locked(_) => "ledger-locked",
            Error::EntryTooLarge { .. } => "leaf-too-large",
            Error::BatchTooLarge { .. } => "append-too-large",
            Error::Damaged { .. } => "ledger-damaged",
            Error::WrongKey { .. } => "ledger-wrong-key",
            Error::WrongOrigin { .. } => "ledger-wrong-origin",
            Error::OutOfRange { .. } => "ledger-out-of-range",
            Error::TooMany { .. } => "ledger-too-many",
            Error::BadKey(_) => "key-invalid",
            Error::KeyFileOpen(_) => "key-file-open",
            Error::BadNote(_) => "note-invalid",
            Error::BadCheckpoint(_) => "checkpoint-invalid",
            Error::CosignRefused(_) => "cosign-refused",
            Error::RecordMismatch { .. } => "package-record-mismatch",
            Error::BadRecord(_) => "package-record-invalid",
            Error::Folder { .. } => "folder-unsigned",
            Error::PackageTooLarge { .. } => "package-too-large",
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| Error::Io { path: path.to_owned(), source }
    }

    pub(crate) fn damaged(place: impl Into<String>, detail: impl Into<String>) -> Error {
        Error::Damaged { place: place.into(), detail: detail.into() }
    }
}
