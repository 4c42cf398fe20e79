//! WebSockets: after 101 the bytes are passed both ways, counted, and ended by silence or decision.

use super::body::ReplyBody;
use super::forward;
use super::live::Live;
use super::record::OpenExchange;
use super::serve::Peer;
use super::trusted::{self, Standing};
use crate::evidence::CapturedBody;
use crate::trust::Ticket;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Response, Version};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

/// The upstream agreed: answers the client 101 and joins the two connections.
pub fn accept(
    peer: &Arc<Peer>,
    mut open: OpenExchange,
    mut response: Response<Incoming>,
    client: OnUpgrade,
    live: &Live,
) -> Response<ReplyBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    parts.version = Version::HTTP_11;
    forward::clean_response(&mut parts.headers);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // It passes: a tunnel has no body of its own to be blocked.
    let _ = trusted::respond(&peer.shared, live, &mut open, &mut parts.headers, false);
    open.exchange.status = Some(parts.status.as_u16());
    open.exchange.response_headers = parts.headers.clone();
    if let Some(conversation) = &peer.conversation {
        conversation.accept_tunnel();
    }
    let idle = Duration::from_millis(live.config.limits.tunnel_idle_ms);
    let peer = Arc::clone(peer);
    tokio::spawn(async move {
        peer.shared.metrics.tunnels_open.add(1);
        match tokio::try_join!(client, upstream) {
            Ok((client, upstream)) => join(&peer, &mut open, client, upstream, idle).await,
            Err(error) => tracing::debug!(%error, "upgrade did not come about"),
        }
        peer.shared.metrics.tunnels_open.add(-1);
    });
    Response::from_parts(parts, ReplyBody::full(Bytes::new()))
}

async fn join(
    peer: &Peer,
    open: &mut OpenExchange,
    client: Upgraded,
    upstream: Upgraded,
    idle: Duration,
) {
    let bytes_max = open.standing.as_ref().and_then(Standing::tunnel_bytes_max);
    let meter = Arc::new(Meter { bytes_max: bytes_max.map(|(max, _)| max), ..Meter::default() });
    let mut client = Counted { socket: TokioIo::new(client), meter: Arc::clone(&meter) };
    let mut upstream = TokioIo::new(upstream);
    let mut changed = peer.shared.enforcer.subscribe();
    // A decision made between the check and the subscription must not be missed.
    let mut ended = super::gate::ends(&peer.shared, open);
    let ticket = trusted::watch(&peer.shared, open);
    let token = ticket.as_ref().map(Ticket::token).unwrap_or_default();
    let mut moved = meter.total();
    {
        let mut copy = std::pin::pin!(copy_bidirectional(&mut client, &mut upstream));
        let mut patience = std::pin::pin!(tokio::time::sleep(idle));
        while !ended {
            tokio::select! {
                done = &mut copy => {
                    open.complete = done.is_ok();
                    break;
                }
                () = token.cancelled() => ended = true,
                change = changed.changed() => {
                    ended = change.is_err() || super::gate::ends(&peer.shared, open);
                }
                () = &mut patience => {
                    let total = meter.total();
                    if std::mem::replace(&mut moved, total) == total {
                        open.complete = true;
                        break;
                    }
                    patience.as_mut().reset(tokio::time::Instant::now() + idle);
                }
            }
        }
    }
    if let Some((_, held)) = bytes_max.filter(|(max, _)| meter.total() > *max) {
        trusted::cut_off(&peer.shared, open, held);
        ended = true;
    }
    if let Some(end) = ticket.as_ref().and_then(Ticket::why) {
        trusted::note_end(open, end);
    }
    if ended {
        peer.shared.metrics.streams_ended.add(1);
        open.cut_off = true;
    }
    open.exchange.request_body = passed(meter.received.load(Ordering::Relaxed));
    open.exchange.response_body = passed(meter.sent.load(Ordering::Relaxed));
}

fn passed(total_len: u64) -> CapturedBody {
    CapturedBody { total_len, truncated: total_len > 0, ..CapturedBody::default() }
}

#[derive(Default)]
struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
    /// More, both ways together, ends it.
    bytes_max: Option<u64>,
}

impl Meter {
    fn total(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.bytes_max.is_some_and(|max| self.total() > max)
    }
}

/// The client's side, counting.
struct Counted {
    socket: TokioIo<Upgraded>,
    meter: Arc<Meter>,
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.meter.is_over() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut this.socket).poll_read(cx, buf);
        let fresh = buf.filled().len() - before;
        this.meter.received.fetch_add(fresh as u64, Ordering::Relaxed);
        poll
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.meter.is_over() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let poll = Pin::new(&mut this.socket).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &poll {
            this.meter.sent.fetch_add(*written as u64, Ordering::Relaxed);
        }
        poll
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
