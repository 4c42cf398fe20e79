use super::condition::Condition;
use super::hours::{parse_clock, parse_offset};
use super::prefixes::{Prefixes, WrongNetwork, parse_network};
use super::{
    ACCOUNTS_MAX, AddressReputation, Anonymiser, COUNTRIES_MAX, Countries, GRANTS_MAX, Glob, Grant,
    Hours, LIST_MAX, NAME_BYTES_MAX, NETWORKS_MAX, Network, NetworkType, People, RESOURCES_MAX,
    Resource, SITE_BYTES_MAX, Sensitivity, Site, SourceClass, Subject, UserType,
};
use crate::yaml;
use schema::Diagnostic;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet};

type Words = Spanned<Vec<Spanned<String>>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawSite {
    networks: Vec<RawNetwork>,
    reputation: Vec<RawReputation>,
    countries: RawCountries,
    hours: Option<RawHours>,
    resources: Vec<RawResource>,
    grants: Option<Vec<RawGrant>>,
    roles: BTreeMap<String, Words>,
    people: Vec<RawPeople>,
    callers: RawCallers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    cidr: Spanned<String>,
    network_type: Option<NetworkType>,
    src_ip_class: Option<SourceClass>,
    vpn: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReputation {
    cidr: Spanned<String>,
    ip_rep: Option<AddressReputation>,
    proxy_vpn_tor: Option<Anonymiser>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawCountries {
    home: Vec<Spanned<String>>,
    allowed: Vec<Spanned<String>>,
    denied: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHours {
    timezone: Spanned<String>,
    from: Spanned<String>,
    to: Spanned<String>,
    days: Option<Vec<Spanned<Day>>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResource {
    name: Spanned<String>,
    #[serde(rename = "type")]
    kind: Option<Spanned<String>>,
    id: Option<Spanned<String>>,
    sensitivity: Option<Sensitivity>,
    #[serde(default)]
    admin_required: bool,
    required: Option<Words>,
    profile: Option<Spanned<Profile>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Profile {
    Strict,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrant {
    subjects: Words,
    actions: Words,
    resources: Words,
    when: Option<Condition>,
    unless: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPeople {
    accounts: Words,
    user_type: Option<UserType>,
    domain_approved: Option<bool>,
    #[serde(default)]
    mfa_exempt: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawCallers {
    trusted_signals: Vec<Spanned<String>>,
}

/// Collects what is wrong while reading on, so that one run tells of everything.
struct Reader<'a> {
    file: &'a str,
    diagnostics: Vec<Diagnostic>,
}

pub(super) fn parse(file: &str, text: &str) -> Result<Site, Vec<Diagnostic>> {
    let raw: RawSite = match yaml::read(file, text, SITE_BYTES_MAX) {
        Ok(raw) => raw,
        // A file of comments says nothing, which is allowed.
        Err(_) if text.len() <= SITE_BYTES_MAX && is_blank(text) => RawSite::default(),
        Err(diagnostic) => return Err(vec![diagnostic]),
    };
    let mut reader = Reader { file, diagnostics: Vec::new() };
    reader.at_most("networks", raw.networks.len(), NETWORKS_MAX);
    reader.at_most("reputation", raw.reputation.len(), NETWORKS_MAX);
    reader.at_most("resources", raw.resources.len(), RESOURCES_MAX);
    reader.at_most("grants", raw.grants.as_ref().map_or(0, Vec::len), GRANTS_MAX);
    reader.at_most("roles", raw.roles.len(), ACCOUNTS_MAX);
    reader.at_most("people", raw.people.len(), LIST_MAX);
    reader.at_most("callers.trusted_signals", raw.callers.trusted_signals.len(), LIST_MAX);
    let site = if reader.diagnostics.is_empty() { reader.site(raw, text) } else { Site::default() };
    if reader.diagnostics.is_empty() { Ok(site) } else { Err(reader.diagnostics) }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

impl Reader<'_> {
    fn wrong(&mut self, code: &str, at: Location, message: String, hint: &str) {
        self.diagnostics
            .push(Diagnostic::new(code, yaml::place(self.file, Some(at)), message).hint(hint));
    }

    fn at_most(&mut self, name: &str, count: usize, max: usize) {
        if count > max {
            self.diagnostics.push(
                Diagnostic::new(
                    "too-many-entries",
                    self.file,
                    format!("`{name}` has {count} entries, more than {max}"),
                )
                .hint("join entries by wider patterns or networks"),
            );
        }
    }

    fn site(&mut self, raw: RawSite, text: &str) -> Site {
        let mut site =
            Site { hash: schema::sha256(text.as_bytes()).to_string(), ..Site::default() };
        for entry in raw.networks {
            let RawNetwork { cidr, network_type, src_ip_class, vpn } = entry;
            let known = Network { network_type, src_ip_class, vpn, ..Network::default() };
            self.network(
                &mut site.networks,
                cidr,
                known,
                "`network_type`, `src_ip_class` or `vpn`",
            );
        }
        for entry in raw.reputation {
            let RawReputation { cidr, ip_rep, proxy_vpn_tor } = entry;
            let known = Network { ip_rep, proxy_vpn_tor, ..Network::default() };
            self.network(&mut site.reputation, cidr, known, "`ip_rep` or `proxy_vpn_tor`");
        }
        site.countries = self.countries(raw.countries);
        site.hours = raw.hours.and_then(|hours| self.hours(hours));
        site.resources = raw.resources.into_iter().map(|entry| self.resource(entry)).collect();
        site.grants =
            raw.grants.map(|grants| grants.into_iter().map(|entry| self.grant(entry)).collect());
        for (account, roles) in raw.roles {
            if account.is_empty() || account.len() > NAME_BYTES_MAX {
                self.wrong(
                    "bad-name",
                    roles.referenced,
                    format!("an account of {} bytes has roles", account.len()),
                    &format!("write 1 to {NAME_BYTES_MAX} bytes"),
                );
            }
            site.roles.insert(account, self.names(roles).into_iter().collect());
        }
        site.people = raw
            .people
            .into_iter()
            .map(|entry| People {
                accounts: self.globs(entry.accounts),
                user_type: entry.user_type,
                domain_approved: entry.domain_approved,
                mfa_exempt: entry.mfa_exempt,
            })
            .collect();
        for signal in raw.callers.trusted_signals {
            if let Some(name) = self.signal(signal) {
                site.trusted_signals.insert(name);
            }
        }
        site
    }

    fn network(
        &mut self,
        table: &mut Prefixes<Network>,
        cidr: Spanned<String>,
        known: Network,
        wanted: &str,
    ) {
        let at = cidr.referenced;
        if known == Network::default() {
            self.wrong(
                "says-nothing",
                at,
                format!("`{}` is named and nothing is said of it", cidr.value),
                &format!("add {wanted}"),
            );
        }
        match parse_network(&cidr.value) {
            Err(WrongNetwork::NotOne) => self.wrong(
                "not-a-network",
                at,
                format!("`{}` is not a network", cidr.value),
                "write an address, `10.0.0.0/8` or `2001:db8::/32`",
            ),
            Err(WrongNetwork::HostBits(network)) => self.wrong(
                "host-bits",
                at,
                format!("`{}` has bits set beyond its prefix", cidr.value),
                &format!("write `{network}`, or the one address without a prefix"),
            ),
            Ok(network) => {
                if !table.insert(network, known) {
                    self.wrong(
                        "duplicate-network",
                        at,
                        format!("`{network}` is there twice"),
                        "join the two entries",
                    );
                }
            }
        }
    }

    fn countries(&mut self, raw: RawCountries) -> Countries {
        let mut list = |name: &str, list: Vec<Spanned<String>>| {
            self.at_most(name, list.len(), COUNTRIES_MAX);
            let mut codes = BTreeSet::new();
            for code in list {
                if code.value.len() == 2 && code.value.bytes().all(|b| b.is_ascii_uppercase()) {
                    codes.insert(code.value);
                } else {
                    self.wrong(
                        "not-a-country",
                        code.referenced,
                        format!("`{}` is not a country code", code.value),
                        "write two capital letters of ISO 3166-1, in quotes where YAML sees a boolean: `KR`, `\"NO\"`",
                    );
                }
            }
            codes
        };
        Countries {
            home: list("countries.home", raw.home),
            allowed: list("countries.allowed", raw.allowed),
            denied: list("countries.denied", raw.denied),
        }
    }

    fn hours(&mut self, raw: RawHours) -> Option<Hours> {
        let offset_minutes = parse_offset(&raw.timezone.value);
        if offset_minutes.is_none() {
            self.wrong(
                "bad-timezone",
                raw.timezone.referenced,
                format!("`{}` has no fixed offset that is known here", raw.timezone.value),
                "write the offset, `\"+09:00\"`; of named zones only some without summer time are known, as `Asia/Seoul`",
            );
        }
        let mut clock = |text: Spanned<String>| {
            let minutes = parse_clock(&text.value);
            if minutes.is_none() {
                self.wrong(
                    "bad-clock",
                    text.referenced,
                    format!("`{}` is not a time of day", text.value),
                    "write hours and minutes in quotes: `\"09:00\"`",
                );
            }
            minutes
        };
        let (from, to) = (clock(raw.from), clock(raw.to));
        let mut days = [false; 7];
        match raw.days {
            None => days = [true, true, true, true, true, false, false],
            Some(named) => {
                for day in named {
                    if let Some(works) = days.get_mut(day.value as usize) {
                        *works = true;
                    }
                }
            }
        }
        Some(Hours { offset_minutes: offset_minutes?, from: from?, to: to?, days })
    }

    fn resource(&mut self, raw: RawResource) -> Resource {
        let at = raw.name.referenced;
        if raw.kind.is_none() && raw.id.is_none() {
            self.wrong(
                "no-pattern",
                at,
                format!("resource `{}` has neither `type` nor `id`", raw.name.value),
                "say which it is; for every resource write `id: \"*\"`",
            );
        }
        let mut glob = |pattern: Option<Spanned<String>>| match pattern {
            Some(pattern) => Glob::new(&self.name(pattern).unwrap_or_default()),
            None => Glob::new("*"),
        };
        let (kind, id) = (glob(raw.kind), glob(raw.id));
        let mut required = BTreeSet::new();
        if let Some(names) = raw.required {
            for name in self.list(names) {
                required.extend(self.signal(name));
            }
        }
        Resource {
            name: self.name(raw.name).unwrap_or_default(),
            kind,
            id,
            sensitivity: raw.sensitivity,
            admin_required: raw.admin_required,
            required,
            strict: raw.profile.is_some_and(|profile| profile.value == Profile::Strict),
        }
    }

    fn grant(&mut self, raw: RawGrant) -> Grant {
        let subjects = self.names(raw.subjects);
        Grant {
            subjects: subjects
                .into_iter()
                .map(|subject| match subject.strip_prefix("role:") {
                    Some(role) => Subject::Role(role.to_owned()),
                    None => Subject::Account(Glob::new(&subject)),
                })
                .collect(),
            actions: self.globs(raw.actions),
            resources: self.globs(raw.resources),
            when: raw.when.filter(|when| !when.is_empty()),
            unless: raw.unless.filter(|unless| !unless.is_empty()),
        }
    }

    fn globs(&mut self, list: Words) -> Vec<Glob> {
        self.names(list).iter().map(|pattern| Glob::new(pattern)).collect()
    }

    fn names(&mut self, list: Words) -> Vec<String> {
        let list = self.list(list);
        list.into_iter().filter_map(|name| self.name(name)).collect()
    }

    /// A list that is not empty and not too long.
    fn list(&mut self, list: Words) -> Vec<Spanned<String>> {
        if list.value.is_empty() || list.value.len() > LIST_MAX {
            self.wrong(
                "bad-list",
                list.referenced,
                format!("this list has {} entries", list.value.len()),
                &format!("write 1 to {LIST_MAX}; `\"*\"` stands for all"),
            );
            return Vec::new();
        }
        list.value
    }

    fn name(&mut self, name: Spanned<String>) -> Option<String> {
        let length = name.value.len();
        if (1..=NAME_BYTES_MAX).contains(&length) {
            return Some(name.value);
        }
        self.wrong(
            "bad-name",
            name.referenced,
            format!("a name or pattern of {length} bytes stands here"),
            &format!("write 1 to {NAME_BYTES_MAX} bytes"),
        );
        None
    }

    fn signal(&mut self, name: Spanned<String>) -> Option<String> {
        let text = &name.value;
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            self.wrong(
                "not-a-signal",
                name.referenced,
                format!(
                    "`{}` is not the name of a signal",
                    text.chars().take(64).collect::<String>()
                ),
                "use the policy's own names: `mfa_result`, `device_registered`",
            );
            return None;
        }
        Some(name.value)
    }
}
