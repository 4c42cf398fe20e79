//! Exceptions for what looks like false positives. Pure: stored events and findings in, suggestions out;
//! an operator decides.

use super::shapes::{self, Shapes, media_type};
use schema::{
    Entity, EntityKind, Event, Finding, OutcomeResult, Severity, Timestamp, WafMatch, WafSet,
    waf_sets,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long a suggested exception holds, as the gateway's own default.
const EXPIRES_MS: i64 = gateway::config::EXCEPTION_MS;
/// Places at which somebody trips over rules before it is a scan.
const PLACES_MAX: usize = 2;
/// The detection's rule on what these rules told.
const WEB_ATTACK: &str = "web-attack";
/// A finding speaks against an actor from this confidence on: below it is one request that tripped over one
/// rule, which is what false positives look like.
const CONFIDENCE_MIN: u8 = 60;
/// Content types kept of one place.
const TYPES_MAX: usize = 20;
/// Paths remembered of one actor; a scan is told by fewer.
const PATHS_KEPT_MAX: usize = 1_000;
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
    /// The rule is about more than the request's form.
    is_about_attacks: bool,
    /// Who, and whether they came to success there.
    actors: BTreeMap<String, bool>,
    /// Content types of these requests, for rules about them.
    types: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Actor {
    /// Known by an account that logged in here.
    is_named: bool,
    has_findings: bool,
    /// Of another kind than what rules told of.
    has_other_findings: bool,
    /// Host and path at which rules about attacks matched.
    paths: BTreeSet<(String, String)>,
    /// Tripped over something for which there can be no exception.
    is_odd: bool,
}

/// What is learned from stored traffic.
#[derive(Debug, Default)]
pub struct Learning {
    /// With whether there is more than what rules told of.
    flagged: BTreeMap<Entity, bool>,
    places: BTreeMap<Place, Seen>,
    actors: BTreeMap<String, Actor>,
}

/// Whom to take for an attacker, and what is common.
struct Known<'a> {
    attackers: BTreeSet<&'a str>,
    /// Host and path of places that trip those who are known by name and have no finding.
    common: BTreeSet<(&'a str, &'a str)>,
    /// Attackers by rule and host.
    by_rule: BTreeMap<(u64, &'a str), BTreeSet<&'a str>>,
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
        let is_of_rules = finding.rule == WEB_ATTACK;
        // What the detection itself finds light is odd protocol, as false positives are.
        let is_light = is_of_rules && finding.severity <= Severity::Low;
        if finding.confidence < CONFIDENCE_MIN || is_light {
            return;
        }
        let is_actor =
            |entity: &&Entity| !matches!(entity.kind, EntityKind::Endpoint | EntityKind::Device);
        for entity in finding.entities.iter().filter(is_actor) {
            *self.flagged.entry(entity.clone()).or_default() |= !is_of_rules;
        }
    }

    pub fn add(&mut self, event: &Event) {
        let sets = waf_sets(event);
        let Some((name, is_named)) = actor(event) else { return };
        if !self.actors.contains_key(&name) && self.actors.len() >= ACTORS_KEPT_MAX {
            return;
        }
        let over: Vec<&WafSet<'_>> = sets.iter().filter(|set| set.is_over_in()).collect();
        if over.is_empty() {
            return;
        }
        let flags = self.flags(event);
        let host = event.host.clone().unwrap_or_default();
        let path = event.endpoint.as_deref().and_then(pattern);
        let known = self.actors.entry(name.clone()).or_default();
        known.is_named |= is_named;
        known.has_findings |= flags.is_some();
        known.has_other_findings |= flags == Some(true);
        let is_attack = over.iter().flat_map(|set| &set.matches).any(is_about_attacks);
        // A client that sends an odd content type does so everywhere; that is no scan.
        if is_attack && known.paths.len() < PATHS_KEPT_MAX {
            let path = path.clone().or_else(|| event.endpoint.clone()).unwrap_or_default();
            known.paths.insert((host.clone(), path));
        }
        let Some(path) = path else {
            known.is_odd = true;
            return;
        };
        let is_blocked = sets.iter().any(|set| set.blocked);
        let is_success = !is_blocked && event.outcome_result() == OutcomeResult::Success;
        let matches = over.iter().flat_map(|set| &set.matches);
        let mut counted = BTreeSet::new();
        for found in matches.filter(|found| found.phase <= 2 && found.is_telling()) {
            if !counted.insert((found.rule, found.variable)) {
                continue;
            }
            let place = Place {
                rule: found.rule,
                host: host.clone(),
                path: path.clone(),
                parameter: found.variable.to_owned(),
            };
            let is_full = self.places.len() >= PLACES_KEPT_MAX;
            if gateway::waf::parse_parameter(found.variable).is_none()
                || is_full && !self.places.contains_key(&place)
            {
                known.is_odd = true;
                continue;
            }
            let seen = self.places.entry(place).or_default();
            found.message.clone_into(&mut seen.message);
            seen.is_about_attacks |= is_about_attacks(found);
            seen.hits += 1;
            seen.successes += u64::from(is_success);
            *seen.actors.entry(name.clone()).or_default() |= is_success;
            if shapes::is_content_type(found.variable)
                && let Some(kind) = event.request_content_type.as_deref().map(media_type)
                && (seen.types.len() < TYPES_MAX || seen.types.contains_key(&kind))
            {
                *seen.types.entry(kind).or_default() += 1;
            }
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
        let known = self.known(actors_min);
        for (place, seen) in &self.places {
            if seen.actors.len() < actors_min {
                continue;
            }
            let ordinary = shapes.get(&(place.host.clone(), place.path.clone()));
            match self.objection(place, seen, &known, actors_min, ordinary) {
                Some(why) => declined.push(place.declined(why)),
                None => {
                    let elsewhere = known.by_rule.get(&(place.rule, place.host.as_str()));
                    let elsewhere = elsewhere.map_or(0, BTreeSet::len);
                    let has_findings = |name: &&String| {
                        self.actors.get(*name).is_some_and(|actor| actor.has_findings)
                    };
                    let found = seen.actors.keys().filter(has_findings).count();
                    let mut reason = seen.reason(found, elsewhere);
                    if let Some(told) = ordinary.and_then(|shapes| shapes.told(&place.parameter)) {
                        reason.push_str(&format!("; {told}"));
                    }
                    suggested.push(place.suggestion(reason, now));
                }
            }
        }
        (suggested, declined)
    }

    /// Somebody with a name who tripped only over what enough others with a name and without a finding tripped
    /// over, too, is one of them, whatever was found: the detection finds those who come first or often.
    fn known(&self, actors_min: usize) -> Known<'_> {
        let mut known =
            Known { attackers: BTreeSet::new(), common: BTreeSet::new(), by_rule: BTreeMap::new() };
        let mut odd: BTreeSet<&str> = BTreeSet::new();
        for (place, seen) in &self.places {
            let is_ordinary = |name: &str| {
                self.actors.get(name).is_some_and(|actor| actor.is_named && !actor.has_findings)
            };
            let came = seen.actors.iter().filter(|(name, success)| **success && is_ordinary(name));
            if came.count() >= actors_min {
                known.common.insert((&place.host, &place.path));
            } else {
                odd.extend(seen.actors.keys().map(String::as_str));
            }
        }
        for (name, actor) in self.actors.iter().filter(|(_, actor)| actor.has_findings) {
            let is_odd = actor.is_odd || odd.contains(name.as_str());
            if !actor.is_named || actor.has_other_findings || is_odd {
                known.attackers.insert(name);
            }
        }
        for (place, seen) in &self.places {
            let names = seen.actors.keys().map(String::as_str);
            let attackers: Vec<&str> =
                names.filter(|name| known.attackers.contains(name)).collect();
            if !attackers.is_empty() {
                known.by_rule.entry((place.rule, &place.host)).or_default().extend(attackers);
            }
        }
        known
    }

    /// What speaks against it being a false positive.
    fn objection(
        &self,
        place: &Place,
        seen: &Seen,
        known: &Known<'_>,
        actors_min: usize,
        ordinary: Option<&Shapes>,
    ) -> Option<String> {
        let found =
            seen.actors.keys().filter(|name| known.attackers.contains(name.as_str())).count();
        if found > 0 {
            return Some(format!("{found} who matched it there have findings"));
        }
        let is_scanner = |name: &&String| {
            let Some(actor) = self.actors.get(*name) else { return false };
            let is_own = |(host, path): &&(String, String)| {
                !(actor.is_named && known.common.contains(&(host.as_str(), path.as_str())))
            };
            actor.paths.iter().filter(is_own).count() > PLACES_MAX
        };
        if let Some(name) = seen.actors.keys().find(is_scanner) {
            return Some(format!("{name} tripped over rules at more than {PLACES_MAX} endpoints"));
        }
        let came = || seen.actors.iter().filter(|(_, success)| **success);
        let successful = came().count();
        if successful < actors_min {
            return Some(format!("{successful} of {} came to success", seen.actors.len()));
        }
        // The detection takes a swarm for visitors, too, once it is large enough.
        let is_named = |name: &String| self.actors.get(name).is_some_and(|actor| actor.is_named);
        let named = came().filter(|(name, _)| is_named(name)).count();
        if seen.is_about_attacks && named < actors_min {
            return Some(format!(
                "{named} of {} have logged in: strangers may be one attacker from many networks",
                seen.actors.len()
            ));
        }
        if ordinary.is_some_and(|shapes| shapes.is_strict(&place.parameter, actors_min as u64)) {
            return Some("the parameter is otherwise only numbers or ids".to_owned());
        }
        None
    }

    /// `None`: nothing was found. `Some(true)`: more than what rules told of.
    fn flags(&self, event: &Event) -> Option<bool> {
        let flag =
            |kind: EntityKind| self.flagged.get(&Entity::new(kind, event.entity(kind)?)).copied();
        let who = [EntityKind::Account, EntityKind::Credential, EntityKind::Session];
        // An address that many share says nothing of those who are known by name.
        let is_nameless = actor(event).is_none_or(|(_, is_named)| !is_named);
        let address = is_nameless.then(|| flag(EntityKind::Address)).flatten();
        who.into_iter().filter_map(flag).chain(address).max()
    }
}

