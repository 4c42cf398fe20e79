//! Rules over several events: how often, how many different, how much, and in which order.
//!
//! Time is that of events. Hits wait for the allowed lateness and are then taken in the order of their times,
//! so the order they came in does not matter; state is a value that can be saved and taken up again.

mod hit;
pub mod rule;
mod saved;
mod state;
mod window;

use crate::event::{Event, Scalar, cut};
use crate::limits::{
    AHEAD_MS_MAX, AHEAD_RUN, GROUP_VALUE_BYTES_MAX, PENDING_BYTES_MAX, PENDING_MAX,
};
use crate::predicate::Number;
use crate::ruleset::RuleSet;
pub use hit::{EventId, Hit};
use hit::{FieldNames, Packed};
use rule::{Correlation, Kind, Target};
pub use saved::{Damaged, Snapshot};
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};
pub use state::State;
use state::{Group, Groups, Owner};
use std::collections::{BTreeSet, HashMap};
use std::hash::Hasher;
use std::sync::Arc;
use window::{Entry, Window};

/// What one allocation takes beside what it is for.
const ALLOCATION_BYTES: usize = 16;

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How the correlation is called: `Meta::key`.
    pub correlation: String,
    /// When its last event was, or its window ended.
    pub time_ms: i64,
    pub began_ms: i64,
    /// The fields it groups by, with the values of this group.
    pub group: Vec<(String, String)>,
    /// What was counted, added up, or how many rules were seen.
    pub figure: f64,
    pub events: Vec<String>,
}

/// What did not go as it should, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// Hits later than allowed: not counted in.
    pub late: u64,
    /// Hits too far ahead of the caller's time, or for which there was no room to wait: not counted in.
    pub ahead: u64,
    /// Hits without a field that is grouped by: not counted in.
    pub ungrouped: u64,
    /// Groups given up for want of room.
    pub evicted: u64,
    /// Hits that pushed an older one out of a full window.
    pub overfull: u64,
    /// Hits taken before their time for want of room.
    pub early: u64,
    /// Groups of correlations that are gone or were changed.
    pub stale: u64,
    /// Times that the clock went back.
    pub rewound: u64,
}

impl Told {
    fn all(&self) -> [u64; 8] {
        let Told { late, ahead, ungrouped, evicted, overfull, early, stale, rewound } = *self;
        [late, ahead, ungrouped, evicted, overfull, early, stale, rewound]
    }

    fn of([late, ahead, ungrouped, evicted, overfull, early, stale, rewound]: [u64; 8]) -> Told {
        Told { late, ahead, ungrouped, evicted, overfull, early, stale, rewound }
    }
}

impl std::ops::Add for Told {
    type Output = Told;

    fn add(self, other: Told) -> Told {
        let (mut sum, other) = (self.all(), other.all());
        sum.iter_mut().zip(other).for_each(|(own, more)| *own += more);
        Told::of(sum)
    }
}

/// A correlation with what is worked out once.
#[derive(Debug, Clone)]
struct Ready {
    correlation: Correlation,
    owner: Owner,
    span_ms: i64,
    is_instant: bool,
    /// Fields that those above ask for beside those that it groups by.
    passed_on: Vec<Arc<str>>,
    /// The fields of its hits: those it groups by, then those passed on.
    names: FieldNames,
}

/// The correlations of a rule set, ready to be fed.
#[derive(Debug, Clone)]
pub struct Correlator {
    correlations: Vec<Ready>,
    by_owner: HashMap<Owner, usize>,
    /// Who listens to a rule or correlation of this name, and as which of its rules.
    listeners: HashMap<Arc<str>, Vec<(usize, usize)>>,
    /// How a rule is called, and the fields that its hits carry, by the rule's number.
    rules: HashMap<usize, (Arc<str>, FieldNames)>,
    lateness_ms: i64,
}

