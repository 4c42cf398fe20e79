//! Actions: what was done or waits to be, and people's decisions about it.

use super::extract::{
    Json, Page, Params, Path, Reason, list, page_size, read_cursor, read_time, word, words,
};
use crate::app::{App, Blocking};
use crate::handle::{Act, ActionCommand};
use crate::identity::{Caller, Principal};
use crate::problem::Problem;
use axum::extract::State;
use schema::{Action, Timestamp};
use serde::Deserialize;
use store::meta::ActionFilter;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActionQuery {
    /// `simulated`, `awaiting-approval`, `pending`, `active`, `rejected`, `undone`, `expired`, `failed`; several with commas.
    pub state: Option<String>,
    /// An incident id.
    pub incident: Option<Uuid>,
    /// `kind:value`.
    pub target: Option<String>,
    /// Made from this time on (RFC 3339 or milliseconds).
    pub since: Option<String>,
    /// Made before this time.
    pub until: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    pub reason: String,
    /// The new end, milliseconds since 1970.
    pub until: Timestamp,
}

/// Actions, newest first.
#[utoipa::path(get, path = "/api/v1/actions", tag = "actions", params(ActionQuery),
    responses((status = 200, body = Page<Action>), (status = "default", description = "problem", body = Problem)))]
pub async fn list_actions(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<ActionQuery>,
) -> Result<Json<Page<Action>>, Problem> {
    let limit = page_size(query.limit)?;
    let filter = ActionFilter {
        states: list("state", query.state.as_deref(), word)?,
        incident: query.incident,
        target: list("target", query.target.as_deref(), |t| t.parse().ok())?.into_iter().next(),
        since: read_time("since", query.since.as_deref())?,
        until: read_time("until", query.until.as_deref())?,
        after: read_cursor(query.after.as_deref())?,
        limit: limit + 1,
    };
    let found =
        app.meta.blocking(move |m| m.read(|read| read.actions(&caller.tenant, &filter))).await?;
    Ok(Json(Page::of(found, limit, |action| (action.created, action.id))))
}

/// One action with its history.
#[utoipa::path(get, path = "/api/v1/actions/{id}", tag = "actions", params(("id" = Uuid, Path)),
    responses((status = 200, body = Action), (status = "default", description = "problem", body = Problem)))]
pub async fn one(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Action>, Problem> {
    let found = app.meta.blocking(move |m| m.read(|read| read.action(&caller.tenant, id))).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("action", id))
}

async fn decide(
    app: App,
    caller: Principal,
    id: Uuid,
    act: Act,
    reason: String,
) -> Result<Json<Action>, Problem> {
    let reason = words("reason", &reason)?;
    let actor = caller.actor();
    let command = ActionCommand { id, act, actor, reason };
    Ok(Json(app.pipeline.act(caller.tenant, command).await?))
}

/// Say yes to a proposed action.
#[utoipa::path(post, path = "/api/v1/actions/{id}/approve", tag = "actions", params(("id" = Uuid, Path)), request_body = Reason,
    responses((status = 200, body = Action), (status = "default", description = "problem", body = Problem)))]
pub async fn approve(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Reason>,
) -> Result<Json<Action>, Problem> {
    decide(app, caller, id, Act::Approve, body.reason).await
}

/// Say no to a proposed action.
#[utoipa::path(post, path = "/api/v1/actions/{id}/reject", tag = "actions", params(("id" = Uuid, Path)), request_body = Reason,
    responses((status = 200, body = Action), (status = "default", description = "problem", body = Problem)))]
pub async fn reject(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Reason>,
) -> Result<Json<Action>, Problem> {
    decide(app, caller, id, Act::Reject, body.reason).await
}

/// Take an action in force back.
#[utoipa::path(post, path = "/api/v1/actions/{id}/undo", tag = "actions", params(("id" = Uuid, Path)), request_body = Reason,
    responses((status = 200, body = Action), (status = "default", description = "problem", body = Problem)))]
pub async fn undo(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Reason>,
) -> Result<Json<Action>, Problem> {
    decide(app, caller, id, Act::Undo, body.reason).await
}

/// Apply an action that ended again: a new action of the same kind, for as long as its policy says; this answers it. It waits where more than one approval is needed.
#[utoipa::path(post, path = "/api/v1/actions/{id}/reapply", tag = "actions", params(("id" = Uuid, Path)), request_body = Reason,
    responses((status = 200, body = Action), (status = "default", description = "problem", body = Problem)))]
pub async fn reapply(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Reason>,
) -> Result<Json<Action>, Problem> {
    decide(app, caller, id, Act::Reapply, body.reason).await
}

/// Let an action in force run longer.
#[utoipa::path(post, path = "/api/v1/actions/{id}/extend", tag = "actions", params(("id" = Uuid, Path)), request_body = Extend,
    responses((status = 200, body = Action), (status = "default", description = "problem", body = Problem)))]
pub async fn extend(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Extend>,
) -> Result<Json<Action>, Problem> {
    decide(app, caller, id, Act::Extend { until: body.until }, body.reason).await
}
