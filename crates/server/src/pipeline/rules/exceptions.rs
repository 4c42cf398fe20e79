//! Exceptions: what a rule is not to tell for a while, and why.

use schema::{Diagnostic, Entity, Timestamp};
use serde_json::{Value, json};
use sigma::correlation::Finding as Correlated;
use sigma::{Event, LogSource, Options, Record, RuleSet};
use store::meta::SigmaException;
use uuid::Uuid;

/// How long an exception holds unless it says so.
pub const EXCEPTION_DAYS: i64 = 7;
/// How long one may hold; what is longer true belongs into the rule.
pub const EXCEPTION_DAYS_MAX: i64 = 90;
/// A selection as JSON.
pub const SELECTION_BYTES_MAX: usize = 16 << 10;

/// An exception that can be asked.
pub struct Exception {
    pub id: Uuid,
    rule: Option<String>,
    entity: Option<Entity>,
    /// A set of one rule that answers to every log source.
    selection: Option<RuleSet>,
    from: Timestamp,
    until: Timestamp,
}

impl Exception {
    pub fn compile(stored: &SigmaException) -> Result<Exception, Vec<Diagnostic>> {
        let selection = match &stored.selection {
            Some(text) => Some(selection(text)?),
            None => None,
        };
        Ok(Exception {
            id: stored.id,
            rule: stored.rule.clone(),
            entity: stored.entity.clone(),
            selection,
            from: stored.created,
            until: stored.ended.map_or(stored.expires, |ended| ended.min(stored.expires)),
        })
    }

    fn concerns(&self, rule: &str, time: Timestamp, entities: &[Entity]) -> bool {
        self.from <= time
            && time < self.until
            && self.rule.as_deref().is_none_or(|own| own == rule)
            && self.entity.as_ref().is_none_or(|entity| entities.contains(entity))
    }

    fn selects(&self, event: &dyn Event) -> bool {
        self.selection.as_ref().is_none_or(|set| set.evaluate_rule(0, event).is_some())
    }

    /// Whether it keeps this match of `rule` from being told.
    pub fn holds(
        &self,
        rule: &str,
        time: Timestamp,
        event: &dyn Event,
        entities: &[Entity],
    ) -> bool {
        self.concerns(rule, time, entities) && self.selects(event)
    }

    /// The same for a correlation; its selection is held against the fields it groups by.
    pub fn holds_group(&self, one: &Correlated, time: Timestamp, entities: &[Entity]) -> bool {
        let group: serde_json::Map<String, Value> =
            one.group.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let group = Value::Object(group);
        self.concerns(&one.correlation, time, entities)
            && self.selects(&Record::json(LogSource::default(), &group))
    }
}

/// A selection as a set of one rule, by the language rules have.
fn selection(text: &str) -> Result<RuleSet, Vec<Diagnostic>> {
    let place = "selection";
    let wrong =
        |message: String| {
            vec![Diagnostic::new("selection-invalid", place, message).hint(
                "write what a selection of a rule is: `{\"CommandLine|contains\": \"backup\"}`",
            )]
        };
    if text.len() > SELECTION_BYTES_MAX {
        return Err(wrong(format!("the selection has more than {SELECTION_BYTES_MAX} bytes")));
    }
    let read: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let is_empty = match &read {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    };
    if is_empty {
        return Err(wrong("the selection is no map of fields and no list".to_owned()));
    }
    let rule = json!({
        "title": "exception",
        "logsource": { "category": "any" },
        "detection": { "selection": read, "condition": "selection" },
    });
    let mut set = RuleSet::load([(place, rule.to_string().as_str())], &Options::default());
    if let Some(refused) = set.refused.pop() {
        return Err(refused.problems);
    }
    for variant in set.rules.iter_mut().flat_map(|rule| &mut rule.variants) {
        // It goes wherever the rule goes that it is put upon.
        variant.logsource = LogSource::default();
    }
    Ok(set)
}
