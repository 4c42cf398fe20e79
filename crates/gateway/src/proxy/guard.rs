//! Stands between the socket and hyper's HTTP/1 server: what hyper reads has been checked.
//!
//! Bytes of requests with one reading pass untouched, usually without a copy. A head that is
//! refused never reaches hyper: a small request of our own takes its place, so that hyper answers
//! it in turn, after the responses already under way, and closes. Nothing after it is read.

use super::chunked::Chunks;
use super::head::{self, Framing, HeadLimits, HeadScanner};
use super::refusal::Refusal;
use bytes::{Buf, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Read at a time when bytes are already held back.
const READ_BYTES: usize = 8 * 1024;
/// A socket closed with bytes unread is read out for this long, so that a reset does not overtake the
/// answer.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Stands in for a refused head. `Connection: close` makes hyper end the connection after it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

#[derive(Debug, Clone, Copy)]
pub struct GuardLimits {
    pub head: HeadLimits,
    pub header_read: Duration,
    pub idle: Duration,
    /// Longest silence within a body, and longest time a peer may refuse to take bytes.
    pub stall: Duration,
}

/// What the guard and the service of one connection tell each other.
#[derive(Debug, Default)]
pub struct Conversation {
    inner: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    verdicts: VecDeque<Result<(), Refusal>>,
    body_refusal: Option<Refusal>,
    in_flight: usize,
    tunnel: Option<bool>,
    waker: Option<Waker>,
}

impl Conversation {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service takes the verdict on the request it was called with, in order.
    pub fn begin(&self) -> Result<(), Refusal> {
        let mut told = self.told();
        told.in_flight += 1;
        told.verdicts.pop_front().unwrap_or(Ok(()))
    }

    /// The response is out, or given up.
    pub fn end(&self) {
        let mut told = self.told();
        told.in_flight = told.in_flight.saturating_sub(1);
        // Only the last request in line can be the one that asked for a tunnel.
        if told.tunnel.is_none() && told.in_flight == 0 && told.verdicts.is_empty() {
            told.tunnel = Some(false);
        }
        if let Some(waker) = told.waker.take() {
            waker.wake();
        }
    }

    /// The upgrade was accepted: from here on bytes are not HTTP.
    pub fn accept_tunnel(&self) {
        self.told().tunnel = Some(true);
    }

    /// Whether more bytes came with the request than the request itself.
    pub fn has_successor(&self) -> bool {
        !self.told().verdicts.is_empty()
    }

    /// Why the body broke off, when the guard broke it off.
    pub fn body_refusal(&self) -> Option<Refusal> {
        self.told().body_refusal
    }
}

#[derive(Debug)]
enum State {
    Head(HeadScanner),
    Length(u64),
    Chunked(Chunks),
    /// An upgrade was asked for and is not answered yet.
    Undecided,
    Tunnel,
    /// A head was refused: nothing more is read.
    Refused,
    /// A body was refused.
    Broken(Refusal),
}

pub struct Guard<S> {
    socket: S,
    limits: GuardLimits,
    conversation: Arc<Conversation>,
    state: State,
    /// Read but not yet judged: a head that is not complete.
    held: BytesMut,
    /// Judged, and waiting for hyper to take it.
    passed: BytesMut,
    first_head: bool,
    /// Targets in what was judged last that have to be encoded before hyper reads them.
    odd_targets: Vec<Range<usize>>,
    reading: Option<Deadline>,
    writing: Option<Deadline>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

/// A timer that is moved only when it fires: most never do.
struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    armed: bool,
}

impl Deadline {
    /// True when `wait` has passed since it was armed.
    fn poll(slot: &mut Option<Deadline>, wait: Duration, cx: &mut Context<'_>) -> bool {
        let deadline = slot.get_or_insert_with(|| {
            let at = Instant::now() + wait;
            Deadline { sleep: Box::pin(tokio::time::sleep_until(at)), at, armed: true }
        });
        if !deadline.armed {
            deadline.at = Instant::now() + wait;
            deadline.armed = true;
            if deadline.sleep.deadline() > deadline.at {
                deadline.sleep.as_mut().reset(deadline.at);
            }
        }
        while deadline.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline.at {
                deadline.armed = false;
                return true;
            }
            let at = deadline.at;
            deadline.sleep.as_mut().reset(at);
        }
        false
    }

    fn disarm(slot: &mut Option<Deadline>) {
        if let Some(deadline) = slot {
            deadline.armed = false;
        }
    }
}

