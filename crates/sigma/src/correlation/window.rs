//! What one group keeps of its hits, and the figure it comes to.

use super::hit::EventId;
use super::rule::{Correlation, Kind};
use crate::condition::{Expression, Names};
use crate::limits::{COUNT_MAX, EVIDENCE_MAX};
use std::collections::VecDeque;

/// An event at its time.
pub(super) type Seen = (i64, EventId);

/// What is kept depends on what is asked; no more of it than the figure and the finding need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Window {
    /// How many.
    Times(Box<Times>),
    /// How many different.
    Values(Box<Values>),
    /// How much.
    Numbers(Box<Numbers>),
    /// Which of the rules: for each its latest hit.
    Rules(Box<[Option<Seen>]>),
    /// Which of the rules in their order: for each the chain that ends with it and began last.
    Chains(Box<[Option<Chain>]>),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Times {
    /// Of each hit, where the window slides; one that ends as a whole only counts.
    pub times: VecDeque<i64>,
    pub events: Latest,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Values {
    /// By hash.
    pub seen: Vec<Value>,
    /// None of them is older.
    pub oldest_ms: i64,
}

/// A value by its hash, keyed by nothing but wide enough that nobody finds two of one, and its latest hit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub hash: (u64, u64),
    pub time_ms: i64,
    pub event: EventId,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Numbers {
    /// Beside the numbers, where the window slides.
    pub times: VecDeque<i64>,
    /// Where they are asked for one by one again: a mean needs none of them.
    pub numbers: VecDeque<f64>,
    pub events: Latest,
    pub sum: f64,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chain {
    pub began_ms: i64,
    pub events: Box<[EventId]>,
}

/// The latest events, as many as a finding names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Latest(pub VecDeque<EventId>);

impl Latest {
    fn push(&mut self, event: EventId) {
        if self.0.len() >= EVIDENCE_MAX {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    /// Forgets the oldest when no more than `kept` hits are left.
    fn keep(&mut self, kept: usize) {
        while self.0.len() > kept {
            self.0.pop_front();
        }
    }

    fn weight(&self) -> usize {
        // Ids of one source are alike.
        self.0.capacity() * size_of::<EventId>()
            + self.0.len() * self.0.back().map_or(0, EventId::heap)
    }
}

/// A hit as a window takes it.
pub(crate) struct Entry<'h> {
    pub time_ms: i64,
    pub event: &'h EventId,
    /// Which of the correlation's rules.
    pub place: usize,
    pub value: Option<(u64, u64)>,
    pub number: Option<f64>,
}

/// Numbers larger than this swallow small ones in a sum, which then has to be made again without them.
const NUMBER_SAFE: f64 = 1e12;

impl Correlation {
    pub(crate) fn span_ms(&self) -> i64 {
        i64::try_from(self.timespan_secs.saturating_mul(1000)).unwrap_or(i64::MAX)
    }

    /// Whether it can fire before its window is over: only where more hits never undo it.
    pub(crate) fn is_instant(&self) -> bool {
        let lower = self.bounds.iter().all(|(bound, _)| bound.is_lower());
        match self.kind {
            Kind::EventCount | Kind::ValueCount | Kind::ValueSum => lower,
            Kind::Temporal => lower && !self.expression.as_ref().is_some_and(Expression::has_not),
            Kind::TemporalOrdered => true,
            Kind::ValueAvg | Kind::ValuePercentile => false,
        }
    }
}

impl Window {
    pub(crate) fn new(correlation: &Correlation) -> Window {
        let rules = correlation.rules.len();
        match correlation.kind {
            Kind::EventCount => Window::Times(Box::default()),
            Kind::ValueCount => Window::Values(Box::default()),
            Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile => {
                Window::Numbers(Box::default())
            }
            Kind::Temporal => Window::Rules(vec![None; rules].into()),
            Kind::TemporalOrdered => Window::Chains(vec![None; rules].into()),
        }
    }

    /// Forgets what is older than `from_ms`.
    pub(crate) fn forget(&mut self, from_ms: i64) {
        match self {
            Window::Times(kept) => {
                while kept.times.front().is_some_and(|time| *time < from_ms) {
                    kept.times.pop_front();
                    kept.count = kept.count.saturating_sub(1);
                }
                kept.events.keep(kept.times.len());
            }
            Window::Values(kept) => {
                if kept.oldest_ms < from_ms {
                    kept.seen.retain(|value| value.time_ms >= from_ms);
                    kept.oldest_ms =
                        kept.seen.iter().map(|value| value.time_ms).min().unwrap_or(i64::MAX);
                }
            }
            Window::Numbers(kept) => {
                while kept.times.front().is_some_and(|time| *time < from_ms) {
                    kept.times.pop_front();
                    kept.drop_first();
                }
                kept.events.keep(kept.times.len());
            }
            Window::Rules(seen) => {
                for slot in seen {
                    slot.take_if(|(time, _)| *time < from_ms);
                }
            }
            Window::Chains(chains) => {
                for slot in chains {
                    slot.take_if(|chain| chain.began_ms < from_ms);
                }
            }
        }
    }

    /// Takes a hit in; false if there was no room and an older one had to go.
    pub(crate) fn add(&mut self, entry: &Entry<'_>, correlation: &Correlation) -> bool {
        let event = entry.event.clone();
        match self {
            Window::Times(kept) => {
                kept.count += 1;
                kept.events.push(event);
                if correlation.is_instant() {
                    kept.times.push_back(entry.time_ms);
                }
                // It fires before more come together than a bound may ask for.
                true
            }
            Window::Values(kept) => kept.add(entry, event),
            Window::Numbers(kept) => {
                let Some(number) = entry.number else { return true };
                kept.sum += number;
                kept.count += 1;
                kept.events.push(event);
                let sliding = correlation.is_instant();
                if sliding {
                    kept.times.push_back(entry.time_ms);
                }
                if sliding || correlation.kind == Kind::ValuePercentile {
                    kept.numbers.push_back(number);
                }
                if kept.numbers.len() <= COUNT_MAX {
                    return true;
                }
                kept.times.pop_front();
                kept.drop_first();
                false
            }
            Window::Rules(seen) => {
                if let Some(slot) = seen.get_mut(entry.place) {
                    *slot = Some((entry.time_ms, event));
                }
                true
            }
            Window::Chains(chains) => {
                let chain = match entry.place.checked_sub(1) {
                    None => Some(Chain { began_ms: entry.time_ms, events: [event].into() }),
                    Some(before) => chains.get(before).and_then(Option::as_ref).and_then(|chain| {
                        // One event is not its own successor.
                        let other = chain.events.last().is_none_or(|last| *last != event);
                        let events =
                            || chain.events.iter().cloned().chain([event.clone()]).collect();
                        other.then(|| Chain { began_ms: chain.began_ms, events: events() })
                    }),
                };
                if let (Some(chain), Some(slot)) = (chain, chains.get_mut(entry.place)) {
                    *slot = Some(chain);
                }
                true
            }
        }
    }

    /// The figure, if the correlation's condition holds of it.
    pub(crate) fn judge(&self, correlation: &Correlation) -> Option<f64> {
        let figure = match self {
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            Window::Times(kept) => kept.count as f64,
            #[expect(clippy::cast_precision_loss, reason = "at most COUNT_MAX")]
            Window::Values(kept) => kept.seen.len() as f64,
            Window::Numbers(kept) => match correlation.kind {
                Kind::ValueSum if kept.count > 0 => kept.sum,
                #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
                Kind::ValueAvg if kept.count > 0 => kept.sum / kept.count as f64,
                Kind::ValuePercentile => percentile(&kept.numbers, correlation.percentile)?,
                _ => return None,
            },
            Window::Rules(seen) => {
                let rules = seen.iter().flatten().count();
                if let Some(tree) = &correlation.expression
                    && !holds(tree, &correlation.rules, seen)
                {
                    return None;
                }
                if correlation.bounds.is_empty()
                    && correlation.expression.is_none()
                    && rules < seen.len()
                {
                    return None;
                }
                #[expect(clippy::cast_precision_loss, reason = "at most CORRELATED_RULES_MAX")]
                let figure = rules as f64;
                figure
            }
            Window::Chains(chains) => {
                chains.last()?.as_ref()?;
                #[expect(clippy::cast_precision_loss, reason = "at most CORRELATED_RULES_MAX")]
                let figure = chains.len() as f64;
                figure
            }
        };
        correlation.holds(figure).then_some(figure)
    }

    /// When it began, where that is known, and its events, the earliest first.
    pub(crate) fn evidence(&self) -> (Option<i64>, Vec<String>) {
        let named = |events: &Latest| events.0.iter().map(ToString::to_string).collect();
        let mut seen: Vec<(i64, &EventId)> = match self {
            Window::Times(kept) => return (kept.times.front().copied(), named(&kept.events)),
            Window::Numbers(kept) => return (kept.times.front().copied(), named(&kept.events)),
            Window::Values(kept) => {
                kept.seen.iter().map(|value| (value.time_ms, &value.event)).collect()
            }
            Window::Rules(seen) => {
                seen.iter().flatten().map(|(time, event)| (*time, event)).collect()
            }
            Window::Chains(chains) => match chains.last() {
                Some(Some(chain)) => {
                    let events = chain.events.iter().map(ToString::to_string).collect();
                    return (Some(chain.began_ms), events);
                }
                _ => Vec::new(),
            },
        };
        seen.sort_unstable();
        let began = seen.first().map(|(time, _)| *time);
        let from = seen.len().saturating_sub(EVIDENCE_MAX);
        (began, seen.iter().skip(from).map(|(_, event)| event.to_string()).collect())
    }

    /// About how many bytes it takes, in no more time than one look.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Window::Times(kept) => {
                size_of::<Times>() + kept.times.capacity() * 8 + kept.events.weight()
            }
            Window::Values(kept) => {
                let heap = kept.seen.last().map_or(0, |value| value.event.heap());
                size_of::<Values>()
                    + kept.seen.capacity() * size_of::<Value>()
                    + kept.seen.len() * heap
            }
            Window::Numbers(kept) => {
                let numbers = (kept.times.capacity() + kept.numbers.capacity()) * 8;
                size_of::<Numbers>() + numbers + kept.events.weight()
            }
            Window::Rules(seen) => {
                seen.iter().flatten().map(|(_, event)| event.heap()).sum::<usize>()
                    + size_of_val::<[Option<Seen>]>(seen)
            }
            Window::Chains(chains) => {
                let of = |chain: &Chain| {
                    chain.events.iter().map(EventId::heap).sum::<usize>()
                        + size_of_val::<[EventId]>(&chain.events)
                };
                chains.iter().flatten().map(of).sum::<usize>()
                    + size_of_val::<[Option<Chain>]>(chains)
            }
        }
    }
}

