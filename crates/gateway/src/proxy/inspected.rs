//! Takes requests and responses through the site's rule sets, and says so to who is blocked.

use super::body::{ReplyBody, client_failure};
use super::forward;
use super::gate::{self, Passed};
use super::live::Live;
use super::problem::{self, Problem, code};
use super::record::{OpenExchange, RequestTap};
use super::serve::{Asked, Peer};
use crate::evidence::{self, CapturedBody, ExchangeError};
use crate::waf::{Common, Gap, INLINE_BYTES_MAX, Inspection, Seen, Stop};
use bytes::{Bytes, BytesMut};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, LOCATION,
};
use http::{HeaderMap, Response, StatusCode, response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A request that does not go on.
pub enum Stopped {
    /// Blocked: its answer, on record.
    Answer(Box<Response<ReplyBody>>),
    /// Its body broke off while it was read.
    Client(ExchangeError),
}

/// Phases 1 and 2. What was read of the body to inspect it is in what comes back.
pub async fn request(
    peer: &Arc<Peer>,
    live: &Live,
    open: &mut OpenExchange,
    asked: &Asked,
    passed: Passed,
) -> Result<Passed, Stopped> {
    let common = &peer.shared.waf;
    let seen = Seen {
        head: &open.exchange.request,
        target: asked.target.as_str(),
        host: &asked.host,
        local: peer.local,
    };
    let Some(mut inspection) = Inspection::begin(common, &open.site().waf, &seen) else {
        return Ok(passed);
    };
    let stop = inspection.request_headers();
    let wanted = inspection.request_bytes_wanted();
    open.inspection = Some(inspection);
    if let Some(stop) = stop {
        return Err(blocked(peer, live, open, stop));
    }
    let max = live.config.limits.waf_bytes_max;
    let (passed, body, ended) = match passed {
        Passed::Read(body) => {
            let whole = body.clone();
            (Passed::Read(body), whole, true)
        }
        Passed::Unread(incoming) | Passed::Begun(_, incoming)
            if incoming.is_end_stream() || wanted == 0 =>
        {
            (Passed::Unread(incoming), Bytes::new(), true)
        }
        Passed::Unread(incoming) | Passed::Begun(_, incoming) => {
            let room = room(&open.exchange.request.headers, wanted);
            if !open.inspection.as_mut().is_some_and(|i| i.hold(common, room, max)) {
                if let Some(stop) = open.inspection.as_mut().and_then(|i| i.gap(Gap::Memory)) {
                    return Err(blocked(peer, live, open, stop));
                }
                (Passed::Unread(incoming), Bytes::new(), true)
            } else {
                let (body, incoming, ended) = read(peer, live, open, incoming, wanted).await?;
                (Passed::Begun(body.clone(), incoming), body, ended)
            }
        }
    };
    let (plain, whole) =
        match unpacked(common, &open.exchange.request.headers, &body, ended, wanted).await {
            Ok(plain) => plain,
            // The rules get what there is: an application that does not know the encoding, either, reads just that.
            Err(plain) => {
                if let Some(stop) = gap(open, Gap::Encoding) {
                    record_body(open, live, &body, ended);
                    return Err(blocked(peer, live, open, stop));
                }
                plain
            }
        };
    let Some(inspection) = &mut open.inspection else { return Ok(passed) };
    match inspection.request_body(common, plain, whole).await {
        None => Ok(passed),
        Some(stop) => {
            record_body(open, live, &body, ended);
            Err(blocked(peer, live, open, stop))
        }
    }
}

/// Phases 3 and 4. `Ok`: the beginning of the body, as it came, when it was read.
pub async fn response(
    peer: &Arc<Peer>,
    live: &Live,
    open: &mut OpenExchange,
    parts: &response::Parts,
    incoming: &mut Incoming,
) -> Result<Option<Bytes>, Unanswered> {
    let common = &peer.shared.waf;
    let Some(inspection) = &mut open.inspection else { return Ok(None) };
    if let Some(stop) = inspection.response_headers(parts.status, &parts.headers) {
        return Err(Unanswered::Blocked(stop));
    }
    let wanted = inspection.response_bytes_wanted();
    let mut ahead = None;
    let (mut body, mut ended) = (Bytes::new(), true);
    if wanted > 0 && !incoming.is_end_stream() {
        if forward::is_event_stream(&parts.headers) {
            let max = live.config.limits.waf_bytes_max;
            let stop = inspection.begin_stream(common, &parts.headers, max);
            return stop.map_or(Ok(None), |stop| Err(Unanswered::Blocked(stop)));
        }
        let room = room(&parts.headers, wanted);
        if inspection.hold(common, room, live.config.limits.waf_bytes_max) {
            let last = open.deadline(live.config.limits.total_ms);
            let read = read_response(live, incoming, wanted, last).await?;
            let plain = unpacked(common, &parts.headers, &read.0, read.1, wanted).await;
            ahead = Some(read.0);
            match plain {
                Ok(plain) => (body, ended) = plain,
                Err(plain) => {
                    if let Some(stop) = gap(open, Gap::Encoding) {
                        return Err(Unanswered::Blocked(stop));
                    }
                    (body, ended) = plain;
                }
            }
        } else if let Some(stop) = inspection.gap(Gap::Memory) {
            return Err(Unanswered::Blocked(stop));
        }
    }
    let Some(inspection) = &mut open.inspection else { return Ok(ahead) };
    match inspection.response_body(common, body, ended).await {
        None => Ok(ahead),
        Some(stop) => Err(Unanswered::Blocked(stop)),
    }
}

/// A response that does not go on.
pub enum Unanswered {
    Blocked(Stop),
    /// The upstream broke off, or was too slow, while its body was read.
    Broken(String),
    Timeout,
}

fn gap(open: &mut OpenExchange, gap: Gap) -> Option<Stop> {
    open.inspection.as_mut().and_then(|inspection| inspection.gap(gap))
}

fn blocked(peer: &Peer, live: &Live, open: &mut OpenExchange, stop: Stop) -> Stopped {
    Stopped::Answer(answer(peer, live, open, stop))
}

/// The answer in place of what was blocked; it tells nothing of the rules.
pub fn answer(
    peer: &Peer,
    live: &Live,
    open: &mut OpenExchange,
    stop: Stop,
) -> Box<Response<ReplyBody>> {
    use seclang::Interrupt;
    let id = reference(open);
    let (status, code) = match &stop {
        Stop::Rules(Interrupt::Redirect { status, location }) => {
            if let Some(response) = redirect(open, *status, location) {
                return response;
            }
            (StatusCode::FORBIDDEN, code::WAF_BLOCKED)
        }
        Stop::Rules(Interrupt::Deny { status }) => (error_status(*status), code::WAF_BLOCKED),
        Stop::Rules(Interrupt::Drop) => (StatusCode::FORBIDDEN, code::WAF_BLOCKED),
        Stop::Uninspected(gap) => (gap.status(), code::WAF_UNINSPECTED),
    };
    let mut problem = Problem::new(status, code);
    problem.reference = id.as_deref();
    if stop == Stop::Uninspected(Gap::Memory) {
        problem.retry_after_secs = Some(RETRY_SECS);
    }
    let mut response = gate::own(live, open, problem);
    if stop == Stop::Rules(Interrupt::Drop) && peer.conversation.is_some() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What the reader of a stream that is cut off gets last. `None`: the rules want the connection closed.
pub fn last_event(open: &OpenExchange, stop: &Stop) -> Option<Bytes> {
    let code = match stop {
        Stop::Rules(seclang::Interrupt::Drop) => return None,
        Stop::Rules(_) => code::WAF_BLOCKED,
        Stop::Uninspected(_) => code::WAF_UNINSPECTED,
    };
    let headers = &open.exchange.request.headers;
    Some(problem::last_event(code, reference(open).as_deref(), headers))
}

fn reference(open: &OpenExchange) -> Option<String> {
    open.inspection.as_ref().map(|inspection| inspection.id.to_string())
}

/// Bodies are held for fractions of a second.
const RETRY_SECS: u64 = 2;

fn error_status(status: u16) -> StatusCode {
    StatusCode::from_u16(status)
        .ok()
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::FORBIDDEN)
}

fn redirect(
    open: &mut OpenExchange,
    status: u16,
    location: &[u8],
) -> Option<Box<Response<ReplyBody>>> {
    let location = HeaderValue::from_bytes(location).ok()?;
    let status = StatusCode::from_u16(status).ok().filter(StatusCode::is_redirection);
    let mut response = Response::new(ReplyBody::full(Bytes::new()));
    *response.status_mut() = status.unwrap_or(StatusCode::FOUND);
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    open.answered(response.status(), response.headers(), &Bytes::new(), 0);
    Some(Box::new(response))
}

/// Reads a request body until more than `wanted` is there or it ends.
async fn read(
    peer: &Peer,
    live: &Live,
    open: &mut OpenExchange,
    mut incoming: Incoming,
    wanted: usize,
) -> Result<(Bytes, Incoming, bool), Stopped> {
    let last = open.deadline(live.config.limits.total_ms);
    let mut body = Gathered::default();
    let error = loop {
        if incoming.is_end_stream() {
            return Ok((body.bytes(), incoming, true));
        }
        if body.len() > wanted {
            return Ok((body.bytes(), incoming, false));
        }
        match next(live, &mut incoming, last).await {
            Err(Late) => break ExchangeError::ClientTimeout,
            Ok(None) => return Ok((body.bytes(), incoming, true)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => body.add(data),
                // Trailers: nothing comes after them.
                Err(_) => return Ok((body.bytes(), incoming, true)),
            },
            Ok(Some(Err(error))) => break client_failure(peer.conversation.as_deref(), &error),
        }
    };
    record_body(open, live, &body.bytes(), false);
    Err(Stopped::Client(error))
}

/// The same of a response body; of one longer than `wanted`, `false`.
async fn read_response(
    live: &Live,
    incoming: &mut Incoming,
    wanted: usize,
    last: Option<Instant>,
) -> Result<(Bytes, bool), Unanswered> {
    let mut body = Gathered::default();
    loop {
        if incoming.is_end_stream() {
            return Ok((body.bytes(), true));
        }
        if body.len() > wanted {
            return Ok((body.bytes(), false));
        }
        match next(live, incoming, last).await {
            Err(Late) => return Err(Unanswered::Timeout),
            Ok(None) => return Ok((body.bytes(), true)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => body.add(data),
                Err(_) => return Ok((body.bytes(), true)),
            },
            Ok(Some(Err(error))) => return Err(Unanswered::Broken(error.to_string())),
        }
    }
}

struct Late;

type Next = Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>;

/// The next frame, within the time there is for one.
async fn next(live: &Live, incoming: &mut Incoming, last: Option<Instant>) -> Result<Next, Late> {
    let until = Instant::now() + Duration::from_millis(live.config.limits.stall_ms);
    let until = last.map_or(until, |last| until.min(last));
    tokio::time::timeout_at(until, incoming.frame()).await.map_err(|_| Late)
}

/// Frames of a body in one piece: nothing is copied when there is one.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

fn record_body(open: &mut OpenExchange, live: &Live, body: &[u8], ended: bool) {
    let limit = live.config.limits.body_bytes_max;
    if body.is_empty() {
        return;
    }
    open.request_tap = Some(if ended {
        RequestTap::whole(body, limit)
    } else {
        let tap = RequestTap::new(limit);
        tap.see(body);
        tap
    });
}

/// What rules look at of a body that came as `body`: without its content encoding, `wanted` bytes at most, and
/// whether that is all of it. `Err`: the encoding is unknown or broken, and this is as far as it could be
/// undone, or the body as it came.
async fn unpacked(
    common: &Common,
    headers: &HeaderMap,
    body: &Bytes,
    ended: bool,
    wanted: usize,
) -> Result<(Bytes, bool), (Bytes, bool)> {
    if body.is_empty() || wanted == 0 || !headers.contains_key(CONTENT_ENCODING) {
        return Ok((body.clone(), ended));
    }
    let captured = CapturedBody { bytes: body.clone(), truncated: !ended, ..Default::default() };
    let encodings: HeaderMap = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(|value| (CONTENT_ENCODING, value.clone()))
        .collect();
    let unpack = move || evidence::plain_body(&captured, &encodings, wanted);
    // A few bytes may unpack to all that is wanted.
    let plain = if wanted <= INLINE_BYTES_MAX {
        unpack()
    } else {
        common.elsewhere(unpack).await.flatten()
    };
    match plain {
        None => Err((body.clone(), ended)),
        // It ended before its end, and not for want of room.
        Some((plain, false)) if ended && plain.len() < wanted => Err((plain, true)),
        Some(plain) => Ok(plain),
    }
}

/// Room for a body of which `wanted` bytes are looked at: what it may unpack to is held beside it.
fn room(headers: &HeaderMap, wanted: usize) -> usize {
    let packed = declared_length(headers).map_or(wanted, |length| length.min(wanted));
    if headers.contains_key(CONTENT_ENCODING) { packed.saturating_add(wanted) } else { packed }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
