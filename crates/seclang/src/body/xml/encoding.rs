//! Which characters the bytes of a document are.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The declaration's end is looked for in this many bytes.
const DECLARATION_BYTES_MAX: usize = 256;

/// The document as text: by its byte order mark, the pattern of its first bytes, or its declaration.
pub(super) fn decode(body: &[u8]) -> Result<Cow<'_, str>, String> {
    let (encoding, text) = match body {
        [0xef, 0xbb, 0xbf, text @ ..] => (UTF_8, text),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err("encoding UTF-32".to_owned()),
        [0xff, 0xfe, text @ ..] => (UTF_16LE, text),
        [0xfe, 0xff, text @ ..] => (UTF_16BE, text),
        [b'<', 0, _, ..] => (UTF_16LE, body),
        [0, b'<', ..] => (UTF_16BE, body),
        _ => (declared(body)?, body),
    };
    if encoding == UTF_8 {
        return match std::str::from_utf8(text) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => Err(format!("invalid UTF-8 at byte {}", error.valid_up_to())),
        };
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(text)
        .ok_or_else(|| format!("bytes that are not {}", encoding.name()))
}

fn declared(body: &[u8]) -> Result<&'static Encoding, String> {
    let start = body.get(..DECLARATION_BYTES_MAX).unwrap_or(body);
    if !start.starts_with(b"<?xml") {
        return Ok(UTF_8);
    }
    let Some(end) = memchr::memmem::find(start, b"?>") else {
        return Err("XML declaration without an end".to_owned());
    };
    let declaration = start.get(..end).unwrap_or_default();
    let Some(at) = memchr::memmem::find(declaration, b"encoding") else { return Ok(UTF_8) };
    let value = declaration.get(at + b"encoding".len()..).unwrap_or_default().trim_ascii();
    let value = value.strip_prefix(b"=").unwrap_or_default().trim_ascii();
    let label = match value {
        [quote @ (b'"' | b'\''), rest @ ..] => {
            memchr::memchr(*quote, rest).and_then(|end| rest.get(..end))
        }
        _ => None,
    };
    match label.and_then(Encoding::for_label) {
        // The declaration was read as ASCII: it cannot be.
        Some(encoding) if !encoding.is_ascii_compatible() => {
            Err("wrong encoding declared".to_owned())
        }
        Some(encoding) => Ok(encoding),
        None => Err("unknown encoding".to_owned()),
    }
}
