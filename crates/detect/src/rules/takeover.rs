//! Account takeover: a login that smells, then behaviour that smells more.
//!
//! The score is a sum of weights, and is the confidence. Weights were set so that no single sign and no
//! ordinary pair reaches the mark of 50: new network + new agent = 25; forgotten password + new network +
//! password change = 45; success within a campaign from a network new to the account = 55.

use super::Rule;
use super::login::Around;
use crate::book::Draft;
use crate::detector::Detector;
use crate::entities::{Endpoints, account};
use crate::seen::Seen;
use schema::{EntityKind, Finding, OutcomeResult, Severity};

/// A login under watch.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    since: i64,
    network: u32,
    session: u64,
    /// From the login itself.
    base: u32,
    campaign: bool,
    account_failures: u32,
    network_new: bool,
    agent_new: bool,
    /// Bits of [`Sensitive`] that succeeded.
    sensitive: u8,
    new_endpoints: Endpoints,
    new_endpoints_count: u32,
    personal: u32,
    personal_mark: f64,
}

/// What someone does who means to keep or plunder an account.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sensitive {
    Password,
    Contact,
    Payout,
    Factor,
    Key,
    Purchase,
}

impl Sensitive {
    const ALL: [Sensitive; 6] = [
        Sensitive::Password,
        Sensitive::Contact,
        Sensitive::Payout,
        Sensitive::Factor,
        Sensitive::Key,
        Sensitive::Purchase,
    ];

    fn weight(self) -> u32 {
        match self {
            // People change a password they forgot.
            Sensitive::Password => 20,
            Sensitive::Contact | Sensitive::Payout | Sensitive::Factor => 25,
            Sensitive::Key => 15,
            // What an account is for; only its company makes it odd.
            Sensitive::Purchase => 10,
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }

    /// Words in an outcome action or an endpoint template.
    fn words(self) -> &'static [&'static str] {
        match self {
            Sensitive::Password => {
                &["password-change", "password-reset", "change-password", "/password"]
            }
            Sensitive::Contact => &[
                "email-change",
                "change-email",
                "phone-change",
                "address-change",
                "profile-change",
                "/email",
                "/phone",
            ],
            Sensitive::Payout => {
                &["payout", "withdraw", "transfer", "gift-card", "refund", "point-use"]
            }
            Sensitive::Factor => &[
                "mfa-disable",
                "mfa-change",
                "2fa-disable",
                "factor-remove",
                "/mfa",
                "/2fa",
                "/otp",
            ],
            Sensitive::Key => &["key-create", "token-create", "api-key", "/api-keys", "/tokens"],
            Sensitive::Purchase => &["payment", "checkout", "purchase", "/orders"],
        }
    }

    fn of(action: Option<&str>, endpoint: Option<&str>, method: Option<&str>) -> Option<Sensitive> {
        let has = |text: Option<&str>, kind: Sensitive| {
            text.is_some_and(|text| kind.words().iter().any(|word| text.contains(word)))
        };
        let changes = !matches!(method, Some("GET" | "HEAD" | "OPTIONS"));
        Sensitive::ALL
            .into_iter()
            .find(|kind| has(action, *kind) || (changes && has(endpoint, *kind)))
    }
}

