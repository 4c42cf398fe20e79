//! What stands under `detection`: search identifiers, their fields and values, and the condition.

use crate::condition;
use crate::document::{Fields, Notes, text_of};
use crate::limits::{DETECTIONS_MAX, VALUE_BYTES_MAX, VALUES_MAX};
use crate::modifier::{Modifier, parse_key};
use crate::rule::{Block, Detection, Item, Scalar};
use crate::yaml::{Key, Node, Value};
use std::collections::BTreeSet;

/// `detection`, or what stands under `filter` beside `rules`.
pub(super) fn read_block(mut fields: Fields, notes: &mut Notes<'_>) -> Option<Block> {
    let problems = notes.problems.len();
    let at = fields.at;
    let condition = fields.needed("condition", notes);
    if let Some(node) = fields.take("timeframe") {
        notes.problem(
            "old-aggregation",
            node.at,
            "`timeframe` belongs to the aggregation of Sigma 1, which Sigma 2 dropped".to_owned(),
            "write a correlation document with `timespan`",
        );
    }
    let entries = fields.rest();
    if entries.len() > DETECTIONS_MAX {
        let message =
            format!("{} search identifiers are more than {DETECTIONS_MAX}", entries.len());
        notes.problem("rule-too-large", at, message, "split the rule");
        return None;
    }
    let mut budget = VALUES_MAX;
    let mut detections = Vec::new();
    let mut places = Vec::new();
    for (key, node) in entries {
        places.push((key.text.clone(), key.at));
        if let Some(detection) = read_detection(node, &key.text, &mut budget, notes) {
            detections.push((key.text, detection));
        }
    }
    let names: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
    let mut used = BTreeSet::new();
    let mut conditions = Vec::new();
    for node in condition.map(list_of).unwrap_or_default() {
        let at = node.at;
        let Some(text) = text_of(node, "condition", notes) else { continue };
        let checked =
            condition::parse(&text).and_then(|tree| tree.check(&names, &mut used).map(|()| tree));
        match checked {
            Ok(tree) => conditions.push(tree),
            Err(wrong) => notes.problem(wrong.code, at, wrong.message, wrong.hint),
        }
    }
    if notes.problems.len() > problems {
        return None;
    }
    if conditions.is_empty() {
        let message = "`condition` is empty".to_owned();
        notes.problem("bad-condition", at, message, "name a search identifier");
        return None;
    }
    for (name, at) in places.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        let message = format!("`{name}` is not used by the condition");
        notes.notice("unused-identifier", *at, message, "use it or take it out");
    }
    Some(Block { detections, conditions })
}

fn list_of(node: Node) -> Vec<Node> {
    match node.value {
        Value::List(items) => items,
        _ => vec![node],
    }
}

fn read_detection(
    node: Node,
    name: &str,
    budget: &mut usize,
    notes: &mut Notes<'_>,
) -> Option<Detection> {
    let at = node.at;
    match node.value {
        Value::Map(entries) if !entries.is_empty() => {
            let mut items = Vec::new();
            for (key, node) in entries {
                items.push(Detection::Item(read_item(&key, node, budget, notes)?));
            }
            Some(Detection::All(items))
        }
        Value::List(nodes) if !nodes.is_empty() => {
            let mut parts = Vec::new();
            let mut keywords = Vec::new();
            for node in nodes {
                match node.value {
                    Value::Map(_) => parts.push(read_detection(node, name, budget, notes)?),
                    _ => keywords.push(node),
                }
            }
            if !keywords.is_empty() {
                let values = read_values(keywords, name, budget, notes)?;
                parts.push(Detection::Item(Item {
                    field: None,
                    modifiers: Vec::new(),
                    values,
                    at,
                }));
            }
            Some(Detection::Any(parts))
        }
        Value::Text(_) | Value::Integer(_) | Value::Float(_) => {
            let values = read_values(vec![node], name, budget, notes)?;
            Some(Detection::Item(Item { field: None, modifiers: Vec::new(), values, at }))
        }
        other => {
            let message = format!("`{name}` is {}, or empty", other.name());
            notes.problem(
                "wrong-type",
                at,
                message,
                "write a map of `field: value`, a list of such maps, or a list of keywords",
            );
            None
        }
    }
}

fn read_item(key: &Key, node: Node, budget: &mut usize, notes: &mut Notes<'_>) -> Option<Item> {
    let (field, modifiers) = match parse_key(&key.text) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            notes.problem(wrong.code, key.at, wrong.message, wrong.hint);
            return None;
        }
    };
    let nodes = list_of(node);
    if nodes.is_empty() {
        let message = format!("`{}` has no values", key.text);
        notes.problem("no-values", key.at, message, "give a value, or take the field out");
        return None;
    }
    let values = read_values(nodes, &key.text, budget, notes)?;
    if modifiers.contains(&Modifier::All) && values.len() == 1 {
        let message = format!("`{}` asks for all of one value", key.text);
        notes.notice("single-all", key.at, message, "take `all` out");
    }
    Some(Item { field: field.map(str::to_owned), modifiers, values, at: key.at })
}

fn read_values(
    nodes: Vec<Node>,
    name: &str,
    budget: &mut usize,
    notes: &mut Notes<'_>,
) -> Option<Vec<Scalar>> {
    let mut values = Vec::with_capacity(nodes.len());
    for node in nodes {
        if *budget == 0 {
            let message = format!("the rule has more than {VALUES_MAX} values");
            notes.problem("rule-too-large", node.at, message, "split the rule");
            return None;
        }
        *budget -= 1;
        values.push(match node.value {
            Value::Null => Scalar::Null,
            Value::Bool(value) => Scalar::Bool(value),
            Value::Integer(number) => Scalar::Integer(number),
            Value::Float(number) => Scalar::Float(number),
            Value::Text(text) if text.len() <= VALUE_BYTES_MAX => Scalar::Text(text),
            Value::Text(text) => {
                let message = format!(
                    "a value of `{name}` has {} bytes, more than {VALUE_BYTES_MAX}",
                    text.len()
                );
                notes.problem("value-too-long", node.at, message, "look for a part of it");
                return None;
            }
            other => {
                let message = format!("a value of `{name}` is {}", other.name());
                notes.problem("wrong-type", node.at, message, "write texts, numbers or null");
                return None;
            }
        });
    }
    Some(values)
}

/// Fields that a pipeline adds to rules.
pub(crate) fn read_conditions(node: Node, notes: &mut Notes<'_>) -> Option<Detection> {
    let mut budget = VALUES_MAX;
    read_detection(node, "conditions", &mut budget, notes)
}