impl<S> Guard<S> {
    pub fn new(socket: S, limits: GuardLimits, conversation: Arc<Conversation>) -> Self {
        Guard {
            socket,
            limits,
            conversation,
            state: State::Head(HeadScanner::default()),
            held: BytesMut::new(),
            passed: BytesMut::new(),
            first_head: true,
            odd_targets: Vec::new(),
            reading: None,
            writing: None,
            lingering: None,
        }
    }

    /// Judges `bytes`; says how many may pass, and what is wrong with the byte after them.
    pub(super) fn judge(&mut self, bytes: &[u8]) -> (usize, Option<Refusal>) {
        let mut passed = 0;
        self.odd_targets.clear();
        while let Some(rest) = bytes.get(passed..).filter(|r| !r.is_empty()) {
            match &mut self.state {
                State::Head(scanner) => match scanner.scan(rest, &self.limits.head) {
                    Ok(None) => break,
                    Err(refusal) => return (passed, Some(refusal)),
                    Ok(Some(len)) => {
                        let whole = rest.get(..len).unwrap_or_default();
                        match head::read(whole, &self.limits.head) {
                            Err(refusal) => return (passed, Some(refusal)),
                            Ok(head) => {
                                let odd = head.odd_target.clone();
                                let here = passed;
                                let odd = odd.map(|at| at.start + here..at.end + here);
                                self.odd_targets.extend(odd);
                                passed += head.len;
                                self.first_head = false;
                                self.admit(head);
                            }
                        }
                    }
                },
                State::Length(left) => {
                    let taken = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(*left);
                    passed += usize::try_from(taken).unwrap_or(rest.len());
                    *left -= taken;
                    if *left == 0 {
                        self.state = State::Head(HeadScanner::default());
                    }
                }
                State::Chunked(chunks) => match chunks.follow(rest) {
                    Err(refusal) => return (passed, Some(refusal)),
                    Ok((used, done)) => {
                        passed += used;
                        if done {
                            self.state = State::Head(HeadScanner::default());
                        }
                    }
                },
                State::Tunnel => return (bytes.len(), None),
                State::Undecided => return (passed, Some(Refusal::EarlyTunnelData)),
                State::Refused | State::Broken(_) => break,
            }
        }
        (passed, None)
    }

    /// Lets judged bytes pass, their odd targets encoded.
    fn pass(&mut self, bytes: &[u8]) {
        let mut at = 0;
        for odd in std::mem::take(&mut self.odd_targets) {
            self.passed.extend_from_slice(bytes.get(at..odd.start).unwrap_or_default());
            let target = bytes.get(odd.clone()).unwrap_or_default();
            head::encode_target(target, &mut self.passed);
            at = odd.end;
        }
        self.passed.extend_from_slice(bytes.get(at..).unwrap_or_default());
    }

