//! From one finished exchange to one protected OCSF event, and from there to the server.
//!
//! [`observe`]: what was sent and what came back, secrets destroyed and personal data masked,
//! whose it was, how it came out. It is pure: the same exchange, site, keys and session book give
//! the same event, on the gateway and in a replayed scenario. [`Recorder`] runs it on a thread of
//! its own, keeps the events in a spool on disk, and the shipper brings them to the server.

mod audit;
mod body;
mod digits;
mod entities;
mod exchange;
mod form;
mod fuzz;
mod json;
mod keys;
mod loss;
mod names;
mod observe;
mod outcome;
mod path;
mod place;
mod protect;
mod recorder;
mod route;
mod scan;
mod shapes;
mod shipper;
mod site;
mod spool;
mod unpack;
mod view;
mod waf;
mod wire;

pub(crate) use body::plain_body;
pub use entities::{
    RequestKeys, SessionBook, account_in_body, has_route, is_sign_in, request_keys, wants_body,
};
pub use exchange::{CapturedBody, Enforced, Exchange, ExchangeError, RequestHead, Scheme, Trusted};
pub use fuzz::{fuzz_exchange, fuzz_protect};
pub use keys::{KeyError, Keys};
pub use loss::{LossReason, LossReport, Tally};
pub use names::Kind;
pub use observe::{observe, observe_line};
pub use outcome::OutcomeSpec;
pub use path::{Ambiguous, plain as plain_path};
pub use place::{Place, UnknownPlace};
pub use recorder::{Figures, Recorder, RecorderConfig};
pub use shipper::{Shipper, ShipperConfig, ShipperError};
pub use site::{IdentitySpec, ProtectSpec, RouteSpec, Site, SiteSpec};
pub use spool::{SpoolConfig, SpoolError};
pub(crate) use unpack::{Unpacked, Unpacker};
