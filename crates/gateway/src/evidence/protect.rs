//! Destroys secrets and masks personal data, whatever they are wrapped in.
//!
//! A secret becomes `[secret:<keyed hash>]`, personal data `[email:k***@example.com#<keyed hash>]`:
//! equal values stay findable, the values themselves do not stay.

use super::digits;
use super::keys::Keys;
use super::names::{Class, Kind};
use super::scan::{Scanner, Span, What, merge, token_end};
use super::shapes;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use std::borrow::Cow;
use uuid::Uuid;

/// Layers of encoding looked through: JSON in a form value in a URL in JSON.
pub(super) const DEPTH_MAX: u8 = 5;

/// Sealed values kept per event; the mask and the count are kept of all.
pub(super) const SEALED_MAX: usize = 64;

/// Longest single value that is sealed.
const SEALED_BYTES_MAX: usize = 1024;

pub(super) struct Sealed {
    /// Where it stood: `response.body#3` is the fourth masked value of the response body.
    pub(super) place: String,
    pub(super) kind: Kind,
    pub(super) value: String,
}

/// Pieces of personal data by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts([u32; Kind::ALL.len()]);

impl Counts {
    fn add(&mut self, kind: Kind) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Kind, u32)> + '_ {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// Protects the parts of one event, one after the other.
pub(super) struct Protect<'a> {
    pub(super) scanner: &'a Scanner,
    keys: &'a Keys,
    /// Kinds the site keeps sealed.
    keep: &'a [Kind],
    event: Uuid,
    /// The part now at work: `request.body`, `query`…
    place: &'static str,
    masked_here: usize,
    pub(super) counts: Counts,
    pub(super) sealed: Vec<Sealed>,
    /// Reused, so that a clean text costs no allocation.
    pub(super) candidates: Vec<u32>,
    spans: Vec<Span>,
}

