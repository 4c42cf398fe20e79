use crate::trust::{Decision, Held, Obligations};
use crate::waf::Outcome;
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use schema::{Digest, Rung, Timestamp};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use uuid::Uuid;

/// What is known of a request before its body: enough to judge it.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// When its first byte came.
    pub received: Timestamp,
    /// The client, after trusted proxies.
    pub client_ip: IpAddr,
    /// 0 when a trusted proxy told the address, for it does not tell the port.
    pub client_port: u16,
    /// `http` or `https`.
    pub scheme: Scheme,
    pub method: Method,
    /// As sent, percent-encoding kept, without the query.
    pub path: String,
    /// As sent, without the `?`.
    pub query: Option<String>,
    /// The host asked for, without the port.
    pub host: String,
    pub version: Version,
    pub headers: HeaderMap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A body as it crossed the wire: its beginning, and the truth about the rest.
#[derive(Debug, Clone, Default)]
pub struct CapturedBody {
    /// The first bytes, as sent (still content-encoded), up to the capture limit.
    pub bytes: Bytes,
    /// Bytes on the wire in all.
    pub total_len: u64,
    /// Of the whole body as sent, the part beyond the limit included. `None`: there was no body,
    /// or it broke off.
    pub sha256: Option<Digest>,
    /// The body was longer than `bytes`, or broke off.
    pub truncated: bool,
}

impl CapturedBody {
    /// A body that fitted, hashed here. The proxy hashes as it streams instead.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        CapturedBody {
            total_len: bytes.len() as u64,
            sha256: (!bytes.is_empty()).then(|| schema::sha256(&bytes)),
            truncated: false,
            bytes,
        }
    }
}

/// What the enforcer did to the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforced {
    pub rung: Rung,
    /// The action that asked for it.
    pub action: Uuid,
    /// Its permanent reason code.
    pub reason: String,
}

/// What the decision point said of the request, and what came of it.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// `None`: it could not be asked, or answered what cannot be used.
    pub decision: Option<Arc<Decision>>,
    /// Obligations performed on this request and its response.
    pub performed: Obligations,
    /// How it was held back, if it was.
    pub held: Option<Held>,
    pub is_unavailable: bool,
    /// Why it was ended while it was under way, and by which decision.
    pub ended: Option<(Held, Option<Arc<Decision>>)>,
}

/// Why an exchange did not come to a proper end. Codes for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeError {
    /// No upstream took the connection.
    UpstreamUnreachable,
    /// The upstream was too slow.
    UpstreamTimeout,
    /// The upstream closed, or broke HTTP.
    UpstreamBroken,
    /// The client went away before the end.
    ClientGone,
    /// The client was too slow.
    ClientTimeout,
    /// The request was refused as malformed or too large.
    BadRequest,
}

impl ExchangeError {
    pub fn as_str(self) -> &'static str {
        match self {
            ExchangeError::UpstreamUnreachable => "upstream-unreachable",
            ExchangeError::UpstreamTimeout => "upstream-timeout",
            ExchangeError::UpstreamBroken => "upstream-broken",
            ExchangeError::ClientGone => "client-gone",
            ExchangeError::ClientTimeout => "client-timeout",
            ExchangeError::BadRequest => "bad-request",
        }
    }
}

/// One finished request and its response, bodies captured up to the limit.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The gateway that saw it.
    pub gateway: Arc<str>,
    /// Its number there. The recorder sets it, for only it knows what was kept.
    pub sequence: u64,
    pub request: RequestHead,
    pub request_body: CapturedBody,
    /// `None` when no response was sent.
    pub status: Option<u16>,
    pub response_headers: HeaderMap,
    pub response_body: CapturedBody,
    /// When the last byte of the response went out.
    pub finished: Timestamp,
    /// The upstream that answered, as `ip:port`.
    pub upstream: Option<String>,
    pub enforced: Option<Enforced>,
    /// Where the site asks for trust decisions.
    pub trust: Option<Trusted>,
    /// Where the site has rule sets: what they said.
    pub waf: Option<Outcome>,
    pub error: Option<ExchangeError>,
}

impl Exchange {
    /// Roughly what it holds in memory, for the recorder's budget.
    pub fn weight(&self) -> usize {
        // Header names and values average well under 64 bytes each.
        const PER_HEADER_BYTES: usize = 64;
        size_of::<Exchange>()
            + self.request.path.len()
            + self.request.query.as_deref().map_or(0, str::len)
            + (self.request.headers.len() + self.response_headers.len()) * PER_HEADER_BYTES
            + self.request_body.bytes.len()
            + self.response_body.bytes.len()
            + self.waf.as_ref().map_or(0, Outcome::weight)
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        RequestHead {
            received: 0,
            client_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            client_port: 0,
            scheme: Scheme::Https,
            method: Method::GET,
            path: "/".to_owned(),
            query: None,
            host: String::new(),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
        }
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            gateway: Arc::from("gateway"),
            sequence: 0,
            request: RequestHead::default(),
            request_body: CapturedBody::default(),
            status: None,
            response_headers: HeaderMap::new(),
            response_body: CapturedBody::default(),
            finished: 0,
            upstream: None,
            enforced: None,
            trust: None,
            waf: None,
            error: None,
        }
    }
}
