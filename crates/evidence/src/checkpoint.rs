//! Checkpoints: <https://c2sp.org/tlog-checkpoint>.

use crate::note::{Note, VerifierKey, shorten};
use crate::{Error, Result, SigningKey};
use data_encoding::BASE64;
use schema::Digest;
use std::fmt;

/// The head of a tree: whose, how many leaves, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Digest,
}

impl Checkpoint {
    /// Reads a note's text. Extension lines are refused: we write none, and what nobody checks
    /// does not belong in evidence.
    pub fn parse(text: &str) -> Result<Checkpoint> {
        let bad = |why: &str| Error::BadCheckpoint(format!("{why}: `{}`", shorten(text)));
        let mut lines =
            text.strip_suffix('\n').ok_or_else(|| bad("its last line does not end"))?.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(bad("it has not exactly the lines origin, size and root"));
        };
        let number: u64 = size.parse().map_err(|_| bad("its size is not a number"))?;
        // `+7` and `007` parse too, and would be a second spelling of the same head.
        if number.to_string() != size || i64::try_from(number).is_err() {
            return Err(bad("its size is not a plain number"));
        }
        let root = BASE64
            .decode(root.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| bad("its root is not the base64 of 32 bytes"))?;
        if origin.is_empty() {
            return Err(bad("it has no origin"));
        }
        Ok(Checkpoint { origin: origin.to_owned(), size: number, root: Digest(root) })
    }

    /// Signed by the log: the whole note as text.
    pub(crate) fn sign(&self, key: &SigningKey) -> Note {
        let text = self.to_string();
        let signature = key.sign(&text);
        Note { text, signatures: vec![signature] }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root.0))
    }
}

/// A checkpoint as read, with the note it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    pub checkpoint: Checkpoint,
    pub note: Note,
}

impl SignedCheckpoint {
    /// Reads the form; whose signature holds is asked with [`SignedCheckpoint::is_signed_by`].
    pub fn parse(bytes: &[u8]) -> Result<SignedCheckpoint> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// Whether `key` signed, and no line that claims to be by it is false.
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let mut by_key = self.note.signatures.iter().filter(|s| key.names(s)).peekable();
        by_key.peek().is_some() && by_key.all(|s| key.verify(&self.note.text, s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_spelling() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(Checkpoint::parse(text).unwrap().to_string(), text);
        for other in ["+20852163", "020852163", "9223372036854775808", "-1", ""] {
            assert!(Checkpoint::parse(&text.replace("20852163", other)).is_err(), "{other}");
        }
        assert!(Checkpoint::parse(&format!("{text}extension\n")).is_err());
        assert!(Checkpoint::parse(&text.replace("q2I=", "q2J=")).is_err(), "trailing bits");
    }
}
