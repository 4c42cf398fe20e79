//! Builds a request as go-ftw does, byte for byte.

use super::Input;

/// Whether a stage goes where the one before was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    No,
    /// `None`: the stage before was not redirected.
    To(Option<String>),
}

/// The bytes that go-ftw would send.
///
/// # Errors
/// The stage follows a redirect that there was not.
pub fn build(input: &Input, redirect: Redirect) -> Result<Vec<u8>, String> {
    if let Some(raw) = &input.encoded_request {
        return Ok(raw.clone());
    }
    let target = match redirect {
        Redirect::No => input.uri.clone().unwrap_or_else(|| "/".to_owned()),
        Redirect::To(Some(location)) => target_of(&location).to_owned(),
        Redirect::To(None) => {
            return Err("`follow_redirect`, but the stage before was not redirected".to_owned());
        }
    };
    let method = input.method.as_deref().unwrap_or("GET");
    let version = input.version.as_deref().unwrap_or("HTTP/1.1");
    let mut headers = input.headers.clone();
    let mut data = input.data.clone().unwrap_or_default();
    let auto = input.autocomplete_headers;
    if auto && !data.is_empty() {
        if !has(&headers, "Content-Type") {
            headers.push(("Content-Type".to_owned(), FORM.to_owned()));
        }
        if values(&headers, "Content-Type").any(|value| value.eq_ignore_ascii_case(FORM)) {
            data = encode_form(data);
        }
    }
    if values(&headers, "Content-Type")
        .any(|value| value.to_ascii_lowercase().contains("multipart/form-data;"))
    {
        data = with_carriage_returns(&data);
    }
    if auto {
        if !has(&headers, "Connection") {
            headers.push(("Connection".to_owned(), "close".to_owned()));
        }
        if !has(&headers, "Content-Length") && (!data.is_empty() || expects_body(method)) {
            headers.push(("Content-Length".to_owned(), data.len().to_string()));
        }
    }
    let mut out = Vec::with_capacity(512 + data.len());
    out.extend_from_slice(format!("{method} {target} {version}\r\n").as_bytes());
    for (name, value) in &headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&data);
    Ok(out)
}

const FORM: &str = "application/x-www-form-urlencoded";

/// go-ftw's own expression is `^POST|PUT|PATCH|DELETE$`: only the ends are anchored.
fn expects_body(method: &str) -> bool {
    method.starts_with("POST")
        || method.contains("PUT")
        || method.contains("PATCH")
        || method.ends_with("DELETE")
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    values(headers, name).next().is_some()
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Every line feed gets a carriage return, also one that has it already: so does go-ftw.
fn with_carriage_returns(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 16);
    for byte in data {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// Encodes names and values, unless decoding would change something or fail: then it is taken to be
/// encoded already.
fn encode_form(data: Vec<u8>) -> Vec<u8> {
    if data.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return data;
    }
    let mut out = Vec::with_capacity(data.len() * 2);
    let mut rest = data.as_slice();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'&').unwrap_or(rest.len());
        let (pair, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        match pair.iter().position(|byte| *byte == b'=') {
            None => escape(pair, &mut out),
            Some(at) => {
                let (name, value) = pair.split_at(at);
                escape(name, &mut out);
                out.push(b'=');
                escape(value.get(1..).unwrap_or_default(), &mut out);
            }
        }
        out.push(b'&');
    }
    // Also one that stood at the very end: so does go-ftw.
    out.pop();
    out
}

fn escape(part: &[u8], out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in part {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => {
                out.push(b'%');
                out.extend(HEX.get(usize::from(other >> 4)));
                out.extend(HEX.get(usize::from(other & 15)));
            }
        }
    }
}

/// Path and query of a Location.
fn target_of(location: &str) -> &str {
    let Some((_, rest)) = location.split_once("://") else { return location };
    rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
}
