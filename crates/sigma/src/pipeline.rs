//! Processing pipelines in pySigma's YAML form: which fields and channels stand behind a rule's words.
//!
//! Each pipeline is one way to see a rule in events; a rule that several know fires when one of them does.

use crate::document::{Fields, Notes, text_of, texts_of};
use crate::limits::MAPPED_FIELDS_MAX;
use crate::rule::{Detection, LogSource};
use crate::yaml::{Node, Value, read};
use schema::Diagnostic;
use std::collections::BTreeMap;

/// What one file says.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    /// Lower ones come first.
    pub priority: i64,
    vars: BTreeMap<String, Vec<String>>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    change: Change,
    /// One of these has to fit the rule's log source; none asks for none.
    logsources: Vec<LogSource>,
    logsources_all: bool,
    logsources_not: bool,
    fields: Option<FieldCondition>,
}

#[derive(Debug, Clone)]
struct FieldCondition {
    names: Vec<String>,
    include: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Rename(BTreeMap<String, Vec<String>>),
    RenamePrefix(BTreeMap<String, Vec<String>>),
    Prefix(String),
    Suffix(String),
    Add { detection: Detection, negated: bool },
    LogSource(LogSource),
    ValuePlaceholders,
    WildcardPlaceholders,
    Refuse(String),
}

/// A pipeline as it bears on one rule.
#[derive(Debug, Clone)]
pub(crate) struct Applied<'p> {
    pub pipeline: &'p Pipeline,
    pub logsource: LogSource,
    steps: Vec<&'p Step>,
}

impl Step {
    fn fits(&self, logsource: &LogSource) -> bool {
        let mut wanted = self.logsources.iter();
        let fits = match self.logsources_all {
            _ if self.logsources.is_empty() => return true,
            true => wanted.all(|wanted| wanted.covers(logsource)),
            false => wanted.any(|wanted| wanted.covers(logsource)),
        };
        fits != self.logsources_not
    }

    fn rename(&self, field: String) -> Vec<String> {
        if let Some(condition) = &self.fields
            && condition.names.contains(&field) != condition.include
        {
            return vec![field];
        }
        match &self.change {
            Change::Rename(names) => names.get(&field).cloned().unwrap_or_else(|| vec![field]),
            Change::RenamePrefix(prefixes) => {
                let found = prefixes.iter().find_map(|(prefix, to)| {
                    field.strip_prefix(prefix.as_str()).map(|rest| (rest.to_owned(), to))
                });
                match found {
                    Some((rest, to)) => to.iter().map(|to| format!("{to}{rest}")).collect(),
                    None => vec![field],
                }
            }
            Change::Prefix(prefix) => vec![format!("{prefix}{field}")],
            Change::Suffix(suffix) => vec![format!("{field}{suffix}")],
            _ => vec![field],
        }
    }
}

impl Pipeline {
    /// What the pipeline does to a rule of this log source; none if it knows nothing of it.
    pub(crate) fn apply(&self, rule: &LogSource) -> Result<Option<Applied<'_>>, String> {
        let mut seen = rule.clone();
        let mut answered = LogSource::default();
        let mut steps = Vec::new();
        for step in self.steps.iter().filter(|step| !step.logsources.is_empty()) {
            if !step.fits(&seen) {
                continue;
            }
            match &step.change {
                Change::Refuse(why) => return Err(why.clone()),
                Change::LogSource(to) => seen = to.clone(),
                Change::Add { .. } => {
                    // The fields added are what the category and service were words for.
                    for part in step.logsources.iter().filter(|part| part.covers(&seen)) {
                        answered.category = answered.category.or_else(|| part.category.clone());
                        answered.service = answered.service.or_else(|| part.service.clone());
                    }
                }
                _ => {}
            }
            steps.push(step);
        }
        if steps.is_empty() {
            return Ok(None);
        }
        // Steps without a condition go with those that fit, in the order written.
        let steps = self
            .steps
            .iter()
            .filter(|step| {
                step.logsources.is_empty() || steps.iter().any(|fits| std::ptr::eq(*fits, *step))
            })
            .collect();
        let open =
            |part: Option<String>, answer: &Option<String>| part.filter(|_| answer.is_none());
        let logsource = LogSource {
            category: open(seen.category, &answered.category),
            service: open(seen.service, &answered.service),
            product: seen.product,
        };
        Ok(Some(Applied { pipeline: self, logsource, steps }))
    }

    /// Reads a pipeline file.
    pub fn parse(file: &str, text: &str) -> Result<Pipeline, Vec<Diagnostic>> {
        let mut documents = read(file, text).map_err(|problem| vec![problem])?;
        let mut notes = Notes { file, problems: Vec::new(), notices: Vec::new() };
        let pipeline = match (documents.pop(), documents.is_empty()) {
            (Some(node), true) => read_pipeline(node, &mut notes),
            _ => {
                notes.problem(
                    "wrong-document",
                    crate::yaml::At::default(),
                    "a pipeline file has one document".to_owned(),
                    "split it into several files",
                );
                None
            }
        };
        match pipeline {
            Some(pipeline) if notes.problems.is_empty() => Ok(pipeline),
            _ => Err(notes.problems),
        }
    }

    /// Those that come with the crate: Windows, Linux, web and cloud.
    pub fn shipped() -> Vec<Pipeline> {
        let mut all: Vec<Pipeline> =
            SHIPPED.iter().filter_map(|(file, text)| Pipeline::parse(file, text).ok()).collect();
        all.sort_by_key(|pipeline| pipeline.priority);
        all
    }
}