    fn admit(&mut self, head: head::Head) {
        let mut told = self.conversation.told();
        told.verdicts.push_back(Ok(()));
        self.state = match head.framing {
            _ if head.websocket => {
                told.tunnel = None;
                State::Undecided
            }
            Framing::None => State::Head(HeadScanner::default()),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunks::default()),
        };
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.held.clear();
        match self.state {
            State::Length(_) | State::Chunked(_) => {
                self.conversation.told().body_refusal = Some(refusal);
                self.state = State::Broken(refusal);
            }
            _ => {
                self.conversation.told().verdicts.push_back(Err(refusal));
                self.passed.extend_from_slice(STAND_IN);
                self.state = State::Refused;
            }
        }
    }

    /// How long the peer may stay silent now, if there is a limit.
    fn patience(&self) -> Option<Duration> {
        match &self.state {
            State::Head(_) if !self.held.is_empty() || self.first_head => {
                Some(self.limits.header_read)
            }
            State::Head(_) => {
                let told = self.conversation.told();
                (told.in_flight == 0 && told.verdicts.is_empty()).then_some(self.limits.idle)
            }
            State::Length(_) | State::Chunked(_) => Some(self.limits.stall),
            _ => None,
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_read(cx, buf) {
            Poll::Ready(done) => {
                // A head that dribbles in is timed from its first byte.
                if !matches!(self.state, State::Head(_)) || self.held.is_empty() {
                    Deadline::disarm(&mut self.reading);
                }
                Poll::Ready(done)
            }
            Poll::Pending => {
                let Some(patience) = self.patience() else {
                    Deadline::disarm(&mut self.reading);
                    return Poll::Pending;
                };
                if !Deadline::poll(&mut self.reading, patience, cx) {
                    return Poll::Pending;
                }
                match self.state {
                    State::Head(_) if self.held.is_empty() => Poll::Ready(Ok(())),
                    State::Head(_) => {
                        self.refuse(Refusal::HeaderTimeout);
                        Poll::Ready(Ok(()))
                    }
                    _ => {
                        self.refuse(Refusal::BodyTimeout);
                        Poll::Ready(Ok(()))
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.passed.is_empty() {
                let len = this.passed.len().min(buf.remaining());
                buf.put_slice(this.passed.get(..len).unwrap_or_default());
                this.passed.advance(len);
                return Poll::Ready(Ok(()));
            }
            match this.state {
                State::Tunnel => return this.poll_socket(cx, buf),
                State::Refused => return Poll::Pending,
                State::Broken(refusal) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        refusal.code(),
                    )));
                }
                State::Undecided => {
                    let mut told = this.conversation.told();
                    match told.tunnel {
                        None => {
                            told.waker = Some(cx.waker().clone());
                            return Poll::Pending;
                        }
                        Some(true) => this.state = State::Tunnel,
                        Some(false) => this.state = State::Head(HeadScanner::default()),
                    }
                    continue;
                }
                State::Head(_) | State::Length(_) | State::Chunked(_) => {}
            }
            if this.held.is_empty() {
                // Straight into hyper's buffer; what may not pass is taken back out.
                let before = buf.filled().len();
                ready!(this.poll_socket(cx, buf))?;
                if matches!(this.state, State::Refused | State::Broken(_)) {
                    continue;
                }
                let fresh = buf.filled().get(before..).unwrap_or_default();
                if fresh.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let (passed, refusal) = this.judge(fresh);
                if passed < fresh.len() && refusal.is_none() {
                    this.held.extend_from_slice(fresh.get(passed..).unwrap_or_default());
                }
                let direct = if this.odd_targets.is_empty() {
                    passed
                } else {
                    this.pass(fresh.get(..passed).unwrap_or_default());
                    0
                };
                buf.set_filled(before + direct);
                if let Some(refusal) = refusal {
                    this.refuse(refusal);
                }
                if direct > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                let mut space = [0u8; READ_BYTES];
                let mut more = ReadBuf::new(&mut space);
                ready!(this.poll_socket(cx, &mut more))?;
                if matches!(this.state, State::Refused | State::Broken(_)) {
                    continue;
                }
                if more.filled().is_empty() {
                    // The peer left in the middle of a head.
                    return Poll::Ready(Ok(()));
                }
                let mut held = std::mem::take(&mut this.held);
                held.extend_from_slice(more.filled());
                let (passed, refusal) = this.judge(&held);
                this.pass(held.get(..passed).unwrap_or_default());
                held.advance(passed);
                this.held = held;
                if let Some(refusal) = refusal {
                    this.refuse(refusal);
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if poll.is_ready() {
            Deadline::disarm(&mut self.writing);
            return poll;
        }
        if !matches!(self.state, State::Tunnel)
            && Deadline::poll(&mut self.writing, self.limits.stall, cx)
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.watch_write(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.socket).poll_write_vectored(cx, bytes);
        this.watch_write(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        // Nothing unread, nothing to linger for.
        if matches!(this.state, State::Head(_) | State::Tunnel) && this.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let (sleep, drained) =
            this.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), 0));
        let mut space = [0u8; READ_BYTES];
        while *drained < LINGER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut this.socket).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => *drained += buf.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return sleep.as_mut().poll(cx).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}
