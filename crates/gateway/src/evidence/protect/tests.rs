use super::*;
use crate::evidence::{CapturedBody, Exchange, ProtectSpec, SessionBook, Site, SiteSpec, observe};
use http::HeaderValue;

fn body(spec: ProtectSpec, kind: &'static str, text: &str) -> (schema::Event, Keys) {
    let site = Site::compile("s", &SiteSpec { protect: spec, ..SiteSpec::default() }).unwrap();
    let keys = Keys::new(&[1; 32]);
    let mut exchange = Exchange { status: Some(200), ..Exchange::default() };
    exchange.request.headers.insert("content-type", HeaderValue::from_static(kind));
    exchange.response_headers.insert("content-type", HeaderValue::from_static(kind));
    exchange.request_body = CapturedBody::whole(text.to_owned());
    exchange.response_body = CapturedBody::whole(text.to_owned());
    (observe(&exchange, &site, &keys, &SessionBook::new(4)), keys)
}

#[test]
fn equal_values_stay_findable_and_the_rest_stays_as_it_was() {
    let text = r#"{ "user" : "kim", "password":"abc", "again":{"pwd":"abc"}, "mail":"Kim@Example.com", "n":[1, 2.0] }"#;
    let (event, keys) = body(ProtectSpec::default(), "application/json", text);
    let hash = keys.secret_hash(b"abc");
    let mail = keys.personal_hash(b"kim@example.com");
    let expected = format!(
        r#"{{ "user" : "kim", "password":"[secret:{hash}]", "again":{{"pwd":"[secret:{hash}]"}}, "mail":"[email:k***@example.com#{mail}]", "n":[1, 2.0] }}"#
    );
    assert_eq!(event.request_body.as_deref(), Some(expected.as_str()));
    assert_eq!(event.response_personal_count, Some(1));
    assert_eq!(event.sealed, None);
}

#[test]
fn one_number_in_two_spellings_has_one_hash() {
    let keys = Keys::new(&[1; 32]);
    assert_eq!(
        mask(&keys, Kind::Phone, "010-1234-5678"),
        mask(&keys, Kind::Phone, "０１０１２３４５６７８")
    );
    assert_ne!(
        mask(&keys, Kind::Phone, "010-1234-5678"),
        mask(&keys, Kind::Phone, "010-1234-5679")
    );
}

#[test]
fn personal_data_is_sealed_only_where_the_site_keeps_it() {
    let spec = ProtectSpec { keep: vec![Kind::Phone], ..ProtectSpec::default() };
    let (event, keys) = body(spec, "text/plain", "call 010-1234-5678 or kim@example.com");
    let sealed = event.sealed.unwrap();
    assert_eq!(sealed.as_array().unwrap().len(), 2, "request and response, the phone only");
    let entry = &sealed[1];
    assert_eq!(
        (entry["place"].as_str(), entry["kind"].as_str()),
        (Some("response.body#0"), Some("phone"))
    );
    let plain = keys.unseal(event.id, "response.body#0", entry["value"].as_str().unwrap()).unwrap();
    assert_eq!(plain.reveal(), "010-1234-5678");
}

#[test]
fn a_site_adds_names_and_exempts_others() {
    let spec = ProtectSpec {
        secret: vec!["shoeSize".to_owned()],
        personal: [("home_address".to_owned(), Kind::Other)].into(),
        exempt: vec!["device_token".to_owned()],
        ..ProtectSpec::default()
    };
    let text = r#"{"shoe_size":"270mm","homeAddress":"Seoul 1","deviceToken":"push-1"}"#;
    let (event, _) = body(spec, "application/json", text);
    let shown = event.request_body.unwrap();
    assert!(
        !shown.contains("270mm") && !shown.contains("Seoul") && shown.contains("push-1"),
        "{shown}"
    );
}

#[test]
fn other_charsets_are_read() {
    let text = "비밀번호: 가나다라 kim@example.com";
    let (bytes, ..) = encoding_rs::EUC_KR.encode(text);
    let site = Site::compile("s", &SiteSpec::default()).unwrap();
    let mut exchange = Exchange { status: Some(200), ..Exchange::default() };
    exchange
        .request
        .headers
        .insert("content-type", HeaderValue::from_static("text/plain; charset=euc-kr"));
    exchange.request_body = CapturedBody::whole(bytes.into_owned());
    let event = observe(&exchange, &site, &Keys::new(&[1; 32]), &SessionBook::new(4));
    let shown = event.request_body.unwrap();
    assert!(shown.starts_with("비밀번호: [secret:") && !shown.contains("가나다라"), "{shown}");
}

#[test]
fn a_small_body_that_unpacks_to_much_is_cut() {
    let zeros = vec![b'a'; 50 << 20];
    let bomb = zstd::encode_all(zeros.as_slice(), 1).unwrap();
    let site = Site::compile("s", &SiteSpec::default()).unwrap();
    let mut exchange = Exchange { status: Some(200), ..Exchange::default() };
    exchange.request.headers.insert("content-encoding", HeaderValue::from_static("zstd"));
    exchange.request_body = CapturedBody::whole(bomb);
    let event = observe(&exchange, &site, &Keys::new(&[1; 32]), &SessionBook::new(4));
    assert_eq!(event.request_truncated, Some(true));
    assert!(event.request_body.unwrap().len() <= 128 * 1024);
}
