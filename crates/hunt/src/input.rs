//! Files to be read: folders walked, kinds told by their first bytes and their names.

use crate::limits::{FILES_MAX, FOLDERS_DEPTH_MAX};
use schema::Diagnostic;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file to be read; none is standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub path: Option<PathBuf>,
    pub bytes: u64,
}

impl Input {
    /// How it is called in what is told.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    }
}

/// What a walk came to.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub inputs: Vec<Input>,
    /// Files in folders that are of no kind we read.
    pub passed_over: u64,
    /// What was named and is not there, and what could not be walked.
    pub problems: Vec<Diagnostic>,
}

/// Ends of names whose files are read without a look inside.
const ENDS: &[&str] = &["evtx", "json", "jsonl", "ndjson", "jsoncls", "gz", "zst"];

/// Finds all files under `paths`, in the order of their names. `-` is standard input.
///
/// A file that is named is read whatever it looks like. In folders only files of a kind we know are taken,
/// symbolic links are not followed, and hidden files are passed over.
pub fn find(paths: &[PathBuf], texts: bool) -> Found {
    let mut found = Found::default();
    for path in paths {
        if path.as_os_str() == "-" {
            found.inputs.push(Input { path: None, bytes: 0 });
            continue;
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => walk(path, 0, texts, &mut found),
            Ok(meta) => found.inputs.push(Input { path: Some(path.clone()), bytes: meta.len() }),
            Err(error) => found.problems.push(unreadable(path, &error)),
        }
    }
    found
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let name = path.display().to_string();
    let message = format!("cannot read `{name}`: {error}");
    Diagnostic::new("unreadable-file", name, message)
}

fn walk(folder: &Path, depth: usize, texts: bool, found: &mut Found) {
    if depth > FOLDERS_DEPTH_MAX {
        let place = folder.display().to_string();
        let message = format!("more than {FOLDERS_DEPTH_MAX} folders within each other");
        let problem = Diagnostic::new("too-deep", place, message);
        found.problems.push(problem.hint("name the folder below by itself"));
        return;
    }
    let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return found.problems.push(unreadable(folder, &error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().first() == Some(&b'.');
        // The entry's own type: a link is not what it points at.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !hidden => walk(&path, depth + 1, texts, found),
            Ok(kind) if kind.is_file() && !hidden && (texts || is_known(&path)) => {
                if found.inputs.len() >= FILES_MAX {
                    let place = folder.display().to_string();
                    let message = format!("there are more than {FILES_MAX} files");
                    let problem = Diagnostic::new("too-many-files", place, message);
                    found.problems.push(problem.hint("hunt in fewer folders at once"));
                    return;
                }
                let bytes = entry.metadata().map_or(0, |meta| meta.len());
                found.inputs.push(Input { path: Some(path), bytes });
            }
            Ok(_) => found.passed_over += 1,
            Err(error) => found.problems.push(unreadable(&path, &error)),
        }
    }
}

fn is_known(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).map(str::to_lowercase);
    end.is_some_and(|end| ENDS.contains(&end.as_str())) || is_event_log(path)
}

/// Event logs are also found under other names.
fn is_event_log(path: &Path) -> bool {
    let mut magic = [0; 8];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && &magic == crate::read::EVTX_MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_and_what_is_left_out_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("b/two.jsonl", b"{}");
        put("a/one.evtx", b"");
        put("a/renamed.bin", b"ElfFile\0rest");
        put("a/readme.md", b"# no");
        put(".hidden/three.json", b"{}");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        let nothing = folder.path().join("nothing");
        let found = find(&[folder.path().to_owned(), "-".into(), nothing], false);
        let names: Vec<String> = found
            .inputs
            .iter()
            .map(|input| input.name().rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["one.evtx", "renamed.bin", "two.jsonl", "-"]);
        assert_eq!(found.passed_over, 3);
        assert_eq!(found.problems.len(), 1);
        assert_eq!(find(&[folder.path().to_owned()], true).inputs.len(), 4);
    }
}
