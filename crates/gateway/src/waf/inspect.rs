//! One request and its response on their way through a site's rule sets.

mod stream;

pub use stream::Trial;

use super::log::{About, LogFile, write_matches};
use super::outcome::Outcome;
use super::ward::{Plan, Ward};
use super::{Common, INLINE_BYTES_MAX, Room};
use crate::config::{FailMode, Stage};
use crate::evidence::RequestHead;
use ::inspect::{SetOutcome, limit_code, scores};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use seclang::{Connection, Interrupt, Limit, ResponseHead, Transaction};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A request as it is shown to the rules.
pub struct Seen<'a> {
    pub head: &'a RequestHead,
    /// Path and query, as sent.
    pub target: &'a str,
    /// As asked for, port included.
    pub host: &'a HeaderValue,
    pub local: SocketAddr,
}

/// Why an exchange goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The rules say so.
    Rules(Interrupt),
    /// Not all of it could be inspected, and the site lets nothing through then.
    Uninspected(Gap),
}

/// What was not inspected, for a reason of ours. Codes are permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The request body is longer than what is inspected.
    RequestBody,
    /// The response body is.
    ResponseBody,
    /// The beginning of the request body was not there in time (`limits.waf_wait_ms`); where rules may block,
    /// they wait for it.
    RequestSlow,
    /// That of the response body was not.
    ResponseSlow,
    /// There is no room for more bodies (`limits.waf_bytes_max`).
    Memory,
    /// A content encoding is unknown or broken.
    Encoding,
    /// The engine's own limits.
    Work,
}

impl Gap {
    pub fn code(self) -> &'static str {
        match self {
            Gap::RequestBody => "request-body",
            Gap::ResponseBody => "response-body",
            Gap::RequestSlow => "request-slow",
            Gap::ResponseSlow => "response-slow",
            Gap::Memory => "memory",
            Gap::Encoding => "encoding",
            Gap::Work => "work",
        }
    }

    pub fn status(self) -> StatusCode {
        match self {
            Gap::RequestBody => StatusCode::PAYLOAD_TOO_LARGE,
            Gap::Memory => StatusCode::SERVICE_UNAVAILABLE,
            Gap::ResponseBody
            | Gap::RequestSlow
            | Gap::ResponseSlow
            | Gap::Encoding
            | Gap::Work => StatusCode::FORBIDDEN,
        }
    }
}

/// Files that outcomes are written to, besides the event.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Lines of what matched, as it was sent.
    pub matches: Option<Arc<LogFile>>,
    /// ModSecurity's audit log, protected.
    pub audit: Option<Arc<LogFile>>,
}

/// Runs an exchange through its rule sets, phase by phase, and ends in an [`Outcome`].
pub struct Inspection {
    pub id: Uuid,
    runs: Vec<Run>,
    room: Room,
    blocked: Option<usize>,
    server: SocketAddr,
    /// The answer, when it is a stream that the rules want to see.
    stream: Option<stream::Passing>,
}

/// One rule set's part in it.
struct Run {
    ward: Arc<Ward>,
    plan: Arc<Plan>,
    enforced: bool,
    transaction: Transaction,
    took: Duration,
    gaps: Vec<Gap>,
    refused: bool,
}

impl Inspection {
    /// `None`: no rule set of the site looks at this request.
    pub fn begin(common: &Common, wards: &[Arc<Ward>], seen: &Seen<'_>) -> Option<Inspection> {
        let mut wards = wards
            .iter()
            .map(|ward| (ward, ward.plan(seen.head)))
            .filter(|(_, plan)| plan.stage != Stage::Off)
            .peekable();
        wards.peek()?;
        let id = common.new_id(seen.head.received);
        let mut text = Uuid::encode_buffer();
        let unique_id = &*id.hyphenated().encode_lower(&mut text);
        let headers = headers(&seen.head.headers, Some(seen.host));
        let runs = wards.map(|(ward, plan)| Run::begin(ward, plan, seen, &headers, unique_id));
        let runs = runs.collect();
        let server = seen.local;
        let room = common.room(seen.head.client_ip);
        Some(Inspection { id, runs, room, blocked: None, server, stream: None })
    }

