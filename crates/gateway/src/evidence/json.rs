//! Protects JSON in one pass over its text: what is harmless is copied as it stands, byte for byte.
//!
//! Duplicate names, several documents in a row and missing commas are read as they come. From where
//! the text stops being JSON it is protected as running text, so nothing hides behind a mistake.

use super::names::Class;
use super::protect::Protect;
use std::borrow::Cow;

/// Containers in containers; beyond it the rest is running text.
const NESTING_MAX: usize = 64;

struct Frame {
    object: bool,
    /// What everything in here is, by the name outside.
    class: Class,
    /// What `value` is, by the `name` beside it: `{"name":"password","value":"x"}`.
    pair: Class,
}

/// The text as it is rewritten: what is not replaced is copied once, in large pieces.
struct Rewrite<'t> {
    text: &'t str,
    out: String,
    copied: usize,
}

impl<'t> Rewrite<'t> {
    fn replace(&mut self, start: usize, end: usize, with: &str) {
        if self.out.is_empty() {
            self.out.reserve(self.text.len() + with.len());
        }
        self.out.push_str(self.text.get(self.copied..start).unwrap_or_default());
        self.out.push_str(with);
        self.copied = end;
    }

    fn finish(mut self) -> Option<String> {
        if self.copied == 0 && self.out.is_empty() {
            return None;
        }
        self.out.push_str(self.text.get(self.copied..).unwrap_or_default());
        Some(self.out)
    }
}

impl Protect<'_> {
    /// Protects JSON text; `None`: nothing to hide in it. `cut`: its end was cut off.
    pub(super) fn json(&mut self, text: &str, cut: bool, depth: u8) -> Option<String> {
        let mut candidates = std::mem::take(&mut self.candidates);
        self.scanner.candidates(text, &mut candidates);
        if candidates.is_empty() && !cut {
            self.candidates = candidates;
            return None;
        }
        let mut walk = Walk {
            bytes: text.as_bytes(),
            rewrite: Rewrite { text, out: String::new(), copied: 0 },
            candidates: &candidates,
            next: 0,
            last: 0,
            cut,
            depth,
        };
        walk.run(self);
        let protected = walk.rewrite.finish();
        candidates.clear();
        self.candidates = candidates;
        protected
    }
}

struct Walk<'t, 'c> {
    bytes: &'t [u8],
    rewrite: Rewrite<'t>,
    candidates: &'c [u32],
    next: usize,
    /// Where the last member or item began.
    last: usize,
    cut: bool,
    depth: u8,
}

