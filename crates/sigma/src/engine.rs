//! Many rules on a stream: what [`RuleSet::evaluate`] finds, without trying every rule.
//!
//! Rules are sorted into classes by what they ask of the few fields that say what kind of record an event is.
//! In each class a rule is found by a *witness*: predicates of which one has to hold if the rule is to fire,
//! taken where few events are expected to have one. One look-up per field finds the witnesses an event has;
//! only the rules behind those are tried, each predicate once per event.

mod class;
mod index;
mod inside;
mod needle;
mod view;

use crate::compile::Check;
use crate::event::{Event, HEADER_CHANNEL, Name};
use crate::predicate::Test;
use crate::ruleset::{Match, RuleSet};
use bumpalo::Bump;
use class::Sorted;
use foldhash::fast::RandomState;
use index::{Builder, FieldIndex};
use needle::needles;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use view::{Known, Slot, View};

/// Fields that say what kind of record an event is: every source has few values of them.
const ROUTE_FIELDS: [&str; 3] = [HEADER_CHANNEL, "EventID", "Provider_Name"];

/// Kinds of records a runner remembers the classes of; over that it begins anew.
const ROUTES_MAX: usize = 4_096;
/// Bytes of the values that name a kind; longer ones are not remembered.
const ROUTE_BYTES_MAX: usize = 512;

/// A field's number among those that rules ask for.
type FieldId = u32;
/// Stands for every value of an event.
const EVERY: FieldId = 0;

/// One way to see one rule, within its class.
#[derive(Debug, Clone)]
struct Entry {
    rule: u32,
    /// What has to hold beside the class; what is rare or cheap first.
    check: Check,
}

/// Where a predicate looks, and what looking it up says.
#[derive(Debug, Clone, Copy)]
struct Place {
    field: FieldId,
    /// The other field of a reference.
    other: FieldId,
    lookup: Lookup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lookup {
    /// It cannot be looked up.
    None,
    /// Where it is not found it does not hold.
    Needed,
    /// Where it is found it holds, and nowhere else.
    Exact,
}

/// Compiled from a rule set, never changes.
#[derive(Debug)]
pub struct Engine {
    set: Arc<RuleSet>,
    names: Vec<Name>,
    /// By predicate.
    places: Vec<Place>,
    /// By field: the predicates that can be looked up.
    indexes: Vec<Option<FieldIndex>>,
    sorted: Sorted,
    route: [FieldId; 3],
}

impl Engine {
    pub fn new(set: Arc<RuleSet>) -> Self {
        Engine::of(set, &|_| true)
    }

    /// Of the rules with these numbers only.
    pub fn of(set: Arc<RuleSet>, wanted: &dyn Fn(usize) -> bool) -> Self {
        let mut fields = Fields::default();
        fields.id("");
        let route = ROUTE_FIELDS.map(|name| fields.id(name));
        let mut builders: BTreeMap<FieldId, Builder> = BTreeMap::new();
        let mut places = Vec::with_capacity(set.predicates.len());
        for (predicate, number) in set.predicates.iter().zip(0..) {
            let field = predicate.field.as_deref().map_or(EVERY, |name| fields.id(name));
            let found = needles(&predicate.test);
            places.push(Place {
                field,
                other: match &predicate.test {
                    Test::Field { other, .. } => fields.id(other),
                    _ => EVERY,
                },
                lookup: match found {
                    None => Lookup::None,
                    Some(_) if is_exact(&predicate.test) => Lookup::Exact,
                    Some(_) => Lookup::Needed,
                },
            });
            for found in found.into_iter().flatten() {
                builders.entry(field).or_default().add(found, number);
            }
        }
        let sorted = class::sort(&set, wanted, &places, &route);
        let wanted: BTreeSet<FieldId> =
            sorted.classes.iter().flat_map(|class| class.fields.iter().copied()).collect();
        builders.retain(|field, _| wanted.contains(field));
        let mut indexes = Vec::new();
        indexes.resize_with(fields.names.len(), || None);
        for (field, builder) in builders {
            if let Some(index) = indexes.get_mut(field as usize) {
                *index = Some(builder.build());
            }
        }
        Engine { set, names: fields.names, places, indexes, sorted, route }
    }

    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// What one thread needs to run events through.
    pub fn runner(self: &Arc<Self>) -> Runner {
        Runner {
            marks: vec![Known::default(); self.places.len()],
            slots: vec![Slot::default(); self.names.len()],
            tried: vec![0; self.sorted.entries.len()],
            active: vec![0; self.sorted.classes.len()],
            fired: vec![0; self.set.rules.len()],
            engine: Arc::clone(self),
            round: 0,
            routes: HashMap::default(),
            candidates: Vec::new(),
            hits: Vec::new(),
            arena: Mutex::default(),
            stats: Stats::default(),
        }
    }

