//! Lines of a multipart body in, parts out.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

use super::boundary::is_space;
use crate::verdict::Limit;

use super::{HEADER_LINE_BYTES_MAX, Limits, Multipart, PART_HEADERS_MAX, PARTS_MAX, disposition};

/// Reads all parts of `body` into `out`.
pub(super) fn read(body: &[u8], boundary: &[u8], limits: Limits, out: &mut Multipart) {
    let mut delimiter = b"--".to_vec();
    delimiter.extend_from_slice(boundary);
    let mut reader = Reader {
        body,
        at: 0,
        boundary,
        delimiter: memmem::Finder::new(&delimiter),
        dashes: memmem::Finder::new(b"\n--"),
        limits,
        out,
        parts: 0,
        boundaries: 0,
        part: None,
        after_bare_lf: false,
    };
    if !reader.run() {
        reader.close_part(false);
        let text = match reader.boundaries {
            0 => "No boundaries found in payload.",
            _ => "Final boundary missing.",
        };
        out.fail(text);
    }
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    boundary: &'a [u8],
    /// `--boundary`.
    delimiter: memmem::Finder<'a>,
    /// A line that may be a boundary.
    dashes: memmem::Finder<'static>,
    limits: Limits,
    out: &'a mut Multipart,
    parts: usize,
    boundaries: usize,
    part: Option<Part<'a>>,
    /// The line before ended with LF alone.
    after_bare_lf: bool,
}

#[derive(Default)]
struct Part<'a> {
    headers: Vec<Header<'a>>,
    name: Vec<u8>,
    filename: Vec<u8>,
    filename_star: Vec<u8>,
    /// The content so far, once the headers have ended.
    content: Option<Range<usize>>,
}

struct Header<'a> {
    name: &'a [u8],
    value: Cow<'a, [u8]>,
    line: &'a [u8],
    folded: bool,
}

enum Line {
    Text,
    Boundary {
        last: bool,
    },
    /// A boundary that cannot be: nothing after it is read.
    Broken,
}

impl<'a> Reader<'a> {
    /// Whether the last boundary was found.
    fn run(&mut self) -> bool {
        loop {
            let rest = self.body.get(self.at..).unwrap_or_default();
            let in_content = self.part.as_ref().is_some_and(|part| part.content.is_some());
            if in_content && !rest.is_empty() && !rest.starts_with(b"--") {
                let bytes = self.dashes.find(rest).map_or(rest.len(), |at| at + 1);
                let chunk = rest.get(..bytes).unwrap_or_default();
                self.look_for_boundary_inside(chunk);
                self.add_content(chunk);
                continue;
            }
            let Some(bytes) = memchr(b'\n', rest).map(|at| at + 1) else {
                return self.last_line(rest);
            };
            let line = rest.get(..bytes).unwrap_or_default();
            match self.kind_of(line) {
                Line::Broken => return false,
                Line::Boundary { last } => {
                    self.close_part(true);
                    self.boundaries += 1;
                    self.advance(line);
                    if last {
                        self.out.flags.data_after = self.at < self.body.len();
                        return true;
                    }
                    if self.parts == PARTS_MAX {
                        self.out.limit = Some(Limit::Parts);
                        self.out.stop(format!("More than {PARTS_MAX} parts."));
                        return false;
                    }
                    self.parts += 1;
                    self.part = Some(Part::default());
                }
                Line::Text if in_content => self.add_content(line),
                Line::Text if self.part.is_none() => {
                    self.out.flags.data_before = true;
                    self.advance(line);
                }
                Line::Text => {
                    if self.is_too_long(line) {
                        return false;
                    }
                    self.advance(line);
                    self.header_line(line);
                }
            }
        }
    }

    fn advance(&mut self, line: &[u8]) {
        self.at += line.len();
        self.after_bare_lf = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
    }

    fn add_content(&mut self, chunk: &[u8]) {
        self.advance(chunk);
        if let Some(content) = self.part.as_mut().and_then(|part| part.content.as_mut()) {
            content.end = self.at;
        }
    }

    fn is_too_long(&mut self, header_line: &[u8]) -> bool {
        let too_long = header_line.len() >= HEADER_LINE_BYTES_MAX;
        if too_long {
            self.out.limit = Some(Limit::Parts);
            self.out.stop(format!("Part header line over {HEADER_LINE_BYTES_MAX} bytes long"));
        }
        too_long
    }

