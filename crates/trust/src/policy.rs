//! A trust policy: data in, something that can judge out.

mod read;
#[cfg(test)]
mod tests;

use crate::engine::Seen;
use crate::expr::{Condition, Facts, Truth};
use crate::vocabulary::{SignalKind, Vocabulary};
use crate::{Decision, Readings, State, Value};
use schema::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of a policy file.
pub const POLICY_BYTES_MAX: usize = 1 << 20;
/// Things of one sort a policy may list: indicators, penalties, rules…
pub const ITEMS_MAX: usize = 250;
/// No decision is good for longer.
pub const TTL_SECS_MAX: u32 = 900;
/// Decisions a policy may know: a bit each.
pub const DECISIONS_MAX: usize = 32;
/// Categories an indicator may belong to.
pub const CATEGORIES: [&str; 6] =
    ["identity", "device", "network", "environment", "behavioral", "session"];

/// Millionths of a point: the engine's unit, so that sums stay exact.
pub(crate) const POINT: i64 = 1_000_000;

/// A compiled policy; the same for every request.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) id: String,
    pub(crate) version: u32,
    pub(crate) hash: Arc<str>,
    /// From lenient to strict.
    pub(crate) profiles: Vec<Profile>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) derived: Vec<Derived>,
    pub(crate) sensitive: Condition,
    pub(crate) unknown: i64,
    pub(crate) unknown_sensitive: i64,
    pub(crate) unverifiable: i64,
    pub(crate) indicators: Vec<Indicator>,
    /// The first is the default.
    pub(crate) lenses: Vec<Lens>,
    pub(crate) penalties: Vec<Penalty>,
    pub(crate) families: Vec<String>,
    pub(crate) ceilings: Vec<Cap>,
    pub(crate) caps: Vec<Cap>,
    pub(crate) decisions: Vec<DecisionKind>,
    pub(crate) names: Vec<Arc<str>>,
    /// From the highest score down.
    pub(crate) bands: Vec<Band>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) missing: Missing,
    pub(crate) obligations: Vec<Duty>,
    pub(crate) duties: Vec<DutyRule>,
    pub(crate) contradictions: Vec<DutyRule>,
    pub(crate) texts: BTreeMap<String, Text>,
}

/// How strict a tenant is; one of the policy's.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub id: Arc<str>,
    /// Lines of the seeds' text whose cases it is made for.
    pub lines: Option<(u32, u32)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Derived {
    pub when: Condition,
    pub slots: u128,
}

#[derive(Debug, Clone)]
pub(crate) struct Indicator {
    pub id: Arc<str>,
    pub category: u8,
    pub share: i64,
    pub not_applicable: Option<Condition>,
    pub lift: Option<Lift>,
    pub cases: Vec<(Condition, i64)>,
    /// Signals it depends on.
    pub slots: u128,
    /// What it comes to when none of them is known; most are not, most of the time.
    pub blank: Option<Blank>,
}

/// In the closed world, and where the unknown may come out either way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blank {
    pub closed: Seen,
    pub open: Seen,
}

/// Moves points part of the way up to `to`.
#[derive(Debug, Clone)]
pub(crate) struct Lift {
    pub when: Condition,
    pub to: i64,
    pub percent: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Lens {
    pub sheet: u32,
    pub when: Option<Condition>,
    pub replaces_default: bool,
    pub weights: [i64; CATEGORIES.len()],
}

#[derive(Debug, Clone)]
pub(crate) struct Penalty {
    pub id: Arc<str>,
    pub family: u8,
    /// Of the trust still left; in millionths of a percent.
    pub percent: i64,
    pub when: Condition,
}

#[derive(Debug, Clone)]
pub(crate) struct Cap {
    pub id: Arc<str>,
    pub when: Condition,
    /// By profile.
    pub points: Vec<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct DecisionKind {
    /// Whether access is given.
    pub permits: bool,
    /// Decisions of its family, itself included.
    pub family: u32,
    /// Decisions that make no sense beside it.
    pub drops: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Band {
    pub min: i64,
    pub decisions: u32,
    pub ttl_secs: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub id: Arc<str>,
    pub when: Condition,
    pub add: u32,
}

/// What follows when evidence a resource demands is missing.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    pub cap: i64,
    pub add: u32,
}

/// Who carries an obligation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The enforcement point, before the access goes on; one that cannot, denies.
    Enforcer,
    /// The server, people or other systems, after it.
    Response,
}

#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub id: Arc<str>,
    pub by: By,
}

