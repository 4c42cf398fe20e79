//! Protects `name=value` texts: queries, form bodies, cookies; and the segments of a path.

use super::names::Class;
use super::protect::{Protect, percent_decode};
use http::header::HeaderName;

impl Protect<'_> {
    /// Protects a query or form body. Values stay encoded as they were, but where something was hidden.
    pub(super) fn form(&mut self, text: &str, cut: bool, depth: u8) -> Option<String> {
        let mut candidates = std::mem::take(&mut self.candidates);
        self.scanner.candidates(text, &mut candidates);
        // A `+` is a blank here, and blanks stand between the digits of a number.
        let clean = candidates.is_empty() && !cut && !has_spaced_digits(text);
        let out = if clean { None } else { self.pairs(text, cut, depth, &candidates) };
        self.candidates = candidates;
        out
    }

    fn pairs(&mut self, text: &str, cut: bool, depth: u8, candidates: &[u32]) -> Option<String> {
        let mut out: Option<String> = None;
        let (mut at, mut copied, mut next) = (0, 0, 0);
        for pair in text.split('&') {
            let (start, end) = (at, at + pair.len());
            at = end + 1;
            while candidates.get(next).is_some_and(|c| (*c as usize) < start) {
                next += 1;
            }
            let last = cut && end == text.len();
            let looked_for = candidates.get(next).is_some_and(|c| (*c as usize) < end);
            if !looked_for && !last && !has_spaced_digits(pair) {
                continue;
            }
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            };
            let plain = percent_decode(name, true);
            let class = self.scanner.names.classify(&plain);
            let new_name = match class {
                Class::Plain => self.leaf(&plain, last && value.is_none(), depth),
                _ => None,
            };
            let new_value =
                value.and_then(|v| self.field(class, &percent_decode(v, true), last, depth));
            if new_name.is_none() && new_value.is_none() {
                continue;
            }
            let out = out.get_or_insert_with(|| String::with_capacity(text.len() + 32));
            out.push_str(text.get(copied..start).unwrap_or_default());
            match &new_name {
                Some(hidden) => encode(hidden, out),
                None => out.push_str(name),
            }
            if let Some(value) = value {
                out.push('=');
                match &new_value {
                    Some(hidden) => encode(hidden, out),
                    None => out.push_str(value),
                }
            }
            copied = end;
        }
        out.map(|mut out| {
            out.push_str(text.get(copied..).unwrap_or_default());
            out
        })
    }

    /// Protects one segment of a path, without its slashes.
    pub(super) fn segment(&mut self, segment: &str) -> Option<String> {
        if segment.len() < 4 {
            return None;
        }
        let plain = percent_decode(segment, false);
        let hidden = self.leaf(&plain, false, 0)?;
        let mut out = String::with_capacity(hidden.len());
        for c in hidden.chars() {
            match c {
                '/' | '?' | '#' | '%' => out.push_str(&format!("%{:02X}", u32::from(c))),
                c if c.is_control() || c == ' ' => out.push_str(&format!("%{:02X}", u32::from(c))),
                c => out.push(c),
            }
        }
        Some(out)
    }

    /// A header's value, by its name and by what it contains. `None`: as it was.
    ///
    /// Credentials and cookies never survive, whatever the site exempts.
    pub(super) fn header(&mut self, name: &HeaderName, value: &str) -> Option<String> {
        match name.as_str() {
            "authorization" | "proxy-authorization" => Some(self.authorization(value)),
            "cookie" => Some(self.cookies(value)),
            "set-cookie" => Some(self.set_cookie(value)),
            "x-api-key" | "api-key" | "x-goog-api-key" | "apikey" | "x-auth-token" => {
                Some(self.secret(value))
            }
            "accept" | "accept-encoding" | "accept-language" | "connection" | "content-type"
            | "content-length" | "date" | "host" | "user-agent" | "server" | "cache-control"
            | "etag" | "vary" | "last-modified" | "referer" | "origin" | "transfer-encoding"
            | "location" => self.header_text(value),
            name => {
                self.scanner.candidates(name, &mut self.candidates);
                let class = if self.candidates.is_empty() {
                    Class::Plain
                } else {
                    self.scanner.names.classify(name)
                };
                match class {
                    Class::Secret | Class::SecretText if value.is_empty() => None,
                    // `WWW-Authenticate: Bearer realm="x"` and its like say how, not what.
                    Class::Plain => self.header_text(value),
                    class => self.field(class, value, false, 0),
                }
            }
        }
    }

    fn header_text(&mut self, value: &str) -> Option<String> {
        self.scanner.candidates(value, &mut self.candidates);
        if self.candidates.is_empty() { None } else { self.leaf(value, false, 0) }
    }

    fn authorization(&self, value: &str) -> String {
        match value.trim().split_once(' ') {
            Some((scheme, credential)) if is_scheme(scheme) => {
                format!("{scheme} {}", self.secret(credential.trim()))
            }
            _ => self.secret(value.trim()),
        }
    }

    fn cookies(&self, value: &str) -> String {
        let mut out = String::with_capacity(value.len() + 32);
        for (i, cookie) in value.split(';').enumerate() {
            if i > 0 {
                out.push_str("; ");
            }
            match cookie.trim().split_once('=') {
                Some((name, value)) => {
                    // A name with a secret's length is a value without a name.
                    if is_cookie_name(name) {
                        out.push_str(name)
                    } else {
                        out.push_str(&self.secret(name))
                    }
                    out.push('=');
                    if !value.is_empty() {
                        out.push_str(&self.secret(value.trim_matches('"')));
                    }
                }
                None if cookie.trim().is_empty() => {}
                None => out.push_str(&self.secret(cookie.trim())),
            }
        }
        out
    }

    /// The value goes; `Path`, `HttpOnly` and the like stay, for they are findings' evidence.
    fn set_cookie(&mut self, value: &str) -> String {
        let (cookie, attributes) = match value.split_once(';') {
            Some((cookie, attributes)) => (cookie, Some(attributes)),
            None => (value, None),
        };
        let mut out = self.cookies(cookie);
        if let Some(attributes) = attributes {
            out.push(';');
            match self.header_text(attributes) {
                Some(hidden) => out.push_str(&hidden),
                None => out.push_str(attributes),
            }
        }
        out
    }
}

/// Digits enough for a number, and a `+` they may be spaced with.
fn has_spaced_digits(pair: &str) -> bool {
    memchr::memchr(b'+', pair.as_bytes()).is_some()
        && pair.bytes().filter(u8::is_ascii_digit).count() >= super::digits::DIGITS_MIN
}

/// `Bearer`, `AWS4-HMAC-SHA256`, `Token`: letters, digits and dashes, and short (IANA's longest has 22).
fn is_scheme(text: &str) -> bool {
    const SCHEME_MAX: usize = 24;
    text.len() <= SCHEME_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().filter(u8::is_ascii_digit).count() <= 4
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_cookie_name(name: &str) -> bool {
    const NAME_MAX: usize = 64;
    name.len() <= NAME_MAX
}

/// Percent-encodes what would break the form, and leaves the rest readable.
fn encode(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            ' ' => out.push('+'),
            '&' | '%' | '+' | '#' | '=' => out.push_str(&format!("%{:02X}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("%{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
}
