//! One exchange while it is under way; handed over when it ends, however it ends.

use super::live::Site;
use super::shared::{Shared, now};
use super::tap::Tap;
use super::trusted::Standing;
use crate::evidence::{Enforced, Exchange, ExchangeError, RequestHead};
use crate::waf::{Inspection, Logs, Stop, Trial};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The request body as far as it has gone by, shared with the half that sends it upstream.
pub struct RequestTap {
    inner: Mutex<RequestProgress>,
}

struct RequestProgress {
    tap: Option<Tap>,
    complete: bool,
    error: Option<ExchangeError>,
    /// When something last moved; the upstream's time to answer counts from here.
    moved: Instant,
}

impl RequestTap {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(RequestTap {
            inner: Mutex::new(RequestProgress {
                tap: Some(Tap::new(limit)),
                complete: false,
                error: None,
                moved: Instant::now(),
            }),
        })
    }

    /// Of a body that was read before.
    pub fn whole(body: &[u8], limit: usize) -> Arc<Self> {
        let tap = RequestTap::new(limit);
        tap.see(body);
        tap.complete();
        tap
    }

    fn with<T>(&self, act: impl FnOnce(&mut RequestProgress) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says how long the body is by now.
    pub fn see(&self, bytes: &[u8]) -> u64 {
        self.with(|progress| {
            progress.moved = Instant::now();
            progress.tap.as_mut().map_or(0, |tap| {
                tap.see(bytes);
                tap.total_len()
            })
        })
    }

    pub fn complete(&self) {
        self.with(|progress| {
            progress.moved = Instant::now();
            progress.complete = true;
        });
    }

    pub fn fail(&self, error: ExchangeError) {
        self.with(|progress| progress.error = Some(error));
    }

    pub fn error(&self) -> Option<ExchangeError> {
        self.with(|progress| progress.error)
    }

    pub fn moved(&self) -> Instant {
        self.with(|progress| progress.moved)
    }
}

/// Becomes an [`Exchange`] and goes to the recorder when it is dropped.
pub struct OpenExchange {
    shared: Arc<Shared>,
    site: Arc<Site>,
    began: Instant,
    pub exchange: Exchange,
    pub request_tap: Option<Arc<RequestTap>>,
    pub response_tap: Option<Tap>,
    /// The response came to its end.
    pub complete: bool,
    /// A decision ended it: nobody's error.
    pub cut_off: bool,
    /// What it goes on under, where the site asks for decisions.
    pub standing: Option<Standing>,
    /// Its way through the site's rules.
    pub inspection: Option<Inspection>,
    pub logs: Arc<Logs>,
}

impl OpenExchange {
    pub fn new(shared: Arc<Shared>, site: Arc<Site>, request: RequestHead, began: Instant) -> Self {
        let exchange =
            Exchange { gateway: Arc::clone(&shared.gateway), request, ..Exchange::default() };
        OpenExchange {
            shared,
            site,
            began,
            exchange,
            request_tap: None,
            response_tap: None,
            complete: false,
            cut_off: false,
            standing: None,
            inspection: None,
            logs: Arc::default(),
        }
    }

    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// When all of it must be over.
    pub fn deadline(&self, total_ms: Option<u64>) -> Option<tokio::time::Instant> {
        total_ms.map(|ms| tokio::time::Instant::from_std(self.began) + Duration::from_millis(ms))
    }

    /// The response is one of ours, whole.
    pub fn answered(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
        limit: usize,
    ) {
        self.exchange.status = Some(status.as_u16());
        self.exchange.response_headers = headers.clone();
        let mut tap = Tap::new(limit);
        tap.see(body);
        self.response_tap = Some(tap);
        self.complete = true;
    }

    /// A piece of a streamed answer, for the rules. `Some`: nothing more may pass.
    pub fn see_stream(&mut self, data: &[u8]) -> Option<Stop> {
        let inspection = self.inspection.as_mut()?;
        let room_max = self.shared.live().config.limits.waf_bytes_max;
        inspection.see(data, room_max)
    }

    /// Whether a rule set may still stop the stream.
    pub fn is_held_back(&self) -> bool {
        self.inspection.as_ref().is_some_and(|inspection| inspection.stream_hold().is_some())
    }

    pub fn trial(&mut self) -> Option<Trial> {
        self.inspection.as_mut()?.trial()
    }

    pub fn judge(&mut self, trial: Option<Trial>) -> Option<Stop> {
        self.inspection.as_mut()?.judge(trial)
    }

    /// The rules have seen all they will see of it.
    pub fn inspected(&mut self) {
        if let Some(inspection) = self.inspection.take() {
            let outcome = inspection.finish(&self.exchange.request, &self.logs);
            self.exchange.waf = Some(outcome);
        }
    }

    pub fn enforced(&mut self, enforced: Enforced) {
        self.exchange.enforced = Some(enforced);
    }

    pub fn failed(&mut self, error: ExchangeError) {
        self.exchange.error.get_or_insert(error);
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        let mut exchange = std::mem::take(&mut self.exchange);
        exchange.finished = now();
        if let Some(tap) = self.request_tap.take() {
            tap.with(|progress| {
                if let Some(tap) = progress.tap.take() {
                    exchange.request_body = tap.finish(progress.complete);
                }
                exchange.error = exchange.error.or(progress.error);
            });
        }
        if let Some(tap) = self.response_tap.take() {
            exchange.response_body = tap.finish(self.complete);
        }
        if !self.complete && !self.cut_off {
            // Nobody else said why it did not come to its end: the client did not wait for it.
            exchange.error.get_or_insert(ExchangeError::ClientGone);
        }
        let metrics = &self.shared.metrics;
        if exchange.error == Some(ExchangeError::ClientGone) {
            metrics.client_gone.add(1);
        }
        metrics.latency.observe(self.began.elapsed());
        self.site.metrics.request_bytes.add(exchange.request_body.total_len);
        self.site.metrics.response_bytes.add(exchange.response_body.total_len);
        if let Some(status) = exchange.status {
            self.site.metrics.answered(status);
        }
        Ended {
            shared: Arc::clone(&self.shared),
            site: Arc::clone(&self.site),
            exchange,
            inspection: self.inspection.take(),
            logs: Arc::clone(&self.logs),
        }
        .record();
    }
}

/// An exchange that is over, on its way to the recorder; it gets there even when it is dropped.
struct Ended {
    shared: Arc<Shared>,
    site: Arc<Site>,
    exchange: Exchange,
    inspection: Option<Inspection>,
    logs: Arc<Logs>,
}

impl Ended {
    /// A long stream is read by the rules where it holds up nobody.
    fn record(self) {
        let is_long = self.inspection.as_ref().is_some_and(Inspection::is_long);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if is_long => {
                let shared = Arc::clone(&self.shared);
                runtime.spawn(async move { shared.waf.later(move || drop(self)).await });
            }
            _ => drop(self),
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let mut exchange = std::mem::take(&mut self.exchange);
        if let Some(inspection) = self.inspection.take() {
            exchange.waf = Some(inspection.finish(&exchange.request, &self.logs));
        }
        super::proof::look(&self.shared, &self.site, &exchange);
        if !self.shared.evidence.recorder.record(&self.site.evidence, exchange) {
            self.shared.metrics.exchanges_lost.add(1);
        }
    }
}
