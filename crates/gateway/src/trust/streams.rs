//! Responses and tunnels under way: asked about again when something changes, and ended when they
//! are no longer trusted.

use super::answer::Decision;
use super::question::{About, Question};
use super::refused::Held;
use schema::Reconsider;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub struct Streams {
    open: Mutex<HashMap<u64, Arc<Stream>>>,
    next: AtomicU64,
    /// Counts what was to be reconsidered.
    changes: AtomicU64,
    /// Wakes whoever asks again.
    pub wake: Notify,
}

/// One of them.
pub struct Stream {
    pub question: Arc<Question>,
    about: About,
    /// It goes the way that stays open for a proof.
    pub is_open: bool,
    /// A file on its way: `download_block` ends it.
    pub is_download: bool,
    /// When its decision has to be asked for again; `None`: only when something changes.
    due: Mutex<Option<Instant>>,
    is_stale: AtomicBool,
    is_reviewed: AtomicBool,
    token: CancellationToken,
    end: OnceLock<End>,
}

/// Why a stream was ended.
#[derive(Debug, Clone)]
pub struct End {
    pub held: Held,
    pub decision: Option<Arc<Decision>>,
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Stream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn len(&self) -> usize {
        self.open().len()
    }

    /// Grows with every change; to be read before the decision a stream will rest on.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// `changes`: how many had been told when it was decided about.
    pub fn register(
        self: &Arc<Self>,
        question: &Arc<Question>,
        due: Option<Instant>,
        changes: u64,
        is_open: bool,
        is_download: bool,
    ) -> Ticket {
        let stream = Arc::new(Stream {
            about: question.about(),
            question: Arc::clone(question),
            is_open,
            is_download,
            due: Mutex::new(due),
            is_stale: AtomicBool::new(false),
            is_reviewed: AtomicBool::new(false),
            token: CancellationToken::new(),
            end: OnceLock::new(),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open();
        open.insert(number, Arc::clone(&stream));
        // Something changed while the application was still at it.
        if self.changes() != changes {
            stream.is_stale.store(true, Ordering::Release);
            self.wake.notify_one();
        }
        drop(open);
        Ticket { streams: Arc::clone(self), number, stream }
    }

    /// What rests on something that changed has to be asked about again. The decisions themselves
    /// are forgotten before this is called.
    pub fn reconsider(&self, changed: &[&Reconsider]) {
        let mut any = false;
        let open = self.open();
        self.changes.fetch_add(1, Ordering::AcqRel);
        for stream in open.values() {
            if changed.iter().any(|change| stream.about.is_touched_by(change)) {
                stream.is_stale.store(true, Ordering::Release);
                any = true;
            }
        }
        if any {
            self.wake.notify_one();
        }
    }

    /// Those to ask about now; each is handed out once until [`Streams::reviewed`].
    pub fn to_review(&self, now: Instant) -> Vec<Arc<Stream>> {
        self.open()
            .values()
            .filter(|stream| stream.is_stale.load(Ordering::Acquire) || stream.is_due(now))
            .filter(|stream| !stream.is_reviewed.swap(true, Ordering::AcqRel))
            .map(Arc::clone)
            .collect()
    }

    pub fn reviewed(&self, stream: &Stream) {
        stream.is_reviewed.store(false, Ordering::Release);
        // Something may have changed while it was asked about.
        if stream.is_stale.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }
}

impl Stream {
    fn is_due(&self, now: Instant) -> bool {
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.is_some_and(|due| due <= now)
    }

    pub fn begin_review(&self) {
        self.is_stale.store(false, Ordering::Release);
    }

    pub fn go_on(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    pub fn end(&self, end: End) {
        // The first reason stays.
        let _ = self.end.set(end);
        self.token.cancel();
    }
}

/// Held by the stream itself; dropped, it is no longer asked about.
pub struct Ticket {
    streams: Arc<Streams>,
    number: u64,
    stream: Arc<Stream>,
}

impl Ticket {
    pub fn is_ended(&self) -> bool {
        self.stream.token.is_cancelled()
    }

    pub fn token(&self) -> CancellationToken {
        self.stream.token.clone()
    }

    pub fn why(&self) -> Option<&End> {
        self.stream.end.get()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.streams.open().remove(&self.number);
    }
}
