//! Rule files as they lie on disk.

use crate::rules::{BASE, BASE_TEXT};
use seclang::{FILE_BYTES_MAX, FILES_MAX, Files};
use std::fs::DirEntry;
use std::io::Read;
use std::path::Path;

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
///
/// What cannot be looked at is among them, so that reading it tells why; of too many there is one more than may be
/// loaded.
fn find(pattern: &str) -> Vec<String> {
    let (folder, name) = match pattern.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", pattern),
    };
    let Ok(entries) = std::fs::read_dir(Path::new(folder)) else { return Vec::new() };
    let named = |entry: std::io::Result<DirEntry>| {
        // No file is called by the pattern: reading it fails.
        let Ok(entry) = entry else { return Some(name.to_owned()) };
        let file = entry.file_name().to_string_lossy().into_owned();
        let is_file = std::fs::metadata(entry.path()).map_or(true, |data| data.is_file());
        (is_file && fits(name.as_bytes(), file.as_bytes())).then_some(file)
    };
    let mut found: Vec<String> = entries
        .filter_map(named)
        .map(|file| if folder == "/" { format!("/{file}") } else { format!("{folder}/{file}") })
        .collect();
    found.sort_unstable();
    found.truncate(FILES_MAX + 1);
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_a_pattern_names_is_sorted_and_nothing_is_lost_in_silence() {
        let folder = std::env::temp_dir().join(format!("plura-disk-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("folder.conf")).unwrap();
        let pattern = format!("{}/*.conf", folder.display());
        let add = |name: String| std::fs::write(folder.join(name), "SecMarker A").unwrap();
        let names = |count: usize| {
            (0..count).map(|at| format!("{}/{at:04}.conf", folder.display())).collect::<Vec<_>>()
        };
        (0..3).rev().for_each(|at| add(format!("{at:04}.conf")));
        assert_eq!(find(&pattern), names(3));
        assert!(load(&pattern).is_empty());
        #[cfg(unix)]
        {
            // A link to nowhere is told of, not left out.
            let link = folder.join("link.conf");
            std::os::unix::fs::symlink(folder.join("gone"), &link).unwrap();
            let told = load(&pattern);
            assert!(told.contains("link.conf`: cannot be read"), "{told}");
            std::fs::remove_file(link).unwrap();
        }
        // The first of too many, and that they are too many.
        (3..FILES_MAX + 5).rev().for_each(|at| add(format!("{at:04}.conf")));
        assert_eq!(find(&pattern), names(FILES_MAX + 1));
        let told = load(&pattern);
        assert!(told.contains("over 1000 files"), "{told}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// What is wrong with the files of a pattern.
    fn load(pattern: &str) -> String {
        let roots = find(pattern);
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        let problems = seclang::load(&Disk::default(), &roots).err();
        problems.into_iter().flatten().map(|problem| problem.to_string()).collect()
    }

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
