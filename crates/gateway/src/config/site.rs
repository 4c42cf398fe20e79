use super::waf::WafConfig;
use crate::evidence::{IdentitySpec, ProtectSpec, RouteSpec, SiteSpec};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::time::Duration;

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
    /// Asks the server about every request; without it nothing is asked.
    #[serde(default)]
    pub trust: Option<TrustConfig>,
    /// Rule sets that requests and responses run through, in this order.
    #[serde(default)]
    pub waf: Vec<WafConfig>,
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
    /// What the proof is made by, as trust policies call it: `otp`, `phishing_resistant`. The
    /// decision point is told so after a proof.
    #[serde(default)]
    pub mfa_method: Option<String>,
}

/// How a site enforces what the server's decision point says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// What happens to requests while it cannot be asked.
    pub unavailable: Unavailable,
    /// How long a request waits for its decision: `300ms`, `2s`.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// The AuthZEN resource type of the site's endpoints.
    pub resource_type: String,
    /// What is not asked about: `GET /static/*`.
    pub skip: Vec<String>,
    /// Whether the header `Plura-Watermark` counts as the watermark a decision may ask for.
    pub watermark: bool,
}

impl Default for TrustConfig {
    fn default() -> Self {
        TrustConfig {
            unavailable: Unavailable::Deny,
            timeout: TRUST_TIMEOUT_DEFAULT,
            resource_type: "route".to_owned(),
            skip: Vec::new(),
            watermark: true,
        }
    }
}

/// Sixty times what a decision takes at half load; below what a visitor notices.
const TRUST_TIMEOUT_DEFAULT: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unavailable {
    /// 503 until it can be asked again.
    #[default]
    Deny,
    /// Traffic flows; restrictions stay in force.
    Allow,
}

/// `300ms` or `2s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = |suffix: &str, unit: fn(u64) -> Duration| {
        text.strip_suffix(suffix).and_then(|number| number.parse().ok()).map(unit)
    };
    read("ms", Duration::from_millis)
        .or_else(|| read("s", Duration::from_secs))
        .ok_or_else(|| D::Error::custom(format!("`{text}` is not a time: write `300ms` or `2s`")))
}

fn grace_default() -> u64 {
    60
}

/// An hour: what NIST SP 800-63B-4 gives a session at AAL2 of inactivity.
fn pass_default() -> u64 {
    3_600
}
