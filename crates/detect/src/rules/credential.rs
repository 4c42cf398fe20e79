//! Theft of an API key or token: used from a network its history does not know, and differently.
//!
//! The score is a sum of weights and is the confidence. A new network with a new agent is a move (35) and
//! says nothing; use unlike the key's own past must come to it.

use super::{Rule, points, share};
use crate::book::Draft;
use crate::detector::Detector;
use crate::entities::{Foreign, credential};
use crate::hash::Key;
use crate::seen::Seen;
use crate::window::secs;
use schema::{EntityKind, Finding, OutcomeResult, Severity};

impl Detector {
    pub(crate) fn credential(
        &mut self,
        seen: &Seen<'_>,
        key: Key,
        injection: bool,
        found: &mut Vec<Finding>,
    ) {
        let (config, learning) = (&self.config.credential, &self.config.learning);
        let Some(state) = self.credentials.get_mut(key) else { return };
        let (now, old) = (state.usage.now, state.usage.before);
        let (requests, tokens) =
            (now.requests + old.requests, now.tokens.saturating_add(old.tokens));
        state.history.reach(credential::REQUESTS, requests, seen.time, learning);
        state.history.reach(credential::TOKENS, tokens, seen.time, learning);

        let learned = state.history.is_learned(seen.time, learning);
        let home = seen.network.is_none_or(|network| state.networks.contains(network));
        if !learned || home {
            if let Some(network) = seen.network {
                state.networks.remember(network);
            }
            if let Some(agent) = seen.agent {
                state.agents.remember(agent);
            }
            if let Some(endpoint) = seen.endpoint {
                state.endpoints.remember(endpoint);
            }
            if state.requests == u32::MAX {
                state.requests /= 2;
                state.failures /= 2;
            }
            state.requests += 1;
            state.failures += u32::from(seen.denied);
            state.last_home_secs = state.last_home_secs.max(secs(seen.time));
            if let Some(foreign) = state.foreign.as_mut() {
                foreign.overlap |=
                    (seen.time - foreign.last).abs() <= i64::from(config.overlap_secs) * 1000;
            }
            return;
        }

        let foreign = state.foreign.get_or_insert_default();
        if foreign.since == 0 || seen.time - foreign.last > i64::from(config.accept_secs) * 1000 {
            **foreign = Foreign { since: seen.time, ..Foreign::default() };
        }
        foreign.last = foreign.last.max(seen.time);
        foreign.requests += 1;
        foreign.successes += u32::from(!seen.denied);
        foreign.failures += u32::from(seen.denied);
        let amount =
            |value: Option<i64>| u32::try_from(value.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
        foreign.tokens = foreign
            .tokens
            .saturating_add(amount(seen.event.tokens_in))
            .saturating_add(amount(seen.event.tokens_out));
        foreign.injections += u32::from(injection);
        foreign.new_agent |= seen.agent.is_some_and(|agent| !state.agents.contains(agent));
        foreign.overlap |= secs(seen.time).abs_diff(state.last_home_secs) <= config.overlap_secs;
        if let Some(endpoint) = seen.endpoint
            && !state.endpoints.contains(endpoint)
            && !foreign.new_endpoints.contains(endpoint)
        {
            foreign.new_endpoints.remember(endpoint);
            foreign.new_endpoints_count += 1;
        }
        if !foreign.told && seen.time - foreign.since > i64::from(config.accept_secs) * 1000 {
            // A day without a finding: the key has moved.
            if let Some(network) = seen.network {
                state.networks.remember(network);
            }
            state.foreign = None;
            return;
        }
        let trail = self.book.trail(Rule::CredentialTheft, key, seen.time, config.accept_secs);
        trail.cite(seen.event);
        trail.name(seen.time, EntityKind::Address, seen.event.src_ip.as_deref(), 8);
        trail.name(seen.time, EntityKind::Endpoint, seen.event.endpoint.as_deref(), 4);
        if foreign.requests < config.foreign_requests_min {
            return;
        }

        let usual_requests = state.history.expected(credential::REQUESTS, seen.time, learning);
        let usual_tokens = state.history.expected(credential::TOKENS, seen.time, learning);
        let volume = usual_requests.map_or(0.0, |usual| f64::from(requests) / usual.limit.max(1.0));
        let spending = usual_tokens
            .filter(|_| tokens >= config.tokens_min)
            .map_or(0.0, |usual| f64::from(tokens) / usual.limit.max(1.0));
        let usual_failures = share(state.failures, state.requests);
        let failures = share(foreign.failures, foreign.requests);
        let failing = foreign.failures >= config.foreign_failures_min
            && failures >= config.failure_share_min
            && failures >= 3.0 * usual_failures;
        // A key that is used from everywhere has no home to be away from.
        let away = if state.networks.is_full() { 5 } else { 25 };
        let score = away
            + 10 * u32::from(foreign.new_agent)
            + 10 * u32::from(foreign.overlap)
            + if volume >= 1.0 { 15 + points(volume, 5.0, 10.0) } else { 0 }
            + if spending >= 1.0 { 15 + points(spending, 5.0, 10.0) } else { 0 }
            + 15 * u32::from(failing)
            + match foreign.new_endpoints_count {
                0 => 0,
                1 => 8,
                _ => 15,
            }
            + 10 * u32::from(foreign.injections >= 3);
        if score < config.finding_score_min {
            return;
        }
        foreign.told = true;
        state.history.taint();
        let Some(subject) = seen.entity(EntityKind::Credential) else { return };
        let mut draft = Draft::new(Rule::CredentialTheft, subject, key, seen.event);
        draft.involve(EntityKind::Account, seen.event.account.as_deref());
        draft.trail =
            self.book.known_trail(Rule::CredentialTheft, key).cloned().unwrap_or_default();
        draft.severity = match score {
            85.. => Severity::Critical,
            65..85 => Severity::High,
            _ => Severity::Medium,
        };
        draft.confidence = score.min(97) as u8;
        let accepted = foreign.successes > 0;
        draft.outcome = if accepted { OutcomeResult::Success } else { OutcomeResult::Failure };
        draft.reason = Some(if accepted { "key-accepted" } else { "key-refused" });
        draft.attack(&[("TA0006", "T1528"), ("TA0001", "T1078.004")]);
        if spending >= 1.0 {
            draft.attack(&[("TA0040", "T1496.004")]);
        }
        draft.magnitude = f64::from(foreign.requests);
        draft.numbers = vec![
            ("score", f64::from(score)),
            ("score_mark", f64::from(config.finding_score_min)),
            ("foreign_requests", f64::from(foreign.requests)),
            ("requests", f64::from(requests)),
            ("requests_usual", usual_requests.map_or(0.0, |usual| usual.median)),
            ("requests_mark", usual_requests.map_or(0.0, |usual| usual.limit)),
            ("tokens", f64::from(tokens)),
            ("tokens_usual", usual_tokens.map_or(0.0, |usual| usual.median)),
            ("tokens_mark", usual_tokens.map_or(0.0, |usual| usual.limit)),
            ("failure_share", failures),
            ("failure_share_usual", usual_failures),
            ("new_endpoints", f64::from(foreign.new_endpoints_count)),
            ("new_agent", f64::from(u8::from(foreign.new_agent))),
            ("two_places", f64::from(u8::from(foreign.overlap))),
            ("injections", f64::from(foreign.injections)),
        ];
        found.extend(self.book.report(draft));
    }
}
