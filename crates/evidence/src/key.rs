use crate::note::{
    Algorithm, NoteSignature, VerifierKey, cosigned_message, decode_key, encode_key,
};
use crate::{Error, Result};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A key file holds one line of about a hundred bytes.
const KEY_FILE_BYTES_MAX: u64 = 1024;

/// A private Ed25519 key with its name. Never prints itself.
///
/// In a file it is one line, `PRIVATE+KEY+name+id+base64(type ‖ seed)`, as the reference
/// implementation of signed notes writes it, readable by its owner only.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SigningKey {
    /// A new key for signing checkpoints ([`Algorithm::Ed25519`]) or cosigning them
    /// ([`Algorithm::Cosignature`]), written to a new file; an existing file is never replaced.
    pub fn generate(path: &Path, name: &str, algorithm: Algorithm) -> Result<SigningKey> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| {
            Error::BadKey("the system gives no random numbers: try again later".to_owned())
        })?;
        let key = SigningKey::from_seed(name, algorithm, &seed)?;
        let line =
            format!("PRIVATE+KEY+{}+{}\n", key.verifier.short(), encode_key(algorithm, &seed));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Error::io(path))?;
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::io(path))?;
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent).and_then(|dir| dir.sync_all()).map_err(Error::io(parent))?;
        }
        Ok(key)
    }

    /// Reads a key file, which others must not be able to read.
    pub fn load(path: &Path) -> Result<SigningKey> {
        let file = File::open(path).map_err(Error::io(path))?;
        let mode = file.metadata().map_err(Error::io(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::KeyFileOpen(path.to_owned()));
        }
        let mut text = String::new();
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(Error::io(path))?;
        SigningKey::parse(text.trim_end())
    }

    /// [`SigningKey::load`], or [`SigningKey::generate`] when there is no such file.
    pub fn load_or_generate(path: &Path, name: &str, algorithm: Algorithm) -> Result<SigningKey> {
        if path.exists() {
            SigningKey::load(path)
        } else {
            SigningKey::generate(path, name, algorithm)
        }
    }

    pub(crate) fn parse(line: &str) -> Result<SigningKey> {
        // The line is secret: messages never quote it.
        let bad = |why: &str| {
            Error::BadKey(format!("the private key {why}: restore its file from a copy"))
        };
        let rest = line
            .strip_prefix("PRIVATE+KEY+")
            .ok_or_else(|| bad("does not begin with `PRIVATE+KEY+`"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("has not three parts"));
        };
        let (algorithm, seed) = decode_key(encoded).map_err(|why| bad(&why))?;
        let key = SigningKey::from_seed(name, algorithm, &seed)?;
        if format!("{:08x}", key.verifier.key_id()) != id {
            return Err(bad("was changed: its id is not that of its key"));
        }
        Ok(key)
    }

    /// The key that `seed` gives; for tests and for keys kept elsewhere.
    pub fn from_seed(name: &str, algorithm: Algorithm, seed: &[u8; 32]) -> Result<SigningKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::BadKey("the seed is not usable: make a new key".to_owned()))?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| {
            Error::BadKey("the public key is not 32 bytes: make a new key".to_owned())
        })?;
        let verifier = VerifierKey::new(name, algorithm, public)?;
        Ok(SigningKey { pair, verifier })
    }

    /// The public half, to hand out.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(crate) fn sign(&self, text: &str) -> NoteSignature {
        self.signature(self.pair.sign(text.as_bytes()).as_ref().to_vec())
    }

    pub(crate) fn cosign(&self, text: &str, time_secs: u64) -> NoteSignature {
        let mut bytes = time_secs.to_be_bytes().to_vec();
        bytes.extend_from_slice(
            self.pair.sign(cosigned_message(time_secs, text).as_bytes()).as_ref(),
        );
        self.signature(bytes)
    }

    fn signature(&self, bytes: Vec<u8>) -> NoteSignature {
        NoteSignature {
            name: self.verifier.name().to_owned(),
            key_id: self.verifier.key_id(),
            bytes,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ****)", self.verifier.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_and_reads_back_as_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        let made = SigningKey::generate(&path, "plura.example/log", Algorithm::Ed25519).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let read = SigningKey::load(&path).unwrap();
        assert_eq!(read.verifier(), made.verifier());
        assert!(SigningKey::generate(&path, "x", Algorithm::Ed25519).is_err(), "never replaced");
        let secret = std::fs::read_to_string(&path).unwrap();
        assert!(!secret.contains(&format!("{made:?}")) && format!("{made:?}").contains("****"));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::load(&path), Err(Error::KeyFileOpen(_))));
    }
}
