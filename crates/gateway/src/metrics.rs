//! What the gateway counts, and how Prometheus reads it.

use crate::proxy::refusal::Refusal;
use schema::Rung;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the latency histogram, in seconds: Prometheus client defaults and two below.
const LATENCY_BOUNDS_SECS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; LATENCY_BOUNDS_SECS.len() + 1],
    sum_us: AtomicU64,
}

impl Latency {
    pub fn observe(&self, took: Duration) {
        let secs = took.as_secs_f64();
        let place = LATENCY_BOUNDS_SECS.iter().position(|b| secs <= *b);
        if let Some(bucket) = self.buckets.get(place.unwrap_or(LATENCY_BOUNDS_SECS.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// Appends it as a histogram.
    pub fn write(&self, out: &mut String, name: &str, help: &str) {
        head(out, name, help, "histogram");
        let mut total = 0;
        for (i, bucket) in self.buckets.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let bound = LATENCY_BOUNDS_SECS.get(i).map_or("+Inf".to_owned(), f64::to_string);
            sample(out, &format!("{name}_bucket"), &format!("le=\"{bound}\""), total);
        }
        let sum = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "plura_gateway_{name}_sum {sum}");
        let _ = writeln!(out, "plura_gateway_{name}_count {total}");
    }
}

/// Counters of the whole gateway; the ones of a site are in [`SiteMetrics`].
#[derive(Debug)]
pub struct Metrics {
    pub connections: Counter,
    pub connections_open: Gauge,
    pub tls_failures: Counter,
    pub unknown_hosts: Counter,
    refusals: Vec<Counter>,
    enforced: Vec<Counter>,
    pub latency: Latency,
    pub tunnels_open: Gauge,
    pub upstream_connects: Counter,
    pub upstream_retries: Counter,
    pub upstream_unreachable: Counter,
    pub upstream_timeouts: Counter,
    pub upstream_broken: Counter,
    pub streams_ended: Counter,
    pub client_gone: Counter,
    /// Finished exchanges the recorder could not take.
    pub exchanges_lost: Counter,
    pub step_ups_passed: Counter,
    pub reloads: Counter,
    pub reloads_refused: Counter,
    pub polls: Counter,
    pub poll_failures: Counter,
    pub server_reachable: Gauge,
    pub refused_closed: Counter,
    /// Requests let through while the server was out of reach beyond the grace.
    pub passed_open: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            refusals: Refusal::ALL.iter().map(|_| Counter::default()).collect(),
            enforced: Rung::ALL.iter().map(|_| Counter::default()).collect(),
            connections: Counter::default(),
            connections_open: Gauge::default(),
            tls_failures: Counter::default(),
            unknown_hosts: Counter::default(),
            latency: Latency::default(),
            tunnels_open: Gauge::default(),
            upstream_connects: Counter::default(),
            upstream_retries: Counter::default(),
            upstream_unreachable: Counter::default(),
            upstream_timeouts: Counter::default(),
            upstream_broken: Counter::default(),
            streams_ended: Counter::default(),
            client_gone: Counter::default(),
            exchanges_lost: Counter::default(),
            step_ups_passed: Counter::default(),
            reloads: Counter::default(),
            reloads_refused: Counter::default(),
            polls: Counter::default(),
            poll_failures: Counter::default(),
            server_reachable: Gauge::default(),
            refused_closed: Counter::default(),
            passed_open: Counter::default(),
        }
    }
}

impl Metrics {
    pub fn refused(&self, refusal: Refusal) {
        if let Some(counter) = place_of(Refusal::ALL, refusal).and_then(|i| self.refusals.get(i)) {
            counter.add(1);
        }
    }

    pub fn refusals(&self, refusal: Refusal) -> u64 {
        place_of(Refusal::ALL, refusal).and_then(|i| self.refusals.get(i)).map_or(0, Counter::get)
    }

    pub fn enforced(&self, rung: Rung) {
        if let Some(counter) = place_of(&Rung::ALL, rung).and_then(|i| self.enforced.get(i)) {
            counter.add(1);
        }
    }

