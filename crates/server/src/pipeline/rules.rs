//! Written rules in the loop: a tenant's Sigma rules over its events, exceptions, repeats, correlations.
//!
//! [`Watch`] is pure: events and times go in, findings come out. A rule looks at what was received since it was
//! put in place, an exception at what was received while it held: so a replay finds what was found.

pub mod exceptions;
mod finding;
mod groups;
pub mod packs;

use exceptions::Exception;
pub use finding::entities;
use finding::{correlated, draft};
use groups::Groups;
use packs::{Choice, Info, Loaded};
use schema::{Entity, Event, Finding, Stage, Timestamp};
use sigma::Runner;
use sigma::correlation::{State, Told};
use sigma::ocsf::{matches, views};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use store::meta::{SigmaCounts, SigmaHits};
use uuid::Uuid;

/// How late an event may come for a correlation: what is between two senders on one network.
pub const CORRELATION_LATENESS_MS: u64 = 10_000;
/// Events remembered for the sake of correlations that may name them.
const RECENT_MAX: usize = 50_000;
/// 9999-12-31T23:59:59Z, the end of RFC 3339.
const TIME_MAX: Timestamp = 253_402_300_799_000;
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What somebody said of a pack's rule.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    pub enabled: bool,
    pub stage: Stage,
    /// It holds for what was received from here on.
    pub since: Timestamp,
}

/// What a tenant's events are held against.
#[derive(Clone, Default)]
pub struct Rules {
    /// Shared by all tenants.
    pub packs: Arc<Loaded>,
    /// The tenant's own.
    pub site: Arc<Loaded>,
    /// Which of the packs' rules are at work here.
    pub choice: Choice,
    /// Rules of packs that somebody switched or staged.
    pub switched: HashMap<String, Switch>,
    pub exceptions: Vec<Arc<Exception>>,
}

fn runners(rules: &Rules) -> [Runner; 2] {
    [&rules.packs, &rules.site].map(|loaded| loaded.engine.runner())
}

/// One tenant's rules at work.
pub struct Watch {
    rules: Arc<Rules>,
    /// Of the packs and of the tenant's own, as long as those are the ones in `rules`.
    runners: [Runner; 2],
    groups: Groups,
    states: [State; 2],
    recent: HashMap<String, (Vec<Entity>, Option<String>)>,
    recent_order: VecDeque<String>,
    hits: BTreeMap<(String, i64), (u64, u64)>,
    suppressed: BTreeMap<Uuid, u64>,
    /// The newest event time of a hit that correlations took, and the wall time it was seen at.
    newest: Option<(Timestamp, Timestamp)>,
}

impl Watch {
    pub fn new(refire_secs: u32) -> Watch {
        Watch {
            runners: runners(&Rules::default()),
            rules: Arc::default(),
            groups: Groups::new(i64::from(refire_secs.max(1)) * 1000),
            states: [State::default(), State::default()],
            recent: HashMap::new(),
            recent_order: VecDeque::new(),
            hits: BTreeMap::new(),
            suppressed: BTreeMap::new(),
            newest: None,
        }
    }

