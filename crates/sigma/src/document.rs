//! One YAML document to a rule, a filter or a correlation; every mistake with its place.

mod detection;

use crate::condition;
use crate::correlation::rule::{Correlation, read_correlation};
use crate::rule::{
    Block, Filter, Level, LogSource, Meta, Related, Relation, Rule, Status, Targets,
};
use crate::yaml::{At, Key, Node, Value};
use detection::read_block;
pub(crate) use detection::read_conditions;
use schema::{Diagnostic, nearest};

#[derive(Debug, Clone)]
pub(crate) enum Document {
    Rule(Rule),
    Filter(Filter),
    Correlation(Correlation),
}

/// What was said while reading one document.
pub(crate) struct Notes<'a> {
    pub file: &'a str,
    pub problems: Vec<Diagnostic>,
    pub notices: Vec<Diagnostic>,
}

impl Notes<'_> {
    pub(crate) fn problem(&mut self, code: &str, at: At, message: String, hint: impl Into<String>) {
        let place = at.in_file(self.file);
        self.problems.push(Diagnostic::new(code, place, message).hint(hint));
    }

    pub(crate) fn notice(&mut self, code: &str, at: At, message: String, hint: impl Into<String>) {
        let place = at.in_file(self.file);
        self.notices.push(Diagnostic::new(code, place, message).hint(hint));
    }
}

/// Fields of a map, each taken once; what is left over is told.
pub(crate) struct Fields {
    pub at: At,
    entries: Vec<(Key, Node)>,
}

impl Fields {
    /// `what` names the map in a sentence.
    pub(crate) fn of(node: Node, what: &str, notes: &mut Notes<'_>) -> Option<Fields> {
        match node.value {
            Value::Map(entries) => Some(Fields { at: node.at, entries }),
            other => {
                let message = format!("{what} is {}", other.name());
                notes.problem("wrong-type", node.at, message, "write a map of `field: value`");
                None
            }
        }
    }

    pub(crate) fn peek(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| &node.value)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(key, _)| key.text == name)?;
        Some(self.entries.remove(index).1)
    }

    pub(crate) fn needed(&mut self, name: &str, notes: &mut Notes<'_>) -> Option<Node> {
        let found = self.take(name).filter(|node| !matches!(node.value, Value::Null));
        if found.is_none() {
            let near = nearest(name, self.entries.iter().map(|(key, _)| key.text.as_str()));
            let hint = match near {
                Some(near) => format!("did you mean it by `{near}`?"),
                None => format!("add `{name}:`"),
            };
            notes.problem("missing-field", self.at, format!("`{name}` is missing"), hint);
        }
        found
    }

    pub(crate) fn text(&mut self, name: &str, notes: &mut Notes<'_>) -> Option<String> {
        let node = self.take(name)?;
        text_of(node, name, notes)
    }

    pub(crate) fn texts(&mut self, name: &str, notes: &mut Notes<'_>) -> Vec<String> {
        self.take(name).map(|node| texts_of(node, name, notes)).unwrap_or_default()
    }

    pub(crate) fn word<T>(
        &mut self,
        name: &str,
        words: &'static [&'static str],
        parse: fn(&str) -> Option<T>,
        notes: &mut Notes<'_>,
    ) -> Option<T> {
        let node = self.take(name)?;
        let at = node.at;
        let word = text_of(node, name, notes)?;
        let found = parse(&word);
        if found.is_none() {
            let hint = match nearest(&word, words.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use one of {}", words.join(", ")),
            };
            notes.problem("unknown-value", at, format!("`{name}: {word}` is not known"), hint);
        }
        found
    }

    pub(crate) fn rest(self) -> Vec<(Key, Node)> {
        self.entries
    }

    /// Every field left is a mistake.
    pub(crate) fn none_left(self, known: &[&'static str], notes: &mut Notes<'_>) {
        for (key, _) in self.entries {
            let hint = match nearest(&key.text, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use one of {}", known.join(", ")),
            };
            notes.problem("unknown-field", key.at, format!("unknown field `{}`", key.text), hint);
        }
    }
}

