//! SQL over one tenant's events: read-only, bounded, and unable to name anything else.

use super::table::EventsTable;
use super::{Snapshot, Store, Tenant, object_store_url};
use crate::{Position, Result, StoreError};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures_util::StreamExt;
use object_store::ObjectStore;
use schema::{TenantId, format_time};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The longest query text.
const SQL_BYTES_MAX: usize = 64 << 10;
/// Operators in a query: each may nest an expression one deeper, and planning recurses over them.
const OPERATORS_MAX: usize = 300;
/// Rows DataFusion handles at once. Event rows are wide: small batches keep memory low.
const BATCH_ROWS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    pub rows: usize,
    /// Bytes of the result as text, roughly.
    pub bytes: usize,
    pub time: Duration,
    /// What sorting, grouping and joining may hold at once.
    pub memory_bytes: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits {
            rows: 10_000,
            bytes: 32 << 20,
            time: Duration::from_secs(30),
            memory_bytes: 64 << 20,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryColumn {
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `time`, or what Arrow calls it.
    pub kind: String,
}

/// Which limit cut a result short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Rows,
    Bytes,
    Time,
}

#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    pub columns: Vec<QueryColumn>,
    /// Times are RFC 3339 text; what JSON has no form for is text too.
    pub rows: Vec<Vec<Value>>,
    /// True when there was, or may have been, more.
    pub truncated: bool,
    pub truncated_by: Option<Limit>,
    pub elapsed: Duration,
}

impl Limit {
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Rows => "rows",
            Limit::Bytes => "bytes",
            Limit::Time => "time",
        }
    }
}

/// A result as a Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFile {
    pub bytes: Vec<u8>,
    pub rows: usize,
    pub truncated_by: Option<Limit>,
}

/// Where the batches of a result go.
trait Sink: Send + 'static {
    /// Takes a batch, or as much of it as fits.
    fn take(&mut self, batch: &RecordBatch, limits: &QueryLimits) -> Result<Option<Limit>>;
    fn is_empty(&self) -> bool;
}

