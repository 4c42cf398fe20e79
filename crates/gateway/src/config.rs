//! `gateway.yaml`: what it may say, what it means when it says nothing, and what is wrong with it.

mod limits;
mod read;
mod site;
mod waf;

pub use limits::Limits;
pub use site::{
    FailMode, HealthConfig, SiteConfig, StepUpConfig, TrustConfig, Unavailable, UpstreamConfig,
};
pub use waf::{
    EXCEPTION_MS, MemoryConfig, RuleSetConfig, Stage, WafConfig, WafException, WafRoute,
};

use ipnet::IpNet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Everything a gateway is told. Read with [`Config::parse`] or [`Config::load`], which check it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gateway's id: the source name of its events.
    pub gateway: String,
    /// Threads that carry traffic; each has its own event loop and upstream connections.
    #[serde(default = "one")]
    pub workers: usize,
    pub listeners: Vec<ListenerConfig>,
    /// Where `/metrics` and `/healthz` answer; never a public address.
    #[serde(default = "admin_default")]
    pub admin: SocketAddr,
    /// Peers whose `X-Forwarded-For` and `Forwarded` are believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    /// Which of their headers tells the client's address. Only one is read: a proxy that writes one
    /// passes the other on as the client made it up.
    #[serde(default)]
    pub forwarded_header: ForwardedHeader,
    /// Without it the gateway protects alone: nothing is shipped, restrictions come from `load`.
    #[serde(default)]
    pub server: Option<ServerConfig>,
    /// Holds the last restrictions, so that a restart without the server enforces them.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// Holds the tenant's key for hashes and seals: 64 hex digits, readable by the gateway only.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Events wait here for the server; in `state_dir` when not said.
    #[serde(default)]
    pub spool: SpoolSettings,
    #[serde(default)]
    pub limits: Limits,
    /// ModSecurity rules by name, for `waf` of the sites.
    #[serde(default)]
    pub rule_sets: BTreeMap<String, RuleSetConfig>,
    /// Lines of each rule that matched, as ModSecurity's error log has them. They hold what matched
    /// as it was sent: for test rigs only.
    #[serde(default)]
    pub waf_log: Option<PathBuf>,
    /// ModSecurity's audit log in JSON, for tools that read it. It holds what events hold.
    #[serde(default)]
    pub waf_audit: Option<PathBuf>,
    pub sites: Vec<SiteConfig>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    pub address: SocketAddr,
    /// Plain HTTP without it.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// HTTP/2 by ALPN; on a TLS listener.
    #[serde(default = "yes")]
    pub http2: bool,
    /// HTTP/2 without TLS by prior knowledge (RFC 9113 §3.3); off, because a proxy in front that
    /// does not expect it is a way around its checks.
    #[serde(default)]
    pub h2c: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The first one is served when no other matches the name asked for (SNI).
    pub certificates: Vec<CertificateConfig>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// `shop.example` or `*.shop.example`; empty on the first one means whatever is left.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// PEM, leaf first.
    pub cert_file: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolSettings {
    pub dir: Option<PathBuf>,
    /// Beyond it new events are dropped, counted and reported. 1 GiB when not said.
    pub bytes_max: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// `https://plura.internal:8443`
    pub url: String,
    /// Holds the bearer token; readable by the gateway only.
    pub token_file: PathBuf,
    /// PEM of the only authority to believe; the system's roots without it.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn admin_default() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9180))
}

#[cfg(test)]
mod tests;
