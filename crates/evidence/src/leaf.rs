use crate::canonical::canonical_json;
use schema::{Digest, Leaf};
use serde_json::Value;
use uuid::Uuid;

/// An entry's length is a 16-bit number in a tlog-tiles bundle.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// A leaf as it stands in the tree: its canonical JSON.
pub fn leaf_bytes(leaf: &Leaf) -> Vec<u8> {
    // A leaf has text keys only and cannot fail to become JSON; were it ever to, `null` would be
    // appended, and the verifier would name it.
    serde_json::to_value(leaf).map_or_else(|_| b"null".to_vec(), |value| canonical_json(&value))
}

/// What the verifier reads of a leaf. Kinds are text here: they are added over time, and an older
/// verifier must still check a newer ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeafView {
    pub kind: String,
    pub subject: Uuid,
    pub digest: Digest,
}

impl LeafView {
    /// Reads an entry that must be the canonical JSON of a leaf.
    pub fn parse(entry: &[u8]) -> Result<LeafView, &'static str> {
        let value: Value = serde_json::from_slice(entry).map_err(|_| "it is not JSON")?;
        if canonical_json(&value) != entry {
            return Err("it is not in canonical form");
        }
        LeafView::of(&value)
    }

    pub fn of(value: &Value) -> Result<LeafView, &'static str> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let (Some(_), Some(kind), Some(_)) = (text("tenant"), text("kind"), text("actor")) else {
            return Err("it has not the members of a leaf");
        };
        if value.get("time").and_then(Value::as_i64).is_none() {
            return Err("its time is not a number of milliseconds");
        }
        let subject =
            text("subject").and_then(|t| t.parse().ok()).ok_or("its subject is not a UUID")?;
        let digest =
            text("digest").and_then(Digest::parse).ok_or("its digest is not 64 hex digits")?;
        Ok(LeafView { kind: kind.to_owned(), subject, digest })
    }
}
