use super::{Context, list};
use crate::output::{Failure, Format, say, say_json, table};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Ask the lake in SQL: table `events`, the columns are listed by `plura query --columns`.
#[derive(Args)]
pub struct QueryArgs {
    /// One SELECT, for example: select time, path, outcome from events order by time desc limit 20
    #[arg(required_unless_present = "columns")]
    sql: Option<String>,
    /// Rows at most
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
    /// List the columns of `events` with their meaning
    #[arg(long)]
    columns: bool,
}

pub fn run(context: &Context, args: &QueryArgs) -> Result<ExitCode, Failure> {
    if args.columns {
        let rows = schema::COLUMNS.iter();
        match context.format {
            Format::Json => say_json(
                &rows
                    .map(|c| json!({ "name": c.name, "path": c.path, "doc": c.doc.trim() }))
                    .collect::<Vec<_>>(),
            ),
            Format::Human => say(&table(
                &["column", "OCSF path", "meaning"],
                rows.map(|c| vec![c.name.to_owned(), c.path.to_owned(), c.doc.trim().to_owned()])
                    .collect(),
            )),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let sql = args.sql.as_deref().unwrap_or_default();
    let answer =
        context.client()?.post("/api/v1/query", &json!({ "sql": sql, "rows": args.limit }))?;
    match context.format {
        Format::Json => say_json(&answer),
        Format::Human => {
            let head: Vec<String> = list(&answer, "/columns")
                .iter()
                .map(|c| c.as_str().map_or_else(|| super::text(c, "/name"), str::to_owned))
                .collect();
            let rows: Vec<Vec<String>> = list(&answer, "/rows").iter().map(cells).collect();
            let count = rows.len();
            let head: Vec<&str> = head.iter().map(String::as_str).collect();
            say(&table(&head, rows));
            let more = answer.pointer("/truncated").and_then(Value::as_bool).unwrap_or(false);
            let rest = if more { "; there are more: raise --limit or ask for less" } else { "" };
            say(&format!("({count} rows{rest})"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &Value) -> Vec<String> {
    let shown = |cell: &Value| match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match row {
        Value::Array(cells) => cells.iter().map(shown).collect(),
        Value::Object(cells) => cells.values().map(shown).collect(),
        other => vec![shown(other)],
    }
}
