//! Takes finished exchanges off the traffic's hands: a bounded queue, a thread that observes and
//! writes to the spool, and the count of what found no room.

use super::entities::SessionBook;
use super::exchange::Exchange;
use super::keys::Keys;
use super::loss::{LossBook, LossReason, LossReport};
use super::observe::Observation;
use super::site::Site;
use super::spool::{Cursor, ReadPlan, Spool, SpoolConfig, SpoolError};
use schema::Timestamp;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// After a group the thread rests this long, so that what comes meanwhile is one group, too: it is
/// woken, and writes, once for all of them instead of once for each.
const GATHER: Duration = Duration::from_millis(2);
/// Exchanges written together at most: bounds what a kill between two writes can cost.
const GROUP_MAX: usize = 128;
/// A sync is due when this much is written and not on the disk for certain…
const SYNC_BYTES: u64 = 1 << 20;
/// …or when the oldest of it has waited this long.
const SYNC_AFTER: Duration = Duration::from_millis(200);
/// Sequences begin here in a new folder, per millisecond of the clock: a folder that is lost and made
/// anew goes on beyond the old one unless more than a thousand events a millisecond were written.
const SEQUENCES_PER_MS: u64 = 1_000;

#[derive(Debug, Clone)]
pub struct RecorderConfig {
    pub gateway: Arc<str>,
    pub spool: SpoolConfig,
    /// Exchanges waiting to be observed.
    pub queue_len: usize,
    /// Bytes they may hold together.
    pub queue_bytes: u64,
}

impl RecorderConfig {
    /// 16,384 exchanges, 64 MiB.
    pub fn new(gateway: impl Into<Arc<str>>, spool: SpoolConfig) -> Self {
        RecorderConfig { gateway: gateway.into(), spool, queue_len: 16_384, queue_bytes: 64 << 20 }
    }
}

enum Job {
    Record(Arc<Site>, Box<Exchange>),
    /// Write and sync everything before it, then go on or end.
    Settle {
        done: SyncSender<()>,
        stop: bool,
    },
}

/// What the recorder did since its start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) observed: AtomicU64,
    pub(super) spooled: AtomicU64,
    pub(super) queue_len: AtomicU64,
    pub(super) queue_bytes: AtomicU64,
    pub(super) sync_failures: AtomicU64,
    pub(super) shipped: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) batch_failures: AtomicU64,
    pub(super) unauthorized: AtomicBool,
    /// Dropped at the door, not yet in the book.
    dropped: AtomicU64,
}

/// A snapshot for `/metrics` and tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    pub observed: u64,
    pub spooled: u64,
    pub spool_bytes: u64,
    pub queue_len: u64,
    pub shipped: u64,
    pub duplicates: u64,
    pub refused: u64,
    pub batches: u64,
    pub batch_failures: u64,
    pub sync_failures: u64,
    /// The server does not accept our token.
    pub unauthorized: bool,
    /// By reason, since the spool folder was made.
    pub dropped: Vec<(LossReason, u64)>,
}

impl Figures {
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, n)| n).sum()
    }
}

pub(super) struct Common {
    pub(super) gateway: Arc<str>,
    pub(super) spool: Mutex<Spool>,
    pub(super) losses: Mutex<LossBook>,
    pub(super) counts: Counts,
    /// Something new can be read, or reported.
    pub(super) news: Notify,
    pub(super) parked: std::path::PathBuf,
}

impl Common {
    pub(super) fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn losses(&self) -> MutexGuard<'_, LossBook> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lose(&self, reason: LossReason, count: u64, since: Timestamp) {
        let mut losses = self.losses();
        losses.count(reason, count, since, now());
        save(&mut losses);
        self.news.notify_one();
    }

    pub(super) fn report(&self) -> Option<LossReport> {
        let mut losses = self.losses();
        let report = losses.report();
        save(&mut losses);
        report
    }

    pub(super) fn confirm(&self, report: LossReport) {
        let mut losses = self.losses();
        losses.confirm(report);
        save(&mut losses);
    }

    pub(super) fn plan(&self, cursor: Cursor, bytes: usize) -> Option<ReadPlan> {
        self.spool().plan(cursor, bytes)
    }
}

fn save(losses: &mut LossBook) {
    if let Err(error) = losses.save() {
        tracing::error!(%error, "cannot write down what was dropped; it is counted in memory only");
    }
}

/// Milliseconds since the epoch. The recorder is the rim: this is where time comes from.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

