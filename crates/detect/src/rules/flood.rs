//! L7 flood: far more requests than an endpoint ever sees, from sources that are no crowd.
//!
//! A crowd is many sessions, each doing little, mostly with success. A flood is few sources doing much
//! (concentration), or many doing nothing that comes to anything (faceless), beyond what the endpoint knows.

use super::{Rule, points, share};
use crate::book::Draft;
use crate::detector::Detector;
use crate::distinct::Distinct;
use crate::entities::{Endpoint, endpoint};
use crate::seen::Seen;
use schema::{Entity, EntityKind, Finding, OutcomeResult, Severity};
use std::net::IpAddr;

/// Busiest sources kept per cell: Space-Saving (Metwally, Agrawal and El Abbadi 2005) with this many
/// counters finds every source with more than 1/16 of the requests.
const BUSIEST: usize = 16;
/// Requests of a cell after which sources are looked at: a quiet endpoint costs two counters.
const DETAIL_FROM: u32 = 25;
/// Senders without a name that are remembered per cell, to be named in the finding.
const NOBODIES: usize = 64;
/// Above the mark every so many requests are judged; the estimate of sources is dear.
const JUDGE_EVERY: u32 = 32;

/// Requests to one endpoint in one cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    requests: u32,
    faceless: u32,
    failing: u32,
    detail: Option<Box<Detail>>,
}

#[derive(Debug, Clone, Default)]
struct Detail {
    requests: u32,
    /// Senders without session, account or credential, the first of them.
    nobodies: Vec<(IpAddr, u32)>,
    agents: Agents,
    sources: Distinct,
    sessions: Distinct,
    busiest: Vec<(IpAddr, u32)>,
}

impl Cell {
    pub(crate) fn heap_bytes(&self) -> usize {
        self.detail.as_ref().map_or(0, |detail| {
            size_of::<Detail>()
                + detail.sources.heap_bytes()
                + detail.sessions.heap_bytes()
                + detail.busiest.capacity() * size_of::<(IpAddr, u32)>()
        })
    }
}

/// The most frequent user agents: Space-Saving with four counters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Agents([(u32, u32); 4]);

impl Agents {
    pub(crate) fn count(&mut self, agent: u32) {
        if let Some(counter) = self.0.iter_mut().find(|counter| counter.0 == agent) {
            counter.1 += 1;
        } else if let Some(least) = self.0.iter_mut().min_by_key(|counter| counter.1) {
            *least = (agent, least.1 + 1);
        }
    }

    /// Requests of the most frequent one.
    pub(crate) fn most(&self) -> u32 {
        self.0.iter().map(|counter| counter.1).max().unwrap_or(0)
    }
}

/// What an endpoint usually sees, within one sample.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usual {
    sample: u32,
    requests: u32,
    faceless: u32,
    agents: Agents,
}

impl Detail {
    fn count(&mut self, address: IpAddr, nobody: bool) {
        if nobody {
            if let Some(counter) = self.nobodies.iter_mut().find(|counter| counter.0 == address) {
                counter.1 += 1;
            } else if self.nobodies.len() < NOBODIES {
                self.nobodies.push((address, 1));
            }
        }
        if let Some(counter) = self.busiest.iter_mut().find(|counter| counter.0 == address) {
            counter.1 += 1;
        } else if self.busiest.len() < BUSIEST {
            self.busiest.push((address, 1));
        } else if let Some(least) =
            self.busiest.iter_mut().min_by_key(|counter| (counter.1, counter.0))
        {
            *least = (address, least.1 + 1);
        }
    }
}

