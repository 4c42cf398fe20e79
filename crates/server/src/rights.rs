//! Who may do what: one table of rights by role, one table of routes by right.
//!
//! The guard looks every request up in [`ROUTES`]; a route that is not listed is open to nobody.

use std::collections::HashMap;
use std::sync::LazyLock;
use store::meta::Role;

macro_rules! rights {
    ($( $(#[doc = $doc:literal])* $name:ident = $text:literal ),* $(,)?) => {
        /// One thing a caller may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Right { $( $(#[doc = $doc])* $name ),* }

        impl Right {
            pub const ALL: &[Right] = &[ $( Right::$name ),* ];

            pub fn as_str(self) -> &'static str {
                match self { $( Right::$name => $text ),* }
            }
        }
    };
}

rights! {
    /// Findings, incidents, actions and what is in force on an entity.
    IncidentsRead = "incidents.read",
    IncidentsWrite = "incidents.write",
    /// Events by filter, and the timeline of an entity.
    EventsRead = "events.read",
    /// SQL over the tenant's events.
    EventsQuery = "events.query",
    /// Personal data in the clear; each use asks for a reason and is recorded.
    EvidenceReveal = "evidence.reveal",
    EvidenceExport = "evidence.export",
    /// Approve, reject, undo, extend.
    ActionsDecide = "actions.decide",
    PoliciesRead = "policies.read",
    PoliciesWrite = "policies.write",
    /// Detection rules, exceptions, replays and reports.
    RulesRead = "rules.read",
    RulesWrite = "rules.write",
    /// Keep a rule quiet for a while.
    RulesExcept = "rules.except",
    AuditRead = "audit.read",
    UsersRead = "users.read",
    UsersWrite = "users.write",
    TokensRead = "tokens.read",
    TokensWrite = "tokens.write",
    /// Mode and retention of one's own tenant.
    TenantWrite = "tenant.write",
    /// New tenants; in the home tenant only.
    TenantsCreate = "tenants.create",
    HealthRead = "health.read",
    /// Figures of the whole installation; in the home tenant only.
    MetricsRead = "metrics.read",
    IntakeWrite = "intake.write",
    /// What a gateway needs: restrictions out, acknowledgements and losses in.
    GatewaySync = "gateway.sync",
    /// Ask for trust decisions (AuthZEN, forward-auth, ext_authz); for enforcement points.
    TrustDecide = "trust.decide",
    /// Trust policy, site, registers, and what was decided.
    TrustRead = "trust.read",
    /// Trust policy and site.
    TrustWrite = "trust.write",
    /// Devices, trips and invitations.
    TrustRegister = "trust.register",
    /// Security events of other systems (CAEP).
    SignalsSend = "signals.send",
}

impl Right {
    /// Rights over the installation rather than a tenant: they count in the home tenant only.
    pub fn is_home_only(self) -> bool {
        matches!(self, Right::TenantsCreate | Right::MetricsRead)
    }
}

const O: Role = Role::Owner;
const A: Role = Role::Admin;
const R: Role = Role::Responder;
const N: Role = Role::Analyst;
const U: Role = Role::Auditor;
const V: Role = Role::Viewer;

/// The golden table (`tests/golden/roles.txt`).
pub const TABLE: &[(Right, &[Role])] = &[
    (Right::IncidentsRead, &[O, A, R, N, U, V]),
    (Right::IncidentsWrite, &[O, A, R, N]),
    (Right::EventsRead, &[O, A, R, N, U]),
    (Right::EventsQuery, &[O, A, R, N, U]),
    (Right::EvidenceReveal, &[O, R]),
    (Right::EvidenceExport, &[O, A, R, U]),
    (Right::ActionsDecide, &[O, A, R]),
    (Right::PoliciesRead, &[O, A, R, N, U]),
    (Right::PoliciesWrite, &[O, A]),
    (Right::RulesRead, &[O, A, R, N, U]),
    (Right::RulesWrite, &[O, A]),
    (Right::RulesExcept, &[O, A, R]),
    (Right::AuditRead, &[O, A, U]),
    (Right::UsersRead, &[O, A, U]),
    (Right::UsersWrite, &[O, A]),
    (Right::TokensRead, &[O, A, U]),
    (Right::TokensWrite, &[O, A]),
    (Right::TenantWrite, &[O, A]),
    (Right::TenantsCreate, &[O]),
    (Right::HealthRead, &[O, A, R, N, U]),
    (Right::MetricsRead, &[O, A, U]),
    (Right::IntakeWrite, &[O, A]),
    (Right::GatewaySync, &[]),
    (Right::TrustDecide, &[]),
    (Right::TrustRead, &[O, A, R, N, U]),
    (Right::TrustWrite, &[O, A]),
    (Right::TrustRegister, &[O, A, R]),
    (Right::SignalsSend, &[]),
];

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u64);

