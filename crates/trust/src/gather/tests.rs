//! Stories: what happened, then what is known of the next access.

use super::*;
use crate::{BookLimits, DeviceOwner, DeviceRecord, EdrState, MfaMethod, PatchState, Policy, Trip};
use schema::{AttackRef, Entity, Event, Finding, OutcomeResult, class, parse_time};
use serde_json::json;
use std::sync::LazyLock;
use uuid::Uuid;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0";

fn time(text: &str) -> Timestamp {
    parse_time(text).unwrap()
}

/// Latitude, longitude, radius.
fn city(name: &str) -> Place {
    let (country, latitude, longitude, accuracy_km) = match name {
        "Seoul" => ("KR", 37.5665, 126.978, 20),
        "Tokyo" => ("JP", 35.6762, 139.6503, 20),
        "New York" => ("US", 40.7128, -74.006, 20),
        other => panic!("where is {other}?"),
    };
    Place {
        country: Some(country.to_owned()),
        latitude: Some(latitude),
        longitude: Some(longitude),
        accuracy_km: Some(accuracy_km),
    }
}

static POLICY: LazyLock<Policy> = LazyLock::new(Policy::shipped);

struct Desk {
    site: Site,
    book: Book,
}

impl Desk {
    fn new(site: &str) -> Self {
        Desk {
            site: Site::parse("site.yaml", site).unwrap(),
            book: Book::new(BookLimits::default()),
        }
    }

    fn request(
        &mut self,
        at: Timestamp,
        session: &str,
        city_name: &str,
        change: impl FnOnce(&mut Event),
    ) {
        let mut event = Event {
            class_uid: class::HTTP_ACTIVITY,
            time: at,
            site: Some("shop".to_owned()),
            account: Some("kim".to_owned()),
            session: Some(session.to_owned()),
            src_ip: Some("203.0.113.9".to_owned()),
            user_agent: Some(CHROME.to_owned()),
            outcome: Some("success".to_owned()),
            outcome_action: Some("read".to_owned()),
            http_code: Some(200),
            ..Event::default()
        };
        change(&mut event);
        self.book.observe(&event, &self.site, Some(&city(city_name)));
    }

    fn login(&mut self, at: Timestamp, session: &str, city_name: &str) {
        self.request(at, session, city_name, |event| {
            event.outcome_action = Some("login".to_owned());
        });
    }

    /// Two working weeks in Seoul, at half past nine and half past one there.
    fn two_weeks(&mut self) {
        for day in [2, 3, 4, 5, 6, 9, 10, 11, 12, 13] {
            for hour in ["00", "04"] {
                let at = time(&format!("2026-11-{day:02}T{hour}:30:00Z"));
                self.login(at, &format!("{day}-{hour}"), "Seoul");
            }
        }
    }

    fn ask(&self, at: Timestamp, session: &str, city_name: &str) -> Ask {
        Ask {
            subject_kind: "session".to_owned(),
            subject_id: session.to_owned(),
            account: Some("kim".to_owned()),
            action: "GET".to_owned(),
            resource_kind: "route".to_owned(),
            resource_id: "shop/GET /orders".to_owned(),
            address: Some("203.0.113.9".parse().unwrap()),
            user_agent: Some(CHROME.to_owned()),
            place: Some(city(city_name)),
            at,
            ..Ask::default()
        }
    }

    fn gather(&self, ask: &Ask) -> Gathered {
        let gathered = gather(&self.site, &self.book, ask, &|signal, left, right| {
            POLICY.is_worse(signal, left, right)
        });
        POLICY.state(&gathered.readings).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
        assert!(gathered.readings.keys().eq(gathered.origins.keys()));
        gathered
    }

    fn says(&self, ask: &Ask, signal: &str) -> String {
        match self.gather(ask).readings.get(signal) {
            None => "unknown".to_owned(),
            Some(Reading { value, is_silent: true }) => format!("{value}, silent"),
            Some(Reading { value, .. }) => value.to_string(),
        }
    }
}

fn finding(
    rule: &str,
    severity: Severity,
    entities: &[(EntityKind, &str)],
    at: Timestamp,
) -> Finding {
    Finding {
        id: Uuid::from_u128(u128::from(rule.len() as u64) << 64 | at as u128),
        rule: rule.to_owned(),
        rule_version: 1,
        analytic: None,
        time: at,
        first_seen: at,
        last_seen: at,
        severity,
        confidence: 80,
        entities: entities.iter().map(|(kind, value)| Entity::new(*kind, *value)).collect(),
        site: None,
        outcome: OutcomeResult::Success,
        outcome_reason: None,
        attack: Vec::new(),
        evidence: Vec::new(),
        evidence_total: 0,
        numbers: BTreeMap::new(),
    }
}