impl Detector {
    /// A login succeeded.
    pub(crate) fn takeover_login(
        &mut self,
        seen: &Seen<'_>,
        key: u64,
        around: Around,
        found: &mut Vec<Finding>,
    ) {
        let config = &self.config.takeover;
        let Some(account) = self.accounts.get_mut(key) else { return };
        let has_history = !account.networks.is_empty()
            && account.history.age_secs(seen.time) >= config.history_min_secs;
        let network_unknown =
            seen.network.is_some_and(|network| !account.networks.contains(network));
        let agent_unknown = seen.agent.is_some_and(|agent| !account.agents.contains(agent));
        let mut base = 0;
        if network_unknown {
            base += match around {
                Around { source_campaign: true, .. } => 40,
                Around { site_campaign: true, source_failed_accounts: 1.., .. } => 35,
                Around { site_campaign: true, network_failed_accounts: 3.., .. } => 25,
                Around { site_campaign: true, .. } => 10,
                // A source that failed on others first, though on too few to be a campaign.
                Around { source_failed_accounts: 3.., .. } => 20,
                _ => 0,
            };
        }
        let campaign = base >= 25;
        if network_unknown {
            // Someone on a mobile network has a new one every day.
            base += if has_history && !account.networks.is_full() { 15 } else { 5 };
        }
        if around.account_failures >= config.failures_min {
            base += 10;
        }
        if has_history && agent_unknown {
            base += 10;
        }
        if base < config.watch_score_min || !network_unknown {
            // An ordinary login teaches.
            if account.suspicion.is_none() {
                learn(account, seen);
            }
            return;
        }
        let watched = account.suspicion.as_ref().is_some_and(|suspicion| {
            Some(suspicion.network) == seen.network
                && seen.time - suspicion.since <= i64::from(config.watch_secs) * 1000
        });
        if watched {
            // The same visitor again: what was seen so far stays.
            if let Some(suspicion) = account.suspicion.as_mut() {
                suspicion.base = suspicion.base.max(base);
                suspicion.campaign |= campaign;
                suspicion.session = seen.session.unwrap_or(suspicion.session);
            }
            self.takeover_judge(seen, key, found);
            return;
        }
        account.suspicion = Some(Box::new(Suspicion {
            since: seen.time,
            network: seen.network.unwrap_or(0),
            session: seen.session.unwrap_or(0),
            base,
            campaign,
            account_failures: around.account_failures,
            network_new: network_unknown && has_history,
            agent_new: agent_unknown && has_history,
            ..Suspicion::default()
        }));
        let trail = self.book.trail(Rule::AccountTakeover, key, seen.time, config.watch_secs);
        trail.cite(seen.event);
        self.takeover_judge(seen, key, found);
    }

    /// An account acts, not by logging in.
    pub(crate) fn takeover_behaviour(
        &mut self,
        seen: &Seen<'_>,
        key: u64,
        found: &mut Vec<Finding>,
    ) {
        let config = &self.config.takeover;
        let Some(account) = self.accounts.get_mut(key) else { return };
        let Some(suspicion) = account.suspicion.as_mut() else {
            if seen.result != OutcomeResult::Failure {
                learn(account, seen);
            }
            return;
        };
        if seen.time - suspicion.since > i64::from(config.watch_secs) * 1000 {
            account.suspicion = None;
            learn(account, seen);
            return;
        }
        let same = seen.network == Some(suspicion.network)
            || (seen.session.is_some() && seen.session == Some(suspicion.session));
        if !same || seen.time < suspicion.since {
            return;
        }
        let mut weighs = false;
        let event = seen.event;
        if seen.result == OutcomeResult::Success
            && let Some(kind) = Sensitive::of(
                event.outcome_action.as_deref(),
                event.endpoint.as_deref(),
                event.method.as_deref(),
            )
            && suspicion.sensitive & kind.bit() == 0
        {
            suspicion.sensitive |= kind.bit();
            weighs = true;
        }
        if let Some(endpoint) = seen.endpoint
            && !account.endpoints.contains(endpoint)
            && !suspicion.new_endpoints.contains(endpoint)
        {
            suspicion.new_endpoints.remember(endpoint);
            suspicion.new_endpoints_count += 1;
            weighs |= suspicion.new_endpoints_count == config.new_endpoints_min;
        }
        if let Some(personal) = event.response_personal_count.filter(|count| *count > 0) {
            suspicion.personal =
                suspicion.personal.saturating_add(u32::try_from(personal).unwrap_or(u32::MAX));
            // Half the leakage floor: here it is one sign among several.
            let floor = f64::from(self.config.leakage.personal_min) / 2.0;
            let usual =
                account.history.expected(account::PERSONAL, seen.time, &self.config.learning);
            suspicion.personal_mark = usual.map_or(floor, |usual| usual.limit.max(floor.min(20.0)));
            weighs |= f64::from(suspicion.personal) >= suspicion.personal_mark;
        }
        if weighs {
            self.book.trail(Rule::AccountTakeover, key, seen.time, config.watch_secs).cite(event);
            self.takeover_judge(seen, key, found);
        }
    }

