//! What is remembered of one tenant's accounts, sessions and devices: bounded, and the same after the same
//! events. `docs/trust-signals.md` tells which signal comes of what.

mod device;
mod findings;
mod session;
mod shelf;
mod travel;
mod usual;

pub(crate) use device::{Age, Device};
pub use device::{DeviceOwner, DeviceRecord, DeviceType, EdrState, MdmState, PatchState};
pub(crate) use session::Session;
pub use session::{MfaMethod, MfaResult};
pub(crate) use shelf::name;
pub use travel::Place;
pub(crate) use travel::{CLOCK_SKEW_MS, Sighting};
pub(crate) use usual::{Account, Usual};

use crate::site::{Local, Network, Site};
use findings::Findings;
use schema::{
    Diagnostic, Entity, EntityKind, Event, Finding, OutcomeResult, Severity, Timestamp, activity,
    class,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use session::{Assurance, Step};
use shelf::Shelf;
use std::collections::BTreeSet;
use std::net::IpAddr;
use usual::Lesson;
use uuid::Uuid;

/// The form snapshots are written in.
const SNAPSHOT_VERSION: u32 = 1;
/// Failed logins within this are recent.
const ATTEMPTS_WINDOW_MS: i64 = 15 * 60_000;
/// Of one account. The text tells apart up to "more than 10".
const ATTEMPTS_MAX: usize = 32;
const ATTEMPTS_TOLD_MAX: usize = 10;
/// Invitations within this count (sheet 5: "three within a week").
const INVITATIONS_WINDOW_MS: i64 = 7 * 24 * 3_600_000;
const INVITATIONS_MAX: usize = 64;
/// Registered trips of one account; of more, those that end first go.
const TRIPS_MAX: usize = 32;
/// While a finding as grave speaks against an account, nothing it does becomes usual.
const TAINT: Severity = Severity::Medium;
/// User agents beyond this length differ in nothing that matters.
const AGENT_BYTES_MAX: usize = 512;

/// How much is remembered at most, of each kind; the one not heard of for longest is forgotten first.
///
/// Full, a book takes about 300 MB: 2.5 kB an account, 1 kB a session, 2 kB a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BookLimits {
    /// Accounts that have logged in. Failing to log in makes none, so nobody can crowd others out from outside.
    pub accounts: usize,
    /// Accounts somebody failed to log in as.
    pub attempts: usize,
    /// Sessions of known accounts.
    pub sessions: usize,
    pub devices: usize,
    /// Of findings the least grave go first.
    pub findings: usize,
    pub travellers: usize,
    pub inviters: usize,
    pub suspects: usize,
}

impl Default for BookLimits {
    fn default() -> Self {
        BookLimits {
            accounts: 50_000,
            attempts: 20_000,
            sessions: 100_000,
            devices: 50_000,
            findings: 10_000,
            travellers: 10_000,
            inviters: 10_000,
            suspects: 10_000,
        }
    }
}

/// A trip that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    pub account: String,
    /// ISO 3166-1, two capital letters.
    pub country: String,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BookSizes {
    pub accounts: usize,
    pub attempts: usize,
    pub sessions: usize,
    pub devices: usize,
    pub findings: usize,
    pub travellers: usize,
    pub inviters: usize,
    pub suspects: usize,
}

/// One tenant's memory. Fed by events, findings and registers; asked by [`crate::gather`].
///
/// Whatever is fed gives back the entities whose trust it may have changed: those to judge again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Book {
    version: u32,
    accounts: Shelf<Account>,
    attempts: Shelf<Vec<Timestamp>>,
    sessions: Shelf<Session>,
    devices: Shelf<Device>,
    findings: Findings,
    trips: Shelf<Vec<(String, Timestamp, Timestamp)>>,
    invitations: Shelf<Vec<(Timestamp, u64)>>,
    suspects: Shelf<(bool, Timestamp)>,
}

