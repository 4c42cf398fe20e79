//! Files to documents: several in one file, with `action: global`, `reset` and `repeat`.

use crate::document::{Document, Fields, Notes, read_document, text_of};
use crate::yaml::{Node, Value, read};
use schema::Diagnostic;

/// What one document came to.
pub(crate) struct Read {
    pub document: Option<Document>,
    pub title: Option<String>,
    pub id: Option<String>,
    pub problems: Vec<Diagnostic>,
    pub notices: Vec<Diagnostic>,
}

/// Reads all documents of a file, each by itself.
pub(crate) fn read_file(file: &str, text: &str) -> Vec<Read> {
    let nodes = match read(file, text) {
        Ok(nodes) => nodes,
        Err(problem) => {
            return vec![Read {
                document: None,
                title: None,
                id: None,
                problems: vec![problem],
                notices: Vec::new(),
            }];
        }
    };
    if nodes.is_empty() {
        let problem = Diagnostic::new("empty-file", file, "the file has no document")
            .hint("write a rule, or leave the file out");
        let problems = vec![problem];
        return vec![Read { document: None, title: None, id: None, problems, notices: Vec::new() }];
    }
    let mut global: Option<Node> = None;
    let mut previous: Option<Node> = None;
    let mut all = Vec::new();
    for node in nodes {
        let mut notes = Notes { file, problems: Vec::new(), notices: Vec::new() };
        let (action, node) = take_action(node, &mut notes);
        let node = match action.as_deref() {
            Some("global") => {
                global = Some(match global.take() {
                    Some(before) => merge(before, node),
                    None => node,
                });
                None
            }
            Some("reset") => {
                global = None;
                None
            }
            Some("repeat") => match previous.clone() {
                Some(before) => Some(merge(before, node)),
                None => {
                    notes.problem(
                        "bad-action",
                        node.at,
                        "`action: repeat` has no rule before it".to_owned(),
                        "put it behind a rule",
                    );
                    None
                }
            },
            Some(other) => {
                let message = format!("`action: {other}` is not known");
                notes.problem("bad-action", node.at, message, "use global, reset or repeat");
                None
            }
            None => Some(match global.clone() {
                Some(global) => merge(global, node),
                None => node,
            }),
        };
        let Some(node) = node else {
            if !notes.problems.is_empty() {
                let Notes { problems, notices, .. } = notes;
                all.push(Read { document: None, title: None, id: None, problems, notices });
            }
            continue;
        };
        previous = Some(node.clone());
        let (title, id) = (scalar(&node, "title"), scalar(&node, "id"));
        let at = node.at;
        let document = read_document(node, &mut notes);
        if document.is_none() && notes.problems.is_empty() {
            let message = "the document is none of rule, filter and correlation".to_owned();
            notes.problem("wrong-document", at, message, "see docs/sigma.md for their forms");
        }
        let Notes { problems, notices, .. } = notes;
        all.push(Read { document, title, id, problems, notices });
    }
    all
}

fn scalar(node: &Node, name: &str) -> Option<String> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(key, _)| key.text == name).and_then(|(_, node)| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    })
}

fn take_action(node: Node, notes: &mut Notes<'_>) -> (Option<String>, Node) {
    let at = node.at;
    if !matches!(node.value, Value::Map(_)) {
        return (None, node);
    }
    let Some(mut fields) = Fields::of(node, "the document", notes) else {
        return (None, Node { at, value: Value::Null });
    };
    let action = fields.take("action").and_then(|node| text_of(node, "action", notes));
    (action, Node { at, value: Value::Map(fields.rest()) })
}

/// What `over` says replaces what `under` says; maps are merged.
fn merge(under: Node, over: Node) -> Node {
    match (under.value, over.value) {
        (Value::Map(mut entries), Value::Map(more)) => {
            for (key, node) in more {
                match entries.iter().position(|(known, _)| known.text == key.text) {
                    Some(index) => {
                        let (known, before) = entries.remove(index);
                        entries.insert(index, (known, merge(before, node)));
                    }
                    None => entries.push((key, node)),
                }
            }
            Node { at: over.at, value: Value::Map(entries) }
        }
        (_, value) => Node { at: over.at, value },
    }
}

#[cfg(test)]
mod tests;
