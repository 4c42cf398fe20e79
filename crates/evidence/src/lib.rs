//! What happened, provably: the tamper-evident ledger, the evidence package and their verifier.
//!
//! The [`Ledger`] is an append-only Merkle tree (RFC 6962) kept on disk as C2SP tlog-tiles with
//! signed checkpoints. [`verify_folder`] and [`verify_package`] check what others wrote and share
//! no code with the writer beyond the formats. `docs/evidence.md` has the formats and what they
//! can and cannot prove. Signed folders ([`sign_folder`]) are beside all that: packs of rules, as their maker gave them.

mod canonical;
mod checkpoint;
pub mod cli;
mod error;
mod fuzz;
mod journal;
mod key;
mod leaf;
mod ledger;
mod listing;
mod merkle;
mod note;
mod package;
mod report;
mod tile;
mod verify;
mod witness;

pub use canonical::{canonical_json, record_digest};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use error::{Error, Result};
pub use fuzz::{fuzz_journal, fuzz_note, fuzz_package};
pub use key::SigningKey;
pub use leaf::{ENTRY_BYTES_MAX, leaf_bytes};
pub use ledger::{Ledger, Proof};
pub use listing::{Listed, read_signed_folder, sign_folder};
pub use merkle::{
    consistency_holds, empty_root, leaf_hash, node_hash, root_from_inclusion, root_of,
};
pub use note::{Algorithm, Note, NoteSignature, VerifierKey};
pub use package::{Package, PackageContents, PackageSummary};
pub use report::{Checked, Failure, FailureKind, Report};
pub use verify::{FolderOptions, Trust, verify_folder, verify_package, verify_package_file};
pub use witness::{Cosigned, Previous, cosign, cosignatures};
