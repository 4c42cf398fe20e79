//! The response policy: the text in force, its history, and a check before it is used.

use super::extract::{Json, Params, Path, page_size, words};
use crate::app::{App, Blocking};
use crate::handle::{PolicyChange, parse_policy};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use schema::{Diagnostic, Timestamp};
use serde::{Deserialize, Serialize};
use store::meta::Policy;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    pub version: u32,
    /// YAML.
    pub text: String,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// YAML; see docs/response.md.
    pub text: String,
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    pub text: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyCheck {
    pub valid: bool,
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Versions below this one.
    pub before: Option<u32>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

fn view(policy: Policy) -> PolicyView {
    let Policy { version, text, author, reason, created } = policy;
    PolicyView { version, text, author, reason, created }
}

fn shipped() -> Problem {
    Problem::new(
        axum::http::StatusCode::NOT_FOUND,
        "policy-missing",
        "this tenant has no policy of its own: the ones Plura ships are in force",
    )
    .hint("put one with `PUT /api/v1/policy`")
}

/// The policy in force.
#[utoipa::path(get, path = "/api/v1/policy", tag = "policies",
    responses((status = 200, body = PolicyView), (status = "default", description = "problem", body = Problem)))]
pub async fn current(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<PolicyView>, Problem> {
    let found = app.meta.blocking(move |m| m.read(|read| read.policy(&caller.tenant))).await?;
    found.map(|policy| Json(view(policy))).ok_or_else(shipped)
}

/// Replace the policy. A text with faults is refused whole; the same text again is the same version.
#[utoipa::path(put, path = "/api/v1/policy", tag = "policies", request_body = NewPolicy,
    responses((status = 200, body = PolicyView), (status = "default", description = "problem", body = Problem)))]
pub async fn replace(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewPolicy>,
) -> Result<Json<PolicyView>, Problem> {
    let reason = words("reason", &body.reason)?;
    let change = PolicyChange { text: body.text, actor: caller.actor(), reason };
    Ok(Json(view(app.pipeline.put_policy(caller.tenant, change).await?)))
}

/// Check a policy text without using it.
#[utoipa::path(post, path = "/api/v1/policy/check", tag = "policies", request_body = PolicyText,
    responses((status = 200, body = PolicyCheck), (status = "default", description = "problem", body = Problem)))]
pub async fn check(Json(body): Json<PolicyText>) -> Json<PolicyCheck> {
    let diagnostics = parse_policy(&body.text).err().map(|p| p.diagnostics).unwrap_or_default();
    Json(PolicyCheck { valid: diagnostics.is_empty(), diagnostics })
}

/// Earlier versions, newest first.
#[utoipa::path(get, path = "/api/v1/policy/versions", tag = "policies", params(HistoryQuery),
    responses((status = 200, body = [PolicyView]), (status = "default", description = "problem", body = Problem)))]
pub async fn history(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<Vec<PolicyView>>, Problem> {
    let limit = page_size(query.limit)?;
    let found = app
        .meta
        .blocking(move |m| m.read(|r| r.policy_history(&caller.tenant, query.before, limit)))
        .await?;
    Ok(Json(found.into_iter().map(view).collect()))
}

/// One version.
#[utoipa::path(get, path = "/api/v1/policy/versions/{version}", tag = "policies", params(("version" = u32, Path)),
    responses((status = 200, body = PolicyView), (status = "default", description = "problem", body = Problem)))]
pub async fn version(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(version): Path<u32>,
) -> Result<Json<PolicyView>, Problem> {
    let found = app
        .meta
        .blocking(move |m| m.read(|read| read.policy_version(&caller.tenant, version)))
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("policy version", version))?;
    Ok(Json(view(found)))
}
