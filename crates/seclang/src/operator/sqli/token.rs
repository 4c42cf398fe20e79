//! The tokens of SQL, as the databases together would read them.

use super::tables::{Tables, Word};
use memchr::{memchr, memmem};

/// Bytes of a token that are looked at.
pub const TEXT_MAX: usize = 31;

/// Kinds of tokens: the letters that fingerprints are made of. Punctuation stands for itself.
pub mod kind {
    pub const KEYWORD: u8 = b'k';
    pub const UNION: u8 = b'U';
    pub const GROUP: u8 = b'B';
    pub const EXPRESSION: u8 = b'E';
    pub const SQL_TYPE: u8 = b't';
    pub const FUNCTION: u8 = b'f';
    pub const BAREWORD: u8 = b'n';
    pub const NUMBER: u8 = b'1';
    pub const VARIABLE: u8 = b'v';
    pub const STRING: u8 = b's';
    pub const OPERATOR: u8 = b'o';
    pub const LOGIC: u8 = b'&';
    pub const COMMENT: u8 = b'c';
    pub const COLLATE: u8 = b'A';
    pub const TSQL: u8 = b'T';
    pub const UNKNOWN: u8 = b'?';
    /// What no two databases read alike.
    pub const EVIL: u8 = b'X';
}

/// Where comments differ: `#` and `--x` start one for MySQL and for standard SQL, each just one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Ansi,
    MySql,
}

/// Two words, so that it travels in registers; [`Source`] has its text.
#[derive(Clone, Copy, Default)]
pub struct Token {
    /// Where the text is in the value or, for what was merged, the number of the tables' phrase.
    start: usize,
    /// Bytes: the kind, the opening and the closing quote, the text's length and first byte in capitals,
    /// and whether it is a phrase.
    tags: u64,
}

impl Token {
    /// Of what is longer, only [`TEXT_MAX`] bytes are looked at.
    fn new(kind: u8, start: usize, len: usize, first: u8) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "at most `TEXT_MAX`")]
        let len = len.min(TEXT_MAX) as u8;
        let first = if len == 0 { 0 } else { first.to_ascii_uppercase() };
        Self { start, tags: u64::from_le_bytes([kind, 0, 0, len, first, 0, 0, 0]) }
    }

    fn quoted(self, open: u8, close: u8) -> Self {
        Self { tags: self.tags | u64::from(open) << 8 | u64::from(close) << 16, ..self }
    }

    /// The token as the tables' phrase number `index`.
    pub fn as_phrase(&self, index: usize, phrase: &Word) -> Self {
        let first = phrase.text.first().copied().unwrap_or(0);
        let mut token = Self::new(phrase.kind, index, phrase.text.len(), first);
        token.tags |= 1 << 40;
        token.quoted(self.open(), self.close())
    }

    pub fn with_kind(self, kind: u8) -> Self {
        Self { tags: self.tags & !0xff | u64::from(kind), ..self }
    }

    /// 0: no token.
    pub fn kind(&self) -> u8 {
        let [kind, ..] = self.tags.to_le_bytes();
        kind
    }

    /// The quote that a string began with; 0 if it began before the value.
    pub fn open(&self) -> u8 {
        let [_, open, ..] = self.tags.to_le_bytes();
        open
    }

    /// The quote that a string ended with; 0 if the value ended first.
    pub fn close(&self) -> u8 {
        let [_, _, close, ..] = self.tags.to_le_bytes();
        close
    }

    pub fn len(&self) -> usize {
        let [_, _, _, len, ..] = self.tags.to_le_bytes();
        usize::from(len)
    }

    /// The first byte of the text, in capitals; 0 where there is none.
    pub fn first(&self) -> u8 {
        let [_, _, _, _, first, ..] = self.tags.to_le_bytes();
        first
    }

    fn is_phrase(&self) -> bool {
        self.tags >> 40 & 1 == 1
    }
}

/// Where the texts of tokens are.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub tables: &'static Tables,
    pub value: &'a [u8],
}

