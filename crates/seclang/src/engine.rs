//! The engine: a rule set made ready to run, and the transactions it runs on.

mod expand;
mod memory;
mod plan;
mod run;
mod store;
mod transaction;
mod vars;

#[cfg(test)]
mod tests;

pub use memory::{Memory, NoMemory, Record};
pub use transaction::Transaction;
pub use vars::VARS_MAX;

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
    /// By phase: where each marker stands.
    markers: [BTreeMap<String, usize>; 5],
    /// What is left of a phase's plan when its guards have spoken.
    views: RwLock<BTreeMap<(usize, u128), Arc<View>>>,
    planned: bool,
    /// A rule looks at what uploaded files hold.
    reads_file_contents: bool,
}

/// A phase's plan for those who got past the same guards.
#[derive(Debug)]
struct View {
    reachable: Bits,
    /// By slot: the chains that its reachable rules need.
    chains: Vec<Chains>,
}

/// The most views kept: more come of rule sets with many independent guards, and are made each time.
const VIEWS_MAX: usize = 64;

impl Engine {
    pub fn new(rules: RuleSet) -> Self {
        let plan = Plan::new(&rules);
        let reads_file_contents = reads(&rules, Collection::FilesTmpContent);
        let markers = [0, 1, 2, 3, 4]
            .map(|phase| markers(rules.phases.get(phase).map_or(&[], |steps| &**steps)));
        Self { rules, plan, markers, views: RwLock::default(), planned: true, reads_file_contents }
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

    fn marker(&self, phase: usize, name: &str) -> Option<usize> {
        self.markers.get(phase)?.get(name).copied()
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
        let steps = self.rules.phases.get(phase).map_or(0, |steps| steps.len());
        let mut reachable = Bits::with_len(steps);
        let mut chains = vec![Chains::NONE; plan::SLOTS_MAX];
        let Some(plan) = self.plan.phases.get(phase) else { return View { reachable, chains } };
        let skipped = |at: u32| {
            plan.guards.iter().enumerate().any(|(number, guard)| {
                number < 128 && jumps & (1 << number) != 0 && guard.step < at && at < guard.lands
            })
        };
        for probe in &plan.probes {
            if skipped(probe.step) {
                continue;
            }
            reachable.insert(probe.step as usize);
            for (slot, needed) in chains.iter_mut().enumerate() {
                if probe.slots & (1 << slot) != 0 {
                    *needed = needed.union(Chains::one(probe.chain));
                }
            }
        }
        View { reachable, chains }
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

fn markers(steps: &[Step]) -> BTreeMap<String, usize> {
    steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| match step {
            Step::Marker(name) => Some((name.clone(), at)),
            Step::Rule(_) => None,
        })
        .collect()
}
