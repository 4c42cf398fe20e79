//! What an update of rules changes, rule by rule.

use crate::rules::RuleFiles;
use schema::Diagnostic;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Parts of a rule that say what it finds; the others say what is told of it.
const FINDS: [&str; 4] = ["logsource", "detection", "correlation", "filter"];

/// A rule as people name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    pub id: Option<String>,
    pub title: Option<String>,
    pub level: Option<String>,
    pub file: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub field: String,
    /// Null where it was not there.
    pub before: Value,
    pub after: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    #[serde(flatten)]
    pub rule: Named,
    /// Whether it may fire on other events than before.
    pub finds_otherwise: bool,
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Difference {
    pub added: Vec<Named>,
    pub removed: Vec<Named>,
    pub changed: Vec<Changed>,
    pub same: usize,
    /// Files that could not be compared.
    pub problems: Vec<Diagnostic>,
}

impl Difference {
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

type Rules = BTreeMap<String, (Named, Map<String, Value>)>;

/// Rules are known again by their id, or by their title where they have none; not by their file.
pub fn difference(before: &RuleFiles, after: &RuleFiles) -> Difference {
    let mut told = Difference::default();
    told.problems.extend(before.problems.iter().chain(&after.problems).cloned());
    let mut old = rules(before, &mut told.problems);
    for (key, (named, fields)) in rules(after, &mut told.problems) {
        let Some((_, was)) = old.remove(&key) else {
            told.added.push(named);
            continue;
        };
        let changes = changes(&was, &fields);
        if changes.is_empty() {
            told.same += 1;
            continue;
        }
        let finds_otherwise = changes.iter().any(|change| FINDS.contains(&change.field.as_str()));
        told.changed.push(Changed { rule: named, finds_otherwise, changes });
    }
    told.removed.extend(old.into_values().map(|(named, _)| named));
    told
}

fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let at = |map: &Map<String, Value>, field: &str| map.get(field).cloned().unwrap_or_default();
    let gone = before.keys().filter(|field| !after.contains_key(*field));
    gone.chain(after.keys())
        .map(|field| Change {
            field: field.clone(),
            before: at(before, field),
            after: at(after, field),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

fn rules(files: &RuleFiles, problems: &mut Vec<Diagnostic>) -> Rules {
    let mut all = Rules::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (file, text) in &files.files {
        let documents: Vec<Value> = match serde_saphyr::from_multiple(text) {
            Ok(documents) => documents,
            Err(error) => {
                let message = format!("it cannot be compared: {error}");
                problems.push(Diagnostic::new("bad-yaml", file, message));
                continue;
            }
        };
        for (number, document) in documents.into_iter().enumerate() {
            let Value::Object(fields) = document else { continue };
            let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
            let named = Named {
                id: text("id"),
                title: text("title"),
                level: text("level"),
                file: file.clone(),
            };
            let key = named.id.clone().or_else(|| named.title.clone());
            let last = file.rsplit('/').next().unwrap_or_default();
            let key = key.unwrap_or_else(|| format!("{last}#{number}"));
            // Two of one name are told apart by their order.
            let count = seen.entry(key.clone()).and_modify(|count| *count += 1).or_insert(0);
            let key = if *count == 0 { key } else { format!("{key}#{count}") };
            all.insert(key, (named, fields));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> RuleFiles {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        RuleFiles { files: texts.iter().map(own).collect(), problems: Vec::new() }
    }

    #[test]
    fn an_update_is_told_rule_by_rule() {
        let before = files(&[
            ("a.yml", "title: A\nid: 1a\nlevel: low\ndetection: {s: {x: 1}, condition: s}\n"),
            ("b.yml", "title: B\nid: 2b\ntags: [t]\n---\ntitle: Without an id\nlevel: low\n"),
            ("gone.yml", "title: Gone\nid: 3c\n"),
        ]);
        let after = files(&[
            ("moved/a.yml", "title: A\nid: 1a\ndetection: {condition: s, s: {x: 2}}\n"),
            ("b.yml", "id: 2b\ntitle: B\ntags: [t]\n---\ntitle: Without an id\nlevel: high\n"),
            ("new.yml", "title: New\nid: 4d\nlevel: high\n"),
            ("bad.yml", "title: [\n"),
        ]);
        let told = difference(&before, &after);
        let titles = |all: &[Named]| {
            all.iter().map(|one| one.title.clone().unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(
            (titles(&told.added), titles(&told.removed)),
            (vec!["New".to_owned()], vec!["Gone".to_owned()])
        );
        let changed: Vec<_> = told
            .changed
            .iter()
            .map(|one| {
                let fields: Vec<&str> = one.changes.iter().map(|own| own.field.as_str()).collect();
                (one.rule.title.as_deref().unwrap_or_default(), one.finds_otherwise, fields)
            })
            .collect();
        assert_eq!(
            changed,
            [("A", true, vec!["level", "detection"]), ("Without an id", false, vec!["level"])]
        );
        assert_eq!((told.same, told.problems.len()), (1, 1));
        assert!(difference(&before, &before).is_none());
        // Without id and title, and under the same id twice.
        let nameless =
            |folder: &str| files(&[(folder, "action: global\nlevel: low\n---\ntitle: T\n")]);
        assert!(difference(&nameless("old/c.yml"), &nameless("new/c.yml")).is_none());
        let twice = files(&[("a.yml", "title: A\nid: 1a\n"), ("b.yml", "title: B\nid: 1a\n")]);
        let once = files(&[("a.yml", "title: A\nid: 1a\n")]);
        assert_eq!(difference(&once, &twice).added.len(), 1);
    }
}
