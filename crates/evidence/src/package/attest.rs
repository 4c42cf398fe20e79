//! Which leaf speaks for which record. Writer and verifier share this rule.

use crate::leaf::LeafView;
use schema::{Digest, Leaf};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Incident,
    Finding,
    Action,
    Event,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Incident, Role::Finding, Role::Action, Role::Event];

    pub fn file(self) -> &'static str {
        match self {
            Role::Incident => super::INCIDENT,
            Role::Finding => "findings.ndjson",
            Role::Action => "actions.ndjson",
            Role::Event => "events.ndjson",
        }
    }

    /// The kinds of leaf that carry the digest of such a record.
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Role::Incident => &["incident"],
            Role::Finding => &["finding"],
            Role::Action => &["decision", "action", "approval", "rejection", "undo", "expiry"],
            Role::Event => &[],
        }
    }
}

/// What the leaves say of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The leaf of this index attests it.
    Attested(u64),
    /// The newest leaf that speaks for it, of this index, attests something else.
    Differs(u64),
    NoLeaf,
}

/// The newest leaf of the record's own kinds must attest it. Incidents and actions go on changing,
/// so an `export` leaf after that one may do so instead; a finding is what it was when found.
pub(crate) fn judge(role: Role, leaves: &[(u64, LeafView)], digest: Digest) -> Judgement {
    let own = leaves.iter().rfind(|(_, leaf)| role.kinds().contains(&leaf.kind.as_str()));
    let after = own.map(|(index, _)| *index);
    let exports = leaves
        .iter()
        .filter(|(index, leaf)| leaf.kind == "export" && after.is_none_or(|own| *index > own))
        .filter(|_| role != Role::Finding || own.is_none());
    let mut newest = None;
    for (index, leaf) in own.into_iter().chain(exports) {
        if leaf.digest == digest {
            return Judgement::Attested(*index);
        }
        newest = Some(*index);
    }
    newest.map_or(Judgement::NoLeaf, Judgement::Differs)
}

/// `id`, or `metadata.uid` of an OCSF event.
pub(crate) fn record_id(value: &Value) -> Option<Uuid> {
    let id = value.get("id").or_else(|| value.get("metadata")?.get("uid"))?;
    id.as_str()?.parse().ok()
}

pub(crate) fn view(leaf: &Leaf) -> LeafView {
    let kind = serde_json::to_value(leaf.kind).ok().and_then(|v| v.as_str().map(str::to_owned));
    LeafView { kind: kind.unwrap_or_default(), subject: leaf.subject, digest: leaf.digest }
}

pub(crate) fn by_subject(
    leaves: impl Iterator<Item = (u64, LeafView)>,
) -> BTreeMap<Uuid, Vec<(u64, LeafView)>> {
    let mut map: BTreeMap<Uuid, Vec<(u64, LeafView)>> = BTreeMap::new();
    for (index, leaf) in leaves {
        map.entry(leaf.subject).or_default().push((index, leaf));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_leaf_speaks_and_a_finding_stays_what_it_was() {
        let [old, new] = [schema::sha256(b"old"), schema::sha256(b"new")];
        let leaf = |index, kind: &str, digest| {
            (index, LeafView { kind: kind.to_owned(), subject: Uuid::nil(), digest })
        };
        let action = [leaf(1, "decision", old), leaf(5, "undo", new)];
        assert_eq!(judge(Role::Action, &action, new), Judgement::Attested(5));
        assert_eq!(judge(Role::Action, &action, old), Judgement::Differs(5));

        let exported = [leaf(1, "incident", old), leaf(5, "export", new)];
        assert_eq!(judge(Role::Incident, &exported, new), Judgement::Attested(5));
        let exported = [leaf(1, "finding", old), leaf(5, "export", new)];
        assert_eq!(judge(Role::Finding, &exported, new), Judgement::Differs(1));
        assert_eq!(judge(Role::Event, &exported, new), Judgement::Attested(5));
        assert_eq!(judge(Role::Event, &[], new), Judgement::NoLeaf);
        // Views, logins and the like speak of a record without carrying its digest.
        assert_eq!(judge(Role::Incident, &[leaf(2, "evidence-view", old)], new), Judgement::NoLeaf);
    }

    #[test]
    fn the_kinds_are_those_of_the_ledger() {
        for kind in Role::ALL.iter().flat_map(|role| role.kinds()).chain(&["export"]) {
            let known: Result<schema::LeafKind, _> = serde_json::from_value((*kind).into());
            assert!(known.is_ok(), "{kind}");
        }
    }
}
