//! Whether a request may pass, and what it hears when it may not.

use super::live::{Live, Site};
use super::problem::{Problem, code};
use super::record::{OpenExchange, RequestTap};
use super::refusal::Refusal;
use super::shared::{Shared, now};
use super::trusted;
use crate::config::FailMode;
use crate::enforce::{RequestKeys, Verdict};
use crate::evidence::{self, Enforced, ExchangeError, RequestHead};
use crate::proxy::body::ReplyBody;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

pub enum Passed {
    Unread(Incoming),
    /// Its beginning was read to be inspected.
    Begun(Bytes, Incoming),
    /// A login whose account was looked for.
    Read(Bytes),
}

/// Judges a request; `Err` is the answer to one that is held back, already in its record.
pub async fn pass(
    shared: &Shared,
    live: &Live,
    open: &mut OpenExchange,
    incoming: Incoming,
) -> Result<Passed, Box<Response<ReplyBody>>> {
    let site = open.site().clone();
    let received = open.exchange.request.received;
    if is_out_of_touch(shared, &site, received) {
        match site.config.fail {
            FailMode::Open => shared.metrics.passed_open.add(1),
            FailMode::Closed => {
                shared.metrics.refused_closed.add(1);
                let problem =
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code::SERVER_UNREACHABLE);
                return Err(own(live, open, Problem { retry_after_secs: Some(30), ..problem }));
            }
        }
    }
    let head = &open.exchange.request;
    let is_asked =
        site.trust.as_ref().is_some_and(|trust| !trust.skips(head.method.as_str(), &head.path));
    if shared.enforcer.is_empty() && !is_asked {
        return Ok(Passed::Unread(incoming));
    }
    let head = &open.exchange.request;
    let asks_by_account = is_asked && evidence::is_sign_in(head, &site.evidence);
    let looks_into_body = (asks_by_account
        || shared.enforcer.restricts_accounts(&site.config.name, received))
        && evidence::wants_body(head, &site.evidence);
    let (mut keys, is_claim, passed) = if looks_into_body {
        let body = read_login(shared, live, open, incoming).await?;
        let head = &open.exchange.request;
        let (mut keys, is_claim) = shared.claimed_keys(&site, head);
        // The account that is tried counts, whoever the session belongs to.
        let named = evidence::account_in_body(head, &body, &site.evidence, &shared.evidence.keys);
        let is_claim = is_claim && named.is_none();
        keys.account = named.or(keys.account);
        (keys, is_claim, Passed::Read(body))
    } else {
        let (keys, is_claim) = shared.claimed_keys(&site, head);
        (keys, is_claim, Passed::Unread(incoming))
    };
    let held = match judge(shared, &site, &open.exchange.request, &keys) {
        Verdict::Allow if is_asked => {
            if is_claim {
                keys.account = None;
            }
            trusted::admit(shared, live, open, keys).await.err()
        }
        Verdict::Allow => None,
        verdict => Some(hold_back(shared, live, open, &site, &verdict)),
    };
    match held {
        None => Ok(passed),
        Some(response) => {
            if let Passed::Read(body) = &passed {
                open.request_tap = Some(RequestTap::whole(body, live.config.limits.body_bytes_max));
            }
            Err(response)
        }
    }
}

/// Whether what is already under way has to end.
pub fn ends(shared: &Shared, open: &OpenExchange) -> bool {
    let head = &open.exchange.request;
    let keys = shared.request_keys(open.site(), head);
    let verdict = shared.enforcer.recheck(&keys, now());
    verdict.ends_streams() && !stays_open(open.site(), head, &verdict)
}

fn judge(shared: &Shared, site: &Site, head: &RequestHead, keys: &RequestKeys) -> Verdict {
    let verdict = shared.enforcer.check(keys, head.received);
    if stays_open(site, head, &verdict) { Verdict::Allow } else { verdict }
}

/// The way to prove who one is, and to recover, stays open.
fn stays_open(site: &Site, head: &RequestHead, verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::StepUp(_) | Verdict::Isolate(_))
        && site.is_step_up_open(head.method.as_str(), &head.path)
}

