//! What the rules found, for the record: of the request only what the rest of the event shows, too.

use super::protect::Protect;
use crate::waf::Outcome;
use http::{HeaderMap, HeaderName};
use inspect::{DATA_CHARS_MAX, Show, entry, last_part};
use serde_json::Value;

/// What of the request may be told again.
pub(super) struct Open<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Nothing was hidden in the query or the request body, and all of it was looked at: what rules made
    /// of a parameter hides nothing, either. A secret in other spelling would pass for harmless.
    pub(super) arguments: bool,
}

/// `plura.waf`: one entry for each rule set with something to tell.
pub(super) fn entries(
    outcome: &Outcome,
    open: &Open<'_>,
    protect: &mut Protect<'_>,
) -> Option<Value> {
    let mut shown = Shown { open, protect };
    let sets = outcome.sets.iter().enumerate().filter(|(_, set)| !set.is_quiet());
    let sets: Vec<Value> =
        sets.map(|(i, set)| entry(set, outcome.blocked == Some(i), &mut shown)).collect();
    (!sets.is_empty()).then_some(Value::Array(sets))
}

struct Shown<'a, 'p> {
    open: &'a Open<'a>,
    protect: &'a mut Protect<'p>,
}

impl Show for Shown<'_, '_> {
    fn name(&mut self, name: &str, cut: bool) -> String {
        self.protect.text(name, cut, 0).unwrap_or_else(|| name.to_owned())
    }

    /// An argument of a request that holds nothing to hide, a header without a secret. Whole bodies, cookies
    /// and responses are never repeated here.
    fn data(&mut self, collection: &str, part: Option<&str>, value: &[u8]) -> Option<String> {
        let name = part.unwrap_or_default();
        match collection {
            "ARGS" | "ARGS_GET" | "ARGS_POST" | "ARGS_NAMES" | "ARGS_GET_NAMES"
            | "ARGS_POST_NAMES"
                if self.open.arguments => {}
            "REQUEST_HEADERS" if header_is_open(name, self.open.headers, self.protect) => {}
            "REQUEST_METHOD" | "REQUEST_PROTOCOL" | "RESPONSE_STATUS" => {}
            _ => return None,
        }
        let text = std::str::from_utf8(value).ok()?;
        let class = self.protect.scanner.names.classify(last_part(name));
        if self.protect.field(class, text, false, 0).is_some() {
            return None;
        }
        Some(text.chars().take(DATA_CHARS_MAX).collect())
    }
}

fn header_is_open(name: &str, headers: &HeaderMap, protect: &mut Protect<'_>) -> bool {
    let Ok(name) = HeaderName::try_from(name) else { return false };
    let mut lines = headers.get_all(&name).iter().peekable();
    lines.peek().is_some()
        && lines.all(|line| line.to_str().is_ok_and(|text| protect.header(&name, text).is_none()))
}
