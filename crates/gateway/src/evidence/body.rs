//! A body as it came on the wire → text a person can read and a rule can match, protected.

use super::exchange::CapturedBody;
use super::protect::Protect;
use bytes::Bytes;
use data_encoding::BASE64;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use std::borrow::Cow;
use std::io::Read;

/// Encodings one inside the other that are undone (`gzip, br`).
const ENCODINGS_MAX: usize = 3;
/// 8 MiB is the window RFC 9659 allows for HTTP.
pub(super) const ZSTD_WINDOW_LOG: u32 = 23;

/// A body without its content encoding.
pub(super) struct Decoded<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Its end is missing: the capture limit, the decoded limit, or a broken stream.
    pub(super) cut: bool,
    /// The encoding is unknown or broken from the start: these are still the bytes of the wire.
    pub(super) opaque: bool,
}

/// Undoes `Content-Encoding`, keeping at most `limit` bytes: a small body that unpacks to gigabytes
/// costs no more than an honest one.
pub(super) fn decode<'a>(body: &'a CapturedBody, headers: &HeaderMap, limit: usize) -> Decoded<'a> {
    let names = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    let names: Vec<&str> = names.collect();
    let mut bytes = Cow::Borrowed(body.bytes.as_ref());
    let mut cut = body.truncated;
    if names.len() > ENCODINGS_MAX {
        return Decoded { bytes, cut, opaque: true };
    }
    for name in names.iter().rev() {
        let Some((plain, ended)) = unpack(name, &bytes, limit) else {
            return Decoded { bytes, cut, opaque: true };
        };
        if plain.is_empty() && !bytes.is_empty() && !ended {
            return Decoded { bytes, cut, opaque: true };
        }
        cut |= !ended;
        bytes = Cow::Owned(plain);
    }
    if bytes.len() > limit {
        cut = true;
        bytes = match bytes {
            Cow::Borrowed(whole) => Cow::Borrowed(whole.get(..limit).unwrap_or(whole)),
            Cow::Owned(mut whole) => {
                whole.truncate(limit);
                Cow::Owned(whole)
            }
        };
    }
    Decoded { bytes, cut, opaque: false }
}

/// A body as rules look at it: without its content encoding, `limit` bytes at most, and whether that is
/// all of it. `None`: the encoding is unknown or broken.
pub(crate) fn plain_body(
    body: &CapturedBody,
    headers: &HeaderMap,
    limit: usize,
) -> Option<(Bytes, bool)> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Some((body.bytes.clone(), !body.truncated));
    }
    let decoded = decode(body, headers, limit);
    let whole = !decoded.cut;
    (!decoded.opaque).then(|| (Bytes::from(decoded.bytes.into_owned()), whole))
}

/// The plain bytes, and whether the stream came to its end. `None`: an encoding we do not know.
fn unpack(name: &str, bytes: &[u8], limit: usize) -> Option<(Vec<u8>, bool)> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("gzip") || is("x-gzip") {
        Some(read(flate2::bufread::MultiGzDecoder::new(bytes), limit))
    } else if is("deflate") {
        // RFC 9110 §8.4.1.2 says zlib; some send raw deflate.
        let zlib = read(flate2::bufread::ZlibDecoder::new(bytes), limit);
        Some(if zlib.0.is_empty() {
            read(flate2::bufread::DeflateDecoder::new(bytes), limit)
        } else {
            zlib
        })
    } else if is("br") {
        const BUFFER_BYTES: usize = 4096;
        Some(read(brotli::Decompressor::new(bytes, BUFFER_BYTES), limit))
    } else if is("zstd") {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).ok()?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
        Some(read(decoder, limit))
    } else {
        None
    }
}

/// Reads up to `limit` bytes; a stream that breaks gives what came before.
fn read(mut stream: impl Read, limit: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut chunk = [0u8; 8192];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return (out, true),
            Ok(n) => {
                let room = limit.saturating_sub(out.len());
                out.extend_from_slice(chunk.get(..n.min(room)).unwrap_or_default());
                if n > room {
                    return (out, false);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return (out, false),
        }
    }
}

/// `Content-Type` without parameters, in lower case, and its charset.
pub(super) struct MediaType<'a> {
    pub(super) full: &'a str,
    pub(super) charset: Option<&'a str>,
}

