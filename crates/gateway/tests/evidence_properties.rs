//! Any bytes in: no panic, and a planted secret stays hidden.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use gateway::evidence::*;
use http::{HeaderValue, Method};
use proptest::prelude::*;

fn observed(kind: &'static str, body: Vec<u8>, truncated: bool) -> String {
    thread_local! {
        static SITE: Site = Site::compile("shop", &SiteSpec::default()).unwrap();
    }
    let mut exchange = Exchange {
        request: RequestHead { method: Method::POST, ..RequestHead::default() },
        request_body: CapturedBody { truncated, ..CapturedBody::whole(body) },
        status: Some(200),
        ..Exchange::default()
    };
    exchange.request.headers.insert("content-type", HeaderValue::from_static(kind));
    SITE.with(|site| {
        let event = observe(&exchange, site, &Keys::new(&[1; 32]), &SessionBook::new(4));
        serde_json::to_string(&event).unwrap()
    })
}

const TYPES: [&str; 6] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/event-stream",
    "application/octet-stream",
];

/// Pieces that parsers trip over.
fn noise() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9 ]{0,8}",
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"a\":".to_owned()),
        Just("&x=".to_owned()),
        Just("%2".to_owned()),
        Just("\\".to_owned()),
        Just("\\u00".to_owned()),
        Just("\"".to_owned()),
        Just("비밀".to_owned()),
        Just("@".to_owned()),
        Just("010-12".to_owned()),
        Just("<p>".to_owned()),
        Just("\r\n--x".to_owned()),
        Just("eyJ".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_observed(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_protect(&data);
        fuzz_exchange(&data);
    }

    #[test]
    fn a_pair_among_noise_is_hidden(
        before in noise(), after in noise(), kind in 0usize..6, secret in "[A-Za-z0-9]{10,20}", quoted in any::<bool>(), cut in any::<bool>(),
    ) {
        // Broken text all around; the pair itself is whole and stands by itself.
        let pair = if quoted { format!("\n\"password\": \"{secret}\"\n") } else { format!("\npassword={secret}\n") };
        let line = observed(TYPES[kind], format!("{before}{pair}{after}").into_bytes(), cut);
        prop_assert!(!line.contains(&secret), "{line}");
    }

    #[test]
    fn a_card_among_noise_is_hidden(before in noise(), after in noise(), kind in 0usize..6) {
        let line = observed(TYPES[kind], format!("{before} 4111-1111-1111-1111 {after}").into_bytes(), false);
        prop_assert!(!line.contains("1111-1111-1111"), "{line}");
    }
}
