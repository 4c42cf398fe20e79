use super::{Config, SiteConfig, TrustConfig};
use http::Uri;
use schema::Diagnostic;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A config file is small; a larger one is something else.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
const WORKERS_MAX: usize = 256;
/// A request that waits longer for its decision is no use to anyone.
const TRUST_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Each request is compared with all of them.
const TRUST_SKIP_MAX: usize = 100;

impl Config {
    /// Reads and checks a file; paths inside it are relative to its folder.
    pub fn load(path: &Path) -> Result<Config, Vec<Diagnostic>> {
        let place = path.display().to_string();
        let unreadable = |detail: String| {
            vec![
                Diagnostic::new(
                    "config-unreadable",
                    &place,
                    format!("cannot read `{place}`: {detail}"),
                )
                .hint("check that the file exists and that the gateway may read it"),
            ]
        };
        let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
        if size > CONFIG_BYTES_MAX {
            return Err(unreadable(format!("it has {size} bytes, more than {CONFIG_BYTES_MAX}")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        let mut config = Config::parse(&place, &text)?;
        config.resolve_paths(path.parent().unwrap_or_else(|| Path::new(".")));
        Ok(config)
    }

    /// Reads and checks; every fault is told, with its place.
    pub fn parse(place: &str, yaml: &str) -> Result<Config, Vec<Diagnostic>> {
        let config: Config = serde_saphyr::from_str(yaml).map_err(|error| {
            let at = error.location().map_or_else(
                || place.to_owned(),
                |l| format!("{place}:{}:{}", l.line(), l.column()),
            );
            let text = error.to_string();
            let first = text.lines().next().unwrap_or("not valid").to_owned();
            vec![
                Diagnostic::new(
                    "config-invalid",
                    at,
                    format!("cannot read the gateway config: {first}"),
                )
                .hint("docs/gateway.md lists every field"),
            ]
        })?;
        let faults = config.faults(place);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// What is wrong with it; a gateway starts and reloads only when this is empty.
    pub fn faults(&self, place: &str) -> Vec<Diagnostic> {
        let mut faults = Faults { place, found: Vec::new() };
        if self.gateway.is_empty() || self.gateway.len() > 63 || !self.gateway.bytes().all(is_slug)
        {
            faults.add(
                "gateway",
                "gateway-id-invalid",
                format!("`{}` is not a gateway id", self.gateway),
                "use 1 to 63 of `a-z`, `0-9`, `-`, `_` and `.`",
            );
        }
        if !(1..=WORKERS_MAX).contains(&self.workers) {
            faults.add(
                "workers",
                "workers-invalid",
                format!("`workers` is {}", self.workers),
                "use 1 for each core that may carry traffic, 256 at most",
            );
        }
        if self.listeners.is_empty() {
            faults.add(
                "listeners",
                "listener-missing",
                "`listeners` is empty".into(),
                "add one: `- address: 0.0.0.0:8080`",
            );
        }
        for (i, listener) in self.listeners.iter().enumerate() {
            if listener.tls.as_ref().is_some_and(|tls| tls.certificates.is_empty()) {
                faults.add(
                    &format!("listeners[{i}].tls"),
                    "certificate-missing",
                    "`certificates` is empty".into(),
                    "name a `cert_file` and a `key_file`, or remove `tls`",
                );
            }
            if listener.h2c && listener.tls.is_some() {
                faults.add(
                    &format!("listeners[{i}].h2c"),
                    "h2c-with-tls",
                    "`h2c` is HTTP/2 without TLS, and this listener has `tls`".into(),
                    "remove `h2c`; `http2` is on by default",
                );
            }
        }
        if let Some(server) = &self.server
            && !is_base_url(&server.url)
        {
            faults.add(
                "server.url",
                "url-invalid",
                format!("`{}` is not a server address", server.url),
                "write `https://host:8443`, without a path",
            );
        }
        if self.server.as_ref().is_some_and(|server| sends_token_in_clear(&server.url)) {
            faults.add(
                "server.url",
                "server-without-tls",
                "the token would cross the network in clear".into(),
                "use `https://`; `http://` is for a server on this machine",
            );
        }
        self.limit_faults(&mut faults);
        if self.sites.is_empty() {
            faults.add(
                "sites",
                "site-missing",
                "`sites` is empty".into(),
                "add one with `name`, `hosts` and `upstreams`",
            );
        }
        let mut names = BTreeSet::new();
        let mut hosts = BTreeSet::new();
        for (i, site) in self.sites.iter().enumerate() {
            let at = format!("sites[{i}]");
            if !names.insert(&site.name) {
                faults.add(
                    &at,
                    "site-repeated",
                    format!("site `{}` is there twice", site.name),
                    "give each site its own name",
                );
            }
            for host in &site.hosts {
                if !hosts.insert(host.to_ascii_lowercase()) {
                    faults.add(
                        &format!("{at}.hosts"),
                        "host-repeated",
                        format!("host `{host}` belongs to two sites"),
                        "leave it to one of them",
                    );
                }
            }
            site.faults(&at, &mut faults);
            if site.trust.is_some() && self.server.is_none() {
                faults.add(
                    &format!("{at}.trust"),
                    "trust-without-server",
                    format!("site `{}` has `trust`, and there is no server to ask", site.name),
                    "add `server` with `url` and `token_file`, or remove `trust`",
                );
            }
        }
        self.waf_faults(&mut faults);
        faults.found
    }

    fn limit_faults(&self, faults: &mut Faults) {
        let l = &self.limits;
        let positive: [(&str, u64); 12] = [
            ("waf_bytes_max", l.waf_bytes_max as u64),
            ("waf_wait_ms", l.waf_wait_ms),
            ("header_bytes_max", l.header_bytes_max as u64),
            ("header_count_max", l.header_count_max as u64),
            ("target_bytes_max", l.target_bytes_max as u64),
            ("header_read_ms", l.header_read_ms),
            ("idle_ms", l.idle_ms),
            ("stall_ms", l.stall_ms),
            ("connect_ms", l.connect_ms),
            ("response_header_ms", l.response_header_ms),
            ("connections_max", l.connections_max as u64),
            ("h2_streams_max", u64::from(l.h2_streams_max)),
        ];
        for (name, value) in positive {
            if value == 0 {
                faults.add(
                    &format!("limits.{name}"),
                    "limit-invalid",
                    format!("`{name}` is 0"),
                    "leave it out for the default",
                );
            }
        }
        // hyper keeps one buffer per connection for the head; more than this is an attack on memory.
        if l.header_bytes_max > 256 * 1024 {
            faults.add(
                "limits.header_bytes_max",
                "limit-invalid",
                format!("`header_bytes_max` is {}", l.header_bytes_max),
                "use at most 262144",
            );
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| {
            if path.is_relative() {
                *path = folder.join(&*path);
            }
        };
        for certificate in
            self.listeners.iter_mut().flat_map(|l| &mut l.tls).flat_map(|t| &mut t.certificates)
        {
            resolve(&mut certificate.cert_file);
            resolve(&mut certificate.key_file);
        }
        if let Some(server) = &mut self.server {
            resolve(&mut server.token_file);
            server.ca_file.iter_mut().for_each(resolve);
        }
        self.state_dir.iter_mut().for_each(resolve);
        self.key_file.iter_mut().for_each(resolve);
        self.spool.dir.iter_mut().for_each(resolve);
        self.waf_log.iter_mut().for_each(resolve);
        self.waf_audit.iter_mut().for_each(resolve);
        for file in self.rule_sets.values_mut().flat_map(|set| &mut set.files) {
            if Path::new(file.as_str()).is_relative() {
                // A name that is no UTF-8 could not have stood in YAML; the folder's could.
                *file = folder.join(&*file).to_string_lossy().into_owned();
            }
        }
        for upstream in self.sites.iter_mut().flat_map(|s| &mut s.upstreams) {
            upstream.ca_file.iter_mut().for_each(resolve);
        }
    }
}

pub(super) struct Faults<'a> {
    place: &'a str,
    found: Vec<Diagnostic>,
}

impl Faults<'_> {
    pub(super) fn add(&mut self, field: &str, code: &str, message: String, hint: &str) {
        let place = format!("{}: {field}", self.place);
        self.found.push(Diagnostic::new(code, place, message).hint(hint));
    }
}

impl SiteConfig {
    fn faults(&self, at: &str, faults: &mut Faults) {
        if self.name.is_empty() || self.name.len() > 63 || !self.name.bytes().all(is_slug) {
            faults.add(
                &format!("{at}.name"),
                "site-name-invalid",
                format!("`{}` is not a site name", self.name),
                "use 1 to 63 of `a-z`, `0-9`, `-`, `_` and `.`",
            );
        }
        if self.hosts.is_empty() {
            faults.add(
                &format!("{at}.hosts"),
                "host-missing",
                format!("site `{}` has no hosts", self.name),
                "name them, or `*` for whatever no other site claims",
            );
        }
        for host in &self.hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            if host != "*" && (name.contains('*') || !crate::proxy::head::is_host(name.as_bytes()))
            {
                faults.add(
                    &format!("{at}.hosts"),
                    "host-invalid",
                    format!("`{host}` is not a host name"),
                    "write `shop.example`, `*.shop.example` or `*`",
                );
            }
        }
        if self.upstreams.is_empty() {
            faults.add(
                &format!("{at}.upstreams"),
                "upstream-missing",
                format!("site `{}` has no upstreams", self.name),
                "add one: `- url: http://127.0.0.1:9000`",
            );
        }
        for upstream in &self.upstreams {
            if !is_base_url(&upstream.url) {
                faults.add(
                    &format!("{at}.upstreams"),
                    "url-invalid",
                    format!("`{}` is not an upstream address", upstream.url),
                    "write `http://host:port` or `https://host:port`, without a path",
                );
            }
        }
        if let Some(health) = &self.health {
            if health.path.as_ref().is_some_and(|p| !p.starts_with('/')) {
                faults.add(
                    &format!("{at}.health.path"),
                    "path-invalid",
                    "`path` does not begin with `/`".into(),
                    "write `/healthz`",
                );
            }
            if health.interval_ms < 100 || health.timeout_ms == 0 || health.failures_max == 0 {
                faults.add(
                    &format!("{at}.health"),
                    "limit-invalid",
                    "`interval_ms` is below 100, or `timeout_ms` or `failures_max` is 0".into(),
                    "leave them out for the defaults",
                );
            }
        }
        if let Some(step_up) = &self.step_up {
            if !step_up.url.starts_with('/') && !step_up.url.starts_with("https://") {
                faults.add(
                    &format!("{at}.step_up.url"),
                    "path-invalid",
                    format!("`{}` is neither a path nor an https address", step_up.url),
                    "write `/verify`",
                );
            }
            if step_up.allow.iter().any(|pattern| crate::enforce::Pattern::parse(pattern).is_none())
            {
                faults.add(
                    &format!("{at}.step_up.allow"),
                    "pattern-invalid",
                    "a pattern is neither `/path`, `/path/*` nor `METHOD /path`".into(),
                    "write `/static/*` or `POST /api/verify`",
                );
            }
            if step_up.mfa_method.as_ref().is_some_and(|method| !is_name(method)) {
                faults.add(
                    &format!("{at}.step_up.mfa_method"),
                    "mfa-method-invalid",
                    "`mfa_method` is not a name".into(),
                    "write what your trust policy calls it: `otp` or `phishing_resistant`",
                );
            }
        }
        if let Some(trust) = &self.trust {
            trust.faults(&format!("{at}.trust"), faults);
        }
    }
}

impl TrustConfig {
    fn faults(&self, at: &str, faults: &mut Faults) {
        if self.timeout.is_zero() || self.timeout > TRUST_TIMEOUT_MAX {
            faults.add(
                &format!("{at}.timeout"),
                "limit-invalid",
                format!("`timeout` is {:?}", self.timeout),
                "use 1ms to 10s, or leave it out for 300ms",
            );
        }
        if !is_name(&self.resource_type) {
            faults.add(
                &format!("{at}.resource_type"),
                "resource-type-invalid",
                format!("`{}` is not a resource type", self.resource_type),
                "use 1 to 63 of `a-z`, `0-9`, `-`, `_` and `.`, or leave it out for `route`",
            );
        }
        for (i, pattern) in self.skip.iter().enumerate() {
            if crate::enforce::Pattern::parse(pattern).is_none() {
                faults.add(
                    &format!("{at}.skip[{i}]"),
                    "pattern-invalid",
                    format!("`{pattern}` is neither `/path`, `/path/*` nor `METHOD /path`"),
                    "write `GET /static/*` or `/healthz`",
                );
            }
        }
        if self.skip.len() > TRUST_SKIP_MAX {
            faults.add(
                &format!("{at}.skip"),
                "too-many-patterns",
                format!("`skip` has {} patterns, more than {TRUST_SKIP_MAX}", self.skip.len()),
                "use `/path/*` for everything below a path",
            );
        }
    }
}

fn sends_token_in_clear(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or("").trim_matches(['[', ']']);
    let is_here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && !is_here
}

fn is_slug(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(is_slug)
}

/// `http(s)://host[:port]` with nothing after it.
fn is_base_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|a| crate::proxy::head::is_host(a.as_str().as_bytes()))
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
    })
}
