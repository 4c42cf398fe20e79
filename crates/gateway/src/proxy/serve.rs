//! One request from its head to the beginning of its response.

use super::address::client_address;
use super::body::{ReplyBody, ReplyStream, RequestBody, RequestStream, StreamWatch};
use super::forward::{self, Via};
use super::guard::Conversation;
use super::head::{is_host, split_port};
use super::inspected::{self, Stopped, Unanswered};
use super::live::{Live, Site};
use super::problem::{Problem, code};
use super::record::{OpenExchange, RequestTap};
use super::refusal::Refusal;
use super::shared::{Shared, now};
use super::sieve::Sieve;
use super::tap::Tap;
use super::trusted::{self, Standing};
use super::upstream::{ConnectError, Lease};
use super::{gate, tunnel};
use crate::evidence::{ExchangeError, RequestHead, Scheme};
use crate::waf::Inspection;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Upstreams tried before giving up, at most.
const UPSTREAMS_TRIED_MAX: usize = 3;

/// One client connection, as its requests see it.
pub struct Peer {
    pub shared: Arc<Shared>,
    pub worker: usize,
    pub address: SocketAddr,
    pub local: SocketAddr,
    pub scheme: Scheme,
    /// With the guard of an HTTP/1 connection.
    pub conversation: Option<Arc<Conversation>>,
    pub activity: Activity,
}

/// Whether a connection has anything to do; an HTTP/2 connection without is closed in time.
#[derive(Default)]
pub struct Activity {
    under_way: AtomicUsize,
    ended: AtomicU64,
}

impl Activity {
    /// Changes with every request that ends; `None` while there are some under way.
    pub fn quiet(&self) -> Option<u64> {
        (self.under_way.load(Ordering::Relaxed) == 0).then(|| self.ended.load(Ordering::Relaxed))
    }
}

/// A request under way; dropped when its response is over.
pub struct Ticket(Arc<Peer>);

impl Ticket {
    fn new(peer: &Arc<Peer>) -> Self {
        peer.activity.under_way.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(peer))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let activity = &self.0.activity;
        activity.under_way.fetch_sub(1, Ordering::Relaxed);
        activity.ended.fetch_add(1, Ordering::Relaxed);
        if let Some(conversation) = &self.0.conversation {
            conversation.end();
        }
    }
}

pub async fn serve(
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let ticket = Ticket::new(&peer);
    let verdict = peer.conversation.as_ref().map_or(Ok(()), |c| c.begin());
    let mut response = match verdict {
        Ok(()) => answer(&peer, request).await,
        Err(refusal) => refuse(&peer, refusal, &HeaderMap::new()),
    };
    response.body_mut().ticket = Some(ticket);
    Ok(response)
}

fn refuse(peer: &Peer, refusal: Refusal, headers: &HeaderMap) -> Response<ReplyBody> {
    peer.shared.metrics.refused(refusal);
    tracing::info!(code = refusal.code(), client = %peer.address, "request refused");
    // A connection that said something unclear is not believed again. HTTP/2 has no such field.
    let problem = Problem::new(refusal.status(), refusal.code());
    let close = peer.conversation.is_some();
    (if close { problem.close() } else { problem }).answer(headers).0
}

/// What the later steps need beside the record.
pub struct Asked {
    pub target: PathAndQuery,
    pub host: HeaderValue,
    pub trusted: bool,
    pub websocket: bool,
}

