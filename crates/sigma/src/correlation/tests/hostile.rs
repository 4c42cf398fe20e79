//! Events are written by attackers: their values, their number, and their times.

use super::*;
use crate::limits::{EVENT_ID_BYTES_MAX, GROUPS_BYTES_MAX};

const COUNT: &str = "  type: event_count\n  rules: [failed]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 3}\n";
const NOW_MS: i64 = 1_767_225_600_000;
/// The year 2100.
const FAR_MS: i64 = 4_102_444_800_000;

fn hit(correlator: &Correlator, time_ms: i64, id: &str, user: &str) -> Hit {
    let event = json!({ "user": user });
    let record = Record::json(LogSource::new(None, Some("test"), None), &event);
    correlator.hit(0, time_ms, id, &record).unwrap()
}

#[test]
fn a_value_of_ten_megabytes_is_kept_by_its_beginning() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 0);
    let mut state = State::default();
    let user = "x".repeat(10 << 20);
    let id = "i".repeat(10 << 20);
    let mut found = Vec::new();
    for second in 0..3 {
        let id = format!("{second}{id}");
        found.extend(correlator.observe(&mut state, hit(&correlator, second * 1000, &id, &user)));
        assert!(state.bytes() < 4 << 10, "{}", state.bytes());
    }
    found.extend(correlator.finish(&mut state));
    assert_eq!(found[0].group[0].1.len(), GROUP_VALUE_BYTES_MAX);
    assert_eq!(found[0].events[0].len(), EVENT_ID_BYTES_MAX);
}

/// As if the room were full but for so many bytes.
fn nearly_full(bytes: usize) -> State {
    let mut state = State::default();
    state.groups.bytes = GROUPS_BYTES_MAX - bytes;
    state
}

#[test]
fn many_keys_stay_within_their_room() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 0);
    let mut state = nearly_full(4 << 20);
    let template = hit(&correlator, NOW_MS, "e", "ann");
    for number in 0..30_000_i64 {
        let own = number.to_string();
        let (event, values) = (EventId::new(&own), Packed::of([Some(own.as_str())]));
        let time_ms = NOW_MS + number / 10;
        let hit = Hit { time_ms, event, values, ..template.clone() };
        correlator.observe(&mut state, hit);
        assert!(state.bytes() <= GROUPS_BYTES_MAX + (1 << 20));
    }
    correlator.advance_to(&mut state, NOW_MS + 5_000);
    assert!(state.groups() > 8_000, "{}", state.groups());
    assert_eq!(state.told.evicted, 30_000 - state.groups() as u64);
    // What stayed is what came last.
    let last = Packed::of([Some("29999")]);
    assert!(state.groups.find(&Groups::key_of_packed(0, &last.0)).is_some());
}

#[test]
fn long_keys_stay_within_their_bytes() {
    let set = sound(
        "  type: event_count\n  rules: [failed]\n  group-by: [a, b, c, d, e, f, g, h]\n  timespan: 1m\n  condition: {gte: 3}\n",
    );
    let correlator = Correlator::new(&set, 0);
    let mut state = nearly_full(4 << 20);
    let names: FieldNames = ["a", "b", "c", "d", "e", "f", "g", "h"].map(Arc::from).into();
    let long = "x".repeat(GROUP_VALUE_BYTES_MAX);
    let template = hit(&correlator, NOW_MS, "e", "ann");
    for number in 0..3_000 {
        let own = number.to_string();
        let values = Packed::of([Some(own.as_str())].into_iter().chain([Some(long.as_str()); 7]));
        let time_ms = NOW_MS + number / 2;
        let event = EventId::new(&own);
        let hit = Hit { time_ms, event, values, names: names.clone(), ..template.clone() };
        correlator.observe(&mut state, hit);
        assert!(state.bytes() <= GROUPS_BYTES_MAX + PENDING_BYTES_MAX);
    }
    assert!(state.told.evicted > 1000, "{:?}", state.told);
}

