//! Answers that come event by event: a copy of what went by, and trials of what came last.
//!
//! Phase 4 runs once, over the copy, when the stream has ended: that is what the event tells. Before that,
//! trials run phase 4 on clones, each over what is new and [`CONTEXT_BYTES`] before it: their cost is linear in
//! the stream, whatever its length, and a text that came in pieces is found when its last piece is there.

use super::{Gap, INLINE_BYTES_MAX, Inspection, Run, Stop};
use crate::evidence::{Unpacked, Unpacker};
use crate::waf::{Common, Room};
use http::HeaderMap;
use seclang::Transaction;
use std::time::{Duration, Instant};

/// Of what was tried before, so much is looked at again with what is new. Some sixty events of a model that
/// sends a word at a time.
pub const CONTEXT_BYTES: usize = 16 * 1024;
/// Room for the copy is taken in steps of this.
const ROOM_STEP_BYTES: usize = 64 * 1024;

/// What has gone by of a stream, without its content encoding.
#[derive(Default)]
pub struct Passing {
    copy: Vec<u8>,
    copy_max: usize,
    unpacker: Option<Unpacker>,
    /// Taken for the copy and what is held back with it.
    room_bytes: usize,
    /// Up to here it was tried.
    tried: usize,
    /// Nothing more is copied.
    is_closed: bool,
    /// There was more than the copy has.
    is_cut: bool,
}

/// Clones of the rule sets that may block, about to look at the latest part.
pub struct Trial {
    runs: Vec<(usize, Transaction, Duration)>,
    part: Vec<u8>,
}

impl Trial {
    fn run(mut self) -> Trial {
        for (_, transaction, took) in &mut self.runs {
            let began = Instant::now();
            transaction.response_body(&self.part, true);
            *took += began.elapsed();
        }
        self
    }

    /// Runs it, here when it is short. `None`: it ended by a panic, or there was no thread for it in time.
    pub async fn tried(self, common: &Common) -> Option<Trial> {
        if self.part.len() <= INLINE_BYTES_MAX {
            return Some(self.run());
        }
        let trial = common.thread().await?.run(|| self.run()).await;
        if trial.is_none() {
            tracing::error!("the inspection of a stream ended by a panic");
        }
        trial
    }
}

impl Inspection {
    /// Takes the answer as a stream from here on, instead of `response_body`.
    pub fn begin_stream(&mut self, headers: &HeaderMap, room_max: usize) -> Option<Stop> {
        let copy_max = self.response_bytes_wanted();
        let mut passing = Passing { copy_max, ..Passing::default() };
        let mut stop = None;
        match Unpacker::of(headers) {
            Ok(unpacker) => passing.unpacker = unpacker,
            Err(_) => {
                passing.is_closed = true;
                stop = self.stream_gap(Gap::Encoding);
            }
        }
        if !passing.is_closed && !passing.takes_room(&mut self.room, room_max) {
            passing.is_closed = true;
            stop = self.stream_gap(Gap::Memory);
        }
        self.stream = Some(passing);
        stop
    }

    /// How long what comes may be held back to be tried, where a rule set may block.
    pub fn stream_hold(&self) -> Option<Duration> {
        let passing = self.stream.as_ref()?;
        let runs = self.runs.iter().filter(|run| run.is_tried());
        runs.map(|run| run.plan.stream_hold).max().filter(|_| !passing.is_closed)
    }

    /// A piece of the stream, as it came. `Some`: the site lets nothing pass that is not inspected.
    pub fn see(&mut self, packed: &[u8], room_max: usize) -> Option<Stop> {
        let passing = self.stream.as_mut().filter(|passing| !passing.is_closed)?;
        let gap = passing.see(&mut self.room, packed, room_max)?;
        passing.is_closed = true;
        // What the copy does not have is told when it is read.
        if gap == Gap::ResponseBody {
            passing.is_cut = true;
        }
        self.stream_gap(gap)
    }

