//! One configuration, made ready: hosts to sites, sites to upstreams.

use super::guard::GuardLimits;
use super::head::HeadLimits;
use super::upstream::Upstream;
use crate::config::{Config, HealthConfig, SiteConfig, TrustConfig, Unavailable, WafConfig};
use crate::enforce::Pattern;
use crate::evidence;
use crate::metrics::SiteMetrics;
use crate::trust::Obligations;
use crate::waf::{self, LogFile, Logs, Rules, Ward};
use schema::{Diagnostic, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub struct Live {
    pub config: Config,
    pub sites: Vec<Arc<Site>>,
    exact: HashMap<String, Arc<Site>>,
    /// `.shop.example` for `*.shop.example`, longest first.
    wildcards: Vec<(String, Arc<Site>)>,
    rest: Option<Arc<Site>>,
    pub guard: GuardLimits,
    pub rules: BTreeMap<String, Arc<Rules>>,
    pub logs: Arc<Logs>,
}

/// A protected application, ready to serve.
pub struct Site {
    pub config: SiteConfig,
    pub evidence: Arc<evidence::Site>,
    pub upstreams: Vec<Arc<Upstream>>,
    pub step_up_open: Vec<Pattern>,
    pub trust: Option<SiteTrust>,
    /// Rule sets at work here, in order.
    pub waf: Vec<Arc<Ward>>,
    pub metrics: Arc<SiteMetrics>,
    next: AtomicUsize,
}

/// A site's trust settings, ready to use.
pub struct SiteTrust {
    pub resource_type: String,
    pub unavailable: Unavailable,
    pub timeout: Duration,
    /// What can be performed here.
    pub supported: Obligations,
    skip: Vec<Pattern>,
}

impl SiteTrust {
    fn new(config: &TrustConfig, site: &SiteConfig) -> Self {
        SiteTrust {
            resource_type: config.resource_type.clone(),
            unavailable: config.unavailable,
            timeout: config.timeout,
            supported: Obligations::supported(site, config.watermark),
            skip: config.skip.iter().filter_map(|pattern| Pattern::parse(pattern)).collect(),
        }
    }

    pub fn skips(&self, method: &str, path: &str) -> bool {
        self.skip.iter().any(|pattern| pattern.matches(method, path))
    }
}

impl Live {
    /// Makes `config` ready. What `old` has and did not change is kept: connections to upstreams,
    /// their health, and the counters of a site.
    pub fn build(config: Config, old: Option<&Live>) -> Result<Live, Vec<Diagnostic>> {
        let mut faults = Vec::new();
        let rules = waf::load_all(&config, old.map(|old| &old.rules))?;
        let logs = logs(&config, old).map_err(|fault| vec![fault])?;
        let mut live = Live {
            sites: Vec::new(),
            exact: HashMap::new(),
            wildcards: Vec::new(),
            rest: None,
            guard: guard_limits(&config),
            rules,
            logs: Arc::new(logs),
            config: config.clone(),
        };
        for site_config in &config.sites {
            let before =
                old.and_then(|o| o.sites.iter().find(|s| s.config.name == site_config.name));
            let mut upstreams = Vec::new();
            let health = site_config.health.clone().unwrap_or_default();
            for wanted in &site_config.upstreams {
                let kept = before.and_then(|site| {
                    site.upstreams.iter().find(|u| u.is(wanted, &health, &config))
                });
                match kept {
                    Some(upstream) => upstreams.push(Arc::clone(upstream)),
                    None => match Upstream::new(wanted, &health, &config) {
                        Ok(upstream) => upstreams.push(Arc::new(upstream)),
                        Err(fault) => faults.push(fault),
                    },
                }
            }
            let spec = site_config.evidence();
            let evidence = match before.filter(|site| site.config.evidence() == spec) {
                Some(site) => Arc::clone(&site.evidence),
                None => match evidence::Site::compile(&site_config.name, &spec) {
                    Ok(site) => Arc::new(site),
                    Err(mut found) => {
                        faults.append(&mut found);
                        continue;
                    }
                },
            };
            let site = Arc::new(Site {
                evidence,
                upstreams,
                step_up_open: site_config.step_up.iter().flat_map(step_up_open).collect(),
                trust: site_config.trust.as_ref().map(|trust| SiteTrust::new(trust, site_config)),
                waf: wards(site_config, &live.rules, before),
                metrics: before.map(|s| Arc::clone(&s.metrics)).unwrap_or_default(),
                next: AtomicUsize::new(0),
                config: site_config.clone(),
            });
            for host in &site_config.hosts {
                let host = host.to_ascii_lowercase();
                if host == "*" {
                    live.rest = Some(Arc::clone(&site));
                } else if let Some(suffix) = host.strip_prefix('*') {
                    live.wildcards.push((suffix.to_owned(), Arc::clone(&site)));
                } else {
                    live.exact.insert(host, Arc::clone(&site));
                }
            }
            live.sites.push(site);
        }
        live.wildcards.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        if faults.is_empty() { Ok(live) } else { Err(faults) }
    }

    /// The site a host belongs to; `host` is in lower case and has no port.
    pub fn site(&self, host: &str) -> Option<&Arc<Site>> {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.exact
            .get(host)
            .or_else(|| {
                let (_, site) = self.wildcards.iter().find(|(suffix, _)| {
                    host.len() > suffix.len() && host.ends_with(suffix.as_str())
                })?;
                Some(site)
            })
            .or(self.rest.as_ref())
    }
}

impl Site {
    /// Upstreams in the order to try them: the healthy ones, beginning with whose turn it is, then
    /// the others, for an upstream thought dead is better than none.
    pub fn upstreams_in_turn(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Upstream>> {
        let count = self.upstreams.len();
        let start = if count > 1 { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let turn = move |i: usize| self.upstreams.get((start.wrapping_add(i)) % count.max(1));
        let healthy = (0..count).filter_map(turn).filter(move |u| u.is_healthy(now));
        let others = (0..count).filter_map(turn).filter(move |u| !u.is_healthy(now));
        healthy.chain(others)
    }

    pub fn health(&self) -> HealthConfig {
        self.config.health.clone().unwrap_or_default()
    }

    /// Whether a path stays open to a visitor who has to prove who they are.
    pub fn is_step_up_open(&self, method: &str, path: &str) -> bool {
        self.step_up_open.iter().any(|pattern| pattern.matches(method, path))
    }
}

fn wards(
    config: &SiteConfig,
    rules: &BTreeMap<String, Arc<Rules>>,
    before: Option<&Arc<Site>>,
) -> Vec<Arc<Ward>> {
    let ward = |wanted: &WafConfig| {
        let rules = rules.get(&wanted.rules)?;
        let old =
            before.and_then(|site| site.waf.iter().find(|ward| ward.config.rules == wanted.rules));
        Some(match old.filter(|w| w.config == *wanted && Arc::ptr_eq(&w.rules, rules)) {
            Some(same) => Arc::clone(same),
            None => Arc::new(Ward::new(wanted, rules, old.map(Arc::as_ref))),
        })
    };
    config.waf.iter().filter_map(ward).collect()
}

fn logs(config: &Config, old: Option<&Live>) -> Result<Logs, Diagnostic> {
    let old = old.map(|old| &old.logs);
    // Opened again by each reload: the file may have been moved away.
    let open = |field: &str, path: &Option<PathBuf>, old: Option<&Arc<LogFile>>| {
        let Some(path) = path else { return Ok(None) };
        LogFile::open(field, path, old.map(Arc::as_ref)).map(|log| Some(Arc::new(log)))
    };
    Ok(Logs {
        matches: open("waf_log", &config.waf_log, old.and_then(|logs| logs.matches.as_ref()))?,
        audit: open("waf_audit", &config.waf_audit, old.and_then(|logs| logs.audit.as_ref()))?,
    })
}

fn step_up_open(config: &crate::config::StepUpConfig) -> Vec<Pattern> {
    let page = config.url.split(['?', '#']).next().unwrap_or("");
    std::iter::once(page)
        .chain(config.allow.iter().map(String::as_str))
        .filter_map(Pattern::parse)
        .collect()
}

fn guard_limits(config: &Config) -> GuardLimits {
    let limits = &config.limits;
    GuardLimits {
        head: HeadLimits {
            header_bytes_max: limits.header_bytes_max,
            header_count_max: limits.header_count_max,
            target_bytes_max: limits.target_bytes_max,
        },
        header_read: Duration::from_millis(limits.header_read_ms),
        idle: Duration::from_millis(limits.idle_ms),
        stall: Duration::from_millis(limits.stall_ms),
    }
}
