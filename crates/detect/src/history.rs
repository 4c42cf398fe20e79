//! What is usual: robust baselines per entity and time of week, of fixed size.
//!
//! A sample is the peak an entity reached within one sample period (six hours by default). Samples
//! are kept apart by time of week: weekday or weekend, and which quarter of the day (UTC); ten of
//! each on weekdays (two weeks), four on weekends (two weeks). What is expected is the **median**, how
//! much it wavers the **MAD**, both in the logarithm, because counts of activity are skewed and vary
//! by factors: Hampel 1974 (*The influence curve and its role in robust estimation*), Leys et al. 2013
//! (*Detecting outliers: do not use standard deviation around the mean, use absolute deviation around
//! the median*). One attack, or one broken day, moves neither.

use crate::config::LearningConfig;
use crate::window::{epoch, secs};

/// Steps per doubling: a value is kept within 2^(1/16), about 4.4 % (the idea of DDSketch: Masson, Rim and Lee 2019).
const STEPS: f64 = 8.0;
/// Makes the MAD comparable to a standard deviation for normal data (Leys et al. 2013).
const MAD_SCALE: f64 = 1.4826;

const QUARTERS: usize = 4;
const WEEKDAYS: usize = 10;
const WEEKENDS: usize = 4;

/// A count as one byte, on a logarithmic scale; 255 is 2^32.
pub(crate) fn encode(value: u32) -> u8 {
    ((f64::from(value) + 1.0).log2() * STEPS).round().min(255.0) as u8
}

#[cfg(test)]
pub(crate) fn decode(code: u8) -> f64 {
    (f64::from(code) / STEPS).exp2() - 1.0
}

/// What an entity is expected to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub(crate) median: f64,
    /// Above this it is a deviation.
    pub(crate) limit: f64,
    pub(crate) samples: u32,
}

/// Samples of `M` measures of one entity: `56 * M + 8 * M + 28` bytes.
#[derive(Debug, Clone)]
pub(crate) struct History<const M: usize> {
    weekdays: [[[u8; M]; WEEKDAYS]; QUARTERS],
    weekends: [[[u8; M]; WEEKENDS]; QUARTERS],
    /// How many samples each ring has taken in all, weekdays then weekends; held at 255 by keeping the residue.
    taken: [u8; QUARTERS * 2],
    /// Peaks of the running sample.
    peaks: [u32; M],
    sample: u32,
    since_secs: u32,
    /// A finding speaks of this sample: it does not become usual.
    tainted: bool,
}

impl<const M: usize> History<M> {
    pub(crate) fn new(time_ms: i64, learning: &LearningConfig) -> Self {
        History {
            weekdays: [[[0; M]; WEEKDAYS]; QUARTERS],
            weekends: [[[0; M]; WEEKENDS]; QUARTERS],
            taken: [0; QUARTERS * 2],
            peaks: [0; M],
            sample: epoch(time_ms, learning.sample_secs),
            since_secs: secs(time_ms),
            tainted: false,
        }
    }

    /// Ends the running sample if `time_ms` is past it. Call before measuring.
    pub(crate) fn roll(&mut self, time_ms: i64, learning: &LearningConfig) {
        let sample = epoch(time_ms, learning.sample_secs);
        if sample <= self.sample {
            return;
        }
        if !self.tainted && self.peaks.iter().any(|peak| *peak > 0) {
            let (quarter, weekend) = slot(self.sample, learning.sample_secs);
            let (ring, length): (&mut [[u8; M]], u8) = match weekend {
                false => (self.weekdays.get_mut(quarter).map_or(&mut [], |r| r), WEEKDAYS as u8),
                true => (self.weekends.get_mut(quarter).map_or(&mut [], |r| r), WEEKENDS as u8),
            };
            if let Some(taken) = self.taken.get_mut(quarter + QUARTERS * usize::from(weekend)) {
                if let Some(place) = ring.get_mut(usize::from(*taken % length)) {
                    *place = self.peaks.map(encode);
                }
                // Past the ring's length only the position matters.
                *taken = if *taken + 1 >= length * 2 { length } else { *taken + 1 };
            }
        }
        self.peaks = [0; M];
        self.tainted = false;
        self.sample = sample;
    }

    /// `value` was reached at `time_ms`. Late values beyond the running sample teach nothing.
    pub(crate) fn reach(
        &mut self,
        measure: usize,
        value: u32,
        time_ms: i64,
        learning: &LearningConfig,
    ) {
        if epoch(time_ms, learning.sample_secs) == self.sample
            && let Some(peak) = self.peaks.get_mut(measure)
        {
            *peak = (*peak).max(value);
        }
    }

