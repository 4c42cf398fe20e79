//! Events as Arrow columns: [`COLUMNS`], then `rest` and the references to bodies kept aside.

use crate::codec::{self, RawCell};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Int64Builder, StringViewBuilder,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use schema::{COLUMNS, ColumnKind, Digest, Event, OwnedCell, sha256};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// A body longer than this is kept aside, once per content.
pub(crate) const BODY_INLINE_BYTES_MAX: usize = 16 << 10;

/// The columns after those of [`COLUMNS`].
const EXTRA: [&str; 3] = ["rest", "request_body_ref", "response_body_ref"];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns = COLUMNS.iter().map(|column| {
        let kind = match column.kind {
            ColumnKind::Text | ColumnKind::Json | ColumnKind::Uuid => DataType::Utf8View,
            ColumnKind::Int => DataType::Int64,
            ColumnKind::Bool => DataType::Boolean,
            ColumnKind::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        };
        Field::new(column.name, kind, true)
    });
    let extra = EXTRA.iter().map(|name| Field::new(*name, DataType::Utf8View, true));
    Arc::new(Schema::new(columns.chain(extra).collect::<Vec<_>>()))
});

/// The columns of the table `events`.
pub fn events_schema() -> SchemaRef {
    SCHEMA.clone()
}

/// What to do with a long body.
pub(crate) enum Bodies<'a> {
    /// Leave it in its column.
    Inline,
    /// Put its digest in the reference column, and hand it over.
    Aside(&'a mut dyn FnMut(Digest, &str)),
}

enum Builder {
    Skipped,
    Text(StringViewBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMillisecondBuilder),
}

impl Builder {
    fn of(kind: &DataType) -> Builder {
        match kind {
            DataType::Int64 => Builder::Int(Int64Builder::new()),
            DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
            DataType::Timestamp(_, _) => {
                Builder::Time(TimestampMillisecondBuilder::new().with_timezone("UTC"))
            }
            _ => Builder::Text(StringViewBuilder::new()),
        }
    }

