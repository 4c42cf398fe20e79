//! What we tell others: sessions that are revoked and risk levels that changed, as signed tokens
//! pushed to the receivers an administrator listed. Without any, nothing leaves.

use super::set::Signer;
use crate::app::Blocking;
use crate::config::SsfReceiver;
use crate::deeds;
use crate::handle::now;
use crate::identity::secrets::new_id;
use crate::ledgers::Ledgers;
use crate::problem::Problem;
use crate::trust::record::Record;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use schema::{LeafKind, Timestamp};
use serde_json::{Map, Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::meta::Meta;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";

/// Tokens that wait for one receiver; more are counted and left out.
const WAITING_MAX: usize = 1_000;
/// One try, from connecting to the answer.
const TRY_MAX: Duration = Duration::from_secs(10);
/// Pauses after failures double from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(300);
/// A receiver that was away for longer learns of what is current, not of this.
const AGE_MAX_MS: i64 = 3600 * 1000;
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Decisions whose session is over.
const ENDING: [&str; 5] = ["suspend", "isolate", "deny", "deny_lock", "revoke_wipe"];

/// The way out; clones share it.
#[derive(Clone)]
pub struct Transmitter {
    inner: Arc<Inner>,
}

struct Inner {
    signer: Signer,
    receivers: Vec<(SsfReceiver, mpsc::Sender<Errand>)>,
    sent: Arc<AtomicU64>,
    dropped: AtomicU64,
}

struct Errand {
    claims: Map<String, Json>,
    since: Timestamp,
}

impl Transmitter {
    /// Opens the signing key, made at the first start, and starts a task per receiver.
    pub fn start(
        data: &Path,
        receivers: &[SsfReceiver],
        meta: &Meta,
        ledgers: &Ledgers,
    ) -> Result<Transmitter, String> {
        let signer = signer(data)?;
        let sent = Arc::<AtomicU64>::default();
        let mut started = Vec::new();
        let mut tasks = Vec::new();
        for receiver in receivers {
            let line = Line::open(receiver)?;
            let (errands, waiting) = mpsc::channel(WAITING_MAX);
            started.push((receiver.clone(), errands));
            tasks.push((line, waiting));
        }
        let inner = Inner { signer, receivers: started, sent, dropped: AtomicU64::default() };
        let transmitter = Transmitter { inner: Arc::new(inner) };
        for (line, waiting) in tasks {
            let pair = signer_of(data)?;
            let sent = Arc::clone(&transmitter.inner.sent);
            tokio::spawn(deliver(line, pair, waiting, meta.clone(), ledgers.clone(), sent));
        }
        Ok(transmitter)
    }

    pub fn jwks(&self) -> Json {
        self.inner.signer.jwks()
    }

    /// Tokens delivered, and left out because too many waited.
    pub fn figures(&self) -> (u64, u64) {
        let inner = &self.inner;
        (inner.sent.load(Ordering::Relaxed), inner.dropped.load(Ordering::Relaxed))
    }

    /// Tells the tenant's receivers what a record means for its session, if anything.
    pub fn tell(&self, tenant: &schema::TenantId, record: &Record) {
        let mine = self.inner.receivers.iter().filter(|(receiver, _)| receiver.tenant == *tenant);
        for (receiver, errands) in mine {
            for (kind, event) in events(record) {
                let mut told = Map::new();
                told.insert(format!("{CAEP}{kind}"), event);
                let mut claims = Map::new();
                claims.insert("iss".to_owned(), json!(receiver.issuer));
                claims.insert("aud".to_owned(), json!(receiver.audience));
                claims.insert("sub_id".to_owned(), subject(record));
                claims.insert("txn".to_owned(), json!(record.id));
                claims.insert("events".to_owned(), Json::Object(told));
                let errand = Errand { claims, since: record.time };
                if errands.try_send(errand).is_err() {
                    self.inner.dropped.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        receiver = receiver.url,
                        "too many signals wait; one is left out"
                    );
                }
            }
        }
    }
}

fn signer(data: &Path) -> Result<Signer, String> {
    let path = data.join("keys/ssf.key");
    if !path.exists() {
        let made =
            Signer::generate().map_err(|_| "the system gives no random numbers".to_owned())?;
        let of = |cause: std::io::Error| format!("cannot write `{}`: {cause}", path.display());
        crate::files::private_folder(&data.join("keys")).map_err(of)?;
        crate::files::private_file(&path, &made).map_err(of)?;
    }
    signer_of(data)
}

fn signer_of(data: &Path) -> Result<Signer, String> {
    let path = data.join("keys/ssf.key");
    let bytes = std::fs::read(&path)
        .map_err(|cause| format!("cannot read `{}`: {cause}", path.display()))?;
    Signer::open(&bytes).ok_or_else(|| format!("`{}` is no P-256 key in PKCS #8", path.display()))
}

/// CAEP's levels of risk, by the bands of the shipped policy.
fn level(score: trust::Points) -> &'static str {
    match score.0 {
        7_500.. => "LOW",
        2_500.. => "MEDIUM",
        _ => "HIGH",
    }
}

