//! The table `events` of one tenant, as DataFusion sees it: the files and the memory of a snapshot.

use super::columns::{Bodies, Rows, events_schema};
use super::{Snapshot, Tenant, object_store_url};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetSource, parquet::CachedParquetFileReaderFactory,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Rows of a batch made from the memory buffer.
const BATCH_ROWS: usize = 8192;

pub(crate) struct EventsTable {
    tenant: Arc<Tenant>,
    snapshot: Arc<Snapshot>,
    /// Long bodies of events that are still in memory: inline for our own reading, aside in SQL.
    inline_bodies: bool,
}

impl EventsTable {
    pub fn new(tenant: Arc<Tenant>, snapshot: Arc<Snapshot>, inline_bodies: bool) -> Self {
        EventsTable { tenant, snapshot, inline_bodies }
    }

    fn memory(&self, keep: &[bool], projection: Option<&Vec<usize>>) -> Result<Vec<RecordBatch>> {
        let mut rows = Rows::new(projection)?;
        let mut batches = Vec::new();
        let mut drop_body = |_, _: &str| {};
        for (chunk, _) in self.snapshot.chunks.iter().zip(keep).filter(|(_, keep)| **keep) {
            for record in chunk.records() {
                let mut bodies =
                    if self.inline_bodies { Bodies::Inline } else { Bodies::Aside(&mut drop_body) };
                rows.push(record, &mut bodies);
                if rows.len() == BATCH_ROWS {
                    batches.push(rows.finish()?);
                }
            }
        }
        if rows.len() > 0 {
            batches.push(rows.finish()?);
        }
        Ok(batches)
    }
}

impl fmt::Debug for EventsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events of {}", self.tenant.id)
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        events_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (files, chunks) = self.prune(state, filters)?;
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let batches = self.memory(&chunks, projection)?;
        if let Some(first) = batches.first() {
            let schema = first.schema();
            let source = MemorySourceConfig::try_new(&[batches], schema, None)?.with_limit(limit);
            plans.push(DataSourceExec::from_data_source(source));
        }
        let mut chosen: Vec<_> = self
            .snapshot
            .files
            .iter()
            .zip(files)
            .filter_map(|(file, keep)| keep.then_some(&file.entry))
            .collect();
        if !chosen.is_empty() {
            // Newest first: "the latest N" then fills its heap with what will stay in it.
            chosen.sort_by_key(|entry| std::cmp::Reverse(entry.time_max));
            let groups = state.config().target_partitions().clamp(1, chosen.len());
            let mut file_groups = vec![Vec::new(); groups];
            for (index, entry) in chosen.into_iter().enumerate() {
                if let Some(group) = file_groups.get_mut(index % groups) {
                    group.push(PartitionedFile::new(entry.path.clone(), entry.bytes));
                }
            }
            let reader = CachedParquetFileReaderFactory::new(
                self.tenant.objects.clone(),
                self.tenant.footers.clone(),
            );
            let mut source = ParquetSource::new(events_schema())
                .with_parquet_file_reader_factory(Arc::new(reader))
                .with_enable_page_index(true)
                .with_bloom_filter_on_read(true);
            if is_selective(filters) {
                source = source.with_pushdown_filters(true).with_reorder_filters(true);
            }
            let config = FileScanConfigBuilder::new(
                ObjectStoreUrl::parse(object_store_url(&self.tenant.id))?,
                Arc::new(source),
            )
            .with_file_groups(file_groups.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
            plans.push(DataSourceExec::from_data_source(config));
        }
        match plans.len() {
            0 => {
                let schema = match projection {
                    Some(columns) => Arc::new(events_schema().project(columns)?),
                    None => events_schema(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => plans
                .pop()
                .ok_or_else(|| datafusion::error::DataFusionError::Internal("no plan".into())),
            _ => UnionExec::try_new(plans),
        }
    }
}

impl EventsTable {
    /// Which files and which chunks of memory may hold rows that pass `filters`.
    fn prune(&self, state: &dyn Session, filters: &[Expr]) -> Result<(Vec<bool>, Vec<bool>)> {
        let Snapshot { files, chunks } = &*self.snapshot;
        let all = (vec![true; files.len()], vec![true; chunks.len()]);
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(all) };
        let schema = DFSchema::try_from(events_schema())?;
        let physical = state.create_physical_expr(filter, &schema)?;
        let builder = PruningPredicateBuilder::new().with_file_schema(events_schema());
        let Some(predicate) = builder.build(physical) else { return Ok(all) };
        let known = |(times, received, class, rows)| Known { times, received, class, rows };
        let of_files = known((
            files.iter().map(|f| (f.entry.time_min, f.entry.time_max)).collect(),
            files.iter().map(|f| (f.entry.received_min, f.entry.received_max)).collect(),
            Some(files.iter().map(|f| f.entry.class).collect()),
            files.iter().map(|f| f.entry.events).collect(),
        ));
        let of_chunks = known((
            chunks.iter().map(|c| c.times).collect(),
            chunks.iter().map(|c| c.received).collect(),
            None,
            chunks.iter().map(|c| c.len() as u64).collect(),
        ));
        let prune = |known: &Known| {
            if known.rows.is_empty() { Ok(Vec::new()) } else { predicate.prune(known) }
        };
        Ok((prune(&of_files)?, prune(&of_chunks)?))
    }
}

/// What is known of a list of files or chunks without opening them.
struct Known {
    times: Vec<(i64, i64)>,
    received: Vec<(i64, i64)>,
    class: Option<Vec<i64>>,
    rows: Vec<u64>,
}

impl Known {
    fn of(&self, column: &Column, pick: fn(&(i64, i64)) -> i64) -> Option<ArrayRef> {
        let times = |ranges: &[(i64, i64)]| -> ArrayRef {
            let values = ranges.iter().map(pick);
            Arc::new(TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC"))
        };
        match column.name() {
            "time" => Some(times(&self.times)),
            "received" => Some(times(&self.received)),
            "class_uid" => {
                let classes = self.class.as_ref()?;
                Some(Arc::new(Int64Array::from_iter_values(classes.iter().copied())))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for Known {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |range| range.0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, |range| range.1)
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        // These three are set in every record.
        self.min_values(column)?;
        Some(Arc::new(UInt64Array::from_iter_values(self.rows.iter().map(|_| 0))))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.rows.iter().copied())))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// True when the filters look for a few rows by value: then the reader applies them while it
/// reads and leaves the other columns alone. For a range of time or a class nearly every row
/// stays, and reading row by row would only cost.
fn is_selective(filters: &[Expr]) -> bool {
    filters.iter().any(|filter| {
        let mut selective = false;
        let looked = filter.apply(|expr| {
            selective |= match expr {
                Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
                    [&binary.left, &binary.right].into_iter().any(|side| is_looked_up(side))
                }
                Expr::InList(list) => !list.negated && is_looked_up(&list.expr),
                Expr::Like(like) => !like.negated,
                _ => false,
            };
            Ok(if selective { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        looked.is_ok() && selective
    })
}

/// A column of text other than the few with a handful of values.
fn is_looked_up(expr: &Expr) -> bool {
    const COARSE: [&str; 8] =
        ["outcome", "method", "scheme", "http_version", "site", "source", "log_format", "product"];
    let Expr::Column(column) = expr else { return false };
    let is_text = schema::COLUMNS.iter().any(|known| {
        known.name == column.name
            && matches!(known.kind, schema::ColumnKind::Text | schema::ColumnKind::Uuid)
    });
    is_text && !COARSE.contains(&column.name())
}
