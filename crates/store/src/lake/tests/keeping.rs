use super::*;
use std::collections::BTreeMap;

const MS_PER_DAY: i64 = 86_400_000;

/// One event a day for ten days, received when it happened, plus the same of class 1007.
async fn ten_days(folder: &TempDir) -> Store {
    let store = open(folder);
    for (offset, class) in [(0, 4002), (100, 1007)] {
        let events = (0..10).map(|day| {
            let mut event = request(offset + day);
            event.class_uid = class;
            event.time = DAY + day * MS_PER_DAY;
            event.received = event.time;
            if day < 2 {
                event.request_body = Some("the same long body".repeat(2000));
            }
            if day == 0 {
                event.response_body = Some("of the first day".repeat(2000));
            }
            event
        });
        store.append(&tenant("acme"), events.collect()).await.unwrap();
    }
    store
}

fn days(days: u32) -> Retention {
    Retention { days: Some(days), class_days: BTreeMap::new() }
}

#[tokio::test]
async fn whole_days_go_by_class_and_are_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_days(&folder).await;
    let acme = tenant("acme");
    store.append(&tenant("other"), requests(0..1)).await.unwrap();
    let now = DAY + 10 * MS_PER_DAY;
    let retention = Retention { days: Some(9), class_days: BTreeMap::from([(1007, None)]) };
    let deleted = store.retain(&acme, &retention, now).await.unwrap();
    assert_eq!(deleted.len(), 1);
    assert_eq!((deleted[0].class, deleted[0].day, deleted[0].events), (4002, DAY, 1));
    assert!(deleted[0].bytes > 0);
    assert_eq!(store.retain(&acme, &retention, now).await.unwrap(), []);
    assert_eq!(store.tenant_stats(&acme).events, 19);

    let retention = Retention { days: Some(8), class_days: BTreeMap::from([(1007, Some(3))]) };
    let deleted = store.retain(&acme, &retention, now).await.unwrap();
    assert_eq!(
        deleted.iter().map(|d| d.class).collect::<Vec<_>>(),
        [vec![1007; 7], vec![4002]].concat()
    );
    assert_eq!(store.tenant_stats(&tenant("other")).events, 1);
    drop(store);
    assert_eq!(sequences(&open(&folder), "acme").await.len(), 11);
}

#[tokio::test]
async fn a_body_goes_when_the_last_event_that_has_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_days(&folder).await;
    let acme = tenant("acme");
    store.flush().await.unwrap();
    let bodies = || files_ending(&folder.path().join("bodies"), ".zst").len();
    assert_eq!(bodies(), 2);
    store.retain(&acme, &days(9), DAY + 10 * MS_PER_DAY).await.unwrap();
    assert_eq!(bodies(), 1, "the second day still has the other one");
    store.retain(&acme, &days(8), DAY + 10 * MS_PER_DAY).await.unwrap();
    assert_eq!(bodies(), 0);
    // It may come again.
    let mut event = request(500);
    event.request_body = Some("the same long body".repeat(2000));
    store.append(&acme, vec![event.clone()]).await.unwrap();
    store.flush().await.unwrap();
    let filter = EventFilter { ids: vec![event.id], ..EventFilter::default() };
    assert_eq!(store.events(&acme, &filter).await.unwrap(), [event]);
}

#[tokio::test]
async fn a_hold_outlives_restart_and_ends_when_released() {
    let folder = tempfile::tempdir().unwrap();
    let store = ten_days(&folder).await;
    let acme = tenant("acme");
    let case =
        Hold { name: "case-7".into(), from: DAY + 2 * MS_PER_DAY, until: DAY + 3 * MS_PER_DAY };
    store.hold(&acme, case.clone()).await.unwrap();
    drop(store);
    let store = open(&folder);
    assert_eq!(store.holds(&acme).await.unwrap(), [case]);
    let now = DAY + 100 * MS_PER_DAY;
    store.retain(&acme, &days(30), now).await.unwrap();
    assert_eq!(sequences(&store, "acme").await, [2, 3, 102, 103]);
    assert!(store.release(&acme, "case-7").await.unwrap());
    assert!(!store.release(&acme, "case-7").await.unwrap());
    store.retain(&acme, &days(30), now).await.unwrap();
    assert_eq!(sequences(&store, "acme").await, [0; 0]);
    let backwards = Hold { name: "x".into(), from: 2, until: 1 };
    assert_eq!(store.hold(&acme, backwards).await.unwrap_err().code, "invalid-hold");
}

#[tokio::test]
async fn an_old_time_that_came_lately_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let acme = tenant("acme");
    let forged = Event { time: 0, received: DAY, ..request(1) };
    store.append(&acme, vec![forged]).await.unwrap();
    assert_eq!(store.retain(&acme, &days(30), DAY + MS_PER_DAY).await.unwrap(), []);
    let gone = store.retain(&acme, &days(30), DAY + 31 * MS_PER_DAY).await.unwrap();
    assert_eq!((gone.len(), gone[0].day, gone[0].events), (1, 0, 1));
}
