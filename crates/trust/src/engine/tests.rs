//! What holds for every policy state, tried on many.

use super::decide;
use crate::policy::Policy;
use crate::vocabulary::{Kind, State};
use crate::{Decision, Demands, Points};

/// Random states tried for each property.
const STATES: u64 = 100_000;

/// SplitMix64 (Steele, Lea and Flood 2014): the same states every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn value(dice: &mut Dice, kind: &Kind) -> i64 {
    let count = match kind {
        Kind::Bool => 2,
        Kind::Integer { .. } => {
            [0, 1, 2, 3, 4, 10, 11, 30, 31, 90, 180, 200][dice.below(12) as usize] + 1
        }
        Kind::Enum(values) => values.len() as u64,
        Kind::Text { named } => named.len() as u64 + 1,
    };
    match kind {
        Kind::Integer { .. } => count as i64 - 1,
        Kind::Text { .. } => dice.below(count) as i64 - 1,
        _ => dice.below(count) as i64,
    }
}

/// From hardly anything known to everything; now and then something silent.
fn state(dice: &mut Dice, policy: &Policy) -> State {
    let known_percent = [10, 30, 50, 80, 100][dice.below(5) as usize];
    let silent_percent = [0, 0, 5, 20][dice.below(4) as usize];
    let mut state = State { values: Vec::new(), known: 0, silent: 0 };
    for (slot, signal) in policy.vocabulary.signals.iter().enumerate() {
        // Grave facts are rare, or every score would be 0.
        let is_grave = ["stolen_reported", "os_tamper_flag", "impossible_travel", "live_finding"]
            .contains(&signal.name.as_str());
        let mut of = value(dice, &signal.kind);
        if is_grave && dice.below(10) > 0 {
            of = 0;
        }
        state.values.push(of);
        if dice.below(100) < known_percent {
            state.known |= 1 << slot;
            state.silent |= u128::from(dice.below(100) < silent_percent) << slot;
        }
    }
    state
}

fn shown(policy: &Policy, state: &State) -> String {
    let known = |slot: &usize| state.known >> slot & 1 == 1;
    (0..state.values.len())
        .filter(known)
        .map(|slot| {
            let signal = &policy.vocabulary.signals[slot];
            let silent = if state.silent >> slot & 1 == 1 { " (silent)" } else { "" };
            format!("{}={:?}{silent} ", signal.name, signal.show(state.values[slot]))
        })
        .collect()
}

fn judge(policy: &Policy, profile: usize, state: &State) -> Decision {
    decide(policy, profile, state, &Demands::default())
}

#[test]
fn a_worse_signal_never_raises_the_score() {
    let policy = Policy::shipped();
    let mut dice = Dice(1);
    let mut tried = 0;
    for _ in 0..STATES {
        let before = state(&mut dice, &policy);
        let slot = dice.below(before.values.len() as u64) as usize;
        let signal = &policy.vocabulary.signals[slot];
        let (from, to) = (before.values[slot], value(&mut dice, &signal.kind));
        if before.known >> slot & 1 == 0 || !signal.is_worse(to, from) {
            continue;
        }
        let mut after = before.clone();
        after.values[slot] = to;
        let profile = dice.below(2) as usize;
        let (left, right) = (judge(&policy, profile, &before), judge(&policy, profile, &after));
        assert!(
            right.score <= left.score,
            "{} {:?} -> {:?}: {} -> {}\n{}\n{left:#?}\n{right:#?}",
            signal.name,
            signal.show(from),
            signal.show(to),
            left.score,
            right.score,
            shown(&policy, &before),
        );
        tried += 1;
    }
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn falling_silent_never_helps_against_speaking_or_never_having_spoken() {
    let policy = Policy::shipped();
    let mut dice = Dice(2);
    for _ in 0..STATES / 4 {
        let said = state(&mut dice, &policy);
        let slot = dice.below(said.values.len() as u64);
        if said.known >> slot & 1 == 0 || said.silent >> slot & 1 == 1 {
            continue;
        }
        let mut silent = said.clone();
        silent.silent |= 1 << slot;
        let mut unsaid = said.clone();
        unsaid.known &= !(1 << slot);
        let score = |state: &State| judge(&policy, 0, state).score;
        let now = score(&silent);
        assert!(now <= score(&said), "{} fell silent: {}", slot, shown(&policy, &said));
        assert!(now <= score(&unsaid), "{} fell silent: {}", slot, shown(&policy, &said));
    }
}

#[test]
fn contributions_add_up_and_the_score_lies_in_its_interval() {
    let policy = Policy::shipped();
    let mut dice = Dice(3);
    for _ in 0..STATES {
        let state = state(&mut dice, &policy);
        let profile = dice.below(2) as usize;
        let decision = judge(&policy, profile, &state);
        let sum: i64 = decision.contributions.iter().map(|part| part.points.0).sum();
        assert_eq!(Points(sum), decision.score, "{decision:#?}");
        assert!((decision.low..=decision.high).contains(&decision.score), "{decision:#?}");
        assert!((Points(0)..=Points(10_000)).contains(&decision.score));
        assert_eq!(
            decision.permit,
            !decision.decisions.iter().any(|d| {
                ["step_up", "suspend", "isolate", "deny", "deny_lock", "revoke_wipe"]
                    .contains(&&**d)
            }),
        );
        assert!(
            crate::exam::contradictions(&policy, &state, &decision).is_empty(),
            "{}\n{decision:#?}",
            shown(&policy, &state)
        );
    }
}

#[test]
fn any_answer_to_the_unknown_stays_in_the_interval() {
    let policy = Policy::shipped();
    let mut dice = Dice(4);
    for _ in 0..STATES / 10 {
        let asked = state(&mut dice, &policy);
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
        let state = state(&mut dice, &one);
        let bytes = |policy| serde_json::to_vec(&judge(policy, 0, &state)).unwrap();
        assert_eq!(bytes(&one), bytes(&other));
    }
}

#[test]
fn strict_never_trusts_more_than_balanced() {
    let policy = Policy::shipped();
    let mut dice = Dice(6);
    for _ in 0..STATES / 10 {
        let state = state(&mut dice, &policy);
        assert!(judge(&policy, 1, &state).score <= judge(&policy, 0, &state).score);
    }
}
