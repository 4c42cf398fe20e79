use super::{Context, list, query_string, text, time};
use crate::output::{Failure, Format, say, say_json, table};
use crate::words::word;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum ActionCommand {
    /// List actions, newest first
    List {
        /// Only those in this state: simulated, awaiting-approval, pending, active, undone…
        #[arg(long)]
        state: Option<String>,
        /// Only those of this incident
        #[arg(long, value_name = "ID")]
        incident: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Everything about one action: cause, blast radius, history
    Show { id: String },
    /// Say yes to an action that waits for approval
    Approve(Act),
    /// Say no to an action that waits for approval
    Reject(Act),
    /// Take an action back: what it held is free again
    Undo(Act),
    /// Apply an action that ended again, as a new one
    Reapply(Act),
    /// Give an action in force more time
    Extend {
        #[command(flatten)]
        act: Act,
        /// For how much longer from now: 30m, 4h, 7d
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        span: String,
    },
}

#[derive(Args)]
pub struct Act {
    /// The action's id, or its first characters as far as they are unique
    id: String,
    /// Why; goes into the ledger
    #[arg(long)]
    reason: Option<String>,
}

pub fn run(context: &Context, command: ActionCommand) -> Result<ExitCode, Failure> {
    match command {
        ActionCommand::List { state, incident, limit } => {
            let incident = incident.map(|id| full_id(context, "incidents", &id)).transpose()?;
            let query = query_string(&[
                ("state", state),
                ("incident", incident),
                ("limit", Some(limit.to_string())),
            ]);
            let answer = context.client()?.get(&format!("/api/v1/actions{query}"))?;
            match context.format {
                Format::Json => say_json(&answer),
                Format::Human => say(&listed(list(&answer, "/items"))),
            }
        }
        ActionCommand::Show { id } => {
            let id = full_id(context, "actions", &id)?;
            let action = context.client()?.get(&format!("/api/v1/actions/{id}"))?;
            show(context, &action);
        }
        ActionCommand::Approve(act) => change(context, "approve", &act, json!({}))?,
        ActionCommand::Reject(act) => change(context, "reject", &act, json!({}))?,
        ActionCommand::Undo(act) => change(context, "undo", &act, json!({}))?,
        ActionCommand::Reapply(act) => change(context, "reapply", &act, json!({}))?,
        ActionCommand::Extend { act, span } => {
            let span = crate::scenario::span_ms(&span).ok_or_else(|| {
                Failure::new(crate::output::EXIT_USAGE, format!("`{span}` is not a length of time"))
                    .hint("write 30m, 4h or 7d")
            })?;
            let until = jiff::Timestamp::now().as_millisecond() + span;
            change(context, "extend", &act, json!({ "until": until }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn change(context: &Context, verb: &str, act: &Act, mut body: Value) -> Result<(), Failure> {
    let reason = match &act.reason {
        Some(reason) => reason.clone(),
        None => ask_reason(verb)?,
    };
    let id = full_id(context, "actions", &act.id)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("reason".to_owned(), Value::String(reason));
    }
    let action = context.client()?.post(&format!("/api/v1/actions/{id}/{verb}"), &body)?;
    show(context, &action);
    Ok(())
}

/// Asks on a terminal; a script has to say why by flag.
fn ask_reason(verb: &str) -> Result<String, Failure> {
    use std::io::{BufRead, IsTerminal, Write};
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(crate::output::EXIT_USAGE, format!("`{verb}` needs a reason"))
            .hint("add --reason \"…\"; it is kept in the ledger"));
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "reason for `{verb}` (kept in the ledger): ");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::input(format!("cannot read the reason: {error}")))?;
    let reason = line.trim().to_owned();
    if reason.is_empty() {
        return Err(Failure::new(
            crate::output::EXIT_USAGE,
            "nothing was done: no reason was given",
        ));
    }
    Ok(reason)
}

/// People type the first characters of an id.
pub fn full_id(context: &Context, nouns: &str, start: &str) -> Result<String, Failure> {
    if start.parse::<uuid::Uuid>().is_ok() {
        return Ok(start.to_owned());
    }
    let answer = context.client()?.get(&format!("/api/v1/{nouns}?limit=200"))?;
    let ids: Vec<String> = list(&answer, "/items")
        .iter()
        .map(|item| text(item, "/id"))
        .filter(|id| id.starts_with(start) || id.ends_with(start))
        .collect();
    match ids.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::input(format!(
            "no id among the newest 200 {nouns} begins or ends with `{start}`"
        ))
        .hint(format!("`plura {} list` shows them", nouns.trim_end_matches('s')))),
        many => Err(Failure::input(format!("`{start}` fits {} {nouns}", many.len()))
            .hint("write more of the id")),
    }
}

/// The end of a UUIDv7 is what differs between neighbours.
pub fn short(id: &str) -> String {
    let tail = id.len().saturating_sub(12);
    id.get(tail..).unwrap_or(id).to_owned()
}

pub fn listed(actions: &[Value]) -> String {
    if actions.is_empty() {
        return word("empty-actions");
    }
    let rows = actions
        .iter()
        .map(|a| {
            vec![
                short(&text(a, "/id")),
                time(a, "/created"),
                word(&text(a, "/rung")),
                text(a, "/target"),
                word(&text(a, "/state")),
                time(a, "/expires"),
                word(&text(a, "/reason")),
            ]
        })
        .collect();
    let head = [
        "label-id",
        "label-time",
        "label-rung",
        "label-who",
        "label-state",
        "label-until",
        "label-reason",
    ]
    .map(word);
    table(&head.each_ref().map(String::as_str), rows)
}

fn show(context: &Context, action: &Value) {
    if context.format == Format::Json {
        return say_json(action);
    }
    say(&listed(std::slice::from_ref(action)));
    say("");
    say(&format!("  id        {}", text(action, "/id")));
    say(&format!("  incident  {}", text(action, "/incident")));
    say(&format!("  policy    {} v{}", text(action, "/policy"), text(action, "/policy_version")));
    if let Some(blast) = action.get("blast").filter(|b| !b.is_null()) {
        say(&format!(
            "  would have hit since {}: {} good requests, {} accounts, {} sessions, {} addresses",
            time(blast, "/since"),
            text(blast, "/requests"),
            text(blast, "/accounts"),
            text(blast, "/sessions"),
            text(blast, "/addresses"),
        ));
    }
    if let Some(approval) = action.get("approval").filter(|a| !a.is_null()) {
        say(&format!(
            "  approval  {} until {}",
            text(approval, "/code"),
            time(approval, "/deadline")
        ));
    }
    for change in list(action, "/history") {
        say(&crate::output::printable(&format!(
            "  {}  {:18} {}  {}",
            time(change, "/time"),
            word(&text(change, "/state")),
            text(change, "/actor"),
            text(change, "/reason"),
        )));
    }
}
