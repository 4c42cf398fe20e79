//! An event of HTTP → the request and response that rules look at, as far as the record has them.

use crate::header::written;
use crate::mask::{has_mask, unmasked};
use crate::told::{DATA_CHARS_MAX, Show};
use data_encoding::BASE64;
use schema::{Event, Timestamp, class};
use serde_json::Value;
use std::net::IpAddr;

/// Headers shown of one message. The gateway keeps as many; others may send more.
const HEADERS_MAX: usize = 256;

/// What is written down of one exchange, masks taken out.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub id: String,
    pub time: Timestamp,
    pub method: Vec<u8>,
    /// Path and query.
    pub target: Vec<u8>,
    /// `HTTP/1.1`, where it is known.
    pub protocol: Option<String>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Body,
    pub response: Option<Response>,
    pub client: Option<IpAddr>,
    pub client_port: u16,
    pub server: Option<IpAddr>,
    pub server_port: u16,
    /// What the record does not hold, each once, in order.
    pub unseen: Vec<Unseen>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it; empty where there was none.
    Whole(Vec<u8>),
    /// It was longer than what was kept.
    Beginning(Vec<u8>),
    /// There may have been one, and it was not kept.
    Unknown,
}

/// What a record does not hold. Codes are permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// Request headers, but for those that access logs have.
    RequestHeaders,
    RequestBody,
    /// There is a body and nothing says of what type: it is looked at as a whole, not by its fields.
    RequestType,
    /// The protocol's version.
    Protocol,
    /// The client's address.
    Client,
    ResponseHeaders,
    ResponseBody,
    /// Values that were hidden before the record was written.
    Masked,
}

impl Unseen {
    pub fn code(self) -> &'static str {
        match self {
            Unseen::RequestHeaders => "request-headers",
            Unseen::RequestBody => "request-body",
            Unseen::RequestType => "request-type",
            Unseen::Protocol => "protocol",
            Unseen::Client => "client",
            Unseen::ResponseHeaders => "response-headers",
            Unseen::ResponseBody => "response-body",
            Unseen::Masked => "masked",
        }
    }
}

impl Record {
    /// Whether an event tells of an HTTP request, and what was asked for.
    pub fn is_in(event: &Event) -> bool {
        event.class_uid == class::HTTP_ACTIVITY && event.method.is_some() && event.path.is_some()
    }

    /// `None`: the event tells of no HTTP request, or not what was asked for.
    pub fn of(event: &Event) -> Option<Record> {
        let (Some(method), Some(path)) = (&event.method, &event.path) else { return None };
        if !Record::is_in(event) {
            return None;
        }
        let mut reading = Reading { unseen: Vec::new() };
        let mut target = reading.shown(path.as_bytes());
        if let Some(query) = &event.query {
            target.push(b'?');
            target.extend(reading.shown(query.as_bytes()));
        }
        let headers = reading.request_headers(event);
        let body = reading.request_body(event, method, &headers);
        let response = reading.response(event);
        let client = address(event.src_ip.as_deref());
        if client.is_none() {
            reading.unseen.push(Unseen::Client);
        }
        let protocol = event.http_version.as_deref().map(|version| match version {
            "2" | "3" => format!("HTTP/{version}.0"),
            _ => format!("HTTP/{version}"),
        });
        if protocol.is_none() {
            reading.unseen.push(Unseen::Protocol);
        }
        let mut unseen = reading.unseen;
        unseen.sort_unstable();
        unseen.dedup();
        Some(Record {
            id: event.id.to_string(),
            time: event.time,
            method: method.as_bytes().to_vec(),
            target,
            protocol,
            headers,
            body,
            response,
            client,
            client_port: port(event.src_port),
            server: address(event.dst_ip.as_deref()),
            server_port: port(event.dst_port),
            unseen,
        })
    }
}

/// What of a record may be told again: what it holds, but no argument where anything was hidden. A rule that
/// undoes an encoding could show what the masking did not see.
impl Show for &Record {
    fn name(&mut self, name: &str, cut: bool) -> String {
        if cut { format!("{name}…") } else { name.to_owned() }
    }

    fn data(&mut self, collection: &str, part: Option<&str>, value: &[u8]) -> Option<String> {
        let is_open = match collection {
            "ARGS" | "ARGS_GET" | "ARGS_POST" | "ARGS_NAMES" | "ARGS_GET_NAMES"
            | "ARGS_POST_NAMES" => !self.unseen.contains(&Unseen::Masked),
            "REQUEST_HEADERS" => part
                .and_then(|name| find(&self.headers, name.as_bytes()))
                .is_some_and(|value| !has_mask(value)),
            "REQUEST_METHOD" | "REQUEST_PROTOCOL" | "RESPONSE_STATUS" => true,
            _ => false,
        };
        let text = std::str::from_utf8(value).ok().filter(|_| is_open)?;
        Some(text.chars().take(DATA_CHARS_MAX).collect())
    }
}

