//! Whether the server lives, is ready, and how a tenant's data stands.

use super::extract::Json;
use crate::app::{App, Blocking};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use schema::{TenantId, Timestamp};
use serde::Serialize;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// `ok`.
    pub status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct GatewayView {
    pub id: String,
    /// The newest restriction version it enforces.
    pub applied_version: u64,
    pub last_seen: Timestamp,
    /// Events it had to drop, in all.
    pub dropped: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LossView {
    pub source: String,
    pub since: Timestamp,
    pub until: Timestamp,
    pub reason: String,
    pub dropped: u64,
}

/// How this tenant stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    pub version: &'static str,
    pub tenant: TenantId,
    pub events: u64,
    /// Acknowledged and durable, not in the lake yet.
    pub events_unflushed: u64,
    pub lake_bytes: u64,
    pub lake_files: u64,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    /// Damaged stretches of acknowledged records ever met: anything but 0 is a disk to look at.
    pub corrupt_records: u64,
    pub restriction_version: u64,
    /// Events known to be dropped before they reached us.
    pub dropped: u64,
    /// The latest of them.
    pub losses: Vec<LossView>,
    pub gateways: Vec<GatewayView>,
    /// Ledger leaves waiting to be appended (at most 1000 are counted).
    pub leaves_pending: usize,
}

const LOSSES_SHOWN: usize = 20;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Status)))]
pub async fn healthz() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// The server takes requests: data opened, not shutting down.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Status), (status = 503, description = "problem", body = Problem)))]
pub async fn readyz(State(app): State<App>) -> Result<Json<Status>, Problem> {
    if app.is_ready.load(Ordering::Acquire) && !*app.ending.borrow() {
        return Ok(Json(Status { status: "ok" }));
    }
    Err(Problem::unavailable("not-ready", "the server is starting or shutting down"))
}

/// How the tenant's data, gateways and losses stand.
#[utoipa::path(get, path = "/api/v1/health", tag = "health",
    responses((status = 200, body = Health), (status = "default", description = "problem", body = Problem)))]
pub async fn details(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Health>, Problem> {
    let stats = app.store.tenant_stats(&caller.tenant);
    let tenant = caller.tenant.clone();
    let health = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| {
                let losses = read.losses(&tenant, LOSSES_SHOWN)?.into_iter();
                let gateways = read.gateways(&tenant)?.into_iter();
                Ok(Health {
                    version: env!("CARGO_PKG_VERSION"),
                    events: stats.events,
                    events_unflushed: stats.unflushed,
                    lake_bytes: stats.bytes,
                    lake_files: stats.files,
                    oldest: stats.oldest,
                    newest: stats.newest,
                    corrupt_records: stats.corrupt_records,
                    restriction_version: read.restriction_version(&tenant)?,
                    dropped: read.dropped_total(&tenant)?,
                    losses: losses
                        .map(|loss| LossView {
                            source: loss.source,
                            since: loss.since,
                            until: loss.until,
                            reason: loss.reason,
                            dropped: loss.dropped,
                        })
                        .collect(),
                    gateways: gateways
                        .map(|gateway| GatewayView {
                            id: gateway.id,
                            applied_version: gateway.applied_version,
                            last_seen: gateway.last_seen,
                            dropped: gateway.dropped,
                        })
                        .collect(),
                    leaves_pending: read.pending_leaves(&tenant, 1_000)?.len(),
                    tenant,
                })
            })
        })
        .await?;
    Ok(Json(health))
}
