use super::call::{Call, Client};
use super::egress::Egress;
use super::email::Mailer;
use super::{Connector, Connectors, Identity, Kind, Rim};
use crate::yaml;
use schema::{Diagnostic, EntityKind, Rung, Secret};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size of a connectors file in bytes.
const CONFIG_BYTES_MAX: usize = 256 * 1024;
/// Size of a secret's file in bytes: a token, not a document.
const SECRET_BYTES_MAX: u64 = 16 * 1024;
/// Tries of one delivery. Ten with doubling pauses already span many minutes.
const ATTEMPTS_MAX: u32 = 10;
/// Seconds one request may take.
const TIMEOUT_SECS_MAX: u64 = 120;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectorsConfig {
    /// Hosts an administrator has opened. Nothing is sent to any other.
    pub egress: Vec<EgressHost>,
    /// Certificate authorities in PEM, beside the system's.
    pub ca_file: Option<PathBuf>,
    pub connectors: Vec<ConnectorConfig>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressHost {
    /// Exact name or address.
    pub host: String,
    /// Absent: every port.
    #[serde(default)]
    pub port: Option<u16>,
    /// May be loopback, link-local or private, and may be spoken to without TLS.
    #[serde(default)]
    pub internal: bool,
}

/// One connector; exactly one of `webhook`, `ticket`, `email` and `identity`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    pub name: String,
    #[serde(default)]
    pub webhook: Option<HttpWebhook>,
    #[serde(default)]
    pub ticket: Option<TicketConfig>,
    #[serde(default)]
    pub email: Option<EmailConfig>,
    #[serde(default)]
    pub identity: Option<IdentityConfig>,
    #[serde(default)]
    pub retry: RetryConfig,
    #[serde(default = "timeout_secs")]
    pub timeout_secs: u64,
    /// Whether notices name accounts in full.
    #[serde(default)]
    pub personal: Personal,
}

