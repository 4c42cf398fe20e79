//! Stored traffic through the server's query API, page by page.

use crate::client::Client;
use crate::commands::list;
use crate::output::{EXIT_UNREACHABLE, EXIT_USAGE, Failure};
use schema::{Event, Finding, OwnedCell, Timestamp, format_time, parse_time};
use serde_json::{Value, json};

/// Events of one page; each may hold many matches, and an answer has a limit in bytes.
const PAGE_ROWS: usize = 1_000;
/// Events read at most; beyond it the newest are missing.
const EVENTS_MAX: usize = 200_000;
/// Ordinary requests looked at for one place.
const ORDINARY_ROWS: usize = 500;
/// Findings read at most.
const FINDINGS_MAX: usize = 20_000;

/// Requests of one page, bodies included; fewer where they are too long for one answer.
const REQUEST_PAGE_ROWS: usize = 400;
/// What rules look at of a request, and what reports group it by.
const REQUEST_COLUMNS: [&str; 32] = [
    "time",
    "id",
    "class_uid",
    "method",
    "host",
    "path",
    "query",
    "http_version",
    "user_agent",
    "referrer",
    "request_headers",
    "request_length",
    "request_content_type",
    "request_body",
    "request_body_encoding",
    "request_truncated",
    "http_code",
    "response_headers",
    "response_length",
    "response_content_type",
    "response_body",
    "response_body_encoding",
    "response_truncated",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "endpoint",
    "account",
    "session",
    "site",
    "outcome",
];

const COLUMNS: &str = "time, id, host, path, endpoint, src_ip, account, credential, session, outcome, rest, request_content_type, \
     outcome_action";

/// Which part of the past.
pub struct Range {
    pub since: Timestamp,
    pub site: Option<String>,
}

impl Range {
    /// `since`: a length of time as people write it, back from now.
    pub fn of(since: &str, site: Option<String>) -> Result<Range, Failure> {
        let span = crate::scenario::span_ms(since).ok_or_else(|| {
            Failure::new(EXIT_USAGE, format!("`{since}` is not a length of time"))
                .hint("write it like 12h or 7d")
        })?;
        Ok(Range { since: jiff::Timestamp::now().as_millisecond() - span, site })
    }

    fn requests(&self) -> String {
        let http = schema::class::HTTP_ACTIVITY;
        let stem = self.condition();
        format!("{stem} AND class_uid = {http} AND method IS NOT NULL AND path IS NOT NULL")
    }

    fn condition(&self) -> String {
        let site = self.site.as_deref().map(|site| format!(" AND site = {}", quoted(site)));
        format!("time >= '{}'{}", format_time(self.since), site.unwrap_or_default())
    }
}

/// Every event in which a rule set had something to tell, oldest first; false: there are more.
pub fn each_told(
    client: &Client,
    range: &Range,
    mut visit: impl FnMut(&Event),
) -> Result<bool, Failure> {
    let mut after = String::new();
    let mut read = 0;
    loop {
        let sql = format!(
            "SELECT {COLUMNS} FROM events WHERE {}{after} AND rest LIKE '%\"waf\":%' \
             ORDER BY time, id LIMIT {PAGE_ROWS}",
            range.condition()
        );
        let answer = client.post("/api/v1/query", &json!({ "sql": sql, "rows": PAGE_ROWS }))?;
        let rows = list(&answer, "/rows");
        rows.iter().filter_map(event).for_each(|event| visit(&event));
        read += rows.len();
        let is_cut = answer.pointer("/truncated").and_then(Value::as_bool).unwrap_or(false);
        let Some(last) = rows.last().filter(|_| is_cut || rows.len() == PAGE_ROWS) else {
            return Ok(true);
        };
        if read >= EVENTS_MAX {
            return Ok(false);
        }
        let (time, id) = (cell(last, 0).unwrap_or_default(), cell(last, 1).unwrap_or_default());
        let (time, id) = (quoted(time), quoted(id));
        after = format!(" AND (time > {time} OR (time = {time} AND id > {id}))");
    }
}