impl<'t> Walk<'t, '_> {
    fn run(&mut self, protect: &mut Protect<'_>) {
        let mut frames: Vec<Frame> = Vec::new();
        let mut at = 0;
        loop {
            at = self.skip_blanks(at);
            let Some(byte) = self.bytes.get(at) else { return };
            // The member begins here; running text begins here again when it cannot be read.
            let member = at;
            let mut class = Class::Plain;
            let mut names_pair = false;
            match (frames.last(), byte) {
                (Some(frame), b'}') if frame.object => {
                    frames.pop();
                    at += 1;
                    continue;
                }
                (Some(frame), b']') if !frame.object => {
                    frames.pop();
                    at += 1;
                    continue;
                }
                (Some(frame), b'"') if frame.object => {
                    let (inherited, pair) = (frame.class, frame.pair);
                    let Some(end) = self.string_end(at) else {
                        return self.give_up(protect, &frames, member);
                    };
                    class = self.name(protect, at + 1, end, inherited == Class::Secret);
                    let name = self.slice(at + 1, end);
                    names_pair = is_pair_name(name);
                    if class == Class::Plain && is_pair_value(name) {
                        class = pair;
                    }
                    if inherited == Class::Secret {
                        class = Class::Secret;
                    }
                    at = self.skip_blanks(end + 1);
                    if self.bytes.get(at) != Some(&b':') {
                        return self.give_up(protect, &frames, member);
                    }
                    at = self.skip_blanks(at + 1);
                }
                (Some(frame), _) if frame.object => return self.give_up(protect, &frames, member),
                (Some(frame), _) => class = frame.class,
                (None, _) => {}
            }
            if byte != &b':' {
                self.last = member;
            }
            match self.bytes.get(at) {
                Some(b'"') => {
                    let end = self.string_end(at);
                    let stop = end.unwrap_or(self.bytes.len());
                    if names_pair
                        && let Some(frame) = frames.last_mut()
                        && stop - at < 64
                        && self.has_candidate(at + 1, stop)
                    {
                        frame.pair =
                            protect.scanner.names.classify(&unescape(self.slice(at + 1, stop)));
                    }
                    self.string(protect, class, at + 1, stop, end.is_none());
                    at = stop + 1;
                }
                Some(open @ (b'{' | b'[')) => {
                    if frames.len() >= NESTING_MAX {
                        return self.give_up(protect, &frames, member);
                    }
                    let object = *open == b'{';
                    let class = match class {
                        Class::SecretText | Class::Personal(_) if object => Class::Plain,
                        class => class,
                    };
                    frames.push(Frame { object, class, pair: Class::Plain });
                    at += 1;
                }
                Some(b'-' | b'0'..=b'9') => {
                    let end = self.number_end(at);
                    self.number(protect, class, at, end);
                    at = end;
                }
                Some(_) => {
                    let rest = self.bytes.get(at..).unwrap_or_default();
                    let literal =
                        [&b"true"[..], b"false", b"null"].into_iter().find(|l| rest.starts_with(l));
                    let Some(literal) = literal else {
                        return self.give_up(protect, &frames, member);
                    };
                    at += literal.len();
                    if self.bytes.get(at).is_some_and(u8::is_ascii_alphanumeric) {
                        return self.give_up(protect, &frames, member);
                    }
                }
                None => return self.give_up(protect, &frames, member),
            }
        }
    }

    /// The class of the name at `start..end`; hides a name that is itself somebody's.
    fn name(
        &mut self,
        protect: &mut Protect<'_>,
        start: usize,
        end: usize,
        destroyed: bool,
    ) -> Class {
        if !self.has_candidate(start, end) {
            return Class::Plain;
        }
        let name = unescape(self.slice(start, end));
        let class = protect.scanner.names.classify(&name);
        if class == Class::Plain
            && !destroyed
            && let Some(hidden) = protect.text(&name, false, self.depth)
        {
            self.rewrite.replace(start, end, &escape(&hidden));
        }
        class
    }

    fn string(
        &mut self,
        protect: &mut Protect<'_>,
        class: Class,
        start: usize,
        end: usize,
        open: bool,
    ) {
        let looked_for = self.has_candidate(start, end);
        let cut = open && self.cut;
        if start >= end || (class == Class::Plain && !looked_for && !cut) {
            return;
        }
        let value = unescape(self.slice(start, end));
        if let Some(hidden) = protect.field(class, &value, cut, self.depth) {
            self.rewrite.replace(start, end, &escape(&hidden));
        }
    }

    fn number(&mut self, protect: &mut Protect<'_>, class: Class, start: usize, end: usize) {
        let cut = self.cut && end == self.bytes.len();
        let looked_for = self.has_candidate(start, end);
        let value = self.slice(start, end);
        let hidden = match class {
            Class::SecretText => None,
            Class::Plain if !looked_for && !cut => None,
            class => protect.field(class, value, cut, self.depth),
        };
        if let Some(hidden) = hidden {
            self.rewrite.replace(start, end, &format!("\"{}\"", escape(&hidden)));
        }
    }

    /// From here on it is no JSON: running text, or, inside a secret, nothing.
    fn give_up(&mut self, protect: &mut Protect<'_>, frames: &[Frame], at: usize) {
        // `"password": "x"` without its braces: the name came before, and belongs to what follows.
        let named = self.bytes.get(at) == Some(&b':') && self.last >= self.rewrite.copied;
        let at = if named { self.last } else { at };
        let rest = self.slice(at, self.bytes.len());
        let hidden = if frames.iter().any(|frame| frame.class == Class::Secret) {
            Some(protect.secret(rest))
        } else {
            protect.text(rest, self.cut, self.depth)
        };
        if let Some(hidden) = hidden {
            self.rewrite.replace(at, self.bytes.len(), &hidden);
        }
    }

    fn slice(&self, start: usize, end: usize) -> &'t str {
        self.rewrite.text.get(start..end).unwrap_or_default()
    }

    fn skip_blanks(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        // U+FEFF may stand in front of everything.
        let mark = if at == 0 && rest.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | 0x1E);
        at + mark + rest.iter().skip(mark).take_while(|b| blank(b)).count()
    }

    /// The place of the closing quote of the string that opens at `at`.
    fn string_end(&self, at: usize) -> Option<usize> {
        let mut at = at + 1;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.bytes.get(at..)?)?;
            if self.bytes.get(at) == Some(&b'"') {
                return Some(at);
            }
            at += 2;
        }
    }

    fn number_end(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        at + rest
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            .count()
    }

    /// Whether the scanner wants a look at `start..end`; asked in ascending order.
    fn has_candidate(&mut self, start: usize, end: usize) -> bool {
        while self.candidates.get(self.next).is_some_and(|at| (*at as usize) < start) {
            self.next += 1;
        }
        self.candidates.get(self.next).is_some_and(|at| (*at as usize) < end)
    }
}

fn is_pair_name(name: &str) -> bool {
    ["name", "key", "field", "param", "header", "id", "k"]
        .iter()
        .any(|n| name.eq_ignore_ascii_case(n))
}

fn is_pair_value(name: &str) -> bool {
    ["value", "val", "v", "values"].iter().any(|n| name.eq_ignore_ascii_case(n))
}

/// The characters a JSON string stands for. A broken escape stands for itself.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let tail = rest.get(at..).unwrap_or_default();
        let (c, used) = match tail.as_bytes().get(1) {
            Some(b'n') => ('\n', 2),
            Some(b't') => ('\t', 2),
            Some(b'r') => ('\r', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(c @ (b'"' | b'\\' | b'/')) => (char::from(*c), 2),
            Some(b'u') => unicode(tail).unwrap_or(('\\', 1)),
            _ => ('\\', 1),
        };
        out.push(c);
        rest = tail.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `\u0041`, or a surrogate pair; a lone surrogate is U+FFFD.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let high = unit(2)?;
    if (0xD800..0xDC00).contains(&high)
        && text.get(6..8) == Some("\\u")
        && let Some(low) = unit(8).filter(|low| (0xDC00..0xE000).contains(low))
    {
        let joined = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return Some((char::from_u32(joined)?, 12));
    }
    Some((char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
}

/// As the inside of a JSON string.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| b < 0x20 || matches!(b, b'"' | b'\\')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}
