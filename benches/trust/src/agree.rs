//! Whether all engines were asked the same thing: what fired for the peers, held against ours.

use crate::peers::Fired;
use crate::rules::{Cap, Rules};
use trust::{Contribution, Decision, Knowledge, Part};

/// Shown points are rounded to the hundredth, each as a difference of two.
const ROUNDING: f64 = 0.0201;

/// Everything in a decision of ours that does not follow from what fired for the peers.
pub fn disagreements(
    rules: &Rules,
    profile: &str,
    decision: &Decision,
    fired: &Fired,
) -> Vec<String> {
    let mut judge = Judge { rules, decision, fired, wrong: Vec::new() };
    judge.indicators();
    judge.sheet();
    judge.penalties();
    judge.caps(profile);
    judge.rules();
    judge.obligations();
    judge.wrong
}

struct Judge<'a> {
    rules: &'a Rules,
    decision: &'a Decision,
    fired: &'a Fired,
    wrong: Vec<String>,
}

impl Judge<'_> {
    fn demand(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }

    fn parts(&self, part: Part) -> impl Iterator<Item = &Contribution> {
        self.decision.contributions.iter().filter(move |one| one.part == part)
    }

    /// The points of the first case that fired, lifted, or the prior: as a part of the most possible.
    fn indicators(&mut self) {
        let prior = match self.fired.contains("sensitive") {
            true => self.rules.unknown_sensitive,
            false => self.rules.unknown,
        };
        for indicator in &self.rules.indicators {
            let id = &indicator.id;
            let shown = self.parts(Part::Indicator).find(|one| *one.code == **id).cloned();
            let Some(shown) = shown else { continue };
            let is_left_out = self.fired.contains(&format!("not_applicable:{id}"));
            self.demand(!is_left_out, || format!("`{id}` does not apply, yet is counted"));
            let places = 0..indicator.cases.len();
            let first =
                places.into_iter().find(|at| self.fired.contains(&format!("case:{id}:{at}")));
            let is_known = shown.knowledge == Some(Knowledge::Known);
            self.demand(is_known == first.is_some(), || {
                format!("`{id}` is {:?}, yet case {first:?} fired", shown.knowledge)
            });
            let mut points =
                first.and_then(|at| indicator.cases.get(at)).map_or(prior, |c| c.points);
            if let Some(lift) = &indicator.lift
                && points < lift.to
                && self.fired.contains(&format!("lift:{id}"))
            {
                points += (lift.to - points) * lift.percent / 100.0;
            }
            let most = shown.most.map_or(0.0, trust::Points::to_f64);
            let expected = most * points / 100.0;
            self.demand((shown.points.to_f64() - expected).abs() < ROUNDING, || {
                format!("`{id}` gives {} of {most}, not {expected:.2}", shown.points)
            });
        }
    }

    fn sheet(&mut self) {
        let fired = |sheet: u32| self.fired.contains(&format!("sheet:{sheet}"));
        let is_replaced = self.rules.sheets.iter().any(|s| s.replaces_default && fired(s.sheet));
        let applies = self.rules.sheets.iter().any(|one| {
            let may = if one.when.is_none() { !is_replaced } else { fired(one.sheet) };
            one.sheet == self.decision.sheet && may
        });
        self.demand(applies, || format!("sheet {} does not apply", self.decision.sheet));
    }

    /// Of each family the largest that fired, the last of equals.
    fn penalties(&mut self) {
        let mut expected: Vec<&str> = Vec::new();
        let mut families: Vec<&str> = Vec::new();
        for penalty in &self.rules.penalties {
            if families.contains(&penalty.family.as_str()) {
                continue;
            }
            families.push(&penalty.family);
            let of = self.rules.penalties.iter().filter(|one| {
                one.family == penalty.family && self.fired.contains(&format!("penalty:{}", one.id))
            });
            let largest = of.max_by(|a, b| a.percent.total_cmp(&b.percent));
            expected.extend(largest.map(|one| one.id.as_str()));
        }
        expected.sort_unstable();
        let mut shown: Vec<&str> = self.parts(Part::Penalty).map(|one| &*one.code).collect();
        shown.sort_unstable();
        let wrong = (shown != expected).then(|| format!("penalties {shown:?}, not {expected:?}"));
        self.wrong.extend(wrong);
    }

    /// A ceiling or cap is shown where it fired and is below what was left.
    fn caps(&mut self, profile: &str) {
        let before = |one: &&Contribution| matches!(one.part, Part::Indicator | Part::Penalty);
        let contributions = self.decision.contributions.iter();
        let mut left: f64 = contributions.filter(before).map(|one| one.points.to_f64()).sum();
        let kinds: [(Part, &str, &[Cap]); 2] = [
            (Part::Ceiling, "ceiling", &self.rules.ceilings),
            (Part::Cap, "cap", &self.rules.caps),
        ];
        for (part, kind, caps) in kinds {
            for cap in caps {
                let has_fired = self.fired.contains(&format!("{kind}:{}", cap.id));
                let points = cap.points.get(profile).copied().unwrap_or(0.0);
                let is_shown = self.parts(part).any(|one| *one.code == *cap.id);
                let is_close = (points - left).abs() < ROUNDING;
                self.demand(is_close || is_shown == (has_fired && points < left), || {
                    format!("{kind} `{}` shown: {is_shown}, fired: {has_fired}", cap.id)
                });
                if is_shown {
                    left = points;
                }
            }
        }
        let score = self.decision.score.to_f64();
        self.demand((left - score).abs() < ROUNDING, || format!("score {score}, not {left:.2}"));
    }

    /// A rule is a reason where it fired and what it adds stands. Those about the score may be quiet.
    fn rules(&mut self) {
        for rule in &self.rules.rules {
            let name = format!("rule:{}", rule.id);
            let has_fired = self.fired.contains(&name);
            let stands =
                rule.add.iter().any(|id| self.decision.decisions.iter().any(|d| **d == **id));
            let is_shown = self.decision.reasons.iter().any(|reason| *reason.code == *rule.id);
            let holds = match self.rules.is_partial(&name) {
                None => true,
                Some(true) => !is_shown || has_fired,
                Some(false) => is_shown == (has_fired && stands),
            };
            self.demand(holds, || format!("`{name}` shown: {is_shown}, fired: {has_fired}"));
        }
    }

    /// What fired is due; what is due was asked for by something that fired or could not be asked.
    fn obligations(&mut self) {
        let due = &self.decision.obligations;
        for (place, rule) in self.rules.oblige.iter().enumerate() {
            let name = format!("oblige:{place}");
            if self.rules.is_partial(&name) == Some(false) && self.fired.contains(&name) {
                for id in &rule.add {
                    self.demand(due.iter().any(|one| **one == **id), || {
                        format!("`{id}` is not due")
                    });
                }
            }
        }
        for id in due {
            let mut rules = self.rules.oblige.iter().enumerate();
            let is_asked_for = rules.any(|(place, rule)| {
                let name = format!("oblige:{place}");
                let may = self.fired.contains(&name) || self.rules.is_partial(&name).is_none();
                may && rule.add.iter().any(|one| **one == **id)
            });
            self.demand(is_asked_for, || format!("`{id}` is due, and nothing asked for it"));
        }
    }
}
