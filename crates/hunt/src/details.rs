//! When and where an event was, as it says itself.

use crate::kind::Kind;
use schema::{Event as Ocsf, Timestamp};
use serde_json::Value;
use sigma::{Event, HEADER_CHANNEL, Record};

/// What a hit tells of its event beside what matched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    pub time: Option<Timestamp>,
    pub host: Option<String>,
    pub channel: Option<String>,
    pub event_id: Option<String>,
    pub record_id: Option<String>,
}

/// Fields that hold the time where there is no header, those with a zone first. `UtcTime` is Sysmon's,
/// `EventTime` NXLog's; a time without a zone is taken for UTC.
const TIMES: &[&str] = &[
    "@timestamp",
    "UtcTime",
    "EventTime",
    "TimeCreated",
    "eventTime",
    "published",
    "timestamp",
    "Timestamp",
    "time",
    "ts",
    "event.created",
    "requestReceivedTimestamp",
];
const HOSTS: &[&str] = &["Computer", "host.name", "hostname", "Hostname", "host", "computer"];

/// Looked up only for events that fire.
pub fn details(kind: &Kind, value: &Value, record: &Record<'_>) -> Details {
    let mut found = Details { time: time_of(value), ..Details::default() };
    found.host = HOSTS.iter().find_map(|name| first(record, name));
    if matches!(kind, Kind::EventLog(_)) {
        found.channel = first(record, HEADER_CHANNEL);
        found.event_id = first(record, "EventID");
        found.record_id = first(record, "EventRecordID");
    }
    found
}

/// The same of an event in OCSF, which is known by its id.
pub fn details_of_ocsf(event: &Ocsf) -> Details {
    let text = |name: &str| {
        let metadata = event.rest.get("metadata")?;
        metadata.get(name)?.as_str().map(str::to_owned)
    };
    Details {
        time: (event.time != 0).then_some(event.time),
        host: event.device.clone().or_else(|| event.host.clone()),
        channel: text("log_name"),
        event_id: text("event_code"),
        record_id: (!event.id.is_nil()).then(|| event.id.to_string()),
    }
}

fn first(record: &Record<'_>, name: &str) -> Option<String> {
    let mut found = None;
    record.field(name, &mut |value| {
        found = value.text().map(|text| text.into_owned()).filter(|text| !text.is_empty());
        found.is_none()
    });
    found
}

/// When the event was, in milliseconds; none if it does not say.
pub fn time_of(value: &Value) -> Option<Timestamp> {
    let header = value.get("Event").unwrap_or(value).get("System").and_then(|system| {
        let created = system.get("TimeCreated");
        let attributes = created.and_then(|created| created.get("#attributes"));
        let attributes = attributes.or_else(|| system.get("TimeCreated_attributes")).or(created);
        attributes?.get("SystemTime")
    });
    if let Some(time) = header.and_then(parse) {
        return Some(time);
    }
    TIMES.iter().find_map(|name| {
        let plain = value.get(name);
        plain.or_else(|| value.pointer(&format!("/{}", name.replace('.', "/")))).and_then(parse)
    })
}

fn parse(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => schema::parse_time(text).or_else(|| without_zone(text)),
        Value::Number(number) => {
            /// Seconds until the year 5138, milliseconds from 1973 on.
            const SECONDS_MAX: f64 = 1e11;
            let number = number.as_f64().filter(|number| number.is_finite())?;
            let millis = if number.abs() < SECONDS_MAX { number * 1000.0 } else { number };
            // Saturates, and what no calendar has is not taken.
            let millis = millis as i64;
            jiff::Timestamp::from_millisecond(millis).is_ok().then_some(millis)
        }
        _ => None,
    }
}

fn without_zone(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_in_every_form() {
        let check = |value: Value, wanted: &str| {
            let time = time_of(&value).map(schema::format_time).unwrap_or_default();
            assert_eq!(time, wanted, "{value}");
        };
        let system =
            json!({"TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05.678901Z"}}});
        check(json!({"Event": {"System": system}}), "2026-01-02T03:04:05.678Z");
        check(json!({"UtcTime": "2020-06-10 02:50:54.631"}), "2020-06-10T02:50:54.631Z");
        check(
            json!({"EventTime": "2020-06-09 22:50:54", "@timestamp": "2020-06-10T02:50:56.5Z"}),
            "2020-06-10T02:50:56.500Z",
        );
        check(json!({"time": 1_700_000_000}), "2023-11-14T22:13:20.000Z");
        check(json!({"time": 1_700_000_000_123_i64}), "2023-11-14T22:13:20.123Z");
        check(json!({"time": 1e300}), "");
        check(json!({"time": "yesterday"}), "");
        check(json!([]), "");
    }
}