impl Detector {
    pub(crate) fn flood(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
        let Some(key) = seen.endpoint else { return };
        let (config, learning) = (&self.config.flood, &self.config.learning);
        let state = self.endpoints.touch(key, || Endpoint::new(seen.time, learning));
        state.history.roll(seen.time, learning);
        let nobody = seen.session.is_none() && seen.account.is_none() && seen.credential.is_none();
        let failing =
            seen.denied || seen.event.http_code.is_some_and(|code| code >= 500 || code == 0);
        let Some(cell) = state.cell.at(seen.time, config.cell_secs) else { return };
        cell.requests += 1;
        cell.faceless += u32::from(nobody || failing);
        cell.failing += u32::from(failing);
        let requests = cell.requests;
        if requests >= DETAIL_FROM
            && let Some(address) = seen.address
        {
            let detail = cell.detail.get_or_insert_default();
            detail.requests += 1;
            detail.sources.insert(seen.source.unwrap_or(0));
            if let Some(who) = seen.session.or(seen.account).or(seen.credential) {
                detail.sessions.insert(who);
            }
            detail.count(address, nobody);
            detail.agents.count(seen.agent.unwrap_or(1));
        }
        let faceless_share = share(cell.faceless, requests);
        state.history.reach(endpoint::REQUESTS, requests, seen.time, learning);
        let sample = crate::window::epoch(seen.time, learning.sample_secs);
        let running = &mut state.usual;
        if sample > running.sample {
            *running = Usual { sample, ..Usual::default() };
        }
        running.requests = running.requests.saturating_add(1);
        running.faceless = running.faceless.saturating_add(u32::from(nobody || failing));
        running.agents.count(seen.agent.unwrap_or(1));
        let permille = |part| (share(part, running.requests) * 1000.0) as u32;
        state.history.stands(endpoint::FACELESS, permille(running.faceless), seen.time, learning);
        state.history.stands(endpoint::AGENT, permille(running.agents.most()), seen.time, learning);
        if requests < config.requests_min || !requests.is_multiple_of(JUDGE_EVERY) {
            return;
        }
        let usual = state.history.expected(endpoint::REQUESTS, seen.time, learning);
        let usual_faceless = state.history.expected(endpoint::FACELESS, seen.time, learning);
        let usual_agent = state.history.expected(endpoint::AGENT, seen.time, learning);
        let mark = match usual {
            Some(usual) => usual.limit.max(f64::from(config.requests_min)),
            None => f64::from(config.requests_min_unlearned),
        };
        let (now, old) = (&state.cell.now, &state.cell.before);
        let rate = f64::from(now.requests);
        // One crowded cell is a burst; two in a row, or one far beyond, is a flood.
        if rate < mark || (f64::from(old.requests) < mark / 2.0 && rate < mark * 3.0) {
            return;
        }
        let Some(detail) = now.detail.as_deref() else { return };
        let sources = detail.sources.count().max(1);
        let sessions = detail.sessions.count();
        let per_source = share(detail.requests, sources);
        let top: u32 = detail.busiest.iter().map(|counter| counter.1).sum();
        let concentration = share(top.min(detail.requests), detail.requests);
        // A source beyond what a person does, or a session shared by a swarm.
        let intense = per_source >= config.per_source_min;
        let concentrated =
            concentration >= config.concentration_min && sources <= BUSIEST as u32 * 4;
        // Where most are nameless anyway, being nameless says nothing.
        let faceless_mark = usual_faceless.map_or(config.faceless_share_min, |usual| {
            (usual.median / 1000.0 + 0.25).max(config.faceless_share_min)
        });
        let faceless = faceless_share >= faceless_mark;
        // The same for one program where usually many speak.
        let agent_share = share(detail.agents.most(), detail.requests);
        let usual_agent = usual_agent.map_or(1.0, |usual| usual.median / 1000.0);
        let uniform = agent_share >= config.agent_share_min.max(usual_agent + 0.25);
        let machine = intense || concentrated;
        // Unlearned, one sign is not enough.
        let signs = u32::from(machine) + u32::from(faceless) + u32::from(uniform);
        if signs == 0 || (usual.is_none() && signs < 2) {
            return;
        }
        state.history.taint();
        let Some(subject) = seen.entity(EntityKind::Endpoint) else { return };
        let mut busiest = detail.busiest.clone();
        busiest.sort_by_key(|(address, count)| (std::cmp::Reverse(*count), *address));
        let heavy: Vec<Entity> = busiest
            .iter()
            .filter(|(_, count)| f64::from(*count) >= config.per_source_min)
            .map(|(address, _)| Entity::new(EntityKind::Address, address.to_string()))
            .collect();
        let trail = self.book.trail(Rule::L7Flood, key, seen.time, config.cell_secs * 6);
        trail.cite(seen.event);
        let mut draft = Draft::new(Rule::L7Flood, subject.clone(), key, seen.event);
        draft.trail = trail.clone();
        // Few sources are to be acted on themselves; a swarm only at the endpoint.
        draft.entities =
            if machine && !heavy.is_empty() && concentration >= config.concentration_min {
                heavy.iter().cloned().chain([subject]).collect()
            } else {
                let nobodies = detail.nobodies.iter().filter(|(_, count)| faceless && *count >= 2);
                let nobodies = nobodies
                    .map(|(address, _)| Entity::new(EntityKind::Address, address.to_string()));
                [subject].into_iter().chain(nobodies).collect()
            };
        let factor = rate / mark;
        let failing_share = share(now.failing, now.requests);
        draft.severity =
            if signs == 2 || factor >= 4.0 { Severity::High } else { Severity::Medium };
        draft.confidence =
            (45 + 12 * signs + points(factor, 8.0, 20.0) + 5 * u32::from(usual.is_some())) as u8;
        // Whether the service suffered: its own errors tell.
        let hurt = now.failing > 0
            && seen.event.http_code.is_some_and(|code| code >= 500)
            && failing_share >= 0.2;
        draft.outcome = if hurt { OutcomeResult::Success } else { OutcomeResult::Unknown };
        draft.reason = hurt.then_some("service-errors");
        draft.attack(&[("TA0040", if machine { "T1499.002" } else { "T1499.003" })]);
        draft.magnitude = rate;
        draft.numbers = vec![
            ("requests", rate),
            ("requests_mark", mark),
            ("requests_usual", usual.map_or(0.0, |usual| usual.median)),
            ("sources", f64::from(sources)),
            ("sessions", f64::from(sessions)),
            ("requests_per_source", per_source),
            ("concentration", concentration),
            ("faceless_share", faceless_share),
            ("faceless_mark", faceless_mark),
            ("agent_share", agent_share),
            ("agent_share_usual", usual_agent),
            ("failing_share", failing_share),
            ("cell_secs", f64::from(config.cell_secs)),
        ];
        found.extend(self.book.report(draft));
    }
}
