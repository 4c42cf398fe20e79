//! Signed notes and verifier keys: <https://c2sp.org/signed-note>.

use crate::{Error, Result};
use data_encoding::{BASE64, HEXLOWER};
use ring::signature::{ED25519, UnparsedPublicKey};
use std::fmt;
use std::str::FromStr;

/// A note longer than this is refused unread. Ours take a few hundred bytes; signed-note asks for
/// room for 16 signatures of up to 5 kB.
pub(crate) const NOTE_BYTES_MAX: usize = 128 * 1024;
/// signed-note asks verifiers for a limit of at least 16.
const SIGNATURES_MAX: usize = 64;
/// A key name ends up in error messages and file lines.
const NAME_BYTES_MAX: usize = 255;
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// What a key signs: signature types 0x01 and 0x04 of signed-note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Ed25519 over the note text.
    Ed25519,
    /// A timestamped Ed25519 cosignature (tlog-cosignature, `cosignature/v1`).
    Cosignature,
}

impl Algorithm {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Algorithm::Ed25519 => 1,
            Algorithm::Cosignature => 4,
        }
    }

    fn of_byte(byte: u8) -> Option<Algorithm> {
        match byte {
            1 => Some(Algorithm::Ed25519),
            4 => Some(Algorithm::Cosignature),
            _ => None,
        }
    }
}

/// A text and who signed it. Parsing proves the form only; [`VerifierKey::verify`] proves the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Ends with a newline, which is signed too.
    pub text: String,
    pub signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    pub name: String,
    pub key_id: u32,
    pub bytes: Vec<u8>,
}

impl Note {
    /// Reads a note in exactly the form the specification gives it: what parses prints the same.
    pub fn parse(bytes: &[u8]) -> Result<Note> {
        let bad = |why: &str| Error::BadNote(why.to_owned());
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let all = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?;
        if all.chars().any(|c| c < ' ' && c != '\n') {
            return Err(bad("it holds a control character"));
        }
        let (text, lines) =
            all.rsplit_once("\n\n").ok_or_else(|| bad("no blank line before the signatures"))?;
        let lines = lines.strip_suffix('\n').ok_or_else(|| bad("the last line does not end"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(bad("it has too many signatures"));
            }
            signatures.push(NoteSignature::parse(line)?);
        }
        Ok(Note { text: format!("{text}\n"), signatures })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<NoteSignature> {
        let bad = |why: &str| Error::BadNote(format!("signature line: {why}"));
        let rest = line
            .strip_prefix("\u{2014} ")
            .ok_or_else(|| bad("it does not begin with an em dash"))?;
        let (name, encoded) = rest.split_once(' ').ok_or_else(|| bad("it has no signature"))?;
        check_name(name).map_err(|_| bad("the key name is not one"))?;
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| bad("it is not base64"))?;
        let (id, signature) =
            bytes.split_first_chunk::<4>().ok_or_else(|| bad("it is too short"))?;
        Ok(NoteSignature {
            name: name.to_owned(),
            key_id: u32::from_be_bytes(*id),
            bytes: signature.to_vec(),
        })
    }

    /// `name+key id`, as people compare it.
    pub fn key(&self) -> String {
        format!("{}+{:08x}", self.name, self.key_id)
    }

    /// When a cosignature was made, in seconds since the epoch.
    pub fn cosigned_at(&self) -> Option<u64> {
        let (time, rest) = self.bytes.split_first_chunk::<8>()?;
        (rest.len() == SIGNATURE_BYTES).then_some(u64::from_be_bytes(*time))
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(&bytes))
    }
}

/// A public key as a C2SP vkey: `name+hex key id+base64(type ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    public: [u8; KEY_BYTES],
}

