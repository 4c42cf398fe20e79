//! Signals from outside: judged or refused, never more than the policy allows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use trust::{Demands, Policy, Readings, decide};

static POLICY: LazyLock<Policy> = LazyLock::new(Policy::shipped);

fuzz_target!(|data: &[u8]| {
    let Ok(readings) = serde_json::from_slice::<Readings>(data) else { return };
    let Ok(state) = POLICY.state(&readings) else { return };
    let decision = decide(&POLICY, 0, &state, &Demands::default());
    let sum: i64 = decision.contributions.iter().map(|part| part.points.0).sum();
    assert_eq!(sum, decision.score.0);
    assert!(decision.low <= decision.score && decision.score <= decision.high);
});