impl Correlator {
    /// How late an event may come after one with a later time is the same for all correlations.
    pub fn new(set: &RuleSet, lateness_ms: u64) -> Correlator {
        let mut listeners: HashMap<Arc<str>, Vec<(usize, usize)>> = HashMap::new();
        let mut fields: HashMap<usize, BTreeSet<Arc<str>>> = HashMap::new();
        // What those above ask of each correlation; it comes after all that it listens to.
        let mut asked: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); set.correlations.len()];
        for (index, correlation) in set.correlations.iter().enumerate().rev() {
            let passed_on = asked.get(index).cloned().unwrap_or_default();
            for (place, target) in correlation.targets.iter().enumerate() {
                let own = correlation.group_by.iter().chain(&correlation.fields);
                let own = own.map(|name| Arc::from(correlation.field_of(name, place)));
                let wanted = passed_on.iter().cloned().chain(own);
                let key = match *target {
                    Target::Rule(rule) => {
                        fields.entry(rule).or_default().extend(wanted);
                        set.rules.get(rule).map(|rule| rule.meta.key())
                    }
                    Target::Correlation(below) => {
                        if let Some(asked) = asked.get_mut(below) {
                            asked.extend(wanted);
                        }
                        set.correlations.get(below).map(|below| below.meta.key())
                    }
                };
                if let Some(key) = key {
                    listeners.entry(key.into()).or_default().push((index, place));
                }
            }
        }
        listeners.values_mut().for_each(|places| places.sort_unstable());
        let correlations: Vec<Ready> = set
            .correlations
            .iter()
            .zip(asked)
            .map(|(correlation, asked)| Ready::new(correlation, asked))
            .collect();
        let rules = fields.into_iter().filter_map(|(rule, names)| {
            let key: Arc<str> = set.rules.get(rule)?.meta.key().into();
            Some((rule, (key, names.into_iter().collect())))
        });
        let by_owner = correlations.iter().enumerate();
        Correlator {
            by_owner: by_owner.map(|(index, ready)| (ready.owner.clone(), index)).collect(),
            rules: rules.collect(),
            correlations,
            listeners,
            lateness_ms: i64::try_from(lateness_ms).unwrap_or(i64::MAX),
        }
    }

    /// A hit of a rule, if any correlation listens to it. Of a field with several values the first counts.
    pub fn hit(&self, rule: usize, time_ms: i64, id: &str, event: &dyn Event) -> Option<Hit> {
        let (key, names) = self.rules.get(&rule)?;
        let mut values = Vec::new();
        for name in names.iter() {
            let mut first = None;
            event.field(name, &mut |value| {
                first = value.text();
                first.is_none()
            });
            let first = first.as_deref().map(|text| cut(text, GROUP_VALUE_BYTES_MAX));
            hit::pack(&mut values, first);
        }
        Some(Hit {
            time_ms,
            event: EventId::new(id),
            rule: key.clone(),
            names: names.clone(),
            values: Packed(values.into()),
        })
    }

    /// Takes a hit in, and gives what became certain by it.
    ///
    /// Without a clock a single event far ahead of all others is not believed: it waits, and time goes on with
    /// the others, until `AHEAD_RUN` in a row say the same.
    pub fn observe(&self, state: &mut State, hit: Hit) -> Vec<Finding> {
        if self.is_late(state, &hit) {
            return Vec::new();
        }
        let clock = &mut state.clock;
        let latest = clock.latest_ms.unwrap_or(hit.time_ms);
        if hit.time_ms > latest.saturating_add(AHEAD_MS_MAX) {
            clock.ahead_ms = match clock.ahead {
                0 => hit.time_ms,
                _ => clock.ahead_ms.min(hit.time_ms),
            };
            clock.ahead += 1;
            if clock.ahead >= AHEAD_RUN {
                (clock.latest_ms, clock.ahead) = (Some(clock.ahead_ms), 0);
            }
        } else {
            clock.is_sure |= clock.latest_ms.is_some();
            (clock.latest_ms, clock.ahead) = (Some(latest.max(hit.time_ms)), 0);
        }
        self.take_in(state, hit)
    }

    /// Takes a hit in that the caller received at this time of its own clock.
    ///
    /// Time never goes on further than the caller's: an event that is ahead of it waits, and one that is ahead
    /// by more than `AHEAD_MS_MAX` is not counted in.
    pub fn observe_at(&self, state: &mut State, hit: Hit, received_ms: i64) -> Vec<Finding> {
        let believed_ms = received_ms.saturating_add(AHEAD_MS_MAX);
        if state.clock.latest_ms.is_some_and(|latest| latest > believed_ms) {
            // The caller's clock was wrong before, and what was counted by it is of no use.
            state.told.stale += state.groups.forget_after(believed_ms);
            state.clock.latest_ms = Some(received_ms);
            state.clock.floor_ms = None;
            state.told.rewound += 1;
        }
        if hit.time_ms > believed_ms {
            state.told.ahead += 1;
            return Vec::new();
        }
        if self.is_late(state, &hit) {
            return Vec::new();
        }
        let time_ms = hit.time_ms.min(received_ms);
        let clock = &mut state.clock;
        clock.latest_ms = Some(clock.latest_ms.map_or(time_ms, |latest| latest.max(time_ms)));
        clock.is_sure = true;
        self.take_in(state, hit)
    }

    /// Says that no event before this time will come any more.
    pub fn advance_to(&self, state: &mut State, time_ms: i64) -> Vec<Finding> {
        let at_least = time_ms.saturating_add(self.lateness_ms);
        let latest = state.clock.latest_ms.map_or(at_least, |latest| latest.max(at_least));
        (state.clock.latest_ms, state.clock.is_sure) = (Some(latest), true);
        let mut findings = Vec::new();
        self.advance(state, Some(time_ms), &mut findings);
        findings
    }

    /// Takes all that waits; windows that are still open end.
    pub fn finish(&self, state: &mut State) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.advance(state, None, &mut findings);
        findings
    }

    fn horizon(&self, state: &State) -> Option<i64> {
        let horizon = state.clock.latest_ms.map(|latest| latest.saturating_sub(self.lateness_ms));
        horizon.max(state.clock.floor_ms)
    }

    fn is_late(&self, state: &mut State, hit: &Hit) -> bool {
        let clock = &mut state.clock;
        if let Some(latest) = clock.latest_ms
            && !clock.is_sure
            && hit.time_ms < latest.saturating_sub(AHEAD_MS_MAX)
        {
            // The first event was the one with the wrong time; nothing was taken by it yet.
            clock.latest_ms = Some(hit.time_ms);
            return false;
        }
        let is_late = self.horizon(state).is_some_and(|horizon| hit.time_ms < horizon);
        state.told.late += u64::from(is_late);
        is_late
    }

    fn take_in(&self, state: &mut State, hit: Hit) -> Vec<Finding> {
        state.wait(hit);
        let mut findings = Vec::new();
        self.advance(state, Some(self.horizon(state).unwrap_or(i64::MIN)), &mut findings);
        while state.waiting > PENDING_MAX || state.waiting_bytes > PENDING_BYTES_MAX {
            // What nobody believes yet goes first, so that it takes no time from the others.
            let believed = state.clock.latest_ms.unwrap_or(i64::MAX).saturating_add(AHEAD_MS_MAX);
            if state.pending.last_key_value().is_some_and(|(time, _)| *time > believed) {
                state.told.ahead += state.drop_last_waiting() as u64;
                continue;
            }
            let Some((time_ms, hits)) = state.first_waiting(None) else { break };
            state.told.early += hits.len() as u64;
            state.clock.floor_ms = state.clock.floor_ms.max(Some(time_ms));
            self.take(state, time_ms, &hits, &mut findings);
        }
        findings
    }

    /// Takes what is before the horizon, or everything.
    fn advance(&self, state: &mut State, horizon_ms: Option<i64>, findings: &mut Vec<Finding>) {
        while let Some((time_ms, hits)) = state.first_waiting(horizon_ms) {
            self.take(state, time_ms, &hits, findings);
        }
        self.end_windows(state, horizon_ms.unwrap_or(i64::MAX), findings);
    }

    /// All hits of one time.
    fn take(&self, state: &mut State, time_ms: i64, hits: &[Hit], findings: &mut Vec<Finding>) {
        self.end_windows(state, time_ms, findings);
        for hit in hits {
            self.feed(state, hit, findings);
        }
    }

    /// Ends every window whose time is not after `time_ms`.
    fn end_windows(&self, state: &mut State, time_ms: i64, findings: &mut Vec<Finding>) {
        while let Some((deadline_ms, slots)) = state.groups.due(time_ms) {
            for slot in slots {
                let Some(group) = state.groups.get(slot) else { continue };
                let latest_ms = group.latest_ms;
                let owner = state.groups.owners.get(group.owner as usize);
                let ready = owner.and_then(|owner| self.by_owner.get(owner));
                let Some(ready) = ready.and_then(|index| self.correlations.get(*index)) else {
                    state.told.stale += u64::from(state.groups.remove(slot).is_some());
                    continue;
                };
                let until = latest_ms.saturating_add(ready.span_ms).saturating_add(1);
                if ready.is_instant && until > deadline_ms {
                    state.groups.postpone(slot, until);
                    continue;
                }
                let Some(group) = state.groups.remove(slot) else { continue };
                if !ready.is_instant
                    && let Some(figure) = group.window.judge(&ready.correlation)
                {
                    self.tell(state, ready, &group, deadline_ms, figure, findings);
                }
            }
        }
    }

    /// Gives a hit to all that listen to its rule.
    fn feed(&self, state: &mut State, hit: &Hit, findings: &mut Vec<Finding>) {
        for (index, place) in self.listeners.get(&hit.rule).into_iter().flatten() {
            let Some(ready) = self.correlations.get(*index) else { continue };
            let names = ready.correlation.group_by.iter();
            let values: Option<Vec<&str>> =
                names.map(|name| hit.field(ready.correlation.field_of(name, *place))).collect();
            match values {
                Some(values) => self.count(state, ready, *place, &values, hit, findings),
                None => state.told.ungrouped += 1,
            }
        }
    }

    fn count(
        &self,
        state: &mut State,
        ready: &Ready,
        place: usize,
        values: &[&str],
        hit: &Hit,
        findings: &mut Vec<Finding>,
    ) {
        let owner = state.groups.owner(&ready.owner);
        let key = Groups::key(owner, values);
        let slot = state.groups.find(&key);
        let slot = slot.unwrap_or_else(|| state.groups.insert(ready.group(key.into(), owner, hit)));
        let entry = ready.entry(place, hit);
        let fired = state.groups.change(slot, |group| {
            if ready.is_instant {
                group.window.forget(hit.time_ms.saturating_sub(ready.span_ms));
            }
            group.latest_ms = hit.time_ms;
            group.passed_on = ready.passed_on(hit);
            let has_room = group.window.add(&entry, &ready.correlation);
            let fired = ready.is_instant.then(|| group.window.judge(&ready.correlation)).flatten();
            (has_room, fired)
        });
        let Some((has_room, fired)) = fired else { return };
        state.told.overfull += u64::from(!has_room);
        // What was told is not told again: the group begins anew.
        if let Some(figure) = fired
            && let Some(group) = state.groups.remove(slot)
        {
            self.tell(state, ready, &group, hit.time_ms, figure, findings);
        }
        state.told.evicted += state.groups.make_room();
    }

    fn tell(
        &self,
        state: &mut State,
        ready: &Ready,
        group: &Group,
        time_ms: i64,
        figure: f64,
        findings: &mut Vec<Finding>,
    ) {
        let (began, events) = group.window.evidence();
        let names = ready.correlation.group_by.iter().cloned();
        let last = events.last().map_or("", String::as_str);
        let hit = self.listeners.contains_key(&ready.owner.key).then(|| Hit {
            time_ms,
            event: EventId::new(last),
            rule: ready.owner.key.clone(),
            names: ready.names.clone(),
            values: Packed::of(
                group
                    .values()
                    .map(Some)
                    .chain(group.passed_on.iter().flat_map(|packed| packed.values())),
            ),
        });
        findings.push(Finding {
            correlation: ready.owner.key.to_string(),
            time_ms,
            began_ms: began.unwrap_or(group.opened_ms),
            group: names.zip(group.values().map(str::to_owned)).collect(),
            figure,
            events,
        });
        // Correlations stand on each other at most CORRELATION_DEPTH_MAX high.
        if let Some(hit) = hit {
            self.feed(state, &hit, findings);
        }
    }
}

