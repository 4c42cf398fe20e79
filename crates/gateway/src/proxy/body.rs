//! The bodies that go through: request to upstream, response to client, each watched on its way.

use super::guard::Conversation;
use super::inspected;
use super::record::{OpenExchange, RequestTap};
use super::refusal::Refusal;
use super::serve;
use super::sieve::{Sieve, Sifted};
use super::trusted;
use super::upstream::Lease;
use crate::evidence::ExchangeError;
use crate::proxy::shared::Shared;
use crate::trust::{Held, Ticket};
use crate::waf::Stop;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{ReusableBoxFuture, WaitForCancellationFutureOwned};

pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The way to the upstream.
pub enum RequestBody {
    Empty,
    /// Read in full before it was let through: a login, checked for its account.
    Whole(Option<Bytes>),
    Stream(RequestStream),
}

pub struct RequestStream {
    pub incoming: Incoming,
    /// Its first frame, waited for before the upstream was asked, so that head and body go out together.
    pub first: Option<First>,
    pub tap: Arc<RequestTap>,
    pub conversation: Option<Arc<Conversation>>,
    pub bytes_max: Option<u64>,
}

/// What a body answered when it was first asked.
pub type First = Option<Result<Frame<Bytes>, hyper::Error>>;

impl RequestStream {
    fn failure(&self, error: &hyper::Error) -> ExchangeError {
        client_failure(self.conversation.as_deref(), error)
    }
}

