//! Folds the tokens of a value to at most five: what says the same more simply becomes one token, so
//! that injections have few fingerprints.

use super::FINGERPRINT_MAX;
use super::token::{Dialect, Reader, Source, Token, kind};

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
pub struct Folded {
    tokens: [Token; TOKENS_MAX],
    len: usize,
    /// Tokens read before folding; reading stops when the fingerprint is full.
    pub read: usize,
    pub dialects_differ: bool,
}

impl Folded {
    pub fn tokens(&self) -> &[Token] {
        self.tokens.get(..self.len).unwrap_or_default()
    }

    pub fn tokens_mut(&mut self) -> &mut [Token] {
        self.tokens.get_mut(..self.len).unwrap_or_default()
    }
}

pub fn fold(source: Source<'_>, quote: Option<u8>, dialect: Dialect) -> Folded {
    let mut folder = Folder {
        source,
        reader: Reader::new(source, quote, dialect),
        more: true,
        tokens: [Token::default(); TOKENS_MAX],
        end: 0,
        left: 0,
        comment: Token::default(),
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
    source: Source<'a>,
    reader: Reader<'a>,
    /// The value may have more tokens.
    more: bool,
    tokens: [Token; TOKENS_MAX],
    /// Where the next token goes.
    end: usize,
    /// Tokens before this one are folded, as far as is known.
    left: usize,
    /// The comment that was read last, if no other token came after it; kind 0 if one did.
    comment: Token,
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

impl Folder<'_> {
    /// How many tokens are left.
    fn run(&mut self) -> usize {
        let first = self.first();
        if first.kind() == 0 {
            return 0;
        }
        self.put(0, first);
        self.end = 1;
        loop {
            if self.end >= FINGERPRINT_MAX && self.is_short_sum() {
                if self.end > FINGERPRINT_MAX {
                    self.copy(FINGERPRINT_MAX, 1);
                    self.end = 2;
                } else {
                    self.end = 1;
                }
                self.left = 0;
            }
            if !self.more || self.left >= FINGERPRINT_MAX {
                break;
            }
            if !self.has(2) {
                self.left = self.end;
                continue;
            }
            match self.fold_two() {
                Step::Again => continue,
                Step::Keep => {}
                Step::Evil => return self.left + 2,
            }
            if !self.has(3) {
                self.left = self.end;
                continue;
            }
            if !self.fold_three() {
                self.left += 1;
            }
        }
        if self.end < FINGERPRINT_MAX && self.comment.kind() != 0 {
            self.put(self.end, self.comment);
            self.end += 1;
        }
        self.end.min(FINGERPRINT_MAX)
    }

    /// The first token that matters: comments, parentheses, types and signs before it do not.
    fn first(&mut self) -> Token {
        loop {
            let token = self.reader.next();
            let skipped = matches!(token.kind(), kind::COMMENT | b'(' | kind::SQL_TYPE);
            if !skipped && !self.is_sign(&token) {
                return token;
            }
        }
    }

    fn kind(&self, at: usize) -> u8 {
        self.tokens.get(at).map_or(0, Token::kind)
    }

    fn set_kind(&mut self, at: usize, kind: u8) {
        if let Some(token) = self.tokens.get_mut(at) {
            *token = token.with_kind(kind);
        }
    }

    fn text(&self, at: usize) -> &[u8] {
        self.tokens.get(at).map_or(&[], |token| self.source.text(token))
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| self.source.is(token, word))
    }

    fn put(&mut self, at: usize, token: Token) {
        if let Some(place) = self.tokens.get_mut(at) {
            *place = token;
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.put(to, self.tokens.get(from).copied().unwrap_or_default());
    }

    /// An operator before one value.
    fn is_sign(&self, token: &Token) -> bool {
        token.kind() == kind::OPERATOR
            && match token.len() {
                1 => matches!(token.first(), b'+' | b'-' | b'!' | b'~'),
                2 => self.source.text(token) == b"!!",
                _ => self.source.is(token, "NOT"),
            }
    }

    fn is_sign_at(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| self.is_sign(token))
    }

    fn is_arithmetic_at(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| {
            token.len() == 1 && matches!(token.first(), b'*' | b'/' | b'-' | b'+' | b'%')
        })
    }

    /// Reads on until there are `wanted` tokens from `left` on, if that can be.
    fn has(&mut self, wanted: usize) -> bool {
        while self.more && self.end <= FINGERPRINT_MAX && self.end < self.left + wanted {
            let token = self.reader.next();
            match token.kind() {
                0 => self.more = false,
                kind::COMMENT => self.comment = token,
                _ => {
                    self.comment = Token::default();
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
        let [a, b, c, d, e, ..] = &self.tokens;
        matches!(
            [a.kind(), b.kind(), c.kind(), d.kind(), e.kind()],
            [NUMBER, OPERATOR | b',', b'(', NUMBER, b')']
                | [BAREWORD, OPERATOR, b'(', BAREWORD | NUMBER, b')']
                | [NUMBER, b')', b',', b'(', NUMBER]
                | [BAREWORD, b')', OPERATOR, b'(', BAREWORD]
        )
    }

    fn fold_two(&mut self) -> Step {
        let left = self.left;
        let kinds = (self.kind(left), self.kind(left + 1));
        match kinds {
            (kind::STRING, kind::STRING) | (b';', b';') => {
                self.end -= 1;
                return Step::Again;
            }
            (kind::OPERATOR | kind::LOGIC, kind::SQL_TYPE) => return self.drop_last(1),
            (kind::OPERATOR | kind::LOGIC, kind::OPERATOR) if self.is_sign_at(left + 1) => {
                return self.drop_last(1);
            }
            (b'(', kind::OPERATOR) if self.is_sign_at(left + 1) => {
                return self.drop_one_and_step_back();
            }
            _ => {}
        }
        if may_be_phrase(kinds) && self.merge() {
            return self.drop_one_and_step_back();
        }
        match kinds {
            // After a statement, `IF` is no function but starts one of SQL Server's.
            (b';', kind::FUNCTION)
                if self
                    .text(left + 1)
                    .get(..2)
                    .is_some_and(|head| head.eq_ignore_ascii_case(b"IF")) =>
            {
                self.set_kind(left + 1, kind::TSQL);
                Step::Again
            }
            (kind::BAREWORD | kind::VARIABLE, b'(')
                if FUNCTIONS_AND_NAMES.iter().any(|name| self.is(left, name)) =>
            {
                self.set_kind(left, kind::FUNCTION);
                Step::Again
            }
            (kind::KEYWORD, after) if self.is(left, "IN") || self.is(left, "NOT IN") => {
                self.set_kind(left, if after == b'(' { kind::OPERATOR } else { kind::BAREWORD });
                Step::Again
            }
            (kind::OPERATOR, after) if self.is(left, "LIKE") || self.is(left, "NOT LIKE") => {
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
                self.copy(left + 1, left);
                self.drop_last(1)
            }
            (kind::COLLATE, kind::BAREWORD) => {
                // The names of collations are many, but all have this in them.
                if self
                    .text(left + 1)
                    .iter()
                    .take_while(|byte| **byte != 0)
                    .any(|byte| *byte == b'_')
                {
                    self.set_kind(left + 1, kind::SQL_TYPE);
                    self.left = 0;
                }
                Step::Keep
            }
            (b'\\', kind::OPERATOR) if self.is_arithmetic_at(left + 1) => {
                // SQL Server reads `\%1` as `0%1`,
                self.set_kind(left, kind::NUMBER);
                self.drop_last(0)
            }
            (b'\\', _) => {
                // and `\1` as `1`.
                self.copy(left + 1, left);
                self.drop_last(1)
            }
            (b'(', b'(') | (b')', b')') => self.drop_last(1),
            (b'{', kind::BAREWORD) if self.text(left + 1).is_empty() => {
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

    /// The two tokens become one, if they are a phrase.
    fn merge(&mut self) -> bool {
        let (left, tables) = (self.left, self.source.tables);
        let [Some(a), Some(b)] = [self.tokens.get(left), self.tokens.get(left + 1)] else {
            return false;
        };
        if !tables.may_be_phrase_head(a.first(), a.len()) {
            return false;
        }
        let found = tables.phrase(self.source.text(a), self.source.text(b));
        let Some(merged) = found.map(|(index, phrase)| a.as_phrase(index, phrase)) else {
            return false;
        };
        self.put(left, merged);
        true
    }

    /// Whether the tokens changed.
    fn fold_three(&mut self) -> bool {
        use kind::{BAREWORD, EXPRESSION, FUNCTION, GROUP, NUMBER, OPERATOR, STRING, VARIABLE};
        let left = self.left;
        match (self.kind(left), self.kind(left + 1), self.kind(left + 2)) {
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
            (BAREWORD | NUMBER | VARIABLE | STRING, OPERATOR, kind::SQL_TYPE)
                if self.text(left + 1) == b"::" =>
            {
                self.drop_last(2);
            }
            (EXPRESSION | GROUP | b',', OPERATOR, b'(')
            | (
                kind::KEYWORD | EXPRESSION | GROUP,
                OPERATOR,
                NUMBER | BAREWORD | VARIABLE | STRING | FUNCTION,
            )
            | (b',', OPERATOR, FUNCTION)
                if self.is_sign_at(left + 1) =>
            {
                self.copy(left + 2, left + 1);
                self.drop_last(1);
            }
            (b',', OPERATOR, NUMBER | BAREWORD | VARIABLE | STRING)
                if self.is_sign_at(left + 1) =>
            {
                self.copy(left + 2, left + 1);
                self.drop_last(3);
            }
            (EXPRESSION, b'.', BAREWORD) => {
                self.copy(left + 2, left + 1);
                self.drop_last(1);
            }
            (FUNCTION, b'(', after) if after != b')' && self.is(left, "USER") => {
                // A function without arguments: with one, it is just a name.
                self.set_kind(left, BAREWORD);
                return false;
            }
            _ => return false,
        }
        true
    }
}

/// Whether tokens of these kinds may be one phrase.
fn may_be_phrase((a, b): (u8, u8)) -> bool {
    let is_word = |kind| {
        matches!(
            kind,
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
    is_word(a) && (is_word(b) || b == kind::LOGIC)
}
