//! Neither the order of arrival nor a restart changes what is found.

use super::*;
use proptest::prelude::*;

/// All seven types, judged at once and at the end of their windows; aliases, chains on either, and without groups.
const ALL_KINDS: &str = "  type: event_count\n  rules: [failed]\n  group-by: [user]\n  timespan: 20s\n  condition: {gte: 3}
---
title: v
id: v
correlation: {type: value_count, rules: [failed, worked], group-by: [user], timespan: 15s, condition: {field: n, gte: 3}}
---
title: vl
id: vl
correlation: {type: value_count, rules: [failed], group-by: [user], timespan: 9s, condition: {field: [n, user], lt: 2}}
---
title: o
id: o
correlation: {type: temporal_ordered, rules: [c, worked, third], group-by: [user], timespan: 30s}
---
title: few
id: few
name: few
correlation: {type: event_count, rules: [third], group-by: [user], timespan: 10s, condition: {lt: 3}}
---
title: all
id: all
correlation: {type: event_count, rules: [failed, worked, third], timespan: 5s, condition: {gt: 6}}
---
title: sum
id: sum
correlation: {type: value_sum, rules: [failed, third], group-by: [user], timespan: 12s, condition: {field: n, gt: 14.5}}
---
title: avg
id: avg
correlation: {type: value_avg, rules: [failed, third], group-by: [user], timespan: 12s, condition: {field: n, gt: 4}}
---
title: p
id: p
correlation: {type: value_percentile, rules: [worked], group-by: [user], timespan: 11s, condition: {field: n, percentile: 75, lte: 6}}
---
title: x
id: x
correlation: {type: temporal, rules: [failed, worked], group-by: [user], timespan: 9s, condition: failed and not worked}
---
title: both
id: both
correlation:
  type: temporal
  rules: [failed, worked]
  group-by: [who]
  timespan: 7s
  aliases: {who: {failed: user, worked: other}}
---
title: late chain
id: lc
correlation: {type: temporal_ordered, rules: [few, failed], group-by: [user], timespan: 25s}
generate: true
---
title: chain of chains
id: cc
correlation: {type: value_count, rules: [c, o], timespan: 1m, condition: {field: user, gte: 2}}
";

const LATENESS_SECS: i64 = 10;

fn stream() -> impl Strategy<Value = Vec<(Happened, i64)>> {
    let what = prop::sample::select(vec!["failed", "failed", "worked", "third"]);
    let user = || prop::sample::select(vec!["ann", "ben", "cho"]);
    let one = (0..90i64, what, user(), user(), 0..9i64, 0..LATENESS_SECS, 0..20u8);
    let one = one.prop_map(|(second, what, user, other, n, delay, odd)| {
        let fields = match odd {
            // Fields that are missing, and values of the wrong kind.
            0 => json!({ "n": n }),
            1 => json!({"user": user, "other": other, "n": "none"}),
            _ => json!({"user": user, "other": other, "n": n as f64 * 1.1}),
        };
        ((second, what, fields), delay)
    });
    prop::collection::vec(one, 0..120)
}

fn id(index: usize) -> String {
    match index % 3 {
        0 => format!("0190a0c0-0000-7000-8000-{index:012x}"),
        _ => format!("e{index:04}"),
    }
}

