//! Checking what others wrote. Nothing here is used by the writer, and nothing of the writer is
//! used here, but the formats: notes, tiles, journal records, canonical JSON.

mod folder;
mod heads;
mod package;
mod snapshot;

pub use folder::{FolderOptions, verify_folder};
pub use package::{verify_package, verify_package_file};

use crate::note::VerifierKey;

/// Whom the caller trusts, learnt by another way than from what is checked.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The log's key. Without it the check can only say that the evidence agrees with itself.
    pub log: Option<VerifierKey>,
    /// Witnesses that must have cosigned.
    pub witnesses: Vec<VerifierKey>,
}
