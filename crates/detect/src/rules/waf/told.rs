//! One exchange as the rules told of it.

use crate::seen::Seen;
use schema::{OutcomeResult, WafSet};

/// Kinds of attack, by the `attack-*` tags of rules (OWASP CRS's, and those of others who follow it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sql,
    Command,
    /// Code of a language, a template or an object that a parser brings to life.
    Code,
    FileInclusion,
    RemoteInclusion,
    RequestForgery,
    Scripting,
    SessionFixation,
    PromptInjection,
    /// Of a rule that says no more.
    Other,
    Scanner,
    /// A request no browser sends, and a content type nobody expects.
    Protocol,
}

impl Kind {
    const ALL: [Kind; 12] = [
        Kind::Sql,
        Kind::Command,
        Kind::Code,
        Kind::FileInclusion,
        Kind::RemoteInclusion,
        Kind::RequestForgery,
        Kind::Scripting,
        Kind::SessionFixation,
        Kind::PromptInjection,
        Kind::Other,
        Kind::Scanner,
        Kind::Protocol,
    ];

    fn of(tag: &str) -> Kind {
        match tag {
            "sqli" => Kind::Sql,
            "rce" => Kind::Command,
            "ssti" | "deserialization" | "ldap" => Kind::Code,
            "lfi" => Kind::FileInclusion,
            "rfi" => Kind::RemoteInclusion,
            "ssrf" => Kind::RequestForgery,
            "xss" => Kind::Scripting,
            "fixation" => Kind::SessionFixation,
            "prompt-injection" => Kind::PromptInjection,
            _ if tag.starts_with("injection") => Kind::Code,
            _ if tag.starts_with("reputation") => Kind::Scanner,
            "protocol" | "multipart-header" | "deprecated-header" => Kind::Protocol,
            _ => Kind::Other,
        }
    }

    /// As [`schema::Finding::numbers`] has it: requests of this kind.
    fn name(self) -> &'static str {
        match self {
            Kind::Sql => "sqli",
            Kind::Command => "rce",
            Kind::Code => "code_injection",
            Kind::FileInclusion => "lfi",
            Kind::RemoteInclusion => "rfi",
            Kind::RequestForgery => "ssrf",
            Kind::Scripting => "xss",
            Kind::SessionFixation => "session_fixation",
            Kind::PromptInjection => "prompt_injection",
            Kind::Other => "other",
            Kind::Scanner => "scanner",
            Kind::Protocol => "protocol",
        }
    }

    fn is_light(self) -> bool {
        matches!(self, Kind::Scanner | Kind::Protocol)
    }

    /// What it reaches is the application's own: its data, its files, its machine.
    fn is_grave(self) -> bool {
        !self.is_light()
            && !matches!(
                self,
                Kind::Scripting | Kind::SessionFixation | Kind::PromptInjection | Kind::Other
            )
    }
}

/// How many requests were of which kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds([u32; 12]);

impl Kinds {
    fn put(&mut self, kind: Kind) {
        if let Some(count) = self.0.get_mut(kind as usize) {
            *count = 1;
        }
    }

    pub(super) fn add(&mut self, other: &Kinds) {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    fn each(&self) -> impl Iterator<Item = (Kind, u32)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.each().any(|(own, _)| own == kind)
    }

    /// Different kinds of attack; being odd is none.
    pub(super) fn count(&self) -> u32 {
        self.each().filter(|(kind, _)| !kind.is_light()).count() as u32
    }

    pub(super) fn is_light(&self) -> bool {
        self.count() == 0
    }

    pub(super) fn is_grave(&self) -> bool {
        self.each().any(|(kind, _)| kind.is_grave())
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.each().map(|(kind, count)| (kind.name(), f64::from(count)))
    }
}

/// The response is over the rules' mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leak {
    /// It reached the client.
    pub(super) sent: bool,
    /// It is a web shell's page.
    pub(super) shell: bool,
    pub(super) score: i64,
}

pub(super) struct Told<'a> {
    /// The request is over the rules' mark, for something about attacks.
    pub(super) is_attack: bool,
    pub(super) kinds: Kinds,
    /// One of the matches is critical.
    pub(super) is_grave: bool,
    /// Of the matches that are about attacks, sorted.
    pub(super) rules: Vec<u64>,
    /// Rule and parameter of each.
    pub(super) places: Vec<(u64, &'a str)>,
    pub(super) score: i64,
    pub(super) blocked: bool,
    /// A rule set that may not block here would have.
    pub(super) would_block: bool,
    /// Not blocked, and the application did what was asked, or answered with what it should not.
    pub(super) passed: bool,
    /// Blocked, or refused by the application.
    pub(super) refused: bool,
    pub(super) leak: Option<Leak>,
}

impl<'a> Told<'a> {
    pub(super) fn of(sets: &[WafSet<'a>], seen: &Seen<'_>) -> Told<'a> {
        let blocked = sets.iter().any(|set| set.blocked);
        let mut told = Told {
            is_attack: false,
            kinds: Kinds::default(),
            is_grave: false,
            rules: Vec::new(),
            places: Vec::new(),
            score: 0,
            blocked,
            would_block: !blocked && sets.iter().any(|set| set.would_block),
            passed: false,
            refused: blocked || seen.denied,
            leak: None,
        };
        for set in sets {
            if set.is_over_in() {
                told.request(set);
            }
            if set.is_over_out() {
                told.response(set, blocked);
            }
        }
        told.rules.sort_unstable();
        told.rules.dedup();
        told.places.sort_unstable();
        told.places.dedup();
        let is_answered = seen.event.http_code.is_none_or(|code| (200..300).contains(&code));
        let is_done = seen.result == OutcomeResult::Success && is_answered;
        told.passed = !blocked && (is_done || told.leak.is_some());
        told
    }

    fn request(&mut self, set: &WafSet<'a>) {
        for found in set.matches.iter().filter(|found| found.phase <= 2 && found.is_telling()) {
            self.is_attack = true;
            self.is_grave |= found.is_grave();
            self.rules.push(found.rule);
            self.places.push((found.rule, found.variable));
            let mut is_tagged = false;
            for tag in found.attack_tags() {
                is_tagged = true;
                self.kinds.put(Kind::of(tag));
            }
            if !is_tagged {
                self.kinds.put(Kind::Other);
            }
        }
        self.score = self.score.max(set.inbound_score.unwrap_or(0));
    }

    fn response(&mut self, set: &WafSet<'a>, blocked: bool) {
        let matches = || set.matches.iter().filter(|found| found.phase >= 3 && found.is_telling());
        if matches().next().is_none() {
            return;
        }
        let leak = self.leak.get_or_insert(Leak { sent: !blocked, shell: false, score: 0 });
        // CRS's rules on web shells are the only ones on responses that speak of commands.
        leak.shell |= matches().any(|found| found.attack_tags().any(|tag| tag == "rce"));
        leak.score = leak.score.max(set.outbound_score.unwrap_or(0));
    }
}
