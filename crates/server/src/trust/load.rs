//! From what is stored to a desk.

use super::desk::{Desk, Rules};
use super::evidence::Evidence;
use super::register::{Entry, REGISTERS, SIGNALS};
use crate::geoip::GeoIp;
use crate::handle::now;
use crate::problem::Problem;
use crate::ssf::signal::Signal;
use schema::{Diagnostic, TenantId};
use std::sync::{Arc, OnceLock};
use store::meta::{Meta, TrustText};
use trust::{Policy, Site};

/// The profile of a tenant that chose none.
pub const PROFILE_DEFAULT: &str = "balanced";

/// Entries of a register: as many devices as a book holds.
pub const ENTRIES_MAX: usize = 50_000;

/// Reads a policy text; empty is the one that is shipped.
pub fn parse_policy(text: &str, profile: &str) -> Result<Rules, Problem> {
    let policy = if text.trim().is_empty() {
        shipped()
    } else {
        let parsed = Policy::parse("trust-policy.yaml", text);
        Arc::new(
            parsed.map_err(|faults| faulty("trust-policy-invalid", "the trust policy", faults))?,
        )
    };
    let Some(place) = policy.profile(profile) else {
        let known = policy.profiles().join(", ");
        return Err(Problem::bad_request(
            "profile-unknown",
            format!("the policy has no profile `{profile}`"),
        )
        .hint(format!("it has {known}")));
    };
    Ok(Rules { policy, profile: place })
}

/// The shipped policy, compiled once.
fn shipped() -> Arc<Policy> {
    static SHIPPED: OnceLock<Arc<Policy>> = OnceLock::new();
    Arc::clone(SHIPPED.get_or_init(|| Arc::new(Policy::shipped())))
}

pub fn parse_site(text: &str) -> Result<Site, Problem> {
    if text.trim().is_empty() {
        return Ok(Site::default());
    }
    Site::parse("site.yaml", text)
        .map_err(|faults| faulty("trust-site-invalid", "the site description", faults))
}

fn faulty(code: &'static str, what: &str, faults: Vec<Diagnostic>) -> Problem {
    Problem::bad_request(code, format!("{what} cannot be used as it is"))
        .hint("the diagnostics name each place; what was in force stays")
        .diagnostics(faults)
}

/// The tenant's desk as the metadata has it.
pub(super) fn desk(meta: &Meta, tenant: &TenantId, geoip: Option<GeoIp>) -> Result<Desk, Problem> {
    let (policy, site) = meta.read(|read| {
        Ok((read.trust_text(tenant, TrustText::Policy)?, read.trust_text(tenant, TrustText::Site)?))
    })?;
    let unusable = |what: &'static str| {
        move |problem: Problem| {
            tracing::error!(%tenant, %problem, what, "stored text unusable: every access is refused");
            Problem::unavailable("trust-unusable", format!("the stored {what} cannot be used"))
                .diagnostics(problem.diagnostics)
                .hint("put one that is right; until then nothing is decided")
        }
    };
    let rules = match &policy {
        Some(stored) => parse_policy(&stored.text, &stored.profile),
        None => parse_policy("", PROFILE_DEFAULT),
    };
    let rules = rules.map_err(unusable("trust policy"))?;
    let site = site.map_or_else(String::new, |stored| stored.text);
    let site = parse_site(&site).map_err(unusable("site"))?;
    let mut evidence = Evidence::new(site, geoip);
    for name in REGISTERS {
        let entries = meta.read(|read| read.trust_entries(tenant, name, None, ENTRIES_MAX))?;
        for entry in &entries {
            match Entry::read(name, &entry.doc) {
                Ok(entry) => {
                    entry.enter(&mut evidence.book);
                }
                Err(problem) => {
                    tracing::warn!(%tenant, register = name, entry = entry.id, %problem, "entry unusable");
                }
            }
        }
    }
    for entry in meta.read(|read| read.trust_entries(tenant, SIGNALS, None, ENTRIES_MAX))? {
        match serde_json::from_str::<Signal>(entry.doc.get()) {
            Ok(signal) => {
                signal.enter(&mut evidence.book);
            }
            Err(error) => tracing::warn!(%tenant, entry = entry.id, %error, "signal unusable"),
        }
    }
    Ok(Desk::new(tenant.clone(), rules, evidence, now()))
}
