//! `json_text(json, path)`: a value inside a JSON column, as text.

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;
use std::sync::Arc;

/// The path is names and list positions joined by dots: `unmapped.tags.0`. Null where there is
/// nothing, or no JSON.
pub(crate) fn json_text() -> ScalarUDF {
    let text = DataType::Utf8View;
    create_udf(
        "json_text",
        vec![text.clone(), text.clone()],
        text,
        Volatility::Immutable,
        Arc::new(|arguments: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(arguments)?;
            let mut out = StringViewBuilder::new();
            if let [json, path] = arrays.as_slice() {
                let (json, path) = (json.as_string_view(), path.as_string_view());
                for row in 0..json.len() {
                    let found = (json.is_valid(row) && path.is_valid(row))
                        .then(|| value_at(json.value(row), path.value(row)))
                        .flatten();
                    out.append_option(found);
                }
            }
            Ok(ColumnarValue::Array(Arc::new(out.finish()))) as Result<ColumnarValue>
        }),
    )
}

fn value_at(json: &str, path: &str) -> Option<String> {
    let root: Value = serde_json::from_str(json).ok()?;
    let mut value = &root;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        value = match value {
            Value::Object(map) => map.get(step)?,
            Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
