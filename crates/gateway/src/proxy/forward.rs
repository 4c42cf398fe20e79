//! What a head becomes on its way through: hop-by-hop fields end here, ours are added.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, Entry, FORWARDED,
    HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Version};
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// How a request came to us.
#[derive(Debug, Clone, Copy)]
pub struct Via<'a> {
    pub peer: IpAddr,
    /// The peer is one of our proxies: what it tells is passed on.
    pub trusted: bool,
    pub client: IpAddr,
    pub scheme: &'static str,
    /// As asked for, port included.
    pub host: &'a HeaderValue,
    pub port: u16,
    pub version: Version,
}

/// RFC 9110 §7.6.1, and those that were never standard.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    // The first letter rules out nearly every field.
    match name.as_str().as_bytes().first() {
        Some(b'c') => *name == CONNECTION,
        Some(b'k') => *name == KEEP_ALIVE,
        Some(b'p') => {
            *name == PROXY_CONNECTION || *name == PROXY_AUTHENTICATE || *name == PROXY_AUTHORIZATION
        }
        Some(b't') => *name == TE || *name == TRAILER || *name == TRANSFER_ENCODING,
        Some(b'u') => *name == UPGRADE,
        Some(b'h') => *name == HTTP2_SETTINGS,
        _ => false,
    }
}

/// Ours to set, so the client's word for it does not pass.
fn is_ours(name: &HeaderName) -> bool {
    match name.as_str().as_bytes().first() {
        Some(b'x') => {
            *name == X_FORWARDED_FOR
                || *name == X_FORWARDED_PROTO
                || *name == X_FORWARDED_HOST
                || *name == X_FORWARDED_PORT
                || *name == X_REAL_IP
        }
        Some(b'f') => *name == FORWARDED,
        Some(b'h') => *name == HOST,
        // The gateway answers the expectation itself, by reading the body.
        Some(b'e') => *name == EXPECT,
        _ => false,
    }
}

/// `Content_Length` is `Content-Length` to a server that speaks CGI: not from the outside.
fn poses_as_ours(name: &HeaderName) -> bool {
    let text = name.as_str();
    if !text.as_bytes().contains(&b'_') {
        return false;
    }
    let dashed = text.replace('_', "-");
    HeaderName::try_from(dashed).is_ok_and(|name| {
        is_hop_by_hop(&name) || is_ours(&name) || name == CONTENT_LENGTH || name == AUTHORIZATION
    })
}

/// Fields that `Connection` names, without those a client may not take away from what the
/// application is told ("hop-by-hop header abuse", N. Davison 2019).
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let kept = [HOST, CONTENT_LENGTH, CONTENT_TYPE, AUTHORIZATION, COOKIE];
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| {
            !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close")
        })
        .filter_map(|name| HeaderName::try_from(name).ok())
        .filter(|name| !kept.contains(name) && !is_ours(name))
        .collect()
}

/// The request head for an HTTP/1.1 upstream.
pub fn request_headers(headers: &HeaderMap, via: &Via<'_>, websocket: bool) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(headers.len() + 6);
    out.insert(HOST, via.host.clone());
    let named = named_by_connection(headers);
    for (name, value) in headers {
        let dropped =
            is_hop_by_hop(name) || is_ours(name) || named.contains(name) || poses_as_ours(name);
        if dropped {
            continue;
        }
        // HTTP/2 clients may send cookies one by one (RFC 9113 §8.2.3).
        if *name == COOKIE
            && via.version == Version::HTTP_2
            && let Entry::Occupied(mut cookies) = out.entry(COOKIE)
        {
            let joined = [cookies.get().as_bytes(), b"; ", value.as_bytes()].concat();
            if let Ok(joined) = HeaderValue::from_bytes(&joined) {
                cookies.insert(joined);
            }
            continue;
        }
        out.append(name.clone(), value.clone());
    }
    if websocket {
        out.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        out.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    forwarded(&mut out, headers, via);
    out
}

fn forwarded(out: &mut HeaderMap, headers: &HeaderMap, via: &Via<'_>) {
    let peer = address_value(via.peer);
    let chain = headers.get(X_FORWARDED_FOR).filter(|_| via.trusted).map_or_else(
        || peer.clone(),
        |_| {
            let mut chain = Vec::new();
            for value in headers.get_all(X_FORWARDED_FOR) {
                chain.extend_from_slice(value.as_bytes());
                chain.extend_from_slice(b", ");
            }
            chain.extend_from_slice(peer.as_bytes());
            HeaderValue::from_bytes(&chain).unwrap_or_else(|_| peer.clone())
        },
    );
    let told = |name: HeaderName, fits: fn(&[u8]) -> bool| {
        headers.get(name).filter(|v| via.trusted && fits(v.as_bytes())).cloned()
    };
    let client = if via.client == via.peer { peer } else { address_value(via.client) };
    out.insert(X_FORWARDED_FOR, chain);
    out.insert(X_REAL_IP, client);
    out.insert(
        X_FORWARDED_PROTO,
        told(X_FORWARDED_PROTO, |v| v == b"http" || v == b"https")
            .unwrap_or(HeaderValue::from_static(via.scheme)),
    );
    out.insert(
        X_FORWARDED_HOST,
        told(X_FORWARDED_HOST, super::head::is_host).unwrap_or_else(|| via.host.clone()),
    );
    out.insert(
        X_FORWARDED_PORT,
        told(X_FORWARDED_PORT, |v| (1..=5).contains(&v.len()) && v.iter().all(u8::is_ascii_digit))
            .unwrap_or(HeaderValue::from(via.port)),
    );
}

fn address_value(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The response head for the client: hop-by-hop fields removed in place.
pub fn clean_response(headers: &mut HeaderMap) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Whether a response comes event by event, for as long as it likes.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes().trim_ascii_start();
        kind.get(..EVENT_STREAM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
    })
}