    /// What is new, to be tried. `None`: there is nothing new, or nobody who may block.
    pub fn trial(&mut self) -> Option<Trial> {
        let passing = self.stream.as_mut().filter(|p| p.tried < p.copy.len())?;
        let from = passing.context_begins();
        let part = passing.copy.get(from..).unwrap_or_default().to_vec();
        passing.tried = passing.copy.len();
        let runs = self.runs.iter().enumerate().filter(|(_, run)| run.is_tried());
        let runs: Vec<_> =
            runs.map(|(i, run)| (i, run.transaction.clone(), Duration::ZERO)).collect();
        (!runs.is_empty()).then_some(Trial { runs, part })
    }

    /// What a trial says. One that blocks becomes the truth.
    pub fn judge(&mut self, trial: Option<Trial>) -> Option<Stop> {
        let Some(trial) = trial else {
            return self.stream_gap(Gap::Work);
        };
        for (i, transaction, took) in trial.runs {
            let Some(run) = self.runs.get_mut(i) else { continue };
            run.took += took;
            let is_over = transaction.interruption().is_some()
                || run.is_closed() && super::gap_of(&transaction).is_some();
            if is_over {
                run.transaction = transaction;
            }
        }
        self.stopped()
    }

    /// Something of the stream is not inspected by those who want it.
    fn stream_gap(&mut self, gap: Gap) -> Option<Stop> {
        let wanting = self.runs.iter_mut().filter(|run| run.response_bytes_wanted() > 0);
        wanting.for_each(|run| run.gaps.push(gap));
        self.stopped()
    }

    /// Whether there is a stream to read to its end.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether what is left to do would hold up a worker.
    pub fn is_long(&self) -> bool {
        self.stream.as_ref().is_some_and(|passing| passing.copy.len() > INLINE_BYTES_MAX)
    }

    /// Phase 4 over the copy, for those whom no trial stopped.
    pub(super) fn end_stream(&mut self) {
        let Some(passing) = self.stream.take() else { return };
        for run in &mut self.runs {
            if run.transaction.interruption().is_some() {
                continue;
            }
            let wanted = run.response_bytes_wanted();
            let part = passing.copy.get(..wanted).unwrap_or(&passing.copy);
            let complete = wanted == 0 || !passing.is_cut && part.len() == passing.copy.len();
            if !complete {
                run.gaps.push(Gap::ResponseBody);
            }
            run.timed(|transaction| {
                transaction.response_body(part, complete);
            });
        }
    }
}

impl Run {
    fn is_tried(&self) -> bool {
        self.enforced && self.response_bytes_wanted() > 0
    }
}

impl Passing {
    fn see(&mut self, room: &mut Room, packed: &[u8], room_max: usize) -> Option<Gap> {
        let left = self.copy_max.saturating_sub(self.copy.len());
        let unpacked;
        let (plain, gap) = match &mut self.unpacker {
            None if packed.len() > left => {
                (packed.get(..left).unwrap_or(packed), Some(Gap::ResponseBody))
            }
            None => (packed, None),
            Some(unpacker) => {
                let (bytes, end) = unpacker.feed(packed, left);
                unpacked = bytes;
                let gap = end.err().map(|why| match why {
                    Unpacked::Broken => Gap::Encoding,
                    Unpacked::TooLong => Gap::ResponseBody,
                });
                (&unpacked[..], gap)
            }
        };
        while self.copy.len() + plain.len() > self.room_bytes {
            if !self.takes_room(room, room_max) {
                return Some(Gap::Memory);
            }
        }
        self.copy.extend_from_slice(plain);
        gap
    }

    /// Where a line begins, if one does in the context: what begins in the middle of an event might look like
    /// something else.
    fn context_begins(&self) -> usize {
        let from = self.tried.saturating_sub(CONTEXT_BYTES);
        let context = self.copy.get(from..self.tried).unwrap_or_default();
        match memchr::memchr2(b'\n', b'\r', context) {
            Some(end) if from > 0 => from + end + 1,
            _ => from,
        }
    }

    fn takes_room(&mut self, room: &mut Room, max: usize) -> bool {
        let has_room = room.grow(ROOM_STEP_BYTES, max);
        self.room_bytes += ROOM_STEP_BYTES;
        has_room
    }
}
