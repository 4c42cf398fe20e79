//! The judgement itself.
//!
//! 1. Each indicator turns its signals into points, 0 to 100; what nobody reported gets the prior.
//! 2. Every indicator sheet that applies is a weight vector over the six categories; the sheet with
//!    the lowest mean is the base score: the most pessimistic view wins, so that one more view can
//!    only lower it.
//! 3. Penalties take a part of the trust still left, the largest of each family once; ceilings and
//!    caps bound what remains.
//! 4. The band of the score decides; rules may only add severity; obligations follow from both.
//!
//! A signal that fell silent is read in both ways, as if it still said what it last said and as if
//! nobody had ever reported it, and each time the worse reading counts: so falling silent never
//! helps. The interval comes from the same walk, with every unknown signal read in every way.

use crate::decision::{Contribution, Decision, Demands, Knowledge, Part, Points, Reason};
use crate::expr::{Condition, Facts, Truth};
use crate::policy::{CATEGORIES, Cap, Indicator, Lens, POINT, Penalty, Policy};
use crate::policy::{LOW, MISSING, SILENT, UNKNOWN};
use crate::vocabulary::State;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Indicators named among the reasons because they cost the most.
const LOW_SHOWN_MAX: usize = 3;
/// Indicators named among the reasons because nobody reported them.
const UNKNOWN_SHOWN_MAX: usize = 2;
/// An indicator is a reason when it costs at least this much of the score.
const LOW_COST_MIN: i64 = POINT;

/// Judges one access. Same policy, profile, state and demands, same decision, to the byte.
///
/// `profile` is a place in [`Policy::profiles`]; one beyond the list is the strictest.
pub fn decide(policy: &Policy, profile: usize, state: &State, demands: &Demands) -> Decision {
    let demanded = demands.profile.as_deref().map_or(0, |id| {
        // A profile nobody knows cannot be met: the strictest stands in.
        policy.profile(id).unwrap_or(usize::MAX)
    });
    let profile = profile.max(demanded).min(policy.profiles.len().saturating_sub(1));
    Run::new(policy, profile, state).finish(state, demands)
}

/// The lowest and highest score that any answer to the unknown signals could give.
///
/// The bounds hold for every completion; they may be wider than the widest of them, never narrower.
fn interval(policy: &Policy, profile: usize, state: &State) -> (i64, i64) {
    let derived = policy.derive(state, true);
    let facts = state.facts(&derived, true);
    let prior = Prior::of(policy, &facts);
    let (mut low, mut high) = (Sums::default(), Sums::default());
    for indicator in &policy.indicators {
        let seen = Seen::of(indicator, &facts);
        for (sums, side) in [(&mut low, Side::Worse), (&mut high, Side::Better)] {
            if let Some(points) = seen.look(policy, indicator, &facts, prior, side).points {
                sums.add(indicator, points);
            }
        }
    }
    let truths = Truths::of(policy, &facts);
    let bound = |sums: &Sums, side: Side| {
        let (_, base) = lens(policy, &truths, sums, side);
        let mut score = base;
        walk(policy, profile, &truths, base, side, |_, _, after| score = after);
        score
    };
    (bound(&low, Side::Worse), bound(&high, Side::Better))
}

/// Which reading counts where there are several.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Worse,
    Better,
}

impl Side {
    /// Whether something that costs trust takes effect.
    fn harms(self, truth: Truth) -> bool {
        match self {
            Side::Worse => truth.may_be_true(),
            Side::Better => truth.is_true(),
        }
    }

    /// Whether something that spares trust takes effect.
    fn spares(self, truth: Truth) -> bool {
        match self {
            Side::Worse => truth.is_true(),
            Side::Better => truth.may_be_true(),
        }
    }

    fn pick(self, left: i64, right: i64) -> i64 {
        match self {
            Side::Worse => left.min(right),
            Side::Better => left.max(right),
        }
    }
}

/// What one look at an indicator found.
#[derive(Clone, Copy)]
struct Look {
    /// `None`: does not apply.
    points: Option<i64>,
    knowledge: Knowledge,
}

struct Step {
    part: Part,
    code: Arc<str>,
    after: i64,
}

struct Run<'a> {
    policy: &'a Policy,
    profile: usize,
    state: &'a State,
    derived: Vec<Truth>,
    looks: Vec<Look>,
    sums: Sums,
    lens: &'a Lens,
    base: i64,
    steps: Vec<Step>,
    score: i64,
}

