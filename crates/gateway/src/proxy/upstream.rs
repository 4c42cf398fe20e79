//! Connections to the applications behind: made, kept, counted out and back in.

use super::body::RequestBody;
use super::tls;
use crate::config::{Config, HealthConfig, UpstreamConfig};
use http::Uri;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use schema::{Diagnostic, Timestamp};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Header lines taken from an upstream's response.
const RESPONSE_HEADERS_MAX: usize = 200;
/// The most a response head may take of an upstream connection's buffer.
const RESPONSE_BUFFER_BYTES_MAX: usize = 256 * 1024;

pub type Sender = SendRequest<RequestBody>;

pub struct Upstream {
    config: UpstreamConfig,
    health: HealthConfig,
    connect_ms: u64,
    idle: Duration,
    idle_max: usize,
    /// `host:port`, for people.
    pub name: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Idle connections by worker: each belongs to the event loop that made it.
    pools: Vec<Mutex<VecDeque<Idle>>>,
    /// What the active checks say.
    down: AtomicBool,
    failures: AtomicU32,
    ejected_until: AtomicI64,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

/// A connection on loan; dropped, it is closed.
pub struct Lease {
    sender: Sender,
    upstream: Arc<Upstream>,
    worker: usize,
    /// It carried a request before: it may be closing without our knowing.
    pub reused: bool,
}

impl Lease {
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    pub fn give_back(self) {
        if self.sender.is_closed() {
            return;
        }
        let mut pool = self.upstream.pool(self.worker);
        if pool.as_ref().is_some_and(|p| p.len() < self.upstream.idle_max)
            && let Some(pool) = &mut pool
        {
            pool.push_back(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no connection within {0} ms")]
    Timeout(u64),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

impl Upstream {
    pub fn new(
        wanted: &UpstreamConfig,
        health: &HealthConfig,
        config: &Config,
    ) -> Result<Upstream, Diagnostic> {
        let invalid = |detail: String| {
            Diagnostic::new(
                "upstream-invalid",
                format!("upstream {}", wanted.url),
                format!("cannot use upstream `{}`: {detail}", wanted.url),
            )
            .hint("write `http://host:port` or `https://host:port`")
        };
        let uri: Uri =
            wanted.url.parse().map_err(|e: http::uri::InvalidUri| invalid(e.to_string()))?;
        let host = uri.host().ok_or_else(|| invalid("it has no host".into()))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|e| invalid(e.to_string()))?;
            let client = tls::client_config(wanted.ca_file.as_deref())?;
            Some((TlsConnector::from(Arc::new(client)), name))
        } else {
            None
        };
        let limits = &config.limits;
        Ok(Upstream {
            config: wanted.clone(),
            health: health.clone(),
            connect_ms: limits.connect_ms,
            idle: Duration::from_millis(limits.upstream_idle_ms),
            idle_max: limits.upstream_idle_max,
            name: format!("{host}:{port}"),
            host,
            port,
            tls,
            pools: (0..config.workers).map(|_| Mutex::default()).collect(),
            down: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            ejected_until: AtomicI64::new(0),
        })
    }

    /// Whether a reload may go on with this one.
    pub fn is(&self, wanted: &UpstreamConfig, health: &HealthConfig, config: &Config) -> bool {
        let limits = &config.limits;
        self.config == *wanted
            && self.health == *health
            && self.connect_ms == limits.connect_ms
            && self.idle == Duration::from_millis(limits.upstream_idle_ms)
            && self.idle_max == limits.upstream_idle_max
            && self.pools.len() == config.workers
    }

    fn pool(&self, worker: usize) -> Option<MutexGuard<'_, VecDeque<Idle>>> {
        self.pools.get(worker).map(|p| p.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An idle connection, the warmest first; those that closed or grew old are let go.
    pub fn idle(self: &Arc<Self>, worker: usize) -> Option<Lease> {
        let mut pool = self.pool(worker)?;
        while pool.front().is_some_and(|idle| idle.since.elapsed() > self.idle) {
            pool.pop_front();
        }
        let mut place = pool.len();
        while place > 0 {
            place -= 1;
            let idle = pool.get(place)?;
            if idle.sender.is_closed() {
                pool.remove(place);
            } else if idle.sender.is_ready() {
                let sender = pool.remove(place)?.sender;
                return Some(Lease { sender, upstream: Arc::clone(self), worker, reused: true });
            }
            // Otherwise its last response is not quite over; the next one may be.
        }
        None
    }

    /// Connections kept, for the metrics.
    pub fn idle_total(&self) -> usize {
        (0..self.pools.len()).filter_map(|w| self.pool(w)).map(|p| p.len()).sum()
    }

    /// A fresh connection, TLS included.
    pub async fn connect(self: &Arc<Self>, worker: usize) -> Result<Lease, ConnectError> {
        let limit = Duration::from_millis(self.connect_ms);
        let sender = tokio::time::timeout(limit, self.open())
            .await
            .map_err(|_| ConnectError::Timeout(self.connect_ms))??;
        Ok(Lease { sender, upstream: Arc::clone(self), worker, reused: false })
    }

    async fn open(&self) -> Result<Sender, ConnectError> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
        socket.set_nodelay(true)?;
        match &self.tls {
            None => self.handshake(socket).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), socket).await?;
                self.handshake(stream).await
            }
        }
    }

    async fn handshake<S>(&self, socket: S) -> Result<Sender, ConnectError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_headers(RESPONSE_HEADERS_MAX)
            .max_buf_size(RESPONSE_BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(socket))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(sender)
    }

    pub fn is_healthy(&self, now: Timestamp) -> bool {
        !self.down.load(Ordering::Relaxed) && self.ejected_until.load(Ordering::Relaxed) <= now
    }

    /// Traffic went well.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Traffic failed: after `failures_max` in a row it rests for `eject_ms`.
    pub fn failed(&self, now: Timestamp) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= self.health.failures_max {
            let rest = i64::try_from(self.health.eject_ms).unwrap_or(i64::MAX);
            self.ejected_until.store(now.saturating_add(rest), Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
            tracing::warn!(upstream = self.name, "upstream taken out after failures in a row");
        }
    }

    /// What an active check found.
    pub fn checked(&self, healthy: bool) {
        if self.down.swap(!healthy, Ordering::Relaxed) == healthy {
            tracing::info!(upstream = self.name, healthy, "upstream health changed");
        }
        if healthy {
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }
}
