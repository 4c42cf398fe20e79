//! One event as rules are tried on it: values are taken, folded and judged at most once.

use super::index::FieldIndex;
use super::{EVERY, Engine, FieldId, Lookup};
use crate::compile::Check;
use crate::event::{Event, Scalar};
use crate::limits::REFERENCE_VALUES_MAX;
use crate::predicate::{Test, relates};
use crate::rule::LogSource;
use crate::text::fold;
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use std::borrow::Cow;

/// What is known of a predicate, in which round.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    round: u32,
    holds: Holds,
    /// In which round looking it up found it: it may have been known before.
    hit: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Holds {
    #[default]
    No,
    Yes,
    /// What it needs is there; it has to be asked itself.
    Perhaps,
}

/// Where a field's values are, and of which round.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    round: u32,
    from: u32,
    to: u32,
    there: bool,
    /// Whether all that can be looked up in it has been.
    scanned: bool,
}

struct Value<'v> {
    scalar: Scalar<'v>,
    /// None for null, which is no text.
    text: Option<&'v str>,
    folded: Option<&'v str>,
}

pub(super) struct View<'v, 'm> {
    engine: &'v Engine,
    event: &'v dyn Event,
    arena: &'v Bump,
    round: u32,
    marks: &'m mut [Known],
    slots: &'m mut [Slot],
    values: Vec<Value<'v>>,
    /// All values as one text, folded.
    joined: Option<&'v [u8]>,
}

/// Bytes of values that most events have.
const JOINED_BYTES: usize = 4_096;

/// Stands between the values of a joined text: no text has this byte.
const BETWEEN: u8 = 0xff;

impl<'v, 'm> View<'v, 'm> {
    pub(super) fn new(
        engine: &'v Engine,
        event: &'v dyn Event,
        arena: &'v Bump,
        round: u32,
        marks: &'m mut [Known],
        slots: &'m mut [Slot],
    ) -> Self {
        View {
            engine,
            event,
            arena,
            round,
            marks,
            slots,
            values: Vec::with_capacity(64),
            joined: None,
        }
    }

