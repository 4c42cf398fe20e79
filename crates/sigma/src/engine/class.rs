//! Rules sorted by the kind of record they are about, and for each the witnesses that find it.

use super::index::{Builder, FieldIndex};
use super::needle::{expected, needles};
use super::{EVERY, Entry, FieldId, Place};
use crate::compile::Check;
use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use std::collections::{BTreeSet, HashMap};

/// Rules that ask the same of an event's kind.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) logsource: LogSource,
    /// What the fields of a kind have to say; all of them.
    pub(super) guard: Vec<Check>,
    /// Rules without a witness: tried on every event of the class.
    pub(super) always: Vec<u32>,
    /// Fields where witnesses are.
    pub(super) fields: Vec<FieldId>,
    /// Witnesses that may be in any field.
    pub(super) anywhere: Option<FieldIndex>,
}

/// Rules that a witness leads to, by class.
pub(super) type Led = Vec<(u32, Vec<u32>)>;

/// Rules in their classes, and the way to them.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) classes: Vec<Class>,
    pub(super) entries: Vec<Entry>,
    /// By predicate.
    pub(super) led: Vec<Led>,
}

#[derive(Default)]
struct Growing {
    always: Vec<u32>,
    fields: BTreeSet<FieldId>,
    anywhere: Builder,
}

pub(super) fn sort(
    set: &RuleSet,
    wanted: &dyn Fn(usize) -> bool,
    places: &[Place],
    route: &[FieldId],
) -> Sorted {
    let costs: Vec<f64> =
        set.predicates.iter().map(|predicate| expected(&predicate.test)).collect();
    let sorter = Sorter { set, places, route, costs };
    let mut numbers: HashMap<(LogSource, Vec<Check>), u32> = HashMap::new();
    let mut growing: Vec<Growing> = Vec::new();
    let mut sorted = Sorted { led: vec![Led::new(); places.len()], ..Sorted::default() };
    for (compiled, rule) in set.rules.iter().zip(0u32..).filter(|(_, rule)| wanted(*rule as usize))
    {
        for variant in &compiled.variants {
            let (guard, rest) = sorter.split(&variant.check);
            let next = numbers.len() as u32;
            let class = *numbers.entry((variant.logsource.clone(), guard)).or_insert(next);
            growing.resize_with(numbers.len(), Growing::default);
            let Some(own) = growing.get_mut(class as usize) else { continue };
            let number = sorted.entries.len() as u32;
            match sorter.witness(&rest) {
                None => own.always.push(number),
                Some(witness) => {
                    for id in witness.predicates {
                        sorter.lead(id, own);
                        let Some(led) = sorted.led.get_mut(id as usize) else { continue };
                        match led.last_mut().filter(|(last, _)| *last == class) {
                            Some((_, entries)) => entries.push(number),
                            None => led.push((class, vec![number])),
                        }
                    }
                }
            }
            sorted.entries.push(Entry { rule, check: sorter.sorted(rest) });
        }
    }
    let mut named: Vec<_> = numbers.into_iter().collect();
    named.sort_by_key(|(_, number)| *number);
    sorted.classes = named
        .into_iter()
        .zip(growing)
        .map(|(((logsource, guard), _), own)| Class {
            logsource,
            guard,
            always: own.always,
            fields: own.fields.into_iter().collect(),
            anywhere: (!own.anywhere.is_empty()).then(|| own.anywhere.build()),
        })
        .collect();
    sorted
}

struct Sorter<'s> {
    set: &'s RuleSet,
    places: &'s [Place],
    route: &'s [FieldId],
    /// By predicate: the share of events expected to have it.
    costs: Vec<f64>,
}

/// What has to be found for a check to hold.
struct Witness {
    predicates: Vec<u32>,
    /// The share of events expected to have one of them.
    expected: f64,
}

