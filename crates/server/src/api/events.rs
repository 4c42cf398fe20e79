//! Events: search by form, SQL, and personal data in the clear for those who may.

use super::extract::{
    Json, Page, Params, Path, list, page_size, read_cursor, read_time, word, words,
};
use super::tables::{self, Form};
use crate::app::{App, Blocking, in_background};
use crate::deeds;
use crate::handle::now;
use crate::identity::secrets::new_id;
use crate::identity::{Caller, Principal};
use crate::problem::Problem;
use crate::reveal;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use schema::{Event, LeafKind, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{EventFilter, Limit, Order, QueryLimits};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// `kind:value`, several with commas: any of them took part.
    pub entity: Option<String>,
    /// OCSF `class_uid`, several with commas.
    pub class: Option<String>,
    /// `success`, `failure` or `unknown`.
    pub outcome: Option<String>,
    /// From this time on (RFC 3339 or milliseconds).
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// Words somewhere in URL, headers, bodies, command lines or the raw record.
    pub text: Option<String>,
    /// `newest` (default) or `oldest` first.
    pub order: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// One `SELECT` over the table `events`.
    pub sql: String,
    /// Rows at most; 1 to 10000, of a file to 100000.
    #[serde(default)]
    pub rows: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnView {
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `time`, or what Arrow calls it.
    pub kind: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QueryAnswer {
    pub columns: Vec<ColumnView>,
    pub rows: Vec<Vec<serde_json::Value>>,
    /// True when there was, or may have been, more.
    pub truncated: bool,
    /// `rows`, `bytes` or `time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated_by: Option<&'static str>,
    pub elapsed_ms: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// Why the data has to be seen; recorded, so write no personal data into it.
    pub reason: String,
    /// Places of [`Event::sealed`] to open; all of them by default.
    #[serde(default)]
    pub places: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Revealed {
    pub event: Uuid,
    /// Place → what stood there.
    pub values: BTreeMap<String, Vec<String>>,
    /// Places that could not be opened with this tenant's key.
    pub unreadable: Vec<String>,
}

/// Characters of a search text or an SQL text.
const QUERY_CHARS_MAX: usize = 20_000;
const ROWS_MAX: usize = 10_000;
/// Rows and bytes of a file.
const FILE_ROWS_MAX: usize = 100_000;
const FILE_BYTES_MAX: usize = 64 << 20;
/// Characters of a reason that go into the ledger.
const LEAF_REASON_CHARS: usize = 200;

/// Find events by what they are.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventQuery),
    responses((status = 200, body = Page<Event>), (status = "default", description = "problem", body = Problem)))]
pub async fn search(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<EventQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let limit = page_size(query.limit)?;
    let filter = EventFilter {
        entities: list("entity", query.entity.as_deref(), |text| text.parse().ok())?,
        classes: list("class", query.class.as_deref(), |text| text.parse().ok())?,
        outcome: list("outcome", query.outcome.as_deref(), word)?.into_iter().next(),
        from: read_time("since", query.since.as_deref())?,
        until: read_time("until", query.until.as_deref())?,
        text: query.text.filter(|text| !text.is_empty()),
        order: list("order", query.order.as_deref(), read_order)?
            .into_iter()
            .next()
            .unwrap_or_default(),
        after: read_cursor(query.after.as_deref())?
            .map(|c| store::Cursor { time: c.time, id: c.id }),
        limit: limit + 1,
        ..EventFilter::default()
    };
    let events = app.store.events(&caller.tenant, &filter).await?;
    Ok(Json(Page::of(events, limit, |event| (event.time, event.id))))
}

fn read_order(text: &str) -> Option<Order> {
    match text {
        "newest" => Some(Order::NewestFirst),
        "oldest" => Some(Order::OldestFirst),
        _ => None,
    }
}

async fn find(app: &App, tenant: &TenantId, id: Uuid) -> Result<Event, Problem> {
    let filter = EventFilter { ids: vec![id], limit: 1, ..EventFilter::default() };
    let found = app.store.events(tenant, &filter).await?.pop();
    found.ok_or_else(|| Problem::not_found("event", id))
}

/// One event, as it is stored: protected.
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events", params(("id" = Uuid, Path)),
    responses((status = 200, body = Event), (status = "default", description = "problem", body = Problem)))]
pub async fn one(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Event>, Problem> {
    Ok(Json(find(&app, &caller.tenant, id).await?))
}

/// See personal data of an event in the clear. A right of its own; recorded with its reason.
#[utoipa::path(post, path = "/api/v1/events/{id}/reveal", tag = "events", params(("id" = Uuid, Path)), request_body = Reveal,
    responses((status = 200, body = Revealed), (status = "default", description = "problem", body = Problem)))]
