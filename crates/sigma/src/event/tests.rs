#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn values(record: &Record<'_>, name: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let there = record.field(name, &mut |value| {
        all.push(value.text().unwrap_or("null".into()).into_owned());
        true
    });
    there.then_some(all)
}

fn some(values: &[&str]) -> Option<Vec<String>> {
    Some(values.iter().map(|&value| value.to_owned()).collect())
}

#[test]
fn a_path_leads_through_objects_and_lists() {
    let event = json!({
        "userIdentity": {"type": "Root", "n": null},
        "a.b": 1,
        "list": [{"name": "x"}, {"name": "y"}, {"other": 1}],
        "empty": [],
        "params": {"k": {"v": true}, "none": null},
    });
    let record = Record::json(LogSource::default(), &event);
    assert_eq!(values(&record, "userIdentity.type"), some(&["Root"]));
    assert_eq!(values(&record, "userIdentity.n"), some(&["null"]));
    assert_eq!(values(&record, "a.b"), some(&["1"]));
    assert_eq!(values(&record, "list.name"), some(&["x", "y"]));
    assert_eq!(values(&record, "empty"), some(&[]));
    assert_eq!(values(&record, "params"), some(&["true"]));
    assert_eq!(values(&record, "userIdentity.arn"), None);
    assert_eq!(values(&record, "usertype"), None);
}

#[test]
fn a_windows_record_has_its_header_and_its_data() {
    let event = json!({"Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Service Control Manager"}},
            "Execution": {"#attributes": {"ProcessID": 788}},
            "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 7045},
            "Channel": "System",
        },
        "EventData": {"Threat Name": "EICAR", "Data": {"#text": ["one", "two"]}, "User": "SYSTEM"},
    }});
    let record = Record::event_log("windows", &event);
    assert_eq!(values(&record, "Provider_Name"), some(&["Service Control Manager"]));
    assert_eq!(values(&record, "Execution_ProcessID"), some(&["788"]));
    assert_eq!(values(&record, "EventID"), some(&["7045"]));
    assert_eq!(values(&record, "Channel"), some(&["System"]));
    assert_eq!(values(&record, "ThreatName"), some(&["EICAR"]));
    assert_eq!(values(&record, "Threat Name"), some(&["EICAR"]));
    assert_eq!(values(&record, "Data"), some(&["one", "two"]));
    assert_eq!(values(&record, "Nothing"), None);
}

#[test]
fn user_data_and_attributes_beside_elements_are_read_too() {
    let event = json!({"Event": {
        "System": {"Provider_attributes": {"Name": "WMI"}, "EventID": 5861},
        "EventData": null,
        "UserData": {"Operation_ESS": {"#attributes": {"xmlns": "x"}, "Query": "select"}},
    }});
    let record = Record::event_log("windows", &event);
    assert_eq!(values(&record, "Query"), some(&["select"]));
    assert_eq!(values(&record, "Provider_Name"), some(&["WMI"]));
}

#[test]
fn flat_records_of_shippers_are_read_too() {
    let flat = json!({"EventID": 1, "Channel": "X", "SourceName": "Sysmon", "Hostname": "H"});
    let record = Record::event_log("windows", &flat);
    assert_eq!(values(&record, "Provider_Name"), some(&["Sysmon"]));
    assert_eq!(values(&record, "Computer"), some(&["H"]));
    let beat = json!({"winlog": {"event_id": 1, "channel": "X", "provider_name": "P",
        "event_data": {"Image": "a.exe"}}});
    let record = Record::event_log("windows", &beat);
    assert_eq!(values(&record, "EventID"), some(&["1"]));
    assert_eq!(values(&record, "Image"), some(&["a.exe"]));
    assert_eq!(values(&record, "Channel"), some(&["X"]));
}

#[test]
fn every_value_is_seen_once_with_its_field() {
    let event = json!({"a": {"b": "x"}, "c": [1, null]});
    let record = Record::json(LogSource::default(), &event);
    let mut seen = Vec::new();
    record.every(&mut |field, value| {
        seen.push((field.to_owned(), value));
        true
    });
    assert_eq!(
        seen,
        [
            ("b".to_owned(), Scalar::Text("x")),
            ("c".to_owned(), Scalar::Integer(1)),
            ("c".to_owned(), Scalar::Null)
        ]
    );
}

#[test]
fn a_long_value_is_seen_from_its_beginning() {
    let long = "한".repeat(EVENT_VALUE_BYTES_MAX);
    let text = Scalar::Text(&long).text().unwrap().into_owned();
    assert!(text.len() <= EVENT_VALUE_BYTES_MAX && text.len() > EVENT_VALUE_BYTES_MAX - 3);
}
