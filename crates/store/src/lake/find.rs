//! Events by what they are: look-ups with bodies resolved, and replay in the order of receipt.

use super::columns::{self, Row};
use super::query::{explain, session};
use super::{Snapshot, Store, Tenant};
use crate::{Result, StoreError};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, SortExpr, col, lit};
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use schema::{Entity, EntityKind, Event, OutcomeResult, TenantId, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The most events one call of [`Store::events`] returns.
const EVENTS_MAX: usize = 10_000;
/// Ids looked up at once: more would not use the bloom filters.
const IDS_AT_ONCE: usize = 16;
/// Events that replay holds at once.
const REPLAY_PAGE: usize = 4096;
/// What a look-up may hold; pages of wide rows with their bodies.
const MEMORY_BYTES: usize = 128 << 20;
const TIME_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// Where a page ended: the next one begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub time: Timestamp,
    pub id: Uuid,
}

impl Cursor {
    pub fn of(event: &Event) -> Cursor {
        Cursor { time: event.time, id: event.id }
    }
}

/// `<milliseconds>_<id>`, as it stands in a URL.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.time, self.id)
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Cursor> {
        let parts = text
            .split_once('_')
            .and_then(|(time, id)| Some(Cursor { time: time.parse().ok()?, id: id.parse().ok()? }));
        parts.ok_or_else(|| {
            StoreError::new(
                "invalid-cursor",
                format!("`{text}` is not a cursor"),
                "use the one the page before gave, unchanged",
            )
        })
    }
}

/// What to look for: an event must meet all that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// One of these; empty means any.
    pub ids: Vec<Uuid>,
    /// One of these took part; empty means any.
    pub entities: Vec<Entity>,
    /// One of these classes; empty means any.
    pub classes: Vec<i64>,
    pub outcome: Option<OutcomeResult>,
    /// Event time from here on…
    pub from: Option<Timestamp>,
    /// …to before here.
    pub until: Option<Timestamp>,
    /// Somewhere in message, URL, headers, bodies, command lines, file path or the raw record;
    /// letter case does not matter.
    pub text: Option<String>,
    pub order: Order,
    /// At most 10,000.
    pub limit: usize,
    pub after: Option<Cursor>,
}

impl Default for EventFilter {
    fn default() -> Self {
        EventFilter {
            ids: Vec::new(),
            entities: Vec::new(),
            classes: Vec::new(),
            outcome: None,
            from: None,
            until: None,
            text: None,
            order: Order::NewestFirst,
            limit: 100,
            after: None,
        }
    }
}

/// The columns [`EventFilter::text`] looks into.
const TEXT_COLUMNS: [&str; 14] = [
    "message",
    "path",
    "query",
    "user_agent",
    "referrer",
    "request_headers",
    "response_headers",
    "request_body",
    "response_body",
    "process_cmd_line",
    "parent_cmd_line",
    "file_path",
    "raw",
    "rest",
];

impl Store {
    /// The events that meet `filter`, whole, with their bodies; ties in time are ordered by id.
    pub async fn events(&self, tenant: &TenantId, filter: &EventFilter) -> Result<Vec<Event>> {
        let Some((owner, snapshot)) = self.snapshot(tenant) else { return Ok(Vec::new()) };
        let filter = filter.clone();
        let work = find(owner, Arc::new(snapshot), filter);
        self.with_room(TIME_MAX, async {
            tokio::time::timeout(TIME_MAX, work).await.map_err(|_| too_slow())?
        })
        .await
    }

    /// Hands every event received from `from` to before `until` to `each`, in the order of receipt
    /// and then of id. Sees what was there when it began; holds a page of 4,096 events at a time.
    pub async fn replay(
        &self,
        tenant: &TenantId,
        from: Timestamp,
        until: Timestamp,
        mut each: impl FnMut(Event),
    ) -> Result<u64> {
        let Some((owner, snapshot)) = self.snapshot(tenant) else { return Ok(0) };
        let snapshot = Arc::new(snapshot);
        let mut after: Option<(Timestamp, Uuid)> = None;
        let mut count = 0;
        loop {
            let work = replay_page(owner.clone(), snapshot.clone(), from, until, after);
            let page = self.with_room(TIME_MAX, work).await?;
            let full = page.len() == REPLAY_PAGE;
            for event in page {
                after = Some((event.received, event.id));
                count += 1;
                each(event);
            }
            if !full {
                return Ok(count);
            }
        }
    }
}

