use crate::propose::covers;
use schema::{Action, Restriction, Restrictions, Rung, Timestamp};

/// What gateways have to enforce at `now`: the actions in force, the highest rung on each target.
///
/// A lower rung that a higher one covers is left out and comes back by itself when the higher one is
/// undone or ends, as long as its own time runs. Sorted, so that equal sets are equal bytes.
pub fn restrictions(actions: &[Action], version: u64, now: Timestamp) -> Restrictions {
    let mut live: Vec<&Action> = actions
        .iter()
        .filter(|action| {
            action.state.is_in_force() && action.expires > now && action.rung > Rung::Observe
        })
        .collect();
    live.sort_by(|a, b| {
        (&a.target, b.rung, &a.sites, a.id).cmp(&(&b.target, a.rung, &b.sites, b.id))
    });
    live.dedup_by_key(|action| action.id);
    // Sorted by target and falling rung: whatever covers an action stands before it.
    let mut kept: Vec<&Action> = Vec::with_capacity(live.len());
    for action in live {
        let covered = kept
            .iter()
            .rev()
            .take_while(|other| other.target == action.target)
            .any(|other| other.rung > action.rung && covers(&other.sites, &action.sites));
        if !covered {
            kept.push(action);
        }
    }
    let restrictions = kept
        .into_iter()
        .map(|action| Restriction {
            action: action.id,
            target: action.target.clone(),
            rung: action.rung,
            sites: action.sites.clone(),
            rate_per_minute: action.rate_per_minute,
            expires: action.expires,
            reason: action.reason.clone(),
        })
        .collect();
    Restrictions { version, restrictions, reconsider: Vec::new() }
}

/// The actions that hold the target again once `action` is undone: lower rungs it covers whose own time
/// still runs. To be told to whoever undoes it, who may want them undone too.
pub fn restored_by_undo<'a>(
    actions: &'a [Action],
    action: &Action,
    now: Timestamp,
) -> Vec<&'a Action> {
    let ids =
        |set: Restrictions| set.restrictions.into_iter().map(|r| r.action).collect::<Vec<_>>();
    let before = ids(restrictions(actions, 0, now));
    let without: Vec<Action> =
        actions.iter().filter(|other| other.id != action.id).cloned().collect();
    let after = ids(restrictions(&without, 0, now));
    actions
        .iter()
        .filter(|other| after.contains(&other.id) && !before.contains(&other.id))
        .collect()
}