#[derive(Debug, Clone)]
pub(crate) struct DutyRule {
    pub when: Condition,
    /// Of the policy's obligations, by index.
    pub add: Vec<u16>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub ko: String,
    pub en: String,
    pub ja: String,
}

/// A language the product speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Ko,
    En,
    Ja,
}

impl Language {
    /// All of them, by their BCP 47 tags.
    pub const ALL: [(&'static str, Language); 3] =
        [("en", Language::En), ("ko", Language::Ko), ("ja", Language::Ja)];
}

impl Policy {
    /// Reads and compiles a policy; everything that is wrong with it otherwise.
    pub fn parse(file: &str, text: &str) -> Result<Policy, Vec<Diagnostic>> {
        read::parse(file, text)
    }

    /// The policy that comes with the product.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[expect(clippy::expect_used, reason = "the file is part of the build and a test parses it")]
    pub fn shipped() -> Policy {
        Policy::parse("packs/trust/policy.yaml", Policy::SHIPPED).expect("the shipped policy")
    }

    /// The text of the policy that comes with the product.
    pub const SHIPPED: &'static str = include_str!("../../../packs/trust/policy.yaml");

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    /// SHA-256 of its text, in hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// From lenient to strict.
    pub fn profiles(&self) -> Vec<&str> {
        self.profiles.iter().map(|profile| &*profile.id).collect()
    }

    /// The place of a profile; the first, most lenient one is 0.
    pub fn profile(&self, id: &str) -> Option<usize> {
        self.profiles.iter().position(|profile| *profile.id == *id)
    }

    /// The profile made for the cases that a line of the seeds' text tells of.
    pub fn profile_of_line(&self, line: u32) -> Option<usize> {
        self.profiles
            .iter()
            .position(|p| p.lines.is_some_and(|(from, to)| (from..=to).contains(&line)))
    }

    /// Types the readings; what the policy does not know or accept is named.
    pub fn state(&self, readings: &Readings) -> Result<State, Vec<Diagnostic>> {
        self.vocabulary.state(readings)
    }

    /// Whether `left` is worse evidence than `right`; `false` where they do not compare.
    pub fn is_worse(&self, signal: &str, left: &Value, right: &Value) -> bool {
        let Some(signal) =
            self.vocabulary.slot(signal).and_then(|slot| self.vocabulary.signal(slot))
        else {
            return false;
        };
        match (signal.parse(left), signal.parse(right)) {
            (Some(left), Some(right)) => signal.is_worse(left, right),
            _ => false,
        }
    }

    /// Every signal it knows, with what may be said of it.
    pub fn signals(&self) -> impl Iterator<Item = (&str, String)> {
        self.vocabulary.signals.iter().map(|signal| (signal.name.as_str(), signal.kind.example()))
    }

    /// What each signal may say, for forms.
    pub fn signal_kinds(&self) -> impl Iterator<Item = (&str, SignalKind<'_>)> {
        self.vocabulary.signals.iter().map(|signal| (signal.name.as_str(), signal.kind.told()))
    }

    pub fn knows(&self, signal: &str) -> bool {
        self.vocabulary.slot(signal).is_some()
    }

    /// Who carries an obligation out; `None` when the policy has no such obligation.
    pub fn performed_by(&self, obligation: &str) -> Option<By> {
        self.obligations.iter().find(|duty| *duty.id == *obligation).map(|duty| duty.by)
    }

    /// The words behind a permanent code.
    pub fn text(&self, code: &str, language: Language) -> Option<&str> {
        self.texts.get(code).map(|text| match language {
            Language::Ko => text.ko.as_str(),
            Language::En => text.en.as_str(),
            Language::Ja => text.ja.as_str(),
        })
    }

    /// The same in English, Korean and Japanese.
    pub fn texts(&self, code: &str) -> Option<[&str; 3]> {
        self.texts.get(code).map(|Text { ko, en, ja }| [en.as_str(), ko, ja])
    }

    /// Works out what indicators come to when nothing is known. To be called again when their cases
    /// change.
    pub(crate) fn fill_blanks(&mut self) {
        let nothing = State { values: vec![0; self.vocabulary.signals.len()], known: 0, silent: 0 };
        let [closed, open] = [false, true].map(|is_open| {
            let derived = self.derive(&nothing, is_open);
            let facts = nothing.facts(&derived, is_open);
            self.indicators.iter().map(|of| Seen::evaluate(of, &facts)).collect::<Vec<_>>()
        });
        for ((indicator, closed), open) in self.indicators.iter_mut().zip(closed).zip(open) {
            indicator.blank = Some(Blank { closed, open });
        }
    }

    /// Derived facts as the closed world has them: what is not known is not so.
    pub(crate) fn derive(&self, state: &State, is_open: bool) -> Vec<Truth> {
        let mut derived = Vec::with_capacity(self.derived.len());
        for fact in &self.derived {
            let facts = state.facts(&derived, is_open);
            derived.push(fact.when.eval(&facts).closed());
        }
        derived
    }

    pub(crate) fn decisions_of(&self, bits: u32) -> Vec<Arc<str>> {
        self.names
            .iter()
            .enumerate()
            .filter(|(bit, _)| bits >> bit & 1 == 1)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// The decision's reasons as sentences, gravest first.
    pub fn sentences(&self, decision: &Decision, language: Language) -> Vec<String> {
        let words = |code: &str| self.text(code, language).unwrap_or(code).to_owned();
        decision
            .reasons
            .iter()
            .map(|reason| {
                let mut sentence = words(&reason.code);
                for (name, value) in &reason.parameters {
                    sentence = sentence.replace(&format!("{{{name}}}"), &words(value));
                }
                sentence
            })
            .collect()
    }

    /// Obligations that must not stand beside this decision on this state.
    pub(crate) fn contradicted(&self, state: &State, decision: &Decision) -> Vec<Arc<str>> {
        let derived = self.derive(state, false);
        let decisions = self
            .names
            .iter()
            .enumerate()
            .filter(|(_, name)| decision.decisions.contains(name))
            .fold(0, |bits, (bit, _)| bits | 1 << bit);
        let score = decision.score.0 * (POINT / 100);
        let facts = Facts { score, decisions, ..state.facts(&derived, false) };
        self.contradictions
            .iter()
            .filter(|rule| rule.when.eval(&facts).is_true())
            .flat_map(|rule| &rule.add)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|place| self.obligations.get(usize::from(*place)))
            .map(|duty| duty.id.clone())
            .collect()
    }

    /// Every code its decisions may show.
    pub(crate) fn codes(&self) -> BTreeSet<String> {
        let mut codes: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
        codes.extend(self.indicators.iter().map(|one| one.id.to_string()));
        codes.extend(self.penalties.iter().map(|one| one.id.to_string()));
        codes.extend(self.ceilings.iter().chain(&self.caps).map(|one| one.id.to_string()));
        codes.extend(self.rules.iter().map(|one| one.id.to_string()));
        codes.extend(self.obligations.iter().map(|one| one.id.to_string()));
        codes.extend(self.names.iter().map(ToString::to_string));
        codes
    }
}

/// Codes of the engine itself, whatever the policy.
pub(crate) const LOW: &str = "low_indicator";
pub(crate) const MISSING: &str = "missing_evidence";
pub(crate) const SILENT: &str = "silent_evidence";
pub(crate) const UNKNOWN: &str = "unknown_evidence";
const CODES: [&str; 4] = [LOW, MISSING, SILENT, UNKNOWN];
