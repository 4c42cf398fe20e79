//! What rules are held against: fields of an event and what kind of event it is.

use crate::limits::{EVENT_DEPTH_MAX, EVENT_VALUE_BYTES_MAX};
use crate::rule::LogSource;
use serde_json::Value;
use std::borrow::Cow;

/// One value of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'e> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'e str),
}

impl<'e> Scalar<'e> {
    /// As it is written; null is not.
    pub fn text(&self) -> Option<Cow<'e, str>> {
        match self {
            Scalar::Null => None,
            Scalar::Bool(true) => Some(Cow::Borrowed("true")),
            Scalar::Bool(false) => Some(Cow::Borrowed("false")),
            Scalar::Integer(number) => Some(Cow::Owned(number.to_string())),
            // `Display` writes a whole number without a fraction.
            Scalar::Float(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Text(text) => Some(Cow::Borrowed(cut(text, EVENT_VALUE_BYTES_MAX))),
        }
    }
}

/// The beginning of a text, whole characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    match text.len() <= bytes_max {
        true => text,
        false => text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default(),
    }
}

/// An event as rules see it.
pub trait Event {
    /// What kind of event its source says it is.
    fn logsource(&self) -> &LogSource;

    /// Gives every value of a field; false if there is no such field. `each` says whether to go on.
    fn field<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool;

    /// Gives every value of the event with the name of its field.
    fn every<'e>(&'e self, each: &mut dyn FnMut(&'e str, Scalar<'e>) -> bool);
}

/// An event that is JSON, of any source.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    logsource: LogSource,
    /// Where fields are looked for, in this order.
    roots: Vec<&'a Value>,
    /// The header of a Windows record, whose attributes are fields `Element_Attribute`.
    system: Option<&'a Value>,
    /// Fields whose names have spaces, by their names without.
    spaced: Vec<(String, &'a Value)>,
    /// Names that stand in for those of the header where a record is flat.
    flat: bool,
}

/// How shippers name the header's fields in flat records.
const FLAT_NAMES: &[(&str, &[&str])] = &[
    ("Provider_Name", &["ProviderName", "SourceName", "provider_name"]),
    ("Provider_Guid", &["ProviderGuid"]),
    ("Computer", &["Hostname", "ComputerName", "computer_name", "host"]),
    ("EventRecordID", &["RecordNumber", "record_id"]),
    ("TimeCreated_SystemTime", &["EventTime", "@timestamp"]),
    ("Execution_ProcessID", &["ExecutionProcessID"]),
    ("EventID", &["event_id"]),
    ("Channel", &["channel"]),
];

impl<'a> Record<'a> {
    /// Any JSON: a field is a path from the top, or a name with dots in it.
    pub fn json(logsource: LogSource, value: &'a Value) -> Self {
        Record { logsource, roots: vec![value], system: None, spaced: Vec::new(), flat: false }
    }

    /// A record of Windows' event log (or of Sysmon for Linux), as readers of EVTX and shippers write it.
    ///
    /// Understood are `Event.System` with `EventData` or `UserData`, `winlog` with `event_data`, and flat ones.
    pub fn event_log(product: &str, value: &'a Value) -> Self {
        let logsource = LogSource::new(Some(product), None, None);
        let event = value.get("Event").unwrap_or(value);
        let system = event.get("System").filter(|system| system.is_object());
        let mut roots: Vec<&Value> = Vec::new();
        if system.is_some() {
            roots.extend(event.get("EventData").filter(|data| data.is_object()));
            let user = event.get("UserData").and_then(Value::as_object);
            roots.extend(user.into_iter().flat_map(|user| user.values()).filter(|v| v.is_object()));
            roots.extend(system);
        }
        let winlog = value.get("winlog").filter(|winlog| winlog.is_object());
        let nested = winlog.or(Some(value)).into_iter();
        let data = nested.flat_map(|at| ["event_data", "user_data"].map(|name| at.get(name)));
        roots.extend(data.flatten().filter(|data| data.is_object()));
        roots.extend(winlog);
        roots.push(event);
        let spaced = roots
            .iter()
            .filter_map(|root| root.as_object())
            .flatten()
            .filter(|(name, _)| name.contains(' '))
            .map(|(name, value)| (without_spaces(name), value))
            .collect();
        Record { logsource, roots, system, spaced, flat: system.is_none() }
    }

    /// Says more about the event than its product.
    #[must_use]
    pub fn with_logsource(mut self, logsource: LogSource) -> Self {
        self.logsource = logsource;
        self
    }

