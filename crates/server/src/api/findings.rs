//! Findings: what the rules said.

use super::extract::{Json, Page, Params, Path, list, page_size, read_cursor, read_time, word};
use crate::app::{App, Blocking};
use crate::identity::Caller;
use crate::problem::Problem;
use crate::rights::Right;
use axum::extract::State;
use schema::Finding;
use serde::Deserialize;
use store::meta::FindingFilter;
use utoipa::IntoParams;
use uuid::Uuid;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingQuery {
    /// The rule, by name.
    pub rule: Option<String>,
    /// `shadow`, `canary` or `enforce`.
    pub stage: Option<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`, and above.
    pub severity: Option<String>,
    /// `kind:value`.
    pub entity: Option<String>,
    /// From this time on (RFC 3339 or milliseconds).
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

/// Findings, newest first.
#[utoipa::path(get, path = "/api/v1/findings", tag = "incidents", params(FindingQuery),
    responses((status = 200, body = Page<Finding>), (status = "default", description = "problem", body = Problem)))]
pub async fn list_findings(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<FindingQuery>,
) -> Result<Json<Page<Finding>>, Problem> {
    let limit = page_size(query.limit)?;
    let filter = FindingFilter {
        rule: query.rule,
        stage: list("stage", query.stage.as_deref(), word)?.into_iter().next(),
        severity_min: list("severity", query.severity.as_deref(), word)?.into_iter().next(),
        entity: list("entity", query.entity.as_deref(), |t| t.parse().ok())?.into_iter().next(),
        since: read_time("since", query.since.as_deref())?,
        until: read_time("until", query.until.as_deref())?,
        after: read_cursor(query.after.as_deref())?,
        limit: limit + 1,
    };
    let may_read = caller.rights.has(Right::EventsRead);
    let mut found =
        app.meta.blocking(move |m| m.read(|read| read.findings(&caller.tenant, &filter))).await?;
    found.iter_mut().for_each(|finding| without_values(finding, may_read));
    Ok(Json(Page::of(found, limit, |finding| (finding.time, finding.id))))
}

/// One finding.
#[utoipa::path(get, path = "/api/v1/findings/{id}", tag = "incidents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Finding), (status = "default", description = "problem", body = Problem)))]
pub async fn one(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Finding>, Problem> {
    let may_read = caller.rights.has(Right::EventsRead);
    let found = app.meta.blocking(move |m| m.read(|read| read.finding(&caller.tenant, id))).await?;
    let mut found = found.ok_or_else(|| Problem::not_found("finding", id))?;
    without_values(&mut found, may_read);
    Ok(Json(found))
}

/// Values of events are for those who may read events.
fn without_values(finding: &mut Finding, may_read: bool) {
    if let Some(analytic) = finding.analytic.as_mut().filter(|_| !may_read) {
        analytic.matched.iter_mut().for_each(|matched| matched.value = "****".to_owned());
    }
}
