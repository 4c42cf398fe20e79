//! The web console: every path that is not the API's. Its files hold no data, so anyone gets them;
//! what they show comes through the API, and its guard.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schema::sha256;
use std::borrow::Cow;

/// Nothing but our own files, no markup made from text, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// What a page may ask of the browser: to write to the clipboard, and nothing else.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), \
    browsing-topics=(), clipboard-read=()";

const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Kept, and asked after each time: a new build is seen at once.
const ASKED_AFTER: &str = "no-cache";

/// Paths that belong to programs: what is unknown there is a problem, not a page.
const PROGRAMS: [&str; 6] = ["/api", "/access", "/.well-known", "/healthz", "/readyz", "/metrics"];

/// The console's answer to a request that no route takes; `None` where it has none either.
pub fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    let is_of =
        |root: &str| path == root || path.strip_prefix(root).is_some_and(|r| r.starts_with('/'));
    if !matches!(*method, Method::GET | Method::HEAD) || PROGRAMS.into_iter().any(is_of) {
        return None;
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let encodings = text(header::ACCEPT_ENCODING).unwrap_or_default();
    // A person goes to an address; a program that asks for one that is not there is told so.
    let is_visit = path == "/" || text(header::ACCEPT).is_some_and(|a| a.contains("text/html"));
    let file = match console::file(path, encodings) {
        Some(file) => file,
        None if is_visit => console::page(encodings),
        None => return None,
    };
    let tag = format!("\"{}\"", sha256(&file.body));
    let is_known = text(header::IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
    });
    let caching = if file.is_immutable { FOR_EVER } else { ASKED_AFTER };
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(bytes(file.body)).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert("permissions-policy", HeaderValue::from_static(PERMISSIONS));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(encoding) = file.encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

fn bytes(body: Cow<'static, [u8]>) -> Bytes {
    match body {
        Cow::Borrowed(body) => Bytes::from_static(body),
        Cow::Owned(body) => Bytes::from(body),
    }
}
