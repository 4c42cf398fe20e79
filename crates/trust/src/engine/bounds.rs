//! The lowest and highest score that any answer to the unknown signals could give.
//!
//! Conditions are taken in the open world here: what is unknown may come out either way. The bounds
//! hold for every completion; they may be wider than the widest of them, never narrower.

use super::{Sums, penalised};
use crate::expr::{Facts, Tri};
use crate::policy::{Cap, Indicator, POINT, Policy};
use crate::vocabulary::State;

pub(super) fn interval(policy: &Policy, profile: usize, state: &State) -> (i64, i64) {
    let known = state.known & !state.silent;
    let mut derived = Vec::with_capacity(policy.derived.len());
    policy.derive(&state.values, known, &mut derived, false);
    let facts =
        Facts { values: &state.values, known, derived: &derived, score: 0, decisions: 0 };
    let priors = match policy.sensitive.eval(&facts) {
        Tri::True => (policy.unknown_sensitive, policy.unknown_sensitive),
        Tri::False => (policy.unknown, policy.unknown),
        Tri::Unknown => (
            policy.unknown.min(policy.unknown_sensitive),
            policy.unknown.max(policy.unknown_sensitive),
        ),
    };
    let (mut low, mut high) = (Sums::default(), Sums::default());
    for indicator in &policy.indicators {
        if let Some((least, most)) = range(policy, indicator, &facts, state.silent, priors) {
            low.add(indicator, least);
            high.add(indicator, most);
        }
    }
    let (low, high) = (lowest(policy, &facts, &low), highest(policy, &facts, &high));
    (
        walked(policy, profile, &facts, low, |tri| tri != Tri::False),
        walked(policy, profile, &facts, high, |tri| tri == Tri::True),
    )
}

/// `None` where the indicator certainly does not apply.
fn range(
    policy: &Policy,
    of: &Indicator,
    facts: &Facts<'_>,
    silent: u128,
    priors: (i64, i64),
) -> Option<(i64, i64)> {
    match of.not_applicable.as_ref().map_or(Tri::False, |when| when.eval(facts)) {
        Tri::True => return None,
        // Left out or in: with nothing it lowers any mean, with everything it raises any.
        Tri::Unknown => return Some((0, 100 * POINT)),
        Tri::False => {}
    }
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    let mut widen = |low: i64, high: i64| {
        least = least.min(low);
        most = most.max(high);
    };
    let mut is_settled = false;
    for (when, points) in &of.cases {
        match when.eval(facts) {
            Tri::False => {}
            Tri::Unknown => widen(*points, *points),
            Tri::True => {
                widen(*points, *points);
                is_settled = true;
                break;
            }
        }
    }
    if !is_settled {
        widen(priors.0, priors.1);
    }
    if of.slots & silent != 0 {
        widen(policy.unverifiable, policy.unverifiable);
    }
    if let Some(lift) = &of.lift {
        let lifted = |points: i64| points + (lift.to - points).max(0) * lift.percent / 100;
        match lift.when.eval(facts) {
            Tri::True => (least, most) = (lifted(least), lifted(most)),
            Tri::Unknown => most = lifted(most),
            Tri::False => {}
        }
        // A silent signal holds the points down after the lift.
        if of.slots & silent != 0 {
            least = least.min(policy.unverifiable);
        }
    }
    Some((least, most))
}

/// Over every lens that may apply.
fn lowest(policy: &Policy, facts: &Facts<'_>, sums: &Sums) -> i64 {
    let may = |when: &Option<_>| when.as_ref().map_or(Tri::True, |w: &crate::expr::Condition| w.eval(facts));
    let is_replaced =
        policy.lenses.iter().any(|lens| lens.replaces_default && may(&lens.when) == Tri::True);
    policy
        .lenses
        .iter()
        .filter(|lens| may(&lens.when) != Tri::False && !(lens.when.is_none() && is_replaced))
        .map(|lens| sums.score(lens))
        .min()
        .unwrap_or(0)
}

/// Over the lenses that certainly apply; where the default may be replaced, the better of both.
fn highest(policy: &Policy, facts: &Facts<'_>, sums: &Sums) -> i64 {
    let certain = policy
        .lenses
        .iter()
        .filter(|lens| lens.when.as_ref().is_some_and(|when| when.eval(facts) == Tri::True))
        .map(|lens| sums.score(lens))
        .min();
    let replacing = |wanted: Tri| {
        policy
            .lenses
            .iter()
            .filter(move |lens| lens.replaces_default)
            .filter(move |lens| lens.when.as_ref().is_some_and(|when| when.eval(facts) == wanted))
            .map(|lens| sums.score(lens))
    };
    if replacing(Tri::True).next().is_some() {
        return certain.unwrap_or(0);
    }
    let default = policy
        .lenses
        .iter()
        .filter(|lens| lens.when.is_none())
        .map(|lens| sums.score(lens))
        .min()
        .unwrap_or(0);
    let first = default.max(replacing(Tri::Unknown).max().unwrap_or(0));
    certain.map_or(first, |certain| certain.min(first))
}

fn walked(
    policy: &Policy,
    profile: usize,
    facts: &Facts<'_>,
    base: i64,
    fires: impl Fn(Tri) -> bool,
) -> i64 {
    let mut score = base;
    for family in 0..policy.families.len() {
        let percent = policy
            .penalties
            .iter()
            .filter(|p| usize::from(p.family) == family && fires(p.when.eval(facts)))
            .map(|penalty| penalty.percent)
            .max();
        score = penalised(score, percent.unwrap_or(0));
    }
    let capped = |score: i64, cap: &Cap| {
        if fires(cap.when.eval(facts)) {
            score.min(cap.points.get(profile).copied().unwrap_or(0))
        } else {
            score
        }
    };
    policy.ceilings.iter().chain(&policy.caps).fold(score, capped)
}