impl Sorter<'_> {
    /// What a check asks of an event's kind, and the rest.
    fn split(&self, check: &Check) -> (Vec<Check>, Check) {
        let mut parts = Vec::new();
        flatten(check, &mut parts);
        let (guard, rest): (Vec<&Check>, Vec<&Check>) =
            parts.into_iter().partition(|part| self.is_about_kind(part));
        (guard.into_iter().cloned().collect(), Check::All(rest.into_iter().cloned().collect()))
    }

    fn is_about_kind(&self, check: &Check) -> bool {
        match check {
            Check::All(parts) | Check::Any(parts) => {
                parts.iter().all(|part| self.is_about_kind(part))
            }
            Check::Not(part) => self.is_about_kind(part),
            Check::Is(id) => self.places.get(*id as usize).is_some_and(|place| {
                self.route.contains(&place.field)
                    && (place.other == EVERY || self.route.contains(&place.other))
            }),
        }
    }

    /// Of what one has to be found if the check is to hold; none if nothing that can be looked up.
    fn witness(&self, check: &Check) -> Option<Witness> {
        match check {
            Check::All(parts) => parts
                .iter()
                .filter_map(|part| self.witness(part))
                .min_by(|one, two| one.expected.total_cmp(&two.expected)),
            Check::Any(parts) if !parts.is_empty() => {
                let mut all = Witness { predicates: Vec::new(), expected: 0.0 };
                for part in parts {
                    let witness = self.witness(part)?;
                    all.predicates.extend(witness.predicates);
                    all.expected += witness.expected;
                }
                Some(all)
            }
            Check::Is(id) => {
                needles(&self.set.predicates.predicate(*id)?.test)?;
                Some(Witness { predicates: vec![*id], expected: self.cost(*id) })
            }
            Check::Any(_) | Check::Not(_) => None,
        }
    }

    /// Has the witness looked for.
    fn lead(&self, id: u32, class: &mut Growing) {
        match self.places.get(id as usize).map_or(EVERY, |place| place.field) {
            EVERY => {
                let predicate = self.set.predicates.predicate(id);
                for found in predicate.and_then(|own| needles(&own.test)).into_iter().flatten() {
                    class.anywhere.add(found, id);
                }
            }
            field => drop(class.fields.insert(field)),
        }
    }

    fn cost(&self, id: u32) -> f64 {
        self.costs.get(id as usize).copied().unwrap_or(1.0)
    }

    /// The same check, with what decides it soonest at the front: the order does not change what holds.
    fn sorted(&self, check: Check) -> Check {
        let sort = |parts: Vec<Check>, by: fn(f64) -> f64| {
            let mut parts: Vec<Check> = parts.into_iter().map(|part| self.sorted(part)).collect();
            parts.sort_by(|one, two| by(self.chance(one)).total_cmp(&by(self.chance(two))));
            parts
        };
        match check {
            // What is seldom true ends an `All`; what is often true ends an `Any`.
            Check::All(parts) => Check::All(sort(parts, |chance| chance)),
            Check::Any(parts) => Check::Any(sort(parts, |chance| -chance)),
            Check::Not(part) => Check::Not(Box::new(self.sorted(*part))),
            Check::Is(id) => Check::Is(id),
        }
    }

    /// How often a check is expected to hold.
    fn chance(&self, check: &Check) -> f64 {
        match check {
            Check::All(parts) => parts.iter().map(|part| self.chance(part)).product(),
            Check::Any(parts) => parts.iter().map(|part| self.chance(part)).sum::<f64>().min(1.0),
            // A filter leaves little out, and asks much.
            Check::Not(part) => 1.0 - self.chance(part) / 2.0,
            Check::Is(id) => self.cost(*id),
        }
    }
}

/// The parts that all have to hold.
fn flatten<'c>(check: &'c Check, parts: &mut Vec<&'c Check>) {
    match check {
        Check::All(all) => all.iter().for_each(|part| flatten(part, parts)),
        other => parts.push(other),
    }
}
