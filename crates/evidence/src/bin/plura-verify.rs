//! Checks Plura's evidence on any machine: no network, no database, no server.

use clap::Parser;
use evidence::cli::{VerifyArgs, run};
use std::process::ExitCode;

/// Check a Plura ledger folder or evidence package
#[derive(Parser)]
#[command(
    name = "plura-verify",
    version,
    after_help = "Exit codes: 0 fine, 1 failed the check, 2 usage, 3 bad input."
)]
struct Cli {
    #[command(flatten)]
    verify: VerifyArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    ExitCode::from(run(&cli.verify, &mut std::io::stdout().lock(), &mut std::io::stderr().lock()))
}
