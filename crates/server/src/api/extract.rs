//! Bodies, queries and paths as types, and what is said when they are not.

use crate::app::{App, in_background};
use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use data_encoding::BASE64URL_NOPAD;
use http_body_util::BodyExt;
use schema::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::time::Duration;
use store::meta::Cursor;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is read of a body that was refused, and for how long.
const DISCARD_BYTES_MAX: usize = 64 << 20;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);

/// A JSON body in; JSON out.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/json") {
            return Err(unsupported("`application/json`"));
        }
        let body = read_body(request, app.config.limits.body_bytes_max).await?;
        let mut reader = serde_json::Deserializer::from_slice(&body);
        let value = serde_path(&mut reader)?;
        Ok(Json(value))
    }
}

fn serde_path<T: DeserializeOwned>(
    reader: &mut serde_json::Deserializer<serde_json::de::SliceRead<'_>>,
) -> Result<T, Problem> {
    let value = T::deserialize(&mut *reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        Problem::bad_request("body-invalid", format!("the body is not what this takes: {error}"))
            .hint("`GET /api/openapi.json` has the form of every body")
    })
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(params)) => Ok(Params(params)),
            Err(error) => Err(Problem::bad_request("query-invalid", error.body_text())
                .hint("`GET /api/openapi.json` has the parameters of every route")),
        }
    }
}

/// One variable of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(error) => Err(Problem::bad_request("path-invalid", error.body_text())
                .hint("ids are UUIDs, entities `kind:value`, indices and versions whole numbers")),
        }
    }
}

pub fn unsupported(wanted: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type-unsupported",
        format!("this takes {wanted}"),
    )
    .hint("set `Content-Type` and `Content-Encoding` to what the body is")
}

fn too_large(what: &str, limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        format!("the body has more than {limit} bytes {what}"),
    )
    .hint("send it in smaller parts")
}

/// The whole body, up to `limit` bytes.
pub async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if declared.and_then(|v| v.parse::<u64>().ok()).is_some_and(|n| n > limit as u64) {
        // In a box, as below: what hardly ever runs is no part of every request's future.
        Box::pin(discard(request)).await;
        return Err(too_large("on the wire", limit));
    }
    let waits = waits_for_consent(&request);
    let mut body = request.into_body();
    let mut read = BytesMut::new();
    // Most come in one piece, which needs no copy.
    let mut whole: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::bad_request("body-unreadable", format!("the body broke off: {error}"))
                .hint("send it again")
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if let Some(first) = whole.take() {
            read.extend_from_slice(&first);
        }
        if read.len() + data.len() > limit {
            drop(read);
            if !waits {
                Box::pin(discard_body(body)).await;
            }
            return Err(too_large("on the wire", limit));
        }
        match read.is_empty() {
            true => whole = Some(data),
            false => read.extend_from_slice(&data),
        }
    }
    Ok(whole.unwrap_or_else(|| read.freeze()))
}

/// A client that asked first (`Expect: 100-continue`) has not sent its body yet, and now need not.
fn waits_for_consent(request: &Request) -> bool {
    request.headers().contains_key(header::EXPECT)
}

/// Reads a refused body to its end, within limits: a client that is still sending when the
/// connection closes never sees the answer that says why (RFC 9112 §9.6).
pub async fn discard(request: Request) {
    if !waits_for_consent(&request) {
        discard_body(request.into_body()).await;
    }
}

async fn discard_body(mut body: axum::body::Body) {
    let all = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whoever is slower or sends more finds the connection closed.
    let _ = tokio::time::timeout(DISCARD_TIME_MAX, all).await;
}

