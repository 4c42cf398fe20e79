//! One HTTP request made of a template, and the client that sends it.

use super::config::{CallConfig, Expect, Problems};
use super::delivery::{Done, Failure};
use super::egress::{Egress, is_internal};
use super::facts::Facts;
use super::sign::{SigningSecret, sign};
use super::template::{Escape, Template};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use schema::{Diagnostic, Secret};
use serde_json::Value;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use uuid::Uuid;

/// Bytes of an answer we read: enough for an identity provider's user record.
const RESPONSE_BYTES_MAX: usize = 256 * 1024;

/// A request ready to be filled in.
pub(crate) struct Call {
    method: Method,
    url: Template,
    headers: Vec<(HeaderName, Template)>,
    /// `None`: the notice's own payload.
    body: Option<Template>,
    payload: bool,
    content_type: HeaderValue,
    json: bool,
    secret: Option<SigningSecret>,
    authorization: Option<HeaderValue>,
    expect: Expect,
    timeout: Duration,
}

impl Call {
    #[expect(clippy::too_many_arguments, reason = "one caller module; each is a thing of its own")]
    pub(crate) fn open(
        config: &CallConfig,
        secret_file: Option<&Path>,
        authorization_file: Option<&Path>,
        payload: bool,
        timeout_secs: u64,
        place: &str,
        egress: &Egress,
        problems: &mut Problems,
    ) -> Option<Call> {
        let before = problems.0.len();
        let url = template(&config.url, &format!("{place}.url"), problems);
        let body = config
            .body
            .as_ref()
            .and_then(|body| template(body, &format!("{place}.body"), problems));
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            if let (Ok(name), Some(value)) =
                (name.parse::<HeaderName>(), template(value, &format!("{place}.headers"), problems))
            {
                headers.push((name, value));
            } else {
                problems.add(
                    "bad-header",
                    place,
                    format!("`{name}` is not a header"),
                    "use letters, digits and `-`",
                );
            }
        }
        let method = Method::from_bytes(config.method.as_bytes()).ok();
        if !method.as_ref().is_some_and(|m| {
            [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(m)
        }) {
            problems.add(
                "bad-method",
                place,
                format!("`{}` is not a method we send", config.method),
                "use GET, POST, PUT, PATCH or DELETE",
            );
        }
        let sample = Facts::sample();
        if let Some(url) = &url {
            check_url(&config.url, &url.render(&sample, Escape::Url), place, egress, problems);
        }
        let json = config.content_type.contains("json");
        if let Some(body) = &body
            && json
            && let Err(error) = serde_json::from_str::<Value>(&body.render(&sample, Escape::Json))
        {
            problems.add(
                "body-not-json",
                place,
                format!("`body` does not become JSON: {error}"),
                "put `{{…}}` inside quotes",
            );
        }
        let secret = secret_file.and_then(|path| {
            let secret = problems.secret(place, path)?;
            let parsed = SigningSecret::parse(&secret);
            if parsed.is_none() {
                problems.add(
                    "weak-secret",
                    place,
                    format!("the secret in `{}` is no signing key", path.display()),
                    "use `whsec_` and 24 to 64 bytes in base64",
                );
            }
            parsed
        });
        let authorization = authorization_file.and_then(|path| {
            let secret: Secret = problems.secret(place, path)?;
            let header = HeaderValue::from_str(secret.reveal()).ok().map(|mut value| {
                value.set_sensitive(true);
                value
            });
            if header.is_none() {
                problems.add(
                    "bad-authorization",
                    place,
                    format!("`{}` does not fit into a header", path.display()),
                    "write one line, such as `Bearer …`",
                );
            }
            header
        });
        let content_type = HeaderValue::from_str(&config.content_type).ok();
        if problems.0.len() > before {
            return None;
        }
        Some(Call {
            method: method?,
            url: url?,
            headers,
            body,
            payload,
            content_type: content_type?,
            json,
            secret,
            authorization,
            expect: config.expect.clone(),
            timeout: Duration::from_secs(timeout_secs),
        })
    }
}

