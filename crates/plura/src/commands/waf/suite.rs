//! Tests and overrides on disk.

use crate::output::{Failure, complain};
use seclang::exam::{Fault, Overrides, SUITE_BYTES_MAX, Test, read_overrides, read_tests};
use std::fs;
use std::path::{Path, PathBuf};

/// How deep a folder of tests may go.
const DEPTH_MAX: usize = 8;

/// All tests of files and folders, sorted by path.
pub fn tests(paths: &[PathBuf]) -> Result<Vec<Test>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, 0, &mut files)?;
    }
    let mut tests = Vec::new();
    for file in &files {
        let name = file.display().to_string();
        let (found, unknown) = read_tests(&name, &text(file)?).map_err(told)?;
        unknown.into_iter().for_each(note);
        tests.extend(found);
    }
    if tests.is_empty() {
        return Err(Failure::input("there are no tests").hint("tests are `.yaml` or `.yml` files"));
    }
    Ok(tests)
}

pub fn overrides(paths: &[PathBuf]) -> Result<Overrides, Failure> {
    let mut all = Overrides::default();
    for path in paths {
        let name = path.display().to_string();
        let (found, unknown) = read_overrides(&name, &text(path)?).map_err(told)?;
        unknown.into_iter().for_each(note);
        all.extend(found);
    }
    Ok(all)
}

fn told(fault: Fault) -> Failure {
    Failure::input(format!("{}: {}", fault.place, fault.problem)).hint(fault.hint)
}

/// What was passed over is no reason to stop.
fn note(fault: Fault) {
    complain(&told(fault));
}

fn text(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", file.display()))
    };
    if fs::metadata(file).map_err(failed)?.len() > SUITE_BYTES_MAX as u64 {
        return Err(Failure::input(format!(
            "`{}` is larger than {SUITE_BYTES_MAX} bytes",
            file.display()
        ))
        .hint("split the file"));
    }
    fs::read_to_string(file).map_err(failed)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", path.display()))
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    for entry in entries {
        let is_tests = entry.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if (entry.is_dir() && depth < DEPTH_MAX) || (entry.is_file() && is_tests) {
            collect(&entry, depth + 1, files)?;
        }
    }
    Ok(())
}
