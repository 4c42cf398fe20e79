use super::*;
use std::fs;

fn event(source: &str, sequence: i64) -> Event {
    Event {
        time: 1000 + sequence,
        source: Some(source.into()),
        sequence: Some(sequence),
        message: Some(format!("{source} {sequence}")),
        ..Event::default()
    }
}

fn open(folder: &Path, config: &IntakeConfig) -> Intake {
    Intake::open("acme".parse().unwrap(), folder, config).unwrap()
}

fn open_faulty(folder: &Path, config: &IntakeConfig) -> (Intake, Arc<Faults>) {
    let (tenant, faults) = ("acme".parse().unwrap(), Arc::<Faults>::default());
    let opened = Intake::restore(tenant, folder, config, Restored::default(), faults.clone());
    (opened.unwrap().0, faults)
}

fn messages(intake: &Intake) -> Vec<String> {
    let buffer = intake.shared.buffer.read().unwrap();
    let mut found: Vec<_> = buffer
        .chunks
        .iter()
        .flat_map(|chunk| chunk.records().map(|r| codec::decode(r).unwrap().message.unwrap()))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = IntakeConfig::default();
    let intake = open(folder.path(), &config);
    let first = intake.append(vec![event("a", 1), event("a", 2), event("a", 1)]).await.unwrap();
    assert_eq!(first.accepted, [true, true, false]);
    // A crash: the log as it is on disk, with nothing closed in order.
    let crashed = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), crashed.path().join(entry.file_name())).unwrap();
    }
    let again = open(crashed.path(), &config);
    assert_eq!(messages(&again), ["a 1", "a 2"]);
    let second = again.append(vec![event("a", 2), event("a", 3)]).await.unwrap();
    assert_eq!(second.accepted, [false, true]);
    drop(again);
    assert_eq!(messages(&open(crashed.path(), &config)), ["a 1", "a 2", "a 3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_one_source_at_the_same_time_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let intake = Arc::new(open(folder.path(), &IntakeConfig::default()));
    let mut senders = Vec::new();
    for _ in 0..8 {
        let intake = intake.clone();
        senders.push(tokio::spawn(async move {
            let mut new = 0;
            for batch in 0..20 {
                let events = (0..10).map(|n| event("a", batch * 5 + n)).collect();
                new += intake.append(events).await.unwrap().new_events();
            }
            new
        }));
    }
    let mut new = 0;
    for sender in senders {
        new += sender.await.unwrap();
    }
    assert_eq!(new, 105);
    let stats = intake.stats();
    assert_eq!((stats.unflushed, stats.dropped_duplicates), (105, 8 * 200 - 105));
}

#[tokio::test]
async fn events_without_a_number_are_known_by_their_id() {
    let folder = tempfile::tempdir().unwrap();
    let intake = open(folder.path(), &IntakeConfig::default());
    let one = Event { id: uuid::Uuid::from_u128(1), ..Event::default() };
    let nameless = Event::default();
    let accepted =
        intake.append(vec![one.clone(), one.clone(), nameless.clone(), nameless]).await.unwrap();
    assert_eq!(accepted.accepted, [true, false, true, true]);
    drop(intake);
    let again = open(folder.path(), &IntakeConfig::default());
    assert_eq!(again.append(vec![one]).await.unwrap().accepted, [false]);
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let config = IntakeConfig { segment_bytes: 16 << 10, ..IntakeConfig::default() };
    let (intake, faults) = open_faulty(folder.path(), &config);
    faults.limit_bytes(20 << 10);
    let mut acknowledged = Vec::new();
    let refused = loop {
        let sequence = acknowledged.len() as i64;
        match intake.append(vec![event("a", sequence)]).await {
            Ok(_) => acknowledged.push(format!("a {sequence}")),
            Err(error) => break error,
        }
    };
    assert!(acknowledged.len() > 20);
    assert_eq!((refused.code, refused.is_temporary()), ("disk-full", true));
    let again = intake.append(vec![event("a", acknowledged.len() as i64)]).await.unwrap_err();
    assert_eq!(again.code, "disk-full");
    acknowledged.sort();
    assert_eq!(messages(&intake), acknowledged);

    faults.limit_bytes(u64::MAX);
    let sequence = acknowledged.len() as i64;
    let accepted = intake.append(vec![event("a", sequence)]).await.unwrap();
    assert_eq!(accepted.accepted, [true], "what was refused is not a duplicate");
    acknowledged.push(format!("a {sequence}"));
    acknowledged.sort();
    drop(intake);
    assert_eq!(messages(&open(folder.path(), &config)), acknowledged);
}

#[tokio::test]
async fn a_failed_sync_is_an_error_and_the_next_group_goes_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let config = IntakeConfig::default();
    let (intake, faults) = open_faulty(folder.path(), &config);
    intake.append(vec![event("a", 1)]).await.unwrap();
    faults.fail_syncs(true);
    assert_eq!(intake.append(vec![event("a", 2)]).await.unwrap_err().code, "disk-error");
    faults.fail_syncs(false);
    assert_eq!(intake.append(vec![event("a", 2)]).await.unwrap().accepted, [true]);
    assert_eq!(log::segments(folder.path()).unwrap().len(), 2);
    drop(intake);
    assert_eq!(messages(&open(folder.path(), &config)), ["a 1", "a 2"]);
}

#[tokio::test]
async fn a_lake_that_cannot_keep_up_holds_intake_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = IntakeConfig { buffer_bytes_max: 1000, ..IntakeConfig::default() };
    let intake = open(folder.path(), &config);
    let mut taken = 0;
    while intake.append(vec![event("a", taken)]).await.is_ok() {
        taken += 1;
    }
    let refused = intake.append(vec![event("a", taken)]).await.unwrap_err();
    assert_eq!((refused.code, refused.is_temporary()), ("intake-full", true));
    assert_eq!(intake.stats().unflushed, taken as u64);
}
