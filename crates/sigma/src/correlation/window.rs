//! What one group keeps of its hits, and the figure it comes to.

use super::rule::{Correlation, Kind};
use crate::condition::{Expression, Names};
use crate::limits::{COUNT_MAX, EVIDENCE_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An event at its time.
type Seen = (i64, Box<str>);

/// What is kept depends on what is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Window {
    /// How many: the latest hits, and how many there were at all.
    Times { latest: VecDeque<Seen>, count: u64 },
    /// How many different: for each value its latest hit, and values by that time.
    Values { latest: BTreeMap<Box<str>, Seen>, by_time: BTreeSet<(i64, Box<str>)> },
    /// How much.
    Numbers { all: VecDeque<(i64, Box<str>, f64)>, sum: f64, count: u64 },
    /// Which of the rules: for each its latest hit.
    Rules(Vec<Option<Seen>>),
    /// Which of the rules in their order: for each the chain that ends with it and began last.
    Chains(Vec<Option<(i64, Vec<Box<str>>)>>),
}

/// A hit as a window takes it.
pub(crate) struct Entry<'h> {
    pub time_ms: i64,
    pub event: &'h str,
    /// Which of the correlation's rules.
    pub place: usize,
    pub value: Option<&'h str>,
    pub number: Option<f64>,
}

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
            Kind::EventCount => Window::Times { latest: VecDeque::new(), count: 0 },
            Kind::ValueCount => {
                Window::Values { latest: BTreeMap::new(), by_time: BTreeSet::new() }
            }
            Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile => {
                Window::Numbers { all: VecDeque::new(), sum: 0.0, count: 0 }
            }
            Kind::Temporal => Window::Rules(vec![None; rules]),
            Kind::TemporalOrdered => Window::Chains(vec![None; rules]),
        }
    }

    /// Forgets what is older than `from_ms`.
    pub(crate) fn forget(&mut self, from_ms: i64) {
        match self {
            Window::Times { latest, count } => {
                while latest.front().is_some_and(|(time, _)| *time < from_ms) {
                    latest.pop_front();
                    *count = count.saturating_sub(1);
                }
            }
            Window::Values { latest, by_time } => {
                while let Some((time, value)) = by_time.first().filter(|(time, _)| *time < from_ms)
                {
                    latest.remove(value);
                    let first = (*time, value.clone());
                    by_time.remove(&first);
                }
            }
            Window::Numbers { all, sum, count } => {
                while let Some((_, _, number)) = all.front().filter(|(time, ..)| *time < from_ms) {
                    *sum -= number;
                    *count = count.saturating_sub(1);
                    all.pop_front();
                }
                if all.is_empty() {
                    // What rounding left over goes too.
                    *sum = 0.0;
                }
            }
            Window::Rules(seen) => {
                for slot in seen {
                    slot.take_if(|(time, _)| *time < from_ms);
                }
            }
            Window::Chains(chains) => {
                for slot in chains {
                    slot.take_if(|(began, _)| *began < from_ms);
                }
            }
        }
    }

    /// Takes a hit in; false if there was no room and an older one had to go.
    pub(crate) fn add(&mut self, entry: &Entry<'_>) -> bool {
        let event: Box<str> = entry.event.into();
        match self {
            Window::Times { latest, count } => {
                *count += 1;
                latest.push_back((entry.time_ms, event));
                if latest.len() > COUNT_MAX {
                    latest.pop_front();
                }
                // The number is kept whatever goes.
                true
            }
            Window::Values { latest, by_time } => {
                let Some(value) = entry.value else { return true };
                let value: Box<str> = value.into();
                if let Some((time, _)) = latest.insert(value.clone(), (entry.time_ms, event)) {
                    by_time.remove(&(time, value.clone()));
                }
                by_time.insert((entry.time_ms, value));
                if latest.len() <= COUNT_MAX {
                    return true;
                }
                if let Some((_, value)) = by_time.pop_first() {
                    latest.remove(&value);
                }
                false
            }
            Window::Numbers { all, sum, count } => {
                let Some(number) = entry.number else { return true };
                all.push_back((entry.time_ms, event, number));
                *sum += number;
                *count += 1;
                if all.len() <= COUNT_MAX {
                    return true;
                }
                all.pop_front();
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
                    None => Some((entry.time_ms, vec![event])),
                    Some(before) => {
                        chains.get(before).cloned().flatten().and_then(|(began, mut chain)| {
                            // One event is not its own successor.
                            let other = chain.last().is_none_or(|last| *last != event);
                            chain.push(event);
                            other.then_some((began, chain))
                        })
                    }
                };
                if let (Some(chain), Some(slot)) = (chain, chains.get_mut(entry.place)) {
                    *slot = Some(chain);
                }
                true
            }
        }
    }

    /// The figure and whether the correlation's condition holds of it.
    pub(crate) fn judge(&self, correlation: &Correlation) -> Option<f64> {
        let figure = match self {
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            Window::Times { count, .. } => *count as f64,
            #[expect(clippy::cast_precision_loss, reason = "at most COUNT_MAX")]
            Window::Values { latest, .. } => latest.len() as f64,
            Window::Numbers { all, sum, count } => match correlation.kind {
                Kind::ValueSum if *count > 0 => *sum,
                #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
                Kind::ValueAvg if *count > 0 => *sum / *count as f64,
                Kind::ValuePercentile => percentile(all, correlation.percentile)?,
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

    /// When it began, and its events, the earliest first.
    pub(crate) fn evidence(&self) -> (Option<i64>, Vec<String>) {
        let mut seen: Vec<(i64, &str)> = match self {
            Window::Times { latest, .. } => {
                latest.iter().map(|(time, event)| (*time, event.as_ref())).collect()
            }
            Window::Values { latest, .. } => {
                latest.values().map(|(time, event)| (*time, event.as_ref())).collect()
            }
            Window::Numbers { all, .. } => {
                all.iter().map(|(time, event, _)| (*time, event.as_ref())).collect()
            }
            Window::Rules(seen) => {
                seen.iter().flatten().map(|(time, event)| (*time, event.as_ref())).collect()
            }
            Window::Chains(chains) => match chains.last() {
                Some(Some((began, chain))) => {
                    let events = chain.iter().map(ToString::to_string).collect();
                    return (Some(*began), events);
                }
                _ => Vec::new(),
            },
        };
        seen.sort_unstable();
        let began = seen.first().map(|(time, _)| *time);
        let from = seen.len().saturating_sub(EVIDENCE_MAX);
        (began, seen.iter().skip(from).map(|(_, event)| (*event).to_owned()).collect())
    }
}

/// The nearest rank: the least number that at least so many of a hundred are not above.
fn percentile(all: &VecDeque<(i64, Box<str>, f64)>, percent: f64) -> Option<f64> {
    let mut numbers: Vec<f64> = all.iter().map(|(_, _, number)| *number).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most COUNT_MAX"
    )]
    let rank = (percent / 100.0 * numbers.len() as f64).ceil() as usize;
    numbers.get(rank.saturating_sub(1)).copied()
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
