//! Who signed a checkpoint, and who cosigned it.

use super::Trust;
use crate::checkpoint::SignedCheckpoint;
use crate::note::{Algorithm, Note, VerifierKey};
use crate::report::{Failure, FailureKind, Report};

const RESTORE: &str =
    "restore the file from a copy you trust; if there is none, treat the evidence as changed";

/// The key whose signature to ask for: the trusted one, else the one that lies beside.
pub(super) fn signing_key<'a>(
    trust: &'a Trust,
    beside: Option<&'a VerifierKey>,
) -> Option<&'a VerifierKey> {
    trust.log.as_ref().or(beside)
}

/// Checks the log's own signature. Names the key that signed when it is not the one expected.
pub(super) fn check_signature(
    report: &mut Report,
    key: Option<&VerifierKey>,
    trusted: bool,
    note: &Note,
    file: &str,
) -> bool {
    let own = |line: &&crate::NoteSignature| key.is_some_and(|key| key.names(line));
    let mut found = false;
    for line in note.signatures.iter().filter(own) {
        found = true;
        report.checked.signatures += 1;
        if !key.is_some_and(|key| key.verify(&note.text, line)) {
            report.fail(Failure::file(
                FailureKind::SignatureInvalid,
                file,
                format!(
                    "the signature by `{}` does not hold: the text or the signature was changed",
                    line.key()
                ),
                RESTORE,
            ));
            return false;
        }
    }
    if !found {
        let by = note.signatures.first().map_or_else(String::new, |line| line.key());
        let (kind, expected) = match key {
            Some(key) if trusted => {
                (FailureKind::KeySwapped, format!("not by `{}`, which you trust", key.short()))
            }
            Some(key) => (
                FailureKind::KeySwapped,
                format!("not by `{}`, whose key lies beside it", key.short()),
            ),
            None => (
                FailureKind::SignatureInvalid,
                "and no key to check it with lies beside it".to_owned(),
            ),
        };
        report.fail(Failure::file(
            kind,
            file,
            format!("signed by `{by}`, {expected}"),
            "ask the operator, by a way you trust, which key is theirs and since when",
        ));
    }
    found
}

/// Checks every line that is not the log's. A line nobody can check is a failure: the writer
/// keeps the key of each cosignature it keeps.
pub(super) fn check_cosignatures(
    report: &mut Report,
    log: Option<&VerifierKey>,
    known: &[&VerifierKey],
    signed: &SignedCheckpoint,
    file: &str,
) {
    let is_log = |line: &&crate::NoteSignature| log.is_some_and(|key| key.names(line));
    // Signed by another key than the log's: told already, and no cosignature.
    let swapped = !signed.note.signatures.iter().any(|line| is_log(&line));
    let others = signed.note.signatures.iter().filter(|line| !is_log(line));
    for line in others.filter(|line| !(swapped && line.cosigned_at().is_none())) {
        report.checked.signatures += 1;
        let key = known.iter().find(|key| key.names(line));
        let held = key.is_some_and(|key| {
            key.algorithm() == Algorithm::Cosignature && key.verify(&signed.note.text, line)
        });
        if held {
            if let Some(time) = line.cosigned_at() {
                let entry =
                    format!("{} at {time} for {} records", line.key(), signed.checkpoint.size);
                if !report.cosigned.contains(&entry) {
                    report.cosigned.push(entry);
                }
            }
        } else {
            let why = if key.is_some() {
                "does not hold"
            } else {
                "is by a key that is not among the known witnesses"
            };
            report.fail(Failure::file(
                FailureKind::CosignatureInvalid,
                file,
                format!("the cosignature by `{}` {why}", line.key()),
                "ask that witness for the checkpoint it cosigned, or give its key with --witness",
            ));
        }
    }
}

/// Each witness asked for must have cosigned one of the checkpoints.
pub(super) fn check_witnesses_present(
    report: &mut Report,
    trust: &Trust,
    heads: &[&SignedCheckpoint],
    file: &str,
) {
    for witness in &trust.witnesses {
        let present = heads.iter().any(|head| {
            head.note.signatures.iter().any(|line| witness.verify(&head.note.text, line))
        });
        if !present {
            report.fail(Failure::file(
                FailureKind::CosignatureMissing,
                file,
                format!("the witness `{}` has not cosigned", witness.short()),
                "ask the witness what it last cosigned and compare with --against",
            ));
        }
    }
}

/// What only others can tell.
pub(super) fn note_limits(report: &mut Report, trust: &Trust, compared: bool) {
    match (&report.signer, trust.log.is_some()) {
        (Some(signer), false) => report.not_checked.push(format!(
            "signed by {signer}, which you have not told me to trust: whoever holds that key may have written all of this; give the operator's key with --key"
        )),
        (None, _) => report.not_checked.push("by whom this is signed: no signature could be read".to_owned()),
        (Some(_), true) => {}
    }
    if trust.witnesses.is_empty() && !compared {
        report.not_checked.push(
            "whether the operator rewrote the whole history with its own key: only a checkpoint kept elsewhere (--against) or a witness's cosignature (--witness) can show that".to_owned(),
        );
    }
}
