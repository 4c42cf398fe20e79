//! Rule sets, and what a site does with them.

use super::read::{Faults, is_name};
use super::{Config, FailMode};
use crate::enforce::Pattern;
use schema::{Timestamp, parse_time};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Rule sets of one gateway, and of one site: each request runs through a site's own.
const RULE_SETS_MAX: usize = 16;
/// Each request is compared with all of them.
const ROUTES_MAX: usize = 200;
const EXCEPTIONS_MAX: usize = 1_000;
/// More than this of one body is not inspected, whatever a site wants.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longer, and readers take a stream for dead.
const STREAM_HOLD_MS_MAX: u64 = 10_000;
/// How long an exception holds unless it says so: seven days.
pub const EXCEPTION_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// ModSecurity rule files, loaded once and shared by the sites that name them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSetConfig {
    /// In the order to load them; `*` and `?` may stand in the last part: `crs/rules/*.conf`.
    pub files: Vec<String>,
    /// Load what turns bodies on and picks their parser before them (`crates/inspect/src/base.conf`).
    #[serde(default = "yes")]
    pub base: bool,
    #[serde(default)]
    pub memory: MemoryConfig,
}

/// Room for what rules remember between requests: the collections IP, SESSION, USER, RESOURCE, GLOBAL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// Keys kept, per site; those used least recently go first.
    pub keys_max: usize,
    /// Bytes kept, per site.
    pub bytes_max: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        MemoryConfig { keys_max: 50_000, bytes_max: 16 * 1024 * 1024 }
    }
}

/// One rule set at work on a site.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WafConfig {
    /// Which of `rule_sets`.
    pub rules: String,
    #[serde(default)]
    pub stage: Stage,
    /// In `canary`: the share of clients that is enforced, by a stable hash of their address.
    #[serde(default = "canary_default")]
    pub canary_percent: u8,
    /// CRS's paranoia level, 1 to 4. What is not said here is what the rule files say.
    #[serde(default)]
    pub paranoia: Option<u8>,
    /// A higher level whose rules are told of, and do not count.
    #[serde(default)]
    pub detection_paranoia: Option<u8>,
    #[serde(default)]
    pub inbound_threshold: Option<u32>,
    #[serde(default)]
    pub outbound_threshold: Option<u32>,
    /// What happens where a limit ends the inspection.
    #[serde(default)]
    pub fail: FailMode,
    /// Inspected of a body, each way.
    #[serde(default = "body_bytes_default")]
    pub body_bytes_max: usize,
    /// The longest an event of a streamed answer is held back where rules may block: what is found within this
    /// time after it keeps it from going out.
    #[serde(default = "stream_hold_default")]
    pub stream_hold_ms: u64,
    /// The first that matches counts.
    #[serde(default)]
    pub routes: Vec<WafRoute>,
    #[serde(default)]
    pub exceptions: Vec<WafException>,
}

/// How far a rule set may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Off,
    /// Tells what it would have blocked.
    #[default]
    Shadow,
    /// Blocks for a share of the clients.
    Canary,
    Enforce,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Off, Stage::Shadow, Stage::Canary, Stage::Enforce];

    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Off => "off",
            Stage::Shadow => "shadow",
            Stage::Canary => "canary",
            Stage::Enforce => "enforce",
        }
    }
}

/// What holds on a part of a site instead.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WafRoute {
    /// `/path`, `/path/*`, `METHOD /path`.
    #[serde(rename = "match")]
    pub pattern: String,
    #[serde(default)]
    pub stage: Option<Stage>,
    #[serde(default)]
    pub paranoia: Option<u8>,
    #[serde(default)]
    pub detection_paranoia: Option<u8>,
    #[serde(default)]
    pub inbound_threshold: Option<u32>,
    #[serde(default)]
    pub outbound_threshold: Option<u32>,
    #[serde(default)]
    pub fail: Option<FailMode>,
    #[serde(default)]
    pub body_bytes_max: Option<usize>,
}

/// A rule that is wrong here, for a while.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WafException {
    pub rule: u64,
    /// Every host of the site without it.
    #[serde(default)]
    pub host: Option<String>,
    /// `/path`, `/path/*`, `METHOD /path`; everywhere without it.
    #[serde(default)]
    pub path: Option<String>,
    /// `ARGS:q`: what the rule leaves out. Without it the rule does not run at all.
    #[serde(default)]
    pub parameter: Option<String>,
    #[serde(default)]
    pub added: Option<String>,
    /// Seven days after `added` without it.
    #[serde(default)]
    pub expires: Option<String>,
    /// Why; for people.
    pub reason: String,
    /// Who said so; for people.
    #[serde(default)]
    pub by: Option<String>,
}

impl WafException {
    /// When it ends. `None`: it does not say, or not in a way that can be read.
    pub fn ends(&self) -> Option<Timestamp> {
        match (&self.expires, &self.added) {
            (Some(expires), _) => parse_time(expires),
            (None, Some(added)) => parse_time(added).map(|at| at.saturating_add(EXCEPTION_MS)),
            (None, None) => None,
        }
    }
}

