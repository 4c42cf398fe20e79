//! Signed folders: what is in one is what its maker put there.
//!
//! Two files beside the others: `SHA256SUMS` lists them as `sha256sum` does, and `SHA256SUMS.note` is a signed note
//! (<https://c2sp.org/signed-note>) over what the folder is and the hash of that list. So `sha256sum -c` and any
//! reader of signed notes can check it without us.

use crate::key::SigningKey;
use crate::note::{Algorithm, Note, VerifierKey};
use crate::{Error, Result};
use schema::sha256;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

const SUMS: &str = "SHA256SUMS";
const NOTE: &str = "SHA256SUMS.note";
/// The first line of what is signed: a key that signs other things signs no folder by accident.
const KIND: &str = "plura signed folder v1";

const FILES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 16;
/// A line for each file, its path of some hundred bytes.
const SUMS_BYTES_MAX: u64 = 16 * 1024 * 1024;
const BYTES_MAX: u64 = 256 * 1024 * 1024;
const SUBJECT_BYTES_MAX: usize = 200;

/// A folder that is as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What its maker called it: a name and a version.
    pub subject: String,
    pub by: VerifierKey,
    /// What was checked, by path below the folder: use these, the files may have changed since.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Signs a folder as it is now; a signature that is there is replaced.
pub fn sign_folder(folder: &Path, subject: &str, key: &SigningKey) -> Result<usize> {
    let wrong = |why: String| Error::Folder { folder: folder.to_owned(), why };
    if key.verifier().algorithm() != Algorithm::Ed25519 {
        return Err(wrong(format!("key `{}` is for cosigning only", key.verifier().short())));
    }
    let is_line = !subject.chars().any(char::is_control) && !subject.trim().is_empty();
    if subject.len() > SUBJECT_BYTES_MAX || !is_line {
        return Err(wrong(format!("its name has to be one line of 1–{SUBJECT_BYTES_MAX} bytes")));
    }
    let files = read(folder)?;
    if files.is_empty() {
        return Err(wrong("there is nothing in it to sign".to_owned()));
    }
    let sums: String =
        files.iter().map(|(path, bytes)| format!("{}  {path}\n", sha256(bytes))).collect();
    let text = signed_text(subject, &sums);
    let note = Note { signatures: vec![key.sign(&text)], text };
    // The list first: between the two the old signature does not fit, and never a list that nobody signed.
    for (name, text) in [(SUMS, sums), (NOTE, note.to_string())] {
        let (path, part) = (folder.join(name), folder.join(format!("{name}.partial")));
        fs::write(&part, text).map_err(Error::io(&part))?;
        fs::rename(&part, &path).map_err(Error::io(&path))?;
    }
    Ok(files.len())
}

/// Reads a folder that one of the keys has signed: every file as listed, and none beside.
pub fn read_signed_folder(folder: &Path, keys: &[VerifierKey]) -> Result<Listed> {
    let wrong = |why: String| Error::Folder { folder: folder.to_owned(), why };
    let beside = |name: &str| {
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => bytes_of(&path, SUMS_BYTES_MAX),
            _ => Err(wrong(format!("it is not signed: there is no file `{name}`"))),
        }
    };
    let note = Note::parse(&beside(NOTE)?)?;
    let sums =
        String::from_utf8(beside(SUMS)?).map_err(|_| wrong(format!("`{SUMS}` is no text")))?;
    let signed_by = |key: &&VerifierKey| {
        let good = |signature| key.verify(&note.text, signature);
        key.algorithm() == Algorithm::Ed25519 && note.signatures.iter().any(good)
    };
    let Some(by) = keys.iter().find(signed_by) else {
        let names: Vec<String> = note.signatures.iter().map(|signature| signature.key()).collect();
        return Err(wrong(format!("none of the trusted keys signed it; {} did", names.join(", "))));
    };
    let subject = note.text.lines().nth(1).unwrap_or_default();
    if note.text != signed_text(subject, &sums) {
        return Err(wrong(format!("`{SUMS}` is not the list that was signed")));
    }
    let mut files = read(folder)?;
    let mut listed = BTreeMap::new();
    for line in sums.lines() {
        let Some((hash, path)) = line.split_once("  ") else {
            return Err(wrong(format!("`{SUMS}` has a line that is none of a list: `{line}`")));
        };
        let Some(bytes) = files.remove(path) else {
            return Err(wrong(format!("`{path}` is missing")));
        };
        if sha256(&bytes).to_hex() != hash {
            return Err(wrong(format!("`{path}` is not as it was signed")));
        }
        listed.insert(path.to_owned(), bytes);
    }
    match files.keys().next() {
        Some(path) => Err(wrong(format!("`{path}` was not there when it was signed"))),
        None => Ok(Listed { subject: subject.to_owned(), by: by.clone(), files: listed }),
    }
}

fn signed_text(subject: &str, sums: &str) -> String {
    format!("{KIND}\n{subject}\n{}\n", sha256(sums.as_bytes()))
}

