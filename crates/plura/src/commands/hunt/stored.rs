//! Events that the server has stored, page by page.

use crate::client::Client;
use crate::commands::{list, query_string};
use crate::output::Failure;
use ::hunt::Span;
use schema::{Event, format_time};
use serde_json::{Value, json};

/// The most that one answer holds.
const PAGE_EVENTS: usize = 500;

/// How many there are.
pub fn count(client: &Client, span: Span) -> Result<u64, Failure> {
    let from = span.from.map(|from| format!("time >= '{}'", format_time(from)));
    let to = span.to.map(|to| format!("time <= '{}'", format_time(to)));
    let both: Vec<String> = from.into_iter().chain(to).collect();
    let condition =
        if both.is_empty() { String::new() } else { format!(" WHERE {}", both.join(" AND ")) };
    let sql = format!("SELECT count(*) FROM events{condition}");
    let answer = client.post("/api/v1/query", &json!({ "sql": sql, "rows": 1 }))?;
    Ok(answer.pointer("/rows/0/0").and_then(Value::as_u64).unwrap_or(0))
}

/// Each event, oldest first.
pub fn each(
    client: &Client,
    span: Span,
    mut visit: impl FnMut(&Event) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let parts = [
            ("order", Some("oldest".to_owned())),
            ("limit", Some(PAGE_EVENTS.to_string())),
            ("since", span.from.map(|from| from.to_string())),
            // The last moment belongs to the span, and is not part of what is asked for.
            ("until", span.to.map(|to| to.saturating_add(1).to_string())),
            ("after", after.take()),
        ];
        let page = client.get(&format!("/api/v1/events{}", query_string(&parts)))?;
        for item in list(&page, "/items") {
            visit(&Event::from_ocsf(item.clone()).0)?;
        }
        after = page.pointer("/next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
}
