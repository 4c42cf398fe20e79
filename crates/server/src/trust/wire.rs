//! OpenID AuthZEN Authorization API 1.0 as it is on the wire.
//!
//! Fields we do not know are ignored, as the specification demands. Fields we know are read
//! strictly: a wrong type, a member given twice or a number too large is an error, never a guess.

use schema::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use trust::{Reading, Readings, Value};
use utoipa::ToSchema;

/// Questions in one batch: at 15 µs each, well below what other callers notice.
pub const EVALUATIONS_MAX: usize = 500;

/// Characters of a type, a name or an id; a session hash has 64, a route a few hundred.
pub const NAME_CHARS_MAX: usize = 1_024;

/// Properties of one subject, action or resource.
pub const PROPERTIES_MAX: usize = 64;

/// Signals of one request; a policy knows about 60.
pub const SIGNALS_MAX: usize = 128;

/// Characters of a signal's text, a user agent, an address.
pub const TEXT_CHARS_MAX: usize = 2_048;

/// Obligations an enforcement point may say it performs.
pub const OBLIGATIONS_MAX: usize = 64;

/// How far `context.time` may be off our clock; beyond it, it is not believed.
pub const SKEW_MAX_MS: i64 = 5 * 60 * 1000;

/// A request to any of the AuthZEN endpoints. What may be absent depends on the endpoint.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct Asked {
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Part>)]
    pub subject: Option<Part>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<ActionPart>)]
    pub action: Option<ActionPart>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Part>)]
    pub resource: Option<Part>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Context>)]
    pub context: Option<Context>,
}

/// A request to `/access/v1/evaluations`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AskedMany {
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Part>)]
    pub subject: Option<Part>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<ActionPart>)]
    pub action: Option<ActionPart>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Part>)]
    pub resource: Option<Part>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Context>)]
    pub context: Option<Context>,
    /// What each question says itself; the parts above are for those that do not.
    #[serde(default, deserialize_with = "objects")]
    #[schema(value_type = Vec<Asked>)]
    pub evaluations: Vec<Asked>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Options>)]
    pub options: Option<Options>,
}

/// A request to a search endpoint: one of the three parts says only what is looked for.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AskedSearch {
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Part>)]
    pub subject: Option<Part>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<ActionPart>)]
    pub action: Option<ActionPart>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Part>)]
    pub resource: Option<Part>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<Context>)]
    pub context: Option<Context>,
    #[serde(default, deserialize_with = "object")]
    #[schema(value_type = Option<PageAsked>)]
    pub page: Option<PageAsked>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct PageAsked {
    /// The `next_token` of the page before.
    #[serde(default)]
    pub token: Option<String>,
    #[serde(default)]
    pub limit: Option<u32>,
}

impl AskedMany {
    /// The parts that hold for every question, and the questions.
    pub fn split(self) -> (Asked, Vec<Asked>, Semantic) {
        let AskedMany { subject, action, resource, context, evaluations, options } = self;
        let semantic = options.unwrap_or_default().evaluations_semantic;
        (Asked { subject, action, resource, context }, evaluations, semantic)
    }
}

/// A subject or a resource.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Part {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub properties: Map<String, Json>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct ActionPart {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub properties: Map<String, Json>,
}

/// What the enforcement point saw itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
pub struct Context {
    /// The client's address.
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub user_agent: Option<String>,
    /// RFC 3339. The server judges by its own clock; a time too far from it is noted.
    #[serde(default)]
    pub time: Option<String>,
    /// Signals by name, as the policy's vocabulary knows them: true, false, a whole number or text.
    #[serde(default, deserialize_with = "signals")]
    #[schema(value_type = Object)]
    pub signals: Readings,
    /// What it can perform; absent means it did not say, and it denies what it cannot perform itself.
    #[serde(default)]
    pub obligations_supported: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct Options {
    #[serde(default)]
    pub evaluations_semantic: Semantic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semantic {
    #[default]
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    /// Whether the batch ends after an answer like this.
    pub fn ends_after(self, decision: bool) -> bool {
        match self {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision,
            Semantic::PermitOnFirstPermit => decision,
        }
    }
}

/// One question, complete and within its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub subject: Named,
    pub action: String,
    pub action_properties: Map<String, Json>,
    pub resource: Named,
    pub context: Context,
}

/// A subject or resource that says what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    pub kind: String,
    pub id: String,
    pub properties: Map<String, Json>,
}

