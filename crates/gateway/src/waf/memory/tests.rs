#![allow(clippy::unwrap_used)]
use super::*;

fn memory(keys_max: usize, bytes_max: usize) -> Remembered {
    Remembered::new(&MemoryConfig { keys_max, bytes_max }, 60)
}

fn with(name: &str, value: &str) -> Record {
    let mut record = Record::default();
    record.vars.set(name.as_bytes(), value.as_bytes());
    record
}

fn value(memory: &Remembered, key: &str, name: &str, now_ms: i64) -> Option<String> {
    let record = memory.open(Collection::Ip, key.as_bytes(), now_ms);
    record.vars.get(name.as_bytes()).map(|v| String::from_utf8(v.to_vec()).unwrap())
}

#[test]
fn two_requests_at_once_count_as_two() {
    let memory = memory(10, 100_000);
    let before = memory.open(Collection::Ip, b"a", 0);
    memory.close(Collection::Ip, b"a", &before, with("hits", "1"), 0);
    memory.close(Collection::Ip, b"a", &before, with("hits", "1"), 0);
    assert_eq!(value(&memory, "a", "hits", 1).as_deref(), Some("2"));
    assert_eq!(value(&memory, "b", "hits", 1), None);
    let other = memory.open(Collection::Session, b"a", 1);
    assert!(other.vars.is_empty(), "collections do not share keys");
}

#[test]
fn names_expire_and_whole_entries_do() {
    let memory = memory(10, 100_000);
    let mut record = with("block", "1");
    record.vars.set(b"seen", b"x");
    record.expires.push((b"block".to_vec(), 5_000));
    memory.close(Collection::Ip, b"a", &Record::default(), record, 0);
    assert_eq!(value(&memory, "a", "block", 4_999).as_deref(), Some("1"));
    assert_eq!(value(&memory, "a", "block", 5_000), None);
    assert_eq!(value(&memory, "a", "seen", 5_000).as_deref(), Some("x"));
    assert_eq!(value(&memory, "a", "seen", 60_000), None, "the collection's own time is over");
}

#[test]
fn numbers_sink_with_time() {
    let memory = memory(10, 100_000);
    let mut record = with("score", "10");
    record.sinks.push((b"score".to_vec(), 3, 10));
    memory.close(Collection::Ip, b"a", &Record::default(), record, 0);
    assert_eq!(value(&memory, "a", "score", 9_999).as_deref(), Some("10"));
    assert_eq!(value(&memory, "a", "score", 20_000).as_deref(), Some("4"));
    assert_eq!(value(&memory, "a", "score", 59_000).as_deref(), Some("0"));
}

#[test]
fn the_least_used_goes_first() {
    let few = memory(2, 100_000);
    for key in ["a", "b", "c"] {
        few.close(Collection::Ip, key.as_bytes(), &Record::default(), with("n", "1"), 0);
    }
    assert_eq!((few.keys(), value(&few, "a", "n", 1)), (2, None));
    let small = memory(1000, 3 * (ENTRY_BYTES + 70));
    for key in 0..100 {
        small.close(Collection::Ip, &[key], &Record::default(), with("n", "1"), 0);
    }
    assert!(small.keys() <= 3 && small.bytes() <= 3 * (ENTRY_BYTES + 70), "{small:?}");
    small.close(Collection::Ip, b"big", &Record::default(), with("n", &"x".repeat(5000)), 0);
    assert_eq!(value(&small, "big", "n", 1), None, "longer than all there is room for");
}

#[test]
fn what_another_request_let_expire_still_does() {
    let memory = memory(10, 100_000);
    let both = memory.open(Collection::Ip, b"a", 0);
    let mut blocked = with("block", "1");
    blocked.expires.push((b"block".to_vec(), 5_000));
    blocked.sinks.push((b"block".to_vec(), 1, 10));
    memory.close(Collection::Ip, b"a", &both, blocked, 0);
    memory.close(Collection::Ip, b"a", &both, with("hits", "1"), 0);
    assert_eq!(value(&memory, "a", "block", 4_999).as_deref(), Some("1"));
    assert_eq!(value(&memory, "a", "block", 5_000), None, "the second knew nothing of it");
    assert_eq!(value(&memory, "a", "hits", 5_000).as_deref(), Some("1"));
}

#[test]
fn another_time_counts_for_what_is_there() {
    let before = memory(10, 100_000);
    before.close(Collection::Ip, b"a", &Record::default(), with("hits", "3"), 0);
    let after = before.with_timeout(10);
    assert_eq!(value(&after, "a", "hits", 9_999).as_deref(), Some("3"));
    assert_eq!(value(&after, "a", "hits", 10_000), None);
    after.close(Collection::Ip, b"b", &Record::default(), with("hits", "1"), 0);
    assert_eq!(value(&before, "b", "hits", 1).as_deref(), Some("1"), "one memory");
}