impl<'a> Run<'a> {
    fn new(policy: &'a Policy, profile: usize, state: &'a State) -> Self {
        let derived = policy.derive(state, false);
        let facts = state.facts(&derived, false);
        let prior = Prior::of(policy, &facts);
        let looks: Vec<Look> = policy
            .indicators
            .iter()
            .map(|of| Seen::of(of, &facts).look(policy, of, &facts, prior, Side::Worse))
            .collect();
        let truths = Truths::of(policy, &facts);
        let sums = Sums::of(policy, &looks);
        let (lens, base) = lens(policy, &truths, &sums, Side::Worse);
        let mut steps = Vec::new();
        let mut score = base;
        walk(policy, profile, &truths, base, Side::Worse, |part, code, after| {
            score = after;
            steps.push(Step { part, code: code.clone(), after });
        });
        Run { policy, profile, state, derived, looks, sums, lens, base, steps, score }
    }

    fn facts(&self, decisions: u32) -> Facts<'_> {
        Facts { score: self.score, decisions, ..self.state.facts(&self.derived, false) }
    }

    /// The band's decisions, those of the rules and `also`; what makes no sense beside a graver one goes.
    fn decide(&self, also: u32) -> u32 {
        let band = self.policy.bands.iter().find(|band| self.score >= band.min);
        let mut bits = also | band.map_or(0, |band| band.decisions);
        let facts = self.facts(bits);
        for rule in &self.policy.rules {
            if rule.when.eval(&facts).may_be_true() {
                bits |= rule.add;
            }
        }
        self.settle(bits)
    }

    fn settle(&self, bits: u32) -> u32 {
        let mut kept = bits;
        for (bit, kind) in self.policy.decisions.iter().enumerate().rev() {
            if kept >> bit & 1 == 0 {
                continue;
            }
            // The gravest of a family stands for it: lists go from light to grave.
            kept &= !(kind.family & ((1_u32 << bit) - 1));
            kept &= !kind.drops;
        }
        kept
    }

    fn finish(mut self, state: &State, demands: &Demands) -> Decision {
        let policy = self.policy;
        let (mut low, high) = interval(policy, self.profile, state);
        let missing: Vec<&String> = demands
            .required
            .iter()
            .filter(|name| {
                policy.vocabulary.slot(name).is_none_or(|slot| {
                    let is_said = state.known & !state.silent;
                    is_said >> slot & 1 == 0
                })
            })
            .collect();
        let mut also = 0;
        if !missing.is_empty() {
            also |= policy.missing.add;
            if policy.missing.cap < self.score {
                self.score = policy.missing.cap;
                let (part, code) = (Part::Cap, Arc::from(MISSING));
                self.steps.push(Step { part, code, after: self.score });
            }
            low = low.min(policy.missing.cap);
        }
        let bits = self.decide(also);
        let facts = self.facts(bits);
        let mut duties = vec![false; policy.obligations.len()];
        for rule in &policy.duties {
            if rule.when.eval(&facts).may_be_true() {
                for place in &rule.add {
                    if let Some(duty) = duties.get_mut(usize::from(*place)) {
                        *duty = true;
                    }
                }
            }
        }
        let obligations = policy
            .obligations
            .iter()
            .zip(&duties)
            .filter(|(_, is_due)| **is_due)
            .map(|(duty, _)| duty.id.clone())
            .collect();
        let permit = bits != 0
            && policy
                .decisions
                .iter()
                .enumerate()
                .all(|(bit, kind)| bits >> bit & 1 == 0 || kind.permits);
        let band_ttl =
            policy.bands.iter().find(|b| self.score >= b.min).map_or(0, |band| band.ttl_secs);
        let shortest = policy.bands.iter().map(|band| band.ttl_secs).min().unwrap_or(0);
        let (contributions, coverage) = self.contributions();
        Decision {
            score: Points::of(self.score),
            low: Points::of(low.min(self.score)),
            high: Points::of(high.max(self.score)),
            coverage,
            permit,
            decisions: policy.decisions_of(bits),
            obligations,
            sheet: self.lens.sheet,
            reasons: self.reasons(&contributions, bits, &missing),
            contributions,
            ttl_secs: if permit { band_ttl } else { band_ttl.min(shortest) },
            profile: policy
                .profiles
                .get(self.profile)
                .map_or_else(|| Arc::from(""), |p| p.id.clone()),
            policy: policy.hash.clone(),
        }
    }

    /// Addends in hundredths that sum to the score in hundredths: each is what the rounded running
    /// total gains by it.
    fn contributions(&self) -> (Vec<Contribution>, Points) {
        let sums = &self.sums;
        let weight = sums.weight(self.lens);
        let part_of = |indicator: &Indicator, points: i64| -> i64 {
            let category = usize::from(indicator.category);
            let share = sums.shares.get(category).copied().unwrap_or(0).max(1);
            let of = self.lens.weights.get(category).copied().unwrap_or(0);
            of * (indicator.share * points / share) / weight.max(1)
        };
        let mut found = Vec::with_capacity(self.looks.len() + self.steps.len());
        let (mut exact, mut largest, mut at) = (0, 0, 0);
        let mut covered = 0;
        for (indicator, look) in self.policy.indicators.iter().zip(&self.looks) {
            let Some(points) = look.points else { continue };
            let part = part_of(indicator, points);
            let most = part_of(indicator, 100 * POINT);
            if most == 0 {
                continue;
            }
            if look.knowledge == Knowledge::Known {
                covered += most;
            }
            if part > largest {
                (largest, at) = (part, found.len());
            }
            exact += part;
            found.push((
                Part::Indicator,
                indicator.id.clone(),
                part,
                Some(most),
                Some(look.knowledge),
            ));
        }
        // What truncation left out, some millionths of a point, goes to the largest.
        match found.get_mut(at) {
            Some(entry) => entry.2 += self.base - exact,
            None => found.push((Part::Indicator, Arc::from("base"), self.base, None, None)),
        }
        let mut before = self.base;
        for step in &self.steps {
            found.push((step.part, step.code.clone(), step.after - before, None, None));
            before = step.after;
        }
        let mut total = 0;
        let contributions = found
            .into_iter()
            .map(|(part, code, exact, most, knowledge)| {
                let shown = Points::of(total);
                total += exact;
                Contribution {
                    part,
                    code,
                    points: Points(Points::of(total).0 - shown.0),
                    most: most.map(Points::of),
                    knowledge,
                }
            })
            .collect();
        (contributions, Points::of(covered))
    }

    fn reasons(&self, parts: &[Contribution], bits: u32, missing: &[&String]) -> Vec<Reason> {
        let plain = |code: &Arc<str>| Reason { code: code.clone(), parameters: BTreeMap::new() };
        let about = |code: &str, name: &str| Reason {
            code: Arc::from(code),
            parameters: BTreeMap::from([("indicator".to_owned(), name.to_owned())]),
        };
        let mut reasons: Vec<Reason> = missing.iter().map(|name| about(MISSING, name)).collect();
        let facts = self.facts(bits);
        for rule in &self.policy.rules {
            if rule.add & bits != 0 && rule.when.eval(&facts).may_be_true() {
                reasons.push(plain(&rule.id));
            }
        }
        for part in parts.iter().rev().filter(|part| part.part != Part::Indicator) {
            if &*part.code != MISSING && part.part != Part::Ceiling {
                reasons.push(plain(&part.code));
            }
        }
        let mut named = |knowledge: Knowledge, code: &str, count: usize| {
            let cost = |part: &Contribution| part.most.map_or(0, |most| most.0 - part.points.0);
            let mut of: Vec<&Contribution> = parts
                .iter()
                .filter(|p| {
                    p.knowledge == Some(knowledge) && cost(p) * (POINT / 100) >= LOW_COST_MIN
                })
                .collect();
            // Stable: equals stay in the policy's order.
            of.sort_by_key(|part| std::cmp::Reverse(cost(part)));
            reasons.extend(of.into_iter().take(count).map(|part| about(code, &part.code)));
        };
        named(Knowledge::Silent, SILENT, LOW_SHOWN_MAX);
        named(Knowledge::Known, LOW, LOW_SHOWN_MAX);
        named(Knowledge::Unknown, UNKNOWN, UNKNOWN_SHOWN_MAX);
        reasons
    }
}

