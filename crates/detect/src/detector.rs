//! The detector: one per tenant, fed one event at a time.

use crate::book::Book;
use crate::config::DetectConfig;
use crate::distinct::Distinct;
use crate::entities::{Account, Credential, Endpoint, Site, Source, Usage, Visitor};
use crate::hash::{Hasher, Key, Of};
use crate::rules::{Host, Prompts, WebAttacks};
use crate::seen::Seen;
use crate::table::Table;
use crate::window::Pair;
use schema::{EntityKind, Event, Finding, Timestamp, class};

/// Sources whose newest event time is remembered; beyond it the least recently heard begins anew.
const STREAMS_MAX: usize = 4_096;
/// 9999-12-31T23:59:59Z, the end of RFC 3339.
const TIME_MAX: Timestamp = 253_402_300_799_000;
/// Sites and hosts that take logins.
const SITES_MAX: usize = 4_096;
/// The hash key where the tenant gives none of its own.
const PUBLIC_KEY: [u8; 16] = *b"plura detect v1 ";

/// What is remembered, and what was not judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DetectStats {
    pub events: u64,
    /// Entities with state: accounts, credentials, sessions and visitors, sources, endpoints, sites.
    pub entities: u64,
    /// An estimate of the memory of all state.
    pub bytes: u64,
    /// Events later than the allowed lateness, or older than every window of their entity.
    pub late: u64,
    /// Events dated too far ahead of their receipt, or outside the years 1970 to 9999.
    pub future: u64,
    /// States forgotten because a limit was reached.
    pub evicted: u64,
}

/// Objects one actor asked an endpoint for, in a window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    pub(crate) objects: Distinct,
    pub(crate) denied: Distinct,
    pub(crate) requests: u32,
    /// Requests for the number just after the last one.
    pub(crate) steps: u32,
    pub(crate) last_number: u64,
}

/// Judges events as they come. Same events in the same order, same findings.
pub struct Detector {
    pub(crate) config: DetectConfig,
    pub(crate) hasher: Hasher,
    pub(crate) book: Book,
    pub(crate) accounts: Table<Account>,
    pub(crate) credentials: Table<Credential>,
    pub(crate) visitors: Table<Visitor>,
    pub(crate) sources: Table<Source>,
    pub(crate) sites: Table<Site>,
    pub(crate) endpoints: Table<Endpoint>,
    pub(crate) walks: Table<Pair<Walk>>,
    pub(crate) prompts: Table<Pair<Prompts>>,
    pub(crate) web_attacks: WebAttacks,
    pub(crate) host: Host,
    pub(crate) phrases: Option<aho_corasick::AhoCorasick>,
    streams: Table<Timestamp>,
    newest: Timestamp,
    pub(crate) stats: DetectStats,
}

impl Detector {
    /// A detector with a public hash key: for tests, scenarios and replays elsewhere.
    pub fn new(config: DetectConfig) -> Self {
        Detector::with_hash_key(config, PUBLIC_KEY)
    }

    /// A detector whose keys nobody outside can foresee, against crafted collisions.
    ///
    /// Give each tenant a random key and keep it: replaying under the same key gives the same findings.
    /// The key shows in nothing but estimates of large counts.
    pub fn with_hash_key(config: DetectConfig, key: [u8; 16]) -> Self {
        let limits = &config.limits;
        Detector {
            hasher: Hasher::new(key),
            book: Book::new(limits.trails, limits.findings, config.time.refire_secs),
            accounts: Table::new(limits.accounts),
            credentials: Table::new(limits.credentials),
            visitors: Table::new(limits.visitors),
            sources: Table::new(limits.sources),
            sites: Table::new(SITES_MAX),
            endpoints: Table::new(limits.endpoints),
            walks: Table::new(limits.walks),
            prompts: Table::new(limits.trails),
            web_attacks: WebAttacks::new(limits.trails),
            host: Host::new(&config),
            phrases: crate::rules::phrases(),
            streams: Table::new(STREAMS_MAX),
            newest: 0,
            stats: DetectStats::default(),
            config,
        }
    }

    /// Takes one event; gives the findings it completes or makes graver.
    pub fn observe(&mut self, event: &Event) -> Vec<Finding> {
        let mut found = Vec::new();
        self.stats.events += 1;
        if !self.admit(event) {
            return found;
        }
        // What rules told counts, blocked or not.
        self.waf(event, &mut found);
        // A request the gateway held back says nothing about the application or the entity's habits.
        if matches!(
            event.enforced_rung.as_deref(),
            Some("limit" | "step-up" | "isolate" | "block" | "revoke" | "rotate")
        ) {
            return found;
        }
        match event.class_uid {
            class::HTTP_ACTIVITY | class::API_ACTIVITY => {
                let seen = Seen::new(event, &self.hasher, &self.config);
                self.web(&seen, &mut found);
            }
            class::AUTHENTICATION => {
                let seen = Seen::new(event, &self.hasher, &self.config);
                if seen.is_login {
                    self.login(&seen, &mut found);
                }
            }
            class::PROCESS_ACTIVITY => self.process(event, &mut found),
            class::FILE_SYSTEM_ACTIVITY => self.file(event),
            class::NETWORK_ACTIVITY => self.network(event, &mut found),
            _ => {}
        }
        found
    }

