//! Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425), each listener bound to one tenant.

pub mod framing;
mod listen;

pub use listen::{Bound, Started, start};
