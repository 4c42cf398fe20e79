//! Entry points for fuzzing: any bytes in, no panic, and what must hold holds.

use super::body::{Decoded, MediaType};
use super::entities::{SessionBook, request_keys};
use super::exchange::{CapturedBody, Exchange, RequestHead};
use super::keys::Keys;
use super::observe::observe;
use super::protect::Protect;
use super::site::{Site, SiteSpec};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use std::borrow::Cow;
use std::sync::OnceLock;
use uuid::Uuid;

fn site() -> Option<&'static Site> {
    static SITE: OnceLock<Option<Site>> = OnceLock::new();
    SITE.get_or_init(|| Site::compile("fuzz", &SiteSpec::default()).ok()).as_ref()
}

/// Protects any bytes as a body of the type the first byte chooses, cut or whole.
pub fn fuzz_protect(data: &[u8]) {
    let (Some(site), Some((choice, body))) = (site(), data.split_first()) else { return };
    let types = [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; charset=euc-kr",
        "text/event-stream",
        "application/octet-stream",
        "text/html; charset=utf-16le",
        "",
    ];
    let mut headers = HeaderMap::new();
    let kind = types.get(usize::from(choice & 7)).copied().unwrap_or_default();
    headers.insert("content-type", HeaderValue::from_static(kind));
    let keys = Keys::new(&[1; 32]);
    let mut protect = Protect::new(&site.scanner, &keys, &[], Uuid::nil());
    let decoded = Decoded { bytes: Cow::Borrowed(body), cut: choice & 8 != 0, opaque: false };
    protect.body(&decoded, &MediaType::of(&headers), None);
}

/// Observes an exchange made of any bytes: method, target, headers and both bodies.
pub fn fuzz_exchange(data: &[u8]) {
    let Some(site) = site() else { return };
    let mut parts = data.split(|b| *b == 0xFF);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (method, path, query, headers) = (text(), text(), text(), text());
    let mut map = HeaderMap::new();
    for line in headers.lines() {
        if let Some((name, value)) = line.split_once(':')
            && let Ok(name) = name.trim().parse::<HeaderName>()
            && let Ok(value) = HeaderValue::from_bytes(value.trim().as_bytes())
        {
            map.append(name, value);
        }
    }
    let body = |bytes: &[u8]| CapturedBody::whole(bytes.to_vec());
    let exchange = Exchange {
        request: RequestHead {
            method: method.parse().unwrap_or(Method::POST),
            path,
            query: Some(query),
            headers: map.clone(),
            ..RequestHead::default()
        },
        request_body: body(parts.next().unwrap_or_default()),
        status: Some(200),
        response_headers: map,
        response_body: body(parts.next().unwrap_or_default()),
        ..Exchange::default()
    };
    let keys = Keys::new(&[1; 32]);
    let book = SessionBook::new(8);
    let event = observe(&exchange, site, &keys, &book);
    request_keys(&exchange.request, Some(&exchange.request_body.bytes), site, &keys, &book);
    // What was observed must be writable.
    drop(serde_json::to_vec(&event));
}
