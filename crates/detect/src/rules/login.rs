//! Many accounts from few sources, many accounts from many sources, one account from anywhere.

use super::{Rule, points, share};
use crate::book::Draft;
use crate::detector::Detector;
use crate::distinct::Distinct;
use crate::entities::{Account, Site, Source, site};
use crate::hash::{Of, pair};
use crate::seen::Seen;
use schema::{Entity, EntityKind, Finding, OutcomeResult, Severity, class};

/// Attempts from one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceLogin {
    attempts: u32,
    failures: u32,
    failed: Distinct,
    succeeded: Distinct,
    /// Different password hashes, where the gateway leaves them.
    secrets: Distinct,
    secrets_seen: u32,
}

/// Attempts on one site or host.
#[derive(Debug, Clone, Default)]
pub(crate) struct SiteLogin {
    attempts: u32,
    failures: u32,
    /// Accounts with one failure and nothing since.
    singles: u32,
    failed: Distinct,
    sources: Distinct,
}

/// What surrounds a login, for the takeover rule.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    pub(crate) source_campaign: bool,
    pub(crate) site_campaign: bool,
    /// Other accounts that failed from this source in its window.
    pub(crate) source_failed_accounts: u32,
    /// Other accounts that failed from this network in its window.
    pub(crate) network_failed_accounts: u32,
    /// Failures on this account in its window.
    pub(crate) account_failures: u32,
}

/// Addresses a distributed campaign names.
const ADDRESSES_MAX: usize = 64;
/// Compromised accounts a campaign names.
const ACCOUNTS_MAX: usize = 24;
/// Addresses an attack on one account names.
const ACCOUNT_ADDRESSES_MAX: usize = 12;
/// Other accounts that failed from the same network, from which a login from there is in bad company.
const NEIGHBOURS_MIN: u32 = 3;

impl SourceLogin {
    pub(crate) fn heap_bytes(&self) -> usize {
        self.failed.heap_bytes() + self.succeeded.heap_bytes() + self.secrets.heap_bytes()
    }
}

impl Detector {
    pub(crate) fn login(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
        let Some(account) = seen.account else { return };
        let failed = match seen.result {
            OutcomeResult::Failure => true,
            OutcomeResult::Success => false,
            OutcomeResult::Unknown => return,
        };
        let learning = &self.config.learning;
        let config = &self.config.login;

        let state = self.accounts.touch(account, || Account::new(seen.time, learning));
        state.login.roll(seen.time, config.account_window_secs);
        let before = {
            let sum = |f: fn(&crate::entities::AccountLogin) -> u16| {
                u32::from(f(&state.login.now)) + u32::from(f(&state.login.before))
            };
            (sum(|cell| cell.failures), sum(|cell| cell.successes))
        };
        let familiar = seen.network.is_some_and(|network| state.networks.contains(network));
        if let Some(cell) = state.login.at(seen.time, config.account_window_secs) {
            if failed {
                cell.failures = cell.failures.saturating_add(1);
                cell.networks |= seen.network.map_or(0, |network| 1 << (network & 31));
            } else {
                cell.successes = cell.successes.saturating_add(1);
            }
        } else {
            self.stats.late += 1;
        }

        let mut around = Around { account_failures: before.0, ..Around::default() };
        self.login_source(seen, account, failed, familiar, &mut around, found);
        self.login_site(seen, account, failed, familiar, before, &mut around, found);
        if failed {
            self.login_account(seen, account, found);
        } else {
            self.takeover_login(seen, account, around, found);
        }
    }

