//! Exceptions for what looks like false positives. Pure: stored events and findings in, suggestions out;
//! an operator decides.

use super::shapes::Shapes;
use schema::{Entity, EntityKind, Event, Finding, OutcomeResult, Timestamp, WafSet, waf_sets};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How long a suggested exception holds, as the gateway's own default.
const EXPIRES_MS: i64 = gateway::config::EXCEPTION_MS;
/// Places at which somebody trips over rules before it is a scan.
const PLACES_MAX: usize = 2;
/// A finding speaks against an actor from this confidence on: below it is one request that tripped over one
/// rule, which is what false positives look like.
const CONFIDENCE_MIN: u8 = 60;
/// Places and actors looked at; beyond it nothing new is learned.
const PLACES_KEPT_MAX: usize = 10_000;
const ACTORS_KEPT_MAX: usize = 100_000;

/// Where a rule trips people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub rule: u64,
    pub host: String,
    /// As an exception names it: `GET /search`, `GET /orders/*`.
    pub path: String,
    /// `ARGS:q`.
    pub parameter: String,
}

#[derive(Debug, Default)]
struct Seen {
    message: String,
    hits: u64,
    successes: u64,
    /// Who, and whether they came to success there.
    actors: BTreeMap<String, bool>,
}

#[derive(Debug, Default)]
struct Actor {
    /// Endpoints at which rules matched.
    places: BTreeSet<String>,
    has_findings: bool,
}

/// What is learned from stored traffic.
#[derive(Debug, Default)]
pub struct Learning {
    flagged: BTreeSet<Entity>,
    places: BTreeMap<Place, Seen>,
    actors: BTreeMap<String, Actor>,
}

/// One exception to paste, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    pub rule: u64,
    pub host: String,
    pub path: String,
    pub parameter: String,
    pub added: String,
    pub expires: String,
    pub reason: String,
}

/// What looked like one, and is not suggested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declined {
    pub rule: u64,
    pub host: String,
    pub path: String,
    pub parameter: String,
    pub why: String,
}

impl Learning {
    /// Findings of the same time: whom they name is no ordinary visitor.
    pub fn flag(&mut self, finding: &Finding) {
        if finding.confidence < CONFIDENCE_MIN {
            return;
        }
        let is_actor =
            |entity: &&Entity| !matches!(entity.kind, EntityKind::Endpoint | EntityKind::Device);
        self.flagged.extend(finding.entities.iter().filter(is_actor).cloned());
    }

    pub fn add(&mut self, event: &Event) {
        let sets = waf_sets(event);
        let Some(name) = actor(event) else { return };
        if !self.actors.contains_key(&name) && self.actors.len() >= ACTORS_KEPT_MAX {
            return;
        }
        let has_findings = self.is_flagged(event);
        let over: Vec<&WafSet<'_>> = sets.iter().filter(|set| set.is_over_in()).collect();
        if over.is_empty() {
            return;
        }
        let known = self.actors.entry(name.clone()).or_default();
        known.has_findings |= has_findings;
        known.places.insert(event.endpoint.clone().unwrap_or_default());
        let Some(path) = event.endpoint.as_deref().and_then(pattern) else { return };
        let is_blocked = sets.iter().any(|set| set.blocked);
        let is_success = !is_blocked && event.outcome_result() == OutcomeResult::Success;
        let matches = over.iter().flat_map(|set| &set.matches);
        let mut counted = BTreeSet::new();
        for found in matches.filter(|found| found.phase <= 2 && found.is_telling()) {
            if gateway::waf::parse_parameter(found.variable).is_none()
                || !counted.insert((found.rule, found.variable))
            {
                continue;
            }
            let place = Place {
                rule: found.rule,
                host: event.host.clone().unwrap_or_default(),
                path: path.clone(),
                parameter: found.variable.to_owned(),
            };
            if !self.places.contains_key(&place) && self.places.len() >= PLACES_KEPT_MAX {
                continue;
            }
            let seen = self.places.entry(place).or_default();
            found.message.clone_into(&mut seen.message);
            seen.hits += 1;
            seen.successes += u64::from(is_success);
            *seen.actors.entry(name.clone()).or_default() |= is_success;
        }
    }

    /// The places worth a look at their ordinary traffic: enough visitors tripped there.
    pub fn candidates(&self, actors_min: usize) -> impl Iterator<Item = &Place> {
        let is_common = move |(_, seen): &(&Place, &Seen)| seen.actors.len() >= actors_min;
        self.places.iter().filter(is_common).map(|(place, _)| place)
    }

    /// `shapes`: by host and path, what ordinary requests look like there.
    pub fn suggest(
        &self,
        actors_min: usize,
        shapes: &BTreeMap<(String, String), Shapes>,
        now: Timestamp,
    ) -> (Vec<Suggestion>, Vec<Declined>) {
        let (mut suggested, mut declined) = (Vec::new(), Vec::new());
        for (place, seen) in &self.places {
            if seen.actors.len() < actors_min {
                continue;
            }
            let ordinary = shapes.get(&(place.host.clone(), place.path.clone()));
            match self.objection(place, seen, actors_min, ordinary) {
                Some(why) => declined.push(place.declined(why)),
                None => suggested.push(place.suggestion(seen, ordinary, now)),
            }
        }
        (suggested, declined)
    }