    /// From now on these; what is counted and open goes on, unless its rule was taken back to an earlier stage.
    pub fn set_rules(&mut self, rules: Rules) {
        for (runner, loaded) in self.runners.iter_mut().zip([&rules.packs, &rules.site]) {
            if !Arc::ptr_eq(runner.engine(), &loaded.engine) {
                *runner = loaded.engine.runner();
            }
        }
        let own = rules.site.set.rules.iter().zip(&rules.site.infos);
        let own: HashMap<&str, Stage> =
            own.map(|(rule, info)| (rule.meta.key(), info.stage)).collect();
        let of_pack = |rule: &str| rules.switched.get(rule).map(|switch| switch.stage);
        self.groups.retain(|rule, stage| {
            stage <= own.get(rule).copied().or_else(|| of_pack(rule)).unwrap_or_default()
        });
        self.rules = Arc::new(rules);
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How far back events bear on what will be found.
    pub fn memory_ms(&self) -> i64 {
        let spans = [&self.rules.packs, &self.rules.site].map(|loaded| {
            let spans = loaded.set.correlations.iter().map(|c| c.timespan_secs);
            i64::try_from(spans.max().unwrap_or(0)).unwrap_or(0).saturating_mul(1000)
        });
        let longest = spans.into_iter().max().unwrap_or(0);
        longest.saturating_add(CORRELATION_LATENESS_MS as i64).max(self.groups.refire_ms())
    }

    /// One event, seen once.
    pub fn observe(&mut self, event: &Event) -> Vec<Finding> {
        let rules = Arc::clone(&self.rules);
        let is_idle = rules.packs.set.rules.is_empty() && rules.site.set.rules.is_empty();
        if is_idle || !(0..=TIME_MAX).contains(&event.time) {
            return Vec::new();
        }
        let seen = if event.received > 0 { event.received } else { event.time };
        let day = event.time.div_euclid(DAY_MS);
        let views = views(event);
        let mut found = Vec::new();
        for (place, loaded) in [&rules.packs, &rules.site].into_iter().enumerate() {
            let Some(runner) = self.runners.get_mut(place) else { continue };
            for (view, one) in matches(runner, &views) {
                let (Some(view), Some(rule), Some(info)) =
                    (views.get(view), loaded.set.rules.get(one.rule), loaded.infos.get(one.rule))
                else {
                    continue;
                };
                let key = rule.meta.key();
                if !rules.is_enabled(place == 0, &rule.meta) || seen < rules.since(key, info.since)
                {
                    continue;
                }
                let stage = rules.stage(place == 0, key, info);
                let count = self.hits.entry((key.to_owned(), day)).or_default();
                count.0 += 1;
                let entities = entities(event);
                let excepted = rules
                    .exceptions
                    .iter()
                    .find(|exception| exception.holds(key, seen, view, &entities));
                if let Some(exception) = excepted {
                    count.1 += 1;
                    *self.suppressed.entry(exception.id).or_default() += 1;
                    self.groups.quiet(key, stage, entities.first());
                    continue;
                }
                if rule.standalone {
                    let draft = draft(event, view, &rule.meta, info, stage, &one, entities.clone());
                    found.extend(self.groups.report(draft, event));
                }
                let hit = loaded.correlator.hit(one.rule, event.time, &event.id.to_string(), view);
                if let Some(hit) = hit {
                    self.remember(event, entities);
                    // A clock that is ahead of ours does not end what others have begun.
                    let time = event.time.min(seen);
                    let newest = self.newest.map_or(time, |(newest, _)| newest.max(time));
                    self.newest = Some((newest, seen));
                    let told = match self.states.get_mut(place) {
                        Some(state) => loaded.correlator.observe_at(state, hit, seen),
                        None => Vec::new(),
                    };
                    found.extend(self.correlated(&rules, place, loaded, told, seen));
                }
            }
        }
        found
    }

    /// Time passes: windows end, and findings that ended get their last word.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some((newest, seen)) = self.newest {
            // The events' own clock, moved on by as much as ours.
            let time = newest.saturating_add(now.saturating_sub(seen));
            let until = time.saturating_sub(CORRELATION_LATENESS_MS as i64);
            let rules = Arc::clone(&self.rules);
            for (place, loaded) in [&rules.packs, &rules.site].into_iter().enumerate() {
                if loaded.set.correlations.is_empty() {
                    continue;
                }
                let told = match self.states.get_mut(place) {
                    Some(state) => loaded.correlator.advance_to(state, until),
                    None => Vec::new(),
                };
                found.extend(self.correlated(&rules, place, loaded, told, now));
            }
        }
        found.extend(self.groups.close(now));
        found
    }

    fn correlated(
        &mut self,
        rules: &Rules,
        place: usize,
        loaded: &Loaded,
        told: Vec<sigma::correlation::Finding>,
        now: Timestamp,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        for one in told {
            let Some((correlation, info)) = loaded.correlation(&one.correlation) else { continue };
            if !rules.is_enabled(place == 0, &correlation.meta) {
                continue;
            }
            let day = one.time_ms.div_euclid(DAY_MS);
            let count = self.hits.entry((one.correlation.clone(), day)).or_default();
            count.0 += 1;
            let known = one.events.iter().filter_map(|event| self.recent.get(event));
            let (mut entities, mut site) = (Vec::new(), None);
            for (named, at) in known {
                for entity in named {
                    if entities.len() < groups::ENTITIES_MAX && !entities.contains(entity) {
                        entities.push(entity.clone());
                    }
                }
                site = site.or_else(|| at.clone());
            }
            let excepted = rules
                .exceptions
                .iter()
                .find(|exception| exception.holds_group(&one, now, &entities));
            if let Some(exception) = excepted {
                count.1 += 1;
                *self.suppressed.entry(exception.id).or_default() += 1;
                continue;
            }
            let stage = rules.stage(place == 0, correlation.meta.key(), info);
            found.push(correlated(&one, &correlation.meta, info, stage, entities, site));
        }
        found
    }

    fn remember(&mut self, event: &Event, entities: Vec<Entity>) {
        let id = event.id.to_string();
        if self.recent.insert(id.clone(), (entities, event.site.clone())).is_none() {
            self.recent_order.push_back(id);
        }
        while self.recent_order.len() > RECENT_MAX
            && let Some(oldest) = self.recent_order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    /// What was counted since this was last asked.
    /// What correlations did not count as it came, since this was last asked.
    pub fn take_told(&mut self) -> Option<Told> {
        let told = self.states.iter_mut().map(|state| std::mem::take(&mut state.told));
        let told = told.fold(Told::default(), |sum, one| sum + one);
        (told != Told::default()).then_some(told)
    }

    pub fn take_counts(&mut self) -> Option<SigmaCounts> {
        if self.hits.is_empty() && self.suppressed.is_empty() {
            return None;
        }
        let hits = std::mem::take(&mut self.hits).into_iter();
        Some(SigmaCounts {
            hits: hits
                .map(|((rule, day), (hits, suppressed))| SigmaHits { rule, day, hits, suppressed })
                .collect(),
            suppressed: std::mem::take(&mut self.suppressed).into_iter().collect(),
        })
    }
}

impl Rules {
    /// A switch that somebody put upon a pack's rule comes before the choice; the site's own are loaded only if enabled.
    pub fn is_enabled(&self, is_pack: bool, meta: &sigma::Meta) -> bool {
        match self.switched.get(meta.key()).filter(|_| is_pack) {
            Some(switch) => switch.enabled,
            None => !is_pack || self.choice.takes(meta),
        }
    }

    fn since(&self, key: &str, since: Timestamp) -> Timestamp {
        self.switched.get(key).map_or(since, |switch| since.max(switch.since))
    }

    /// Of a rule or correlation; a pack's has the one that was put upon it here.
    fn stage(&self, is_pack: bool, key: &str, info: &Info) -> Stage {
        let switch = self.switched.get(key).filter(|_| is_pack);
        switch.map_or(info.stage, |switch| switch.stage)
    }
}

#[cfg(test)]
mod tests;
