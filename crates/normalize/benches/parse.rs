//! Lines per second of CPU of each format: `cargo bench -p normalize --bench parse -- [name]`.
//!
//! CPU time where Linux tells it, so that a busy machine gives the same figures; else wall time.
//! The samples of `tests/data`, repeated with new serials; `NORMALIZE_BENCH_SECS` sets how long each runs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use normalize::{Format, Parser, Source};
use std::time::{Duration, Instant};

/// 2026-11-22T05:00:00Z.
const RECEIVED: i64 = 1_795_323_600_000;
const CHUNK_BYTES: usize = 64 << 10;
const LINES: usize = 20_000;

fn main() {
    let secs = std::env::var("NORMALIZE_BENCH_SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let samples: [(&str, Format, &str); 7] = [
        ("ocsf", Format::Ocsf, include_str!("../tests/data/ocsf/v1/in.log")),
        ("combined", Format::Combined, include_str!("../tests/data/combined/v1/in.log")),
        ("json-access", Format::JsonAccess, include_str!("../tests/data/json-access/v1/in.log")),
        ("syslog", Format::Syslog, include_str!("../tests/data/syslog/v1/in.log")),
        ("sshd, pam, sudo", Format::Syslog, include_str!("../tests/data/auth/v1/in.log")),
        ("linux-audit", Format::LinuxAudit, include_str!("../tests/data/linux-audit/v1/in.log")),
        ("sysmon-linux", Format::SysmonLinux, include_str!("../tests/data/sysmon-linux/v1/in.log")),
    ];
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    println!("{:22} {:>10} {:>12} {:>9}", "format", "lines/s", "events/s", "MB/s");
    for (name, format, sample) in samples {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        for format in [format, Format::Auto] {
            let input = input(sample);
            let label =
                if format == Format::Auto { format!("{name} (auto)") } else { name.to_owned() };
            run(&label, format, &input, Duration::from_secs(secs));
        }
    }
}

/// The sample over and over; audit serials count on, so that events stay apart.
fn input(sample: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut lines = 0;
    for round in 0.. {
        let text =
            sample.replace(":9", &format!(":{round}9")).replace(":50)", &format!(":{round}50)"));
        let text = if sample.contains("audit(") { text.as_str() } else { sample };
        bytes.extend_from_slice(text.as_bytes());
        lines += text.lines().count();
        if lines >= LINES {
            break;
        }
    }
    bytes
}

fn run(name: &str, format: Format, input: &[u8], time: Duration) {
    let lines_per_round = input.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
    let (mut lines, mut events, mut bytes) = (0, 0, 0);
    let (start, cpu_before) = (Instant::now(), cpu_secs());
    while start.elapsed() < time {
        let mut parser = Parser::new("acme".parse().unwrap(), Source::new("bench", format), 0);
        for chunk in input.chunks(CHUNK_BYTES) {
            events += parser.push(chunk, RECEIVED).events.len();
        }
        events += parser.finish(RECEIVED).events.len();
        lines += lines_per_round;
        bytes += input.len();
    }
    let secs = match (cpu_before, cpu_secs()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed().as_secs_f64(),
    };
    println!(
        "{name:22} {:>10.0} {:>12.0} {:>9.1}",
        lines as f64 / secs,
        events as f64 / secs,
        bytes as f64 / secs / 1e6
    );
}

/// User and system time of this process, in ticks of 1/100 s (`proc_pid_stat(5)`, fields 14 and 15).
fn cpu_secs() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}
