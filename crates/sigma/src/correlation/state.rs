//! What waits and what is counted.
//!
//! Groups lie in chunks that a snapshot shares; a chunk is copied when a hit first touches it afterwards, so
//! that saving holds the stream up for a moment only.

use super::hit::{Hit, Packed, pack, unpack};
use super::window::Window;
use super::{ALLOCATION_BYTES, Told};
use crate::limits::{GROUPS_BYTES_MAX, GROUPS_MAX};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Groups that are copied at once when a snapshot shares them.
const CHUNK: usize = 256;
/// What a group takes in the index and among the deadlines.
const GROUP_INDEX_BYTES: usize = 96;

/// What waits and what is counted. Can be saved and taken up again, so that a restart loses nothing.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(super) pending: BTreeMap<i64, Arc<Vec<Hit>>>,
    pub(super) waiting: usize,
    pub(super) waiting_bytes: usize,
    pub(super) clock: Clock,
    pub(super) groups: Groups,
    pub told: Told,
}

/// How far the time of events has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Clock {
    pub latest_ms: Option<i64>,
    /// Whether a second event came near the first; until then it may be that one whose time is wrong.
    pub is_sure: bool,
    /// Everything before it was taken.
    pub floor_ms: Option<i64>,
    /// How many events in a row were far ahead, and the least of their times.
    pub ahead: u32,
    pub ahead_ms: i64,
}

impl State {
    /// How many groups are kept.
    pub fn groups(&self) -> usize {
        self.groups.index.len()
    }

    /// How many hits wait for earlier ones.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// About how many bytes groups and hits take.
    pub fn bytes(&self) -> usize {
        self.groups.bytes + self.waiting_bytes
    }

    pub(super) fn wait(&mut self, hit: Hit) {
        self.waiting += 1;
        self.waiting_bytes += hit.weight();
        Arc::make_mut(self.pending.entry(hit.time_ms).or_default()).push(hit);
    }

    /// The first of those that wait, all of one time, in their order; an event delivered twice is there once.
    pub(super) fn first_waiting(&mut self, before_ms: Option<i64>) -> Option<(i64, Vec<Hit>)> {
        let first = self.pending.first_entry()?;
        if before_ms.is_some_and(|before| *first.key() >= before) {
            return None;
        }
        let (time_ms, hits) = first.remove_entry();
        Some((time_ms, self.taken(hits)))
    }

    /// The last of those that wait.
    pub(super) fn drop_last_waiting(&mut self) -> usize {
        let last = self.pending.pop_last();
        last.map_or(0, |(_, hits)| self.taken(hits).len())
    }

    fn taken(&mut self, hits: Arc<Vec<Hit>>) -> Vec<Hit> {
        let mut hits = Arc::unwrap_or_clone(hits);
        let bytes: usize = hits.iter().map(Hit::weight).sum();
        self.waiting = self.waiting.saturating_sub(hits.len());
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        hits.sort_by(|one, two| (&one.event, &one.rule).cmp(&(&two.event, &two.rule)));
        hits.dedup_by(|one, two| one.event == two.event && one.rule == two.rule);
        hits
    }
}

/// A correlation as it was when the group began: changed rules do not go on with what others counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Owner {
    pub key: Arc<str>,
    pub shape: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// Number of its owner, and its values.
    pub key: Arc<[u8]>,
    pub owner: u32,
    /// About how many bytes it takes.
    pub weight: usize,
    pub opened_ms: i64,
    pub latest_ms: i64,
    pub deadline_ms: i64,
    /// Of the latest hit, what correlations ask for that stand on this one.
    pub passed_on: Option<Box<Packed>>,
    pub window: Window,
}

impl Group {
    /// The key without the owner's number.
    pub(super) fn packed_values(&self) -> &[u8] {
        self.key.get(OWNER_BYTES..).unwrap_or_default()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        unpack(self.packed_values()).map(Option::unwrap_or_default)
    }

    fn weigh(&self) -> usize {
        let passed_on =
            self.passed_on.as_ref().map_or(0, |packed| packed.0.len() + 2 * ALLOCATION_BYTES);
        size_of::<Group>()
            + GROUP_INDEX_BYTES
            + 2 * ALLOCATION_BYTES
            + self.key.len()
            + passed_on
            + self.window.weight()
    }
}

const OWNER_BYTES: usize = size_of::<u32>();

/// All groups of all correlations.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    pub chunks: Vec<Arc<Vec<Option<Group>>>>,
    pub owners: Vec<Owner>,
    owner_numbers: HashMap<Owner, u32>,
    free: Vec<u32>,
    index: HashMap<Arc<[u8]>, u32>,
    deadlines: BTreeSet<(i64, u32)>,
    pub bytes: usize,
}

fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}