    /// `value` is where a share now stands; the last word of a sample is kept, not its peak.
    pub(crate) fn stands(
        &mut self,
        measure: usize,
        value: u32,
        time_ms: i64,
        learning: &LearningConfig,
    ) {
        if epoch(time_ms, learning.sample_secs) == self.sample
            && let Some(peak) = self.peaks.get_mut(measure)
        {
            *peak = value;
        }
    }

    /// The running sample shows an attack: do not learn from it.
    pub(crate) fn taint(&mut self) {
        self.tainted = true;
    }

    pub(crate) fn samples(&self) -> u32 {
        let ring = |(place, taken): (usize, &u8)| {
            u32::from(*taken).min(if place < QUARTERS { WEEKDAYS as u32 } else { WEEKENDS as u32 })
        };
        self.taken.iter().enumerate().map(ring).sum()
    }

    /// Enough was seen for deviations to speak: samples and age.
    pub(crate) fn is_learned(&self, time_ms: i64, learning: &LearningConfig) -> bool {
        self.samples() >= learning.samples_min && self.age_secs(time_ms) >= learning.age_min_secs
    }

    pub(crate) fn age_secs(&self, time_ms: i64) -> u32 {
        secs(time_ms).saturating_sub(self.since_secs)
    }

    /// What to expect of `measure` at `time_ms`, or `None` while learning.
    ///
    /// The time of week speaks if it has three samples of its own; else all times together do.
    pub(crate) fn expected(
        &self,
        measure: usize,
        time_ms: i64,
        learning: &LearningConfig,
    ) -> Option<Expected> {
        if !self.is_learned(time_ms, learning) {
            return None;
        }
        let (quarter, weekend) = slot(epoch(time_ms, learning.sample_secs), learning.sample_secs);
        let mut codes = [0u8; QUARTERS * (WEEKDAYS + WEEKENDS)];
        let mut length = self.collect(measure, quarter, weekend, &mut codes, 0);
        if length < learning.slot_samples_min as usize {
            length = 0;
            for weekend in [false, true] {
                for quarter in 0..QUARTERS {
                    length = self.collect(measure, quarter, weekend, &mut codes, length);
                }
            }
        }
        let codes = codes.get_mut(..length)?;
        let median = median(codes)?;
        for code in codes.iter_mut() {
            *code = code.abs_diff(median);
        }
        let spread = f64::from(self::median(codes)?) * MAD_SCALE;
        // In the logarithm a sum is a factor: at least `factor_min`, more for those that waver.
        let doublings =
            (learning.deviations * spread / STEPS).max(learning.factor_min.max(1.0).log2());
        let median = (f64::from(median) / STEPS).exp2() - 1.0;
        Some(Expected {
            median,
            limit: (median + 1.0) * doublings.exp2() - 1.0,
            samples: length as u32,
        })
    }

    fn collect(
        &self,
        measure: usize,
        quarter: usize,
        weekend: bool,
        codes: &mut [u8],
        from: usize,
    ) -> usize {
        let ring: &[[u8; M]] = match weekend {
            false => self.weekdays.get(quarter).map_or(&[], |ring| ring),
            true => self.weekends.get(quarter).map_or(&[], |ring| ring),
        };
        let taken = self.taken.get(quarter + QUARTERS * usize::from(weekend)).copied().unwrap_or(0);
        let values = ring.iter().take(usize::from(taken)).filter_map(|sample| sample.get(measure));
        let mut length = from;
        for (to, value) in codes.iter_mut().skip(from).zip(values) {
            *to = *value;
            length += 1;
        }
        length
    }
}

/// The quarter of the day and whether it is a weekend, UTC.
fn slot(sample: u32, sample_secs: u32) -> (usize, bool) {
    let secs = u64::from(sample) * u64::from(sample_secs.max(1));
    // Day 0 (1970-01-01) was a Thursday; 2 and 3 are Saturday and Sunday.
    let weekday = (secs / 86_400) % 7;
    ((secs % 86_400 / 21_600) as usize, weekday == 2 || weekday == 3)
}

/// The lower median; sorts `codes`.
fn median(codes: &mut [u8]) -> Option<u8> {
    codes.sort_unstable();
    codes.get((codes.len().max(1) - 1) / 2).copied()
}

/// How far the peers go: for every power of two, how many reached it in a window.
///
/// Counting reached levels instead of closed windows commutes, needs no closing and lets one attacker
/// count once per level, whatever it does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peers {
    reached: [u32; 24],
    since_secs: u32,
}