impl<'a> MediaType<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> MediaType<'a> {
        Self::parse(headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default())
    }

    fn parse(full: &'a str) -> MediaType<'a> {
        let parameter = |name: &str| {
            full.split(';').skip(1).find_map(|p| {
                let (key, value) = p.trim().split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
            })
        };
        MediaType { full, charset: parameter("charset") }
    }

    fn essence(&self) -> &'a str {
        self.full.split(';').next().unwrap_or_default().trim()
    }

    fn is(&self, essence: &str) -> bool {
        self.essence().eq_ignore_ascii_case(essence)
    }

    fn is_text(&self) -> bool {
        let essence = self.essence().to_ascii_lowercase();
        essence.starts_with("text/")
            || ["json", "xml", "javascript", "x-www-form-urlencoded", "graphql", "yaml"]
                .iter()
                .any(|part| essence.contains(part))
    }
}

/// The bytes as text, when they are text. The end of a cut text loses its half character.
pub(super) fn text<'a>(bytes: &'a [u8], media: &MediaType<'_>, cut: bool) -> Option<Cow<'a, str>> {
    let declared = media.charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let marked = Encoding::for_bom(bytes).map(|(encoding, _)| encoding);
    let encoding = marked.or(declared).unwrap_or_else(|| guess(bytes));
    if encoding == UTF_8 {
        return match std::str::from_utf8(bytes) {
            Ok(text) if !is_binary(text) || media.is_text() => Some(Cow::Borrowed(text)),
            Err(error) if cut && error.error_len().is_none() => {
                let whole = bytes.get(..error.valid_up_to())?;
                std::str::from_utf8(whole).ok().filter(|t| !is_binary(t)).map(Cow::Borrowed)
            }
            _ => None,
        };
    }
    let mut bytes = bytes;
    // At most three bytes of a character can be missing at a cut.
    for _ in 0..=3 {
        let (text, _, broken) = encoding.decode(bytes);
        if !broken {
            return Some(text);
        }
        if !cut {
            return None;
        }
        bytes = bytes.split_last()?.1;
    }
    None
}

/// UTF-16 without a mark shows by its zero bytes; anything else undeclared is UTF-8 or no text.
fn guess(bytes: &[u8]) -> &'static Encoding {
    const SAMPLE_BYTES: usize = 256;
    let sample = bytes.get(..SAMPLE_BYTES.min(bytes.len())).unwrap_or_default();
    if sample.len() < 4 || memchr::memchr(0, sample).is_none() {
        return UTF_8;
    }
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|b| **b == 0).count() * 2;
    match (zeros(0) * 10 / sample.len(), zeros(1) * 10 / sample.len()) {
        (0, 6..) => UTF_16LE,
        (6.., 0) => UTF_16BE,
        _ => UTF_8,
    }
}

/// Control characters no text has.
fn is_binary(text: &str) -> bool {
    const SAMPLE_BYTES: usize = 1024;
    text.bytes().take(SAMPLE_BYTES).any(|b| matches!(b, 0..=6 | 0x0E..=0x1A | 0x1C | 0x1D | 0x1F))
}

/// A body ready to leave the process.
pub(super) struct Shown {
    pub(super) text: String,
    /// `base64` when the body is no text.
    pub(super) encoding: Option<&'static str>,
    /// Something was destroyed or masked in it.
    pub(super) hidden: bool,
}

