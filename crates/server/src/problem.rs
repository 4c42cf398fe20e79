//! What a caller reads when a request cannot be done: problem+json (RFC 9457) with a permanent
//! `code` and a `hint`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::Diagnostic;
use serde::{Serialize, Serializer};
use store::meta::MetaError;
use utoipa::ToSchema;

/// An error answer. The `code` is for programs and never changes its meaning; `detail` is for people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the `code` says more.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: AboutBlank,
    /// The HTTP status in words.
    pub title: &'static str,
    pub status: u16,
    /// Permanent, kebab-case.
    pub code: &'static str,
    pub detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Line by line, where the input had several faults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// Also the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_secs: Option<u32>,
}

/// The type of every problem; takes no room, since problems are returned everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AboutBlank;

impl Serialize for AboutBlank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("about:blank")
    }
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Problem {
            kind: AboutBlank,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            hint: None,
            diagnostics: Vec::new(),
            retry_after_secs: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn diagnostics(mut self, diagnostics: Vec<Diagnostic>) -> Self {
        self.diagnostics = diagnostics;
        self
    }

    #[must_use]
    pub fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(u32::try_from(secs).unwrap_or(u32::MAX));
        self
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// There is none, or it is another tenant's: the caller cannot tell which.
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("{what} `{id}` does not exist in this tenant"),
        )
        .hint("check the id, and the tenant you ask in (`Plura-Tenant`)")
    }

    /// Something of ours broke. The cause goes to the log, not to the caller.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server could not do this; its log says why",
        )
        .hint("try again; if it stays, run `plura doctor`")
    }

    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .hint("send the same request again in a moment: nothing of it was kept")
            .retry_after(1)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<MetaError> for Problem {
    fn from(error: MetaError) -> Self {
        match error {
            MetaError::Missing(what) => Problem::not_found("record", what),
            MetaError::Exists(name) => {
                Problem::new(StatusCode::CONFLICT, "name-taken", format!("`{name}` exists already"))
                    .hint("choose another name")
            }
            MetaError::Refused(why) => Problem::new(StatusCode::CONFLICT, "refused", why),
            full if full.is_disk_full() => Problem::unavailable(
                "disk-full",
                "the disk of the data folder has no room for metadata".to_owned(),
            )
            .hint("make room; then send the same again"),
            other => Problem::internal(&other),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.detail, self.code)
    }
}
