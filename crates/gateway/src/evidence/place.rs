//! Where in an exchange a value stands: `header:X-Api-Key`, `cookie:sid`, `json:user.email`.

use http::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Longest name or path in a place.
const NAME_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    Header(HeaderName),
    Cookie(String),
    Query(String),
    Form(String),
    /// Of the request: `user.email`, `items.0.id`.
    Json(String),
    ResponseHeader(HeaderName),
    ResponseCookie(String),
    ResponseJson(String),
    /// The token of `Authorization: Bearer`.
    Bearer,
    /// The user of `Authorization: Basic`.
    BasicUser,
    /// A claim of the bearer token's JWT, whose signature nobody here has checked.
    UnverifiedClaim(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a place: write `bearer`, `basic-user`, or `header:`, `cookie:`, `query:`, `form:`, `json:`, `response-header:`, `response-cookie:`, `response-json:` or `unverified-claim:` and a name"
)]
pub struct UnknownPlace(pub String);

impl FromStr for Place {
    type Err = UnknownPlace;

    fn from_str(text: &str) -> Result<Place, UnknownPlace> {
        let unknown = || UnknownPlace(text.to_owned());
        match text {
            "bearer" => return Ok(Place::Bearer),
            "basic-user" => return Ok(Place::BasicUser),
            _ => {}
        }
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(unknown());
        }
        let header = || name.to_ascii_lowercase().parse::<HeaderName>().map_err(|_| unknown());
        Ok(match kind {
            "header" => Place::Header(header()?),
            "cookie" => Place::Cookie(name.to_owned()),
            "query" => Place::Query(name.to_owned()),
            "form" => Place::Form(name.to_owned()),
            "json" => Place::Json(name.to_owned()),
            "response-header" => Place::ResponseHeader(header()?),
            "response-cookie" => Place::ResponseCookie(name.to_owned()),
            "response-json" => Place::ResponseJson(name.to_owned()),
            "unverified-claim" => Place::UnverifiedClaim(name.to_owned()),
            _ => return Err(unknown()),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Header(name) => write!(f, "header:{name}"),
            Place::Cookie(name) => write!(f, "cookie:{name}"),
            Place::Query(name) => write!(f, "query:{name}"),
            Place::Form(name) => write!(f, "form:{name}"),
            Place::Json(path) => write!(f, "json:{path}"),
            Place::ResponseHeader(name) => write!(f, "response-header:{name}"),
            Place::ResponseCookie(name) => write!(f, "response-cookie:{name}"),
            Place::ResponseJson(path) => write!(f, "response-json:{path}"),
            Place::Bearer => f.write_str("bearer"),
            Place::BasicUser => f.write_str("basic-user"),
            Place::UnverifiedClaim(name) => write!(f, "unverified-claim:{name}"),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = UnknownPlace;

    fn try_from(text: String) -> Result<Place, UnknownPlace> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

/// The value at a dotted path; a number steps into a list.
pub(super) fn json_at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Object(map) => map.get(step),
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Text, or a number or boolean as text.
pub(super) fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_prints() {
        for text in
            ["header:x-api-key", "cookie:sid", "json:user.email", "bearer", "unverified-claim:sub"]
        {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for text in ["header:", "header:a b", "body:x", "x"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
