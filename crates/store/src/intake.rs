//! Durable intake of one tenant: events in, acknowledged when they are on disk.
//!
//! One thread per tenant owns the log and the memory of what was seen, so that duplicates inside
//! batches that arrive at once are judged in one order. While it syncs one group, the next one
//! gathers: a lone sender never waits for company, and many share one sync.

use crate::dedupe::{Key, Seen, SeenChange};
use crate::faults::Faults;
use crate::log::{self, LogWriter, RECORD_BYTES_MAX};
use crate::{Result, StoreError, codec};
use bytes::Bytes;
use schema::{Diagnostic, Event, TenantId, Timestamp, event_id};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Batches that may wait for the committing thread; a sender beyond them waits for room.
const QUEUE_BATCHES: usize = 64;

#[derive(Debug, Clone)]
pub struct IntakeConfig {
    /// A log segment; reserved on disk as soon as a tenant sends something.
    pub segment_bytes: u64,
    /// A group is committed when it has this many bytes…
    pub group_bytes: usize,
    /// …or has gathered this long, or nobody else is waiting.
    pub group_wait: Duration,
    /// Acknowledged events held in memory until they are in the lake; beyond it intake says
    /// `intake-full`, which happens only when the lake cannot be written.
    pub buffer_bytes_max: u64,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        IntakeConfig {
            segment_bytes: 8 << 20,
            group_bytes: 1 << 20,
            group_wait: Duration::from_millis(5),
            buffer_bytes_max: 256 << 20,
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// For each event: true when it is new, false when it was there already. Durable either way.
    pub accepted: Vec<bool>,
}

impl Appended {
    pub fn new_events(&self) -> usize {
        self.accepted.iter().filter(|new| **new).count()
    }

    pub fn duplicates(&self) -> usize {
        self.accepted.len() - self.new_events()
    }
}

/// Counted since the tenant exists, unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IntakeStats {
    /// Events in memory and in the log, not yet in the lake.
    pub unflushed: u64,
    pub unflushed_bytes: u64,
    pub dropped_duplicates: u64,
    /// Stretches of acknowledged records that could not be read back.
    pub corrupt_records: u64,
}

/// Some acknowledged events, encoded, as one group wrote them.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    payloads: Box<[Range<u32>]>,
    segment: u64,
    /// When it was put here, for flushing by age.
    since: Instant,
    /// Of event time.
    pub times: (Timestamp, Timestamp),
    /// Of the time of receipt.
    pub received: (Timestamp, Timestamp),
}

impl Chunk {
    fn new(bytes: Vec<u8>, payloads: Vec<Range<u32>>, segment: u64) -> Chunk {
        let mut times = (i64::MAX, i64::MIN);
        let mut received = times;
        for head in payloads.iter().filter_map(|p| codec::head(log::slice(&bytes, p))) {
            times = (times.0.min(head.time), times.1.max(head.time));
            received = (received.0.min(head.received), received.1.max(head.received));
        }
        Chunk {
            bytes: Bytes::from(bytes),
            payloads: payloads.into_boxed_slice(),
            segment,
            since: Instant::now(),
            times,
            received,
        }
    }

    pub fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Its records, in order of intake.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.payloads.iter().map(|payload| log::slice(&self.bytes, payload))
    }
}

/// Acknowledged events that are not in the lake yet.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    chunks: VecDeque<Arc<Chunk>>,
    events: u64,
    bytes: u64,
}

impl Buffer {
    fn push(&mut self, chunk: Chunk) {
        self.events += chunk.payloads.len() as u64;
        self.bytes += chunk.bytes.len() as u64;
        self.chunks.push_back(Arc::new(chunk));
    }

    pub fn snapshot(&self) -> Vec<Arc<Chunk>> {
        self.chunks.iter().cloned().collect()
    }

