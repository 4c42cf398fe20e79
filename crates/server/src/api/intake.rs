//! Events and log lines in. Answered when they are durable, and not before.

use super::extract::{Json, Params, decode, read_body};
use crate::app::{App, Blocking, in_background};
use crate::handle::{IngestAnswer, now};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;
use normalize::{Format, Parser, Source};
use schema::{Diagnostic, Event, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::Ordering;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How a batch fared.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntakeAnswer {
    /// Now durable.
    pub accepted: u64,
    /// Durable before.
    pub duplicates: u64,
    /// Records that are no events; the diagnostics say which and why.
    pub rejected: u64,
    /// What was wrong, by line: the first hundred.
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// Name of the source; its records are numbered.
    pub source: String,
    /// `auto` (default), `ocsf`, `combined`, `json-access`, `syslog`, `linux-audit` or `sysmon-linux`.
    pub format: Option<String>,
    /// The host, for records that name none.
    pub device: Option<String>,
    /// The protected application, for records that name none.
    pub site: Option<String>,
    /// Offset of local times that carry no zone, seconds east of UTC.
    pub utc_offset_secs: Option<i32>,
    /// Number of the first record, when the sender counts: then sending again is harmless.
    pub first_sequence: Option<u64>,
}

const DIAGNOSTICS_MAX: usize = 100;

/// Events of one batch; the store takes a batch as one write.
const EVENTS_MAX: usize = 50_000;

/// Characters of a source's name.
pub const SOURCE_CHARS_MAX: usize = 200;

const SOURCE_HEADER: HeaderName = HeaderName::from_static("plura-source");

struct Read {
    events: Vec<Event>,
    rejected: u64,
    diagnostics: Vec<Diagnostic>,
}

/// OCSF events, one JSON object a line. Sending a batch again is harmless.
#[utoipa::path(post, path = "/api/v1/intake/events", tag = "intake",
    params(("Plura-Source" = Option<String>, Header, description = "source of events that name none"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`")),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = IntakeAnswer), (status = "default", description = "problem; 413, 429 and 503: send again later", body = Problem)))]
pub async fn events(
    State(app): State<App>,
    Caller(caller): Caller,
    request: Request,
) -> Result<Json<IntakeAnswer>, Problem> {
    let headers = request.headers().clone();
    let source = headers.get(SOURCE_HEADER).map(|value| value.to_str().unwrap_or_default());
    let source = source.map(source_name).transpose()?;
    let body = read_intake(&app, &headers, request).await?;
    let tenant = caller.tenant.clone();
    let of = tenant.clone();
    let read = in_background(move || read_events(&of, source.as_deref(), &body, now())).await??;
    finish(&app, tenant, read).await
}

async fn read_intake(app: &App, headers: &HeaderMap, request: Request) -> Result<Bytes, Problem> {
    let limits = app.config.limits;
    let body = read_body(request, limits.intake_bytes_max).await?;
    let body = decode(headers, body, limits.intake_decoded_bytes_max).await?;
    app.counters.intake_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    Ok(body)
}

async fn finish(app: &App, tenant: TenantId, read: Read) -> Result<Json<IntakeAnswer>, Problem> {
    let Read { events, rejected, diagnostics } = read;
    let answer = match events.is_empty() {
        true => IngestAnswer::default(),
        false => app.pipeline.ingest(tenant, events).await?,
    };
    let counters = &app.counters;
    counters.events_accepted.fetch_add(answer.accepted, Ordering::Relaxed);
    counters.events_duplicate.fetch_add(answer.duplicates, Ordering::Relaxed);
    counters.events_rejected.fetch_add(rejected, Ordering::Relaxed);
    let IngestAnswer { accepted, duplicates } = answer;
    Ok(Json(IntakeAnswer { accepted, duplicates, rejected, diagnostics }))
}

fn too_many() -> Problem {
    Problem::new(
        axum::http::StatusCode::PAYLOAD_TOO_LARGE,
        "batch-too-large",
        format!("a batch has at most {EVENTS_MAX} events"),
    )
    .hint("send it in smaller parts")
}

fn source_name(text: &str) -> Result<String, Problem> {
    let is_printable = text.chars().all(|c| !c.is_control());
    if text.is_empty() || text.chars().count() > SOURCE_CHARS_MAX || !is_printable {
        return Err(Problem::bad_request(
            "source-invalid",
            format!("a source's name is 1 to {SOURCE_CHARS_MAX} printable characters"),
        ));
    }
    Ok(text.to_owned())
}

fn read_events(
    tenant: &TenantId,
    source: Option<&str>,
    body: &[u8],
    received: Timestamp,
) -> Result<Read, Problem> {
    let mut read = Read { events: Vec::new(), rejected: 0, diagnostics: Vec::new() };
    for (number, line) in (1_u64..).zip(body.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if read.events.len() == EVENTS_MAX {
            return Err(too_many());
        }
        let place = |at: &str| format!("line {number}{at}");
        let found = match serde_json::from_slice::<Value>(line) {
            Ok(value) if value.is_object() => event(tenant, source, line, value, received),
            Ok(_) => Err(Diagnostic::new("not-an-object", "", "the line is JSON but no object")
                .hint("an event is a JSON object on one line")),
            Err(error) => Err(Diagnostic::new(
                "not-json",
                format!(", column {}", error.column()),
                format!("the line is not JSON: {error}"),
            )
            .hint("send one event a line; the other lines were taken")),
        };
        let notes = match found {
            Ok((event, notes)) => {
                read.events.push(event);
                notes
            }
            Err(fault) => {
                read.rejected += 1;
                vec![fault]
            }
        };
        let room = DIAGNOSTICS_MAX.saturating_sub(read.diagnostics.len());
        read.diagnostics.extend(notes.into_iter().take(room).map(|mut note| {
            note.place = match note.place.starts_with('$') {
                true => place(&format!(" {}", note.place)),
                false => place(&note.place),
            };
            note
        }));
    }
    Ok(read)
}

fn event(
    tenant: &TenantId,
    source: Option<&str>,
    line: &[u8],
    value: Value,
    received: Timestamp,
) -> Result<(Event, Vec<Diagnostic>), Diagnostic> {
    let (mut event, notes) = Event::from_ocsf(value);
    if event.time <= 0 {
        return Err(Diagnostic::new("time-missing", "$.time", "the event has no `time`")
            .hint("`time` is milliseconds since 1970 (UTC)"));
    }
    event.received = received;
    if event.source.is_none() {
        event.source = source.map(str::to_owned);
    }
    let numbered = event.source.clone().zip(event.sequence.and_then(|n| u64::try_from(n).ok()));
    if event.id == Uuid::nil() {
        event.id = match numbered {
            Some((source, sequence)) => schema::event_id(tenant, &source, sequence, event.time),
            // Without a number, the same line is the same event.
            None => schema::id_from_seed(event.time, line),
        };
    }
    Ok((event, notes))
}

/// Raw log lines. A line nobody can read is kept, with the reason.
#[utoipa::path(post, path = "/api/v1/intake/logs", tag = "intake",
    params(LogsQuery, ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`")),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, body = IntakeAnswer), (status = "default", description = "problem; 413, 429 and 503: send again later", body = Problem)))]
pub async fn logs(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<LogsQuery>,
    request: Request,
) -> Result<Json<IntakeAnswer>, Problem> {
    let format = match &query.format {
        None => Format::Auto,
        Some(text) => text.parse().map_err(|error: normalize::UnknownFormat| {
            Problem::bad_request("format-unknown", error.to_string())
        })?,
    };
    let source = Source {
        name: source_name(&query.source)?,
        format,
        device: query.device,
        site: query.site,
        utc_offset_secs: query.utc_offset_secs.unwrap_or(0),
    };
    let headers = request.headers().clone();
    let body = read_intake(&app, &headers, request).await?;
    let tenant = caller.tenant;
    let lock = app.sources.lock_of(&tenant, &source.name);
    let _turn = lock.lock().await;
    let first = match query.first_sequence {
        Some(first) => first,
        None => number(&app, &tenant, &source.name, &body).await?,
    };
    let of = tenant.clone();
    let read = in_background(move || {
        let mut parser = Parser::new(of, source, first);
        let received = now();
        let mut parsed = parser.push(&body, received);
        let rest = parser.finish(received);
        parsed.events.extend(rest.events);
        parsed.diagnostics.extend(rest.diagnostics);
        parsed.diagnostics.truncate(DIAGNOSTICS_MAX);
        if parsed.events.len() > EVENTS_MAX {
            return Err(too_many());
        }
        Ok(Read { events: parsed.events, rejected: 0, diagnostics: parsed.diagnostics })
    })
    .await??;
    finish(&app, tenant, read).await
}

/// Takes numbers for every line before a line is stored: a crash in between skips numbers, and
/// never gives two records the same one, which would drop the second as a duplicate.
async fn number(app: &App, tenant: &TenantId, source: &str, body: &Bytes) -> Result<u64, Problem> {
    let lines = body.split(|byte| *byte == b'\n').count() as u64;
    let (tenant, source) = (tenant.clone(), source.to_owned());
    app.meta.blocking(move |m| m.write(|tx| tx.take_sequences(&tenant, &source, lines))).await
}
