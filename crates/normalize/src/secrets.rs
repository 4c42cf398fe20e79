//! Destroys secrets in text before anything reads it.
//!
//! A secret is known by its name: `password=…`, `"api_key": "…"`, `Authorization: …`, `--token …`,
//! `https://user:…@host`. What has no name beside it (a token in a path, a password typed as a user
//! name) cannot be told from other text and stays.

mod args;
mod json;
mod name;

pub(crate) use args::mask_args;
pub(crate) use json::mask_json;
pub(crate) use name::is_secret;

use name::{is_secret_header, looks_like_secret, part_name};
use std::borrow::Cow;

/// What stands where a secret was. Equal secrets are not told apart: a keyed hash would need a key,
/// and these parsers have none.
pub(crate) const MASK: &str = "****";

/// Longest name looked at before a `=`; longer ones are not names.
const NAME_BYTES_MAX: usize = 128;

/// Longest `user:password` of a URL.
const USERINFO_BYTES_MAX: usize = 1024;

/// The text without the values of secret-looking names.
pub(crate) fn mask_text(text: &str) -> Cow<'_, str> {
    let mut ranges = Vec::new();
    find_named(text.as_bytes(), &mut ranges);
    args::find_options(text, &mut ranges);
    replace(text, ranges)
}

/// Replaces byte ranges with the mask. Ranges may overlap; all come from ASCII delimiters.
fn replace(text: &str, mut ranges: Vec<(usize, usize)>) -> Cow<'_, str> {
    ranges
        .retain(|(start, end)| text.get(*start..*end).is_some_and(|v| !v.is_empty() && v != MASK));
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in ranges {
        if end <= done {
            continue;
        }
        if start >= done {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(MASK);
        }
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

fn at(bytes: &[u8], index: usize) -> Option<u8> {
    bytes.get(index).copied()
}

fn find_named(bytes: &[u8], ranges: &mut Vec<(usize, usize)>) {
    let mut from = 0;
    while let Some(mark) = memchr::memchr3(b'=', b':', b'%', bytes.get(from..).unwrap_or_default())
    {
        let mark = from + mark;
        let found = match at(bytes, mark) {
            Some(b'=') => after_equals(bytes, mark, mark + 1),
            Some(b'%') => encoded_equals(bytes, mark),
            _ => after_colon(bytes, mark),
        };
        from = mark + 1;
        if let Some((start, end)) = found {
            if end > start {
                ranges.push((start, end));
            }
            from = from.max(end);
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'$' | b'%')
}

/// The name that ends at `end`.
fn name_before(bytes: &[u8], end: usize) -> &[u8] {
    let floor = end.saturating_sub(NAME_BYTES_MAX);
    let window = bytes.get(floor..end).unwrap_or_default();
    let length = window.iter().rev().take_while(|b| is_name_byte(**b)).count();
    window.get(window.len() - length..).unwrap_or_default()
}

/// `name=value`, in a URL's query, a command or a message.
fn after_equals(bytes: &[u8], mark: usize, start: usize) -> Option<(usize, usize)> {
    let written = name_before(bytes, mark);
    let before = mark.checked_sub(written.len() + 1).and_then(|i| at(bytes, i));
    let (name, in_value) = part_name(written);
    let in_url = matches!(before, Some(b'?' | b'&')) || in_value;
    let end = if in_url { url_value_end(bytes, start) } else { word_end(bytes, start) };
    let (start, end) = match at(bytes, start) {
        Some(quote @ (b'"' | b'\'')) if !in_url => {
            (start + 1, quoted_end(bytes, start + 1, quote, false))
        }
        Some(b'\\') if !in_url && at(bytes, start + 1) == Some(b'"') => {
            (start + 2, quoted_end(bytes, start + 2, b'"', true))
        }
        _ => (start, end),
    };
    let value = bytes.get(start..end)?;
    is_secret(&name, value).then_some((start, end))
}

/// `%3D`: the equals sign of a query inside a query, once or twice encoded.
fn encoded_equals(bytes: &[u8], mark: usize) -> Option<(usize, usize)> {
    let tail = bytes.get(mark + 1..)?;
    let length = if tail.len() >= 2 && tail.get(..2)?.eq_ignore_ascii_case(b"3d") {
        3
    } else if tail.len() >= 4 && tail.get(..4)?.eq_ignore_ascii_case(b"253d") {
        5
    } else {
        return None;
    };
    let (name, _) = part_name(name_before(bytes, mark));
    let start = mark + length;
    let mut end = start;
    while let Some(byte) = at(bytes, end) {
        let tail = bytes.get(end + 1..end + 3).unwrap_or_default();
        if is_url_end(byte) || (byte == b'%' && tail == b"26") {
            break;
        }
        end += 1;
    }
    is_secret(&name, bytes.get(start..end)?).then_some((start, end))
}

/// `"name": "value"`, `Authorization: value` and `://user:password@`.
fn after_colon(bytes: &[u8], mark: usize) -> Option<(usize, usize)> {
    if bytes.get(mark + 1..)?.starts_with(b"//") {
        return userinfo(bytes, mark + 3);
    }
    let mut name_end = mark;
    let quoted = matches!(name_end.checked_sub(1).and_then(|i| at(bytes, i)), Some(b'"' | b'\''));
    if quoted {
        name_end -= 1;
        if name_end.checked_sub(1).and_then(|i| at(bytes, i)) == Some(b'\\') {
            name_end -= 1;
        }
    }
    let name = name_before(bytes, name_end);
    if name.is_empty() {
        return None;
    }
    let mut start = mark + 1;
    while matches!(at(bytes, start), Some(b' ' | b'\t')) {
        start += 1;
    }
    let escaped = at(bytes, start) == Some(b'\\');
    let opening = if escaped { start + 1 } else { start };
    let (start, end) = match at(bytes, opening) {
        Some(quote @ (b'"' | b'\'')) => {
            (opening + 1, quoted_end(bytes, opening + 1, quote, escaped))
        }
        Some(b'[') if quoted => (start, find_byte(bytes, start, |b| b == b']')),
        Some(b'{') => return None,
        _ if quoted => (start, find_byte(bytes, start, |b| matches!(b, b',' | b'}' | b' '))),
        // A header's value is the rest of the line, or of the quotes the header stands in.
        _ => (start, find_byte(bytes, start, |b| matches!(b, b'"' | b'\''))),
    };
    let (name, _) = part_name(name);
    let secret = is_secret_header(&name) || (quoted && is_secret(&name, bytes.get(start..end)?));
    secret.then_some((start, end))
}

fn userinfo(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let window = bytes.get(start..bytes.len().min(start + USERINFO_BYTES_MAX))?;
    let length = window.iter().position(|b| {
        b.is_ascii_whitespace() || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
    });
    let authority = window.get(..length.unwrap_or(window.len()))?;
    let user_end = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', authority.get(..user_end)?)?;
    Some((start + colon + 1, start + user_end))
}

fn find_byte(bytes: &[u8], start: usize, stop: impl Fn(u8) -> bool) -> usize {
    let tail = bytes.get(start..).unwrap_or_default();
    start + tail.iter().position(|b| stop(*b)).unwrap_or(tail.len())
}

fn is_url_end(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'&' | b'#' | b'"' | b'<' | b'>')
}

/// In a URL a value may hold anything but `&`, `#` and what ends the URL; `\"` and `\x22` are part of it.
fn url_value_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while let Some(byte) = at(bytes, end) {
        if byte == b'\\' && at(bytes, end + 1).is_some() {
            end += 2;
        } else if is_url_end(byte) {
            break;
        } else {
            end += 1;
        }
    }
    end.min(bytes.len())
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    find_byte(bytes, start, |b| {
        b.is_ascii_whitespace()
            || matches!(b, b'"' | b'\'' | b'`' | b';' | b'&' | b'|' | b'<' | b'>' | b')' | b'}')
    })
}

/// The closing quote; `escaped` quotes are closed by an escaped one.
fn quoted_end(bytes: &[u8], start: usize, quote: u8, escaped: bool) -> usize {
    let mut end = start;
    while let Some(byte) = at(bytes, end) {
        if escaped && byte == b'\\' && at(bytes, end + 1) == Some(quote) {
            break;
        } else if byte == b'\\' && at(bytes, end + 1).is_some() {
            end += 2;
        } else if byte == quote {
            break;
        } else {
            end += 1;
        }
    }
    end.min(bytes.len())
}

#[cfg(test)]
mod tests;
