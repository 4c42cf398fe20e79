//! What is usual for an account, learnt from logins that succeeded.

use super::travel::Sighting;
use crate::site::Local;
use schema::Timestamp;
use serde::{Deserialize, Serialize};

/// Fewer logins, or on fewer days, and nothing is usual or unusual yet: a working week, twice a day.
const LOGINS_MIN: u32 = 10;
const DAYS_MIN: u16 = 5;
/// After this many days of logins all counts are halved: the last half year outweighs what was before.
const DAYS_MAX: u16 = 120;
/// An hour is usual within this of hours logged in at (sheet 1 of the seeds: "mean ± 2 h").
const HOURS_AROUND: u8 = 2;
/// …on at least this many days, and this share of all days. The sheet's mean is not used: the mean of
/// 23:00 and 01:00 is midnight on a clock and noon on paper (Fisher 1993, *Statistical Analysis of Circular
/// Data*), and one odd night moves a mean, but not a count of days.
const SUPPORT_DAYS_MIN: u16 = 2;
const SUPPORT_PERCENT_MIN: u32 = 5;
/// A weekday is unusual only once each weekday had this many chances.
const WEEKS_MIN: i64 = 4;

const COUNTRIES_MAX: usize = 8;
const NETWORKS_MAX: usize = 16;
const DEVICES_MAX: usize = 8;
const AGENTS_MAX: usize = 8;
/// Last logins whose positions are kept: a late event finds its neighbours in time among them.
const SIGHTINGS_MAX: usize = 8;
/// Sums of bytes kept: five and a half hours of reading.
const VOLUMES_MAX: usize = 32;
/// Fewer, and no amount is unusual for this account.
const VOLUMES_MIN: usize = 20;
/// Steps per doubling of bytes: a sum is kept within 6 %, and 2^42 fit in a byte.
const VOLUME_STEPS: f64 = 6.0;
/// A sum this many scaled MADs above the median is unusual (Hampel 1974; Leys et al. 2013), and at least twice it.
const VOLUME_MADS: f64 = 3.0;
const MAD_SCALE: f64 = 1.4826;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry<T> {
    value: T,
    /// Days it was seen on.
    days: u16,
    last_day: i64,
}

/// Things seen, and on how many days; full, it forgets the one not seen for longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Familiar<T> {
    entries: Vec<Entry<T>>,
}

impl<T> Default for Familiar<T> {
    fn default() -> Self {
        Familiar { entries: Vec::new() }
    }
}

impl<T: PartialEq> Familiar<T> {
    fn remember(&mut self, value: T, day: i64, max: usize) {
        if let Some(known) = self.entries.iter_mut().find(|entry| entry.value == value) {
            if day > known.last_day {
                known.days = known.days.saturating_add(1);
                known.last_day = day;
            }
            return;
        }
        if self.entries.len() >= max {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.last_day);
            if let Some((place, _)) = oldest {
                self.entries.remove(place);
            }
        }
        self.entries.push(Entry { value, days: 1, last_day: day });
    }

    /// On how many days it was seen.
    fn days(&self, wanted: impl Fn(&T) -> bool) -> u32 {
        self.entries.iter().filter(|entry| wanted(&entry.value)).map(|e| u32::from(e.days)).sum()
    }

    fn halve(&mut self) {
        for entry in &mut self.entries {
            entry.days = entry.days.div_ceil(2);
        }
    }
}

/// Whether something is as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usual {
    Yes,
    No,
    /// Too little was seen, or so much that a new one says nothing.
    Unknown,
}

impl Usual {
    fn of(is_usual: bool) -> Self {
        if is_usual { Usual::Yes } else { Usual::No }
    }
}

/// One login as it teaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lesson<'a> {
    pub(crate) at: Timestamp,
    pub(crate) local: Local,
    pub(crate) country: Option<&'a str>,
    pub(crate) network: Option<u64>,
    pub(crate) device: Option<&'a str>,
    pub(crate) agent: Option<u64>,
}

/// What an account does when it is itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    first: Timestamp,
    logins: u32,
    /// Days with a login.
    days: u16,
    last_day: Option<i64>,
    hours: Familiar<u8>,
    weekdays: Familiar<u8>,
    countries: Familiar<String>,
    networks: Familiar<u64>,
    devices: Familiar<String>,
    agents: Familiar<u64>,
    /// By time, the latest last.
    sightings: Vec<(Sighting, Option<String>)>,
    volumes: Vec<u8>,
    volumes_taken: u32,
    /// When a login came from where it cannot have come from.
    pub(crate) impossible_at: Option<Timestamp>,
}

impl Account {
    pub(crate) fn learn(&mut self, lesson: &Lesson<'_>) {
        self.first = if self.logins == 0 { lesson.at } else { self.first.min(lesson.at) };
        self.logins = self.logins.saturating_add(1);
        let day = lesson.local.day;
        if self.last_day.is_none_or(|last| day > last) {
            self.last_day = Some(day);
            self.days = self.days.saturating_add(1);
        }
        self.hours.remember(lesson.local.hour(), day, 24);
        self.weekdays.remember(lesson.local.weekday(), day, 7);
        if let Some(country) = lesson.country {
            self.countries.remember(country.to_owned(), day, COUNTRIES_MAX);
        }
        if let Some(network) = lesson.network {
            self.networks.remember(network, day, NETWORKS_MAX);
        }
        if let Some(device) = lesson.device {
            self.devices.remember(device.to_owned(), day, DEVICES_MAX);
        }
        if let Some(agent) = lesson.agent {
            self.agents.remember(agent, day, AGENTS_MAX);
        }
        if self.days >= DAYS_MAX {
            self.days /= 2;
            self.hours.halve();
            self.weekdays.halve();
            self.countries.halve();
        }
    }

