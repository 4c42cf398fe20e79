//! Tenants: whose data this is, and how far Plura may go on its own.

use super::extract::{Json, words};
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use schema::{LeafKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::meta::{MetaError, Mode, RetentionDays, Role, Tenant};
use utoipa::ToSchema;

/// How long events are kept, in days; absent is for ever.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    #[serde(default)]
    pub default_days: Option<u32>,
    /// By OCSF `class_uid`, where it differs.
    #[serde(default)]
    pub class_days: BTreeMap<i64, u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TenantView {
    pub id: TenantId,
    pub name: String,
    /// `observe`, `canary` or `enforce`.
    #[schema(value_type = String)]
    pub mode: Mode,
    pub retention: Retention,
    pub created: Timestamp,
    /// The caller's role there.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    pub id: TenantId,
    pub name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub retention: Option<Retention>,
    pub reason: String,
}

/// Days that fit into every calendar here.
const RETENTION_DAYS_MAX: u32 = 36_500;

fn is_kept(retention: &RetentionDays) -> bool {
    let mut days = retention.default_days.iter().chain(retention.class_days.values());
    days.all(|days| (1..=RETENTION_DAYS_MAX).contains(days))
}

fn view(tenant: Tenant, role: Option<Role>) -> TenantView {
    let RetentionDays { default_days, class_days } = tenant.retention;
    TenantView {
        id: tenant.id,
        name: tenant.name,
        mode: tenant.mode,
        retention: Retention { default_days, class_days },
        created: tenant.created,
        role,
    }
}

/// The tenants the caller belongs to.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants",
    responses((status = 200, body = [TenantView]), (status = "default", description = "problem", body = Problem)))]
pub async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<TenantView>>, Problem> {
    let mut ids: Vec<(TenantId, Option<Role>)> =
        caller.tenants.into_iter().map(|(id, role)| (id, Some(role))).collect();
    if ids.is_empty() {
        ids.push((caller.tenant, None));
    }
    let found = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| {
                let mut found = Vec::new();
                for (id, role) in ids {
                    found.extend(read.tenant(&id)?.map(|tenant| view(tenant, role)));
                }
                Ok(found)
            })
        })
        .await?;
    Ok(Json(found))
}

/// Make a tenant; the caller becomes its owner. In the home tenant only.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, body = TenantView), (status = "default", description = "problem", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewTenant>,
) -> Result<(StatusCode, Json<TenantView>), Problem> {
    let tenant = Tenant {
        id: body.id,
        name: words("name", &body.name)?,
        mode: Mode::default(),
        retention: RetentionDays::default(),
        created: now(),
    };
    let (actor, user) = (caller.actor(), caller.user);
    let subject = new_id(tenant.created)?;
    let made = tenant.clone();
    app.meta
        .blocking(move |meta| {
            let leaf = |of: &TenantId| {
                let what = (tenant.id.as_str(), &tenant.name);
                let kind = LeafKind::ConfigChange;
                deeds::leaf(of, kind, &actor, subject, &what, "tenant-created", tenant.created)
            };
            meta.write(|tx| {
                tx.create_tenant(&tenant)?;
                tx.set_role(&tenant.id, user, Role::Owner)?;
                tx.attest(&[leaf(&caller.tenant), leaf(&tenant.id)])
            })
        })
        .await?;
    app.ledgers.wake();
    app.pipeline.tenant_changed(made.clone()).await?;
    Ok((StatusCode::CREATED, Json(view(made, Some(Role::Owner)))))
}

/// Change the tenant's name, mode or retention.
#[utoipa::path(patch, path = "/api/v1/tenant", tag = "tenants", request_body = TenantChange,
    responses((status = 200, body = TenantView), (status = "default", description = "problem", body = Problem)))]
pub async fn update(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(change): Json<TenantChange>,
) -> Result<Json<TenantView>, Problem> {
    words("reason", &change.reason)?;
    let name = change.name.map(|name| words("name", &name)).transpose()?;
    let retention = change
        .retention
        .map(|r| RetentionDays { default_days: r.default_days, class_days: r.class_days });
    if retention.as_ref().is_some_and(|retention| !is_kept(retention)) {
        return Err(Problem::bad_request(
            "retention-invalid",
            format!("a retention is 1 to {RETENTION_DAYS_MAX} days"),
        )
        .hint("leave it out to keep events for ever"));
    }
    let (actor, id, role) = (caller.actor(), caller.tenant, caller.role);
    let (time, reason) = (now(), change.reason);
    let subject = new_id(time)?;
    let tenant = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                let missing = || MetaError::Missing(id.to_string());
                let before = tx.tenant(&id)?.ok_or_else(missing)?;
                let tenant = Tenant {
                    name: name.unwrap_or_else(|| before.name.clone()),
                    mode: change.mode.unwrap_or(before.mode),
                    retention: retention.unwrap_or_else(|| before.retention.clone()),
                    ..before.clone()
                };
                if tenant != before {
                    tx.update_tenant(&tenant)?;
                    let what = (&tenant.name, tenant.mode, &tenant.retention, &reason);
                    let code = format!("mode-{}", tenant.mode);
                    let kind = LeafKind::ConfigChange;
                    tx.attest(&[deeds::leaf(&id, kind, &actor, subject, &what, &code, time)])?;
                }
                Ok(tenant)
            })
        })
        .await?;
    app.ledgers.wake();
    app.pipeline.tenant_changed(tenant.clone()).await?;
    Ok(Json(view(tenant, role)))
}
