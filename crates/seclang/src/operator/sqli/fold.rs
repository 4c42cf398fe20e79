//! Folds the tokens of a value to at most five: what says the same more simply becomes one token, so
//! that injections have few fingerprints.

use super::FINGERPRINT_MAX;
use super::tables::Tables;
use super::token::{Dialect, Reader, Token, kind};

/// Tokens in work: one more than a fingerprint has tells what the last of them is.
const TOKENS_MAX: usize = FINGERPRINT_MAX + 3;

/// Barewords that call a function when a parenthesis follows.
const FUNCTIONS_AND_NAMES: [&str; 11] = [
    "USER_ID",
    "USER_NAME",
    "DATABASE",
    "PASSWORD",
    "USER",
    "CURRENT_USER",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
];

/// What is left of a value.
pub struct Folded<'a> {
    tokens: [Token<'a>; TOKENS_MAX],
    len: usize,
    /// Tokens read before folding; reading stops when the fingerprint is full.
    pub read: usize,
    pub dialects_differ: bool,
}

impl<'a> Folded<'a> {
    pub fn tokens(&self) -> &[Token<'a>] {
        self.tokens.get(..self.len).unwrap_or_default()
    }

    pub fn tokens_mut(&mut self) -> &mut [Token<'a>] {
        self.tokens.get_mut(..self.len).unwrap_or_default()
    }
}

pub fn fold<'a>(
    tables: &'static Tables,
    value: &'a [u8],
    quote: Option<u8>,
    dialect: Dialect,
) -> Folded<'a> {
    let mut folder = Folder {
        tables,
        reader: Reader::new(tables, value, quote, dialect),
        more: true,
        tokens: [Token::default(); TOKENS_MAX],
        end: 0,
        left: 0,
        comment: None,
    };
    let len = folder.run();
    Folded {
        tokens: folder.tokens,
        len,
        read: folder.reader.read,
        dialects_differ: folder.reader.dialects_differ,
    }
}

struct Folder<'a> {
    tables: &'static Tables,
    reader: Reader<'a>,
    /// The value may have more tokens.
    more: bool,
    tokens: [Token<'a>; TOKENS_MAX],
    /// Where the next token goes.
    end: usize,
    /// Tokens before this one are folded, as far as is known.
    left: usize,
    /// The comment that was read last, if no other token came after it.
    comment: Option<Token<'a>>,
}

/// What a look at some tokens says.
enum Step {
    /// They changed: look again.
    Again,
    /// Nothing to do.
    Keep,
    /// The value is evil, whatever follows.
    Evil,
}

impl<'a> Folder<'a> {
    /// How many tokens are left.
    fn run(&mut self) -> usize {
        let Some(first) = self.first() else {
            return 0;
        };
        self.put(0, first);
        self.end = 1;
        loop {
            if self.end >= FINGERPRINT_MAX && self.is_short_sum() {
                let next = self.token(FINGERPRINT_MAX);
                if self.end > FINGERPRINT_MAX {
                    self.put(1, next);
                }
                self.end = if self.end > FINGERPRINT_MAX { 2 } else { 1 };
                self.left = 0;
            }
            if !self.more || self.left >= FINGERPRINT_MAX {
                break;
            }
            if !self.has(2) {
                self.left = self.end;
                continue;
            }
            match self.fold_two(self.token(self.left), self.token(self.left + 1)) {
                Step::Again => continue,
                Step::Keep => {}
                Step::Evil => return self.left + 2,
            }
            if !self.has(3) {
                self.left = self.end;
                continue;
            }
            let (a, b) = (self.token(self.left), self.token(self.left + 1));
            if !self.fold_three(a, b, self.token(self.left + 2)) {
                self.left += 1;
            }
        }
        if self.end < FINGERPRINT_MAX
            && let Some(comment) = self.comment
        {
            self.put(self.end, comment);
            self.end += 1;
        }
        self.end.min(FINGERPRINT_MAX)
    }

