//! Streams of JSON events (`text/event-stream`): answers of models that come piece by piece.

use super::json;
use crate::bag::Bag;
use crate::verdict::Limit;
use std::collections::{BTreeMap, BTreeSet};

/// Names and values of a stream take at most this many times its size, as those of one JSON body do.
const OUTPUT_FACTOR: usize = json::JSON_OUTPUT_FACTOR;

/// Of the numbers in an event that say which answer a piece belongs to, so many are looked at.
pub const INDEXES_MAX: usize = 16;

/// What a client drops before it reads.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether `body` is to be read as events rather than as one JSON text. What it begins with counts more than
/// what its header says: clients read it by what they asked for.
pub fn is_stream(body: &[u8], is_typed: bool) -> bool {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    match body.first() {
        Some(b'{' | b'[') => false,
        _ if is_typed => true,
        _ => [b"data:".as_slice(), b"event:", b"id:", b"retry:", b":"]
            .iter()
            .any(|field| body.starts_with(field)),
    }
}

/// Adds the values of every event's JSON to `out`, named as [`json::parse`] names them. The limit that was
/// reached first, if one was: something was not looked at.
///
/// - The `data:` lines of one event are one text, a line feed between them; where that is no JSON, each line
///   is read on its own. `[DONE]` and other text is passed over.
/// - A value that came before under the same name is not repeated: events say `id` and `model` each time.
/// - Strings of one name that come in several events are there once more as one string, behind all others: a
///   text that was cut into pieces is found as a whole. Numbers called `index` (or `…_index`) around a
///   piece tell which text it belongs to, where an answer has several.
/// - `arguments_max` counts the values above, and strings take half of it at most. A piece beyond that is still
///   part of its text.
pub fn parse(body: &[u8], depth_max: usize, arguments_max: usize, out: &mut Bag) -> Option<Limit> {
    let mut stream = Stream {
        depth_max,
        arguments_max,
        bytes_left: body.len().saturating_mul(OUTPUT_FACTOR).max(json::JSON_OUTPUT_BYTES_MIN),
        ..Stream::default()
    };
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut event: Vec<&[u8]> = Vec::new();
    for line in Lines(body) {
        if line.is_empty() {
            stream.event(&event, out);
            event.clear();
        } else if let Some(data) = line.strip_prefix(b"data:") {
            event.push(data.strip_prefix(b" ").unwrap_or(data));
        }
    }
    stream.event(&event, out);
    stream.finish(out)
}

/// Lines that end with CR LF, LF or CR, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\r', b'\n', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at_checked(end)?;
        let rest = rest.strip_prefix(b"\r\n").unwrap_or(rest.get(1..).unwrap_or_default());
        self.0 = rest;
        Some(line)
    }
}

#[derive(Default)]
struct Stream {
    depth_max: usize,
    arguments_max: usize,
    bytes_left: usize,
    limit: Option<Limit>,
    /// Names and values that are in the bag.
    known: BTreeSet<Vec<u8>>,
    /// By name and index.
    texts: BTreeMap<Vec<u8>, Text>,
    /// Kept between uses.
    values: Bag,
    is_string: Vec<bool>,
    joined: Vec<u8>,
}

struct Text {
    name: Vec<u8>,
    text: Vec<u8>,
    /// It is not there already, as the one value it is made of.
    is_needed: bool,
}

impl Stream {
    fn event(&mut self, lines: &[&[u8]], out: &mut Bag) {
        match lines {
            [] => {}
            [line] => {
                self.text(line, out);
            }
            lines => {
                let mut joined = std::mem::take(&mut self.joined);
                joined.clear();
                for (number, line) in lines.iter().enumerate() {
                    if number > 0 {
                        joined.push(b'\n');
                    }
                    joined.extend_from_slice(line);
                }
                if self.read(&joined) {
                    self.take(out);
                } else {
                    for line in lines {
                        self.text(line, out);
                    }
                }
                self.joined = joined;
            }
        }
    }

    fn text(&mut self, text: &[u8], out: &mut Bag) {
        if text.trim_ascii() != b"[DONE]" {
            self.read(text);
            self.take(out);
        }
    }

    /// Whether the text is JSON. What was understood is in `values` in any case.
    fn read(&mut self, text: &[u8]) -> bool {
        self.values.clear();
        self.is_string.clear();
        let (values, kinds) = (&mut self.values, &mut self.is_string);
        match json::parse_kinds(text, self.depth_max, self.arguments_max, kinds, values) {
            Ok(()) => true,
            Err(error) => {
                self.limit = self.limit.or(error.limit());
                false
            }
        }
    }

    fn take(&mut self, out: &mut Bag) {
        let values = std::mem::take(&mut self.values);
        let is_string = std::mem::take(&mut self.is_string);
        let indexes: Vec<(&[u8], &[u8])> =
            values.iter().filter_map(index).take(INDEXES_MAX).collect();
        let mut key = Vec::new();
        for ((name, value), is_string) in values.iter().zip(&is_string) {
            key.clear();
            key.extend_from_slice(name);
            key.push(0);
            let of_name = key.len();
            key.extend_from_slice(value);
            let is_known = self.known.contains(&key);
            // The text's pieces leave room for the numbers at the end: what the answer cost.
            let most = if *is_string { self.arguments_max / 2 } else { self.arguments_max };
            let has_room = self.known.len() < most && self.bytes_left >= key.len();
            if !is_known && has_room {
                self.bytes_left -= key.len();
                self.known.insert(key.clone());
                out.push(name, value);
            }
            let mut is_seen = is_known || has_room;
            if *is_string && !value.is_empty() {
                key.truncate(of_name);
                for (parent, number) in &indexes {
                    if name.strip_prefix(*parent).is_some_and(|rest| rest.starts_with(b".")) {
                        key.extend_from_slice(number);
                        key.push(0);
                    }
                }
                is_seen |= self.join(&key, name, value, is_seen);
            }
            if !is_seen {
                self.limit.get_or_insert(Limit::Arguments);
            }
        }
        self.values = values;
        self.is_string = is_string;
    }

    /// Adds a piece to its text. `false`: there was no room.
    fn join(&mut self, key: &[u8], name: &[u8], piece: &[u8], is_seen: bool) -> bool {
        let has_room = self.texts.len() < self.arguments_max;
        let known = self.texts.get_mut(key);
        let bytes = piece.len() + if known.is_some() { 0 } else { name.len() };
        let Some(left) = self.bytes_left.checked_sub(bytes) else { return false };
        match known {
            Some(text) => {
                text.text.extend_from_slice(piece);
                text.is_needed = true;
            }
            None if has_room => {
                let (name, text) = (name.to_vec(), piece.to_vec());
                self.texts.insert(key.to_vec(), Text { name, text, is_needed: !is_seen });
            }
            None => return false,
        }
        self.bytes_left = left;
        true
    }

    fn finish(self, out: &mut Bag) -> Option<Limit> {
        for text in self.texts.values().filter(|text| text.is_needed) {
            out.push(&text.name, &text.text);
        }
        self.limit
    }
}

/// What the number is about, and the number: `json.choices.array_0.index` is about all below
/// `json.choices.array_0`.
fn index<'a>((name, value): (&'a [u8], &'a [u8])) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memrchr(b'.', name)?;
    let (parent, last) = name.split_at_checked(at)?;
    let is_index = last == b".index" || last.ends_with(b"_index");
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    (is_index && is_number).then_some((parent, value))
}

#[cfg(test)]
mod tests;
