//! What a policy must keep to whatever its numbers, tried on many states.

use crate::decision::{Decision, Demands};
use crate::engine::decide;
use crate::exam::contradictions;
use crate::policy::Policy;
use crate::vary::Dice;
use crate::vocabulary::{Kind, Signal, State};
use schema::Diagnostic;
use std::collections::BTreeSet;

/// Of one kind of trouble, so many examples are told.
const EXAMPLES_MAX: usize = 3;

/// Tries `states` random states; the same `seed`, the same states. What breaks a promise is told
/// with an example: a worse signal that raises the score, a signal that gains by falling silent, an
/// obligation that contradicts its decision.
pub fn check(policy: &Policy, file: &str, states: u32, seed: u64) -> Vec<Diagnostic> {
    let mut dice = Dice(seed);
    let (mut rises, mut gains, mut odds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..states {
        let state = random(&mut dice, policy);
        let profile = dice.place(policy.profiles.len());
        let judge = |state: &State| decide(policy, profile, state, &Demands::default());
        let decision = judge(&state);
        if let Some((worse, what)) = worsened(&mut dice, policy, &state) {
            let after = judge(&worse);
            if after.score > decision.score {
                keep(&mut rises, risen(file, &what, &decision, &after, &shown(policy, &state)));
            }
        }
        if let Some((silent, name)) = silenced(&mut dice, policy, &state) {
            let after = judge(&silent);
            if after.score > decision.score {
                let what = format!("`{name}` falling silent");
                keep(&mut gains, risen(file, &what, &decision, &after, &shown(policy, &state)));
            }
        }
        // Each once, however many rules forbid it.
        let codes: BTreeSet<_> = contradictions(policy, &state, &decision).into_iter().collect();
        for code in codes {
            let told = format!(
                "`{code}` stands beside {} where {}",
                decision.decisions.join(", "),
                shown(policy, &state),
            );
            let found = Diagnostic::new("contradicting-obligation", file, told)
                .hint("narrow the `when` that adds it, or the contradiction");
            keep(&mut odds, found);
        }
    }
    rises.into_iter().chain(gains).chain(odds).collect()
}

/// Keeps the shortest examples, which say the most.
fn keep(found: &mut Vec<Diagnostic>, one: Diagnostic) {
    found.push(one);
    found.sort_by_key(|diagnostic| diagnostic.message.len());
    found.truncate(EXAMPLES_MAX);
}

fn risen(file: &str, what: &str, before: &Decision, after: &Decision, state: &str) -> Diagnostic {
    Diagnostic::new(
        "worse-raises-score",
        file,
        format!("{what} raises the score from {} to {} where {state}", before.score, after.score),
    )
    .hint("give the worse value no more points, or a sheet of its own")
}

/// The same state with one known signal worse than before.
pub(crate) fn worsened(dice: &mut Dice, policy: &Policy, state: &State) -> Option<(State, String)> {
    let (slot, signal) = pick(dice, policy)?;
    let from = *state.values.get(slot)?;
    let to = value(dice, &signal.kind);
    if state.known >> slot & 1 == 0 || !signal.is_worse(to, from) {
        return None;
    }
    let mut worse = state.clone();
    *worse.values.get_mut(slot)? = to;
    let shown = |value| signal.show(value).map_or_else(|| "?".to_owned(), |v| v.to_string());
    Some((worse, format!("`{}` from `{}` to `{}`", signal.name, shown(from), shown(to))))
}

/// The same state with one signal, spoken of or not, fallen silent.
pub(crate) fn silenced<'a>(
    dice: &mut Dice,
    policy: &'a Policy,
    state: &State,
) -> Option<(State, &'a str)> {
    let (slot, signal) = pick(dice, policy)?;
    let mut silent = state.clone();
    silent.known |= 1 << slot;
    silent.silent |= 1 << slot;
    Some((silent, &signal.name))
}

fn pick<'a>(dice: &mut Dice, policy: &'a Policy) -> Option<(usize, &'a Signal)> {
    let signals = &policy.vocabulary.signals;
    let slot = dice.place(signals.len());
    signals.get(slot).map(|signal| (slot, signal))
}

/// From hardly anything known to everything, from all well to all wrong; now and then something silent.
pub(crate) fn random(dice: &mut Dice, policy: &Policy) -> State {
    let known_percent = 10 + dice.below(91);
    let silent_percent = dice.below(4) * dice.below(6);
    // Where everything is wrong the score is 0 whatever else changes: most states are not so.
    let odd_percent = [3, 10, 30, 100].get(dice.place(4)).copied().unwrap_or(30);
    let mut state = State { values: Vec::new(), known: 0, silent: 0 };
    for (slot, signal) in policy.vocabulary.signals.iter().enumerate() {
        let of = if dice.below(100) < odd_percent {
            value(dice, &signal.kind)
        } else {
            ordinary(dice, signal)
        };
        state.values.push(of);
        if dice.below(100) < known_percent {
            state.known |= 1 << slot;
            state.silent |= u128::from(dice.below(100) < silent_percent) << slot;
        }
    }
    state
}

/// A value than which none is better.
fn ordinary(dice: &mut Dice, signal: &Signal) -> i64 {
    if let Kind::Integer { min, .. } = signal.kind {
        return min;
    }
    let worse_than_some = signal.worse.iter().fold(0, |all, worse| all | worse);
    let best: Vec<usize> =
        (0..signal.worse.len()).filter(|place| worse_than_some >> place & 1 == 0).collect();
    match best.get(dice.place(best.len())) {
        Some(place) => i64::try_from(*place).unwrap_or(0),
        None => value(dice, &signal.kind),
    }
}

/// Any value of a kind.
pub(crate) fn value(dice: &mut Dice, kind: &Kind) -> i64 {
    let index = |count: usize, dice: &mut Dice| i64::try_from(dice.place(count)).unwrap_or(0);
    match kind {
        Kind::Bool => index(2, dice),
        // Spread over the scales that conditions ask about.
        Kind::Integer { min, max } => {
            let scale = [2, 5, 20, 100, 400].get(dice.place(5)).copied().unwrap_or(2);
            min.saturating_add(index(scale, dice)).min(*max)
        }
        Kind::Enum(values) => index(values.len(), dice),
        Kind::Text { named } => index(named.len() + 1, dice) - 1,
    }
}

pub(crate) fn shown(policy: &Policy, state: &State) -> String {
    let mut parts = Vec::new();
    for (slot, signal) in policy.vocabulary.signals.iter().enumerate() {
        if state.known >> slot & 1 == 1
            && let Some(value) = state.values.get(slot).and_then(|value| signal.show(*value))
        {
            let silent = if state.silent >> slot & 1 == 1 { " (silent)" } else { "" };
            parts.push(format!("{}={value}{silent}", signal.name));
        }
    }
    parts.join(", ")
}
