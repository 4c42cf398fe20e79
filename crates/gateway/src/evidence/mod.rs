//! From one finished exchange to one protected OCSF event, and from there to the server.
//!
//! [`observe`]: what was sent and what came back, secrets destroyed and personal data masked,
//! whose it was, how it came out. It is pure: the same exchange, site, keys and session book give
//! the same event, on the gateway and in a replayed scenario. [`Recorder`] runs it on a thread of
//! its own, keeps the events in a [`spool`] on disk, and [`shipper`] brings them to the server.

mod exchange;

pub use exchange::{
    CapturedBody, Enforced, Exchange, ExchangeError, RequestHead, Scheme,
};
