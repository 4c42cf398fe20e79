//! Reads the raw bytes of an HTTP/1 request head before any other parser does.
//!
//! hyper's parser is lenient where RFC 9112 lets a recipient be; a proxy may not be, because what
//! it forgives, the server behind it may read differently. What passes here has one reading only.

use super::refusal::Refusal;
use memchr::{memchr, memchr_iter};
use std::ops::Range;

/// How big a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    pub header_bytes_max: usize,
    pub header_count_max: usize,
    pub target_bytes_max: usize,
}

/// Where the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// What the rest of the connection needs to know of a head that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the head, its empty line included.
    pub len: usize,
    pub framing: Framing,
    /// Asks to become a WebSocket: what follows is not HTTP if the answer is 101.
    pub websocket: bool,
    /// Where the target stands, if it holds characters that no URI has and clients send all the same.
    pub odd_target: Option<Range<usize>>,
}

/// Finds the end of a head as it arrives, reading every byte once.
#[derive(Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
}

impl HeadScanner {
    /// Continues over `buffer`, which begins at the first byte of the head and only ever grows.
    ///
    /// `Ok(Some(n))`: the head is the first `n` bytes. `Ok(None)`: more bytes are needed.
    pub fn scan(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        let from = self.scanned;
        let fresh = buffer.get(from..).unwrap_or_default();
        for found in memchr_iter(b'\n', fresh) {
            let end = from + found + 1;
            let line = buffer.get(..end).unwrap_or_default();
            if !line.ends_with(b"\r\n") {
                return Err(Refusal::BareLineFeed);
            }
            if end > limits.header_bytes_max {
                return Err(Refusal::HeadTooLarge);
            }
            // An empty first line is refused below, where the request line is read.
            if line.ends_with(b"\r\n\r\n") || end == 2 {
                self.scanned = 0;
                return Ok(Some(end));
            }
        }
        self.scanned = buffer.len();
        if buffer.len() > limits.header_bytes_max {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(None)
    }

    pub fn restart(&mut self) {
        self.scanned = 0;
    }
}

/// Reads a whole head (up to and with its empty line).
pub fn read(head: &[u8], limits: &HeadLimits) -> Result<Head, Refusal> {
    if memchr(0, head).is_some() {
        return Err(Refusal::NulByte);
    }
    let mut lines = Lines(head);
    let request = lines.next_line()?.ok_or(Refusal::InvalidRequestLine)?;
    let request = RequestLine::read(request, limits)?;

    let mut fields = Fields::default();
    let mut count = 0usize;
    loop {
        let line = lines.next_line()?.ok_or(Refusal::InvalidRequestLine)?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > limits.header_count_max {
            return Err(Refusal::TooManyHeaders);
        }
        let (name, value) = read_field(line)?;
        fields.note(name, value)?;
    }
    let framing = fields.framing(request.old_version)?;
    fields.check_host(&request)?;
    let websocket = fields.upgrade_websocket
        && fields.connection_upgrade
        && request.method == b"GET"
        && !request.old_version
        && framing == Framing::None;
    Ok(Head { len: head.len(), framing, websocket, odd_target: request.odd_target() })
}

struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    /// The next line without its CRLF.
    fn next_line(&mut self) -> Result<Option<&'a [u8]>, Refusal> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let end = memchr(b'\n', self.0).ok_or(Refusal::InvalidRequestLine)?;
        let (line, rest) = self.0.split_at_checked(end).ok_or(Refusal::InvalidRequestLine)?;
        self.0 = rest.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").ok_or(Refusal::BareLineFeed)?;
        if memchr(b'\r', line).is_some() {
            return Err(Refusal::BareCarriageReturn);
        }
        Ok(Some(line))
    }
}

/// Whether a byte of a target is one that RFC 3986 has no place for, that has one reading all the same, and
/// that hyper would refuse unheard: attacks are full of them, and rules are to see them.
pub fn is_odd(byte: u8, in_query: bool) -> bool {
    match byte {
        b'<' | b'>' => true,
        b'"' => in_query,
        b'`' => !in_query,
        _ => false,
    }
}

/// Appends a target as a browser would have sent it: what is odd in it percent-encoded.
pub fn encode_target(target: &[u8], out: &mut impl Extend<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut in_query = false;
    for byte in target {
        if is_odd(*byte, in_query) {
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            out.extend([*byte]);
        }
        in_query |= *byte == b'?';
    }
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// Host of an absolute-form target.
    authority: Option<&'a [u8]>,
    /// HTTP/1.0.
    old_version: bool,
}