/// An event being read, and what was missing in it so far.
struct Reading {
    unseen: Vec<Unseen>,
}

impl Reading {
    fn shown(&mut self, text: &[u8]) -> Vec<u8> {
        match unmasked(text) {
            std::borrow::Cow::Borrowed(same) => same.to_vec(),
            std::borrow::Cow::Owned(changed) => {
                self.unseen.push(Unseen::Masked);
                changed
            }
        }
    }

    fn request_headers(&mut self, event: &Event) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut headers = match &event.request_headers {
            Some(list) => self.headers(list),
            None => {
                self.unseen.push(Unseen::RequestHeaders);
                let known = [
                    ("User-Agent", &event.user_agent),
                    ("Referer", &event.referrer),
                    ("Content-Type", &event.request_content_type),
                ];
                let mut shown = Vec::new();
                for (name, value) in known {
                    if let Some(value) = value {
                        shown.push((name.as_bytes().to_vec(), self.shown(value.as_bytes())));
                    }
                }
                shown
            }
        };
        // HTTP/2 says its host elsewhere.
        if let Some(host) = event.host.as_deref().filter(|_| find(&headers, b"host").is_none()) {
            headers.insert(0, (b"Host".to_vec(), host.as_bytes().to_vec()));
        }
        headers
    }

    fn headers(&mut self, list: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
        let list = list.as_array().into_iter().flatten().take(HEADERS_MAX);
        let named = list.filter_map(|header| {
            Some((header.get("name")?.as_str()?, header.get("value")?.as_str()?))
        });
        let mut shown = Vec::new();
        for (name, value) in named {
            shown.push((written(name).as_bytes().to_vec(), self.shown(value.as_bytes())));
        }
        shown
    }

    fn request_body(
        &mut self,
        event: &Event,
        method: &str,
        headers: &[(Vec<u8>, Vec<u8>)],
    ) -> Body {
        let is_typed = find(headers, b"content-type").is_some();
        if event.request_body.is_none() {
            let is_expected = is_typed || matches!(method, "POST" | "PUT" | "PATCH");
            if is_expected && event.request_length != Some(0) {
                self.unseen.push(Unseen::RequestBody);
                return Body::Unknown;
            }
            return Body::Whole(Vec::new());
        }
        let body = self.body(
            event.request_body.as_deref(),
            event.request_body_encoding.as_deref(),
            event.request_truncated,
        );
        match &body {
            Body::Unknown => self.unseen.push(Unseen::RequestBody),
            Body::Whole(bytes) | Body::Beginning(bytes) if !is_typed && !bytes.is_empty() => {
                self.unseen.push(Unseen::RequestType);
            }
            Body::Whole(_) | Body::Beginning(_) => {}
        }
        body
    }

    fn response(&mut self, event: &Event) -> Option<Response> {
        let status = u16::try_from(event.http_code?).ok()?;
        let headers = match &event.response_headers {
            Some(list) => self.headers(list),
            None => {
                self.unseen.push(Unseen::ResponseHeaders);
                let kind = event.response_content_type.as_deref();
                kind.map(|kind| (b"Content-Type".to_vec(), kind.as_bytes().to_vec()))
                    .into_iter()
                    .collect()
            }
        };
        let body = match &event.response_body {
            None if event.response_length == Some(0) => Body::Whole(Vec::new()),
            text => self.body(
                text.as_deref(),
                event.response_body_encoding.as_deref(),
                event.response_truncated,
            ),
        };
        if body == Body::Unknown {
            self.unseen.push(Unseen::ResponseBody);
        }
        Some(Response { status, headers, body })
    }

    fn body(
        &mut self,
        text: Option<&str>,
        encoding: Option<&str>,
        truncated: Option<bool>,
    ) -> Body {
        let Some(text) = text else { return Body::Unknown };
        let bytes = match encoding {
            None => self.shown(text.as_bytes()),
            Some("base64") => match BASE64.decode(text.as_bytes()) {
                Ok(bytes) => self.shown(&bytes),
                Err(_) => return Body::Unknown,
            },
            Some(_) => return Body::Unknown,
        };
        // The gateway could not undo its content encoding: what follows is not what was sent.
        if text.starts_with("[undecodable]") {
            return Body::Unknown;
        }
        if truncated == Some(true) { Body::Beginning(bytes) } else { Body::Whole(bytes) }
    }
}

fn find<'a>(headers: &'a [(Vec<u8>, Vec<u8>)], name: &[u8]) -> Option<&'a [u8]> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_slice())
}

fn address(text: Option<&str>) -> Option<IpAddr> {
    text?.parse().ok()
}

fn port(number: Option<i64>) -> u16 {
    number.and_then(|number| u16::try_from(number).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
