//! A live exam against a server of a few lines that logs what it is asked to.

use super::*;
use seclang::exam::{Overrides, read_tests, run};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

/// Logs a line for a marker and, when the target says `attack`, one for rule 7. Closes on `hang`.
fn server(log: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines: Vec<String> = BufReader::new(&stream)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let target = lines.first().cloned().unwrap_or_default();
            let mut file = File::options().append(true).open(&log).unwrap();
            for line in lines.iter().filter(|line| line.starts_with(MARKER)) {
                writeln!(file, "matched [id \"999999\"] {line}").unwrap();
            }
            if target.contains("attack") {
                writeln!(file, "{{\"id\": 7, \"uri\": \"{target}\"}}").unwrap();
            }
            if !target.contains("hang") {
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
            }
        }
    });
    address
}

fn failures(target: &mut Live, output: &str, uri: &str) -> Vec<String> {
    let text = format!(
        "rule_id: 7\ntests:\n  - test_id: 1\n    stages:\n      - input: {{uri: '{uri}'}}\n        output: {output}\n"
    );
    let (tests, _) = read_tests("live.yaml", &text).unwrap();
    let outcome = run(target, &tests[0], &Overrides::default()).unwrap();
    outcome.failure.map(|failed| failed.why).unwrap_or_default()
}

#[test]
fn a_server_is_examined_by_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("error.log");
    std::fs::write(&log, "a line from before [id \"8\"]\n").unwrap();
    let url = format!("http://{}/", server(log.clone()));
    let mut target = Live::new(&url, &log).unwrap();
    let none: [&str; 0] = [];
    let seen = "{status: 403, response_contains: no$, log: {expect_ids: [7], no_expect_ids: [8]}}";
    assert_eq!(failures(&mut target, seen, "/attack"), none);
    assert_eq!(failures(&mut target, "{log: {no_expect_ids: [7]}}", "/attack"), ["rule 7 matched"]);
    // What the request before it logged is not its own, and markers are nobody's.
    assert_eq!(failures(&mut target, "{log: {no_match_regex: '\\[id|\"id\"'}}", "/"), none);
    assert_eq!(failures(&mut target, "{log: {expect_ids: [7]}}", "/"), ["rule 7 did not match"]);
    assert_eq!(failures(&mut target, "{expect_error: true}", "/hang"), none);
}

#[test]
fn what_cannot_be_examined_is_told_before_the_exam() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("error.log");
    assert!(Live::new("http://127.0.0.1:1", &log).unwrap_err().message.contains("error.log"));
    std::fs::write(&log, "").unwrap();
    assert_eq!(Live::new("https://a", &log).unwrap_err().exit, EXIT_USAGE);
    let refused = Live::new("http://127.0.0.1:1", &log).unwrap_err();
    assert_eq!(refused.exit, EXIT_UNREACHABLE);
}
