//! Arguments of programs: quoted, hex, split over fields and lines.

use super::Record;
use super::record::decode;
use crate::secrets::{mask_args, mask_text};
use crate::text::hex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

/// Arguments kept of one command.
const ARGUMENTS_MAX: usize = 4096;

/// Longest command line kept in its column; `raw` has the rest.
const COMMAND_BYTES_MAX: usize = 32 << 10;

/// `a12` or `a12[3]`, as argument and part.
fn argument_key(key: &str) -> Option<(usize, usize)> {
    let key = key.strip_prefix('a')?;
    let (index, part) = match key.split_once('[') {
        Some((index, part)) => (index, part.strip_suffix(']')?),
        None => (key, "0"),
    };
    Some((index.parse().ok()?, part.parse().ok()?))
}

/// The command line of an event's EXECVE records, else of its PROCTITLE.
pub(super) fn command_line(records: &[Record]) -> Option<String> {
    let mut parts: BTreeMap<(usize, usize), Vec<u8>> = BTreeMap::new();
    for record in records.iter().filter(|r| r.kind == "EXECVE") {
        for (key, value, quoted, _) in record.fields() {
            let Some(place) = argument_key(key).filter(|_| parts.len() < ARGUMENTS_MAX) else {
                continue;
            };
            let bytes = match hex(value) {
                Some(bytes) if !quoted => bytes,
                _ => value.as_bytes().to_vec(),
            };
            parts.insert(place, bytes);
        }
    }
    let bytes = if parts.is_empty() {
        let record = records.iter().find(|r| r.kind == "PROCTITLE")?;
        let title = record.decoded("proctitle")?;
        title.trim_end_matches('\0').replace('\0', " ").into_bytes()
    } else {
        let mut line = Vec::new();
        for ((_, part), bytes) in parts {
            if part == 0 && !line.is_empty() {
                line.push(b' ');
            }
            line.extend(bytes);
        }
        line
    };
    let mut line = String::from_utf8_lossy(&bytes).into_owned();
    if line.len() > COMMAND_BYTES_MAX {
        let end = (0..=COMMAND_BYTES_MAX).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or(0));
        line.push('…');
    }
    // A secret may begin in one argument record and end in the next.
    Some(match mask_text(&line) {
        Cow::Owned(masked) => masked,
        Cow::Borrowed(_) => line,
    })
}

/// The record's line without secrets inside encoded fields; `None` when there are none.
///
/// Only a decoded argument shows `--password` with its value in the next one.
pub(super) fn mask_encoded(record: &Record) -> Option<String> {
    let mut changes: Vec<(Range<usize>, String, bool)> = Vec::new();
    match record.kind.as_str() {
        "EXECVE" => {
            let mut args = Vec::new();
            let mut places = Vec::new();
            for (key, value, quoted, range) in record.fields() {
                if argument_key(key).is_some() {
                    args.push(decode(value, quoted).into_owned());
                    places.push((range, quoted));
                }
            }
            for (masked, (range, quoted)) in mask_args(&args).into_iter().zip(places) {
                changes.extend(masked.map(|masked| (range, masked, quoted)));
            }
        }
        "PROCTITLE" => {
            for (_, value, quoted, range) in record.fields().filter(|f| f.0 == "proctitle") {
                let title = decode(value, quoted);
                let args: Vec<String> = title.split('\0').map(str::to_owned).collect();
                let masked = mask_args(&args);
                if masked.iter().any(Option::is_some) {
                    let all: Vec<String> =
                        args.into_iter().zip(masked).map(|(arg, new)| new.unwrap_or(arg)).collect();
                    changes.push((range, all.join("\0"), quoted));
                }
            }
        }
        _ => {
            let encoded = |key: &str| matches!(key, "cmd" | "data" | "name" | "path");
            for (_, value, quoted, range) in record.fields().filter(|f| encoded(f.0) && !f.2) {
                if let Cow::Owned(masked) = mask_text(&decode(value, quoted)) {
                    changes.push((range, masked, quoted));
                }
            }
        }
    }
    if changes.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(record.raw.len());
    let mut done = 0;
    for (range, masked, quoted) in changes {
        out.push_str(record.raw.get(done..range.start).unwrap_or_default());
        if quoted {
            out.push_str(&masked);
        } else {
            for byte in masked.bytes() {
                // Writing to a String cannot fail.
                let _ = write!(out, "{byte:02X}");
            }
        }
        done = range.end;
    }
    out.push_str(record.raw.get(done..).unwrap_or_default());
    Some(out)
}