#[test]
fn nobody_is_in_seoul_and_two_hours_later_in_new_york() {
    let mut desk = Desk::new("");
    let morning = time("2026-11-16T00:30:00Z");
    desk.login(morning, "home", "Seoul");
    assert_eq!(desk.says(&desk.ask(morning, "home", "Seoul"), "impossible_travel"), "false");
    desk.login(morning + 2 * HOUR, "away", "New York");
    // A second factor given with that very login may have been talked out of kim.
    desk.book.assurance("away", MfaResult::Success, None, morning + 2 * HOUR);
    let at = morning + 3 * HOUR;
    for (session, place) in [("home", "Seoul"), ("away", "New York")] {
        let ask = desk.ask(at, session, place);
        assert_eq!(desk.says(&ask, "impossible_travel"), "true", "{session}");
    }
    // Whoever proves to be kim is.
    desk.book.assurance("home", MfaResult::Success, Some(MfaMethod::Push), at);
    assert_eq!(desk.says(&desk.ask(at, "home", "Seoul"), "impossible_travel"), "false");
    assert_eq!(desk.says(&desk.ask(at, "away", "New York"), "impossible_travel"), "true");
}

#[test]
fn a_flight_is_possible_and_the_login_that_came_late_changes_nothing() {
    let mut desk = Desk::new("");
    let morning = time("2026-11-16T00:30:00Z");
    desk.login(morning, "home", "Seoul");
    desk.login(morning + 14 * HOUR, "away", "New York");
    assert_eq!(
        desk.says(&desk.ask(morning + 15 * HOUR, "away", "New York"), "impossible_travel"),
        "false"
    );
    // A login in Seoul between them, delivered an hour after: it does not fit New York.
    desk.login(morning + 12 * HOUR, "late", "Seoul");
    let ask = desk.ask(morning + 15 * HOUR, "away", "New York");
    assert_eq!(desk.says(&ask, "impossible_travel"), "true");
}

#[test]
fn a_session_cannot_jump_and_a_vpn_is_not_where_its_users_are() {
    let mut desk = Desk::new("networks: [{cidr: 198.51.100.0/24, vpn: true}]");
    let morning = time("2026-11-16T00:30:00Z");
    desk.login(morning, "home", "Seoul");
    let mut ask = desk.ask(morning + HOUR, "home", "New York");
    assert_eq!(desk.says(&ask, "impossible_travel"), "true", "the cookie went without its owner");
    ask.address = Some("198.51.100.7".parse().unwrap());
    assert_eq!(desk.says(&ask, "impossible_travel"), "false");
    assert_eq!(desk.says(&ask, "vpn_used"), "true");
    desk.request(morning + HOUR, "home", "New York", |event| {
        event.src_ip = Some("198.51.100.7".to_owned());
    });
    assert_eq!(desk.says(&desk.ask(morning + HOUR, "home", "Seoul"), "impossible_travel"), "false");
}

#[test]
fn usual_hours_are_learnt_and_not_guessed() {
    let mut desk = Desk::new("countries: {home: [KR]}");
    // Eleven in the morning and three at night in Seoul, of a Monday.
    let (night, day) = (time("2026-11-16T18:00:00Z"), time("2026-11-16T02:00:00Z"));
    desk.login(time("2026-11-02T00:30:00Z"), "first", "Seoul");
    assert_eq!(desk.says(&desk.ask(night, "x", "Seoul"), "work_hours"), "unknown", "learning");
    desk.two_weeks();
    assert_eq!(desk.says(&desk.ask(day, "x", "Seoul"), "work_hours"), "true");
    assert_eq!(desk.says(&desk.ask(night, "x", "Seoul"), "work_hours"), "false");
    // One night of many logins does not make nights usual.
    for minute in 0..30 {
        desk.login(night - 3 * DAY + minute * 60_000, "night", "Seoul");
    }
    assert_eq!(desk.says(&desk.ask(night, "x", "Seoul"), "work_hours"), "false");
}

#[test]
fn working_hours_are_the_tenants_and_whoever_works_nights_does() {
    let site = r#"
countries: {home: [KR], allowed: [US]}
hours: {timezone: Asia/Seoul, from: "09:00", to: "18:00"}
"#;
    let mut desk = Desk::new(site);
    let (noon, night) = (time("2026-11-16T03:00:00Z"), time("2026-11-16T15:00:00Z"));
    assert_eq!(desk.says(&desk.ask(noon, "x", "Seoul"), "work_hours"), "true");
    assert_eq!(desk.says(&desk.ask(night, "x", "Seoul"), "work_hours"), "false");
    // Noon in Seoul is 22:00 in New York; half past nine there is half past eleven at night here.
    assert_eq!(desk.says(&desk.ask(noon, "x", "New York"), "work_hours"), "false");
    let there = time("2026-11-16T17:00:00Z");
    assert_eq!(desk.says(&desk.ask(there, "x", "New York"), "work_hours"), "true");
    for day in 2..14 {
        desk.login(time(&format!("2026-11-{day:02}T15:10:00Z")), "night shift", "Seoul");
    }
    assert_eq!(desk.says(&desk.ask(night, "x", "Seoul"), "work_hours"), "true");
}