    pub(super) fn logsource(&self) -> &'v LogSource {
        self.event.logsource()
    }

    fn slot(&mut self, field: FieldId) -> Slot {
        let known = self.slots.get(field as usize).copied().unwrap_or_default();
        if known.round == self.round {
            return known;
        }
        let from = self.values.len();
        let (values, arena) = (&mut self.values, self.arena);
        let mut take = |scalar: Scalar<'v>| {
            let text = match scalar.text() {
                Some(Cow::Borrowed(text)) => Some(text),
                Some(Cow::Owned(text)) => Some(&*arena.alloc_str(&text)),
                None => None,
            };
            values.push(Value { scalar, text, folded: None });
        };
        let there = match self.engine.names.get(field as usize) {
            Some(name) if field != EVERY => self.event.named(name, &mut |scalar| {
                take(scalar);
                true
            }),
            _ => {
                self.event.every(&mut |_, scalar| {
                    take(scalar);
                    true
                });
                true
            }
        };
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let slot = Slot {
            round: self.round,
            from: place(from),
            to: place(self.values.len()),
            there,
            scanned: false,
        };
        if let Some(own) = self.slots.get_mut(field as usize) {
            *own = slot;
        }
        slot
    }

    /// The values of a kind's fields, as they are; none if they are too long to remember.
    pub(super) fn route_key(&mut self, fields: &[FieldId]) -> Option<Vec<u8>> {
        let mut key = Vec::with_capacity(96);
        let LogSource { product, category, service } = self.logsource();
        for part in [product, category, service] {
            key.extend([BETWEEN, u8::from(part.is_some())]);
            key.extend(part.as_deref().unwrap_or_default().as_bytes());
        }
        for field in fields {
            let slot = self.slot(*field);
            key.extend([BETWEEN, u8::from(slot.there)]);
            for value in self.values.get(slot.from as usize..slot.to as usize)? {
                let kind = match value.scalar {
                    Scalar::Null => 0,
                    Scalar::Bool(_) => 1,
                    Scalar::Integer(_) => 2,
                    Scalar::Float(_) => 3,
                    Scalar::Text(_) => 4,
                };
                key.extend([BETWEEN, kind]);
                key.extend(value.text.unwrap_or_default().as_bytes());
            }
            if key.len() > super::ROUTE_BYTES_MAX {
                return None;
            }
        }
        Some(key)
    }

    /// Looks up everything in the values of a field, and tells what may hold.
    pub(super) fn scan(&mut self, field: FieldId, hits: &mut Vec<u32>) {
        let slot = self.slot(field);
        let engine = self.engine;
        let Some(Some(index)) = engine.indexes.get(field as usize) else { return };
        for at in slot.from as usize..slot.to as usize {
            if let Some((_, folded)) = self.texts(at) {
                index.look(folded, &mut |predicate| self.hit(predicate, hits));
            }
        }
        if let Some(slot) = self.slots.get_mut(field as usize) {
            slot.scanned = true;
        }
    }

    /// As [`View::scan`], for what may be in any field.
    pub(super) fn scan_all(&mut self, index: &FieldIndex, hits: &mut Vec<u32>) {
        if index.is_inside_only() {
            let joined = self.joined();
            return index.look_inside(joined, &mut |predicate| self.hit(predicate, hits));
        }
        let slot = self.slot(EVERY);
        for at in slot.from as usize..slot.to as usize {
            if let Some((_, folded)) = self.texts(at) {
                index.look(folded, &mut |predicate| self.hit(predicate, hits));
            }
        }
    }

    fn hit(&mut self, predicate: u32, hits: &mut Vec<u32>) {
        let exact = self.engine.places.get(predicate as usize).map(|place| place.lookup);
        let Some(mark) = self.marks.get_mut(predicate as usize) else { return };
        if mark.hit == self.round {
            return;
        }
        mark.hit = self.round;
        hits.push(predicate);
        if mark.round != self.round {
            mark.round = self.round;
            mark.holds = if exact == Some(Lookup::Exact) { Holds::Yes } else { Holds::Perhaps };
        }
    }

    /// The folded texts of all values, what is in one of them is in it.
    pub(super) fn joined(&mut self) -> &'v [u8] {
        if let Some(joined) = self.joined {
            return joined;
        }
        let mut all = ArenaVec::with_capacity_in(JOINED_BYTES, self.arena);
        let event = self.event;
        event.every(&mut |_, scalar| {
            if let Some(text) = scalar.text() {
                match text.is_ascii() {
                    true => all.extend_from_slice_copy(text.as_bytes()),
                    false => all.extend_from_slice_copy(fold(&text).as_bytes()),
                }
                all.push(BETWEEN);
            }
            true
        });
        // What has been folded has no capitals of ASCII left.
        all.make_ascii_lowercase();
        let joined = all.into_bump_slice();
        self.joined = Some(joined);
        joined
    }

    /// The text of a value, and folded.
    fn texts(&mut self, at: usize) -> Option<(&'v str, &'v str)> {
        let arena = self.arena;
        let value = self.values.get_mut(at)?;
        let text = value.text?;
        let folded = *value.folded.get_or_insert_with(|| folded(text, arena));
        Some((text, folded))
    }

    pub(super) fn check(&mut self, check: &Check) -> bool {
        match check {
            Check::All(parts) => parts.iter().all(|part| self.check(part)),
            Check::Any(parts) => parts.iter().any(|part| self.check(part)),
            Check::Not(part) => !self.check(part),
            Check::Is(id) => self.holds(*id),
        }
    }

    pub(super) fn holds(&mut self, id: u32) -> bool {
        let mark = self.marks.get(id as usize).copied().unwrap_or_default();
        let known = mark.round == self.round;
        if known && mark.holds != Holds::Perhaps {
            return mark.holds == Holds::Yes;
        }
        let absent = !known && self.has_been_looked_for(id);
        let holds = if !absent && self.judge(id) { Holds::Yes } else { Holds::No };
        if let Some(mark) = self.marks.get_mut(id as usize) {
            (mark.round, mark.holds) = (self.round, holds);
        }
        holds == Holds::Yes
    }

    fn has_been_looked_for(&self, id: u32) -> bool {
        self.engine.places.get(id as usize).is_some_and(|place| {
            let slot = self.slots.get(place.field as usize);
            place.lookup != Lookup::None
                && slot.is_some_and(|slot| slot.round == self.round && slot.scanned)
        })
    }

    fn judge(&mut self, id: u32) -> bool {
        let engine = self.engine;
        let Some(place) = engine.places.get(id as usize) else { return false };
        let Some(predicate) = engine.set.predicates.predicate(id) else { return false };
        let slot = self.slot(place.field);
        let all = slot.from as usize..slot.to as usize;
        match &predicate.test {
            Test::Exists(wanted) => slot.there == *wanted,
            Test::Null => {
                let null = |value: &Value<'_>| value.scalar == Scalar::Null;
                !slot.there || self.values.get(all).is_some_and(|own| own.iter().any(null))
            }
            Test::Field { anchor, cased, .. } => {
                let other = self.slot(place.other);
                let others = self.values.get(other.from as usize..other.to as usize);
                let (Some(own), Some(others)) = (self.values.get(all), others) else {
                    return false;
                };
                own.iter().any(|value| {
                    others
                        .iter()
                        .take(REFERENCE_VALUES_MAX)
                        .any(|other| relates(&value.scalar, &other.scalar, *anchor, *cased))
                })
            }
            test => {
                let folds = test.folds();
                for at in all {
                    let texts = match folds {
                        true => self.texts(at),
                        false => self.values.get(at).and_then(|value| Some((value.text?, ""))),
                    };
                    let Some((text, folded)) = texts else { continue };
                    let Some(value) = self.values.get(at) else { continue };
                    if engine.set.predicates.fits_text(id, &value.scalar, text, folded) {
                        return true;
                    }
                }
                false
            }
        }
    }
}

/// The folded text, in the arena where it differs.
fn folded<'v>(text: &'v str, arena: &'v Bump) -> &'v str {
    if text.is_ascii() {
        let own = arena.alloc_str(text);
        own.make_ascii_lowercase();
        return own;
    }
    match fold(text) {
        Cow::Borrowed(same) => same,
        Cow::Owned(other) => arena.alloc_str(&other),
    }
}
