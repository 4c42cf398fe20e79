//! What every access log says of one request.

use crate::text::{number, put};
use schema::{Event, activity};

/// Sets method, target and version from a request line; `false` when it is none.
///
/// What is not a request line (TLS bytes sent to a plain port, probes) is kept in `unmapped.request_line`.
pub(crate) fn set_request_line(event: &mut Event, line: &str) -> bool {
    let parts = line.split_once(' ').and_then(|(method, rest)| {
        let (target, version) = match rest.rsplit_once(' ') {
            Some((target, version)) if version.starts_with("HTTP/") => (target, Some(version)),
            _ => (rest, None),
        };
        (is_method(method) && !target.is_empty()).then_some((method, target, version))
    });
    match parts {
        Some((method, target, version)) => {
            set_method(event, method);
            set_target(event, target);
            event.http_version = version.map(version_number);
            true
        }
        None => {
            event.activity_id = activity::UNKNOWN;
            if !line.is_empty() && line != "-" {
                put(&mut event.rest, "unmapped.request_line", line);
            }
            false
        }
    }
}

/// RFC 9110 §5.6.2 `token`, no longer than any registered method is by far.
fn is_method(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=32).contains(&text.len()) && text.bytes().all(token)
}

pub(crate) fn set_method(event: &mut Event, method: &str) {
    event.activity_id = activity::of_method(method);
    event.method = Some(method.to_owned());
}

/// `HTTP/1.1` and `h2` as `1.1` and `2`.
pub(crate) fn version_number(text: &str) -> String {
    let number = text.strip_prefix("HTTP/").or(text.strip_prefix('h')).unwrap_or(text);
    number.strip_suffix(".0").filter(|n| *n != "1").unwrap_or(number).to_owned()
}

/// Splits a request target (RFC 9112 §3.2) into its parts.
pub(crate) fn set_target(event: &mut Event, target: &str) {
    let mut rest = target;
    if let Some((scheme, after)) = target.split_once("://")
        && matches!(scheme, "http" | "https" | "ws" | "wss")
    {
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
        event.scheme = Some(scheme.to_owned());
        set_host(event, authority.rsplit('@').next().unwrap_or(authority));
        rest = if path.is_empty() { "/" } else { path };
    } else if event.method.as_deref() == Some("CONNECT") {
        set_host(event, target);
        return;
    }
    match rest.split_once('?') {
        Some((path, query)) => {
            event.path = Some(path.to_owned());
            event.query = Some(query.to_owned());
        }
        None => event.path = Some(rest.to_owned()),
    }
}

/// `host` or `host:port`; the port goes where OCSF has it.
pub(crate) fn set_host(event: &mut Event, host: &str) {
    let split = host.rsplit_once(':').and_then(|(name, port)| Some((name, number(port)?)));
    let (name, port) = match split {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if name.is_empty() || name == "-" || name == "_" {
        return;
    }
    event.host = Some(name.to_owned());
    if let Some(port) = port {
        put(&mut event.rest, "http_request.url.port", port);
    }
}

/// What a status says of the outcome when no route knows better.
///
/// A redirect says nothing: a login redirects when it succeeds and when it fails.
pub(crate) fn set_status(event: &mut Event, code: i64) {
    event.http_code = Some(code);
    event.status_code = Some(code.to_string());
    let (status, outcome, reason) = match code {
        304 | 100..=299 => (1, "success", None),
        300..=399 => (99, "unknown", None),
        401 => (2, "failure", Some("unauthenticated")),
        403 => (2, "failure", Some("no-permission")),
        404 | 410 => (2, "failure", Some("not-found")),
        429 => (2, "failure", Some("rate-limited")),
        499 => (2, "failure", Some("client-closed")),
        400..=498 => (2, "failure", Some("bad-request")),
        500..=599 => (2, "failure", Some("server-error")),
        _ => (99, "unknown", None),
    };
    event.status_id = Some(status);
    event.outcome = Some(outcome.to_owned());
    event.outcome_reason = reason.map(str::to_owned);
}
