//! From what is known to what the policy judges: evidence first, registers, the tenant's own word, and what
//! the caller states only where nobody knows better.

mod stated;

use crate::book::{
    self, Account, Age, Book, Device, MfaResult, Mobility, Place, Session, Sighting, Usual,
};
use crate::site::{GeoPolicy, Local, Network, ResourceDemands, Sensitivity, Site};
use crate::{Reading, Readings, Value};
use schema::{Diagnostic, EntityKind, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Longest name of a resource or action that patterns are held against. Of a longer one the worst is assumed,
/// so that nobody grows out of a rule; the gateway's endpoint templates stay far below.
const TARGET_BYTES_MAX: usize = 4 * 1024;
/// Civil time strays from the sun's by up to this (western China, by three hours, is the exception): closer to
/// the edge of working hours abroad, nothing is said.
const CIVIL_TIME_SLACK_MINUTES: i64 = 120;
/// So many odd things at once are another pattern; one is a new browser.
const ODD_MIN: usize = 2;

/// Who wants to do what, from where, and what the caller says of it.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// AuthZEN's subject: `user`, `account`, `session`, `credential` or `device` say what the id is.
    pub subject_kind: String,
    pub subject_id: String,
    pub account: Option<String>,
    pub session: Option<String>,
    pub credential: Option<String>,
    pub device: Option<String>,
    pub action: String,
    pub resource_kind: String,
    pub resource_id: String,
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
    /// Where the address lies.
    pub place: Option<Place>,
    pub at: Timestamp,
    /// What the caller states. The rim has had the policy accept names and values before.
    pub stated: Readings,
}

/// Whose word a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Seen in events, or found in them.
    Evidence,
    /// A register or an agent reported it.
    Register,
    /// The tenant says so of itself.
    Site,
    /// Only who asks says so.
    Caller,
}

/// What is known of one access.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    pub readings: Readings,
    /// Of every reading.
    pub origins: BTreeMap<String, Origin>,
    pub demands: ResourceDemands,
    /// Whose account it is taken to be.
    pub account: Option<String>,
    /// What was not taken at its word, and why.
    pub diagnostics: Vec<Diagnostic>,
}

/// Gathers what is known of an access. Pure: the same site, book and question give the same readings.
///
/// `worse(signal, left, right)` tells whether `left` is worse evidence than `right`: the policy's own order.
pub fn gather(
    site: &Site,
    book: &Book,
    ask: &Ask,
    worse: &dyn Fn(&str, &Value, &Value) -> bool,
) -> Gathered {
    let mut facts = Facts { gathered: Gathered::default(), worse };
    let who = Who::of(book, ask, &mut facts);
    let here = Here::of(site, ask);
    let usual = who.account.and_then(|account| book.account_of(account));
    network(&mut facts, &here);
    places(&mut facts, site, book, &here, &who, usual);
    hours(&mut facts, site, ask, &here, usual);
    person(&mut facts, site, book, ask, &who);
    pattern(&mut facts, site, ask, &here, &who, usual);
    if let Some(session) = who.session {
        conduct(&mut facts, ask, session, usual);
    }
    travel(&mut facts, book, ask, &here, &who, usual);
    device(&mut facts, book, ask, &who, usual);
    findings(&mut facts, book, ask, &who, usual);
    resource(&mut facts, site, ask, &who);
    stated::merge(&mut facts, site, &ask.stated);
    facts.gathered.account = who.account.map(str::to_owned);
    facts.gathered
}

struct Facts<'a> {
    gathered: Gathered,
    worse: &'a dyn Fn(&str, &Value, &Value) -> bool,
}

impl Facts<'_> {
    /// Two who know: the worse holds.
    fn tell(&mut self, signal: &str, reading: impl Into<Reading>, origin: Origin) {
        let reading = reading.into();
        let keeps = self
            .gathered
            .readings
            .get(signal)
            .is_some_and(|known| !(self.worse)(signal, &reading.value, &known.value));
        if !keeps {
            self.gathered.readings.insert(signal.to_owned(), reading);
            self.gathered.origins.insert(signal.to_owned(), origin);
        }
    }

    /// What was told by somebody who has since fallen silent. Bad news does not get better by silence.
    fn tell_aged(&mut self, signal: &str, value: &Value, is_silent: bool, origin: Origin) {
        let is_silent = is_silent && stated::counts_from_anybody(signal, value) != Some(true);
        self.tell(signal, Reading { value: value.clone(), is_silent }, origin);
    }

    fn wonder(&mut self, code: &str, place: &str, message: String, hint: &str) {
        if self.gathered.diagnostics.len() < stated::DIAGNOSTICS_MAX {
            self.gathered.diagnostics.push(Diagnostic::new(code, place, message).hint(hint));
        }
    }
}

