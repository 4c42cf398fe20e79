use super::*;
use serde_json::json;

fn event() -> Event {
    Event {
        class_uid: class::HTTP_ACTIVITY,
        method: Some("POST".to_owned()),
        path: Some("/a".to_owned()),
        ..Event::default()
    }
}

#[test]
fn what_is_no_request_is_no_record() {
    assert_eq!(Record::of(&Event::default()), None);
    assert_eq!(Record::of(&Event { path: None, ..event() }), None);
    assert_eq!(Record::of(&Event { class_uid: class::AUTHENTICATION, ..event() }), None);
}

#[test]
fn an_access_line_says_what_it_lacks() {
    let codes: Vec<&str> = Record::of(&event()).unwrap().unseen.iter().map(|u| u.code()).collect();
    assert_eq!(codes, ["request-headers", "request-body", "protocol", "client"]);
}

#[test]
fn headers_and_bodies_come_as_they_were() {
    let record = Record::of(&Event {
        host: Some("shop.example".to_owned()),
        query: Some("q=1".to_owned()),
        http_version: Some("2".to_owned()),
        request_headers: Some(json!([
            {"name": "content-type", "value": "image/png"}, {"name": 3}, {"name": "x", "value": "y"},
        ])),
        request_body: Some("AAEC".to_owned()),
        request_body_encoding: Some("base64".to_owned()),
        request_truncated: Some(true),
        http_code: Some(204),
        response_length: Some(0),
        ..event()
    })
    .unwrap();
    assert_eq!(record.target, b"/a?q=1");
    assert_eq!(record.protocol.as_deref(), Some("HTTP/2.0"));
    let names: Vec<&[u8]> = record.headers.iter().map(|(name, _)| name.as_slice()).collect();
    assert_eq!(names, [&b"Host"[..], b"Content-Type", b"x"]);
    assert_eq!(record.body, Body::Beginning(vec![0, 1, 2]));
    let response = record.response.unwrap();
    assert_eq!((response.status, response.body), (204, Body::Whole(Vec::new())));
}

#[test]
fn what_cannot_be_undone_is_unknown() {
    for (text, encoding) in
        [("not base64", Some("base64")), ("x", Some("rot13")), ("[undecodable]", None)]
    {
        let record = Record::of(&Event {
            request_body: Some(text.to_owned()),
            request_body_encoding: encoding.map(str::to_owned),
            ..event()
        })
        .unwrap();
        assert_eq!(record.body, Body::Unknown, "{text}");
    }
}