impl<'a> Source<'a> {
    /// At most [`TEXT_MAX`] bytes.
    pub fn text(&self, token: &Token) -> &'a [u8] {
        if token.is_phrase() {
            return self.tables.word_text(token.start);
        }
        self.value.get(token.start..token.start + token.len()).unwrap_or_default()
    }

    #[inline]
    pub fn is(&self, token: &Token, word: &str) -> bool {
        token.len() == word.len() && self.text(token).eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Reads the tokens of a value, from its start.
pub struct Reader<'a> {
    pub source: Source<'a>,
    at: usize,
    /// The value starts within this quote.
    quote: Option<u8>,
    dialect: Dialect,
    /// Where the run of word bytes that was last looked at ends; kept so that none is run along twice.
    word_end: usize,
    /// Tokens read so far.
    pub read: usize,
    /// The other dialect would have read a comment otherwise.
    pub dialects_differ: bool,
}

impl<'a> Reader<'a> {
    pub fn new(source: Source<'a>, quote: Option<u8>, dialect: Dialect) -> Self {
        Self { source, at: 0, quote, dialect, word_end: 0, read: 0, dialects_differ: false }
    }

    /// The next token; one of kind 0 at the end.
    pub fn next(&mut self) -> Token {
        if let Some(quote) = self.quote.take() {
            self.read += 1;
            return self.string(0, quote, 0);
        }
        let first = loop {
            match self.source.value.get(self.at) {
                None => return Token::default(),
                Some(byte) if is_white_start(*byte) => self.at += 1,
                Some(byte) => break *byte,
            }
        };
        self.read += 1;
        match first {
            b'a'..=b'z' | b'A'..=b'Z' => match first | 0x20 {
                b'b' => self.digits_in_quotes(|byte| matches!(byte, b'0' | b'1' | 0)),
                b'x' => self.digits_in_quotes(|byte| byte.is_ascii_hexdigit() || byte == 0),
                b'e' => self.prefixed_string(),
                b'n' => self.national_string(),
                b'q' => self.oracle_string(0),
                b'u' => self.unicode_string(),
                _ => self.word(),
            },
            b'0'..=b'9' | b'.' => self.number(),
            b'\'' | b'"' => self.string(self.at + 1, first, first),
            b'`' => self.tick(self.at),
            b'(' | b')' | b',' | b';' | b'{' | b'}' => self.take(first, 1),
            b'!' | b'&' | b'*' | b':' | b'<' | b'=' | b'>' | b'|' => self.operator(),
            b'%' | b'+' | b'^' | b'~' => self.take(kind::OPERATOR, 1),
            b'-' => self.dash(),
            b'/' => self.slash(),
            b'#' => self.hash(),
            b'@' => self.variable(),
            b'$' => self.money(),
            b'[' => self.bracket(),
            b'\\' => self.backslash(),
            b'?' | b']' => self.take(kind::UNKNOWN, 1),
            _ => self.word(),
        }
    }

    /// 0 past the end.
    fn byte(&self, at: usize) -> u8 {
        self.source.value.get(at).copied().unwrap_or(0)
    }

