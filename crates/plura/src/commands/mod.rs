//! A module per noun. Each command parses, asks the server or the library, prints.

pub mod action;
pub mod config;
pub mod doctor;
pub mod hunt;
pub mod import;
pub mod incident;
pub mod query;
pub mod rules;
pub mod run;
pub mod token;
pub mod trust;
pub mod verify;
pub mod waf;

use crate::client::Client;
use crate::output::{Failure, Format};
use serde_json::Value;

/// What every command knows: how to print, and whom to ask.
pub struct Context {
    pub format: Format,
    pub server: Option<String>,
    pub tenant: Option<String>,
}

impl Context {
    pub fn client(&self) -> Result<Client, Failure> {
        Client::connect(self.server.as_deref(), self.tenant.as_deref())
    }
}

/// The text at a JSON pointer; `-` where there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => "-".to_owned(),
    }
}

/// The time at a JSON pointer (milliseconds) as RFC 3339.
pub fn time(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .map_or_else(|| "-".to_owned(), schema::format_time)
}

/// The list at a JSON pointer.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Texts of a list, joined.
pub fn joined(value: &Value, pointer: &str) -> String {
    let texts: Vec<&str> = list(value, pointer).iter().filter_map(Value::as_str).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
}

/// A query string from the parts that are set.
pub fn query_string(parts: &[(&str, Option<String>)]) -> String {
    let set: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| {
            let value = value.as_deref()?;
            Some(format!(
                "{name}={}",
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            ))
        })
        .collect();
    if set.is_empty() { String::new() } else { format!("?{}", set.join("&")) }
}
