//! How much of a verdict hangs on the exact numbers: the same policy with every number shaken.

use crate::exam::{Case, fitting};
use crate::policy::{POINT, Policy};
use crate::{Demands, decide};
use serde::Serialize;
use std::collections::BTreeMap;

/// How far numbers move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Weights of categories and shares of indicators, in percent of themselves.
    pub weights_percent: u32,
    /// Points of cases and priors, in points.
    pub points: u32,
    /// Penalties, in percent of themselves.
    pub penalties_percent: u32,
}

impl Default for Spread {
    /// A fifth, eight points and a tenth.
    fn default() -> Self {
        Spread { weights_percent: 20, points: 8, penalties_percent: 10 }
    }
}

/// How cases fared over many shaken policies.
#[derive(Debug, Clone, Serialize)]
pub struct Robustness {
    pub models: u32,
    /// Models in which every case stayed in its range.
    pub all_in_range: u32,
    /// Cases that left their range, and in how many models.
    pub left_range: BTreeMap<String, u32>,
    pub spread: Spread,
}

/// Draws `models` policies around this one and scores every case by each. The same `seed`, the
/// same policies.
pub fn robustness(
    policy: &Policy,
    cases: &[Case],
    models: u32,
    spread: Spread,
    seed: u64,
) -> Robustness {
    let mut dice = Dice(seed);
    let mut found = Robustness { models, all_in_range: 0, left_range: BTreeMap::new(), spread };
    for _ in 0..models {
        let shaken = shaken(policy, spread, &mut dice);
        let mut is_whole = true;
        for case in cases {
            let is_in = shaken.state(&case.readings).is_ok_and(|state| {
                let score =
                    decide(&shaken, fitting(&shaken, case), &state, &Demands::default()).score;
                (case.trust.0..=case.trust.1).contains(&score)
            });
            if !is_in {
                is_whole = false;
                *found.left_range.entry(case.id.clone()).or_default() += 1;
            }
        }
        found.all_in_range += u32::from(is_whole);
    }
    found
}

fn shaken(policy: &Policy, spread: Spread, dice: &mut Dice) -> Policy {
    let mut policy = policy.clone();
    let points = i64::from(spread.points) * POINT;
    let mut moved = |value: &mut i64| *value = (*value + dice.within(points)).clamp(0, 100 * POINT);
    for indicator in &mut policy.indicators {
        indicator.cases.iter_mut().for_each(|(_, points)| moved(points));
        if let Some(lift) = &mut indicator.lift {
            moved(&mut lift.to);
        }
    }
    moved(&mut policy.unknown);
    moved(&mut policy.unknown_sensitive);
    moved(&mut policy.unverifiable);
    for indicator in &mut policy.indicators {
        indicator.share = scaled(indicator.share, spread.weights_percent, dice);
    }
    for weight in policy.lenses.iter_mut().flat_map(|lens| &mut lens.weights) {
        *weight = scaled(*weight, spread.weights_percent, dice);
    }
    policy.fill_blanks();
    for penalty in &mut policy.penalties {
        penalty.percent = scaled(penalty.percent, spread.penalties_percent, dice).min(100 * POINT);
    }
    policy
}

fn scaled(value: i64, percent: u32, dice: &mut Dice) -> i64 {
    value + dice.within(value * i64::from(percent) / 100)
}

/// SplitMix64 (Steele, Lea and Flood, 2014): chance that is the same every time.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A place in a list of `count`.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap_or(0)
    }

    /// From `-reach` to `reach`.
    fn within(&mut self, reach: i64) -> i64 {
        let span = u64::try_from(2 * reach + 1).unwrap_or(1);
        i64::try_from(self.below(span)).unwrap_or(0) - reach
    }
}
