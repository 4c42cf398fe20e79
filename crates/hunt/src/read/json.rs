//! JSON in files: a value on each line, values over several lines, one list of all. And lines of text.

use super::{Item, Listener, Told, broken};
use crate::limits::RECORD_BYTES_MAX;
use schema::Diagnostic;
use serde::de::IgnoredAny;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

/// How events lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON value on each line.
    Lines,
    /// Values that go over lines, one after another or in a list.
    Values,
    /// Each line is an event, its text in `message`.
    Texts,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Which form it is, by the beginning of the file.
pub(super) fn form(head: &[u8], texts: bool) -> Form {
    let head = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
    match head.first() {
        Some(b'[') => {
            let next = head.get(1..).unwrap_or_default().trim_ascii_start().first();
            match next {
                None | Some(b'{' | b'[' | b']') => Form::Values,
                _ if texts => Form::Texts,
                _ => Form::Lines,
            }
        }
        Some(b'{') => {
            let mut lines = head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or_default();
            let unfinished =
                serde_json::from_slice::<IgnoredAny>(first).is_err_and(|error| error.is_eof());
            // A line that is cut off stands among lines that begin as it does.
            match (unfinished, lines.next()) {
                (true, Some(second)) if second.first() != Some(&b'{') => Form::Values,
                _ => Form::Lines,
            }
        }
        _ if texts => Form::Texts,
        _ => Form::Lines,
    }
}

pub(super) fn read(
    file: &str,
    form: Form,
    bytes: &mut dyn BufRead,
    each: &mut Listener<'_>,
) -> ControlFlow<()> {
    let done = match form {
        Form::Lines | Form::Texts => lines(file, form == Form::Texts, bytes, each),
        Form::Values => values(file, bytes, each),
    };
    match done {
        Ok(flow) => flow,
        Err(error) => each(Told::Problem(broken(file, &error))),
    }
}

fn at(file: &str, line: u64) -> String {
    format!("{file}:{line}")
}

fn too_long(file: &str, line: u64) -> Diagnostic {
    let message = format!("the record is longer than {RECORD_BYTES_MAX} bytes and is passed over");
    Diagnostic::new("long-record", at(file, line), message)
}

fn lines(
    file: &str,
    texts: bool,
    bytes: &mut dyn BufRead,
    each: &mut Listener<'_>,
) -> io::Result<ControlFlow<()>> {
    let mut line = Vec::new();
    let mut number = 0;
    while let Some(whole) = next_line(bytes, &mut line)? {
        number += 1;
        let text = if number == 1 { line.strip_prefix(BOM).unwrap_or(&line) } else { &line };
        let text = text.trim_ascii();
        let flow = if !whole {
            each(Told::Problem(too_long(file, number)))
        } else if text.is_empty() {
            ControlFlow::Continue(())
        } else if texts {
            let event = serde_json::json!({ "message": String::from_utf8_lossy(text) });
            let json = serde_json::to_vec(&event).unwrap_or_default();
            each(Told::Record(Item { number, json: &json }))
        } else {
            each(Told::Record(Item { number, json: text }))
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The next line; none at the end; false if it is too long to keep.
fn next_line(bytes: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let mut whole = true;
    let mut any = false;
    loop {
        let buffer = bytes.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        whole = whole && line.len() + part.len() <= RECORD_BYTES_MAX;
        if whole {
            line.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        bytes.consume(taken);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

/// What is between the brackets of a value that goes over lines.
#[derive(Default)]
struct Scan {
    value: Vec<u8>,
    began: u64,
    depth: usize,
    in_text: bool,
    escaped: bool,
    whole: bool,
}

impl Scan {
    /// Takes a byte in; true when the value ends with it.
    fn take(&mut self, byte: u8) -> bool {
        self.whole = self.whole && self.value.len() < RECORD_BYTES_MAX;
        if self.whole {
            self.value.push(byte);
        }
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }
}

fn values(
    file: &str,
    bytes: &mut dyn BufRead,
    each: &mut Listener<'_>,
) -> io::Result<ControlFlow<()>> {
    let mut scan = Scan::default();
    let mut line: u64 = 1;
    // One problem for each line with something between values.
    let mut stray: u64 = 0;
    loop {
        let buffer = bytes.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let taken = buffer.len();
        for byte in buffer.iter().copied() {
            let told = if scan.depth == 0 {
                match byte {
                    b'{' => {
                        scan = Scan { began: line, whole: true, ..Scan::default() };
                        scan.take(byte);
                        None
                    }
                    b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' => None,
                    0xef | 0xbb | 0xbf if line == 1 => None,
                    _ if stray == line => None,
                    _ => {
                        stray = line;
                        let message = "there is something between the values that is none";
                        Some(Err(Diagnostic::new("stray-bytes", at(file, line), message)))
                    }
                }
            } else if scan.in_text && byte == b'\n' {
                // No text of JSON goes over lines: it never ended, and the value is lost.
                scan.depth = 0;
                let message = "a text does not end on its line; the value is passed over";
                Some(Err(Diagnostic::new("bad-json", at(file, line), message)))
            } else if scan.take(byte) {
                match scan.whole {
                    true => Some(Ok(())),
                    false => Some(Err(too_long(file, scan.began))),
                }
            } else {
                None
            };
            let flow = match told {
                None => ControlFlow::Continue(()),
                Some(Ok(())) => each(Told::Record(Item { number: scan.began, json: &scan.value })),
                Some(Err(problem)) => each(Told::Problem(problem)),
            };
            if flow.is_break() {
                return Ok(flow);
            }
            line += u64::from(byte == b'\n');
        }
        bytes.consume(taken);
    }
    if scan.depth > 0 {
        let after = line.saturating_sub(scan.began);
        let message = format!("the value does not end; it and the {after} lines after it are lost");
        let problem = Diagnostic::new("unfinished-value", at(file, scan.began), message);
        return Ok(each(Told::Problem(problem)));
    }
    Ok(ControlFlow::Continue(()))
}
