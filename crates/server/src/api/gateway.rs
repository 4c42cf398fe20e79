//! Gateways: what to enforce, what is enforced, and what was lost.

use super::extract::{Json, Params};
use super::intake::SOURCE_CHARS_MAX;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schema::{LeafKind, Restrictions, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::meta::Loss;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RestrictionsQuery {
    /// The version the gateway has; absent when it has none.
    pub after: Option<u64>,
    /// Seconds to wait for a newer one; 0 to 60.
    pub wait: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    pub gateway: String,
    /// The restriction version it enforces now.
    pub version: u64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LossReport {
    /// The gateway or sensor.
    pub gateway: String,
    pub dropped: u64,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Permanent code: `spool-full`…
    pub reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LossAnswer {
    /// False when this was told before.
    pub counted: bool,
}

const WAIT_SECS_MAX: u64 = 60;
const REASON_CHARS_MAX: usize = 64;

/// The restrictions in force, once they are newer than `after`; 304 when they are not within `wait`.
#[utoipa::path(get, path = "/api/v1/gateway/restrictions", tag = "gateway", params(RestrictionsQuery),
    responses((status = 200, body = Restrictions), (status = 304, description = "nothing newer"), (status = "default", description = "problem", body = Problem)))]
pub async fn restrictions(
    State(app): State<App>,
    Caller(caller): Caller,
    headers: HeaderMap,
    Params(query): Params<RestrictionsQuery>,
) -> Result<Response, Problem> {
    let wait = query.wait.unwrap_or(0);
    if wait > WAIT_SECS_MAX {
        return Err(Problem::bad_request(
            "wait-invalid",
            format!("`wait` is {wait}, and should be 0 to {WAIT_SECS_MAX} seconds"),
        ));
    }
    if let Some(gateway) = headers.get("plura-source").and_then(|value| value.to_str().ok()) {
        let gateway = name(gateway)?;
        let tenant = caller.tenant.clone();
        app.meta
            .blocking(move |meta| {
                let time = now();
                if meta.read(|read| read.gateway_seen_is_due(&tenant, &gateway, time))? {
                    meta.write(|tx| tx.gateway_seen(&tenant, &gateway, time))?;
                }
                Ok(())
            })
            .await?;
    }
    let mut watch = app.pipeline.restrictions(caller.tenant).await?;
    let mut ending = app.ending.clone();
    let is_newer =
        |r: &std::sync::Arc<Restrictions>| query.after.is_none_or(|after| r.version != after);
    let newer = tokio::select! {
        newer = watch.wait_for(is_newer) => newer.ok().map(|found| found.as_ref().clone()),
        () = tokio::time::sleep(Duration::from_secs(wait)) => None,
        _ = ending.wait_for(|ending| *ending) => None,
    };
    Ok(match newer {
        Some(restrictions) => Json(restrictions).into_response(),
        None => StatusCode::NOT_MODIFIED.into_response(),
    })
}

fn name(text: &str) -> Result<String, Problem> {
    let is_printable = text.chars().all(|c| !c.is_control());
    if text.is_empty() || text.chars().count() > SOURCE_CHARS_MAX || !is_printable {
        return Err(Problem::bad_request(
            "gateway-invalid",
            format!("a gateway's id is 1 to {SOURCE_CHARS_MAX} printable characters"),
        ));
    }
    Ok(text.to_owned())
}

/// The gateway enforces a version.
#[utoipa::path(post, path = "/api/v1/gateway/applied", tag = "gateway", request_body = Applied,
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn applied(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<Applied>,
) -> Result<StatusCode, Problem> {
    let gateway = name(&body.gateway)?;
    app.pipeline.applied(caller.tenant, gateway, body.version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events were dropped before they could be sent. Told twice, counted once.
#[utoipa::path(post, path = "/api/v1/gateway/loss", tag = "gateway", request_body = LossReport,
    responses((status = 200, body = LossAnswer), (status = "default", description = "problem", body = Problem)))]
pub async fn loss(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<LossReport>,
) -> Result<Json<LossAnswer>, Problem> {
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if body.reason.is_empty()
        || body.reason.len() > REASON_CHARS_MAX
        || !body.reason.chars().all(is_code)
        || body.since > body.until
        || i64::try_from(body.dropped).is_err()
    {
        return Err(Problem::bad_request(
            "loss-invalid",
            "a loss has a kebab-case reason, a count, and a beginning before its end",
        ));
    }
    let time = now();
    let loss = Loss {
        source: name(&body.gateway)?,
        since: body.since,
        until: body.until,
        reason: body.reason,
        dropped: body.dropped,
        received: time,
    };
    let counted = record_loss(&app, caller.tenant, loss, new_id(time)?).await?;
    Ok(Json(LossAnswer { counted }))
}

/// Counts a loss and attests it.
pub async fn record_loss(
    app: &App,
    tenant: schema::TenantId,
    loss: Loss,
    subject: uuid::Uuid,
) -> Result<bool, Problem> {
    let counted = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.gateway_seen(&tenant, &loss.source, loss.received)?;
                let is_new = tx.add_loss(&tenant, &loss)?;
                if is_new {
                    let actor = format!("gateway:{}", loss.source);
                    let what = (&loss.source, loss.since, loss.until, &loss.reason, loss.dropped);
                    tx.attest(&[deeds::leaf(
                        &tenant,
                        LeafKind::IntakeLoss,
                        &actor,
                        subject,
                        &what,
                        &loss.reason,
                        loss.received,
                    )])?;
                }
                Ok(is_new)
            })
        })
        .await?;
    app.ledgers.wake();
    Ok(counted)
}
