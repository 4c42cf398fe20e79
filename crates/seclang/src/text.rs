//! Text with `%{…}` in it: how it is read and how it is written.

use crate::parse::{Problem, did_you_mean};
use crate::rule::{Piece, Text};
use crate::variable::{Collection, Parts};

/// What a backslash before `%{` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// It makes the `%{` plain and goes.
    Remove,
    /// It makes the `%{` plain and stays: a regex has use for it.
    Keep,
}

impl Text {
    /// Finds the `%{NAME}`, `%{NAME.part}` and `%{NAME:part}` in `text`.
    ///
    /// # Errors
    /// A `%{` that names no variable, or never ends.
    pub(crate) fn parse(text: &str, escapes: Escapes) -> Result<Self, Problem> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("%{") {
            let (before, macro_text) = rest.split_at(start);
            let backslashes = before.bytes().rev().take_while(|byte| *byte == b'\\').count();
            if backslashes % 2 == 1 {
                let kept = match escapes {
                    Escapes::Keep => before,
                    Escapes::Remove => before.strip_suffix('\\').unwrap_or(before),
                };
                literal.extend_from_slice(kept.as_bytes());
                literal.extend_from_slice(b"%{");
                rest = macro_text.strip_prefix("%{").unwrap_or_default();
                continue;
            }
            literal.extend_from_slice(before.as_bytes());
            let inside = macro_text.strip_prefix("%{").unwrap_or_default();
            let Some((name, after)) = inside.split_once('}') else {
                return Err(Problem::new(shortened(macro_text), "`%{` has no `}`")
                    .hint("end it, or write `\\%{` for plain text"));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(value(name)?);
            rest = after;
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }
}

fn value(written: &str) -> Result<Piece, Problem> {
    let (name, part) = match written.find([':', '.']) {
        Some(at) => {
            let (name, part) = written.split_at(at);
            (name, Some(part.get(1..).unwrap_or_default()))
        }
        None => (written, None),
    };
    let subject = || format!("%{{{}}}", shortened(written));
    let Some(collection) = Collection::parse(name.trim()) else {
        let hint = did_you_mean(name.trim(), Collection::names())
            .unwrap_or_else(|| "write `\\%{` for plain text".to_owned());
        return Err(Problem::new(subject(), "unknown variable").hint(hint));
    };
    match (collection.parts(), part) {
        (Parts::None, Some(_)) => {
            Err(Problem::new(subject(), format!("`{}` has one value, no parts", collection.name()))
                .hint(format!("write `%{{{}}}`", collection.name())))
        }
        (Parts::Needed, None) => {
            Err(Problem::new(subject(), format!("`{}` is asked for by part", collection.name()))
                .hint(format!("write `%{{{}.id}}`", collection.name())))
        }
        (_, part) => Ok(Piece::Value(
            collection,
            part.map(|part| part.trim_matches('\'').to_ascii_lowercase().into_bytes()),
        )),
    }
}

/// Long text is not repeated in whole.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests;
