//! Where tests break things: the disk fills up, a sync fails, the process stops between two steps.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Faults {
    /// Bytes that may still be written; `u64::MAX` is no limit.
    bytes_left: AtomicU64,
    sync_fails: AtomicBool,
    /// The step after which everything stops, as if killed.
    stop_after: Mutex<Option<&'static str>>,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            bytes_left: AtomicU64::new(u64::MAX),
            sync_fails: AtomicBool::new(false),
            stop_after: Mutex::new(None),
        }
    }
}

impl Faults {
    #[cfg(test)]
    pub fn limit_bytes(&self, bytes: u64) {
        self.bytes_left.store(bytes, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub fn fail_syncs(&self, fail: bool) {
        self.sync_fails.store(fail, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub fn stop_after(&self, step: Option<&'static str>) {
        if let Ok(mut stop) = self.stop_after.lock() {
            *stop = step;
        }
    }

    /// Called before `bytes` are written.
    pub fn write(&self, bytes: usize) -> io::Result<()> {
        let left = self.bytes_left.load(Ordering::SeqCst);
        if left == u64::MAX {
            return Ok(());
        }
        match left.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes_left.store(left, Ordering::SeqCst);
                Ok(())
            }
            None => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    /// Called before a sync.
    pub fn sync(&self) -> io::Result<()> {
        if self.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }

    /// True when the process is to be thought dead from here on.
    pub fn stops_after(&self, step: &str) -> bool {
        self.stop_after.lock().is_ok_and(|stop| *stop == Some(step))
    }
}