pub(crate) fn text_of(node: Node, name: &str, notes: &mut Notes<'_>) -> Option<String> {
    match node.value {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null => None,
        other => {
            let message = format!("`{name}` is {}", other.name());
            notes.problem("wrong-type", node.at, message, "write a text");
            None
        }
    }
}

pub(crate) fn texts_of(node: Node, name: &str, notes: &mut Notes<'_>) -> Vec<String> {
    match node.value {
        Value::List(items) => {
            items.into_iter().filter_map(|item| text_of(item, name, notes)).collect()
        }
        _ => text_of(node, name, notes).into_iter().collect(),
    }
}

/// Reads one document of a file.
pub(crate) fn read_document(node: Node, notes: &mut Notes<'_>) -> Option<Document> {
    let file = notes.file.to_owned();
    let mut fields = Fields::of(node, "the document", notes)?;
    let mut meta = read_meta(&mut fields, notes);
    let at = fields.at;
    let correlation = fields.take("correlation");
    let filter = fields.take("filter");
    let document = match (correlation, filter) {
        (Some(node), None) => {
            let generate = fields.take("generate");
            read_correlation(node, generate, notes)
                .map(|body| Document::Correlation(body.with_meta(Meta::default())))
        }
        (None, Some(node)) => {
            let logsource = read_logsource(&mut fields, notes);
            read_filter(node, notes).zip(logsource).map(|((targets, block), logsource)| {
                Document::Filter(Filter { meta: Meta::default(), logsource, targets, block })
            })
        }
        (None, None) => {
            let logsource = read_logsource(&mut fields, notes);
            let block = fields.needed("detection", notes).and_then(|node| {
                Fields::of(node, "`detection`", notes).and_then(|fields| read_block(fields, notes))
            });
            block.zip(logsource).map(|(block, logsource)| {
                Document::Rule(Rule { meta: Meta::default(), logsource, block, file })
            })
        }
        (Some(_), Some(_)) => {
            notes.problem(
                "wrong-document",
                at,
                "the document has both `correlation` and `filter`".to_owned(),
                "put them into two documents, with `---` between",
            );
            None
        }
    };
    meta.custom = leftovers(fields, notes);
    if meta.title.is_empty() && notes.problems.is_empty() {
        let message = "`title` is empty".to_owned();
        notes.problem("missing-field", at, message, "say what the rule finds");
    }
    notes.problems.is_empty().then_some(document).flatten().map(|document| match document {
        Document::Rule(rule) => Document::Rule(Rule { meta, ..rule }),
        Document::Filter(filter) => Document::Filter(Filter { meta, ..filter }),
        Document::Correlation(body) => Document::Correlation(body.with_meta(meta)),
    })
}

/// The specification lets a document have fields of its own; a slip of the pen is told all the same.
fn leftovers(fields: Fields, notes: &mut Notes<'_>) -> Vec<String> {
    let mut custom = Vec::new();
    for (key, _) in fields.rest() {
        if let Some(near) = nearest(&key.text, KNOWN.iter().copied()) {
            let message = format!("`{}` is not a field of the specification", key.text);
            notes.notice("unknown-field", key.at, message, format!("did you mean `{near}`?"));
        }
        custom.push(key.text);
    }
    custom
}

const KNOWN: &[&str] = &[
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "correlation",
    "filter",
    "generate",
    "action",
];

/// The specification's longest title.
const TITLE_CHARS_MAX: usize = 256;

