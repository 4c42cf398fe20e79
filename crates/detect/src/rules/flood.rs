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

impl Detail {
    fn count(&mut self, address: IpAddr) {
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
            detail.count(address);
        }
        let faceless_share = share(cell.faceless, requests);
        state.history.reach(endpoint::REQUESTS, requests, seen.time, learning);
        if requests >= DETAIL_FROM {
            state.history.reach(
                endpoint::FACELESS,
                (faceless_share * 1000.0) as u32,
                seen.time,
                learning,
            );
        }
        if requests < config.requests_min || !requests.is_multiple_of(JUDGE_EVERY) {
            return;
        }
        let usual = state.history.expected(endpoint::REQUESTS, seen.time, learning);
        let usual_faceless = state.history.expected(endpoint::FACELESS, seen.time, learning);
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
        let faceless_mark = usual_faceless.map_or(config.faceless_share_min, |usual| {
            (usual.median / 1000.0 + 0.25).max(config.faceless_share_min)
        });
        let faceless = faceless_share >= faceless_mark.min(0.98);
        let machine = intense || concentrated;
        // Unlearned, one sign is not enough.
        let signs = u32::from(machine) + u32::from(faceless);
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
        draft.trail.total = draft.trail.total.max(u64::from(requests));
        // Few sources are to be acted on themselves; a swarm only at the endpoint.
        draft.entities =
            if machine && !heavy.is_empty() && concentration >= config.concentration_min {
                heavy.iter().cloned().chain([subject]).collect()
            } else {
                [subject].into_iter().chain(heavy.iter().cloned()).collect()
            };
        let factor = rate / mark;
        let failing_share = share(now.failing, now.requests);
        draft.severity =
            if signs == 2 || factor >= 4.0 { Severity::High } else { Severity::Medium };
        draft.confidence =
            (40 + 15 * signs + points(factor, 8.0, 20.0) + 5 * u32::from(usual.is_some())) as u8;
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
            ("failing_share", failing_share),
            ("cell_secs", f64::from(config.cell_secs)),
        ];
        found.extend(self.book.report(draft));
    }
}