impl Seen {
    /// `found`: those of its visitors whom a finding names for this and the like.
    fn reason(&self, found: usize, attackers_elsewhere: usize) -> String {
        let mut reason = format!(
            "`{}` matched {} visitors in {} requests, {} of them came to success",
            self.message,
            self.actors.len(),
            self.hits,
            self.successes,
        );
        let types = shapes::listed(&self.types);
        if !types.is_empty() {
            reason.push_str(&format!("; they sent {types}"));
        }
        if found > 0 {
            reason.push_str(&format!(
                "; {found} of them with findings only about what others trip over, too"
            ));
        }
        if attackers_elsewhere > 0 {
            reason.push_str(&format!(
                "; elsewhere on this host it matched {attackers_elsewhere} with findings"
            ));
        }
        reason
    }
}

impl Place {
    fn suggestion(&self, reason: String, now: Timestamp) -> Suggestion {
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

/// For `gateway.yaml`, below a `rules:`.
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
        out.push_str(&format!(
            "  - rule: {}\n    host: {}\n    path: {}\n    parameter: {}\n    added: {}\n    expires: {}\n    reason: {}\n",
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

/// It is about more than the request's form.
fn is_about_attacks(found: &WafMatch<'_>) -> bool {
    let is_form = |tag: &str| matches!(tag, "protocol" | "multipart-header" | "deprecated-header");
    found.phase <= 2
        && found.is_telling()
        && (found.attack_tags().next().is_none() || found.attack_tags().any(|tag| !is_form(tag)))
}

/// Breaks a line, or turns the direction of what follows.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Who it was, and whether a login here told: else by network, because addresses are cheap, and sessions and
/// keys are the client's to make up.
fn actor(event: &Event) -> Option<(String, bool)> {
    let is_stated = matches!(event.outcome_action.as_deref(), Some("login" | "token-issue"))
        || event.rest.get("plura").is_some_and(|ours| ours.get("account_from").is_some());
    if let Some(account) = event.account.as_deref().filter(|_| !is_stated) {
        return Some((Entity::new(EntityKind::Account, account).to_string(), true));
    }
    let network = event.src_ip.as_deref().and_then(network);
    let unplaced = || {
        [EntityKind::Credential, EntityKind::Session]
            .into_iter()
            .find_map(|kind| Some(Entity::new(kind, event.entity(kind)?).to_string()))
    };
    Some((network.or_else(unplaced)?, false))
}

/// Neighbours are one visitor: 24 bits of IPv4, 48 of IPv6, as the detection counts strangers.
fn network(address: &str) -> Option<String> {
    let (base, bits): (IpAddr, u8) = match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(v4) => ((v4 & Ipv4Addr::new(255, 255, 255, 0)).into(), 24),
        IpAddr::V6(v6) => ((v6 & Ipv6Addr::new(0xffff, 0xffff, 0xffff, 0, 0, 0, 0, 0)).into(), 48),
    };
    Some(format!("network:{base}/{bits}"))
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
