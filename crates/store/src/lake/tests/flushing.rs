use super::*;

#[tokio::test]
async fn a_query_sees_memory_and_lake_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let acme = tenant("acme");
    store.append(&acme, requests(0..10)).await.unwrap();
    assert_eq!(sequences(&store, "acme").await, (0..10).collect::<Vec<_>>());
    store.flush().await.unwrap();
    store.append(&acme, requests(10..15)).await.unwrap();
    assert_eq!(sequences(&store, "acme").await, (0..15).collect::<Vec<_>>());
    let stats = store.tenant_stats(&acme);
    assert_eq!((stats.events, stats.unflushed, stats.files), (15, 5, 1));
    assert_eq!((stats.oldest, stats.newest), (Some(DAY), Some(DAY + 14_000)));
    let path = &files_ending(folder.path(), ".parquet")[0];
    let path = path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned();
    assert!(path.starts_with("lake/tenant=acme/class=4002/day=2026-11-22/"), "{path}");
}

#[tokio::test]
async fn stopped_after_any_step_of_a_flush_nothing_is_lost_or_doubled() {
    for step in flush::STEPS {
        let folder = tempfile::tempdir().unwrap();
        let acme = tenant("acme");
        let store = open(&folder);
        store.append(&acme, requests(0..5)).await.unwrap();
        store.flush().await.unwrap();
        let mut long = request(7);
        long.request_body = Some("b".repeat(20_000));
        store.append(&acme, requests(5..7)).await.unwrap();
        store.append(&acme, vec![long]).await.unwrap();
        store.inner.faults.stop_after(Some(step));
        assert_eq!(store.flush().await.unwrap_err().code, "stopped");
        drop(store);

        let store = open(&folder);
        assert_eq!(sequences(&store, "acme").await, (0..8).collect::<Vec<_>>(), "after {step}");
        let again = store.append(&acme, requests(3..9)).await.unwrap();
        assert_eq!(again.accepted, [false, false, false, false, false, true], "after {step}");
        store.flush().await.unwrap();
        drop(store);

        let store = open(&folder);
        assert_eq!(sequences(&store, "acme").await, (0..9).collect::<Vec<_>>(), "after {step}");
        let stats = store.tenant_stats(&acme);
        assert_eq!(files_ending(folder.path(), ".parquet").len() as u64, stats.files, "{step}");
        assert_eq!(files_ending(folder.path(), ".log").len(), 0, "after {step}");
        let filter = EventFilter { ids: vec![request(7).id], ..EventFilter::default() };
        let found = store.events(&acme, &filter).await.unwrap();
        assert_eq!(found[0].request_body.as_ref().map(String::len), Some(20_000), "after {step}");
    }
}

#[tokio::test]
async fn a_lake_that_cannot_be_written_keeps_events_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let acme = tenant("acme");
    store.append(&acme, requests(0..5)).await.unwrap();
    let faults = store.inner.faults.clone();
    faults.limit_bytes(100);
    assert_eq!(store.flush().await.unwrap_err().code, "disk-full");
    assert_eq!(files_ending(folder.path(), ".parquet").len(), 0);
    assert_eq!(sequences(&store, "acme").await, [0, 1, 2, 3, 4]);
    faults.limit_bytes(u64::MAX);
    store.append(&acme, requests(5..6)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(sequences(&store, "acme").await, [0, 1, 2, 3, 4, 5]);
    drop(store);
    assert_eq!(sequences(&open(&folder), "acme").await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_was_seen_outlives_log_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let acme = tenant("acme");
    let nameless = Event { id: uuid::Uuid::from_u128(77), time: DAY, ..Event::default() };
    let store = open(&folder);
    store.append(&acme, requests(0..3)).await.unwrap();
    store.append(&acme, vec![nameless.clone()]).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    let store = open(&folder);
    assert_eq!(store.append(&acme, requests(1..4)).await.unwrap().accepted, [false, false, true]);
    assert_eq!(store.append(&acme, vec![nameless.clone()]).await.unwrap().accepted, [false]);
    // The same numbers and ids are new for another tenant.
    let other = tenant("other");
    assert_eq!(store.append(&other, requests(1..2)).await.unwrap().accepted, [true]);
    assert_eq!(store.append(&other, vec![nameless]).await.unwrap().accepted, [true]);
    store.flush().await.unwrap();
    assert_eq!(store.tenant_stats(&acme).dropped_duplicates, 3);
    drop(store);
    assert_eq!(open(&folder).tenant_stats(&acme).dropped_duplicates, 3);
}

#[tokio::test]
async fn small_files_are_merged_and_a_query_under_way_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let acme = tenant("acme");
    for batch in [3, 0, 7, 1, 6, 2, 5, 4] {
        let mut events = requests(batch * 10..batch * 10 + 10);
        events[0].response_body = Some(format!("{batch}").repeat(20_000));
        store.append(&acme, events).await.unwrap();
        store.flush().await.unwrap();
    }
    let (owner, held) = store.snapshot(&acme).unwrap();
    assert_eq!(store.compact().await.unwrap(), 8);
    assert_eq!(store.tenant_stats(&acme).files, 1);
    assert_eq!(files_ending(folder.path(), ".parquet").len(), 9, "the snapshot holds eight");
    drop(held);
    drop(owner);
    assert_eq!(files_ending(folder.path(), ".parquet").len(), 1);
    assert_eq!(sequences(&store, "acme").await, (0..80).collect::<Vec<_>>());
    let sorted = ask(&store, "acme", "SELECT sequence FROM events").await;
    assert_eq!(sorted.len(), 80);
    assert!(sorted.is_sorted_by_key(|row| row[0].as_i64().unwrap()), "a file is sorted by time");
    assert_eq!(store.compact().await.unwrap(), 0);
    drop(store);
    let store = open(&folder);
    let filter = EventFilter { ids: vec![request(30).id], ..EventFilter::default() };
    let found = store.events(&acme, &filter).await.unwrap();
    assert_eq!(found[0].response_body.as_ref().map(String::len), Some(20_000));
}

#[tokio::test]
async fn one_folder_has_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let second = Store::open(config(folder.path())).err().unwrap();
    assert_eq!(second.code, "store-in-use");
    drop(store);
    open(&folder);
}

#[tokio::test]
async fn flushing_by_itself_goes_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        flush_check: Some(Duration::from_millis(5)),
        flush_bytes: 1,
        ..StoreConfig::new(folder.path())
    };
    let store = Store::open(config).unwrap();
    let acme = tenant("acme");
    store.append(&acme, requests(0..3)).await.unwrap();
    // However long it takes: the test ends when it has happened.
    while store.tenant_stats(&acme).files == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.tenant_stats(&acme).events, 3);
}
