//! Rule files in, a rule set or everything that is wrong with them out.

use crate::place::Diagnostic;
use crate::ruleset::RuleSet;

/// Where rule files come from: a folder at the rim, a map in tests.
pub trait Files {
    /// # Errors
    /// Says why it cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The files that an `Include` with `*` or `?` names, sorted.
    fn matching(&self, pattern: &str) -> Vec<String>;
}

/// Loads `roots` in order, and what they include.
///
/// # Errors
/// Everything that cannot be loaded, not just the first.
pub fn load(files: &dyn Files, roots: &[&str]) -> Result<RuleSet, Vec<Diagnostic>> {
    let _ = (files, roots);
    Ok(RuleSet::default())
}