#[derive(Default)]
struct Rows {
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Sink for Rows {
    fn take(&mut self, batch: &RecordBatch, limits: &QueryLimits) -> Result<Option<Limit>> {
        add_rows(batch, &mut self.rows, &mut self.bytes, limits)
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[derive(Default)]
struct Batches {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Sink for Batches {
    fn take(&mut self, batch: &RecordBatch, limits: &QueryLimits) -> Result<Option<Limit>> {
        let mut taken = 0;
        let cut = loop {
            if taken == batch.num_rows() {
                break None;
            }
            if self.rows + taken == limits.rows {
                break Some(Limit::Rows);
            }
            let row: usize =
                batch.columns().iter().map(|column| size_at(column.as_ref(), taken)).sum();
            if self.bytes + row > limits.bytes {
                break Some(Limit::Bytes);
            }
            self.bytes += row;
            taken += 1;
        };
        self.rows += taken;
        if taken > 0 {
            self.batches.push(batch.slice(0, taken));
        }
        Ok(cut)
    }

    fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// Bytes of a value, roughly, as [`QueryLimits::bytes`] counts them.
fn size_at(column: &dyn Array, row: usize) -> usize {
    8 + match column.data_type() {
        _ if column.is_null(row) => 0,
        DataType::Utf8View => column.as_string_view().value(row).len(),
        DataType::Utf8 => column.as_string::<i32>().value(row).len(),
        _ => 0,
    }
}

impl Store {
    /// As [`Store::query`], as a Parquet file (zstd).
    pub async fn query_parquet(
        &self,
        tenant: &TenantId,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<QueryFile> {
        let begun = Instant::now();
        let statement = parse(sql)?;
        let (owner, snapshot) = self.current(tenant).await?;
        let work = async move {
            let asked = Arc::new(snapshot);
            let ran = run(owner, asked, statement, limits, begun, Batches::default()).await?;
            let failed = |cause: parquet::errors::ParquetError| {
                StoreError::new(
                    "query-failed",
                    format!("the result has no form in Parquet: {cause}"),
                    "cast the column, or ask for CSV or NDJSON",
                )
            };
            let properties = parquet::file::properties::WriterProperties::builder()
                .set_compression(parquet::basic::Compression::ZSTD(Default::default()))
                .build();
            let mut bytes = Vec::new();
            let writer =
                parquet::arrow::ArrowWriter::try_new(&mut bytes, ran.schema, Some(properties));
            let mut writer = writer.map_err(failed)?;
            for batch in &ran.sink.batches {
                writer.write(batch).map_err(failed)?;
            }
            writer.close().map_err(failed)?;
            Ok(QueryFile { bytes, rows: ran.sink.rows, truncated_by: ran.truncated_by })
        };
        self.with_room(limits.time, work).await
    }

    /// The tenant and what it holds now. One that never sent anything has an empty table.
    async fn current(&self, tenant: &TenantId) -> Result<(Arc<Tenant>, Snapshot)> {
        if let Some(found) = self.snapshot(tenant) {
            return Ok(found);
        }
        let (store, id) = (self.clone(), tenant.clone());
        let owner = self.blocking(move || store.tenant(&id)).await?;
        let snapshot = owner.snapshot();
        Ok((owner, snapshot))
    }

    /// Runs one `SELECT`, `WITH` or `EXPLAIN` over the table `events`.
    ///
    /// The session knows this tenant's table and nothing else: no other table, file, address or
    /// setting can be named in `sql`.
    pub async fn query(
        &self,
        tenant: &TenantId,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<QueryResult> {
        let begun = Instant::now();
        let statement = parse(sql)?;
        let (owner, snapshot) = self.current(tenant).await?;
        let work = async move {
            let asked = Arc::new(snapshot);
            let ran = run(owner, asked, statement, limits, begun, Rows::default()).await?;
            let fields = ran.schema.fields().iter();
            let column = |field: &Arc<arrow::datatypes::Field>| QueryColumn {
                name: field.name().clone(),
                kind: kind_of(field.data_type()),
            };
            Ok(QueryResult {
                columns: fields.map(column).collect(),
                rows: ran.sink.rows,
                truncated: ran.truncated_by.is_some(),
                truncated_by: ran.truncated_by,
                elapsed: begun.elapsed(),
            })
        };
        self.with_room(limits.time, work).await
    }

    /// Runs `work` on the store's threads, when there is room for one more query.
    pub(crate) async fn with_room<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let busy = || {
            StoreError::new(
                "query-busy",
                "other queries took all the room until the time limit",
                "try again, or ask for less at once",
            )
        };
        let _room = tokio::time::timeout(wait, self.inner.query_room.acquire())
            .await
            .map_err(|_| busy())?
            .map_err(|_| StoreError::closed())?;
        // A set stops its task when the caller goes away.
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, &self.runtime()?);
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) if error.is_panic() => Err(StoreError::new(
                "query-failed",
                "the query engine gave up on this query",
                "report it together with the query; other queries are not affected",
            )),
            _ => Err(StoreError::closed()),
        }
    }
}

/// What a query gave.
struct Ran<S> {
    schema: arrow::datatypes::SchemaRef,
    sink: S,
    truncated_by: Option<Limit>,
}

async fn run<S: Sink>(
    owner: Arc<Tenant>,
    snapshot: Arc<Snapshot>,
    statement: Statement,
    limits: QueryLimits,
    begun: Instant,
    mut sink: S,
) -> Result<Ran<S>> {
    let deadline = tokio::time::Instant::from_std(begun + limits.time);
    let late = |_| {
        StoreError::new(
            "query-timeout",
            format!("the query took longer than {} s", limits.time.as_secs_f64()),
            "narrow it by `time`, or give it more time",
        )
    };
    let state = session(&owner, snapshot.clone(), limits.memory_bytes, false)?;
    let planned = tokio::time::timeout_at(deadline, plan(&state, statement, limits.rows));
    let plan = planned.await.map_err(late)?.map_err(|error| explain(&error))?;
    let schema = plan.schema();
    let mut truncated_by = None;
    let mut stream = execute_stream(plan, state.task_ctx()).map_err(|error| explain(&error))?;
    while truncated_by.is_none() {
        match tokio::time::timeout_at(deadline, stream.next()).await {
            Ok(None) => break,
            Ok(Some(batch)) => {
                let batch = batch.map_err(|error| explain(&error))?;
                truncated_by = sink.take(&batch, &limits)?;
            }
            // What an ordered or a plain query found so far is true, and of use.
            Err(_) if !sink.is_empty() => truncated_by = Some(Limit::Time),
            Err(elapsed) => return Err(late(elapsed)),
        }
    }
    drop(snapshot);
    Ok(Ran { schema, sink, truncated_by })
}

/// A session that knows the table `events` of one tenant, and functions; no files, no catalogs.
pub(crate) fn session(
    owner: &Arc<Tenant>,
    snapshot: Arc<Snapshot>,
    memory_bytes: usize,
    inline_bodies: bool,
) -> Result<SessionState> {
    let failed = |error: DataFusionError| explain(&error);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .with_object_store_registry(Arc::new(OnlyThisTenant {
            url: object_store_url(&owner.id),
            objects: owner.objects.clone(),
        }))
        .build_arc()
        .map_err(failed)?;
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_target_partitions(2)
        .with_batch_size(BATCH_ROWS);
    config.options_mut().sql_parser.collect_spans = true;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(SessionStateDefaults::default_scalar_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build();
    let context = SessionContext::new_with_state(state);
    context.register_udf(super::json::json_text());
    let table = EventsTable::new(owner.clone(), snapshot, inline_bodies);
    context.register_table("events", Arc::new(table)).map_err(failed)?;
    Ok(context.state())
}

/// Hands out one tenant's folder and nothing else; DataFusion's own would open the whole disk.
#[derive(Debug)]
struct OnlyThisTenant {
    url: String,
    objects: Arc<dyn ObjectStore>,
}

impl datafusion::execution::object_store::ObjectStoreRegistry for OnlyThisTenant {
    fn register_store(
        &self,
        _: &url::Url,
        _: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &url::Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        if self.url.trim_end_matches('/') == url.as_str().trim_end_matches('/') {
            return Ok(self.objects.clone());
        }
        Err(DataFusionError::Plan(format!("`{url}` is not reachable from here")))
    }
}

/// One read-only statement, or why it is none.
fn parse(sql: &str) -> Result<Statement> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(too_long(format!("the query has {} bytes", sql.len()), "at most 65536"));
    }
    let dialect = GenericDialect {};
    if let Ok(tokens) = Tokenizer::new(&dialect, sql).tokenize() {
        let operators = tokens.iter().filter(|token| is_operator(token)).count();
        if operators > OPERATORS_MAX {
            return Err(too_long(
                format!("the query has {operators} operators"),
                "at most 300; a long list goes into `IN (…)`",
            ));
        }
    }
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&dialect)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| explain(&error))?;
    let Some(statement) = statements.pop_front() else {
        return Err(StoreError::new("query-syntax", "the query is empty", "write a SELECT"));
    };
    if !statements.is_empty() {
        return Err(StoreError::new(
            "query-not-read-only",
            "there is more than one statement",
            "send one SELECT at a time, without `;` in between",
        ));
    }
    if is_read_only(&statement) {
        Ok(statement)
    } else {
        let words: Vec<_> = sql.split_whitespace().take(2).collect();
        Err(StoreError::new(
            "query-not-read-only",
            format!("`{}` is not a query", words.join(" ")),
            "only SELECT, WITH and EXPLAIN are allowed, on the table `events`",
        ))
    }
}

