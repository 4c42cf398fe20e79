//! What SQL answers as a file: CSV, NDJSON, Parquet.

use crate::problem::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use store::{Limit, QueryResult};

/// Which limit cut a file short; absent when it is whole.
const TRUNCATED: HeaderName = HeaderName::from_static("plura-truncated");

/// A form of a file that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Csv,
    Ndjson,
    Parquet,
}

impl Form {
    /// The first that `Accept` names; where that is JSON, or nothing we have, there is no file.
    pub fn asked(headers: &HeaderMap) -> Option<Form> {
        let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok())?;
        accepts
            .split(',')
            .find_map(|one| {
                let media = one.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                let form = [Form::Csv, Form::Ndjson, Form::Parquet];
                let form = form.into_iter().find(|form| form.media() == media);
                (form.is_some() || media == "application/json").then_some(form)
            })
            .flatten()
    }

    fn media(self) -> &'static str {
        match self {
            Form::Csv => "text/csv",
            Form::Ndjson => "application/x-ndjson",
            Form::Parquet => "application/vnd.apache.parquet",
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Ndjson => "ndjson",
            Form::Parquet => "parquet",
        }
    }

    /// The file, with a name to keep it under.
    pub fn answer(self, bytes: Vec<u8>, truncated_by: Option<Limit>) -> Response {
        let mut response = bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media()));
        let name = match self {
            Form::Csv => "attachment; filename=\"events.csv\"",
            Form::Ndjson => "attachment; filename=\"events.ndjson\"",
            Form::Parquet => "attachment; filename=\"events.parquet\"",
        };
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
        if let Some(limit) = truncated_by {
            headers.insert(TRUNCATED, HeaderValue::from_static(limit.as_str()));
        }
        response
    }
}

/// RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front
/// (OWASP, CSV Injection): whoever needs values as they are takes NDJSON or Parquet.
pub fn csv(result: &QueryResult) -> Result<Vec<u8>, Problem> {
    // Quoted whatever is in it: a spreadsheet may part cells at other characters than commas.
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    let failed = |cause: csv::Error| Problem::internal(&cause);
    writer
        .write_record(result.columns.iter().map(|column| guarded(&column.name)))
        .map_err(failed)?;
    for row in &result.rows {
        let cells = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => guarded(text),
            other => other.to_string(),
        });
        writer.write_record(cells).map_err(failed)?;
    }
    writer.into_inner().map_err(|cause| Problem::internal(&cause))
}

fn guarded(text: &str) -> String {
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// One JSON object a line. Of columns with the same name the last stays.
pub fn ndjson(result: &QueryResult) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    for row in &result.rows {
        let names = result.columns.iter().map(|column| column.name.clone());
        let line: Map<String, Value> = names.zip(row.iter().cloned()).collect();
        serde_json::to_writer(&mut bytes, &line).map_err(|cause| Problem::internal(&cause))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;
    use store::QueryColumn;

    fn result() -> QueryResult {
        let column = |name: &str| QueryColumn { name: name.to_owned(), kind: "text".to_owned() };
        QueryResult {
            columns: vec![column("url"), column("count")],
            rows: vec![
                vec![json!("=HYPERLINK(\"x\")"), json!(-3)],
                vec![json!("a,\"b\"\r\n다음"), Value::Null],
            ],
            truncated: false,
            truncated_by: None,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn csv_is_quoted_and_no_formula() {
        let text = String::from_utf8(csv(&result()).unwrap()).unwrap();
        assert_eq!(
            text,
            "\"url\",\"count\"\r\n\"'=HYPERLINK(\"\"x\"\")\",\"-3\"\r\n\"a,\"\"b\"\"\r\n다음\",\"\"\r\n"
        );
    }

    #[test]
    fn ndjson_keeps_values_as_they_are() {
        let text = String::from_utf8(ndjson(&result()).unwrap()).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines[0], json!({ "url": "=HYPERLINK(\"x\")", "count": -3 }));
        assert_eq!(lines[1], json!({ "url": "a,\"b\"\r\n다음", "count": null }));
    }

    #[test]
    fn the_first_form_that_is_named_is_taken() {
        let asked = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            Form::asked(&headers)
        };
        assert_eq!(asked("text/html, Text/CSV;q=0.5, application/x-ndjson"), Some(Form::Csv));
        assert_eq!(asked("application/vnd.apache.parquet"), Some(Form::Parquet));
        assert_eq!(asked("*/*"), None);
        assert_eq!(asked("application/json, text/csv;q=0"), None);
        assert_eq!(Form::asked(&HeaderMap::new()), None);
    }
}