fn timeout_secs() -> u64 {
    10
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Personal {
    #[default]
    Masked,
    Plain,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Tries in all, the first among them.
    pub attempts: u32,
    /// Pause after the first failure; doubled after each.
    pub base_ms: u64,
    pub pause_max_ms: u64,
}

impl Default for RetryConfig {
    /// Half a second to half a minute: long enough for a restart, short enough for an attack.
    fn default() -> Self {
        RetryConfig { attempts: 5, base_ms: 500, pause_max_ms: 30_000 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpWebhook {
    pub url: String,
    /// `whsec_…` or at least 24 characters; shared with the receiver.
    pub secret_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketConfig {
    pub request: CallConfig,
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    #[serde(default)]
    pub authorization_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// Which actions it executes.
    pub on: Vec<On>,
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The whole value of the `Authorization` header: `Bearer …`.
    #[serde(default)]
    pub authorization_file: Option<PathBuf>,
    pub apply: CallConfig,
    /// Must show the effect of `apply`.
    #[serde(default)]
    pub verify: Option<CallConfig>,
    #[serde(default)]
    pub undo: Option<CallConfig>,
    /// Must show the effect of `undo`.
    #[serde(default)]
    pub verify_undo: Option<CallConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct On {
    pub rung: Rung,
    pub target: EntityKind,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallConfig {
    #[serde(default = "post")]
    pub method: String,
    /// A template; values are percent-encoded. The host is fixed.
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A template; values are escaped for JSON.
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default = "json_type")]
    pub content_type: String,
    #[serde(default)]
    pub expect: Expect,
}

fn post() -> String {
    "POST".to_owned()
}

fn json_type() -> String {
    "application/json".to_owned()
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Status codes that mean success; empty: 200 to 299.
    pub status: Vec<u16>,
    /// JSON pointer (RFC 6901) and the value that must stand there.
    pub json: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub tls: TlsMode,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    pub from: String,
    pub to: Vec<String>,
    #[serde(default)]
    pub language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    #[default]
    Starttls,
    Tls,
    /// Only to a host opened as `internal`, and never with a password.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    Ko,
    #[default]
    En,
    Ja,
}

impl ConnectorsConfig {
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Diagnostic> {
        yaml::read(file_name, text, CONFIG_BYTES_MAX)
    }
}

/// Collects what is wrong with a configuration, by place.
pub(super) struct Problems(pub(super) Vec<Diagnostic>);

impl Problems {
    pub(super) fn add(&mut self, code: &str, place: &str, message: String, hint: &str) {
        self.0.push(Diagnostic::new(code, place, message).hint(hint));
    }

    pub(super) fn secret(&mut self, place: &str, path: &Path) -> Option<Secret> {
        let shown = path.display();
        let read = std::fs::metadata(path).and_then(|meta| {
            if meta.len() > SECRET_BYTES_MAX {
                Err(std::io::Error::other(format!("larger than {SECRET_BYTES_MAX} bytes")))
            } else {
                std::fs::read_to_string(path)
            }
        });
        match read {
            Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim())),
            Ok(_) => {
                self.add(
                    "empty-secret",
                    place,
                    format!("`{shown}` is empty"),
                    "write the secret into it",
                );
                None
            }
            Err(error) => {
                self.add(
                    "unreadable-secret",
                    place,
                    format!("cannot read `{shown}`: {error}"),
                    "create the file, readable by this user only",
                );
                None
            }
        }
    }
}

pub(super) fn open(
    config: &ConnectorsConfig,
    rim: Arc<dyn Rim>,
) -> Result<Connectors, Vec<Diagnostic>> {
    let egress = Egress::new(&config.egress);
    let mut problems = Problems(Vec::new());
    for host in egress.mixed() {
        // Names are resolved without knowing the port, so one host has one answer.
        problems.add(
            "mixed-internal",
            "egress",
            format!("`{host}` is open as internal on one port and not on another"),
            "give the two different names, or make both `internal: true`",
        );
    }
    let ca_pem = config.ca_file.as_ref().and_then(|path| {
        std::fs::read(path)
            .map_err(|error| {
                problems.add(
                    "unreadable-ca",
                    "ca_file",
                    format!("cannot read `{}`: {error}", path.display()),
                    "give a PEM file",
                );
            })
            .ok()
    });
    let mut names = BTreeSet::new();
    let mut connectors = Vec::new();
    for connector in &config.connectors {
        let place = format!("connectors.{}", connector.name);
        if connector.name.is_empty() || !names.insert(connector.name.as_str()) {
            problems.add(
                "bad-name",
                &place,
                format!("connector name `{}` is empty or there twice", connector.name),
                "give every connector a name of its own",
            );
        }
        if !(1..=ATTEMPTS_MAX).contains(&connector.retry.attempts) {
            problems.add(
                "bad-retry",
                &place,
                format!("`attempts: {}` is outside its limits", connector.retry.attempts),
                &format!("use 1 to {ATTEMPTS_MAX}"),
            );
        }
        if !(1..=TIMEOUT_SECS_MAX).contains(&connector.timeout_secs) {
            problems.add(
                "bad-timeout",
                &place,
                format!("`timeout_secs: {}` is outside its limits", connector.timeout_secs),
                &format!("use 1 to {TIMEOUT_SECS_MAX}"),
            );
        }
        if let Some(kind) = kind(connector, &place, &egress, ca_pem.as_deref(), &mut problems) {
            connectors.push(Connector {
                name: connector.name.clone(),
                retry: connector.retry.clone(),
                personal: connector.personal,
                kind,
            });
        }
    }
    let client = Client::new(egress, ca_pem.as_deref());
    match client {
        Ok(client) if problems.0.is_empty() => Ok(Connectors { connectors, client, rim }),
        Ok(_) => Err(problems.0),
        Err(diagnostic) => {
            problems.0.push(diagnostic);
            Err(problems.0)
        }
    }
}

fn kind(
    config: &ConnectorConfig,
    place: &str,
    egress: &Egress,
    ca_pem: Option<&[u8]>,
    problems: &mut Problems,
) -> Option<Kind> {
    let timeout_secs = config.timeout_secs;
    match (&config.webhook, &config.ticket, &config.email, &config.identity) {
        (Some(webhook), None, None, None) => {
            let call = CallConfig {
                method: post(),
                url: webhook.url.clone(),
                headers: BTreeMap::new(),
                body: None,
                content_type: json_type(),
                expect: Expect::default(),
            };
            let secret = Some(webhook.secret_file.as_path());
            Call::open(&call, secret, None, true, timeout_secs, place, egress, problems)
                .map(|call| Kind::Webhook(Box::new(call)))
        }
        (None, Some(ticket), None, None) => Call::open(
            &ticket.request,
            ticket.secret_file.as_deref(),
            ticket.authorization_file.as_deref(),
            false,
            timeout_secs,
            place,
            egress,
            problems,
        )
        .map(|call| Kind::Ticket(Box::new(call))),
        (None, None, Some(email), None) => {
            Mailer::open(email, ca_pem, timeout_secs, place, egress, problems)
                .map(|mailer| Kind::Email(Box::new(mailer)))
        }
        (None, None, None, Some(identity)) => {
            if identity.on.is_empty() {
                problems.add(
                    "no-actions",
                    place,
                    "`on` names no action and the connector would never run".to_owned(),
                    "say which rung on which target it executes",
                );
            }
            let mut open = |call: &CallConfig, name: &str| {
                Call::open(
                    call,
                    identity.secret_file.as_deref(),
                    identity.authorization_file.as_deref(),
                    false,
                    timeout_secs,
                    &format!("{place}.{name}"),
                    egress,
                    problems,
                )
            };
            let apply = open(&identity.apply, "apply");
            let mut optional =
                |call: &Option<CallConfig>, name| call.as_ref().and_then(|call| open(call, name));
            let verify = optional(&identity.verify, "verify");
            let undo = optional(&identity.undo, "undo");
            let verify_undo = optional(&identity.verify_undo, "verify_undo");
            Some(Kind::Identity(Box::new(Identity {
                on: identity.on.clone(),
                apply: apply?,
                verify,
                undo,
                verify_undo,
            })))
        }
        _ => {
            problems.add(
                "bad-kind",
                place,
                "a connector is exactly one of `webhook`, `ticket`, `email` and `identity`"
                    .to_owned(),
                "keep one of them",
            );
            None
        }
    }
}
