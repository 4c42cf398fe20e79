//! NDJSON of OCSF events, of any class.

use crate::reading::{Context, Note, Raw, Reading};
use crate::secrets;
use schema::{Event, class};
use serde_json::Value;

pub(crate) fn read(line: &str, context: &Context<'_>) -> Reading {
    match parse_json(line) {
        Ok(value) => from_value(value, context),
        Err(note) => {
            let masked = secrets::mask_text(line);
            Reading::unread(context, "ocsf", Raw::of(masked), note)
        }
    }
}

/// One JSON value. `serde_json` refuses more than 127 levels of nesting.
pub(crate) fn parse_json(line: &str) -> Result<Value, Note> {
    serde_json::from_str(line).map_err(|error| {
        let told = error.to_string();
        if told.contains("recursion limit") {
            Note::new("json-too-deep", format!("nested too deep at column {}", error.column()))
                .hint("at most 127 levels are read")
        } else {
            Note::new("not-json", format!("the line is no JSON object: {told}"))
                .hint("send one JSON object per line, with no line breaks inside")
        }
    })
}

/// Whether a JSON object claims to be an OCSF event.
pub(crate) fn is_ocsf(value: &Value) -> bool {
    value.get("class_uid").is_some_and(Value::is_number)
}

pub(crate) fn from_value(value: Value, context: &Context<'_>) -> Reading {
    if !value.is_object() {
        let note = Note::new("not-an-object", "an event is a JSON object")
            .hint("send one OCSF object per line");
        return Reading::unread(context, "ocsf", Raw::Line, note);
    }
    let has_class = is_ocsf(&value);
    let has_time = value.get("time").is_some();
    let (mut event, diagnostics) = Event::from_ocsf(value);
    let mut notes = Vec::new();
    if event.time <= 0 {
        let what = if has_time { "is no time" } else { "is missing" };
        notes.push(
            Note::new("no-time", format!("`time` {what}; the time it was received stands in"))
                .hint("send `time` as milliseconds since 1970, UTC"),
        );
        event.time = context.received;
    }
    if !has_class {
        event.class_uid = class::BASE_EVENT;
        notes.push(
            Note::new("no-class", "`class_uid` is missing or no number")
                .hint("send OCSF's `class_uid`, for example 4002 for HTTP Activity"),
        );
    }
    for diagnostic in diagnostics.into_iter().filter(|d| !(has_time && d.place == "$.time")) {
        notes.push(
            Note::new("wrong-type", diagnostic.message)
                .hint("the field is kept as it came, but no column and no rule sees it"),
        );
    }
    if event.log_format.is_none() {
        event.log_format = Some("ocsf".to_owned());
    }
    // A digest without the record it is of would be taken for ours.
    if event.raw.is_none() {
        event.raw_sha256 = None;
    }
    Reading::Event { event: Box::new(event), raw: Raw::Own, notes }
}
