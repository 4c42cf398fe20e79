//! Rule files → engines.

use crate::config::{Config, MemoryConfig, RuleSetConfig};
use inspect::{BASE, Disk};
use schema::{Diagnostic, Digest};
use seclang::Files;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// A rule set as the configuration has it. Never changes; a reload makes another.
#[derive(Debug)]
pub struct Rules {
    pub set: Arc<inspect::Rules>,
    config: RuleSetConfig,
    read: Sources,
}

impl Deref for Rules {
    type Target = inspect::Rules;

    fn deref(&self) -> &inspect::Rules {
        &self.set
    }
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
        let at = format!("gateway.yaml: rule_sets.{name}");
        let set = inspect::Rules::open(name, &folder, &config.files, config.base, &at)?;
        let read = folder.read.into_inner();
        Ok(Rules { set: Arc::new(set), config: config.clone(), read })
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

/// The file system, as far as rule files go.
#[derive(Default)]
struct Folder {
    disk: Disk,
    read: RefCell<Sources>,
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let bytes = self.disk.read(path);
        if path == BASE {
            return bytes;
        }
        let digest = bytes.as_ref().ok().map(|bytes| schema::sha256(bytes));
        self.read.borrow_mut().files.insert(path.to_owned(), digest);
        bytes
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let found = self.disk.matching(pattern);
        self.read.borrow_mut().patterns.insert(pattern.to_owned(), found.clone());
        found
    }
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
        let rules = load("SecRequestBodyLimitAction Reject\n");
        assert!(rules.notices[0].message.contains("`SecRequestBodyLimitAction`"));
        let rules = load("SecAction \"id:1,phase:1,pass,skipAfter:HERE\"\nSecMarker HERE\n");
        assert_eq!(rules.notices, [], "nor of base.conf, which is ours");
    }
}
