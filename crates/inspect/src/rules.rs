//! A rule set by its name, ready to run.

use crate::disk::is_pattern;
use seclang::{Collection, Diagnostic, Engine, Files, Piece, Rule, RuleSet, Text};
use std::collections::HashMap;
use std::sync::Arc;

/// The name under which [`BASE_TEXT`] is loaded.
pub const BASE: &str = "plura:base.conf";
/// What turns bodies on and picks their parser: before every rule set that wants it.
pub const BASE_TEXT: &str = include_str!("base.conf");

/// Notices of one rule set that are logged.
const NOTICES_TOLD_MAX: usize = 20;

/// A rule set, loaded. Never changes.
#[derive(Debug)]
pub struct Rules {
    pub name: String,
    pub engine: Arc<Engine>,
    /// What it calls itself (`SecComponentSignature`).
    pub version: String,
    /// What its files say and has no effect here.
    pub notices: Vec<schema::Diagnostic>,
    said: HashMap<u64, Said>,
    counted: Vec<Counted>,
}

/// What a rule says of itself, without anything of the request in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub message: String,
    pub tags: Vec<String>,
}

/// A rule that asks how often a header or cookie is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) rule: u64,
    pub(crate) of_response: bool,
    /// Which header, in lower case; `None`: any of them, or a cookie.
    pub(crate) header: Option<String>,
}

impl Rules {
    /// Loads the files in their order, with [`BASE_TEXT`] before them if `base` says so.
    ///
    /// # Errors
    /// Everything that cannot be loaded, with its place.
    pub fn load(
        name: &str,
        files: &dyn Files,
        roots: &[&str],
        base: bool,
    ) -> Result<Rules, Vec<Diagnostic>> {
        let roots: Vec<&str> = base.then_some(BASE).iter().chain(roots).copied().collect();
        Ok(Rules::of(name, seclang::load(files, &roots)?))
    }

    /// As configurations name them: `wanted` with its patterns, `at` the place of the rule set there. What has
    /// no effect goes to the log.
    ///
    /// # Errors
    /// Each file that is missing or cannot be loaded, with its place.
    pub fn open(
        name: &str,
        files: &dyn Files,
        wanted: &[String],
        base: bool,
        at: &str,
    ) -> Result<Rules, Vec<schema::Diagnostic>> {
        let roots = roots(files, wanted, at)?;
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        let set = Rules::load(name, files, &roots, base).map_err(|found| {
            let told = found.iter().map(|fault| diagnostic("rule-invalid", name, fault));
            told.collect::<Vec<_>>()
        })?;
        for notice in set.notices.iter().take(NOTICES_TOLD_MAX) {
            let hint = notice.hint.as_deref().unwrap_or_default();
            tracing::warn!(code = notice.code, place = notice.place, hint, "{}", notice.message);
        }
        let more = set.notices.len().saturating_sub(NOTICES_TOLD_MAX);
        if more > 0 {
            tracing::warn!(
                name,
                more,
                "`plura rules check` lists the other notices of this rule set"
            );
        }
        tracing::info!(
            rules = set.engine.rules().len(),
            version = set.version,
            name,
            "rule set loaded"
        );
        Ok(set)
    }

    pub fn of(name: &str, set: RuleSet) -> Rules {
        let version = set.signatures.join(" ");
        let said = set.rules().map(|rule| (rule.id, Said::of(rule))).collect();
        let counted = set.rules().flat_map(counted).collect();
        let notices = set.notices.iter().filter(|notice| &*notice.place.file != BASE);
        let notices = notices.map(|notice| diagnostic("rule-notice", name, notice)).collect();
        let (name, engine) = (name.to_owned(), Arc::new(Engine::new(set)));
        Rules { name, engine, version, notices, said, counted }
    }

    /// What the rule with that id says of itself.
    pub fn said(&self, rule: u64) -> Option<&Said> {
        self.said.get(&rule)
    }

    /// Rules whose answer depends on headers that are not there.
    pub(crate) fn counted(&self) -> &[Counted] {
        &self.counted
    }
}

/// The files that a configuration names, in its order; `at` is the place of the list.
///
/// # Errors
/// Each that names none.
fn roots(
    files: &dyn Files,
    wanted: &[String],
    at: &str,
) -> Result<Vec<String>, Vec<schema::Diagnostic>> {
    let (mut roots, mut faults) = (Vec::new(), Vec::new());
    for (i, file) in wanted.iter().enumerate() {
        let found = if is_pattern(file) { files.matching(file) } else { vec![file.to_owned()] };
        if found.is_empty() {
            let message = format!("no file matches `{file}`");
            let fault =
                schema::Diagnostic::new("rule-file-missing", format!("{at}.files[{i}]"), message);
            faults.push(fault.hint("paths are relative to the configuration file"));
        }
        roots.extend(found);
    }
    if faults.is_empty() { Ok(roots) } else { Err(faults) }
}

/// What is wrong with a rule set, as configurations tell it: file, line and directive.
fn diagnostic(code: &str, name: &str, fault: &Diagnostic) -> schema::Diagnostic {
    let message = format!("rule set `{name}`: `{}`: {}", fault.subject, fault.problem);
    let ours = schema::Diagnostic::new(code, fault.place.to_string(), message);
    match &fault.hint {
        Some(hint) => ours.hint(hint.as_str()),
        None => ours,
    }
}

fn counted(rule: &Rule) -> impl Iterator<Item = Counted> {
    let of = |collection, header: Option<&[u8]>| {
        let of_response = match collection {
            Collection::RequestHeaders
            | Collection::RequestHeadersNames
            | Collection::RequestCookies
            | Collection::RequestCookiesNames => false,
            Collection::ResponseHeaders | Collection::ResponseHeadersNames => true,
            _ => return None,
        };
        let is_header =
            matches!(collection, Collection::RequestHeaders | Collection::ResponseHeaders);
        let header = header.filter(|_| is_header);
        let header = header.map(|name| String::from_utf8_lossy(name).into_owned());
        Some(Counted { rule: rule.id, of_response, header })
    };
    // A rule without an id cannot be left out alone.
    let counts = rule.counted().filter(|_| rule.id != 0);
    counts.filter_map(move |(collection, name)| of(collection, name))
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