#[test]
fn what_is_usual_and_what_is_not() {
    let mut desk = Desk::new("countries: {home: [KR], allowed: [JP]}");
    let monday = time("2026-11-16T00:40:00Z");
    desk.two_weeks();
    desk.login(monday, "today", "Seoul");
    let ask = desk.ask(monday + HOUR, "today", "Seoul");
    for (signal, value) in [
        ("login_pattern", "consistent"),
        ("geo_usual", "true"),
        ("geo_policy", "allowed"),
        ("geo_abroad", "false"),
        ("src_ip", "known"),
        ("user_agent_consistent", "true"),
        ("failed_attempts_recent", "0"),
        ("live_finding", "none"),
        ("mobility", "still"),
    ] {
        assert_eq!(desk.says(&ask, signal), value, "{signal}");
    }
    // The browser was updated overnight: the same browser.
    let updated = Ask { user_agent: Some(CHROME.replace("131", "132")), ..ask.clone() };
    assert_eq!(desk.says(&updated, "user_agent_consistent"), "true");
    // Somebody else's machine, network and country.
    let other = Ask {
        user_agent: Some("curl/8.5.0".to_owned()),
        address: Some("192.0.2.77".parse().unwrap()),
        place: Some(city("Tokyo")),
        session: None,
        subject_kind: "user".to_owned(),
        subject_id: "kim".to_owned(),
        ..ask
    };
    for (signal, value) in [
        ("login_pattern", "different"),
        ("geo_usual", "false"),
        ("geo_abroad", "true"),
        ("src_ip", "mismatch"),
        ("user_agent_consistent", "false"),
    ] {
        assert_eq!(desk.says(&other, signal), value, "{signal}");
    }
}

#[test]
fn a_registered_trip_is_known_as_long_as_it_lasts() {
    let mut desk = Desk::new("countries: {home: [KR], allowed: [JP]}");
    let at = time("2026-11-16T03:00:00Z");
    let abroad = desk.ask(at, "x", "New York");
    assert_eq!(desk.says(&abroad, "travel_registered"), "unknown", "no such register");
    let trip = |account: &str| Trip {
        account: account.to_owned(),
        country: "US".to_owned(),
        from: at - DAY,
        until: at + DAY,
    };
    desk.book.trip(&trip("lee"));
    assert_eq!(desk.says(&abroad, "travel_registered"), "false");
    desk.book.trip(&trip("kim"));
    assert_eq!(desk.says(&abroad, "travel_registered"), "true");
    assert_eq!(desk.says(&desk.ask(at, "x", "Tokyo"), "travel_registered"), "false");
    assert_eq!(desk.says(&desk.ask(at, "x", "Seoul"), "travel_registered"), "unknown", "at home");
    let after = desk.ask(at + 2 * DAY, "x", "New York");
    assert_eq!(desk.says(&after, "travel_registered"), "false");
    assert_eq!(desk.says(&abroad, "geo_policy"), "neutral", "what it relaxes, the policy says");
}

fn laptop(at: Timestamp) -> DeviceRecord {
    DeviceRecord {
        id: "laptop-7".to_owned(),
        account: Some("kim".to_owned()),
        owner: Some(DeviceOwner::Company),
        registered: Some(true),
        patch_state: Some(PatchState::Latest),
        edr_state: Some(EdrState::Healthy),
        reported_at: at,
        ..DeviceRecord::default()
    }
}

#[test]
fn posture_falls_silent_and_bad_news_does_not() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.book.device(&laptop(at));
    let shown = |hours: i64| Ask {
        device: Some("laptop-7".to_owned()),
        ..desk.ask(at + hours * HOUR, "x", "Seoul")
    };
    let (fresh, stale) = (shown(23), shown(25));
    for (signal, before, after) in [
        ("patch_state", "latest", "latest, silent"),
        ("edr_state", "healthy", "healthy, silent"),
        ("posture_age", "fresh", "stale"),
        ("device_owner", "company", "company"),
        ("device_registered", "true", "true"),
        ("device_id", "known", "known"),
    ] {
        assert_eq!(desk.says(&fresh, signal), before, "{signal}");
        assert_eq!(desk.says(&stale, signal), after, "{signal}");
    }
    let alert =
        DeviceRecord { edr_state: Some(EdrState::Alert), patch_state: None, ..laptop(at + HOUR) };
    desk.book.device(&alert);
    // The report from before the alert, delivered after it.
    desk.book.device(&laptop(at + HOUR / 2));
    assert_eq!(desk.says(&fresh, "edr_state"), "alert");
    assert_eq!(
        desk.says(&shown_later(&desk, at), "edr_state"),
        "alert",
        "and silence does not mend it"
    );
    // A clock that runs ahead does not keep posture fresh for ever.
    desk.book.device(&laptop(at + 1_000 * DAY));
    assert_eq!(desk.says(&fresh, "patch_state"), "latest, silent");
}