    /// Phase 1.
    pub fn request_headers(&mut self) -> Option<Stop> {
        for run in &mut self.runs {
            run.timed(|transaction| {
                transaction.request_headers();
            });
        }
        self.stopped()
    }

    /// How much of the request body is wanted; 0: nothing.
    pub fn request_bytes_wanted(&self) -> usize {
        self.runs.iter().map(Run::request_bytes_wanted).max().unwrap_or(0)
    }

    /// Phase 2. `body` is its beginning; `ended`: it is all of it.
    pub async fn request_body(
        &mut self,
        common: &Common,
        body: Bytes,
        ended: bool,
    ) -> Option<Stop> {
        let act = |run: &mut Run, body: &[u8], ended: bool| {
            let part = body.get(..run.request_bytes_wanted()).unwrap_or(body);
            let is_wanted = run.transaction.wants_request_body();
            let complete = !is_wanted || ended && part.len() == body.len();
            if !complete {
                run.gaps.push(Gap::RequestBody);
            }
            run.timed(|transaction| {
                transaction.request_body(part, complete);
            });
        };
        self.each(common, body, ended, act).await
    }

    /// Phase 3.
    pub fn response_headers(&mut self, status: StatusCode, response: &HeaderMap) -> Option<Stop> {
        let headers = headers(response, None);
        let head =
            ResponseHead { status: status.as_u16(), protocol: b"HTTP/1.1", headers: &headers };
        for run in &mut self.runs {
            run.timed(|transaction| {
                transaction.response_headers(&head);
            });
        }
        self.stopped()
    }

    /// How much of the response body is wanted; 0: nothing. To be asked after phase 3.
    pub fn response_bytes_wanted(&self) -> usize {
        self.runs.iter().map(Run::response_bytes_wanted).max().unwrap_or(0)
    }

    /// Phase 4. `body` is decoded; `ended`: it is all of it.
    pub async fn response_body(
        &mut self,
        common: &Common,
        body: Bytes,
        ended: bool,
    ) -> Option<Stop> {
        let act = |run: &mut Run, body: &[u8], ended: bool| {
            let wanted = run.response_bytes_wanted();
            let part = body.get(..wanted).unwrap_or(body);
            let complete = wanted == 0 || ended && part.len() == body.len();
            if !complete {
                run.gaps.push(Gap::ResponseBody);
            }
            run.timed(|transaction| {
                transaction.response_body(part, complete);
            });
        };
        self.each(common, body, ended, act).await
    }

    /// Whether any rule set may block this exchange.
    pub fn is_enforced(&self) -> bool {
        self.runs.iter().any(|run| run.enforced)
    }

    /// Whether any of them lets nothing pass uninspected.
    pub fn is_closed(&self) -> bool {
        self.runs.iter().any(Run::is_closed)
    }

    /// Room taken so far, for both bodies.
    pub fn room_bytes(&self) -> usize {
        self.room.bytes()
    }

    /// Has room for so much of what came, or gives back what is more.
    pub fn hold(&mut self, bytes: usize, max: usize) -> bool {
        self.room.resize(bytes, max)
    }

    /// Something is not inspected.
    pub fn gap(&mut self, gap: Gap) -> Option<Stop> {
        self.missed(gap);
        self.stopped()
    }

    /// The same, where what there is of it is still to be looked at.
    pub fn missed(&mut self, gap: Gap) {
        let is_concerned = |run: &&mut Run| match gap {
            Gap::RequestSlow => run.request_bytes_wanted() > 0,
            Gap::ResponseSlow => run.response_bytes_wanted() > 0,
            _ => true,
        };
        self.runs.iter_mut().filter(is_concerned).for_each(|run| run.gaps.push(gap));
    }