impl Protect<'_> {
    /// Protects a decoded body.
    /// `as_text`: what [`text`] made of it, where the caller has asked already.
    pub(super) fn body(
        &mut self,
        decoded: &Decoded<'_>,
        media: &MediaType<'_>,
        as_text: Option<&str>,
    ) -> Option<Shown> {
        let bytes = decoded.bytes.as_ref();
        if bytes.is_empty() {
            return None;
        }
        if decoded.opaque {
            // A header that lies is no place to hide: what is text is read as text. What is not might
            // hold anything, and we cannot look into it; its length and SHA-256 are kept.
            return Some(match std::str::from_utf8(bytes) {
                Ok(text) if !is_binary(text) => {
                    let hidden = self.document(text, media, decoded.cut);
                    Shown {
                        hidden: hidden.is_some(),
                        text: hidden.unwrap_or_else(|| text.to_owned()),
                        encoding: None,
                    }
                }
                _ => Shown { text: "[undecodable]".to_owned(), encoding: None, hidden: false },
            });
        }
        if let Some(text) = as_text.filter(|text| !text.starts_with("--")) {
            let hidden = self.document(text, media, decoded.cut);
            return Some(Shown {
                hidden: hidden.is_some(),
                text: hidden.unwrap_or_else(|| text.to_owned()),
                encoding: None,
            });
        }
        let protected = self.bytes(bytes, media, decoded.cut, 0);
        Some(match protected {
            Protected::Text(text, hidden) => Shown { text, encoding: None, hidden },
            Protected::Bytes(shown) => Shown {
                text: BASE64.encode(&shown),
                encoding: Some("base64"),
                hidden: shown != bytes,
            },
        })
    }

    fn bytes(&mut self, bytes: &[u8], media: &MediaType<'_>, cut: bool, depth: u8) -> Protected {
        if depth < 3
            && let Some(boundary) = boundary(bytes)
        {
            let out = self.multipart(bytes, boundary, cut, depth);
            return match String::from_utf8(out) {
                Ok(text) => {
                    let hidden = text.as_bytes() != bytes;
                    Protected::Text(text, hidden)
                }
                Err(bytes) => Protected::Bytes(bytes.into_bytes()),
            };
        }
        match text(bytes, media, cut) {
            Some(text) => {
                let hidden = self.document(&text, media, cut);
                let changed = hidden.is_some();
                Protected::Text(hidden.unwrap_or_else(|| text.into_owned()), changed)
            }
            None => Protected::Bytes(self.binary(bytes, cut)),
        }
    }

    /// Text in the form its first characters show; the declared type decides only where they do not.
    pub(super) fn document(
        &mut self,
        text: &str,
        media: &MediaType<'_>,
        cut: bool,
    ) -> Option<String> {
        let head = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if media.is("text/event-stream") {
            self.stream(text, cut)
        } else if head.starts_with(['{', '['])
            || (head.starts_with('"') && media.essence().ends_with("json"))
        {
            self.json(text, cut, 0)
        } else if is_form(text, media) {
            self.form(text, cut, 0)
        } else {
            self.plain(text, cut)
        }
    }

    fn plain(&mut self, text: &str, cut: bool) -> Option<String> {
        self.scanner.candidates(text, &mut self.candidates);
        if self.candidates.is_empty() && !cut { None } else { self.text(text, cut, 0) }
    }

    /// Server-sent events: each `data:` line is a document of its own.
    fn stream(&mut self, text: &str, cut: bool) -> Option<String> {
        self.scanner.candidates(text, &mut self.candidates);
        if self.candidates.is_empty() && !cut {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut changed = false;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            at += line.len();
            let bare = line.trim_end_matches(['\r', '\n']);
            let payload = bare.strip_prefix("data:").map_or(bare, str::trim_start);
            let last = cut && at == text.len() && bare.len() == line.len();
            let hidden = if payload.is_empty() { None } else { self.leaf(payload, last, 0) };
            match hidden {
                Some(hidden) => {
                    changed = true;
                    out.push_str(bare.get(..bare.len() - payload.len()).unwrap_or_default());
                    out.push_str(&hidden);
                    out.push_str(line.get(bare.len()..).unwrap_or_default());
                }
                None => out.push_str(line),
            }
        }
        changed.then_some(out)
    }

    /// Bytes that are no text: the stretches of text in them are protected, the rest stays.
    fn binary(&mut self, bytes: &[u8], cut: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let last = cut && chunks.peek().is_none();
            match self.plain(chunk.valid(), last) {
                Some(hidden) => out.extend_from_slice(hidden.as_bytes()),
                None => out.extend_from_slice(chunk.valid().as_bytes()),
            }
            out.extend_from_slice(chunk.invalid());
        }
        out
    }

    /// `multipart/form-data`, recognised by itself, whatever the header says (RFC 7578, RFC 2046 §5.1).
    fn multipart(&mut self, bytes: &[u8], boundary: &[u8], cut: bool, depth: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            // A part: delimiter line, headers, blank line, content up to the next delimiter.
            let end = memchr::memmem::find(
                rest.get(boundary.len().min(rest.len())..).unwrap_or_default(),
                boundary,
            )
            .map_or(bytes.len(), |i| at + boundary.len() + i);
            let part = bytes.get(at..end).unwrap_or_default();
            self.part(part, cut && end == bytes.len(), depth, &mut out);
            at = end;
        }
        out
    }

    fn part(&mut self, part: &[u8], cut: bool, depth: u8, out: &mut Vec<u8>) {
        let gap = [&b"\r\n\r\n"[..], b"\n\n"]
            .into_iter()
            .filter_map(|blank| memchr::memmem::find(part, blank).map(|i| (i, blank.len())))
            .min();
        let Some((head_end, blank)) = gap else {
            // The last delimiter, or a part cut in its headers.
            let hidden = self.binary(part, cut);
            out.extend_from_slice(&hidden);
            return;
        };
        let (head, content) = part.split_at(head_end + blank);
        let head_text = String::from_utf8_lossy(head);
        let name = disposition(&head_text, "name");
        let is_file = disposition(&head_text, "filename").is_some();
        let media = head_text
            .lines()
            .find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.trim().eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
            })
            .unwrap_or_default();
        match self.plain(&head_text, false) {
            Some(hidden) => out.extend_from_slice(hidden.as_bytes()),
            None => out.extend_from_slice(head),
        }
        // The line break before the next delimiter is not content.
        let tail =
            if content.ends_with(b"\r\n") { 2 } else { usize::from(content.ends_with(b"\n")) };
        let tail = if cut { 0 } else { tail };
        let (content, tail) = content.split_at(content.len() - tail);
        let class = name.map(|n| self.scanner.names.classify(&n));
        let field = match (class, std::str::from_utf8(content)) {
            (Some(class), Ok(text)) if !is_file => Some(
                self.field(class, text, cut, 0)
                    .map_or_else(|| content.to_vec(), String::into_bytes),
            ),
            // A secret that is no UTF-8 is a secret still.
            (Some(super::names::Class::Secret), Err(_)) => {
                Some(self.secret(&String::from_utf8_lossy(content)).into_bytes())
            }
            _ => None,
        };
        let content = field.unwrap_or_else(|| {
            match self.bytes(content, &MediaType::parse(&media), cut, depth + 1) {
                Protected::Text(text, _) => text.into_bytes(),
                Protected::Bytes(bytes) => bytes,
            }
        });
        out.extend_from_slice(&content);
        out.extend_from_slice(tail);
    }
}