fn penalised(score: i64, percent: i64) -> i64 {
    // Both at most 10^8, so the product fits; rounding down never raises.
    score * (100 * POINT - percent) / (100 * POINT)
}

/// What stands in for what nobody reported, on either side.
#[derive(Clone, Copy)]
struct Prior {
    low: i64,
    high: i64,
}

impl Prior {
    fn of(policy: &Policy, facts: &Facts<'_>) -> Prior {
        let is_sensitive = policy.sensitive.eval(facts);
        let by = |yes: bool| if yes { policy.unknown_sensitive } else { policy.unknown };
        let (sure, perhaps) = (by(is_sensitive.is_true()), by(is_sensitive.may_be_true()));
        Prior { low: sure.min(perhaps), high: sure.max(perhaps) }
    }
}

/// What an indicator's conditions come to, before anything is chosen among.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    leaves_out: Truth,
    lifts: Truth,
    /// A case fires for certain.
    is_settled: bool,
    /// Of the cases that may fire.
    points: Option<(i64, i64)>,
}

impl Seen {
    /// Evaluates the indicator, or takes what it comes to when none of its signals is known.
    fn of(indicator: &Indicator, facts: &Facts<'_>) -> Seen {
        match &indicator.blank {
            Some(blank) if indicator.slots & facts.known == 0 => {
                if facts.is_open {
                    blank.open
                } else {
                    blank.closed
                }
            }
            _ => Seen::evaluate(indicator, facts),
        }
    }