fn shown_later(desk: &Desk, at: Timestamp) -> Ask {
    Ask { device: Some("laptop-7".to_owned()), ..desk.ask(at + 48 * HOUR, "x", "Seoul") }
}

#[test]
fn a_device_shown_at_login_and_no_longer_is_hearsay() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.book.device(&laptop(at));
    desk.request(at, "s", "Seoul", |event| {
        event.outcome_action = Some("login".to_owned());
        event.device_uid = Some("laptop-7".to_owned());
    });
    let silent = desk.ask(at + HOUR, "s", "Seoul");
    let shown = Ask { device: Some("laptop-7".to_owned()), ..silent.clone() };
    assert_eq!(desk.says(&shown, "patch_state"), "latest");
    assert_eq!(desk.says(&silent, "patch_state"), "latest, silent");
    assert_eq!(desk.says(&silent, "device_registered"), "true, silent");
    let other = Ask { device: Some("laptop-8".to_owned()), ..silent };
    assert_eq!(desk.says(&other, "device_id"), "mismatch");
    assert_eq!(desk.says(&other, "device_registered"), "false", "the register does not have it");
    desk.book.device(&DeviceRecord {
        id: "laptop-7".to_owned(),
        stolen_reported: Some(true),
        reported_at: at + HOUR,
        ..DeviceRecord::default()
    });
    assert_eq!(desk.says(&desk.ask(at + HOUR, "s", "Seoul"), "stolen_reported"), "true");
}

#[test]
fn a_device_of_somebody_else_does_not_match() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.two_weeks();
    let with = |device: &str| Ask { device: Some(device.to_owned()), ..desk.ask(at, "x", "Seoul") };
    let (own, new) = (with("laptop-7"), with("phone-1"));
    assert_eq!(desk.says(&new, "device_id"), "unknown", "no device was ever seen");
    desk.book.device(&DeviceRecord { account: Some("lee".to_owned()), ..laptop(at) });
    assert_eq!(desk.says(&own, "device_id"), "mismatch");
    desk.book.device(&laptop(at));
    assert_eq!(desk.says(&own, "device_id"), "known");
    desk.request(at - 3 * DAY, "y", "Seoul", |event| {
        event.outcome_action = Some("login".to_owned());
        event.device_uid = Some("desktop-1".to_owned());
    });
    assert_eq!(desk.says(&new, "device_id"), "new");
    desk.request(at - 3 * DAY, "z", "Seoul", |event| {
        event.outcome_action = Some("login".to_owned());
        event.device_uid = Some("laptop-7".to_owned());
    });
    assert_eq!(desk.says(&new, "device_id"), "mismatch", "kim's own are in the register");
}

#[test]
fn a_finding_speaks_at_once_until_it_expires_or_is_closed() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.login(at, "s", "Seoul");
    let ask = desk.ask(at + HOUR, "s", "Seoul");
    assert_eq!(desk.says(&ask, "live_finding"), "none");
    let leak = finding("leak", Severity::Critical, &[(EntityKind::Session, "s")], at + HOUR);
    let told = desk.book.finding(&leak);
    assert_eq!(told, [Entity::new(EntityKind::Session, "s")]);
    assert_eq!(desk.says(&ask, "live_finding"), "critical");
    assert_eq!(desk.says(&desk.ask(at + HOUR, "other", "Seoul"), "live_finding"), "none");
    let later = |hours| desk.ask(at + HOUR + hours * HOUR, "s", "Seoul");
    assert_eq!(desk.says(&later(23), "live_finding"), "critical");
    assert_eq!(desk.says(&later(24), "live_finding"), "none");
    let probe = finding("probing", Severity::Low, &[(EntityKind::Account, "kim")], at + HOUR);
    desk.book.finding(&probe);
    desk.book.finding_closed(leak.id);
    assert_eq!(desk.says(&ask, "live_finding"), "low");
    desk.book.findings_closed_about(&Entity::new(EntityKind::Account, "kim"));
    assert_eq!(desk.says(&ask, "live_finding"), "none");
}

