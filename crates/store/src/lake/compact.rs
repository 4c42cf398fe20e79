//! Many small files into few: same class, same day, sorted by time as before.

use super::columns::events_schema;
use super::files::{DAY_MS, FileWriter, LakeFile};
use super::query::explain;
use super::{Store, Tenant};
use crate::catalog::NewFile;
use crate::{Result, StoreError};
use arrow::array::AsArray;
use arrow::compute::SortOptions;
use arrow::datatypes::TimestampMillisecondType;
use arrow::record_batch::RecordBatch;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// So many files of about one size are merged. Each event is then rewritten about once per
/// eightfold growth: five times from a 30-second file to the largest.
const FILES_TO_MERGE: usize = 8;
/// A merged file is at most about this big.
const MERGED_BYTES_MAX: u64 = 256 << 20;
/// Files below this are all of one size class.
const SMALLEST_CLASS_BYTES: u64 = 64 << 10;
const MEMORY_BYTES: usize = 256 << 20;

impl Store {
    /// Merges small files of all tenants. Returns how many files were merged away.
    pub async fn compact(&self) -> Result<usize> {
        let store = self.clone();
        self.to_the_end(async move {
            let mut merged = 0;
            for tenant in store.tenants() {
                merged += store.compact_tenant(&tenant).await?;
            }
            Ok(merged)
        })
        .await
    }

    pub(crate) async fn compact_tenant(&self, tenant: &Arc<Tenant>) -> Result<usize> {
        let mut merged = 0;
        while let Some(files) = candidates(tenant) {
            let _turn = tenant.maintenance.lock().await;
            merged += files.len();
            self.merge(tenant, files).await?;
        }
        Ok(merged)
    }

    async fn merge(&self, tenant: &Arc<Tenant>, old: Vec<Arc<LakeFile>>) -> Result<()> {
        let ids: Vec<i64> = old.iter().map(|file| file.entry.id).collect();
        let still_there = {
            let files = tenant.files.read().unwrap_or_else(PoisonError::into_inner);
            ids.iter().all(|id| files.iter().any(|file| file.entry.id == *id))
        };
        if !still_there {
            // Retention was quicker.
            return Ok(());
        }
        let new = self.write_merged(tenant, &old).await?;
        let (store, owner) = (self.clone(), tenant.clone());
        let entries = self
            .blocking(move || store.inner.catalog.commit_compaction(&owner.id, &ids, new))
            .await?;
        let mut files = tenant.files.write().unwrap_or_else(PoisonError::into_inner);
        files.retain(|file| !old.iter().any(|gone| gone.entry.id == file.entry.id));
        files.extend(entries.into_iter().map(|entry| LakeFile::new(&tenant.root, entry)));
        drop(files);
        for file in &old {
            file.retire();
        }
        Ok(())
    }

    async fn write_merged(&self, owner: &Arc<Tenant>, old: &[Arc<LakeFile>]) -> Result<NewFile> {
        let failed = |error: DataFusionError| explain(&error);
        let rows = old.iter().map(|file| file.entry.events).sum::<u64>();
        let Some(first) = old.first() else { return Err(StoreError::closed()) };
        let ids: Vec<i64> = old.iter().map(|file| file.entry.id).collect();
        let bodies = self.inner.catalog.bodies_of(&ids)?;
        let state = super::query::session(owner, Arc::default(), MEMORY_BYTES, false)?;
        let plan = merge_plan(owner, old).map_err(failed)?;
        let mut stream = execute_stream(plan, state.task_ctx()).map_err(failed)?;
        let mut writer = FileWriter::create(
            &owner.root,
            first.entry.class,
            first.entry.day,
            usize::try_from(rows).unwrap_or(usize::MAX),
        )?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(failed)?;
            note_times(&mut writer, &batch);
            writer.write(&batch)?;
        }
        let entry = writer.finish(&self.inner.faults)?;
        if entry.events != rows {
            // Never give up files for one that does not hold all of them.
            let _ = std::fs::remove_file(owner.root.join(&entry.path));
            return Err(StoreError::new(
                "lake-error",
                format!("merging {rows} events gave {}", entry.events),
                "nothing was deleted; report this",
            ));
        }
        Ok(NewFile { entry, bodies })
    }
}

/// Files to merge next: of one class, day, day of receipt and size class. Those received on
/// different days stay apart so that each can go on its own day.
fn candidates(tenant: &Tenant) -> Option<Vec<Arc<LakeFile>>> {
    let files = tenant.files.read().unwrap_or_else(PoisonError::into_inner);
    let mut groups: BTreeMap<_, Vec<Arc<LakeFile>>> = BTreeMap::new();
    for file in files.iter() {
        let entry = &file.entry;
        let size = (entry.bytes / SMALLEST_CLASS_BYTES).max(1).ilog(FILES_TO_MERGE as u64);
        let key = (entry.class, entry.day, entry.received_max.div_euclid(DAY_MS), size);
        let group = groups.entry(key).or_default();
        if group.len() < FILES_TO_MERGE {
            group.push(file.clone());
        }
    }
    groups.into_values().find(|group| {
        group.len() == FILES_TO_MERGE
            && group.iter().map(|file| file.entry.bytes).sum::<u64>() <= MERGED_BYTES_MAX
    })
}

fn merge_plan(
    owner: &Tenant,
    files: &[Arc<LakeFile>],
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let schema = events_schema();
    let by_time = PhysicalSortExpr::new(
        col("time", &schema)?,
        SortOptions { descending: false, nulls_first: false },
    );
    let order = LexOrdering::new([by_time])
        .ok_or_else(|| DataFusionError::Internal("no ordering".to_owned()))?;
    let reader = CachedParquetFileReaderFactory::new(owner.objects.clone(), owner.footers.clone());
    let source = ParquetSource::new(schema).with_parquet_file_reader_factory(Arc::new(reader));
    let groups = files.iter().map(|file| {
        FileGroup::new(vec![PartitionedFile::new(file.entry.path.clone(), file.entry.bytes)])
    });
    let config = FileScanConfigBuilder::new(
        ObjectStoreUrl::parse(super::object_store_url(&owner.id))?,
        Arc::new(source),
    )
    .with_file_groups(groups.collect())
    .with_output_ordering(vec![order.clone()])
    .build();
    let scan = DataSourceExec::from_data_source(config);
    Ok(Arc::new(SortPreservingMergeExec::new(order, scan)))
}

fn note_times(writer: &mut FileWriter, batch: &RecordBatch) {
    let column = |name| {
        batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>())
    };
    if let (Some(times), Some(received)) = (column("time"), column("received")) {
        for (time, received) in times.values().iter().zip(received.values()) {
            writer.note(*time, *received);
        }
    }
}