    pub(crate) fn evaluate(of: &Indicator, facts: &Facts<'_>) -> Seen {
        let truth = |when: Option<&Condition>| when.map_or(Truth::FALSE, |when| when.eval(facts));
        let mut seen = Seen {
            leaves_out: truth(of.not_applicable.as_ref()),
            lifts: Truth::FALSE,
            is_settled: false,
            points: None,
        };
        if seen.leaves_out.is_true() {
            return seen;
        }
        for (when, points) in &of.cases {
            let truth = when.eval(facts);
            if truth.may_be_true() {
                let (low, high) = seen.points.unwrap_or((*points, *points));
                seen.points = Some((low.min(*points), high.max(*points)));
            }
            if truth.is_true() {
                seen.is_settled = true;
                break;
            }
        }
        seen.lifts = truth(of.lift.as_ref().map(|lift| &lift.when));
        seen
    }

    fn look(
        &self,
        policy: &Policy,
        of: &Indicator,
        facts: &Facts<'_>,
        prior: Prior,
        side: Side,
    ) -> Look {
        if self.leaves_out.is_true() {
            return Look { points: None, knowledge: Knowledge::Known };
        }
        let prior = side.pick(prior.low, prior.high);
        let mut points = match self.points {
            Some((low, high)) if self.is_settled => side.pick(low, high),
            Some((low, high)) => side.pick(side.pick(low, high), prior),
            None => prior,
        };
        if let Some(lift) = &of.lift
            && points < lift.to
            && side.spares(self.lifts)
        {
            points += (lift.to - points) * lift.percent / 100;
        }
        let is_silent = of.slots & facts.silent != 0;
        if is_silent {
            points = side.pick(points, policy.unverifiable);
        }
        if self.leaves_out.may_be_true() {
            // In or out: with nothing it is worse than left out, with everything it is better.
            points = side.pick(0, 100 * POINT);
        }
        let knowledge = match (is_silent, self.is_settled) {
            (true, _) => Knowledge::Silent,
            (false, true) => Knowledge::Known,
            (false, false) => Knowledge::Unknown,
        };
        Look { points: Some(points), knowledge }
    }
}

/// What the conditions beside the indicators come to; both sides read the same.
struct Truths {
    lenses: Vec<Truth>,
    penalties: Vec<Truth>,
    ceilings: Vec<Truth>,
    caps: Vec<Truth>,
}

impl Truths {
    fn of(policy: &Policy, facts: &Facts<'_>) -> Truths {
        let of_caps = |caps: &[Cap]| caps.iter().map(|cap| cap.when.eval(facts)).collect();
        let of_lens = |lens: &Lens| lens.when.as_ref().map_or(Truth::TRUE, |when| when.eval(facts));
        Truths {
            lenses: policy.lenses.iter().map(of_lens).collect(),
            penalties: policy.penalties.iter().map(|p| p.when.eval(facts)).collect(),
            ceilings: of_caps(&policy.ceilings),
            caps: of_caps(&policy.caps),
        }
    }
}