    fn rest(&self, from: usize) -> &'a [u8] {
        self.source.value.get(from..).unwrap_or_default()
    }

    fn text(&self, from: usize, to: usize) -> &'a [u8] {
        self.source.value.get(from..to.min(from + TEXT_MAX)).unwrap_or_default()
    }

    /// How many bytes from `from` on are `wanted`.
    fn run(&self, from: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest(from);
        rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len())
    }

    /// The next `len` bytes.
    fn take(&mut self, kind: u8, len: usize) -> Token {
        let from = self.at;
        self.at = from + len;
        Token::new(kind, from, len, self.byte(from))
    }

    /// A word of the tables, or a bare one. A keyword ends at a dot or backtick, as in `select.1`.
    fn word(&mut self) -> Token {
        let from = self.at;
        if from >= self.word_end {
            self.word_end = from + self.run(from, is_in_word);
        }
        let len = self.word_end - from;
        let text = self.text(from, self.word_end);
        for (at, _) in text.iter().enumerate().filter(|(_, byte)| matches!(**byte, b'.' | b'`')) {
            let found = text.get(..at).and_then(|head| self.source.tables.word(head));
            if let Some(word) = found.filter(|word| word.kind != kind::BAREWORD) {
                return self.take(word.kind, at);
            }
        }
        let found = if len <= TEXT_MAX { self.source.tables.word(text) } else { None };
        self.take(found.map_or(kind::BAREWORD, |word| word.kind), len)
    }

    /// A string whose text starts at `from` and ends with a `quote` that is neither escaped nor doubled.
    fn string(&mut self, from: usize, quote: u8, open: u8) -> Token {
        let mut look = from;
        let (end, close) = loop {
            let Some(found) = memchr(quote, self.rest(look)) else {
                break (self.source.value.len(), 0);
            };
            let end = look + found;
            let text = self.source.value.get(from..end).unwrap_or_default();
            if text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
                look = end + 1;
            } else if self.source.value.get(end + 1) == Some(&quote) {
                look = end + 2;
            } else {
                break (end, quote);
            }
        };
        self.finish_string(from, end, open, close, 1)
    }

    /// A string that ended at `end` with `close`, `closing` bytes long, or, if that is 0, with the value.
    fn finish_string(
        &mut self,
        from: usize,
        end: usize,
        open: u8,
        close: u8,
        closing: usize,
    ) -> Token {
        self.at = if close == 0 { self.source.value.len() } else { end + closing };
        Token::new(kind::STRING, from, end - from, self.byte(from)).quoted(open, close)
    }

    /// A string that ends with `closing`, whatever is in it.
    fn string_until(&mut self, from: usize, closing: &[u8], mark: u8) -> Token {
        match memmem::find(self.rest(from), closing) {
            Some(len) => self.finish_string(from, from + len, mark, mark, closing.len()),
            None => self.finish_string(from, self.source.value.len(), mark, 0, 0),
        }
    }

    /// `b'01'`, `x'0f'`.
    fn digits_in_quotes(&mut self, is_digit: fn(u8) -> bool) -> Token {
        if self.byte(self.at + 1) == b'\'' {
            let len = self.run(self.at + 2, is_digit);
            if self.byte(self.at + 2 + len) == b'\'' {
                return self.take(kind::NUMBER, len + 3);
            }
        }
        self.word()
    }

    /// `e'text'`, and `n'text'` of MySQL.
    fn prefixed_string(&mut self) -> Token {
        if self.byte(self.at + 1) == b'\'' && self.at + 2 < self.source.value.len() {
            self.string(self.at + 2, b'\'', b'\'')
        } else {
            self.word()
        }
    }

    fn national_string(&mut self) -> Token {
        if self.byte(self.at + 1) == b'\'' && self.at + 2 < self.source.value.len() {
            self.prefixed_string()
        } else {
            self.oracle_string(1)
        }
    }

    /// `q'[text]'`, and with one letter before it `nq'[text]'`.
    fn oracle_string(&mut self, before: usize) -> Token {
        let at = self.at + before;
        let close = match self.byte(at + 2) {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            any => any,
        };
        if matches!(self.byte(at), b'q' | b'Q')
            && self.byte(at + 1) == b'\''
            && matches!(close, 0x21..=0x7f)
        {
            self.string_until(at + 3, &[close, b'\''], b'q')
        } else {
            self.word()
        }
    }

    /// `u&'text'`.
    fn unicode_string(&mut self) -> Token {
        if self.byte(self.at + 1) != b'&' || self.byte(self.at + 2) != b'\'' {
            return self.word();
        }
        let token = self.string(self.at + 3, b'\'', 0);
        token.quoted(b'u', if token.close() == 0 { 0 } else { b'u' })
    }

    /// A name in backticks, the first of them at `at`; a function's name calls the function.
    fn tick(&mut self, at: usize) -> Token {
        let token = self.string(at + 1, b'`', b'`');
        let word = self.source.tables.word(self.source.text(&token));
        let is_function = word.is_some_and(|word| word.kind == kind::FUNCTION);
        token.with_kind(if is_function { kind::FUNCTION } else { kind::BAREWORD })
    }

    /// `[name]` of SQL Server.
    fn bracket(&mut self) -> Token {
        let rest = self.rest(self.at);
        self.take(kind::BAREWORD, memchr(b']', rest).map_or(rest.len(), |len| len + 1))
    }

    /// `@name`, `@@name`, and names in quotes.
    fn variable(&mut self) -> Token {
        let at = self.at + if self.byte(self.at + 1) == b'@' { 2 } else { 1 };
        self.at = at;
        let token = match self.byte(at) {
            b'`' => self.tick(at),
            quote @ (b'\'' | b'"') => self.string(at + 1, quote, quote),
            _ => self.take(kind::VARIABLE, self.run(at, is_in_variable)),
        };
        token.with_kind(kind::VARIABLE)
    }

    fn operator(&mut self) -> Token {
        match self.rest(self.at) {
            [b'<', b'=', b'>', ..] => self.take(kind::OPERATOR, 3),
            [b'&', b'&', ..] | [b'|', b'|', ..] => self.take(kind::LOGIC, 2),
            [b'!', b'!' | b'<' | b'=' | b'>', ..]
            | [b'&' | b'*', b'=', ..]
            | [b':', b':' | b'=', ..]
            | [b'<', b'<' | b'=' | b'>' | b'@', ..]
            | [b'>', b'=' | b'>', ..]
            | [b'|', b'/' | b'=', ..] => self.take(kind::OPERATOR, 2),
            [b':', _, ..] => self.take(b':', 1),
            _ => self.take(kind::OPERATOR, 1),
        }
    }

    /// `--` is a comment; not for MySQL, unless white space or the end follows.
    fn dash(&mut self) -> Token {
        match self.rest(self.at) {
            [b'-', b'-'] => self.comment_to_line_end(),
            [b'-', b'-', after, ..] if is_white(*after) => self.comment_to_line_end(),
            [b'-', b'-', ..] if self.dialect == Dialect::Ansi => {
                self.dialects_differ = true;
                self.comment_to_line_end()
            }
            _ => self.take(kind::OPERATOR, 1),
        }
    }

    /// A comment for MySQL, an operator for others.
    fn hash(&mut self) -> Token {
        self.dialects_differ = true;
        match self.dialect {
            Dialect::Ansi => self.take(kind::OPERATOR, 1),
            Dialect::MySql => self.comment_to_line_end(),
        }
    }

    fn comment_to_line_end(&mut self) -> Token {
        let rest = self.rest(self.at);
        let len = memchr(b'\n', rest).unwrap_or(rest.len());
        let token = self.take(kind::COMMENT, len);
        self.at = self.source.value.len().min(self.at + 1);
        token
    }

    /// A slash or `/* a comment */`. PostgreSQL nests comments and MySQL runs what is in `/*!`: evil.
    fn slash(&mut self) -> Token {
        let Some([b'/', b'*', inside @ ..]) = self.source.value.get(self.at..) else {
            return self.take(kind::OPERATOR, 1);
        };
        let close = memmem::find(inside, b"*/");
        let nests = close
            .and_then(|len| inside.get(..=len))
            .is_some_and(|text| memmem::find(text, b"/*").is_some());
        let kind = if nests || inside.starts_with(b"!") { kind::EVIL } else { kind::COMMENT };
        self.take(kind, close.map_or(inside.len() + 2, |len| len + 4))
    }

    /// `\N` is NULL for MySQL.
    fn backslash(&mut self) -> Token {
        if self.byte(self.at + 1) == b'N' {
            self.take(kind::NUMBER, 2)
        } else {
            self.take(b'\\', 1)
        }
    }

    /// `$1,000.00`, or a string of PostgreSQL: `$$text$$`, `$tag$text$tag$`.
    fn money(&mut self) -> Token {
        let from = self.at;
        let digits = self.run(from + 1, |byte| matches!(byte, b'0'..=b'9' | b'.' | b',' | 0));
        match (digits, self.byte(from + 1)) {
            (0, b'$') => return self.string_until(from + 2, b"$$", b'$'),
            (0, _) => {}
            (1, b'.') => return self.word(),
            _ => return self.take(kind::NUMBER, 1 + digits),
        }
        let letters = self.run(from + 1, |byte| byte.is_ascii_alphabetic() || byte == 0);
        let text = from + letters + 2;
        match self.source.value.get(from..text) {
            Some(tag @ [.., b'$']) if letters > 0 => self.string_until(text, tag, b'$'),
            _ => self.take(kind::BAREWORD, 1),
        }
    }

    fn number(&mut self) -> Token {
        let from = self.at;
        let digit = |byte: u8| byte.is_ascii_digit();
        let prefixed: Option<fn(u8) -> bool> = match self.rest(from) {
            [b'0', b'x' | b'X', ..] => Some(|byte| byte.is_ascii_hexdigit() || byte == 0),
            [b'0', b'b' | b'B', ..] => Some(|byte| matches!(byte, b'0' | b'1' | 0)),
            _ => None,
        };
        if let Some(is_digit) = prefixed {
            let len = self.run(from + 2, is_digit);
            return self.take(if len == 0 { kind::BAREWORD } else { kind::NUMBER }, 2 + len);
        }
        let mut end = from + self.run(from, digit);
        if self.byte(end) == b'.' {
            end += 1 + self.run(end + 1, digit);
            if end - from == 1 {
                return self.take(b'.', 1);
            }
        }
        let mut kind = kind::NUMBER;
        if matches!(self.byte(end), b'e' | b'E') {
            end += if matches!(self.byte(end + 1), b'+' | b'-') { 2 } else { 1 };
            let exponent = self.run(end, digit);
            end += exponent;
            if exponent == 0 {
                kind = kind::BAREWORD;
            }
        }
        // Oracle's suffixes, and `1fUNION`; but `1from` is a number and a word.
        if let [b'd' | b'D' | b'f' | b'F', after @ ..] = self.rest(end) {
            match after {
                [] | [b';' | b'u' | b'U', ..] => end += 1,
                [white, ..] if is_white(*white) => end += 1,
                _ => {}
            }
        }
        self.take(kind, end - from)
    }
}

