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
    Restrictions { version, restrictions }
}