/// Every file below a folder but the two of the signature, by its path.
fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut room = BYTES_MAX;
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((at, below, depth)) = folders.pop() {
        for entry in fs::read_dir(&at).map_err(Error::io(&at))? {
            let entry = entry.map_err(Error::io(&at))?;
            let wrong = |why: String| Error::Folder { folder: folder.to_owned(), why };
            let name = entry.file_name();
            let name = name.to_str().filter(|name| !name.chars().any(char::is_control));
            let Some(name) = name else {
                let shown = entry.path().display().to_string();
                return Err(wrong(format!(
                    "`{}` has a name that no list can hold",
                    shown.escape_debug()
                )));
            };
            let is_ours = |own: &str| {
                name.strip_prefix(own).is_some_and(|end| ["", ".partial"].contains(&end))
            };
            if depth == 0 && [NOTE, SUMS].into_iter().any(is_ours) {
                continue;
            }
            let path = format!("{below}{name}");
            let kind = entry.file_type().map_err(Error::io(&entry.path()))?;
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((entry.path(), format!("{path}/"), depth + 1));
            } else if kind.is_file() && all.len() < FILES_MAX {
                let bytes = bytes_of(&entry.path(), room)?;
                room -= bytes.len() as u64;
                all.insert(path, bytes);
            } else {
                return Err(wrong(format!(
                    "`{path}` is a link or a device, deeper than {DEPTH_MAX} folders, or the file after {FILES_MAX} others"
                )));
            }
        }
    }
    Ok(all)
}

fn bytes_of(path: &Path, room: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(Error::io(path))?;
    file.take(room + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > room {
        let why = format!(
            "more bytes than are read: {BYTES_MAX} of a folder, {SUMS_BYTES_MAX} of `{SUMS}` or its note"
        );
        return Err(Error::Folder { folder: path.to_owned(), why });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(name, Algorithm::Ed25519, &[seed; 32]).unwrap()
    }

    #[test]
    fn a_signed_folder_reads_as_it_was_and_any_change_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        fs::create_dir(folder.join("web")).unwrap();
        fs::write(folder.join("a.yml"), "title: a\n").unwrap();
        fs::write(folder.join("web/b.yml"), "title: b\n").unwrap();
        let maker = key("maker", 1);
        let trusted = [key("other", 2).verifier().clone(), maker.verifier().clone()];
        let check = |expected: &str| {
            let told = read_signed_folder(folder, &trusted);
            let told = told.map(|listed| listed.subject).unwrap_or_else(|error| error.to_string());
            assert!(told.contains(expected), "{told}\nshould say: {expected}");
        };
        check("it is not signed");
        assert_eq!(sign_folder(folder, "own 1.2.0", &maker).unwrap(), 2);
        check("own 1.2.0");
        let listed = read_signed_folder(folder, &trusted).unwrap();
        assert_eq!(&listed.by, maker.verifier());
        assert_eq!(listed.files.keys().collect::<Vec<_>>(), ["a.yml", "web/b.yml"]);
        assert_eq!(listed.files.get("a.yml").unwrap(), b"title: a\n");

        fs::write(folder.join("a.yml"), "title: A\n").unwrap();
        check("`a.yml` is not as it was signed");
        fs::write(folder.join("a.yml"), "title: a\n").unwrap();
        fs::write(folder.join("web/c.yml"), "title: c\n").unwrap();
        check("`web/c.yml` was not there when it was signed");
        fs::remove_file(folder.join("web/c.yml")).unwrap();
        fs::rename(folder.join("web/b.yml"), folder.join("b.yml")).unwrap();
        check("`web/b.yml` is missing");
        fs::rename(folder.join("b.yml"), folder.join("web/b.yml")).unwrap();
        check("own 1.2.0");

        let sums = fs::read_to_string(folder.join(SUMS)).unwrap();
        fs::write(folder.join(SUMS), sums.replace("a.yml", "z.yml")).unwrap();
        check("is not the list that was signed");
        fs::write(folder.join(SUMS), sums).unwrap();
        let note = fs::read_to_string(folder.join(NOTE)).unwrap();
        fs::write(folder.join(NOTE), note.replace("1.2.0", "9.9.9")).unwrap();
        check("none of the trusted keys signed it; maker+");
        sign_folder(folder, "own 1.3.0", &key("stranger", 3)).unwrap();
        check("none of the trusted keys signed it; stranger+");
        std::os::unix::fs::symlink("/etc/hostname", folder.join("web/link.yml")).unwrap();
        assert!(sign_folder(folder, "own 1.3.0", &maker).is_err());
    }

    #[test]
    fn only_a_key_for_it_signs_a_folder_and_only_one_line_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let maker = key("maker", 1);
        assert!(sign_folder(dir.path(), "empty 1", &maker).is_err());
        fs::write(dir.path().join("a.yml"), "title: a\n").unwrap();
        assert!(sign_folder(dir.path(), "two\nlines", &maker).is_err());
        let witness = SigningKey::from_seed("w", Algorithm::Cosignature, &[1; 32]).unwrap();
        assert!(sign_folder(dir.path(), "own 1", &witness).is_err());
        assert!(sign_folder(dir.path(), "own 1", &maker).is_ok());
    }
}