impl Book {
    pub fn new(limits: BookLimits) -> Self {
        Book {
            version: SNAPSHOT_VERSION,
            accounts: Shelf::new(limits.accounts),
            attempts: Shelf::new(limits.attempts),
            sessions: Shelf::new(limits.sessions),
            devices: Shelf::new(limits.devices),
            findings: Findings::new(limits.findings),
            trips: Shelf::new(limits.travellers),
            invitations: Shelf::new(limits.inviters),
            suspects: Shelf::new(limits.suspects),
        }
    }

    /// The whole memory as JSON: read again by [`Book::restore`], it gives the same readings.
    pub fn snapshot(&self) -> Result<Vec<u8>, Diagnostic> {
        serde_json::to_vec(self).map_err(|error| {
            Diagnostic::new("snapshot-failed", "$", error.to_string())
                .hint("this is a fault of ours; please tell us")
        })
    }

    /// Reads a snapshot; it brings its own limits.
    pub fn restore(snapshot: &[u8]) -> Result<Book, Diagnostic> {
        let hint = "leave it out; the book fills again from events and registers";
        let book: Book = serde_json::from_slice(snapshot).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            Diagnostic::new("bad-snapshot", place, error.to_string()).hint(hint)
        })?;
        if book.version != SNAPSHOT_VERSION {
            let message = format!("a snapshot of version {} cannot be read", book.version);
            return Err(Diagnostic::new("bad-snapshot", "$.version", message).hint(hint));
        }
        Ok(book)
    }

    pub fn sizes(&self) -> BookSizes {
        BookSizes {
            accounts: self.accounts.len(),
            attempts: self.attempts.len(),
            sessions: self.sessions.len(),
            devices: self.devices.len(),
            findings: self.findings.len(),
            travellers: self.trips.len(),
            inviters: self.invitations.len(),
            suspects: self.suspects.len(),
        }
    }

    /// Takes in a login or a request. `place` is where its address lies; without it, what the event itself
    /// tells (`src_endpoint.location`) does. Other classes of events teach nothing.
    pub fn observe(&mut self, event: &Event, site: &Site, place: Option<&Place>) -> Vec<Entity> {
        if !matches!(event.class_uid, class::AUTHENTICATION | class::HTTP_ACTIVITY) {
            return Vec::new();
        }
        let own = if place.is_none() { Place::of(event) } else { None };
        let deed = Deed::of(event, site, place.or(own.as_ref()));
        let mut told = BTreeSet::new();
        match (deed.kind, deed.result) {
            (Kind::Login, OutcomeResult::Failure) => {
                if let Some(account) = deed.tried
                    && self.fail(account, deed.at, deed.times)
                {
                    told.insert(Entity::new(EntityKind::Account, account));
                }
            }
            (Kind::Login, OutcomeResult::Success) => {
                if let Some(account) = deed.account {
                    self.login(account, &deed, site, &mut told);
                }
            }
            (Kind::StepUp, OutcomeResult::Success | OutcomeResult::Failure) => {
                let proved = deed.result == OutcomeResult::Success;
                let result = if proved { MfaResult::Success } else { MfaResult::Fail };
                if let Some(session) = deed.session
                    && (deed.account.is_some() || self.sessions.get(session).is_some())
                {
                    self.session(session, deed.account).assure(Assurance {
                        result,
                        method: deed.method,
                        at: deed.at,
                    });
                    told.insert(Entity::new(EntityKind::Session, session));
                }
            }
            _ => {}
        }
        self.step(&deed, &mut told);
        told.into_iter().collect()
    }

    /// A finding speaks against its entities for 24 hours, or until it is closed.
    pub fn finding(&mut self, finding: &Finding) -> Vec<Entity> {
        if finding.is_shadow() {
            return Vec::new();
        }
        self.findings.open(finding)
    }

    /// Its incident was closed, or it was a mistake.
    pub fn finding_closed(&mut self, finding: Uuid) -> Vec<Entity> {
        self.findings.close(finding)
    }

    /// Every finding that speaks against `entity` is done with.
    pub fn findings_closed_about(&mut self, entity: &Entity) -> Vec<Entity> {
        self.findings.close_about(entity)
    }

    /// Takes in what a device register or an agent reports.
    pub fn device(&mut self, record: &DeviceRecord) -> Vec<Entity> {
        if record.id.is_empty() {
            return Vec::new();
        }
        self.devices.entry(&record.id, Device::default).report(record);
        vec![Entity::new(EntityKind::Device, record.id.as_str())]
    }

    /// The register no longer has the device: what was reported of it is forgotten, as it would be
    /// by a restart.
    pub fn device_withdrawn(&mut self, id: &str) -> Vec<Entity> {
        match self.devices.get_mut(id) {
            Some(device) => *device = Device::default(),
            None => return Vec::new(),
        }
        vec![Entity::new(EntityKind::Device, id)]
    }

    pub fn trip(&mut self, trip: &Trip) -> Vec<Entity> {
        let trips = self.trips.entry(&trip.account, Vec::new);
        let entry = (name(&trip.country).into_owned(), trip.from, trip.until);
        if !trips.contains(&entry) {
            trips.push(entry);
        }
        if trips.len() > TRIPS_MAX {
            let ends_first = trips.iter().enumerate().min_by_key(|(_, (_, _, until))| *until);
            if let Some((place, _)) = ends_first {
                trips.remove(place);
            }
        }
        vec![Entity::new(EntityKind::Account, trip.account.as_str())]
    }

    /// The trip does not take place.
    pub fn trip_cancelled(&mut self, trip: &Trip) -> Vec<Entity> {
        if let Some(trips) = self.trips.get_mut(&trip.account) {
            let gone = (name(&trip.country).into_owned(), trip.from, trip.until);
            trips.retain(|known| *known != gone);
        }
        vec![Entity::new(EntityKind::Account, trip.account.as_str())]
    }

    /// `inviter` did not let `guest` in after all.
    pub fn invitation_withdrawn(
        &mut self,
        inviter: &str,
        guest: &str,
        at: Timestamp,
    ) -> Vec<Entity> {
        if let Some(invitations) = self.invitations.get_mut(inviter) {
            let gone = (at, digest(guest.as_bytes()));
            invitations.retain(|known| *known != gone);
        }
        vec![Entity::new(EntityKind::Account, inviter)]
    }

    /// `inviter` let `guest` in.
    pub fn invitation(&mut self, inviter: &str, guest: &str, at: Timestamp) -> Vec<Entity> {
        let invitations = self.invitations.entry(inviter, Vec::new);
        let entry = (at, digest(guest.as_bytes()));
        if let Err(place) = invitations.binary_search(&entry) {
            invitations.insert(place, entry);
        }
        if invitations.len() > INVITATIONS_MAX {
            invitations.remove(0);
        }
        vec![Entity::new(EntityKind::Account, inviter)]
    }

    /// How a session authenticated, as an identity provider tells it. The latest word holds, for 12 hours.
    pub fn assurance(
        &mut self,
        session: &str,
        result: MfaResult,
        method: Option<MfaMethod>,
        at: Timestamp,
    ) -> Vec<Entity> {
        self.session(session, None).assure(Assurance { result, method, at });
        vec![Entity::new(EntityKind::Session, session)]
    }

    /// Somebody who knows suspects that an account is in the wrong hands, or no longer does.
    pub fn suspicion(&mut self, account: &str, is_suspected: bool, at: Timestamp) -> Vec<Entity> {
        let known = self.suspects.entry(account, || (is_suspected, at));
        if known.1 <= at {
            *known = (is_suspected, at);
        }
        vec![Entity::new(EntityKind::Account, account)]
    }

    fn session(&mut self, session: &str, account: Option<&str>) -> &mut Session {
        let account = account.map(name);
        let known =
            self.sessions.entry(session, || Session::of(account.as_deref().unwrap_or_default()));
        if let Some(account) = account
            && known.account != account
        {
            // Another account under the same id is another session; one nobody had named stays.
            if !known.account.is_empty() {
                *known = Session::default();
            }
            known.account = account.into_owned();
        }
        known
    }

    /// Whether the number still told more than the one before.
    fn fail(&mut self, account: &str, at: Timestamp, times: usize) -> bool {
        let before = self.attempts_recent(account, at).unwrap_or(0);
        let attempts = self.attempts.entry(account, Vec::new);
        let place = attempts.partition_point(|known| *known <= at);
        attempts.splice(place..place, std::iter::repeat_n(at, times.min(ATTEMPTS_MAX)));
        if let Some(more) = attempts.len().checked_sub(ATTEMPTS_MAX) {
            attempts.drain(..more);
        }
        before <= ATTEMPTS_TOLD_MAX
    }

    fn login(&mut self, account: &str, deed: &Deed<'_>, site: &Site, told: &mut BTreeSet<Entity>) {
        let is_tainted = self.is_tainted(account, deed.at);
        let known = self.accounts.entry(account, Account::default);
        let mut impossible = Vec::new();
        if let Some(sighting) = deed.sighting {
            impossible = known.arrive(sighting, deed.session);
        }
        if impossible.is_empty() && !is_tainted {
            known.learn(&Lesson {
                at: deed.at,
                local: Local::of(deed.at, site.offset_minutes()),
                country: deed.country,
                network: deed.network,
                device: deed.device,
                agent: deed.agent,
            });
        } else if !impossible.is_empty() {
            known.impossible_at = known.impossible_at.max(Some(deed.at));
        }
        if let Some(session) = deed.session {
            told.insert(Entity::new(EntityKind::Session, session));
            let renewed = self.session(session, Some(account));
            renewed.renew(deed.at);
            if let Some(result) = deed.mfa {
                renewed.assure(Assurance { result, method: deed.method, at: deed.at });
            }
        }
        if !impossible.is_empty() {
            // Which of them is the account's owner, nobody can tell from here: all have to prove themselves.
            let involved = impossible.into_iter().flatten().chain(deed.session.map(str::to_owned));
            for session in involved {
                if let Some(known) = self.sessions.get_mut(&session) {
                    known.impossible_at = known.impossible_at.max(Some(deed.at));
                }
                told.insert(Entity::new(EntityKind::Session, session));
            }
            told.insert(Entity::new(EntityKind::Account, account));
        }
    }

    /// What an event tells of its session.
    fn step(&mut self, deed: &Deed<'_>, told: &mut BTreeSet<Entity>) {
        let Some(session) = deed.session else { return };
        let is_named = deed.account.is_some() && deed.result != OutcomeResult::Failure;
        // A session nobody vouches for is a stranger's invention, and takes no room.
        if !is_named && self.sessions.get(session).is_none() {
            return;
        }
        let account = self.session(session, deed.account.filter(|_| is_named)).account.clone();
        let is_tainted = self.is_tainted(&account, deed.at);
        let mut usual = self.accounts.get_mut(&account);
        let limit = usual.as_ref().and_then(|account| account.volume_limit());
        let Some(known) = self.sessions.get_mut(session) else { return };
        let state = |known: &Session| {
            (known.impossible_at, known.is_refused_often(deed.at), known.is_bulk(deed.at, limit))
        };
        let before = state(known);
        let ended = known.step(&Step {
            at: deed.at,
            network: deed.network,
            device: deed.device,
            agent: deed.agent,
            sighting: deed.sighting,
            is_refused: deed.is_refused,
            bytes: deed.bytes,
        });
        if before != state(known) {
            told.insert(Entity::new(EntityKind::Session, session));
        }
        if let (Some(bytes), Some(account), false) = (ended, usual.as_mut(), is_tainted) {
            account.read(bytes);
        }
    }

    fn is_tainted(&self, account: &str, at: Timestamp) -> bool {
        self.findings.gravest(EntityKind::Account, account, at) >= Some(TAINT)
    }

    pub(crate) fn account_of(&self, account: &str) -> Option<&Account> {
        self.accounts.get(account)
    }

    pub(crate) fn session_of(&self, session: &str) -> Option<&Session> {
        self.sessions.get(session)
    }

    pub(crate) fn device_of(&self, device: &str) -> Option<&Device> {
        self.devices.get(device)
    }

    pub(crate) fn gravest(&self, kind: EntityKind, value: &str, at: Timestamp) -> Option<Severity> {
        self.findings.gravest(kind, value, at)
    }

    /// Failed logins lately; `None` of an account nothing is known of.
    pub(crate) fn attempts_recent(&self, account: &str, at: Timestamp) -> Option<usize> {
        match self.attempts.get(account) {
            Some(attempts) => Some(
                attempts.iter().filter(|told| is_recent(**told, at, ATTEMPTS_WINDOW_MS)).count(),
            ),
            None => self.accounts.get(account).map(|_| 0),
        }
    }

    pub(crate) fn invitations_recent(&self, inviter: &str, at: Timestamp) -> Option<usize> {
        let invitations = self.invitations.get(inviter)?;
        let recent =
            invitations.iter().filter(|(told, _)| is_recent(*told, at, INVITATIONS_WINDOW_MS));
        Some(recent.count())
    }

    /// Whether a trip there was announced; `None` where nobody keeps such a register.
    pub(crate) fn is_travelling(
        &self,
        account: &str,
        country: &str,
        at: Timestamp,
    ) -> Option<bool> {
        if self.trips.len() == 0 {
            return None;
        }
        let trips = self.trips.get(account).map(Vec::as_slice).unwrap_or_default();
        Some(trips.iter().any(|(to, from, until)| to == country && (*from..=*until).contains(&at)))
    }

    pub(crate) fn suspicion_of(&self, account: &str) -> Option<bool> {
        self.suspects.get(account).map(|(is_suspected, _)| *is_suspected)
    }

    /// Whether the account arrived from where it cannot have come from, lately.
    pub(crate) fn is_impossible(&self, account: &Account, at: Timestamp) -> bool {
        account
            .impossible_at
            .is_some_and(|told| at.saturating_sub(told) < session::IMPOSSIBLE_TTL_MS)
    }
}

