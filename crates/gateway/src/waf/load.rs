//! Rule files → engines.

use crate::config::{Config, MemoryConfig, RuleSetConfig};
use schema::{Diagnostic, Digest};
use seclang::{Engine, Files, Piece, Rule, Text};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// CRS's largest file has 90 kB; lists of words may be longer.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Files in one folder that a pattern may name.
const MATCHING_MAX: usize = 1_000;
/// Notices of one rule set that are logged.
const NOTICES_TOLD_MAX: usize = 20;
/// The name under which `base.conf` is loaded.
const BASE: &str = "plura:base.conf";
const BASE_TEXT: &str = include_str!("base.conf");

/// A rule set, loaded. Never changes; a reload makes another.
#[derive(Debug)]
pub struct Rules {
    pub name: String,
    pub engine: Arc<Engine>,
    /// What it calls itself (`SecComponentSignature`).
    pub version: String,
    /// What its files say and has no effect here.
    pub notices: Vec<Diagnostic>,
    said: HashMap<u64, Said>,
    config: RuleSetConfig,
    read: Sources,
}

/// What a rule says of itself, without anything of the request in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub message: String,
    pub tags: Vec<String>,
}

/// What was read, to tell whether it changed.
#[derive(Debug, Default, PartialEq)]
struct Sources {
    files: BTreeMap<String, Option<Digest>>,
    patterns: BTreeMap<String, Vec<String>>,
}

impl Rules {
    fn load(name: &str, config: &RuleSetConfig) -> Result<Rules, Vec<Diagnostic>> {
        let folder = Folder::default();
        let mut faults = Vec::new();
        let mut roots = Vec::new();
        if config.base {
            roots.push(BASE.to_owned());
        }
        for (i, file) in config.files.iter().enumerate() {
            let found =
                if is_pattern(file) { folder.matching(file) } else { vec![file.to_owned()] };
            if found.is_empty() {
                let place = format!("gateway.yaml: rule_sets.{name}.files[{i}]");
                let message = format!("no file matches `{file}`");
                let fault = Diagnostic::new("rule-file-missing", place, message);
                faults.push(fault.hint("paths are relative to the configuration file"));
            }
            roots.extend(found);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        let set = seclang::load(&folder, &roots).map_err(|found| {
            let told = found.iter().map(|fault| diagnostic("rule-invalid", name, fault));
            told.collect::<Vec<_>>()
        })?;
        let ours = |notice: &&seclang::Diagnostic| &*notice.place.file != BASE;
        let notices: Vec<Diagnostic> = set
            .notices
            .iter()
            .filter(ours)
            .map(|notice| diagnostic("rule-notice", name, notice))
            .collect();
        for notice in notices.iter().take(NOTICES_TOLD_MAX) {
            let hint = notice.hint.as_deref().unwrap_or_default();
            tracing::warn!(code = notice.code, place = notice.place, hint, "{}", notice.message);
        }
        if let Some(more) = notices.len().checked_sub(NOTICES_TOLD_MAX).filter(|more| *more > 0) {
            tracing::warn!(
                name,
                more,
                "`plura rules check` lists the other notices of this rule set"
            );
        }
        let version = set.signatures.join(" ");
        let said = set.rules().map(|rule| (rule.id, Said::of(rule))).collect();
        tracing::info!(rules = set.len(), version, name, "rule set loaded");
        Ok(Rules {
            name: name.to_owned(),
            engine: Arc::new(Engine::new(set)),
            version,
            notices,
            said,
            config: config.clone(),
            read: folder.read.into_inner(),
        })
    }

    /// What the rule with that id says of itself.
    pub fn said(&self, rule: u64) -> Option<&Said> {
        self.said.get(&rule)
    }

    pub fn memory_config(&self) -> &MemoryConfig {
        &self.config.memory
    }

    /// Whether loading it again would give the same.
    fn is_current(&self, config: &RuleSetConfig) -> bool {
        if self.config != *config {
            return false;
        }
        let folder = Folder::default();
        for file in self.read.files.keys() {
            let _ = folder.read(file);
        }
        for pattern in self.read.patterns.keys() {
            folder.matching(pattern);
        }
        folder.read.into_inner() == self.read
    }
}

/// Loads every rule set; those of `old` that did not change are kept.
pub fn load_all(
    config: &Config,
    old: Option<&BTreeMap<String, Arc<Rules>>>,
) -> Result<BTreeMap<String, Arc<Rules>>, Vec<Diagnostic>> {
    let mut all = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, set) in &config.rule_sets {
        let kept = old.and_then(|old| old.get(name)).filter(|rules| rules.is_current(set));
        match kept {
            Some(rules) => drop(all.insert(name.clone(), Arc::clone(rules))),
            None => match Rules::load(name, set) {
                Ok(rules) => drop(all.insert(name.clone(), Arc::new(rules))),
                Err(mut found) => faults.append(&mut found),
            },
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

/// Loads every rule set as a start would, and says what in their files has no effect.
pub fn check(config: &Config) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let all = load_all(config, None)?;
    Ok(all.values().flat_map(|rules| rules.notices.iter().cloned()).collect())
}

impl Said {
    fn of(rule: &Rule) -> Said {
        let message = rule.links.iter().find_map(|link| link.message.as_ref());
        Said {
            message: message.map(plain).unwrap_or_default(),
            tags: rule.tags.iter().map(plain).collect(),
        }
    }
}

/// The text as written, `…` where something of the request would stand.
fn plain(text: &Text) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(text) => String::from_utf8_lossy(text).into_owned(),
        Piece::Value(..) => "…".to_owned(),
    };
    text.pieces.iter().map(piece).collect()
}

fn diagnostic(code: &str, name: &str, fault: &seclang::Diagnostic) -> Diagnostic {
    let message = format!("rule set `{name}`: `{}`: {}", fault.subject, fault.problem);
    let ours = Diagnostic::new(code, fault.place.to_string(), message);
    match &fault.hint {
        Some(hint) => ours.hint(hint.as_str()),
        None => ours,
    }
}

/// The file system, as far as rule files go.
#[derive(Default)]
struct Folder {
    read: RefCell<Sources>,
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == BASE {
            return Ok(BASE_TEXT.as_bytes().to_vec());
        }
        let bytes = read_file(path);
        let digest = bytes.as_ref().ok().map(|bytes| schema::sha256(bytes));
        self.read.borrow_mut().files.insert(path.to_owned(), digest);
        bytes
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let found = find(pattern);
        self.read.borrow_mut().patterns.insert(pattern.to_owned(), found.clone());
        found
    }
}

fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let limited = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    limited.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

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

fn is_pattern(path: &str) -> bool {
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
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn load(text: &str) -> Rules {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.conf");
        std::fs::write(&file, text).unwrap();
        let files = vec![file.display().to_string()];
        let config = RuleSetConfig { files, base: true, memory: MemoryConfig::default() };
        Rules::load("own", &config).unwrap()
    }

    #[test]
    fn what_has_no_effect_is_told_with_its_place() {
        let rules = load("# a comment\nSecAction \"id:1,phase:1,pass,skipAfter:NOWHERE\"\n");
        let told = &rules.notices[..];
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].code, "rule-notice");
        assert!(told[0].place.ends_with("own.conf:2"), "{told:?}");
        assert!(told[0].message.starts_with("rule set `own`: "), "{told:?}");
        let rules = load("SecAction \"id:1,phase:1,pass,skipAfter:HERE\"\nSecMarker HERE\n");
        assert_eq!(rules.notices, [], "nor of base.conf, which is ours");
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