/// Undoes `Content-Encoding`, up to `limit` bytes: a small bomb does not become a large one.
pub async fn decode(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?"));
    let encoding = encoding.unwrap_or("identity").trim().to_ascii_lowercase();
    match encoding.as_str() {
        "identity" => Ok(body),
        "gzip" | "x-gzip" => {
            in_background(move || {
                inflate(flate2::read::MultiGzDecoder::new(body.as_ref()), limit, "gzip")
            })
            .await?
        }
        "zstd" => {
            in_background(move || {
                let decoder = zstd::stream::read::Decoder::new(body.as_ref());
                let mut decoder = decoder.map_err(|cause| Problem::internal(&cause))?;
                // 8 MiB of window is what RFC 8878 §3.1.1.1.2 asks every decoder to take.
                decoder.window_log_max(23).map_err(|cause| Problem::internal(&cause))?;
                inflate(decoder, limit, "zstd")
            })
            .await?
        }
        _ => Err(unsupported("`gzip`, `zstd` or no content encoding")),
    }
}

fn inflate(from: impl Read, limit: usize, encoding: &str) -> Result<Bytes, Problem> {
    let mut out = Vec::new();
    let ceiling = (limit as u64).saturating_add(1);
    from.take(ceiling).read_to_end(&mut out).map_err(|cause| {
        Problem::bad_request("encoding-invalid", format!("the body is not {encoding}: {cause}"))
            .hint("compress it again; nothing of it was taken")
    })?;
    if out.len() > limit { Err(too_large("after decompression", limit)) } else { Ok(out.into()) }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Ask again with `after` set to this for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From up to `limit` + 1 records: the one too many says that there is a next page.
    pub fn of(mut items: Vec<T>, limit: usize, place: impl Fn(&T) -> (Timestamp, Uuid)) -> Self {
        let next = if items.len() > limit {
            items.truncate(limit);
            items.last().map(|last| write_cursor(place(last)))
        } else {
            None
        };
        Page { items, next }
    }
}

fn write_cursor((time, id): (Timestamp, Uuid)) -> String {
    BASE64URL_NOPAD.encode(format!("{time}.{id}").as_bytes())
}

/// Reads what [`Page::next`] gave.
pub fn read_cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parse = || {
        let plain = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let plain = String::from_utf8(plain).ok()?;
        let (time, id) = plain.split_once('.')?;
        Some(Cursor { time: time.parse().ok()?, id: id.parse().ok()? })
    };
    parse().map(Some).ok_or_else(|| {
        Problem::bad_request("cursor-invalid", "`after` is not the `next` of an earlier page")
            .hint("leave it out for the first page")
    })
}

/// How many records to answer.
pub fn page_size(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(super::PAGE_DEFAULT),
        Some(limit) if (1..=super::PAGE_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::bad_request(
            "limit-invalid",
            format!("`limit` is {limit}, and should be 1 to {}", super::PAGE_MAX),
        )),
    }
}

/// RFC 3339, or milliseconds since 1970.
pub fn read_time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let time = text.parse().ok().or_else(|| schema::parse_time(text));
    time.map(Some).ok_or_else(|| {
        Problem::bad_request("time-invalid", format!("`{name}` is `{text}`, and should be a time"))
            .hint("write `2026-11-22T04:33:00Z`, or milliseconds since 1970")
    })
}

/// Words a person gave, trimmed: there, and not too many.
pub fn words(name: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::bad_request(
            "reason-missing",
            format!("`{name}` is empty, and this is recorded with it"),
        )
        .hint("say in a few words why"));
    }
    if text.chars().count() > super::TEXT_CHARS_MAX {
        return Err(Problem::bad_request(
            "text-too-long",
            format!("`{name}` has more than {} characters", super::TEXT_CHARS_MAX),
        ));
    }
    Ok(text.to_owned())
}

/// A comma-separated list of words that each parse.
pub fn list<T>(
    name: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Problem> {
    let words = text.unwrap_or_default().split(',').map(str::trim).filter(|w| !w.is_empty());
    words
        .map(|word| {
            parse(word).ok_or_else(|| {
                Problem::bad_request("query-invalid", format!("`{name}` does not know `{word}`"))
                    .hint("`GET /api/openapi.json` lists its words")
            })
        })
        .collect()
}

/// A word of one of our enums, as its JSON form spells it.
pub fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

/// A reason, where nothing else is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub reason: String,
}
