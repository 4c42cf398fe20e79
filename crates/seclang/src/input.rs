//! What a transaction is about: all that the engine is told.

use std::net::IpAddr;

/// Whose request it is and when.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    pub client: IpAddr,
    pub client_port: u16,
    pub server: IpAddr,
    pub server_port: u16,
    pub unique_id: &'a str,
    /// Milliseconds since 1970, UTC.
    pub time_ms: i64,
    /// For TIME, TIME_HOUR…: the site's own clock, in seconds east of UTC.
    pub utc_offset_secs: i32,
}

/// A request's first line and headers, as they came.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    /// `HTTP/1.1`.
    pub protocol: &'a [u8],
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// A response's first line and headers.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    pub status: u16,
    pub protocol: &'a [u8],
    pub headers: &'a [(&'a [u8], &'a [u8])],
}
