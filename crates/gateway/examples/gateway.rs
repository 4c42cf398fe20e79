//! A gateway from a configuration file, without the rest of Plura: for benchmarks.
//! `cargo run --release -p gateway --example gateway -- gateway.yaml`
#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

/// Exchanges are made by a worker and freed by the recorder, which glibc's arenas pay for with locks:
/// docs/gateway.md has what it costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: gateway gateway.yaml");
        return ExitCode::from(2);
    };
    let started = |handle: &gateway::GatewayHandle| println!("listening on {:?}", handle.addrs());
    match gateway::run(Path::new(&path), started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            ExitCode::from(3)
        }
    }
}
