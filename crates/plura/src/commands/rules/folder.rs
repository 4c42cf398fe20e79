//! Rule files on disk, in the order they are loaded.

use crate::output::Failure;
use inspect::Disk;
use seclang::exam::{EXAM_SETUP_FILE, exam_roots, exam_setup};
use seclang::{Diagnostic, RuleSet, load};
use std::fs;
use std::path::Path;

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
            return load(&Disk::default(), &self.roots());
        };
        let before: Vec<&str> = self.setup.iter().map(String::as_str).collect();
        let after: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        let texts = vec![(EXAM_SETUP_FILE.to_owned(), exam_setup(paranoia))];
        load(&Disk { texts }, &exam_roots(&before, &after))
    }

    /// Loads all as a gateway does; `base`: with what turns bodies on before it.
    pub fn rule_set(&self, name: &str, base: bool) -> Result<inspect::Rules, Failure> {
        inspect::Rules::load(name, &Disk::default(), &self.roots(), base).map_err(all)
    }
}

/// The exam's own setup is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub paranoia: Option<u8>,
}

/// The rules, or all that is wrong with them as one failure.
pub fn loaded(result: Result<RuleSet, Vec<Diagnostic>>) -> Result<RuleSet, Failure> {
    result.map_err(all)
}

fn all(problems: Vec<Diagnostic>) -> Failure {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::input(lines.join("\n"))
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

#[cfg(test)]
mod tests {
    use super::*;

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
