//! Rule files as they lie on disk.

use crate::rules::{BASE, BASE_TEXT};
use seclang::{FILE_BYTES_MAX, Files};
use std::io::Read;
use std::path::Path;

/// Files in one folder that a pattern may name.
const MATCHING_MAX: usize = 1_000;

/// The file system, as far as rule files go, and texts that lie nowhere.
#[derive(Debug, Default)]
pub struct Disk {
    /// Name and text; [`BASE`] is there without being named.
    pub texts: Vec<(String, String)>,
}

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == BASE {
            return Ok(BASE_TEXT.as_bytes().to_vec());
        }
        if let Some((_, text)) = self.texts.iter().find(|(name, _)| name == path) {
            return Ok(text.clone().into_bytes());
        }
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let limited = file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        limited.map_err(|error| error.to_string())?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        Ok(bytes)
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        find(pattern)
    }
}

/// The files that a pattern names, sorted; `*` and `?` may stand in its last part.
fn find(pattern: &str) -> Vec<String> {
    let (folder, name) = match pattern.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", pattern),
    };
    let Ok(entries) = std::fs::read_dir(Path::new(folder)) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|file| fits(name.as_bytes(), file.as_bytes()))
        .take(MATCHING_MAX)
        .map(|file| if folder == "/" { format!("/{file}") } else { format!("{folder}/{file}") })
        .collect();
    found.sort_unstable();
    found
}

/// Whether a path names several files.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?'])
}

/// `*` is any part of a name, `?` one character. A name that begins with a dot has to be asked for.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || name.get(from) == Some(wanted) => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_patterns() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.example", false),
            ("*.conf", ".a.conf", false),
            ("REQUEST-9??-*.conf", "REQUEST-942-SQLI.conf", true),
            ("REQUEST-9??-*.conf", "REQUEST-9-SQLI.conf", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXb", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
