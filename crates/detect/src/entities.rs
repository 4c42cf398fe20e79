//! State per entity. Compact on purpose: sizes are part of the promise (see [`crate::LimitConfig`]).

use crate::config::LearningConfig;
use crate::history::{History, Peers};
use crate::rules::{Cell, SiteLogin, SourceLogin, Suspicion, Usual};
use crate::window::Pair;

/// Measures of an account's history.
pub(crate) mod account {
    pub(crate) const OBJECTS: usize = 0;
    pub(crate) const PERSONAL: usize = 1;
}

/// Measures of a credential's history.
pub(crate) mod credential {
    pub(crate) const REQUESTS: usize = 0;
    pub(crate) const TOKENS: usize = 1;
    pub(crate) const OBJECTS: usize = 2;
    pub(crate) const PERSONAL: usize = 3;
}

/// Measures of an endpoint's history.
pub(crate) mod endpoint {
    pub(crate) const REQUESTS: usize = 0;
    pub(crate) const FACELESS: usize = 1;
    pub(crate) const AGENT: usize = 2;
}

/// Measures of a site's history.
pub(crate) mod site {
    pub(crate) const FAILED_ACCOUNTS: usize = 0;
    pub(crate) const FAILURE_PERMILLE: usize = 1;
}

/// What one actor did in a window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) requests: u32,
    pub(crate) failures: u32,
    pub(crate) personal: u32,
    pub(crate) tokens: u32,
}

/// The `N` last used of something; 0 is an empty place.
#[derive(Debug, Clone)]
pub(crate) struct Known<const N: usize>([u32; N]);

impl<const N: usize> Default for Known<N> {
    fn default() -> Self {
        Known([0; N])
    }
}

impl<const N: usize> Known<N> {
    pub(crate) fn contains(&self, value: u32) -> bool {
        self.0.contains(&value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.first().is_none_or(|first| *first == 0)
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.iter().filter(|known| **known != 0).count() as u32
    }

    /// Every place is taken: whoever this is goes about so much that a new one says little.
    pub(crate) fn is_full(&self) -> bool {
        self.0.last().is_some_and(|last| *last != 0)
    }

    /// Moves `value` to the front; the one not used for longest falls out.
    pub(crate) fn remember(&mut self, value: u32) {
        if self.0.first() == Some(&value) {
            return;
        }
        let place = self.0.iter().position(|known| *known == value).unwrap_or(N.saturating_sub(1));
        if let Some(front) = self.0.get_mut(..=place) {
            front.rotate_right(1);
        }
        if let Some(first) = self.0.first_mut() {
            *first = value;
        }
    }
}

/// Which endpoints were used: a Bloom filter (Bloom 1970) of 128 bits and two hashes, for 20 endpoints
/// wrong in one of 13 cases, and then on the quiet side.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Endpoints(u128);

impl Endpoints {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, key: u64) -> bool {
        self.0 & bits(key) == bits(key)
    }

    pub(crate) fn remember(&mut self, key: u64) {
        self.0 |= bits(key);
    }
}

fn bits(key: u64) -> u128 {
    (1 << (key & 127)) | (1 << ((key >> 7) & 127))
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AccountLogin {
    pub(crate) failures: u16,
    pub(crate) successes: u16,
    /// Networks that failed: linear counting (Whang, Vander-Zanden and Taylor 1990) in 32 bits.
    pub(crate) networks: u32,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) history: History<2>,
    pub(crate) usage: Pair<Usage>,
    pub(crate) login: Pair<AccountLogin>,
    pub(crate) networks: Known<6>,
    pub(crate) agents: Known<4>,
    pub(crate) endpoints: Endpoints,
    pub(crate) suspicion: Option<Box<Suspicion>>,
}

impl Account {
    pub(crate) fn new(time: i64, learning: &LearningConfig) -> Self {
        Account {
            history: History::new(time, learning),
            usage: Pair::default(),
            login: Pair::default(),
            networks: Known::default(),
            agents: Known::default(),
            endpoints: Endpoints::default(),
            suspicion: None,
        }
    }
}

