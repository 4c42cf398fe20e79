//! Exceptions: what a rule does not tell for a while, by whom and why.

use super::super::extract::{Json, Page, Params, Path, page_size, read_cursor, read_time, words};
use super::Shelf;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::identity::secrets::new_id;
use crate::pipeline::rules::DAY_MS;
use crate::pipeline::rules::exceptions::{EXCEPTION_DAYS, EXCEPTION_DAYS_MAX, Exception};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use schema::{Entity, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::meta::SigmaException;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct ExceptionView {
    pub id: Uuid,
    /// Any rule without one.
    pub rule: Option<String>,
    /// As a selection of a rule.
    pub selection: Option<Value>,
    /// `kind:value`.
    pub entity: Option<String>,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
    pub expires_at: Timestamp,
    /// When it was taken back, or was seen to have expired.
    pub ended: Option<Timestamp>,
    /// Matches it kept quiet, a few seconds behind.
    pub suppressed: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewException {
    /// The rule's id; any rule without it.
    pub rule: Option<String>,
    /// What a selection of a rule is: `{"CommandLine|contains": "backup"}`, or a list of such.
    pub selection: Option<Value>,
    /// `kind:value`.
    pub entity: Option<String>,
    pub reason: String,
    /// RFC 3339, or milliseconds since 1970; in 7 days without it, in 90 at most.
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Time {
    Milliseconds(i64),
    Text(String),
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExceptionsQuery {
    /// Those that ended too.
    pub ended: Option<bool>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

fn view(exception: SigmaException) -> ExceptionView {
    ExceptionView {
        id: exception.id,
        rule: exception.rule,
        selection: exception.selection.and_then(|text| serde_json::from_str(&text).ok()),
        entity: exception.entity.map(|entity| entity.to_string()),
        author: exception.author,
        reason: exception.reason,
        created: exception.created,
        expires_at: exception.expires,
        ended: exception.ended,
        suppressed: exception.suppressed,
    }
}

/// Exceptions, newest first.
#[utoipa::path(get, path = "/api/v1/sigma/exceptions", tag = "rules", params(ExceptionsQuery),
    responses((status = 200, body = Page<ExceptionView>), (status = "default", description = "problem", body = Problem)))]
pub async fn list_exceptions(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<ExceptionsQuery>,
) -> Result<Json<Page<ExceptionView>>, Problem> {
    let limit = page_size(query.limit)?;
    let after = read_cursor(query.after.as_deref())?;
    let with_ended = query.ended.unwrap_or(false);
    let found = app
        .meta
        .blocking(move |meta| {
            meta.read(|r| r.sigma_exceptions(&caller.tenant, with_ended, after, limit + 1))
        })
        .await?;
    let found = found.into_iter().map(view).collect();
    Ok(Json(Page::of(found, limit, |view: &ExceptionView| (view.created, view.id))))
}

/// Keep a rule quiet for a while; it holds for what is received from now on.
#[utoipa::path(post, path = "/api/v1/sigma/exceptions", tag = "rules", request_body = NewException,
    responses((status = 201, body = ExceptionView), (status = "default", description = "problem", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewException>,
) -> Result<(StatusCode, Json<ExceptionView>), Problem> {
    let reason = words("reason", &body.reason)?;
    let entity = body.entity.as_deref().map(str::parse::<Entity>).transpose();
    let entity = entity.map_err(|fault| {
        Problem::bad_request("exception-invalid", fault.to_string())
            .hint("findings name their entities so")
    })?;
    if body.rule.is_none() && body.selection.is_none() && entity.is_none() {
        return Err(Problem::bad_request(
            "exception-too-wide",
            "the exception would keep every rule quiet for everybody",
        )
        .hint("name a `rule`, a `selection` or an `entity`"));
    }
    if let Some(id) = &body.rule {
        let known = Shelf::of(&app, &caller.tenant).await?.views().await?;
        if !known.iter().any(|view| view.id == *id) {
            return Err(Problem::bad_request("rule-unknown", format!("there is no rule `{id}`"))
                .hint("`GET /api/v1/sigma/rules` lists them"));
        }
    }
    let time = now();
    let expires = expiry(body.expires_at, time)?;
    let exception = SigmaException {
        id: new_id(time)?,
        rule: body.rule,
        selection: body.selection.map(|selection| selection.to_string()),
        entity,
        author: caller.actor(),
        reason,
        created: time,
        expires,
        ended: None,
        suppressed: 0,
    };
    if let Err(faults) = Exception::compile(&exception) {
        return Err(Problem::bad_request(
            "exception-invalid",
            "the selection cannot be used as it is",
        )
        .hint("the diagnostics name each place; nothing was changed")
        .diagnostics(faults));
    }
    let (tenant, made) = (caller.tenant.clone(), exception.clone());
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.put_sigma_exception(&tenant, &made)?;
                let code = "exception-added";
                tx.attest(&[deeds::of_exception(&tenant, &made, &made.author, code, time)])
            })
        })
        .await?;
    app.ledgers.wake();
    app.pipeline.rules_changed(caller.tenant).await?;
    Ok((StatusCode::CREATED, Json(view(exception))))
}

fn expiry(asked: Option<Time>, now: Timestamp) -> Result<Timestamp, Problem> {
    let asked = match asked {
        None => None,
        Some(Time::Milliseconds(time)) => Some(time),
        Some(Time::Text(text)) => read_time("expires_at", Some(&text))?,
    };
    let Some(asked) = asked else { return Ok(now + EXCEPTION_DAYS * DAY_MS) };
    if asked <= now || asked > now + EXCEPTION_DAYS_MAX * DAY_MS {
        return Err(Problem::bad_request(
            "expires-invalid",
            format!("`expires_at` is past, or more than {EXCEPTION_DAYS_MAX} days ahead"),
        )
        .hint("what stays true belongs into the rule: add a filter to its condition"));
    }
    Ok(asked)
}

/// Take an exception back: its rule speaks again.
#[utoipa::path(delete, path = "/api/v1/sigma/exceptions/{id}", tag = "rules", params(("id" = Uuid, Path)),
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let (tenant, actor, time) = (caller.tenant.clone(), caller.actor(), now());
    let found = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                let Some(mut exception) = tx.sigma_exception(&tenant, id)? else {
                    return Ok(false);
                };
                if tx.end_sigma_exception(&tenant, id, time)? {
                    exception.ended = Some(time);
                    let code = "exception-removed";
                    tx.attest(&[deeds::of_exception(&tenant, &exception, &actor, code, time)])?;
                }
                Ok(true)
            })
        })
        .await?;
    if !found {
        return Err(Problem::not_found("exception", id));
    }
    app.ledgers.wake();
    app.pipeline.rules_changed(caller.tenant).await?;
    Ok(StatusCode::NO_CONTENT)
}
