//! Figures for Prometheus (text format 0.0.4).

use crate::app::{App, Blocking};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Name, help, and where the figure comes from.
type Gauge = (&'static str, &'static str, fn(&store::TenantStats) -> u64);

/// Figures of the whole installation; without a credential from this machine only.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", description = "problem", body = Problem)))]
pub async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let mut text = String::with_capacity(4096);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = app.counters.as_ref();
    let plain: [(&str, &str, &AtomicU64); 10] = [
        ("plura_events_accepted_total", "Events made durable.", &counters.events_accepted),
        ("plura_events_duplicate_total", "Events sent again.", &counters.events_duplicate),
        ("plura_events_rejected_total", "Records refused.", &counters.events_rejected),
        ("plura_intake_bytes_total", "Intake bodies, decoded.", &counters.intake_bytes),
        ("plura_syslog_messages_total", "Syslog messages taken.", &counters.syslog_messages),
        ("plura_syslog_dropped_total", "Syslog messages dropped.", &counters.syslog_dropped),
        ("plura_logins_failed_total", "Failed logins.", &counters.logins_failed),
        ("plura_connections_total", "Connections accepted.", &counters.connections),
        ("plura_handshakes_failed_total", "TLS handshakes failed.", &counters.handshakes_failed),
        ("plura_requests_shed_total", "Requests refused as busy.", &counters.requests_shed),
    ];
    // Writing to a String cannot fail.
    for (name, help, counter) in plain {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}",
            count(counter)
        );
    }
    text.push_str("# HELP plura_answers_total Answers by class of status.\n# TYPE plura_answers_total counter\n");
    for (class, counter) in counters.answers.iter().enumerate().skip(1) {
        let _ = writeln!(text, "plura_answers_total{{class=\"{class}xx\"}} {}", count(counter));
    }
    let stats = app.store.stats();
    let gauges: [Gauge; 4] = [
        ("plura_store_events", "Events kept.", |s| s.events),
        ("plura_store_unflushed_events", "Events not in the lake yet.", |s| s.unflushed),
        ("plura_store_lake_bytes", "Bytes of Parquet.", |s| s.bytes),
        ("plura_store_corrupt_records", "Damaged stretches met.", |s| s.corrupt_records),
    ];
    for (name, help, of) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (tenant, stats) in &stats {
            let _ = writeln!(text, "{name}{{tenant=\"{tenant}\"}} {}", of(stats));
        }
    }
    let dropped = app
        .meta
        .blocking(|meta| {
            meta.read(|read| {
                let mut dropped = Vec::new();
                for tenant in read.tenants()? {
                    let total = read.dropped_total(&tenant.id)?;
                    dropped.push((tenant.id, total));
                }
                Ok(dropped)
            })
        })
        .await?;
    text.push_str("# HELP plura_events_dropped_total Events known to be dropped before intake.\n# TYPE plura_events_dropped_total counter\n");
    for (tenant, total) in dropped {
        let _ = writeln!(text, "plura_events_dropped_total{{tenant=\"{tenant}\"}} {total}");
    }
    let (permitted, refused, sessions) = app.desks.figures();
    let written = app.desks.writer().written();
    let (sent, left_out) = app.desks.transmitter().figures();
    for (name, kind, help, value) in [
        ("plura_trust_permitted_total", "counter", "Accesses permitted.", permitted),
        ("plura_trust_refused_total", "counter", "Accesses refused.", refused),
        ("plura_trust_records_total", "counter", "Decisions recorded.", written),
        ("plura_signals_sent_total", "counter", "Security events delivered.", sent),
        ("plura_signals_dropped_total", "counter", "Security events left out.", left_out),
        ("plura_trust_sessions", "gauge", "Sessions remembered.", sessions),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    if let Some(waf) = app.pipeline.waf() {
        let counts = &waf.counts;
        for (name, help, counter) in [
            ("inspected", "Records that rules looked at.", &counts.inspected),
            ("matched", "Records that a rule matched.", &counts.matched),
            ("would_block", "Records of what rules would have blocked.", &counts.would_block),
            ("limited", "Records of which not all was looked at.", &counts.limited),
            ("uninspected", "Records there was no time for.", &counts.uninspected),
        ] {
            let name = format!("plura_intake_waf_{name}_total");
            let value = count(counter);
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
        }
        let name = "plura_intake_waf_seconds_total";
        let seconds = count(&counts.micros) as f64 / 1e6;
        let _ =
            writeln!(text, "# HELP {name} Time in rules.\n# TYPE {name} counter\n{name} {seconds}");
    }
    let mut response = text.into_response();
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}
