use super::{Context, joined, list, text, time};
use crate::client::Body;
use crate::output::{Failure, Format, say, say_json, table};
use clap::Subcommand;
use serde_json::json;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is printed once and cannot be shown again
    Create {
        /// What it is for, such as `gateway seoul-1`
        name: String,
        /// What it may do: intake, gateway, query, act, audit, reveal, metrics, admin (repeat for several)
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// Days until it ends
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List tokens; the secrets are not stored and not shown
    List,
    /// End a token now
    Revoke { id: String },
}

pub fn run(context: &Context, command: TokenCommand) -> Result<ExitCode, Failure> {
    let client = context.client()?;
    match command {
        TokenCommand::Create { name, scopes, days } => {
            let answer = client.post(
                "/api/v1/tokens",
                &json!({ "name": name, "scopes": scopes, "expires_days": days }),
            )?;
            match context.format {
                Format::Json => say_json(&answer),
                Format::Human => say(&text(&answer, "/token")),
            }
        }
        TokenCommand::List => {
            let answer = client.get("/api/v1/tokens")?;
            match context.format {
                Format::Json => say_json(&answer),
                Format::Human => {
                    let rows = list(&answer, "")
                        .iter()
                        .map(|t| {
                            vec![
                                text(t, "/id"),
                                text(t, "/name"),
                                joined(t, "/scopes"),
                                time(t, "/expires"),
                                time(t, "/last_used"),
                            ]
                        })
                        .collect();
                    say(&table(&["id", "name", "scopes", "expires", "last used"], rows));
                }
            }
        }
        TokenCommand::Revoke { id } => {
            client.send("DELETE", &format!("/api/v1/tokens/{id}"), Body::None)?;
            say("revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
