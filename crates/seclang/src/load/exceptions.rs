//! `SecRuleRemove…` and `SecRuleUpdate…`: for all rules, whatever stands first.

use super::{RawLink, RawRule};
use crate::parse::Problem;
use crate::parse::actions::{ACTIONS_MAX, Action};
use crate::parse::targets::{TARGETS_MAX, Targets};
use crate::place::Place;
use crate::rule::{IdRange, Text};

/// Exceptions of one rule set; each range of ids counts.
pub const EXCEPTIONS_MAX: usize = 2_000;

#[derive(Default)]
pub(super) struct Exceptions {
    pub removals: Vec<(Place, Removal)>,
    pub target_updates: Vec<(Place, TargetUpdate)>,
    pub action_updates: Vec<(Place, ActionUpdate)>,
}

pub(super) enum Removal {
    Ids(Vec<IdRange>),
    Tag(Text),
    Message(Text),
}

pub(super) enum Which {
    /// Ids, and which link of the chain: 0 is the starter.
    Ids(Vec<IdRange>, usize),
    Tag(Text),
    Message(Text),
}

pub(super) struct TargetUpdate {
    pub which: Which,
    pub targets: Targets,
}

pub(super) struct ActionUpdate {
    pub which: Which,
    pub actions: Vec<Action>,
}

impl Exceptions {
    /// How many there are, each range of ids counted.
    pub fn count(&self) -> usize {
        let of = |which: &Which| match which {
            Which::Ids(ids, _) => ids.len(),
            _ => 1,
        };
        let removals = self.removals.iter().map(|(_, removal)| match removal {
            Removal::Ids(ids) => ids.len(),
            _ => 1,
        });
        removals.sum::<usize>()
            + self.target_updates.iter().map(|(_, update)| of(&update.which)).sum::<usize>()
            + self.action_updates.iter().map(|(_, update)| of(&update.which)).sum::<usize>()
    }

    /// Whether the rule goes. ModSecurity v3 compares tags and messages whole.
    pub fn removes(&self, rule: &RawRule) -> bool {
        let Some(starter) = rule.links.first() else { return false };
        self.removals.iter().any(|(_, removal)| match removal {
            Removal::Ids(ids) => has_id(ids, rule.id),
            Removal::Tag(tag) => has_tag(starter, tag),
            Removal::Message(message) => has_message(starter, message),
        })
    }

    /// Adds to the rule what updates say. The places of those that would make it too long.
    pub fn update(&self, rule: &mut RawRule) -> Vec<Place> {
        let id = rule.id;
        let mut too_long = Vec::new();
        for (place, update) in &self.target_updates {
            for (index, link) in rule.links.iter_mut().enumerate() {
                // A `SecAction` looks at nothing.
                if link.test.is_none() || !update.which.is_for(id, index, link) {
                    continue;
                }
                link.targets.extend(update.targets.included.iter().cloned());
                link.excluded.extend(update.targets.excluded.iter().cloned());
                if link.targets.len() + link.excluded.len() > TARGETS_MAX {
                    too_long.push(place.clone());
                    return too_long;
                }
            }
        }
        for (place, update) in &self.action_updates {
            for (index, link) in rule.links.iter_mut().enumerate() {
                if update.which.is_for(id, index, link) {
                    link.actions.extend(update.actions.iter().cloned());
                    if link.actions.len() > ACTIONS_MAX {
                        too_long.push(place.clone());
                        return too_long;
                    }
                }
            }
        }
        too_long
    }

    /// Exceptions for ids that no rule has.
    pub fn idle(&self, known: impl Fn(&[IdRange]) -> bool) -> Vec<(Place, Problem)> {
        let removals = self.removals.iter().filter_map(|(place, removal)| match removal {
            Removal::Ids(ids) => Some((place, ids, "SecRuleRemoveById")),
            _ => None,
        });
        let targets =
            self.target_updates.iter().filter_map(|(place, update)| match &update.which {
                Which::Ids(ids, _) => Some((place, ids, "SecRuleUpdateTargetById")),
                _ => None,
            });
        let actions =
            self.action_updates.iter().filter_map(|(place, update)| match &update.which {
                Which::Ids(ids, _) => Some((place, ids, "SecRuleUpdateActionById")),
                _ => None,
            });
        removals
            .chain(targets)
            .chain(actions)
            .filter(|(_, ids, _)| !known(ids))
            .map(|(place, _, name)| {
                let problem = Problem::new(name, "no loaded rule has such an id");
                (place.clone(), problem.hint("check the id, or leave the line out"))
            })
            .collect()
    }
}

impl Which {
    fn is_for(&self, id: u64, index: usize, link: &RawLink) -> bool {
        match self {
            Self::Ids(ids, of) => *of == index && has_id(ids, id),
            Self::Tag(tag) => has_tag(link, tag),
            Self::Message(message) => has_message(link, message),
        }
    }
}

fn has_id(ids: &[IdRange], id: u64) -> bool {
    ids.iter().any(|range| range.contains(id))
}

fn has_tag(link: &RawLink, wanted: &Text) -> bool {
    link.actions.iter().any(|action| matches!(action, Action::Tag(tag) if tag == wanted))
}

fn has_message(link: &RawLink, wanted: &Text) -> bool {
    link.actions.iter().any(|action| matches!(action, Action::Message(text) if text == wanted))
}
