//! Retention: what a tenant no longer wants kept goes, and the ledger says so.

use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use schema::{LeafKind, Timestamp};
use std::time::Duration;
use store::Retention;
use store::meta::{RetentionDays, Tenant};

/// Days go as a whole, so looking more often finds nothing more.
const EVERY: Duration = Duration::from_secs(3600);
/// Records of trust decisions: this long, and as many of the newest of each tenant (about 4 KiB
/// each). Their leaves stay in the ledger.
const DECISIONS_KEPT_MS: i64 = 90 * 24 * 3600 * 1000;
const DECISIONS_KEPT: usize = 100_000;
/// The first look waits until the start is over.
const FIRST: Duration = Duration::from_secs(60);

/// Applies every tenant's retention, hourly, until the app ends.
pub async fn run(app: App) {
    let mut ending = app.ending.clone();
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = ending.wait_for(|ending| *ending) => return,
        }
        wait = EVERY;
        if let Err(problem) = apply(&app, now()).await {
            tracing::warn!(%problem, "retention could not be applied; it is tried again in an hour");
        }
    }
}

/// Deletes what is due at `now` in every tenant that limits its retention, and attests it.
pub async fn apply(app: &App, now: Timestamp) -> Result<(), Problem> {
    let tenants = app.meta.blocking(|meta| meta.read(|read| read.tenants())).await?;
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant.id.clone()).collect();
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                for tenant in &ids {
                    tx.forget_trust_decisions(tenant, now - DECISIONS_KEPT_MS, DECISIONS_KEPT)?;
                }
                tx.forget_seen_tokens(now - crate::ssf::SEEN_KEPT_MS)
            })
        })
        .await?;
    for tenant in tenants.into_iter().filter(|t| t.retention != RetentionDays::default()) {
        apply_to(app, tenant, now).await?;
    }
    Ok(())
}

async fn apply_to(app: &App, tenant: Tenant, now: Timestamp) -> Result<(), Problem> {
    let RetentionDays { default_days, class_days } = tenant.retention;
    let class_days = class_days.into_iter().map(|(class, days)| (class, Some(days))).collect();
    let retention = Retention { days: default_days, class_days };
    let deletions = app.store.retain(&tenant.id, &retention, now).await?;
    if deletions.is_empty() {
        return Ok(());
    }
    let mut leaves = Vec::with_capacity(deletions.len());
    for deletion in &deletions {
        let what = (deletion.class, deletion.day, deletion.events, deletion.bytes);
        let kind = LeafKind::RetentionDeletion;
        let code = format!("class-{}", deletion.class);
        leaves.push(deeds::leaf(&tenant.id, kind, "system", new_id(now)?, &what, &code, now));
    }
    app.meta.blocking(move |meta| meta.write(|tx| tx.attest(&leaves))).await?;
    app.ledgers.wake();
    Ok(())
}
