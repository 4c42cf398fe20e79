//! `plura server` and `plura gateway`: the long-running halves.

use crate::output::{EXIT_UNREACHABLE, Failure, say};
use clap::Args;
use schema::Diagnostic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct ServerArgs {
    /// Configuration; without it everything has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder, instead of the configuration's
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address to listen on, instead of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Check the configuration and end
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
pub struct GatewayArgs {
    /// Configuration; docs/gateway.md lists every field
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
    /// Check the configuration and end
    #[arg(long)]
    check: bool,
}

pub fn server(args: ServerArgs) -> Result<ExitCode, Failure> {
    let mut config = match &args.config {
        Some(file) => server::Config::load(file).map_err(|fault| wrong(&[fault]))?,
        None => server::Config::default(),
    };
    if let Some(data) = args.data {
        config.data = data;
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if args.check {
        config.tuning().map_err(|faults| wrong(&faults))?;
        config.geoip.open().map_err(|fault| wrong(&[fault]))?;
        say("the configuration is fine");
        return Ok(ExitCode::SUCCESS);
    }
    log_to_stderr();
    let data = config.data.clone();
    runtime()?.block_on(async move {
        let tuning = config.tuning().map_err(|faults| wrong(&faults))?;
        let running = server::start(config, tuning).await.map_err(|error| {
            Failure::new(EXIT_UNREACHABLE, format!("the server cannot start: {error}"))
        })?;
        say(&format!("plura server ready at https://{}", running.address));
        say(&format!("certificate  {}", data.join("tls").display()));
        if let Some(password) = &running.one_time_password {
            say(&format!("first login   user `owner`, one-time password `{}`", password.reveal()));
        }
        running
            .run_until_signal()
            .await
            .map_err(|error| Failure::input(format!("cannot wait for signals: {error}")))?;
        Ok(ExitCode::SUCCESS)
    })
}

pub fn gateway(args: GatewayArgs) -> Result<ExitCode, Failure> {
    if args.check {
        for notice in check_gateway(&args.config).map_err(|faults| wrong(&faults))? {
            say(&notice.to_string());
        }
        say("the configuration is fine");
        return Ok(ExitCode::SUCCESS);
    }
    log_to_stderr();
    let told = gateway::run(&args.config, |handle| {
        for address in handle.addrs() {
            say(&format!("plura gateway listens on {address}"));
        }
        say(&format!("metrics and health on http://{}", handle.admin_addr()));
    });
    told.map_err(|faults| wrong(&faults))?;
    Ok(ExitCode::SUCCESS)
}

/// Everything a start would refuse and that can be seen without starting: routes, expressions and rule files
/// too. What comes back has no effect, and may stay.
fn check_gateway(file: &Path) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let config = gateway::Config::load(file)?;
    let wrong: Vec<Diagnostic> = config
        .sites
        .iter()
        .filter_map(|site| gateway::evidence::Site::compile(&site.name, &site.evidence()).err())
        .flatten()
        .collect();
    if wrong.is_empty() { gateway::waf::check_rules(&config) } else { Err(wrong) }
}

/// Diagnostics as one failure.
pub fn wrong(faults: &[Diagnostic]) -> Failure {
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::input(told.join("\n"))
}

pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::input(format!("cannot start threads: {error}")))
}

/// Logs go to standard error; `PLURA_LOG` chooses the level, JSON when it is not a terminal.
pub fn log_to_stderr() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_env("PLURA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().try_init()
    };
    // A second call (the demo starts both halves) keeps the first subscriber.
    drop(done);
}
