//! Incidents: the story, and people's work on it.

use super::extract::{
    Json, Page, Params, Path, list, page_size, read_cursor, read_time, word, words,
};
use crate::app::{App, Blocking};
use crate::handle::{Amendment, now};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::HeaderMap;
use schema::{Action, Classification, Finding, Incident, IncidentStatus};
use serde::{Deserialize, Deserializer, Serialize};
use store::meta::{ActionFilter, IncidentFilter, Meta};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// `new`, `in-progress`, `on-hold`, `resolved`, `closed`; several with commas.
    pub status: Option<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`, and above.
    pub severity: Option<String>,
    /// A user id.
    pub assignee: Option<String>,
    /// The rule the incident is named after.
    pub title: Option<String>,
    /// `kind:value`.
    pub entity: Option<String>,
    /// Opened from this time on (RFC 3339 or milliseconds).
    pub since: Option<String>,
    /// Opened before this time.
    pub until: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

/// An incident with the records it tells of.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentView {
    pub incident: Incident,
    pub findings: Vec<Finding>,
    pub actions: Vec<Action>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentChange {
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// A user id of this tenant; `null` takes it from whoever has it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Uuid>)]
    pub assignee: Option<Option<Uuid>>,
    #[serde(default)]
    pub classification: Option<Classification>,
    /// Number or `https` address of a ticket elsewhere, 500 characters at most; `null` takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub ticket: Option<Option<String>>,
}

/// Tells `null` from absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    pub text: String,
}

/// Comments of one incident; a longer discussion belongs into a ticket.
const COMMENTS_MAX: usize = 1_000;
/// Actions shown with an incident.
const ACTIONS_MAX: usize = 500;
const TICKET_CHARS_MAX: usize = 500;
const KEY_CHARS_MAX: usize = 128;

/// Incidents, newest first.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", params(IncidentQuery),
    responses((status = 200, body = Page<Incident>), (status = "default", description = "problem", body = Problem)))]
pub async fn list_incidents(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<IncidentQuery>,
) -> Result<Json<Page<Incident>>, Problem> {
    let limit = page_size(query.limit)?;
    let filter = IncidentFilter {
        statuses: list("status", query.status.as_deref(), word)?,
        severity_min: list("severity", query.severity.as_deref(), word)?.into_iter().next(),
        assignee: query.assignee,
        title: query.title,
        entity: list("entity", query.entity.as_deref(), |t| t.parse().ok())?.into_iter().next(),
        since: read_time("since", query.since.as_deref())?,
        until: read_time("until", query.until.as_deref())?,
        after: read_cursor(query.after.as_deref())?,
        limit: limit + 1,
    };
    let found =
        app.meta.blocking(move |m| m.read(|read| read.incidents(&caller.tenant, &filter))).await?;
    Ok(Json(Page::of(found, limit, |incident| (incident.opened, incident.id))))
}

/// One incident with its findings and actions.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", params(("id" = Uuid, Path)),
    responses((status = 200, body = IncidentView), (status = "default", description = "problem", body = Problem)))]
pub async fn one(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<IncidentView>, Problem> {
    let tenant = caller.tenant;
    let found = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| {
                let Some(incident) = read.incident(&tenant, id)? else { return Ok(None) };
                let findings = read.findings_by_id(&tenant, &incident.findings)?;
                let filter = ActionFilter {
                    incident: Some(id),
                    limit: ACTIONS_MAX,
                    ..ActionFilter::default()
                };
                let actions = read.actions(&tenant, &filter)?;
                Ok(Some(IncidentView { incident, findings, actions }))
            })
        })
        .await?;
    found.map(Json).ok_or_else(|| Problem::not_found("incident", id))
}

fn ticket(text: &str) -> Result<String, Problem> {
    let text = words("ticket", text)?;
    if text.chars().count() > TICKET_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(Problem::bad_request(
            "ticket-invalid",
            format!("a ticket is one line of at most {TICKET_CHARS_MAX} characters"),
        )
        .hint("give its number or its address"));
    }
    Ok(text)
}

/// Change status, assignee, classification or ticket.
#[utoipa::path(patch, path = "/api/v1/incidents/{id}", tag = "incidents", params(("id" = Uuid, Path)), request_body = IncidentChange,
    responses((status = 200, body = Incident), (status = "default", description = "problem", body = Problem)))]
pub async fn update(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(change): Json<IncidentChange>,
) -> Result<Json<Incident>, Problem> {
    if let Some(Some(assignee)) = change.assignee {
        let user = app.meta.blocking(move |meta| meta.read(|read| read.user(assignee))).await?;
        user.filter(|user| user.roles.contains_key(&caller.tenant))
            .ok_or_else(|| Problem::not_found("user", assignee))?;
    }
    let amendment = Amendment {
        status: change.status,
        assignee: change.assignee.map(|user| user.map(|user| user.to_string())),
        classification: change.classification,
        ticket: change.ticket.map(|text| text.as_deref().map(ticket).transpose()).transpose()?,
        ..Amendment::default()
    };
    let actor = caller.actor();
    Ok(Json(app.pipeline.amend(caller.tenant, id, actor, amendment).await?))
}

/// Add a comment. With an `Idempotency-Key`, sending it again adds nothing.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/comments", tag = "incidents", request_body = NewComment,
    params(("id" = Uuid, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Incident), (status = "default", description = "problem", body = Problem)))]
pub async fn comment(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(body): Json<NewComment>,
) -> Result<Json<Incident>, Problem> {
    let text = words("text", &body.text)?;
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or_default());
    let key = key.map(|key| format!("comment:{id}:{key}"));
    if key.as_ref().is_some_and(|key| key.chars().count() > KEY_CHARS_MAX + 45) {
        return Err(Problem::bad_request("text-too-long", "the `Idempotency-Key` is too long"));
    }
    let (tenant, actor) = (caller.tenant.clone(), caller.actor());
    let known = app
        .meta
        .blocking(move |meta| meta.read(|read| read.incident(&tenant, id)))
        .await?
        .ok_or_else(|| Problem::not_found("incident", id))?;
    if known.comments.len() >= COMMENTS_MAX {
        return Err(Problem::new(
            axum::http::StatusCode::CONFLICT,
            "too-many-comments",
            format!("an incident holds at most {COMMENTS_MAX} comments"),
        )
        .hint("go on in a ticket, and name it in the last comment"));
    }
    if let Some(key) = key.clone() {
        let (tenant, actor) = (caller.tenant.clone(), actor.clone());
        let seen = app.meta.blocking(move |m| m.read(|read| read.has_key(&tenant, &actor, &key)));
        if seen.await? {
            return Ok(Json(known));
        }
    }
    let amendment = Amendment { comment: Some(text), ..Amendment::default() };
    let tenant = caller.tenant.clone();
    let incident = app.pipeline.amend(tenant, id, actor.clone(), amendment).await?;
    if let Some(key) = key {
        // After the comment: a crash in between may double it, the other way round would lose it.
        let note =
            move |meta: &Meta| meta.write(|tx| tx.note_key(&caller.tenant, &actor, &key, now()));
        app.meta.blocking(note).await?;
    }
    Ok(Json(incident))
}
