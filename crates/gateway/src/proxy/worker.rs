//! Threads that carry traffic, and the sockets they take it from.

use super::guard::{Conversation, Guard};
use super::serve::{Activity, Peer, serve};
use super::shared::Shared;
use super::tls;
use crate::config::ListenerConfig;
use crate::evidence::Scheme;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schema::Diagnostic;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause after the system refused a connection (too many files), so that it can recover.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// HTTP/2 peers that say nothing are asked after this long, and dropped after as long again.
const H2_PING: Duration = Duration::from_secs(20);

/// One address the gateway listens on; its certificates may change while it does.
pub struct Listener {
    pub address: SocketAddr,
    settings: RwLock<Arc<Settings>>,
    closed: watch::Sender<bool>,
}

struct Settings {
    tls: Option<TlsAcceptor>,
    h2c: bool,
}

impl Listener {
    pub fn new(address: SocketAddr, config: &ListenerConfig) -> Result<Self, Vec<Diagnostic>> {
        let settings = RwLock::new(Arc::new(Settings::new(config)?));
        Ok(Listener { address, settings, closed: watch::Sender::new(false) })
    }

    /// Prepares new settings; calling the result puts them in force.
    pub fn prepare(
        self: &Arc<Self>,
        config: &ListenerConfig,
    ) -> Result<impl FnOnce() + use<>, Vec<Diagnostic>> {
        let settings = Arc::new(Settings::new(config)?);
        let listener = Arc::clone(self);
        Ok(move || {
            *listener.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        })
    }

    /// Takes no more connections; those it has go on.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Settings {
    fn new(config: &ListenerConfig) -> Result<Self, Vec<Diagnostic>> {
        let tls = match &config.tls {
            Some(tls) => Some(TlsAcceptor::from(Arc::new(tls::server_config(tls, config.http2)?))),
            None => None,
        };
        Ok(Settings { tls, h2c: config.h2c })
    }
}

pub struct Worker {
    pub shared: Arc<Shared>,
    pub index: usize,
    pub drain: watch::Receiver<bool>,
}

impl Worker {
    /// Serves the listeners that come in until it is told to drain, then what is under way.
    pub async fn run(
        self,
        mut listeners: mpsc::UnboundedReceiver<(Arc<Listener>, std::net::TcpListener)>,
        shutdown: Duration,
    ) {
        let room = Arc::new(Semaphore::new(self.shared.live().config.limits.connections_max));
        // Closes when the last connection has let go of its end.
        let (open, mut all_closed) = mpsc::channel::<()>(1);
        let mut drain = self.drain.clone();
        let worker = Arc::new(self);
        loop {
            tokio::select! {
                next = listeners.recv() => {
                    let Some((listener, socket)) = next else { break };
                    match TcpListener::from_std(socket) {
                        Ok(socket) => {
                            let accept = Arc::clone(&worker).accept(listener, socket, Arc::clone(&room), open.clone());
                            tokio::spawn(accept);
                        }
                        Err(error) => tracing::error!(%error, "cannot listen"),
                    }
                }
                _ = drain.wait_for(|drain| *drain) => break,
            }
        }
        drop(open);
        if tokio::time::timeout(shutdown, all_closed.recv()).await.is_err() {
            tracing::warn!("connections were still open at the shutdown deadline");
        }
    }

