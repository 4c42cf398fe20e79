use super::Context;
use crate::output::{Failure, Format};
use clap::Args;
use evidence::cli;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a ledger folder or an evidence package. Needs no server, no network and no database.
///
/// The program `plura-verify` does the same and is small enough to audit.
#[derive(Args)]
pub struct VerifyArgs {
    /// A ledger folder or an exported package
    path: PathBuf,
    /// The verifier key you trust, as the operator published it
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// A checkpoint kept from before: the ledger must be a continuation of it (repeat for several)
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// A witness whose cosignature must be there (repeat for several)
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
}

pub fn run(context: &Context, args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let args = cli::VerifyArgs {
        path: args.path.clone(),
        key: args.key.clone(),
        against: args.against.clone(),
        witness: args.witness.clone(),
        output: match context.format {
            Format::Human => cli::Output::Human,
            Format::Json => cli::Output::Json,
        },
    };
    Ok(ExitCode::from(cli::run(
        &args,
        &mut std::io::stdout().lock(),
        &mut std::io::stderr().lock(),
    )))
}
