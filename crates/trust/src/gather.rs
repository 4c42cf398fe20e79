//! From what is known to what the policy judges: evidence first, registers, the tenant's own word, and what
//! the caller states only where nobody knows better. `docs/trust-signals.md` lists the signals.

mod stated;

use crate::book::{self, Account, Age, Book, Device, MfaResult, Place, Session, Sighting, Usual};
use crate::site::{
    GeoPolicy, Local, Network, ResourceDemands, Sensitivity, Site, TARGET_BYTES_MAX,
};
use crate::{Reading, Readings, Value};
use schema::{Diagnostic, EntityKind, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    places(&mut facts, site, book, ask, &here, &who, usual);
    hours(&mut facts, site, ask, &here, usual);
    person(&mut facts, site, book, ask, &who);
    pattern(&mut facts, site, ask, &here, &who, usual);
    if let Some(session) = who.session {
        conduct(&mut facts, ask, session, usual);
    }
    travel(&mut facts, book, ask, &here, &who, usual);
    device(&mut facts, site, book, ask, &who, usual);
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
    ask: &Ask,
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
            && let Some(is_registered) = book.is_travelling(account, country, ask.at)
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

/// Working hours are the tenant's, on the clock of where somebody is; who is wont to work at other hours does so.
fn hours(facts: &mut Facts<'_>, site: &Site, ask: &Ask, here: &Here<'_>, usual: Option<&Account>) {
    let home = Local::of(ask.at, site.offset_minutes());
    let by_site = match (&site.hours, here.is_abroad, here.longitude_micro) {
        (None, ..) | (Some(_), Some(true), None) => None,
        (Some(hours), Some(true), Some(longitude_micro)) => {
            // Nautical time: an hour per 15 degrees.
            let zone = (f64::from(longitude_micro) / 15e6).round() as i32;
            let local = Local::of(ask.at, zone * 60);
            if hours.contains(local, -CIVIL_TIME_SLACK_MINUTES) {
                Some(true)
            } else if hours.contains(local, CIVIL_TIME_SLACK_MINUTES) {
                None
            } else {
                Some(false)
            }
        }
        (Some(hours), ..) => Some(hours.contains(home, 0)),
    };
    let by_habit = usual.map_or(Usual::Unknown, |account| account.time(home));
    let works = match (by_site, by_habit) {
        (Some(true), _) | (_, Usual::Yes) => Some(true),
        (Some(false), _) => Some(false),
        (None, Usual::No) if here.is_abroad != Some(true) && site.hours.is_none() => Some(false),
        (None, _) => None,
    };
    if let Some(works) = works {
        facts.tell("work_hours", works, Origin::Evidence);
    }
}

fn person(facts: &mut Facts<'_>, site: &Site, book: &Book, ask: &Ask, who: &Who<'_>) {
    let assurance = who.session.and_then(|session| session.assurance);
    if let Some(assurance) = assurance {
        let is_silent = assurance.is_silent(ask.at);
        let result = Value::from(assurance.result.as_str());
        facts.tell_aged("mfa_result", &result, is_silent, Origin::Evidence);
        if assurance.result == MfaResult::Success
            && let Some(method) = assurance.method
        {
            facts.tell_aged("mfa_method", &method.as_str().into(), is_silent, Origin::Evidence);
        }
    }
    let Some(account) = who.account else { return };
    if let Some(people) = site.people(account) {
        if let Some(user_type) = people.user_type {
            facts.tell("user_type", user_type.as_str(), Origin::Site);
        }
        if let Some(is_approved) = people.domain_approved {
            facts.tell("guest_domain_approved", is_approved, Origin::Site);
        }
        if people.mfa_exempt && assurance.is_none() {
            facts.tell("mfa_result", "exempt", Origin::Site);
        }
    }
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    if let Some(failed) = book.attempts_recent(account, ask.at) {
        facts.tell("failed_attempts_recent", count(failed), Origin::Evidence);
    }
    if let Some(invited) = book.invitations_recent(account, ask.at) {
        facts.tell("invites_7d", count(invited), Origin::Register);
    }
    if let Some(is_suspected) = book.suspicion_of(account) {
        facts.tell("compromise_suspected", is_suspected, Origin::Register);
    }
}

/// Whether this looks like the account, and like its session.
fn pattern(
    facts: &mut Facts<'_>,
    site: &Site,
    ask: &Ask,
    here: &Here<'_>,
    who: &Who<'_>,
    usual: Option<&Account>,
) {
    let agent = ask.user_agent.as_deref().and_then(book::agent);
    let local = Local::of(ask.at, site.offset_minutes());
    let today = local.day;
    let (mut odd, mut even) = (0, 0);
    let mut weigh = |usual: Usual| {
        odd += usize::from(usual == Usual::No);
        even += usize::from(usual == Usual::Yes);
        usual
    };
    let is_relay = here.network.is_relay();
    let of_network = match (usual, here.network_number) {
        (Some(account), Some(network)) => weigh(account.network(network, today)),
        _ => Usual::Unknown,
    };
    let of_agent = match (usual, agent) {
        (Some(account), Some(agent)) => weigh(account.agent(agent, today)),
        _ => Usual::Unknown,
    };
    if let Some(account) = usual {
        if here.is_abroad != Some(true) {
            weigh(account.time(local));
        }
        if let Some(country) = here.country.filter(|_| !is_relay) {
            weigh(account.country(country));
        }
        if let Some(device) = who.device {
            weigh(account.device(device, today));
        }
        if account.is_learnt() {
            if odd >= ODD_MIN {
                facts.tell("login_pattern", "different", Origin::Evidence);
            } else if odd == 0 && even >= ODD_MIN {
                facts.tell("login_pattern", "consistent", Origin::Evidence);
            }
        }
    }

    let first_network = who.session.and_then(|session| session.network.as_ref());
    let same_network =
        first_network.zip(here.network_number).map(|(first, now)| first.value == now);
    let src_ip = match (same_network, of_network) {
        (Some(true), _) | (_, Usual::Yes) => Some("known"),
        (_, Usual::No) => Some("mismatch"),
        // A session that moved, of an account whose networks nobody knows yet.
        (Some(false), Usual::Unknown) if !usual.is_some_and(Account::is_learnt) => Some("mismatch"),
        (_, Usual::Unknown) => None,
    };
    if let Some(src_ip) = src_ip {
        facts.tell("src_ip", src_ip, Origin::Evidence);
    }

    let first_agent = who.session.and_then(|session| session.agent.as_ref());
    let same_agent = first_agent.map(|first| Some(first.value) == agent);
    let is_consistent = match (same_agent, of_agent) {
        (Some(same), _) => Some(same),
        (None, Usual::Yes) => Some(true),
        (None, Usual::No) => Some(false),
        (None, Usual::Unknown) => None,
    };
    if let Some(is_consistent) = is_consistent {
        facts.tell("user_agent_consistent", is_consistent, Origin::Evidence);
    }
}

/// What the session does.
fn conduct(facts: &mut Facts<'_>, ask: &Ask, session: &Session, usual: Option<&Account>) {
    facts.tell("mobility", session.mobility(ask.at).as_str(), Origin::Evidence);
    facts.tell("repeated_access", session.is_refused_often(ask.at), Origin::Evidence);
    let limit = usual.and_then(Account::volume_limit);
    if let Some(is_bulk) = session.is_bulk(ask.at, limit) {
        facts.tell("bulk_download", is_bulk, Origin::Evidence);
    }
}

fn travel(
    facts: &mut Facts<'_>,
    book: &Book,
    ask: &Ask,
    here: &Here<'_>,
    who: &Who<'_>,
    usual: Option<&Account>,
) {
    let is_impossible = match (who.session, usual) {
        (Some(session), _) if session.is_impossible(ask.at) => Some(true),
        // A session is somewhere, and can only have gone where there was time to go.
        (Some(session), _) => match (session.sighting, here.sighting) {
            (Some(there), Some(here)) => Some(there.is_impossible_with(&here)),
            (Some(_), None) => Some(false),
            (None, _) => None,
        },
        (None, Some(account)) if book.is_impossible(account, ask.at) => Some(true),
        (None, Some(account)) => here.sighting.and_then(|here| account.is_out_of_reach(&here)),
        (None, None) => None,
    };
    if let Some(is_impossible) = is_impossible {
        facts.tell("impossible_travel", is_impossible, Origin::Evidence);
    }
}

fn device(
    facts: &mut Facts<'_>,
    site: &Site,
    book: &Book,
    ask: &Ask,
    who: &Who<'_>,
    usual: Option<&Account>,
) {
    let first = who.session.and_then(|session| session.device.as_ref()).map(|d| d.value.as_str());
    let Some(device) = who.device.or(first) else { return };
    let known = book.device_of(device);
    let today = Local::of(ask.at, site.offset_minutes()).day;
    // Shown at the beginning and no longer: what was good of it is hearsay now.
    let is_shown = who.device.is_some();
    if is_shown {
        let account = who.account.map(book::name);
        let owner = known.and_then(Device::account);
        let is_same = first.is_none_or(|first| book::name(first) == book::name(device));
        let device_id = if !is_same || (owner.is_some() && owner != account.as_deref()) {
            Some("mismatch")
        } else if owner.is_some() {
            Some("known")
        } else {
            match usual.map_or(Usual::Unknown, |account| account.device(device, today)) {
                Usual::Yes => Some("known"),
                Usual::No if is_elsewhere(book, usual, known) => Some("mismatch"),
                Usual::No => Some("new"),
                Usual::Unknown => None,
            }
        };
        if let Some(device_id) = device_id {
            facts.tell("device_id", device_id, Origin::Evidence);
        }
    }
    let Some(known) = known else {
        if book.sizes().devices > 0 {
            facts.tell("device_registered", false, Origin::Register);
        }
        return;
    };
    for (signal, value) in known.register() {
        facts.tell_aged(signal, value, !is_shown, Origin::Register);
    }
    let mut freshest: Option<Age> = None;
    for (signal, value, age) in known.posture(ask.at) {
        let age = if is_shown { age } else { Age::Stale };
        freshest = Some(freshest.map_or(age, |known| known.min(age)));
        facts.tell_aged(signal, value, age == Age::Stale, Origin::Register);
    }
    if let Some(age) = freshest {
        let age = if age == Age::Fresh { "fresh" } else { "stale" };
        facts.tell("posture_age", age, Origin::Register);
    }
}

/// The account has devices in the register, and this is none of them.
fn is_elsewhere(book: &Book, usual: Option<&Account>, known: Option<&Device>) -> bool {
    let is_registered = |device: &str| book.device_of(device).is_some_and(Device::is_registered);
    !known.is_some_and(Device::is_registered)
        && usual.is_some_and(|account| account.devices().any(is_registered))
}

fn findings(facts: &mut Facts<'_>, book: &Book, ask: &Ask, who: &Who<'_>, usual: Option<&Account>) {
    let about = [
        (EntityKind::Session, who.session_id),
        (EntityKind::Account, who.account),
        (EntityKind::Credential, who.credential),
        (EntityKind::Device, who.device),
    ];
    let gravest =
        about.into_iter().filter_map(|(kind, value)| book.gravest(kind, value?, ask.at)).max();
    let word = match gravest {
        Some(Severity::Critical) => "critical",
        Some(Severity::High) => "high",
        Some(Severity::Medium) => "medium",
        Some(Severity::Low | Severity::Informational) => "low",
        // Of somebody never seen, nothing found is no news.
        None if usual.is_some() || who.session.is_some() => "none",
        None => return,
    };
    facts.tell("live_finding", word, Origin::Evidence);
}

fn resource(facts: &mut Facts<'_>, site: &Site, ask: &Ask, who: &Who<'_>) {
    // Of one too long the worst is assumed, so that nobody grows out of a rule.
    let target = format!("{}:{}", ask.resource_kind, ask.resource_id);
    if target.len().max(ask.action.len()) > TARGET_BYTES_MAX {
        facts.gathered.demands = ResourceDemands {
            sensitivity: Some(Sensitivity::High),
            strict: true,
            ..ResourceDemands::default()
        };
        facts.tell("authorization", "mismatch", Origin::Site);
        facts.wonder(
            "target-too-long",
            "$.resource",
            format!("the resource and action are longer than {TARGET_BYTES_MAX} bytes"),
            "it is judged as the most sensitive and as not granted; send a shorter id",
        );
    } else {
        facts.gathered.demands = site.demands(&ask.resource_kind, &ask.resource_id);
        if let Some(may) = site.grants(who.account, &ask.action, &target) {
            let word = if may { "match" } else { "mismatch" };
            facts.tell("authorization", word, Origin::Site);
        }
    }
    if let Some(sensitivity) = facts.gathered.demands.sensitivity {
        facts.tell("sensitivity", sensitivity.as_str(), Origin::Site);
    }
    if facts.gathered.demands.admin_required {
        facts.tell("admin_required", true, Origin::Site);
    }
}

#[cfg(test)]
mod tests;
