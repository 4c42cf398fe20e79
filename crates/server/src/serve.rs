//! Connections: accept, TLS, HTTP/1.1 and 2, and an orderly end.

use crate::app::App;
use crate::identity::guard::Peer;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

/// A client that says hello slowly gives way to others.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Request head: bytes and fields. Twice what nginx lets through by default (32 KiB), because a
/// proxy that asks about a request may send all of its head besides its own.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEAD_FIELDS_MAX: usize = 256;
/// HTTP/2 streams of one connection at once.
const STREAMS_MAX: u32 = 128;
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(30);
/// What is being answered when the end comes may take this long.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// After a failed accept (out of descriptors), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the app is to end, then lets running requests finish.
pub async fn serve(listener: TcpListener, tls: TlsAcceptor, app: App, router: Router) {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(HEAD_TIMEOUT);
    let http = Arc::new(http);
    let room = Arc::new(Semaphore::new(app.config.limits.connections_max));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut ending = app.ending.clone();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        app.counters.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Connection {
            stream,
            peer,
            tls: tls.clone(),
            http: Arc::clone(&http),
            graceful: Arc::clone(&graceful),
            app: app.clone(),
            router: router.clone(),
        };
        tokio::spawn(connection.run(permit));
    }
    drop(listener);
    // Connections hold the watcher while they run; the last of them gives it back.
    let drained = async {
        let mut graceful = graceful;
        loop {
            match Arc::try_unwrap(graceful) {
                Ok(last) => break last.shutdown().await,
                Err(shared) => {
                    graceful = shared;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    http: Arc<Builder<TokioExecutor>>,
    graceful: Arc<GracefulShutdown>,
    app: App,
    router: Router,
}

impl Connection {
    async fn run(self, permit: OwnedSemaphorePermit) {
        let Connection { stream, peer, tls, http, graceful, app, router } = self;
        // Small answers go out at once; failing to set it costs latency only.
        let _ = stream.set_nodelay(true);
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                app.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                app.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let mut router = router.clone();
            async move { router.call(request).await }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection.into_owned());
        drop(graceful);
        if let Err(error) = connection.await {
            tracing::debug!(%peer, %error, "connection ended early");
        }
        drop(permit);
    }
}
