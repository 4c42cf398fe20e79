//! Rules over several events: how often, how many different, how much, and in which order.
//!
//! Time is that of events. Hits wait for the allowed lateness and are then taken in the order of their times,
//! so the order they came in does not matter; state is a value that can be saved and taken up again.

pub mod rule;
mod window;

use crate::event::{Event, cut};
use crate::limits::{GROUP_VALUE_BYTES_MAX, GROUPS_MAX, PENDING_MAX};
use crate::predicate::Number;
use crate::ruleset::RuleSet;
use rule::{Correlation, Kind, Target};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use window::{Entry, Window};

/// A rule that fired on an event, with the fields that correlations ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    pub time_ms: i64,
    /// Names the event, and decides among events of one time.
    pub event: String,
    /// How the rule is called: `Meta::key`.
    pub rule: Arc<str>,
    pub fields: BTreeMap<Arc<str>, String>,
}

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Group {
    values: Vec<String>,
    window: Window,
    opened_ms: i64,
    latest_ms: i64,
    /// Of the latest hit, for correlations that stand on this one.
    fields: BTreeMap<Arc<str>, String>,
}

/// What waits and what is counted. Serialises, so that a restart loses nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    #[serde(with = "pairs")]
    pending: BTreeMap<(i64, String), Vec<Hit>>,
    waiting: usize,
    latest_ms: Option<i64>,
    groups: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Group>>,
    deadlines: BTreeSet<(i64, Arc<str>, Arc<str>)>,
    pub told: Told,
}

/// What did not go as it should, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// Hits later than allowed: not counted in.
    pub late: u64,
    /// Hits without a field that is grouped by: not counted in.
    pub ungrouped: u64,
    /// Groups given up for want of room.
    pub evicted: u64,
    /// Hits that pushed an older one out of a full window.
    pub overfull: u64,
    /// Hits taken before their time for want of room.
    pub early: u64,
}

/// The correlations of a rule set, ready to be fed.
#[derive(Debug, Clone)]
pub struct Correlator {
    correlations: Vec<Correlation>,
    keys: Vec<Arc<str>>,
    by_key: HashMap<Arc<str>, usize>,
    /// Who listens to a rule or correlation of this name, and as which of its rules.
    listeners: HashMap<Arc<str>, Vec<(usize, usize)>>,
    /// Fields that hits of a rule carry, by the rule's number.
    fields: HashMap<usize, BTreeSet<Arc<str>>>,
    rule_keys: HashMap<usize, Arc<str>>,
    lateness_ms: i64,
}

