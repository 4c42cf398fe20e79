//! A gateway from a configuration file, without the rest of Plura: for benchmarks.
//! `cargo run --release -p gateway --example gateway -- gateway.yaml`
#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

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