    /// Phase 5, and what came of it all.
    pub fn finish(mut self, seen: &RequestHead, logs: &Logs) -> Outcome {
        self.end_stream();
        let (id, blocked) = (self.id, self.blocked);
        let mut sets = Vec::with_capacity(self.runs.len());
        for (i, run) in self.runs.into_iter().enumerate() {
            let outcome = run.finish(blocked == Some(i));
            if let Some(log) = &logs.matches {
                let about = About {
                    client: &seen.client_ip.to_string(),
                    host: &seen.host,
                    uri: &seen.path,
                    unique_id: &id.to_string(),
                    time_ms: seen.received,
                };
                write_matches(log, &about, &outcome.matches);
            }
            sets.push(outcome);
        }
        Outcome { id, blocked, sets, server: self.server, audit: logs.audit.clone() }
    }

    /// Runs a phase over a body: here when it is short, else where it holds up nobody.
    async fn each(
        &mut self,
        common: &Common,
        body: Bytes,
        ended: bool,
        act: fn(&mut Run, &[u8], bool),
    ) -> Option<Stop> {
        if body.len() <= INLINE_BYTES_MAX {
            self.runs.iter_mut().for_each(|run| act(run, &body, ended));
            return self.stopped();
        }
        let Some(thread) = common.thread().await else {
            // What needs no body is looked at all the same.
            self.missed(Gap::Work);
            self.runs.iter_mut().for_each(|run| act(run, b"", false));
            return self.stopped();
        };
        let is_closed = self.runs.iter().any(Run::is_closed);
        let mut runs = std::mem::take(&mut self.runs);
        let work = thread.run(move || {
            runs.iter_mut().for_each(|run| act(run, &body, ended));
            runs
        });
        match work.await {
            Some(runs) => {
                self.runs = runs;
                self.stopped()
            }
            None => {
                tracing::error!("an inspection ended by a panic");
                is_closed.then_some(Stop::Uninspected(Gap::Work))
            }
        }
    }

    /// Whether anything said so far ends the exchange.
    fn stopped(&mut self) -> Option<Stop> {
        for (i, run) in self.runs.iter_mut().enumerate().filter(|(_, run)| run.enforced) {
            if let Some(interruption) = run.transaction.interruption() {
                self.blocked = Some(i);
                return Some(Stop::Rules(interruption.deed.clone()));
            }
            if let Some(gap) = run.open_gap().filter(|_| run.is_closed()) {
                run.refused = true;
                self.blocked = Some(i);
                return Some(Stop::Uninspected(gap));
            }
        }
        None
    }
}

impl Run {
    fn begin(
        ward: &Arc<Ward>,
        plan: &Arc<Plan>,
        seen: &Seen<'_>,
        headers: &[(&[u8], &[u8])],
        unique_id: &str,
    ) -> Run {
        let began = Instant::now();
        let head = seen.head;
        let enforced = match plan.stage {
            Stage::Enforce => true,
            Stage::Canary => ward.config.is_canary(head.client_ip),
            Stage::Shadow | Stage::Off => false,
        };
        let connection = Connection {
            client: head.client_ip,
            client_port: head.client_port,
            server: seen.local.ip(),
            server_port: seen.local.port(),
            unique_id,
            time_ms: head.received,
            // A gateway serves many places: its rules see UTC.
            utc_offset_secs: 0,
        };
        let request = seclang::RequestHead {
            method: head.method.as_str().as_bytes(),
            target: seen.target.as_bytes(),
            protocol: protocol(head.version),
            headers,
        };
        let memory = Arc::clone(&ward.memory) as Arc<dyn seclang::Memory>;
        let mut transaction = ward.rules.engine.begin(&connection, &request, memory);
        transaction.apply(plan.overrides(enforced));
        for without in ward.exceptions(head) {
            transaction.leave_out(without);
        }
        Run {
            ward: Arc::clone(ward),
            plan: Arc::clone(plan),
            enforced,
            transaction,
            took: began.elapsed(),
            gaps: Vec::new(),
            refused: false,
        }
    }