#[test]
fn failing_to_log_in_as_somebody_does_not_ruin_them() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.login(at, "s", "Seoul");
    let guesses = Finding {
        outcome: OutcomeResult::Failure,
        attack: vec![AttackRef::new("TA0006", "T1110.001")],
        ..finding("guess", Severity::High, &[(EntityKind::Account, "kim")], at)
    };
    desk.book.finding(&guesses);
    assert_eq!(desk.says(&desk.ask(at, "s", "Seoul"), "live_finding"), "low");
    let campaign = |outcome| Finding {
        outcome,
        ..finding(
            "stuffing",
            Severity::High,
            &[(EntityKind::Address, "192.0.2.1"), (EntityKind::Account, "kim")],
            at,
        )
    };
    desk.book.finding(&campaign(OutcomeResult::Failure));
    assert_eq!(desk.says(&desk.ask(at, "s", "Seoul"), "live_finding"), "low");
    desk.book.finding(&campaign(OutcomeResult::Success));
    assert_eq!(desk.says(&desk.ask(at, "s", "Seoul"), "live_finding"), "high", "it got in");
}

#[test]
fn failed_attempts_are_counted_in_their_own_time() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.login(at - HOUR, "s", "Seoul");
    let ask = desk.ask(at, "s", "Seoul");
    let mut fail = |minutes_ago: i64, change: fn(&mut Event)| {
        desk.request(at - minutes_ago * 60_000, "", "Seoul", |event| {
            event.outcome_action = Some("login".to_owned());
            event.outcome = Some("failure".to_owned());
            change(event);
        });
    };
    fail(1, |_| {});
    fail(14, |_| {});
    fail(16, |_| {});
    // A syslog line that stands for three.
    fail(2, |event| {
        event.rest.insert("count".to_owned(), json!(3));
    });
    // A host whose clock is a year ahead is believed to the tolerance.
    fail(-525_600, |event| event.received = event.time - 525_600 * 60_000);
    assert_eq!(desk.says(&ask, "failed_attempts_recent"), "6");
    let later = desk.ask(at + 30 * 60_000, "s", "Seoul");
    assert_eq!(desk.says(&later, "failed_attempts_recent"), "0");
    let nobody = Ask { account: Some("nobody".to_owned()), ..desk.ask(at, "none", "Seoul") };
    assert_eq!(desk.says(&nobody, "failed_attempts_recent"), "unknown");
}

#[test]
fn three_guests_in_a_week() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    let ask = desk.ask(at, "s", "Seoul");
    assert_eq!(desk.says(&ask, "invites_7d"), "unknown");
    for (guest, days_ago) in [("a", 8), ("b", 6), ("c", 3)] {
        desk.book.invitation("kim", guest, at - days_ago * DAY);
    }
    assert_eq!(desk.says(&ask, "invites_7d"), "2");
    desk.book.invitation("kim", "d", at);
    desk.book.invitation("kim", "d", at);
    assert_eq!(desk.says(&ask, "invites_7d"), "3", "told twice, it is one");
    desk.book.invitation("lee", "d", at);
    assert_eq!(desk.says(&ask, "invites_7d"), "3");
}

#[test]
fn who_may_is_known_only_where_somebody_said_so() {
    let grants = r#"
grants: [{subjects: [kim], actions: [GET], resources: ["route:shop/*"]}]
resources: [{name: shop, id: "shop/*", sensitivity: high, required: [mfa_result], profile: strict}]
people: [{accounts: ["*@partner.example"], user_type: guest, domain_approved: true, mfa_exempt: true}]
"#;
    let desk = Desk::new(grants);
    let ask = desk.ask(0, "s", "Seoul");
    assert_eq!(desk.says(&ask, "authorization"), "match");
    assert_eq!(
        desk.says(&Ask { action: "POST".to_owned(), ..ask.clone() }, "authorization"),
        "mismatch"
    );
    assert_eq!(Desk::new("").says(&ask, "authorization"), "unknown");
    let demands = desk.gather(&ask).demands;
    assert!(demands.strict && demands.required.contains("mfa_result"));
    assert_eq!(desk.says(&ask, "sensitivity"), "high");
    let guest = Ask { account: Some("han@partner.example".to_owned()), ..ask.clone() };
    assert_eq!(desk.says(&guest, "user_type"), "guest");
    assert_eq!(desk.says(&guest, "mfa_result"), "exempt");
    assert_eq!(desk.says(&ask, "mfa_result"), "unknown");
    // Nobody grows out of a rule.
    let long = Ask { resource_id: format!("x/{}", "y".repeat(1 << 20)), ..ask };
    let told = desk.gather(&long);
    assert!(told.demands.strict);
    assert_eq!(told.readings["authorization"].value, "mismatch".into());
    assert_eq!(told.diagnostics[0].code, "target-too-long");
}

