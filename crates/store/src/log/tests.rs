use super::*;
use schema::Event;

fn record(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let event = Event { time: number, message: Some("x".repeat(40)), ..Event::default() };
    codec::encode(&event, &mut out);
    out
}

/// Three groups of three records in one segment, times 0 to 8.
fn written(folder: &Path, close: bool) -> Vec<u8> {
    let mut log = LogWriter::new(folder, 1 << 16, 1, Arc::default());
    for group in 0..3 {
        let records: Vec<_> = (0..3).map(|n| record(group * 3 + n)).collect();
        log.write(records.iter().map(Vec::as_slice), 1000).unwrap();
    }
    if close {
        log.close();
    }
    fs::read(segment_path(folder, 1)).unwrap()
}

fn times(bytes: &[u8]) -> Vec<i64> {
    scan(bytes).payloads.iter().map(|p| codec::decode(slice(bytes, p)).unwrap().time).collect()
}

fn frame_starts(bytes: &[u8]) -> Vec<usize> {
    (FRAMES_AT..bytes.len() - 4).filter(|at| &bytes[*at..*at + 4] == FRAME_MAGIC).collect()
}

#[test]
fn a_torn_tail_keeps_every_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path(), false);
    let starts = frame_starts(&bytes);
    assert_eq!(starts.len(), 9);
    for cut in (FRAMES_AT..starts[8] + 150).step_by(17) {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        let whole = starts.iter().filter(|at| **at + (starts[1] - starts[0]) <= cut).count();
        let got = times(&torn);
        // The very last bytes of a frame may be zeros by themselves.
        assert!(got.len() >= whole && got == (0..got.len() as i64).collect::<Vec<_>>());
        assert!(scan(&torn).bad.iter().all(|bad| !bad.acknowledged), "cut at {cut}");
    }
}

#[test]
fn damage_in_the_middle_costs_one_record_and_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path(), true);
    let starts = frame_starts(&bytes);
    for (record, start) in starts.iter().take(9).enumerate() {
        for at in *start..starts[record + 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let mut expected: Vec<i64> = (0..9).collect();
            expected.remove(record);
            assert_eq!(times(&damaged), expected, "byte {at}");
            let bad = scan(&damaged).bad;
            assert_eq!((bad.len(), bad[0].acknowledged), (1, true), "byte {at}");
        }
    }
}

#[test]
fn a_damaged_header_is_made_good_by_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = written(folder.path(), true);
    bytes[3] ^= 1;
    assert_eq!(times(&bytes).len(), 9);
    bytes[HEADER_COPY_AT + 3] ^= 1;
    assert!(times(&bytes).is_empty() && scan(&bytes).bad[0].acknowledged);
}

#[test]
fn a_frame_inside_a_payload_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut forged = Frames::default();
    put_frame(&mut forged, &[0; 16], 1, KIND_EVENT, &record(666));
    let mut log = LogWriter::new(folder.path(), 1 << 16, 1, Arc::default());
    log.write([forged.bytes.as_slice()].into_iter(), 1000).unwrap();
    let mut bytes = fs::read(segment_path(folder.path(), 1)).unwrap();
    bytes[FRAMES_AT + 5] ^= 1;
    assert!(times(&bytes).is_empty());
}

#[test]
fn a_later_format_is_refused_not_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = LogWriter::new(folder.path(), 1 << 16, 1, Arc::default());
    log.write([[9u8; 60].as_slice()].into_iter(), 1000).unwrap();
    assert_eq!(read_segment(folder.path(), 1).unwrap_err().code, "log-too-new");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path(), true);
    fuzz_log(&[]);
    fuzz_log(&bytes);
    let mut state = 1u64;
    for _ in 0..500 {
        let mut changed = bytes.clone();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % changed.len();
            changed[at] = state as u8;
        }
        changed.truncate((state >> 20) as usize % (bytes.len() + 1));
        fuzz_log(&changed);
        fuzz_log(changed.get(FRAMES_AT..).unwrap_or_default());
    }
}