#[test]
fn more_hits_than_may_wait_are_taken_early_and_counted() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 1 << 40);
    let mut state = State::default();
    let over = 1000;
    let template = hit(&correlator, NOW_MS, "e", "ann");
    let mut findings = 0;
    for number in 0..PENDING_MAX + over {
        let event = EventId::Text(number.to_string().into());
        let hit = Hit { time_ms: NOW_MS + number as i64 * 30_000, event, ..template.clone() };
        findings += correlator.observe(&mut state, hit).len();
    }
    assert_eq!((state.told.early, state.waiting()), (over as u64, PENDING_MAX));
    // Every third of those that lie half a minute apart, as if they had waited their time.
    assert_eq!(findings, over / 3);
    // Older than what was taken: too late now.
    correlator.observe(&mut state, hit(&correlator, NOW_MS, "old", "ann"));
    assert_eq!(state.told.late, 1);
}

/// Three failures within a minute fire, whatever one event with a wrong time says before, between or after.
#[test]
fn one_record_of_the_year_2100_closes_nothing_and_makes_nobody_late() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 5_000);
    for far_ms in [FAR_MS, i64::MAX, i64::MIN, 0] {
        for place in 0..=4 {
            let mut state = State::default();
            let mut found = Vec::new();
            for step in 0..=4 {
                if step == place {
                    let far = hit(&correlator, far_ms, "far", "eve");
                    found.extend(correlator.observe(&mut state, far));
                }
                let time_ms = NOW_MS + step * 10_000;
                let near = hit(&correlator, time_ms, &format!("e{step}"), "ann");
                found.extend(correlator.observe(&mut state, near));
            }
            let late = u64::from(far_ms < NOW_MS && place > 1);
            assert_eq!(state.told, Told { late, ..Told::default() }, "{far_ms} at {place}");
            found.extend(correlator.finish(&mut state));
            assert_eq!(found.len(), 1, "{far_ms} at {place}");
            assert_eq!(found[0].time_ms, NOW_MS + 20_000, "{far_ms} at {place}");
            assert_eq!((state.groups(), state.waiting()), (0, 0), "{far_ms} at {place}");
        }
    }
}

#[test]
fn time_goes_on_after_a_quiet_night() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 5_000);
    let mut state = State::default();
    let morning = NOW_MS + 9 * 3_600_000;
    let mut found = Vec::new();
    for step in 0..2 {
        let hit = hit(&correlator, NOW_MS + step, &format!("a{step}"), "ann");
        found.extend(correlator.observe(&mut state, hit));
    }
    for step in 0..20 {
        let hit = hit(&correlator, morning + step * 1000, &format!("b{step}"), "ann");
        found.extend(correlator.observe(&mut state, hit));
    }
    assert_eq!(state.told, Told::default());
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|finding| finding.began_ms >= morning));
}

#[test]
fn with_a_clock_what_is_far_ahead_of_it_is_not_counted_in() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 5_000);
    let mut state = State::default();
    let mut found = Vec::new();
    for step in 0..20 {
        let now_ms = NOW_MS + step * 1000;
        let far = hit(&correlator, FAR_MS + step, &format!("f{step}"), "ann");
        found.extend(correlator.observe_at(&mut state, far, now_ms));
        // A host whose clock is ten minutes fast waits, and makes nobody late.
        let fast = hit(&correlator, now_ms + 600_000, &format!("h{step}"), "fast");
        found.extend(correlator.observe_at(&mut state, fast, now_ms));
        if step >= 17 {
            let near = hit(&correlator, now_ms - 4_000, &format!("e{step}"), "ann");
            found.extend(correlator.observe_at(&mut state, near, now_ms));
        }
    }
    assert_eq!(state.told, Told { ahead: 20, ..Told::default() });
    assert_eq!(found, []);
    found.extend(correlator.advance_to(&mut state, NOW_MS + 700_000));
    let of = |user: &str| found.iter().filter(|finding| finding.group[0].1 == user).count();
    assert_eq!((of("ann"), of("fast")), (1, 6));
}

