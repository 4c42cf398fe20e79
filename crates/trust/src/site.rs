//! What a tenant knows of itself, as data: its networks, countries, hours, resources and who may do what.
//!
//! `docs/trust-signals.md` has the file format. What it does not say stays unknown; it is never guessed.

mod condition;
mod glob;
mod hours;
mod parse;
mod prefixes;

pub use condition::Properties;
pub(crate) use glob::Glob;
pub(crate) use hours::{Hours, Local};

use condition::Condition;
use prefixes::Prefixes;
use schema::Diagnostic;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Longest site file. 20,000 networks of 100 bytes take half of it.
pub const SITE_BYTES_MAX: usize = 4 << 20;
/// Networks, and as many entries of reputation: the published list of Tor exits has about 1,500, a large
/// company's address plan some thousands.
pub const NETWORKS_MAX: usize = 20_000;
/// Countries in each list; ISO 3166-1 has 249.
pub const COUNTRIES_MAX: usize = 300;
pub const RESOURCES_MAX: usize = 512;
pub const GRANTS_MAX: usize = 1_024;
/// Accounts with roles, and entries of `people`.
pub const ACCOUNTS_MAX: usize = 50_000;
/// Entries of a list within an entry: the actions of a grant, the roles of an account…
pub const LIST_MAX: usize = 64;
/// Longest name of a resource or action that patterns are held against; the gateway's endpoint templates stay
/// far below. Nothing longer is ever granted.
pub(crate) const TARGET_BYTES_MAX: usize = 4 * 1024;
/// Longest name or pattern.
pub const NAME_BYTES_MAX: usize = 256;

/// Makes an enum of words that are the same in YAML, JSON and signals.
macro_rules! words {
    ($( #[$meta:meta] )* $name:ident { $( $variant:ident = $word:literal ),* $(,)? }) => {
        $( #[$meta] )*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $( #[serde(rename = $word)] $variant ),* }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $word ),* }
            }
        }
    };
}
pub(crate) use words;

words!(NetworkType {
    Corporate = "corporate",
    HomeWifi = "home_wifi",
    HomeWired = "home_wired",
    HotelWiredPrivate = "hotel_wired_private",
    HotelPublic = "hotel_public",
    HotelWifi = "hotel_wifi",
    PublicWifi = "public_wifi",
    MobileTethering = "mobile_tethering",
    PartnerOffice = "partner_office",
});

words!(SourceClass {
    EnterpriseIsp = "enterprise_isp",
    ResidentialIsp = "residential_isp",
    HostingVpnAsn = "hosting_vpn_asn",
});

words!(AddressReputation { Safe = "safe", Neutral = "neutral", Bad = "bad" });

words!(Anonymiser { Vpn = "vpn", SuspiciousProxy = "suspicious_proxy", Tor = "tor" });

words!(
    /// How much a resource hurts in the wrong hands.
    Sensitivity { Low = "low", Medium = "medium", MediumHigh = "medium_high", High = "high" }
);

words!(UserType { Employee = "employee", Guest = "guest" });

/// What is known of the network an address lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Network {
    pub network_type: Option<NetworkType>,
    pub src_ip_class: Option<SourceClass>,
    /// The tenant's own VPN comes out here.
    pub vpn: Option<bool>,
    pub ip_rep: Option<AddressReputation>,
    pub proxy_vpn_tor: Option<Anonymiser>,
}

impl Network {
    /// Whoever comes from here may be anywhere: the position of the address is not theirs.
    pub fn is_relay(&self) -> bool {
        self.vpn == Some(true)
            || self.proxy_vpn_tor.is_some()
            || self.src_ip_class == Some(SourceClass::HostingVpnAsn)
    }

    /// One way out for a whole country, often: its position is coarse.
    pub fn is_mobile(&self) -> bool {
        self.network_type == Some(NetworkType::MobileTethering)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeoPolicy {
    Allowed,
    Neutral,
    Denied,
}

impl GeoPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            GeoPolicy::Allowed => "allowed",
            GeoPolicy::Neutral => "neutral",
            GeoPolicy::Denied => "denied",
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Countries {
    home: BTreeSet<String>,
    allowed: BTreeSet<String>,
    denied: BTreeSet<String>,
}

/// What a resource asks of whoever wants it. Where several entries fit, the most demanding of each holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ResourceDemands {
    /// Names of the entries that fit, in the order of the file.
    pub names: Vec<String>,
    pub sensitivity: Option<Sensitivity>,
    pub admin_required: bool,
    /// Signals that must be known.
    pub required: BTreeSet<String>,
    /// Judge by the profile `strict`.
    pub strict: bool,
}

#[derive(Debug, Clone)]
struct Resource {
    name: String,
    kind: Glob,
    id: Glob,
    sensitivity: Option<Sensitivity>,
    admin_required: bool,
    required: BTreeSet<String>,
    strict: bool,
}

#[derive(Debug, Clone)]
enum Subject {
    Account(Glob),
    Role(String),
}

#[derive(Debug, Clone)]
struct Grant {
    subjects: Vec<Subject>,
    actions: Vec<Glob>,
    /// Patterns of `type:id`.
    resources: Vec<Glob>,
    /// Properties it asks for, and properties that take it away.
    when: Option<Condition>,
    unless: Option<Condition>,
}

/// What is known of a kind of people.
#[derive(Debug, Clone)]
pub(crate) struct People {
    accounts: Vec<Glob>,
    pub(crate) user_type: Option<UserType>,
    pub(crate) domain_approved: Option<bool>,
    pub(crate) mfa_exempt: bool,
}

/// What a tenant knows of itself. [`Site::default`] knows nothing.
#[derive(Debug, Clone, Default)]
pub struct Site {
    hash: String,
    networks: Prefixes<Network>,
    reputation: Prefixes<Network>,
    countries: Countries,
    pub(crate) hours: Option<Hours>,
    resources: Vec<Resource>,
    /// `None`: nobody said who may do what.
    grants: Option<Vec<Grant>>,
    roles: BTreeMap<String, BTreeSet<String>>,
    people: Vec<People>,
    trusted_signals: BTreeSet<String>,
}

impl Site {
    /// Reads a site file; what is wrong is told all at once, each with its place and what to write instead.
    pub fn parse(file: &str, yaml: &str) -> Result<Site, Vec<Diagnostic>> {
        parse::parse(file, yaml)
    }