    fn look(&self, name: &str, found: &mut dyn FnMut(&'a Value) -> bool) -> bool {
        for root in &self.roots {
            if descend(root, name, 0, found) {
                return true;
            }
        }
        if let Some((element, attribute)) = name.split_once('_')
            && let Some(value) = self.attribute(element, attribute)
        {
            found(value);
            return true;
        }
        if !self.spaced.is_empty() {
            let bare = without_spaces(name);
            if let Some((_, value)) = self.spaced.iter().find(|(name, _)| *name == bare) {
                found(value);
                return true;
            }
        }
        if self.flat
            && let Some((_, names)) = FLAT_NAMES.iter().find(|(known, _)| *known == name)
        {
            return names.iter().any(|name| {
                self.roots.iter().any(|root| descend(root, name, EVENT_DEPTH_MAX, found))
            });
        }
        false
    }

    fn attribute(&self, element: &str, attribute: &str) -> Option<&'a Value> {
        let system = self.system?;
        let attributes = system
            .get(element)
            .and_then(|element| element.get("#attributes"))
            .or_else(|| system.get(format!("{element}_attributes")));
        attributes?.get(attribute)
    }
}

fn without_spaces(name: &str) -> String {
    name.chars().filter(|c| *c != ' ').collect()
}

/// The value at a path: the whole name as one key first, then step by step; each of a list's elements.
pub(crate) fn descend<'a>(
    at: &'a Value,
    path: &str,
    depth: usize,
    found: &mut dyn FnMut(&'a Value) -> bool,
) -> bool {
    match at {
        Value::Object(map) => {
            if let Some(value) = map.get(path) {
                found(value);
                return true;
            }
            let Some((first, rest)) = path.split_once('.').filter(|_| depth < EVENT_DEPTH_MAX)
            else {
                return false;
            };
            map.get(first).is_some_and(|value| descend(value, rest, depth + 1, found))
        }
        Value::Array(items) if depth < EVENT_DEPTH_MAX => {
            let mut any = false;
            for item in items {
                any |= descend(item, path, depth + 1, found);
            }
            any
        }
        _ => false,
    }
}

/// Every scalar in a value, lists and objects opened; false when `each` has had enough.
pub(crate) fn scalars<'a>(
    name: &'a str,
    value: &'a Value,
    depth: usize,
    each: &mut dyn FnMut(&'a str, Scalar<'a>) -> bool,
) -> bool {
    match value {
        Value::Null => each(name, Scalar::Null),
        Value::Bool(value) => each(name, Scalar::Bool(*value)),
        Value::Number(number) => each(
            name,
            match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Scalar::Integer(number),
                (None, Some(number)) => Scalar::Float(number),
                (None, None) => Scalar::Null,
            },
        ),
        Value::String(text) => each(name, Scalar::Text(text)),
        Value::Array(items) if depth < EVENT_DEPTH_MAX => {
            items.iter().all(|item| scalars(name, item, depth + 1, each))
        }
        Value::Object(map) if depth < EVENT_DEPTH_MAX => {
            map.iter().all(|(name, value)| scalars(name, value, depth + 1, each))
        }
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Values of a field: of an element with attributes its text, of a list each, of an object all below but null.
pub(crate) fn own_scalars<'a>(
    value: &'a Value,
    depth: usize,
    each: &mut dyn FnMut(Scalar<'a>) -> bool,
) -> bool {
    match value {
        Value::Array(items) if depth < EVENT_DEPTH_MAX => {
            items.iter().all(|item| own_scalars(item, depth + 1, each))
        }
        Value::Object(map) => match map.get("#text") {
            Some(text) if depth < EVENT_DEPTH_MAX => own_scalars(text, depth + 1, each),
            _ => scalars("", value, depth, &mut |_, scalar| scalar == Scalar::Null || each(scalar)),
        },
        _ => scalars("", value, depth, &mut |_, scalar| each(scalar)),
    }
}

impl Event for Record<'_> {
    fn logsource(&self) -> &LogSource {
        &self.logsource
    }

    fn field<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        let mut go_on = true;
        self.look(name, &mut |value| {
            go_on = go_on && own_scalars(value, 0, each);
            go_on
        })
    }

    fn every<'e>(&'e self, each: &mut dyn FnMut(&'e str, Scalar<'e>) -> bool) {
        // The last root holds all the others.
        if let Some(root) = self.roots.last() {
            scalars("", root, 0, each);
        }
    }
}

#[cfg(test)]
mod tests;