fn read_meta(fields: &mut Fields, notes: &mut Notes<'_>) -> Meta {
    let at = fields.at;
    let title = fields
        .needed("title", notes)
        .and_then(|node| text_of(node, "title", notes))
        .unwrap_or_default();
    if title.chars().count() > TITLE_CHARS_MAX {
        notes.problem(
            "title-too-long",
            at,
            format!("`title` has more than {TITLE_CHARS_MAX} characters"),
            "say it shorter, and the rest under `description`",
        );
    }
    let meta = Meta {
        title,
        id: fields.text("id", notes),
        name: fields.text("name", notes),
        taxonomy: fields.text("taxonomy", notes),
        status: fields.word("status", Status::WORDS, Status::parse, notes),
        level: fields.word("level", Level::WORDS, Level::parse, notes),
        description: fields.text("description", notes),
        license: fields.text("license", notes),
        author: fields.text("author", notes),
        date: fields.text("date", notes),
        modified: fields.text("modified", notes),
        references: fields.texts("references", notes),
        related: fields.take("related").map(|node| read_related(node, notes)).unwrap_or_default(),
        falsepositives: fields.texts("falsepositives", notes),
        tags: fields.texts("tags", notes),
        fields: fields.texts("fields", notes),
        scope: fields.texts("scope", notes),
        custom: Vec::new(),
        place: at.in_file(notes.file),
    };
    for (name, date) in [("date", &meta.date), ("modified", &meta.modified)] {
        if date.as_deref().is_some_and(|date| date.parse::<jiff::civil::Date>().is_err()) {
            notes.notice(
                "bad-date",
                at,
                format!("`{name}` is not a date"),
                "write year, month and day as 2026-01-31",
            );
        }
    }
    if let Some(taxonomy) = meta.taxonomy.as_deref().filter(|taxonomy| *taxonomy != "sigma") {
        notes.problem(
            "unknown-taxonomy",
            at,
            format!("the taxonomy `{taxonomy}` is not known"),
            "write the rule in the taxonomy `sigma`, or leave `taxonomy` out",
        );
    }
    meta
}

fn read_related(node: Node, notes: &mut Notes<'_>) -> Vec<Related> {
    let Value::List(items) = node.value else {
        let message = format!("`related` is {}", node.value.name());
        notes.problem("wrong-type", node.at, message, "write a list of `id` and `type`");
        return Vec::new();
    };
    let mut related = Vec::new();
    for item in items {
        let Some(mut fields) = Fields::of(item, "an entry of `related`", notes) else { continue };
        let relation = fields.word("type", Relation::WORDS, Relation::parse, notes);
        let id = fields.needed("id", notes).and_then(|node| text_of(node, "id", notes));
        related.extend(id.zip(relation).map(|(id, relation)| Related { id, relation }));
        fields.none_left(&["id", "type"], notes);
    }
    related
}

fn read_logsource(fields: &mut Fields, notes: &mut Notes<'_>) -> Option<LogSource> {
    let node = fields.needed("logsource", notes)?;
    let at = node.at;
    let mut fields = Fields::of(node, "`logsource`", notes)?;
    // Upper case is a slip that the specification forbids; rules are matched all the same.
    let mut part = |name: &str| fields.text(name, notes).map(|text| text.to_lowercase());
    let logsource = LogSource {
        product: part("product"),
        category: part("category"),
        service: part("service"),
    };
    if logsource.is_empty() {
        notes.problem(
            "missing-field",
            at,
            "`logsource` names no `product`, `category` or `service`".to_owned(),
            "say which events the rule is about",
        );
        return None;
    }
    Some(logsource)
}

fn read_filter(node: Node, notes: &mut Notes<'_>) -> Option<(Targets, Block)> {
    let at = node.at;
    let mut fields = Fields::of(node, "`filter`", notes)?;
    let targets = match fields.take("rules") {
        None => Targets::Any,
        Some(node) => match node.value {
            Value::Text(word) if word.eq_ignore_ascii_case("any") => Targets::Any,
            _ => Targets::Named(texts_of(node, "rules", notes)),
        },
    };
    let block = read_block(fields, notes)?;
    if !block.conditions.iter().any(condition::Expression::has_not) {
        notes.notice(
            "filter-keeps",
            at,
            "the filter keeps only events that it matches".to_owned(),
            "write `condition: not selection` to leave them out instead",
        );
    }
    Some((targets, block))
}
