use serde::Deserialize;

/// Every limit of the proxy, with its default. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest request head. 32 KiB: what nginx takes in four buffers of 8 KiB.
    pub header_bytes_max: usize,
    /// Header lines of one request. 100: Apache's `LimitRequestFields`.
    pub header_count_max: usize,
    /// Longest request target. 8 KiB: RFC 9110 §4.1 asks for 8,000 at least.
    pub target_bytes_max: usize,
    /// From a head's first byte to its last, and from connect to the first byte.
    pub header_read_ms: u64,
    /// Silence between requests of one connection.
    pub idle_ms: u64,
    /// Silence in a WebSocket, both ways.
    pub tunnel_idle_ms: u64,
    /// Silence within a body, either way.
    pub stall_ms: u64,
    /// To connect to an upstream, TLS included.
    pub connect_ms: u64,
    /// From the request's last byte to the response head of the upstream.
    pub response_header_ms: u64,
    /// From request head to response end; none by default, for downloads and streams are long.
    pub total_ms: Option<u64>,
    /// Largest request body let through; none by default.
    pub request_bytes_max: Option<u64>,
    /// Bytes of a body that are recorded, each way.
    pub body_bytes_max: usize,
    /// Body buffered to find the account of a login, on routes that say so.
    pub login_body_bytes_max: usize,
    /// Bytes of bodies held for inspection by rules at a time, of all sites and workers.
    pub waf_bytes_max: usize,
    /// For the beginning of a body that rules look at and nobody refuses for it, from its head: one that is
    /// longer in coming, or a conversation, goes on with what was seen of it.
    pub waf_wait_ms: u64,
    /// Client connections at a time, per worker; more wait in the kernel's queue.
    pub connections_max: usize,
    /// HTTP/2 streams at a time, per connection.
    pub h2_streams_max: u32,
    /// Idle upstream connections kept, per upstream and worker.
    pub upstream_idle_max: usize,
    pub upstream_idle_ms: u64,
    /// After a stop is asked for, requests under way have this long.
    pub shutdown_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_bytes_max: 32 * 1024,
            header_count_max: 100,
            target_bytes_max: 8 * 1024,
            header_read_ms: 10_000,
            idle_ms: 75_000,
            tunnel_idle_ms: 300_000,
            stall_ms: 60_000,
            connect_ms: 3_000,
            response_header_ms: 60_000,
            total_ms: None,
            request_bytes_max: None,
            body_bytes_max: 128 * 1024,
            login_body_bytes_max: 16 * 1024,
            waf_bytes_max: 64 * 1024 * 1024,
            waf_wait_ms: 2_000,
            connections_max: 10_000,
            h2_streams_max: 128,
            upstream_idle_max: 256,
            upstream_idle_ms: 30_000,
            shutdown_ms: 30_000,
        }
    }
}
