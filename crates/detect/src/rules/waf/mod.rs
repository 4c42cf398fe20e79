//! What the rules of a web application firewall told: `web-attack`, who sends attacks, and
//! `response-disclosure`, an endpoint whose answers tell what they should not.
//!
//! One actor is one finding, however many rules it trips. A rule that matches ordinary visitors of a place
//! is a false positive of that place: once enough of them got through, it says nothing there.

mod told;

use super::{Rule, points};
use crate::book::Draft;
use crate::detector::Detector;
use crate::distinct::Distinct;
use crate::entities::Known;
use crate::hash::{Key, Of, pair, short};
use crate::seen::Seen;
use crate::table::Table;
use crate::window::Pair;
use schema::{Entity, EntityKind, Event, Finding, OutcomeResult, Severity, class};
use told::{Kind, Kinds, Leak, Told};

/// Others of one kind that a finding names.
const OTHERS_MAX: usize = 8;
/// Endpoints from which it is a scan.
const SCAN_ENDPOINTS_MIN: u32 = 5;
const CONFIDENCE_MAX: u32 = 95;

/// Who sends attacks, and where rules match everybody.
pub(crate) struct WebAttacks {
    actors: Table<Pair<Attacks>>,
    /// By endpoint, rule and parameter: whom it matched and let through.
    places: Table<Known<8>>,
}

/// What one actor sent in a window.
#[derive(Debug, Clone, Default)]
struct Attacks {
    counts: Counts,
    rules: Distinct,
    /// Those of familiar matches, too.
    endpoints: Distinct,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Requests over the mark.
    requests: u32,
    blocked: u32,
    would_block: u32,
    /// Not blocked, and the application did what was asked.
    passed: u32,
    /// Blocked, or refused by the application.
    refused: u32,
    /// Responses that told too much and were sent.
    leaks: u32,
    score: i64,
    kinds: Kinds,
}

/// A whole window.
#[derive(Debug, Clone, Copy)]
struct All {
    counts: Counts,
    rules: u32,
    endpoints: u32,
}

impl WebAttacks {
    pub(crate) fn new(actors: usize) -> Self {
        WebAttacks { actors: Table::new(actors), places: Table::new(actors) }
    }

    pub(crate) fn bytes(&mut self) -> usize {
        let mut heap = 0;
        self.actors.for_each_mut(|window| {
            let cells = [&window.now, &window.before];
            heap += cells
                .map(|c| c.rules.heap_bytes() + c.endpoints.heap_bytes())
                .iter()
                .sum::<usize>();
        });
        self.actors.bytes() + self.places.bytes() + heap
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.actors.evicted() + self.places.evicted()
    }
}

impl All {
    fn of(window: &Pair<Attacks>) -> All {
        let (now, before) = (&window.now, &window.before);
        let mut counts = now.counts;
        counts.join(&before.counts);
        All {
            counts,
            rules: now.rules.union_count(&before.rules),
            endpoints: now.endpoints.union_count(&before.endpoints),
        }
    }
}

impl Counts {
    fn of(told: &Told<'_>, leaked: bool) -> Counts {
        let leaks = u32::from(leaked);
        if !told.is_attack {
            return Counts { leaks, ..Counts::default() };
        }
        Counts {
            requests: 1,
            blocked: u32::from(told.blocked),
            would_block: u32::from(told.would_block),
            // Being odd and answered is nothing that came about.
            passed: u32::from(told.passed && !told.kinds.is_light()),
            refused: u32::from(told.refused),
            leaks,
            score: told.score,
            kinds: told.kinds,
        }
    }

    fn join(&mut self, other: &Counts) {
        self.requests = self.requests.saturating_add(other.requests);
        self.blocked = self.blocked.saturating_add(other.blocked);
        self.would_block = self.would_block.saturating_add(other.would_block);
        self.passed = self.passed.saturating_add(other.passed);
        self.refused = self.refused.saturating_add(other.refused);
        self.leaks = self.leaks.saturating_add(other.leaks);
        self.score = self.score.max(other.score);
        self.kinds.add(&other.kinds);
    }

    fn severity(&self, is_telling: bool) -> Severity {
        match () {
            () if self.kinds.is_light() => Severity::Low,
            () if self.kinds.is_grave() && self.passed > 0 && self.leaks > 0 => Severity::Critical,
            () if self.kinds.is_grave() && self.passed > 0 && is_telling => Severity::High,
            () if self.kinds.is_grave() || self.passed > 0 => Severity::Medium,
            () => Severity::Low,
        }
    }

