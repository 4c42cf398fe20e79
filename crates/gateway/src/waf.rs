//! ModSecurity rules inline: a site's rule sets, and one request's way through them.
//!
//! [`load`] makes engines of rule files, [`Ward`] is one of them at work on a site, [`Inspection`] takes a
//! request and its response through them, [`Outcome`] is what came of it, for the record.

mod inspect;
pub mod load;
mod log;
mod memory;
mod metrics;
mod outcome;
mod ward;

pub use ::inspect::SetOutcome;
pub use inspect::{Gap, Inspection, Logs, Seen, Stop, Trial};
pub use load::{Rules, check as check_rules, load_all};
pub use log::LogFile;
pub use memory::Remembered;
pub use metrics::{WardMetrics, write_metrics};
pub use outcome::Outcome;
pub use ward::{Plan, Ward};

use ring::rand::{SecureRandom, SystemRandom};
use seclang::Without;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Bodies up to this long are inspected on the worker's own thread; a longer one would hold up the
/// worker's other requests for milliseconds, and goes to a thread of its own, which costs some 20 µs.
pub const INLINE_BYTES_MAX: usize = 8 * 1024;

/// What all inspections of a gateway share.
pub struct Common {
    held: Arc<AtomicUsize>,
    /// Threads that inspect long bodies: no more than there are cores, the rest wait.
    offload: Arc<Semaphore>,
    seed: [u8; 16],
    count: AtomicU64,
}

impl Default for Common {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut seed = [0; 16];
        if SystemRandom::new().fill(&mut seed).is_err() {
            // Ids then differ by time and count alone; they are references, not secrets.
            tracing::warn!("the system gives no random bytes");
        }
        Common {
            held: Arc::default(),
            offload: Arc::new(Semaphore::new(cores)),
            seed,
            count: AtomicU64::new(0),
        }
    }
}

impl Common {
    /// The id of an event that somebody is told of before it is recorded.
    fn new_id(&self, received: schema::Timestamp) -> Uuid {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut seed = self.seed.to_vec();
        seed.extend_from_slice(&number.to_be_bytes());
        schema::id_from_seed(received, &seed)
    }

    /// Room for `bytes` of a body, when there is any.
    fn hold(&self, bytes: usize, max: usize) -> Option<Held> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        // Given back at once when it was too much.
        let held = Held { bytes, of: Arc::clone(&self.held) };
        (before.saturating_add(bytes) <= max).then_some(held)
    }

    /// Does `work` on a thread where it holds up nobody, as many at a time as there are cores. `None`: it
    /// ended by a panic.
    pub async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // Never closed: the semaphore lives as long as the gateway.
        let permit = Arc::clone(&self.offload).acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        work.await.ok()
    }

    /// Bytes of bodies held now.
    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Room taken for a body; given back when dropped.
#[derive(Debug)]
pub struct Held {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// `ARGS:q` and its like, for an exception.
pub fn parse_parameter(text: &str) -> Option<Without> {
    Without::variable(0, text)
}