fn is_recent(told: Timestamp, at: Timestamp, window_ms: i64) -> bool {
    (-CLOCK_SKEW_MS..window_ms).contains(&at.saturating_sub(told))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Login,
    StepUp,
    Other,
}

/// One event as the book looks at it.
struct Deed<'a> {
    at: Timestamp,
    kind: Kind,
    result: OutcomeResult,
    /// How often it happened: syslog joins repeated messages.
    times: usize,
    /// The account it is about, whoever claims it.
    tried: Option<&'a str>,
    /// The same where somebody checked the claim.
    account: Option<&'a str>,
    session: Option<&'a str>,
    device: Option<&'a str>,
    agent: Option<u64>,
    network: Option<u64>,
    country: Option<&'a str>,
    sighting: Option<Sighting>,
    is_refused: bool,
    bytes: u64,
    mfa: Option<MfaResult>,
    method: Option<MfaMethod>,
}

impl<'a> Deed<'a> {
    fn of(event: &'a Event, site: &Site, place: Option<&'a Place>) -> Self {
        // A source's clock may be wrong; ours is what windows go by.
        let at = match event.received {
            0 => event.time,
            received => event.time.min(received.saturating_add(CLOCK_SKEW_MS)),
        };
        let address: Option<IpAddr> = event.src_ip.as_deref().and_then(|text| text.parse().ok());
        let known = address.map_or_else(Network::default, |address| site.network(address));
        // What comes out of a relay is where the relay is.
        let place = place.filter(|_| !known.is_relay());
        let action = event.outcome_action.as_deref();
        let is_authentication = event.class_uid == class::AUTHENTICATION;
        let kind = match action {
            Some("login" | "token-issue") => Kind::Login,
            Some("step-up") => Kind::StepUp,
            _ if is_authentication && event.activity_id == activity::LOGON => Kind::Login,
            _ => Kind::Other,
        };
        let result = match (event.outcome_result(), event.status_id) {
            (OutcomeResult::Unknown, Some(1)) if is_authentication => OutcomeResult::Success,
            (OutcomeResult::Unknown, Some(2)) if is_authentication => OutcomeResult::Failure,
            (result, _) => result,
        };
        let some = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        let tried = some(&event.account);
        let is_unverified = event.rest.get("plura").and_then(|p| p.get("account_from")).is_some();
        let told = |name: &str| event.rest.get(name);
        Deed {
            at,
            kind,
            result,
            times: told("count").and_then(Json::as_u64).map_or(1, |n| n.clamp(1, 1_000) as usize),
            tried,
            account: tried.filter(|_| !is_unverified),
            session: some(&event.session),
            device: device(event),
            agent: event.user_agent.as_deref().and_then(agent),
            network: address.map(network),
            country: place.and_then(Place::country),
            sighting: place.and_then(Place::position).map(|position| Sighting {
                at,
                position,
                is_mobile: known.is_mobile(),
            }),
            is_refused: kind == Kind::Other && matches!(event.http_code, Some(401 | 403)),
            bytes: event.response_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
            mfa: told("is_mfa")
                .and_then(Json::as_bool)
                .map(|is_mfa| if is_mfa { MfaResult::Success } else { MfaResult::NotUsed }),
            method: told("auth_factors").and_then(Json::as_array).and_then(|list| method(list)),
        }
    }
}

