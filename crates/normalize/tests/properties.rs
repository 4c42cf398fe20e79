//! What holds for any input: nothing lost, nothing torn by where it was cut, no secret kept, no panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use normalize::{Format, LINE_BYTES_MAX, LINE_KEPT_BYTES, Parsed, Parser, Source, fuzz_parse};
use proptest::prelude::*;
use schema::{Event, sha256};

/// 2026-11-22T05:00:00Z.
const RECEIVED: i64 = 1_795_323_600_000;

const SAMPLES: [&[u8]; 8] = [
    include_bytes!("data/auth/v1/in.log"),
    include_bytes!("data/broken/v1/in.log"),
    include_bytes!("data/combined/v1/in.log"),
    include_bytes!("data/json-access/v1/in.log"),
    include_bytes!("data/linux-audit/v1/in.log"),
    include_bytes!("data/ocsf/v1/in.log"),
    include_bytes!("data/sysmon-linux/v1/in.log"),
    include_bytes!("data/syslog/v1/in.log"),
];

fn parser(format: Format) -> Parser {
    Parser::new("acme".parse().unwrap(), Source::new("test", format), 100)
}

fn parse<'a>(format: Format, pieces: impl IntoIterator<Item = &'a [u8]>) -> Parsed {
    let mut parser = parser(format);
    let mut whole = Parsed::default();
    for piece in pieces {
        let parsed = parser.push(piece, RECEIVED);
        whole.events.extend(parsed.events);
        whole.diagnostics.extend(parsed.diagnostics);
    }
    let parsed = parser.finish(RECEIVED);
    whole.events.extend(parsed.events);
    whole.diagnostics.extend(parsed.diagnostics);
    whole
}

/// Sample lines in any order, some of them damaged.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Vec<u8>> = SAMPLES
        .iter()
        .flat_map(|sample| sample.split_inclusive(|b| *b == b'\n'))
        .map(<[u8]>::to_vec)
        .collect();
    let line = (prop::sample::select(all), any::<u16>(), any::<u8>(), 0u8..4).prop_map(
        |(mut line, place, byte, damage)| {
            let place = usize::from(place) % line.len().max(1);
            match damage {
                0 => line[place] = byte,
                1 => line.truncate(place),
                _ => {}
            }
            line
        },
    );
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

