//! Asks upstreams how they are, away from the traffic.

use super::shared::Shared;
use super::upstream::Upstream;
use super::{body::RequestBody, live::Site};
use http::header::{HOST, HeaderValue};
use http::{Request, Uri};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often the schedule is looked at; the least `interval_ms` a site may have.
const TICK: Duration = Duration::from_millis(100);

/// Checks every upstream of every site that has a health path; runs until the gateway ends.
pub async fn watch(shared: Arc<Shared>) {
    let mut due: HashMap<(String, String), Instant> = HashMap::new();
    loop {
        let live = shared.live();
        let now = Instant::now();
        for site in &live.sites {
            let health = site.health();
            let Some(path) = &health.path else { continue };
            for upstream in &site.upstreams {
                let next =
                    due.entry((site.config.name.clone(), upstream.name.clone())).or_insert(now);
                if *next > now {
                    continue;
                }
                *next = now + Duration::from_millis(health.interval_ms);
                let check =
                    check(Arc::clone(upstream), Arc::clone(site), path.clone(), health.timeout_ms);
                tokio::spawn(check);
            }
        }
        due.retain(|(site, _), _| live.sites.iter().any(|s| s.config.name == *site));
        drop(live);
        tokio::time::sleep(TICK).await;
    }
}

async fn check(upstream: Arc<Upstream>, site: Arc<Site>, path: String, timeout_ms: u64) {
    let limit = Duration::from_millis(timeout_ms);
    let healthy = tokio::time::timeout(limit, ask(&upstream, &site, &path)).await.unwrap_or(false);
    upstream.checked(healthy);
}

async fn ask(upstream: &Arc<Upstream>, site: &Site, path: &str) -> bool {
    // A connection of its own: a check that reuses one tells less.
    let Ok(mut lease) = upstream.connect(0).await else { return false };
    let host = site.config.hosts.iter().find(|h| !h.contains('*')).unwrap_or(&upstream.name);
    let (Ok(uri), Ok(host)) = (path.parse::<Uri>(), HeaderValue::from_str(host)) else {
        return false;
    };
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = uri;
    request.headers_mut().insert(HOST, host);
    lease
        .sender()
        .send_request(request)
        .await
        .is_ok_and(|response| response.status().is_success() || response.status().is_redirection())
}