/// The device somebody uses: OCSF's `src_endpoint.uid`. What OCSF calls `device` is theirs only in what a site
/// reports of its visitors; in a host's log it is the host.
fn device(event: &Event) -> Option<&str> {
    let source = event.rest.get("src_endpoint").and_then(|source| source.get("uid"));
    let named = source.and_then(Json::as_str);
    let visitor = event.site.as_ref().and(event.device_uid.as_deref().or(event.device.as_deref()));
    named.or(visitor).filter(|text| !text.is_empty())
}

/// The strongest factor used, by OCSF's `factor_type_id`: 9 U2F and 10 WebAuthn are bound to the site's name,
/// 5 is a push notification; 6 token, 7 OTP and 8 mail are codes, as are 1 SMS and 3 phone call, which the
/// telephone network carries.
fn method(factors: &[Json]) -> Option<MfaMethod> {
    let of = |factor: &Json| match factor.get("factor_type_id")?.as_i64()? {
        9 | 10 => Some(MfaMethod::PhishingResistant),
        5 => Some(MfaMethod::Push),
        6..=8 => Some(MfaMethod::Otp),
        1 | 3 => Some(MfaMethod::Sms),
        _ => None,
    };
    factors.iter().filter_map(of).min()
}

/// A user agent without its versions: an update is no other program.
pub(crate) fn agent(text: &str) -> Option<u64> {
    let letters: Vec<u8> = text
        .bytes()
        .take(AGENT_BYTES_MAX)
        .filter(|byte| !byte.is_ascii_digit() && !matches!(byte, b'.' | b'_' | b' '))
        .collect();
    (!letters.is_empty()).then(|| digest(&letters))
}

/// The network of an address: what a provider hands out of one hand, so that a new lease is not a new place.
/// /16 of IPv4; /32 of IPv6, the least a provider is given (RIPE-738 §5.1).
pub(crate) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(u32::from(v4) >> 16) | 4 << 40,
        IpAddr::V6(v6) => (u128::from(v6) >> 96) as u64 | 6 << 40,
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let digest = schema::sha256(bytes);
    digest.0.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
