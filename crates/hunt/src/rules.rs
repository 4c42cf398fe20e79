//! Rule files on disk, pipelines and placeholders beside them, and which rules are wanted.

use crate::input::unreadable;
use crate::limits::{FILES_MAX, FOLDERS_DEPTH_MAX, YAML_BYTES_MAX};
use schema::Diagnostic;
use serde::Deserialize;
use sigma::limits::FILE_BYTES_MAX;
use sigma::{Level, Meta, Options, Pipeline, RuleSet, Status};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folders of the public rules that hold rules to run.
const PUBLIC_FOLDERS: [&str; 4] =
    ["rules", "rules-compliance", "rules-emerging-threats", "rules-threat-hunting"];

/// The ends of files that hold test cases, not rules.
pub(crate) const TRIAL_ENDS: [&str; 2] = [".test.yml", ".test.yaml"];

/// Rule files by name and text, and what could not be read.
#[derive(Debug, Clone, Default)]
pub struct RuleFiles {
    pub files: Vec<(String, String)>,
    pub problems: Vec<Diagnostic>,
}

/// Reads `.yml` and `.yaml` files, and folders of them. Of a checkout of the public rules the four folders.
pub fn read_rules(paths: &[PathBuf]) -> RuleFiles {
    let mut found = RuleFiles::default();
    let mut files = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let public = PUBLIC_FOLDERS.map(|name| path.join(name));
                let is_public = public.first().is_some_and(|rules| rules.is_dir());
                let folders: Vec<&Path> = match is_public {
                    true => public.iter().map(PathBuf::as_path).filter(|f| f.is_dir()).collect(),
                    false => vec![path],
                };
                for folder in folders {
                    walk(folder, 0, &mut files, &mut found.problems);
                }
            }
            Ok(_) => files.push(path.clone()),
            Err(error) => found.problems.push(unreadable(path, &error)),
        }
    }
    for path in files {
        match text_of(&path, FILE_BYTES_MAX as u64) {
            Ok(text) => found.files.push((path.display().to_string(), text)),
            Err(problem) => found.problems.push(problem),
        }
    }
    found
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>, problems: &mut Vec<Diagnostic>) {
    let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return problems.push(unreadable(folder, &error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        let over = depth >= FOLDERS_DEPTH_MAX || files.len() >= FILES_MAX;
        if name.starts_with('.') {
            continue;
        }
        if over {
            let message = format!(
                "over {FOLDERS_DEPTH_MAX} folders within each other, or over {FILES_MAX} files"
            );
            problems.push(Diagnostic::new("too-many-rules", folder.display().to_string(), message));
            return;
        }
        let is_rule = [".yml", ".yaml"].iter().any(|end| name.ends_with(end))
            && !TRIAL_ENDS.iter().any(|end| name.ends_with(end));
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, files, problems);
        } else if kind.is_file() && is_rule {
            files.push(entry.path());
        }
    }
}

/// A file as text, if it is not longer than it may be.
pub(crate) fn text_of(path: &Path, bytes_max: u64) -> Result<String, Diagnostic> {
    let failed = |error| unreadable(path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let name = || path.display().to_string();
    if bytes.len() as u64 > bytes_max {
        let message = format!("`{}` has more than {bytes_max} bytes", name());
        return Err(Diagnostic::new("long-file", name(), message).hint("split the file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("`{}` is not UTF-8: {error}", name());
        Diagnostic::new("not-utf8", name(), message).hint("save it as UTF-8")
    })
}

/// The shipped pipelines and those of `files`, with the site's placeholders.
pub fn options(files: &[PathBuf], placeholders: Option<&Path>) -> Result<Options, Vec<Diagnostic>> {
    let mut options = Options::shipped();
    for path in files {
        let text = text_of(path, YAML_BYTES_MAX).map_err(|problem| vec![problem])?;
        options.pipelines.push(Pipeline::parse(&path.display().to_string(), &text)?);
    }
    // `sort_by_key` is stable: those of one priority stay as they were given.
    options.pipelines.sort_by_key(|pipeline| pipeline.priority);
    if let Some(path) = placeholders {
        options.placeholders = read_placeholders(path).map_err(|problem| vec![problem])?;
    }
    Ok(options)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Plain>),
    One(Plain),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Plain {
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Plain {
    fn text(self) -> String {
        match self {
            Plain::Integer(number) => number.to_string(),
            Plain::Float(number) => number.to_string(),
            Plain::Text(text) => text,
        }
    }
}

fn read_placeholders(path: &Path) -> Result<BTreeMap<String, Vec<String>>, Diagnostic> {
    let text = text_of(path, YAML_BYTES_MAX)?;
    let read: BTreeMap<String, OneOrMany> = serde_saphyr::from_str(&text).map_err(|error| {
        let place = path.display().to_string();
        Diagnostic::new("bad-placeholders", place, format!("cannot read placeholders: {error}"))
            .hint("write `name: value` or `name: [value, value]`, the name without its `%`")
    })?;
    let values = |values: OneOrMany| match values {
        OneOrMany::One(value) => vec![value.text()],
        OneOrMany::Many(values) => values.into_iter().map(Plain::text).collect(),
    };
    Ok(read.into_iter().map(|(name, value)| (name, values(value))).collect())
}

/// Compiles rule files.
pub fn load(files: &RuleFiles, options: &Options) -> RuleSet {
    let texts = files.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    RuleSet::load(texts, options)
}

/// Which rules are told. What is not named does not choose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    pub level_min: Option<Level>,
    /// One of these.
    pub statuses: Vec<Status>,
    /// One of these, or a tag below it: `attack.t1059` takes `attack.t1059.001` too.
    pub tags: Vec<String>,
    /// Ids, names or titles that are left out.
    pub excluded: Vec<String>,
}

impl Choice {
    pub fn takes(&self, meta: &Meta) -> bool {
        let has = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            meta.tags.iter().any(|tag| {
                let rest = tag.to_lowercase();
                rest.strip_prefix(&wanted).is_some_and(|r| r.is_empty() || r.starts_with('.'))
            })
        };
        let named = |own: Option<&String>| own.is_some_and(|own| self.excluded.contains(own));
        // A rule without a level says nothing of how bad it is.
        let level = meta.level.unwrap_or(Level::Informational);
        self.level_min.is_none_or(|least| level >= least)
            && (self.statuses.is_empty()
                || meta.status.is_some_and(|status| self.statuses.contains(&status)))
            && (self.tags.is_empty() || self.tags.iter().any(has))
            && !named(meta.id.as_ref())
            && !named(meta.name.as_ref())
            && !named(Some(&meta.title))
    }

    /// Leaves out a rule by id, name or title, or all that a file lists, one on each line.
    pub fn exclude(&mut self, word: &str) -> Result<(), Diagnostic> {
        let path = Path::new(word);
        if !path.is_file() {
            self.excluded.push(word.to_owned());
            return Ok(());
        }
        let text = text_of(path, YAML_BYTES_MAX)?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        self.excluded.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