    /// Forgets what the lake now has.
    pub fn release(&mut self, through_segment: u64) {
        while self.chunks.front().is_some_and(|chunk| chunk.segment <= through_segment) {
            if let Some(chunk) = self.chunks.pop_front() {
                self.events -= chunk.payloads.len() as u64;
                self.bytes -= chunk.bytes.len() as u64;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    buffer: RwLock<Buffer>,
    dropped_duplicates: AtomicU64,
    corrupt_records: AtomicU64,
}

/// What the catalog knows of a tenant's log.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Segments up to this one are in the lake.
    pub flushed_segment: u64,
    pub seen: Seen,
    pub dropped_duplicates: u64,
    pub corrupt_records: u64,
}

/// What a flush takes into the lake.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The last segment of it.
    pub through_segment: u64,
    pub chunks: Vec<Arc<Chunk>>,
    pub seen: SeenChange,
    pub dropped_duplicates: u64,
    pub corrupt_records: u64,
}

enum Message {
    Append(Batch),
    Seal(oneshot::Sender<Sealed>),
    Saved(SeenChange),
}

struct Batch {
    /// Encoded records, one after the other.
    bytes: Vec<u8>,
    /// Where each record ends, and how it says which one it is.
    records: Vec<(usize, Key)>,
    reply: oneshot::Sender<Result<Appended>>,
}

/// The durable intake of one tenant.
pub struct Intake {
    tenant: TenantId,
    folder: PathBuf,
    sender: Option<mpsc::Sender<Message>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Intake {
    /// Opens the log in `folder` and reads back what it holds.
    pub fn open(tenant: TenantId, folder: &Path, config: &IntakeConfig) -> Result<Intake> {
        let (restored, faults) = (Restored::default(), Arc::default());
        Ok(Intake::restore(tenant, folder, config, restored, faults)?.0)
    }

    pub(crate) fn restore(
        tenant: TenantId,
        folder: &Path,
        config: &IntakeConfig,
        restored: Restored,
        faults: Arc<Faults>,
    ) -> Result<(Intake, Vec<Diagnostic>)> {
        std::fs::create_dir_all(folder)
            .and_then(|()| folder.parent().map_or(Ok(()), log::sync_folder))
            .map_err(|error| StoreError::io("make the intake folder", &error))?;
        let Restored { flushed_segment, mut seen, dropped_duplicates, mut corrupt_records } =
            restored;
        let mut buffer = Buffer::default();
        let mut diagnostics = Vec::new();
        let mut last = flushed_segment;
        seen.next_tick();
        for number in log::segments(folder)? {
            last = last.max(number);
            if number <= flushed_segment {
                log::remove_segment(folder, number)?;
                continue;
            }
            let read = log::read_segment(folder, number)?;
            corrupt_records += read.corrupt;
            diagnostics.extend(read.diagnostics);
            // A group that failed half-way may have left records that were sent again later.
            let payloads: Vec<_> = read
                .payloads
                .into_iter()
                .filter(|payload| {
                    key_of_record(log::slice(&read.bytes, payload))
                        .is_none_or(|key| seen.insert(&key))
                })
                .collect();
            buffer.push(Chunk::new(read.bytes, payloads, number));
        }
        let shared = Arc::new(Shared {
            buffer: RwLock::new(buffer),
            dropped_duplicates: AtomicU64::new(dropped_duplicates),
            corrupt_records: AtomicU64::new(corrupt_records),
        });
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let committer = Committer {
            log: LogWriter::new(folder, config.segment_bytes, last + 1, faults),
            seen,
            config: config.clone(),
            shared: shared.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("intake-{tenant}"))
            .spawn(move || committer.run(receiver))
            .map_err(|error| StoreError::io("start the intake thread", &error))?;
        let intake = Intake {
            tenant,
            folder: folder.to_owned(),
            sender: Some(sender),
            shared,
            thread: Some(thread),
        };
        Ok((intake, diagnostics))
    }

    /// Makes `events` durable. When this returns `Ok`, every one of them is on disk, now or from
    /// before; when it returns an error, none of the new ones counts and all may be sent again.
    ///
    /// An event without an id gets one, and without `received` the present time.
    pub async fn append(&self, events: Vec<Event>) -> Result<Appended> {
        if events.is_empty() {
            return Ok(Appended { accepted: Vec::new() });
        }
        let (reply, answer) = oneshot::channel();
        let batch = self.encode(events, reply)?;
        let sender = self.sender.as_ref().ok_or_else(StoreError::closed)?;
        sender.send(Message::Append(batch)).await.map_err(|_| StoreError::closed())?;
        answer.await.map_err(|_| StoreError::closed())?
    }

    pub fn stats(&self) -> IntakeStats {
        let buffer = self.shared.buffer.read().unwrap_or_else(PoisonError::into_inner);
        IntakeStats {
            unflushed: buffer.events,
            unflushed_bytes: buffer.bytes,
            dropped_duplicates: self.shared.dropped_duplicates.load(Ordering::Relaxed),
            corrupt_records: self.shared.corrupt_records.load(Ordering::Relaxed),
        }
    }

    fn encode(
        &self,
        events: Vec<Event>,
        reply: oneshot::Sender<Result<Appended>>,
    ) -> Result<Batch> {
        let now = now();
        let mut bytes = Vec::with_capacity(events.len() * 512);
        let mut records = Vec::with_capacity(events.len());
        for (index, mut event) in events.into_iter().enumerate() {
            if event.received == 0 {
                event.received = now;
            }
            let sequence = event.sequence.and_then(|number| u64::try_from(number).ok());
            if event.id.is_nil() {
                event.id = match (&event.source, sequence) {
                    (Some(source), Some(sequence)) => {
                        event_id(&self.tenant, source, sequence, event.time)
                    }
                    _ => uuid::Uuid::from_bytes(random_id(event.time)?),
                };
            }
            let start = bytes.len();
            codec::encode(&event, &mut bytes);
            if bytes.len() - start > RECORD_BYTES_MAX {
                return Err(StoreError::new(
                    "event-too-big",
                    format!("event {index} of the batch has {} bytes", bytes.len() - start),
                    format!(
                        "an event has at most {RECORD_BYTES_MAX} bytes: send the others without it"
                    ),
                ));
            }
            let key = match (event.source, sequence) {
                (Some(source), Some(sequence)) => Key::Sequence(source, sequence),
                _ => Key::Id(event.id),
            };
            records.push((bytes.len(), key));
        }
        Ok(Batch { bytes, records, reply })
    }
}

#[cfg(feature = "lake")]
impl Intake {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The acknowledged events that are not in the lake.
    pub(crate) fn snapshot(&self) -> Vec<Arc<Chunk>> {
        self.shared.buffer.read().unwrap_or_else(PoisonError::into_inner).snapshot()
    }