fn too_long(message: String, limit: &str) -> StoreError {
    StoreError::new("query-too-long", message, format!("{limit} are allowed"))
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::WHEN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::SELECT
                | Keyword::AT
                | Keyword::COLLATE
        ),
        Token::EOF
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::Period
        | Token::RParen
        | Token::SemiColon
        | Token::Whitespace(_) => false,
        _ => true,
    }
}

fn is_read_only(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => matches!(&**statement, SqlStatement::Query(_)),
        Statement::Explain(explain) => match &*explain.statement {
            Statement::Statement(inner) => matches!(&**inner, SqlStatement::Query(_)),
            _ => false,
        },
        _ => false,
    }
}

async fn plan(
    state: &SessionState,
    statement: Statement,
    rows: usize,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let mut plan = state.statement_to_plan(statement).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    if !matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        // One more than is given tells whether there was more.
        plan = LogicalPlanBuilder::from(plan).limit(0, Some(rows.saturating_add(1)))?.build()?;
    }
    state.create_physical_plan(&plan).await
}

fn add_rows(
    batch: &RecordBatch,
    rows: &mut Vec<Vec<Value>>,
    bytes: &mut usize,
    limits: &QueryLimits,
) -> Result<Option<Limit>> {
    let options = FormatOptions::default().with_null("");
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| explain(&error.into()))?;
    for index in 0..batch.num_rows() {
        if rows.len() >= limits.rows {
            return Ok(Some(Limit::Rows));
        }
        let row: Vec<Value> = batch
            .columns()
            .iter()
            .zip(&formatters)
            .map(|(column, formatter)| value_at(column.as_ref(), index, formatter))
            .collect();
        *bytes += row.iter().map(|v| v.as_str().map_or(8, |text| text.len() + 8)).sum::<usize>();
        if *bytes > limits.bytes {
            return Ok(Some(Limit::Bytes));
        }
        rows.push(row);
    }
    Ok(None)
}

