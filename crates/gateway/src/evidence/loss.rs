//! What did not make it, counted by reason until the server knows.

use schema::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Why an exchange has no event at the server. Codes for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossReason {
    /// The recorder was behind, and its memory budget used up.
    MemoryFull,
    /// The spool's size limit.
    SpoolFull,
    /// The disk took no more.
    DiskFull,
    /// The exchange could not be made into an event: a fault of ours.
    ObserveFailed,
    /// The server said no to this one event; it is kept aside.
    Refused,
    /// A spool frame was damaged on disk.
    SpoolDamaged,
}

impl LossReason {
    pub const ALL: [LossReason; 6] = [
        LossReason::MemoryFull,
        LossReason::SpoolFull,
        LossReason::DiskFull,
        LossReason::ObserveFailed,
        LossReason::Refused,
        LossReason::SpoolDamaged,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            LossReason::MemoryFull => "memory-full",
            LossReason::SpoolFull => "spool-full",
            LossReason::DiskFull => "disk-full",
            LossReason::ObserveFailed => "observe-failed",
            LossReason::Refused => "refused",
            LossReason::SpoolDamaged => "spool-damaged",
        }
    }
}

/// So many, between then and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    pub dropped: u64,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// One message to the server. Sent again until it is confirmed, always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossReport {
    pub reason: LossReason,
    #[serde(flatten)]
    pub tally: Tally,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Since the folder was made.
    total: [u64; LossReason::ALL.len()],
    /// Not in any report yet.
    pending: [Tally; LossReason::ALL.len()],
    /// Under way to the server.
    report: Option<LossReport>,
}

/// The tallies, and the file that keeps them over a restart.
///
/// The file has its full size from the start and is written over in place, two halves by turns: a full
/// disk cannot stop the counting of what a full disk costs.
pub(super) struct LossBook {
    state: State,
    file: File,
    turn: u64,
    dirty: bool,
}

const SLOT_BYTES: usize = 2048;
const HEADER_BYTES: usize = 16;

impl LossBook {
    pub(super) fn open(path: &Path) -> io::Result<LossBook> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        if file.metadata()?.len() < 2 * SLOT_BYTES as u64 {
            file.write_all_at(&[0; 2 * SLOT_BYTES], 0)?;
            file.sync_all()?;
        }
        let mut book = LossBook { state: State::default(), file, turn: 0, dirty: false };
        for slot in 0..2 {
            if let Some((turn, state)) = book.read(slot)
                && turn > book.turn
            {
                book.turn = turn;
                book.state = state;
            }
        }
        Ok(book)
    }

    fn read(&self, slot: u64) -> Option<(u64, State)> {
        let mut bytes = vec![0u8; SLOT_BYTES];
        self.file.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64).ok()?;
        let (turn, rest) = bytes.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let text = rest.get(..u32::from_le_bytes(*length) as usize)?;
        if u64::from_le_bytes(*turn) == 0 || crc32fast::hash(text) != u32::from_le_bytes(*crc) {
            return None;
        }
        Some((u64::from_le_bytes(*turn), serde_json::from_slice(text).ok()?))
    }

    pub(super) fn count(
        &mut self,
        reason: LossReason,
        dropped: u64,
        since: Timestamp,
        until: Timestamp,
    ) {
        if dropped == 0 {
            return;
        }
        if let Some(total) = self.state.total.get_mut(reason as usize) {
            *total += dropped;
        }
        if let Some(tally) = self.state.pending.get_mut(reason as usize) {
            tally.since = if tally.dropped == 0 { since } else { tally.since.min(since) };
            tally.until = tally.until.max(until);
            tally.dropped += dropped;
        }
        self.dirty = true;
    }

    /// The report to send: the one not confirmed yet, or the next.
    pub(super) fn report(&mut self) -> Option<LossReport> {
        if self.state.report.is_none() {
            for (reason, tally) in LossReason::ALL.into_iter().zip(&mut self.state.pending) {
                if tally.dropped > 0 {
                    self.state.report = Some(LossReport { reason, tally: std::mem::take(tally) });
                    self.dirty = true;
                    break;
                }
            }
        }
        self.state.report
    }

    /// The server has it.
    pub(super) fn confirm(&mut self, report: LossReport) {
        if self.state.report == Some(report) {
            self.state.report = None;
            self.dirty = true;
        }
    }

    pub(super) fn totals(&self) -> impl Iterator<Item = (LossReason, u64)> + '_ {
        LossReason::ALL.into_iter().zip(self.state.total)
    }

    /// Writes the tallies when they changed.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.state)?;
        if text.len() > SLOT_BYTES - HEADER_BYTES {
            return Err(io::Error::other("the tallies are longer than their place"));
        }
        let turn = self.turn + 1;
        let mut bytes = turn.to_le_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&text).to_le_bytes());
        bytes.extend_from_slice(&text);
        self.file.write_all_at(&bytes, (turn % 2) * SLOT_BYTES as u64)?;
        self.file.sync_data()?;
        self.turn = turn;
        self.dirty = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_survive_a_restart_and_a_torn_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loss");
        let mut book = LossBook::open(&path).unwrap();
        book.count(LossReason::SpoolFull, 3, 100, 110);
        book.count(LossReason::SpoolFull, 2, 90, 120);
        let report = book.report().unwrap();
        assert_eq!(report.tally, Tally { dropped: 5, since: 90, until: 120 });
        book.count(LossReason::SpoolFull, 1, 130, 130);
        assert_eq!(book.report(), Some(report), "a report under way does not change");
        book.save().unwrap();
        let mut book = LossBook::open(&path).unwrap();
        assert_eq!(book.report(), Some(report), "sent again after a restart");
        book.confirm(report);
        book.save().unwrap();
        let turn = book.turn;

        // The next write tears: the one before counts.
        book.count(LossReason::DiskFull, 9, 1, 1);
        book.save().unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xFF; 40], ((turn + 1) % 2) * SLOT_BYTES as u64 + 8).unwrap();
        let mut book = LossBook::open(&path).unwrap();
        assert_eq!(book.totals().map(|(_, n)| n).sum::<u64>(), 6);
        assert_eq!(book.report().unwrap().tally.dropped, 1);
    }
}