    /// Nulls for the rows this column has not heard of, up to `rows`.
    fn fill(&mut self, rows: usize) {
        use arrow::array::ArrayBuilder;
        match self {
            Builder::Skipped => {}
            Builder::Text(b) => (b.len()..rows).for_each(|_| b.append_null()),
            Builder::Int(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Bool(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Time(b) => b.append_nulls(rows.saturating_sub(b.len())),
        }
    }

    fn text(&mut self, rows: usize, text: &str) {
        self.fill(rows);
        if let Builder::Text(b) = self {
            b.append_value(text);
        }
    }

    fn push(&mut self, rows: usize, cell: RawCell<'_>) {
        self.fill(rows);
        match (self, cell) {
            (Builder::Text(b), RawCell::Text(text) | RawCell::Json(text)) => b.append_value(text),
            (Builder::Text(b), RawCell::Uuid(id)) => {
                b.append_value(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            }
            (Builder::Int(b), RawCell::Int(number)) => b.append_value(number),
            (Builder::Time(b), RawCell::Int(number)) => b.append_value(number),
            (Builder::Bool(b), RawCell::Bool(flag)) => b.append_value(flag),
            _ => {}
        }
    }

    fn finish(&mut self, rows: usize) -> Option<ArrayRef> {
        self.fill(rows);
        Some(match self {
            Builder::Skipped => return None,
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Int(b) => Arc::new(b.finish()),
            Builder::Bool(b) => Arc::new(b.finish()),
            Builder::Time(b) => Arc::new(b.finish()),
        })
    }
}

/// Collects encoded records into a record batch.
pub(crate) struct Rows {
    /// One per column of the schema.
    builders: Vec<Builder>,
    /// The columns wanted, in the order wanted.
    projection: Vec<usize>,
    schema: SchemaRef,
    rows: usize,
    request_body: usize,
    response_body: usize,
}

impl Rows {
    pub fn new(projection: Option<&Vec<usize>>) -> Result<Rows, ArrowError> {
        let projection =
            projection.cloned().unwrap_or_else(|| (0..SCHEMA.fields().len()).collect());
        let builders = SCHEMA
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                if projection.contains(&index) {
                    Builder::of(field.data_type())
                } else {
                    Builder::Skipped
                }
            })
            .collect();
        Ok(Rows {
            builders,
            schema: Arc::new(SCHEMA.project(&projection)?),
            projection,
            rows: 0,
            request_body: SCHEMA.index_of("request_body")?,
            response_body: SCHEMA.index_of("response_body")?,
        })
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    /// Adds one record; `false` when it is none.
    pub fn push(&mut self, record: &[u8], bodies: &mut Bodies<'_>) -> bool {
        let rows = self.rows;
        let (request, response) = (self.request_body, self.response_body);
        let extra = COLUMNS.len();
        let builders = &mut self.builders;
        let rest = codec::visit(record, |column, cell| {
            if let (RawCell::Text(body), Bodies::Aside(sink)) = (cell, &mut *bodies)
                && body.len() > BODY_INLINE_BYTES_MAX
                && (column == request || column == response)
            {
                let reference = if column == request { extra + 1 } else { extra + 2 };
                if let Some(builder) = builders.get_mut(reference)
                    && !matches!(builder, Builder::Skipped)
                {
                    let digest = sha256(body.as_bytes());
                    builder.text(rows, &digest.to_hex());
                    sink(digest, body);
                }
                return;
            }
            if let Some(builder) = builders.get_mut(column) {
                builder.push(rows, cell);
            }
        });
        let Some(rest) = rest else { return false };
        if let (Some(rest), Some(builder)) = (rest, self.builders.get_mut(extra)) {
            builder.text(rows, rest);
        }
        self.rows += 1;
        true
    }

    /// The batch so far; empty afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns = Vec::with_capacity(self.projection.len());
        for index in &self.projection {
            columns.extend(self.builders.get_mut(*index).and_then(|b| b.finish(rows)));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}

/// An event read back, and the bodies to be fetched for it: request, response.
pub(crate) struct Row {
    pub event: Event,
    pub request_body: Option<Digest>,
    pub response_body: Option<Digest>,
}

/// The events of a batch that has all columns.
pub(crate) fn to_rows(batch: &RecordBatch) -> Vec<Row> {
    let mut rows: Vec<Row> = (0..batch.num_rows())
        .map(|_| Row { event: Event::default(), request_body: None, response_body: None })
        .collect();
    for column in COLUMNS {
        let Some(array) = batch.column_by_name(column.name) else { continue };
        if array.null_count() == array.len() {
            continue;
        }
        for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| array.is_valid(*index))
        {
            let cell = match column.kind {
                ColumnKind::Text => text_at(array, index).map(|t| OwnedCell::Text(t.to_owned())),
                ColumnKind::Uuid => {
                    text_at(array, index).and_then(|t| t.parse().ok()).map(OwnedCell::Uuid)
                }
                ColumnKind::Json => text_at(array, index)
                    .and_then(|t| serde_json::from_str(t).ok())
                    .map(OwnedCell::Json),
                ColumnKind::Int => {
                    array.as_primitive_opt::<Int64Type>().map(|a| OwnedCell::Int(a.value(index)))
                }
                ColumnKind::Time => array
                    .as_primitive_opt::<TimestampMillisecondType>()
                    .map(|a| OwnedCell::Int(a.value(index))),
                ColumnKind::Bool => array.as_boolean_opt().map(|a| OwnedCell::Bool(a.value(index))),
            };
            if let Some(cell) = cell {
                row.event.set(column.name, cell);
            }
        }
    }
    for (index, row) in rows.iter_mut().enumerate() {
        let text = |name| batch.column_by_name(name).and_then(|array| text_at(array, index));
        if let Some(rest) = text("rest") {
            row.event.rest = serde_json::from_str(rest).unwrap_or_default();
        }
        row.request_body = text("request_body_ref").and_then(Digest::parse);
        row.response_body = text("response_body_ref").and_then(Digest::parse);
    }
    rows
}

fn text_at(array: &ArrayRef, index: usize) -> Option<&str> {
    let array = array.as_string_view_opt()?;
    array.is_valid(index).then(|| array.value(index))
}
