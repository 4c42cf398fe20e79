//! State as bytes, and back.
//!
//! The same state gives the same bytes. Numbers are of seven bits a byte, times are told by how far they are from
//! the beginning of their window.

use super::Told;
use super::hit::{EventId, FieldNames, Hit, Packed};
use super::state::{Clock, Group, Groups, Owner, State};
use super::window::{Chain, Latest, Numbers, Times, Value, Values, Window};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What every saved state begins with; the last byte is the form's version.
const MAGIC: &[u8] = b"plura-correlation\x01";

/// A state at one moment, cheap to take: it shares the groups with the state it is of.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pending: BTreeMap<i64, Arc<Vec<Hit>>>,
    clock: Clock,
    owners: Vec<Owner>,
    chunks: Vec<Arc<Vec<Option<Group>>>>,
    told: Told,
}

/// Why bytes are no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    pub at: usize,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the saved state of correlations is damaged or of another version at byte {}; begin anew, or take an older one",
            self.at
        )
    }
}

impl std::error::Error for Damaged {}

impl State {
    /// What the state is now, to be saved while the stream goes on, if need be by another thread.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            pending: self.pending.clone(),
            clock: self.clock,
            owners: self.groups.owners.clone(),
            chunks: self.groups.chunks.clone(),
            told: self.told,
        }
    }

    pub fn save(&self) -> Vec<u8> {
        self.snapshot().save()
    }

    /// Takes up a saved state.
    pub fn load(bytes: &[u8]) -> Result<State, Damaged> {
        let mut reader = Reader::new(bytes);
        reader.state().map_err(|()| Damaged { at: bytes.len() - reader.rest.len() })
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.save() == other.save()
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::BASE64.encode(&self.save()))
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<State, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
        State::load(&bytes).map_err(D::Error::custom)
    }
}

impl Snapshot {
    pub fn save(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let told = self.told.all();
        told.iter().for_each(|count| put_number(&mut out, *count));
        put_maybe(&mut out, self.clock.latest_ms);
        put_maybe(&mut out, self.clock.floor_ms);
        out.push(u8::from(self.clock.is_sure));
        put_number(&mut out, self.clock.ahead.into());
        put_signed(&mut out, self.clock.ahead_ms);
        self.put_pending(&mut out);
        self.put_groups(&mut out);
        out
    }

    fn put_pending(&self, out: &mut Vec<u8>) {
        let hits = || self.pending.values().flat_map(|hits| hits.iter());
        // What is the same in many hits is there once.
        let kinds: BTreeSet<(&str, &[Arc<str>])> =
            hits().map(|hit| (&*hit.rule, &*hit.names)).collect();
        let kinds: Vec<_> = kinds.into_iter().collect();
        put_number(out, kinds.len() as u64);
        for (rule, names) in &kinds {
            put_text(out, rule);
            put_number(out, names.len() as u64);
            names.iter().for_each(|name| put_text(out, name));
        }
        put_number(out, hits().count() as u64);
        for (time_ms, hits) in &self.pending {
            let mut hits: Vec<&Hit> = hits.iter().collect();
            hits.sort_by(|one, two| (&one.event, &one.rule).cmp(&(&two.event, &two.rule)));
            for hit in hits {
                let kind = kinds.binary_search(&(&*hit.rule, &*hit.names)).unwrap_or_default();
                put_number(out, kind as u64);
                put_signed(out, *time_ms);
                Hit::put_event(out, &hit.event);
                put_bytes(out, &hit.values.0);
            }
        }
    }

    fn put_groups(&self, out: &mut Vec<u8>) {
        let mut groups: Vec<&Group> =
            self.chunks.iter().flat_map(|chunk| chunk.iter()).flatten().collect();
        let used: BTreeSet<&Owner> =
            groups.iter().filter_map(|group| self.owners.get(group.owner as usize)).collect();
        let used: Vec<&Owner> = used.into_iter().collect();
        let ranks: Vec<usize> = self
            .owners
            .iter()
            .map(|owner| used.binary_search(&owner).unwrap_or_default())
            .collect();
        let rank = |group: &Group| ranks.get(group.owner as usize).copied().unwrap_or_default();
        groups.sort_unstable_by(|one, two| {
            (rank(one), one.packed_values()).cmp(&(rank(two), two.packed_values()))
        });
        put_number(out, used.len() as u64);
        for owner in &used {
            put_text(out, &owner.key);
            put_number(out, owner.shape);
        }
        put_number(out, groups.len() as u64);
        for group in groups {
            put_number(out, rank(group) as u64);
            put_bytes(out, group.packed_values());
            put_signed(out, group.opened_ms);
            put_signed(out, group.latest_ms.wrapping_sub(group.opened_ms));
            put_signed(out, group.deadline_ms.wrapping_sub(group.opened_ms));
            match &group.passed_on {
                None => out.push(0),
                Some(packed) => {
                    out.push(1);
                    put_bytes(out, &packed.0);
                }
            }
            put_window(out, &group.window, group.opened_ms);
        }
    }
}