pub async fn reveal(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Reveal>,
) -> Result<Json<Revealed>, Problem> {
    let reason = words("reason", &body.reason)?;
    let event = find(&app, &caller.tenant, id).await?;
    let opened = reveal::open(&app.config.data, &caller.tenant, &event, &body.places)?;
    // Recorded before it is shown: a view that is not in the ledger did not happen.
    let what = (id, &reason, opened.values.keys().collect::<Vec<_>>());
    let short: String = reason.chars().take(LEAF_REASON_CHARS).collect();
    let leaf = deeds::leaf(
        &caller.tenant,
        LeafKind::EvidenceView,
        &caller.actor(),
        id,
        &what,
        &short,
        now(),
    );
    app.meta.blocking(move |meta| meta.write(|tx| tx.attest(&[leaf]))).await?;
    app.ledgers.wake();
    Ok(Json(Revealed { event: id, values: opened.values, unreadable: opened.unreadable }))
}

/// Ask in SQL. The table `events` holds this tenant's events, and nothing else can be named.
///
/// `Accept: text/csv`, `application/x-ndjson` or `application/vnd.apache.parquet` gives a file of up to 100,000
/// rows, which is recorded; `plura-truncated` says which limit cut it short.
#[utoipa::path(post, path = "/api/v1/query", tag = "events", request_body = SqlQuery,
    responses((status = 200, body = QueryAnswer), (status = "default", description = "problem", body = Problem)))]
pub async fn query(
    State(app): State<App>,
    Caller(caller): Caller,
    headers: HeaderMap,
    Json(body): Json<SqlQuery>,
) -> Result<Response, Problem> {
    if body.sql.chars().count() > QUERY_CHARS_MAX {
        return Err(Problem::bad_request(
            "text-too-long",
            format!("a query has at most {QUERY_CHARS_MAX} characters"),
        ));
    }
    let form = Form::asked(&headers);
    let rows_max = if form.is_some() { FILE_ROWS_MAX } else { ROWS_MAX };
    let rows = body.rows.unwrap_or(rows_max);
    if !(1..=rows_max).contains(&rows) {
        return Err(Problem::bad_request(
            "limit-invalid",
            format!("`rows` is {rows}, and should be 1 to {rows_max}"),
        ));
    }
    let limits = QueryLimits { rows, ..QueryLimits::default() };
    if let Some(form) = form {
        return file(&app, &caller, &body.sql, limits, form).await;
    }
    let result = app.store.query(&caller.tenant, &body.sql, limits).await.map_err(bad_query)?;
    let columns = result.columns.into_iter();
    let answer = QueryAnswer {
        columns: columns.map(|c| ColumnView { name: c.name, kind: c.kind }).collect(),
        rows: result.rows,
        truncated: result.truncated,
        truncated_by: result.truncated_by.map(Limit::as_str),
        elapsed_ms: u64::try_from(result.elapsed.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Json(answer).into_response())
}

/// The answer as a file. Who took what away is in the ledger before it is sent.
async fn file(
    app: &App,
    caller: &Principal,
    sql: &str,
    limits: QueryLimits,
    form: Form,
) -> Result<Response, Problem> {
    let limits = QueryLimits { bytes: FILE_BYTES_MAX, ..limits };
    let (bytes, rows, cut) = if form == Form::Parquet {
        let made = app.store.query_parquet(&caller.tenant, sql, limits).await.map_err(bad_query)?;
        (made.bytes, made.rows, made.truncated_by)
    } else {
        let result = app.store.query(&caller.tenant, sql, limits).await.map_err(bad_query)?;
        let (rows, cut) = (result.rows.len(), result.truncated_by);
        let write =
            move || if form == Form::Csv { tables::csv(&result) } else { tables::ndjson(&result) };
        (in_background(write).await??, rows, cut)
    };
    let time = now();
    let leaf = deeds::leaf(
        &caller.tenant,
        LeafKind::Export,
        &caller.actor(),
        new_id(time)?,
        &(sql, form.as_str(), rows),
        "query-file",
        time,
    );
    app.meta.blocking(move |meta| meta.write(|tx| tx.attest(&[leaf]))).await?;
    app.ledgers.wake();
    Ok(form.answer(bytes, cut))
}

/// What the store says of a query is about the caller's text, unless it is about the disk.
fn bad_query(error: store::StoreError) -> Problem {
    if error.is_temporary() || matches!(error.code, "disk-error" | "catalog-error") {
        return error.into();
    }
    let place = error
        .position
        .map_or_else(|| "sql".to_owned(), |at| format!("line {}, column {}", at.line, at.column));
    Problem::bad_request(error.code, error.message.clone()).hint(error.hint.clone()).diagnostics(
        vec![schema::Diagnostic::new(error.code, place, error.message).hint(error.hint)],
    )
}
