//! The admin listener: `/metrics` for Prometheus, `/healthz` for whoever keeps us running.

use crate::metrics::{self, write_sites};
use crate::proxy::shared::{Shared, now};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A handful of scrapers is all there should be.
const CONNECTIONS_MAX: usize = 32;
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

pub async fn serve(shared: Arc<Shared>, socket: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&shared, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection ended");
            }
            drop(permit);
        });
    }
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, kind, body) = match request.uri().path() {
        "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4", metrics_text(shared)),
        "/healthz" => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "only /metrics and /healthz are here\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn metrics_text(shared: &Shared) -> String {
    let mut out = String::with_capacity(16 * 1024);
    shared.metrics.write(&mut out);
    let live = shared.live();
    let sites: Vec<_> =
        live.sites.iter().map(|s| (s.config.name.as_str(), s.metrics.as_ref())).collect();
    write_sites(&mut out, &sites);
    let now = now();
    metrics::head(&mut out, "upstream_healthy", "1 while an upstream takes traffic", "gauge");
    for (site, upstream) in live.sites.iter().flat_map(|s| s.upstreams.iter().map(move |u| (s, u)))
    {
        let labels = format!("site=\"{}\",upstream=\"{}\"", site.config.name, upstream.name);
        metrics::sample(&mut out, "upstream_healthy", &labels, u8::from(upstream.is_healthy(now)));
    }
    metrics::head(
        &mut out,
        "upstream_idle_connections",
        "Connections kept to an upstream",
        "gauge",
    );
    for (site, upstream) in live.sites.iter().flat_map(|s| s.upstreams.iter().map(move |u| (s, u)))
    {
        let labels = format!("site=\"{}\",upstream=\"{}\"", site.config.name, upstream.name);
        metrics::sample(&mut out, "upstream_idle_connections", &labels, upstream.idle_total());
    }
    metrics::head(&mut out, "restrictions", "Restrictions loaded", "gauge");
    let version = format!("version=\"{}\"", shared.enforcer.version());
    metrics::sample(&mut out, "restrictions", &version, shared.enforcer.total());
    if let Some(silence) = shared.contact.silence_ms(now) {
        metrics::head(
            &mut out,
            "server_silence_seconds",
            "Since the server last answered",
            "gauge",
        );
        let gateway = format!("gateway=\"{}\"", shared.gateway);
        metrics::sample(&mut out, "server_silence_seconds", &gateway, silence / 1_000);
    }
    let wards = live
        .sites
        .iter()
        .flat_map(|site| site.waf.iter().map(|ward| (site.config.name.as_str(), ward.as_ref())));
    crate::waf::write_metrics(&mut out, wards);
    let logs = [&live.logs.matches, &live.logs.audit];
    crate::waf::write_log_metrics(&mut out, logs.into_iter().flatten().map(AsRef::as_ref));
    if let Some(asker) = &shared.trust {
        asker.write_metrics(&mut out);
    }
    shared.evidence.recorder.write_metrics(&mut out);
    out
}
