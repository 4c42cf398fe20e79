//! Correlations of all seven types under a million events a minute over 100,000 groups that live at one time.
//!
//! `cargo run --release --manifest-path benches/sigma-correlation/Cargo.toml [-- KIND [MINUTES]]`. Each type runs in a process
//! of its own, so that its peak of memory is its own; `all` runs the seven together over a seventh of the users each.
//!
//! Time is that of events: 60 µs apart, each arriving up to the allowed lateness after its time, in windows of five
//! minutes. CPU time is of the correlation alone (`hit` and `observe`), the making of events left out. In every
//! type some groups fire, most stay under their bound, which is the case that costs memory.

mod traffic;

use rustix::time::{ClockId, clock_gettime};
use sigma::correlation::{Correlator, State};
use sigma::{Options, RuleSet};
use std::process::{Command, ExitCode};
use traffic::{Traffic, What};

/// How late an event may arrive.
const LATENESS_MS: u64 = 10_000;
/// Windows are of five minutes: after six all groups are in their stride.
const MINUTES: u64 = 6;
const EVENTS_PER_MINUTE: u64 = 1_000_000;
/// The million events a minute that are to be kept up with.
const GOAL_PER_SEC: f64 = 16_667.0;
const GOAL_MIB: f64 = 512.0;
/// Groups that live at one time.
const KEYS: u64 = 100_000;
/// Events made before the clock runs over them.
const BATCH: u64 = 20_000;

const RULES: &str = "
title: failed
name: failed
logsource: {category: bench}
detection: {s: {what: failed}, condition: s}
---
title: worked
name: worked
logsource: {category: bench}
detection: {s: {what: worked}, condition: s}
---
title: admin
name: admin
logsource: {category: bench}
detection: {s: {what: admin}, condition: s}
";

/// Type and what it asks.
const CORRELATIONS: [(&str, &str); 7] = [
    ("event_count", "rules: [failed], group-by: [user], condition: {gte: 100}"),
    ("value_count", "rules: [failed], group-by: [ip], condition: {field: user, gte: 100}"),
    ("temporal", "rules: [failed, worked, admin], group-by: [user]"),
    ("temporal_ordered", "rules: [failed, worked, admin], group-by: [user]"),
    ("value_sum", "rules: [failed], group-by: [user], condition: {field: bytes, gt: 4000000}"),
    ("value_avg", "rules: [failed], group-by: [ip], condition: {field: bytes, gt: 65000}"),
    (
        "value_percentile",
        "rules: [failed], group-by: [user], condition: {field: bytes, percentile: 95, gt: 99000}",
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        None => every(),
        Some(kind) => {
            let minutes = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(MINUTES);
            measure(kind, minutes)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn every() -> Result<(), String> {
    println!(
        "{:<18}{:>9}{:>10}{:>11}{:>9}{:>9}{:>8}{:>8}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}",
        "type",
        "events",
        "us/event",
        "events/s",
        "longest",
        "groups",
        "MiB own",
        "RSS",
        "HWM",
        "findings",
        "saved",
        "stall",
        "save",
        "load"
    );
    let program = std::env::current_exe().map_err(|why| why.to_string())?;
    let mut missed = false;
    for kind in CORRELATIONS.iter().map(|(kind, _)| *kind).chain(["all"]) {
        let status = Command::new(&program).arg(kind).status().map_err(|why| why.to_string())?;
        missed |= !status.success();
    }
    match missed {
        false => Ok(()),
        true => Err(format!("the goal is {GOAL_PER_SEC} events/s within {GOAL_MIB} MiB")),
    }
}

fn measure(kind: &str, minutes: u64) -> Result<(), String> {
    let set = load(kind)?;
    let correlator = Correlator::new(&set, LATENESS_MS);
    let mut state = State::default();
    let mut traffic =
        Traffic::new(LATENESS_MS, if kind == "all" { KEYS.div_ceil(7) } else { KEYS });
    let total = minutes * EVENTS_PER_MINUTE;
    let (mut spent, mut longest, mut findings, mut done) = (0.0, 0.0_f64, 0, 0);
    let mut resident = 0.0_f64;
    while done < total {
        let batch: Vec<_> = (0..BATCH).map(|_| traffic.arrival()).collect();
        done += BATCH;
        let began = cpu_secs();
        for event in &batch {
            let rule = match event.what {
                What::Failed => 0,
                What::Worked => 1,
                What::Admin => 2,
            };
            if let Some(hit) = correlator.hit(rule, event.time_ms, &event.id, event) {
                findings += correlator.observe(&mut state, hit).len();
            }
        }
        let took = cpu_secs() - began;
        longest = longest.max(took);
        spent += took;
        resident = resident.max(memory_mib("VmRSS:")?);
    }
    let peak = memory_mib("VmHWM:")?.max(resident);
    let (groups, held) = (state.groups(), state.bytes());
    let began = cpu_secs();
    let snapshot = state.snapshot();
    let stall_secs = cpu_secs() - began;
    let began = cpu_secs();
    let saved = snapshot.save();
    let save_secs = cpu_secs() - began;
    let began = cpu_secs();
    let restored = State::load(&saved).map_err(|why| why.to_string())?;
    let load_secs = cpu_secs() - began;
    let rate = total as f64 / spent;
    println!(
        "{kind:<18}{total:>9}{:>10.2}{rate:>11.0}{:>7.0}ms{groups:>9}{:>8.0}{resident:>8.0}{peak:>8.0}{findings:>10}{:>7.1}MB{:>7.2}ms{:>7.0}ms{:>7.0}ms  {:?}",
        spent / total as f64 * 1e6,
        longest * 1e3,
        held as f64 / f64::from(1 << 20),
        saved.len() as f64 / 1e6,
        stall_secs * 1e3,
        save_secs * 1e3,
        load_secs * 1e3,
        state.told,
    );
    if restored != state {
        return Err(format!("{kind}: what was loaded is not what was saved"));
    }
    match rate >= GOAL_PER_SEC && resident <= GOAL_MIB {
        true => Ok(()),
        false => Err(format!("{kind}: missed")),
    }
}

fn load(kind: &str) -> Result<RuleSet, String> {
    let mut text = RULES.to_owned();
    for (name, rest) in CORRELATIONS.iter().filter(|(name, _)| kind == "all" || *name == kind) {
        text += &format!(
            "---\ntitle: {name}\nname: {name}\ncorrelation: {{type: {name}, timespan: 5m, {rest}}}\n"
        );
    }
    let set = RuleSet::load([("bench.yml", text.as_str())], &Options::default());
    match set.refused.first().and_then(|refused| refused.problems.first()) {
        Some(problem) => Err(problem.to_string()),
        None if set.correlations.is_empty() => Err(format!("no type `{kind}`")),
        None => Ok(set),
    }
}

/// What the system says of this process's memory.
fn memory_mib(name: &str) -> Result<f64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|why| why.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("no `{name}` in /proc/self/status"))
}

fn cpu_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