/// The lines a parser must account for, without their endings.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn where_the_input_is_cut_changes_nothing(
        bytes in lines(), format in format(), cuts in prop::collection::vec(any::<u16>(), 0..12),
    ) {
        let whole = parse(format, [bytes.as_slice()]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert!(parse(format, pieces) == whole);
        prop_assert!(parse(format, bytes.chunks(1)) == whole);
    }

    #[test]
    fn every_line_is_part_of_exactly_one_event(bytes in lines(), format in format()) {
        // An OCSF record may bring a raw record of its own, of any number of lines.
        prop_assume!(!bytes.windows(10).any(|w| w == b"\"raw_data\""));
        let records = records(&bytes);
        let parsed = parse(format, [bytes.as_slice()]);
        let mut lines = 0;
        let mut last = None;
        for event in &parsed.events {
            let raw = event.raw.as_deref().unwrap();
            let count = raw.split('\n').count();
            lines += count;
            if event.log_format.as_deref() == Some("ocsf") {
                continue;
            }
            let sequence = event.sequence.unwrap();
            prop_assert!(Some(sequence) > last, "events come in the order of their first lines");
            last = Some(sequence);
            if count == 1 {
                let line = records[usize::try_from(sequence - 100).unwrap()];
                prop_assert_eq!(event.raw_sha256.as_deref().unwrap(), sha256(line).to_hex());
            }
            prop_assert!(event.class_uid != 0 || event.message.is_some() || event.diagnostic.is_some()
                || event.log_format.as_deref() == Some("linux-audit"));
        }
        prop_assert_eq!(lines, records.len());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let expected = records(&bytes).len();
        let parsed = parse(Format::Auto, [bytes.as_slice()]);
        prop_assert!(parsed.events.len() <= expected);
        fuzz_parse(&bytes);
    }

    #[test]
    fn damaged_lines_are_survived(bytes in lines()) {
        fuzz_parse(&bytes);
    }

    #[test]
    fn a_named_secret_is_nowhere(
        secret in "[a-zA-Z0-9]{12,20}",
        name in prop::sample::select(vec!["password", "token", "api_key", "client_secret", "Authorization", "session", "access_token", "pass%77ord"]),
    ) {
        // A text that also stands in the name would be found there.
        let secret = format!("Zq9{secret}");
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02X}")).collect::<String>();
        let xml = format!("<Event><System><EventID>1</EventID></System><EventData><Data Name=\"CommandLine\">curl &quot;http://x/?{name}={secret}&quot;</Data></EventData></Event>");
        let lines = [
            format!("192.0.2.1 - - [22/Nov/2026:04:33:00 +0000] \"GET /?a=1&{name}={secret}&b=2 HTTP/1.1\" 200 1 \"http://x/?{name}={secret}\" \"-\""),
            format!("192.0.2.1 - - [22/Nov/2026:04:33:00 +0000] \"GET /?next=%2F%3F{name}%3D{secret}%26b HTTP/1.1\" 200 1"),
            format!("{{\"method\":\"GET\",\"uri\":\"/?{name}={secret}\\u0026b=2\",\"status\":200}}"),
            format!("{{\"method\":\"GET\",\"uri\":\"/\",\"status\":200,\"headers\":{{\"{}\":[\"{secret}\"]}}}}", name.replace("%77", "w")),
            format!("Nov 22 04:33:00 h sudo: kim : TTY=p ; PWD=/ ; USER=root ; COMMAND=/bin/x --{}={secret} --{0} {secret}", name.replace("%77", "w")),
            format!("Nov 22 04:33:00 h app[1]: request https://u:{secret}@h/?{name}={secret} done"),
            format!("type=EXECVE msg=audit(1795321980.1:1): argc=3 a0=\"x\" a1={} a2=\"y\"", hex(&format!("/?{name}={secret}"))),
            format!("type=PROCTITLE msg=audit(1795321980.1:1): proctitle={}", hex(&format!("x\0--password\0{secret}"))),
            format!("Nov 22 04:33:00 h sysmon: {xml}"),
            xml,
            format!("nobody knows this line {name}={secret}"),
        ];
        for line in lines {
            for format in Format::ALL {
                // OCSF is kept as it comes: what made it has protected it.
                if format == Format::Ocsf {
                    continue;
                }
                // Hex is only known for what it is where audit records are read.
                let audit = line.starts_with("type=");
                let reads_audit = matches!(format, Format::Auto | Format::LinuxAudit);
                if audit && !reads_audit {
                    continue;
                }
                for event in parse(format, [line.as_bytes()]).events {
                    let text = event.to_ocsf().to_string();
                    prop_assert!(!text.contains(&secret), "{} in {}", line, text);
                    prop_assert!(!text.contains(&hex(&secret)), "{} in {}", line, text);
                    prop_assert_eq!(event.raw_sha256.unwrap(), sha256(line.as_bytes()).to_hex());
                }
            }
        }
    }
}

/// Patterns that make careless readers go over the same bytes again and again, as long as a line may be.
#[test]
fn the_longest_hostile_lines_are_read_in_one_go() {
    let fronts: [&str; 8] = [
        "",
        "192.0.2.1 - - [22/Nov/2026:04:33:00 +0000] \"GET /",
        "type=EXECVE msg=audit(1.1:1): ",
        "<Event><System>",
        "<34>1 2026-11-22T04:33:00Z h a 1 - ",
        "Nov 22 04:33:00 h sshd[1]: Failed password for ",
        "{\"method\":\"GET\",\"status\":200,\"uri\":\"",
        "{\"class_uid\":4002,\"x\":",
    ];
    let bodies = [
        "=",
        "a=",
        "key=",
        "key=a",
        "%3D",
        "%253d",
        "key%3D",
        ":",
        "\"key\":",
        "://",
        "://a:",
        " [",
        "[22/Nov/2026:04:33:00 ",
        "\"",
        "'a ",
        "\\",
        "\\\"",
        "{",
        "[",
        "[a b=\"",
        "<a>",
        "<a b=\"c\">",
        "&amp;",
        "&#65;",
        " from ",
        " -p",
        " --a",
        "Bearer ",
        "a[0]=41 ",
        " ; ",
        "a0=\"x\" ",
        "(",
        "\u{1d}",
        "\0",
        "password=",
        "password=\"",
        "\"token\":",
    ];
    for front in fronts {
        for body in bodies {
            // A 64th of the limit keeps the unoptimised test short; work that grew with the square would still take minutes.
            let mut line = front.to_owned();
            line.push_str(&body.repeat(LINE_BYTES_MAX / 64 / body.len()));
            let events = parse(Format::Auto, [line.as_bytes()]).events;
            assert_eq!(events.len(), 1, "{front}{body}");
        }
    }
}

