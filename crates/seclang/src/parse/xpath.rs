//! The part of XPath that rules use.

use super::Problem;
use crate::variable::{XmlPart, XmlPath, XmlStep};

/// Steps in one path.
pub const XML_STEPS_MAX: usize = 64;

/// `/*`, `//@*`, `/a/b`, `//x/@y`, `/a/text()`. Prefixes of namespaces are left out of account.
pub(crate) fn parse(written: &str) -> Result<XmlPath, Problem> {
    let text = super::unquoted(written);
    let problem = |what: &str| {
        Problem::new(written, what.to_owned())
            .hint("write element steps with `/` and `//`, `*`, `@name`, `@*`, `text()`")
    };
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let anywhere = rest.starts_with("//");
        let Some(step) = rest.strip_prefix(if anywhere { "//" } else { "/" }) else {
            return Err(problem("an XPath starts with `/`"));
        };
        let (step, after) = step.split_at(step.find('/').unwrap_or(step.len()));
        if step == "text()" && after.is_empty() && !steps.is_empty() {
            break;
        }
        if matches!(steps.last(), Some(XmlStep { part: XmlPart::Attribute(_), .. })) {
            return Err(problem("an attribute has nothing below it"));
        }
        steps
            .push(XmlStep { anywhere, part: part(step).ok_or_else(|| problem("not understood"))? });
        if steps.len() > XML_STEPS_MAX {
            return Err(problem("too many steps"));
        }
        rest = after;
    }
    if steps.is_empty() {
        return Err(problem("no path"));
    }
    Ok(XmlPath { text: text.to_owned(), steps })
}

fn part(step: &str) -> Option<XmlPart> {
    let (attribute, name) = match step.strip_prefix('@') {
        Some(name) => (true, name),
        None => (false, step),
    };
    let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '·');
    let name = match local {
        "*" => None,
        _ if !local.is_empty() && local.chars().all(plain) && local != "." && local != ".." => {
            Some(local.to_owned())
        }
        _ => return None,
    };
    Some(if attribute { XmlPart::Attribute(name) } else { XmlPart::Element(name) })
}