    /// Appends the text exposition format 0.0.4.
    pub fn write(&self, out: &mut String) {
        let counters: [(&str, &str, &Counter); 16] = [
            ("connections_total", "Client connections accepted", &self.connections),
            ("tls_failures_total", "TLS handshakes that failed", &self.tls_failures),
            ("unknown_hosts_total", "Requests for a host no site claims", &self.unknown_hosts),
            ("upstream_connects_total", "Connections made to upstreams", &self.upstream_connects),
            (
                "upstream_retries_total",
                "Requests sent again on a fresh connection",
                &self.upstream_retries,
            ),
            ("upstream_unreachable_total", "Requests no upstream took", &self.upstream_unreachable),
            (
                "upstream_timeouts_total",
                "Requests an upstream was too slow for",
                &self.upstream_timeouts,
            ),
            (
                "upstream_broken_total",
                "Responses that broke off or broke HTTP",
                &self.upstream_broken,
            ),
            ("streams_ended_total", "Streams and tunnels ended by a decision", &self.streams_ended),
            ("client_gone_total", "Clients that left before the end", &self.client_gone),
            ("exchanges_lost_total", "Finished exchanges not recorded", &self.exchanges_lost),
            ("step_ups_passed_total", "Step-up proofs accepted", &self.step_ups_passed),
            ("reloads_total", "Configurations taken", &self.reloads),
            ("reloads_refused_total", "Configurations refused", &self.reloads_refused),
            ("polls_total", "Answers to the restrictions poll", &self.polls),
            ("poll_failures_total", "Failed restrictions polls", &self.poll_failures),
        ];
        for (name, help, counter) in counters {
            line(out, name, help, "counter", counter.get());
        }
        line(
            out,
            "fail_closed_total",
            "Requests refused because the server is out of reach",
            "counter",
            self.refused_closed.get(),
        );
        line(
            out,
            "fail_open_total",
            "Requests passed although the server is out of reach",
            "counter",
            self.passed_open.get(),
        );
        let gauges: [(&str, &str, &Gauge); 3] = [
            ("connections_open", "Client connections now", &self.connections_open),
            ("tunnels_open", "WebSocket tunnels now", &self.tunnels_open),
            (
                "server_reachable",
                "1 while the restrictions poll is answered",
                &self.server_reachable,
            ),
        ];
        for (name, help, gauge) in gauges {
            line(out, name, help, "gauge", gauge.get());
        }
        head(out, "refused_total", "Requests refused as malformed, by code", "counter");
        for (refusal, counter) in Refusal::ALL.iter().zip(&self.refusals) {
            sample(out, "refused_total", &format!("code=\"{}\"", refusal.code()), counter.get());
        }
        head(out, "enforced_total", "Requests held back by a decision, by rung", "counter");
        for (rung, counter) in Rung::ALL.iter().zip(&self.enforced) {
            sample(out, "enforced_total", &format!("rung=\"{rung}\""), counter.get());
        }
        self.latency.write(out, "request_duration_seconds", "Request head in to last byte out");
    }
}

/// Counters of one site.
#[derive(Debug, Default)]
pub struct SiteMetrics {
    /// By status class, 1xx to 5xx.
    responses: [Counter; 5],
    pub request_bytes: Counter,
    pub response_bytes: Counter,
}

impl SiteMetrics {
    pub fn answered(&self, status: u16) {
        if let Some(counter) = self.responses.get(usize::from(status / 100).saturating_sub(1)) {
            counter.add(1);
        }
    }

    pub fn total(&self) -> u64 {
        self.responses.iter().map(Counter::get).sum()
    }
}

/// Appends the families of all sites, each family together as the format wants.
pub fn write_sites(out: &mut String, sites: &[(&str, &SiteMetrics)]) {
    head(out, "requests_total", "Requests answered, by site and status class", "counter");
    for (site, metrics) in sites {
        for (class, counter) in metrics.responses.iter().enumerate() {
            let labels = format!("site=\"{site}\",status=\"{}xx\"", class + 1);
            sample(out, "requests_total", &labels, counter.get());
        }
    }
    head(out, "request_bytes_total", "Request body bytes", "counter");
    for (site, metrics) in sites {
        sample(
            out,
            "request_bytes_total",
            &format!("site=\"{site}\""),
            metrics.request_bytes.get(),
        );
    }
    head(out, "response_bytes_total", "Response body bytes", "counter");
    for (site, metrics) in sites {
        sample(
            out,
            "response_bytes_total",
            &format!("site=\"{site}\""),
            metrics.response_bytes.get(),
        );
    }
}

pub fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP plura_gateway_{name} {help}\n# TYPE plura_gateway_{name} {kind}");
}

/// `labels` are the gateway's own names (slugs, codes, addresses): nothing to escape.
pub fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "plura_gateway_{name}{{{labels}}} {value}");
}

pub fn line(out: &mut String, name: &str, help: &str, kind: &str, value: impl std::fmt::Display) {
    head(out, name, help, kind);
    let _ = writeln!(out, "plura_gateway_{name} {value}");
}

fn place_of<T: PartialEq + Copy>(all: &[T], one: T) -> Option<usize> {
    all.iter().position(|t| *t == one)
}
