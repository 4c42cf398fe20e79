//! Talks to a server's API v1.

use crate::output::{EXIT_FOUND, EXIT_INPUT, EXIT_UNREACHABLE, EXIT_USAGE, Failure};
use crate::profile::{self, Profile};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// No answer within this is unreachable; queries have their own, shorter limit at the server.
const TIMEOUT: Duration = Duration::from_secs(70);

/// What the server may answer at most: an export of a large incident.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
    tenant: Option<String>,
}

/// A request body and its type.
pub enum Body<'a> {
    None,
    Json(&'a Value),
    Raw { content_type: &'a str, bytes: &'a [u8] },
}

impl Client {
    /// From flags, environment (`PLURA_SERVER`, `PLURA_TOKEN`, `PLURA_CA`) and profile, in that order.
    pub fn connect(server: Option<&str>, tenant: Option<&str>) -> Result<Client, Failure> {
        let saved = profile::load()?;
        let Profile { server: saved_server, token, ca_file, tenant: saved_tenant } = saved;
        let base = server.map(str::to_owned).or(saved_server).ok_or_else(|| {
            Failure::new(EXIT_USAGE, "no server is set").hint(
                "run `plura config set --server URL --token-file FILE`, or set PLURA_SERVER and PLURA_TOKEN",
            )
        })?;
        let token = std::env::var("PLURA_TOKEN").ok().or(token).ok_or_else(|| {
            Failure::new(EXIT_USAGE, "no API token is set")
                .hint("run `plura config set --token-file FILE`, or set PLURA_TOKEN")
        })?;
        let ca_file: Option<PathBuf> = std::env::var_os("PLURA_CA").map(Into::into).or(ca_file);
        Client::with(&base, &token, ca_file.as_deref(), tenant.map(str::to_owned).or(saved_tenant))
    }

    /// For a server, a token and a certificate that are known.
    pub fn with(
        base: &str,
        token: &str,
        ca_file: Option<&Path>,
        tenant: Option<String>,
    ) -> Result<Client, Failure> {
        let mut tls = TlsConfig::builder();
        if let Some(file) = ca_file {
            let pem = fs::read(file).map_err(|error| {
                Failure::input(format!("cannot read certificate `{}`: {error}", file.display()))
            })?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| {
                Failure::input(format!("`{}` holds no PEM certificate: {error}", file.display()))
            })?;
            tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build();
        Ok(Client {
            agent: ureq::Agent::new_with_config(config),
            base: base.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            tenant,
        })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        parse(&self.send("GET", path, Body::None)?)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        parse(&self.send("POST", path, Body::Json(body))?)
    }

    pub fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        parse(&self.send("PUT", path, Body::Json(body))?)
    }

    pub fn send(&self, method: &str, path: &str, body: Body<'_>) -> Result<Vec<u8>, Failure> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("accept", "application/json, application/problem+json");
        if let Some(tenant) = &self.tenant {
            request = request.header("plura-tenant", tenant);
        }
        let bytes = match body {
            Body::None => Vec::new(),
            Body::Json(value) => {
                request = request.header("content-type", "application/json");
                value.to_string().into_bytes()
            }
            Body::Raw { content_type, bytes } => {
                request = request.header("content-type", content_type);
                bytes.to_vec()
            }
        };
        let unusable = |error: http::Error| {
            Failure::new(EXIT_USAGE, format!("`{}{path}` is not an address: {error}", self.base))
        };
        let answer = if bytes.is_empty() && method != "POST" {
            self.agent.run(request.body(()).map_err(unusable)?)
        } else {
            self.agent.run(request.body(bytes).map_err(unusable)?)
        };
        let mut answer = answer.map_err(|error| {
            Failure::new(EXIT_UNREACHABLE, format!("cannot reach `{}`: {error}", self.base))
                .hint("is the server running? `plura doctor` looks further; a self-signed server needs `plura config set --ca-file`")
        })?;
        let status = answer.status().as_u16();
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(
            |error| {
                Failure::new(
                    EXIT_UNREACHABLE,
                    format!("the answer of `{}` broke off: {error}", self.base),
                )
            },
        )?;
        if (200..300).contains(&status) { Ok(bytes) } else { Err(refused(status, &bytes)) }
    }
}

fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(EXIT_UNREACHABLE, format!("the server answered no JSON: {error}"))
    })
}

/// A problem+json (RFC 9457) as a failure with the exit code that fits.
fn refused(status: u16, bytes: &[u8]) -> Failure {
    let problem: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let exit = match status {
        400 | 404 | 413 | 415 | 422 => EXIT_INPUT,
        401 | 403 => EXIT_USAGE,
        409 => EXIT_FOUND,
        _ => EXIT_UNREACHABLE,
    };
    let message = text("detail")
        .or_else(|| text("title"))
        .unwrap_or_else(|| format!("the server answered {status}"));
    let code = text("code").map(|code| format!(" [{code}]")).unwrap_or_default();
    let failure = Failure::new(exit, format!("{message}{code}"));
    match text("hint") {
        Some(hint) => failure.hint(hint),
        None if status == 401 => failure
            .hint("the token is unknown or has expired: make a new one with `plura token create`"),
        None => failure,
    }
}