    /// For a flush to swap buffer and files in one step.
    pub(crate) fn lock_buffer(&self) -> RwLockWriteGuard<'_, Buffer> {
        self.shared.buffer.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the oldest event of the buffer came.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let buffer = self.shared.buffer.read().unwrap_or_else(PoisonError::into_inner);
        buffer.chunks.front().map(|chunk| chunk.since)
    }

    /// Ends the segment written to: everything acknowledged so far is in what this returns.
    pub(crate) async fn seal(&self) -> Result<Sealed> {
        let (reply, answer) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or_else(StoreError::closed)?;
        sender.send(Message::Seal(reply)).await.map_err(|_| StoreError::closed())?;
        answer.await.map_err(|_| StoreError::closed())
    }

    /// The catalog has what `seal` returned.
    pub(crate) async fn saved(&self, change: SeenChange) {
        if let Some(sender) = &self.sender {
            // Closed means that nobody will ask for changes any more.
            let _ = sender.send(Message::Saved(change)).await;
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Milliseconds since the epoch: the store is at the rim, where the clock is.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn random_id(time: Timestamp) -> Result<[u8; 16]> {
    let mut seed = [0u8; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed).map_err(|_| {
        StoreError::new("disk-error", "no random numbers", "check the operating system")
    })?;
    Ok(schema::id_from_seed(time, &seed).into_bytes())
}

/// The same key `encode` took from the event.
fn key_of_record(record: &[u8]) -> Option<Key> {
    let mut id = None;
    let mut source = None;
    let mut sequence = None;
    codec::visit(record, |column, cell| {
        match (schema::COLUMNS.get(column).map(|column| column.name), cell) {
            (Some("id"), codec::RawCell::Uuid(value)) => id = Some(value),
            (Some("source"), codec::RawCell::Text(value)) => source = Some(value.to_owned()),
            (Some("sequence"), codec::RawCell::Int(value)) => sequence = u64::try_from(value).ok(),
            _ => {}
        }
    })?;
    match (source, sequence) {
        (Some(source), Some(sequence)) => Some(Key::Sequence(source, sequence)),
        _ => id.map(Key::Id),
    }
}

/// The thread that writes.
struct Committer {
    log: LogWriter,
    seen: Seen,
    config: IntakeConfig,
    shared: Arc<Shared>,
}

impl Committer {
    fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        while let Some(message) = receiver.blocking_recv() {
            let mut next = Some(message);
            while let Some(message) = next.take() {
                match message {
                    Message::Append(batch) => next = self.gather(batch, &mut receiver),
                    Message::Saved(change) => self.seen.saved(&change),
                    Message::Seal(reply) => {
                        let _ = reply.send(self.seal());
                    }
                }
            }
        }
        self.log.close();
    }

    /// Commits `first` together with whoever is waiting. Returns a message of another kind met.
    fn gather(&mut self, first: Batch, receiver: &mut mpsc::Receiver<Message>) -> Option<Message> {
        let begun = Instant::now();
        let mut bytes = first.bytes.len();
        let mut group = vec![first];
        let mut other = None;
        while bytes < self.config.group_bytes && begun.elapsed() < self.config.group_wait {
            match receiver.try_recv() {
                Ok(Message::Append(batch)) => {
                    bytes += batch.bytes.len();
                    group.push(batch);
                }
                Ok(message) => {
                    other = Some(message);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(group);
        other
    }

    fn commit(&mut self, group: Vec<Batch>) {
        self.seen.next_tick();
        let mut taken: Vec<&Key> = Vec::new();
        let mut fresh: Vec<&[u8]> = Vec::new();
        let mut verdicts = Vec::with_capacity(group.len());
        let mut bytes = 0;
        let mut duplicates = 0;
        for batch in &group {
            let mut start = 0;
            let mut accepted = Vec::with_capacity(batch.records.len());
            for (end, key) in &batch.records {
                let record = batch.bytes.get(start..*end).unwrap_or_default();
                start = *end;
                let new = self.seen.insert(key);
                if new {
                    taken.push(key);
                    fresh.push(record);
                    bytes += record.len() + log::FRAME_BYTES;
                } else {
                    duplicates += 1;
                }
                accepted.push(new);
            }
            verdicts.push(accepted);
        }
        let result = if fresh.is_empty() { Ok(()) } else { self.write(&fresh, bytes) };
        if result.is_err() {
            self.seen.undo(&taken);
        } else {
            self.shared.dropped_duplicates.fetch_add(duplicates, Ordering::Relaxed);
        }
        drop((taken, fresh));
        for (batch, accepted) in group.into_iter().zip(verdicts) {
            // A sender that went away loses its answer, not its events.
            let _ = batch.reply.send(result.clone().map(|()| Appended { accepted }));
        }
    }

    fn write(&mut self, records: &[&[u8]], bytes: usize) -> Result<()> {
        let held = self.shared.buffer.read().unwrap_or_else(PoisonError::into_inner).bytes;
        if held + bytes as u64 > self.config.buffer_bytes_max {
            return Err(StoreError::new(
                "intake-full",
                format!("{held} bytes of acknowledged events wait for the lake"),
                "the lake cannot be written: see the log; send again later, nothing acknowledged is lost",
            ));
        }
        let (segment, frames) = self.log.write(records.iter().copied(), bytes)?;
        let chunk = Chunk::new(frames.bytes, frames.payloads, segment);
        self.lock_buffer().push(chunk);
        Ok(())
    }

    fn lock_buffer(&self) -> RwLockWriteGuard<'_, Buffer> {
        self.shared.buffer.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn seal(&mut self) -> Sealed {
        let through_segment = self.log.close();
        let buffer = self.shared.buffer.read().unwrap_or_else(PoisonError::into_inner);
        Sealed {
            through_segment,
            chunks: buffer.snapshot(),
            seen: self.seen.changes(),
            dropped_duplicates: self.shared.dropped_duplicates.load(Ordering::Relaxed),
            corrupt_records: self.shared.corrupt_records.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
