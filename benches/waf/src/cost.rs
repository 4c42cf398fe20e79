//! Processor time per request, and what the rules take to load and to hold.

use crate::clock::{cpu_secs, memory_kib};
use crate::engines::{Judged, Ours, Text, Zentinel};
use crate::http::{Request, Response};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// One request with its answer, in the form that each engine wants.
struct Exchange {
    request: Request,
    response: Response,
    texts: (Text, Text),
}

type Judge = Box<dyn Fn(&Exchange) -> Result<Judged, String>>;
type Workloads = BTreeMap<String, Vec<Exchange>>;

/// What the application behind nginx answers: `measure.py` has the same.
const PAGE: &str =
    "<!doctype html><title>shop</title><p>hello, hello, hello, hello, hello, hello</p>\n";

/// Both engines on the same workloads, as asked for line by line: so that whoever asks can take turns with
/// others that are measured elsewhere.
pub fn run(rules: &str, folder: &str) -> Result<(), String> {
    let workloads = read(folder)?;
    let (ours, zentinel) = (Ours::load(rules)?, Zentinel::load(rules)?);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [engine, workload, seconds] = words.as_slice() else {
            return Err(format!("cannot read `{line}`: ENGINE WORKLOAD SECONDS"));
        };
        let exchanges =
            workloads.get(*workload).ok_or_else(|| format!("no workload `{workload}`"))?;
        let seconds: f64 = seconds.parse().map_err(|_| format!("no seconds: `{seconds}`"))?;
        let answer = match *engine {
            "ours" => {
                measure(exchanges, seconds, |one| Ok(ours.judge(&one.request, &one.response)))
            }
            "zentinel" => measure(exchanges, seconds, |one| {
                zentinel.judge(&one.texts.0, &one.texts.1).map_err(|error| error.to_string())
            }),
            other => Err(format!("no engine `{other}`")),
        }?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Our engine on one workload, so many times: what a counter of instructions runs.
pub fn repeat(rules: &str, folder: &str, workload: &str, times: &str) -> Result<(), String> {
    let workloads = read(folder)?;
    let ours = Ours::load(rules)?;
    let exchanges = workloads.get(workload).ok_or_else(|| format!("no workload `{workload}`"))?;
    let times: usize = times.parse().map_err(|_| format!("no number: `{times}`"))?;
    for one in exchanges.iter().cycle().take(times * exchanges.len()) {
        black_box(ours.judge(black_box(&one.request), black_box(&one.response)));
    }
    Ok(())
}

/// How long the rules take to load, and how much memory: in a fresh process, so that nothing else counts.
/// `loaded` is right after, `used` after each request of the workloads ran once (caches of automata fill).
pub fn load(engine: &str, rules: &str, folder: Option<&str>) -> Result<(), String> {
    let workloads = folder.map(read).transpose()?.unwrap_or_default();
    let before = memory_kib("VmRSS");
    let (clock, cpu) = (Instant::now(), cpu_secs());
    let judge: Judge = match engine {
        "ours" => {
            let ours = Ours::load(rules)?;
            Box::new(move |one| Ok(ours.judge(&one.request, &one.response)))
        }
        "zentinel" => {
            let zentinel = Zentinel::load(rules)?;
            Box::new(move |one| {
                zentinel.judge(&one.texts.0, &one.texts.1).map_err(|error| error.to_string())
            })
        }
        other => return Err(format!("no engine `{other}`")),
    };
    let (elapsed, cpu) = (clock.elapsed().as_secs_f64(), cpu_secs() - cpu);
    let (loaded, peak) = (memory_kib("VmRSS"), memory_kib("VmHWM"));
    for one in workloads.values().flatten() {
        black_box(judge(one)?);
    }
    let used = memory_kib("VmRSS");
    let answer = json!({
        "engine": engine,
        "load_ms": elapsed * 1e3,
        "load_cpu_ms": cpu * 1e3,
        "loaded_kib": loaded.saturating_sub(before),
        "peak_kib": peak.saturating_sub(before),
        "used_kib": used.saturating_sub(before),
    });
    println!("{answer}");
    Ok(())
}

fn measure(
    exchanges: &[Exchange],
    seconds: f64,
    judge: impl Fn(&Exchange) -> Result<Judged, String>,
) -> Result<serde_json::Value, String> {
    // Once for what came of it, which also warms up.
    let (mut denied, mut matched) = (0, 0);
    for one in exchanges {
        let judged = judge(one)?;
        denied += u64::from(judged.denied.is_some());
        matched += judged.rules.len();
    }
    let (mut requests, start) = (0_u64, cpu_secs());
    let spent = loop {
        for one in exchanges {
            black_box(judge(black_box(one))?);
        }
        requests += exchanges.len() as u64;
        let spent = cpu_secs() - start;
        if spent >= seconds {
            break spent;
        }
    };
    Ok(json!({
        "micros": spent / requests as f64 * 1e6,
        "requests": requests,
        "denied": denied,
        "rules": matched,
    }))
}

fn read(folder: &str) -> Result<Workloads, String> {
    let mut workloads = Workloads::new();
    for kind in sorted(Path::new(folder))? {
        let mut exchanges = Vec::new();
        for file in sorted(&kind)? {
            let raw =
                std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let request =
                Request::parse(&raw).ok_or_else(|| format!("{}: no request", file.display()))?;
            let fields = [
                ("Server", "nginx/1.22.1"),
                ("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
                ("Content-Type", "text/html"),
                ("Content-Length", "82"),
                ("Connection", "keep-alive"),
            ];
            let response = Response {
                status: 200,
                headers: fields
                    .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                    .to_vec(),
                body: PAGE.as_bytes().to_vec(),
            };
            let texts = (Text::of_request(&request), Text::of_response(&response));
            exchanges.push(Exchange { request, response, texts });
        }
        let name = kind.file_name().unwrap_or_default().to_string_lossy().into_owned();
        workloads.insert(name, exchanges);
    }
    Ok(workloads)
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