/// Penalties, ceilings and caps in the policy's order, each told with the score after it.
fn walk<'a>(
    policy: &'a Policy,
    profile: usize,
    truths: &Truths,
    base: i64,
    side: Side,
    mut tell: impl FnMut(Part, &'a Arc<str>, i64),
) {
    let mut score = base;
    let mut worst: Vec<Option<&Penalty>> = vec![None; policy.families.len()];
    for (penalty, truth) in policy.penalties.iter().zip(&truths.penalties) {
        if side.harms(*truth)
            && let Some(worst) = worst.get_mut(usize::from(penalty.family))
            && worst.is_none_or(|worst| worst.percent <= penalty.percent)
        {
            *worst = Some(penalty);
        }
    }
    for penalty in worst.into_iter().flatten() {
        score = penalised(score, penalty.percent);
        tell(Part::Penalty, &penalty.id, score);
    }
    let both = [
        (Part::Ceiling, &policy.ceilings, &truths.ceilings),
        (Part::Cap, &policy.caps, &truths.caps),
    ];
    for (part, caps, truths) in both {
        for (cap, _) in caps.iter().zip(truths).filter(|(_, truth)| side.harms(**truth)) {
            let points = cap.points.get(profile).copied().unwrap_or(0);
            if points < score {
                score = points;
                tell(part, &cap.id, score);
            }
        }
    }
}

/// By category: shares in all, and points by share.
#[derive(Clone, Copy, Default)]
struct Sums {
    shares: [i64; CATEGORIES.len()],
    points: [i64; CATEGORIES.len()],
}

impl Sums {
    fn of(policy: &Policy, looks: &[Look]) -> Sums {
        let mut sums = Sums::default();
        for (indicator, look) in policy.indicators.iter().zip(looks) {
            if let Some(points) = look.points {
                sums.add(indicator, points);
            }
        }
        sums
    }

    fn add(&mut self, indicator: &Indicator, points: i64) {
        let category = usize::from(indicator.category);
        if let (Some(shares), Some(sum)) =
            (self.shares.get_mut(category), self.points.get_mut(category))
        {
            *shares += indicator.share;
            *sum += indicator.share * points;
        }
    }

    /// Of the categories in which something applies.
    fn weight(&self, lens: &Lens) -> i64 {
        lens.weights.iter().zip(&self.shares).filter(|(_, s)| **s > 0).map(|(w, _)| w).sum()
    }

    /// The weighted mean of the categories' means.
    fn score(&self, lens: &Lens) -> i64 {
        let mut sum = 0;
        for ((weight, shares), points) in lens.weights.iter().zip(&self.shares).zip(&self.points) {
            if *shares > 0 {
                sum += weight * (points / shares);
            }
        }
        match self.weight(lens) {
            0 => 0,
            weight => sum / weight,
        }
    }
}

/// The lens that applies and sees the least trust; the first of equals.
fn lens<'a>(policy: &'a Policy, truths: &Truths, sums: &Sums, side: Side) -> (&'a Lens, i64) {
    let lenses = || policy.lenses.iter().zip(truths.lenses.iter().copied());
    let lowest = |wanted: &dyn Fn(&Lens, Truth) -> bool| {
        lenses()
            .filter(|(lens, truth)| wanted(lens, *truth))
            .map(|(lens, _)| (lens, sums.score(lens)))
            .min_by_key(|(_, score)| *score)
    };
    let replaces = lenses()
        .filter(|(lens, _)| lens.replaces_default)
        .map(|(_, truth)| truth)
        .fold(Truth::FALSE, Truth::or);
    let least = match side {
        Side::Worse => lowest(&|lens, truth| {
            truth.may_be_true() && !(lens.when.is_none() && replaces.is_true())
        }),
        // Where the default may be replaced, the better of what replaces it and of it.
        Side::Better => {
            let certain = lowest(&|lens, truth| lens.when.is_some() && truth.is_true());
            let default = if replaces.is_true() { None } else { lowest(&|l, _| l.when.is_none()) };
            let instead = lenses()
                .filter(|(lens, truth)| lens.replaces_default && truth.may_be_true())
                .map(|(lens, _)| (lens, sums.score(lens)));
            let first = default.into_iter().chain(instead).max_by_key(|(_, score)| *score);
            certain.into_iter().chain(first).min_by_key(|(_, score)| *score)
        }
    };
    least.unwrap_or((NOTHING, 0))
}

/// Stands in for a policy without any lens, which reading refuses.
const NOTHING: &Lens =
    &Lens { sheet: 0, when: None, replaces_default: false, weights: [0; CATEGORIES.len()] };

#[cfg(test)]
mod tests;
