use super::*;
use crate::limits::RECORD_BYTES_MAX;
use std::io::Write;

/// Records as `line:json`, problems as `line!code`.
fn told(name: &str, bytes: &[u8], texts: bool) -> Vec<String> {
    let mut all = Vec::new();
    let _ = read_from(name, Box::new(bytes), texts, &mut |told| {
        all.push(match told {
            Told::Record(item) => format!("{}:{}", item.number, String::from_utf8_lossy(item.json)),
            Told::Problem(problem) => {
                let line = problem.place.rsplit(':').next().unwrap_or_default();
                format!("{line}!{}", problem.code)
            }
        });
        ControlFlow::Continue(())
    });
    all
}

#[track_caller]
fn check(bytes: &[u8], wanted: &[&str]) {
    assert_eq!(told("x.json", bytes, false), wanted, "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn a_value_on_each_line() {
    check(b"", &[]);
    check(b"{\"a\":1}\n\n  {\"a\":2}\r\n{\"a\":3}", &["1:{\"a\":1}", "3:{\"a\":2}", "4:{\"a\":3}"]);
    check(b"\xef\xbb\xbf{\"a\":1}\n", &["1:{\"a\":1}"]);
    // A line that was cut off does not take the others with it.
    check(b"{\"a\":\n{\"a\":2}\n", &["1:{\"a\":", "2:{\"a\":2}"]);
    check(b"no\n{}\n", &["1:no", "2:{}"]);
}

#[test]
fn values_over_lines_and_in_lists() {
    check(b"[{\"a\":1},{\"b\":[{}]}]", &["1:{\"a\":1}", "1:{\"b\":[{}]}"]);
    check(b"[\n {\"a\":\"}\\\"\"},\n {\"a\":2}\n]\n", &["2:{\"a\":\"}\\\"\"}", "3:{\"a\":2}"]);
    check(b"{\n\"a\":1\n}\n{\n\"a\":2\n}", &["1:{\n\"a\":1\n}", "4:{\n\"a\":2\n}"]);
    check(b"[]", &[]);
    check(b"[{}, 7, {}]", &["1:{}", "1!stray-bytes", "1:{}"]);
    check(b"[\n{\"a\":\"x\n},\n{\"a\":2}]", &["2!bad-json", "3!stray-bytes", "4:{\"a\":2}"]);
    check(b"[\n{\"a\":1},\n{\"a\":{\n}\n", &["2:{\"a\":1}", "3!unfinished-value"]);
}

#[test]
fn lines_of_text_where_they_are_asked_for() {
    let lines = told("x.log", b"Jan 1 sshd: no\n[error] x\n", true);
    assert_eq!(lines, ["1:{\"message\":\"Jan 1 sshd: no\"}", "2:{\"message\":\"[error] x\"}"]);
    assert_eq!(told("x.log", b"[error] x\n", true).len(), 1);
}

#[test]
fn a_long_line_is_told_and_passed_over() {
    let mut bytes = vec![b'x'; RECORD_BYTES_MAX + 1];
    bytes.extend_from_slice(b"\n{}\n");
    assert_eq!(told("x.jsonl", &bytes, false), ["1!long-record", "2:{}"]);
    let mut bytes = b"[\n{\"a\":\"".to_vec();
    bytes.resize(RECORD_BYTES_MAX + 100, b'x');
    bytes.extend_from_slice(b"\"},\n{}]");
    assert_eq!(told("x.json", &bytes, false), ["2!long-record", "3:{}"]);
}

#[test]
fn packed_files_are_unpacked_and_cut_ones_told() {
    let text = b"{\"a\":1}\n{\"a\":2}\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    let gz = packed.finish().unwrap();
    let zst = zstd::encode_all(text.as_slice(), 1).unwrap();
    for packed in [&gz, &zst] {
        assert_eq!(told("x", packed, false), ["1:{\"a\":1}", "2:{\"a\":2}"]);
    }
    let cut = told("x", gz.get(..gz.len() - 4).unwrap(), false);
    assert_eq!(cut.last().map(String::as_str), Some("x!unreadable-file"), "{cut:?}");
    assert!(told("x", &[0x28, 0xb5, 0x2f, 0xfd, 9], false)[0].ends_with("!unreadable-file"));
}

#[test]
fn what_is_called_an_event_log_and_is_none_is_told() {
    assert_eq!(told("x.evtx", b"", false), ["x.evtx!damaged-header"]);
    assert_eq!(told("x.evtx", &[7; 5000], false).len(), 3);
}

/// An event log of one chunk without records, whose header numbers them so.
fn empty_chunk(first: u64, last: u64) -> Vec<u8> {
    let mut bytes = b"ElfFile\0".to_vec();
    bytes.resize(4096, 0);
    bytes.extend_from_slice(b"ElfChnk\0");
    for number in [first, last, first, last] {
        bytes.extend(number.to_le_bytes());
    }
    // Size of the header, last record, and where free space begins: right behind the header.
    for number in [128_u32, 0, 512] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(4096 + 65536, 0);
    bytes
}

#[test]
fn a_chunk_without_records_is_told_where_it_should_have_some() {
    let check = |first, last, wanted: &[&str]| {
        let codes = told("x.evtx", &empty_chunk(first, last), false);
        let codes: Vec<_> = codes.iter().filter_map(|told| told.split('!').nth(1)).collect();
        assert_eq!(codes, wanted, "{first} to {last}");
    };
    check(1, u64::MAX, &[]);
    check(7, 6, &[]);
    check(1, 3, &["missing-records"]);
    check(0x5b00, 0x7a_0000_0000, &["missing-records"]);
    check(0x666c_4500_0000_0001, 0x60a9_c400_6b6e_6843, &["missing-records"]);
}