enum Protected {
    /// And whether something was hidden in it.
    Text(String, bool),
    Bytes(Vec<u8>),
}

/// The delimiter a body begins with, `--` included, when it is multipart.
fn boundary(bytes: &[u8]) -> Option<&[u8]> {
    // RFC 2046 allows 70 characters.
    const BOUNDARY_MAX: usize = 74;
    if !bytes.starts_with(b"--") {
        return None;
    }
    let line = bytes.get(..bytes.len().min(BOUNDARY_MAX + 2))?;
    let end = memchr::memchr2(b'\r', b'\n', line)?;
    let head = bytes.get(end..bytes.len().min(end + 256))?;
    let disposition = String::from_utf8_lossy(head).to_ascii_lowercase();
    (end > 2 && disposition.contains("content-")).then(|| line.get(..end))?
}

/// A parameter of `Content-Disposition`, quoted or not, also as `name*=utf-8''…`.
fn disposition(head: &str, parameter: &str) -> Option<String> {
    let line = head.lines().find(|line| {
        line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"))
    })?;
    line.split(';').skip(1).find_map(|p| {
        let (key, value) = p.trim().split_once('=')?;
        let key = key.trim();
        let matches = key.eq_ignore_ascii_case(parameter)
            || key.strip_suffix('*').is_some_and(|k| k.eq_ignore_ascii_case(parameter));
        let value = value.trim().trim_matches('"');
        let value = value.rsplit_once("''").map_or(value, |(_, v)| v);
        matches.then(|| super::protect::percent_decode(value, false).into_owned())
    })
}

/// `name=value&…` without blanks: as declared, or as it looks.
fn is_form(text: &str, media: &MediaType<'_>) -> bool {
    let Some(first) = text.split('&').next().and_then(|pair| pair.split_once('=')) else {
        return false;
    };
    let name = first.0;
    let plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%' | b'+' | b'*')
    };
    media.is("application/x-www-form-urlencoded")
        || (!name.is_empty()
            && name.bytes().all(plain)
            && !text.trim_end().contains(|c: char| c.is_whitespace() || c == '<' || c == '"'))
}
