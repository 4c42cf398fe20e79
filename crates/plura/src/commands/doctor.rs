use super::{Context, list, text};
use crate::output::{EXIT_FOUND, Failure, Format, say, say_json};
use crate::profile;
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Look for what is wrong on this machine and say what to do.
#[derive(Args)]
pub struct DoctorArgs {}

struct Check {
    name: &'static str,
    is_fine: bool,
    detail: String,
    hint: Option<String>,
}

pub fn run(context: &Context, _: &DoctorArgs) -> Result<ExitCode, Failure> {
    let mut checks = vec![profile_check()];
    match context.client() {
        Err(failure) => checks.push(bad("server", &failure)),
        Ok(client) => {
            checks.push(match client.get("/readyz") {
                Ok(_) => fine("server", format!("{} is ready", client.base())),
                Err(failure) => bad("server", &failure),
            });
            match client.get("/api/v1/health") {
                Err(failure) => checks.push(bad("health", &failure)),
                Ok(health) => checks.extend(health_checks(&health)),
            }
        }
    }
    let all_fine = checks.iter().all(|check| check.is_fine);
    match context.format {
        Format::Json => say_json(
            &checks
                .iter()
                .map(|c| json!({ "check": c.name, "fine": c.is_fine, "detail": c.detail, "hint": c.hint }))
                .collect::<Vec<_>>(),
        ),
        Format::Human => {
            for check in &checks {
                say(&format!("{} {:10} {}", if check.is_fine { "ok  " } else { "BAD " }, check.name, check.detail));
                if let Some(hint) = &check.hint {
                    say(&format!("                {hint}"));
                }
            }
        }
    }
    Ok(if all_fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn fine(name: &'static str, detail: String) -> Check {
    Check { name, is_fine: true, detail, hint: None }
}

fn bad(name: &'static str, failure: &Failure) -> Check {
    Check { name, is_fine: false, detail: failure.message.clone(), hint: failure.hint.clone() }
}

fn profile_check() -> Check {
    let at = profile::path().map(|file| file.display().to_string());
    match (profile::load(), at) {
        (Ok(profile), Ok(file)) if profile.server.is_some() => fine("profile", file),
        (Ok(_), Ok(file)) => {
            fine("profile", format!("none at {file}; PLURA_SERVER and PLURA_TOKEN are used"))
        }
        (Err(failure), _) | (_, Err(failure)) => bad("profile", &failure),
    }
}

/// What the server says of itself: dropped evidence, silent gateways, corrupt records.
fn health_checks(health: &Value) -> Vec<Check> {
    let mut checks = Vec::new();
    let dropped = health.pointer("/dropped").and_then(Value::as_u64).unwrap_or(0);
    checks.push(if dropped == 0 {
        fine("evidence", "nothing was dropped".to_owned())
    } else {
        Check {
            name: "evidence",
            is_fine: false,
            detail: format!("{dropped} exchanges were dropped by gateways"),
            hint: Some("give the gateway's spool more room, or the server more time".to_owned()),
        }
    });
    let corrupt = health.pointer("/corrupt_records").and_then(Value::as_u64).unwrap_or(0);
    if corrupt > 0 {
        checks.push(Check {
            name: "store",
            is_fine: false,
            detail: format!("{corrupt} records of the intake log could not be read"),
            hint: Some("check the disk; the records are named in the server's log".to_owned()),
        });
    }
    for gateway in list(health, "/gateways") {
        checks.push(fine(
            "gateway",
            format!(
                "{} enforces version {}",
                text(gateway, "/id"),
                text(gateway, "/applied_version")
            ),
        ));
    }
    checks
}