impl Groups {
    pub(super) fn owner(&mut self, owner: &Owner) -> u32 {
        if let Some(number) = self.owner_numbers.get(owner) {
            return *number;
        }
        // Far fewer than 2^32: each is a correlation that was loaded.
        let number = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        self.owners.push(owner.clone());
        self.owner_numbers.insert(owner.clone(), number);
        number
    }

    pub(super) fn key(owner: u32, values: &[&str]) -> Vec<u8> {
        let mut key = owner.to_le_bytes().to_vec();
        values.iter().for_each(|value| pack(&mut key, Some(value)));
        key
    }

    pub(super) fn key_of_packed(owner: u32, values: &[u8]) -> Arc<[u8]> {
        owner.to_le_bytes().iter().chain(values).copied().collect()
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        self.index.get(key).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Group> {
        let (chunk, at) = place(slot);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    fn slot(&mut self, slot: u32) -> Option<&mut Option<Group>> {
        let (chunk, at) = place(slot);
        self.chunks.get_mut(chunk).and_then(|chunk| Arc::make_mut(chunk).get_mut(at))
    }

    /// Changes a group, and knows afterwards how much room it takes.
    pub(super) fn change<T>(
        &mut self,
        slot: u32,
        change: impl FnOnce(&mut Group) -> T,
    ) -> Option<T> {
        let group = self.slot(slot)?.as_mut()?;
        let result = change(group);
        let after = group.weigh();
        let before = std::mem::replace(&mut group.weight, after);
        self.bytes = (self.bytes + after).saturating_sub(before);
        Some(result)
    }

    pub(super) fn insert(&mut self, mut group: Group) -> u32 {
        group.weight = group.weigh();
        self.bytes += group.weight;
        let slot = self.free.pop().unwrap_or_else(|| {
            let has_room = self.chunks.last().is_some_and(|chunk| chunk.len() < CHUNK);
            if !has_room {
                self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
            }
            let filled = self.chunks.len().saturating_sub(1) * CHUNK;
            let last = self.chunks.last_mut().map(Arc::make_mut);
            let at = last.map_or(0, |chunk| {
                chunk.push(None);
                chunk.len() - 1
            });
            // GROUPS_MAX is far below 2^32.
            u32::try_from(filled + at).unwrap_or(u32::MAX)
        });
        self.index.insert(group.key.clone(), slot);
        self.deadlines.insert((group.deadline_ms, slot));
        if let Some(room) = self.slot(slot) {
            *room = Some(group);
        }
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Group> {
        let group = self.slot(slot)?.take()?;
        self.bytes = self.bytes.saturating_sub(group.weight);
        self.index.remove(&group.key);
        self.deadlines.remove(&(group.deadline_ms, slot));
        self.free.push(slot);
        Some(group)
    }

    pub(super) fn postpone(&mut self, slot: u32, deadline_ms: i64) {
        if let Some(before) =
            self.change(slot, |group| std::mem::replace(&mut group.deadline_ms, deadline_ms))
        {
            self.deadlines.remove(&(before, slot));
            self.deadlines.insert((deadline_ms, slot));
        }
    }

    /// The first deadline, if it is not after `time_ms`, and its groups in an order that no restart changes.
    pub(super) fn due(&self, time_ms: i64) -> Option<(i64, Vec<u32>)> {
        let (first, slot) =
            self.deadlines.first().copied().filter(|(first, _)| *first <= time_ms)?;
        let mut slots: Vec<u32> = self
            .deadlines
            .range((first, slot)..)
            .take_while(|(deadline, _)| *deadline == first)
            .map(|(_, slot)| *slot)
            .collect();
        if slots.len() > 1 {
            slots.sort_by_cached_key(|slot| {
                let group = self.get(*slot);
                let owner = group.and_then(|group| self.owners.get(group.owner as usize)).cloned();
                (owner, group.map(|group| group.key.clone()))
            });
        }
        Some((first, slots))
    }

    /// Gives up the group that would end first, while there is too little room.
    pub(super) fn make_room(&mut self) -> u64 {
        let mut evicted = 0;
        while self.index.len() > GROUPS_MAX || self.bytes > GROUPS_BYTES_MAX {
            let Some((_, slot)) = self.deadlines.first().copied() else { break };
            self.remove(slot);
            evicted += 1;
        }
        evicted
    }

    /// Gives up groups that began after this.
    pub(super) fn forget_after(&mut self, time_ms: i64) -> u64 {
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter()).flatten();
        let ahead = all.filter(|group| group.latest_ms > time_ms);
        let ahead: Vec<u32> = ahead.filter_map(|group| self.find(&group.key)).collect();
        ahead.iter().filter_map(|slot| self.remove(*slot)).count() as u64
    }
}
