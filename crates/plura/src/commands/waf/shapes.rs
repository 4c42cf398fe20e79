//! What a parameter's values look like, without keeping them.

use schema::Event;
use serde_json::Value;
use std::collections::BTreeMap;

/// Values looked at of one request.
const VALUES_MAX: usize = 200;
/// Content types told of one place, and characters of each: clients choose them.
const TYPES_TOLD: usize = 5;
const TYPE_CHARS_MAX: usize = 80;
/// How deep JSON is walked.
const DEPTH_MAX: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Digits,
    Uuid,
    Word,
    Text,
}

impl Shape {
    fn of(value: &str) -> Option<Shape> {
        let is_uuid = || value.len() == 36 && value.parse::<uuid::Uuid>().is_ok();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        match value {
            "" => None,
            _ if value.bytes().all(|b| b.is_ascii_digit()) => Some(Shape::Digits),
            _ if is_uuid() => Some(Shape::Uuid),
            _ if value.chars().all(is_word) => Some(Shape::Word),
            _ => Some(Shape::Text),
        }
    }

    fn plain(self) -> &'static str {
        match self {
            Shape::Digits => "digits",
            Shape::Uuid => "ids",
            Shape::Word => "single words",
            Shape::Text => "free text",
        }
    }
}

/// The shapes of one place's parameters on ordinary requests, and their content types.
#[derive(Debug, Default)]
pub struct Shapes {
    parameters: BTreeMap<String, BTreeMap<Shape, u64>>,
    types: BTreeMap<String, u64>,
}

impl Shapes {
    /// Takes an ordinary request: one that came to success and tripped over nothing.
    pub fn add(&mut self, event: &Event) {
        if let Some(kind) = event.request_content_type.as_deref() {
            *self.types.entry(media_type(kind)).or_default() += 1;
        }
        let mut values = Vec::new();
        pairs(event.query.as_deref().unwrap_or_default(), &mut values);
        let body = event.request_body.as_deref().unwrap_or_default();
        match event.request_content_type.as_deref().map(media_type).as_deref() {
            Some("application/x-www-form-urlencoded") => pairs(body, &mut values),
            Some("application/json") => {
                if let Ok(json) = serde_json::from_str(body) {
                    walk("json", &json, 0, &mut values);
                }
            }
            _ => {}
        }
        for (name, value) in values {
            if let Some(shape) = Shape::of(&value) {
                *self.parameters.entry(name).or_default().entry(shape).or_default() += 1;
            }
        }
    }

    /// In words; `None`: nothing is known of it.
    pub fn told(&self, variable: &str) -> Option<String> {
        if is_content_type(variable) {
            let known = listed(&self.types);
            return (!known.is_empty()).then(|| format!("ordinary content types: {known}"));
        }
        let shapes = self.of(variable)?;
        let all: u64 = shapes.values().sum();
        let part = |(shape, count): (&Shape, &u64)| {
            format!("{} {} %", shape.plain(), count * 100 / all.max(1))
        };
        let parts: Vec<String> = shapes.iter().map(part).collect();
        Some(format!("{all} ordinary values: {}", parts.join(", ")))
    }

    /// On ordinary requests it is always a number or an id: what trips a rule there is none.
    pub fn is_strict(&self, variable: &str, values_min: u64) -> bool {
        self.of(variable).is_some_and(|shapes| {
            shapes.values().sum::<u64>() >= values_min
                && shapes.keys().all(|shape| matches!(shape, Shape::Digits | Shape::Uuid))
        })
    }

    fn of(&self, variable: &str) -> Option<&BTreeMap<Shape, u64>> {
        let (collection, name) = variable.split_once(':')?;
        matches!(collection, "ARGS" | "ARGS_GET" | "ARGS_POST")
            .then(|| self.parameters.get(name))?
    }
}

/// The variable is the request's content type, or what CRS's 920420 makes of it.
pub fn is_content_type(variable: &str) -> bool {
    ["REQUEST_HEADERS:Content-Type", "TX:content_type"]
        .iter()
        .any(|known| variable.eq_ignore_ascii_case(known))
}

/// `text/csv (12), …`: those sent most.
pub fn listed(types: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<(&String, &u64)> = types.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let each = all.into_iter().take(TYPES_TOLD).map(|(kind, count)| format!("{kind} ({count})"));
    each.collect::<Vec<_>>().join(", ")
}

pub fn media_type(text: &str) -> String {
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.chars().take(TYPE_CHARS_MAX).collect::<String>().to_ascii_lowercase()
}

fn pairs(text: &str, values: &mut Vec<(String, String)>) {
    let plain = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    for pair in text.split('&').filter(|pair| !pair.is_empty()).take(VALUES_MAX) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        values.push((plain(name), plain(value)));
    }
}

/// As rules name what is in JSON: `json.items.array_0.name`.
fn walk(name: &str, value: &Value, depth: usize, values: &mut Vec<(String, String)>) {
    if depth > DEPTH_MAX || values.len() >= VALUES_MAX {
        return;
    }
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, v)| walk(&format!("{name}.{key}"), v, depth + 1, values));
        }
        Value::Array(list) => {
            let each = list.iter().enumerate();
            each.for_each(|(i, v)| walk(&format!("{name}.array_{i}"), v, depth + 1, values));
        }
        Value::String(text) => values.push((name.to_owned(), text.clone())),
        Value::Null => {}
        other => values.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_queries_forms_and_json() {
        let mut shapes = Shapes::default();
        for n in 0..10 {
            shapes.add(&Event {
                query: Some(format!("id={n}&q=red+shoes&empty=")),
                ..Event::default()
            });
            shapes.add(&Event {
                request_content_type: Some("application/json; charset=utf-8".to_owned()),
                request_body: Some(
                    r#"{"a": {"key": "0192d3a4-0000-7000-8000-000000000000"}, "b": [1]}"#
                        .to_owned(),
                ),
                ..Event::default()
            });
        }
        assert!(shapes.is_strict("ARGS:id", 10) && !shapes.is_strict("ARGS:id", 11));
        assert!(
            shapes.is_strict("ARGS:json.a.key", 10) && shapes.is_strict("ARGS:json.b.array_0", 10)
        );
        assert!(!shapes.is_strict("ARGS:q", 1) && !shapes.is_strict("ARGS:other", 0));
        assert_eq!(shapes.told("ARGS:q").unwrap(), "10 ordinary values: free text 100 %");
        assert_eq!(shapes.told("ARGS:empty"), None);
        let types = shapes.told("REQUEST_HEADERS:Content-Type").unwrap();
        assert_eq!(types, "ordinary content types: application/json (10)");
    }
}
