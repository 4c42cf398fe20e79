//! Brings the spool to the server, in order, and tells it what was dropped.

use super::loss::{LossReason, LossReport};
use super::recorder::{Common, Recorder, now};
use super::spool::{Cursor, Spooled};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ring::rand::{SecureRandom, SystemRandom};
use schema::Secret;
use serde::Deserialize;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// NDJSON of one batch before compression.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// A batch that is on its way longer than this is sent again.
const TIMEOUT: Duration = Duration::from_secs(30);
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The server's answers are small; more is not read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Without news the spool is looked at again after this.
const IDLE: Duration = Duration::from_secs(1);
/// zstd's fastest level that still finds what repeats in JSON.
const ZSTD_LEVEL: i32 = 1;
/// Refused events kept aside for a human; of more only the count is kept.
const PARKED_MAX: usize = 100;

#[derive(Debug, Clone)]
pub struct ShipperConfig {
    /// `https://plura.internal:8443`
    pub url: String,
    pub token: Secret,
    pub tls: Arc<rustls::ClientConfig>,
}

#[derive(Debug, thiserror::Error)]
pub enum ShipperError {
    #[error("`{0}` is not the server's address: write `https://host:port`")]
    Url(String),
    #[error(
        "the server token holds a character no header may have; copy it again, without line breaks"
    )]
    Token,
}

/// Runs until it is stopped; what it has not shipped stays in the spool.
pub struct Shipper {
    common: Arc<Common>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    token: HeaderValue,
    cursor: Cursor,
    /// Lowered when the server says a batch is too large.
    batch_bytes: usize,
    failures: u32,
}

/// How a request to the server ended.
#[derive(Debug)]
enum Answer {
    Accepted(Bytes),
    /// Try again, not before this.
    Later(Option<Duration>),
    TooLarge,
    Unauthorized(StatusCode),
    /// The server read it and says no: sending it again changes nothing.
    Refused(StatusCode, Bytes),
}

#[derive(Deserialize)]
struct Receipt {
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    duplicates: u64,
    #[serde(default)]
    rejected: u64,
}

