//! `multipart/form-data`, strict: whatever two parsers could read differently raises a flag or is an error.

use std::borrow::Cow;
use std::ops::Range;

mod boundary;
mod disposition;
mod reader;

use super::BodyError;
use crate::bag::Bag;
use crate::verdict::Limit;
#[cfg(test)]
use boundary::CONTENT_TYPE_BYTES_MAX;

/// A part's header line, its end included, is shorter than this.
pub const HEADER_LINE_BYTES_MAX: usize = 4096;

/// Header lines of one part.
pub const PART_HEADERS_MAX: usize = 32;

/// Parts of one body, broken ones included.
pub const PARTS_MAX: usize = 10_000;

/// What settings say about multipart bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields that become arguments.
    pub arguments_max: usize,
    /// Files (`SecUploadFileLimit`); the names of those beyond it are kept, their content is not.
    pub files_max: usize,
}

/// What a multipart body holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multipart {
    /// `ARGS_POST`: field and value.
    pub args: Bag,
    /// `FILES`: field and file name. A part with `filename*` has a second entry with that name, decoded.
    pub files: Bag,
    /// `FILES_SIZES`: field and content bytes in decimal.
    pub file_sizes: Bag,
    pub files_combined_size: usize,
    /// The content of each file as a range of the body; as many as `file_sizes`.
    pub file_contents: Vec<Range<usize>>,
    /// `MULTIPART_NAME` and `MULTIPART_FILENAME`: every one seen, duplicates as well.
    pub names: Bag,
    pub filenames: Bag,
    /// `MULTIPART_PART_HEADERS`: part name and header line, folded ones joined, without line end.
    pub part_headers: Bag,
    /// Header and field bytes: what `SecRequestBodyNoFilesLimit` counts.
    pub bytes_without_files: usize,
    pub flags: Flags,
    /// The first thing that was wrong.
    pub error: Option<BodyError>,
    /// The first limit that was reached, or that which ended the reading; that is an error, too.
    pub limit: Option<Limit>,
}

/// The `MULTIPART_*` flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub boundary_quoted: bool,
    pub boundary_whitespace: bool,
    pub crlf_line: bool,
    pub data_after: bool,
    pub data_before: bool,
    pub file_limit_exceeded: bool,
    pub header_folding: bool,
    pub invalid_header_folding: bool,
    pub invalid_part: bool,
    pub invalid_quoting: bool,
    pub lf_line: bool,
    pub missing_semicolon: bool,
    /// The body could not be read to its end.
    pub error: bool,
    /// 1: something like a boundary that is none; 2: the body's parts are closed by the boundary.
    pub unmatched_boundary: u8,
}

impl Flags {
    /// `MULTIPART_CRLF_LF_LINES`.
    pub fn crlf_lf_lines(&self) -> bool {
        self.crlf_line && self.lf_line
    }

    /// `MULTIPART_STRICT_ERROR`.
    pub fn strict_error(&self) -> bool {
        self.error
            || self.boundary_quoted
            || self.boundary_whitespace
            || self.data_before
            || self.data_after
            || self.header_folding
            || self.lf_line
            || self.missing_semicolon
            || self.invalid_quoting
            || self.invalid_part
            || self.invalid_header_folding
            || self.file_limit_exceeded
    }
}

impl Multipart {
    /// `FILES_TMP_CONTENT`: field and content, of the body that was parsed.
    pub fn contents<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.file_sizes
            .iter()
            .zip(&self.file_contents)
            .map(|((name, _), range)| (name, body.get(range.clone()).unwrap_or_default()))
    }

    pub fn clear(&mut self) {
        let Self { args, files, file_sizes, file_contents, names, filenames, part_headers, .. } =
            self;
        for bag in [args, files, file_sizes, names, filenames, part_headers] {
            bag.clear();
        }
        file_contents.clear();
        self.files_combined_size = 0;
        self.bytes_without_files = 0;
        self.flags = Flags::default();
        self.error = None;
        self.limit = None;
    }

    fn reached(&mut self, limit: Limit, text: impl Into<Cow<'static, str>>) {
        self.limit.get_or_insert(limit);
        self.fail(text);
    }

    fn fail(&mut self, text: impl Into<Cow<'static, str>>) {
        if self.error.is_none() {
            self.error = Some(BodyError::Multipart(text.into().into_owned()));
        }
    }

    fn stop(&mut self, text: impl Into<Cow<'static, str>>) {
        self.flags.error = true;
        self.fail(text);
    }
}

/// Reads `body` into `out`, which is cleared first.
///
/// Reading goes on after errors in a part, and an unfinished last part is kept: rules see as much as the
/// application may.
pub fn parse(content_type: &[u8], body: &[u8], limits: Limits, out: &mut Multipart) {
    out.clear();
    let boundary = match boundary::of_content_type(content_type, &mut out.flags) {
        Ok(boundary) => boundary,
        Err(text) => return out.stop(text),
    };
    if !body.is_empty() {
        reader::read(body, boundary, limits, out);
    }
}

#[cfg(test)]
mod tests;