    /// What speaks against it being a false positive.
    fn objection(
        &self,
        place: &Place,
        seen: &Seen,
        actors_min: usize,
        ordinary: Option<&Shapes>,
    ) -> Option<String> {
        // An attacker who tripped over this rule anywhere on this host would be let in by an exception, too.
        let mut of_rule: BTreeSet<&str> = BTreeSet::new();
        for (other, seen) in &self.places {
            if other.rule == place.rule && other.host == place.host {
                of_rule.extend(seen.actors.keys().map(String::as_str));
            }
        }
        let known = |name: &&str| self.actors.get(*name).is_some_and(|actor| actor.has_findings);
        let found = of_rule.iter().filter(|name| known(name)).count();
        if found > 0 {
            return Some(format!("{found} who matched it have findings"));
        }
        let is_scanner = |name: &&String| {
            self.actors.get(*name).is_some_and(|actor| actor.places.len() > PLACES_MAX)
        };
        if let Some(name) = seen.actors.keys().find(is_scanner) {
            return Some(format!("{name} tripped over rules at more than {PLACES_MAX} endpoints"));
        }
        let successful = seen.actors.values().filter(|success| **success).count();
        if successful < actors_min {
            return Some(format!("{successful} of {} came to success", seen.actors.len()));
        }
        if ordinary.is_some_and(|shapes| shapes.is_strict(&place.parameter, actors_min as u64)) {
            return Some("the parameter is otherwise only numbers or ids".to_owned());
        }
        None
    }

    fn is_flagged(&self, event: &Event) -> bool {
        let is_known = |kind: EntityKind| {
            event.entity(kind).is_some_and(|value| self.flagged.contains(&Entity::new(kind, value)))
        };
        let who = [EntityKind::Account, EntityKind::Credential, EntityKind::Session];
        // An address that many share says nothing of those who are known by name.
        let is_nameless = event.account.is_none() && event.credential.is_none();
        who.into_iter().any(is_known) || is_nameless && is_known(EntityKind::Address)
    }
}

impl Place {
    fn suggestion(&self, seen: &Seen, ordinary: Option<&Shapes>, now: Timestamp) -> Suggestion {
        let of_shapes = ordinary.and_then(|shapes| shapes.told(&self.parameter));
        let reason = format!(
            "`{}` matched {} visitors in {} requests, {} of them came to success, none with a finding{}",
            seen.message,
            seen.actors.len(),
            seen.hits,
            seen.successes,
            of_shapes.map(|told| format!("; {told}")).unwrap_or_default(),
        );
        Suggestion {
            rule: self.rule,
            host: self.host.clone(),
            path: self.path.clone(),
            parameter: self.parameter.clone(),
            added: schema::format_time(now),
            expires: schema::format_time(now.saturating_add(EXPIRES_MS)),
            reason,
        }
    }

    fn declined(&self, why: String) -> Declined {
        Declined {
            rule: self.rule,
            host: self.host.clone(),
            path: self.path.clone(),
            parameter: self.parameter.clone(),
            why,
        }
    }
}

/// For `gateway.yaml`; a line above each says why.
pub fn yaml(suggestions: &[Suggestion]) -> String {
    // JSON's strings are YAML's, too, and nothing that visitors chose can break out of them.
    let quoted = |text: &str| {
        let text = serde_json::Value::from(text).to_string();
        let escaped = |c: char| match is_unseen(c) {
            true => format!("\\u{:04x}", u32::from(c)),
            false => c.to_string(),
        };
        text.chars().map(escaped).collect::<String>()
    };
    let mut out = String::from("exceptions:\n");
    for suggestion in suggestions {
        let about = format!(
            "{} in {} at {} of {}: {}",
            suggestion.rule,
            suggestion.parameter,
            suggestion.path,
            suggestion.host,
            suggestion.reason
        );
        let about: String = about.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
        out.push_str(&format!(
            "  # {about}\n  - rule: {}\n    host: {}\n    path: {}\n    parameter: {}\n    added: {}\n    expires: {}\n    reason: {}\n",
            suggestion.rule,
            quoted(&suggestion.host),
            quoted(&suggestion.path),
            quoted(&suggestion.parameter),
            suggestion.added,
            suggestion.expires,
            quoted(&suggestion.reason),
        ));
    }
    out
}

/// Breaks a line, or turns the direction of what follows.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Who it was, most telling first.
fn actor(event: &Event) -> Option<String> {
    [EntityKind::Account, EntityKind::Credential, EntityKind::Session, EntityKind::Address]
        .into_iter()
        .find_map(|kind| Some(Entity::new(kind, event.entity(kind)?).to_string()))
}

/// An endpoint as exceptions name paths. `None`: it would be the whole site.
fn pattern(endpoint: &str) -> Option<String> {
    let text = match endpoint.split_once('{') {
        Some((stem, _)) => format!("{stem}*"),
        None => endpoint.to_owned(),
    };
    let is_whole = text.ends_with(" /*");
    (!is_whole && gateway::enforce::Pattern::parse(&text).is_some()).then_some(text)
}

#[cfg(test)]
mod tests;
