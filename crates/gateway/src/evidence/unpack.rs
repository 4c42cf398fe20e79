//! A content encoding undone piece by piece, as a stream comes in.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Undoes one content encoding. What it has unpacked so far is there after each piece, as far as the sender
/// flushed it.
pub(crate) struct Unpacker {
    kind: Kind,
    plain: Sink,
}

enum Kind {
    /// zlib or raw: the first byte tells.
    Deflate,
    Begun(Box<dyn Write + Send>),
}

/// Why nothing more comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpacked {
    Broken,
    /// More than there is room for.
    TooLong,
}

impl Unpacker {
    /// `Ok(None)`: there is nothing to undo. `Err`: an encoding we do not know, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Unpacker>, Unpacked> {
        let mut names = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        let Some(name) = names.next() else { return Ok(None) };
        if names.next().is_some() {
            return Err(Unpacked::Broken);
        }
        let plain = Sink::default();
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let kind = if is(b"gzip") || is(b"x-gzip") {
            Kind::Begun(Box::new(flate2::write::MultiGzDecoder::new(plain.clone())))
        } else if is(b"deflate") {
            Kind::Deflate
        } else if is(b"br") {
            const BUFFER_BYTES: usize = 4096;
            Kind::Begun(Box::new(brotli::DecompressorWriter::new(plain.clone(), BUFFER_BYTES)))
        } else if is(b"zstd") {
            let decoder = zstd::stream::write::Decoder::new(plain.clone());
            let mut decoder = decoder.map_err(|_| Unpacked::Broken)?;
            decoder.window_log_max(super::body::ZSTD_WINDOW_LOG).map_err(|_| Unpacked::Broken)?;
            Kind::Begun(Box::new(decoder))
        } else {
            return Err(Unpacked::Broken);
        };
        Ok(Some(Unpacker { kind, plain }))
    }

    /// What `packed` adds: `room` bytes at most. With an error comes what was unpacked before it.
    pub(crate) fn feed(&mut self, packed: &[u8], room: usize) -> (Vec<u8>, Result<(), Unpacked>) {
        let Some(first) = packed.first() else { return (Vec::new(), Ok(())) };
        self.plain.with(|plain| plain.room = room);
        if let Kind::Deflate = self.kind {
            // RFC 9110 §8.4.1.2 says zlib, whose first byte ends in 8; some send raw deflate.
            let out = self.plain.clone();
            self.kind = Kind::Begun(if first & 0x0f == 8 {
                Box::new(flate2::write::ZlibDecoder::new(out))
            } else {
                Box::new(flate2::write::DeflateDecoder::new(out))
            });
        }
        let Kind::Begun(decoder) = &mut self.kind else { return (Vec::new(), Ok(())) };
        let done = decoder.write_all(packed).and_then(|()| decoder.flush());
        let (bytes, is_full) =
            self.plain.with(|plain| (std::mem::take(&mut plain.bytes), plain.is_full));
        let end = match done {
            _ if is_full => Err(Unpacked::TooLong),
            Ok(()) => Ok(()),
            Err(_) => Err(Unpacked::Broken),
        };
        (bytes, end)
    }
}

/// Where decoders write to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Plain>>);

#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    room: usize,
    is_full: bool,
}

impl Sink {
    fn with<T>(&self, act: impl FnOnce(&mut Plain) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.with(|plain| {
            let room = plain.room.saturating_sub(plain.bytes.len());
            plain.bytes.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.len() > room {
                plain.is_full = true;
                // Decoders stop here: what is beyond the room costs nothing.
                return Err(io::Error::other("no room"));
            }
            Ok(part.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use flate2::Compression;
    use http::HeaderValue;

    fn unpacker(encoding: &'static str) -> Result<Option<Unpacker>, Unpacked> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        Unpacker::of(&headers)
    }

    /// Two pieces, each flushed as servers flush events.
    fn packed(encoding: &str) -> [Vec<u8>; 2] {
        fn two<W: Write>(mut writer: W, so_far: impl Fn(&W) -> Vec<u8>) -> [Vec<u8>; 2] {
            writer.write_all(b"data: first\n\n").unwrap();
            writer.flush().unwrap();
            let first = so_far(&writer);
            writer.write_all(b"data: second\n\n").unwrap();
            writer.flush().unwrap();
            let both = so_far(&writer);
            let second = both[first.len()..].to_vec();
            [first, second]
        }
        let level = Compression::default();
        match encoding {
            "gzip" => {
                two(flate2::write::GzEncoder::new(Vec::new(), level), |w| w.get_ref().clone())
            }
            "zlib" => {
                two(flate2::write::ZlibEncoder::new(Vec::new(), level), |w| w.get_ref().clone())
            }
            "raw" => {
                two(flate2::write::DeflateEncoder::new(Vec::new(), level), |w| w.get_ref().clone())
            }
            "br" => {
                two(brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20), |w| w.get_ref().clone())
            }
            _ => two(zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap(), |w| {
                w.get_ref().clone()
            }),
        }
    }

    #[test]
    fn each_piece_comes_out_when_it_came_in() {
        let encodings = [
            ("gzip", "gzip"),
            ("deflate", "zlib"),
            ("deflate", "raw"),
            ("br", "br"),
            ("zstd", "zstd"),
        ];
        for (name, made) in encodings {
            let mut unpacker = unpacker(name).unwrap().unwrap();
            for (piece, plain) in
                packed(made).iter().zip([&b"data: first\n\n"[..], b"data: second\n\n"])
            {
                let (bytes, end) = unpacker.feed(piece, 1000);
                assert_eq!((&bytes[..], end), (plain, Ok(())), "{made}");
            }
        }
    }

    #[test]
    fn a_small_piece_that_unpacks_to_much_fills_its_room_only() {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        writer.write_all(&vec![b'x'; 10_000_000]).unwrap();
        let bomb = writer.finish().unwrap();
        let (bytes, end) = unpacker("gzip").unwrap().unwrap().feed(&bomb, 1000);
        assert_eq!((bytes.len(), end), (1000, Err(Unpacked::TooLong)));
    }

    #[test]
    fn what_is_broken_or_unknown_is_told() {
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let mut unpacker = unpacker(encoding).unwrap().unwrap();
            let (_, end) = unpacker.feed(b"\xff\xff\xff\xff this is no such stream at all", 1000);
            assert_eq!(end, Err(Unpacked::Broken), "{encoding}");
        }
        assert!(unpacker("identity").unwrap().is_none());
        assert!(unpacker("snappy").is_err());
        assert!(unpacker("gzip, br").is_err());
    }
}