fn put_window(out: &mut Vec<u8>, window: &Window, opened_ms: i64) {
    let time = |out: &mut Vec<u8>, time: i64| put_signed(out, time.wrapping_sub(opened_ms));
    let events = |out: &mut Vec<u8>, events: &Latest| {
        put_number(out, events.0.len() as u64);
        events.0.iter().for_each(|event| Hit::put_event(out, event));
    };
    match window {
        Window::Times(kept) => {
            out.push(0);
            put_number(out, kept.count);
            put_number(out, kept.times.len() as u64);
            kept.times.iter().for_each(|at| time(out, *at));
            events(out, &kept.events);
        }
        Window::Values(kept) => {
            out.push(1);
            time(out, kept.oldest_ms);
            put_number(out, kept.seen.len() as u64);
            for value in &kept.seen {
                out.extend_from_slice(&value.hash.0.to_le_bytes());
                out.extend_from_slice(&value.hash.1.to_le_bytes());
                time(out, value.time_ms);
                Hit::put_event(out, &value.event);
            }
        }
        Window::Numbers(kept) => {
            out.push(2);
            put_number(out, kept.count);
            put_float(out, kept.sum);
            put_number(out, kept.times.len() as u64);
            kept.times.iter().for_each(|at| time(out, *at));
            put_number(out, kept.numbers.len() as u64);
            kept.numbers.iter().for_each(|number| put_float(out, *number));
            events(out, &kept.events);
        }
        Window::Rules(seen) => {
            out.push(3);
            put_number(out, seen.len() as u64);
            for slot in seen {
                out.push(u8::from(slot.is_some()));
                if let Some((at, event)) = slot {
                    time(out, *at);
                    Hit::put_event(out, event);
                }
            }
        }
        Window::Chains(chains) => {
            out.push(4);
            put_number(out, chains.len() as u64);
            for slot in chains {
                out.push(u8::from(slot.is_some()));
                if let Some(chain) = slot {
                    time(out, chain.began_ms);
                    put_number(out, chain.events.len() as u64);
                    chain.events.iter().for_each(|event| Hit::put_event(out, event));
                }
            }
        }
    }
}

pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Small ones of either sign in few bytes.
fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, (number.wrapping_shl(1) ^ (number >> 63)).cast_unsigned());
}

fn put_maybe(out: &mut Vec<u8>, number: Option<i64>) {
    out.push(u8::from(number.is_some()));
    put_signed(out, number.unwrap_or_default());
}

