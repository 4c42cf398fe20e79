//! The store as a whole: intake log, lake, queries, retention.

mod bodies;
mod columns;
mod compact;
mod files;
mod find;
mod flush;
mod json;
mod query;
mod retain;
mod table;

pub use columns::events_schema;
pub use find::{Cursor, EventFilter, Order};
pub use query::{Limit, QueryColumn, QueryFile, QueryLimits, QueryResult};
pub use retain::{Deletion, Hold, Retention};

use crate::catalog::Catalog;
use crate::faults::Faults;
use crate::intake::{Appended, Chunk, Intake, IntakeConfig};
use crate::{Result, StoreError, log};
use bodies::BodyFolder;
use datafusion::execution::cache::cache_manager::{
    CacheManager, CacheManagerConfig, FileMetadataCache,
};
use files::LakeFile;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use schema::{Diagnostic, Event, TenantId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;

/// Footers of Parquet files kept per tenant, so that a second look-up does not read them again.
const FOOTER_CACHE_BYTES: usize = 8 << 20;
/// Planning and evaluation recurse over expressions; see `query::OPERATORS_MAX`. Memory is only
/// taken by the part of a stack that is used.
const QUERY_STACK_BYTES: usize = 32 << 20;

#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The data folder of the server; the store keeps `intake`, `lake`, `bodies` and
    /// `catalog.sqlite` in it.
    pub folder: PathBuf,
    pub intake: IntakeConfig,
    /// The oldest event waits this long for the lake…
    pub flush_after: Duration,
    /// …or until the tenant's buffer has this many bytes.
    pub flush_bytes: u64,
    /// How often the two are looked at; `None` leaves flushing to [`Store::flush`].
    pub flush_check: Option<Duration>,
    /// Threads that queries and flushes share.
    pub threads: usize,
    /// Queries that run at once; others wait.
    pub queries_at_once: usize,
}

impl StoreConfig {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        StoreConfig {
            folder: folder.into(),
            intake: IntakeConfig::default(),
            flush_after: Duration::from_secs(30),
            flush_bytes: 32 << 20,
            flush_check: Some(Duration::from_secs(1)),
            threads: 2,
            queries_at_once: 4,
        }
    }
}

/// What the store knows of one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantStats {
    /// All events, in the lake and on the way.
    pub events: u64,
    /// Bytes of Parquet.
    pub bytes: u64,
    pub files: u64,
    /// Events acknowledged but not in the lake yet.
    pub unflushed: u64,
    pub unflushed_bytes: u64,
    /// Times of the first and last event, by event time.
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    /// Damaged stretches of acknowledged records met while reading the log, since ever.
    pub corrupt_records: u64,
    pub dropped_duplicates: u64,
}

/// The handle; clones share one store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: StoreConfig,
    faults: Arc<Faults>,
    catalog: Arc<Catalog>,
    tenants: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
    /// Held while a tenant is opened, so that it is opened once.
    opening: Mutex<()>,
    diagnostics: Mutex<Vec<Diagnostic>>,
    query_room: Semaphore,
    /// Queries and flushes run here, so that intake never waits for them.
    runtime: Option<Runtime>,
    /// Keeps a second server off this folder.
    _lock: File,
}

pub(crate) struct Tenant {
    pub id: TenantId,
    pub intake: Intake,
    /// What the catalog lists, oldest first. Locked before the buffer where both are.
    pub files: RwLock<Vec<Arc<LakeFile>>>,
    pub bodies: Arc<BodyFolder>,
    /// The tenant's folder in the lake.
    pub root: PathBuf,
    /// The same as DataFusion sees it: nothing outside can be named.
    pub objects: Arc<dyn ObjectStore>,
    pub footers: Arc<FileMetadataCache>,
    /// Flush, compaction and retention take turns.
    pub maintenance: tokio::sync::Mutex<()>,
}

/// What one query sees, whatever is flushed, compacted or deleted meanwhile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub files: Vec<Arc<LakeFile>>,
    pub chunks: Vec<Arc<Chunk>>,
}

impl Tenant {
    pub fn snapshot(&self) -> Snapshot {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot { files: files.clone(), chunks: self.intake.snapshot() }
    }
}