impl WafConfig {
    /// Whether a client belongs to the share that is enforced. The same client, the same answer, on every
    /// gateway; neighbours in an IPv6 network of 64 bits are one client.
    pub fn is_canary(&self, client: IpAddr) -> bool {
        let mut seed = self.rules.clone().into_bytes();
        seed.push(0);
        match client {
            IpAddr::V4(address) => seed.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => seed.extend(address.octets().into_iter().take(8)),
        }
        let digest = schema::sha256(&seed);
        let number = digest.0.iter().take(4).fold(0u32, |n, byte| (n << 8) | u32::from(*byte));
        number % 100 < u32::from(self.canary_percent)
    }

    fn faults(&self, config: &Config, at: &str, faults: &mut Faults<'_>) {
        if !config.rule_sets.contains_key(&self.rules) {
            let known: Vec<&str> = config.rule_sets.keys().map(String::as_str).collect();
            let hint = match known.as_slice() {
                [] => "add it under `rule_sets`, with its `files`".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            let message = format!("there is no rule set `{}`", self.rules);
            faults.add(&format!("{at}.rules"), "rule-set-unknown", message, &hint);
        }
        if self.canary_percent > 100 {
            let message = format!("`canary_percent` is {}", self.canary_percent);
            let hint = "use 0 to 100, or leave it out for 10";
            faults.add(&format!("{at}.canary_percent"), "limit-invalid", message, hint);
        }
        levels(at, self.paranoia, self.detection_paranoia, faults);
        thresholds(at, self.inbound_threshold, self.outbound_threshold, faults);
        body_bytes(at, Some(self.body_bytes_max), faults);
        if self.stream_hold_ms > STREAM_HOLD_MS_MAX {
            let message = format!("`stream_hold_ms` is {}", self.stream_hold_ms);
            let hint = "use 0 to 10000, or leave it out for 400";
            faults.add(&format!("{at}.stream_hold_ms"), "limit-invalid", message, hint);
        }
        for (i, route) in self.routes.iter().enumerate() {
            let at = format!("{at}.routes[{i}]");
            pattern(&format!("{at}.match"), &route.pattern, faults);
            let paranoia = route.paranoia.or(self.paranoia);
            levels(&at, paranoia, route.detection_paranoia, faults);
            thresholds(&at, route.inbound_threshold, route.outbound_threshold, faults);
            body_bytes(&at, route.body_bytes_max, faults);
        }
        for (i, exception) in self.exceptions.iter().enumerate() {
            exception.faults(&format!("{at}.exceptions[{i}]"), faults);
        }
        for (field, len, max) in [
            ("routes", self.routes.len(), ROUTES_MAX),
            ("exceptions", self.exceptions.len(), EXCEPTIONS_MAX),
        ] {
            if len > max {
                let message = format!("`{field}` has {len} entries, more than {max}");
                let hint = "use `/path/*` for everything below a path";
                faults.add(&format!("{at}.{field}"), "too-many-entries", message, hint);
            }
        }
    }
}

impl WafException {
    fn faults(&self, at: &str, faults: &mut Faults<'_>) {
        if let Some(path) = &self.path {
            pattern(&format!("{at}.path"), path, faults);
        }
        if let Some(host) = &self.host
            && !crate::proxy::head::is_host(host.as_bytes())
        {
            let message = format!("`{host}` is not a host name");
            faults.add(&format!("{at}.host"), "host-invalid", message, "write `shop.example`");
        } else if let Some(host) = &self.host
            && let (name, Some(_)) = crate::proxy::head::split_port(host.as_bytes())
        {
            let message = format!("`{host}` has a port, and would never hold");
            let hint = format!("write `{}`: it holds on every port", name.escape_ascii());
            faults.add(&format!("{at}.host"), "host-invalid", message, &hint);
        }
        if let Some(parameter) = &self.parameter
            && crate::waf::parse_parameter(parameter).is_none()
        {
            let message = format!("`{parameter}` is not a variable of the rule language");
            let hint = "write `ARGS:q`, `REQUEST_COOKIES:theme` or `REQUEST_BODY`";
            faults.add(&format!("{at}.parameter"), "parameter-invalid", message, hint);
        } else if let Some((name, _)) = parameter_parts(self.parameter.as_deref())
            && ["XML", "RESPONSE_XML"].iter().any(|xml| xml.eq_ignore_ascii_case(name))
        {
            let message =
                format!("values of `{name}` have no names: the exception would never hold");
            let hint = "write `XML` for all of the document; \
                `SecRuleUpdateTargetById` in the rule files leaves out a path";
            faults.add(&format!("{at}.parameter"), "parameter-invalid", message, hint);
        }
        for (field, value) in [("added", &self.added), ("expires", &self.expires)] {
            if value.as_deref().is_some_and(|text| parse_time(text).is_none()) {
                let message = format!("`{}` is not a time", value.as_deref().unwrap_or_default());
                let hint = "write `2026-11-22T00:00:00Z`";
                faults.add(&format!("{at}.{field}"), "time-invalid", message, hint);
            }
        }
        if self.added.is_none() && self.expires.is_none() {
            let message = "an exception says neither `added` nor `expires`".to_owned();
            let hint = "add `added: 2026-11-22T00:00:00Z`: it then holds for seven days";
            faults.add(at, "exception-without-end", message, hint);
        }
    }
}

impl Config {
    pub(super) fn waf_faults(&self, faults: &mut Faults<'_>) {
        for (name, set) in &self.rule_sets {
            let at = format!("rule_sets.{name}");
            if !is_name(name) {
                let message = format!("`{name}` is not a name for a rule set");
                let hint = "use 1 to 63 of `a-z`, `0-9`, `-`, `_` and `.`";
                faults.add(&at, "rule-set-name-invalid", message, hint);
            }
            if set.files.is_empty() {
                let message = format!("rule set `{name}` has no files");
                let hint = "name them: `files: [crs/crs-setup.conf, 'crs/rules/*.conf']`";
                faults.add(&format!("{at}.files"), "rule-file-missing", message, hint);
            }
            if set.memory.keys_max == 0 || set.memory.bytes_max == 0 {
                let message = "`keys_max` or `bytes_max` is 0".to_owned();
                let hint = "leave them out for the defaults";
                faults.add(&format!("{at}.memory"), "limit-invalid", message, hint);
            }
        }
        if self.rule_sets.len() > RULE_SETS_MAX {
            let message = format!("there are more than {RULE_SETS_MAX} rule sets");
            faults.add("rule_sets", "too-many-entries", message, "join some of them");
        }
        for (i, site) in self.sites.iter().enumerate() {
            let mut named = BTreeSet::new();
            for (j, waf) in site.waf.iter().enumerate() {
                let at = format!("sites[{i}].waf[{j}]");
                if !named.insert(&waf.rules) {
                    let message = format!("rule set `{}` is there twice", waf.rules);
                    let hint = "leave one; `routes` say what holds where";
                    faults.add(&format!("{at}.rules"), "rule-set-repeated", message, hint);
                }
                waf.faults(self, &at, faults);
            }
        }
    }
}

/// `ARGS` and `q` of `ARGS:q`.
fn parameter_parts(parameter: Option<&str>) -> Option<(&str, &str)> {
    parameter?.split_once(':')
}

fn pattern(at: &str, text: &str, faults: &mut Faults<'_>) {
    if Pattern::parse(text).is_none() {
        let message = format!("`{text}` is neither `/path`, `/path/*` nor `METHOD /path`");
        faults.add(at, "pattern-invalid", message, "write `POST /upload/*` or `/search`");
    }
}

fn levels(at: &str, blocking: Option<u8>, detection: Option<u8>, faults: &mut Faults<'_>) {
    for (field, level) in [("paranoia", blocking), ("detection_paranoia", detection)] {
        if level.is_some_and(|level| !(1..=4).contains(&level)) {
            let message = format!("`{field}` is {}", level.unwrap_or_default());
            faults.add(&format!("{at}.{field}"), "paranoia-invalid", message, "use 1 to 4");
        }
    }
    if let (Some(blocking), Some(detection)) = (blocking, detection)
        && detection < blocking
    {
        let message = "`detection_paranoia` is lower than `paranoia`".to_owned();
        let hint = "what blocks is told of in any case: use a higher level, or leave it out";
        faults.add(&format!("{at}.detection_paranoia"), "paranoia-invalid", message, hint);
    }
}

fn thresholds(at: &str, inbound: Option<u32>, outbound: Option<u32>, faults: &mut Faults<'_>) {
    for (field, threshold) in [("inbound_threshold", inbound), ("outbound_threshold", outbound)] {
        if threshold == Some(0) {
            let message = format!("`{field}` is 0: every request would reach it");
            let hint = "CRS uses 5 inbound and 4 outbound";
            faults.add(&format!("{at}.{field}"), "limit-invalid", message, hint);
        }
    }
}

fn body_bytes(at: &str, bytes: Option<usize>, faults: &mut Faults<'_>) {
    if bytes.is_some_and(|bytes| bytes == 0 || bytes > BODY_BYTES_MAX) {
        let message = format!("`body_bytes_max` is {}", bytes.unwrap_or_default());
        let hint = "use 1 to 16777216, or leave it out for 131072";
        faults.add(&format!("{at}.body_bytes_max"), "limit-invalid", message, hint);
    }
}

fn yes() -> bool {
    true
}

fn canary_default() -> u8 {
    10
}

/// What ModSecurity inspects of a body without files (`SecRequestBodyNoFilesLimit`).
fn body_bytes_default() -> usize {
    128 * 1024
}

/// Some twenty words of a model; people do not notice it.
fn stream_hold_default() -> u64 {
    400
}