const fn is_white_start(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | 0x7f | 0xa0)
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, 0 | b'\t'..=b'\r' | b' ' | 0xa0)
}

/// Bytes that end a word, wherever they are.
const WORD_ENDS: &[u8] = b" []{}<>:\\?=@!#~+-*/&|^%(),';\t\n\x0b\x0c\r\"\xa0\0";
/// Bytes that end a variable.
const VARIABLE_ENDS: &[u8] = b" <>:\\?=@!#~+-*/&|^%(),';\t\n\x0b\x0c\r'`\"\0";

fn is_in_word(byte: u8) -> bool {
    const TABLE: [bool; 256] = all_but(WORD_ENDS);
    TABLE.get(usize::from(byte)).copied().unwrap_or(false)
}

fn is_in_variable(byte: u8) -> bool {
    const TABLE: [bool; 256] = all_but(VARIABLE_ENDS);
    TABLE.get(usize::from(byte)).copied().unwrap_or(false)
}

#[expect(clippy::indexing_slicing, reason = "at compile time, and a byte is below 256")]
const fn all_but(mut ends: &[u8]) -> [bool; 256] {
    let mut table = [true; 256];
    while let [end, rest @ ..] = ends {
        table[*end as usize] = false;
        ends = rest;
    }
    table
}