#[test]
fn a_caller_fills_what_nobody_knows_and_overrules_nobody() {
    let mut desk = Desk::new("networks: [{cidr: 203.0.113.0/24, network_type: home_wifi}]");
    let at = time("2026-11-16T03:00:00Z");
    desk.book.device(&DeviceRecord { edr_state: Some(EdrState::Alert), ..laptop(at) });
    let mut ask = Ask { device: Some("laptop-7".to_owned()), ..desk.ask(at, "s", "Seoul") };
    ask.stated = [
        ("network_type", "corporate".into()),
        ("edr_state", "healthy".into()),
        ("patch_state", "long_unpatched".into()),
        ("disk_encrypt", true.into()),
        ("os_tamper_flag", true.into()),
        ("mfa_result", "success".into()),
        ("mobility", "moving".into()),
    ]
    .into_iter()
    .map(|(name, value): (&str, Reading)| (name.to_owned(), value))
    .collect();
    for (signal, value) in [
        ("network_type", "home_wifi"),
        ("edr_state", "alert"),
        ("patch_state", "long_unpatched"),
        ("disk_encrypt", "unknown"),
        ("os_tamper_flag", "true"),
        ("mfa_result", "unknown"),
        ("mobility", "moving"),
    ] {
        assert_eq!(desk.says(&ask, signal), value, "{signal}");
    }
    let told = desk.gather(&ask);
    assert_eq!(told.origins["patch_state"], Origin::Caller);
    assert_eq!(told.origins["edr_state"], Origin::Register);
    let codes: Vec<&str> = told.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["caller-not-trusted", "overruled", "caller-not-trusted", "overruled"]);

    desk.site = Site::parse(
        "site.yaml",
        "callers: {trusted_signals: [mfa_result, disk_encrypt, edr_state, patch_state]}",
    )
    .unwrap();
    assert_eq!(desk.says(&ask, "mfa_result"), "success");
    assert_eq!(desk.says(&ask, "disk_encrypt"), "true");
    assert_eq!(desk.says(&ask, "edr_state"), "alert", "trusted, and still outweighed");
    // What the register last knew good a week ago, a trusted caller confirms.
    ask.at = at + 7 * DAY;
    ask.stated = Readings::from([("patch_state".to_owned(), "latest".into())]);
    assert_eq!(desk.says(&ask, "patch_state"), "latest");
    desk.site = Site::default();
    assert_eq!(desk.says(&ask, "patch_state"), "latest, silent");
}

#[test]
fn a_session_belongs_to_one_account() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.login(at, "s", "Seoul");
    let ask = Ask { account: Some("boss".to_owned()), ..desk.ask(at, "s", "Seoul") };
    assert_eq!(desk.says(&ask, "identity_uncertain"), "true");
    assert_eq!(desk.gather(&ask).account.as_deref(), Some("kim"));
    assert_eq!(desk.says(&desk.ask(at, "s", "Seoul"), "identity_uncertain"), "unknown");
}

#[test]
fn how_a_session_authenticated_ages() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.request(at, "s", "Seoul", |event| {
        event.class_uid = class::AUTHENTICATION;
        event.activity_id = schema::activity::LOGON;
        event.outcome_action = None;
        event.outcome = None;
        event.status_id = Some(1);
        event.rest.insert("is_mfa".to_owned(), json!(true));
        let factors = json!([{"factor_type_id": 11}, {"factor_type_id": 10}]);
        event.rest.insert("auth_factors".to_owned(), factors);
    });
    let ask = |hours: i64| desk.ask(at + hours * HOUR, "s", "Seoul");
    assert_eq!(desk.says(&ask(1), "mfa_result"), "success");
    assert_eq!(desk.says(&ask(1), "mfa_method"), "phishing_resistant");
    assert_eq!(desk.says(&ask(13), "mfa_result"), "success, silent");
    let later = ask(2);
    desk.request(at + HOUR, "s", "Seoul", |event| {
        event.outcome_action = Some("step-up".to_owned());
        event.outcome = Some("failure".to_owned());
    });
    assert_eq!(desk.says(&later, "mfa_result"), "fail");
    // An older word that comes late is not the last one.
    desk.book.assurance("s", MfaResult::Success, None, at + HOUR / 2);
    assert_eq!(desk.says(&later, "mfa_result"), "fail");
    desk.book.suspicion("kim", true, at);
    assert_eq!(desk.says(&later, "compromise_suspected"), "true");
}