/// Files of the pipelines that come with the crate.
pub const SHIPPED: &[(&str, &str)] = &[
    ("windows.yml", include_str!("../pipelines/windows.yml")),
    ("windows-audit.yml", include_str!("../pipelines/windows-audit.yml")),
    ("linux.yml", include_str!("../pipelines/linux.yml")),
    ("linux-audit.yml", include_str!("../pipelines/linux-audit.yml")),
    ("web.yml", include_str!("../pipelines/web.yml")),
    ("cloud.yml", include_str!("../pipelines/cloud.yml")),
];

impl<'p> Applied<'p> {
    /// Names of a rule's field in events.
    pub(crate) fn fields(&self, field: &str) -> Vec<String> {
        self.fields_from(field, 0)
    }

    fn fields_from(&self, field: &str, step: usize) -> Vec<String> {
        let mut names = vec![field.to_owned()];
        for step in self.steps.iter().skip(step) {
            names = names.into_iter().flat_map(|name| step.rename(name)).collect();
            names.truncate(MAPPED_FIELDS_MAX);
        }
        names
    }

    /// Detections that the pipeline adds; true for one that must not hold.
    pub(crate) fn added(&self) -> impl Iterator<Item = (usize, &'p Detection, bool)> + '_ {
        self.steps.iter().enumerate().filter_map(|(index, step)| match &step.change {
            Change::Add { detection, negated } => Some((index, detection, *negated)),
            _ => None,
        })
    }

    /// Names of a field that step `index` added: only later steps rename it.
    pub(crate) fn added_fields(&self, index: usize, field: &str) -> Vec<String> {
        self.fields_from(field, index + 1)
    }

    pub(crate) fn placeholders(&self) -> Option<&'p BTreeMap<String, Vec<String>>> {
        let any = self.steps.iter().any(|step| matches!(step.change, Change::ValuePlaceholders));
        any.then_some(&self.pipeline.vars)
    }

    pub(crate) fn wildcard_placeholders(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.change, Change::WildcardPlaceholders))
    }
}

const FIELDS: &[&str] = &["name", "priority", "vars", "transformations"];

fn read_pipeline(node: Node, notes: &mut Notes<'_>) -> Option<Pipeline> {
    let mut fields = Fields::of(node, "the pipeline", notes)?;
    let name = fields.needed("name", notes).and_then(|node| text_of(node, "name", notes))?;
    let priority = match fields.take("priority").map(|node| (node.at, node.value)) {
        None => 0,
        Some((_, Value::Integer(number))) => number,
        Some((at, other)) => {
            let message = format!("`priority` is {}", other.name());
            notes.problem("wrong-type", at, message, "write a whole number");
            0
        }
    };
    let mut vars = BTreeMap::new();
    if let Some(node) = fields.take("vars") {
        for (key, node) in Fields::of(node, "`vars`", notes)?.rest() {
            let values = texts_of(node, &key.text, notes);
            vars.insert(key.text, values);
        }
    }
    let mut steps = Vec::new();
    if let Some(node) = fields.needed("transformations", notes) {
        match node.value {
            Value::List(nodes) => {
                for node in nodes {
                    steps.extend(read_step(node, notes));
                }
            }
            other => {
                let message = format!("`transformations` is {}", other.name());
                notes.problem("wrong-type", node.at, message, "write a list");
            }
        }
    }
    fields.none_left(FIELDS, notes);
    Some(Pipeline { name, priority, vars, steps })
}

const TYPES: &[&str] = &[
    "field_name_mapping",
    "field_name_prefix_mapping",
    "field_name_prefix",
    "field_name_suffix",
    "add_condition",
    "change_logsource",
    "value_placeholders",
    "wildcard_placeholders",
    "rule_failure",
];