/// How many requests are stored.
pub fn count_requests(client: &Client, range: &Range) -> Result<u64, Failure> {
    let sql = format!("SELECT count(*) FROM events WHERE {}", range.requests());
    let answer = client.post("/api/v1/query", &json!({ "sql": sql, "rows": 1 }))?;
    Ok(answer.pointer("/rows/0/0").and_then(Value::as_u64).unwrap_or(0))
}

/// Every request, bodies included, oldest first; false: there are more.
pub fn each_request(
    client: &Client,
    range: &Range,
    mut visit: impl FnMut(Event),
) -> Result<bool, Failure> {
    let columns = REQUEST_COLUMNS.join(", ");
    let (mut after, mut read, mut page) = (String::new(), 0, REQUEST_PAGE_ROWS);
    loop {
        let sql = format!(
            "SELECT {columns} FROM events WHERE {}{after} ORDER BY time, id LIMIT {page}",
            range.requests()
        );
        let answer = match client.post("/api/v1/query", &json!({ "sql": sql, "rows": page })) {
            // Sorting long bodies takes the server's memory for one query: fewer at a time then.
            Err(failure) if page > 1 && failure.exit != EXIT_UNREACHABLE => {
                page /= 4;
                if page == 0 {
                    return Err(failure);
                }
                continue;
            }
            answer => answer?,
        };
        let rows = list(&answer, "/rows");
        rows.iter().filter_map(request).for_each(&mut visit);
        read += rows.len();
        let is_cut = answer.pointer("/truncated").and_then(Value::as_bool).unwrap_or(false);
        let Some(last) = rows.last().filter(|_| is_cut || rows.len() == page) else {
            return Ok(!is_cut);
        };
        if read >= EVENTS_MAX {
            return Ok(false);
        }
        let (time, id) = (cell(last, 0).unwrap_or_default(), cell(last, 1).unwrap_or_default());
        let (time, id) = (quoted(time), quoted(id));
        after = format!(" AND (time > {time} OR (time = {time} AND id > {id}))");
    }
}

/// Requests to one endpoint that came to success and tripped over nothing, newest first.
pub fn ordinary(
    client: &Client,
    range: &Range,
    host: &str,
    path: &str,
    mut visit: impl FnMut(&Event),
) -> Result<(), Failure> {
    let endpoint = match path.strip_suffix('*') {
        Some(stem) => format!("starts_with(endpoint, {})", quoted(&format!("{stem}{{"))),
        None => format!("endpoint = {}", quoted(path)),
    };
    let sql = format!(
        "SELECT query, request_content_type, request_body FROM events WHERE {} AND host = {} AND {endpoint} \
         AND outcome = 'success' AND (rest IS NULL OR rest NOT LIKE '%\"waf\":%') \
         ORDER BY time DESC LIMIT {ORDINARY_ROWS}",
        range.condition(),
        quoted(host)
    );
    let answer = client.post("/api/v1/query", &json!({ "sql": sql, "rows": ORDINARY_ROWS }))?;
    for row in list(&answer, "/rows") {
        let text = |at: usize| cell(row, at).map(str::to_owned);
        visit(&Event {
            query: text(0),
            request_content_type: text(1),
            request_body: text(2),
            ..Event::default()
        });
    }
    Ok(())
}

/// Every finding of the time; false: there are more.
pub fn each_finding(
    client: &Client,
    range: &Range,
    mut visit: impl FnMut(&Finding),
) -> Result<bool, Failure> {
    let mut after: Option<String> = None;
    let mut read = 0;
    loop {
        let parts = [
            ("since", Some(range.since.to_string())),
            ("limit", Some("500".to_owned())),
            ("after", after.take()),
        ];
        let page =
            client.get(&format!("/api/v1/findings{}", crate::commands::query_string(&parts)))?;
        let items = list(&page, "/items");
        let findings = items.iter().filter_map(|item| serde_json::from_value(item.clone()).ok());
        findings.for_each(|finding: Finding| visit(&finding));
        read += items.len();
        after = page.pointer("/next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() || items.is_empty() {
            return Ok(true);
        }
        if read >= FINDINGS_MAX {
            return Ok(false);
        }
    }
}

