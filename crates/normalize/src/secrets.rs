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
pub(crate) use name::is_secret_name;

use name::{Verdict, is_secret_header, judge, looks_like_secret, part_name};
use std::borrow::Cow;

/// What stands where a secret was. Equal secrets are not told apart: a keyed hash would need a key,
/// and these parsers have none.
pub(crate) const MASK: &str = "****";

/// Longest name looked at before a `=`; longer ones are not names.
const NAME_BYTES_MAX: usize = 128;

/// Longest `user:password` of a URL.
const USERINFO_BYTES_MAX: usize = 256;

/// How much of a value decides whether it looks drawn at random.
///
/// A name whose value need not be read costs nothing; a value found secret is passed over: the work
/// stays linear in the text, whatever it holds.
const LOOK_BYTES_MAX: usize = 256;

/// Shortest value that looks drawn at random where the name alone does not tell.
const RANDOM_BYTES_MIN: usize = 20;

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

/// Whether the value at `start`, of this name, is a secret; `end` finds where it ends.
fn secret_at(
    bytes: &[u8],
    name: &[u8],
    start: usize,
    end: impl Fn(&[u8], usize) -> usize,
) -> Option<(usize, usize)> {
    match judge(name) {
        Verdict::Plain => None,
        Verdict::Secret => Some((start, end(bytes, start))),
        Verdict::ByValue => {
            let window = bytes.get(..bytes.len().min(start + LOOK_BYTES_MAX))?;
            let value = window.get(start..end(window, start))?;
            looks_like_secret(value, RANDOM_BYTES_MIN).then(|| (start, end(bytes, start)))
        }
    }
}

/// `name=value`, in a URL's query, a command or a message.
fn after_equals(bytes: &[u8], mark: usize, start: usize) -> Option<(usize, usize)> {
    let written = name_before(bytes, mark);
    let before = mark.checked_sub(written.len() + 1).and_then(|i| at(bytes, i));
    let (name, in_value) = part_name(written);
    if matches!(before, Some(b'?' | b'&')) || in_value {
        return secret_at(bytes, &name, start, url_value_end);
    }
    match (at(bytes, start), at(bytes, start + 1)) {
        (Some(quote @ (b'"' | b'\'')), _) => {
            secret_at(bytes, &name, start + 1, |bytes, at| quoted_end(bytes, at, quote, false))
        }
        (Some(b'\\'), Some(b'"')) => {
            secret_at(bytes, &name, start + 2, |bytes, at| quoted_end(bytes, at, b'"', true))
        }
        _ => secret_at(bytes, &name, start, word_end),
    }
}

/// `%3D`: the equals sign of a query inside a query, once or twice encoded.
fn encoded_equals(bytes: &[u8], mark: usize) -> Option<(usize, usize)> {
    let tail = bytes.get(mark + 1..)?;
    let is = |encoded: &[u8]| {
        tail.get(..encoded.len()).is_some_and(|tail| tail.eq_ignore_ascii_case(encoded))
    };
    let length = if is(b"3d") {
        3
    } else if is(b"253d") {
        5
    } else {
        return None;
    };
    let (name, _) = part_name(name_before(bytes, mark));
    secret_at(bytes, &name, mark + length, encoded_value_end)
}

fn encoded_value_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while let Some(byte) = at(bytes, end) {
        if is_url_end(byte) || bytes.get(end..end + 3) == Some(b"%26") {
            break;
        }
        end += 1;
    }
    end
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
    let (name, _) = part_name(name);
    let header = is_secret_header(&name);
    if !header && !quoted {
        return None;
    }
    let mut start = mark + 1;
    while matches!(at(bytes, start), Some(b' ' | b'\t')) {
        start += 1;
    }
    let escaped = at(bytes, start) == Some(b'\\');
    let opening = if escaped { start + 1 } else { start };
    let value_end = |bytes: &[u8], from: usize| match at(bytes, opening) {
        Some(quote @ (b'"' | b'\'')) => quoted_end(bytes, from, quote, escaped),
        Some(b'[') if quoted => find_byte(bytes, from, |b| b == b']'),
        _ if quoted => find_byte(bytes, from, |b| matches!(b, b',' | b'}' | b' ')),
        // A header's value is the rest of the line, or of the quotes the header stands in.
        _ => find_byte(bytes, from, |b| matches!(b, b'"' | b'\'')),
    };
    let from = match at(bytes, opening) {
        Some(b'"' | b'\'') => opening + 1,
        Some(b'{') => return None,
        _ => start,
    };
    if header {
        Some((from, value_end(bytes, from)))
    } else {
        secret_at(bytes, &name, from, value_end)
    }
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
