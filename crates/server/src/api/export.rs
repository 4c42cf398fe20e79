//! The evidence package of an incident, for whoever has to verify it without us.

use super::extract::{Json, Path, Reason, words};
use crate::app::{App, Blocking, in_background};
use crate::handle::now;
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use evidence::{Package, PackageContents};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use store::EventFilter;
use store::meta::ActionFilter;
use uuid::Uuid;

/// Actions and events of one package; an incident beyond them is exported by its parts.
const ACTIONS_MAX: usize = 1_000;
const EVENTS_MAX: usize = 10_000;

/// Export incident, findings, actions and evidence events with their ledger proofs, signed.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/export", tag = "audit", params(("id" = Uuid, Path)), request_body = Reason,
    responses((status = 200, description = "an evidence package; `plura verify` checks it", body = Vec<u8>, content_type = "application/zstd"),
        (status = "default", description = "problem", body = Problem)))]
pub async fn export(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Reason>,
) -> Result<Response, Problem> {
    let reason = words("reason", &body.reason)?;
    let tenant = caller.tenant.clone();
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
                Ok(Some((incident, findings, read.actions(&tenant, &filter)?)))
            })
        })
        .await?;
    let (incident, findings, actions) = found.ok_or_else(|| Problem::not_found("incident", id))?;
    let cited: BTreeSet<Uuid> = findings.iter().flat_map(|f| f.evidence.iter().copied()).collect();
    let filter = EventFilter {
        ids: cited.into_iter().take(EVENTS_MAX).collect(),
        limit: EVENTS_MAX,
        ..EventFilter::default()
    };
    let events = match filter.ids.is_empty() {
        true => Vec::new(),
        false => app.store.events(&caller.tenant, &filter).await?,
    };
    let contents = PackageContents {
        tenant: caller.tenant.clone(),
        created: now(),
        incident: value(&incident)?,
        findings: findings.iter().map(value).collect::<Result<_, _>>()?,
        actions: actions.iter().map(value).collect::<Result<_, _>>()?,
        events: events.iter().map(value).collect::<Result<_, _>>()?,
    };
    let short: String = reason.chars().take(200).collect();
    let leaves = contents.export_leaves(&caller.actor(), &short).map_err(refused)?;
    app.meta.blocking(move |meta| meta.write(|tx| tx.attest(&leaves))).await?;
    app.ledgers.wake();
    let ledgers = app.ledgers.clone();
    let tenant = caller.tenant.clone();
    let package =
        in_background(move || ledgers.with(&tenant, |ledger| Package::build(ledger, &contents)))
            .await?;
    let package = package.map_err(|error| match error {
        crate::ledgers::LedgersError::Ledger(error) => refused(error),
        other => other.into(),
    })?;
    let digest = package.summary().digest.to_hex();
    let mut response = package.into_bytes().into_response();
    let named = format!("attachment; filename=\"incident-{id}.plura\"");
    for (name, text) in [
        (header::CONTENT_TYPE, "application/zstd"),
        (header::CONTENT_DISPOSITION, named.as_str()),
        (HeaderName::from_static("plura-package-sha256"), digest.as_str()),
    ] {
        let text = HeaderValue::from_str(text).map_err(|cause| Problem::internal(&cause))?;
        response.headers_mut().insert(name, text);
    }
    Ok(response)
}

fn value(record: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(record).map_err(|cause| Problem::internal(&cause))
}

fn refused(error: evidence::Error) -> Problem {
    match error {
        // Somebody changed the incident while we read it.
        evidence::Error::RecordMismatch { .. } => Problem::new(
            StatusCode::CONFLICT,
            "record-changed",
            "the incident changed while it was exported",
        )
        .hint("export it again"),
        evidence::Error::PackageTooLarge { .. } => {
            Problem::new(StatusCode::CONFLICT, error.code(), error.to_string())
        }
        other => Problem::internal(&other),
    }
}