impl Correlator {
    /// How late an event may come after one with a later time is the same for all correlations.
    pub fn new(set: &RuleSet, lateness_ms: u64) -> Correlator {
        let correlations = set.correlations.clone();
        let keys: Vec<Arc<str>> =
            correlations.iter().map(|correlation| correlation.meta.key().into()).collect();
        let by_key = keys.iter().cloned().enumerate().map(|(index, key)| (key, index)).collect();
        let mut listeners: HashMap<Arc<str>, Vec<(usize, usize)>> = HashMap::new();
        let mut fields: HashMap<usize, BTreeSet<Arc<str>>> = HashMap::new();
        let mut rule_keys = HashMap::new();
        // What those above ask of each correlation; it comes after all that it listens to.
        let mut asked: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); correlations.len()];
        for (index, correlation) in correlations.iter().enumerate().rev() {
            let passed_on = asked.get(index).cloned().unwrap_or_default();
            for (place, target) in correlation.targets.iter().enumerate() {
                let own = correlation.group_by.iter().chain(&correlation.fields);
                let own = own.map(|name| Arc::from(correlation.field_of(name, place)));
                let wanted: BTreeSet<Arc<str>> = passed_on.iter().cloned().chain(own).collect();
                let key = match *target {
                    Target::Rule(rule) => {
                        fields.entry(rule).or_default().extend(wanted);
                        let key: Option<Arc<str>> =
                            set.rules.get(rule).map(|rule| rule.meta.key().into());
                        rule_keys.extend(key.clone().map(|key| (rule, key)));
                        key
                    }
                    Target::Correlation(below) => {
                        if let Some(asked) = asked.get_mut(below) {
                            asked.extend(wanted);
                        }
                        keys.get(below).cloned()
                    }
                };
                if let Some(key) = key {
                    listeners.entry(key).or_default().push((index, place));
                }
            }
        }
        listeners.values_mut().for_each(|places| places.sort_unstable());
        let lateness_ms = i64::try_from(lateness_ms).unwrap_or(i64::MAX);
        Correlator { correlations, keys, by_key, listeners, fields, rule_keys, lateness_ms }
    }

    /// A hit of a rule, if any correlation listens to it. Of a field with several values the first counts.
    pub fn hit(&self, rule: usize, time_ms: i64, id: &str, event: &dyn Event) -> Option<Hit> {
        let key = self.rule_keys.get(&rule)?.clone();
        let mut fields = BTreeMap::new();
        for name in self.fields.get(&rule).into_iter().flatten() {
            let mut first = None;
            event.field(name, &mut |value| {
                first = value.text().map(|text| cut(&text, GROUP_VALUE_BYTES_MAX).to_owned());
                first.is_none()
            });
            fields.extend(first.map(|text| (name.clone(), text)));
        }
        Some(Hit { time_ms, event: id.to_owned(), rule: key, fields })
    }

    /// Takes a hit in, and gives what became certain by it.
    pub fn observe(&self, state: &mut State, hit: Hit) -> Vec<Finding> {
        let horizon = state.latest_ms.map(|latest| latest.saturating_sub(self.lateness_ms));
        if horizon.is_some_and(|horizon| hit.time_ms < horizon) {
            state.told.late += 1;
            return Vec::new();
        }
        state.latest_ms =
            Some(state.latest_ms.map_or(hit.time_ms, |latest| latest.max(hit.time_ms)));
        let hits = state.pending.entry((hit.time_ms, hit.event.clone())).or_default();
        // The same event delivered twice is one event.
        if !hits.iter().any(|known| known.rule == hit.rule) {
            hits.push(hit);
            state.waiting += 1;
        }
        let horizon =
            state.latest_ms.map_or(i64::MIN, |latest| latest.saturating_sub(self.lateness_ms));
        let mut findings = self.advance(state, horizon);
        while state.waiting > PENDING_MAX {
            let Some((_, hits)) = state.pending.pop_first() else { break };
            state.told.early += hits.len() as u64;
            self.take(state, hits, &mut findings);
        }
        findings
    }

    /// Says that no event before this time will come any more.
    pub fn advance_to(&self, state: &mut State, time_ms: i64) -> Vec<Finding> {
        let at_least = time_ms.saturating_add(self.lateness_ms);
        state.latest_ms = Some(state.latest_ms.map_or(at_least, |latest| latest.max(at_least)));
        self.advance(state, time_ms)
    }

    /// Takes all that waits; windows that are still open end.
    pub fn finish(&self, state: &mut State) -> Vec<Finding> {
        self.advance(state, i64::MAX)
    }

    fn advance(&self, state: &mut State, horizon_ms: i64) -> Vec<Finding> {
        let mut findings = Vec::new();
        while let Some(first) = state.pending.first_entry() {
            if first.key().0 >= horizon_ms {
                break;
            }
            let hits = first.remove();
            self.take(state, hits, &mut findings);
        }
        self.end_windows(state, horizon_ms, &mut findings);
        findings
    }

    /// All hits of one event.
    fn take(&self, state: &mut State, mut hits: Vec<Hit>, findings: &mut Vec<Finding>) {
        state.waiting = state.waiting.saturating_sub(hits.len());
        hits.sort_by(|one, two| one.rule.cmp(&two.rule));
        if let Some(first) = hits.first() {
            self.end_windows(state, first.time_ms, findings);
        }
        for hit in &hits {
            self.feed(state, hit, findings);
        }
    }

    /// Ends every window whose time is not after `time_ms`.
    fn end_windows(&self, state: &mut State, time_ms: i64, findings: &mut Vec<Finding>) {
        while let Some((deadline, key, name)) = state.deadlines.first().cloned() {
            if deadline > time_ms {
                break;
            }
            state.deadlines.pop_first();
            let index = self.by_key.get(&key).copied();
            let correlation = index.and_then(|index| self.correlations.get(index));
            let Some(groups) = state.groups.get_mut(&key) else { continue };
            let (Some(correlation), Some(group)) = (correlation, groups.get(&name)) else {
                // The rule is gone, and what it kept with it.
                groups.remove(&name);
                continue;
            };
            let until = group.latest_ms.saturating_add(correlation.span_ms()).saturating_add(1);
            if correlation.is_instant() && until > deadline {
                state.deadlines.insert((until, key, name));
                continue;
            }
            let Some(group) = groups.remove(&name) else { continue };
            if !correlation.is_instant()
                && let Some(figure) = group.window.judge(correlation)
            {
                self.tell(state, &key, correlation, &group, deadline, figure, findings);
            }
        }
    }

    /// Gives a hit to all that listen to its rule.
    fn feed(&self, state: &mut State, hit: &Hit, findings: &mut Vec<Finding>) {
        let Some(listeners) = self.listeners.get(&hit.rule) else { return };
        for (index, place) in listeners {
            let (Some(correlation), Some(key)) =
                (self.correlations.get(*index), self.keys.get(*index))
            else {
                continue;
            };
            let values: Option<Vec<String>> = correlation
                .group_by
                .iter()
                .map(|name| hit.fields.get(correlation.field_of(name, *place)).cloned())
                .collect();
            let Some(values) = values else {
                state.told.ungrouped += 1;
                continue;
            };
            self.count(state, (correlation, key, *place), values, hit, findings);
        }
    }

    fn count(
        &self,
        state: &mut State,
        (correlation, key, place): (&Correlation, &Arc<str>, usize),
        values: Vec<String>,
        hit: &Hit,
        findings: &mut Vec<Finding>,
    ) {
        let name: Arc<str> = group_name(&values).into();
        let groups = state.groups.entry(key.clone()).or_default();
        let span = correlation.span_ms();
        let instant = correlation.is_instant();
        let group = groups.entry(name.clone()).or_insert_with(|| {
            let end = hit.time_ms.saturating_add(span).saturating_add(i64::from(instant));
            state.deadlines.insert((end, key.clone(), name.clone()));
            Group {
                values,
                window: Window::new(correlation),
                opened_ms: hit.time_ms,
                latest_ms: hit.time_ms,
                fields: BTreeMap::new(),
            }
        });
        if instant {
            group.window.forget(hit.time_ms.saturating_sub(span));
        }
        group.latest_ms = hit.time_ms;
        group.fields = hit.fields.clone();
        let counted: Option<Vec<&str>> = correlation
            .fields
            .iter()
            .map(|name| hit.fields.get(correlation.field_of(name, place)).map(String::as_str))
            .collect();
        let counted = counted.filter(|values| !values.is_empty()).map(|values| group_name(&values));
        let number = match correlation.kind {
            Kind::ValueSum | Kind::ValueAvg | Kind::ValuePercentile => {
                let field = correlation.fields.first();
                let text = field.and_then(|name| hit.fields.get(correlation.field_of(name, place)));
                text.and_then(|text| Number::of(&crate::event::Scalar::Text(text)))
                    .map(Number::float)
            }
            _ => None,
        };
        let entry = Entry {
            time_ms: hit.time_ms,
            event: &hit.event,
            place,
            value: counted.as_deref(),
            number,
        };
        state.told.overfull += u64::from(!group.window.add(&entry));
        if instant && let Some(figure) = group.window.judge(correlation) {
            // What was told is not told again: the group begins anew.
            let told = Group { window: Window::new(correlation), ..group.clone() };
            let group = std::mem::replace(group, told);
            self.tell(state, key, correlation, &group, hit.time_ms, figure, findings);
        }
        if state.deadlines.len() > GROUPS_MAX
            && let Some((_, key, name)) = state.deadlines.pop_first()
        {
            state.told.evicted += 1;
            state.groups.get_mut(&key).and_then(|groups| groups.remove(&name));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a finding is all of these")]
    fn tell(
        &self,
        state: &mut State,
        key: &Arc<str>,
        correlation: &Correlation,
        group: &Group,
        time_ms: i64,
        figure: f64,
        findings: &mut Vec<Finding>,
    ) {
        let (began, events) = group.window.evidence();
        let mut fields = group.fields.clone();
        for (name, value) in correlation.group_by.iter().zip(&group.values) {
            fields.insert(name.as_str().into(), value.clone());
        }
        let hit = Hit {
            time_ms,
            event: events.last().cloned().unwrap_or_default(),
            rule: key.clone(),
            fields,
        };
        findings.push(Finding {
            correlation: key.to_string(),
            time_ms,
            began_ms: began.unwrap_or(group.opened_ms),
            group: correlation.group_by.iter().cloned().zip(group.values.iter().cloned()).collect(),
            figure,
            events,
        });
        // Correlations stand on each other at most CORRELATION_DEPTH_MAX high.
        self.feed(state, &hit, findings);
    }
}

/// Values as one text, each with its length, so that no two lists come to the same.
fn group_name<T: AsRef<str>>(values: &[T]) -> String {
    values.iter().map(|value| format!("{}:{};", value.as_ref().len(), value.as_ref())).collect()
}

/// Maps whose keys are no texts, as lists of pairs.
mod pairs {
    use serde::de::Deserializer;
    use serde::ser::Serializer;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub(super) fn deserialize<
        'de,
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    >(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