/// Every bit of it: a sum goes on exactly where it was.
fn put_float(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Reads what was put; nothing it reads makes it take more room than there are bytes.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

type Read<T> = Result<T, ()>;

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { rest: bytes }
    }

    pub(super) fn bytes(&mut self, length: usize) -> Read<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(())?;
        self.rest = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Read<u8> {
        self.bytes(1)?.first().copied().ok_or(())
    }

    fn flag(&mut self) -> Read<bool> {
        Ok(self.byte()? != 0)
    }

    pub(super) fn number(&mut self) -> Read<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(())
    }

    fn signed(&mut self) -> Read<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn maybe(&mut self) -> Read<Option<i64>> {
        let is_there = self.flag()?;
        Ok(Some(self.signed()?).filter(|_| is_there))
    }

    fn word(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.bytes(8)?.try_into().map_err(|_| ())?))
    }

    fn float(&mut self) -> Read<f64> {
        self.word().map(f64::from_bits)
    }

    /// A length of things that take a byte each at least.
    fn length(&mut self) -> Read<usize> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= self.rest.len()).ok_or(())
    }

    fn sized(&mut self) -> Read<&'b [u8]> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn text(&mut self) -> Read<&'b str> {
        std::str::from_utf8(self.sized()?).map_err(|_| ())
    }

    fn many<T, C: FromIterator<T>>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<C> {
        let length = self.length()?;
        (0..length).map(|_| one(self)).collect()
    }

    fn event(&mut self) -> Read<EventId> {
        match self.flag()? {
            true => Ok(EventId::Uuid(self.bytes(16)?.try_into().map_err(|_| ())?)),
            false => Ok(EventId::Text(self.text()?.into())),
        }
    }

    fn state(&mut self) -> Read<State> {
        let mut state = State::default();
        if self.bytes(MAGIC.len())? != MAGIC {
            return Err(());
        }
        let mut told = Told::default().all();
        for count in &mut told {
            *count = self.number()?;
        }
        state.told = Told::of(told);
        state.clock.latest_ms = self.maybe()?;
        state.clock.floor_ms = self.maybe()?;
        state.clock.is_sure = self.flag()?;
        state.clock.ahead = u32::try_from(self.number()?).map_err(|_| ())?;
        state.clock.ahead_ms = self.signed()?;
        self.pending(&mut state)?;
        self.groups(&mut state.groups)?;
        if self.rest.is_empty() { Ok(state) } else { Err(()) }
    }

    fn pending(&mut self, state: &mut State) -> Read<()> {
        let kinds: Vec<(Arc<str>, FieldNames)> = self.many(|reader| {
            let rule = reader.text()?.into();
            let names: Vec<Arc<str>> = reader.many(|reader| reader.text().map(Arc::from))?;
            Ok((rule, names.into()))
        })?;
        for _ in 0..self.length()? {
            let kind = usize::try_from(self.number()?).ok().and_then(|kind| kinds.get(kind));
            let (rule, names) = kind.cloned().ok_or(())?;
            let (time_ms, event) = (self.signed()?, self.event()?);
            let values = Packed(self.sized()?.into());
            state.wait(Hit { time_ms, event, rule, names, values });
        }
        Ok(())
    }

    fn groups(&mut self, groups: &mut Groups) -> Read<()> {
        let owners: Vec<Owner> =
            self.many(|reader| Ok(Owner { key: reader.text()?.into(), shape: reader.number()? }))?;
        for owner in &owners {
            groups.owner(owner);
        }
        for _ in 0..self.length()? {
            let owner = u32::try_from(self.number()?).map_err(|_| ())?;
            let key = Groups::key_of_packed(owner, self.sized()?);
            if owner as usize >= owners.len() || groups.find(&key).is_some() {
                return Err(());
            }
            let opened_ms = self.signed()?;
            let latest_ms = opened_ms.wrapping_add(self.signed()?);
            let deadline_ms = opened_ms.wrapping_add(self.signed()?);
            let passed_on = match self.flag()? {
                true => Some(Box::new(Packed(self.sized()?.into()))),
                false => None,
            };
            let window = self.window(opened_ms)?;
            let weight = 0;
            groups.insert(Group {
                key,
                owner,
                weight,
                opened_ms,
                latest_ms,
                deadline_ms,
                passed_on,
                window,
            });
        }
        Ok(())
    }

    fn window(&mut self, opened_ms: i64) -> Read<Window> {
        let time = |reader: &mut Self| Ok(opened_ms.wrapping_add(reader.signed()?));
        Ok(match self.byte()? {
            0 => Window::Times(Box::new(Times {
                count: self.number()?,
                times: self.many(time)?,
                events: Latest(self.many(Self::event)?),
            })),
            1 => Window::Values(Box::new(Values {
                oldest_ms: time(self)?,
                seen: self.many(|reader| {
                    let hash = (reader.word()?, reader.word()?);
                    Ok(Value { hash, time_ms: time(reader)?, event: reader.event()? })
                })?,
            })),
            2 => Window::Numbers(Box::new(Numbers {
                count: self.number()?,
                sum: self.float()?,
                times: self.many(time)?,
                numbers: self.many(Self::float)?,
                events: Latest(self.many(Self::event)?),
            })),
            3 => Window::Rules(self.many(|reader| match reader.flag()? {
                true => Ok(Some((time(reader)?, reader.event()?))),
                false => Ok(None),
            })?),
            4 => Window::Chains(self.many(|reader| match reader.flag()? {
                true => {
                    let began_ms = time(reader)?;
                    Ok(Some(Chain { began_ms, events: reader.many(Self::event)? }))
                }
                false => Ok(None),
            })?),
            _ => return Err(()),
        })
    }
}
