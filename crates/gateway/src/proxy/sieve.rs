//! Holds a streamed answer back, a little at a time, until the rules have seen what comes next.
//!
//! Every half of the time that an event may be held, what is new is tried together with what came before it. What was
//! there at one trial goes out after the next: it left with the rules knowing what follows it. Bytes
//! are bounded, too: [`PART_BYTES`] that are new are tried at once.

use super::record::OpenExchange;
use crate::waf::{Stop, Trial};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use hyper::body::{Body as _, Incoming};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// New bytes of a stream that are tried without waiting for more. About twice this is held back at most,
/// and what hyper reads at a time.
const PART_BYTES: usize = 16 * 1024;

/// What a sieve lets through.
pub enum Sifted {
    Data(Bytes),
    End,
    Failed(hyper::Error),
    /// Nothing more goes out.
    Cut(Stop),
}

type Running = Pin<Box<dyn Future<Output = Option<Trial>> + Send>>;

pub struct Sieve {
    /// From one trial to the next.
    pause: Duration,
    /// Its bytes are the events' own: with a content encoding they are not.
    is_plain: bool,
    /// How long the answer is was said in its head.
    has_length: bool,
    held: BytesMut,
    /// So much of `held` was there at the trial before.
    ripe: usize,
    /// So much of it came after the last trial.
    fresh: usize,
    timer: Option<Pin<Box<Sleep>>>,
    trial: Option<Running>,
    end: Option<Option<hyper::Error>>,
    /// The last byte let through ended an event.
    at_event_end: bool,
}

impl Sieve {
    /// For an answer with this head.
    pub fn new(hold: Duration, headers: &HeaderMap) -> Sieve {
        Sieve {
            pause: hold / 2,
            is_plain: !headers.contains_key(CONTENT_ENCODING),
            has_length: headers.contains_key(CONTENT_LENGTH),
            held: BytesMut::new(),
            ripe: 0,
            fresh: 0,
            timer: None,
            trial: None,
            end: None,
            at_event_end: true,
        }
    }

    /// Whether an event of our own may follow what went out.
    pub fn may_add_event(&self) -> bool {
        self.is_plain && !self.has_length && self.at_event_end
    }

    /// Nothing is held, and nothing will come.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && self.held.is_empty()
    }

    pub fn poll(
        &mut self,
        incoming: &mut Incoming,
        open: &mut OpenExchange,
        cx: &mut Context<'_>,
    ) -> Poll<Sifted> {
        loop {
            if let Some(trial) = &mut self.trial {
                let trial = ready!(trial.as_mut().poll(cx));
                self.trial = None;
                if let Some(stop) = open.judge(trial) {
                    self.held.clear();
                    return Poll::Ready(Sifted::Cut(stop));
                }
                if let Some(data) = self.release(open) {
                    return Poll::Ready(Sifted::Data(data));
                }
            }
            if self.held.is_empty()
                && let Some(end) = &mut self.end
            {
                return Poll::Ready(end.take().map_or(Sifted::End, Sifted::Failed));
            }
            if !self.held.is_empty() && self.is_due(open, cx) {
                self.timer = None;
                self.trial = open.trial().map(|trial| {
                    let shared = open.shared();
                    Box::pin(async move { trial.tried(&shared.waf).await }) as Running
                });
                if self.trial.is_none()
                    && let Some(data) = self.release(open)
                {
                    return Poll::Ready(Sifted::Data(data));
                }
                continue;
            }
            match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        self.held.extend_from_slice(&data);
                        self.fresh += data.len();
                        if let Some(stop) = open.see_stream(&data) {
                            self.held.clear();
                            return Poll::Ready(Sifted::Cut(stop));
                        }
                    }
                    // Trailers: nothing comes after them.
                    Err(_) => self.end = Some(None),
                },
                Some(Err(error)) => self.end = Some(Some(error)),
                None => self.end = Some(None),
            }
        }
    }

    /// Whether what is held has waited long enough, or is enough.
    fn is_due(&mut self, open: &OpenExchange, cx: &mut Context<'_>) -> bool {
        if self.is_last(open) || self.fresh >= PART_BYTES {
            return true;
        }
        let pause = self.pause;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        timer.as_mut().poll(cx).is_ready()
    }

    /// Whether nothing that comes later is tried with what is held.
    fn is_last(&self, open: &OpenExchange) -> bool {
        self.end.is_some() || !open.is_held_back()
    }

    /// What may go out now that a trial found nothing.
    fn release(&mut self, open: &OpenExchange) -> Option<Bytes> {
        let is_last = self.is_last(open);
        let due = if is_last { self.held.len() } else { self.ripe };
        let ripe = self.held.get(..due).unwrap_or(&self.held);
        let ended = if self.is_plain { last_event_end(ripe) } else { None };
        // An event that is longer in coming than it may be held goes out in part.
        let count = if is_last { due } else { ended.unwrap_or(due) };
        let out = self.held.split_to(count.min(self.held.len())).freeze();
        self.ripe = self.held.len();
        self.fresh = 0;
        if !out.is_empty() {
            self.at_event_end = ended == Some(out.len());
        }
        Some(out).filter(|out| !out.is_empty())
    }
}

/// Where the last whole event ends: behind its empty line.
fn last_event_end(bytes: &[u8]) -> Option<usize> {
    let ends = [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"];
    ends.iter().filter_map(|end| Some(memchr::memmem::rfind(bytes, end)? + end.len())).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_behind_its_empty_line() {
        for (bytes, expected) in [
            (&b"data: 1\n\ndata: 2\n\n"[..], Some(18)),
            (b"data: 1\n\ndata: 2\n", Some(9)),
            (b"data: 1\r\n\r\ndata", Some(11)),
            (b"data: 1\r\rdata", Some(9)),
            (b": ping\n", None),
            (b"", None),
        ] {
            assert_eq!(last_event_end(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
