//! Conditions: text to a tree over search identifiers.

use crate::limits::{CONDITION_BYTES_MAX, CONDITION_DEPTH_MAX};
use schema::nearest;
use std::collections::BTreeSet;

/// What a condition says, `1 of` and `all of` not yet resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    /// One search identifier.
    Detection(String),
    /// `1 of pattern` or `all of pattern`; `them` is every name without a leading underscore.
    Of {
        all: bool,
        pattern: Names,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    Them,
    Pattern(String),
}

impl Names {
    pub(crate) fn covers(&self, name: &str) -> bool {
        match self {
            Names::Them => !name.starts_with('_'),
            Names::Pattern(pattern) => like(pattern, name),
        }
    }
}

/// `*` is any run of characters. Linear: each piece is looked for once, from the left.
fn like(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// Why a condition cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub code: &'static str,
    pub message: String,
    pub hint: String,
}

fn wrong(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { code, message: message.into(), hint: hint.into() }
}

/// Reads a condition; names are not looked up.
pub fn parse(text: &str) -> Result<Expression, Wrong> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(wrong(
            "condition-too-long",
            format!("the condition has {} bytes, more than {CONDITION_BYTES_MAX}", text.len()),
            "group identifiers by name and use `1 of name*`",
        ));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0 };
    let tree = parser.any(0)?;
    match parser.peek() {
        None => Ok(tree),
        Some(token) => Err(wrong(
            "bad-condition",
            format!("`{token}` is not expected here"),
            "put `and` or `or` between identifiers, and close every parenthesis",
        )),
    }
}

fn tokens(text: &str) -> Result<Vec<&str>, Wrong> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let width = match first {
            '(' | ')' => 1,
            '|' => {
                return Err(wrong(
                    "old-aggregation",
                    "`|` in a condition is the aggregation of Sigma 1, which Sigma 2 dropped",
                    "write a correlation document with `event_count` or `value_count`",
                ));
            }
            _ => rest.find(|c: char| !is_name(c)).unwrap_or(rest.len()),
        };
        if width == 0 {
            return Err(wrong(
                "bad-condition",
                format!("`{first}` cannot stand in a condition"),
                "use names of letters, digits, `_` and `-`, with `and`, `or`, `not`, `1 of`, `all of`",
            ));
        }
        let (token, after) = rest.split_at(width);
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '*' | '.')
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.next += usize::from(there);
        there
    }

    fn any(&mut self, depth: usize) -> Result<Expression, Wrong> {
        let mut parts = vec![self.all(depth)?];
        while self.take("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, Wrong> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn not(&mut self, depth: usize) -> Result<Expression, Wrong> {
        if depth > CONDITION_DEPTH_MAX {
            return Err(wrong(
                "condition-too-deep",
                format!("parentheses and `not` stand more than {CONDITION_DEPTH_MAX} deep"),
                "write the condition flatter",
            ));
        }
        if self.take("not") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            if !self.take(")") {
                return Err(wrong("bad-condition", "a `(` is not closed", "add `)`"));
            }
            return Ok(inner);
        }
        self.name()
    }

    fn name(&mut self) -> Result<Expression, Wrong> {
        let Some(token) = self.peek() else {
            return Err(wrong(
                "bad-condition",
                "the condition ends where an identifier should stand",
                "end it with the name of a search identifier",
            ));
        };
        self.next += 1;
        let lower = token.to_ascii_lowercase();
        if matches!(lower.as_str(), "and" | "or" | "of" | "them" | ")" | "not") {
            return Err(wrong(
                "bad-condition",
                format!("`{token}` stands where an identifier should"),
                "put the name of a search identifier here",
            ));
        }
        if !self.take("of") {
            return match token.contains('*') {
                false => Ok(Expression::Detection(token.to_owned())),
                true => Err(wrong(
                    "bad-condition",
                    format!("the pattern `{token}` stands alone"),
                    format!("write `1 of {token}` or `all of {token}`"),
                )),
            };
        }
        let all = match lower.as_str() {
            "1" | "any" => false,
            "all" => true,
            _ => {
                return Err(wrong(
                    "bad-condition",
                    format!("`{token} of` is not in the specification"),
                    "use `1 of` or `all of`",
                ));
            }
        };
        let Some(pattern) = self.peek().filter(|token| !matches!(*token, "(" | ")")) else {
            return Err(wrong(
                "bad-condition",
                "nothing stands behind `of`",
                "add `them` or a name with `*`",
            ));
        };
        self.next += 1;
        let pattern = match pattern.eq_ignore_ascii_case("them") {
            true => Names::Them,
            false => Names::Pattern(pattern.to_owned()),
        };
        Ok(Expression::Of { all, pattern })
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => many(parts.into_iter().chain(last).collect()),
    }
}

impl Expression {
    /// Checks every name against those defined, and adds the ones used to `used`.
    pub(crate) fn check<'n>(
        &self,
        names: &[&'n str],
        used: &mut BTreeSet<&'n str>,
    ) -> Result<(), Wrong> {
        match self {
            Expression::Any(parts) | Expression::All(parts) => {
                parts.iter().try_for_each(|part| part.check(names, used))
            }
            Expression::Not(part) => part.check(names, used),
            Expression::Detection(name) => match names.iter().find(|known| *known == name) {
                Some(known) => {
                    used.insert(known);
                    Ok(())
                }
                None => Err(unknown(name, names)),
            },
            Expression::Of { pattern, .. } => {
                let mut found = false;
                for name in names.iter().filter(|name| pattern.covers(name)) {
                    used.insert(name);
                    found = true;
                }
                match (found, pattern) {
                    (true, _) => Ok(()),
                    (false, Names::Pattern(pattern)) => Err(unknown(pattern, names)),
                    (false, Names::Them) => Err(wrong(
                        "unknown-identifier",
                        "`them` covers no search identifier",
                        "name one that does not begin with `_`",
                    )),
                }
            }
        }
    }

    /// Whether a `not` stands anywhere.
    pub(crate) fn has_not(&self) -> bool {
        match self {
            Expression::Any(parts) | Expression::All(parts) => parts.iter().any(Self::has_not),
            Expression::Not(_) => true,
            Expression::Detection(_) | Expression::Of { .. } => false,
        }
    }
}

fn unknown(name: &str, names: &[&str]) -> Wrong {
    let message = format!("`{name}` is not among the search identifiers");
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "define it under `detection`".to_owned(),
        None => {
            let names: Vec<String> =
                names.iter().take(10).map(|name| format!("`{name}`")).collect();
            format!("define it, or use one of {}", names.join(", "))
        }
    };
    wrong("unknown-identifier", message, hint)
}

#[cfg(test)]
mod tests;