impl Store {
    /// Opens the folder, reads back the log and removes what a crash left half done.
    pub fn open(config: StoreConfig) -> Result<Store> {
        let failed = |error: &std::io::Error| StoreError::io("open the data folder", error);
        for part in ["intake", "lake", "bodies"] {
            fs::create_dir_all(config.folder.join(part)).map_err(|e| failed(&e))?;
        }
        let lock = File::create(config.folder.join("store.lock")).map_err(|e| failed(&e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::new(
                    "store-in-use",
                    format!("`{}` is used by another process", config.folder.display()),
                    "stop the other server, or give this one a data folder of its own",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        let catalog = Arc::new(Catalog::open(&config.folder.join("catalog.sqlite"))?);
        log::sync_folder(&config.folder).map_err(|e| failed(&e))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .max_blocking_threads(config.threads.max(1) + 2)
            .thread_name("store")
            .thread_stack_size(QUERY_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|e| failed(&e))?;
        let store = Store {
            inner: Arc::new(Inner {
                query_room: Semaphore::new(config.queries_at_once.max(1)),
                catalog,
                tenants: RwLock::default(),
                opening: Mutex::default(),
                diagnostics: Mutex::default(),
                runtime: Some(runtime),
                _lock: lock,
                config,
                faults: Arc::default(),
            }),
        };
        for tenant in store.known_tenants()? {
            store.tenant(&tenant)?;
        }
        store.start_flushing();
        Ok(store)
    }

    /// Makes `events` durable and visible. See [`Intake::append`] for the promise.
    pub async fn append(&self, tenant: &TenantId, events: Vec<Event>) -> Result<Appended> {
        let store = self.clone();
        let tenant = match self.existing(tenant) {
            Some(tenant) => tenant,
            None => {
                let id = tenant.clone();
                self.blocking(move || store.tenant(&id)).await?
            }
        };
        tenant.intake.append(events).await
    }

    /// What was found wrong while opening: torn tails, damaged records.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.inner.diagnostics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn stats(&self) -> BTreeMap<TenantId, TenantStats> {
        self.tenants().into_iter().map(|tenant| (tenant.id.clone(), stats_of(&tenant))).collect()
    }

    /// Those of one tenant; zeros when it never sent anything.
    pub fn tenant_stats(&self, tenant: &TenantId) -> TenantStats {
        self.existing(tenant).map(|tenant| stats_of(&tenant)).unwrap_or_default()
    }

    /// Writes what is in memory to the lake. Appends go on meanwhile.
    pub async fn flush(&self) -> Result<()> {
        let store = self.clone();
        self.to_the_end(async move {
            for tenant in store.tenants() {
                store.flush_tenant(&tenant).await?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) fn snapshot(&self, tenant: &TenantId) -> Option<(Arc<Tenant>, Snapshot)> {
        let tenant = self.existing(tenant)?;
        let snapshot = tenant.snapshot();
        Some((tenant, snapshot))
    }

    fn tenants(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().cloned().collect()
    }

    fn existing(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).cloned()
    }

    /// Tenants with anything in the catalog or the log.
    fn known_tenants(&self) -> Result<BTreeSet<TenantId>> {
        let mut names: BTreeSet<TenantId> =
            self.inner.catalog.tenants()?.iter().filter_map(|name| name.parse().ok()).collect();
        let folder = self.inner.config.folder.join("intake");
        let entries =
            fs::read_dir(folder).map_err(|error| StoreError::io("list the intake logs", &error))?;
        for entry in entries.flatten() {
            names.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()));
        }
        Ok(names)
    }

    fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>> {
        let _opening = self.inner.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = self.existing(id) {
            return Ok(tenant);
        }
        let (tenant, diagnostics) = self.open_tenant(id)?;
        for diagnostic in &diagnostics {
            tracing::warn!(tenant = %id, code = %diagnostic.code, place = %diagnostic.place, "{}", diagnostic.message);
        }
        self.inner.diagnostics.lock().unwrap_or_else(PoisonError::into_inner).extend(diagnostics);
        let tenant = Arc::new(tenant);
        self.inner
            .tenants
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), tenant.clone());
        Ok(tenant)
    }

