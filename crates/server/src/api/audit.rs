//! The audit log: ledger entries, the signed checkpoint, and proofs.

use super::extract::{Json, Params, Path, page_size};
use crate::app::{App, Blocking, in_background};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use data_encoding::BASE64;
use schema::Leaf;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Entries from this index on; without it, and without `subject`, the latest.
    pub from: Option<u64>,
    /// Only entries about this record.
    pub subject: Option<Uuid>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// Its place in the ledger.
    pub index: u64,
    pub leaf: Leaf,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Checkpoint {
    /// A signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// The key that checks it. Get it once by another way: who forges the ledger forges this answer too.
    pub verifier: String,
    pub size: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProofView {
    pub index: u64,
    pub leaf: Leaf,
    /// RFC 6962 inclusion path, base64, from the leaf's sibling upwards.
    pub path: Vec<String>,
    /// Leaves in the tree of the checkpoint.
    pub size: u64,
    pub checkpoint: String,
}

/// Ledger entries, oldest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = [Entry]), (status = "default", description = "problem", body = Problem)))]
pub async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let limit = page_size(query.limit)?;
    let (ledgers, tenant) = (app.ledgers.clone(), caller.tenant.clone());
    in_background(move || ledgers.drain(&tenant)).await??;
    let tenant = caller.tenant;
    let entries = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| match (query.subject, query.from) {
                (Some(subject), _) => read.leaves_about(&tenant, subject, limit),
                (None, Some(from)) => read.ledger_entries(&tenant, from, limit),
                (None, None) => {
                    let all = read.appended_leaves(&tenant)?;
                    read.ledger_entries(&tenant, all.saturating_sub(limit as u64), limit)
                }
            })
        })
        .await?;
    Ok(Json(entries.into_iter().map(|(index, leaf)| Entry { index, leaf }).collect()))
}

/// The newest checkpoint, with everything up to now in it.
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", tag = "audit",
    responses((status = 200, body = Checkpoint), (status = "default", description = "problem", body = Problem)))]
pub async fn checkpoint(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Checkpoint>, Problem> {
    let ledgers = app.ledgers.clone();
    let (checkpoint, verifier, size) =
        in_background(move || ledgers.checkpoint(&caller.tenant)).await??;
    Ok(Json(Checkpoint { checkpoint, verifier, size }))
}

/// That an entry is in the ledger.
#[utoipa::path(get, path = "/api/v1/audit/{index}/proof", tag = "audit", params(("index" = u64, Path)),
    responses((status = 200, body = ProofView), (status = "default", description = "problem", body = Problem)))]
pub async fn proof(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(index): Path<u64>,
) -> Result<Json<ProofView>, Problem> {
    let ledgers = app.ledgers.clone();
    let (proof, checkpoint) = in_background(move || ledgers.prove(&caller.tenant, index)).await??;
    Ok(Json(ProofView {
        index: proof.index,
        leaf: proof.leaf,
        path: proof.path.iter().map(|hash| BASE64.encode(&hash.0)).collect(),
        size: proof.size,
        checkpoint,
    }))
}
