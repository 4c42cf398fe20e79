//! Text with `{{name}}` in it.

use super::facts::{Facts, NAMES};
use schema::nearest;

/// Bytes of a template.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Fact(&'static str),
}

/// Where a value goes decides what must not stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Inside a JSON string.
    Json,
    /// One segment of a URL path or query: all but RFC 3986 "unreserved" percent-encoded.
    Url,
    /// A header: control characters removed.
    Header,
    Plain,
}

impl Template {
    /// Message and hint when a name is not known or a brace not closed.
    pub(crate) fn parse(text: &str) -> Result<Template, (String, String)> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err((
                format!("a template of {} bytes is too long", text.len()),
                format!("keep it below {TEMPLATE_BYTES_MAX} bytes"),
            ));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, tail)) = after.split_once("}}") else {
                return Err(("`{{` is not closed".to_owned(), "close it with `}}`".to_owned()));
            };
            let name = name.trim();
            let Some(known) = NAMES.iter().find(|known| **known == name) else {
                let hint = match nearest(name, NAMES.iter().copied()) {
                    Some(close) => format!("did you mean `{{{{{close}}}}}`?"),
                    None => format!("use one of {}", NAMES.join(", ")),
                };
                return Err((format!("`{{{{{name}}}}}` is not known"), hint));
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Fact(known));
            rest = tail;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template(parts))
    }

    pub(crate) fn render(&self, facts: &Facts, escape: Escape) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Fact(name) => push(&mut out, facts.text(name), escape),
            }
        }
        out
    }
}

fn push(out: &mut String, value: &str, escape: Escape) {
    match escape {
        Escape::Plain => out.push_str(value),
        Escape::Header => out.extend(value.chars().filter(|c| !c.is_control())),
        Escape::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            // What `serde_json` writes for text always stands between two quotes.
            out.push_str(quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or(""));
        }
        Escape::Url => {
            for byte in value.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
}