/// Turns exchanges into events on disk. Shared by all workers of the proxy.
pub struct Recorder {
    jobs: SyncSender<Job>,
    pub(super) common: Arc<Common>,
    queue_bytes_max: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Opens the spool and starts the thread.
    pub fn start(
        config: RecorderConfig,
        keys: Keys,
        book: Arc<SessionBook>,
    ) -> Result<Recorder, SpoolError> {
        let fresh = u64::try_from(now()).unwrap_or(0).saturating_mul(SEQUENCES_PER_MS);
        let dir = config.spool.dir.clone();
        let spool = Spool::open(config.spool, fresh)?;
        let folder = |source| SpoolError::Folder { dir: dir.clone(), source };
        let losses = LossBook::open(&dir.join("loss")).map_err(folder)?;
        let common = Arc::new(Common {
            gateway: config.gateway,
            spool: Mutex::new(spool),
            losses: Mutex::new(losses),
            counts: Counts::default(),
            news: Notify::new(),
            parked: dir.join("parked"),
        });
        let (jobs, queue) = sync_channel(config.queue_len.max(1));
        let worker = Worker {
            common: Arc::clone(&common),
            keys,
            book,
            queue,
            lines: Vec::new(),
            unsynced: None,
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || worker.run())
            .map_err(SpoolError::Write)?;
        Ok(Recorder {
            jobs,
            common,
            queue_bytes_max: config.queue_bytes,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Takes a finished exchange; never waits. `false`: there was no room, and it is counted.
    pub fn record(&self, site: &Arc<Site>, exchange: Exchange) -> bool {
        let counts = &self.common.counts;
        let weight = exchange.weight() as u64;
        let held = counts.queue_bytes.fetch_add(weight, Ordering::Relaxed);
        if held + weight <= self.queue_bytes_max {
            // Before the send, so that the worker's subtraction never comes first.
            counts.queue_len.fetch_add(1, Ordering::Relaxed);
            match self.jobs.try_send(Job::Record(Arc::clone(site), Box::new(exchange))) {
                Ok(()) => return true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    counts.queue_len.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        counts.queue_bytes.fetch_sub(weight, Ordering::Relaxed);
        counts.dropped.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Waits until everything recorded so far is on disk.
    pub fn settle(&self) {
        self.send_settle(false);
    }

    /// Writes what is queued, syncs, and ends the thread.
    pub fn stop(&self) {
        self.send_settle(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the recorder's thread ended badly");
        }
    }

    fn send_settle(&self, stop: bool) {
        let (done, wait) = sync_channel(1);
        if self.jobs.send(Job::Settle { done, stop }).is_ok() {
            // An error means the thread has ended, and with it everything it had to do.
            let _ = wait.recv();
        }
    }

    pub fn figures(&self) -> Figures {
        let counts = &self.common.counts;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let waiting = of(&counts.dropped);
        let losses = self.common.losses();
        Figures {
            observed: of(&counts.observed),
            spooled: of(&counts.spooled),
            spool_bytes: self.common.spool().bytes(),
            queue_len: of(&counts.queue_len),
            shipped: of(&counts.shipped),
            duplicates: of(&counts.duplicates),
            refused: of(&counts.refused),
            batches: of(&counts.batches),
            batch_failures: of(&counts.batch_failures),
            sync_failures: of(&counts.sync_failures),
            unauthorized: counts.unauthorized.load(Ordering::Relaxed),
            dropped: losses
                .totals()
                .map(|(reason, n)| {
                    (reason, if reason == LossReason::MemoryFull { n + waiting } else { n })
                })
                .collect(),
        }
    }

    /// Appends the figures in Prometheus' text format.
    pub fn write_metrics(&self, out: &mut String) {
        let f = self.figures();
        let mut metric = |name: &str, kind: &str, help: &str, value: u64| {
            // A `String` takes every write.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        };
        metric(
            "plura_evidence_observed_total",
            "counter",
            "Exchanges made into events.",
            f.observed,
        );
        metric(
            "plura_evidence_spooled_total",
            "counter",
            "Events written to the spool.",
            f.spooled,
        );
        metric(
            "plura_evidence_shipped_total",
            "counter",
            "Events the server acknowledged.",
            f.shipped,
        );
        metric("plura_evidence_refused_total", "counter", "Events the server refused.", f.refused);
        metric("plura_evidence_batches_total", "counter", "Batches acknowledged.", f.batches);
        metric(
            "plura_evidence_batch_failures_total",
            "counter",
            "Batches that had to be sent again.",
            f.batch_failures,
        );
        metric(
            "plura_evidence_sync_failures_total",
            "counter",
            "Syncs the disk failed.",
            f.sync_failures,
        );
        metric("plura_evidence_queue", "gauge", "Exchanges waiting to be observed.", f.queue_len);
        metric("plura_evidence_spool_bytes", "gauge", "Bytes in the spool.", f.spool_bytes);
        metric(
            "plura_evidence_unauthorized",
            "gauge",
            "1 when the server does not accept our token.",
            u64::from(f.unauthorized),
        );
        let _ = writeln!(
            out,
            "# HELP plura_evidence_dropped_total Exchanges without an event at the server.\n# TYPE plura_evidence_dropped_total counter"
        );
        for (reason, n) in f.dropped {
            let _ =
                writeln!(out, "plura_evidence_dropped_total{{reason=\"{}\"}} {n}", reason.as_str());
        }
    }
}

struct Worker {
    common: Arc<Common>,
    keys: Keys,
    book: Arc<SessionBook>,
    queue: Receiver<Job>,
    /// Reused for every line.
    lines: Vec<u8>,
    /// When the oldest unsynced byte was written.
    unsynced: Option<Instant>,
}

impl Worker {
    fn run(mut self) {
        let mut began = now();
        loop {
            let wait = match self.unsynced {
                Some(since) => SYNC_AFTER.saturating_sub(since.elapsed()),
                None => SYNC_AFTER,
            };
            let mut settled = None;
            match self.queue.recv_timeout(wait) {
                Ok(job) => settled = self.group(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => settled = Some((None, true)),
            }
            let due = self.unsynced.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
            if settled.is_some() || due || self.common.spool().unsynced_bytes() >= SYNC_BYTES {
                self.sync();
            }
            // What was dropped at the door goes into the book.
            let dropped = self.common.counts.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "exchanges dropped: the recorder is behind and its memory used up"
                );
                self.common.lose(LossReason::MemoryFull, dropped, began);
            }
            began = now();
            if let Some((done, stop)) = settled {
                if let Some(done) = done {
                    // Whoever asked may have gone.
                    let _ = done.send(());
                }
                if stop {
                    return;
                }
            }
            if self.common.counts.queue_len.load(Ordering::Relaxed) == 0 && self.unsynced.is_some()
            {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// Observes what is waiting, up to a group, and writes it in one go.
    fn group(&mut self, first: Job) -> Option<(Option<SyncSender<()>>, bool)> {
        let mut job = Some(first);
        let mut settle = None;
        let mut lost: Option<(u64, Timestamp, SpoolError)> = None;
        for _ in 0..GROUP_MAX {
            match job.take() {
                Some(Job::Record(site, exchange)) => {
                    let at = exchange.finished;
                    if let Err(error) = self.observe(&site, *exchange) {
                        let (n, since, _) = lost.unwrap_or((0, at, SpoolError::Full(0)));
                        lost = Some((n + 1, since.min(at), error));
                    }
                }
                Some(Job::Settle { done, stop }) => {
                    settle = Some((Some(done), stop));
                    break;
                }
                None => break,
            }
            job = self.queue.try_recv().ok();
        }
        // The last one taken may not have fitted the group.
        if let Some(job) = job {
            match job {
                Job::Record(site, exchange) => {
                    let at = exchange.finished;
                    if let Err(error) = self.observe(&site, *exchange) {
                        let (n, since, _) = lost.unwrap_or((0, at, SpoolError::Full(0)));
                        lost = Some((n + 1, since.min(at), error));
                    }
                }
                Job::Settle { done, stop } => settle = Some((Some(done), stop)),
            }
        }
        if let Some((n, since, error)) = lost {
            tracing::warn!(dropped = n, %error, "events dropped");
            self.common.lose(LossReason::SpoolFull, n, since);
        }
        let written = self.common.spool().write();
        match written {
            Ok(()) => {
                self.unsynced.get_or_insert_with(Instant::now);
            }
            Err((n, error)) => {
                tracing::error!(dropped = n, %error, "events dropped: cannot write to the spool; free some disk space");
                self.common.counts.spooled.fetch_sub(n as u64, Ordering::Relaxed);
                self.common.lose(LossReason::DiskFull, n as u64, now());
            }
        }
        settle
    }

    fn observe(&mut self, site: &Site, mut exchange: Exchange) -> Result<(), SpoolError> {
        let counts = &self.common.counts;
        counts.queue_bytes.fetch_sub(exchange.weight() as u64, Ordering::Relaxed);
        counts.queue_len.fetch_sub(1, Ordering::Relaxed);
        exchange.gateway = Arc::clone(&self.common.gateway);
        // Only this thread gives out sequences.
        exchange.sequence = self.common.spool().next_sequence();
        self.lines.clear();
        let (keys, book, lines) = (&self.keys, &self.book, &mut self.lines);
        let observed = catch_unwind(AssertUnwindSafe(|| {
            let observation = Observation::of(&exchange, site, keys, book);
            if let Some(log) = exchange.waf.as_ref().and_then(|waf| waf.audit.as_ref())
                && let Some(line) = observation.audit_line(&exchange)
            {
                log.append(&line);
            }
            observation.write_line(lines);
        }));
        if observed.is_err() || self.lines.is_empty() {
            tracing::error!("an exchange could not be observed; please report this");
            self.common.lose(LossReason::ObserveFailed, 1, exchange.finished);
            return Ok(());
        }
        counts.observed.fetch_add(1, Ordering::Relaxed);
        self.common.spool().push(&self.lines)?;
        counts.spooled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&mut self) {
        let result = self.common.spool().sync();
        match result {
            Ok(()) => {
                self.unsynced = None;
                self.common.news.notify_one();
            }
            Err(error) => {
                // It stays unsynced, so it is not shipped; the next sync tries again.
                self.unsynced = Some(Instant::now());
                self.common.counts.sync_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "cannot sync the spool; events wait there until it works");
            }
        }
    }
}
