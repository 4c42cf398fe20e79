//! Every threshold, by name, with its default and its why.
//!
//! All of it may be left out; unknown names are refused, so that a typing error does not become a default.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a tenant's detector judges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    pub time: TimeConfig,
    pub learning: LearningConfig,
    pub limits: LimitConfig,
    pub login: LoginConfig,
    pub takeover: TakeoverConfig,
    pub credential: CredentialConfig,
    pub enumeration: EnumerationConfig,
    pub leakage: LeakageConfig,
    pub web_shell: WebShellConfig,
    pub flood: FloodConfig,
    pub prompt: PromptConfig,
    pub web_attack: WebAttackConfig,
    /// Site name to what is known of it.
    pub sites: BTreeMap<String, SiteConfig>,
}

macro_rules! config {
    ($(#[doc = $what:literal])* $name:ident { $( $(#[doc = $why:literal])+ $field:ident : $type:ty = $default:expr ),* $(,)? }) => {
        $(#[doc = $what])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $( $(#[doc = $why])+ pub $field: $type, )* }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $default, )* }
            }
        }
    };
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

config! {
    /// What is known of a site.
    SiteConfig {
        /// Hosts (device names) that serve it: links what is seen on the web with what is seen on the host.
        devices: Vec<String> = Vec::new(),
    }
}

config! {
    /// Event time.
    TimeConfig {
        /// How late an event of one source may come, behind that source's newest. Older ones are counted, not judged.
        /// 10 minutes: a gateway that could not ship for a while, and a host that buffers its audit log.
        lateness_secs: u32 = 600,
        /// An event dated further ahead of its receipt than this is from a broken clock and would close every window. 1 hour.
        future_secs: u32 = 3_600,
        /// A finding that stayed quiet this long is over; the next one is a new finding. 1 hour.
        refire_secs: u32 = 3_600,
    }
}

config! {
    /// The learning state: an entity's own baseline speaks only after this much of it was seen.
    LearningConfig {
        /// Length of a sample; its peak is what is kept. 6 hours: a quarter of a day.
        sample_secs: u32 = 21_600,
        /// Samples with activity before a baseline speaks. 4: the median of fewer follows one broken sample.
        samples_min: u32 = 4,
        /// Age before a baseline speaks. 2 days: a day and its night seen twice.
        age_min_secs: u32 = 172_800,
        /// Samples of the same time of week before that time speaks for itself; until then all times speak together.
        slot_samples_min: u32 = 3,
        /// Robust deviations from the median that are unusual. 3.5: Iglewicz and Hoaglin 1993.
        deviations: f64 = 3.5,
        /// At least this factor above the median, however steady an entity is. 3: growth is not an attack.
        factor_min: f64 = 3.0,
    }
}

config! {
    /// How much is remembered: with these defaults 1,000,000 entities in less than 1 GiB (docs/detections.md).
    /// One not seen for long is forgotten first.
    LimitConfig {
        /// Accounts (per site or host); about 380 bytes each.
        accounts: usize = 350_000,
        /// API keys and tokens; about 640 bytes each.
        credentials: usize = 100_000,
        /// Sessions without account, and anonymous visitors; about 100 bytes each.
        visitors: usize = 350_000,
        /// Addresses and their networks that log in somewhere; about 330 bytes each, in an attack up to 1.5 KiB more.
        sources: usize = 180_000,
        /// Endpoints; about 1 KiB each, busy ones up to 4 KiB more.
        endpoints: usize = 20_000,
        /// Who walks through which endpoint, this window; about 170 bytes and up to 512 more each.
        walks: usize = 150_000,
        /// Suspicious beginnings whose event ids and companions are kept; up to 7 KiB each.
        trails: usize = 16_384,
        /// Findings that may still grow; up to 12 KiB each.
        findings: usize = 4_096,
        /// Processes remembered, over all hosts; about 100 bytes each.
        processes: usize = 65_536,
    }
}

config! {
    /// Credential stuffing, password spraying, account brute force.
    LoginConfig {
        /// Outcome actions that are an attempt to log in.
        actions: Vec<String> = words(&["login", "log-in", "signin", "sign-in", "logon", "authenticate", "token-issue", "mfa"]),
        /// Window of one source: ten minutes to twenty.
        source_window_secs: u32 = 600,
        /// Different accounts that failed from one source. 10: an office of forgetful people stays below,
        /// because those who then succeed do not count.
        accounts_min: u32 = 10,
        /// Share of a source's accounts that never got in, and of its attempts that failed. A real crowd mostly gets in:
        /// attackers' success is 0.1 to 2 % (Akamai, State of the Internet / Credential Stuffing 2019).
        failure_share_min: f64 = 0.6,
        /// Window of one site or host: one hour to two, so that slow attempts add up.
        site_window_secs: u32 = 3_600,
        /// Different accounts failing once and never getting in, on one site. 30.
        site_accounts_min: u32 = 30,
        /// Different addresses they come from, below which the sources speak for themselves. 8.
        site_sources_min: u32 = 8,
        /// Share of failing accounts that were tried just once and left. Forgetful people try again.
        site_single_share_min: f64 = 0.5,
        /// Share of failed attempts a site must reach while its own baseline is still being learned.
        site_failure_share_min: f64 = 0.7,
        /// Window of one account: one hour to two.
        account_window_secs: u32 = 3_600,
        /// Failures on one account from anywhere. 20: people give up or reset the password far sooner.
        account_failures_min: u32 = 20,
        /// Failures on one account when they come from many networks.
        account_spread_failures_min: u32 = 12,
        /// What many networks are. 5.
        account_networks_min: u32 = 5,
        /// Tries per account from which it is spraying in rounds, where no password hash tells. 2.
        spraying_tries_min: f64 = 2.0,
    }
}

config! {
    /// Account takeover: a login that smells, then behaviour that smells more.
    TakeoverConfig {
        /// How long after the login behaviour is weighed. 24 hours.
        watch_secs: u32 = 86_400,
        /// Failures before the success that count. 5.
        failures_min: u32 = 5,
        /// Age from which an account's known networks and agents say something. 1 day.
        history_min_secs: u32 = 86_400,
        /// Score from which a suspicious login is watched.
        watch_score_min: u32 = 25,
        /// Score from which it is a finding; the score is the confidence.
        finding_score_min: u32 = 50,
        /// Endpoints this account never used that count as unusual. 3.
        new_endpoints_min: u32 = 3,
    }
}

config! {
    /// Theft of an API key or token.
    CredentialConfig {
        /// Window of use: one hour to two.
        window_secs: u32 = 3_600,
        /// Requests from the new network before anything is said. 5.
        foreign_requests_min: u32 = 5,
        /// Share of failures that is unusual for a key that ordinarily works.
        failure_share_min: f64 = 0.2,
        /// Refused or failed requests from the new network before that share means anything. 5.
        foreign_failures_min: u32 = 5,
        /// Tokens per window below which spending is not judged.
        tokens_min: u32 = 2_000,
        /// A key seen on its home network so recently is in two places at once. 15 minutes.
        overlap_secs: u32 = 900,
        /// A new network without findings for this long is home. 24 hours.
        accept_secs: u32 = 86_400,
        /// Score from which it is a finding; the score is the confidence.
        finding_score_min: u32 = 50,
    }
}

config! {
    /// Enumeration of objects.
    EnumerationConfig {
        /// Window of one actor at one endpoint: ten minutes to twenty.
        window_secs: u32 = 600,
        /// Different objects at least. 50: a person opening a page of links stays below.
        objects_min: u32 = 50,
        /// Different objects at least when many are refused or missing. 20.
        denied_objects_min: u32 = 20,
        /// Share refused or missing that says the actor does not know what exists.
        denied_share_min: f64 = 0.3,
        /// Actors seen at an endpoint before their reach is a measure. 30.
        peers_min: u32 = 30,
        /// Factor over what 1 in 100 peers reaches, for an actor without a baseline of its own.
        peers_factor: f64 = 4.0,
    }
}

config! {
    /// Personal data leaving in responses.
    LeakageConfig {
        /// Window of one actor: one hour to two.
        window_secs: u32 = 3_600,
        /// Pieces of personal data at least. 200: a long page of a customer list.
        personal_min: u32 = 200,
        /// Actors seen on a site before their reach is a measure. 30.
        peers_min: u32 = 30,
        /// Factor over what 1 in 100 peers reaches, for an actor without a baseline of its own.
        peers_factor: f64 = 4.0,
    }
}

config! {
    /// Web shells and reverse shells.
    WebShellConfig {
        /// File name endings a server would run.
        script_extensions: Vec<String> = words(&[
            "php", "php3", "php4", "php5", "php7", "phtml", "phar", "pht", "jsp", "jspx", "jspf", "asp", "aspx", "ashx", "asmx", "cgi", "pl", "py", "rb", "sh", "cfm", "htaccess",
        ]),
        /// Programs that serve the web; a name counts with a version behind it (`php-fpm8.2`).
        web_servers: Vec<String> = words(&[
            "php-fpm", "php-cgi", "apache2", "httpd", "nginx", "lighttpd", "caddy", "tomcat", "catalina", "java", "node", "gunicorn", "uwsgi", "uvicorn", "puma", "unicorn", "passenger", "w3wp", "dotnet",
        ]),
        /// Users web servers run as, for sensors that name no parent.
        web_users: Vec<String> = words(&["www-data", "apache", "nginx", "httpd", "tomcat", "http", "wwwrun"]),
        /// How long an uploaded file is remembered. 24 hours.
        upload_memory_secs: u32 = 86_400,
        /// Request to process: a shell answers at once; clocks of two hosts differ. 10 seconds.
        link_secs: u32 = 10,
        /// Days on which a web server started a program before that is its habit. 2.
        habit_days: u32 = 2,
    }
}

config! {
    /// L7 flood.
    FloodConfig {
        /// Cell in which requests to one endpoint are counted. 10 seconds.
        cell_secs: u32 = 10,
        /// Requests in a cell below which no one is hurt. 200 (20 per second).
        requests_min: u32 = 200,
        /// Requests in a cell for an endpoint that is still being learned. 1,000 (100 per second).
        requests_min_unlearned: u32 = 1_000,
        /// Requests of one source in one cell that no person sends to one endpoint. 15.
        per_source_min: f64 = 15.0,
        /// Share of requests from the 16 busiest sources that is a concentration.
        concentration_min: f64 = 0.5,
        /// Share of one user agent among the requests that is one program, where an endpoint usually sees many. 0.9.
        agent_share_min: f64 = 0.9,
        /// Share of requests that come to nothing (no session, account or credential, or no success) at least.
        faceless_share_min: f64 = 0.6,
    }
}

config! {
    /// Prompt injection probing; a weak signal, chiefly for credential theft.
    PromptConfig {
        /// Parts of endpoints that are a language model's.
        endpoints: Vec<String> = words(&["/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses", ":generatecontent", "/api/generate", "/api/chat"]),
        /// Window of one actor: one hour to two.
        window_secs: u32 = 3_600,
        /// Prompts with an injection phrase. 5: one quotes such a phrase now and then.
        prompts_min: u32 = 5,
        /// Prompts with such a phrase when at least as many were refused.
        refused_min: u32 = 3,
        /// Bytes of a request body that are searched.
        body_bytes_max: usize = 16_384,
    }
}

config! {
    /// What the rules of a web application firewall told: attacks, and responses that tell too much.
    WebAttackConfig {
        /// Window of one actor: ten minutes to twenty.
        window_secs: u32 = 600,
        /// Requests over the rules' mark. 5: nobody trips over the rules five times in ten minutes by accident, and where
        /// many do the place becomes familiar.
        requests_min: u32 = 5,
        /// Requests over the mark when they are of several kinds. 3.
        varied_requests_min: u32 = 3,
        /// What several kinds of attack are. 2.
        kinds_min: u32 = 2,
        /// Actors at whom the same rule matched in the same parameter of the same endpoint, and whose requests came to
        /// success, before it is a false positive of that place and says nothing. 5; 8 at most, 0: never.
        familiar_actors_min: u32 = 5,
        /// Endpoints at which an actor of the same window tripped over rules, up to which it counts as one of those. 2: a scanner makes no
        /// place familiar.
        familiar_places_max: u32 = 2,
    }
}

/// How findings become incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// Findings that share an entity this close in event time are one story. 24 hours: credentials tried at night, used in the morning.
    pub link_secs: u32,
    /// Web and host meet by site and device only this close. 1 hour.
    pub host_link_secs: u32,
    /// An address naming more different accounts, credentials and sessions than this is shared (NAT, proxy) and links nothing. 5.
    pub shared_address_max: u32,
    /// Addresses and networks (`10.0.0.0/8`) that never link: known NAT, proxies, load balancers.
    pub common_addresses: Vec<String>,
    /// Open incidents that may still grow; beyond it the longest quiet one is left to itself.
    pub incidents_max: usize,
    /// Findings too small for an incident that are kept in case they belong to one.
    pub pending_max: usize,
    /// Site name to what is known of it; the same as in [`DetectConfig::sites`].
    pub sites: BTreeMap<String, SiteConfig>,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            link_secs: 86_400,
            host_link_secs: 3_600,
            shared_address_max: 5,
            common_addresses: Vec::new(),
            incidents_max: 4_096,
            pending_max: 4_096,
            sites: BTreeMap::new(),
        }
    }
}