    fn outcome(&self) -> (OutcomeResult, Option<&'static str>) {
        match () {
            () if self.leaks > 0 => (OutcomeResult::Success, Some("response-sent")),
            () if self.passed > 0 => (OutcomeResult::Success, Some("request-passed")),
            () if self.refused < self.requests => (OutcomeResult::Unknown, None),
            () if self.blocked > 0 => (OutcomeResult::Failure, Some("waf-blocked")),
            () => (OutcomeResult::Failure, Some("request-refused")),
        }
    }
}

impl Detector {
    /// Takes what rules told of an exchange, whether or not it was blocked.
    pub(crate) fn waf(&mut self, event: &Event, found: &mut Vec<Finding>) {
        if !matches!(event.class_uid, class::HTTP_ACTIVITY | class::API_ACTIVITY) {
            return;
        }
        let sets = schema::waf_sets(event);
        if sets.is_empty() {
            return;
        }
        let seen = Seen::new(event, &self.hasher, &self.config);
        let mut told = Told::of(&sets, &seen);
        if let Some(leak) = told.leak {
            found.extend(self.disclosure(&seen, leak));
        }
        let Some((subject, key)) = self.attacker(&seen) else { return };
        let config = &self.config.web_attack;
        let window = self.web_attacks.actors.touch(key, Default::default);
        let Some(cell) = window.at(seen.time, config.window_secs) else {
            self.stats.late += 1;
            return;
        };
        if told.is_attack {
            cell.endpoints.insert(seen.endpoint.unwrap_or(seen.scope));
            let endpoints = window.now.endpoints.union_count(&window.before.endpoints);
            let is_visitor = told.passed && endpoints <= config.familiar_places_max;
            told.is_attack = !self.is_familiar(&seen, &told, (subject.kind, key), is_visitor);
        }
        let leaked = told.leak.is_some_and(|leak| leak.sent);
        let config = &self.config.web_attack;
        let window = self.web_attacks.actors.touch(key, Default::default);
        let Some(cell) = window.at(seen.time, config.window_secs) else { return };
        cell.counts.join(&Counts::of(&told, leaked));
        for rule in told.rules.iter().filter(|_| told.is_attack) {
            cell.rules.insert(pair(*rule, 1));
        }
        let all = All::of(window);
        let counts = &all.counts;
        if counts.requests == 0 || !(told.is_attack || leaked) {
            return;
        }
        let trail = self.book.trail(Rule::WebAttack, key, seen.time, config.window_secs * 2);
        trail.cite(event);
        // What a login states is a guess; what a request carries may be made up. An address is neither.
        for kind in
            [EntityKind::Address, EntityKind::Session, EntityKind::Credential, EntityKind::Endpoint]
        {
            trail.name(seen.time, kind, event.entity(kind), OTHERS_MAX);
        }
        let is_varied = counts.kinds.count() >= config.kinds_min;
        let is_several = counts.requests >= config.requests_min
            || is_varied && counts.requests >= config.varied_requests_min;
        let is_at_once = told.is_attack && told.passed && told.is_grave && told.kinds.is_grave();
        let is_open = self.book.is_open(Rule::WebAttack, key, seen.time);
        if is_several || is_at_once || is_open {
            found.extend(self.web_attack(&seen, subject, key, &all, &told, is_several));
        }
    }

    /// Whose doing it is: one entity that the client does not choose anew with each request.
    fn attacker(&self, seen: &Seen<'_>) -> Option<(Entity, Key)> {
        let is_stated = seen.is_login
            || seen.event.rest.get("plura").is_some_and(|ours| ours.get("account_from").is_some());
        let has_worked = |key: Key| {
            self.credentials.get(key).is_some_and(|known| known.requests > known.failures)
        };
        let account = seen.account.filter(|_| !is_stated);
        let credential = seen.credential.filter(|key| has_worked(*key));
        [
            (EntityKind::Account, account),
            (EntityKind::Credential, credential),
            (EntityKind::Address, seen.source),
            (EntityKind::Session, seen.session),
            (EntityKind::Credential, seen.credential),
        ]
        .into_iter()
        .find_map(|(kind, key)| Some((seen.entity(kind)?, key?)))
    }