impl Values {
    fn add(&mut self, entry: &Entry<'_>, event: EventId) -> bool {
        let Some(hash) = entry.value else { return true };
        let value = Value { hash, time_ms: entry.time_ms, event };
        if self.seen.is_empty() {
            self.oldest_ms = entry.time_ms;
        }
        match self.seen.binary_search_by_key(&hash, |known| known.hash) {
            Ok(at) => {
                if let Some(known) = self.seen.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) => self.seen.insert(at, value),
        }
        if self.seen.len() <= COUNT_MAX {
            return true;
        }
        let oldest =
            self.seen.iter().enumerate().min_by_key(|(_, value)| (value.time_ms, value.hash));
        if let Some(at) = oldest.map(|(at, _)| at) {
            self.seen.remove(at);
        }
        false
    }
}

impl Numbers {
    fn drop_first(&mut self) {
        let Some(number) = self.numbers.pop_front() else { return };
        self.count = self.count.saturating_sub(1);
        // What rounding left over goes too.
        self.sum =
            match number.abs() > NUMBER_SAFE || !self.sum.is_finite() || self.numbers.is_empty() {
                true => self.numbers.iter().sum(),
                false => self.sum - number,
            };
    }
}

/// The nearest rank: the least number that at least so many of a hundred are not above.
fn percentile(all: &VecDeque<f64>, percent: f64) -> Option<f64> {
    let mut numbers: Vec<f64> = all.iter().copied().collect();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most COUNT_MAX"
    )]
    let rank = (percent / 100.0 * numbers.len() as f64).ceil() as usize;
    let place = rank.saturating_sub(1);
    if place >= numbers.len() {
        return None;
    }
    Some(*numbers.select_nth_unstable_by(place, f64::total_cmp).1)
}

fn holds(tree: &Expression, rules: &[String], seen: &[Option<Seen>]) -> bool {
    let is_seen = |name: &str| {
        let place = rules.iter().position(|rule| rule == name);
        place.and_then(|place| seen.get(place)).is_some_and(Option::is_some)
    };
    match tree {
        Expression::Any(parts) => parts.iter().any(|part| holds(part, rules, seen)),
        Expression::All(parts) => parts.iter().all(|part| holds(part, rules, seen)),
        Expression::Not(part) => !holds(part, rules, seen),
        Expression::Detection(name) => is_seen(name),
        Expression::Of { all, pattern } => {
            let mut covered = rules.iter().filter(|rule| match pattern {
                Names::Them => true,
                Names::Pattern(_) => pattern.covers(rule),
            });
            if *all { covered.all(|rule| is_seen(rule)) } else { covered.any(|rule| is_seen(rule)) }
        }
    }
}
