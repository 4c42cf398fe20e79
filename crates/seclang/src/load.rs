//! Rule files in, a rule set or everything that is wrong with them out.

mod directives;
mod elsewhere;
mod exceptions;
mod idle;
mod lines;
mod resolve;
mod settings;
mod status;
mod unicode;

use crate::parse::{Problem, actions::Action};
use crate::place::{Diagnostic, Place};
use crate::rule::{Phase, Target, Test};
use crate::ruleset::{RuleSet, Settings};
use crate::variable::{Collection, Selector};
use exceptions::Exceptions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One rule file. CRS's largest has 90 kB.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// All rule files together. CRS has 1 MB.
pub const BYTES_MAX: usize = 64 << 20;

/// Files of one rule set, includes counted.
pub const FILES_MAX: usize = 1000;

/// Files within files.
pub const INCLUDE_DEPTH_MAX: usize = 16;

/// Rules and markers of one rule set. CRS has under 1000.
pub const RULES_MAX: usize = 20_000;

/// Links of one chain.
pub const LINKS_MAX: usize = 64;

/// Problems that are told of; after so many the rest is not looked at.
pub const DIAGNOSTICS_MAX: usize = 200;

/// Notices that are told of.
pub const NOTICES_MAX: usize = 1000;

/// Letters in each part of a problem.
pub const TOLD_CHARS_MAX: usize = 300;

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
    let mut loader = Loader::new(files);
    for root in roots {
        let place = Place { file: Arc::from(*root), line: 1 };
        loader.file(root, &place);
    }
    loader.finish()
}

/// `path` as seen from `file`: beside it, when it is relative.
pub(crate) fn beside(file: &str, path: &str) -> String {
    let absolute = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
    match file.rfind(['/', '\\']) {
        Some(end) if !absolute => {
            format!("{}{path}", file.get(..=end).unwrap_or_default())
        }
        _ => path.to_owned(),
    }
}

/// `SecRule`, `SecAction` or a link of a chain, not yet resolved.
#[derive(Clone, Debug)]
struct RawLink {
    place: Place,
    directive: &'static str,
    targets: Vec<Target>,
    excluded: Vec<(Collection, Selector)>,
    test: Option<Test>,
    actions: Vec<Action>,
}

enum RawStep {
    Rule(RawRule),
    Marker(String),
}

struct RawRule {
    id: u64,
    links: Vec<RawLink>,
}

/// `SecDefaultAction` of one phase.
struct Defaults {
    place: Place,
    actions: Vec<Action>,
}