impl Rights {
    pub fn of_role(role: Role) -> Rights {
        let granted = TABLE.iter().filter(|(_, roles)| roles.contains(&role));
        granted.map(|(right, _)| *right).collect()
    }

    pub fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    pub fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Whether every right of `other` is here too.
    pub fn covers(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Without the rights over the installation.
    pub fn outside_home(self) -> Rights {
        self.names().filter(|right| !right.is_home_only()).collect()
    }

    pub fn names(self) -> impl Iterator<Item = Right> {
        Right::ALL.iter().copied().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        Rights(rights.into_iter().fold(0, |bits, right| bits | 1 << right as u32))
    }
}

/// What an API token may be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Intake,
    Gateway,
    Query,
    Act,
    Audit,
    Reveal,
    Metrics,
    Admin,
    /// An enforcement point that asks and enforces, other than our gateway.
    Decide,
    /// An identity provider or device manager that pushes security events.
    Signals,
}

impl Scope {
    pub const ALL: [Scope; 10] = [
        Scope::Intake,
        Scope::Gateway,
        Scope::Query,
        Scope::Act,
        Scope::Audit,
        Scope::Reveal,
        Scope::Metrics,
        Scope::Admin,
        Scope::Decide,
        Scope::Signals,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Intake => "intake",
            Scope::Gateway => "gateway",
            Scope::Query => "query",
            Scope::Act => "act",
            Scope::Audit => "audit",
            Scope::Reveal => "reveal",
            Scope::Metrics => "metrics",
            Scope::Admin => "admin",
            Scope::Decide => "decide",
            Scope::Signals => "signals",
        }
    }

    pub fn parse(text: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    pub fn rights(self) -> Rights {
        let rights: &[Right] = match self {
            Scope::Intake => &[Right::IntakeWrite],
            Scope::Gateway => &[Right::GatewaySync, Right::IntakeWrite, Right::TrustDecide],
            Scope::Decide => &[Right::TrustDecide],
            Scope::Signals => &[Right::SignalsSend],
            Scope::Query => &[
                Right::IncidentsRead,
                Right::EventsRead,
                Right::EventsQuery,
                Right::PoliciesRead,
                Right::RulesRead,
                Right::HealthRead,
                Right::TrustRead,
            ],
            Scope::Act => &[
                Right::IncidentsRead,
                Right::IncidentsWrite,
                Right::ActionsDecide,
                Right::RulesExcept,
                Right::TrustRegister,
            ],
            Scope::Audit => &[Right::AuditRead, Right::EvidenceExport],
            Scope::Reveal => &[Right::EvidenceReveal],
            Scope::Metrics => &[Right::MetricsRead],
            Scope::Admin => &[
                Right::PoliciesRead,
                Right::PoliciesWrite,
                Right::RulesRead,
                Right::RulesWrite,
                Right::RulesExcept,
                Right::UsersRead,
                Right::UsersWrite,
                Right::TokensRead,
                Right::TokensWrite,
                Right::TenantWrite,
                Right::TenantsCreate,
                Right::HealthRead,
                Right::TrustRead,
                Right::TrustWrite,
                Right::TrustRegister,
            ],
        };
        rights.iter().copied().collect()
    }

    /// A machine's scope outlives whoever made the token: people leave, sensors stay.
    /// Every other scope is worth what its maker may do at the moment of use.
    pub fn is_for_machines(self) -> bool {
        matches!(self, Scope::Intake | Scope::Gateway | Scope::Decide | Scope::Signals)
    }
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Anyone,
    /// Anyone with a valid session or token, whatever it may do.
    SignedIn,
    Needs(Right),
    /// `metrics.read`, or no credential at all from this machine.
    Metrics,
}

#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
}

const fn route(method: &'static str, path: &'static str, access: Access) -> Route {
    Route { method, path, access }
}

use Access::{Anyone, Metrics, Needs, SignedIn};

