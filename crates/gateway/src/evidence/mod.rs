//! From one finished exchange to one protected OCSF event, and from there to the server.
//!
//! [`observe`]: what was sent and what came back, secrets destroyed and personal data masked,
//! whose it was, how it came out. It is pure: the same exchange, site, keys and session book give
//! the same event, on the gateway and in a replayed scenario. [`Recorder`] runs it on a thread of
//! its own, keeps the events in a spool on disk, and the shipper brings them to the server.

mod body;
mod digits;
mod entities;
mod exchange;
mod form;
mod fuzz;
mod json;
mod keys;
mod names;
mod observe;
mod outcome;
mod place;
mod protect;
mod route;
mod scan;
mod shapes;
mod site;
mod view;

pub use entities::{RequestKeys, SessionBook, request_keys};
pub use exchange::{
    CapturedBody, Enforced, Exchange, ExchangeError, RequestHead, Scheme,
};
pub use keys::{KeyError, Keys};
pub use names::Kind;
pub use fuzz::{fuzz_exchange, fuzz_protect};
pub use observe::observe;
pub use outcome::OutcomeSpec;
pub use place::{Place, UnknownPlace};
pub use site::{IdentitySpec, ProtectSpec, RouteSpec, Site, SiteSpec};
