//! Every source's samples against what they become. `BLESS=1` rewrites `out.json`; review the diff.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use normalize::{Format, Parsed, Parser, Source};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// 2026-11-22T05:00:00Z.
const RECEIVED: i64 = 1_795_323_600_000;

fn parse(format: Format, bytes: &[u8]) -> Parsed {
    let mut parser = Parser::new("acme".parse().unwrap(), Source::new("test", format), 1);
    let mut parsed = parser.push(bytes, RECEIVED);
    let last = parser.finish(RECEIVED);
    parsed.events.extend(last.events);
    parsed.diagnostics.extend(last.diagnostics);
    parsed
}

/// `auto_alike`: Auto must read the lines as their own format does.
fn check(name: &str, format: Format, auto_alike: bool) {
    let mut versions = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    for version in fs::read_dir(folder).unwrap() {
        let version = version.unwrap().path();
        let bytes = fs::read(version.join("in.log")).unwrap();
        let parsed = parse(format, &bytes);
        let events: Vec<Value> = parsed.events.iter().map(schema::Event::to_ocsf).collect();
        let got = json!({ "events": events, "diagnostics": parsed.diagnostics });
        let golden = version.join("out.json");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, serde_json::to_string_pretty(&got).unwrap() + "\n").unwrap();
        }
        let wanted: Value = serde_json::from_slice(&fs::read(&golden).unwrap()).unwrap();
        for (got, wanted) in
            got["events"].as_array().unwrap().iter().zip(wanted["events"].as_array().unwrap())
        {
            assert_eq!(got, wanted, "{}: BLESS=1 rewrites it", golden.display());
        }
        assert!(got == wanted, "{}: BLESS=1 rewrites it", golden.display());
        if auto_alike {
            let auto = parse(Format::Auto, &bytes);
            for (auto, own) in auto.events.iter().zip(&parsed.events) {
                assert_eq!(auto.to_ocsf(), own.to_ocsf(), "{name}: Auto reads it as {format} does");
            }
            assert!(auto == parsed, "{name}: Auto reads it as {format} does");
        }
        versions += 1;
    }
    assert!(versions > 0, "{name} has samples");
}

#[test]
fn combined() {
    check("combined", Format::Combined, true);
}

#[test]
fn json_access() {
    check("json-access", Format::JsonAccess, true);
}

#[test]
fn ocsf() {
    check("ocsf", Format::Ocsf, false);
}

#[test]
fn syslog() {
    check("syslog", Format::Syslog, true);
}

#[test]
fn auth() {
    check("auth", Format::Syslog, true);
}

#[test]
fn linux_audit() {
    check("linux-audit", Format::LinuxAudit, true);
}

#[test]
fn sysmon_linux() {
    check("sysmon-linux", Format::SysmonLinux, true);
}

#[test]
fn broken() {
    check("broken", Format::Auto, false);
}