impl Ready {
    fn new(correlation: &Correlation, asked: BTreeSet<Arc<str>>) -> Ready {
        let passed_on: Vec<Arc<str>> = asked
            .into_iter()
            .filter(|name| correlation.group_by.iter().all(|own| **own != **name))
            .collect();
        let own = correlation.group_by.iter().map(|name| Arc::from(name.as_str()));
        Ready {
            owner: Owner { key: correlation.meta.key().into(), shape: shape(correlation) },
            span_ms: correlation.span_ms(),
            is_instant: correlation.is_instant(),
            names: own.chain(passed_on.iter().cloned()).collect(),
            passed_on,
            correlation: correlation.clone(),
        }
    }

    fn group(&self, key: Arc<[u8]>, owner: u32, hit: &Hit) -> Group {
        let deadline_ms = hit.time_ms.saturating_add(self.span_ms);
        Group {
            key,
            owner,
            weight: 0,
            opened_ms: hit.time_ms,
            latest_ms: hit.time_ms,
            deadline_ms: deadline_ms.saturating_add(i64::from(self.is_instant)),
            passed_on: None,
            window: Window::new(&self.correlation),
        }
    }

    fn passed_on(&self, hit: &Hit) -> Option<Box<Packed>> {
        let values = self.passed_on.iter().map(|name| hit.field(name));
        (!self.passed_on.is_empty()).then(|| Box::new(Packed::of(values)))
    }