fn is_out_of_touch(shared: &Shared, site: &Site, now: i64) -> bool {
    shared
        .contact
        .silence_ms(now)
        .is_some_and(|silence| silence > site.config.fail_grace_secs.saturating_mul(1_000))
}

/// Reads the small body of a login. One too large to look into is refused: padding is no way around.
async fn read_login(
    shared: &Shared,
    live: &Live,
    open: &mut OpenExchange,
    mut incoming: Incoming,
) -> Result<Bytes, Box<Response<ReplyBody>>> {
    let max = live.config.limits.login_body_bytes_max;
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let (error, refusal) = match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) if body.len() + data.len() <= max => {
                    body.extend_from_slice(&data);
                    continue;
                }
                Ok(_) => (ExchangeError::BadRequest, Refusal::BodyTooLarge),
                Err(_) => continue,
            },
            Err(_) => (ExchangeError::ClientGone, Refusal::LengthMismatch),
        };
        open.failed(error);
        shared.metrics.refused(refusal);
        return Err(own(live, open, Problem::new(refusal.status(), refusal.code()).close()));
    }
    Ok(body.freeze())
}

/// An answer of our own, on record.
pub fn own(live: &Live, open: &mut OpenExchange, problem: Problem<'_>) -> Box<Response<ReplyBody>> {
    let (response, body) = problem.answer(&open.exchange.request.headers);
    open.answered(response.status(), response.headers(), &body, live.config.limits.body_bytes_max);
    Box::new(response)
}

fn hold_back(
    shared: &Shared,
    live: &Live,
    open: &mut OpenExchange,
    site: &Site,
    verdict: &Verdict,
) -> Box<Response<ReplyBody>> {
    let Some(cause) = verdict.cause() else {
        return own(live, open, Problem::new(StatusCode::FORBIDDEN, code::BLOCKED));
    };
    shared.metrics.enforced(cause.rung);
    open.enforced(Enforced {
        rung: cause.rung,
        action: cause.action,
        reason: cause.reason.clone(),
    });
    let problem = |status, code| Problem::new(status, code).caused_by(cause);
    match verdict {
        Verdict::Limit { retry_after_secs, .. } => {
            let problem = problem(StatusCode::TOO_MANY_REQUESTS, code::LIMITED);
            own(live, open, Problem { retry_after_secs: Some(*retry_after_secs), ..problem })
        }
        Verdict::StepUp(_) => {
            ask_for_step_up(live, open, site, problem(StatusCode::UNAUTHORIZED, code::STEP_UP))
        }
        Verdict::Isolate(_) => own(live, open, problem(StatusCode::FORBIDDEN, code::ISOLATED)),
        Verdict::Revoke(_) => {
            let mut response = own(live, open, problem(StatusCode::UNAUTHORIZED, code::REVOKED));
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
        Verdict::Block(_) | Verdict::Allow => {
            own(live, open, problem(StatusCode::FORBIDDEN, code::BLOCKED))
        }
    }
}

/// A browser is sent to the page; a program is told where it is (RFC 9470 §3).
pub fn ask_for_step_up(
    live: &Live,
    open: &mut OpenExchange,
    site: &Site,
    problem: Problem<'_>,
) -> Box<Response<ReplyBody>> {
    let url = site.config.step_up.as_ref().map(|s| s.url.clone());
    let head = &open.exchange.request;
    let is_browser = head.headers.get(ACCEPT).is_some_and(|accept| {
        accept.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("text/html"))
    });
    let location = url.as_deref().and_then(|u| HeaderValue::from_str(u).ok());
    if let Some(location) = location.filter(|_| is_browser) {
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        let mut response = Response::new(ReplyBody::full(Bytes::new()));
        *response.status_mut() = if is_read { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
        response.headers_mut().insert(LOCATION, location);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        open.answered(response.status(), response.headers(), &Bytes::new(), 0);
        return Box::new(response);
    }
    let mut response = own(live, open, Problem { step_up_url: url.as_deref(), ..problem });
    let challenge = HeaderValue::from_static("Bearer error=\"insufficient_user_authentication\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}
