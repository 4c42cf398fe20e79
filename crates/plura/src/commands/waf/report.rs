//! What rules did, or would have done, with stored traffic. Pure: events in, counts out.

use schema::{Event, Timestamp, WafMatch, waf_sets};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Clients told apart by one rule, and paths and parameters counted; beyond it the count is a lower bound.
const DISTINCT_MAX: usize = 10_000;
/// Paths and parameters told of a rule.
const TOP: usize = 3;

/// Counts as they grow.
#[derive(Debug, Default)]
pub struct Counting {
    events: u64,
    sets: BTreeMap<(String, String), SetCount>,
    rules: BTreeMap<(String, String, u64), RuleCount>,
}

#[derive(Debug, Default)]
struct SetCount {
    events: u64,
    would_block: u64,
    blocked: u64,
    uninspected: u64,
    clients: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct RuleCount {
    message: String,
    /// It adds up what others found.
    is_sum: bool,
    phase: u8,
    hits: u64,
    would_block: u64,
    blocked: u64,
    alone: u64,
    clients: BTreeSet<String>,
    paths: BTreeMap<String, u64>,
    parameters: BTreeMap<String, u64>,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Exchanges in which a rule set had something to tell.
    pub events: u64,
    pub sets: Vec<SetReport>,
    /// Those that would block most first, those that only add up last.
    pub rules: Vec<RuleReport>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SetReport {
    pub rules: String,
    pub stage: String,
    pub events: u64,
    pub clients: usize,
    pub would_block: u64,
    pub blocked: u64,
    /// Refused because not all could be inspected.
    pub uninspected: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    pub rules: String,
    pub stage: String,
    pub rule: u64,
    pub phase: u8,
    pub message: String,
    pub hits: u64,
    pub clients: usize,
    /// Of its hits, in how many the rule set would have blocked, and did.
    pub would_block: u64,
    pub blocked: u64,
    /// Of both, in how many no other rule matched: without this one they would pass.
    pub alone: u64,
    pub paths: Vec<Top>,
    pub parameters: Vec<Top>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Top {
    pub name: String,
    pub hits: u64,
}

impl Counting {
    pub fn add(&mut self, event: &Event) {
        let sets = waf_sets(event);
        self.events += u64::from(!sets.is_empty());
        for set in &sets {
            let key = (set.rules.to_owned(), set.stage.to_owned());
            let count = self.sets.entry(key.clone()).or_default();
            count.events += 1;
            count.would_block += u64::from(set.would_block);
            count.blocked += u64::from(set.blocked && !set.refused);
            count.uninspected += u64::from(set.refused);
            remember(&mut count.clients, event.src_ip.as_deref());

            let mut telling: Vec<u64> =
                set.matches.iter().filter(|found| found.is_telling()).map(|f| f.rule).collect();
            telling.sort_unstable();
            telling.dedup();
            let mut counted = BTreeSet::new();
            for found in &set.matches {
                let is_alone = telling == [found.rule] && (set.would_block || set.blocked);
                let rule =
                    self.rules.entry((key.0.clone(), key.1.clone(), found.rule)).or_default();
                bump(&mut rule.parameters, found.variable);
                if !counted.insert(found.rule) {
                    continue;
                }
                rule.hit(event, found);
                rule.would_block += u64::from(set.would_block);
                rule.blocked += u64::from(set.blocked);
                rule.alone += u64::from(is_alone);
            }
        }
    }

    pub fn report(self) -> Report {
        let set = |((rules, stage), count): ((String, String), SetCount)| SetReport {
            rules,
            stage,
            events: count.events,
            clients: count.clients.len(),
            would_block: count.would_block,
            blocked: count.blocked,
            uninspected: count.uninspected,
        };
        let mut counts: Vec<_> = self.rules.into_iter().collect();
        // Stable: equals stay in the order of rule set, stage and rule.
        counts.sort_by_key(|(_, count)| {
            let decided = count.would_block + count.blocked;
            (count.is_sum, std::cmp::Reverse(decided), std::cmp::Reverse(count.hits))
        });
        let rule = |((rules, stage, rule), count): ((String, String, u64), RuleCount)| RuleReport {
            rules,
            stage,
            rule,
            phase: count.phase,
            message: count.message,
            hits: count.hits,
            clients: count.clients.len(),
            would_block: count.would_block,
            blocked: count.blocked,
            alone: count.alone,
            paths: top(count.paths),
            parameters: top(count.parameters),
            first_seen: count.first_seen,
            last_seen: count.last_seen,
        };
        let rules = counts.into_iter().map(rule).collect();
        Report { events: self.events, sets: self.sets.into_iter().map(set).collect(), rules }
    }
}

impl RuleCount {
    fn hit(&mut self, event: &Event, found: &WafMatch<'_>) {
        if self.hits == 0 {
            found.message.clone_into(&mut self.message);
            self.phase = found.phase;
            self.is_sum =
                found.tags.iter().any(|tag| matches!(*tag, "anomaly-evaluation" | "reporting"));
            (self.first_seen, self.last_seen) = (event.time, event.time);
        }
        self.hits += 1;
        self.first_seen = self.first_seen.min(event.time);
        self.last_seen = self.last_seen.max(event.time);
        remember(&mut self.clients, event.src_ip.as_deref());
        bump(&mut self.paths, event.path.as_deref().unwrap_or_default());
    }
}

fn remember(known: &mut BTreeSet<String>, name: Option<&str>) {
    if let Some(name) = name.filter(|name| known.len() < DISTINCT_MAX && !known.contains(*name)) {
        known.insert(name.to_owned());
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if !name.is_empty() && counts.len() < DISTINCT_MAX {
        counts.insert(name.to_owned(), 1);
    }
}

fn top(counts: BTreeMap<String, u64>) -> Vec<Top> {
    let mut all: Vec<Top> = counts.into_iter().map(|(name, hits)| Top { name, hits }).collect();
    all.sort_by_key(|top| std::cmp::Reverse(top.hits));
    all.truncate(TOP);
    all
}

#[cfg(test)]
mod tests;
