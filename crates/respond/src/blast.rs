use schema::{BlastRadius, Entity, Event, OutcomeResult, Timestamp};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Different accounts, sessions or addresses counted exactly; beyond it the figure stands still and
/// means "at least". Far above any limit a policy would let pass without a human.
pub const DISTINCT_MAX: usize = 100_000;

/// Whom a restriction on `target` would have hit: the successful requests it would have stopped since
/// `since`, and how many accounts, sessions and addresses made them.
///
/// `excluded` is the incident's own evidence: stopping the attack is not damage. `sites` empty means
/// every site. A request without an outcome counts when the server answered it below 400.
pub fn blast_radius<'a>(
    target: &Entity,
    sites: &[String],
    events: impl Iterator<Item = &'a Event>,
    excluded: &BTreeSet<Uuid>,
    since: Timestamp,
) -> BlastRadius {
    let mut counter = BlastCounter::new(target.clone(), sites.to_vec(), since);
    for event in events {
        if !excluded.contains(&event.id) {
            counter.count(event);
        }
    }
    counter.radius()
}

/// The same, for events that come one at a time from the lake.
#[derive(Debug)]
pub struct BlastCounter {
    target: Entity,
    sites: Vec<String>,
    since: Timestamp,
    requests: u64,
    accounts: BTreeSet<String>,
    sessions: BTreeSet<String>,
    addresses: BTreeSet<String>,
}

impl BlastCounter {
    pub fn new(target: Entity, sites: Vec<String>, since: Timestamp) -> Self {
        BlastCounter {
            target,
            sites,
            since,
            requests: 0,
            accounts: BTreeSet::new(),
            sessions: BTreeSet::new(),
            addresses: BTreeSet::new(),
        }
    }

    pub fn count(&mut self, event: &Event) {
        let here = self.sites.is_empty()
            || event.site.as_ref().is_some_and(|site| self.sites.contains(site));
        let went_through = match event.outcome_result() {
            OutcomeResult::Success => true,
            OutcomeResult::Failure => false,
            OutcomeResult::Unknown => event.http_code.is_some_and(|code| code < 400),
        };
        if event.time < self.since
            || !here
            || !went_through
            || event.entity(self.target.kind) != Some(self.target.value.as_str())
        {
            return;
        }
        self.requests += 1;
        add(&mut self.accounts, &event.account);
        add(&mut self.sessions, &event.session);
        add(&mut self.addresses, &event.src_ip);
    }

    pub fn radius(&self) -> BlastRadius {
        BlastRadius {
            since: self.since,
            requests: self.requests,
            accounts: self.accounts.len() as u64,
            sessions: self.sessions.len() as u64,
            addresses: self.addresses.len() as u64,
        }
    }
}

fn add(set: &mut BTreeSet<String>, value: &Option<String>) {
    if let Some(value) = value
        && set.len() < DISTINCT_MAX
        && !set.contains(value)
    {
        set.insert(value.clone());
    }
}