    fn login_source(
        &mut self,
        seen: &Seen<'_>,
        account: u64,
        failed: bool,
        familiar: bool,
        around: &mut Around,
        found: &mut Vec<Finding>,
    ) {
        let Some(key) = seen.source else { return };
        let (config, learning) = (&self.config.login, &self.config.learning);
        let source = self.sources.touch(key, || Source::new(seen.time, learning));
        source.history.roll(seen.time, learning);
        let Some(cell) = source.login.at(seen.time, config.source_window_secs) else { return };
        cell.attempts += 1;
        if failed {
            cell.failures += 1;
            cell.failed.insert(account);
            if let Some(secret) = secret_hash(seen) {
                cell.secrets.insert(self.hasher.key(Of::Secret, 0, secret));
                cell.secrets_seen += 1;
            }
        } else {
            cell.succeeded.insert(account);
        }
        let (now, old) = (&source.login.now, &source.login.before);
        let failed_accounts = now.failed.union_count(&old.failed);
        let is_own = |set: &Distinct| set.contains(account);
        let own = u32::from(failed || is_own(&now.failed) || is_own(&old.failed));
        around.source_failed_accounts = failed_accounts.saturating_sub(own);
        let campaign = self.book.is_open(Rule::CredentialStuffing, key, seen.time)
            || self.book.is_open(Rule::PasswordSpraying, key, seen.time);
        around.source_campaign = campaign;
        let neighbours = seen.network.map(|network| {
            let network = self
                .sources
                .touch(pair(seen.scope, u64::from(network)), || Source::new(seen.time, learning));
            if let Some(cell) = network.login.at(seen.time, config.source_window_secs)
                && failed
            {
                cell.failed.insert(account);
            }
            let (now, old) = (&network.login.now.failed, &network.login.before.failed);
            let own = u32::from(failed || now.contains(account) || old.contains(account));
            now.union_count(old).saturating_sub(own)
        });
        around.network_failed_accounts = neighbours.unwrap_or(0);
        let Some(source) = self.sources.get_mut(key) else { return };
        let (now, old) = (&source.login.now, &source.login.before);

        if failed || (failed_accounts >= 3 && !familiar) {
            let trail = self.book.trail(
                Rule::CredentialStuffing,
                key,
                seen.time,
                config.source_window_secs * 2,
            );
            trail.cite(seen.event);
            trail.name(seen.time, EntityKind::Endpoint, seen.event.endpoint.as_deref(), 1);
            trail.name(seen.time, EntityKind::Device, seen.event.device.as_deref(), 1);
            if !failed {
                trail.name(
                    seen.time,
                    EntityKind::Account,
                    seen.event.account.as_deref(),
                    ACCOUNTS_MAX,
                );
            }
        }
        let got_in = now.succeeded.union_count(&old.succeeded);
        // Those who mistype and then get in are no prey; what is left is what this source never got into.
        let never = failed_accounts.saturating_sub(got_in.min(failed_accounts / 2));
        source.history.reach(0, never, seen.time, learning);
        if failed_accounts < config.accounts_min {
            return;
        }
        let expected = source.history.expected(0, seen.time, learning);
        let mark =
            expected.map_or(0.0, |expected| expected.limit).max(f64::from(config.accounts_min));
        let (attempts, failures) = (now.attempts + old.attempts, now.failures + old.failures);
        let account_share = share(failed_accounts, failed_accounts + got_in);
        if f64::from(failed_accounts) < mark
            || share(failures, attempts) < config.failure_share_min
            || account_share < config.failure_share_min
        {
            return;
        }
        source.history.taint();
        let tries = share(failures, failed_accounts);
        let (secrets, secrets_seen) =
            (now.secrets.union_count(&old.secrets), now.secrets_seen + old.secrets_seen);
        // Few passwords for many accounts is spraying; where no hash tells, coming back in rounds is.
        let spraying = if secrets_seen * 2 >= failures {
            secrets <= (failed_accounts / 5).max(2)
        } else {
            tries >= config.spraying_tries_min
        };
        // A campaign keeps the name it was first given.
        let rule = if self.book.is_open(Rule::CredentialStuffing, key, seen.time) {
            Rule::CredentialStuffing
        } else if spraying || self.book.is_open(Rule::PasswordSpraying, key, seen.time) {
            Rule::PasswordSpraying
        } else {
            Rule::CredentialStuffing
        };
        let Some(subject) = seen.entity(EntityKind::Address) else { return };
        let mut draft = Draft::new(rule, subject, key, seen.event);
        draft.trail =
            self.book.known_trail(Rule::CredentialStuffing, key).cloned().unwrap_or_default();
        let compromised = draft.trail.count_of(EntityKind::Account);
        draft.severity = if compromised > 0 { Severity::High } else { Severity::Medium };
        draft.confidence = (60
            + points(f64::from(failed_accounts) / mark, 8.0, 24.0)
            + 10 * u32::from(account_share > 0.9)) as u8;
        draft.outcome =
            if compromised > 0 { OutcomeResult::Success } else { OutcomeResult::Failure };
        draft.reason = Some(if compromised > 0 { "accounts-logged-in" } else { "logins-refused" });
        draft.attack(&[(
            "TA0006",
            if rule == Rule::PasswordSpraying { "T1110.003" } else { "T1110.004" },
        )]);
        draft.magnitude = f64::from(failed_accounts);
        draft.numbers = vec![
            ("failed_accounts", f64::from(failed_accounts)),
            ("failed_accounts_mark", mark),
            ("failures", f64::from(failures)),
            ("attempts", f64::from(attempts)),
            ("failure_share", share(failures, attempts)),
            ("tries_per_account", tries),
            ("accounts_logged_in", compromised as f64),
            ("window_secs", f64::from(config.source_window_secs)),
        ];
        if secrets_seen > 0 {
            draft.numbers.push(("passwords", f64::from(secrets)));
        }
        around.source_campaign = true;
        found.extend(self.book.report(draft));
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `login`, split for reading")]
    fn login_site(
        &mut self,
        seen: &Seen<'_>,
        account: u64,
        failed: bool,
        familiar: bool,
        before: (u32, u32),
        around: &mut Around,
        found: &mut Vec<Finding>,
    ) {
        let (config, learning) = (&self.config.login, &self.config.learning);
        let key = seen.scope;
        let site = self.sites.touch(key, || Site::new(seen.time, learning));
        site.history.roll(seen.time, learning);
        let Some(cell) = site.login.at(seen.time, config.site_window_secs) else { return };
        cell.attempts += 1;
        if failed {
            cell.failures += 1;
            cell.failed.insert(account);
            if let Some(source) = seen.source {
                cell.sources.insert(source);
            }
        }
        match before {
            (0, 0) if failed => cell.singles += 1,
            // Tried again, or got in: an ordinary way to fail.
            (1, 0) => cell.singles = cell.singles.saturating_sub(1),
            _ => {}
        }
        around.site_campaign = self.book.is_open(Rule::CredentialStuffing, key, seen.time);
        // Who gets in from where others failed is named, also before the campaign is seen as one.
        let company =
            around.source_failed_accounts > 0 || around.network_failed_accounts >= NEIGHBOURS_MIN;
        if !familiar && (failed || company) {
            let trail = self.book.trail(
                Rule::CredentialStuffing,
                key,
                seen.time,
                config.site_window_secs * 2,
            );
            trail.cite(seen.event);
            if failed {
                trail.name(
                    seen.time,
                    EntityKind::Address,
                    seen.event.src_ip.as_deref(),
                    ADDRESSES_MAX,
                );
            } else {
                trail.name(
                    seen.time,
                    EntityKind::Account,
                    seen.event.account.as_deref(),
                    ACCOUNTS_MAX,
                );
            }
        }
        if !failed && !company && before.0 > 0 {
            // Somebody mistyped and got in, from where nobody else failed: no part of a campaign.
            let trail = self.book.trail(
                Rule::CredentialStuffing,
                key,
                seen.time,
                config.site_window_secs * 2,
            );
            trail.unname(EntityKind::Address, seen.event.src_ip.as_deref());
        }
        let (now, old) = (&site.login.now, &site.login.before);
        let (attempts, failures, singles) =
            (now.attempts + old.attempts, now.failures + old.failures, now.singles + old.singles);
        let failed_accounts = now.failed.union_count(&old.failed);
        let failure_share = share(failures, attempts);
        site.history.reach(site::FAILED_ACCOUNTS, failed_accounts, seen.time, learning);
        if attempts >= 20 {
            site.history.reach(
                site::FAILURE_PERMILLE,
                (failure_share * 1000.0) as u32,
                seen.time,
                learning,
            );
        }
        if failed_accounts < config.site_accounts_min {
            return;
        }
        let sources = now.sources.union_count(&old.sources);
        let usual = site.history.expected(site::FAILED_ACCOUNTS, seen.time, learning);
        let usual_share = site.history.expected(site::FAILURE_PERMILLE, seen.time, learning);
        let mark = usual.map_or(f64::from(config.site_accounts_min) * 2.0, |usual| {
            usual.limit.max(f64::from(config.site_accounts_min))
        });
        // A busy day brings more failures, not a larger share of them.
        let share_mark = usual_share.map_or(config.site_failure_share_min, |usual| {
            (usual.median / 1000.0 * 1.5).min(config.site_failure_share_min)
        });
        let single_share = share(singles, failed_accounts);
        if f64::from(failed_accounts) < mark
            || failure_share < share_mark
            || single_share < config.site_single_share_min
            || sources < config.site_sources_min
        {
            return;
        }
        site.history.taint();
        let subject = match (seen.entity(EntityKind::Endpoint), seen.entity(EntityKind::Device)) {
            (Some(endpoint), _) => endpoint,
            (None, Some(device)) => device,
            (None, None) => {
                Entity::new(EntityKind::Endpoint, seen.event.site.as_deref().unwrap_or("login"))
            }
        };
        let mut draft = Draft::new(Rule::CredentialStuffing, subject, key, seen.event);
        draft.trail =
            self.book.known_trail(Rule::CredentialStuffing, key).cloned().unwrap_or_default();
        // Accounts first: they are what must be acted upon; then the addresses.
        draft.trail.put_first(EntityKind::Account);
        let compromised = draft.trail.count_of(EntityKind::Account);
        draft.severity = if compromised > 0 { Severity::High } else { Severity::Medium };
        draft.confidence = (50
            + points(f64::from(failed_accounts) / mark, 8.0, 20.0)
            + 10 * u32::from(single_share > 0.8)
            + 10 * u32::from(usual.is_some())) as u8;
        draft.outcome =
            if compromised > 0 { OutcomeResult::Success } else { OutcomeResult::Failure };
        draft.reason = Some(if compromised > 0 { "accounts-logged-in" } else { "logins-refused" });
        draft.attack(&[("TA0006", "T1110.004")]);
        draft.magnitude = f64::from(failed_accounts);
        draft.numbers = vec![
            ("failed_accounts", f64::from(failed_accounts)),
            ("failed_accounts_mark", mark),
            ("failed_accounts_usual", usual.map_or(0.0, |usual| usual.median)),
            ("failed_once_share", single_share),
            ("failure_share", failure_share),
            ("failure_share_mark", share_mark),
            ("sources", f64::from(sources)),
            ("accounts_logged_in", compromised as f64),
            ("window_secs", f64::from(config.site_window_secs)),
        ];
        around.site_campaign = true;
        found.extend(self.book.report(draft));
    }

    fn login_account(&mut self, seen: &Seen<'_>, key: u64, found: &mut Vec<Finding>) {
        let config = &self.config.login;
        let trail = self.book.trail(
            Rule::AccountBruteforce,
            key,
            seen.time,
            config.account_window_secs * 2,
        );
        trail.cite(seen.event);
        trail.name(
            seen.time,
            EntityKind::Address,
            seen.event.src_ip.as_deref(),
            ACCOUNT_ADDRESSES_MAX,
        );
        let Some(account) = self.accounts.get(key) else { return };
        let (now, old) = (&account.login.now, &account.login.before);
        let failures = u32::from(now.failures) + u32::from(old.failures);
        let networks = linear_count(now.networks | old.networks);
        let spread = networks >= config.account_networks_min
            && failures >= config.account_spread_failures_min;
        if failures < config.account_failures_min && !spread {
            return;
        }
        let Some(subject) = seen.entity(EntityKind::Account) else { return };
        let mark =
            if spread { config.account_spread_failures_min } else { config.account_failures_min };
        let mut draft = Draft::new(Rule::AccountBruteforce, subject, key, seen.event);
        draft.trail =
            self.book.known_trail(Rule::AccountBruteforce, key).cloned().unwrap_or_default();
        draft.involve(EntityKind::Endpoint, seen.event.endpoint.as_deref());
        draft.involve(EntityKind::Device, seen.event.device.as_deref());
        draft.severity = Severity::Medium;
        draft.confidence =
            (55 + points(share(failures, mark), 8.0, 24.0) + 10 * u32::from(spread)) as u8;
        draft.outcome = OutcomeResult::Failure;
        draft.reason = Some("logins-refused");
        draft.attack(&[("TA0006", "T1110.001")]);
        draft.magnitude = f64::from(failures);
        draft.numbers = vec![
            ("failures", f64::from(failures)),
            ("failures_mark", f64::from(mark)),
            ("networks", f64::from(networks)),
            ("window_secs", f64::from(config.account_window_secs)),
        ];
        found.extend(self.book.report(draft));
    }
}

/// Linear counting of a 32-bit map: -32 ln(empty share), rounded; 111 when full.
fn linear_count(map: u32) -> u32 {
    match map.count_zeros() {
        0 => 111,
        empty => (-32.0 * (f64::from(empty) / 32.0).ln()).round() as u32,
    }
}

/// The keyed hash a gateway leaves in place of a password: 16 or more hex digits within the field's value.
///
/// A constant mask tells nothing about equal passwords and is not taken.
fn secret_hash<'a>(seen: &Seen<'a>) -> Option<&'a str> {
    if seen.event.class_uid != class::HTTP_ACTIVITY {
        return None;
    }
    let body = seen.event.request_body.as_deref()?;
    // A login body is small; what is beyond this is no login form.
    let body = body.get(..body.len().min(4096)).unwrap_or(body);
    let at = ["password", "passwd", "pwd", "pass"]
        .iter()
        .find_map(|name| body.find(name).map(|at| at + name.len()))?;
    let value = body.get(at..)?;
    let value = value.split(['&', ',', '}', '\n']).next()?;
    value.split(|c: char| !c.is_ascii_hexdigit()).find(|run| run.len() >= 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_counting_is_near_for_few_networks() {
        assert_eq!((linear_count(0), linear_count(1), linear_count(0b1_1111)), (0, 1, 5));
    }
}
