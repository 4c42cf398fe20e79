//! A story's rule sets at work: the gateway's own inspection, without sockets and threads.

use super::script::Script;
use crate::shop::Response;
use gateway::Config;
use gateway::config::RuleSetConfig;
use gateway::evidence::{CapturedBody, RequestHead};
use gateway::waf::{Common, Inspection, Logs, Outcome, Seen, Stop, Ward, load_all};
use http::{HeaderMap, HeaderValue, StatusCode};
use schema::{Timestamp, id_from_seed};
use seclang::Interrupt;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Where a story's gateway listens, as rules see it.
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 443);

/// What loading rules asks of a gateway's configuration.
const NO_GATEWAY: &str = "{gateway: story, listeners: [], sites: []}";

/// The wards of each site.
#[derive(Default)]
pub struct Watch {
    wards: BTreeMap<String, Vec<Arc<Ward>>>,
    common: Common,
}

/// A request on its way through the rules.
pub struct Watched<'a> {
    watch: &'a Watch,
    inspection: Inspection,
}

impl Watch {
    /// Loads the rule sets of a story; files are relative to its folder.
    pub fn of(script: &Script) -> Result<Watch, String> {
        let mut config: Config =
            serde_saphyr::from_str(NO_GATEWAY).map_err(|error| error.to_string())?;
        for (name, set) in &script.rule_sets {
            let beside = |file: &String| script.folder.join(file).display().to_string();
            let files = set.files.iter().map(beside).collect();
            config.rule_sets.insert(name.clone(), RuleSetConfig { files, ..set.clone() });
        }
        let rules = load_all(&config, None).map_err(|faults| {
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })?;
        let mut watch = Watch::default();
        for (site, settings) in &script.waf {
            for setting in settings {
                let rules = rules.get(&setting.rules).ok_or_else(|| {
                    format!("`waf` of `{site}` names `{}`, not among `rule_sets`", setting.rules)
                })?;
                let ward = Arc::new(Ward::new(setting, rules, None));
                watch.wards.entry(site.clone()).or_default().push(ward);
            }
        }
        Ok(watch)
    }

    /// Phases 1 and 2; `None`: nobody looks at this site.
    pub fn request(
        &self,
        site: &str,
        head: &RequestHead,
        body: &[u8],
    ) -> Result<Option<(Watched<'_>, Option<Response>)>, String> {
        let Some(wards) = self.wards.get(site) else { return Ok(None) };
        let target = match &head.query {
            Some(query) => format!("{}?{query}", head.path),
            None => head.path.clone(),
        };
        let host = HeaderValue::from_str(&head.host).map_err(|error| error.to_string())?;
        let seen = Seen { head, target: &target, host: &host, local: LOCAL };
        let Some(mut inspection) = Inspection::begin(&self.common, wards, &seen) else {
            return Ok(None);
        };
        let mut stop = inspection.request_headers();
        if stop.is_none() {
            let body = CapturedBody::whole(body.to_vec()).bytes;
            stop = at_once(inspection.request_body(&self.common, body, true))?;
        }
        Ok(Some((Watched { watch: self, inspection }, stop.map(refusal))))
    }
}

impl Watched<'_> {
    /// Phases 3 and 4: what is sent instead of the response, if it is not sent.
    pub fn response(
        &mut self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Option<Response>, String> {
        let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
        if let Some(stop) = self.inspection.response_headers(status, headers) {
            return Ok(Some(refusal(stop)));
        }
        let body = CapturedBody::whole(body.to_vec()).bytes;
        let stop = at_once(self.inspection.response_body(&self.watch.common, body, true))?;
        Ok(stop.map(refusal))
    }

    /// Phase 5. The event's id is the story's, not a drawn one.
    pub fn finish(self, head: &RequestHead, sequence: u64, now: Timestamp) -> Outcome {
        let mut outcome = self.inspection.finish(head, &Logs::default());
        outcome.id = id_from_seed(now, format!("watched\0{sequence}").as_bytes());
        outcome
    }
}

fn refusal(stop: Stop) -> Response {
    let status = match stop {
        Stop::Rules(Interrupt::Deny { status } | Interrupt::Redirect { status, .. }) => status,
        Stop::Rules(Interrupt::Drop) => 403,
        Stop::Uninspected(gap) => gap.status().as_u16(),
    };
    Response { status, ..Response::default() }
}

/// Only bodies too long for a story would have to wait.
fn at_once<T>(work: impl Future<Output = T>) -> Result<T, String> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err(format!(
            "a body is longer than the {} bytes that rules look at in a story",
            gateway::waf::INLINE_BYTES_MAX
        )),
    }
}
