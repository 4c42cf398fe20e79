//! Envoy's external authorization over gRPC: `envoy.service.auth.v3.Authorization/Check`.
//!
//! HTTP/2 comes from hyper, which the server has already; framing and messages are a page each. A
//! gRPC framework would add some forty crates to say the same.

pub mod listen;
pub mod proto;
