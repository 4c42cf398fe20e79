use crate::evidence::{IdentitySpec, ProtectSpec, RouteSpec, SiteSpec};
use serde::Deserialize;
use std::path::PathBuf;

/// One protected application.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    pub name: String,
    /// `shop.example`, `*.shop.example`, or `*` for whatever no other site claims.
    pub hosts: Vec<String>,
    pub upstreams: Vec<UpstreamConfig>,
    #[serde(default)]
    pub health: Option<HealthConfig>,
    /// What happens while the server has been out of reach for longer than `fail_grace_secs`.
    #[serde(default)]
    pub fail: FailMode,
    #[serde(default = "grace_default")]
    pub fail_grace_secs: u64,
    #[serde(default)]
    pub step_up: Option<StepUpConfig>,
    /// What requests mean: endpoint, action, outcome, account.
    #[serde(default)]
    pub routes: Vec<RouteSpec>,
    /// Where requests say who they are.
    #[serde(default)]
    pub identity: IdentitySpec,
    /// What is destroyed, masked, kept.
    #[serde(default)]
    pub protect: ProtectSpec,
}

impl SiteConfig {
    pub fn evidence(&self) -> SiteSpec {
        SiteSpec {
            routes: self.routes.clone(),
            identity: self.identity.clone(),
            protect: self.protect.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// `http://127.0.0.1:9000`; `https://` verifies the certificate.
    pub url: String,
    /// PEM of the only authority to believe for `https://`; the system's roots without it.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Active checks, and when an upstream is taken out and back in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Asked for with GET; 2xx and 3xx are healthy. No active checks without it.
    pub path: Option<String>,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    /// Failures in a row, of checks or of traffic, that take an upstream out.
    pub failures_max: u32,
    /// How long traffic failures keep it out before it is tried again.
    pub eject_ms: u64,
}

impl Default for HealthConfig {
    fn default() -> Self {
        HealthConfig {
            path: None,
            interval_ms: 2_000,
            timeout_ms: 1_000,
            failures_max: 3,
            eject_ms: 10_000,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailMode {
    /// Traffic flows; the last restrictions stay in force until they end.
    #[default]
    Open,
    /// 503 until the server answers again.
    Closed,
}

/// How a visitor proves who they are, in the words of the application.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepUpConfig {
    /// The page browsers are sent to: `/verify`.
    pub url: String,
    /// What stays open meanwhile: `/verify`, `POST /api/verify`, `/static/*`.
    #[serde(default)]
    pub allow: Vec<String>,
    /// How long a proof holds.
    #[serde(default = "pass_default")]
    pub pass_secs: u64,
}

fn grace_default() -> u64 {
    60
}

/// An hour: what NIST SP 800-63B-4 gives a session at AAL2 of inactivity.
fn pass_default() -> u64 {
    3_600
}