    fn open_tenant(&self, id: &TenantId) -> Result<(Tenant, Vec<Diagnostic>)> {
        let Inner { config, catalog, faults, .. } = &*self.inner;
        let root = config.folder.join("lake").join(format!("tenant={id}"));
        let bodies = config.folder.join("bodies").join(id.as_str());
        for folder in [&root, &bodies] {
            fs::create_dir_all(folder)
                .and_then(|()| folder.parent().map_or(Ok(()), log::sync_folder))
                .map_err(|error| StoreError::io("make a tenant's folder", &error))?;
        }
        let entries = catalog.files(id)?;
        let known = entries.iter().map(|entry| entry.path.as_str()).collect();
        let orphans = files::remove_orphans(&root, &known)?;
        if orphans > 0 {
            tracing::info!(tenant = %id, orphans, "removed files of a flush that did not finish");
        }
        let bodies = BodyFolder::new(&bodies);
        for digest in catalog.garbage(id)? {
            bodies.remove(digest)?;
        }
        catalog.garbage_removed(id)?;
        let folder = config.folder.join("intake").join(id.as_str());
        let (intake, diagnostics) = Intake::restore(
            id.clone(),
            &folder,
            &config.intake,
            catalog.restore(id)?,
            faults.clone(),
        )?;
        let objects = LocalFileSystem::new_with_prefix(&root).map_err(files::unwritable)?;
        let caches = CacheManagerConfig::default().with_metadata_cache_limit(FOOTER_CACHE_BYTES);
        let footers =
            CacheManager::try_new(&caches).map_err(files::unwritable)?.get_file_metadata_cache();
        let tenant = Tenant {
            id: id.clone(),
            intake,
            files: RwLock::new(
                entries.into_iter().map(|entry| LakeFile::new(&root, entry)).collect(),
            ),
            bodies: Arc::new(bodies),
            root,
            objects: Arc::new(objects),
            footers,
            maintenance: tokio::sync::Mutex::default(),
        };
        Ok((tenant, diagnostics))
    }

    /// Flushes what is old or big enough, for as long as the store lives.
    fn start_flushing(&self) {
        let (Some(check), Ok(runtime)) = (self.inner.config.flush_check, self.runtime()) else {
            return;
        };
        let inner: Weak<Inner> = Arc::downgrade(&self.inner);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(check).await;
                let Some(inner) = inner.upgrade() else { return };
                Store { inner }.maintain().await;
            }
        });
    }

    async fn maintain(&self) {
        let config = &self.inner.config;
        for tenant in self.tenants() {
            let due =
                tenant.intake.oldest().is_some_and(|since| since.elapsed() >= config.flush_after)
                    || tenant.intake.stats().unflushed_bytes >= config.flush_bytes;
            if !due {
                continue;
            }
            let done = match self.flush_tenant(&tenant).await {
                Ok(()) => self.compact_tenant(&tenant).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tracing::error!(tenant = %tenant.id, code = error.code, "{error}");
            }
        }
    }

    pub(crate) fn runtime(&self) -> Result<Handle> {
        self.inner.runtime.as_ref().map(|r| r.handle().clone()).ok_or_else(StoreError::closed)
    }

    /// Runs `work` to its end on the store's own threads, even when the caller goes away: what is
    /// committed must also be seen.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.runtime()?.spawn(work).await.map_err(|_| StoreError::closed())?
    }

    /// Runs `work`, which blocks, on the store's own threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.runtime()?.spawn_blocking(work).await.map_err(|_| StoreError::closed())?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Never waits: what a flush leaves half done is put right at the next start.
            runtime.shutdown_background();
        }
    }
}

fn stats_of(tenant: &Tenant) -> TenantStats {
    let intake = tenant.intake.stats();
    let Snapshot { files, chunks } = tenant.snapshot();
    let mut stats = TenantStats {
        events: intake.unflushed,
        files: files.len() as u64,
        unflushed: intake.unflushed,
        unflushed_bytes: intake.unflushed_bytes,
        corrupt_records: intake.corrupt_records,
        dropped_duplicates: intake.dropped_duplicates,
        ..TenantStats::default()
    };
    let mut note = |(min, max): (Timestamp, Timestamp)| {
        stats.oldest = Some(stats.oldest.map_or(min, |oldest| oldest.min(min)));
        stats.newest = Some(stats.newest.map_or(max, |newest| newest.max(max)));
    };
    for chunk in chunks.iter().filter(|chunk| chunk.len() > 0) {
        note(chunk.times);
    }
    for file in &files {
        note((file.entry.time_min, file.entry.time_max));
    }
    for file in &files {
        stats.events += file.entry.events;
        stats.bytes += file.entry.bytes;
    }
    stats
}

/// Where a tenant's lake lies in the eyes of DataFusion.
pub(crate) fn object_store_url(tenant: &TenantId) -> String {
    format!("lake://{tenant}/")
}

#[cfg(test)]
mod tests;