/// What is wrong with a question, as a place and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `subject.id`
    pub place: String,
    pub message: String,
}

impl Fault {
    fn new(place: impl fmt::Display, message: impl Into<String>) -> Fault {
        Fault { place: place.to_string(), message: message.into() }
    }

    fn missing(place: impl fmt::Display) -> Fault {
        let place = place.to_string();
        let message = format!("`{place}` is missing");
        Fault { place, message }
    }
}

impl Asked {
    /// What this says, and where it says nothing, what `defaults` say. A whole part replaces the
    /// default, except that a required member it lacks is taken from there.
    pub fn or(self, defaults: &Asked) -> Asked {
        Asked {
            subject: part_or(self.subject, defaults.subject.as_ref()),
            action: match (self.action, &defaults.action) {
                (Some(own), Some(default)) => {
                    Some(ActionPart { name: own.name.or_else(|| default.name.clone()), ..own })
                }
                (own, default) => own.or_else(|| default.clone()),
            },
            resource: part_or(self.resource, defaults.resource.as_ref()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }

    /// The question, when nothing is missing and nothing is beyond its limits.
    pub fn question(self) -> Result<Question, Fault> {
        let action = self.action.ok_or_else(|| Fault::missing("action"))?;
        Ok(Question {
            subject: named("subject", self.subject)?,
            action: text("action.name", action.name)?,
            action_properties: properties("action.properties", action.properties)?,
            resource: named("resource", self.resource)?,
            context: context(self.context.unwrap_or_default())?,
        })
    }
}

fn part_or(own: Option<Part>, default: Option<&Part>) -> Option<Part> {
    match (own, default) {
        (Some(own), Some(default)) => Some(Part {
            kind: own.kind.or_else(|| default.kind.clone()),
            id: own.id.or_else(|| default.id.clone()),
            properties: own.properties,
        }),
        (own, default) => own.or_else(|| default.cloned()),
    }
}

/// A subject or resource with type and id.
pub fn named(place: &str, part: Option<Part>) -> Result<Named, Fault> {
    let part = part.ok_or_else(|| Fault::missing(place))?;
    Ok(Named {
        kind: text(format_args!("{place}.type"), part.kind)?,
        id: text(format_args!("{place}.id"), part.id)?,
        properties: properties(format_args!("{place}.properties"), part.properties)?,
    })
}

/// A text that is there, is not empty and has no end of characters or control among them.
pub fn text(place: impl fmt::Display + Copy, text: Option<String>) -> Result<String, Fault> {
    let text = text.ok_or_else(|| Fault::missing(place))?;
    if text.is_empty() {
        return Err(Fault::new(place, format!("`{place}` is empty")));
    }
    printable(place, &text, NAME_CHARS_MAX)?;
    Ok(text)
}

fn printable(place: impl fmt::Display + Copy, text: &str, chars_max: usize) -> Result<(), Fault> {
    // Most names are short and plain: nothing to count, nothing to decode.
    if text.len() <= chars_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    if text.chars().nth(chars_max).is_some() {
        let message = format!("`{place}` has more than {chars_max} characters");
        return Err(Fault::new(place, message));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::new(place, format!("`{place}` holds control characters")));
    }
    Ok(())
}

fn properties(
    place: impl fmt::Display + Copy,
    properties: Map<String, Json>,
) -> Result<Map<String, Json>, Fault> {
    if properties.len() > PROPERTIES_MAX {
        let message = format!("`{place}` has more than {PROPERTIES_MAX} members");
        return Err(Fault::new(place, message));
    }
    for (name, value) in &properties {
        printable(format_args!("{place}.{name:.64}"), name, NAME_CHARS_MAX)?;
        if let Json::String(value) = value {
            printable(format_args!("{place}.{name:.64}"), value, TEXT_CHARS_MAX)?;
        }
    }
    Ok(properties)
}

/// Checks what only has limits.
pub fn context(context: Context) -> Result<Context, Fault> {
    for (place, text) in [
        ("context.address", &context.address),
        ("context.user_agent", &context.user_agent),
        ("context.time", &context.time),
    ] {
        printable(place, text.as_deref().unwrap_or_default(), TEXT_CHARS_MAX)?;
    }
    if context.signals.len() > SIGNALS_MAX {
        let message = format!("`context.signals` has more than {SIGNALS_MAX} members");
        return Err(Fault::new("context.signals", message));
    }
    for (name, reading) in &context.signals {
        printable(format_args!("context.signals.{name:.64}"), name, NAME_CHARS_MAX)?;
        if let Value::Text(text) = &reading.value {
            printable(format_args!("context.signals.{name:.64}"), text, TEXT_CHARS_MAX)?;
        }
    }
    if context.obligations_supported.as_ref().is_some_and(|list| list.len() > OBLIGATIONS_MAX) {
        let message = format!("more than {OBLIGATIONS_MAX} obligations");
        return Err(Fault::new("context.obligations_supported", message));
    }
    Ok(context)
}

impl Context {
    /// Why `time` is not believed; `None` when it is, or when there is none.
    pub fn time_fault(&self, now: Timestamp) -> Option<&'static str> {
        let text = self.time.as_deref()?;
        match schema::parse_time(text) {
            None => Some("context-time-unreadable"),
            Some(time) if (time - now).abs() > SKEW_MAX_MS => Some("context-time-skewed"),
            Some(_) => None,
        }
    }
}

