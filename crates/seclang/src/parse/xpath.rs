//! `XML:` and its path, as rules write it.

use super::Problem;
use crate::variable::XmlPath;

/// `/*`, `//@*`, `/a/b`, `//x/@y`, and what else [`XmlPath::parse`] reads, from the document's root. A
/// `text()` at the end adds nothing: an element's value is its text.
pub(crate) fn parse(written: &str) -> Result<XmlPath, Problem> {
    let text = super::unquoted(written);
    let problem = |what: String| {
        Problem::new(written, what)
            .hint("write element steps with `/` and `//`, `*`, `@name`, `@*`, `text()`")
    };
    let steps = text.strip_suffix("/text()").unwrap_or(text);
    if !steps.starts_with('/') || steps == "/" {
        return Err(problem("an XPath starts with `/` and a step".to_owned()));
    }
    let path = XmlPath::parse(steps).map_err(problem)?;
    Ok(XmlPath { text: text.to_owned(), ..path })
}