/// What a failed read of the client's body means.
pub fn client_failure(conversation: Option<&Conversation>, error: &hyper::Error) -> ExchangeError {
    match conversation.and_then(Conversation::body_refusal) {
        Some(Refusal::BodyTimeout) => ExchangeError::ClientTimeout,
        Some(_) => ExchangeError::BadRequest,
        // In HTTP/2 a body longer or shorter than it said is reset by h2 (RFC 9113 §8.1.1).
        None if conversation.is_none() && !error.is_incomplete_message() => {
            ExchangeError::BadRequest
        }
        None => ExchangeError::ClientGone,
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let stream = match self.get_mut() {
            RequestBody::Empty => return Poll::Ready(None),
            RequestBody::Whole(bytes) => {
                return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b))));
            }
            RequestBody::Stream(stream) => stream,
        };
        let frame = match stream.first.take() {
            Some(first) => first,
            None => std::task::ready!(Pin::new(&mut stream.incoming).poll_frame(cx)),
        };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let seen = stream.tap.see(&data);
                    if stream.bytes_max.is_some_and(|max| seen > max) {
                        stream.tap.fail(ExchangeError::BadRequest);
                        return Poll::Ready(Some(Err(Refusal::BodyTooLarge.code().into())));
                    }
                    if stream.incoming.is_end_stream() {
                        stream.tap.complete();
                    }
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                // Trailers are dropped: few servers read them, and those that merge them into the
                // head can be talked into anything.
                Err(_) => {
                    stream.tap.complete();
                    Poll::Ready(None)
                }
            },
            Some(Err(error)) => {
                stream.tap.fail(stream.failure(&error));
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                stream.tap.complete();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Whole(bytes) => bytes.is_none(),
            // Not before the tap has seen the end.
            RequestBody::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            // The first frame is not in what is left; `Content-Length` goes along in any case.
            RequestBody::Stream(stream) if stream.first.is_some() => SizeHint::default(),
            RequestBody::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

/// The way back to the client. Holds what ends when the response does.
pub struct ReplyBody {
    kind: ReplyKind,
    /// Ends the request in the eyes of the connection.
    pub ticket: Option<serve::Ticket>,
}

enum ReplyKind {
    Full(Option<Bytes>),
    Stream(Box<ReplyStream>),
}

pub struct ReplyStream {
    pub incoming: Incoming,
    /// What was read of it before it was let through.
    pub ahead: Option<Bytes>,
    /// Holds it back where rules may cut it off.
    pub sieve: Option<Sieve>,
    /// It was cut off, and the reader was told.
    pub is_cut: bool,
    /// More ends it, and why.
    pub bytes_max: Option<(u64, Held)>,
    pub open: OpenExchange,
    pub lease: Option<Lease>,
    pub watch: Option<StreamWatch>,
    /// Longest silence of the upstream; `None` for event streams.
    pub stall: Option<Duration>,
    pub timer: Option<(Pin<Box<Sleep>>, Instant)>,
    /// When the whole exchange must be over.
    pub total: Option<Pin<Box<Sleep>>>,
}

/// Asks again, while a response streams, whether its reader may still have it.
pub struct StreamWatch {
    shared: Arc<Shared>,
    generation: u64,
    /// Made when the response is first waited for: most come at once.
    changed: Option<ReusableBoxFuture<'static, watch::Receiver<u64>>>,
    /// Where the site asks for decisions: made when the response is first waited for, or when
    /// something changes.
    ticket: Option<Ticket>,
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl StreamWatch {
    pub fn new(shared: Arc<Shared>) -> Self {
        let generation = shared.enforcer.generation();
        StreamWatch { shared, generation, changed: None, ticket: None, cancelled: None }
    }

    /// True when a new set of restrictions, or a new trust decision, ends this stream.
    pub fn is_ended(&mut self, open: &OpenExchange) -> bool {
        if self.ticket.is_none() && trusted::has_changed(&self.shared, open) {
            self.ticket = trusted::watch(&self.shared, open);
        }
        if self.ticket.as_ref().is_some_and(Ticket::is_ended) {
            return true;
        }
        let generation = self.shared.enforcer.generation();
        generation != std::mem::replace(&mut self.generation, generation)
            && super::gate::ends(&self.shared, open)
    }

    /// As [`StreamWatch::is_ended`], and wakes the task when the set is replaced or it is no longer
    /// trusted.
    fn poll_ended(&mut self, open: &OpenExchange, cx: &mut Context<'_>) -> bool {
        if self.ticket.is_none() {
            self.ticket = trusted::watch(&self.shared, open);
        }
        if let Some(ticket) = &self.ticket {
            let cancelled =
                self.cancelled.get_or_insert_with(|| Box::pin(ticket.token().cancelled_owned()));
            if cancelled.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        let shared = &self.shared;
        let changed = self
            .changed
            .get_or_insert_with(|| ReusableBoxFuture::new(next_set(shared.enforcer.subscribe())));
        while let Poll::Ready(receiver) = changed.poll(cx) {
            changed.set(next_set(receiver));
        }
        self.is_ended(open)
    }
}

async fn next_set(mut receiver: watch::Receiver<u64>) -> watch::Receiver<u64> {
    if receiver.changed().await.is_err() {
        // The enforcer is gone, and the gateway with it.
        std::future::pending::<()>().await;
    }
    receiver
}

impl ReplyBody {
    pub fn full(bytes: Bytes) -> Self {
        ReplyBody { kind: ReplyKind::Full(Some(bytes).filter(|b| !b.is_empty())), ticket: None }
    }

    pub fn stream(stream: ReplyStream) -> Self {
        ReplyBody { kind: ReplyKind::Stream(Box::new(stream)), ticket: None }
    }
}

impl ReplyStream {
    fn fail(&mut self, error: ExchangeError) -> BodyError {
        self.open.failed(error);
        self.lease = None;
        error.as_str().into()
    }

    fn end_by_decision(&mut self) -> BodyError {
        if let Some(watch) = &self.watch {
            watch.shared.metrics.streams_ended.add(1);
            if let Some(end) = watch.ticket.as_ref().and_then(Ticket::why) {
                trusted::note_end(&mut self.open, end);
            }
        }
        // What follows is not asked for any more; the record says how far it got.
        self.lease = None;
        self.open.cut_off = true;
        "ended by a decision".into()
    }

    /// It turned out larger than it may be.
    fn cut_off(&mut self, held: Held) -> BodyError {
        if let Some(watch) = &self.watch {
            trusted::cut_off(&watch.shared, &mut self.open, held);
        }
        self.end_by_decision()
    }

    fn is_over(&self) -> bool {
        self.ahead.as_ref().is_none_or(Bytes::is_empty)
            && match &self.sieve {
                Some(sieve) => sieve.is_over(),
                None => self.incoming.is_end_stream(),
            }
    }

    /// The next piece, as far as rules let it through.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Sifted> {
        if let Some(ahead) = self.ahead.take().filter(|ahead| !ahead.is_empty()) {
            return Poll::Ready(Sifted::Data(ahead));
        }
        if let Some(sieve) = &mut self.sieve {
            return sieve.poll(&mut self.incoming, &mut self.open, cx);
        }
        let next = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(match next.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                // Who may stop it has a sieve.
                self.open.see_stream(&data);
                Sifted::Data(data)
            }
            // Trailers, as above.
            Some(Ok(Err(_))) | None => Sifted::End,
            Some(Err(error)) => Sifted::Failed(error),
        })
    }

    /// Rules cut it off. `Ok`: what the reader is told in its place.
    fn stop(&mut self, stop: &Stop) -> Result<Bytes, BodyError> {
        self.lease = None;
        self.open.cut_off = true;
        let is_told = self.sieve.as_ref().is_some_and(Sieve::may_add_event);
        match inspected::last_event(&self.open, stop).filter(|_| is_told) {
            Some(event) => {
                self.is_cut = true;
                if let Some(tap) = &mut self.open.response_tap {
                    tap.see(&event);
                }
                Ok(event)
            }
            None => Err("cut off by a rule".into()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.sieve.is_some() {
            return SizeHint::default();
        }
        let left = self.incoming.size_hint();
        match (&self.ahead, left.exact()) {
            (None, _) => left,
            (Some(ahead), Some(exact)) => SizeHint::with_exact(exact + ahead.len() as u64),
            (Some(_), None) => SizeHint::default(),
        }
    }

    fn end(&mut self) {
        self.open.complete = true;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// True when the upstream has been silent for too long, or all of it has taken too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> bool {
        if self.total.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready()) {
            return true;
        }
        let Some(stall) = self.stall else { return false };
        let (sleep, until) = self.timer.get_or_insert_with(|| {
            let until = Instant::now() + stall;
            (Box::pin(tokio::time::sleep_until(until)), until)
        });
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= *until {
                return true;
            }
            sleep.as_mut().reset(*until);
        }
        false
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let stream = match &mut self.get_mut().kind {
            ReplyKind::Full(bytes) => return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            ReplyKind::Stream(stream) => stream,
        };
        let stream = &mut **stream;
        if stream.watch.as_mut().is_some_and(|watch| watch.is_ended(&stream.open)) {
            return Poll::Ready(Some(Err(stream.end_by_decision())));
        }
        if stream.is_cut {
            return Poll::Ready(None);
        }
        match stream.poll_next(cx) {
            Poll::Ready(Sifted::Data(data)) => {
                if let Some(tap) = &mut stream.open.response_tap {
                    tap.see(&data);
                    if let Some((max, held)) = stream.bytes_max
                        && tap.total_len() > max
                    {
                        return Poll::Ready(Some(Err(stream.cut_off(held))));
                    }
                }
                if let (Some((_, until)), Some(stall)) = (&mut stream.timer, stream.stall) {
                    *until = Instant::now() + stall;
                }
                if stream.is_over() {
                    stream.end();
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Poll::Ready(Sifted::Cut(stop)) => {
                Poll::Ready(Some(stream.stop(&stop).map(Frame::data)))
            }
            Poll::Ready(Sifted::End) => {
                stream.end();
                Poll::Ready(None)
            }
            Poll::Ready(Sifted::Failed(error)) => {
                // An upload the client broke off breaks the response, too.
                let cause = stream.open.request_tap.as_ref().and_then(|tap| tap.error());
                tracing::debug!(%error, "response broke off");
                Poll::Ready(Some(Err(stream.fail(cause.unwrap_or(ExchangeError::UpstreamBroken)))))
            }
            Poll::Pending
                if stream.watch.as_mut().is_some_and(|w| w.poll_ended(&stream.open, cx)) =>
            {
                Poll::Ready(Some(Err(stream.end_by_decision())))
            }
            Poll::Pending if stream.poll_late(cx) => {
                Poll::Ready(Some(Err(stream.fail(ExchangeError::UpstreamTimeout))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            ReplyKind::Full(bytes) => bytes.is_none(),
            ReplyKind::Stream(stream) => stream.is_cut || stream.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            ReplyKind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            ReplyKind::Stream(stream) => stream.size_hint(),
        }
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows.
        let is_broken = self.open.exchange.error.is_some() || self.open.cut_off;
        if !self.open.complete && !is_broken && self.is_over() {
            self.end();
        }
    }
}