fn read_step(node: Node, notes: &mut Notes<'_>) -> Option<Step> {
    let at = node.at;
    let mut fields = Fields::of(node, "a transformation", notes)?;
    // Only to name it; nothing refers to it.
    fields.text("id", notes);
    let kind = fields.needed("type", notes).and_then(|node| text_of(node, "type", notes))?;
    let mapping = |fields: &mut Fields, notes: &mut Notes<'_>| {
        let node = fields.needed("mapping", notes)?;
        let entries = Fields::of(node, "`mapping`", notes)?.rest();
        let to = |(key, node): (crate::yaml::Key, Node), notes: &mut Notes<'_>| {
            let names = texts_of(node, &key.text, notes);
            (key.text, names)
        };
        Some(entries.into_iter().map(|entry| to(entry, notes)).collect::<BTreeMap<_, _>>())
    };
    let needed = |fields: &mut Fields, name: &str, notes: &mut Notes<'_>| {
        fields.needed(name, notes).and_then(|node| text_of(node, name, notes))
    };
    let change = match kind.as_str() {
        "field_name_mapping" => Change::Rename(mapping(&mut fields, notes)?),
        "field_name_prefix_mapping" => Change::RenamePrefix(mapping(&mut fields, notes)?),
        "field_name_prefix" => Change::Prefix(needed(&mut fields, "prefix", notes)?),
        "field_name_suffix" => Change::Suffix(needed(&mut fields, "suffix", notes)?),
        "change_logsource" => Change::LogSource(read_parts(&mut fields, notes)),
        "value_placeholders" => Change::ValuePlaceholders,
        "wildcard_placeholders" => Change::WildcardPlaceholders,
        "rule_failure" => Change::Refuse(needed(&mut fields, "message", notes)?),
        "add_condition" => {
            let negated = flag(&mut fields, "negated", notes);
            let node = fields.needed("conditions", notes)?;
            let detection = crate::document::read_conditions(node, notes)?;
            Change::Add { detection, negated }
        }
        other => {
            let hint = match schema::nearest(other, TYPES.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use one of {}", TYPES.join(", ")),
            };
            let message = format!("the transformation `{other}` is not supported");
            notes.problem("unsupported-transformation", at, message, hint);
            return None;
        }
    };
    let logsources_all = match fields.text("rule_cond_op", notes).as_deref() {
        None | Some("and") => true,
        Some("or") => false,
        Some(other) => {
            let message = format!("`rule_cond_op: {other}` is not known");
            notes.problem("unknown-value", at, message, "use `and` or `or`");
            true
        }
    };
    let mut step = Step {
        change,
        logsources: Vec::new(),
        logsources_all,
        logsources_not: flag(&mut fields, "rule_cond_not", notes),
        fields: None,
    };
    for node in items(&mut fields, "rule_conditions", notes) {
        let mut condition = Fields::of(node, "a rule condition", notes)?;
        supported(&mut condition, &["logsource"], notes)?;
        step.logsources.push(read_parts(&mut condition, notes));
        condition.none_left(&["type", "product", "category", "service"], notes);
    }
    for node in items(&mut fields, "field_name_conditions", notes) {
        let mut condition = Fields::of(node, "a field name condition", notes)?;
        let kind = supported(&mut condition, &["include_fields", "exclude_fields"], notes)?;
        let names = condition.texts("fields", notes);
        step.fields = Some(FieldCondition { names, include: kind == "include_fields" });
        condition.none_left(&["type", "fields"], notes);
    }
    fields.none_left(
        &[
            "id",
            "type",
            "mapping",
            "conditions",
            "negated",
            "rule_conditions",
            "rule_cond_op",
            "rule_cond_not",
            "field_name_conditions",
        ],
        notes,
    );
    Some(step)
}

fn items(fields: &mut Fields, name: &str, notes: &mut Notes<'_>) -> Vec<Node> {
    match fields.take(name).map(|node| (node.at, node.value)) {
        None => Vec::new(),
        Some((_, Value::List(nodes))) => nodes,
        Some((at, other)) => {
            let message = format!("`{name}` is {}", other.name());
            notes.problem("wrong-type", at, message, "write a list");
            Vec::new()
        }
    }
}

fn supported(fields: &mut Fields, types: &[&str], notes: &mut Notes<'_>) -> Option<String> {
    let at = fields.at;
    let kind = fields.needed("type", notes).and_then(|node| text_of(node, "type", notes))?;
    if types.contains(&kind.as_str()) {
        return Some(kind);
    }
    let message = format!("the condition `{kind}` is not supported");
    notes.problem("unsupported-condition", at, message, format!("use {}", types.join(" or ")));
    None
}

fn read_parts(fields: &mut Fields, notes: &mut Notes<'_>) -> LogSource {
    LogSource {
        product: fields.text("product", notes),
        category: fields.text("category", notes),
        service: fields.text("service", notes),
    }
}

fn flag(fields: &mut Fields, name: &str, notes: &mut Notes<'_>) -> bool {
    match fields.take(name).map(|node| (node.at, node.value)) {
        None => false,
        Some((_, Value::Bool(value))) => value,
        Some((at, other)) => {
            let message = format!("`{name}` is {}", other.name());
            notes.problem("wrong-type", at, message, "write true or false");
            false
        }
    }
}

#[cfg(test)]
mod tests;
