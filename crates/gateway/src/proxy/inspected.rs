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
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, HeaderValue, LOCATION};
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
        Passed::Unread(mut incoming) | Passed::Begun(_, mut incoming) => {
            let last = open.deadline(live.config.limits.total_ms);
            // Where rules may block, whoever is slow waits for them, not they for the slow.
            let hurries = !open.inspection.as_ref().is_some_and(Inspection::is_enforced);
            let (body, end) = begun(live, open, &mut incoming, wanted, last, hurries).await;
            let ended = match end {
                Ok(end) => missed(open, end, Gap::RequestSlow),
                Err(broken) => {
                    let error = match broken {
                        Broken::Late => ExchangeError::ClientTimeout,
                        Broken::Off(error) => client_failure(peer.conversation.as_deref(), &error),
                    };
                    record_body(open, live, &body, false);
                    return Err(Stopped::Client(error));
                }
            };
            (Passed::Begun(body.clone(), incoming), body, ended)
        }
    };
    let encodings = encodings(&open.exchange.request.headers);
    let (plain, whole) = match unpacked(common, live, open, encodings, &body, ended, wanted).await {
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
            let stop = inspection.begin_stream(&parts.headers, max);
            return stop.map_or(Ok(None), |stop| Err(Unanswered::Blocked(stop)));
        }
        let hurries = !inspection.is_closed();
        let last = open.deadline(live.config.limits.total_ms);
        let (packed, end) = begun(live, open, incoming, wanted, last, hurries).await;
        ended = match end {
            Ok(end) => missed(open, end, Gap::ResponseSlow),
            Err(Broken::Late) => return Err(Unanswered::Timeout),
            Err(Broken::Off(error)) => return Err(Unanswered::Broken(error.to_string())),
        };
        let encodings = encodings(&parts.headers);
        let plain = unpacked(common, live, open, encodings, &packed, ended, wanted).await;
        ahead = Some(packed);
        (body, ended) = match plain {
            Ok(plain) => plain,
            Err(plain) => {
                if let Some(stop) = gap(open, Gap::Encoding) {
                    return Err(Unanswered::Blocked(stop));
                }
                plain
            }
        };
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

/// How far the beginning of a body was read.
enum End {
    /// That is all of it.
    Whole,
    /// There is more than rules look at.
    Cut,
    /// It was not there in time.
    Slow,
    /// There was no room for more.
    Memory,
}

/// Why there will be nothing more.
enum Broken {
    Late,
    Off(hyper::Error),
}

/// Reads a body until more than `wanted` is there, it ends, or it has taken too long or too much room. Room is
/// taken for what has come, not for what may. `hurries`: what is not there soon is gone on without.
async fn begun(
    live: &Live,
    open: &mut OpenExchange,
    incoming: &mut Incoming,
    wanted: usize,
    last: Option<Instant>,
    hurries: bool,
) -> (Bytes, Result<End, Broken>) {
    let limits = &live.config.limits;
    let enough = hurries.then(|| Instant::now() + Duration::from_millis(limits.waf_wait_ms));
    let before = open.inspection.as_ref().map_or(0, Inspection::room_bytes);
    let mut body = Gathered::default();
    let end = loop {
        if incoming.is_end_stream() {
            break Ok(End::Whole);
        }
        if body.len() > wanted {
            break Ok(End::Cut);
        }
        let stalled = Instant::now() + Duration::from_millis(limits.stall_ms);
        let stalled = last.map_or(stalled, |last| stalled.min(last));
        let soon = enough.filter(|enough| *enough <= stalled);
        match tokio::time::timeout_at(soon.unwrap_or(stalled), incoming.frame()).await {
            Err(_) if soon.is_some() => break Ok(End::Slow),
            Err(_) => break Err(Broken::Late),
            Ok(None) => break Ok(End::Whole),
            Ok(Some(Err(error))) => break Err(Broken::Off(error)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => body.add(data),
                // Trailers: nothing comes after them.
                Err(_) => break Ok(End::Whole),
            },
        }
        let bytes = before.saturating_add(body.len());
        if !open.inspection.as_mut().is_some_and(|i| i.hold(bytes, limits.waf_bytes_max)) {
            break Ok(End::Memory);
        }
    };
    (body.bytes(), end)
}

/// Notes what is missing of a body, and says whether it is whole.
fn missed(open: &mut OpenExchange, end: End, slow: Gap) -> bool {
    let gap = match end {
        End::Whole => return true,
        End::Cut => return false,
        End::Slow => slow,
        End::Memory => Gap::Memory,
    };
    if let Some(inspection) = &mut open.inspection {
        inspection.missed(gap);
    }
    false
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
    live: &Live,
    open: &mut OpenExchange,
    encodings: Option<HeaderMap>,
    body: &Bytes,
    ended: bool,
    wanted: usize,
) -> Result<(Bytes, bool), (Bytes, bool)> {
    let (Some(encodings), Some(inspection)) = (encodings, &mut open.inspection) else {
        return Ok((body.clone(), ended));
    };
    if body.is_empty() || wanted == 0 {
        return Ok((body.clone(), ended));
    }
    let (before, max) = (inspection.room_bytes(), live.config.limits.waf_bytes_max);
    if !inspection.hold(before.saturating_add(wanted), max) {
        inspection.missed(Gap::Memory);
        return Ok((Bytes::new(), false));
    }
    let captured = CapturedBody { bytes: body.clone(), truncated: !ended, ..Default::default() };
    let unpack = move || evidence::plain_body(&captured, &encodings, wanted);
    // A few bytes may unpack to all that is wanted.
    let plain = if wanted <= INLINE_BYTES_MAX {
        unpack()
    } else {
        match common.thread().await {
            Some(thread) => thread.run(unpack).await.flatten(),
            None => {
                inspection.missed(Gap::Work);
                inspection.hold(before, max);
                return Ok((Bytes::new(), false));
            }
        }
    };
    let bytes = plain.as_ref().map_or(0, |(plain, _)| plain.len());
    inspection.hold(before.saturating_add(bytes), max);
    match plain {
        None => Err((body.clone(), ended)),
        // It ended before its end, and not for want of room.
        Some((plain, false)) if ended && plain.len() < wanted => Err((plain, true)),
        Some(plain) => Ok(plain),
    }
}

/// What a body is packed in. `None`: nothing.
fn encodings(headers: &HeaderMap) -> Option<HeaderMap> {
    let named = headers.get_all(CONTENT_ENCODING).iter();
    let encodings: HeaderMap = named.map(|value| (CONTENT_ENCODING, value.clone())).collect();
    (!encodings.is_empty()).then_some(encodings)
}