fn too_slow() -> StoreError {
    StoreError::new(
        "query-timeout",
        format!("the search took longer than {} s", TIME_MAX.as_secs()),
        "narrow it by time, entity or class",
    )
}

async fn find(
    owner: Arc<Tenant>,
    snapshot: Arc<Snapshot>,
    filter: EventFilter,
) -> Result<Vec<Event>> {
    let limit = filter.limit.min(EVENTS_MAX);
    let mut found = Vec::new();
    if filter.ids.is_empty() {
        let mut after = filter.after;
        // A long body is not in its column: a row that has one is a candidate, looked at here. So
        // a page may yield fewer than it held.
        while found.len() < limit {
            let page = page(&owner, &snapshot, &filter, &[], after, limit).await?;
            let full = page.len() == limit;
            after = page.last().map(Cursor::of).or(after);
            found.extend(page.into_iter().filter(|event| has_text(event, &filter)));
            if !full {
                break;
            }
        }
    }
    let mut ids = filter.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    for ids in ids.chunks(IDS_AT_ONCE) {
        let page = page(&owner, &snapshot, &filter, ids, filter.after, limit).await?;
        found.extend(page.into_iter().filter(|event| has_text(event, &filter)));
    }
    match filter.order {
        Order::NewestFirst => found.sort_by_key(|event| std::cmp::Reverse((event.time, event.id))),
        Order::OldestFirst => found.sort_by_key(|event| (event.time, event.id)),
    }
    found.truncate(limit);
    Ok(found)
}

async fn page(
    owner: &Arc<Tenant>,
    snapshot: &Arc<Snapshot>,
    filter: &EventFilter,
    ids: &[Uuid],
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Event>> {
    let newest_first = filter.order == Order::NewestFirst;
    let mut conditions = conditions(filter);
    if !ids.is_empty() {
        let ids = ids.iter().map(|id| lit(id.to_string())).collect();
        conditions.push(col("id").in_list(ids, false));
    }
    if let Some(Cursor { time, id }) = after {
        conditions.push(beyond("time", time, id, newest_first));
    }
    let order = vec![col("time").sort(!newest_first, false), col("id").sort(!newest_first, false)];
    read(owner, snapshot, conditions, order, limit).await
}

async fn replay_page(
    owner: Arc<Tenant>,
    snapshot: Arc<Snapshot>,
    from: Timestamp,
    until: Timestamp,
    after: Option<(Timestamp, Uuid)>,
) -> Result<Vec<Event>> {
    let mut conditions = vec![col("received").gt_eq(time(from)), col("received").lt(time(until))];
    if let Some((received, id)) = after {
        conditions.push(beyond("received", received, id, false));
    }
    let order = vec![col("received").sort(true, false), col("id").sort(true, false)];
    read(&owner, &snapshot, conditions, order, REPLAY_PAGE).await
}

/// Whole events that meet all conditions, the first `limit` in that order.
async fn read(
    owner: &Arc<Tenant>,
    snapshot: &Arc<Snapshot>,
    conditions: Vec<Expr>,
    order: Vec<SortExpr>,
    limit: usize,
) -> Result<Vec<Event>> {
    let failed = |error: DataFusionError| explain(&error);
    let state = session(owner, snapshot.clone(), MEMORY_BYTES, true)?;
    let context = SessionContext::new_with_state(state.clone());
    let table = context.table("events").await.map_err(failed)?;
    let mut plan = LogicalPlanBuilder::from(table.into_unoptimized_plan());
    for condition in conditions {
        plan = plan.filter(condition).map_err(failed)?;
    }
    let plan = plan
        .sort(order)
        .and_then(|plan| plan.limit(0, Some(limit)))
        .and_then(LogicalPlanBuilder::build)
        .map_err(failed)?;
    let physical = state.create_physical_plan(&plan).await.map_err(failed)?;
    let batches = collect(physical, state.task_ctx()).await.map_err(failed)?;
    let bodies = owner.bodies.clone();
    let resolve = move || {
        let rows = batches.iter().flat_map(columns::to_rows);
        rows.map(|Row { mut event, request_body, response_body }| {
            if let Some(digest) = request_body {
                event.request_body = bodies.read(digest);
            }
            if let Some(digest) = response_body {
                event.response_body = bodies.read(digest);
            }
            event
        })
        .collect()
    };
    tokio::task::spawn_blocking(resolve).await.map_err(|_| StoreError::closed())
}

fn conditions(filter: &EventFilter) -> Vec<Expr> {
    let mut conditions = Vec::new();
    if let Some(from) = filter.from {
        conditions.push(col("time").gt_eq(time(from)));
    }
    if let Some(until) = filter.until {
        conditions.push(col("time").lt(time(until)));
    }
    if !filter.classes.is_empty() {
        let classes = filter.classes.iter().map(|class| lit(*class)).collect();
        conditions.push(col("class_uid").in_list(classes, false));
    }
    match filter.outcome {
        None => {}
        Some(OutcomeResult::Unknown) => conditions.push(
            col("outcome").is_null().or(col("outcome").eq(lit(OutcomeResult::Unknown.as_str()))),
        ),
        Some(outcome) => conditions.push(col("outcome").eq(lit(outcome.as_str()))),
    }
    let of_entities = filter
        .entities
        .iter()
        .map(|entity| col(column_of(entity.kind)).eq(lit(entity.value.clone())))
        .reduce(Expr::or);
    conditions.extend(of_entities);
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        let pattern = format!("%{}%", escape_like(text));
        let like = |name: &&str| col(*name).ilike(lit(pattern.clone()));
        let aside = ["request_body_ref", "response_body_ref"].map(|name| col(name).is_not_null());
        conditions.extend(TEXT_COLUMNS.iter().map(like).chain(aside).reduce(Expr::or));
    }
    conditions
}

