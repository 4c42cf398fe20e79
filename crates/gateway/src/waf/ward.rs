//! A rule set at work on a site: which stage, how strict, with which exceptions.

use super::load::Rules;
use super::memory::Remembered;
use super::metrics::WardMetrics;
use crate::config::{FailMode, Stage, WafConfig, WafException, WafRoute};
use crate::enforce::Pattern;
use crate::evidence::RequestHead;
use inspect::Settings;
use schema::Timestamp;
use seclang::{EngineMode, Overrides, Without};
use std::sync::Arc;
use std::time::Duration;

/// Made ready from its configuration; kept over a reload that does not change it.
#[derive(Debug)]
pub struct Ward {
    pub config: WafConfig,
    pub rules: Arc<Rules>,
    pub memory: Arc<Remembered>,
    pub metrics: Arc<WardMetrics>,
    plan: Arc<Plan>,
    routes: Vec<(Pattern, Arc<Plan>)>,
    exceptions: Vec<Exception>,
}

/// What holds for a request.
#[derive(Debug)]
pub struct Plan {
    pub stage: Stage,
    pub fail: FailMode,
    pub body_bytes_max: usize,
    /// The longest an event of a streamed answer is held back.
    pub stream_hold: Duration,
    /// What the engine is told where nothing is blocked…
    shadow: Overrides,
    /// …and where it may.
    enforce: Overrides,
}

#[derive(Debug)]
struct Exception {
    without: Without,
    host: Option<String>,
    path: Option<Pattern>,
    ends: Timestamp,
}

impl Ward {
    /// `before`: the same rule set on the same site, whose memory and counters go on.
    pub fn new(config: &WafConfig, rules: &Arc<Rules>, before: Option<&Ward>) -> Ward {
        let timeout = rules.engine.rules().settings.collection_timeout_secs;
        let memory = before
            .filter(|ward| ward.rules.memory_config() == rules.memory_config())
            .map(|ward| Arc::clone(&ward.memory))
            .unwrap_or_else(|| Arc::new(Remembered::new(rules.memory_config(), timeout)));
        let plan = Plan::new(config, None);
        let route = |route: &WafRoute| {
            Some((Pattern::parse(&route.pattern)?, Arc::new(Plan::new(config, Some(route)))))
        };
        Ward {
            config: config.clone(),
            rules: Arc::clone(rules),
            memory,
            metrics: before.map(|ward| Arc::clone(&ward.metrics)).unwrap_or_default(),
            plan: Arc::new(plan),
            routes: config.routes.iter().filter_map(route).collect(),
            exceptions: config.exceptions.iter().filter_map(Exception::new).collect(),
        }
    }

    /// What holds for a request: the first route that matches, else what the site says.
    pub fn plan(&self, head: &RequestHead) -> &Arc<Plan> {
        let method = head.method.as_str();
        let found = self.routes.iter().find(|(pattern, _)| pattern.matches(method, &head.path));
        found.map_or(&self.plan, |(_, plan)| plan)
    }

    /// The exceptions in force for a request.
    pub fn exceptions<'a>(&'a self, head: &'a RequestHead) -> impl Iterator<Item = &'a Without> {
        let fits = |exception: &&Exception| exception.fits(head);
        self.exceptions.iter().filter(fits).map(|exception| &exception.without)
    }
}

impl Plan {
    fn new(config: &WafConfig, route: Option<&WafRoute>) -> Plan {
        let paranoia = route.and_then(|r| r.paranoia).or(config.paranoia);
        let detection = route.and_then(|r| r.detection_paranoia).or(config.detection_paranoia);
        let inbound = route.and_then(|r| r.inbound_threshold).or(config.inbound_threshold);
        let outbound = route.and_then(|r| r.outbound_threshold).or(config.outbound_threshold);
        let tx = inspect::settings(&Settings {
            paranoia,
            detection_paranoia: detection,
            inbound_threshold: inbound,
            outbound_threshold: outbound,
        });
        Plan {
            stage: route.and_then(|r| r.stage).unwrap_or(config.stage),
            fail: route.and_then(|r| r.fail).unwrap_or(config.fail),
            body_bytes_max: route.and_then(|r| r.body_bytes_max).unwrap_or(config.body_bytes_max),
            stream_hold: Duration::from_millis(config.stream_hold_ms),
            shadow: Overrides { mode: Some(EngineMode::DetectionOnly), tx: tx.clone() },
            enforce: Overrides { mode: Some(EngineMode::On), tx },
        }
    }

    /// What the engine is told before its first rule.
    pub fn overrides(&self, enforced: bool) -> &Overrides {
        if enforced { &self.enforce } else { &self.shadow }
    }
}

impl Exception {
    fn new(config: &WafException) -> Option<Exception> {
        let without = match &config.parameter {
            None => Without::rule(config.rule),
            Some(parameter) => Without::variable(config.rule, parameter)?,
        };
        let path = match &config.path {
            None => None,
            Some(path) => Some(Pattern::parse(path)?),
        };
        let host = config.host.as_deref().map(str::to_ascii_lowercase);
        Some(Exception { without, host, path, ends: config.ends()? })
    }

    fn fits(&self, head: &RequestHead) -> bool {
        head.received < self.ends
            && self.host.as_deref().is_none_or(|host| host == head.host)
            && self.path.as_ref().is_none_or(|p| p.matches(head.method.as_str(), &head.path))
    }
}
