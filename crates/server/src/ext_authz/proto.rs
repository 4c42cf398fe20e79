//! The part of `envoy.service.auth.v3` that a decision needs, read and written by hand: a dozen
//! fields do not ask for a code generator and a gRPC framework.
//!
//! Wire format: <https://protobuf.dev/programming-guides/encoding/>. Field numbers:
//! `envoy/service/auth/v3/{external_auth,attribute_context}.proto`,
//! `envoy/config/core/v3/{address,base}.proto`. Fields we do not know are skipped.

use std::collections::BTreeMap;

/// Headers and context extensions of one request.
const ENTRIES_MAX: usize = 512;

/// What Envoy tells of a request.
#[derive(Debug, Default, PartialEq)]
pub struct CheckRequest {
    pub source_address: Option<String>,
    /// Whom the client's certificate names.
    pub source_principal: Option<String>,
    pub method: String,
    /// With its query.
    pub path: String,
    pub host: String,
    /// Names in lowercase, as Envoy has them.
    pub headers: BTreeMap<String, String>,
    /// What the route's configuration in Envoy says; no client can change it.
    pub extensions: BTreeMap<String, String>,
}

/// The bytes are not the message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl CheckRequest {
    pub fn parse(bytes: &[u8]) -> Result<CheckRequest, Malformed> {
        let mut request = CheckRequest::default();
        for field in Fields(bytes) {
            if let (1, Wire::Bytes(attributes)) = field? {
                request.read_attributes(attributes)?;
            }
        }
        Ok(request)
    }

    fn read_attributes(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for field in Fields(bytes) {
            match field? {
                (1, Wire::Bytes(peer)) => self.read_source(peer)?,
                (4, Wire::Bytes(request)) => {
                    for field in Fields(request) {
                        if let (2, Wire::Bytes(http)) = field? {
                            self.read_http(http)?;
                        }
                    }
                }
                (10, Wire::Bytes(pair)) => insert(&mut self.extensions, pair, 2)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_source(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for field in Fields(bytes) {
            match field? {
                (1, Wire::Bytes(address)) => {
                    for field in Fields(address) {
                        if let (1, Wire::Bytes(socket)) = field? {
                            for field in Fields(socket) {
                                if let (2, Wire::Bytes(text)) = field? {
                                    self.source_address = Some(string(text)?);
                                }
                            }
                        }
                    }
                }
                (4, Wire::Bytes(principal)) => {
                    self.source_principal = Some(string(principal)?).filter(|p| !p.is_empty());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_http(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for field in Fields(bytes) {
            match field? {
                (2, Wire::Bytes(text)) => self.method = string(text)?,
                (3, Wire::Bytes(pair)) => insert(&mut self.headers, pair, 2)?,
                (4, Wire::Bytes(text)) => self.path = string(text)?,
                (5, Wire::Bytes(text)) => self.host = string(text)?,
                // `encode_raw_headers`: the same headers as a list whose values are bytes.
                (13, Wire::Bytes(list)) => {
                    for field in Fields(list) {
                        if let (1, Wire::Bytes(pair)) = field? {
                            insert(&mut self.headers, pair, 3)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A pair of texts under the numbers 1 and `value_number`. One that is there already stays beside
/// the new one, with a comma, as HTTP has it (cookies: with a semicolon, RFC 9113 §8.2.3).
fn insert(
    into: &mut BTreeMap<String, String>,
    pair: &[u8],
    value_number: u32,
) -> Result<(), Malformed> {
    let (mut key, mut value) = (String::new(), String::new());
    for field in Fields(pair) {
        match field? {
            (1, Wire::Bytes(text)) => key = string(text)?.to_ascii_lowercase(),
            (number, Wire::Bytes(text)) if number == value_number => {
                value = String::from_utf8_lossy(text).into_owned();
            }
            _ => {}
        }
    }
    if into.len() >= ENTRIES_MAX {
        return Err(Malformed);
    }
    let between = if key == "cookie" { "; " } else { ", " };
    into.entry(key)
        .and_modify(|known| {
            known.push_str(between);
            known.push_str(&value);
        })
        .or_insert(value);
    Ok(())
}

fn string(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed)
}

enum Wire<'a> {
    /// Numbers of any form; none that we read.
    Number,
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), Malformed> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
        let wire = match tag & 7 {
            0 => self.varint().map(|_| Wire::Number)?,
            1 => self.take(8).map(|_| Wire::Number)?,
            2 => {
                let count = self.varint()?;
                Wire::Bytes(self.take(count)?)
            }
            5 => self.take(4).map(|_| Wire::Number)?,
            // Groups ended with proto2; nothing we take has them.
            _ => return Err(Malformed),
        };
        if number == 0 { Err(Malformed) } else { Ok((number, wire)) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// What Envoy is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResponse {
    /// The request goes on with these headers; those named in `remove` are taken from it first.
    Allow {
        headers: Vec<(String, String)>,
        remove: Vec<String>,
    },
    Deny {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
}

/// `OVERWRITE_IF_EXISTS_OR_ADD`: what a client sent under our names does not stay.
const OVERWRITE: u64 = 2;

/// `google.rpc.Code`.
const PERMISSION_DENIED: u64 = 7;
const UNAUTHENTICATED: u64 = 16;

impl CheckResponse {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (mut status, mut http) = (Vec::new(), Vec::new());
        match self {
            CheckResponse::Allow { headers, remove } => {
                put_bytes(&mut out, 1, &status);
                for header in headers {
                    put_bytes(&mut http, 2, &header_option(header));
                }
                for name in remove {
                    put_bytes(&mut http, 5, name.as_bytes());
                }
                put_bytes(&mut out, 3, &http);
            }
            CheckResponse::Deny { status: code, headers, body } => {
                let grpc = if *code == 401 { UNAUTHENTICATED } else { PERMISSION_DENIED };
                put_number(&mut status, 1, grpc);
                put_bytes(&mut out, 1, &status);
                let mut code_message = Vec::new();
                put_number(&mut code_message, 1, u64::from(*code));
                put_bytes(&mut http, 1, &code_message);
                for header in headers {
                    put_bytes(&mut http, 2, &header_option(header));
                }
                put_bytes(&mut http, 3, body.as_bytes());
                put_bytes(&mut out, 2, &http);
            }
        }
        out
    }
}

fn header_option((name, value): &(String, String)) -> Vec<u8> {
    let (mut header, mut option) = (Vec::new(), Vec::new());
    put_bytes(&mut header, 1, name.as_bytes());
    put_bytes(&mut header, 2, value.as_bytes());
    put_bytes(&mut option, 1, &header);
    put_number(&mut option, 3, OVERWRITE);
    option
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A request's bytes, for tests here and beside.
#[cfg(test)]
pub fn encode_request(request: &CheckRequest) -> Vec<u8> {
    fn pairs(out: &mut Vec<u8>, number: u32, map: &BTreeMap<String, String>) {
        for (key, value) in map {
            let mut pair = Vec::new();
            put_bytes(&mut pair, 1, key.as_bytes());
            put_bytes(&mut pair, 2, value.as_bytes());
            put_bytes(out, number, &pair);
        }
    }
    let (mut socket, mut address, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut socket, 2, request.source_address.as_deref().unwrap_or_default().as_bytes());
    put_number(&mut socket, 3, 443);
    put_bytes(&mut address, 1, &socket);
    put_bytes(&mut peer, 1, &address);
    let (mut http, mut inner, mut attributes, mut out) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut http, 2, request.method.as_bytes());
    pairs(&mut http, 3, &request.headers);
    put_bytes(&mut http, 4, request.path.as_bytes());
    put_bytes(&mut http, 5, request.host.as_bytes());
    put_number(&mut http, 9, u64::MAX);
    put_bytes(&mut inner, 2, &http);
    put_bytes(&mut attributes, 1, &peer);
    put_bytes(&mut attributes, 4, &inner);
    pairs(&mut attributes, 10, &request.extensions);
    put_bytes(&mut out, 1, &attributes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CheckRequest {
        CheckRequest {
            source_address: Some("203.0.113.7".into()),
            source_principal: None,
            method: "GET".into(),
            path: "/orders/7?x=1".into(),
            host: "shop.example".into(),
            headers: [("cookie".into(), "sid=a".into()), ("user-agent".into(), "x".into())].into(),
            extensions: [("site".into(), "shop".into())].into(),
        }
    }

    #[test]
    fn a_request_is_read_and_what_is_unknown_skipped() {
        let mut bytes = encode_request(&request());
        put_bytes(&mut bytes, 4000, b"later");
        put_number(&mut bytes, 77, 5);
        assert_eq!(CheckRequest::parse(&bytes), Ok(request()));
    }

    #[test]
    fn a_request_cut_anywhere_is_refused_or_read_but_never_a_panic() {
        let bytes = encode_request(&request());
        let refused = (0..bytes.len()).filter(|n| CheckRequest::parse(&bytes[..*n]).is_err());
        assert!(refused.count() > bytes.len() - 4, "cut inside a field it is no message");
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            let _ = CheckRequest::parse(&other);
        }
        let endless = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(CheckRequest::parse(&endless), Err(Malformed));
    }

    #[test]
    fn a_response_has_the_bytes_envoy_reads() {
        let allow = CheckResponse::Allow {
            headers: vec![("a".into(), "b".into())],
            remove: vec!["c".into()],
        };
        let expected = [
            0x0a, 0, // status: OK
            0x1a, 15, // ok_response
            0x12, 10, 0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', 0x18, 2, // header, overwriting
            0x2a, 1, b'c', // headers_to_remove
        ];
        assert_eq!(allow.encode(), expected);
        let deny = CheckResponse::Deny { status: 401, headers: Vec::new(), body: "x".into() };
        let expected = [0x0a, 2, 8, 16, 0x12, 8, 0x0a, 3, 8, 0x91, 3, 0x1a, 1, b'x'];
        assert_eq!(deny.encode(), expected);
    }
}