    /// The classes an event belongs to.
    fn route_of(&self, view: &mut View<'_, '_>) -> Route {
        let mut route = Route::default();
        let mut fields = BTreeSet::new();
        for (class, number) in self.sorted.classes.iter().zip(0..) {
            if class.logsource.covers(view.logsource())
                && class.guard.iter().all(|check| view.check(check))
            {
                route.classes.push(number);
                fields.extend(&class.fields);
            }
        }
        route.fields = fields.into_iter().collect();
        route
    }
}

/// Whether the text that is looked up says all there is to say: capitals are not told apart in it.
fn is_exact(test: &Test) -> bool {
    match test {
        Test::Equals { cased, .. }
        | Test::StartsWith { cased, .. }
        | Test::EndsWith { cased, .. }
        | Test::Contains { cased, .. } => !cased,
        _ => false,
    }
}

/// What all events of one kind have in common.
#[derive(Debug, Default)]
struct Route {
    classes: Vec<u32>,
    /// Fields where the witnesses of those classes are.
    fields: Vec<FieldId>,
}

#[derive(Default)]
struct Fields {
    names: Vec<Name>,
    ids: HashMap<String, FieldId>,
}

impl Fields {
    fn id(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = FieldId::try_from(self.names.len()).unwrap_or(EVERY);
        self.names.push(Name::new(name));
        self.ids.insert(name.to_owned(), id);
        id
    }
}

/// What was done for the events so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub events: u64,
    /// Rules that were tried because a witness was there, or because they have none.
    pub tried: u64,
    pub fired: u64,
}

/// Runs events through an engine, in memory that is used again.
pub struct Runner {
    engine: Arc<Engine>,
    /// Numbers the events: what bears another number is not of this one.
    round: u32,
    /// By predicate, field, entry, class and rule.
    marks: Vec<Known>,
    slots: Vec<Slot>,
    tried: Vec<u32>,
    active: Vec<u32>,
    fired: Vec<u32>,
    routes: HashMap<Vec<u8>, Arc<Route>, RandomState>,
    candidates: Vec<u32>,
    hits: Vec<u32>,
    /// Never shared: the lock is there so that a runner can be part of what is.
    arena: Mutex<Bump>,
    stats: Stats,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Runner {
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Every rule that fires on the event, by the order of the set: the same as [`RuleSet::evaluate`].
    pub fn evaluate(&mut self, event: &dyn Event) -> Vec<Match> {
        self.begin();
        let Runner { engine, round, marks, slots, arena, .. } = self;
        let engine: &Engine = engine;
        let arena = arena.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut view = View::new(engine, event, arena, *round, marks, slots);
        let key = view.route_key(&engine.route);
        let known = key.as_ref().and_then(|key| self.routes.get(key));
        let route = match known {
            Some(route) => Arc::clone(route),
            None => {
                let route = Arc::new(engine.route_of(&mut view));
                if let Some(key) = key {
                    if self.routes.len() >= ROUTES_MAX {
                        self.routes.clear();
                    }
                    self.routes.insert(key, Arc::clone(&route));
                }
                route
            }
        };
        self.hits.clear();
        self.candidates.clear();
        let classes = || {
            let class = |number: &u32| engine.sorted.classes.get(*number as usize);
            route.classes.iter().filter_map(class)
        };
        for number in &route.classes {
            if let Some(active) = self.active.get_mut(*number as usize) {
                *active = *round;
            }
        }
        for field in &route.fields {
            view.scan(*field, &mut self.hits);
        }
        for index in classes().filter_map(|class| class.anywhere.as_ref()) {
            view.scan_all(index, &mut self.hits);
        }
        self.candidates.extend(classes().flat_map(|class| &class.always));
        for hit in &self.hits {
            for (class, entries) in engine.sorted.led.get(*hit as usize).into_iter().flatten() {
                if self.active.get(*class as usize) != Some(round) {
                    continue;
                }
                for entry in entries {
                    let mark = self.tried.get_mut(*entry as usize);
                    if let Some(mark) = mark.filter(|mark| **mark != *round) {
                        *mark = *round;
                        self.candidates.push(*entry);
                    }
                }
            }
        }
        self.stats.tried += self.candidates.len() as u64;
        let mut fired = Vec::new();
        for number in &self.candidates {
            let Some(entry) = engine.sorted.entries.get(*number as usize) else { continue };
            let Some(mark) = self.fired.get_mut(entry.rule as usize) else { continue };
            if *mark != *round && view.check(&entry.check) {
                *mark = *round;
                fired.push(entry.rule as usize);
            }
        }
        self.stats.fired += fired.len() as u64;
        fired.sort_unstable();
        let tell = |rule| engine.set.tell(rule, event, &mut |id| view.holds(id));
        fired.into_iter().filter_map(tell).collect()
    }

    /// A new event: what was known is of the one before.
    fn begin(&mut self) {
        self.arena.get_mut().unwrap_or_else(PoisonError::into_inner).reset();
        self.stats.events += 1;
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.round = 1;
            self.marks.fill(Known::default());
            self.slots.fill(Slot::default());
            self.tried.fill(0);
            self.active.fill(0);
            self.fired.fill(0);
        }
    }
}

#[cfg(test)]
mod tests;