#[test]
fn a_stolen_cookie_comes_from_elsewhere() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T00:40:00Z");
    desk.two_weeks();
    desk.login(at, "s", "Seoul");
    let thief = Ask {
        user_agent: Some("python-requests/2.32".to_owned()),
        address: Some("192.0.2.77".parse().unwrap()),
        ..desk.ask(at + HOUR, "s", "Seoul")
    };
    assert_eq!(desk.says(&thief, "src_ip"), "mismatch");
    assert_eq!(desk.says(&thief, "user_agent_consistent"), "false");
    assert_eq!(desk.says(&thief, "login_pattern"), "different");
    // Whoever has the password too is not at home within the day.
    desk.request(at + HOUR, "t", "Seoul", |event| {
        event.outcome_action = Some("login".to_owned());
        event.user_agent = Some("python-requests/2.32".to_owned());
        event.src_ip = Some("192.0.2.77".to_owned());
    });
    assert_eq!(desk.says(&thief, "src_ip"), "mismatch");
    assert_eq!(desk.says(&thief, "login_pattern"), "different");
    let tomorrow = Ask { at: at + DAY, session: Some("t".to_owned()), ..thief };
    assert_eq!(desk.says(&tomorrow, "src_ip"), "known");
    // The same network as at any other time, after a new lease.
    let owner =
        Ask { address: Some("203.0.200.1".parse().unwrap()), ..desk.ask(at + HOUR, "s", "Seoul") };
    assert_eq!(desk.says(&owner, "src_ip"), "known");
}

#[test]
fn much_is_measured_by_what_is_usual() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T00:00:00Z");
    const MIB: i64 = 1 << 20;
    let read = |desk: &mut Desk, at: Timestamp, bytes: i64| {
        desk.request(at, "s", "Seoul", |event| event.response_length = Some(bytes));
    };
    desk.login(at - DAY, "s", "Seoul");
    read(&mut desk, at, 100 * MIB);
    assert_eq!(desk.says(&desk.ask(at, "s", "Seoul"), "bulk_download"), "unknown", "learning");
    read(&mut desk, at, 500 * MIB);
    assert_eq!(desk.says(&desk.ask(at, "s", "Seoul"), "bulk_download"), "true");
    assert_eq!(desk.says(&desk.ask(at + HOUR, "s", "Seoul"), "bulk_download"), "false");
    read(&mut desk, at + HOUR, MIB);
    assert_eq!(desk.says(&desk.ask(at + HOUR, "s", "Seoul"), "bulk_download"), "false");
    for window in 6..36 {
        read(&mut desk, at + window * 10 * 60_000, 40 * MIB);
    }
    let later = at + 40 * 10 * 60_000;
    read(&mut desk, later, 70 * MIB);
    assert_eq!(desk.says(&desk.ask(later, "s", "Seoul"), "bulk_download"), "false");
    read(&mut desk, later, 70 * MIB);
    assert_eq!(desk.says(&desk.ask(later, "s", "Seoul"), "bulk_download"), "true");
}

#[test]
fn on_the_move_and_refused_again_and_again() {
    let mut desk = Desk::new("");
    let at = time("2026-11-16T03:00:00Z");
    desk.login(at, "s", "Seoul");
    for (minute, address) in ["198.18.0.1", "198.51.100.1", "192.0.2.1"].iter().enumerate() {
        desk.request(at + minute as i64 * 60_000, "s", "Seoul", |event| {
            event.src_ip = Some((*address).to_owned());
            event.http_code = Some(403);
        });
    }
    let ask = desk.ask(at + 5 * 60_000, "s", "Seoul");
    assert_eq!(desk.says(&ask, "mobility"), "moving");
    assert_eq!(desk.says(&ask, "repeated_access"), "false");
    for minute in 3..5 {
        desk.request(at + minute * 60_000, "s", "Seoul", |event| event.http_code = Some(403));
    }
    assert_eq!(desk.says(&ask, "repeated_access"), "true");
    let later = desk.ask(at + 2 * HOUR, "s", "Seoul");
    assert_eq!(desk.says(&later, "repeated_access"), "false");
    assert_eq!(desk.says(&later, "mobility"), "still");
}