impl<'a> RequestLine<'a> {
    fn read(line: &'a [u8], limits: &HeadLimits) -> Result<Self, Refusal> {
        let mut words = line.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::InvalidRequestLine);
        };
        if method.is_empty() || !method.iter().all(|&b| is_token(b)) {
            return Err(Refusal::InvalidRequestLine);
        }
        let old_version = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ if version.starts_with(b"HTTP/") => return Err(Refusal::UnsupportedVersion),
            _ => return Err(Refusal::InvalidRequestLine),
        };
        if method == b"CONNECT" || method == b"TRACE" {
            return Err(Refusal::MethodRefused);
        }
        if target.len() > limits.target_bytes_max {
            return Err(Refusal::TargetTooLong);
        }
        // Bytes above ASCII are not URI characters, yet browsers of old send them raw in queries;
        // as UTF-8 they have one reading, so they may pass. Controls, spaces and fragments may not.
        let is_text = std::str::from_utf8(target).is_ok();
        if !is_text || target.iter().any(|&b| b <= b' ' || b == 0x7f || b == b'#') {
            return Err(Refusal::InvalidTarget);
        }
        let authority = match target.first() {
            Some(b'/') => None,
            Some(b'*') if target == b"*" && method == b"OPTIONS" => None,
            _ => Some(absolute_authority(target).ok_or(Refusal::InvalidTarget)?),
        };
        Ok(RequestLine { method, target, authority, old_version })
    }

    fn odd_target(&self) -> Option<Range<usize>> {
        let query = memchr(b'?', self.target).unwrap_or(self.target.len());
        let mut bytes = self.target.iter().enumerate();
        bytes.any(|(at, byte)| is_odd(*byte, at > query)).then(|| {
            let from = self.method.len() + 1;
            from..from + self.target.len()
        })
    }
}

/// The host of `http://host[:port]/…`; user information is refused.
fn absolute_authority(target: &[u8]) -> Option<&[u8]> {
    let scheme_end = target.windows(3).position(|w| w == b"://")?;
    let (scheme, rest) = target.split_at_checked(scheme_end)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.get(3..)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    is_host(authority).then_some(authority)
}

/// Splits and checks one header or trailer line.
pub fn read_field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::FoldedHeader);
    }
    let colon = memchr(b':', line).ok_or(Refusal::InvalidHeaderName)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Refusal::InvalidHeaderName)?;
    let value = value.get(1..).unwrap_or_default();
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(Refusal::SpaceBeforeColon);
    }
    if name.is_empty() || !name.iter().all(|&b| is_token(b)) {
        return Err(Refusal::InvalidHeaderName);
    }
    if !value.iter().all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f)) {
        return Err(Refusal::InvalidHeaderValue);
    }
    Ok((name, trim(value)))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110 §5.6.2 `tchar`.
pub fn is_token(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let allowed =
            b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut i = 0;
        while i < allowed.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "`i` is below the length; a u8 is below 256"
            )]
            {
                table[allowed[i] as usize] = true;
            }
            i += 1;
        }
        table
    };
    TABLE.get(usize::from(byte)).copied().unwrap_or(false)
}

/// `name`, `name:port` or `[v6]:port`, without user information, lists or escapes.
pub fn is_host(host: &[u8]) -> bool {
    let (name, port) = split_port(host);
    let port_fits =
        port.is_none_or(|p| (1..=5).contains(&p.len()) && p.iter().all(u8::is_ascii_digit));
    let name_fits = match name {
        [] => false,
        [b'[', inner @ .., b']'] => {
            std::str::from_utf8(inner).is_ok_and(|t| t.parse::<std::net::Ipv6Addr>().is_ok())
        }
        _ => name.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    name_fits && port_fits
}

/// Splits `host:port`; the colons of a bracketed IPv6 address are its own.
pub fn split_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let search_from = host.iter().rposition(|&b| b == b']').map_or(0, |i| i + 1);
    match host.iter().skip(search_from).position(|&b| b == b':') {
        Some(colon) => {
            let at = search_from + colon;
            (host.get(..at).unwrap_or_default(), host.get(at + 1..))
        }
        None => (host, None),
    }
}

#[derive(Default)]
struct Fields<'a> {
    length: Option<u64>,
    chunked: bool,
    host: Option<&'a [u8]>,
    upgrade_websocket: bool,
    connection_upgrade: bool,
}

impl<'a> Fields<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host.replace(value).is_some() {
                    return Err(Refusal::RepeatedHost);
                }
                if !is_host(value) {
                    return Err(Refusal::InvalidHost);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect")
                && !value.eq_ignore_ascii_case(b"100-continue") =>
            {
                return Err(Refusal::ExpectationUnknown);
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade_websocket = value.eq_ignore_ascii_case(b"websocket");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.connection_upgrade |=
                    value.split(|&b| b == b',').any(|t| trim(t).eq_ignore_ascii_case(b"upgrade"));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = read_length(value).ok_or(Refusal::InvalidLength)?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::RepeatedLength);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::TransferEncoding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, old_version: bool) -> Result<Framing, Refusal> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Refusal::LengthAndChunked),
            (None, true) if old_version => Err(Refusal::ChunkedInOldVersion),
            (None, true) => Ok(Framing::Chunked),
            (Some(0) | None, false) => Ok(Framing::None),
            (Some(length), false) => Ok(Framing::Length(length)),
        }
    }

    fn check_host(&self, request: &RequestLine) -> Result<(), Refusal> {
        match (self.host, request.authority) {
            (None, _) if !request.old_version => Err(Refusal::MissingHost),
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                Err(Refusal::HostMismatch)
            }
            _ => Ok(()),
        }
    }
}

/// Plain digits, at most 18 of them so that no reader overflows a signed 64-bit number.
fn read_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
