//! Cuts a stream of bytes into lines, wherever it was cut before.

use memchr::memchr;
use ring::digest::{Context, SHA256};
use schema::{Digest, sha256};

/// Longest line that is read. Auditd's own line limit is 8,970 bytes (`MAX_AUDIT_MESSAGE_LENGTH`)
/// and syslog daemons default to 8 KiB; 1 MiB leaves room for access logs with long URLs.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Longest OCSF line: two bodies of 128 KiB whose every byte JSON escapes sixfold (`\u0001`), and as
/// much again for headers and the rest, so that nobody hides a request by padding it.
pub const OCSF_LINE_BYTES_MAX: usize = 2 << 20;

/// How much of a longer line is kept, beside its length and digest.
pub const LINE_KEPT_BYTES: usize = 64 << 10;

/// One line without its ending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// The line, or its first [`LINE_KEPT_BYTES`].
    pub bytes: &'a [u8],
    /// Length of the whole.
    pub length: u64,
    /// Digest of the whole.
    pub sha256: Digest,
}

impl Line<'_> {
    pub fn is_cut(&self) -> bool {
        self.length != self.bytes.len() as u64
    }
}

/// Holds the part of a line that has come so far.
pub(crate) struct Lines {
    limit: usize,
    part: Vec<u8>,
    long: Option<Long>,
    /// Nothing has been cut yet: a byte order mark may come.
    first: bool,
}

/// A line over the limit: digested as it passes.
struct Long {
    context: Context,
    length: u64,
    /// A carriage return at the end is the line's ending only if a newline follows.
    held_return: bool,
}

impl Lines {
    pub fn new(limit: usize) -> Self {
        Lines { limit, part: Vec::new(), long: None, first: true }
    }

    /// Takes the next line out of `bytes`; `None` when it is not complete yet.
    ///
    /// `rest` is what is left of `bytes` afterwards.
    pub fn push<R>(&mut self, bytes: &mut &[u8], read: impl FnOnce(Line<'_>) -> R) -> Option<R> {
        let Some(end) = memchr(b'\n', bytes) else {
            self.keep(bytes);
            *bytes = &[];
            return None;
        };
        let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        *bytes = rest.get(1..).unwrap_or(&[]);
        if self.part.is_empty() && self.long.is_none() && line.len() <= self.limit {
            let line = self.trim(line);
            return Some(read(Line {
                bytes: line,
                length: line.len() as u64,
                sha256: sha256(line),
            }));
        }
        self.keep(line);
        self.end(read)
    }

    /// The last line, if the stream ended within one.
    pub fn finish<R>(&mut self, read: impl FnOnce(Line<'_>) -> R) -> Option<R> {
        if self.part.is_empty() && self.long.is_none() { None } else { self.end(read) }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(long) = &mut self.long {
            long.update(bytes);
            return;
        }
        self.part.extend_from_slice(bytes);
        // One more than the limit: it may be the carriage return of the ending, or the mark in front.
        if self.part.len() > self.limit + 1 {
            let mut long = Long { context: Context::new(&SHA256), length: 0, held_return: false };
            long.update(&self.part);
            self.part.truncate(LINE_KEPT_BYTES);
            self.part.shrink_to_fit();
            self.long = Some(long);
        }
    }

    fn end<R>(&mut self, read: impl FnOnce(Line<'_>) -> R) -> Option<R> {
        let part = std::mem::take(&mut self.part);
        let line = self.trim(&part);
        let result = match self.long.take() {
            Some(long) => {
                let (length, sha256) = long.finish();
                read(Line { bytes: line, length, sha256 })
            }
            None if line.len() > self.limit => {
                let kept = line.get(..LINE_KEPT_BYTES).unwrap_or(line);
                read(Line { bytes: kept, length: line.len() as u64, sha256: sha256(line) })
            }
            None => read(Line { bytes: line, length: line.len() as u64, sha256: sha256(line) }),
        };
        Some(result)
    }

    /// Without the carriage return of its ending, and the first line without a byte order mark.
    ///
    /// Both belong to the file, not to the record: they are in neither `raw` nor its digest.
    fn trim<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        let cut = self.long.is_some();
        let line = if cut { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        let first = std::mem::replace(&mut self.first, false);
        if first && !cut { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line }
    }
}

impl Long {
    fn update(&mut self, bytes: &[u8]) {
        let Some((last, body)) = bytes.split_last() else { return };
        if std::mem::take(&mut self.held_return) {
            self.feed(b"\r");
        }
        if *last == b'\r' {
            self.feed(body);
            self.held_return = true;
        } else {
            self.feed(bytes);
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.length += bytes.len() as u64;
    }

    fn finish(self) -> (u64, Digest) {
        let mut digest = [0u8; 32];
        digest.copy_from_slice(self.context.finish().as_ref());
        (self.length, Digest(digest))
    }
}
