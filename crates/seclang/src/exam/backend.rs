//! Answers as CRS's test backend (albedo) does: `POST /reflect` gives back what its body describes, all
//! else gives an empty 200.

use super::server::Request;
use data_encoding::BASE64;
use serde_json::Value;

/// What the backend answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The answer to a request. The backend's clock stands still.
pub fn respond(request: &Request) -> Response {
    let path = path_of(&request.target);
    let is_reflect =
        request.method == b"POST" && (path == b"/reflect" || path.starts_with(b"/reflect/"));
    let mut response = if !is_escaped_well(path) {
        Response {
            status: 400,
            headers: vec![header("Content-Type", "text/plain; charset=utf-8")],
            body: b"400 Bad Request".to_vec(),
        }
    } else if is_reflect {
        reflect(&request.body)
    } else {
        Response { status: 200, ..Response::default() }
    };
    if request.method == b"HEAD" || matches!(response.status, 100..=199 | 204 | 304) {
        response.body.clear();
    }
    let has = |response: &Response, name: &str| {
        response.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if !response.body.is_empty() && !has(&response, "Content-Type") {
        response.headers.push(header("Content-Type", sniff(&response.body)));
    }
    if !has(&response, "Date") {
        response.headers.push(header("Date", "Thu, 01 Jan 2026 00:00:00 GMT"));
    }
    if !has(&response, "Content-Length") && !matches!(response.status, 100..=199 | 204 | 304) {
        response.headers.push(header("Content-Length", &response.body.len().to_string()));
    }
    response
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// As it goes over the wire.
    pub fn raw(&self) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status)).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn reflect(body: &[u8]) -> Response {
    match specified(body) {
        Ok(response) => response,
        Err(problem) => Response { status: 400, headers: Vec::new(), body: problem.into() },
    }
}

fn specified(body: &[u8]) -> Result<Response, String> {
    let invalid = || "Invalid JSON in request body".to_owned();
    // As Go does, bytes that are not UTF-8 become replacement characters.
    let text = String::from_utf8_lossy(body);
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(&text) else {
        return Err(invalid());
    };
    let mut status = 0;
    let mut headers = Vec::new();
    let mut plain = String::new();
    let mut encoded = String::new();
    for (name, value) in fields {
        match (name.to_ascii_lowercase().as_str(), value) {
            (_, Value::Null) => {}
            ("status", value) => status = value.as_i64().ok_or_else(invalid)?,
            ("headers", Value::Object(map)) => {
                for (name, value) in map {
                    let Value::String(value) = value else { return Err(invalid()) };
                    if is_field(&name, &value) {
                        headers.push((canonical(&name), value.trim().to_owned()));
                    }
                }
            }
            ("body", Value::String(text)) => plain = text,
            ("encodedbody", Value::String(text)) => encoded = text,
            ("headers" | "body" | "encodedbody", _) => return Err(invalid()),
            _ => {}
        }
    }
    headers.sort();
    let status = match status {
        0 => 200,
        known => u16::try_from(known)
            .ok()
            .filter(|known| (100..600).contains(known))
            .ok_or_else(|| format!("Invalid status code: {known}"))?,
    };
    let body = if plain.is_empty() {
        BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| "invalid base64 encoding of response body".to_owned())?
    } else {
        plain.into_bytes()
    };
    Ok(Response { status, headers, body })
}

fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let path = target.get(..end).unwrap_or(target);
    let Some(at) = path.windows(3).position(|part| part == b"://") else { return path };
    if path.starts_with(b"/") {
        return path;
    }
    let rest = path.get(at + 3..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'/').and_then(|at| rest.get(at..)).unwrap_or(b"/")
}

/// Go's server refuses a path with a `%` that no two hex digits follow.
fn is_escaped_well(path: &[u8]) -> bool {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        path.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

fn is_field(name: &str, value: &str) -> bool {
    let is_name =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    !name.is_empty() && is_name && !value.bytes().any(|b| (b < b' ' && b != b'\t') || b == 127)
}

/// `content-type` becomes `Content-Type`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let written = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            upper = c == '-';
            written
        })
        .collect()
}

/// The types that Go's server guesses (the WHATWG's MIME sniffing), as far as text and what rules ask for go.
fn sniff(body: &[u8]) -> &'static str {
    const TAGS: [&[u8]; 17] = [
        b"<!DOCTYPE HTML",
        b"<HTML",
        b"<HEAD",
        b"<SCRIPT",
        b"<IFRAME",
        b"<H1",
        b"<DIV",
        b"<FONT",
        b"<TABLE",
        b"<A",
        b"<STYLE",
        b"<TITLE",
        b"<B",
        b"<BODY",
        b"<BR",
        b"<P",
        b"<!--",
    ];
    const MAGIC: [(&[u8], &str); 9] = [
        (b"%PDF-", "application/pdf"),
        (b"%!PS-Adobe-", "application/postscript"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    ];
    let body = body.get(..512).unwrap_or(body);
    let begins = body.iter().position(|b| !b"\t\n\x0c\r ".contains(b)).unwrap_or(body.len());
    let text = body.get(begins..).unwrap_or_default();
    let is_tag = |tag: &&[u8]| {
        text.get(..tag.len()).is_some_and(|part| part.eq_ignore_ascii_case(tag))
            && text.get(tag.len()).is_some_and(|end| matches!(end, b' ' | b'>'))
    };
    if TAGS.iter().any(is_tag) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| body.starts_with(magic)) {
        return kind;
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    if body.iter().any(is_binary) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        _ => "",
    }
}
