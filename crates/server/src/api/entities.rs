//! Entities: what a credential, account, session, endpoint, device or address did, and what holds it.

use super::extract::{Json, Page, Params, Path, page_size, read_cursor, read_time};
use crate::app::{App, Blocking};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use schema::{Entity, Event, Finding, Incident, Restriction, Restrictions};
use serde::{Deserialize, Serialize};
use store::EventFilter;
use store::meta::{FindingFilter, IncidentFilter};
use utoipa::{IntoParams, ToSchema};

/// What is known of an entity now.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntityView {
    pub entity: Entity,
    /// In force on it now.
    pub restrictions: Vec<Restriction>,
    /// The latest that name it.
    pub incidents: Vec<Incident>,
    /// The latest that name it.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// From this time on (RFC 3339 or milliseconds).
    pub since: Option<String>,
    /// Before this time.
    pub until: Option<String>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

/// Incidents and findings shown with an entity.
const NAMED_MAX: usize = 20;

/// What holds an entity now, and which incidents and findings name it.
#[utoipa::path(get, path = "/api/v1/entities/{entity}", tag = "entities",
    params(("entity" = String, Path, description = "`kind:value`, percent-encoded")),
    responses((status = 200, body = EntityView), (status = "default", description = "problem", body = Problem)))]
pub async fn one(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(entity): Path<Entity>,
) -> Result<Json<EntityView>, Problem> {
    let in_force = current(&app, &caller.tenant).await?.restrictions;
    let restrictions = in_force.into_iter().filter(|r| r.target == entity).collect();
    let (tenant, named) = (caller.tenant, Some(entity.clone()));
    let (incidents, findings) = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| {
                let entity = named.clone();
                let incidents =
                    IncidentFilter { entity, limit: NAMED_MAX, ..IncidentFilter::default() };
                let findings =
                    FindingFilter { entity: named, limit: NAMED_MAX, ..FindingFilter::default() };
                Ok((read.incidents(&tenant, &incidents)?, read.findings(&tenant, &findings)?))
            })
        })
        .await?;
    Ok(Json(EntityView { entity, restrictions, incidents, findings }))
}

/// The events an entity took part in, newest first.
#[utoipa::path(get, path = "/api/v1/entities/{entity}/timeline", tag = "entities",
    params(("entity" = String, Path, description = "`kind:value`, percent-encoded"), TimelineQuery),
    responses((status = 200, body = Page<Event>), (status = "default", description = "problem", body = Problem)))]
pub async fn timeline(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(entity): Path<Entity>,
    Params(query): Params<TimelineQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let limit = page_size(query.limit)?;
    let filter = EventFilter {
        entities: vec![entity],
        from: read_time("since", query.since.as_deref())?,
        until: read_time("until", query.until.as_deref())?,
        after: read_cursor(query.after.as_deref())?
            .map(|c| store::Cursor { time: c.time, id: c.id }),
        limit: limit + 1,
        ..EventFilter::default()
    };
    let events = app.store.events(&caller.tenant, &filter).await?;
    Ok(Json(Page::of(events, limit, |event| (event.time, event.id))))
}

async fn current(app: &App, tenant: &schema::TenantId) -> Result<Restrictions, Problem> {
    let watch = app.pipeline.restrictions(tenant.clone()).await?;
    let restrictions = watch.borrow().as_ref().clone();
    Ok(restrictions)
}

/// Everything in force in this tenant now.
#[utoipa::path(get, path = "/api/v1/restrictions", tag = "entities",
    responses((status = 200, body = Restrictions), (status = "default", description = "problem", body = Problem)))]
pub async fn restrictions(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Restrictions>, Problem> {
    Ok(Json(current(&app, &caller.tenant).await?))
}