#[test]
fn a_book_written_down_and_read_again_says_the_same() {
    let mut desk = Desk::new("countries: {home: [KR]}");
    let at = time("2026-11-16T00:40:00Z");
    desk.two_weeks();
    desk.login(at, "s", "Seoul");
    desk.login(at + HOUR, "t", "New York");
    desk.book.device(&laptop(at));
    desk.book.finding(&finding("leak", Severity::High, &[(EntityKind::Session, "s")], at));
    desk.book.invitation("kim", "a", at);
    desk.book.assurance("s", MfaResult::Success, Some(MfaMethod::Otp), at);
    desk.book.suspicion("kim", true, at);
    desk.book.trip(&Trip {
        account: "kim".to_owned(),
        country: "US".to_owned(),
        from: 0,
        until: at * 2,
    });
    let written = desk.book.snapshot().unwrap();
    let asks: Vec<Ask> = ["s", "t", "unseen"]
        .iter()
        .flat_map(|session| ["Seoul", "New York"].map(|place| (session, place)))
        .map(|(session, place)| Ask {
            device: Some("laptop-7".to_owned()),
            ..desk.ask(at + 2 * HOUR, session, place)
        })
        .collect();
    let before: Vec<Gathered> = asks.iter().map(|ask| desk.gather(ask)).collect();
    desk.book = Book::restore(&written).unwrap();
    let after: Vec<Gathered> = asks.iter().map(|ask| desk.gather(ask)).collect();
    assert_eq!(before, after);
    assert_eq!(desk.book.snapshot().unwrap(), written);
    assert_eq!(Book::restore(b"{}").unwrap_err().code, "bad-snapshot");
    let future = String::from_utf8(written).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(Book::restore(future.as_bytes()).unwrap_err().place, "$.version");
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        prop_oneof![
            Just(None),
            Just(Some("kim".to_owned())),
            Just(Some("s".to_owned())),
            Just(Some("laptop-7".to_owned())),
            ".{0,40}".prop_map(Some),
            Just(Some("x".repeat(10_000))),
        ]
    }

    fn moment() -> impl Strategy<Value = Timestamp> {
        prop_oneof![
            Just(i64::MIN),
            Just(i64::MAX),
            Just(0),
            1_700_000_000_000..1_800_000_000_000i64
        ]
    }

    fn degrees() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![Just(None), any::<f64>().prop_map(Some), (-200.0..200.0).prop_map(Some)]
    }

    prop_compose! {
        fn any_place()(country in text(), latitude in degrees(), longitude in degrees(), accuracy_km in any::<Option<u16>>()) -> Place {
            Place { country, latitude, longitude, accuracy_km }
        }
    }

    prop_compose! {
        fn any_event()(
            time in moment(), received in moment(), account in text(), session in text(), agent in text(), device in text(),
            action in prop_oneof![Just("login"), Just("step-up"), Just("read")],
            outcome in prop_oneof![Just("success"), Just("failure"), Just("unknown")],
            bytes in any::<i64>(), code in prop_oneof![Just(200), Just(403)], address in any::<u32>(), count in any::<u64>(),
        ) -> Event {
            let mut event = Event {
                class_uid: class::HTTP_ACTIVITY, time, received, account, session, user_agent: agent, device_uid: device,
                site: Some("shop".to_owned()),
                outcome_action: Some(action.to_owned()), outcome: Some(outcome.to_owned()),
                response_length: Some(bytes), http_code: Some(code),
                src_ip: Some(std::net::Ipv4Addr::from(address).to_string()), ..Event::default()
            };
            event.rest.insert("count".to_owned(), json!(count));
            event
        }
    }

    prop_compose! {
        fn any_ask()(account in text(), session in text(), device in text(), agent in text(), at in moment(), place in any_place(), address in any::<u32>(), id in text()) -> Ask {
            Ask {
                account, session, device, user_agent: agent, at, place: Some(place),
                address: Some(std::net::Ipv4Addr::from(address).into()),
                resource_kind: "route".to_owned(), resource_id: id.unwrap_or_default(), action: "GET".to_owned(),
                ..Ask::default()
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever was seen, whatever is asked: readings the policy accepts, the same from the snapshot, in bounds.
        #[test]
        fn nothing_is_too_strange(
            events in proptest::collection::vec((any_event(), any_place()), 0..60),
            reports in proptest::collection::vec(moment(), 0..4),
            asks in proptest::collection::vec(any_ask(), 1..6),
        ) {
            let limits = BookLimits { accounts: 4, attempts: 4, sessions: 4, devices: 2, findings: 2, travellers: 1, inviters: 1, suspects: 1 };
            let mut desk = Desk::new(r#"
networks: [{cidr: 0.0.0.0/2, vpn: true}, {cidr: 64.0.0.0/2, network_type: mobile_tethering}]
countries: {home: [KR]}
hours: {timezone: "+09:00", from: "09:00", to: "18:00"}
"#);
            desk.book = Book::new(limits);
            for at in reports {
                desk.book.device(&laptop(at));
                desk.book.assurance("s", MfaResult::Success, None, at);
                desk.book.invitation("kim", "guest", at);
                desk.book.finding(&finding("leak", Severity::High, &[(EntityKind::Session, "s")], at.max(0)));
            }
            for (event, place) in &events {
                desk.book.observe(event, &desk.site, Some(place));
            }
            let sizes = desk.book.sizes();
            prop_assert!(sizes.accounts <= 4 && sizes.attempts <= 4 && sizes.sessions <= 4 && sizes.findings <= 2);
            let before: Vec<Gathered> = asks.iter().map(|ask| desk.gather(ask)).collect();
            desk.book = Book::restore(&desk.book.snapshot().unwrap()).unwrap();
            let after: Vec<Gathered> = asks.iter().map(|ask| desk.gather(ask)).collect();
            prop_assert_eq!(before, after);
        }
    }
}
