//! Readers: bytes in; records, and what could not be read, out.

mod event_log;
mod json;

pub use event_log::EVTX_MAGIC;

use crate::input::Input;
use crate::limits::{HEAD_BYTES, UNPACKED_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};
use schema::Diagnostic;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::ops::ControlFlow;

/// One record as JSON text, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'r> {
    /// Of an event log, which record of the file it is; else its line. From one.
    pub number: u64,
    pub json: &'r [u8],
}

/// What a reader tells.
#[derive(Debug)]
pub enum Told<'r> {
    Record(Item<'r>),
    /// Something could not be read; reading goes on.
    Problem(Diagnostic),
}

/// Who listens to a reader; a break ends the reading.
pub type Listener<'l> = dyn FnMut(Told<'_>) -> ControlFlow<()> + 'l;

/// Reads a file, or standard input, whatever is in it. `texts`: lines that are not JSON are events.
///
/// `through` may look at the bytes on their way, to show progress.
pub fn read(
    input: &Input,
    texts: bool,
    through: &dyn Fn(Box<dyn Read>) -> Box<dyn Read>,
    each: &mut Listener<'_>,
) -> ControlFlow<()> {
    let name = input.name();
    let opened: Box<dyn Read> = match &input.path {
        None => Box::new(io::stdin()),
        Some(path) => match File::open(path) {
            Ok(file) => Box::new(file),
            Err(error) => return each(Told::Problem(crate::input::unreadable(path, &error))),
        },
    };
    read_from(&name, through(opened), texts, each)
}

/// Reads bytes: unpacked if they are packed, then as what their beginning says.
pub fn read_from(
    name: &str,
    bytes: Box<dyn Read + '_>,
    texts: bool,
    each: &mut Listener<'_>,
) -> ControlFlow<()> {
    let (head, rest) = match unpacked(bytes) {
        Ok(both) => both,
        Err(error) => return each(Told::Problem(broken(name, &error))),
    };
    let named_so = ["evtx", "evtx.gz", "evtx.zst"];
    let lower = name.to_lowercase();
    let is_event_log = head.starts_with(EVTX_MAGIC)
        || (named_so.iter().any(|end| lower.ends_with(&format!(".{end}")))
            && !matches!(head.trim_ascii_start().first(), Some(b'{' | b'[')));
    let form = if is_event_log { None } else { Some(json::form(&head, texts)) };
    let mut all = BufReader::with_capacity(256 << 10, Cursor::new(head).chain(rest));
    match form {
        None => event_log::read(name, &mut all, each),
        Some(form) => json::read(name, form, &mut all, each),
    }
}

/// What the file's reader said, as a problem of the file.
fn broken(name: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::new("unreadable-file", name, format!("cannot read `{name}` further: {error}"))
        .hint("what came before was read; the rest is missing or damaged")
}

type Opened<'r> = (Vec<u8>, Box<dyn Read + 'r>);

fn unpacked<'r>(bytes: Box<dyn Read + 'r>) -> io::Result<Opened<'r>> {
    let (magic, bytes) = peeked(bytes, 4)?;
    let bytes = Cursor::new(magic.clone()).chain(bytes);
    let plain: Box<dyn Read + 'r> = if magic.starts_with(&[0x1f, 0x8b]) {
        let unpacked = flate2::read::MultiGzDecoder::new(BufReader::new(bytes));
        Box::new(Limited { inner: unpacked, left: UNPACKED_BYTES_MAX })
    } else if magic == [0x28, 0xb5, 0x2f, 0xfd] {
        let mut unpacked = zstd::Decoder::new(bytes)?;
        unpacked.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        Box::new(Limited { inner: unpacked, left: UNPACKED_BYTES_MAX })
    } else {
        Box::new(bytes)
    };
    peeked(plain, HEAD_BYTES)
}

/// The first bytes, and all that come after them.
fn peeked<'r>(mut bytes: Box<dyn Read + 'r>, count: usize) -> io::Result<Opened<'r>> {
    let mut head = Vec::new();
    match bytes.by_ref().take(count as u64).read_to_end(&mut head) {
        // What came before the damage is read, and the damage is met again behind it.
        Err(error) if head.is_empty() => Err(error),
        Err(error) => Ok((head, Box::new(Failing(Some(error))))),
        Ok(_) => Ok((head, bytes)),
    }
}

/// Gives the error that was met before.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Unpacked bytes, up to a limit.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                let message = format!("it unpacks to more than {UNPACKED_BYTES_MAX} bytes");
                return Err(io::Error::other(message));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
