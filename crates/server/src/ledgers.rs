//! The tenants' ledgers, fed from the metadata's outbox.
//!
//! A leaf is committed to the outbox with what it attests and appended here afterwards, in order
//! and exactly once: after a crash the ledger's own length tells which leaves made it.

use crate::problem::Problem;
use evidence::{Algorithm, Ledger, Proof, SigningKey};
use schema::{Leaf, TenantId};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use store::meta::{Meta, PendingLeaf};
use tokio::sync::Notify;

/// Leaves appended at once; one sync for all of them.
const BATCH_LEAVES_MAX: usize = 1024;

#[derive(Clone)]
pub struct Ledgers {
    inner: Arc<Inner>,
}

struct Inner {
    data: PathBuf,
    meta: Meta,
    open: Mutex<HashMap<TenantId, Arc<Mutex<Ledger>>>>,
    news: Notify,
}

/// Why a ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgersError {
    #[error(transparent)]
    Meta(#[from] store::meta::MetaError),
    #[error(transparent)]
    Ledger(#[from] evidence::Error),
    #[error("cannot use `{path}`: {cause}: check the rights of the data folder")]
    Io { path: PathBuf, cause: std::io::Error },
    #[error(
        "the ledger of `{tenant}` has {in_ledger} leaves and the metadata knows of {known}: one of them is from another day: restore both from the same backup"
    )]
    Astray { tenant: TenantId, in_ledger: u64, known: u64 },
}

impl From<LedgersError> for Problem {
    fn from(error: LedgersError) -> Self {
        match error {
            LedgersError::Ledger(evidence::Error::OutOfRange { index, .. }) => {
                Problem::not_found("ledger entry", index)
            }
            other => Problem::internal(&other),
        }
    }
}

impl Ledgers {
    pub fn new(data: PathBuf, meta: Meta) -> Self {
        let (open, news) = (Mutex::default(), Notify::new());
        Ledgers { inner: Arc::new(Inner { data, meta, open, news }) }
    }

    /// Says that the outbox has news. Cheap; call it after every commit with leaves.
    pub fn wake(&self) {
        self.inner.news.notify_one();
    }

    /// Waits for [`Ledgers::wake`].
    pub async fn news(&self) {
        self.inner.news.notified().await;
    }

    /// Appends what is pending, of every tenant. Blocks on disk.
    pub fn drain_all(&self) -> Result<(), LedgersError> {
        for tenant in self.inner.meta.read(|read| read.tenants())? {
            self.drain(&tenant.id)?;
        }
        Ok(())
    }

    /// Appends the tenant's pending leaves. Blocks on disk.
    pub fn drain(&self, tenant: &TenantId) -> Result<(), LedgersError> {
        let meta = &self.inner.meta;
        if meta.read(|read| read.pending_leaves(tenant, 1))?.is_empty() {
            return Ok(());
        }
        let ledger = self.ledger(tenant)?;
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let pending = meta.read(|read| read.pending_leaves(tenant, BATCH_LEAVES_MAX))?;
            if pending.is_empty() {
                return Ok(());
            }
            let leaves: Vec<Leaf> = pending.iter().map(|p| p.leaf.clone()).collect();
            let range = ledger.append(&leaves)?;
            let ids: Vec<i64> = pending.iter().map(|p| p.id).collect();
            meta.write(|tx| tx.appended(&ids, range.start))?;
        }
    }

    /// The signed checkpoint, the verifier key that checks it, and the number of leaves.
    pub fn checkpoint(&self, tenant: &TenantId) -> Result<(String, String, u64), LedgersError> {
        self.drain(tenant)?;
        let ledger = self.ledger(tenant)?;
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((ledger.checkpoint().to_owned(), ledger.verifier().to_string(), ledger.len()))
    }

    /// That a leaf is in the ledger, and the checkpoint it is proven against.
    pub fn prove(&self, tenant: &TenantId, index: u64) -> Result<(Proof, String), LedgersError> {
        self.drain(tenant)?;
        let ledger = self.ledger(tenant)?;
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((ledger.prove(index)?, ledger.checkpoint().to_owned()))
    }

    /// Runs `ask` on the tenant's ledger, with everything pending appended before.
    pub fn with<T>(
        &self,
        tenant: &TenantId,
        ask: impl FnOnce(&Ledger) -> Result<T, evidence::Error>,
    ) -> Result<T, LedgersError> {
        self.drain(tenant)?;
        let ledger = self.ledger(tenant)?;
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ask(&ledger)?)
    }

    fn ledger(&self, tenant: &TenantId) -> Result<Arc<Mutex<Ledger>>, LedgersError> {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = open.get(tenant) {
            return Ok(Arc::clone(ledger));
        }
        let keys = self.inner.data.join("keys");
        crate::files::private_folder(&keys)
            .map_err(|cause| LedgersError::Io { path: keys.clone(), cause })?;
        let origin = format!("plura/{tenant}");
        let key_path = keys.join(format!("ledger-{tenant}.key"));
        let key = SigningKey::load_or_generate(&key_path, &origin, Algorithm::Ed25519)?;
        let folder = self.inner.data.join("ledger").join(tenant.as_str());
        crate::files::private_folder(&folder)
            .map_err(|cause| LedgersError::Io { path: folder.clone(), cause })?;
        let ledger = Ledger::open(&folder, &origin, key)?;
        self.reconcile(tenant, &ledger)?;
        let ledger = Arc::new(Mutex::new(ledger));
        open.insert(tenant.clone(), Arc::clone(&ledger));
        Ok(ledger)
    }

    /// Marks the leaves that reached the ledger just before a crash.
    fn reconcile(&self, tenant: &TenantId, ledger: &Ledger) -> Result<(), LedgersError> {
        let meta = &self.inner.meta;
        let known = meta.read(|read| read.appended_leaves(tenant))?;
        let in_ledger = ledger.len();
        let ahead = usize::try_from(in_ledger.saturating_sub(known)).unwrap_or(usize::MAX);
        if in_ledger == known {
            return Ok(());
        }
        let pending = meta.read(|read| read.pending_leaves(tenant, ahead))?;
        let is_ours = |(index, pending): (u64, &PendingLeaf)| -> Result<bool, LedgersError> {
            Ok(ledger.prove(index)?.leaf == pending.leaf)
        };
        let mut is_astray = in_ledger < known || pending.len() != ahead;
        for pair in (known..).zip(&pending) {
            is_astray = is_astray || !is_ours(pair)?;
        }
        if is_astray {
            return Err(LedgersError::Astray { tenant: tenant.clone(), in_ledger, known });
        }
        let ids: Vec<i64> = pending.iter().map(|p| p.id).collect();
        meta.write(|tx| tx.appended(&ids, known))?;
        Ok(())
    }
}
