use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::merkle::consistency_holds;
use crate::note::{Algorithm, VerifierKey};
use crate::{Error, Result, SigningKey};
use schema::{Digest, Timestamp};

/// What the witness last cosigned of a log, and the proof that the new tree continues it
/// ([`crate::Ledger::consistency`] of that size).
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    pub checkpoint: &'a Checkpoint,
    pub proof: &'a [Digest],
}

/// A cosignature that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    pub witness: VerifierKey,
    /// When it was made.
    pub time_secs: u64,
}

/// Adds a witness's cosignature (tlog-cosignature, `cosignature/v1`) to a checkpoint: its
/// statement that this is the largest tree it saw of this log, and continues all it saw before.
///
/// Refuses what `log` did not sign and what does not continue `previous`. With no previous one the
/// first checkpoint is taken as it is. The caller keeps the checkpoint that comes back, durably
/// and before handing it out, as the next call's previous one.
pub fn cosign(
    checkpoint: &str,
    log: &VerifierKey,
    witness: &SigningKey,
    time: Timestamp,
    previous: Option<Previous<'_>>,
) -> Result<String> {
    let refuse = |why: String| Err(Error::CosignRefused(why));
    if witness.verifier().algorithm() != Algorithm::Cosignature {
        return refuse("the key is not for cosigning: make one of type 0x04".to_owned());
    }
    let Ok(time_secs) = u64::try_from(time.div_euclid(1000)) else {
        return refuse("the time is before 1970: set the clock".to_owned());
    };
    let mut signed = SignedCheckpoint::parse(checkpoint.as_bytes())?;
    if !signed.is_signed_by(log) {
        return refuse(format!(
            "the checkpoint is not signed by `{}`: ask the operator",
            log.short()
        ));
    }
    let now = &signed.checkpoint;
    if let Some(Previous { checkpoint: before, proof }) = previous {
        if before.origin != now.origin {
            return refuse(format!(
                "the checkpoint is of `{}`, not of `{}`: keep one memory per log",
                now.origin, before.origin
            ));
        }
        if now.size < before.size {
            return refuse(format!(
                "the log shrank from {} records to {}: records were cut off",
                before.size, now.size
            ));
        }
        if !consistency_holds(before.size, now.size, before.root, now.root, proof) {
            return refuse(format!(
                "the tree of {} records does not continue the one of {} seen before: history was rewritten, or the proof is not the right one",
                now.size, before.size
            ));
        }
    }
    // One line per witness: a newer statement takes the place of the older.
    signed.note.signatures.retain(|line| !witness.verifier().names(line));
    let line = witness.cosign(&signed.note.text, time_secs);
    signed.note.signatures.push(line);
    Ok(signed.note.to_string())
}

/// The cosignatures on a checkpoint that are by `witnesses` and hold. The log's own signature is
/// asked for with [`SignedCheckpoint::is_signed_by`].
pub fn cosignatures(signed: &SignedCheckpoint, witnesses: &[VerifierKey]) -> Vec<Cosigned> {
    witnesses
        .iter()
        .filter(|key| key.algorithm() == Algorithm::Cosignature)
        .filter_map(|key| {
            let line =
                signed.note.signatures.iter().find(|line| key.verify(&signed.note.text, line))?;
            Some(Cosigned { witness: key.clone(), time_secs: line.cosigned_at()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    #[test]
    fn a_witness_signs_what_continues_and_refuses_a_fork_a_cut_and_a_strange_key() {
        let log = SigningKey::from_seed("log.example", Algorithm::Ed25519, &[1; 32]).unwrap();
        let strange = SigningKey::from_seed("log.example", Algorithm::Ed25519, &[2; 32]).unwrap();
        let witness =
            SigningKey::from_seed("witness.example", Algorithm::Cosignature, &[3; 32]).unwrap();
        let leaf = |n: u8| leaf_hash(&[n]);
        let head = |leaves: &[Digest]| Checkpoint {
            origin: "log.example".to_owned(),
            size: leaves.len() as u64,
            root: crate::root_of(leaves),
        };
        let one = head(&[leaf(1)]);
        let two = head(&[leaf(1), leaf(2)]);
        let fork = head(&[leaf(9), leaf(2)]);
        let text = |head: &Checkpoint, key: &SigningKey| head.sign(key).to_string();
        let cosign = |text: &str, previous: Option<Previous<'_>>| {
            super::cosign(text, log.verifier(), &witness, 1_700_000_000_999, previous)
        };

        let first = cosign(&text(&one, &log), None).unwrap();
        let signed = SignedCheckpoint::parse(first.as_bytes()).unwrap();
        let held = cosignatures(&signed, std::slice::from_ref(witness.verifier()));
        assert_eq!(held.iter().map(|c| c.time_secs).collect::<Vec<_>>(), [1_700_000_000]);
        assert_eq!(cosignatures(&signed, std::slice::from_ref(log.verifier())), []);

        let proof = [leaf(2)];
        let previous = Some(Previous { checkpoint: &one, proof: &proof });
        assert!(cosign(&text(&two, &log), previous).is_ok());
        for (what, text, previous) in [
            ("fork", text(&fork, &log), previous),
            ("cut off", text(&one, &log), Some(Previous { checkpoint: &two, proof: &[] })),
            (
                "same size, other root",
                text(&fork, &log),
                Some(Previous { checkpoint: &two, proof: &[] }),
            ),
            ("strange key", text(&two, &strange), previous),
        ] {
            assert!(matches!(cosign(&text, previous), Err(Error::CosignRefused(_))), "{what}");
        }
    }
}
