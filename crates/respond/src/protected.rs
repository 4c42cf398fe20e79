use crate::Glob;
use ipnet::IpNet;
use schema::{Action, Entity, EntityKind, Rung, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What no automatic step may touch: owners, load balancers, trusted proxies, our own addresses,
/// health checks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protected {
    pub accounts: Vec<Glob>,
    /// Accounts that administer the tenant, by exact name. The last of them that is not yet locked
    /// cannot be locked, whoever asks.
    pub administrators: BTreeSet<String>,
    pub credentials: Vec<Glob>,
    pub sessions: Vec<Glob>,
    /// `METHOD /path/template`.
    pub endpoints: Vec<Glob>,
    pub devices: Vec<Glob>,
    pub addresses: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a network")]
pub struct NotAnAddress(pub String);

impl Protected {
    /// Protects one address or network: `203.0.113.7`, `10.0.0.0/8`.
    pub fn protect_address(&mut self, text: &str) -> Result<(), NotAnAddress> {
        let net = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| NotAnAddress(text.to_owned()))?;
        self.addresses.push(net);
        Ok(())
    }

    pub fn join(&mut self, other: &Protected) {
        self.accounts.extend_from_slice(&other.accounts);
        self.administrators.extend(other.administrators.iter().cloned());
        self.credentials.extend_from_slice(&other.credentials);
        self.sessions.extend_from_slice(&other.sessions);
        self.endpoints.extend_from_slice(&other.endpoints);
        self.devices.extend_from_slice(&other.devices);
        self.addresses.extend_from_slice(&other.addresses);
    }

    pub fn covers(&self, entity: &Entity) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&entity.value));
        match entity.kind {
            EntityKind::Account => any(&self.accounts),
            EntityKind::Credential => any(&self.credentials),
            EntityKind::Session => any(&self.sessions),
            EntityKind::Endpoint => any(&self.endpoints),
            EntityKind::Device => any(&self.devices),
            EntityKind::Address => match entity.value.parse::<IpAddr>() {
                Ok(ip) => self.addresses.iter().any(|net| net.contains(&ip.to_canonical())),
                // An address we cannot read could be any of those protected here.
                Err(_) => !self.addresses.is_empty(),
            },
        }
    }

    /// Whether locking `target` would leave no administrator who can still get in.
    pub fn is_last_administrator(
        &self,
        target: &Entity,
        rung: Rung,
        existing: &[Action],
        now: Timestamp,
    ) -> bool {
        target.kind == EntityKind::Account
            && locks(rung)
            && self.administrators.contains(&target.value)
            && self.administrators.iter().filter(|name| **name != target.value).all(|name| {
                existing.iter().any(|action| {
                    action.state.is_in_force()
                        && action.expires > now
                        && locks(action.rung)
                        && action.target.kind == EntityKind::Account
                        && action.target.value == *name
                })
            })
    }
}

/// Whether a rung keeps an account from working at all.
fn locks(rung: Rung) -> bool {
    rung > Rung::StepUp
}