    async fn accept(
        self: Arc<Self>,
        listener: Arc<Listener>,
        socket: TcpListener,
        room: Arc<Semaphore>,
        open: mpsc::Sender<()>,
    ) {
        let mut drain = self.drain.clone();
        let mut closed = listener.closed.subscribe();
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = closed.wait_for(|closed| *closed) => return,
                _ = drain.wait_for(|drain| *drain) => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let worker = Arc::clone(&self);
            let settings = listener.settings();
            let open = open.clone();
            tokio::spawn(async move {
                let metrics = Arc::clone(&worker.shared.metrics);
                metrics.connections.add(1);
                metrics.connections_open.add(1);
                if let Err(error) = worker.connection(stream, address, &settings).await {
                    tracing::debug!(%error, client = %address, "connection ended");
                }
                metrics.connections_open.add(-1);
                drop((permit, open));
            });
        }
    }

    async fn connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        settings: &Settings,
    ) -> Result<(), super::body::BodyError> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let patience = self.shared.live().guard.header_read;
        let Some(acceptor) = &settings.tls else {
            if settings.h2c && tokio::time::timeout(patience, has_preface(&stream)).await?? {
                return self.http2(stream, address, local, Scheme::Http).await;
            }
            return self.http1(stream, address, local, Scheme::Http).await;
        };
        let stream = match tokio::time::timeout(patience, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            failed => {
                self.shared.metrics.tls_failures.add(1);
                failed??;
                return Ok(());
            }
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream, address, local, Scheme::Https).await
        } else {
            self.http1(stream, address, local, Scheme::Https).await
        }
    }

    fn peer(
        &self,
        address: SocketAddr,
        local: SocketAddr,
        scheme: Scheme,
        conversation: Option<Arc<Conversation>>,
    ) -> Arc<Peer> {
        Arc::new(Peer {
            shared: Arc::clone(&self.shared),
            worker: self.index,
            address,
            local,
            scheme,
            conversation,
            activity: Activity::default(),
        })
    }

    async fn http1<S>(
        &self,
        stream: S,
        address: SocketAddr,
        local: SocketAddr,
        scheme: Scheme,
    ) -> Result<(), super::body::BodyError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let live = self.shared.live();
        let conversation = Arc::new(Conversation::default());
        let guard = Guard::new(stream, live.guard, Arc::clone(&conversation));
        let peer = self.peer(address, local, scheme, Some(conversation));
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_headers(live.config.limits.header_count_max)
            .max_buf_size(buffer_bytes(live.config.limits.header_bytes_max))
            .serve_connection(
                TokioIo::new(guard),
                service_fn(move |request| serve(Arc::clone(&peer), request)),
            )
            .with_upgrades();
        drop(live);
        let mut connection = std::pin::pin!(connection);
        let mut drain = self.drain.clone();
        tokio::select! {
            done = connection.as_mut() => return Ok(done?),
            _ = drain.wait_for(|drain| *drain) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }

    async fn http2<S>(
        &self,
        stream: S,
        address: SocketAddr,
        local: SocketAddr,
        scheme: Scheme,
    ) -> Result<(), super::body::BodyError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let live = self.shared.live();
        let limits = &live.config.limits;
        let idle = live.guard.idle;
        let peer = self.peer(address, local, scheme, None);
        let served = Arc::clone(&peer);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING)
            .max_concurrent_streams(limits.h2_streams_max)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| serve(Arc::clone(&served), request)),
            );
        drop(live);
        let mut connection = std::pin::pin!(connection);
        let mut drain = self.drain.clone();
        let mut quiet = None;
        loop {
            tokio::select! {
                done = connection.as_mut() => return Ok(done?),
                _ = drain.wait_for(|drain| *drain) => break,
                () = tokio::time::sleep(idle) => {
                    let state = peer.activity.quiet();
                    if state.is_some() && state == quiet {
                        break;
                    }
                    quiet = state;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        Ok(connection.await?)
    }
}

/// hyper's buffer must hold a whole head; it refuses fewer than 8 KiB.
fn buffer_bytes(header_bytes_max: usize) -> usize {
    const LEAST: usize = 64 * 1024;
    (header_bytes_max * 2).max(LEAST)
}

/// Whether the first bytes are HTTP/2's; they stay in the socket.
async fn has_preface(stream: &TcpStream) -> io::Result<bool> {
    let mut space = [0u8; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut space).await?;
        let seen = space.get(..seen).unwrap_or_default();
        if seen == PREFACE {
            return Ok(true);
        }
        if seen.is_empty() || !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        // Peeking again returns at once with the same bytes: wait for the rest to arrive.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