impl Peers {
    /// Halved when this many were counted, so that old peers fade.
    const FADE_AT: u32 = 1 << 20;

    /// One peer's running total went from `from` to `to`.
    pub(crate) fn climb(&mut self, from: u32, to: u32, time_ms: i64) {
        if self.since_secs == 0 {
            self.since_secs = secs(time_ms);
        }
        let (low, high) = (level(from), level(to));
        for reached in self.reached.iter_mut().take(high).skip(low) {
            *reached += 1;
        }
        if self.reached.first().is_some_and(|all| *all > Self::FADE_AT) {
            self.reached.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// What at most one in `one_in` peers exceeds, once enough of them were seen for long enough.
    pub(crate) fn upper(
        &self,
        time_ms: i64,
        one_in: u32,
        peers_min: u32,
        learning: &LearningConfig,
    ) -> Option<f64> {
        let all = self.reached.first().copied().unwrap_or(0);
        if all < peers_min || secs(time_ms).saturating_sub(self.since_secs) < learning.age_min_secs
        {
            return None;
        }
        let place = self
            .reached
            .iter()
            .position(|count| u64::from(*count) * u64::from(one_in) <= u64::from(all))?;
        Some(2f64.powi(place as i32))
    }
}

/// 0 for 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7…
fn level(value: u32) -> usize {
    (32 - value.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    /// 2026-11-02, a Monday, 00:00 UTC.
    const MONDAY: i64 = 1_793_577_600_000;

    #[test]
    fn learns_silently_and_then_tells_usual_from_unusual() {
        let learning = LearningConfig::default();
        let mut history = History::<1>::new(MONDAY, &learning);
        for day in 0..10 {
            let time = MONDAY + day * DAY + 9 * 3_600_000;
            history.roll(time, &learning);
            if day < 2 {
                assert_eq!(
                    history.expected(0, time, &learning),
                    None,
                    "day {day} is too early to speak"
                );
            }
            // One day of attack or breakage among ten.
            history.reach(0, if day == 3 { 100_000 } else { 95 + day as u32 }, time, &learning);
        }
        let monday = MONDAY + 14 * DAY + 9 * 3_600_000;
        history.roll(monday, &learning);
        let expected = history.expected(0, monday, &learning).unwrap();
        assert!((90.0..110.0).contains(&expected.median), "{expected:?}");
        assert!((250.0..400.0).contains(&expected.limit), "{expected:?}");
    }

    #[test]
    fn nights_have_their_own_measure() {
        let learning = LearningConfig::default();
        let mut history = History::<1>::new(MONDAY, &learning);
        for day in 0..5 {
            for (hour, value) in [(2, 5_000), (14, 20)] {
                let time = MONDAY + day * DAY + hour * 3_600_000;
                history.roll(time, &learning);
                history.reach(0, value, time, &learning);
            }
        }
        let friday = MONDAY + 4 * DAY + 20 * 3_600_000;
        history.roll(friday, &learning);
        let at = |hour: i64| {
            history.expected(0, MONDAY + 7 * DAY + hour * 3_600_000, &learning).unwrap()
        };
        assert!(at(3).limit > 10_000.0 && at(15).limit < 100.0, "{:?} {:?}", at(3), at(15));
    }

    #[test]
    fn a_tainted_sample_teaches_nothing() {
        let learning = LearningConfig::default();
        let mut history = History::<1>::new(MONDAY, &learning);
        history.reach(0, 9, MONDAY, &learning);
        history.taint();
        history.roll(MONDAY + DAY, &learning);
        assert_eq!(history.samples(), 0);
    }

    #[test]
    fn codes_keep_values_within_five_percent() {
        for value in [1, 7, 100, 12_345, 1_000_000_000] {
            let error = decode(encode(value)) / f64::from(value) - 1.0;
            assert!(error.abs() < 0.10, "{value}: {error}");
        }
        assert_eq!(encode(0), 0);
    }

    #[test]
    fn peers_say_what_few_exceed() {
        let learning = LearningConfig::default();
        let mut peers = Peers::default();
        for _ in 0..999 {
            peers.climb(0, 5, MONDAY);
        }
        peers.climb(0, 5_000, MONDAY);
        assert_eq!(peers.upper(MONDAY, 100, 50, &learning), None, "too young");
        assert_eq!(peers.upper(MONDAY + 3 * DAY, 100, 50, &learning), Some(8.0));
    }
}
