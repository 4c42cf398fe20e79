//! One event as the rules look at it: parsed once, its names hashed once.

use crate::config::DetectConfig;
use crate::hash::{Hasher, Key, Of, pair, short};
use schema::{Entity, EntityKind, Event, OutcomeResult, class};
use std::net::IpAddr;

pub(crate) struct Seen<'a> {
    pub(crate) event: &'a Event,
    pub(crate) time: i64,
    /// The site, or the host where there is none: account names mean something only within it.
    pub(crate) scope: Key,
    pub(crate) account: Option<Key>,
    pub(crate) credential: Option<Key>,
    pub(crate) session: Option<Key>,
    pub(crate) endpoint: Option<Key>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) source: Option<Key>,
    pub(crate) network: Option<u32>,
    pub(crate) agent: Option<u32>,
    pub(crate) result: OutcomeResult,
    /// It was refused, missing or failed.
    pub(crate) denied: bool,
    pub(crate) is_login: bool,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(event: &'a Event, hasher: &Hasher, config: &DetectConfig) -> Self {
        let scope_name = event.site.as_deref().or(event.device.as_deref()).unwrap_or("");
        let scope = hasher.key(Of::Scope, 0, scope_name);
        let within = |of, value: &Option<String>| {
            value
                .as_deref()
                .filter(|value| !value.is_empty())
                .map(|value| hasher.key(of, scope, value))
        };
        let address: Option<IpAddr> = event.src_ip.as_deref().and_then(|text| text.parse().ok());
        let result = result(event);
        let is_login = match event.class_uid {
            class::AUTHENTICATION => {
                event.activity_id == schema::activity::LOGON
                    || event.outcome_action.as_deref() == Some("login")
            }
            _ => event
                .outcome_action
                .as_deref()
                .is_some_and(|action| config.login.actions.iter().any(|login| login == action)),
        };
        Seen {
            event,
            time: event.time,
            scope,
            account: within(Of::Account, &event.account),
            // A key or session may be used at several sites of a tenant: it is one entity.
            credential: event
                .credential
                .as_deref()
                .filter(|c| !c.is_empty())
                .map(|c| hasher.key(Of::Credential, 0, c)),
            session: event
                .session
                .as_deref()
                .filter(|s| !s.is_empty())
                .map(|s| hasher.key(Of::Session, 0, s)),
            endpoint: within(Of::Endpoint, &event.endpoint),
            address,
            source: within(Of::Source, &event.src_ip),
            network: address.map(|address| hasher.network(address)),
            agent: event.user_agent.as_deref().map(|agent| short(hasher.key(Of::Agent, 0, agent))),
            result,
            denied: result == OutcomeResult::Failure
                || matches!(event.http_code, Some(401 | 403 | 404 | 410 | 429)),
            is_login,
        }
    }

    /// Who acts, most telling first: credential, account, session; without these the address with its user agent.
    pub(crate) fn actor(&self) -> Option<(EntityKind, Key)> {
        let anonymous = || {
            self.source.map(|source| {
                (EntityKind::Address, pair(source, u64::from(self.agent.unwrap_or(0))))
            })
        };
        self.credential
            .map(|key| (EntityKind::Credential, key))
            .or(self.account.map(|key| (EntityKind::Account, key)))
            .or(self.session.map(|key| (EntityKind::Session, key)))
            .or_else(anonymous)
    }

    /// The entity of `kind` this event names.
    pub(crate) fn entity(&self, kind: EntityKind) -> Option<Entity> {
        self.event
            .entity(kind)
            .filter(|value| !value.is_empty())
            .map(|value| Entity::new(kind, value))
    }
}

/// What became of it: as the gateway's outcome rules say, else as the record's own status says.
fn result(event: &Event) -> OutcomeResult {
    match (event.outcome_result(), event.class_uid, event.status_id) {
        (OutcomeResult::Unknown, class::AUTHENTICATION, Some(1)) => OutcomeResult::Success,
        (OutcomeResult::Unknown, class::AUTHENTICATION, Some(2)) => OutcomeResult::Failure,
        (known, ..) => known,
    }
}
