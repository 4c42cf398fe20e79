//! The gateway as a whole, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod common;
mod enforcement;
mod polling;
mod reload;
mod smuggling;
mod traffic;
mod trust;
mod waf;
mod waf_encodings;
mod waf_http2;
mod waf_paths;
mod waf_reload;
mod waf_streams;
mod waf_waiting;
