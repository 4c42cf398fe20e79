//! Small readers of text that several formats share.

use serde_json::{Map, Value};

/// Puts `value` at a dotted path of an event's `rest`; an object is made where none is.
pub(crate) fn put(rest: &mut Map<String, Value>, path: &str, value: impl Into<Value>) {
    match path.split_once('.') {
        None => {
            rest.insert(path.to_owned(), value.into());
        }
        Some((head, tail)) => {
            let child = rest.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = child {
                put(map, tail, value);
            }
        }
    }
}

/// Puts text unless it is empty or `-`, as logs write nothing.
pub(crate) fn put_some(rest: &mut Map<String, Value>, path: &str, value: Option<&str>) {
    if let Some(value) = value.and_then(some) {
        put(rest, path, value);
    }
}

/// The text, unless it stands for nothing.
pub(crate) fn some(text: &str) -> Option<&str> {
    (!text.is_empty() && text != "-").then_some(text)
}

pub(crate) fn owned(text: &str) -> Option<String> {
    some(text).map(str::to_owned)
}

/// An address in its plain form: no brackets, no zone; `::ffff:192.0.2.1` as `192.0.2.1`.
pub(crate) fn address(text: &str) -> Option<String> {
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    let address: std::net::IpAddr = text.parse().ok()?;
    Some(address.to_canonical().to_string())
}

/// `192.0.2.1:443`, `[2001:db8::1]:443` or a bare address.
pub(crate) fn address_and_port(text: &str) -> Option<(String, Option<i64>)> {
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some((socket.ip().to_canonical().to_string(), Some(i64::from(socket.port()))));
    }
    address(text).map(|ip| (ip, None))
}

/// The part after the last slash.
pub(crate) fn base_name(path: &str) -> Option<&str> {
    path.rsplit('/').next().and_then(some)
}

/// Splits at the first character, trimming nothing.
pub(crate) fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

pub(crate) fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Bytes written as pairs of hex digits.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            if pair.starts_with('+') { None } else { u8::from_str_radix(pair, 16).ok() }
        })
        .collect()
}
