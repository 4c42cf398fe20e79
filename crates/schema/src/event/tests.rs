#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
use super::*;
use serde_json::json;

#[test]
fn a_record_comes_out_as_it_went_in() {
    let given = json!({
        "metadata": { "uid": "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "version": "1.6.0", "log_source": "gw-1", "profiles": ["cloud"] },
        "time": 1_732_000_000_000_i64, "class_uid": 4002, "activity_id": 6, "category_uid": 4, "type_uid": 400206, "severity_id": 1,
        "http_request": { "http_method": "POST", "url": { "path": "/login", "hostname": "shop.example", "port": 443 } },
        "plura": { "outcome": { "result": "failure", "reason": "bad-password" } },
        "unmapped": { "x": [1, 2, {"y": null}] }
    });
    let (event, diagnostics) = Event::from_ocsf(given.clone());
    assert_eq!(diagnostics, []);
    assert_eq!(event.path.as_deref(), Some("/login"));
    assert_eq!(event.outcome_result(), OutcomeResult::Failure);
    assert_eq!(event.rest["http_request"]["url"]["port"], 443);
    assert_eq!(event.to_ocsf(), given);
}

#[test]
fn a_field_of_the_wrong_type_is_kept_and_told_of() {
    let (event, diagnostics) = Event::from_ocsf(json!({ "time": "yesterday", "class_uid": 4002 }));
    assert_eq!(event.time, 0);
    assert_eq!(event.to_ocsf()["unmapped"]["time"], "yesterday");
    assert_eq!(diagnostics[0].place, "$.time");
    assert_eq!(diagnostics[0].code, "wrong-type");
}

#[test]
fn a_tenant_named_by_the_sender_is_not_believed() {
    let (event, _) =
        Event::from_ocsf(json!({ "metadata": { "tenant_uid": "other" }, "class_uid": 1 }));
    assert!(event.to_ocsf()["metadata"].get("tenant_uid").is_none());
}

#[test]
fn columns_have_unique_names_and_paths_and_round_trip_by_cell() {
    let mut names: Vec<_> = COLUMNS.iter().map(|c| c.name).collect();
    let mut paths: Vec<_> = COLUMNS.iter().map(|c| c.path).collect();
    names.sort_unstable();
    names.dedup();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!((names.len(), paths.len()), (COLUMNS.len(), COLUMNS.len()));

    let (event, _) = Event::from_ocsf(json!({
        "time": 5, "class_uid": 4002, "plura": { "request": { "truncated": true }, "sealed": {"a": 1} }, "message": "m"
    }));
    let mut copy = Event::default();
    event.for_each_cell(|column, cell| {
        let owned = match cell {
            Cell::Null => OwnedCell::Null,
            Cell::Text(t) => OwnedCell::Text(t.to_owned()),
            Cell::Int(i) => OwnedCell::Int(i),
            Cell::Bool(b) => OwnedCell::Bool(b),
            Cell::Json(j) => OwnedCell::Json(j.clone()),
            Cell::Uuid(u) => OwnedCell::Uuid(u),
        };
        assert!(copy.set(COLUMNS[column].name, owned));
    });
    assert_eq!(copy, event);
}

#[test]
fn empty_objects_and_strangers_below_known_paths_stay() {
    let given = json!({
        "metadata": { "uid": "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "version": "1.6.0" },
        "time": 1, "class_uid": 0, "activity_id": 0, "category_uid": 0, "type_uid": 0, "severity_id": 1,
        "device": {}, "actor": { "user": { "name": "a", "groups": [] } }, "process": { "file": "not an object" }
    });
    let (event, diagnostics) = Event::from_ocsf(given.clone());
    assert_eq!(diagnostics, []);
    assert_eq!(event.to_ocsf(), given);
}

/// Found by fuzzing: an empty object where columns live was kept, and gone after writing.
#[test]
fn an_empty_object_does_not_make_another_event() {
    for text in [r#"{"metadata":{}}"#, r#"{"unmapped":{"plura":{}}}"#, r#"{"other":{}}"#] {
        let (event, _) = Event::from_ocsf(serde_json::from_str(text).unwrap());
        let (again, _) = Event::from_ocsf(event.to_ocsf());
        assert_eq!(event, again, "{text}");
    }
}