fn hits(set: &RuleSet, correlator: &Correlator, stream: &[(Happened, i64)]) -> Vec<(i64, Hit)> {
    let mut hits = Vec::new();
    for (index, ((second, what, fields), delay)) in stream.iter().enumerate() {
        let mut event = fields.clone();
        event["what"] = json!(what);
        let record = Record::json(LogSource::new(None, Some("test"), None), &event);
        for found in set.evaluate(&record) {
            let hit = correlator.hit(found.rule, second * 1000, &id(index), &record).unwrap();
            hits.push((second + delay, hit));
        }
    }
    hits
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Sorted by time, as they arrive, delivered twice, and saved and loaded after every hit: the same.
    #[test]
    fn arrival_and_restarts_change_nothing(stream in stream()) {
        let set = sound(ALL_KINDS);
        let correlator = Correlator::new(&set, LATENESS_SECS as u64 * 1000);
        let mut hits = hits(&set, &correlator, &stream);

        hits.sort_by_key(|(_, hit)| hit.time_ms);
        let mut state = State::default();
        let mut sorted = Vec::new();
        for (_, hit) in &hits {
            sorted.extend(correlator.observe(&mut state, hit.clone()));
        }
        prop_assert_eq!(state.told.late, 0);
        sorted.extend(correlator.finish(&mut state));
        let told = state.told;

        hits.sort_by_key(|(arrival, _)| *arrival);
        let mut state = State::default();
        let mut arrived = Vec::new();
        for (_, hit) in &hits {
            arrived.extend(correlator.observe(&mut state, hit.clone()));
            arrived.extend(correlator.observe(&mut state, hit.clone()));
        }
        prop_assert_eq!(state.told.late, 0);
        arrived.extend(correlator.finish(&mut state));
        prop_assert_eq!(&sorted, &arrived);
        prop_assert_eq!(told, state.told);

        let mut state = State::default();
        let mut restarted = Vec::new();
        for (_, hit) in &hits {
            restarted.extend(correlator.observe(&mut state, hit.clone()));
            let saved = state.save();
            let loaded = State::load(&saved).unwrap();
            prop_assert_eq!(&loaded.save(), &saved);
            prop_assert_eq!((loaded.groups(), loaded.waiting()), (state.groups(), state.waiting()));
            state = loaded;
        }
        restarted.extend(correlator.finish(&mut state));
        prop_assert_eq!(&sorted, &restarted);
        prop_assert_eq!((state.groups(), state.waiting(), state.bytes()), (0, 0, 0));
    }

    /// Nothing that is kept outlives its time.
    #[test]
    fn windows_end(stream in stream()) {
        let set = sound(ALL_KINDS);
        let correlator = Correlator::new(&set, 1_000_000);
        let mut state = State::default();
        for (_, hit) in hits(&set, &correlator, &stream) {
            correlator.observe(&mut state, hit);
        }
        correlator.advance_to(&mut state, 10_000_000);
        prop_assert_eq!((state.groups(), state.waiting(), state.bytes()), (0, 0, 0));
    }
}

/// The streams above are no proof if they do not make everything fire.
#[test]
fn every_correlation_of_these_streams_fires() {
    let set = sound(ALL_KINDS);
    let correlator = Correlator::new(&set, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut fired = BTreeSet::new();
    for _ in 0..40 {
        let tree = stream().new_tree(&mut runner).unwrap();
        let mut hits = hits(&set, &correlator, &proptest::strategy::ValueTree::current(&tree));
        hits.sort_by_key(|(_, hit)| hit.time_ms);
        let mut state = State::default();
        for (_, hit) in hits {
            fired.extend(correlator.observe(&mut state, hit).into_iter().map(|f| f.correlation));
        }
        fired.extend(correlator.finish(&mut state).into_iter().map(|f| f.correlation));
    }
    let all: BTreeSet<String> =
        set.correlations.iter().map(|correlation| correlation.meta.key().to_owned()).collect();
    assert_eq!(fired, all);
}

/// A snapshot is of its moment, whatever comes after.
#[test]
fn a_snapshot_stays_as_it_was() {
    let set = sound(
        "  type: event_count\n  rules: [failed]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 9}\n",
    );
    let correlator = Correlator::new(&set, 0);
    let mut state = State::default();
    for index in 0..1000 {
        let user = format!("u{}", index % 700);
        feed(&set, &correlator, &mut state, (index, &at(index as i64 / 100, "failed", &user)));
    }
    let snapshot = state.snapshot();
    let then = snapshot.save();
    assert_eq!(then, state.save());
    feed(&set, &correlator, &mut state, (2000, &at(20, "failed", "u1")));
    feed(&set, &correlator, &mut state, (2001, &at(200, "failed", "u1")));
    assert_eq!(snapshot.save(), then);
    assert_ne!(state.save(), then);
}
