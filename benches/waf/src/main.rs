//! Our SecLang engine in process, for `checks/waf.py` and `benches/waf.sh`; beside it `zentinel-modsec`.
//!
//!     plura-bench-waf judge RULES              NDJSON of requests and responses in, of verdicts out
//!     plura-bench-waf cost RULES WORKLOADS     `ENGINE WORKLOAD SECONDS` a line in, microseconds out
//!     plura-bench-waf repeat RULES WORKLOADS WORKLOAD TIMES    our engine alone, so often: for `benches/waf_count.sh`
//!     plura-bench-waf load ENGINE RULES [WORKLOADS]   time and memory that the rules take, in a process of their own
//!
//! ENGINE is `ours` or `zentinel`. WORKLOADS is a folder of folders of files, each the bytes of a request.

mod clock;
mod cost;
mod engines;
mod http;
mod judge;

use std::process::ExitCode;

/// What `plura` uses; both engines have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["judge", rules] => judge::run(rules),
        ["cost", rules, workloads] => cost::run(rules, workloads),
        ["repeat", rules, workloads, workload, times] => {
            cost::repeat(rules, workloads, workload, times)
        }
        ["load", engine, rules] => cost::load(engine, rules, None),
        ["load", engine, rules, workloads] => cost::load(engine, rules, Some(workloads)),
        _ => Err("usage: plura-bench-waf judge RULES | cost RULES WORKLOADS | load ENGINE RULES [WORKLOADS]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