    /// SHA-256 of the file, in hex; empty for [`Site::default`].
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is known of an address. Of each thing, the longest prefix that tells of it speaks.
    pub fn network(&self, address: IpAddr) -> Network {
        let mut known = Network::default();
        for entry in self.networks.around(address).chain(self.reputation.around(address)) {
            known.network_type = known.network_type.or(entry.network_type);
            known.src_ip_class = known.src_ip_class.or(entry.src_ip_class);
            known.vpn = known.vpn.or(entry.vpn);
            known.ip_rep = known.ip_rep.or(entry.ip_rep);
            known.proxy_vpn_tor = known.proxy_vpn_tor.or(entry.proxy_vpn_tor);
        }
        known
    }

    /// Denied wins over allowed, allowed and home over neutral; `None` where no country is named at all.
    pub fn geo_policy(&self, country: &str) -> Option<GeoPolicy> {
        let Countries { home, allowed, denied } = &self.countries;
        if denied.contains(country) {
            Some(GeoPolicy::Denied)
        } else if home.contains(country) || allowed.contains(country) {
            Some(GeoPolicy::Allowed)
        } else if home.is_empty() && allowed.is_empty() && denied.is_empty() {
            None
        } else {
            Some(GeoPolicy::Neutral)
        }
    }

    /// `None` where no home is named.
    pub fn is_abroad(&self, country: &str) -> Option<bool> {
        let home = &self.countries.home;
        (!home.is_empty()).then(|| !home.contains(country))
    }

    pub fn demands(&self, kind: &str, id: &str) -> ResourceDemands {
        let mut demands = ResourceDemands::default();
        for entry in &self.resources {
            if entry.kind.matches(kind) && entry.id.matches(id) {
                demands.names.push(entry.name.clone());
                demands.sensitivity = demands.sensitivity.max(entry.sensitivity);
                demands.admin_required |= entry.admin_required;
                demands.strict |= entry.strict;
                demands.required.extend(entry.required.iter().cloned());
            }
        }
        demands
    }

    /// Whether somebody may; `None` where nobody said who may do what. Who is not known has what everybody has.
    pub fn grants(&self, account: Option<&str>, action: &str, resource: &str) -> Option<bool> {
        self.grants_with(account, action, resource, &Properties::default())
    }

    /// The same, for what the caller says of the subject, the action and the resource.
    pub fn grants_with(
        &self,
        account: Option<&str>,
        action: &str,
        resource: &str,
        properties: &Properties<'_>,
    ) -> Option<bool> {
        let grants = self.grants.as_ref()?;
        if action.len().max(resource.len()) > TARGET_BYTES_MAX {
            return Some(false);
        }
        let roles = account.and_then(|account| self.roles.get(account));
        let is_one = |subject: &Subject| match subject {
            Subject::Account(glob) => glob.matches(account.unwrap_or_default()),
            Subject::Role(role) => roles.is_some_and(|roles| roles.contains(role)),
        };
        Some(grants.iter().any(|grant| {
            grant.subjects.iter().any(is_one)
                && grant.actions.iter().any(|glob| glob.matches(action))
                && grant.resources.iter().any(|glob| glob.matches(resource))
                && grant.holds(properties)
        }))
    }

    pub fn roles(&self, account: &str) -> impl Iterator<Item = &str> {
        self.roles.get(account).into_iter().flatten().map(String::as_str)
    }

    /// The first entry of `people` that fits.
    pub(crate) fn people(&self, account: &str) -> Option<&People> {
        self.people.iter().find(|people| people.accounts.iter().any(|glob| glob.matches(account)))
    }

    /// Whether good news about `signal` counts when only the caller tells it.
    pub fn trusts_callers_on(&self, signal: &str) -> bool {
        self.trusted_signals.contains(signal)
    }

    /// The wall clock of the tenant's home; UTC where no hours are given.
    pub(crate) fn offset_minutes(&self) -> i32 {
        self.hours.as_ref().map_or(0, |hours| hours.offset_minutes)
    }
}

#[cfg(test)]
mod tests;
