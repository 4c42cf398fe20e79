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
mod room;
mod ward;

pub use ::inspect::SetOutcome;
pub use inspect::{Gap, Inspection, Logs, Seen, Stop, Trial};
pub use load::{Rules, check as check_rules, load_all};
pub use log::{LogFile, write_log_metrics};
pub use memory::Remembered;
pub use metrics::{WardMetrics, write_metrics};
pub use outcome::Outcome;
pub use room::{CLIENT_SHARE, Room, Rooms};
pub use ward::{Plan, Ward};

use ring::rand::{SecureRandom, SystemRandom};
use seclang::Without;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Bodies up to this long are inspected on the worker's own thread; a longer one would hold up the
/// worker's other requests for milliseconds, and goes to a thread of its own, which costs some 20 µs.
pub const INLINE_BYTES_MAX: usize = 8 * 1024;
/// Nobody waits longer for a thread to inspect with: a queue of long bodies must not hold up what comes after.
pub const THREAD_WAIT: Duration = Duration::from_secs(2);

/// What all inspections of a gateway share.
pub struct Common {
    rooms: Arc<Rooms>,
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
            rooms: Arc::default(),
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

    /// Room for what is inspected of one exchange.
    fn room(&self, client: IpAddr) -> Room {
        self.rooms.of(client)
    }

    /// A thread to inspect with, when there is one in time.
    pub async fn thread(&self) -> Option<Thread> {
        let permit = Arc::clone(&self.offload).acquire_owned();
        let permit = tokio::time::timeout(THREAD_WAIT, permit).await.ok()?;
        Some(Thread(permit.ok()?))
    }

    /// Does `work` on a thread where it holds up nobody, whenever there is one: for what nobody waits for.
    pub async fn later(&self, work: impl FnOnce() + Send + 'static) {
        // Never closed: the semaphore lives as long as the gateway.
        if let Ok(permit) = Arc::clone(&self.offload).acquire_owned().await {
            Thread(permit).run(work).await;
        }
    }

    /// Bytes of bodies held now.
    pub fn held_bytes(&self) -> usize {
        self.rooms.bytes()
    }
}

/// Leave to use a thread of its own: there are as many as cores.
pub struct Thread(OwnedSemaphorePermit);

impl Thread {
    /// Does `work` where it holds up nobody. `None`: it ended by a panic.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(self.0);
            done
        });
        work.await.ok()
    }
}

/// `ARGS:q` and its like, for an exception.
pub fn parse_parameter(text: &str) -> Option<Without> {
    Without::variable(0, text)
}