    /// The first token that matters: comments, parentheses, types and signs before it do not.
    fn first(&mut self) -> Option<Token<'a>> {
        loop {
            let token = self.reader.next()?;
            let skipped = matches!(token.kind, kind::COMMENT | b'(' | kind::SQL_TYPE);
            if !skipped && !is_sign(&token) {
                return Some(token);
            }
        }
    }

    fn token(&self, at: usize) -> Token<'a> {
        self.tokens.get(at).copied().unwrap_or_default()
    }

    fn put(&mut self, at: usize, token: Token<'a>) {
        if let Some(place) = self.tokens.get_mut(at) {
            *place = token;
        }
    }

    fn set_kind(&mut self, at: usize, kind: u8) {
        if let Some(token) = self.tokens.get_mut(at) {
            token.kind = kind;
        }
    }

    /// Reads on until there are `wanted` tokens from `left` on, if that can be.
    fn has(&mut self, wanted: usize) -> bool {
        while self.more && self.end <= FINGERPRINT_MAX && self.end < self.left + wanted {
            match self.reader.next() {
                None => self.more = false,
                Some(token) if token.kind == kind::COMMENT => self.comment = Some(token),
                Some(token) => {
                    self.comment = None;
                    self.put(self.end, token);
                    self.end += 1;
                }
            }
        }
        self.end >= self.left + wanted
    }

    /// The last `count` tokens go, and everything is looked at again.
    fn drop_last(&mut self, count: usize) -> Step {
        self.end = self.end.saturating_sub(count);
        self.left = 0;
        Step::Again
    }

    /// The last token goes, and what is before the two is looked at again.
    fn drop_one_and_step_back(&mut self) -> Step {
        self.end = self.end.saturating_sub(1);
        self.left = self.left.saturating_sub(1);
        Step::Again
    }

    /// `1+(2)`, `a=(1)`, `1),(2` and `a)+(b` say no more than their first token.
    fn is_short_sum(&self) -> bool {
        use kind::{BAREWORD, NUMBER, OPERATOR};
        let [a, b, c, d, e, ..] = self.tokens.map(|token| token.kind);
        matches!(
            [a, b, c, d, e],
            [NUMBER, OPERATOR | b',', b'(', NUMBER, b')']
                | [BAREWORD, OPERATOR, b'(', BAREWORD | NUMBER, b')']
                | [NUMBER, b')', b',', b'(', NUMBER]
                | [BAREWORD, b')', OPERATOR, b'(', BAREWORD]
        )
    }

    fn fold_two(&mut self, a: Token<'a>, b: Token<'a>) -> Step {
        let left = self.left;
        match (a.kind, b.kind) {
            (kind::STRING, kind::STRING) | (b';', b';') => {
                self.end -= 1;
                return Step::Again;
            }
            (kind::OPERATOR | kind::LOGIC, _) if is_sign(&b) || b.kind == kind::SQL_TYPE => {
                return self.drop_last(1);
            }
            (b'(', _) if is_sign(&b) => return self.drop_one_and_step_back(),
            _ => {}
        }
        if let Some(phrase) = self.phrase(&a, &b) {
            self.put(left, phrase);
            return self.drop_one_and_step_back();
        }
        match (a.kind, b.kind) {
            // After a statement, `IF` is no function but starts one of SQL Server's.
            (b';', kind::FUNCTION) if b.text.get(..2).is_some_and(|head| head.eq_ignore_ascii_case(b"IF")) => {
                self.set_kind(left + 1, kind::TSQL);
                Step::Again
            }
            (kind::BAREWORD | kind::VARIABLE, b'(')
                if FUNCTIONS_AND_NAMES.iter().any(|name| a.is(name)) =>
            {
                self.set_kind(left, kind::FUNCTION);
                Step::Again
            }
            (kind::KEYWORD, after) if a.is("IN") || a.is("NOT IN") => {
                self.set_kind(left, if after == b'(' { kind::OPERATOR } else { kind::BAREWORD });
                Step::Again
            }
            (kind::OPERATOR, after) if a.is("LIKE") || a.is("NOT LIKE") => {
                if after == b'(' {
                    self.set_kind(left, kind::FUNCTION);
                }
                Step::Keep
            }
            (
                kind::SQL_TYPE,
                kind::BAREWORD
                | kind::NUMBER
                | kind::SQL_TYPE
                | b'('
                | kind::FUNCTION
                | kind::VARIABLE
                | kind::STRING,
            ) => {
                self.put(left, b);
                self.drop_last(1)
            }
            (kind::COLLATE, kind::BAREWORD) => {
                // The names of collations are many, but all have this in them.
                if b.text.iter().take_while(|byte| **byte != 0).any(|byte| *byte == b'_') {
                    self.set_kind(left + 1, kind::SQL_TYPE);
                    self.left = 0;
                }
                Step::Keep
            }
            (b'\\', _) if is_arithmetic(&b) => {
                // SQL Server reads `\%1` as `0%1`,
                self.set_kind(left, kind::NUMBER);
                self.drop_last(0)
            }
            (b'\\', _) => {
                // and `\1` as `1`.
                self.put(left, b);
                self.drop_last(1)
            }
            (b'(', b'(') | (b')', b')') => self.drop_last(1),
            (b'{', kind::BAREWORD) if b.text.is_empty() => {
                // ``{``.x}`` is a riddle of MySQL.
                self.set_kind(left + 1, kind::EVIL);
                Step::Evil
            }
            // `{name expression}` is the expression.
            (b'{', kind::BAREWORD) => self.drop_last(2),
            (_, b'}') => self.drop_last(1),
            _ => Step::Keep,
        }
    }

    /// Two words that are one phrase.
    fn phrase(&self, a: &Token<'a>, b: &Token<'a>) -> Option<Token<'a>> {
        let is_word = |token: &Token<'_>| {
            matches!(
                token.kind,
                kind::KEYWORD
                    | kind::BAREWORD
                    | kind::OPERATOR
                    | kind::UNION
                    | kind::FUNCTION
                    | kind::EXPRESSION
                    | kind::TSQL
                    | kind::SQL_TYPE
            )
        };
        if !is_word(a) || !(is_word(b) || b.kind == kind::LOGIC) {
            return None;
        }
        let found = self.tables.phrase(a.text, b.text)?;
        Some(Token { kind: found.kind, text: found.text, ..*a })
    }

    /// Whether the tokens changed.
    fn fold_three(&mut self, a: Token<'a>, b: Token<'a>, c: Token<'a>) -> bool {
        use kind::{BAREWORD, EXPRESSION, FUNCTION, GROUP, NUMBER, OPERATOR, STRING, VARIABLE};
        let left = self.left;
        match (a.kind, b.kind, c.kind) {
            (NUMBER | BAREWORD, OPERATOR, NUMBER | BAREWORD)
            | (VARIABLE, OPERATOR, VARIABLE | NUMBER | BAREWORD)
            | (kind::LOGIC, _, kind::LOGIC)
            | (
                BAREWORD | NUMBER | STRING | VARIABLE,
                b',',
                NUMBER | BAREWORD | STRING | VARIABLE,
            )
            | (BAREWORD, b'.', BAREWORD) => {
                self.drop_last(2);
            }
            (OPERATOR, between, OPERATOR) if between != b'(' => {
                self.drop_last(2);
            }
            (BAREWORD | NUMBER | VARIABLE | STRING, OPERATOR, kind::SQL_TYPE) if b.text == b"::" => {
                self.drop_last(2);
            }
            (EXPRESSION | GROUP | b',', _, b'(')
            | (
                kind::KEYWORD | EXPRESSION | GROUP,
                _,
                NUMBER | BAREWORD | VARIABLE | STRING | FUNCTION,
            )
            | (b',', _, FUNCTION)
                if is_sign(&b) =>
            {
                self.put(left + 1, c);
                self.drop_last(1);
            }
            (b',', _, NUMBER | BAREWORD | VARIABLE | STRING) if is_sign(&b) => {
                self.put(left + 1, c);
                self.drop_last(3);
            }
            (EXPRESSION, b'.', BAREWORD) => {
                self.put(left + 1, c);
                self.drop_last(1);
            }
            (FUNCTION, b'(', after) if after != b')' && a.is("USER") => {
                // A function without arguments: with one, it is just a name.
                self.set_kind(left, BAREWORD);
                return false;
            }
            _ => return false,
        }
        true
    }
}

/// An operator before one value.
fn is_sign(token: &Token<'_>) -> bool {
    token.kind == kind::OPERATOR
        && (matches!(token.text, b"+" | b"-" | b"!" | b"~" | b"!!") || token.is("NOT"))
}

fn is_arithmetic(token: &Token<'_>) -> bool {
    token.kind == kind::OPERATOR && matches!(token.text, b"*" | b"/" | b"-" | b"+" | b"%")
}
