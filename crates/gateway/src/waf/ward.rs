//! A rule set at work on a site: which stage, how strict, with which exceptions.

use super::load::Rules;
use super::memory::Remembered;
use super::metrics::WardMetrics;
use crate::config::{FailMode, Stage, WafConfig, WafException, WafRoute};
use crate::enforce::{Pattern, plain_path};
use crate::evidence::RequestHead;
use inspect::Settings;
use schema::Timestamp;
use seclang::{Connection, EngineMode, Overrides, Without};
use std::net::{IpAddr, Ipv4Addr};
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
    /// The strictest of them all, for paths that may be read as more than one of their places.
    strictest: Arc<Plan>,
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
            .map(|ward| Arc::new(ward.memory.with_timeout(timeout)))
            .unwrap_or_else(|| Arc::new(Remembered::new(rules.memory_config(), timeout)));
        let plan = Arc::new(Plan::new(config, None));
        let route = |route: &WafRoute| {
            Some((Pattern::parse(&route.pattern)?, Arc::new(Plan::new(config, Some(route)))))
        };
        let strictest = if config.routes.is_empty() {
            Arc::clone(&plan)
        } else {
            Arc::new(Plan::strictest(config, &files_say(rules)))
        };
        Ward {
            config: config.clone(),
            rules: Arc::clone(rules),
            memory,
            metrics: before.map(|ward| Arc::clone(&ward.metrics)).unwrap_or_default(),
            plan,
            strictest,
            routes: config.routes.iter().filter_map(route).collect(),
            exceptions: config.exceptions.iter().filter_map(Exception::new).collect(),
        }
    }

    /// What holds for a request: the first route that matches, else what the site says. A path that the
    /// application may read as another's gets the strictest of all.
    pub fn plan(&self, head: &RequestHead) -> &Arc<Plan> {
        if self.routes.is_empty() {
            return &self.plan;
        }
        let method = head.method.as_str();
        let Some(plain) = plain_path(&head.path) else { return &self.strictest };
        let found = self.routes.iter().position(|(route, _)| route.matches(method, &head.path));
        if head.path.contains('%') {
            let read = |(route, _): &(Pattern, _)| route.matches_plain(method, &plain);
            if self.routes.iter().position(read) != found {
                return &self.strictest;
            }
        }
        found.and_then(|i| self.routes.get(i)).map_or(&self.plan, |(_, plan)| plan)
    }

    /// The exceptions in force for a request.
    pub fn exceptions<'a>(&'a self, head: &'a RequestHead) -> impl Iterator<Item = &'a Without> {
        let fits = |exception: &&Exception| exception.fits(head);
        self.exceptions.iter().filter(fits).map(|exception| &exception.without)
    }
}

impl Plan {
    fn new(config: &WafConfig, route: Option<&WafRoute>) -> Plan {
        Plan::with(
            config,
            route.and_then(|r| r.stage).unwrap_or(config.stage),
            route.and_then(|r| r.fail).unwrap_or(config.fail),
            route.and_then(|r| r.body_bytes_max).unwrap_or(config.body_bytes_max),
            &settings(config, route),
        )
    }

    /// The most of everything that the site and its routes say. `files`: what the rule files do.
    fn strictest(config: &WafConfig, files: &Settings) -> Plan {
        let routes = || std::iter::once(None).chain(config.routes.iter().map(Some));
        let said: Vec<Settings> = routes().map(|route| settings(config, route)).collect();
        let detection = |of: &Settings| of.detection_paranoia.or(of.paranoia);
        let strictest = Settings {
            paranoia: most(&said, files, |of| of.paranoia, Ord::max),
            detection_paranoia: most(&said, files, detection, Ord::max),
            inbound_threshold: most(&said, files, |of| of.inbound_threshold, Ord::min),
            outbound_threshold: most(&said, files, |of| of.outbound_threshold, Ord::min),
        };
        let (mut stage, mut fail, mut bytes) = (config.stage, config.fail, config.body_bytes_max);
        for route in &config.routes {
            stage = stage.max(route.stage.unwrap_or(config.stage));
            if route.fail == Some(FailMode::Closed) {
                fail = FailMode::Closed;
            }
            bytes = bytes.max(route.body_bytes_max.unwrap_or(0));
        }
        Plan::with(config, stage, fail, bytes, &strictest)
    }

    fn with(
        config: &WafConfig,
        stage: Stage,
        fail: FailMode,
        body_bytes_max: usize,
        settings: &Settings,
    ) -> Plan {
        let tx = inspect::settings(settings);
        let told = |mode, tx| Overrides {
            mode: Some(mode),
            tx,
            request_body_bytes: Some(body_bytes_max as u64),
        };
        Plan {
            stage,
            fail,
            body_bytes_max,
            stream_hold: Duration::from_millis(config.stream_hold_ms),
            shadow: told(EngineMode::DetectionOnly, tx.clone()),
            enforce: told(EngineMode::On, tx),
        }
    }

    /// What the engine is told before its first rule.
    pub fn overrides(&self, enforced: bool) -> &Overrides {
        if enforced { &self.enforce } else { &self.shadow }
    }
}

fn settings(config: &WafConfig, route: Option<&WafRoute>) -> Settings {
    Settings {
        paranoia: route.and_then(|r| r.paranoia).or(config.paranoia),
        detection_paranoia: route.and_then(|r| r.detection_paranoia).or(config.detection_paranoia),
        inbound_threshold: route.and_then(|r| r.inbound_threshold).or(config.inbound_threshold),
        outbound_threshold: route.and_then(|r| r.outbound_threshold).or(config.outbound_threshold),
    }
}

/// The strictest of what is said somewhere; elsewhere it is what the files say. `None`: nobody says it.
fn most<T: Copy>(
    said: &[Settings],
    files: &Settings,
    read: impl Fn(&Settings) -> Option<T>,
    stricter: fn(T, T) -> T,
) -> Option<T> {
    said.iter().find_map(&read)?;
    said.iter().filter_map(|settings| read(settings).or_else(|| read(files))).reduce(stricter)
}

/// What the files themselves set before the first rule that blocks, for a plain request.
fn files_say(rules: &Rules) -> Settings {
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let connection = Connection {
        client: nobody,
        client_port: 0,
        server: nobody,
        server_port: 0,
        unique_id: "",
        time_ms: 0,
        utc_offset_secs: 0,
    };
    let request = seclang::RequestHead {
        method: b"GET",
        target: b"/",
        protocol: b"HTTP/1.1",
        headers: &[(b"Host", b"localhost")],
    };
    let memory = Arc::new(Remembered::new(rules.memory_config(), 0));
    let mut transaction = rules.engine.begin(&connection, &request, memory);
    transaction.apply(&Overrides { mode: Some(EngineMode::DetectionOnly), ..Overrides::default() });
    transaction.request_headers();
    let text = |name: &str| -> Option<u32> {
        std::str::from_utf8(transaction.tx(name)?).ok()?.trim().parse().ok()
    };
    let level = |name: &str| text(name).and_then(|level| u8::try_from(level).ok());
    Settings {
        paranoia: level("blocking_paranoia_level"),
        detection_paranoia: level("detection_paranoia_level"),
        inbound_threshold: text("inbound_anomaly_score_threshold"),
        outbound_threshold: text("outbound_anomaly_score_threshold"),
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