impl<'a> Protect<'a> {
    pub(super) fn new(scanner: &'a Scanner, keys: &'a Keys, keep: &'a [Kind], event: Uuid) -> Self {
        Protect {
            scanner,
            keys,
            keep,
            event,
            place: "",
            masked_here: 0,
            counts: Counts::default(),
            sealed: Vec::new(),
            candidates: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Names the part that follows; the counts begin anew.
    pub(super) fn begin(&mut self, place: &'static str) {
        self.place = place;
        self.masked_here = 0;
        self.counts = Counts::default();
    }

    /// What stands in the place of a secret.
    pub(super) fn secret(&self, value: &str) -> String {
        format!("[secret:{}]", self.keys.secret_hash(value.as_bytes()))
    }

    /// What stands in the place of personal data; counts it, and seals it where the site keeps it.
    pub(super) fn personal(&mut self, kind: Kind, value: &str) -> String {
        self.counts.add(kind);
        if self.keep.contains(&kind)
            && self.sealed.len() < SEALED_MAX
            && value.len() <= SEALED_BYTES_MAX
        {
            let place = format!("{}#{}", self.place, self.masked_here);
            if let Some(value) = self.keys.seal(self.event, &place, value) {
                self.sealed.push(Sealed { place, kind, value });
            }
        }
        self.masked_here += 1;
        mask(self.keys, kind, value)
    }

    /// Protects the value of a field by its name's class, else by what it contains. `None`: as it was.
    pub(super) fn field(
        &mut self,
        class: Class,
        value: &str,
        cut: bool,
        depth: u8,
    ) -> Option<String> {
        match class {
            Class::Secret | Class::SecretText if !value.is_empty() => Some(self.secret(value)),
            Class::Personal(kind) if fits(kind, value) => Some(self.personal(kind, value)),
            _ => self.leaf(value, cut, depth),
        }
    }

    /// Protects a value of unknown form: JSON, or running text with what is encoded in it.
    pub(super) fn leaf(&mut self, text: &str, cut: bool, depth: u8) -> Option<String> {
        let head = text.trim_start();
        if depth < DEPTH_MAX && head.starts_with(['{', '[']) && head.len() > 2 {
            return self.json(text, cut, depth + 1);
        }
        self.text(text, cut, depth)
    }

    /// Protects running text.
    pub(super) fn text(&mut self, text: &str, cut: bool, depth: u8) -> Option<String> {
        let mut spans = std::mem::take(&mut self.spans);
        self.scanner.spans(text, cut, &mut spans);
        let (backslash, percent, entity) = digits::is_escaped(text.as_bytes());
        if depth < DEPTH_MAX {
            if (backslash || entity)
                && let Some(plain) = unescape_text(text)
                && let Some(protected) = self.text(&plain, cut, depth + 1)
            {
                return Some(protected);
            }
            if percent
                || (text.len() >= 12 && memchr::memmem::find(text.as_bytes(), b"eyJ").is_some())
            {
                self.layers(text, cut, depth, &mut spans);
            }
        }
        if spans.is_empty() {
            self.spans = spans;
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in &spans {
            let value = text.get(span.start..span.end).unwrap_or_default();
            out.push_str(text.get(at..span.start).unwrap_or_default());
            match &span.what {
                What::Secret => out.push_str(&self.secret(value)),
                What::Personal(kind) => out.push_str(&self.personal(*kind, value)),
                What::Cut => out.push_str("[cut]"),
                What::Replaced(with) => out.push_str(with),
            }
            at = span.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        spans.clear();
        self.spans = spans;
        Some(out)
    }

    /// Looks into words that are percent-encoded or base64 of JSON.
    fn layers(&mut self, text: &str, cut: bool, depth: u8, spans: &mut Vec<Span>) {
        let mut found = Vec::new();
        let mut at = 0;
        for word in text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')) {
            let (start, end) = (at, at + word.len());
            // The separator may have several bytes; what follows begins after it.
            at = end + text.get(end..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8);
            if word.contains('%') {
                let plain = percent_decode(word, false);
                if plain != word
                    && let Some(with) = self.leaf(&plain, cut && end == text.len(), depth + 1)
                {
                    found.push(Span { start, end, what: What::Replaced(with) });
                    continue;
                }
            }
            let mut read = start;
            for (i, _) in word.match_indices("eyJ") {
                // Inside a token that was read: it ends where that one did.
                if start + i < read {
                    continue;
                }
                let (from, to) = (start + i, token_end(text, start + i));
                read = to;
                let token = text.get(from..to).unwrap_or_default().trim_end_matches('.');
                if token.len() < 12 || token.contains('.') {
                    continue;
                }
                if let Some(plain) = base64_text(token)
                    && let Some(with) = self.leaf(&plain, cut && to == text.len(), depth + 1)
                {
                    found.push(Span { start: from, end: to, what: What::Replaced(with) });
                }
            }
        }
        if !found.is_empty() {
            spans.append(&mut found);
            merge(spans);
        }
    }
}

/// Whether a value can be what its field's name promises.
pub(super) fn fits(kind: Kind, value: &str) -> bool {
    let value = value.trim();
    match kind {
        Kind::Email => value.contains('@'),
        Kind::Passport => shapes::passport(value),
        Kind::Phone => shapes::numberish(value, 7),
        Kind::BankAccount | Kind::Rrn | Kind::MyNumber | Kind::Card => shapes::numberish(value, 6),
        Kind::Other => !value.is_empty(),
    }
}

/// The stable form: what a reader needs to tell records apart, and a keyed hash of the normal form, so
/// that `010-1234-5678` and `01012345678` are found together.
pub(super) fn mask(keys: &Keys, kind: Kind, value: &str) -> String {
    let value = value.trim();
    let digits: String = digits::plain(value).chars().filter(char::is_ascii_digit).collect();
    let last = |n: usize| digits.get(digits.len().saturating_sub(n)..).unwrap_or_default();
    let (shown, normal) = match kind {
        Kind::Email => {
            let lower = value.to_lowercase();
            let first = lower.chars().next().unwrap_or('*');
            let domain = lower.rsplit_once('@').map_or("", |(_, domain)| domain);
            (format!("{first}***@{domain}"), lower)
        }
        Kind::Phone | Kind::Card => (format!("****{}", last(4)), digits),
        Kind::BankAccount => (format!("****{}", last(3)), digits),
        Kind::Rrn | Kind::MyNumber => (String::new(), digits),
        Kind::Passport => (String::new(), value.to_ascii_uppercase()),
        Kind::Other => (String::new(), value.to_owned()),
    };
    format!("[{kind}:{shown}#{}]", keys.personal_hash(normal.as_bytes()))
}

/// Percent-decoded; bytes that are no UTF-8 become U+FFFD. `plus`: as in forms, `+` is a blank.
pub(super) fn percent_decode(text: &str, plus: bool) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr2(b'%', if plus { b'+' } else { b'%' }, bytes).is_none() {
        return Cow::Borrowed(text);
    }
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let decoded = (*byte == b'%')
            .then(|| hex(bytes.get(at + 1)).zip(hex(bytes.get(at + 2))))
            .flatten()
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match decoded {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if plus && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned(),
    })
}

/// Decodes `\u0070`, `\x70` and `&#x70;` wherever they stand, and `\"` and `\/`.
fn unescape_text(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = memchr::memchr2(b'\\', b'&', rest.as_bytes()) {
        out.push_str(rest.get(..at)?);
        let tail = rest.get(at..)?;
        let (c, used) = escape(tail).unwrap_or((tail.chars().next()?, 1));
        changed |= used > 1;
        out.push(c);
        rest = tail.get(used..)?;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// The character an escape at the front stands for, and its length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
    match text.as_bytes() {
        [b'\\', b'u', ..] => {
            let high = code(text.get(2..6)?, 16)?;
            if (0xD800..0xDC00).contains(&high)
                && text.get(6..8) == Some("\\u")
                && let Some(low) = text.get(8..12).and_then(|d| code(d, 16))
                && (0xDC00..0xE000).contains(&low)
            {
                let joined = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                return Some((char::from_u32(joined)?, 12));
            }
            Some((char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
        }
        [b'\\', b'x', ..] => Some((char::from_u32(code(text.get(2..4)?, 16)?)?, 4)),
        [b'\\', c @ (b'"' | b'/' | b'\\'), ..] => Some((char::from(*c), 2)),
        [b'&', b'#', ..] => {
            let end = text.bytes().take(10).position(|b| b == b';')?;
            let digits = text.get(2..end)?;
            let value = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => code(hex, 16)?,
                None => code(digits, 10)?,
            };
            Some((char::from_u32(value)?, end + 1))
        }
        _ => None,
    }
}

/// Base64 of any kind that is text.
fn base64_text(token: &str) -> Option<String> {
    let bare = token.trim_end_matches('=').as_bytes();
    let bytes = BASE64URL_NOPAD
        .decode(bare)
        .or_else(|_| BASE64_NOPAD.decode(bare))
        .or_else(|_| BASE64.decode(token.as_bytes()))
        .or_else(|_| {
            // Cut off in the middle of a group, or with bits left over.
            let whole = bare.get(..bare.len() - bare.len() % 4).unwrap_or_default();
            BASE64URL_NOPAD.decode(whole).or_else(|_| BASE64_NOPAD.decode(whole))
        })
        .ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
