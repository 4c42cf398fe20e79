//! Hits counted by host, by rule, by tactic.

use crate::hit::{Hit, RuleInfo};
use crate::limits::{HOSTS_MAX, HOSTS_OF_RULE_MAX};
use schema::Timestamp;
use serde::Serialize;
use sigma::Level;
use sigma::attack::TACTICS;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The host of hits whose event names none, and of all beyond [`HOSTS_MAX`].
const NO_HOST: &str = "-";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostSummary {
    pub host: String,
    pub hits: u64,
    /// By the words of levels; `none` where rules have none.
    pub levels: BTreeMap<String, u64>,
    pub rules: usize,
    pub first: Option<String>,
    pub last: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleSummary {
    #[serde(flatten)]
    pub rule: Arc<RuleInfo>,
    pub hits: u64,
    pub hosts: usize,
    pub first: Option<String>,
    pub last: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TacticSummary {
    pub tactic: String,
    pub id: String,
    pub hits: u64,
    pub rules: usize,
    pub hosts: usize,
    pub techniques: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    hits: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    levels: BTreeMap<String, u64>,
    hosts: BTreeSet<Arc<str>>,
    rules: BTreeSet<usize>,
    techniques: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, hit: &Hit, host: &Arc<str>, rule: usize) {
        self.hits += 1;
        if let Some(time) = hit.time {
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            self.last = Some(self.last.map_or(time, |last| last.max(time)));
        }
        self.rules.insert(rule);
        if self.hosts.len() < HOSTS_OF_RULE_MAX {
            self.hosts.insert(Arc::clone(host));
        }
    }
}

/// What was found, counted as it comes.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub hits: u64,
    /// Hits on hosts beyond [`HOSTS_MAX`], counted under `-`.
    pub hosts_untold: u64,
    hosts: HashMap<Arc<str>, Seen>,
    /// Rules by the order of their first hit; the key is where their information lies.
    rules: Vec<(Arc<RuleInfo>, Seen)>,
    numbers: HashMap<usize, usize>,
    tactics: BTreeMap<String, Seen>,
}

impl Summary {
    pub fn add(&mut self, hit: &Hit) {
        self.hits += 1;
        let name = hit.host.as_deref().unwrap_or(NO_HOST);
        let host = match self.hosts.get_key_value(name) {
            Some((host, _)) => Arc::clone(host),
            None if self.hosts.len() < HOSTS_MAX => Arc::from(name),
            None => {
                self.hosts_untold += 1;
                Arc::from(NO_HOST)
            }
        };
        let next = self.rules.len();
        let rule = *self.numbers.entry(Arc::as_ptr(&hit.rule).addr()).or_insert(next);
        if rule == next {
            self.rules.push((Arc::clone(&hit.rule), Seen::default()));
        }
        if let Some((_, seen)) = self.rules.get_mut(rule) {
            seen.add(hit, &host, rule);
        }
        for tactic in &hit.rule.tactics {
            let seen = self.tactics.entry(tactic.clone()).or_default();
            seen.add(hit, &host, rule);
            seen.techniques.extend(hit.rule.techniques.iter().cloned());
        }
        let seen = self.hosts.entry(Arc::clone(&host)).or_default();
        seen.add(hit, &host, rule);
        let level = hit.rule.level.map_or("none", Level::word);
        *seen.levels.entry(level.to_owned()).or_default() += 1;
    }

    /// Most hits first.
    pub fn hosts(&self) -> Vec<HostSummary> {
        let each = self.hosts.iter().map(|(host, seen)| HostSummary {
            host: host.to_string(),
            hits: seen.hits,
            levels: seen.levels.clone(),
            rules: seen.rules.len(),
            first: seen.first.map(schema::format_time),
            last: seen.last.map(schema::format_time),
        });
        let mut all: Vec<HostSummary> = each.collect();
        all.sort_by(|a, b| b.hits.cmp(&a.hits).then_with(|| a.host.cmp(&b.host)));
        all
    }

    /// The worst first, among those the most hits.
    pub fn rules(&self) -> Vec<RuleSummary> {
        let each = self.rules.iter().map(|(rule, seen)| RuleSummary {
            rule: Arc::clone(rule),
            hits: seen.hits,
            hosts: seen.hosts.len(),
            first: seen.first.map(schema::format_time),
            last: seen.last.map(schema::format_time),
        });
        let mut all: Vec<RuleSummary> = each.collect();
        all.sort_by(|a, b| {
            let worse = b.rule.level.cmp(&a.rule.level).then_with(|| b.hits.cmp(&a.hits));
            worse.then_with(|| a.rule.rule.cmp(&b.rule.rule))
        });
        all
    }

    /// In the order of an attack.
    pub fn tactics(&self) -> Vec<TacticSummary> {
        let each = TACTICS.iter().filter_map(|(tactic, id)| {
            let seen = self.tactics.get(*tactic)?;
            Some(TacticSummary {
                tactic: (*tactic).to_owned(),
                id: (*id).to_owned(),
                hits: seen.hits,
                rules: seen.rules.len(),
                hosts: seen.hosts.len(),
                techniques: seen.techniques.iter().cloned().collect(),
            })
        });
        each.collect()
    }
}
