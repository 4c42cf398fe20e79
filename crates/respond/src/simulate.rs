use crate::{Context, PolicySet, Proposal, confirm, decide, expire, propose};
use schema::{Action, ActionState, BlastRadius, Entity, Finding, Incident, Rung, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which actions a policy set would have taken over these findings, each with its incident.
///
/// The clock is each finding's own time; executors confirm at once, no human answers. `blast` counts
/// the past of a proposal where the caller has it.
pub fn simulate(
    policies: &PolicySet,
    context: &Context,
    findings: &[(Incident, Finding)],
    mut blast: impl FnMut(&Proposal, Timestamp) -> Option<BlastRadius>,
) -> Vec<Action> {
    let mut ordered: Vec<&(Incident, Finding)> = findings.iter().collect();
    ordered.sort_by_key(|(_, finding)| (finding.time, finding.id));
    let mut actions: Vec<Action> = Vec::new();
    for (incident, finding) in ordered {
        let now = finding.time;
        expire_due(&mut actions, now);
        for proposal in propose(policies, context, incident, finding, &actions, now) {
            let radius =
                if proposal.wants_blast_radius(policies) { blast(&proposal, now) } else { None };
            let mut action = decide(policies, proposal, radius, now);
            if action.state == ActionState::Pending {
                // Pending is confirmable, so this cannot be refused.
                let _ = confirm(&mut action, "simulation", now);
            }
            match actions.iter_mut().find(|known| known.id == action.id) {
                Some(known) => *known = action,
                None => actions.push(action),
            }
        }
    }
    actions
}

/// Ends every action whose time has passed, and says which.
pub fn expire_due(actions: &mut [Action], now: Timestamp) -> Vec<uuid::Uuid> {
    let mut ended = Vec::new();
    for action in actions {
        if expire(action, now).is_ok() {
            ended.push(action.id);
        }
    }
    ended
}

/// How two policy sets differ over the same findings.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Difference {
    /// Taken only by the second.
    pub added: Vec<Action>,
    /// Taken only by the first.
    pub removed: Vec<Action>,
    /// Taken by both, and how each would stand: same rung, target, sites, reason and incident.
    pub changed: Vec<(Action, Action)>,
    pub same: usize,
}

/// Compares what two policy sets would have done.
pub fn compare(before: &[Action], after: &[Action]) -> Difference {
    type Key = (uuid::Uuid, Rung, Entity, Vec<String>, String, usize);
    fn keyed(actions: &[Action]) -> BTreeMap<Key, &Action> {
        let mut map: BTreeMap<Key, &Action> = BTreeMap::new();
        for action in actions {
            let key = |turn| {
                (
                    action.incident,
                    action.rung,
                    action.target.clone(),
                    action.sites.clone(),
                    action.reason.clone(),
                    turn,
                )
            };
            let turn = (0..).find(|turn| !map.contains_key(&key(*turn))).unwrap_or_default();
            map.insert(key(turn), action);
        }
        map
    }
    let mut difference = Difference::default();
    let (before, after) = (keyed(before), keyed(after));
    for (key, old) in &before {
        match after.get(key) {
            None => difference.removed.push((*old).clone()),
            Some(new) => {
                let alike = old.state == new.state
                    && old.rate_per_minute == new.rate_per_minute
                    && old.expires == new.expires
                    && old.approval.as_ref().map(|a| &a.code)
                        == new.approval.as_ref().map(|a| &a.code);
                if alike {
                    difference.same += 1;
                } else {
                    difference.changed.push(((*old).clone(), (*new).clone()));
                }
            }
        }
    }
    difference.added = after
        .iter()
        .filter(|(key, _)| !before.contains_key(*key))
        .map(|(_, action)| (*action).clone())
        .collect();
    difference
}