impl Shipper {
    pub fn new(config: ShipperConfig, recorder: &Recorder) -> Result<Shipper, ShipperError> {
        let url = config.url.trim_end_matches('/').to_owned();
        let parsed: http::Uri = url.parse().map_err(|_| ShipperError::Url(url.clone()))?;
        let known = matches!(parsed.scheme_str(), Some("https" | "http"));
        if !known || parsed.host().is_none() {
            return Err(ShipperError::Url(url));
        }
        let mut token = HeaderValue::from_str(&format!("Bearer {}", config.token.reveal().trim()))
            .map_err(|_| ShipperError::Token)?;
        token.set_sensitive(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*config.tls).clone())
            .https_or_http()
            .enable_http1()
            .build();
        let common = Arc::clone(&recorder.common);
        let cursor = common.spool().start();
        Ok(Shipper {
            client: Client::builder(TokioExecutor::new()).build(connector),
            common,
            url,
            token,
            cursor,
            batch_bytes: BATCH_BYTES_MAX,
            failures: 0,
        })
    }

    /// Ships until `stop` turns true. A batch under way then is sent again after the next start, which
    /// does no harm.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.ship() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn ship(&mut self) {
        loop {
            while let Some(report) = self.common.report() {
                if !self.tell_loss(report).await {
                    break;
                }
            }
            match self.batch().await {
                Ok(Some(events)) => self.deliver(events).await,
                Ok(None) => {
                    // Whatever comes first; nothing is missed, for the loop looks again.
                    let _ = tokio::time::timeout(IDLE, self.common.news.notified()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "cannot read the spool");
                    self.pause(None).await;
                }
            }
        }
    }

    /// The next events, read without holding up the recorder.
    async fn batch(&mut self) -> std::io::Result<Option<Vec<Spooled>>> {
        let Some(plan) = self.common.plan(self.cursor, self.batch_bytes) else { return Ok(None) };
        let segment = plan.cursor.segment;
        let read = tokio::task::spawn_blocking(move || plan.read()).await;
        let (events, next, damaged) = read.map_err(std::io::Error::other)??;
        if let Some(bytes) = damaged {
            let mut spool = self.common.spool();
            spool.roll_damaged(segment)?;
            let following = spool.first_after(segment);
            let seen = events.last().map(|e| e.sequence).or(spool.acknowledged());
            drop(spool);
            let lost = following.saturating_sub(seen.map_or(following, |s| s + 1)).max(1);
            tracing::error!(
                segment,
                bytes,
                events = lost,
                "a spool segment is damaged; the rest of it is lost"
            );
            self.common.lose(LossReason::SpoolDamaged, lost, now());
        }
        if events.is_empty() {
            self.cursor = next;
            // All of what was read is with the server already: look on at once.
            return Ok(Some(events));
        }
        Ok(Some(events))
    }

    /// Sends until the server has it, or has refused it event by event.
    async fn deliver(&mut self, events: Vec<Spooled>) {
        let mut waiting = vec![events];
        while let Some(mut events) = waiting.pop() {
            let Some(last) = events.last() else { continue };
            let (sequence, next) = (last.sequence, last.next);
            match self.send(&events).await {
                Answer::Accepted(body) => {
                    self.failures = 0;
                    self.batch_bytes = (self.batch_bytes * 2).min(BATCH_BYTES_MAX);
                    self.note(&events, &body);
                    self.advance(sequence, next);
                }
                Answer::Later(wait) => {
                    waiting.push(events);
                    self.pause(wait).await;
                }
                Answer::Unauthorized(status) => {
                    if !self.common.counts.unauthorized.swap(true, Ordering::Relaxed) {
                        tracing::error!(
                            status = status.as_u16(),
                            "the server does not accept our token: evidence stays in the spool until it does; give the gateway a new token with `plura token`"
                        );
                    }
                    waiting.push(events);
                    self.pause(None).await;
                }
                Answer::TooLarge | Answer::Refused(..) if events.len() > 1 => {
                    // One of them is the trouble: halve until it stands alone.
                    self.batch_bytes = (self.batch_bytes / 2).max(1);
                    let tail = events.split_off(events.len() / 2);
                    waiting.push(tail);
                    waiting.push(events);
                }
                answer @ (Answer::TooLarge | Answer::Refused(..)) => {
                    let why = match &answer {
                        Answer::Refused(status, body) => {
                            format!(
                                "{status}: {}",
                                String::from_utf8_lossy(body).chars().take(300).collect::<String>()
                            )
                        }
                        _ => "413: too large".to_owned(),
                    };
                    if let Some(event) = events.first() {
                        self.park(event, &why);
                    }
                    self.advance(sequence, next);
                }
            }
        }
    }

    fn note(&self, events: &[Spooled], body: &[u8]) {
        let counts = &self.common.counts;
        counts.unauthorized.store(false, Ordering::Relaxed);
        counts.batches.fetch_add(1, Ordering::Relaxed);
        let receipt = serde_json::from_slice(body).unwrap_or(Receipt {
            accepted: events.len() as u64,
            duplicates: 0,
            rejected: 0,
        });
        counts.shipped.fetch_add(receipt.accepted, Ordering::Relaxed);
        counts.duplicates.fetch_add(receipt.duplicates, Ordering::Relaxed);
        if receipt.rejected > 0 {
            counts.refused.fetch_add(receipt.rejected, Ordering::Relaxed);
            let answer: String = String::from_utf8_lossy(body).chars().take(500).collect();
            tracing::error!(
                rejected = receipt.rejected,
                answer,
                "the server refused events of a batch"
            );
            self.common.lose(LossReason::Refused, receipt.rejected, now());
        }
    }

    fn advance(&mut self, sequence: u64, next: Cursor) {
        self.common.spool().acknowledge(sequence);
        self.cursor = next;
    }

    async fn send(&self, events: &[Spooled]) -> Answer {
        let body = match compress(events) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "cannot compress a batch");
                return Answer::Later(None);
            }
        };
        let request = Request::post(format!("{}/api/v1/intake/events", self.url))
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header(CONTENT_ENCODING, "zstd");
        self.request(request, body).await
    }

    /// Whether the server has it now.
    async fn tell_loss(&mut self, report: LossReport) -> bool {
        let body = serde_json::json!({
            "gateway": *self.common.gateway,
            "dropped": report.tally.dropped,
            "since": report.tally.since,
            "until": report.tally.until,
            "reason": report.reason.as_str(),
        });
        let request = Request::post(format!("{}/api/v1/gateway/loss", self.url))
            .header(CONTENT_TYPE, "application/json");
        match self.request(request, body.to_string().into_bytes()).await {
            Answer::Accepted(_) => {
                self.common.confirm(report);
                true
            }
            answer => {
                // Events go first then; the report waits for the next turn.
                tracing::warn!(?answer, "the server did not take a loss report");
                false
            }
        }
    }

    async fn request(&self, request: http::request::Builder, body: Vec<u8>) -> Answer {
        let source = HeaderValue::from_str(&self.common.gateway);
        let request = request.header(AUTHORIZATION, self.token.clone());
        let request = match source {
            Ok(source) => request.header("Plura-Source", source),
            Err(_) => request,
        };
        let request = match request.body(Full::new(Bytes::from(body))) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(%error, "cannot form a request to the server");
                return Answer::Later(None);
            }
        };
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| e.to_string())?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            Ok::<_, String>((head, body.map(|b| b.to_bytes()).unwrap_or_default()))
        };
        let (head, body) = match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the server is not reachable");
                return Answer::Later(None);
            }
            Err(_) => return Answer::Later(None),
        };
        let wait = head.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        match head.status {
            status if status.is_success() => Answer::Accepted(body),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Answer::Unauthorized(status)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Answer::TooLarge,
            status @ (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => {
                Answer::Refused(status, body)
            }
            status => {
                // 404, 405, 3xx: the address is wrong, not the event. It waits, and says so.
                if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                    tracing::error!(
                        status = status.as_u16(),
                        url = self.url,
                        "this does not answer like a Plura server; check the url"
                    );
                }
                Answer::Later(wait.map(Duration::from_secs))
            }
        }
    }

    /// Keeps a refused event beside the spool, and counts it.
    fn park(&self, event: &Spooled, why: &str) {
        self.common.counts.refused.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            sequence = event.sequence,
            why,
            "the server refused an event; it is kept aside"
        );
        let dir = &self.common.parked;
        let kept = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .and_then(|()| std::fs::read_dir(dir))
            .map(Iterator::count)
            .and_then(|parked| {
                if parked >= PARKED_MAX {
                    return Err(std::io::Error::other(format!("{PARKED_MAX} are kept already")));
                }
                let path = dir.join(format!("{:020}.json", event.sequence));
                let mut file = std::fs::OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(path)?;
                file.write_all(&event.payload)
            });
        if let Err(error) = kept {
            tracing::warn!(sequence = event.sequence, %error, "the refused event is only counted");
        }
        self.common.lose(LossReason::Refused, 1, now());
    }

    /// Waits, longer with each failure in a row, by a length nobody else waits.
    async fn pause(&mut self, at_least: Option<Duration>) {
        self.common.counts.batch_failures.fetch_add(1, Ordering::Relaxed);
        self.failures = self.failures.saturating_add(1);
        let doubled = BACKOFF_MIN.saturating_mul(1 << self.failures.min(10).saturating_sub(1));
        let longest = doubled.min(BACKOFF_MAX);
        let mut chance = [0u8; 2];
        // Without chance it waits the whole time, which is only less even.
        let share = match SystemRandom::new().fill(&mut chance) {
            Ok(()) => f64::from(u16::from_le_bytes(chance)) / f64::from(u16::MAX),
            Err(_) => 1.0,
        };
        let wait = longest.mul_f64(0.5 + share / 2.0);
        tokio::time::sleep(wait.max(at_least.unwrap_or_default().min(BACKOFF_MAX))).await;
    }
}

fn compress(events: &[Spooled]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    for event in events {
        encoder.write_all(&event.payload)?;
        encoder.write_all(b"\n")?;
    }
    encoder.finish()
}

#[cfg(test)]
mod tests;