/// Any JSON body as `T`; the message says what was expected, and where.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Object::<T>::deserialize(&mut reader).and_then(|v| reader.end().map(|()| v));
    value.map(|Object(value)| value).map_err(|error| error.to_string())
}

/// A `T` that was a JSON object: serde would take an array for a struct as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OfMap(PhantomData))
    }
}

fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// Signals; a name given twice is an error, since nobody can say which of them was meant.
fn signals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Readings, D::Error> {
    struct OfSignals;
    impl<'de> Visitor<'de> for OfSignals {
        type Value = Readings;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of signals")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Readings, A::Error> {
            let mut readings = BTreeMap::new();
            while let Some((name, Signal(value))) = map.next_entry::<String, Signal>()? {
                if readings.len() >= SIGNALS_MAX {
                    return Err(A::Error::custom(format!("more than {SIGNALS_MAX} signals")));
                }
                let name_shown: String = name.chars().take(64).collect();
                let reading = Reading { value, is_silent: false };
                if readings.insert(name, reading).is_some() {
                    return Err(A::Error::custom(format!("duplicate signal `{name_shown}`")));
                }
            }
            Ok(readings)
        }
    }
    deserializer.deserialize_map(OfSignals)
}

struct Signal(Value);

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfSignal;
        impl Visitor<'_> for OfSignal {
            type Value = Signal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a signal: true, false, a whole number or text")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Signal, E> {
                Ok(Signal(Value::Bool(value)))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Signal, E> {
                Ok(Signal(Value::Integer(value)))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Signal, E> {
                let value = i64::try_from(value)
                    .map_err(|_| E::custom(format!("`{value}` is too large for a signal")))?;
                Ok(Signal(Value::Integer(value)))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Signal, E> {
                Ok(Signal(Value::Text(value.to_owned())))
            }
        }
        deserializer.deserialize_any(OfSignal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WHOLE: &str = r#"{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},
        "resource":{"type":"record","id":"record-1"}"#;

    fn asked(rest: &str) -> Result<Asked, String> {
        parse(format!("{WHOLE}{rest}}}").as_bytes())
    }

    #[test]
    fn what_we_do_not_know_is_ignored() {
        let question = asked(r#","foo":"bar","context":{"ip":"192.0.2.1","nested":{"a":[1]}}"#);
        assert_eq!(question.unwrap().question().unwrap().subject.id, "alice");
    }

    #[test]
    fn what_we_know_is_read_strictly() {
        for rest in [
            r#","subject":{"type":"user","id":"eve"}"#,
            r#","context":[]"#,
            r#","context":{"signals":{"mfa_result":1.5}}"#,
            r#","context":{"signals":{"mfa_result":null}}"#,
            r#","context":{"signals":{"mfa_result":{"value":"success"}}}"#,
            r#","context":{"signals":{"mfa_result":"success","mfa_result":"fail"}}"#,
            r#","context":{"signals":{"n":18446744073709551615}}"#,
            r#","context":{"signals":{"n":1e400}}"#,
            r#","context":{"signals":{"n":NaN}}"#,
            r#","context":{"time":12}"#,
            r#","context":{"obligations_supported":"all"}"#,
        ] {
            assert!(asked(rest).is_err(), "{rest}");
        }
        for body in ["", "[]", "\"alice\"", "{", "{}x", "null"] {
            assert!(parse::<Asked>(body.as_bytes()).is_err(), "{body}");
        }
        let arrays = r#"{"subject":["user","alice"],"action":["read"],"resource":["record","r"]}"#;
        assert!(parse::<Asked>(arrays.as_bytes()).is_err(), "an array is no object");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, place) in [
            (json!({}), "action"),
            (json!({"action": {}, "subject": {"type": "u", "id": "a"}}), "action.name"),
            (json!({"action": {"name": "r"}}), "subject"),
            (json!({"action": {"name": "r"}, "subject": {"type": "u"}}), "subject.id"),
            (json!({"action": {"name": "r"}, "subject": {"type": "u", "id": ""}}), "subject.id"),
        ] {
            let asked: Asked = parse(body.to_string().as_bytes()).unwrap();
            let fault = match named("subject", asked.subject.clone()) {
                Err(fault) if place.starts_with("subject") => fault,
                _ => asked.question().unwrap_err(),
            };
            assert_eq!(fault.place, place);
        }
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        let part = Part { kind: Some("user".into()), id: Some(long), properties: Map::new() };
        assert!(named("subject", Some(part)).is_err());
    }

    #[test]
    fn a_part_replaces_the_default_and_lends_what_it_must_have() {
        let many: AskedMany = parse(
            json!({
                "subject": {"type": "user", "id": "alice", "properties": {"role": "x"}},
                "action": {"name": "write"}, "resource": {"type": "record"},
                "evaluations": [{"resource": {"id": "record-1", "properties": {"status": "active"}}}, {}],
                "options": {"evaluations_semantic": "deny_on_first_deny", "other": 1},
            })
            .to_string()
            .as_bytes(),
        )
        .unwrap();
        let (defaults, evaluations, semantic) = many.split();
        assert_eq!(semantic, Semantic::DenyOnFirstDeny);
        let mut each = evaluations.into_iter().map(|e| e.or(&defaults).question());
        let first = each.next().unwrap().unwrap();
        assert_eq!((&*first.resource.kind, &*first.resource.id), ("record", "record-1"));
        assert_eq!(each.next().unwrap().unwrap_err().place, "resource.id");
    }

    #[test]
    fn a_clock_that_is_off_is_noted() {
        let now = schema::parse_time("2026-11-22T08:00:00Z").unwrap();
        let at = |text: &str| Context { time: Some(text.into()), ..Context::default() };
        assert_eq!(at("2026-11-22T08:04:59Z").time_fault(now), None);
        assert_eq!(at("2026-11-22T07:54:59Z").time_fault(now), Some("context-time-skewed"));
        assert_eq!(at("2025-06-27T18:03-07:00").time_fault(now), Some("context-time-skewed"));
        assert_eq!(at("yesterday").time_fault(now), Some("context-time-unreadable"));
        assert_eq!(Context::default().time_fault(now), None);
    }
}
