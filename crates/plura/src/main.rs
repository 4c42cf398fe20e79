//! `plura`: everything from one command line. `plura help` is the reference.

mod client;
mod commands;
mod demo;
mod output;
mod profile;
mod scenario;
mod shop;
mod words;

use clap::{CommandFactory, Parser, Subcommand};
use output::Format;
use std::process::ExitCode;

/// A sovereign XDR: evidence, reasoning, control and audit on your own machine.
#[derive(Parser)]
#[command(name = "plura", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 fine, 1 found or failed the check, 2 usage, 3 bad input, 4 not reachable."
)]
struct Cli {
    /// How to print: for people, or JSON for programs.
    #[arg(short = 'o', long, global = true, value_enum, default_value_t = Format::Human)]
    output: Format,

    /// Server to talk to; otherwise PLURA_SERVER or the profile that `plura config set` wrote.
    #[arg(long, global = true, env = "PLURA_SERVER", value_name = "URL")]
    server: Option<String>,

    /// Tenant, for users of several.
    #[arg(long, global = true, env = "PLURA_TENANT")]
    tenant: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: intake, detection, response, ledger and API
    Server(commands::run::ServerArgs),
    /// Run a gateway in front of your sites
    Gateway(commands::run::GatewayArgs),
    /// Play the demo: a shop behind the real gateway, its users, and attacks
    Demo(demo::DemoArgs),
    /// Send log files or folders to the server
    Import(commands::import::ImportArgs),
    /// Ask the lake in SQL
    Query(commands::query::QueryArgs),
    /// List, read and work incidents
    #[command(subcommand)]
    Incident(commands::incident::IncidentCommand),
    /// List, approve, reject, extend and undo actions
    #[command(subcommand)]
    Action(commands::action::ActionCommand),
    /// Replay stories through the real engines and compare with what is expected
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Check, try and compare trust policies: how an access is scored, and why
    #[command(subcommand)]
    Trust(commands::trust::TrustCommand),
    /// Hunt with Sigma rules: in files of events (EVTX, JSON) offline, or in what a server has stored
    Hunt(Box<commands::hunt::HuntArgs>),
    /// Check, try and explain rules: of the web application firewall, and Sigma's
    #[command(subcommand)]
    Rules(commands::rules::RulesCommand),
    /// Bring the web application firewall from shadow to enforce: examine it, report, suggest exceptions
    #[command(subcommand)]
    Waf(commands::waf::WafCommand),
    /// Check a ledger folder or an evidence package, offline
    Verify(commands::verify::VerifyArgs),
    /// Look for what is wrong on this machine and say what to do
    Doctor(commands::doctor::DoctorArgs),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    /// Show or set which server and token this command line uses
    #[command(subcommand)]
    Config(commands::config::ConfigCommand),
    /// Print a completion script for your shell
    Completion {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Evidence is made by one thread and freed by another, which glibc's allocator pays for with locks
/// (docs/benchmarks.md). mimalloc: kept by Microsoft Research, MIT.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = commands::Context { format: cli.output, server: cli.server, tenant: cli.tenant };
    let done = match cli.command {
        Command::Server(args) => commands::run::server(args),
        Command::Gateway(args) => commands::run::gateway(args),
        Command::Demo(args) => demo::run(args),
        Command::Import(args) => commands::import::run(&context, &args),
        Command::Query(args) => commands::query::run(&context, &args),
        Command::Incident(command) => commands::incident::run(&context, command),
        Command::Action(command) => commands::action::run(&context, command),
        Command::Scenario(command) => scenario::run(&context, command),
        Command::Trust(command) => commands::trust::run(&context, command),
        Command::Hunt(args) => commands::hunt::run(&context, &args),
        Command::Rules(command) => commands::rules::run(&context, command),
        Command::Waf(command) => commands::waf::run(&context, command),
        Command::Verify(args) => commands::verify::run(&context, &args),
        Command::Doctor(args) => commands::doctor::run(&context, &args),
        Command::Token(command) => commands::token::run(&context, command),
        Command::Config(command) => commands::config::run(&context, command),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "plura", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|failure| {
        output::complain(&failure);
        ExitCode::from(failure.exit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
