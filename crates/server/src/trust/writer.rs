//! Writes records of decisions down, with their leaves, many in one commit.

use super::record::Record;
use crate::app::Blocking;
use crate::ledgers::Ledgers;
use crate::problem::Problem;
use schema::TenantId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::meta::Meta;
use tokio::sync::{mpsc, oneshot};

/// Records that may wait; then whoever decides waits too, rather than leaving one out.
const WAITING_MAX: usize = 4_096;
/// Records in one commit.
const BATCH_MAX: usize = 512;
/// A record waits at most this long for others to share its commit.
const BATCH_WAIT: Duration = Duration::from_millis(20);
/// Before a batch that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The way to the one task that writes records.
#[derive(Clone)]
pub struct Writer {
    items: mpsc::Sender<Item>,
    written: Arc<AtomicU64>,
}

/// Room for one record; free again when dropped.
pub struct Room<'a>(mpsc::Permit<'a, Item>);

impl Room<'_> {
    /// Hands a record over; it is durable some milliseconds later.
    pub fn put(self, tenant: TenantId, record: Record) {
        self.0.send(Item::Record(tenant, Box::new(record)));
    }
}

enum Item {
    Record(TenantId, Box<Record>),
    Flush(oneshot::Sender<()>),
    End(oneshot::Sender<()>),
}

impl Writer {
    pub fn start(meta: Meta, ledgers: Ledgers) -> Writer {
        let (items, waiting) = mpsc::channel(WAITING_MAX);
        let written = Arc::<AtomicU64>::default();
        tokio::spawn(run(meta, ledgers, waiting, Arc::clone(&written)));
        Writer { items, written }
    }

    /// Room for one record. Whoever decides takes it first: between deciding and handing over nothing
    /// waits, so that nobody who goes away takes a record along.
    pub async fn room(&self) -> Result<Room<'_>, Problem> {
        self.items.reserve().await.map(Room).map_err(|_| ended())
    }

    /// Returns when everything handed over before is durable.
    pub async fn flush(&self) -> Result<(), Problem> {
        let (done, wait) = oneshot::channel();
        self.items.send(Item::Flush(done)).await.map_err(|_| ended())?;
        wait.await.map_err(|_| ended())
    }

    /// As [`Writer::flush`], and nothing is taken any more: metadata and ledgers are let go of.
    pub async fn end(&self) -> Result<(), Problem> {
        let (done, wait) = oneshot::channel();
        self.items.send(Item::End(done)).await.map_err(|_| ended())?;
        wait.await.map_err(|_| ended())
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

pub(super) fn ended() -> Problem {
    Problem::unavailable("trust-ended", "decisions cannot be recorded any more: the server ends")
}

async fn run(
    meta: Meta,
    ledgers: Ledgers,
    mut waiting: mpsc::Receiver<Item>,
    written: Arc<AtomicU64>,
) {
    while let Some(first) = waiting.recv().await {
        let (mut batch, mut flushes, mut end) = (Vec::new(), Vec::new(), None);
        let mut take = |item: Item, batch: &mut Vec<(TenantId, Box<Record>)>| match item {
            Item::Record(tenant, record) => batch.push((tenant, record)),
            Item::Flush(done) => flushes.push(done),
            Item::End(done) => end = Some(done),
        };
        take(first, &mut batch);
        let deadline = tokio::time::Instant::now() + BATCH_WAIT;
        while batch.len() < BATCH_MAX {
            match tokio::time::timeout_at(deadline, waiting.recv()).await {
                Ok(Some(item)) => take(item, &mut batch),
                Ok(None) | Err(_) => break,
            }
        }
        let batch = Arc::new(batch);
        while !batch.is_empty() {
            let these = Arc::clone(&batch);
            let done = meta
                .blocking(move |meta| {
                    meta.write(|tx| {
                        for (tenant, record) in these.iter() {
                            let stored = record.stored().map_err(|cause| {
                                store::meta::MetaError::Unreadable {
                                    record: "decision",
                                    cause: cause.to_string(),
                                }
                            })?;
                            tx.put_trust_decision(tenant, &stored)?;
                            if record.is_attested() {
                                tx.attest(&[record.leaf(tenant)])?;
                            }
                        }
                        Ok(())
                    })
                })
                .await;
            match done {
                Ok(()) => {
                    written.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    ledgers.wake();
                    break;
                }
                Err(problem) => {
                    tracing::error!(%problem, records = batch.len(), "decisions cannot be recorded yet; trying again");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        for done in flushes {
            // Whoever no longer waits needs no answer.
            let _ = done.send(());
        }
        if let Some(done) = end {
            drop((meta, ledgers));
            let _ = done.send(());
            return;
        }
    }
}