fn cell(row: &Value, at: usize) -> Option<&str> {
    row.get(at).and_then(Value::as_str)
}

/// A row of [`REQUEST_COLUMNS`].
fn request(row: &Value) -> Option<Event> {
    let mut event = Event { time: parse_time(cell(row, 0)?)?, ..Event::default() };
    for (at, name) in REQUEST_COLUMNS.iter().enumerate().skip(1) {
        let cell = match row.get(at)? {
            Value::Null => continue,
            Value::String(text) => OwnedCell::Text(text.clone()),
            Value::Bool(flag) => OwnedCell::Bool(*flag),
            Value::Number(number) => OwnedCell::Int(number.as_i64()?),
            Value::Array(_) | Value::Object(_) => return None,
        };
        if !event.set(name, cell) {
            return None;
        }
    }
    Some(event)
}

/// A row of [`COLUMNS`].
fn event(row: &Value) -> Option<Event> {
    let text = |at: usize| cell(row, at).map(str::to_owned);
    Some(Event {
        time: parse_time(cell(row, 0)?)?,
        host: text(2),
        path: text(3),
        endpoint: text(4),
        src_ip: text(5),
        account: text(6),
        credential: text(7),
        session: text(8),
        outcome: text(9),
        rest: serde_json::from_str(cell(row, 10)?).ok()?,
        request_content_type: text(11),
        outcome_action: text(12),
        ..Event::default()
    })
}

/// A text in SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_a_request_with_its_body() {
        let value = |name: &&str| match *name {
            "time" => json!("2026-11-22T00:00:04.000Z"),
            "class_uid" => json!(4002),
            "method" => json!("POST"),
            "path" => json!("/a"),
            "request_headers" => json!("[{\"name\":\"host\",\"value\":\"shop.example\"}]"),
            "request_body" => json!("q=1"),
            "request_truncated" => json!(true),
            _ => Value::Null,
        };
        let row: Vec<Value> = REQUEST_COLUMNS.iter().map(value).collect();
        let event = request(&json!(row)).unwrap();
        assert_eq!(
            (event.request_body.as_deref(), event.request_truncated),
            (Some("q=1"), Some(true))
        );
        let record = inspect::Record::of(&event).unwrap();
        assert_eq!(record.headers, [(b"Host".to_vec(), b"shop.example".to_vec())]);
        assert_eq!(record.body, inspect::Body::Beginning(b"q=1".to_vec()));
    }

    #[test]
    fn a_row_becomes_an_event_and_a_text_stays_a_text() {
        let row = json!([
            "2026-11-22T00:00:04.000Z",
            "id",
            "shop.example",
            "/search",
            "GET /search",
            "192.0.2.1",
            null,
            null,
            "s1",
            "success",
            "{\"plura\":{\"waf\":[{\"rules\":\"crs\"}]}}",
            "text/csv",
            "search"
        ]);
        assert_eq!(COLUMNS.split(", ").count(), row.as_array().unwrap().len());
        let event = event(&row).unwrap();
        assert_eq!((event.host.as_deref(), event.account), (Some("shop.example"), None));
        assert_eq!(event.request_content_type.as_deref(), Some("text/csv"));
        assert_eq!(event.outcome_action.as_deref(), Some("search"));
        assert_eq!(schema::waf_sets_of(&event.rest)[0].rules, "crs");
        assert_eq!(quoted("o'hara' OR 1=1 --"), "'o''hara'' OR 1=1 --'");
    }
}
