//! A request's bytes, taken apart: before anything is measured, and the same for every engine.

/// A request as it came, its body without chunks.
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub protocol: Vec<u8>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

pub struct Response {
    pub status: u16,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Lenient: it is for engines to judge what is odd. `None` when there is no head.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let end = find(raw, b"\r\n\r\n")?;
        let (head, rest) = (&raw[..end], &raw[end + 4..]);
        let mut lines = split(head, b"\r\n").into_iter();
        let first = lines.next()?;
        let space = first.iter().position(|b| *b == b' ').unwrap_or(first.len());
        let last = first.iter().rposition(|b| *b == b' ').unwrap_or(first.len());
        let target = if last > space { &first[space + 1..last] } else { &[] };
        let headers: Vec<_> = lines
            .filter_map(|line| {
                let colon = line.iter().position(|b| *b == b':')?;
                Some((line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec()))
            })
            .collect();
        let has = |wanted: &str, value: &[u8]| {
            headers.iter().any(|(name, held): &(Vec<u8>, Vec<u8>)| {
                name.eq_ignore_ascii_case(wanted.as_bytes())
                    && find(&held.to_ascii_lowercase(), value).is_some()
            })
        };
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
        let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        let body = if has("transfer-encoding", b"chunked") {
            dechunk(rest)
        } else {
            // Without a length there is no body (RFC 9112, 6.3).
            rest[..rest.len().min(length.unwrap_or(0))].to_vec()
        };
        Some(Self {
            method: first[..space].to_vec(),
            target: target.to_vec(),
            protocol: first.get(last + 1..).unwrap_or_default().to_vec(),
            headers,
            body,
        })
    }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = rest[..end].split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let chunk = &rest[end + 2..];
        match size {
            None | Some(0) => break,
            Some(size) => {
                body.extend_from_slice(&chunk[..size.min(chunk.len())]);
                rest = chunk.get(size.saturating_add(2)..).unwrap_or_default();
            }
        }
    }
    body
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn split<'a>(mut text: &'a [u8], at: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(end) = find(text, at) {
        parts.push(&text[..end]);
        text = &text[end + at.len()..];
    }
    parts.push(text);
    parts
}

/// Of a kind that the engines take: slices.
pub fn pairs(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}
