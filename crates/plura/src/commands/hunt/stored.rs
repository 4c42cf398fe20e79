//! Events that the server has stored, page by page.

use crate::client::Client;
use crate::commands::{list, query_string};
use crate::output::Failure;
use ::hunt::Span;
use schema::{Event, format_time};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::Duration;

/// The most that one answer holds; fewer are asked for where they are too long for one.
const PAGE_EVENTS: usize = 500;
/// How often a page is asked for again, and how long to wait before: the server may be busy.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// How many there are, for a progress bar; none to those who may not ask.
pub fn count(client: &Client, span: Span) -> Option<u64> {
    let from = span.from.map(|from| format!("time >= '{}'", format_time(from)));
    let to = span.to.map(|to| format!("time <= '{}'", format_time(to)));
    let both: Vec<String> = from.into_iter().chain(to).collect();
    let condition =
        if both.is_empty() { String::new() } else { format!(" WHERE {}", both.join(" AND ")) };
    let sql = format!("SELECT count(*) FROM events{condition}");
    let answer = client.post("/api/v1/query", &json!({ "sql": sql, "rows": 1 })).ok()?;
    answer.pointer("/rows/0/0").and_then(Value::as_u64)
}

/// Each event until now, oldest first. What comes in meanwhile is not waited for, so a hunt ends.
pub fn each(
    client: &Client,
    span: Span,
    mut visit: impl FnMut(&Event) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let now = jiff::Timestamp::now().as_millisecond();
    // The last moment belongs to the span, and is not part of what is asked for.
    let until = span.to.map_or(now, |to| to.min(now)).saturating_add(1);
    let (mut after, mut limit, mut failed): (Option<String>, _, _) = (None, PAGE_EVENTS, 0);
    loop {
        let parts = [
            ("order", Some("oldest".to_owned())),
            ("limit", Some(limit.to_string())),
            ("since", span.from.map(|from| from.to_string())),
            ("until", Some(until.to_string())),
            ("after", after.clone()),
        ];
        let page = match client.get(&format!("/api/v1/events{}", query_string(&parts))) {
            Err(_) if failed < TRIES => {
                failed += 1;
                limit = (limit / 4).max(1);
                sleep(PAUSE);
                continue;
            }
            page => page?,
        };
        failed = 0;
        for item in list(&page, "/items") {
            visit(&Event::from_ocsf(item.clone()).0)?;
        }
        after = page.pointer("/next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            return Ok(());
        }
    }
}