    pub(crate) fn is_learnt(&self) -> bool {
        self.logins >= LOGINS_MIN && self.days >= DAYS_MIN
    }

    /// Whether the account is wont to log in at this time of day, on this day of the week.
    pub(crate) fn time(&self, local: Local) -> Usual {
        if !self.is_learnt() {
            return Usual::Unknown;
        }
        let around = |hour: &u8| {
            let apart = hour.abs_diff(local.hour());
            apart.min(24 - apart) <= HOURS_AROUND
        };
        let span = self.last_day.unwrap_or(0) - Local::of(self.first, 0).day;
        let weekday_is_usual =
            span < WEEKS_MIN * 7 || self.weekdays.days(|weekday| *weekday == local.weekday()) > 0;
        Usual::of(self.is_supported(self.hours.days(around)) && weekday_is_usual)
    }

    pub(crate) fn country(&self, country: &str) -> Usual {
        let known: u32 = self.countries.days(|_| true);
        if !self.is_learnt() || known < u32::from(DAYS_MIN) {
            return Usual::Unknown;
        }
        Usual::of(self.is_supported(self.countries.days(|c| c == country)))
    }

    pub(crate) fn network(&self, network: u64, today: i64) -> Usual {
        self.known(&self.networks, NETWORKS_MAX, today, |known| *known == network)
    }

    pub(crate) fn device(&self, device: &str, today: i64) -> Usual {
        self.known(&self.devices, DEVICES_MAX, today, |known| known == device)
    }

    pub(crate) fn agent(&self, agent: u64, today: i64) -> Usual {
        self.known(&self.agents, AGENTS_MAX, today, |known| *known == agent)
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.entries.iter().map(|entry| entry.value.as_str())
    }

    /// What was first seen today is as new as before: one login of a thief does not make them at home.
    fn known<T: PartialEq>(
        &self,
        familiar: &Familiar<T>,
        max: usize,
        today: i64,
        wanted: impl Fn(&T) -> bool,
    ) -> Usual {
        let is_learnt = self.is_learnt();
        let is_old = |entry: &&Entry<T>| !is_learnt || entry.days > 1 || entry.last_day < today;
        let mut old = familiar.entries.iter().filter(is_old).peekable();
        let is_empty = old.peek().is_none();
        if old.any(|entry| wanted(&entry.value)) {
            Usual::Yes
        } else if !is_learnt || is_empty || familiar.entries.len() >= max {
            // Nothing to compare with, or somebody who has a new one every day.
            Usual::Unknown
        } else {
            Usual::No
        }
    }

    fn is_supported(&self, days: u32) -> bool {
        days >= u32::from(SUPPORT_DAYS_MIN)
            && days * 100 >= u32::from(self.days) * SUPPORT_PERCENT_MIN
    }

    /// Keeps where a login came from. Gives the sessions of its neighbours in time from which it cannot have
    /// come, `None` for a neighbour without session; empty when it can.
    pub(crate) fn arrive(
        &mut self,
        sighting: Sighting,
        session: Option<&str>,
    ) -> Vec<Option<String>> {
        let place = self.sightings.partition_point(|(known, _)| known.at <= sighting.at);
        let before = place.checked_sub(1).and_then(|before| self.sightings.get(before));
        let after = self.sightings.get(place);
        let impossible: Vec<_> = [before, after]
            .into_iter()
            .flatten()
            .filter(|(known, _)| known.is_impossible_with(&sighting))
            .map(|(_, session)| session.clone())
            .collect();
        self.sightings.insert(place, (sighting, session.map(str::to_owned)));
        if self.sightings.len() > SIGHTINGS_MAX {
            self.sightings.remove(0);
        }
        impossible
    }

    /// Whether nobody can have come here from the logins around this time; `None` when none is known.
    pub(crate) fn is_out_of_reach(&self, here: &Sighting) -> Option<bool> {
        let place = self.sightings.partition_point(|(known, _)| known.at <= here.at);
        let before = place.checked_sub(1).and_then(|before| self.sightings.get(before));
        let around = [before, self.sightings.get(place)];
        let mut known = around.into_iter().flatten().peekable();
        known.peek()?;
        Some(known.any(|(known, _)| known.is_impossible_with(here)))
    }

    /// A session read this much within one window.
    pub(crate) fn read(&mut self, bytes: u64) {
        let code = ((bytes as f64 + 1.0).log2() * VOLUME_STEPS).round().min(255.0) as u8;
        if self.volumes.len() < VOLUMES_MAX {
            self.volumes.push(code);
        } else if let Some(place) = self.volumes.get_mut(self.volumes_taken as usize % VOLUMES_MAX)
        {
            *place = code;
        }
        self.volumes_taken = self.volumes_taken.wrapping_add(1);
    }

    /// More than this within one window is unusual; `None` while learning.
    pub(crate) fn volume_limit(&self) -> Option<u64> {
        if self.volumes.len() < VOLUMES_MIN {
            return None;
        }
        let middle = median(self.volumes.iter().map(|code| f64::from(*code)).collect());
        let spread = median(self.volumes.iter().map(|c| (f64::from(*c) - middle).abs()).collect());
        let limit = middle + (VOLUME_MADS * MAD_SCALE * spread).max(VOLUME_STEPS);
        Some((limit / VOLUME_STEPS).exp2() as u64)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { (at(half.saturating_sub(1)) + at(half)) / 2.0 }
}
