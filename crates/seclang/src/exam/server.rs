//! Reads a request as a strict HTTP/1.1 server does (RFC 9112), and refuses what such a server refuses.

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Headers of a request.
pub const HEADERS_MAX: usize = 1_000;

/// A request as the server understood it: de-chunked, folded lines joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub protocol: Vec<u8>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Why the server answers by itself and asks nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Status 400.
    Bad(&'static str),
    /// More was announced than came: the server waits, and closes the connection.
    Unfinished(&'static str),
}

/// Reads the first request in `raw`; what follows it is not looked at.
///
/// # Errors
/// The request is refused.
pub fn parse(raw: &[u8]) -> Result<Request, Refusal> {
    let mut lines = Lines { rest: raw };
    let mut first = lines.next()?;
    if first.is_empty() {
        first = lines.next()?;
    }
    let mut request = request_line(first)?;
    headers(&mut lines, &mut request.headers)?;
    check_target(&request)?;
    check_host(&request)?;
    request.body = body(&mut request.headers, lines.rest)?;
    Ok(request)
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers, name)
    }
}

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

fn values<'a>(headers: &'a Headers, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value.as_slice())
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// Up to CR LF, or LF alone.
    fn next(&mut self) -> Result<&'a [u8], Refusal> {
        let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') else {
            return Err(Refusal::Unfinished("the head does not end"));
        };
        let (line, behind) = self.rest.split_at(end);
        self.rest = behind.get(1..).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\r') {
            return Err(Refusal::Bad("a carriage return inside a line"));
        }
        Ok(line)
    }
}

fn request_line(line: &[u8]) -> Result<Request, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(protocol), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Bad("the request line is not method, target and version"));
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::Bad("the method is not a token"));
    }
    if target.is_empty() || target.iter().any(|byte| *byte <= b' ' || *byte == 127) {
        return Err(Refusal::Bad("the target holds control characters"));
    }
    let is_version = matches!(protocol, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit());
    if !is_version {
        return Err(Refusal::Bad("the version is not HTTP/digit.digit"));
    }
    Ok(Request {
        method: method.to_vec(),
        target: target.to_vec(),
        protocol: protocol.to_vec(),
        ..Request::default()
    })
}

fn headers(lines: &mut Lines<'_>, headers: &mut Headers) -> Result<(), Refusal> {
    loop {
        let line = lines.next()?;
        if line.is_empty() {
            return Ok(());
        }
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 127) {
            return Err(Refusal::Bad("a header holds control characters"));
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let Some((_, value)) = headers.last_mut() else {
                return Err(Refusal::Bad("the first header line is a continuation"));
            };
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(Refusal::Bad("a header has no colon"));
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::Bad("a header's name is not a token"));
        }
        if headers.len() == HEADERS_MAX {
            return Err(Refusal::Bad("too many headers"));
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        headers.push((name.to_vec(), value.to_vec()));
    }
}

fn check_target(request: &Request) -> Result<(), Refusal> {
    let target = request.target.as_slice();
    if target.contains(&b'#') {
        return Err(Refusal::Bad("the target has a fragment"));
    }
    if request.method == b"CONNECT" {
        let port = target.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        let is_authority = target.contains(&b':')
            && !port.is_empty()
            && port.iter().all(u8::is_ascii_digit)
            && !target.contains(&b'/');
        return if is_authority {
            Ok(())
        } else {
            Err(Refusal::Bad("CONNECT needs a host and a port"))
        };
    }
    let is_absolute = target
        .windows(3)
        .position(|part| part == b"://")
        .and_then(|at| target.get(..at))
        .is_some_and(|scheme| {
            scheme.first().is_some_and(u8::is_ascii_alphabetic)
                && scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
        });
    let is_star = target == b"*" && request.method == b"OPTIONS";
    if target.starts_with(b"/") || is_absolute || is_star {
        Ok(())
    } else {
        Err(Refusal::Bad("the target is neither a path nor a URL"))
    }
}

fn check_host(request: &Request) -> Result<(), Refusal> {
    let is_old = request.protocol.as_slice() < b"HTTP/1.1".as_slice();
    let mut hosts = request.values("Host");
    let Some(host) = hosts.next() else {
        return if is_old { Ok(()) } else { Err(Refusal::Bad("there is no Host")) };
    };
    if hosts.next().is_some() {
        return Err(Refusal::Bad("there is more than one Host"));
    }
    if host.is_empty() {
        return if is_old { Ok(()) } else { Err(Refusal::Bad("Host is empty")) };
    }
    let is_plain = host
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte) || *byte >= 128);
    if is_plain { Ok(()) } else { Err(Refusal::Bad("Host is not a host's name")) }
}

/// Transfer-Encoding overrules Content-Length, which is then taken out: that is what may be forwarded.
fn body(headers: &mut Headers, rest: &[u8]) -> Result<Vec<u8>, Refusal> {
    let codings: Vec<&[u8]> = values(headers, "Transfer-Encoding").collect();
    if let Some(last) = codings.last() {
        let last = last.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
        if !last.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::Bad("the body's length cannot be known"));
        }
        let body = dechunk(rest)?;
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"Content-Length"));
        return Ok(body);
    }
    let mut lengths = values(headers, "Content-Length");
    let Some(length) = lengths.next() else { return Ok(Vec::new()) };
    if lengths.any(|other| other != length) {
        return Err(Refusal::Bad("two lengths that differ"));
    }
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Bad("Content-Length is not a number"));
    }
    let length: usize = std::str::from_utf8(length)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|length| *length <= BODY_BYTES_MAX)
        .ok_or(Refusal::Bad("the body is too long"))?;
    match rest.get(..length) {
        Some(body) => Ok(body.to_vec()),
        None => Err(Refusal::Unfinished("the body is shorter than Content-Length says")),
    }
}

fn dechunk(rest: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let mut lines = Lines { rest };
    loop {
        let line = lines.next()?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size)
            .ok()
            .filter(|size| size.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|size| usize::from_str_radix(size, 16).ok())
            .filter(|size| body.len().saturating_add(*size) <= BODY_BYTES_MAX)
            .ok_or(Refusal::Bad("a chunk's size is not a number"))?;
        if size == 0 {
            while !lines.next()?.is_empty() {}
            return Ok(body);
        }
        let Some((chunk, behind)) = lines.rest.split_at_checked(size) else {
            return Err(Refusal::Unfinished("a chunk is shorter than its size"));
        };
        body.extend_from_slice(chunk);
        lines.rest = behind;
        if !lines.next()?.is_empty() {
            return Err(Refusal::Bad("a chunk is longer than its size"));
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
