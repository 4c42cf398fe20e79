use super::device::{Age, age};
use super::travel::{CLOCK_SKEW_MS, Sighting};
use crate::site::words;
use schema::Timestamp;
use serde::{Deserialize, Serialize};

/// Somebody who authenticated longer ago has to do so again (NIST SP 800-63B-3 §4.2.3: "at least once per
/// 12 hours"); until then it counts as fallen silent.
const ASSURANCE_AGE_MAX_MS: i64 = 12 * 3_600_000;
/// A login from where nobody can have come from counts for a day, or until its session proves itself.
pub(super) const IMPOSSIBLE_TTL_MS: i64 = 24 * 3_600_000;
/// Bytes are summed over windows of this length.
const VOLUME_WINDOW_MS: i64 = 10 * 60_000;
/// Less within a window is never a bulk download, whatever is usual: 64 MiB are a report with pictures.
const BULK_BYTES_MIN: u64 = 64 << 20;
/// As much always is, until it is learnt what is usual.
const BULK_BYTES_CERTAIN: u64 = 512 << 20;
/// Networks changed within this tell of somebody on the move: as many as from home to train to office is
/// moving, more is variable (sheet 10 names no numbers).
const MOBILITY_WINDOW_MS: i64 = 60 * 60_000;
const NETWORKS_MOVING: usize = 3;
const NETWORKS_VARIABLE: usize = 5;
const NETWORKS_MAX: usize = 8;
/// As many refusals within this are repeated attempts (S12, X3: "several in a short time").
const REFUSALS_WINDOW_MS: i64 = 15 * 60_000;
const REFUSALS_MIN: usize = 5;

words!(
    /// What became of a second factor.
    MfaResult { Success = "success", Fail = "fail", NotUsed = "not_used", Bypassed = "bypassed" }
);

words!(
    /// Which kind of second factor, the strongest first.
    MfaMethod {
        PhishingResistant = "phishing_resistant",
        Push = "push",
        App = "app",
        Otp = "otp",
        Sms = "sms",
    }
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assurance {
    pub(crate) result: MfaResult,
    pub(crate) method: Option<MfaMethod>,
    pub(crate) at: Timestamp,
}

impl Assurance {
    pub(crate) fn is_silent(&self, at: Timestamp) -> bool {
        age(self.at, at, ASSURANCE_AGE_MAX_MS) == Age::Stale
    }
}

/// The first of its kind, with its time: an earlier one that comes late takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct First<T> {
    pub(crate) value: T,
    at: Timestamp,
}

fn first<T>(place: &mut Option<First<T>>, value: Option<T>, at: Timestamp) {
    if let Some(value) = value
        && place.as_ref().is_none_or(|known| at < known.at)
    {
        *place = Some(First { value, at });
    }
}

words!(
    /// How somebody moves between networks.
    Mobility { Still = "still", Moving = "moving", HighVariability = "high_variability" }
);

/// What is told of a session by one event.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step<'a> {
    pub(super) at: Timestamp,
    pub(super) network: Option<u64>,
    pub(super) device: Option<&'a str>,
    pub(super) agent: Option<u64>,
    pub(super) sighting: Option<Sighting>,
    pub(super) is_refused: bool,
    pub(super) bytes: u64,
}

/// One session of an account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) account: String,
    pub(crate) device: Option<First<String>>,
    pub(crate) agent: Option<First<u64>>,
    pub(crate) network: Option<First<u64>>,
    /// Networks with their last use.
    networks: Vec<(u64, Timestamp)>,
    pub(crate) assurance: Option<Assurance>,
    pub(super) impossible_at: Option<Timestamp>,
    pub(crate) sighting: Option<Sighting>,
    /// Number of the window, what was read in it, and in the one before.
    window: i64,
    bytes: u64,
    bytes_before: u64,
    refusals: Vec<Timestamp>,
}

impl Session {
    pub(super) fn of(account: &str) -> Self {
        Session { account: account.to_owned(), window: i64::MIN, ..Session::default() }
    }

