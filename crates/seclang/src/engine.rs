//! The engine: a rule set made ready to run, and the transactions it runs on.

mod expand;
mod memory;
mod overrides;
mod plan;
mod run;
mod store;
mod transaction;
mod vars;

#[cfg(test)]
mod tests;

pub use expand::EXPANDED_BYTES_MAX;
pub use memory::{Memory, NoMemory, Record};
pub use overrides::{Overrides, Without};
pub use run::WORK_MAX;
pub(crate) use run::argument;
pub use transaction::{HEADERS_MAX, Transaction};
pub use vars::{VARS_MAX, Vars};

use crate::byteset::ByteSet;
use crate::input::{Connection, RequestHead};
use crate::rule::Step;
use crate::ruleset::RuleSet;
use crate::variable::Collection;
use plan::{Bits, Chains, Guard, Plan};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// A rule set made ready to run. Never changes; cheap to share.
#[derive(Debug)]
pub struct Engine {
    rules: RuleSet,
    plan: Plan,
    /// By phase and position.
    steps: [Vec<StepInfo>; 5],
    /// What is left of a phase's plan when its guards have spoken.
    views: RwLock<BTreeMap<(usize, u128), Arc<View>>>,
    planned: bool,
    /// A rule looks at what uploaded files hold.
    reads_file_contents: bool,
}

/// A phase's plan for those who got past the same guards.
#[derive(Debug)]
struct View {
    /// By class of value.
    classes: Vec<ClassView>,
}

/// What is asked of the values of one class.
#[derive(Debug, Default)]
struct ClassView {
    /// The chains that its reachable rules need.
    wanted: Chains,
    /// Its probes that no literal tells, but a byte of `special` does.
    without_literal: Vec<u32>,
    special: ByteSet,
    /// Its probes that only the length tells.
    unspecial: Vec<u32>,
    /// All its probes.
    probes: Bits,
    /// Some of them are told by a literal.
    has_literals: bool,
}

/// What is known of a step beside its rule.
#[derive(Debug, Default)]
struct StepInfo {
    /// Where its `skipAfter` goes on; beyond the end when its marker never comes.
    landing: usize,
    /// By link: the number of its chain of transformations.
    chains: Vec<Option<u8>>,
}

/// The most views kept: more come of rule sets with many independent guards, and are made each time.
const VIEWS_MAX: usize = 64;

impl Engine {
    pub fn new(rules: RuleSet) -> Self {
        let plan = Plan::new(&rules);
        let reads_file_contents = reads(&rules, Collection::FilesTmpContent);
        let steps = [0, 1, 2, 3, 4]
            .map(|phase| infos(rules.phases.get(phase).map_or(&[], |steps| &**steps), &plan));
        Self { rules, plan, steps, views: RwLock::default(), planned: true, reads_file_contents }
    }

    /// The same without its plan: every rule looks at every value. What tests compare with.
    #[must_use]
    pub fn without_plan(mut self) -> Self {
        self.planned = false;
        self
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Begins a transaction. Nothing has run yet.
    pub fn begin(
        self: &Arc<Self>,
        connection: &Connection<'_>,
        head: &RequestHead<'_>,
        memory: Arc<dyn Memory>,
    ) -> Transaction {
        Transaction::new(Arc::clone(self), connection, head, memory)
    }

    fn info(&self, phase: usize, position: usize) -> Option<&StepInfo> {
        self.steps.get(phase)?.get(position)
    }

    /// The view of those for whom just the guards numbered in `jumps` jump.
    fn view(&self, phase: usize, jumps: u128) -> Arc<View> {
        let key = (phase, jumps);
        if let Ok(views) = self.views.read()
            && let Some(view) = views.get(&key)
        {
            return Arc::clone(view);
        }
        let view = Arc::new(self.make_view(phase, jumps));
        if let Ok(mut views) = self.views.write()
            && views.len() < VIEWS_MAX
        {
            views.insert(key, Arc::clone(&view));
        }
        view
    }

    fn make_view(&self, phase: usize, jumps: u128) -> View {
        let mut classes: Vec<ClassView> = Vec::new();
        let Some(plan) = self.plan.phases.get(phase) else { return View { classes } };
        let skipped = |at: u32| {
            plan.guards.iter().enumerate().any(|(number, guard)| {
                number < 128 && jumps & (1 << number) != 0 && guard.step < at && at < guard.lands
            })
        };
        for slots in self.plan.classes() {
            let mut class =
                ClassView { probes: Bits::with_len(plan.probes.len()), ..ClassView::default() };
            for (number, probe) in plan.probes.iter().enumerate() {
                if probe.slots & slots == 0 || skipped(probe.step) {
                    continue;
                }
                class.wanted = class.wanted.union(probe.chains);
                class.probes.insert(number);
                match u32::try_from(number) {
                    Ok(number) if plan.without_literal.contains(&number) => {
                        match probe.bytes.first() {
                            None => class.unspecial.push(number),
                            Some(rarest) => {
                                class.special = class.special.union(*rarest);
                                class.without_literal.push(number);
                            }
                        }
                    }
                    _ => class.has_literals = true,
                }
            }
            classes.push(class);
        }
        View { classes }
    }

    fn guards(&self, phase: usize) -> &[Guard] {
        self.plan.phases.get(phase).map_or(&[], |plan| plan.guards.as_slice())
    }
}

fn reads(rules: &RuleSet, collection: Collection) -> bool {
    let steps = rules.phases.iter().flat_map(|steps| steps.iter());
    let links = steps.flat_map(|step| match step {
        Step::Rule(rule) => rule.links.as_slice(),
        Step::Marker(_) => &[],
    });
    links.flat_map(|link| &link.targets).any(|target| target.collection == collection)
}

fn infos(steps: &[Step], plan: &Plan) -> Vec<StepInfo> {
    let markers: BTreeMap<&str, usize> = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| match step {
            Step::Marker(name) => Some((name.as_str(), at)),
            Step::Rule(_) => None,
        })
        .collect();
    let info = |(position, step): (usize, &Step)| {
        let Step::Rule(rule) = step else { return StepInfo::default() };
        let marker = rule.skip_after.as_deref().and_then(|name| markers.get(name));
        StepInfo {
            landing: marker.filter(|at| **at > position).map_or(steps.len(), |at| at + 1),
            chains: rule.links.iter().map(|link| plan.chain_of(&link.transformations)).collect(),
        }
    };
    steps.iter().enumerate().map(info).collect()
}
