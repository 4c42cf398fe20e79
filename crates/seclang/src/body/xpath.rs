//! The part of XPath that rules use, from text.

use crate::variable::{XmlPart, XmlPath, XmlStep};

/// Steps in a path. CRS uses one.
pub const XPATH_STEPS_MAX: usize = 32;

impl XmlPath {
    /// Parses what stands after `XML:`.
    ///
    /// Understood: `/a/b`, `//a`, `*`, and as the last step `@name`, `@*` or `text()`. A namespace prefix is
    /// dropped, since names compare by their local part; `*[local-name()='a']` is therefore `a`. The
    /// predicate `[text()]` is taken as true. `/` alone is the document, and a path without a leading `/`
    /// starts there too.
    ///
    /// # Errors
    /// Says which step is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("empty path; `/*` is the whole document".to_owned());
        }
        let mut rest = text;
        let mut steps: Vec<XmlStep> = Vec::new();
        if rest == "/" {
            return Ok(Self { text: text.to_owned(), steps });
        }
        while !rest.is_empty() {
            let (anywhere, after) = match rest.strip_prefix("//") {
                Some(after) => (true, after),
                None => match rest.strip_prefix('/') {
                    Some(after) => (false, after),
                    None if steps.is_empty() => (false, rest),
                    None => return Err(format!("`{rest}` in `{text}`; a step begins with `/`")),
                },
            };
            let (name, predicate, after) = cut_step(after).ok_or_else(|| {
                format!("`{after}` in `{text}`; a predicate needs its closing `]`")
            })?;
            let last = steps.last().map(|step| &step.part);
            if matches!(last, Some(XmlPart::Attribute(_) | XmlPart::Text)) {
                return Err(format!(
                    "`{name}` in `{text}`; nothing follows an attribute or a text"
                ));
            }
            if steps.len() == XPATH_STEPS_MAX {
                return Err(format!("`{text}`; a path has at most {XPATH_STEPS_MAX} steps"));
            }
            let part =
                parse_part(name, predicate).ok_or_else(|| not_understood(name, predicate, text))?;
            steps.push(XmlStep { anywhere, part });
            rest = after;
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

fn not_understood(name: &str, predicate: Option<&str>, text: &str) -> String {
    let step = match predicate {
        Some(predicate) => format!("{name}[{predicate}]"),
        None => name.to_owned(),
    };
    format!("step `{step}` in `{text}`; use element names, `*`, `//`, `@name`, `@*` or `text()`")
}

/// The name of the first step, its predicate, and what follows.
fn cut_step(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text.find(['/', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let Some(rest) = rest.strip_prefix('[') else { return Some((name.trim(), None, rest)) };
    let mut quote = None;
    for (at, character) in rest.char_indices() {
        match (quote, character) {
            (None, ']') => {
                let (predicate, rest) = rest.split_at_checked(at)?;
                return Some((name.trim(), Some(predicate.trim()), rest.strip_prefix(']')?));
            }
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

fn parse_part(name: &str, predicate: Option<&str>) -> Option<XmlPart> {
    match predicate {
        None => {}
        Some("text()") if !name.starts_with('@') && name != "text()" => {}
        Some(predicate) if name == "*" => {
            let local =
                predicate.strip_prefix("local-name()")?.trim_start().strip_prefix('=')?.trim();
            let quote = local.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let local = local.strip_prefix(quote)?.strip_suffix(quote)?;
            return is_name(local).then(|| XmlPart::Element(Some(local.to_owned())));
        }
        Some(_) => return None,
    }
    if name == "text()" {
        return Some(XmlPart::Text);
    }
    let (attribute, name) = match name.strip_prefix('@') {
        Some(name) => (true, name.trim_start()),
        None => (false, name),
    };
    let local = match name.split_once(':') {
        Some((prefix, local)) if is_name(prefix) => local,
        Some(_) => return None,
        None => name,
    };
    let local = match local {
        "*" => None,
        local if is_name(local) => Some(local.to_owned()),
        _ => return None,
    };
    Some(if attribute { XmlPart::Attribute(local) } else { XmlPart::Element(local) })
}

fn is_name(text: &str) -> bool {
    let letter = |character: char| character.is_alphabetic() || character == '_';
    text.starts_with(letter)
        && text.chars().all(|character| {
            letter(character) || character.is_numeric() || matches!(character, '-' | '.')
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str) -> String {
        match XmlPath::parse(text) {
            Err(error) => format!("error: {error}"),
            Ok(path) => path
                .steps
                .iter()
                .map(|step| {
                    let slashes = if step.anywhere { "//" } else { "/" };
                    let name =
                        |name: &Option<String>| name.clone().unwrap_or_else(|| "*".to_owned());
                    match &step.part {
                        XmlPart::Element(element) => format!("{slashes}{}", name(element)),
                        XmlPart::Attribute(attribute) => format!("{slashes}@{}", name(attribute)),
                        XmlPart::Text => format!("{slashes}text()"),
                    }
                })
                .collect(),
        }
    }

    #[test]
    fn paths_that_rules_use() {
        for (text, expected) in [
            ("/*", "/*"),
            ("//@*", "//@*"),
            ("/", ""),
            ("/a/b", "/a/b"),
            ("a/b", "/a/b"),
            ("//a//b/@c", "//a//b/@c"),
            ("/soap:Envelope/soap:Body/q1:get", "/Envelope/Body/get"),
            ("/a/text()", "/a/text()"),
            ("/shop/book/price[text()]", "/shop/book/price"),
            ("//shop/*[local-name()='some-tag']", "//shop/some-tag"),
            (
                "//shop/*[local-name() = \"a]\"]",
                "error: step `*[local-name() = \"a]\"]` in `//shop/*[local-name() = \"a]\"]`; use element names, `*`, `//`, `@name`, `@*` or `text()`",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_says_which_step() {
        for text in [
            "",
            "///",
            "/a[1]",
            "/a[",
            "count(//a)",
            "/a/@b/c",
            "/a/text()/b",
            "/a|/b",
            "..",
            "/a/..",
            "/a/",
            "/é:",
            "/:a",
            "@",
        ] {
            let error = XmlPath::parse(text).unwrap_err();
            assert!(error.contains('`'), "{text}: {error}");
        }
        assert!(XmlPath::parse(&"/a".repeat(XPATH_STEPS_MAX)).is_ok());
        assert!(XmlPath::parse(&"/a".repeat(XPATH_STEPS_MAX + 1)).is_err());
    }
}