    fn takeover_judge(&mut self, seen: &Seen<'_>, key: u64, found: &mut Vec<Finding>) {
        let config = &self.config.takeover;
        let Some(account) = self.accounts.get_mut(key) else { return };
        let Some(suspicion) = account.suspicion.as_ref() else { return };
        let done = Sensitive::ALL.into_iter().filter(|kind| suspicion.sensitive & kind.bit() != 0);
        let sensitive_score: u32 = done.clone().map(Sensitive::weight).sum();
        let personal = suspicion.personal_mark > 0.0
            && f64::from(suspicion.personal) >= suspicion.personal_mark;
        let unusual = suspicion.new_endpoints_count >= config.new_endpoints_min
            && !account.endpoints_are_unknown();
        let score =
            (suspicion.base + sensitive_score + 15 * u32::from(personal) + 10 * u32::from(unusual))
                .min(97);
        if score < config.finding_score_min {
            return;
        }
        account.history.taint();
        let Some(subject) = seen.entity(EntityKind::Account) else { return };
        let mut draft = Draft::new(Rule::AccountTakeover, subject, key, seen.event);
        draft.involve_all(seen.event);
        draft.trail =
            self.book.known_trail(Rule::AccountTakeover, key).cloned().unwrap_or_default();
        draft.severity = match (sensitive_score > 0 || personal, suspicion.campaign && score >= 85)
        {
            (true, true) => Severity::Critical,
            (true, false) => Severity::High,
            (false, _) => Severity::Medium,
        };
        draft.confidence = score as u8;
        // The attacker wanted in, and is in.
        draft.outcome = OutcomeResult::Success;
        draft.reason = Some(if sensitive_score > 0 {
            "account-changed"
        } else if personal {
            "personal-data-read"
        } else {
            "logged-in"
        });
        draft.attack(&[("TA0001", "T1078")]);
        for kind in done.clone() {
            draft.attack(&[match kind {
                Sensitive::Payout | Sensitive::Purchase => ("TA0040", "T1657"),
                Sensitive::Key => ("TA0003", "T1098.001"),
                Sensitive::Factor => ("TA0003", "T1556.006"),
                Sensitive::Password | Sensitive::Contact => ("TA0003", "T1098"),
            }]);
        }
        if personal {
            draft.attack(&[("TA0009", "T1213")]);
        }
        draft.attack.sort_by_key(|reference| reference.technique != "T1078");
        draft.attack.dedup();
        draft.magnitude = 1.0;
        draft.numbers = vec![
            ("score", f64::from(score)),
            ("score_mark", f64::from(config.finding_score_min)),
            ("login_score", f64::from(suspicion.base)),
            ("failures_before", f64::from(suspicion.account_failures)),
            ("campaign", f64::from(u8::from(suspicion.campaign))),
            ("network_new", f64::from(u8::from(suspicion.network_new))),
            ("agent_new", f64::from(u8::from(suspicion.agent_new))),
            ("sensitive_actions", done.count() as f64),
            ("new_endpoints", f64::from(suspicion.new_endpoints_count)),
            ("personal_data", f64::from(suspicion.personal)),
        ];
        found.extend(self.book.report(draft));
    }
}

fn learn(account: &mut crate::entities::Account, seen: &Seen<'_>) {
    if let Some(network) = seen.network {
        account.networks.remember(network);
    }
    if let Some(agent) = seen.agent {
        account.agents.remember(agent);
    }
    if let Some(endpoint) = seen.endpoint {
        account.endpoints.remember(endpoint);
    }
}

impl crate::entities::Account {
    /// Nothing was learned of where this account goes: then everything is new and nothing unusual.
    fn endpoints_are_unknown(&self) -> bool {
        self.endpoints.is_empty()
    }
}