async fn answer(peer: &Arc<Peer>, mut request: Request<Incoming>) -> Response<ReplyBody> {
    let began = Instant::now();
    let received = now();
    let shared = &peer.shared;
    let live = shared.live();
    let host = match asked_host(&request) {
        Ok(host) => host,
        Err(refusal) => return refuse(peer, refusal, request.headers()),
    };
    if request.version() == Version::HTTP_2
        && let Err(refusal) = check_http2(request.method(), request.headers())
    {
        return refuse(peer, refusal, request.headers());
    }
    let (name, _) = split_port(host.as_bytes());
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let Some(site) = live.site(&name).cloned() else {
        return unknown_host(peer, request.version(), request.headers());
    };
    let (client, trusted) = client_address(
        peer.address.ip(),
        request.headers(),
        &live.config.trusted_proxies,
        live.config.forwarded_header,
    );
    let websocket = is_websocket(&request);
    let asked = Asked {
        target: request
            .uri()
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/")),
        host,
        trusted,
        websocket,
    };
    if websocket && peer.conversation.as_ref().is_some_and(|c| c.has_successor()) {
        return refuse(peer, Refusal::EarlyTunnelData, request.headers());
    }
    let upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let head = RequestHead {
        received,
        client_ip: client,
        client_port: if client == peer.address.ip().to_canonical() {
            peer.address.port()
        } else {
            0
        },
        scheme: peer.scheme,
        method: parts.method,
        path: asked.target.path().to_owned(),
        query: asked.target.query().map(str::to_owned),
        host: name,
        version: parts.version,
        headers: parts.headers,
    };
    let mut open = OpenExchange::new(Arc::clone(shared), Arc::clone(&site), head, began);
    open.logs = Arc::clone(&live.logs);

    let body = match gate::pass(shared, &live, &mut open, incoming).await {
        Ok(body) => body,
        Err(mut response) => {
            // The body was not read; on HTTP/1 what is left of it cannot be skipped cheaply.
            if peer.conversation.is_some() && !open.exchange.request.method.is_safe() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return *response;
        }
    };
    let body = match inspected::request(peer, &live, &mut open, &asked, body).await {
        Ok(body) => body,
        Err(Stopped::Answer(mut response)) => {
            if peer.conversation.is_some() && !open.exchange.request.method.is_safe() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return *response;
        }
        Err(Stopped::Client(error)) => return fail(peer, &live, open, Failure::Client(error)),
    };
    let trusted_max = open.standing.as_ref().and_then(Standing::request_bytes_max);
    let ahead = match &body {
        gate::Passed::Begun(ahead, _) if !ahead.is_empty() => Some(ahead.clone()),
        _ => None,
    };
    let body = match body {
        gate::Passed::Unread(incoming) if incoming.is_end_stream() => RequestBody::Empty,
        gate::Passed::Begun(ahead, incoming) if ahead.is_empty() && incoming.is_end_stream() => {
            RequestBody::Empty
        }
        gate::Passed::Unread(incoming) | gate::Passed::Begun(_, incoming) => {
            let mut incoming = incoming;
            // A body of known length is on its way: one write upstream instead of two. One without
            // may be a conversation, where the client waits for us.
            let first = if let Some(ahead) = ahead {
                Some(Some(Ok(Frame::data(ahead))))
            } else if open.exchange.request.headers.contains_key(CONTENT_LENGTH) {
                Some(incoming.frame().await)
            } else {
                None
            };
            let tap = RequestTap::new(live.config.limits.body_bytes_max);
            open.request_tap = Some(Arc::clone(&tap));
            RequestBody::Stream(RequestStream {
                incoming,
                first,
                tap,
                conversation: peer.conversation.clone(),
                bytes_max: smaller(live.config.limits.request_bytes_max, trusted_max),
            })
        }
        gate::Passed::Read(bytes) => {
            open.request_tap = Some(RequestTap::whole(&bytes, live.config.limits.body_bytes_max));
            RequestBody::Whole(Some(bytes).filter(|b| !b.is_empty()))
        }
    };
    if let Some(max) = live.config.limits.request_bytes_max
        && declared_length(&open.exchange.request.headers).is_some_and(|length| length > max)
    {
        open.failed(ExchangeError::BadRequest);
        shared.metrics.refused(Refusal::BodyTooLarge);
        let problem = Problem::new(Refusal::BodyTooLarge.status(), Refusal::BodyTooLarge.code());
        return own(open, &live, problem.close());
    }
    let (response, lease) = match exchange(peer, &live, &site, &mut open, &asked, body).await {
        Ok(answered) => answered,
        Err(failure) => return fail(peer, &live, open, failure),
    };
    if let Some(upgrade) = upgrade
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        open.inspected();
        return tunnel::accept(peer, open, response, upgrade, &live);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return fail(peer, &live, open, Failure::Broken("it switched protocols unasked".into()));
    }
    pass_back(peer, &live, open, response, lease).await
}