#[test]
fn a_line_over_the_limit_keeps_its_front_length_and_digest() {
    for ending in ["\n", "\r\n", ""] {
        let line = "x".repeat(LINE_BYTES_MAX + 1);
        let bytes = format!("{line}{ending}next\n");
        let whole = parse(Format::Combined, [bytes.as_bytes()]);
        assert!(parse(Format::Combined, bytes.as_bytes().chunks(1000)) == whole);
        let event: &Event = &whole.events[0];
        assert_eq!(event.diagnostic.as_deref(), Some("line-too-long"));
        assert_eq!(event.raw.as_deref().map(str::len), Some(LINE_KEPT_BYTES));
        if !ending.is_empty() {
            assert_eq!(
                event.raw_sha256.as_deref(),
                Some(sha256(line.as_bytes()).to_hex().as_str())
            );
            assert_eq!(event.rest["unmapped"]["raw_bytes"], LINE_BYTES_MAX + 1);
            assert_eq!(whole.events[1].raw.as_deref(), Some("next"));
        }
        let fits = format!("{}{ending}", "x".repeat(LINE_BYTES_MAX));
        let event = &parse(Format::Combined, [fits.as_bytes()]).events[0];
        assert_eq!(event.diagnostic.as_deref(), Some("not-combined"));
    }
}

#[test]
fn an_audit_event_waits_for_its_records_but_not_for_ever() {
    let mut parser = parser(Format::LinuxAudit);
    let call = b"type=SYSCALL msg=audit(1795321980.100:1): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=2 comm=\"id\" exe=\"/bin/id\"\n";
    assert_eq!(parser.push(call, RECEIVED).events, []);
    assert_eq!(parser.push(b"", RECEIVED + normalize::GROUP_AGE_MS_MAX).events, []);
    let late = parser.push(b"", RECEIVED + normalize::GROUP_AGE_MS_MAX + 1);
    assert_eq!(late.events[0].process_name.as_deref(), Some("id"));
    assert_eq!(late.events[0].sequence, Some(100));
    assert_eq!(parser.next_sequence(), 101);
}

#[test]
fn open_audit_events_are_bounded_and_come_out_in_order() {
    let mut bytes = String::new();
    for serial in 0..3 * normalize::GROUPS_OPEN_MAX {
        bytes.push_str(&format!("type=SYSCALL msg=audit(1795321980.100:{serial}): arch=c000003e syscall=59 success=yes pid={serial}\n"));
    }
    let mut parser = parser(Format::LinuxAudit);
    let parsed = parser.push(bytes.as_bytes(), RECEIVED);
    assert_eq!(parsed.events.len(), 2 * normalize::GROUPS_OPEN_MAX);
    assert!(parsed.events.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert_eq!(parser.finish(RECEIVED).events.len(), normalize::GROUPS_OPEN_MAX);
}

#[test]
fn the_same_stream_has_the_same_ids_and_another_source_others() {
    let ids = |source: &str| {
        let source = Source::new(source, Format::Auto);
        let mut parser = Parser::new("acme".parse().unwrap(), source, 1);
        let mut events = parser.push(SAMPLES[2], RECEIVED).events;
        events.extend(parser.finish(RECEIVED).events);
        events.into_iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("a"), ids("a"));
    assert!(ids("a").iter().all(|id| !ids("b").contains(id)));
}

#[test]
fn local_times_use_the_sources_offset_and_records_get_its_device_and_site() {
    let mut source = Source::new("seoul", Format::Auto);
    source.utc_offset_secs = 9 * 3600;
    source.device = Some("web7".to_owned());
    source.site = Some("shop".to_owned());
    let mut parser = Parser::new("acme".parse().unwrap(), source, 1);
    let bytes = b"Nov 22 13:33:00 web1 sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2\n192.0.2.1 - - [22/Nov/2026:04:33:00 +0000] \"GET / HTTP/1.1\" 200 1\n";
    let events = parser.push(bytes, RECEIVED).events;
    assert_eq!(schema::format_time(events[0].time), "2026-11-22T04:33:00.000Z");
    assert_eq!(events[0].device.as_deref(), Some("web1"), "a record's own host comes first");
    assert_eq!(events[1].time, events[0].time);
    assert_eq!(events[1].device.as_deref(), Some("web7"));
    assert_eq!(events[1].site.as_deref(), Some("shop"));
}

#[test]
fn an_understood_ocsf_record_may_go_without_its_raw_line() {
    let mut parser = parser(Format::Ocsf).keep_ocsf_raw(false);
    let events = parser
        .push(b"{\"class_uid\":4002,\"time\":1795321980000}\n{\"class_uid\":4002}\n", RECEIVED)
        .events;
    assert_eq!(events[0].raw, None);
    assert!(events[0].raw_sha256.is_some());
    assert_eq!(
        events[1].raw.as_deref(),
        Some("{\"class_uid\":4002}"),
        "what was wrong with it can be seen"
    );
}
