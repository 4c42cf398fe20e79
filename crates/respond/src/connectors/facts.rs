use super::Personal;
use crate::policy::Title;
use schema::{
    Action, Entity, EntityKind, Incident, TenantId, Timestamp, format_time, id_from_seed,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a template may name.
pub(crate) const NAMES: &[&str] = &[
    "tenant",
    "event",
    "link",
    "title.ko",
    "title.en",
    "title.ja",
    "action.id",
    "action.rung",
    "action.state",
    "action.reason",
    "action.policy",
    "action.policy_version",
    "action.target",
    "action.target.kind",
    "action.target.value",
    "action.sites",
    "action.created",
    "action.expires",
    "action.approval.code",
    "action.approval.deadline",
    "incident.id",
    "incident.title",
    "incident.severity",
    "incident.opened",
    "incident.updated",
    "incident.sites",
    "incident.entities",
];

/// Something to tell of.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    pub tenant: &'a TenantId,
    /// `incident.opened`, `action.awaiting-approval`, `action.active`…
    pub event: &'a str,
    pub incident: Option<&'a Incident>,
    pub action: Option<&'a Action>,
    /// The policy's title, for people.
    pub title: Option<&'a Title>,
    /// Where in the console to look.
    pub link: Option<&'a str>,
    /// When it came to be told: another time, another notice.
    pub time: Timestamp,
}

impl<'a> Notice<'a> {
    pub fn about(tenant: &'a TenantId, event: &'a str, action: &'a Action) -> Self {
        let (incident, title, link) = (None, None, None);
        Notice { tenant, event, incident, action: Some(action), title, link, time: action.created }
    }

    /// A person wants somebody to know of the incident.
    pub fn of_incident(
        tenant: &'a TenantId,
        incident: &'a Incident,
        link: Option<&'a str>,
        time: Timestamp,
    ) -> Self {
        let (action, title) = (None, None);
        let event = "incident.told";
        Notice { tenant, event, incident: Some(incident), action, title, link, time }
    }

    /// Whether a connector is heard at all.
    pub fn test(tenant: &'a TenantId, title: &'a Title, time: Timestamp) -> Self {
        let (incident, action, link) = (None, None, None);
        Notice { tenant, event: "connector.test", incident, action, title: Some(title), link, time }
    }

    /// Told twice of the same thing, a receiver sees the same id.
    pub fn id(&self) -> Uuid {
        let action = self.action.map(|a| format!("{}#{}", a.id, a.history.len()));
        let incident = self.incident.map(|i| format!("{}#{}", i.id, i.updated));
        let time = self
            .action
            .and_then(|a| a.history.last().map(|change| change.time))
            .or(self.incident.map(|i| i.updated))
            .unwrap_or(self.time);
        let seed = format!(
            "notice\0{}\0{}\0{}\0{}\0{}",
            self.time,
            self.tenant,
            self.event,
            action.unwrap_or_default(),
            incident.unwrap_or_default(),
        );
        id_from_seed(time, seed.as_bytes())
    }
}

/// The values of a notice, masked as the connector asks.
pub(crate) struct Facts {
    texts: BTreeMap<&'static str, String>,
    /// What a webhook carries.
    pub(crate) payload: Value,
}

impl Facts {
    pub(crate) fn of(notice: &Notice<'_>, personal: Personal) -> Facts {
        let shown = |entity: &Entity| show(entity, personal);
        let mut texts = BTreeMap::new();
        let mut data = json!({ "tenant": notice.tenant, "link": notice.link });
        texts.insert("tenant", notice.tenant.to_string());
        texts.insert("event", notice.event.to_owned());
        texts.insert("link", notice.link.unwrap_or_default().to_owned());
        if let Some(title) = notice.title {
            texts.insert("title.ko", title.ko.clone());
            texts.insert("title.en", title.en.clone());
            texts.insert("title.ja", title.ja.clone());
            put(&mut data, "title", json!(title));
        }
        let mut time = notice.time;
        if let Some(incident) = notice.incident {
            time = incident.updated;
            let entities: Vec<String> = incident.entities.iter().map(shown).collect();
            texts.insert("incident.id", incident.id.to_string());
            texts.insert("incident.title", incident.title.clone());
            texts.insert("incident.severity", incident.severity.as_str().to_owned());
            texts.insert("incident.opened", format_time(incident.opened));
            texts.insert("incident.updated", format_time(incident.updated));
            texts.insert("incident.sites", incident.sites.join(", "));
            texts.insert("incident.entities", entities.join(", "));
            let told = json!({
                "id": incident.id,
                "title": incident.title,
                "severity": incident.severity,
                "status": incident.status,
                "opened": format_time(incident.opened),
                "updated": format_time(incident.updated),
                "sites": incident.sites,
                "entities": entities,
                "findings": incident.findings.len(),
            });
            put(&mut data, "incident", told);
        }
        if let Some(action) = notice.action {
            time = action.history.last().map_or(action.created, |change| change.time);
            let target = shown(&action.target);
            let value = target.split_once(':').map(|(_, value)| value.to_owned());
            texts.insert("action.id", action.id.to_string());
            texts.insert("action.rung", action.rung.to_string());
            texts.insert("action.state", action.state.as_str().to_owned());
            texts.insert("action.reason", action.reason.clone());
            texts.insert("action.policy", action.policy.clone());
            texts.insert("action.policy_version", action.policy_version.to_string());
            texts.insert("action.target.kind", action.target.kind.to_string());
            texts.insert("action.target.value", value.unwrap_or_default());
            texts.insert("action.target", target.clone());
            texts.insert("action.sites", action.sites.join(", "));
            texts.insert("action.created", format_time(action.created));
            texts.insert("action.expires", format_time(action.expires));
            let mut told = json!({
                "id": action.id,
                "incident": action.incident,
                "rung": action.rung,
                "state": action.state,
                "reason": action.reason,
                "policy": action.policy,
                "policy_version": action.policy_version,
                "target": target,
                "sites": action.sites,
                "created": format_time(action.created),
                "expires": format_time(action.expires),
            });
            if let Some(approval) = &action.approval {
                texts.insert("action.approval.code", approval.code.clone());
                texts.insert("action.approval.deadline", format_time(approval.deadline));
                let asked =
                    json!({ "code": approval.code, "deadline": format_time(approval.deadline) });
                put(&mut told, "approval", asked);
            }
            put(&mut data, "action", told);
        }
        let payload = json!({ "type": notice.event, "timestamp": format_time(time), "data": data });
        Facts { texts, payload }
    }

    /// Every name with a harmless value, to try a template before it is needed.
    pub(crate) fn sample() -> Facts {
        let texts = NAMES.iter().map(|name| (*name, "1".to_owned())).collect();
        Facts { texts, payload: Value::Null }
    }

    /// Empty when the notice has no such thing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(name.to_owned(), value);
    }
}

/// An account is a person: its first letter and its domain are enough to recognise it by.
fn show(entity: &Entity, personal: Personal) -> String {
    if personal == Personal::Plain || entity.kind != EntityKind::Account {
        return entity.to_string();
    }
    let (name, domain) = match entity.value.split_once('@') {
        Some((name, domain)) => (name, format!("@{domain}")),
        None => (entity.value.as_str(), String::new()),
    };
    let first: String = name.chars().take(1).collect();
    format!("account:{first}***{domain}")
}
