use super::Context;
use crate::output::{Failure, Format, say, say_json};
use crate::profile;
use clap::Subcommand;
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the profile; secrets show as ****
    Show,
    /// Print where the profile is
    Path,
    /// Change parts of the profile
    Set {
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// File that holds the token; `-` reads it from standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// PEM certificate to trust for this server
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        #[arg(long)]
        tenant: Option<String>,
    },
}

pub fn run(context: &Context, command: ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Path => say(&profile::path()?.display().to_string()),
        ConfigCommand::Show => {
            let profile = profile::load()?;
            let token = profile.token.as_ref().map(|_| "****");
            let shown = json!({
                "server": profile.server, "token": token, "ca_file": profile.ca_file, "tenant": profile.tenant,
            });
            match context.format {
                Format::Json => say_json(&shown),
                Format::Human => {
                    for name in ["server", "token", "ca_file", "tenant"] {
                        say(&format!("{name:8} {}", super::text(&shown, &format!("/{name}"))));
                    }
                }
            }
        }
        ConfigCommand::Set { server, token_file, ca_file, tenant } => {
            let mut profile = profile::load()?;
            if let Some(file) = token_file {
                profile.token = Some(read_token(&file)?);
            }
            if let Some(file) = ca_file {
                let whole = std::fs::canonicalize(&file).map_err(|error| {
                    Failure::input(format!("cannot find certificate `{}`: {error}", file.display()))
                })?;
                profile.ca_file = Some(whole);
            }
            profile.server = server.or(context.server.clone()).or(profile.server);
            profile.tenant = tenant.or(context.tenant.clone()).or(profile.tenant);
            let file = profile::save(&profile)?;
            say(&format!("written to {}", file.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_token(file: &PathBuf) -> Result<String, Failure> {
    let mut text = String::new();
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot read token `{}`: {error}", file.display()))
    };
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map_err(cannot)?;
    } else {
        text = std::fs::read_to_string(file).map_err(cannot)?;
    }
    let token = text.trim().to_owned();
    if token.is_empty() {
        return Err(Failure::input(format!("`{}` is empty", file.display()))
            .hint("it should hold one API token"));
    }
    Ok(token)
}