    /// All that matched matches others at this place, too, and they got through.
    fn is_familiar(
        &mut self,
        seen: &Seen<'_>,
        told: &Told<'_>,
        (kind, key): (EntityKind, Key),
        is_visitor: bool,
    ) -> bool {
        let marked = self.config.web_attack.familiar_actors_min;
        if marked == 0 {
            return false;
        }
        // Strangers count by network: addresses are cheap, and a session or key may be made up.
        let who = match (kind, seen.network) {
            (EntityKind::Address | EntityKind::Session, Some(network)) => network,
            _ => short(key),
        };
        let mut is_familiar = true;
        for (rule, variable) in &told.places {
            let name: String = variable.chars().filter(|c| !c.is_ascii_digit()).collect();
            let word = self.hasher.key(Of::Word, *rule, &name);
            let place = pair(seen.endpoint.unwrap_or(seen.scope), word);
            let known = self.web_attacks.places.touch(place, Default::default);
            is_familiar &= known.count() >= marked.min(8);
            if is_visitor {
                known.remember(who);
            }
        }
        is_familiar
    }

    fn web_attack(
        &mut self,
        seen: &Seen<'_>,
        subject: Entity,
        key: Key,
        all: &All,
        told: &Told<'_>,
        is_several: bool,
    ) -> Option<Finding> {
        let config = &self.config.web_attack;
        let mut draft = Draft::new(Rule::WebAttack, subject, key, seen.event);
        draft.trail = self.book.known_trail(Rule::WebAttack, key).cloned().unwrap_or_default();
        let All { counts, rules, endpoints } = *all;
        draft.severity = counts.severity(is_several || told.rules.len() > 1);
        let confidence = if is_several {
            let factor = f64::from(counts.requests) / f64::from(config.requests_min.max(1));
            let kinds = 10 * u32::from(counts.kinds.count() > 1);
            let base = if counts.kinds.is_light() { 40 } else { 60 };
            base + points(factor, 5.0, 15.0) + kinds + 5 * u32::from(endpoints >= 3)
        } else {
            // One request may be somebody who writes about databases.
            45 + 10 * u32::from(rules > 1)
        };
        draft.confidence = confidence.min(CONFIDENCE_MAX) as u8;
        (draft.outcome, draft.reason) = counts.outcome();
        if counts.kinds.has(Kind::Scanner) || endpoints >= SCAN_ENDPOINTS_MIN {
            draft.attack(&[("TA0043", "T1595.002")]);
        }
        if !counts.kinds.is_light() {
            draft.attack(&[("TA0001", "T1190")]);
        }
        if counts.passed > 0 && (counts.kinds.has(Kind::Command) || counts.kinds.has(Kind::Code)) {
            draft.attack(&[("TA0002", "T1059")]);
        }
        draft.magnitude = f64::from(counts.requests);
        draft.numbers = vec![
            ("requests", f64::from(counts.requests)),
            ("blocked", f64::from(counts.blocked)),
            ("would_block", f64::from(counts.would_block)),
            ("passed", f64::from(counts.passed)),
            ("leaks", f64::from(counts.leaks)),
            ("rules", f64::from(rules)),
            ("endpoints", f64::from(endpoints)),
            ("score", counts.score as f64),
            ("window_secs", f64::from(config.window_secs)),
        ];
        draft.numbers.extend(counts.kinds.numbers());
        self.book.report(draft)
    }

    /// The endpoint answers with what is not for visitors: errors of its database, its own code, a web shell's page.
    fn disclosure(&mut self, seen: &Seen<'_>, leak: Leak) -> Option<Finding> {
        let subject = seen.entity(EntityKind::Endpoint)?;
        let key = seen.endpoint?;
        let memory_secs = self.config.web_attack.window_secs * 2;
        let trail = self.book.trail(Rule::ResponseDisclosure, key, seen.time, memory_secs);
        trail.cite(seen.event);
        trail.name(seen.time, EntityKind::Address, seen.event.src_ip.as_deref(), OTHERS_MAX);
        let mut draft = Draft::new(Rule::ResponseDisclosure, subject, key, seen.event);
        draft.trail = trail.clone();
        draft.severity = match (leak.sent, leak.shell) {
            (true, true) => Severity::High,
            (true, false) | (false, true) => Severity::Medium,
            (false, false) => Severity::Low,
        };
        draft.confidence = if leak.shell { 75 } else { 60 };
        (draft.outcome, draft.reason) = if leak.sent {
            (OutcomeResult::Success, Some("response-sent"))
        } else {
            (OutcomeResult::Failure, Some("waf-blocked"))
        };
        draft.attack(if leak.shell {
            &[("TA0003", "T1505.003")]
        } else {
            &[("TA0043", "T1592.002")]
        });
        draft.magnitude = draft.trail.total() as f64;
        draft.numbers = vec![
            ("responses", draft.trail.total() as f64),
            ("sent", f64::from(u8::from(leak.sent))),
            ("score", leak.score as f64),
        ];
        self.book.report(draft)
    }
}
