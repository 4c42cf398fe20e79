use super::*;
use schema::{Entity, EntityKind, OutcomeResult};

/// Twelve requests; the first half is in the lake. Number 2 and 8 have long bodies.
async fn some(folder: &TempDir) -> Store {
    let store = open(folder);
    let acme = tenant("acme");
    for half in [0..6, 6..12] {
        store.flush().await.unwrap();
        let mut events = requests(half);
        events[2].request_body =
            Some(format!("{}needle-{}", "x".repeat(20_000), events[2].path.as_deref().unwrap()));
        events[3].response_body = Some("short 100% Needle".into());
        events[4].rest.insert("unmapped".into(), serde_json::json!({ "deep": [1, "한글"] }));
        events[4].request_headers = Some(serde_json::json!([{ "name": "a", "value": "b" }]));
        store.append(&acme, events).await.unwrap();
    }
    store
}

async fn found(store: &Store, filter: EventFilter) -> Vec<i64> {
    let events = store.events(&tenant("acme"), &filter).await.unwrap();
    events.iter().map(|event| event.sequence.unwrap()).collect()
}

#[tokio::test]
async fn an_event_comes_back_whole_from_memory_and_lake() {
    let folder = tempfile::tempdir().unwrap();
    let store = some(&folder).await;
    let before = store.events(&tenant("acme"), &EventFilter::default()).await.unwrap();
    assert_eq!(before.len(), 12);
    assert_eq!(
        before[3].request_body.as_ref().map(String::len),
        Some(20_000 + "needle-/orders/8".len())
    );
    store.flush().await.unwrap();
    let after = store.events(&tenant("acme"), &EventFilter::default()).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(files_ending(&folder.path().join("bodies/acme"), ".zst").len(), 2);
    let sql = "SELECT sequence, request_body, length(request_body_ref) FROM events WHERE request_body_ref IS NOT NULL ORDER BY time";
    let rows = ask(&store, "acme", sql).await;
    assert_eq!(serde_json::to_string(&rows).unwrap(), "[[2,null,64],[8,null,64]]");
    let sql = "SELECT json_text(rest, 'unmapped.deep.1'), json_text(rest, 'unmapped.deep'), \
               json_text(request_headers, '0.name'), json_text(rest, 'unmapped.none'), json_text(path, 'a') \
               FROM events WHERE sequence = 4";
    let rows = ask(&store, "acme", sql).await;
    assert_eq!(serde_json::to_string(&rows).unwrap(), r#"[["한글","[1,\"한글\"]","a",null,null]]"#);
}

#[tokio::test]
async fn each_condition_narrows() {
    let folder = tempfile::tempdir().unwrap();
    let store = some(&folder).await;
    let any = EventFilter::default;
    let ids = vec![request(9).id, request(1).id, request(1).id, uuid::Uuid::from_u128(5)];
    assert_eq!(found(&store, EventFilter { ids, ..any() }).await, [9, 1]);
    let entities =
        vec![Entity::new(EntityKind::Account, "user0"), Entity::new(EntityKind::Device, "none")];
    assert_eq!(found(&store, EventFilter { entities, ..any() }).await, [9, 6, 3, 0]);
    let outcome = Some(OutcomeResult::Failure);
    assert_eq!(found(&store, EventFilter { outcome, limit: 3, ..any() }).await, [11, 9, 7]);
    assert_eq!(
        found(&store, EventFilter { outcome: Some(OutcomeResult::Unknown), ..any() }).await,
        [0; 0]
    );
    let (from, until) = (Some(DAY + 4000), Some(DAY + 7000));
    assert_eq!(found(&store, EventFilter { from, until, ..any() }).await, [6, 5, 4]);
    assert_eq!(found(&store, EventFilter { classes: vec![1007], ..any() }).await, [0; 0]);
    assert_eq!(found(&store, EventFilter { classes: vec![1007, 4002], ..any() }).await.len(), 12);
    let order = Order::OldestFirst;
    assert_eq!(found(&store, EventFilter { order, limit: 2, ..any() }).await, [0, 1]);
}

#[tokio::test]
async fn text_is_found_in_any_case_and_in_long_bodies() {
    let folder = tempfile::tempdir().unwrap();
    let store = some(&folder).await;
    for flushed in [false, true] {
        if flushed {
            store.flush().await.unwrap();
        }
        let text = |text: &str| EventFilter { text: Some(text.into()), ..EventFilter::default() };
        assert_eq!(found(&store, text("NEEDLE")).await, [9, 8, 3, 2]);
        assert_eq!(found(&store, EventFilter { limit: 1, ..text("needle-/orders/2") }).await, [2]);
        assert_eq!(found(&store, text("한글")).await, [10, 4]);
        assert_eq!(found(&store, text("/orders/11")).await, [11]);
        assert_eq!(found(&store, text("100% n")).await, [9, 3]);
        assert_eq!(found(&store, text("1_0%")).await, [0; 0], "% and _ are letters here");
        assert_eq!(found(&store, text("' OR 1=1 --")).await, [0; 0]);
    }
}

#[tokio::test]
async fn pages_join_without_gap_or_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let acme = tenant("acme");
    // Many of the same moment: the id decides.
    let events: Vec<_> = (0..30).map(|n| Event { time: DAY + n % 3, ..request(n) }).collect();
    store.append(&acme, events[..15].to_vec()).await.unwrap();
    store.flush().await.unwrap();
    store.append(&acme, events[15..].to_vec()).await.unwrap();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let filter = EventFilter { order, limit: 7, after, ..EventFilter::default() };
            let page = store.events(&acme, &filter).await.unwrap();
            let Some(last) = page.last() else { break };
            let cursor = Cursor::of(last);
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
            after = Some(cursor);
            seen.extend(page.iter().map(|event| (event.time, event.id)));
        }
        let mut expected: Vec<_> = events.iter().map(|event| (event.time, event.id)).collect();
        expected.sort_unstable();
        if order == Order::NewestFirst {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
    assert_eq!("7_x".parse::<Cursor>().unwrap_err().code, "invalid-cursor");
}

#[tokio::test]
async fn replay_is_in_the_order_of_receipt_and_holds_still() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let acme = tenant("acme");
    // Received in the reverse of their time, by twos; more than one page of them.
    let events: Vec<_> =
        (0..5000).map(|n| Event { received: DAY + (5000 - n) / 2, ..request(n) }).collect();
    store.append(&acme, events[..2500].to_vec()).await.unwrap();
    store.flush().await.unwrap();
    store.append(&acme, events[2500..].to_vec()).await.unwrap();
    let mut expected: Vec<_> = events.iter().map(|event| (event.received, event.id)).collect();
    expected.sort_unstable();
    let mut seen = Vec::new();
    let count = store
        .replay(&acme, 0, i64::MAX, |event| seen.push((event.received, event.id)))
        .await
        .unwrap();
    assert_eq!((count, &seen), (5000, &expected));
    let mut some = Vec::new();
    let (from, until) = (DAY + 100, DAY + 200);
    store.replay(&acme, from, until, |event| some.push((event.received, event.id))).await.unwrap();
    expected.retain(|(received, _)| (from..until).contains(received));
    assert_eq!(some, expected);
    assert_eq!(store.replay(&tenant("other"), 0, i64::MAX, |_| panic!()).await, Ok(0));
}
