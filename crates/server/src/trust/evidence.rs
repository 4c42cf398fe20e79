//! What a tenant knows of itself and remembers of its people, and how a question meets it.

use super::front;
use super::recent::entity_kind;
use super::wire::Question;
use crate::geoip::GeoIp;
use schema::{Entity, EntityKind, Event, Finding, Timestamp};
use serde_json::{Map, Value as Json};
use trust::{Ask, Book, BookLimits, Demands, Gathered, Policy, Properties, Readings, Site, gather};

/// The site and the book of one tenant.
pub struct Evidence {
    pub site: Site,
    pub book: Book,
    /// Where addresses lie, when the operator supplies a database: looked up here, so that the book
    /// stays pure.
    geoip: Option<GeoIp>,
}

/// What a question is judged by.
pub struct Met {
    pub readings: Readings,
    pub demands: Demands,
    /// Whose account it is taken to be.
    pub account: Option<String>,
    /// What was not taken at its word: codes.
    pub notes: Vec<String>,
}

/// The profile a resource may ask for.
const STRICT: &str = "strict";

impl Evidence {
    pub fn new(site: Site, geoip: Option<GeoIp>) -> Evidence {
        Evidence { site, book: Book::new(BookLimits::default()), geoip }
    }

    /// Every signal the question is judged by, and what its resource demands.
    pub fn gather(&self, policy: &Policy, question: &Question, now: Timestamp) -> Met {
        let ask = ask(question, self.geoip.as_ref(), now);
        let worse = |signal: &str, left: &trust::Value, right: &trust::Value| {
            policy.is_worse(signal, left, right)
        };
        let Gathered { mut readings, demands, account, diagnostics, .. } =
            gather(&self.site, &self.book, &ask, &worse);
        let properties = Properties {
            subject: Some(&question.subject.properties),
            action: Some(&question.action_properties),
            resource: Some(&question.resource.properties),
        };
        // What the enforcement point says of the three parts decides the grants that depend on it.
        // Its own "mismatch" stays: whoever knows better of a refusal is believed.
        let says_no = ask.stated.get("authorization").is_some_and(|r| r.value == "mismatch".into());
        let target = format!("{}:{}", ask.resource_kind, ask.resource_id);
        let may = self.site.grants_with(account.as_deref(), &ask.action, &target, &properties);
        if let Some(may) = may
            && policy.knows("authorization")
        {
            let word = if may && !says_no { "match" } else { "mismatch" };
            readings.insert("authorization".to_owned(), word.into());
        }
        // A policy of one's own need not know every signal we gather.
        readings.retain(|name, _| policy.knows(name));
        let mut notes: Vec<String> = diagnostics.into_iter().map(|d| d.code).collect();
        notes.sort_unstable();
        notes.dedup();
        Met {
            readings,
            demands: Demands {
                profile: demands.strict.then(|| STRICT.to_owned()),
                required: demands.required.into_iter().collect(),
            },
            account,
            notes,
        }
    }

    /// Takes an event in; whom it may have changed.
    pub fn observe(&mut self, event: &Event) -> Vec<Entity> {
        let geoip = self.geoip.as_ref();
        let place = geoip.zip(event.src_ip.as_deref()).and_then(|(geoip, address)| {
            front::address(address).and_then(|address| geoip.place(address))
        });
        self.book.observe(event, &self.site, place.as_ref())
    }

    pub fn find(&mut self, finding: &Finding) -> Vec<Entity> {
        self.book.finding(finding)
    }

    /// The site's hash; `None` when the tenant described none.
    pub fn site_hash(&self) -> Option<String> {
        Some(self.site.hash().to_owned()).filter(|hash| !hash.is_empty())
    }

    /// Subjects of a type that the site names, sorted; those of people only.
    pub fn accounts(&self, kind: &str, max: usize) -> Vec<String> {
        if entity_kind(kind) != Some(EntityKind::Account) {
            return Vec::new();
        }
        self.site.named_accounts().into_iter().take(max).map(str::to_owned).collect()
    }

    pub fn resources(&self, kind: &str, max: usize) -> Vec<String> {
        self.site.named_resources(kind).into_iter().take(max).map(str::to_owned).collect()
    }

    pub fn actions(&self, max: usize) -> Vec<String> {
        self.site.named_actions().into_iter().take(max).map(str::to_owned).collect()
    }
}

fn ask(question: &Question, geoip: Option<&GeoIp>, now: Timestamp) -> Ask {
    let text = |properties: &Map<String, Json>, name: &str| {
        properties.get(name).and_then(Json::as_str).map(str::to_owned)
    };
    let of_subject = |name: &str| text(&question.subject.properties, name);
    let kind = entity_kind(&question.subject.kind).map(EntityKind::as_str);
    let address = question.context.address.as_deref().and_then(front::address);
    Ask {
        subject_kind: kind.unwrap_or(&question.subject.kind).to_owned(),
        subject_id: question.subject.id.clone(),
        account: of_subject("account"),
        session: of_subject("session"),
        credential: of_subject("credential"),
        device: of_subject("device"),
        action: question.action.clone(),
        resource_kind: question.resource.kind.clone(),
        resource_id: question.resource.id.clone(),
        address,
        user_agent: question.context.user_agent.clone(),
        place: geoip.zip(address).and_then(|(geoip, address)| geoip.place(address)),
        at: now,
        stated: question.context.signals.clone(),
    }
}