    /// Time has passed to `now`, with or without events: gives the last word on findings that have ended.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Finding> {
        let time = &self.config.time;
        let quiet_ms = (i64::from(time.refire_secs) + i64::from(time.lateness_secs)) * 1000;
        self.book.close(now.saturating_sub(quiet_ms))
    }

    /// Walks all state once; for health pages, not for every event.
    pub fn stats(&mut self) -> DetectStats {
        let tables = [
            (self.accounts.len(), self.accounts.bytes(), self.accounts.evicted()),
            (self.credentials.len(), self.credentials.bytes(), self.credentials.evicted()),
            (self.visitors.len(), self.visitors.bytes(), self.visitors.evicted()),
            (self.sources.len(), self.sources.bytes(), self.sources.evicted()),
            (self.sites.len(), self.sites.bytes(), self.sites.evicted()),
            (self.endpoints.len(), self.endpoints.bytes(), self.endpoints.evicted()),
        ];
        let mut heap = 0;
        self.walks.for_each_mut(|walk| {
            heap += [&walk.now, &walk.before]
                .map(|cell| cell.objects.heap_bytes() + cell.denied.heap_bytes())
                .iter()
                .sum::<usize>();
        });
        self.sources.for_each_mut(|source| {
            heap += source.login.now.heap_bytes() + source.login.before.heap_bytes()
        });
        self.endpoints.for_each_mut(|endpoint| {
            heap += endpoint.cell.now.heap_bytes() + endpoint.cell.before.heap_bytes()
        });
        let other = self.walks.bytes()
            + self.prompts.bytes()
            + self.web_attacks.bytes()
            + self.host.bytes()
            + self.book.bytes()
            + heap;
        DetectStats {
            entities: tables.iter().map(|table| table.0 as u64).sum(),
            bytes: (tables.iter().map(|table| table.1).sum::<usize>() + other) as u64,
            evicted: tables.iter().map(|table| table.2).sum::<u64>()
                + self.walks.evicted()
                + self.prompts.evicted()
                + self.web_attacks.evicted()
                + self.host.evicted()
                + self.book.evicted(),
            ..self.stats
        }
    }

    /// The newest event time seen.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    fn admit(&mut self, event: &Event) -> bool {
        let time = &self.config.time;
        // Before 1970 or after 9999 is no time; and sums of what is left cannot overflow.
        if !(0..=TIME_MAX).contains(&event.time) {
            self.stats.future += 1;
            return false;
        }
        if (1..=TIME_MAX).contains(&event.received)
            && event.time > event.received + i64::from(time.future_secs) * 1000
        {
            self.stats.future += 1;
            return false;
        }
        // Each source has its own clock: a host log imported after the web log is not late.
        let stream = self.hasher.key(
            Of::Stream,
            event.class_uid as Key,
            event.source.as_deref().unwrap_or(""),
        );
        let newest = self.streams.touch(stream, || event.time);
        if event.time < *newest - i64::from(time.lateness_secs) * 1000 {
            self.stats.late += 1;
            return false;
        }
        *newest = (*newest).max(event.time);
        self.newest = self.newest.max(event.time);
        true
    }

    fn web(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
        self.flood(seen, found);
        if seen.is_login {
            self.login(seen, found);
        }
        if let Some(credential) = seen.credential {
            let learning = &self.config.learning;
            self.credentials
                .touch(credential, || Credential::new(seen.time, learning))
                .history
                .roll(seen.time, learning);
        }
        if let Some(account) = seen.account.filter(|_| !seen.is_login) {
            let learning = &self.config.learning;
            self.accounts
                .touch(account, || Account::new(seen.time, learning))
                .history
                .roll(seen.time, learning);
            self.takeover_behaviour(seen, account, found);
        }
        let injection = self.prompt(seen, found);
        if let Some((kind, actor)) = seen.actor().filter(|_| !seen.is_login) {
            let usage = self.count(seen, kind, actor);
            if let Some((old, new)) = usage {
                self.leakage(seen, (kind, actor), old, new, found);
            }
            self.enumeration(seen, (kind, actor), found);
        }
        if let Some(credential) = seen.credential {
            self.credential(seen, credential, injection, found);
        }
        self.web_shell(seen, found);
    }

    /// Adds the event to its actor's window; gives the window's personal data before and after.
    fn count(&mut self, seen: &Seen<'_>, kind: EntityKind, actor: Key) -> Option<(u32, u32)> {
        let learning = &self.config.learning;
        let window = match kind {
            EntityKind::Credential => {
                &mut self.credentials.touch(actor, || Credential::new(seen.time, learning)).usage
            }
            EntityKind::Account => {
                &mut self.accounts.touch(actor, || Account::new(seen.time, learning)).usage
            }
            _ => &mut self.visitors.touch(actor, Visitor::default).usage,
        };
        let Some(cell) = window.at(seen.time, self.config.leakage.window_secs) else {
            self.stats.late += 1;
            return None;
        };
        let old = cell.personal;
        cell.add(seen);
        let new = cell.personal;
        Some((old, new))
    }
}

impl Usage {
    fn add(&mut self, seen: &Seen<'_>) {
        let amount =
            |value: Option<i64>| u32::try_from(value.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
        self.requests = self.requests.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(seen.denied));
        self.personal = self.personal.saturating_add(amount(seen.event.response_personal_count));
        self.tokens = self
            .tokens
            .saturating_add(amount(seen.event.tokens_in))
            .saturating_add(amount(seen.event.tokens_out));
    }
}
