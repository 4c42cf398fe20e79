//! The rules. Each is a module with its states and its why.

mod credential;
mod enumeration;
mod flood;
mod leakage;
mod login;
mod prompt;
mod takeover;
mod waf;
mod web_shell;

pub(crate) use flood::{Cell, Usual};
pub(crate) use login::{SiteLogin, SourceLogin};
pub(crate) use prompt::{Prompts, phrases};
pub(crate) use takeover::Suspicion;
pub(crate) use waf::WebAttacks;
pub(crate) use web_shell::Host;

/// What can be found. The name is a code for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    CredentialStuffing,
    PasswordSpraying,
    AccountBruteforce,
    AccountTakeover,
    CredentialTheft,
    ObjectEnumeration,
    ResponseLeakage,
    WebShellUpload,
    WebShellAccess,
    WebShell,
    ReverseShell,
    L7Flood,
    PromptInjectionProbing,
    WebAttack,
    ResponseDisclosure,
}

impl Rule {
    pub const ALL: [Rule; 15] = [
        Rule::CredentialStuffing,
        Rule::PasswordSpraying,
        Rule::AccountBruteforce,
        Rule::AccountTakeover,
        Rule::CredentialTheft,
        Rule::ObjectEnumeration,
        Rule::ResponseLeakage,
        Rule::WebShellUpload,
        Rule::WebShellAccess,
        Rule::WebShell,
        Rule::ReverseShell,
        Rule::L7Flood,
        Rule::PromptInjectionProbing,
        Rule::WebAttack,
        Rule::ResponseDisclosure,
    ];

    /// As [`schema::Finding::rule`] has it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::CredentialStuffing => "credential-stuffing",
            Rule::PasswordSpraying => "password-spraying",
            Rule::AccountBruteforce => "account-bruteforce",
            Rule::AccountTakeover => "account-takeover",
            Rule::CredentialTheft => "credential-theft",
            Rule::ObjectEnumeration => "object-enumeration",
            Rule::ResponseLeakage => "response-leakage",
            Rule::WebShellUpload => "web-shell-upload",
            Rule::WebShellAccess => "web-shell-access",
            Rule::WebShell => "web-shell",
            Rule::ReverseShell => "reverse-shell",
            Rule::L7Flood => "l7-flood",
            Rule::PromptInjectionProbing => "prompt-injection-probing",
            Rule::WebAttack => "web-attack",
            Rule::ResponseDisclosure => "response-disclosure",
        }
    }

    /// Raised whenever the same events would give another finding.
    pub fn version(self) -> u32 {
        1
    }
}

/// Points of confidence for being `factor` times over the mark: `each` per doubling, at most `most`.
pub(crate) fn points(factor: f64, each: f64, most: f64) -> u32 {
    if factor <= 1.0 { 0 } else { (factor.log2() * each).min(most) as u32 }
}

/// `part` of `whole`, 0 of nothing.
pub(crate) fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}