/// Why a response cannot be trusted to end where it says, if so.
pub fn response_fault(headers: &HeaderMap) -> Option<&'static str> {
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    if lengths > 1 {
        Some("more than one content-length")
    } else if chunked && lengths > 0 {
        Some("both content-length and transfer-encoding")
    } else {
        None
    }
}

/// A fault of an HTTP/2 request head that h2 leaves to us (RFC 9113 §8.2.2, §8.3.1).
pub fn is_connection_specific(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, value)| {
        (*name == TE && !value.as_bytes().eq_ignore_ascii_case(b"trailers"))
            || (*name != TE
                && *name != TRAILER
                && is_hop_by_hop(name)
                && *name != PROXY_AUTHENTICATE
                && *name != PROXY_AUTHORIZATION)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn check(
        lines: &[(&'static str, &'static str)],
        trusted: bool,
        version: Version,
    ) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let host = HeaderValue::from_static("shop.example:8080");
        let via = Via {
            peer: Ipv4Addr::new(10, 0, 0, 1).into(),
            trusted,
            client: Ipv4Addr::new(203, 0, 113, 7).into(),
            scheme: "http",
            host: &host,
            port: 8080,
            version,
        };
        let out = request_headers(&headers, &via, false);
        out.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect()
    }

    const OURS: [&str; 6] = [
        "host: shop.example:8080",
        "x-forwarded-for: 10.0.0.1",
        "x-real-ip: 203.0.113.7",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.example:8080",
        "x-forwarded-port: 8080",
    ];

    #[test]
    fn hop_by_hop_fields_and_false_claims_end_here() {
        let out = check(
            &[
                ("connection", "close, X-Secret, cookie, x-forwarded-for"),
                ("x-secret", "a"),
                ("cookie", "a=b"),
                ("keep-alive", "timeout=5"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
                ("transfer-encoding", "chunked"),
                ("content_length", "5"),
                ("x_forwarded_for", "1.1.1.1"),
                ("x-forwarded-for", "1.1.1.1"),
                ("forwarded", "for=1.1.1.1"),
                ("expect", "100-continue"),
                ("my_header", "kept"),
            ],
            false,
            Version::HTTP_11,
        );
        let mut wanted: Vec<String> = OURS.iter().map(|s| (*s).to_owned()).collect();
        wanted.insert(1, "cookie: a=b".into());
        wanted.insert(2, "my_header: kept".into());
        assert_eq!(out, wanted);
    }

    #[test]
    fn what_our_own_proxy_tells_is_passed_on() {
        let out = check(
            &[
                ("x-forwarded-for", "203.0.113.7"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "a b"),
            ],
            true,
            Version::HTTP_11,
        );
        assert!(out.contains(&"x-forwarded-for: 203.0.113.7, 10.0.0.1".into()), "{out:?}");
        assert!(out.contains(&"x-forwarded-proto: https".into()));
        assert!(
            out.contains(&"x-forwarded-host: shop.example:8080".into()),
            "not a host, not believed"
        );
    }

    #[test]
    fn cookies_of_http2_come_together() {
        let out = check(&[("cookie", "a=b"), ("cookie", "c=d")], false, Version::HTTP_2);
        assert!(out.contains(&"cookie: a=b; c=d".into()), "{out:?}");
    }
}