    /// Takes in one event. Gives the sum of a window that ended, for the account to learn from.
    pub(super) fn step(&mut self, step: &Step<'_>) -> Option<u64> {
        first(&mut self.device, step.device.map(str::to_owned), step.at);
        first(&mut self.agent, step.agent, step.at);
        first(&mut self.network, step.network, step.at);
        if let Some(network) = step.network {
            self.visit(network, step.at);
        }
        if let Some(here) = step.sighting {
            if self.sighting.is_some_and(|there| there.is_impossible_with(&here)) {
                self.impossible_at = self.impossible_at.max(Some(here.at));
            }
            if self.sighting.is_none_or(|there| there.at <= here.at) {
                self.sighting = Some(here);
            }
        }
        if step.is_refused {
            let place = self.refusals.partition_point(|known| *known <= step.at);
            self.refusals.insert(place, step.at);
            if self.refusals.len() > REFUSALS_MIN {
                self.refusals.remove(0);
            }
        }
        self.count(step.at.div_euclid(VOLUME_WINDOW_MS), step.bytes)
    }

    fn visit(&mut self, network: u64, at: Timestamp) {
        match self.networks.iter_mut().find(|(known, _)| *known == network) {
            Some((_, last)) => *last = at.max(*last),
            None => self.networks.push((network, at)),
        }
        if self.networks.len() > NETWORKS_MAX {
            let oldest = self.networks.iter().enumerate().min_by_key(|(_, (_, last))| *last);
            if let Some((place, _)) = oldest {
                self.networks.remove(place);
            }
        }
    }

    fn count(&mut self, window: i64, bytes: u64) -> Option<u64> {
        if window == self.window {
            self.bytes = self.bytes.saturating_add(bytes);
            return None;
        }
        if window < self.window {
            if window == self.window - 1 {
                self.bytes_before = self.bytes_before.saturating_add(bytes);
            }
            return None;
        }
        let ended = (self.bytes > 0).then_some(self.bytes);
        self.bytes_before = if self.window == window - 1 { self.bytes } else { 0 };
        self.bytes = bytes;
        self.window = window;
        ended
    }

    /// A login binds the session anew.
    pub(super) fn renew(&mut self, at: Timestamp) {
        self.device = self.device.take().filter(|known| known.at >= at);
        self.agent = self.agent.take().filter(|known| known.at >= at);
        self.network = self.network.take().filter(|known| known.at >= at);
    }

    pub(super) fn assure(&mut self, assurance: Assurance) {
        if self.assurance.is_none_or(|known| known.at <= assurance.at) {
            self.assurance = Some(assurance);
        }
    }

    /// Whether it was where it cannot have been, and has not proved itself since.
    pub(crate) fn is_impossible(&self, at: Timestamp) -> bool {
        let Some(told) = self.impossible_at else { return false };
        let proved = self
            .assurance
            .is_some_and(|known| known.result == MfaResult::Success && known.at > told);
        !proved && at.saturating_sub(told) < IMPOSSIBLE_TTL_MS
    }

    pub(crate) fn mobility(&self, at: Timestamp) -> Mobility {
        let recent = |(_, last): &&(u64, Timestamp)| {
            (-CLOCK_SKEW_MS..MOBILITY_WINDOW_MS).contains(&at.saturating_sub(*last))
        };
        match self.networks.iter().filter(recent).count() {
            NETWORKS_VARIABLE.. => Mobility::HighVariability,
            NETWORKS_MOVING.. => Mobility::Moving,
            _ => Mobility::Still,
        }
    }

    /// Whether much is being read, measured by what is usual for the account; `None` while that is unknown.
    pub(crate) fn is_bulk(&self, at: Timestamp, usual_max: Option<u64>) -> Option<bool> {
        let now = at.div_euclid(VOLUME_WINDOW_MS);
        let most = match now.saturating_sub(self.window) {
            ..=0 => self.bytes.max(self.bytes_before),
            1 => self.bytes,
            _ => 0,
        };
        match usual_max {
            _ if most < BULK_BYTES_MIN => Some(false),
            Some(usual) => Some(most > usual),
            None if most >= BULK_BYTES_CERTAIN => Some(true),
            None => None,
        }
    }

    pub(crate) fn is_refused_often(&self, at: Timestamp) -> bool {
        let recent = |told: &&Timestamp| {
            (-CLOCK_SKEW_MS..REFUSALS_WINDOW_MS).contains(&at.saturating_sub(**told))
        };
        self.refusals.iter().filter(recent).count() >= REFUSALS_MIN
    }
}