/// What a change of standing is called in CAEP.
fn events(record: &Record) -> Vec<(&'static str, Json)> {
    let Some(previous) = &record.previous else { return Vec::new() };
    let mut events = Vec::new();
    let secs = record.time / 1000;
    let is_session = record.session.starts_with("session:");
    let is_ended = record.decision.decisions.iter().any(|d| ENDING.contains(&&**d));
    if is_session && previous.permit && !record.permit && is_ended {
        events.push((
            "session-revoked",
            json!({
                "event_timestamp": secs, "initiating_entity": "policy",
                "reason_admin": record.reason_admin,
            }),
        ));
    }
    let (before, after) = (level(previous.score), level(record.decision.score));
    let principal = if is_session { "SESSION" } else { "USER" };
    if before != after {
        let reason = record.decision.reasons.first().map(|reason| reason.code.to_string());
        events.push((
            "risk-level-change",
            json!({
                "event_timestamp": secs, "initiating_entity": "policy", "principal": principal,
                "previous_level": before, "current_level": after, "risk_reason": reason,
            }),
        ));
    }
    events
}

fn subject(record: &Record) -> Json {
    let opaque = |id: &str| json!({ "format": "opaque", "id": id });
    let mut subject = Map::new();
    subject.insert("format".to_owned(), json!("complex"));
    let of = record.session.split_once(':');
    match of {
        Some(("session", id)) => subject.insert("session".to_owned(), opaque(id)),
        Some(("user" | "account" | "identity", id)) => {
            subject.insert("user".to_owned(), opaque(id))
        }
        Some(("device", id)) => subject.insert("device".to_owned(), opaque(id)),
        _ => subject.insert("session".to_owned(), opaque(&record.session)),
    };
    for (property, part) in [("account", "user"), ("device", "device")] {
        if let Some(id) = record.subject_properties.get(property).and_then(Json::as_str) {
            subject.entry(part).or_insert_with(|| opaque(id));
        }
    }
    Json::Object(subject)
}

/// A receiver as it is reached.
struct Line {
    receiver: SsfReceiver,
    uri: Uri,
    host: String,
    port: u16,
    tls: TlsConnector,
}

impl Line {
    fn open(receiver: &SsfReceiver) -> Result<Line, String> {
        let of = |cause: String| format!("receiver `{}`: {cause}", receiver.url);
        let uri: Uri = receiver.url.parse().map_err(|e| of(format!("not an address: {e}")))?;
        if uri.scheme_str() != Some("https") {
            return Err(of("signals leave over https only".to_owned()));
        }
        let host = uri.host().ok_or_else(|| of("it names no host".to_owned()))?.to_owned();
        let mut roots = rustls::RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(&receiver.ca_file)
            .map_err(|e| of(format!("cannot read `{}`: {e}", receiver.ca_file.display())))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|e| of(e.to_string()))?;
            roots.add(certificate).map_err(|e| of(e.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| of(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Line {
            port: uri.port_u16().unwrap_or(443),
            receiver: receiver.clone(),
            uri,
            host,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// One try; the receiver's status.
    async fn push(&self, token: String) -> Result<StatusCode, String> {
        let stream = tokio::net::TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|e| e.to_string())?;
        let name = ServerName::try_from(self.host.clone()).map_err(|e| e.to_string())?;
        let stream = self.tls.connect(name, stream).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let target = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(target)
            .header(HOST, self.uri.authority().map_or(self.host.as_str(), |a| a.as_str()))
            .header(CONTENT_TYPE, "application/secevent+jwt")
            .header(ACCEPT, "application/json");
        if let Some(path) = &self.receiver.token_file {
            let token = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let request = request.body(Full::new(Bytes::from(token))).map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        // Read so that the other side sees its answer taken; what it says is not needed.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(status)
    }
}

async fn deliver(
    line: Line,
    signer: Signer,
    mut waiting: mpsc::Receiver<Errand>,
    meta: Meta,
    ledgers: Ledgers,
    sent: Arc<AtomicU64>,
) {
    while let Some(Errand { mut claims, since }) = waiting.recv().await {
        let Ok(jti) = new_id(now()) else { continue };
        claims.insert("jti".to_owned(), json!(jti));
        let mut pause = PAUSE_FIRST;
        loop {
            claims.insert("iat".to_owned(), json!(now() / 1000));
            let Some(token) = signer.sign(&Json::Object(claims.clone())) else { break };
            let tried = tokio::time::timeout(TRY_MAX, line.push(token)).await;
            let why = match tried {
                Ok(Ok(StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT)) => {
                    sent.fetch_add(1, Ordering::Relaxed);
                    if let Err(problem) = attest(&line, &claims, jti, &meta, &ledgers).await {
                        tracing::error!(%problem, "a signal was sent and could not be attested");
                    }
                    break;
                }
                // RFC 8935 §2.3: it says what is wrong with the token; the same one stays wrong.
                Ok(Ok(StatusCode::BAD_REQUEST)) => {
                    tracing::error!(receiver = line.receiver.url, %jti, "a signal was refused");
                    break;
                }
                Ok(Ok(status)) => status.to_string(),
                Ok(Err(error)) => error,
                Err(_) => "no answer".to_owned(),
            };
            if now() - since > AGE_MAX_MS {
                tracing::error!(receiver = line.receiver.url, %jti, why, "a signal is given up");
                break;
            }
            tracing::warn!(receiver = line.receiver.url, %jti, why, "a signal is tried again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LAST);
        }
    }
}

/// What left the house is on record: to whom, and the digest of what.
async fn attest(
    line: &Line,
    claims: &Map<String, Json>,
    jti: uuid::Uuid,
    meta: &Meta,
    ledgers: &Ledgers,
) -> Result<(), Problem> {
    let tenant = &line.receiver.tenant;
    let code = format!("signal-sent {}", line.host);
    let leaf = deeds::leaf(tenant, LeafKind::Export, "trust", jti, claims, &code, now());
    meta.blocking(move |meta| meta.write(|tx| tx.attest(&[leaf]))).await?;
    ledgers.wake();
    Ok(())
}
