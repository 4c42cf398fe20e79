//! Text to syntax tree.

use super::{CONDITION_BYTES_MAX, DEPTH_MAX};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    /// Millionths, so that `12.5` stays exact.
    Number(i64),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A place in the text: bytes from its beginning.
pub(super) type At = usize;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Literal(Literal, At),
    Name(String, At),
    Call(String, Vec<Tree>, At),
    Relation(Relation, Box<Tree>, Box<Tree>, At),
    In(Box<Tree>, Vec<Tree>, At),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

impl Tree {
    pub(super) fn at(&self) -> At {
        match self {
            Tree::Literal(_, at)
            | Tree::Name(_, at)
            | Tree::Call(_, _, at)
            | Tree::Relation(_, _, _, at)
            | Tree::In(_, _, at) => *at,
            Tree::Not(inner) => inner.at(),
            Tree::And(parts) | Tree::Or(parts) => parts.first().map_or(0, Tree::at),
        }
    }
}

/// What is wrong in a condition, and where in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wrong {
    pub at: At,
    pub message: String,
    pub hint: String,
}

impl Wrong {
    pub(super) fn new(at: At, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Wrong { at, message: message.into(), hint: hint.into() }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Sign(&'static str),
}

/// Longer signs first: `<=` is not `<` and `=`.
const SIGNS: [&str; 14] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ","];

pub(super) fn parse(text: &str) -> Result<Tree, Wrong> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(Wrong::new(
            0,
            format!("a condition of {} bytes is longer than {CONDITION_BYTES_MAX}", text.len()),
            "split it: name parts of it under `derived`",
        ));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, next: 0, end: text.len() };
    let tree = parser.or(0)?;
    match parser.tokens.get(parser.next) {
        None => Ok(tree),
        Some((token, at)) => Err(Wrong::new(
            *at,
            format!("{} is not expected here", shown(token)),
            "join conditions with `&&` or `||`",
        )),
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("`{name}`"),
        Token::Text(text) => format!("'{text}'"),
        Token::Number(_) => "a number".to_owned(),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, At)>, Wrong> {
    let mut found = Vec::new();
    let mut rest = text;
    'text: loop {
        rest = rest.trim_start();
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        for sign in SIGNS {
            if let Some(after) = rest.strip_prefix(sign) {
                found.push((Token::Sign(sign), at));
                rest = after;
                continue 'text;
            }
        }
        if first == '\'' || first == '"' {
            let inside = rest.get(1..).unwrap_or_default();
            let Some(end) = inside.find(first) else {
                return Err(Wrong::new(
                    at,
                    "a text is not closed",
                    format!("close it with {first}"),
                ));
            };
            let value = inside.get(..end).unwrap_or_default();
            if value.contains('\\') {
                return Err(Wrong::new(
                    at,
                    "escapes are not used in conditions",
                    "write the value as it is",
                ));
            }
            found.push((Token::Text(value.to_owned()), at));
            rest = inside.get(end + 1..).unwrap_or_default();
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(_, c)| !(c.is_ascii_alphanumeric() || *c == '.'))
                .map_or(rest.len(), |(at, _)| at);
            let (number, after) = rest.split_at(end);
            found.push((
                Token::Number(millionths(number).ok_or_else(|| {
                    Wrong::new(
                        at,
                        format!("`{number}` is not a number that fits here"),
                        "write a whole number, or one with up to six decimals",
                    )
                })?),
                at,
            ));
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            found.push((Token::Name(name.to_owned()), at));
            rest = after;
        } else {
            return Err(Wrong::new(
                at,
                format!("`{first}` has no meaning in a condition"),
                "use && || ! == != < <= > >= in and parentheses",
            ));
        }
    }
}

/// A decimal number in millionths; at most six decimals and twelve digits before them.
pub(super) fn millionths(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(part) || whole.len() > 12 || part.len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    Some(sign * (whole * 1_000_000 + part))
}

struct Parser {
    tokens: Vec<(Token, At)>,
    next: usize,
    end: At,
}

impl Parser {
    fn at(&self) -> At {
        self.tokens.get(self.next).map_or(self.end, |(_, at)| *at)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_next = match self.tokens.get(self.next) {
            Some((Token::Sign(sign), _)) => *sign == wanted,
            Some((Token::Name(name), _)) => name == wanted,
            _ => false,
        };
        self.next += usize::from(is_next);
        is_next
    }

    fn demand(&mut self, wanted: &str) -> Result<(), Wrong> {
        let at = self.at();
        if self.take(wanted) {
            return Ok(());
        }
        Err(Wrong::new(at, format!("`{wanted}` is missing here"), format!("add `{wanted}`")))
    }

    fn or(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let mut parts = vec![self.and(depth)?];
        while self.take("||") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Tree::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let mut parts = vec![self.relation(depth)?];
        while self.take("&&") {
            parts.push(self.relation(depth)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Tree::And(parts) })
    }

    fn relation(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let left = self.unary(depth)?;
        let at = self.at();
        if self.take("in") {
            self.demand("[")?;
            let mut values = Vec::new();
            while !self.take("]") {
                if !values.is_empty() {
                    self.demand(",")?;
                }
                values.push(self.unary(depth + 1)?);
            }
            return Ok(Tree::In(Box::new(left), values, at));
        }
        let relations = [
            ("==", Relation::Equal),
            ("!=", Relation::NotEqual),
            ("<=", Relation::LessOrEqual),
            (">=", Relation::GreaterOrEqual),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        for (sign, relation) in relations {
            if self.take(sign) {
                let right = self.unary(depth)?;
                return Ok(Tree::Relation(relation, Box::new(left), Box::new(right), at));
            }
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Tree, Wrong> {
        let at = self.at();
        if depth > DEPTH_MAX {
            return Err(Wrong::new(
                at,
                format!("more than {DEPTH_MAX} brackets inside one another"),
                "name parts of it under `derived`",
            ));
        }
        if self.take("!") {
            return Ok(Tree::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            self.demand(")")?;
            return Ok(inner);
        }
        let Some((token, _)) = self.tokens.get(self.next).cloned() else {
            return Err(Wrong::new(
                at,
                "the condition ends too early",
                "write what to compare with",
            ));
        };
        self.next += 1;
        match token {
            Token::Text(text) => Ok(Tree::Literal(Literal::Text(text), at)),
            Token::Number(number) => Ok(Tree::Literal(Literal::Number(number), at)),
            Token::Name(name) if name == "true" || name == "false" => {
                Ok(Tree::Literal(Literal::Bool(name == "true"), at))
            }
            Token::Name(name) => {
                if !self.take("(") {
                    return Ok(Tree::Name(name, at));
                }
                let mut arguments = Vec::new();
                while !self.take(")") {
                    if !arguments.is_empty() {
                        self.demand(",")?;
                    }
                    arguments.push(self.or(depth + 1)?);
                }
                Ok(Tree::Call(name, arguments, at))
            }
            Token::Sign(sign) => Err(Wrong::new(
                at,
                format!("`{sign}` is not expected here"),
                "write a signal, a derived fact or a value",
            )),
        }
    }
}
