use super::files::{self, LakeFile};
use super::{Store, Tenant};
use crate::{Result, StoreError, log};
use std::sync::{Arc, PoisonError};

/// Between any two of these a flush may be cut off; a test does it.
#[cfg(test)]
pub(crate) const STEPS: [&str; 5] = ["sealed", "written", "committed", "swapped", "truncated"];

impl Store {
    /// Moves what is in memory and in the log to the lake.
    ///
    /// Files are written and synced first, then one catalog commit makes them visible together
    /// with the log position and what was seen; then the log lets go. Cut off before the commit,
    /// the files are orphans and the log is read again; cut off after it, the log's segments are
    /// known to be in the lake and are removed at the next start.
    pub(crate) async fn flush_tenant(&self, tenant: &Arc<Tenant>) -> Result<()> {
        let _turn = tenant.maintenance.lock().await;
        if tenant.intake.stats().unflushed == 0 {
            return Ok(());
        }
        let sealed = tenant.intake.seal().await?;
        self.stops_after("sealed")?;

        let (store, owner) = (self.clone(), tenant.clone());
        let (sealed, entries) = self
            .blocking(move || {
                let faults = &store.inner.faults;
                let written =
                    files::write_chunks(&owner.root, &owner.bodies, &sealed.chunks, faults)?;
                store.stops_after("written")?;
                // After a failed commit the files stay until the next start: only then is it
                // certain that the catalog does not have them.
                let entries = store.inner.catalog.commit_flush(&owner.id, written, &sealed)?;
                Ok((sealed, entries))
            })
            .await?;
        self.stops_after("committed")?;

        {
            let mut files = tenant.files.write().unwrap_or_else(PoisonError::into_inner);
            let mut buffer = tenant.intake.lock_buffer();
            files.extend(entries.into_iter().map(|entry| LakeFile::new(&tenant.root, entry)));
            buffer.release(sealed.through_segment);
        }
        self.stops_after("swapped")?;

        for number in log::segments(tenant.intake.folder())? {
            if number <= sealed.through_segment {
                log::remove_segment(tenant.intake.folder(), number)?;
            }
        }
        self.stops_after("truncated")?;
        tenant.intake.saved(sealed.seen).await;
        Ok(())
    }

    fn stops_after(&self, step: &str) -> Result<()> {
        if self.inner.faults.stops_after(step) {
            return Err(StoreError::new(
                "stopped",
                format!("stopped after `{step}`"),
                "a test did it",
            ));
        }
        Ok(())
    }
}