#[test]
fn a_clock_that_jumps_ahead_and_back_is_followed_back() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 5_000);
    let mut state = State::default();
    let mut found = Vec::new();
    for step in 0..2 {
        let near = hit(&correlator, NOW_MS + step * 1000, &format!("e{step}"), "ann");
        found.extend(correlator.observe_at(&mut state, near, NOW_MS + step * 1000));
    }
    for step in 0..20 {
        let far = hit(&correlator, FAR_MS + step * 1000, &format!("f{step}"), "eve");
        correlator.observe_at(&mut state, far, FAR_MS + step * 1000);
    }
    for step in 2..20 {
        let near = hit(&correlator, NOW_MS + step * 1000, &format!("e{step}"), "ann");
        found.extend(correlator.observe_at(&mut state, near, NOW_MS + step * 1000));
    }
    assert_eq!((state.told.rewound, state.told.late), (1, 0));
    // The two before the jump went with the windows that it ended.
    assert_eq!(found.len(), 4);
    // A small step back is lateness like any other.
    let near = hit(&correlator, NOW_MS + 16_000, "back", "ann");
    correlator.observe_at(&mut state, near, NOW_MS + 10_000);
    assert_eq!((state.told.rewound, state.told.late), (1, 0));
}

#[test]
fn numbers_that_swallow_others_leave_with_their_time() {
    let set = sound(
        "  type: value_sum\n  rules: [failed]\n  timespan: 10s\n  condition: {field: n, gt: 100}\n",
    );
    let n = |second, n: Value| (second, "failed", json!({ "n": n }));
    let swallowed = [n(0, json!(-1e300)), n(5, json!(60)), n(10, json!(60)), n(11, json!(1))];
    assert_eq!(seconds(&run(&set, &swallowed)), [11]);
    let infinite = [n(0, json!(-1e308)), n(0, json!(-1e308)), n(5, json!(60)), n(11, json!(60))];
    assert_eq!(seconds(&run(&set, &infinite)), [11]);
    assert_eq!(seconds(&run(&set, &[n(0, json!("NaN")), n(1, json!(200))])), [1]);
}

#[test]
fn a_changed_rule_does_not_go_on_with_the_counts_of_the_old_one() {
    let (old, new) = (sound(COUNT), sound(&COUNT.replace("gte: 3", "gte: 2")));
    let mut state = State::default();
    let before = Correlator::new(&old, 0);
    feed(&old, &before, &mut state, (0, &at(0, "failed", "ann")));
    before.advance_to(&mut state, 500);
    let correlator = Correlator::new(&new, 0);
    assert_eq!(feed(&new, &correlator, &mut state, (1, &at(1, "failed", "ann"))), []);
    assert_eq!(feed(&new, &correlator, &mut state, (2, &at(2, "failed", "ann"))), []);
    assert_eq!(seconds(&correlator.finish(&mut state)), [2]);
    assert_eq!((state.groups(), state.told.stale), (0, 1));
}

#[test]
fn damaged_states_are_refused() {
    let set = sound(COUNT);
    let correlator = Correlator::new(&set, 5_000);
    let mut state = State::default();
    for second in 0..20 {
        let user = format!("u{}", second % 7);
        feed(&set, &correlator, &mut state, (second as usize, &at(second, "failed", &user)));
    }
    let saved = state.save();
    assert_eq!(State::load(&saved).as_ref(), Ok(&state));
    for length in 0..saved.len() {
        assert!(State::load(&saved[..length]).is_err(), "{length}");
    }
    for place in 0..saved.len() {
        for bit in 0..8 {
            let mut damaged = saved.clone();
            damaged[place] ^= 1 << bit;
            // Whatever it is taken for, it is taken within bounds and can be gone on with.
            if let Ok(mut state) = State::load(&damaged) {
                feed(&set, &correlator, &mut state, (99, &at(30, "failed", "u1")));
                correlator.finish(&mut state);
            }
        }
    }
    let wrong = State::load(b"{}").unwrap_err().to_string();
    assert!(wrong.contains("at byte 0"), "{wrong}");
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
}
