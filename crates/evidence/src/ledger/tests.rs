use super::*;
use schema::LeafKind;

fn leaf(n: u8) -> Leaf {
    Leaf {
        tenant: "acme".parse().unwrap(),
        kind: LeafKind::Login,
        time: 1_700_000_000_000,
        actor: "user:kim".to_owned(),
        subject: Uuid::from_bytes([n; 16]),
        digest: Digest([n; 32]),
        reason: "password".to_owned(),
        causes: Vec::new(),
    }
}

#[test]
fn the_entry_is_the_leafs_canonical_json() {
    let mut leaf = leaf(1);
    leaf.causes = vec![Uuid::nil()];
    assert_eq!(
        String::from_utf8(leaf_bytes(&leaf)).unwrap(),
        concat!(
            r#"{"actor":"user:kim","causes":["00000000-0000-0000-0000-000000000000"],"#,
            r#""digest":"0101010101010101010101010101010101010101010101010101010101010101","#,
            r#""kind":"login","reason":"password","subject":"01010101-0101-0101-0101-010101010101","#,
            r#""tenant":"acme","time":1700000000000}"#
        )
    );
}

/// A full or broken disk: the append fails, adds nothing, and the next one works again.
#[test]
fn an_append_that_the_journal_does_not_take_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::from_seed("log", Algorithm::Ed25519, &[1; 32]).unwrap();
    let mut ledger = Ledger::open(dir.path(), "log", key).unwrap();
    ledger.append(&[leaf(1)]).unwrap();
    ledger.journal = File::open(dir.path().join(JOURNAL)).unwrap();
    assert_eq!(ledger.append(&[leaf(2)]).unwrap_err().code(), "ledger-io");
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger.append(&[leaf(3)]).unwrap(), 1..2);
    assert_eq!(ledger.leaves(0..2).unwrap(), [leaf(1), leaf(3)]);
}
