//! Entry points for fuzzing: any bytes, no panic, bounded work.

use crate::checkpoint::SignedCheckpoint;
use crate::note::{Note, VerifierKey};
use crate::verify::{Trust, verify_package};

/// Reads bytes as a package.
pub fn fuzz_package(bytes: &[u8]) {
    let _ = verify_package(bytes, &Trust::default(), &[]);
}

/// Reads bytes as a note, a checkpoint and a key. What parses must print the same.
pub fn fuzz_note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes, "a note has one spelling");
    }
    let _ = SignedCheckpoint::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text, "a key has one spelling");
    }
}

/// Reads bytes as a journal.
pub fn fuzz_journal(bytes: &[u8]) {
    let contents = crate::journal::decode(bytes);
    assert!(contents.sound <= bytes.len(), "no more is sound than there is");
}