/// `(column, id)` lies past the given pair.
fn beyond(column: &str, at: Timestamp, id: Uuid, newest_first: bool) -> Expr {
    let (column, id_column) = (col(column), col("id"));
    let (at, id) = (time(at), lit(id.to_string()));
    if newest_first {
        column.clone().lt_eq(at.clone()).and(column.lt(at).or(id_column.lt(id)))
    } else {
        column.clone().gt_eq(at.clone()).and(column.gt(at).or(id_column.gt(id)))
    }
}

fn time(at: Timestamp) -> Expr {
    lit(ScalarValue::TimestampMillisecond(Some(at), Some("UTC".into())))
}

fn column_of(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Credential => "credential",
        EntityKind::Account => "account",
        EntityKind::Session => "session",
        EntityKind::Endpoint => "endpoint",
        EntityKind::Device => "device",
        EntityKind::Address => "src_ip",
    }
}

fn escape_like(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// What the search by column could not see: the text inside bodies kept aside.
fn has_text(event: &Event, filter: &EventFilter) -> bool {
    let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) else { return true };
    let text = text.to_lowercase();
    let holds = |field: &Option<String>| {
        field.as_ref().is_some_and(|field| field.to_lowercase().contains(&text))
    };
    let bodies = [&event.request_body, &event.response_body];
    let long = |field: &&Option<String>| {
        field.as_ref().is_some_and(|field| field.len() > columns::BODY_INLINE_BYTES_MAX)
    };
    if !bodies.iter().any(long) || bodies.into_iter().any(holds) {
        return true;
    }
    let json = |value: &Option<serde_json::Value>| {
        value.as_ref().is_some_and(|value| value.to_string().to_lowercase().contains(&text))
    };
    [
        &event.message,
        &event.path,
        &event.query,
        &event.user_agent,
        &event.referrer,
        &event.process_cmd_line,
        &event.parent_cmd_line,
        &event.file_path,
        &event.raw,
    ]
    .into_iter()
    .any(holds)
        || json(&event.request_headers)
        || json(&event.response_headers)
        || (!event.rest.is_empty()
            && serde_json::to_string(&event.rest)
                .is_ok_and(|rest| rest.to_lowercase().contains(&text)))
}
