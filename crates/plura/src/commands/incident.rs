use super::action::{full_id, listed, short};
use super::{Context, joined, list, query_string, text, time};
use crate::client::Body;
use crate::output::{Failure, Format, printable, say, say_json, table};
use crate::words::word;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum IncidentCommand {
    /// List incidents, newest first
    List {
        /// new, in-progress, on-hold, resolved or closed
        #[arg(long)]
        status: Option<String>,
        /// This severity: low, medium, high or critical
        #[arg(long)]
        severity: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// The story in order, its evidence, and what was done
    Show { id: String },
    /// Change status, assignee or classification
    Set {
        id: String,
        #[arg(long)]
        status: Option<String>,
        #[arg(long)]
        assignee: Option<String>,
        /// true-positive, false-positive, benign or undetermined
        #[arg(long)]
        classification: Option<String>,
    },
    /// Add a comment
    Comment { id: String, text: String },
    /// Write an evidence package that `plura verify` checks offline
    Export {
        id: String,
        /// File to write
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Why; goes into the ledger
        #[arg(long)]
        reason: String,
    },
}

pub fn run(context: &Context, command: IncidentCommand) -> Result<ExitCode, Failure> {
    let client = context.client()?;
    match command {
        IncidentCommand::List { status, severity, limit } => {
            let query = query_string(&[
                ("status", status),
                ("severity", severity),
                ("limit", Some(limit.to_string())),
            ]);
            let answer = client.get(&format!("/api/v1/incidents{query}"))?;
            match context.format {
                Format::Json => say_json(&answer),
                Format::Human => say(&incidents(list(&answer, "/items"))),
            }
        }
        IncidentCommand::Show { id } => {
            let id = full_id(context, "incidents", &id)?;
            let whole = client.get(&format!("/api/v1/incidents/{id}"))?;
            match context.format {
                Format::Json => say_json(&whole),
                Format::Human => {
                    let none = Value::Null;
                    let incident = whole.get("incident").unwrap_or(&none);
                    tell(incident, list(&whole, "/findings"), list(&whole, "/actions"));
                }
            }
        }
        IncidentCommand::Set { id, status, assignee, classification } => {
            let id = full_id(context, "incidents", &id)?;
            let mut change = json!({});
            for (name, value) in
                [("status", status), ("assignee", assignee), ("classification", classification)]
            {
                if let (Some(fields), Some(value)) = (change.as_object_mut(), value) {
                    fields.insert(name.to_owned(), Value::String(value));
                }
            }
            let bytes =
                client.send("PATCH", &format!("/api/v1/incidents/{id}"), Body::Json(&change))?;
            let incident: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            match context.format {
                Format::Json => say_json(&incident),
                Format::Human => say(&incidents(std::slice::from_ref(&incident))),
            }
        }
        IncidentCommand::Comment { id, text } => {
            let id = full_id(context, "incidents", &id)?;
            client.post(&format!("/api/v1/incidents/{id}/comments"), &json!({ "text": text }))?;
            say("comment added");
        }
        IncidentCommand::Export { id, to, reason } => {
            let id = full_id(context, "incidents", &id)?;
            let bytes = client.send(
                "POST",
                &format!("/api/v1/incidents/{id}/export"),
                Body::Json(&json!({ "reason": reason })),
            )?;
            std::fs::write(&to, &bytes).map_err(|error| {
                Failure::input(format!("cannot write `{}`: {error}", to.display()))
            })?;
            say(&format!(
                "written to {} ({} bytes); check it with `plura verify {}`",
                to.display(),
                bytes.len(),
                to.display()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn incidents(items: &[Value]) -> String {
    if items.is_empty() {
        return word("empty-incidents");
    }
    let rows = items
        .iter()
        .map(|i| {
            vec![
                short(&text(i, "/id")),
                time(i, "/opened"),
                word(&text(i, "/severity")),
                word(&text(i, "/status")),
                word(&text(i, "/title")),
                text(i, "/entities/0"),
            ]
        })
        .collect();
    let head =
        ["label-id", "label-time", "label-severity", "label-status", "label-what", "label-who"]
            .map(word);
    table(&head.each_ref().map(String::as_str), rows)
}

fn tell(incident: &Value, findings: &[Value], actions: &[Value]) {
    say(&format!("{}  [{}]", word(&text(incident, "/title")), word(&text(incident, "/severity"))));
    say(&format!(
        "{}  {}  {} – {}",
        text(incident, "/id"),
        word(&text(incident, "/status")),
        time(incident, "/opened"),
        time(incident, "/updated"),
    ));
    say(&format!("\n{}", word("label-story")));
    for step in list(incident, "/story") {
        let attack = match text(step, "/attack/technique").as_str() {
            "-" => String::new(),
            technique => format!("  [{} {technique}]", text(step, "/attack/tactic")),
        };
        let who = joined(step, "/entities");
        let who: String = printable(&who).chars().take(110).collect();
        say(&format!(
            "  {}  {}{attack}\n      {who}",
            time(step, "/time"),
            word(&text(step, "/code"))
        ));
    }
    say(&format!("\n{}", word("label-findings")));
    for finding in findings {
        say(&format!(
            "  {}  {}  {} {}  {} {}",
            short(&text(finding, "/id")),
            word(&text(finding, "/rule")),
            word("label-confidence"),
            text(finding, "/confidence"),
            word("label-outcome"),
            word(&text(finding, "/outcome")),
        ));
        if let Some(numbers) = finding.get("numbers").and_then(Value::as_object) {
            let shown: Vec<String> = numbers
                .iter()
                .map(|(name, value)| {
                    format!("{name}={}", value.as_f64().map_or_else(|| value.to_string(), rounded))
                })
                .collect();
            say(&format!("      {}", shown.join("  ")));
        }
        say(&format!("      {} {}", word("label-evidence"), text(finding, "/evidence_total")));
    }
    say(&format!("\n{}\n{}", word("label-actions"), listed(actions)));
    for comment in list(incident, "/comments") {
        say(&printable(&format!(
            "  {}  {}: {}",
            time(comment, "/time"),
            text(comment, "/author"),
            text(comment, "/text")
        )));
    }
    let waiting = actions.iter().find(|a| text(a, "/state") == "awaiting-approval");
    let in_force =
        actions.iter().find(|a| matches!(text(a, "/state").as_str(), "active" | "pending"));
    if let Some(action) = waiting {
        say(&format!(
            "\n{}: plura action approve {}",
            word("label-next"),
            short(&text(action, "/id"))
        ));
    } else if let Some(action) = in_force {
        say(&format!(
            "\n{}: plura action undo {} --reason \"…\"",
            word("label-next"),
            short(&text(action, "/id"))
        ));
    }
}

fn rounded(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
