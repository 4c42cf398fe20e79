//! `server.yaml`: where to listen, where to keep data, whom to hear.

use crate::geoip::GeoIpConfig;
use crate::pipeline::inspection::{Inspection, WafConfig};
use crate::pipeline::outside::Outside;
use crate::pipeline::rules::packs::{Packs, SigmaConfig};
use crate::pipeline::worker::Tuning;
use crate::trust::front::FrontConfig;
use detect::{DetectConfig, GroupConfig};
use normalize::Format;
use respond::Protected;
use schema::{Diagnostic, TenantId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Everything has a default but nothing is guessed: an unknown key is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The API's address. Only this machine by default.
    pub listen: SocketAddr,
    /// The data folder; created at first start, readable by this user only.
    pub data: PathBuf,
    pub tls: Tls,
    pub sessions: Sessions,
    pub limits: Limits,
    pub syslog: Vec<SyslogListener>,
    /// How detection judges, and which hosts serve which site; docs/detections.md.
    pub detect: DetectConfig,
    /// How findings become incidents; docs/detections.md.
    pub incidents: GroupConfig,
    /// What no automatic step may touch, in any tenant; docs/response.md.
    pub protected: Protected,
    /// A connectors file for each tenant that has some; docs/response.md.
    pub connectors: BTreeMap<TenantId, PathBuf>,
    /// The faces of the trust engine; docs/trust-api.md.
    pub trust: TrustConfig,
    /// Where addresses lie; docs/trust-signals.md.
    pub geoip: GeoIpConfig,
    /// ModSecurity rules over records that no gateway inspected; docs/waf.md.
    pub waf: WafConfig,
    /// Folders of Sigma rules; docs/sigma.md.
    pub sigma: SigmaConfig,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// The address others reach this server at, for what it publishes about itself.
    pub public_url: Option<String>,
    /// How requests of other enforcement points (forward-auth, Envoy) say whose they are.
    pub front: FrontConfig,
    /// Envoy's external authorization; no listener unless it is here.
    pub ext_authz: Option<ExtAuthzConfig>,
    /// Who may push security events (CAEP), and for which tenant.
    pub signal_issuers: Vec<SsfIssuer>,
    /// Who is told of revoked sessions and changed risk. Nothing leaves unless somebody is listed.
    pub signal_receivers: Vec<SsfReceiver>,
}

/// A system that takes our security event tokens (RFC 8935).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsfReceiver {
    /// Whose signals.
    pub tenant: TenantId,
    /// Over https.
    pub url: String,
    /// Who its certificate has to be signed by (PEM).
    pub ca_file: PathBuf,
    /// A bearer token, when it asks for one; read anew at every try.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The tokens' `iss` and `aud`.
    pub issuer: String,
    pub audience: String,
}