/// What came from networks a credential had never been used from.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    pub(crate) since: i64,
    pub(crate) last: i64,
    pub(crate) requests: u32,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
    pub(crate) tokens: u32,
    pub(crate) injections: u32,
    pub(crate) new_endpoints: Endpoints,
    pub(crate) new_endpoints_count: u32,
    pub(crate) new_agent: bool,
    pub(crate) overlap: bool,
    pub(crate) told: bool,
}

#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) history: History<4>,
    pub(crate) usage: Pair<Usage>,
    pub(crate) networks: Known<8>,
    pub(crate) agents: Known<6>,
    pub(crate) endpoints: Endpoints,
    /// Lifetime counts, halved together when full: the usual share of failures.
    pub(crate) requests: u32,
    pub(crate) failures: u32,
    pub(crate) last_home_secs: u32,
    pub(crate) foreign: Option<Box<Foreign>>,
}

impl Credential {
    pub(crate) fn new(time: i64, learning: &LearningConfig) -> Self {
        Credential {
            history: History::new(time, learning),
            usage: Pair::default(),
            networks: Known::default(),
            agents: Known::default(),
            endpoints: Endpoints::default(),
            requests: 0,
            failures: 0,
            last_home_secs: 0,
            foreign: None,
        }
    }
}

/// A session without account, or an anonymous visitor.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    pub(crate) usage: Pair<Usage>,
}

/// An address that logs in.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) login: Pair<SourceLogin>,
    /// Accounts that failed and never got in, per sample.
    pub(crate) history: History<1>,
}

impl Source {
    pub(crate) fn new(time: i64, learning: &LearningConfig) -> Self {
        Source { login: Pair::default(), history: History::new(time, learning) }
    }
}

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) login: Pair<SiteLogin>,
    pub(crate) history: History<2>,
    /// Personal data per actor and window.
    pub(crate) personal: Peers,
}

impl Site {
    pub(crate) fn new(time: i64, learning: &LearningConfig) -> Self {
        Site {
            login: Pair::default(),
            history: History::new(time, learning),
            personal: Peers::default(),
        }
    }
}

pub(crate) struct Endpoint {
    pub(crate) cell: Pair<Cell>,
    pub(crate) history: History<3>,
    pub(crate) usual: Usual,
    /// Objects per actor and window.
    pub(crate) objects: Peers,
}

impl Endpoint {
    pub(crate) fn new(time: i64, learning: &LearningConfig) -> Self {
        Endpoint {
            cell: Pair::default(),
            usual: Usual::default(),
            history: History::new(time, learning),
            objects: Peers::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LimitConfig;

    /// What a million entities take at most, all under attack at once, every set an estimate.
    #[test]
    fn a_million_entities_fit_in_a_gibibyte_even_under_attack() {
        // Key and flag of a node, and 17 bytes per place of a hash map at most half empty.
        let place = 16 + 34;
        let estimate = 256;
        let limits = LimitConfig::default();
        let parts = [
            limits.accounts * (size_of::<Account>() + size_of::<Suspicion>() + place),
            limits.credentials * (size_of::<Credential>() + size_of::<Foreign>() + place),
            limits.visitors * (size_of::<Visitor>() + place),
            // Failed and succeeded accounts, in two cells; in a tenth of them password hashes too.
            limits.sources * (size_of::<Source>() + place + 2 * estimate)
                + limits.sources / 10 * 4 * estimate,
            limits.endpoints * (size_of::<Endpoint>() + place + 2 * 3_072),
            limits.walks * (size_of::<Pair<crate::detector::Walk>>() + place + 2 * estimate),
            // 64 event ids with times, and half of the companions that fit.
            limits.trails * (64 * 24 + 48 * 64 + place),
            limits.findings * 12_288,
            limits.processes * (16 + place),
        ];
        let total: usize = parts.iter().sum();
        let entities = limits.accounts
            + limits.credentials
            + limits.visitors
            + limits.sources
            + limits.endpoints;
        assert_eq!(entities, 1_000_000);
        assert!(total < 1 << 30, "{} MiB: {parts:?}", total >> 20);
        let sizes = [
            size_of::<Account>(),
            size_of::<Credential>(),
            size_of::<Visitor>(),
            size_of::<Source>(),
        ];
        assert!(
            sizes[0] <= 380 && sizes[1] <= 640 && sizes[2] <= 100 && sizes[3] <= 330,
            "{sizes:?}"
        );
    }
}