fn template(text: &str, place: &str, problems: &mut Problems) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err((message, hint)) => {
            problems.add("bad-template", place, message, &hint);
            None
        }
    }
}

fn check_url(
    template: &str,
    rendered: &str,
    place: &str,
    egress: &Egress,
    problems: &mut Problems,
) {
    let Some((uri, host, port)) = parts(rendered) else {
        problems.add(
            "bad-url",
            place,
            format!("`{template}` is not a URL"),
            "write `https://host/path`",
        );
        return;
    };
    let authority = template.split("://").nth(1).and_then(|rest| rest.split('/').next());
    if authority.is_some_and(|authority| authority.contains("{{") || authority.contains('@')) {
        problems.add(
            "host-not-fixed",
            place,
            format!("the host of `{template}` is filled in, or holds a password"),
            "write the host out; put secrets into `authorization_file`",
        );
        return;
    }
    match egress.opened(&host, port) {
        None => problems.add(
            "egress-not-open",
            place,
            format!("`{host}:{port}` is not open"),
            "have an administrator add the host to `egress`",
        ),
        Some(false) if uri.scheme_str() != Some("https") => problems.add(
            "plain-http",
            place,
            format!("`{host}` would be spoken to without TLS"),
            "use `https://`, or set `internal: true` on the host in `egress`",
        ),
        Some(_) => {}
    }
}

fn parts(url: &str) -> Option<(Uri, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let default = match uri.scheme_str()? {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let host = uri.host()?.to_owned();
    let port = uri.port_u16().unwrap_or(default);
    Some((uri, host, port))
}

type Http =
    hyper_util::client::legacy::Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>;

pub(crate) struct Client {
    http: Http,
    egress: Egress,
}

impl Client {
    pub(crate) fn new(egress: Egress, ca_pem: Option<&[u8]>) -> Result<Client, Diagnostic> {
        let broken = |message: String| {
            Diagnostic::new("tls-setup", "ca_file", message).hint("give certificates in PEM")
        };
        let mut roots = rustls::RootCertStore::empty();
        // A machine without system roots can still reach what `ca_file` vouches for.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in ca_pem.map(CertificateDer::pem_slice_iter).into_iter().flatten() {
            let certificate = certificate.map_err(|e| broken(format!("cannot read a CA: {e}")))?;
            roots.add(certificate).map_err(|e| broken(format!("cannot use a CA: {e}")))?;
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| broken(format!("cannot set up TLS: {e}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new_with_resolver(GuardedResolver(egress.clone()));
        http.enforce_http(false);
        http.set_nodelay(true);
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(https);
        Ok(Client { http, egress })
    }

    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    /// Sends one call once. Redirects are not followed: the address that was opened is the one asked.
    pub(crate) async fn send(
        &self,
        call: &Call,
        facts: &Facts,
        key: &str,
        subject: Uuid,
        now: schema::Timestamp,
    ) -> Result<Done, Failure> {
        let url = call.url.render(facts, Escape::Url);
        let (uri, host, port) = parts(&url).ok_or_else(|| {
            Failure::new(
                "bad-url",
                "the URL did not come out as one".to_owned(),
                "check its template",
            )
        })?;
        let internal = self.egress.check(&host, port)?;
        // Names are checked by the resolver; an address written out never reaches it.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if literal.is_ok_and(is_internal) && !internal {
            return Err(Failure::new(
                "address-not-allowed",
                format!("`{host}` is an internal address"),
                "if that is meant, set `internal: true` on the host in `egress`",
            ));
        }
        let request = build(call, facts, uri, key, subject, now)?;
        let shown = format!("`{} {host}:{port}`", call.method);
        tokio::time::timeout(call.timeout, self.exchange(call, request, &shown)).await.map_err(
            |_| {
                Failure::transient(
                    "timeout",
                    format!("{shown} did not answer within {} s", call.timeout.as_secs()),
                    "check the other side, or raise `timeout_secs`",
                )
            },
        )?
    }

    async fn exchange(
        &self,
        call: &Call,
        request: Request<Full<Bytes>>,
        shown: &str,
    ) -> Result<Done, Failure> {
        let response = self.http.request(request).await.map_err(|error| refused(&error, shown))?;
        let status = response.status();
        let code = status.as_u16();
        let good = match call.expect.status.as_slice() {
            [] => status.is_success(),
            wanted => wanted.contains(&code),
        };
        if !good {
            let message = format!("{shown} answered {code}");
            let hint = "look into the other side's log for this time";
            // 408, 425, 429 and all of 5xx say "later"; the rest say "no".
            let mut failure = if matches!(code, 408 | 425 | 429) || code >= 500 {
                Failure::transient("unexpected-status", message, hint)
            } else {
                Failure::new("unexpected-status", message, hint)
            };
            failure.retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs);
            return Err(failure);
        }
        let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX);
        if call.expect.json.is_empty() {
            // Read to the end so that the connection can be used again; what it says does not matter.
            let _ = body.collect().await;
            return Ok(Done { status: code });
        }
        let bytes = body
            .collect()
            .await
            .map_err(|_| {
                Failure::transient(
                    "answer-not-read",
                    format!(
                        "the answer of {shown} broke off or is above {RESPONSE_BYTES_MAX} bytes"
                    ),
                    "ask for less, or expect only a status",
                )
            })?
            .to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        for (pointer, wanted) in &call.expect.json {
            if answer.pointer(pointer) != Some(wanted) {
                return Err(Failure::new(
                    "expectation-failed",
                    format!("`{pointer}` in the answer of {shown} is not as expected"),
                    "compare `expect.json` with what the other side really answers",
                ));
            }
        }
        Ok(Done { status: code })
    }
}

