use super::*;

fn config(dir: &Path) -> SpoolConfig {
    SpoolConfig { dir: dir.to_owned(), bytes_max: 1 << 20, segment_bytes: 200 }
}

fn fill(spool: &mut Spool, n: usize) -> Vec<u64> {
    let sequences =
        (0..n).map(|i| spool.push(format!("event {i} {}", "x".repeat(i % 40)).as_bytes()).unwrap());
    let sequences = sequences.collect();
    spool.write().unwrap();
    spool.sync().unwrap();
    sequences
}

fn read_all(spool: &Spool) -> Vec<u64> {
    let (mut cursor, mut out) = (spool.start(), Vec::new());
    while let Some(plan) = spool.plan(cursor, 100) {
        let (events, next, damaged) = plan.read().unwrap();
        assert_eq!(damaged, None);
        out.extend(events.iter().map(|e| e.sequence));
        cursor = events.last().map_or(next, |e| e.next);
    }
    out
}

#[test]
fn what_is_acknowledged_goes_and_the_rest_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(config(dir.path()), 500).unwrap();
    let mut sequences = Vec::new();
    for _ in 0..6 {
        sequences.extend(fill(&mut spool, 5));
    }
    assert_eq!(sequences, (500..530).collect::<Vec<_>>());
    assert_eq!(read_all(&spool), sequences);
    let before = spool.bytes();
    spool.acknowledge(516);
    assert!(spool.bytes() < before, "whole segments go");
    drop(spool);
    let mut spool = Spool::open(config(dir.path()), 9_000).unwrap();
    assert_eq!(read_all(&spool), (517..530).collect::<Vec<_>>());
    assert_eq!(spool.next_sequence(), 530, "the clock counts only for a new folder");
    assert_eq!(fill(&mut spool, 1), [530]);
    spool.acknowledge(530);
    assert_eq!(read_all(&spool), Vec::<u64>::new());
    drop(spool);
    let spool = Spool::open(config(dir.path()), 0).unwrap();
    assert_eq!(spool.next_sequence(), 531);
}

#[test]
fn only_what_is_synced_is_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(config(dir.path()), 1).unwrap();
    spool.push(b"a").unwrap();
    assert_eq!(read_all(&spool), Vec::<u64>::new());
    spool.write().unwrap();
    assert_eq!(read_all(&spool), Vec::<u64>::new());
    spool.sync().unwrap();
    assert_eq!(read_all(&spool), [1]);
}

#[test]
fn a_spool_that_is_full_says_so_and_takes_more_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(SpoolConfig { bytes_max: 500, ..config(dir.path()) }, 1).unwrap();
    let mut taken = 0;
    while spool.push(&[b'x'; 80]).is_ok() {
        spool.write().unwrap();
        taken += 1;
    }
    assert_eq!(taken, 5);
    spool.sync().unwrap();
    spool.acknowledge(4);
    assert_eq!(spool.push(&[b'x'; 80]).unwrap(), 6, "a refused event takes no sequence");
}

/// A crash can leave any prefix of what was not synced: whatever is cut, the whole frames before it
/// are there, nothing else is, and no sequence comes twice.
#[test]
fn a_segment_cut_at_any_byte_gives_back_its_whole_frames() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool =
        Spool::open(SpoolConfig { segment_bytes: 1 << 20, ..config(dir.path()) }, 1).unwrap();
    fill(&mut spool, 8);
    let path = segment_path(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    drop(spool);
    let mut ends = Vec::new();
    let mut at = 0;
    while at < whole.len() {
        at += HEADER_BYTES + u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
        ends.push(at);
    }
    for cut in 0..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(segment_path(dir.path(), 1), &whole[..cut]).unwrap();
        let mut spool = Spool::open(config(dir.path()), 1).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count() as u64;
        assert_eq!(read_all(&spool), (1..=kept).collect::<Vec<_>>(), "cut at {cut}");
        assert!(spool.next_sequence() > kept);
        let next = spool.next_sequence();
        assert_eq!(fill(&mut spool, 2), [next, next + 1]);
        assert_eq!(read_all(&spool).len() as u64, kept + 2);
    }
}

#[test]
fn a_flipped_byte_ends_its_segment_and_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(config(dir.path()), 1).unwrap();
    for _ in 0..4 {
        fill(&mut spool, 5);
    }
    let path = segment_path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::write(&path, &bytes).unwrap();
    let (events, next, damaged) = spool.plan(spool.start(), 1 << 20).unwrap().read().unwrap();
    assert!(damaged.is_some() && (events.len() as u64) < spool.first_after(1) - 1);
    let (after, ..) = spool.plan(next, 1 << 20).unwrap().read().unwrap();
    assert_eq!(after[0].sequence, spool.first_after(1));
}

#[test]
fn a_torn_note_of_what_the_server_has_falls_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ack");
    let mut ack = AckFile::open(&path).unwrap();
    assert_eq!(ack.read(), None);
    ack.write(41).unwrap();
    ack.write(42).unwrap();
    assert_eq!(AckFile::open(&path).unwrap().read(), Some(42));
    // The second write went to the first slot.
    ack.file.write_all_at(&[9], 3).unwrap();
    let mut ack = AckFile::open(&path).unwrap();
    assert_eq!(ack.read(), Some(41));
    ack.write(50).unwrap();
    assert_eq!(AckFile::open(&path).unwrap().read(), Some(50));
}