impl VerifierKey {
    pub(crate) fn new(
        name: &str,
        algorithm: Algorithm,
        public: [u8; KEY_BYTES],
    ) -> Result<VerifierKey> {
        check_name(name)?;
        Ok(VerifierKey { name: name.to_owned(), algorithm, public })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// First four bytes of SHA-256 over name, newline, type and key.
    pub fn key_id(&self) -> u32 {
        key_id(&self.name, self.algorithm, &self.public)
    }

    /// `name+key id`: enough to tell keys apart, not enough to trust one.
    pub fn short(&self) -> String {
        format!("{}+{:08x}", self.name, self.key_id())
    }

    /// Whether the line says it is by this key.
    pub fn names(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.key_id()
    }

    /// Whether this key made the signature over `text`.
    pub fn verify(&self, text: &str, signature: &NoteSignature) -> bool {
        if !self.names(signature) {
            return false;
        }
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        match self.algorithm {
            Algorithm::Ed25519 => key.verify(text.as_bytes(), &signature.bytes).is_ok(),
            Algorithm::Cosignature => {
                let Some(time) = signature.cosigned_at() else { return false };
                let Some((_, bytes)) = signature.bytes.split_first_chunk::<8>() else {
                    return false;
                };
                // tlog-cosignature: the time must not exceed 2^63 - 1.
                i64::try_from(time).is_ok()
                    && key.verify(cosigned_message(time, text).as_bytes(), bytes).is_ok()
            }
        }
    }
}

/// What a witness signs: tlog-cosignature, "Ed25519 signed message".
pub(crate) fn cosigned_message(time_secs: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_secs}\n{text}")
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<VerifierKey> {
        let bad = |why: &str| Error::BadKey(format!("`{}` {why}", shorten(text)));
        // The base64 part may hold `+` itself.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("is not a vkey: give `name+id+key` as written in `log.vkey`"));
        };
        let (algorithm, public) = decode_key(encoded).map_err(|why| bad(&why))?;
        let key = VerifierKey::new(name, algorithm, public)?;
        // Lower case only, so that one key has one spelling.
        let said = HEXLOWER
            .decode(id.as_bytes())
            .map_err(|_| bad("has a key id that is not lowercase hex"))?;
        if said != key.key_id().to_be_bytes() {
            return Err(bad("was changed: its id is not that of its key; copy it again"));
        }
        Ok(key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.key_id(),
            encode_key(self.algorithm, &self.public)
        )
    }
}

pub(crate) fn encode_key(algorithm: Algorithm, key: &[u8; KEY_BYTES]) -> String {
    let mut bytes = vec![algorithm.byte()];
    bytes.extend_from_slice(key);
    BASE64.encode(&bytes)
}

pub(crate) fn decode_key(
    encoded: &str,
) -> std::result::Result<(Algorithm, [u8; KEY_BYTES]), String> {
    let bytes =
        BASE64.decode(encoded.as_bytes()).map_err(|_| "has a key that is not base64".to_owned())?;
    let (kind, key) = bytes.split_first().ok_or("has no key")?;
    let algorithm = Algorithm::of_byte(*kind)
        .ok_or("is of a type we do not know: use Ed25519 (0x01) or a cosignature key (0x04)")?;
    let key = <[u8; KEY_BYTES]>::try_from(key)
        .map_err(|_| "has a key that is not 32 bytes".to_owned())?;
    Ok((algorithm, key))
}

pub(crate) fn key_id(name: &str, algorithm: Algorithm, public: &[u8; KEY_BYTES]) -> u32 {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', algorithm.byte()]);
    bytes.extend_from_slice(public);
    let [a, b, c, d, ..] = schema::sha256(&bytes).0;
    u32::from_be_bytes([a, b, c, d])
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if fits {
        Ok(())
    } else {
        Err(Error::BadKey(format!(
            "`{}` is no key name: use 1 to {NAME_BYTES_MAX} bytes without spaces and `+`",
            shorten(name)
        )))
    }
}

/// Enough of a text to recognise it by in a message.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    // The key and note of the reference implementation (golang.org/x/mod/sumdb/note).
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SKEY: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    // From <https://c2sp.org/tlog-cosignature>.
    const COSIGNED: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    #[test]
    fn the_reference_note_verifies_and_is_signed_the_same_by_us() {
        let key: VerifierKey = VKEY.parse().unwrap();
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.to_string(), NOTE);
        assert!(key.verify(&note.text, &note.signatures[0]));
        let signer = SigningKey::parse(SKEY).unwrap();
        assert_eq!(signer.verifier().to_string(), VKEY);
        assert_eq!(signer.sign(&note.text), note.signatures[0]);
    }

    #[test]
    fn the_specifications_cosignature_reads_as_written() {
        let note = Note::parse(COSIGNED.as_bytes()).unwrap();
        assert_eq!(note.to_string(), COSIGNED);
        assert_eq!(note.signatures[1].cosigned_at(), Some(1_679_315_147));
        assert_eq!(note.signatures[0].cosigned_at(), None);
    }

    #[test]
    fn any_changed_byte_of_note_or_key_is_noticed() {
        let key: VerifierKey = VKEY.parse().unwrap();
        for place in 0..NOTE.len() {
            for bit in 0..8 {
                let mut bytes = NOTE.as_bytes().to_vec();
                bytes[place] ^= 1 << bit;
                let passes = Note::parse(&bytes)
                    .is_ok_and(|n| n.signatures.iter().all(|s| key.verify(&n.text, s)));
                assert!(!passes, "byte {place} bit {bit}");
            }
        }
        for place in 0..VKEY.len() {
            for bit in 0..8 {
                let mut bytes = VKEY.as_bytes().to_vec();
                bytes[place] ^= 1 << bit;
                let parsed =
                    String::from_utf8(bytes).ok().and_then(|t| t.parse::<VerifierKey>().ok());
                assert_eq!(parsed, None, "byte {place} bit {bit}");
            }
        }
    }
}
