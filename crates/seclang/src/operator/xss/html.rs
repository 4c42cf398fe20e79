//! The pieces of HTML, as browsers of many ages would read them.

use memchr::{memchr, memmem};

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Text,
    /// Behind a `<`.
    Tag,
    /// Behind a slash in a tag.
    SelfClosing,
    /// At the `>` of a tag.
    TagEnd,
    BeforeName,
    AfterName,
    BeforeValue,
    /// In an attribute's value, behind this quote.
    InQuotes(u8),
    AfterQuotes,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    TagName(&'a [u8]),
    AttributeName(&'a [u8]),
    AttributeValue(&'a [u8]),
    Comment(&'a [u8]),
    Doctype,
    /// Text, and the ends of tags.
    Other,
}

pub struct Html<'a> {
    value: &'a [u8],
    at: usize,
    state: State,
    /// The tag began with `</`; it may stay so for the next tags, too.
    is_close: bool,
}

impl<'a> Html<'a> {
    pub fn new(value: &'a [u8], state: State) -> Self {
        Self { value, at: 0, state, is_close: false }
    }

    pub fn next(&mut self) -> Option<Piece<'a>> {
        match self.state {
            State::Text => self.text(),
            State::Tag => self.tag(),
            State::SelfClosing => self.self_closing(),
            State::TagEnd => {
                self.is_close = false;
                self.end_tag(1)
            }
            State::BeforeName => self.before_name(),
            State::AfterName => self.after_name(),
            State::BeforeValue => self.before_value(),
            State::InQuotes(quote) => self.in_quotes(quote),
            State::AfterQuotes => self.after_quotes(),
            State::End => None,
        }
    }

    fn byte(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.value.get(self.at..).unwrap_or_default()
    }

    /// Takes `len` bytes and leaves out `skipped` more.
    fn take(&mut self, len: usize, skipped: usize, next: State) -> &'a [u8] {
        let taken = self.rest().get(..len).unwrap_or_default();
        self.at += len + skipped;
        self.state = next;
        taken
    }

    /// Takes everything.
    fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at = self.value.len();
        self.state = State::End;
        rest
    }

    fn text(&mut self) -> Option<Piece<'a>> {
        let Some(len) = memchr(b'<', self.rest()) else {
            return if self.take_rest().is_empty() { None } else { Some(Piece::Other) };
        };
        self.take(len, 1, State::Tag);
        if len == 0 { self.tag() } else { Some(Piece::Other) }
    }

    fn tag(&mut self) -> Option<Piece<'a>> {
        match self.byte()? {
            b'!' => {
                self.at += 1;
                Some(self.declaration())
            }
            b'/' => {
                self.at += 1;
                self.is_close = true;
                self.close_tag()
            }
            b'?' => {
                self.at += 1;
                Some(self.comment_until(b">"))
            }
            b'%' => {
                self.at += 1;
                Some(self.comment_until(b"%>"))
            }
            b'a'..=b'z' | b'A'..=b'Z' | 0 => Some(self.tag_name()),
            _ => {
                self.state = State::Text;
                Some(Piece::Other)
            }
        }
    }

    fn close_tag(&mut self) -> Option<Piece<'a>> {
        match self.byte()? {
            b'>' => self.text(),
            b'a'..=b'z' | b'A'..=b'Z' => Some(self.tag_name()),
            _ => {
                self.is_close = false;
                Some(self.comment_until(b">"))
            }
        }
    }

    fn tag_name(&mut self) -> Piece<'a> {
        let ends = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ' | b'/' | b'>');
        let rest = self.rest();
        let Some(len) = rest.iter().position(ends) else {
            return Piece::TagName(self.take_rest());
        };
        match rest.get(len) {
            Some(b'>') if self.is_close => {
                self.is_close = false;
                self.take(len, 1, State::Text);
                Piece::Other
            }
            Some(b'>') => Piece::TagName(self.take(len, 0, State::TagEnd)),
            Some(b'/') => Piece::TagName(self.take(len, 1, State::SelfClosing)),
            _ => Piece::TagName(self.take(len, 1, State::BeforeName)),
        }
    }

    /// Takes the end of a tag.
    fn end_tag(&mut self, len: usize) -> Option<Piece<'a>> {
        self.take(len, 0, State::Text);
        Some(Piece::Other)
    }

    fn self_closing(&mut self) -> Option<Piece<'a>> {
        if self.byte()? == b'>' { self.end_tag(1) } else { self.before_name() }
    }

    fn before_name(&mut self) -> Option<Piece<'a>> {
        loop {
            match self.after_white()? {
                b'/' => {
                    self.at += 1;
                    if self.byte()? == b'>' {
                        return self.end_tag(1);
                    }
                }
                b'>' => return self.end_tag(1),
                _ => return Some(self.name()),
            }
        }
    }

    fn name(&mut self) -> Piece<'a> {
        let ends = |byte: &u8| is_white(*byte) || matches!(byte, b'/' | b'=' | b'>');
        let rest = self.rest();
        // Whatever the first byte is, it is part of the name.
        let end = rest.iter().skip(1).position(ends).map(|len| len + 1);
        let Some(len) = end else {
            return Piece::AttributeName(self.take_rest());
        };
        Piece::AttributeName(match rest.get(len) {
            Some(b'/') => self.take(len, 1, State::SelfClosing),
            Some(b'=') => self.take(len, 1, State::BeforeValue),
            Some(b'>') => self.take(len, 0, State::TagEnd),
            _ => self.take(len, 1, State::AfterName),
        })
    }

    fn after_name(&mut self) -> Option<Piece<'a>> {
        match self.after_white()? {
            b'/' => {
                self.at += 1;
                self.self_closing()
            }
            b'=' => {
                self.at += 1;
                self.before_value()
            }
            b'>' => {
                self.is_close = false;
                self.end_tag(1)
            }
            _ => Some(self.name()),
        }
    }

    fn before_value(&mut self) -> Option<Piece<'a>> {
        match self.after_white()? {
            quote @ (b'"' | b'\'' | b'`') => {
                self.at += 1;
                self.in_quotes(quote)
            }
            _ => Some(self.bare_value()),
        }
    }

    fn in_quotes(&mut self, quote: u8) -> Option<Piece<'a>> {
        let value = match memchr(quote, self.rest()) {
            Some(len) => self.take(len, 1, State::AfterQuotes),
            None => self.take_rest(),
        };
        Some(Piece::AttributeValue(value))
    }

    fn bare_value(&mut self) -> Piece<'a> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| is_white(*byte) || *byte == b'>');
        Piece::AttributeValue(match end {
            Some(len) if rest.get(len) == Some(&b'>') => self.take(len, 0, State::TagEnd),
            Some(len) => self.take(len, 1, State::BeforeName),
            None => self.take_rest(),
        })
    }

    fn after_quotes(&mut self) -> Option<Piece<'a>> {
        match self.byte()? {
            b'/' => {
                self.at += 1;
                self.self_closing()
            }
            _ => self.before_name(),
        }
    }

    /// Behind `<!`.
    fn declaration(&mut self) -> Piece<'a> {
        let rest = self.rest();
        if rest.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"doctype")) {
            return Piece::Doctype;
        }
        if rest.starts_with(b"[CDATA[") {
            self.at += 7;
            match memmem::find(self.rest(), b"]]>") {
                Some(len) => self.take(len, 3, State::Text),
                None => self.take_rest(),
            };
            return Piece::Other;
        }
        if rest.starts_with(b"--") {
            self.at += 2;
            return self.comment();
        }
        self.comment_until(b">")
    }

    fn comment_until(&mut self, end: &[u8]) -> Piece<'a> {
        Piece::Comment(match memmem::find(self.rest(), end) {
            Some(len) => self.take(len, end.len(), State::Text),
            None => self.take_rest(),
        })
    }

    /// A comment that ends with `-->` or `-!>`, with zero bytes behind the first dash.
    fn comment(&mut self) -> Piece<'a> {
        let rest = self.rest();
        let dashes = memchr::memchr_iter(b'-', rest);
        for dash in dashes.take_while(|dash| dash + 3 <= rest.len()) {
            let after = rest.get(dash + 1..).unwrap_or_default();
            let zeros = after.iter().take_while(|byte| **byte == 0).count();
            match after.get(zeros..).unwrap_or_default() {
                [] | [b'-' | b'!'] => break,
                [b'-' | b'!', b'>', ..] => {
                    return Piece::Comment(self.take(dash, zeros + 3, State::Text));
                }
                _ => {}
            }
        }
        Piece::Comment(self.take_rest())
    }

    /// The next byte that is not white. The byte 0xff counts as the end here.
    fn after_white(&mut self) -> Option<u8> {
        self.at += self.rest().iter().take_while(|byte| is_white(**byte)).count();
        self.byte().filter(|byte| *byte != 0xff)
    }
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, 0 | b'\t'..=b'\r' | b' ')
}