/// Who asks, as far as is known.
struct Who<'a> {
    account: Option<&'a str>,
    session_id: Option<&'a str>,
    session: Option<&'a Session>,
    credential: Option<&'a str>,
    /// The device shown now.
    device: Option<&'a str>,
}

impl<'a> Who<'a> {
    fn of(book: &'a Book, ask: &'a Ask, facts: &mut Facts<'_>) -> Self {
        let field = |stated: &'a Option<String>, kinds: &[&str]| {
            let subject = kinds.contains(&ask.subject_kind.as_str()).then_some(&*ask.subject_id);
            stated.as_deref().or(subject).filter(|text| !text.is_empty())
        };
        let session_id = field(&ask.session, &["session"]);
        let session = session_id.and_then(|session| book.session_of(session));
        let stated = field(&ask.account, &["account", "user"]);
        let known = session.map(|session| session.account.as_str()).filter(|a| !a.is_empty());
        if let (Some(stated), Some(known)) = (stated, known)
            && book::name(stated) != known
        {
            facts.tell("identity_uncertain", true, Origin::Evidence);
            facts.wonder(
                "other-account",
                "$.subject",
                "the session was seen with another account".to_owned(),
                "the account it was seen with is the one judged",
            );
        }
        Who {
            account: known.or(stated),
            session_id,
            session,
            credential: field(&ask.credential, &["credential"]),
            device: field(&ask.device, &["device"]),
        }
    }
}

/// From where, as far as is known.
struct Here<'a> {
    network: Network,
    /// Where the address lies, a relay's too.
    country: Option<&'a str>,
    is_abroad: Option<bool>,
    longitude_micro: Option<i32>,
    /// Where somebody is; not known behind a relay.
    sighting: Option<Sighting>,
    network_number: Option<u64>,
}

impl<'a> Here<'a> {
    fn of(site: &Site, ask: &'a Ask) -> Self {
        let network = ask.address.map_or_else(Network::default, |address| site.network(address));
        let place = ask.place.as_ref();
        let country = place.and_then(Place::country);
        let position = place.and_then(Place::position).filter(|_| !network.is_relay());
        Here {
            country,
            is_abroad: country
                .filter(|_| !network.is_relay())
                .and_then(|country| site.is_abroad(country)),
            longitude_micro: position.map(|position| position.longitude_micro),
            sighting: position.map(|position| Sighting {
                at: ask.at,
                position,
                is_mobile: network.is_mobile(),
            }),
            network_number: ask.address.map(book::network),
            network,
        }
    }
}

fn network(facts: &mut Facts<'_>, here: &Here<'_>) {
    let Network { network_type, src_ip_class, vpn, ip_rep, proxy_vpn_tor } = here.network;
    let told = [
        ("network_type", network_type.map(|word| Value::from(word.as_str()))),
        ("src_ip_class", src_ip_class.map(|word| Value::from(word.as_str()))),
        ("vpn_used", vpn.map(Value::from)),
        ("ip_rep", ip_rep.map(|word| Value::from(word.as_str()))),
        ("proxy_vpn_tor", proxy_vpn_tor.map(|word| Value::from(word.as_str()))),
    ];
    for (signal, value) in told {
        if let Some(value) = value {
            facts.tell(signal, value, Origin::Site);
        }
    }
}

fn places(
    facts: &mut Facts<'_>,
    site: &Site,
    book: &Book,
    here: &Here<'_>,
    who: &Who<'_>,
    usual: Option<&Account>,
) {
    let Some(country) = here.country else { return };
    let policy = site.geo_policy(country);
    if here.network.is_relay() {
        // Our own VPN says nothing of where its users are; another relay in a denied country is in one.
        if here.network.vpn != Some(true) && policy == Some(GeoPolicy::Denied) {
            facts.tell("geo_policy", GeoPolicy::Denied.as_str(), Origin::Evidence);
        }
        return;
    }
    if let Some(policy) = policy {
        facts.tell("geo_policy", policy.as_str(), Origin::Evidence);
    }
    if let Some(is_abroad) = here.is_abroad {
        facts.tell("geo_abroad", is_abroad, Origin::Evidence);
        if is_abroad
            && let Some(account) = who.account
            && let Some(is_registered) = book.is_travelling(account, country, here_at(here))
        {
            facts.tell("travel_registered", is_registered, Origin::Register);
        }
    }
    match usual.map(|account| account.country(country)) {
        Some(Usual::Yes) => facts.tell("geo_usual", true, Origin::Evidence),
        Some(Usual::No) => facts.tell("geo_usual", false, Origin::Evidence),
        Some(Usual::Unknown) | None => {}
    }
}