/// Every route there is, but the console's files, which hold no data and are open to anyone
/// (`console.rs`). The router is checked against it by `tests/faces/roles.rs`.
pub const ROUTES: &[Route] = &[
    route("GET", "/healthz", Anyone),
    route("GET", "/readyz", Anyone),
    route("GET", "/metrics", Metrics),
    route("GET", "/api/openapi.json", Anyone),
    route("POST", "/api/v1/login", Anyone),
    route("POST", "/api/v1/logout", SignedIn),
    route("POST", "/api/v1/password", SignedIn),
    route("GET", "/api/v1/me", SignedIn),
    route("POST", "/api/v1/login/passkey/options", Anyone),
    route("POST", "/api/v1/login/passkey", Anyone),
    route("GET", "/api/v1/second-factor", SignedIn),
    route("POST", "/api/v1/second-factor/codes", SignedIn),
    route("POST", "/api/v1/second-factor/codes/confirm", SignedIn),
    route("POST", "/api/v1/second-factor/passkeys/options", SignedIn),
    route("POST", "/api/v1/second-factor/passkeys", SignedIn),
    route("POST", "/api/v1/second-factor/recovery-codes", SignedIn),
    route("POST", "/api/v1/second-factor/remove", SignedIn),
    route("GET", "/api/v1/health", Needs(Right::HealthRead)),
    route("GET", "/api/v1/tenants", SignedIn),
    route("POST", "/api/v1/tenants", Needs(Right::TenantsCreate)),
    route("PATCH", "/api/v1/tenant", Needs(Right::TenantWrite)),
    route("GET", "/api/v1/users", Needs(Right::UsersRead)),
    route("POST", "/api/v1/users", Needs(Right::UsersWrite)),
    route("PATCH", "/api/v1/users/{id}", Needs(Right::UsersWrite)),
    route("DELETE", "/api/v1/users/{id}", Needs(Right::UsersWrite)),
    route("GET", "/api/v1/people", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/tokens", Needs(Right::TokensRead)),
    route("POST", "/api/v1/tokens", Needs(Right::TokensWrite)),
    route("DELETE", "/api/v1/tokens/{id}", Needs(Right::TokensWrite)),
    route("GET", "/api/v1/events", Needs(Right::EventsRead)),
    route("GET", "/api/v1/events/{id}", Needs(Right::EventsRead)),
    route("POST", "/api/v1/events/{id}/reveal", Needs(Right::EvidenceReveal)),
    route("POST", "/api/v1/query", Needs(Right::EventsQuery)),
    route("GET", "/api/v1/findings", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/findings/{id}", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/incidents", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/incidents/{id}", Needs(Right::IncidentsRead)),
    route("PATCH", "/api/v1/incidents/{id}", Needs(Right::IncidentsWrite)),
    route("POST", "/api/v1/incidents/{id}/comments", Needs(Right::IncidentsWrite)),
    route("POST", "/api/v1/incidents/{id}/tell", Needs(Right::IncidentsWrite)),
    route("GET", "/api/v1/connectors", Needs(Right::PoliciesRead)),
    route("POST", "/api/v1/connectors/{name}/test", Needs(Right::PoliciesWrite)),
    route("POST", "/api/v1/incidents/{id}/export", Needs(Right::EvidenceExport)),
    route("GET", "/api/v1/actions", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/actions/{id}", Needs(Right::IncidentsRead)),
    route("POST", "/api/v1/actions/{id}/approve", Needs(Right::ActionsDecide)),
    route("POST", "/api/v1/actions/{id}/reject", Needs(Right::ActionsDecide)),
    route("POST", "/api/v1/actions/{id}/undo", Needs(Right::ActionsDecide)),
    route("POST", "/api/v1/actions/{id}/reapply", Needs(Right::ActionsDecide)),
    route("POST", "/api/v1/actions/{id}/extend", Needs(Right::ActionsDecide)),
    route("GET", "/api/v1/entities/{entity}", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/entities/{entity}/timeline", Needs(Right::EventsRead)),
    route("GET", "/api/v1/restrictions", Needs(Right::IncidentsRead)),
    route("GET", "/api/v1/policy", Needs(Right::PoliciesRead)),
    route("PUT", "/api/v1/policy", Needs(Right::PoliciesWrite)),
    route("POST", "/api/v1/policy/check", Needs(Right::PoliciesRead)),
    route("GET", "/api/v1/policy/versions", Needs(Right::PoliciesRead)),
    route("GET", "/api/v1/policy/versions/{version}", Needs(Right::PoliciesRead)),
    route("GET", "/api/v1/sigma/rules", Needs(Right::RulesRead)),
    route("POST", "/api/v1/sigma/rules", Needs(Right::RulesWrite)),
    route("POST", "/api/v1/sigma/rules/check", Needs(Right::RulesRead)),
    route("GET", "/api/v1/sigma/rules/{id}", Needs(Right::RulesRead)),
    route("PUT", "/api/v1/sigma/rules/{id}", Needs(Right::RulesWrite)),
    route("DELETE", "/api/v1/sigma/rules/{id}", Needs(Right::RulesWrite)),
    route("POST", "/api/v1/sigma/rules/{id}/replay", Needs(Right::RulesRead)),
    route("GET", "/api/v1/sigma/selection", Needs(Right::RulesRead)),
    route("PUT", "/api/v1/sigma/selection", Needs(Right::RulesWrite)),
    route("GET", "/api/v1/sigma/packs", Needs(Right::RulesRead)),
    route("GET", "/api/v1/sigma/coverage", Needs(Right::RulesRead)),
    route("GET", "/api/v1/sigma/noise", Needs(Right::RulesRead)),
    route("GET", "/api/v1/sigma/exceptions", Needs(Right::RulesRead)),
    route("POST", "/api/v1/sigma/exceptions", Needs(Right::RulesExcept)),
    route("DELETE", "/api/v1/sigma/exceptions/{id}", Needs(Right::RulesExcept)),
    route("GET", "/api/v1/audit", Needs(Right::AuditRead)),
    route("GET", "/api/v1/audit/checkpoint", Needs(Right::AuditRead)),
    route("GET", "/api/v1/audit/{index}/proof", Needs(Right::AuditRead)),
    route("POST", "/api/v1/intake/events", Needs(Right::IntakeWrite)),
    route("POST", "/api/v1/intake/logs", Needs(Right::IntakeWrite)),
    route("GET", "/api/v1/gateway/restrictions", Needs(Right::GatewaySync)),
    route("POST", "/api/v1/gateway/applied", Needs(Right::GatewaySync)),
    route("POST", "/api/v1/gateway/loss", Needs(Right::GatewaySync)),
    route("GET", "/.well-known/authzen-configuration", Anyone),
    route("POST", "/access/v1/evaluation", Needs(Right::TrustDecide)),
    route("POST", "/access/v1/evaluations", Needs(Right::TrustDecide)),
    route("POST", "/access/v1/search/subject", Needs(Right::TrustDecide)),
    route("POST", "/access/v1/search/resource", Needs(Right::TrustDecide)),
    route("POST", "/access/v1/search/action", Needs(Right::TrustDecide)),
    route("GET", "/api/v1/trust/forward-auth", Needs(Right::TrustDecide)),
    route("GET", "/.well-known/ssf-configuration", Anyone),
    route("GET", "/api/v1/ssf/jwks.json", Anyone),
    route("POST", "/api/v1/ssf/events", Needs(Right::SignalsSend)),
    route("POST", "/api/v1/trust/what-if", Needs(Right::TrustRead)),
    route("POST", "/api/v1/trust/policy/check", Needs(Right::TrustRead)),
    route("POST", "/api/v1/trust/policy/compare", Needs(Right::TrustRead)),
    route("GET", "/api/v1/trust/policy", Needs(Right::TrustRead)),
    route("PUT", "/api/v1/trust/policy", Needs(Right::TrustWrite)),
    route("GET", "/api/v1/trust/policy/versions", Needs(Right::TrustRead)),
    route("GET", "/api/v1/trust/site", Needs(Right::TrustRead)),
    route("PUT", "/api/v1/trust/site", Needs(Right::TrustWrite)),
    route("GET", "/api/v1/trust/registers/{register}", Needs(Right::TrustRead)),
    route("PUT", "/api/v1/trust/registers/{register}/{entry}", Needs(Right::TrustRegister)),
    route("DELETE", "/api/v1/trust/registers/{register}/{entry}", Needs(Right::TrustRegister)),
    route("GET", "/api/v1/trust/decisions", Needs(Right::TrustRead)),
    route("GET", "/api/v1/trust/decisions/{id}", Needs(Right::TrustRead)),
    route("GET", "/api/v1/trust/sessions/{id}", Needs(Right::TrustRead)),
];

/// The access a request needs; `None` when there is no such route. HEAD asks what GET asks.
pub fn access(method: &str, path: &str) -> Option<Access> {
    static BY_PATH: LazyLock<HashMap<&str, Vec<&Route>>> = LazyLock::new(|| {
        let mut paths = HashMap::<_, Vec<_>>::new();
        for route in ROUTES {
            paths.entry(route.path).or_default().push(route);
        }
        paths
    });
    let method = if method == "HEAD" { "GET" } else { method };
    BY_PATH.get(path)?.iter().find(|route| route.method == method).map(|route| route.access)
}

/// The table as text, one right a line.
pub fn table_text() -> String {
    let mut text = format!("{:<18}", "right");
    for role in Role::ALL {
        text.push_str(&format!(" {:<9}", role.as_str()));
    }
    for (right, roles) in TABLE {
        text = text.trim_end().to_owned();
        text.push_str(&format!("\n{:<18}", right.as_str()));
        for role in Role::ALL {
            text.push_str(&format!(" {:<9}", if roles.contains(&role) { "yes" } else { "-" }));
        }
    }
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_is_in_the_table_once() {
        let mut listed: Vec<Right> = TABLE.iter().map(|(right, _)| *right).collect();
        listed.sort_unstable();
        assert_eq!(listed, Right::ALL);
    }

    #[test]
    fn no_scope_but_machines_reaches_beyond_the_owner() {
        let owner = Rights::of_role(Role::Owner);
        for scope in Scope::ALL.into_iter().filter(|scope| !scope.is_for_machines()) {
            assert!(owner.covers(scope.rights()), "{scope:?}");
        }
    }
}
