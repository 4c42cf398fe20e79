//! The gateway: a reverse proxy that keeps evidence and enforces decisions.
//!
//! [`proxy`] carries the traffic, [`evidence`] makes events of it, [`enforce`] holds back what was
//! decided, [`trust`] asks what is decided now, [`waf`] runs rules over what passes. [`Gateway::start`]
//! runs them.

pub mod admin;
pub mod config;
pub mod enforce;
pub mod evidence;
mod gateway;
pub mod metrics;
pub mod poller;
pub mod proxy;
pub mod trust;
pub mod waf;

pub use config::Config;
pub use enforce::{Enforcer, RequestKeys, Verdict};
pub use gateway::{Gateway, GatewayHandle, Stats, run};
