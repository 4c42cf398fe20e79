//! Rule files on disk, in the order they are loaded.

use crate::output::Failure;
use seclang::exam::{EXAM_SETUP_FILE, exam_roots, exam_setup};
use seclang::{Diagnostic, FILE_BYTES_MAX, Files, RuleSet, load};
use std::fs;
use std::path::{Path, PathBuf};

/// Where rules come from: files for setting up, then rules.
#[derive(Debug, Default)]
pub struct Folder {
    setup: Vec<String>,
    rules: Vec<String>,
}

impl Folder {
    /// A file; a CRS checkout (`crs-setup.conf` or its example, plugins, `rules/*.conf`); or a folder of
    /// `.conf` files.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path.is_file() {
            return Ok(Self { setup: Vec::new(), rules: vec![path.display().to_string()] });
        }
        if !path.is_dir() {
            return Err(Failure::input(format!(
                "cannot read `{}`: it is not there",
                path.display()
            ))
            .hint("name a rule file, a folder of `.conf` files, or a CRS checkout"));
        }
        let setup: Vec<String> = ["crs-setup.conf", "crs-setup.conf.example"]
            .iter()
            .map(|name| path.join(name))
            .find(|file| file.is_file())
            .map(|file| file.display().to_string())
            .into_iter()
            .collect();
        let rules = if path.join("rules").is_dir() { path.join("rules") } else { path.to_owned() };
        let mut ordered = plugins(path, &["-config.conf", "-before.conf"])?;
        ordered.extend(confs(&rules)?.into_iter().filter(|file| !setup.contains(file)));
        ordered.extend(plugins(path, &["-after.conf"])?);
        if ordered.is_empty() {
            return Err(Failure::input(format!("`{}` has no `.conf` files", path.display()))
                .hint("name a rule file, a folder of `.conf` files, or a CRS checkout"));
        }
        Ok(Self { setup, rules: ordered })
    }

    pub fn join(&mut self, more: Self) {
        // What sets up comes before the rules it sets up, also those of other folders.
        self.setup.extend(more.setup);
        self.rules.extend(more.rules);
    }

    /// It has a `crs-setup.conf`.
    pub fn is_crs(&self) -> bool {
        !self.setup.is_empty()
    }

    pub fn roots(&self) -> Vec<&str> {
        self.setup.iter().chain(&self.rules).map(String::as_str).collect()
    }

    /// Loads all, with the exam's own setup between when a text is given for it.
    pub fn load(&self, setup: Option<Setup>) -> Result<RuleSet, Vec<Diagnostic>> {
        let Some(Setup { paranoia }) = setup else {
            return load(&Disk { setup: String::new() }, &self.roots());
        };
        let before: Vec<&str> = self.setup.iter().map(String::as_str).collect();
        let after: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        load(&Disk { setup: exam_setup(paranoia) }, &exam_roots(&before, &after))
    }
}

/// The exam's own setup is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub paranoia: Option<u8>,
}

/// The rules, or all that is wrong with them as one failure.
pub fn loaded(result: Result<RuleSet, Vec<Diagnostic>>) -> Result<RuleSet, Failure> {
    result.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::input(lines.join("\n"))
    })
}

fn plugins(root: &Path, ends: &[&str]) -> Result<Vec<String>, Failure> {
    let folder = root.join("plugins");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let all = confs(&folder)?;
    let with = |end: &&str| all.iter().filter(|file| file.ends_with(*end)).cloned().collect();
    Ok(ends.iter().flat_map(|end| -> Vec<String> { with(end) }).collect())
}

/// The folder's `.conf` files, sorted.
fn confs(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", folder.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == "conf") {
            files.push(path.display().to_string());
        }
    }
    files.sort();
    Ok(files)
}

/// Files as they lie on disk, and the exam's setup, which lies nowhere.
struct Disk {
    setup: String,
}

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == EXAM_SETUP_FILE && !self.setup.is_empty() {
            return Ok(self.setup.clone().into_bytes());
        }
        let told = |error: std::io::Error| error.to_string();
        if fs::metadata(path).map_err(told)?.len() > FILE_BYTES_MAX as u64 {
            return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
        }
        fs::read(path).map_err(told)
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let path = PathBuf::from(pattern);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let name = name.to_string_lossy().into_owned();
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut found: Vec<String> = fs::read_dir(shown)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                is_like(entry.file_name().to_string_lossy().as_bytes(), name.as_bytes())
            })
            .map(|entry| folder.join(entry.file_name()).display().to_string())
            .collect();
        found.sort();
        found
    }
}

/// Whether `name` is as `pattern` with `*` and `?` says.
fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut with) = (0, 0);
    // Where to go on when the last `*` has to take one more.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(with) {
            Some(b'*') => {
                star = Some((at, with));
                with += 1;
            }
            Some(one) if *one == b'?' || Some(one) == name.get(at) => {
                at += 1;
                with += 1;
            }
            _ => match star {
                Some((taken, from)) => {
                    star = Some((taken + 1, from));
                    at = taken + 1;
                    with = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(with..).unwrap_or_default().iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (name, pattern) in
            [("a.conf", "*.conf"), ("a.conf", "?.c*f"), ("aab", "*ab"), ("", "*")]
        {
            assert!(is_like(name.as_bytes(), pattern.as_bytes()), "{name} {pattern}");
        }
        for (name, pattern) in [("a.conf", "*.data"), ("ab.conf", "?.conf"), ("a", ""), ("", "?")] {
            assert!(!is_like(name.as_bytes(), pattern.as_bytes()), "{name} {pattern}");
        }
    }

    #[test]
    fn a_crs_checkout_is_told_by_its_setup() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        put("crs-setup.conf.example", "SecDefaultAction \"phase:1,log,pass\"\n");
        put("rules/B.conf", "SecMarker B\n");
        put("rules/A.conf", "SecAction \"id:1,phase:1,pass\"\n");
        put("rules/A.conf.example", "not a rule");
        put("plugins/x-before.conf", "SecMarker X\n");
        let opened = Folder::open(folder.path()).unwrap();
        assert!(opened.is_crs());
        let names: Vec<String> = opened
            .roots()
            .iter()
            .map(|root| Path::new(root).file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["crs-setup.conf.example", "x-before.conf", "A.conf", "B.conf"]);
        assert_eq!(opened.load(None).unwrap().len(), 1);
        assert!(opened.load(Some(Setup { paranoia: None })).unwrap().rule(900_005).is_some());
        assert!(Folder::open(&folder.path().join("nothing")).is_err());
    }
}