struct Loader<'a> {
    files: &'a dyn Files,
    settings: Settings,
    signatures: Vec<String>,
    steps: Vec<RawStep>,
    /// The chain that is not yet at its end.
    open: Option<Vec<RawLink>>,
    /// The chain has a link that was not understood: those to come are read, and left out.
    broken: bool,
    defaults: [Option<Defaults>; 5],
    exceptions: Exceptions,
    ids: BTreeMap<u64, Place>,
    /// Files that are being read, outermost first.
    reading: Vec<String>,
    files_read: usize,
    bytes_read: usize,
    mime_types_set: bool,
    problems: Vec<Diagnostic>,
    notices: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            settings: Settings::default(),
            signatures: Vec::new(),
            steps: Vec::new(),
            open: None,
            broken: false,
            defaults: [const { None }; 5],
            exceptions: Exceptions::default(),
            ids: BTreeMap::new(),
            reading: Vec::new(),
            files_read: 0,
            bytes_read: 0,
            mime_types_set: false,
            problems: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// `place` is where it was asked for.
    fn file(&mut self, path: &str, place: &Place) {
        if self.problems.len() >= DIAGNOSTICS_MAX {
            return;
        }
        if let Some(problem) = self.unreadable(path) {
            self.problem(place, problem);
            return;
        }
        self.files_read += 1;
        let bytes = match self.files.read(path) {
            Ok(bytes) if bytes.len() > FILE_BYTES_MAX => {
                let problem = Problem::new(path, format!("over {FILE_BYTES_MAX} bytes"));
                return self.problem(place, problem.hint("split the file"));
            }
            Ok(bytes) => bytes,
            Err(why) => {
                let problem = Problem::new(path, format!("cannot be read: {why}"));
                return self.problem(
                    place,
                    problem.hint("check the path; it is relative to the file that names it"),
                );
            }
        };
        self.bytes_read = self.bytes_read.saturating_add(bytes.len());
        if self.bytes_read > BYTES_MAX {
            let problem =
                Problem::new(path, format!("all files together have over {BYTES_MAX} bytes"));
            return self.problem(place, problem.hint("leave some files out"));
        }
        self.reading.push(path.to_owned());
        let file: Arc<str> = Arc::from(path);
        let chained_before = self.open.is_some() || self.broken;
        for line in lines::lines(&bytes) {
            match line {
                Ok(line) => {
                    let place = Place { file: Arc::clone(&file), line: line.number };
                    self.line(&line.text, &place);
                }
                Err((line, problem)) => {
                    self.problem(&Place { file: Arc::clone(&file), line }, problem);
                }
            }
            if self.problems.len() >= DIAGNOSTICS_MAX {
                break;
            }
        }
        if !chained_before {
            self.close_chain("the file ends");
        }
        self.reading.pop();
    }

    fn unreadable(&self, path: &str) -> Option<Problem> {
        if self.reading.iter().any(|open| open == path) {
            return Some(Problem::new(path, "includes itself").hint("leave out one `Include`"));
        }
        if self.reading.len() > INCLUDE_DEPTH_MAX {
            return Some(
                Problem::new(path, format!("over {INCLUDE_DEPTH_MAX} files within files"))
                    .hint("include the file from further out"),
            );
        }
        (self.files_read >= FILES_MAX)
            .then(|| Problem::new(path, format!("over {FILES_MAX} files")).hint("join some files"))
    }

    fn line(&mut self, text: &str, place: &Place) {
        if let Err(problems) = self.directive(text, place) {
            for problem in problems {
                self.problem(place, problem);
            }
        }
    }

    fn push_step(&mut self, step: RawStep, place: &Place) {
        if self.steps.len() < RULES_MAX {
            self.steps.push(step);
        } else if self.steps.len() == RULES_MAX {
            // Told once: the next one finds the list of problems not empty.
            let told = self.problems.iter().any(|problem| problem.subject == "SecRule limit");
            if !told {
                let problem = Problem::new("SecRule limit", format!("over {RULES_MAX} rules"));
                self.problem(place, problem.hint("leave some rules out"));
            }
        }
    }

    /// A chain that still waits for its next link never will see it: `why`.
    fn close_chain(&mut self, why: &str) {
        self.broken = false;
        if let Some(links) = self.open.take()
            && let Some(last) = links.last()
        {
            let problem = Problem::new("chain", format!("{why} before the chain does"))
                .hint("add the rule that `chain` promises, or leave `chain` out");
            self.problem(&last.place.clone(), problem);
        }
    }

    fn problem(&mut self, place: &Place, problem: Problem) {
        if self.problems.len() < DIAGNOSTICS_MAX {
            self.problems.push(diagnostic(place, problem));
        }
    }

    fn notice(&mut self, place: &Place, problem: Problem) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push(diagnostic(place, problem));
        }
    }

    fn finish(mut self) -> Result<RuleSet, Vec<Diagnostic>> {
        self.close_chain("the rules end");
        let phases = self.resolve();
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.tell_idle(&phases);
        Ok(RuleSet::new(self.settings, phases, self.signatures, self.notices))
    }
}

fn diagnostic(place: &Place, problem: Problem) -> Diagnostic {
    Diagnostic {
        place: place.clone(),
        subject: shortened(problem.subject),
        problem: shortened(problem.problem),
        hint: problem.hint.map(shortened),
    }
}

/// What is wrong may be as long as a line; what is told is not.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TOLD_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Its place in lists by phase.
fn index_of(phase: Phase) -> usize {
    phase as usize - 1
}

#[cfg(test)]
mod tests;