    /// What is left without a line end: the last boundary, or the rest of something unfinished.
    fn last_line(&mut self, rest: &'a [u8]) -> bool {
        let end = rest.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(self.boundary));
        if end == Some(b"--") && self.boundaries > 0 {
            self.before_boundary();
            self.close_part(true);
            return true;
        }
        match &self.part {
            Some(Part { content: Some(_), .. }) => self.add_content(rest),
            Some(_) => {
                self.is_too_long(rest);
            }
            None => {}
        }
        false
    }

    fn kind_of(&mut self, line: &[u8]) -> Line {
        let text = line.get(..memchr(0, line).unwrap_or(line.len())).unwrap_or_default();
        let Some(marked) = text.strip_prefix(b"--").filter(|_| text.len() > 3) else {
            self.look_for_boundary_inside(line);
            return Line::Text;
        };
        if let Some(end) = marked.strip_prefix(self.boundary) {
            self.before_boundary();
            if self.boundaries > 0 {
                self.out.flags.unmatched_boundary = 2;
            }
            let (last, end) = match end.strip_prefix(b"--") {
                Some(end) => (true, end),
                None => (false, end),
            };
            match end {
                b"\n" => self.out.flags.lf_line = true,
                b"\r\n" => self.out.flags.crlf_line = true,
                _ => {
                    self.out.stop(format!("Invalid boundary: {}", shown(text)));
                    return Line::Broken;
                }
            }
            return Line::Boundary { last };
        }
        let is_boundary = |text: &[u8]| text.starts_with(self.boundary);
        if self.out.flags.boundary_quoted && marked.strip_prefix(b"\"").is_some_and(is_boundary) {
            self.out.stop("Invalid boundary (quotes).");
            return Line::Broken;
        }
        let trimmed = marked.iter().position(|byte| !is_space(*byte)).unwrap_or(marked.len());
        if trimmed > 0 && marked.get(trimmed..).is_some_and(is_boundary) {
            self.out.stop("Invalid boundary (whitespace).");
            return Line::Broken;
        }
        self.out.flags.unmatched_boundary = 1;
        Line::Text
    }

    /// What a boundary says about the part before it.
    fn before_boundary(&mut self) {
        self.out.flags.lf_line |= self.after_bare_lf;
        let is_empty = |part: &Part| part.content.as_ref().is_none_or(Range::is_empty);
        // Some parsers take a boundary where content should begin as content.
        self.out.flags.invalid_part |= self.part.as_ref().is_some_and(is_empty);
    }

    fn look_for_boundary_inside(&mut self, text: &[u8]) {
        if self.out.flags.unmatched_boundary != 1 && self.delimiter.find(text).is_some() {
            self.out.flags.unmatched_boundary = 1;
        }
    }

    fn header_line(&mut self, line: &'a [u8]) {
        if memchr(0, line).is_some() {
            return self.out.fail("Nul byte in part headers.");
        }
        self.out.bytes_without_files += line.len();
        match line {
            [.., b'\r', b'\n'] => self.out.flags.crlf_line = true,
            _ => self.out.flags.lf_line = true,
        }
        match line {
            b"\n" | b"\r\n" => self.headers_end(),
            [first, ..] if is_space(*first) => self.folded_line(line),
            _ => self.new_header(line),
        }
    }

    fn new_header(&mut self, line: &'a [u8]) {
        let Some(part) = &mut self.part else { return };
        let line = without_line_end(line);
        let Some(colon) = memchr(b':', line) else {
            let text = format!("Invalid part header (colon missing): {}", shown(line));
            return self.out.fail(text);
        };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        if name.is_empty() {
            return self.out.fail("Invalid part header (header name missing).");
        }
        if part.headers.len() == PART_HEADERS_MAX {
            let text = format!("More than {PART_HEADERS_MAX} headers in a part.");
            return self.out.reached(Limit::Parts, text);
        }
        // Kept all the same: which of the two the application takes is not known.
        if part.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            self.out.fail(format!("Duplicate part header: {}.", shown(name)));
        }
        let value = value.get(1..).unwrap_or_default();
        let blanks = value.iter().take_while(|byte| matches!(byte, b'\t' | b' ')).count();
        let value = Cow::Borrowed(value.get(blanks..).unwrap_or_default());
        part.headers.push(Header { name, value, line, folded: false });
    }

    fn folded_line(&mut self, line: &'a [u8]) {
        let flags = &mut self.out.flags;
        flags.header_folding = true;
        let indent = line.iter().take_while(|byte| is_space(**byte)).count();
        let (indent, text) = line.split_at_checked(indent).unwrap_or_default();
        // RFC 2557 folds with space and tab; PHP takes any white space.
        flags.invalid_header_folding |= !indent.iter().all(|byte| matches!(byte, b'\t' | b' '));
        let Some(header) = self.part.as_mut().and_then(|part| part.headers.last_mut()) else {
            return self.out.fail("Invalid part header (folding error).");
        };
        let text = without_line_end(text);
        if header.value.len() + 1 + text.len() > HEADER_LINE_BYTES_MAX {
            return self.out.reached(Limit::Parts, "Part header too long.");
        }
        header.folded = true;
        let value = header.value.to_mut();
        value.push(b' ');
        value.extend_from_slice(text);
    }

    fn headers_end(&mut self) {
        let Some(part) = &mut self.part else { return };
        part.content = Some(self.at..self.at);
        let mut headers = part.headers.iter();
        let Some(header) =
            headers.find(|header| header.name.eq_ignore_ascii_case(b"Content-Disposition"))
        else {
            self.out.flags.invalid_part = true;
            return self.out.fail("Part missing Content-Disposition header.");
        };
        let found = disposition::parse(&header.value);
        self.out.flags.invalid_quoting |= found.invalid_quoting;
        for name in &found.names {
            self.out.names.push(name, name);
        }
        for name in &found.filenames {
            self.out.filenames.push(name, name);
        }
        if let Some(number) = found.error {
            self.out.flags.invalid_part = true;
            let value = shown(&header.value);
            self.out.fail(format!("Invalid Content-Disposition header ({number}): {value}"));
        } else if found.name.is_empty() {
            self.out.fail("Content-Disposition header missing name field.");
        } else if !found.filename.is_empty() && !disposition::names_a_file(&header.value) {
            self.out.fail("Invalid Content-Disposition header (filename).");
        }
        let (name, filename) = (found.name.into_owned(), found.filename.into_owned());
        part.filename_star = found.filename_star.unwrap_or_default();
        part.name = name;
        part.filename = filename;
    }

    /// Gives the part, if one is open, to the collections.
    fn close_part(&mut self, by_boundary: bool) {
        let Some(part) = self.part.take() else { return };
        let out = &mut *self.out;
        for header in &part.headers {
            if header.folded {
                out.part_headers.push(&part.name, &[header.name, b": ", &header.value].concat());
            } else {
                out.part_headers.push(&part.name, header.line);
            }
        }
        out.flags.invalid_part |= part.name.is_empty();
        let mut range = part.content.unwrap_or_default();
        if by_boundary {
            // The line end before a boundary belongs to the boundary.
            range.end = match self.body.get(range.clone()) {
                Some([.., b'\r', b'\n']) => range.end - 2,
                Some([.., b'\n']) => range.end - 1,
                _ => range.end,
            };
        }
        if part.filename.is_empty() && part.filename_star.is_empty() {
            out.bytes_without_files += range.len();
            if out.args.len() >= self.limits.arguments_max {
                return out.reached(Limit::Arguments, "Arguments limit exceeded.");
            }
            return out.args.push(&part.name, self.body.get(range).unwrap_or_default());
        }
        for filename in [&part.filename, &part.filename_star] {
            if !filename.is_empty() {
                out.files.push(&part.name, filename);
            }
        }
        out.file_sizes.push(&part.name, range.len().to_string().as_bytes());
        out.files_combined_size += range.len();
        if out.file_contents.len() >= self.limits.files_max {
            out.flags.file_limit_exceeded = true;
            let limit = self.limits.files_max;
            let text = format!(
                "Upload file limit exceeded {limit}. Use SecUploadFileLimit to change the limit."
            );
            out.reached(Limit::Files, text);
            range.end = range.start;
        }
        out.file_contents.push(range);
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    line.get(..end).unwrap_or_default()
}

/// Bytes of the body in an error, not too many.
fn shown(text: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 200;
    without_line_end(text.get(..SHOWN_BYTES_MAX).unwrap_or(text)).escape_ascii().to_string()
}
