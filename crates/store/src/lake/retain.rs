//! What may go, and when: retention by class, and legal holds that stop it.

use super::files::DAY_MS;
use super::{Store, Tenant};
use crate::catalog::{Catalog, FileEntry, HoldRow};
use crate::{Result, StoreError};
use schema::{TenantId, Timestamp};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// How long a tenant keeps events. `None` is for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    pub days: Option<u32>,
    /// Classes with a rule of their own.
    pub class_days: BTreeMap<i64, Option<u32>>,
}

impl Retention {
    pub fn days_of(&self, class: i64) -> Option<u32> {
        self.class_days.get(&class).copied().unwrap_or(self.days)
    }
}

/// Events whose time lies in it stay, whatever retention says, until it is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The case it is for.
    pub name: String,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// What retention deleted, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    pub class: i64,
    /// Midnight (UTC) of the day the events happened.
    pub day: Timestamp,
    pub events: u64,
    /// Of Parquet.
    pub bytes: u64,
}

impl Store {
    /// Deletes what is older than `retention` allows at `now`, and says what.
    ///
    /// A day goes as a whole, when its last moment is older than the limit, and only what was also
    /// *received* before the limit: an event with a forged or wrong old time stays as long as any
    /// other. Long bodies nothing refers to any more go with it.
    pub async fn retain(
        &self,
        tenant: &TenantId,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Vec<Deletion>> {
        let Some(owner) = self.existing(tenant) else { return Ok(Vec::new()) };
        let (store, retention) = (self.clone(), retention.clone());
        self.to_the_end(async move {
            // What is in memory may be old as well.
            store.flush_tenant(&owner).await?;
            let _turn = owner.maintenance.lock().await;
            let (inner, owner) = (store.inner.clone(), owner.clone());
            store.blocking(move || delete(&inner.catalog, &owner, &retention, now)).await
        })
        .await
    }

    /// Keeps everything in a span of time from being deleted. The same name again replaces it.
    pub async fn hold(&self, tenant: &TenantId, hold: Hold) -> Result<()> {
        if hold.name.is_empty() || hold.from > hold.until {
            return Err(StoreError::new(
                "invalid-hold",
                format!(
                    "`{}` is not a hold: it needs a name, and to begin before it ends",
                    hold.name
                ),
                "give the case as its name, and `from` before `until`",
            ));
        }
        let (store, id) = (self.clone(), tenant.clone());
        self.blocking(move || {
            // Between judging and deleting nothing may be put on hold.
            let tenant = store.tenant(&id)?;
            let _turn = tenant.maintenance.blocking_lock();
            let row = HoldRow { name: hold.name, from: hold.from, until: hold.until };
            store.inner.catalog.put_hold(&id, &row)
        })
        .await
    }

    /// `false` when there is no hold of that name.
    pub async fn release(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        let (store, id, name) = (self.clone(), tenant.clone(), name.to_owned());
        self.blocking(move || store.inner.catalog.remove_hold(&id, &name)).await
    }

    pub async fn holds(&self, tenant: &TenantId) -> Result<Vec<Hold>> {
        let (store, id) = (self.clone(), tenant.clone());
        let rows = self.blocking(move || store.inner.catalog.holds(&id)).await?;
        Ok(rows
            .into_iter()
            .map(|HoldRow { name, from, until }| Hold { name, from, until })
            .collect())
    }
}

fn delete(
    catalog: &Catalog,
    owner: &Tenant,
    retention: &Retention,
    now: Timestamp,
) -> Result<Vec<Deletion>> {
    let holds = catalog.holds(&owner.id)?;
    let is_expired = |entry: &FileEntry| {
        let Some(days) = retention.days_of(entry.class) else { return false };
        let limit = now.saturating_sub(i64::from(days).saturating_mul(DAY_MS));
        let day_end = entry.day.saturating_add(1).saturating_mul(DAY_MS);
        let overlaps = |hold: &HoldRow| entry.time_max >= hold.from && entry.time_min <= hold.until;
        day_end <= limit && entry.received_max < limit && !holds.iter().any(overlaps)
    };
    let files = owner.files.read().unwrap_or_else(PoisonError::into_inner).clone();
    let expired: Vec<_> = files.into_iter().filter(|file| is_expired(&file.entry)).collect();
    let ids: Vec<i64> = expired.iter().map(|file| file.entry.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    catalog.commit_deletion(&owner.id, &ids)?;
    owner
        .files
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|file| !ids.contains(&file.entry.id));
    let mut deletions: BTreeMap<(i64, i64), Deletion> = BTreeMap::new();
    for file in expired {
        file.retire();
        let FileEntry { class, day, events, bytes, .. } = file.entry;
        let deletion = deletions.entry((class, day)).or_insert(Deletion {
            class,
            day: day.saturating_mul(DAY_MS),
            events: 0,
            bytes: 0,
        });
        deletion.events += events;
        deletion.bytes += bytes;
    }
    for digest in catalog.garbage(&owner.id)? {
        // What cannot be removed now is tried again at the next start: it stays in the catalog.
        if let Err(error) = owner.bodies.remove(digest) {
            tracing::warn!(tenant = %owner.id, %error, "cannot remove a body");
            return Ok(deletions.into_values().collect());
        }
    }
    catalog.garbage_removed(&owner.id)?;
    Ok(deletions.into_values().collect())
}