fn value_at(column: &dyn Array, index: usize, formatter: &ArrayFormatter<'_>) -> Value {
    if column.is_null(index) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8View => Value::from(column.as_string_view().value(index)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(index)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(index)),
        DataType::Int32 => Value::from(column.as_primitive::<Int32Type>().value(index)),
        DataType::UInt64 => Value::from(column.as_primitive::<UInt64Type>().value(index)),
        // Infinity and NaN have no form in JSON and become null.
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(index)),
        DataType::Boolean => Value::from(column.as_boolean().value(index)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Value::from(format_time(column.as_primitive::<TimestampMillisecondType>().value(index)))
        }
        _ => Value::from(formatter.value(index).to_string()),
    }
}

fn kind_of(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Timestamp(_, _) => "time".to_owned(),
        kind if kind.is_integer() => "integer".to_owned(),
        kind if kind.is_floating() => "number".to_owned(),
        kind => kind.to_string().to_lowercase(),
    }
}

/// What an error of the engine means to the person who asked.
pub(crate) fn explain(error: &DataFusionError) -> StoreError {
    let position = error
        .diagnostic()
        .and_then(|diagnostic| diagnostic.span)
        .map(|span| Position { line: span.start.line, column: span.start.column });
    let mut told = match error.find_root() {
        DataFusionError::SchemaError(schema, _) => unknown_column(schema),
        DataFusionError::SQL(error, _) => syntax(&error.to_string()),
        DataFusionError::ResourcesExhausted(message) => StoreError::new(
            "query-memory",
            format!("the query needs more memory than it may have: {}", first_line(message)),
            "narrow it by `time`, select fewer columns or sort fewer rows",
        ),
        DataFusionError::Plan(message) => unplannable(message),
        DataFusionError::NotImplemented(message) => StoreError::new(
            "query-unsupported",
            format!("the query uses what is not supported: {}", first_line(message)),
            "write it in another way; see docs/store.md",
        ),
        other => StoreError::new(
            "query-failed",
            first_line(&other.strip_backtrace()),
            "check the query; see docs/store.md",
        ),
    };
    told.position = told.position.or(position);
    told
}

fn unknown_column(error: &SchemaError) -> StoreError {
    let SchemaError::FieldNotFound { field, valid_fields } = error else {
        return StoreError::new(
            "query-invalid",
            first_line(&error.to_string()),
            "name the column together with its table or alias",
        );
    };
    let nearest = nearest(&field.name, valid_fields.iter().map(|column| column.name.as_str()));
    let mut told = StoreError::new(
        "unknown-column",
        format!("there is no column `{}`", field.name),
        match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => "docs/store.md lists the columns of `events`".to_owned(),
        },
    );
    told.position = field
        .spans()
        .first()
        .map(|span| Position { line: span.start.line, column: span.start.column });
    told
}

fn unplannable(message: &str) -> StoreError {
    if let Some(rest) = message.strip_prefix("table '")
        && let Some((name, _)) = rest.split_once('\'')
    {
        // The engine puts its own catalog and schema before the name.
        let name = name.strip_prefix("datafusion.public.").unwrap_or(name);
        return StoreError::new(
            "unknown-table",
            format!("there is no table `{name}`"),
            "the only table is `events`",
        );
    }
    let function =
        message.strip_prefix("Invalid function '").and_then(|rest| rest.split_once('\''));
    if let Some((name, rest)) = function {
        let near = rest.split('\'').nth(1).map(|near| format!("did you mean `{near}`?"));
        return StoreError::new(
            "unknown-function",
            format!("there is no function `{name}`"),
            near.unwrap_or_else(|| "see the SQL functions of Apache DataFusion".to_owned()),
        );
    }
    StoreError::new("query-invalid", first_line(message), "check the query; see docs/store.md")
}

/// `Expected: …, found: … at Line: 1, Column: 8`
fn syntax(message: &str) -> StoreError {
    let message = message.split_once("ParserError(\"").map_or(message, |(_, inner)| inner);
    let message = message.trim_start_matches("sql parser error: ").trim_end_matches("\")");
    let (text, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let mut told = StoreError::new(
        "query-syntax",
        format!("the query cannot be read: {}", first_line(text)),
        "check the SQL at that place",
    );
    let mut numbers = place.split(", Column: ").map(|number| number.trim().parse().ok());
    if let (Some(Some(line)), Some(Some(column))) = (numbers.next(), numbers.next()) {
        told.position = Some(Position { line, column });
    }
    told
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

/// The known name with the fewest edits, when they are few enough to be a slip.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = name.chars().count() / 3 + 1;
    known
        .map(|candidate| (edits(&name.to_lowercase(), candidate), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(&to) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}