    fn timed(&mut self, act: impl FnOnce(&mut Transaction)) {
        let began = Instant::now();
        act(&mut self.transaction);
        self.took += began.elapsed();
    }

    fn request_bytes_wanted(&self) -> usize {
        if !self.transaction.wants_request_body() {
            return 0;
        }
        let limit = usize::try_from(self.transaction.request_body_limit()).unwrap_or(usize::MAX);
        limit.min(self.plan.body_bytes_max)
    }

    fn response_bytes_wanted(&self) -> usize {
        if !self.transaction.wants_response_body() {
            return 0;
        }
        let limit = usize::try_from(self.transaction.response_body_limit()).unwrap_or(usize::MAX);
        limit.min(self.plan.body_bytes_max)
    }

    fn is_closed(&self) -> bool {
        self.enforced && self.plan.fail == FailMode::Closed
    }

    fn open_gap(&self) -> Option<Gap> {
        self.gaps.first().copied().or_else(|| gap_of(&self.transaction))
    }

    fn finish(self, is_blocked: bool) -> SetOutcome {
        let scores = scores(&self.transaction);
        let began = Instant::now();
        let verdict = self.transaction.finish();
        let took = self.took + began.elapsed();
        let decided = verdict.interruption.or(verdict.would).map(|by| (by.rule, by.phase));
        let mut limits: Vec<&'static str> = self.gaps.iter().map(|gap| gap.code()).collect();
        limits.extend(verdict.limits.iter().map(|limit| limit_code(*limit)));
        limits.sort_unstable();
        limits.dedup();
        let matches: Vec<_> = verdict.matches.into_iter().filter(|found| found.logged).collect();
        if let Some(metrics) = self.ward.metrics.of(self.plan.stage) {
            metrics.inspected.add(1);
            metrics.matched.add(u64::from(!matches.is_empty()));
            metrics.would_block.add(u64::from(decided.is_some() && !is_blocked));
            metrics.blocked.add(u64::from(is_blocked));
            metrics.limited.add(u64::from(!limits.is_empty()));
            metrics.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
        SetOutcome {
            rules: Arc::clone(&self.ward.rules.set),
            stage: self.plan.stage.as_str(),
            enforced: self.enforced,
            decided,
            inbound_score: scores.inbound,
            outbound_score: scores.outbound,
            inbound_threshold: scores.inbound_threshold,
            outbound_threshold: scores.outbound_threshold,
            matches,
            matches_dropped: verdict.matches_dropped,
            limits,
            refused: self.refused,
            audited: verdict.audit,
            record: None,
        }
    }
}

/// What the engine's own limits left out.
fn gap_of(transaction: &Transaction) -> Option<Gap> {
    let gap = |limit: &Limit| match limit {
        Limit::RequestBody | Limit::RequestBodyNoFiles => Some(Gap::RequestBody),
        Limit::ResponseBody => Some(Gap::ResponseBody),
        Limit::Arguments
        | Limit::Headers
        | Limit::Cookies
        | Limit::Depth
        | Limit::Elements
        | Limit::Parts
        | Limit::Files
        | Limit::Variables
        | Limit::Work => Some(Gap::Work),
        // All rules ran; only the list of them is not complete.
        Limit::Matches => None,
    };
    transaction.limits().iter().find_map(gap)
}

/// As rules expect them: HTTP/2 says its host elsewhere.
fn headers<'a>(headers: &'a HeaderMap, host: Option<&'a HeaderValue>) -> Vec<(&'a [u8], &'a [u8])> {
    let mut out = Vec::with_capacity(headers.len() + 1);
    if let Some(host) = host.filter(|_| !headers.contains_key(HOST)) {
        out.push((&b"Host"[..], host.as_bytes()));
    }
    let line = |(name, value): (&'a HeaderName, &'a HeaderValue)| {
        (::inspect::written(name.as_str()).as_bytes(), value.as_bytes())
    };
    out.extend(headers.iter().map(line));
    out
}

fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_09 => b"HTTP/0.9",
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_3 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    }
}

#[cfg(test)]
mod tests;
