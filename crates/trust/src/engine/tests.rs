//! What holds for every policy and state, tried on many.

use super::decide;
use crate::policy::Policy;
use crate::soundness::{random, shown, silenced, value, worsened};
use crate::vary::Dice;
use crate::vocabulary::State;
use crate::{Decision, Demands, Points};

/// Random states tried for each property.
const STATES: u64 = 100_000;

fn judge(policy: &Policy, profile: usize, state: &State) -> Decision {
    decide(policy, profile, state, &Demands::default())
}

#[test]
fn a_worse_signal_never_raises_the_score() {
    let policy = Policy::shipped();
    let mut dice = Dice(1);
    let (mut tried, mut lowered) = (0, 0);
    for _ in 0..STATES {
        let before = random(&mut dice, &policy);
        // Most pairs of values do not compare: try some.
        let Some((after, what)) = (0..8).find_map(|_| worsened(&mut dice, &policy, &before)) else {
            continue;
        };
        let profile = usize::from(dice.below(2) == 1);
        let (left, right) = (judge(&policy, profile, &before), judge(&policy, profile, &after));
        assert!(
            right.score <= left.score,
            "{what}: {} -> {} where {}",
            left.score,
            right.score,
            shown(&policy, &before),
        );
        tried += 1;
        lowered += u64::from(right.score < left.score);
    }
    assert!(tried > STATES / 4 && lowered > STATES / 40, "{lowered} of {tried}");
}

#[test]
fn falling_silent_never_helps_against_speaking_or_never_having_spoken() {
    let policy = Policy::shipped();
    let mut dice = Dice(2);
    for _ in 0..STATES {
        let before = random(&mut dice, &policy);
        let Some((after, name)) = silenced(&mut dice, &policy, &before) else { continue };
        let (left, right) = (judge(&policy, 0, &before), judge(&policy, 0, &after));
        assert!(right.score <= left.score, "{name}: {}", shown(&policy, &before));
    }
}

#[test]
fn contributions_add_up_and_the_score_lies_in_its_interval() {
    let policy = Policy::shipped();
    let mut dice = Dice(3);
    let mut bands = [0_u32; 4];
    for _ in 0..STATES {
        let state = random(&mut dice, &policy);
        let profile = usize::from(dice.below(2) == 1);
        let decision = judge(&policy, profile, &state);
        let sum: i64 = decision.contributions.iter().map(|part| part.points.0).sum();
        assert_eq!(Points(sum), decision.score, "{decision:#?}");
        assert!((decision.low..=decision.high).contains(&decision.score), "{decision:#?}");
        assert!((Points(0)..=Points(10_000)).contains(&decision.score));
        let refuses = ["step_up", "suspend", "isolate", "deny", "deny_lock", "revoke_wipe"];
        let is_refused = decision.decisions.iter().any(|d| refuses.contains(&&**d));
        assert_eq!(decision.permit, !is_refused);
        let odd = crate::exam::contradictions(&policy, &state, &decision);
        assert!(odd.is_empty(), "{odd:?} {}", shown(&policy, &state));
        bands[usize::try_from(decision.score.0 / 2_501).unwrap()] += 1;
    }
    // The states are not all of one sort.
    assert!(bands.iter().all(|count| *count > 500), "{bands:?}");
}

#[test]
fn any_answer_to_the_unknown_stays_in_the_interval() {
    let policy = Policy::shipped();
    let mut dice = Dice(4);
    for _ in 0..STATES / 10 {
        let asked = random(&mut dice, &policy);
        let interval = judge(&policy, 1, &asked);
        let mut answered = asked.clone();
        for (slot, signal) in policy.vocabulary.signals.iter().enumerate() {
            if asked.known >> slot & 1 == 0 {
                answered.values[slot] = value(&mut dice, &signal.kind);
                answered.known |= u128::from(dice.below(2)) << slot;
            }
        }
        let score = judge(&policy, 1, &answered).score;
        assert!(
            (interval.low..=interval.high).contains(&score),
            "{score} is not in {}..{}: {}",
            interval.low,
            interval.high,
            shown(&policy, &answered),
        );
    }
}

#[test]
fn same_state_same_bytes() {
    let (one, other) = (Policy::shipped(), Policy::shipped());
    let mut dice = Dice(5);
    for _ in 0..STATES / 10 {
        let state = random(&mut dice, &one);
        let bytes = |policy| serde_json::to_vec(&judge(policy, 0, &state)).unwrap();
        assert_eq!(bytes(&one), bytes(&other));
    }
}

#[test]
fn strict_never_trusts_more_than_balanced() {
    let policy = Policy::shipped();
    let mut dice = Dice(6);
    for _ in 0..STATES / 10 {
        let state = random(&mut dice, &policy);
        assert!(judge(&policy, 1, &state).score <= judge(&policy, 0, &state).score);
    }
}

#[test]
fn what_is_worked_out_beforehand_changes_nothing() {
    let policy = Policy::shipped();
    let mut slow = policy.clone();
    slow.indicators.iter_mut().for_each(|indicator| indicator.blank = None);
    let mut dice = Dice(7);
    for _ in 0..STATES / 10 {
        let state = random(&mut dice, &policy);
        assert_eq!(judge(&policy, 0, &state), judge(&slow, 0, &state));
    }
}