/// The host asked for, with its port; from `Host` or `:authority`, which must agree.
fn asked_host(request: &Request<Incoming>) -> Result<HeaderValue, Refusal> {
    let mut lines = request.headers().get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Refusal::RepeatedHost);
    }
    let authority = request.uri().authority().map(|a| a.as_str());
    match (line, authority) {
        (Some(line), Some(authority)) => {
            if !line.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) {
                return Err(Refusal::HostMismatch);
            }
        }
        (Some(_), None) => {}
        (None, Some(authority)) => {
            if !is_host(authority.as_bytes()) {
                return Err(Refusal::InvalidHost);
            }
            return HeaderValue::from_str(authority).map_err(|_| Refusal::InvalidHost);
        }
        (None, None) => return Err(Refusal::MissingHost),
    }
    let line = line.ok_or(Refusal::MissingHost)?;
    if is_host(line.as_bytes()) { Ok(line.clone()) } else { Err(Refusal::InvalidHost) }
}

/// HTTP/2 has no guard before it: what h2 lets pass is checked here.
fn check_http2(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(Refusal::MethodRefused);
    }
    if forward::is_connection_specific(headers) {
        return Err(Refusal::ConnectionSpecificHeader);
    }
    match headers.get_all(CONTENT_LENGTH).iter().count() {
        0 => Ok(()),
        1 if declared_length(headers).is_some() => Ok(()),
        1 => Err(Refusal::InvalidLength),
        _ => Err(Refusal::RepeatedLength),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn is_websocket(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && request
            .headers()
            .get(UPGRADE)
            .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && request.headers().get_all(CONNECTION).iter().any(|v| {
            v.as_bytes()
                .split(|b| *b == b',')
                .any(|t| t.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        })
        && request.body().is_end_stream()
}

fn unknown_host(peer: &Peer, version: Version, headers: &HeaderMap) -> Response<ReplyBody> {
    peer.shared.metrics.unknown_hosts.add(1);
    // 421 tells an HTTP/2 client to ask elsewhere on a new connection (RFC 9110 §15.5.20).
    let status = if version == Version::HTTP_2 {
        StatusCode::MISDIRECTED_REQUEST
    } else {
        StatusCode::NOT_FOUND
    };
    Problem::new(status, code::UNKNOWN_HOST).answer(headers).0
}

pub enum Failure {
    Unreachable(ConnectError),
    Timeout,
    Broken(String),
    /// The client's own body broke off.
    Client(ExchangeError),
}

/// Sends the request to an upstream and waits for the head of its response.
async fn exchange(
    peer: &Arc<Peer>,
    live: &Live,
    site: &Site,
    open: &mut OpenExchange,
    asked: &Asked,
    body: RequestBody,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let metrics = &peer.shared.metrics;
    let limit = Duration::from_millis(live.config.limits.response_header_ms);
    let last = open.deadline(live.config.limits.total_ms);
    let replayable = matches!(body, RequestBody::Empty)
        && matches!(open.exchange.request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut request = Some(upstream_request(peer, open, asked, body));
    let mut failure = Failure::Broken("no upstream".into());
    'upstreams: for upstream in
        site.upstreams_in_turn(open.exchange.request.received).take(UPSTREAMS_TRIED_MAX)
    {
        // A kept connection may have closed meanwhile: then once more, on a fresh one.
        for fresh in [false, true] {
            let kept = if fresh { None } else { upstream.idle(peer.worker) };
            let mut lease = match kept {
                Some(lease) => lease,
                None => {
                    metrics.upstream_connects.add(1);
                    match upstream.connect(peer.worker).await {
                        Ok(lease) => lease,
                        Err(error) => {
                            upstream.failed(now());
                            tracing::warn!(upstream = upstream.name, %error, "cannot connect to upstream");
                            failure = Failure::Unreachable(error);
                            continue 'upstreams;
                        }
                    }
                }
            };
            open.exchange.upstream = Some(upstream.name.clone());
            let reused = lease.reused;
            let sending = match request.take() {
                Some(request) => request,
                None => return Err(failure),
            };
            let tap = open.request_tap.clone();
            let sent = lease.sender().try_send_request(sending);
            match wait(sent, tap.as_deref(), limit, last).await {
                None => {
                    upstream.failed(now());
                    return Err(Failure::Timeout);
                }
                Some(Ok(response)) => {
                    if let Some(fault) = forward::response_fault(response.headers()) {
                        upstream.failed(now());
                        return Err(Failure::Broken(fault.into()));
                    }
                    upstream.succeeded();
                    return Ok((response, lease));
                }
                Some(Err(mut error)) => {
                    let unsent = error.take_message();
                    let error = error.into_error();
                    if let Some(client) = tap.as_ref().and_then(|t| t.error()) {
                        return Err(Failure::Client(client));
                    }
                    failure = Failure::Broken(error.to_string());
                    request = match unsent {
                        Some(unsent) => Some(unsent),
                        None if reused && replayable => {
                            Some(upstream_request(peer, open, asked, RequestBody::Empty))
                        }
                        None => None,
                    };
                    if request.is_none() || !reused {
                        upstream.failed(now());
                        return Err(failure);
                    }
                    metrics.upstream_retries.add(1);
                }
            }
        }
    }
    Err(failure)
}

fn upstream_request(
    peer: &Peer,
    open: &OpenExchange,
    asked: &Asked,
    body: RequestBody,
) -> Request<RequestBody> {
    let head = &open.exchange.request;
    let via = Via {
        peer: peer.address.ip().to_canonical(),
        trusted: asked.trusted,
        client: head.client_ip,
        scheme: head.scheme.as_str(),
        host: &asked.host,
        port: peer.local.port(),
        version: head.version,
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = Uri::from(asked.target.clone());
    *request.headers_mut() = forward::request_headers(&head.headers, &via, asked.websocket);
    request
}

/// Waits for the response head; the time limit starts anew while the body is still being sent, the
/// `last` one does not.
async fn wait<F: Future>(
    sent: F,
    tap: Option<&RequestTap>,
    limit: Duration,
    last: Option<tokio::time::Instant>,
) -> Option<F::Output> {
    let mut sent = std::pin::pin!(sent);
    let no_later = |at: tokio::time::Instant| last.map_or(at, |last| at.min(last));
    let mut deadline = no_later(tokio::time::Instant::now() + limit);
    loop {
        if let Ok(done) = tokio::time::timeout_at(deadline, sent.as_mut()).await {
            return Some(done);
        }
        let moved = no_later(tokio::time::Instant::from_std(tap?.moved()) + limit);
        if moved <= deadline {
            return None;
        }
        deadline = moved;
    }
}

/// An answer of our own in place of the upstream's.
pub fn own(mut open: OpenExchange, live: &Live, problem: Problem<'_>) -> Response<ReplyBody> {
    let (response, body) = problem.answer(&open.exchange.request.headers);
    open.answered(response.status(), response.headers(), &body, live.config.limits.body_bytes_max);
    response
}

fn fail(peer: &Peer, live: &Live, mut open: OpenExchange, failure: Failure) -> Response<ReplyBody> {
    let metrics = &peer.shared.metrics;
    let (status, code, error) = match failure {
        Failure::Unreachable(error) => {
            metrics.upstream_unreachable.add(1);
            let status = match error {
                ConnectError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            };
            (status, code::UPSTREAM_UNREACHABLE, ExchangeError::UpstreamUnreachable)
        }
        Failure::Timeout => {
            metrics.upstream_timeouts.add(1);
            (StatusCode::GATEWAY_TIMEOUT, code::UPSTREAM_TIMEOUT, ExchangeError::UpstreamTimeout)
        }
        Failure::Broken(detail) => {
            metrics.upstream_broken.add(1);
            tracing::warn!(site = open.site().config.name, detail, "upstream broke off");
            (StatusCode::BAD_GATEWAY, code::UPSTREAM_BROKEN, ExchangeError::UpstreamBroken)
        }
        Failure::Client(error) => {
            if let Some(mut response) = trusted::refuse_upload(&peer.shared, live, &mut open) {
                if peer.conversation.is_some() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                return *response;
            }
            open.failed(error);
            let refusal =
                peer.conversation.as_ref().and_then(|c| c.body_refusal()).unwrap_or(match error {
                    ExchangeError::ClientTimeout => Refusal::BodyTimeout,
                    _ if over_limit(live, &open) => Refusal::BodyTooLarge,
                    _ => Refusal::LengthMismatch,
                });
            metrics.refused(refusal);
            return own(open, live, closing(peer, Problem::new(refusal.status(), refusal.code())));
        }
    };
    open.failed(error);
    // An upload under way cannot be answered and then forgotten on the same HTTP/1 connection.
    let problem = Problem::new(status, code);
    let problem = if open.request_tap.is_some() { closing(peer, problem) } else { problem };
    own(open, live, problem)
}

fn closing<'a>(peer: &Peer, problem: Problem<'a>) -> Problem<'a> {
    if peer.conversation.is_some() { problem.close() } else { problem }
}

fn over_limit(live: &Live, open: &OpenExchange) -> bool {
    let seen = open.request_tap.as_ref().map_or(0, |tap| tap.see(&[]));
    live.config.limits.request_bytes_max.is_some_and(|max| seen > max)
}

/// The upstream's response on its way to the client.
async fn pass_back(
    peer: &Arc<Peer>,
    live: &Live,
    mut open: OpenExchange,
    response: Response<Incoming>,
    lease: Lease,
) -> Response<ReplyBody> {
    let limits = &live.config.limits;
    let (mut parts, mut incoming) = response.into_parts();
    parts.version = Version::HTTP_11;
    forward::clean_response(&mut parts.headers);
    let has_body = !incoming.is_end_stream();
    let passes = trusted::respond(&peer.shared, live, &mut open, &mut parts.headers, has_body);
    if let Err(mut response) = passes {
        // An upload under way cannot be answered and then forgotten on the same connection.
        if peer.conversation.is_some() && open.request_tap.is_some() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return *response;
    }
    let ahead = match inspected::response(peer, live, &mut open, &parts, &mut incoming).await {
        Ok(ahead) => ahead,
        Err(Unanswered::Blocked(stop)) => {
            let mut response = inspected::answer(peer, live, &mut open, stop);
            if peer.conversation.is_some() && open.request_tap.is_some() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return *response;
        }
        Err(Unanswered::Broken(detail)) => {
            return fail(peer, live, open, Failure::Broken(detail));
        }
        Err(Unanswered::Timeout) => return fail(peer, live, open, Failure::Timeout),
    };
    let hold = open.inspection.as_ref().and_then(Inspection::stream_hold);
    if !open.inspection.as_ref().is_some_and(Inspection::is_stream) {
        open.inspected();
    }
    open.exchange.status = Some(parts.status.as_u16());
    open.exchange.response_headers = parts.headers.clone();
    if ahead.as_ref().is_none_or(bytes::Bytes::is_empty) && incoming.is_end_stream() {
        open.complete = true;
        lease.give_back();
        return Response::from_parts(parts, ReplyBody::full(bytes::Bytes::new()));
    }
    open.response_tap = Some(Tap::new(limits.body_bytes_max));
    let is_event_stream = forward::is_event_stream(&parts.headers);
    let last = open.deadline(limits.total_ms);
    let stream = ReplyStream {
        incoming,
        ahead,
        sieve: hold.map(|hold| Sieve::new(hold, &parts.headers)),
        is_cut: false,
        bytes_max: open.standing.as_ref().and_then(Standing::response_bytes_max),
        open,
        lease: Some(lease),
        watch: Some(StreamWatch::new(Arc::clone(&peer.shared))),
        stall: (!is_event_stream).then(|| Duration::from_millis(limits.stall_ms)),
        timer: None,
        total: last.map(|at| Box::pin(tokio::time::sleep_until(at))),
    };
    Response::from_parts(parts, ReplyBody::stream(stream))
}