/// A system whose security event tokens a tenant believes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsfIssuer {
    /// The token's `iss`.
    pub issuer: String,
    /// What its `aud` must name.
    pub audience: String,
    pub tenant: TenantId,
    /// Its public keys (RFC 7517): a file, or here.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    #[serde(default)]
    pub jwks: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtAuthzConfig {
    /// gRPC over HTTP/2, with the server's certificate.
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM chain; with `key`. Without them a self-signed certificate is made in `<data>/tls`.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Names the self-signed certificate is for.
    pub names: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// A session nobody uses ends after this.
    pub idle_minutes: u32,
    /// Any session ends after this.
    pub absolute_hours: u32,
    /// Nobody works here with a password alone: who has no second factor adds one first.
    pub second_factor_required: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Intake body on the wire.
    pub intake_bytes_max: usize,
    /// Intake body after decompression.
    pub intake_decoded_bytes_max: usize,
    /// Any other body.
    pub body_bytes_max: usize,
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Requests at once; more are answered 503.
    pub requests_max: usize,
    /// From the last header to the answer. Long polls have their own.
    pub request_timeout_secs: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogListener {
    /// The source its events carry.
    pub name: String,
    pub protocol: SyslogProtocol,
    pub listen: SocketAddr,
    /// Whose events these are; nothing in a message can change that.
    pub tenant: TenantId,
    #[serde(default = "syslog_format", deserialize_with = "format")]
    pub format: Format,
    #[serde(default)]
    pub site: Option<String>,
    /// For RFC 3164 times, which carry no zone.
    #[serde(default)]
    pub utc_offset_secs: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogProtocol {
    Udp,
    Tcp,
    /// With the server's certificate.
    Tls,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            data: PathBuf::from("plura-data"),
            tls: Tls::default(),
            sessions: Sessions::default(),
            limits: Limits::default(),
            syslog: Vec::new(),
            detect: DetectConfig::default(),
            incidents: GroupConfig::default(),
            protected: Protected::default(),
            connectors: BTreeMap::new(),
            trust: TrustConfig::default(),
            geoip: GeoIpConfig::default(),
            waf: WafConfig::default(),
            sigma: SigmaConfig::default(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            cert: None,
            key: None,
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        // OWASP Session Management Cheat Sheet: idle 15–30 minutes and an absolute limit of 4–8 hours
        // for ordinary applications; a working day fits people on shift.
        Sessions { idle_minutes: 30, absolute_hours: 10, second_factor_required: false }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            intake_bytes_max: 16 << 20,
            intake_decoded_bytes_max: 64 << 20,
            body_bytes_max: 1 << 20,
            connections_max: 4096,
            requests_max: 512,
            request_timeout_secs: 60,
        }
    }
}

fn syslog_format() -> Format {
    Format::Syslog
}

fn format<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl Config {
    pub fn load(path: &Path) -> Result<Config, Diagnostic> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| {
            Diagnostic::new("config-unreadable", &name, format!("cannot read `{name}`: {cause}"))
                .hint("check the path and its permissions; docs/api.md lists every key with its default")
        })?;
        Config::parse(&name, &text)
    }

    /// Reads YAML; relative paths stay relative to the working folder.
    pub fn parse(file_name: &str, text: &str) -> Result<Config, Diagnostic> {
        let config: Config = if text.trim().is_empty() {
            Config::default()
        } else {
            serde_saphyr::from_str(text).map_err(|error| syntax(file_name, &error))?
        };
        config.check(file_name)?;
        Ok(config)
    }

    /// How the engines judge and whom they may ask to act, every mistake told.
    pub fn tuning(&self) -> Result<Tuning, Vec<Diagnostic>> {
        let mut group = self.incidents.clone();
        for (name, site) in &self.detect.sites {
            group.sites.entry(name.clone()).or_insert_with(|| site.clone());
        }
        Ok(Tuning {
            detect: self.detect.clone(),
            group,
            protected: self.protected.clone(),
            outside: Outside::open(&self.connectors)?,
            waf: Inspection::open(&self.waf)?,
            packs: (!self.sigma.rules.is_empty()).then(|| Packs::open(&self.sigma)),
        })
    }

    fn check(&self, file_name: &str) -> Result<(), Diagnostic> {
        let fault = |message: String, hint: &str| {
            Err(Diagnostic::new("config-invalid", file_name, message).hint(hint))
        };
        for key in &self.sigma.keys {
            let hint = "copy the line that `plura rules sign` printed";
            match key.parse::<evidence::VerifierKey>() {
                Err(error) => return fault(format!("`sigma.keys`: {error}"), hint),
                Ok(key) if key.algorithm() != evidence::Algorithm::Ed25519 => {
                    return fault(
                        format!("`sigma.keys`: `{}` is for cosigning", key.short()),
                        hint,
                    );
                }
                Ok(_) => {}
            }
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            return fault(
                "`tls.cert` and `tls.key` come together".to_owned(),
                "give both, or neither for a self-signed certificate",
            );
        }
        let limits = [
            ("limits.intake_bytes_max", self.limits.intake_bytes_max),
            ("limits.intake_decoded_bytes_max", self.limits.intake_decoded_bytes_max),
            ("limits.body_bytes_max", self.limits.body_bytes_max),
            ("limits.connections_max", self.limits.connections_max),
            ("limits.requests_max", self.limits.requests_max),
            (
                "limits.request_timeout_secs",
                usize::try_from(self.limits.request_timeout_secs).unwrap_or(usize::MAX),
            ),
            ("sessions.idle_minutes", self.sessions.idle_minutes as usize),
            ("sessions.absolute_hours", self.sessions.absolute_hours as usize),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, value)| *value == 0) {
            return fault(format!("`{name}` is 0"), "leave it out for the default");
        }
        let mut names = std::collections::BTreeSet::new();
        for listener in &self.syslog {
            if listener.name.is_empty() || !names.insert(&listener.name) {
                return fault(
                    format!("syslog listener `{}` needs a name of its own", listener.name),
                    "its events carry the name as their source; two would mix their numbering",
                );
            }
        }
        Ok(())
    }
}

fn syntax(file_name: &str, error: &serde_saphyr::Error) -> Diagnostic {
    let place = match error.location() {
        Some(at) => format!("{file_name}:{}:{}", at.line(), at.column()),
        None => file_name.to_owned(),
    };
    // The first line is the fault; the rest is an excerpt, which may hold what the file keeps secret.
    let message = error.to_string().lines().next().unwrap_or("not YAML").to_owned();
    Diagnostic::new("config-invalid", place, message)
        .hint("docs/api.md lists every key of `server.yaml` with its default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_listen_on_this_machine_only() {
        let config = Config::parse("server.yaml", "").unwrap();
        assert!(config.listen.ip().is_loopback());
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place() {
        let fault = Config::parse("server.yaml", "data: /tmp/x\nlimits:\n  body_max: 3\n");
        let fault = fault.unwrap_err();
        assert!(fault.place.starts_with("server.yaml:3:"), "{fault}");
        assert!(fault.message.contains("body_max"), "{fault}");
        assert!(fault.hint.is_some());
    }

    #[test]
    fn half_a_certificate_and_twin_listeners_are_refused() {
        assert!(Config::parse("s", "tls: { cert: a.pem }").is_err());
        let twin = "{ name: fw, protocol: udp, listen: '127.0.0.1:0', tenant: default }";
        assert!(Config::parse("s", &format!("syslog: [{twin}]")).is_ok());
        assert!(Config::parse("s", &format!("syslog: [{twin}, {twin}]")).is_err());
        assert!(Config::parse("s", "limits: { requests_max: 0 }").is_err());
    }
}
