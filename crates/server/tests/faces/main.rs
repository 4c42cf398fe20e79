//! The server as its users meet it, over HTTP and syslog. One program for all of them: each would link DataFusion again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod api;
mod common;
mod connectors;
mod console;
mod identity;
mod intake;
mod roles;
mod second_factor;
mod sigma;
mod trust_authzen;
mod trust_geoip;
mod trust_live;
mod trust_nginx;
mod waf;