fn build(
    call: &Call,
    facts: &Facts,
    uri: Uri,
    key: &str,
    subject: Uuid,
    now: schema::Timestamp,
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = match (&call.body, call.payload) {
        (Some(template), _) => {
            let escape = if call.json { Escape::Json } else { Escape::Plain };
            Bytes::from(template.render(facts, escape))
        }
        (None, true) => Bytes::from(facts.payload.to_string()),
        (None, false) => Bytes::new(),
    };
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(uri)
        .header(USER_AGENT, concat!("plura/", env!("CARGO_PKG_VERSION")))
        // draft-ietf-httpapi-idempotency-key-header: the same key, the same effect, once.
        .header("idempotency-key", key);
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, call.content_type.clone());
    }
    for (name, value) in &call.headers {
        request = request.header(name.clone(), value.render(facts, Escape::Header));
    }
    if let Some(value) = &call.authorization {
        request = request.header(AUTHORIZATION, value.clone());
    }
    if let Some(secret) = &call.secret {
        let id = format!("msg_{}", subject.simple());
        let signed = sign(secret, &id, now, &body);
        request = request
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature);
    }
    request.body(Full::new(body)).map_err(|_| {
        Failure::new(
            "bad-request",
            "a header did not come out as one".to_owned(),
            "check the templates under `headers`",
        )
    })
}

/// The resolver's refusal where it was one; else what kept the connection from standing.
fn refused(error: &hyper_util::client::legacy::Error, shown: &str) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<ResolverRefusal>() {
            return refusal.0.clone();
        }
        last = error.to_string();
        cause = error.source();
    }
    Failure::transient(
        "connection-failed",
        format!("{shown} could not be reached: {last}"),
        "check that the other side runs and that its certificate is trusted (`ca_file`)",
    )
}

/// Resolves names to addresses that [`Egress`] allows, and to no other.
#[derive(Clone)]
pub(crate) struct GuardedResolver(Egress);

#[derive(Debug)]
pub(crate) struct ResolverRefusal(Failure);

impl std::fmt::Display for ResolverRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ResolverRefusal {}

impl tower_service::Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolverRefusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let egress = self.0.clone();
        Box::pin(async move {
            egress.resolve_name(name.as_str()).await.map(Vec::into_iter).map_err(ResolverRefusal)
        })
    }
}