    fn entry<'h>(&self, place: usize, hit: &'h Hit) -> Entry<'h> {
        let correlation = &self.correlation;
        let of = |name: &String| hit.field(correlation.field_of(name, place));
        let value = match correlation.kind {
            Kind::ValueCount => {
                let values: Option<Vec<&str>> = correlation.fields.iter().map(of).collect();
                values.map(|values| hash(&Packed::of(values.into_iter().map(Some)).0))
            }
            _ => None,
        };
        let number = match correlation.kind {
            Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile => {
                let text = correlation.fields.first().and_then(of);
                text.and_then(|text| Number::of(&Scalar::Text(text))).map(Number::float)
            }
            _ => None,
        };
        Entry { time_ms: hit.time_ms, event: &hit.event, place, value, number }
    }
}

/// 128 bits: values are written by attackers, and two of one hash would count as one.
fn hash(bytes: &[u8]) -> (u64, u64) {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    let hash = hasher.finish128();
    (hash.h1, hash.h2)
}

/// All that decides what a window holds and when it fires.
fn shape(correlation: &Correlation) -> u64 {
    let c = correlation;
    let counted = (&c.kind, &c.rules, &c.aliases, &c.group_by, c.timespan_secs);
    let judged = (&c.bounds, &c.expression, &c.fields, c.percentile);
    hash(format!("{counted:?}{judged:?}").as_bytes()).0
}

#[cfg(test)]
mod tests;
