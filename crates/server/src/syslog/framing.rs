//! Where one message of a stream ends: by its length, or by its newline.

/// Longer ones are cut here and their rest skipped. RFC 5425 §4.3.1 asks receivers to take 2048 bytes
/// and suggests 8192; 64 KiB is what fits a UDP datagram, so no transport takes less than another.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Digits of a length: more than any message we take needs.
const LENGTH_DIGITS_MAX: usize = 7;

/// Cuts a stream into messages. RFC 6587: a digit begins an octet-counted message, anything else one
/// that a newline ends; senders may not mix them, and if they do we still read both.
#[derive(Debug, Default)]
pub struct Framer {
    held: Vec<u8>,
    /// Bytes of a message too long that are still to come.
    skip: usize,
    skip_line: bool,
    /// Messages that were cut.
    pub cut: u64,
}

/// The stream is not syslog framing: the connection cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stream has a message length that is no number: send octet-counted or newline-ended messages"
)]
pub struct BadFrame;

impl Framer {
    /// Takes bytes and gives the messages they complete to `each`.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), BadFrame> {
        if self.skip > 0 {
            let gone = self.skip.min(bytes.len());
            self.skip -= gone;
            bytes = bytes.get(gone..).unwrap_or_default();
        }
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(rest) = self.held.get(from..).filter(|rest| !rest.is_empty()) {
            if self.skip_line {
                match rest.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        self.skip_line = false;
                        from += end + 1;
                    }
                    None => from = self.held.len(),
                }
                continue;
            }
            let taken = match rest.first() {
                Some(b'0'..=b'9') => counted(rest)?,
                Some(b'\n' | b'\r' | 0) => Some(Taken::Message { at: 0, length: 0, total: 1 }),
                _ => line(rest),
            };
            match taken {
                Some(Taken::Message { at, length, total }) => {
                    let message = rest.get(at..at + length).unwrap_or_default().trim_ascii_end();
                    if !message.is_empty() {
                        each(message);
                    }
                    from += total;
                }
                Some(Taken::TooLong { at, total }) => {
                    self.cut += 1;
                    each(rest.get(at..at + MESSAGE_BYTES_MAX).unwrap_or_default());
                    match total {
                        Some(total) => {
                            self.skip = total.saturating_sub(rest.len());
                            from += total.min(rest.len());
                        }
                        None => {
                            self.skip_line = true;
                            from += at + MESSAGE_BYTES_MAX;
                        }
                    }
                }
                None => break,
            }
        }
        self.held.drain(..from);
        Ok(())
    }

    /// The stream ended: what is left is a last line without its newline.
    pub fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        let message = std::mem::take(&mut self.held);
        let message = message.trim_ascii_end();
        if !message.is_empty() && !self.skip_line {
            each(message);
        }
    }
}

enum Taken {
    Message {
        at: usize,
        length: usize,
        total: usize,
    },
    /// At least [`MESSAGE_BYTES_MAX`] bytes are there from `at`; `total` is known for counted ones.
    TooLong {
        at: usize,
        total: Option<usize>,
    },
}

fn counted(rest: &[u8]) -> Result<Option<Taken>, BadFrame> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > LENGTH_DIGITS_MAX {
        return Err(BadFrame);
    }
    match rest.get(digits) {
        None => return Ok(None),
        Some(b' ') => {}
        Some(_) => return Err(BadFrame),
    }
    let text = rest.get(..digits).and_then(|text| std::str::from_utf8(text).ok());
    let length: usize = text.and_then(|text| text.parse().ok()).ok_or(BadFrame)?;
    let at = digits + 1;
    if length > MESSAGE_BYTES_MAX {
        let is_there = rest.len() >= at + MESSAGE_BYTES_MAX;
        return Ok(is_there.then_some(Taken::TooLong { at, total: Some(at + length) }));
    }
    let total = at + length;
    Ok((rest.len() >= total).then_some(Taken::Message { at, length, total }))
}

fn line(rest: &[u8]) -> Option<Taken> {
    match rest.iter().take(MESSAGE_BYTES_MAX + 1).position(|byte| *byte == b'\n') {
        Some(end) => Some(Taken::Message { at: 0, length: end, total: end + 1 }),
        None if rest.len() > MESSAGE_BYTES_MAX => Some(Taken::TooLong { at: 0, total: None }),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8], piece: usize) -> Vec<String> {
        let mut framer = Framer::default();
        let mut messages = Vec::new();
        let text = |message: &[u8]| String::from_utf8_lossy(message).into_owned();
        for bytes in stream.chunks(piece) {
            framer.push(bytes, |message| messages.push(text(message))).unwrap();
        }
        framer.finish(|message| messages.push(text(message)));
        messages
    }

    #[test]
    fn both_framings_wherever_the_stream_is_cut() {
        let stream = b"<13>one\n11 <13>tw\no 2x<13>three\r\n\n5 <1>ab<13>last";
        for piece in 1..stream.len() {
            assert_eq!(
                read(stream, piece),
                ["<13>one", "<13>tw\no 2x", "<13>three", "<1>ab", "<13>last"],
                "{piece}"
            );
        }
    }

    #[test]
    fn a_message_too_long_is_cut_and_the_next_is_whole() {
        let long = "x".repeat(MESSAGE_BYTES_MAX + 10);
        for stream in [format!("{long}\n<13>next\n"), format!("{} {long}<13>next\n", long.len())] {
            let messages = read(stream.as_bytes(), 1000);
            assert_eq!(messages.len(), 2);
            assert_eq!(messages[0].len(), MESSAGE_BYTES_MAX);
            assert_eq!(messages[1], "<13>next");
        }
    }

    #[test]
    fn a_length_that_is_none_ends_the_stream() {
        let mut framer = Framer::default();
        assert_eq!(framer.push(b"12x abc", |_| {}), Err(BadFrame));
        assert_eq!(Framer::default().push(b"123456789 abc", |_| {}), Err(BadFrame));
    }
}
