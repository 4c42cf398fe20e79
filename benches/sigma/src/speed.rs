//! How fast: CPU time of one thread, from the bytes of a line to the rules that fired, rules already loaded.

use crate::Theirs;
use hunt::read::Told;
use hunt::{Input, find, kind_of, options, read};
use rsigma_eval::event::JsonEvent;
use serde_json::{Value, json};
use sigma::{Engine, Reader, RuleSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rounds of each side, in turn; the median is told.
const ROUNDS: usize = 5;
/// Lines that the plain evaluator is tried on: every so manieth.
const PLAIN_EVERY: usize = 25;

pub fn run(
    files: &[(String, String)],
    stream: &Path,
    logs: &[PathBuf],
) -> Result<(), String> {
    let texts = || files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let before = cpu();
    let set = RuleSet::load(texts(), &options(&[], None).map_err(|p| format!("{p:?}"))?);
    let read = cpu();
    let set = Arc::new(set);
    let engine = Arc::new(Engine::new(Arc::clone(&set)));
    let ready = cpu();
    println!(
        "{}",
        json!({"load": {"rules": set.rules.len(), "refused": set.refused.len(), "read_cpu_seconds": read - before,
            "engine_cpu_seconds": ready - read, "rss": status("VmRSS:"), "peak": status("VmHWM:")}})
    );
    let text = std::fs::read_to_string(stream).map_err(|error| error.to_string())?;
    let all: Vec<&str> = text.lines().collect();
    let process = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        event["EventID"] == 1 && event["Channel"] == "Microsoft-Windows-Sysmon/Operational"
    };
    let processes: Vec<&str> = all.iter().copied().filter(process).collect();
    let theirs = Theirs::load(files)?;
    agree(&set, &engine, &all)?;
    for (name, lines, times) in [("all", &all, 1), ("process creation", &processes, 200)] {
        let mut rates = [const { Vec::new() }; 4];
        let mut fired = [0; 2];
        for _ in 0..ROUNDS {
            let began = cpu();
            fired[0] = ours(&engine, lines, times);
            let mine = cpu();
            // Slower: a tenth of the rounds tells as much.
            let less = times.div_ceil(10);
            fired[1] = rsigma(&theirs, lines, less) * times / less;
            let its = cpu();
            let tape = tape(lines, times);
            let parsed = cpu();
            let values = values(lines, less);
            let end = cpu();
            assert!(tape > 0 && values > 0);
            let count = |times: usize| (lines.len() * times) as f64;
            rates[0].push(count(times) / (mine - began));
            rates[1].push(count(less) / (its - mine));
            rates[2].push(count(times) / (parsed - its));
            rates[3].push(count(less) / (end - parsed));
        }
        let [ours, rsigma, tape, values] = rates.map(median);
        println!(
            "{}",
            json!({"events": name, "lines": lines.len(), "times": times, "ours_per_second": ours.round(),
                "rsigma_per_second": rsigma.round(), "ratio": (ours / rsigma * 100.0).round() / 100.0,
                "tape_only_per_second": tape.round(), "serde_json_only_per_second": values.round(),
                "fired": {"ours": fired[0], "rsigma": fired[1]}})
        );
    }
    let logs = find(logs, false).inputs;
    if !logs.is_empty() {
        let mut rates = [const { Vec::new() }; 2];
        let mut records = 0;
        for _ in 0..ROUNDS {
            let began = cpu();
            records = event_logs(&logs, None);
            let read = cpu();
            event_logs(&logs, Some(&engine));
            rates[0].push(records as f64 / (read - began));
            rates[1].push(records as f64 / (cpu() - read));
        }
        let [read, ours] = rates.map(median);
        println!(
            "{}",
            json!({"events": "event logs", "files": logs.len(), "records": records,
                "ours_per_second": ours.round(), "reading_only_per_second": read.round()})
        );
    }
    Ok(())
}

/// Event logs from their files to the rules that fire; how many records.
fn event_logs(logs: &[Input], engine: Option<&Arc<Engine>>) -> usize {
    let mut runner = engine.map(|engine| engine.runner());
    let (mut reader, mut buffer, mut records) = (Reader::default(), Vec::new(), 0);
    for log in logs {
        let _ = read(log, false, &|bytes| bytes, &mut |told| {
            if let Told::Record(item) = told {
                records += 1;
                if let Some(runner) = &mut runner {
                    buffer.clear();
                    buffer.extend_from_slice(item.json);
                    if let Ok(doc) = reader.read(&mut buffer) {
                        if let Some(kind) = kind_of(doc.root(), None) {
                            runner.evaluate(&kind.record(doc.root()));
                        }
                        reader.done(doc);
                    }
                }
            }
            ControlFlow::Continue(())
        });
    }
    records
}

fn ours(engine: &Arc<Engine>, lines: &[&str], times: usize) -> usize {
    let (mut runner, mut reader, mut buffer) = (engine.runner(), Reader::default(), Vec::new());
    let mut fired = 0;
    for _ in 0..times {
        for line in lines {
            buffer.clear();
            buffer.extend_from_slice(line.as_bytes());
            let Ok(doc) = reader.read(&mut buffer) else { continue };
            if let Some(kind) = kind_of(doc.root(), None) {
                fired += runner.evaluate(&kind.record(doc.root())).len();
            }
            reader.done(doc);
        }
    }
    fired
}

fn rsigma(theirs: &Theirs, lines: &[&str], times: usize) -> usize {
    let mut fired = 0;
    for _ in 0..times {
        for line in lines {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            fired += theirs.engine.evaluate(&JsonEvent::borrow(&event)).len();
        }
    }
    fired
}

/// Reading alone, for comparison.
fn tape(lines: &[&str], times: usize) -> usize {
    let (mut reader, mut buffer, mut read) = (Reader::default(), Vec::new(), 0);
    for _ in 0..times {
        for line in lines {
            buffer.clear();
            buffer.extend_from_slice(line.as_bytes());
            if let Ok(doc) = reader.read(&mut buffer) {
                read += 1;
                reader.done(doc);
            }
        }
    }
    read
}

fn values(lines: &[&str], times: usize) -> usize {
    let read = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
    (0..times).map(|_| lines.iter().filter(|line| read(line)).count()).sum()
}

/// The engine finds what the plain evaluator finds.
fn agree(set: &Arc<RuleSet>, engine: &Arc<Engine>, lines: &[&str]) -> Result<(), String> {
    let mut runner = engine.runner();
    let (mut fired, mut compared) = (0, 0);
    for line in lines.iter().step_by(PLAIN_EVERY) {
        let event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Some(kind) = kind_of(&event, None) else { continue };
        let record = kind.record(&event);
        let plain = set.evaluate(&record);
        if runner.evaluate(&record) != plain {
            return Err(format!("engine and plain evaluator differ on {line}"));
        }
        fired += plain.len();
        compared += 1;
    }
    println!("{}", json!({"same_as_plain": {"events": compared, "fired": fired}}));
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos: f64 = text.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(0.0);
    nanos / 1e9
}

/// Kilobytes, as the kernel tells them.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
