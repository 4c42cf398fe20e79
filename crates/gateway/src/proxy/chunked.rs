//! Follows a chunked request body byte by byte, so that its end is known and has one reading.

use super::head::{is_token, read_field};
use super::refusal::Refusal;

/// Longest chunk-size line, extensions included: real ones are a few digits.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Extensions of all chunks of one body: more is an attack (CVE-2023-39326).
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// All trailers of one body. They are read, and dropped.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// Where in a chunked body we are.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    line: Vec<u8>,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    DataEndLineFeed,
    Trailer,
    Done,
}

impl Chunks {
    /// Follows `bytes`; `Ok((used, done))` says how many belong to this body and whether it ended.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|r| !r.is_empty()) {
            match self.state {
                State::Size => {
                    used +=
                        self.take_line(rest, CHUNK_LINE_BYTES_MAX, Refusal::ChunkExtensionTooLong)?;
                    if self.line.ends_with(b"\r\n") {
                        let size = self.read_size()?;
                        self.state = if size == 0 { State::Trailer } else { State::Data(size) };
                        self.line.clear();
                    }
                }
                State::Data(left) => {
                    let taken = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(left);
                    used += usize::try_from(taken).unwrap_or(rest.len());
                    self.state =
                        if taken == left { State::DataEnd } else { State::Data(left - taken) };
                }
                State::DataEnd | State::DataEndLineFeed => {
                    let (wanted, next) = match self.state {
                        State::DataEnd => (b'\r', State::DataEndLineFeed),
                        _ => (b'\n', State::Size),
                    };
                    if rest.first() != Some(&wanted) {
                        return Err(Refusal::InvalidChunkEnd);
                    }
                    used += 1;
                    self.state = next;
                }
                State::Trailer => {
                    let taken =
                        self.take_line(rest, TRAILER_BYTES_MAX, Refusal::TrailersTooLarge)?;
                    used += taken;
                    self.trailer_bytes += taken;
                    if self.trailer_bytes > TRAILER_BYTES_MAX {
                        return Err(Refusal::TrailersTooLarge);
                    }
                    if let Some(line) = self.line.strip_suffix(b"\r\n") {
                        if line.is_empty() {
                            self.state = State::Done;
                        } else {
                            check_trailer(line)?;
                        }
                        self.line.clear();
                    }
                }
                State::Done => return Ok((used, true)),
            }
        }
        Ok((used, matches!(self.state, State::Done)))
    }

    /// Adds to `line` up to and with the next LF; says how many bytes that took.
    fn take_line(&mut self, rest: &[u8], max: usize, too_long: Refusal) -> Result<usize, Refusal> {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
        if self.line.len() + end > max {
            return Err(too_long);
        }
        self.line.extend_from_slice(rest.get(..end).unwrap_or_default());
        if self.line.ends_with(b"\n") {
            let content = self.line.strip_suffix(b"\r\n").ok_or(Refusal::BareLineFeed)?;
            if content.contains(&b'\r') {
                return Err(Refusal::BareCarriageReturn);
            }
        }
        Ok(end)
    }

    fn read_size(&mut self) -> Result<u64, Refusal> {
        let line = self.line.strip_suffix(b"\r\n").unwrap_or_default();
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at_checked(digits).ok_or(Refusal::InvalidChunkSize)?;
        // 15 digits stay below every reader's 64 bits.
        if !(1..=15).contains(&digits) || !matches!(extension.first(), None | Some(b';')) {
            return Err(Refusal::InvalidChunkSize);
        }
        if extension.iter().any(|&b| b < b' ' || b == 0x7f) {
            return Err(Refusal::InvalidChunkSize);
        }
        self.extension_bytes += extension.len();
        if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
            return Err(Refusal::ChunkExtensionTooLong);
        }
        std::str::from_utf8(size)
            .ok()
            .and_then(|text| u64::from_str_radix(text, 16).ok())
            .ok_or(Refusal::InvalidChunkSize)
    }
}

/// A trailer may not pretend to frame, route or authenticate (RFC 9110 §6.5.1).
fn check_trailer(line: &[u8]) -> Result<(), Refusal> {
    const FORBIDDEN: [&str; 6] =
        ["transfer-encoding", "content-length", "host", "authorization", "cookie", "connection"];
    let (name, _) = read_field(line).map_err(|_| Refusal::InvalidTrailer)?;
    let forbidden = FORBIDDEN.iter().any(|f| name.eq_ignore_ascii_case(f.as_bytes()));
    if forbidden || !name.iter().all(|&b| is_token(b)) {
        return Err(Refusal::InvalidTrailer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<(usize, bool), &'static str> {
        let whole = Chunks::default().follow(body.as_bytes()).map_err(Refusal::code);
        // One byte at a time must read the same.
        let mut chunks = Chunks::default();
        let mut used = 0;
        let mut stepwise = Ok((0, false));
        for byte in body.as_bytes() {
            stepwise = chunks.follow(&[*byte]).map_err(Refusal::code).map(|(n, done)| {
                used += n;
                (used, done)
            });
            if stepwise.is_err() || stepwise.is_ok_and(|(_, done)| done) {
                break;
            }
        }
        assert_eq!(whole, stepwise, "{body:?}");
        whole
    }

    #[test]
    fn a_body_ends_where_it_says() {
        assert_eq!(check("0\r\n\r\n"), Ok((5, true)));
        assert_eq!(
            check("3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET"),
            Ok((40, true))
        );
        assert_eq!(check("3\r\nab"), Ok((5, false)));
    }

    #[test]
    fn malformed_chunks_are_refused_by_name() {
        let long = "x".repeat(CHUNK_LINE_BYTES_MAX);
        let cases = [
            ("\r\n", "invalid-chunk-size"),
            ("0x3\r\nabc\r\n", "invalid-chunk-size"),
            ("+3\r\n", "invalid-chunk-size"),
            ("3 \r\nabc", "invalid-chunk-size"),
            (" 3\r\nabc", "invalid-chunk-size"),
            ("3\t;x\r\nabc", "invalid-chunk-size"),
            ("10000000000000003\r\nabc", "invalid-chunk-size"),
            ("3;\u{1}\r\nabc", "invalid-chunk-size"),
            ("3\nabc", "bare-line-feed"),
            ("3;a\rb\r\nabc", "bare-carriage-return"),
            ("3\r\nabcX", "invalid-chunk-end"),
            ("3\r\nabc\rX", "invalid-chunk-end"),
            ("0\r\nTransfer-Encoding: chunked\r\n\r\n", "invalid-trailer"),
            ("0\r\nbad name: x\r\n\r\n", "invalid-trailer"),
        ];
        for (body, code) in cases {
            assert_eq!(check(body), Err(code), "{body:?}");
        }
        assert_eq!(check(&format!("3;{long}\r\n")), Err("chunk-extension-too-long"));
        let chunk = format!("1;{}\r\nx\r\n", "y".repeat(CHUNK_LINE_BYTES_MAX - 8));
        assert_eq!(check(&chunk.repeat(80)), Err("chunk-extension-too-long"));
        let trailer = format!("X: {}\r\n", "y".repeat(1000));
        assert_eq!(check(&format!("0\r\n{}", trailer.repeat(5))), Err("trailers-too-large"));
    }
}
