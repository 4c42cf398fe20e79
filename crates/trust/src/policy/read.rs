//! YAML to policy.

mod raw;

use super::{
    Band, By, CATEGORIES, Cap, DECISIONS_MAX, DecisionKind, Derived, Duty, DutyRule, ITEMS_MAX,
    Indicator, Lens, Lift, Missing, POINT, POLICY_BYTES_MAX, Penalty, Policy, Profile, Rule, Text,
};
use crate::expr::{self, Condition, Scope};
use crate::vocabulary::{Kind, SIGNALS_MAX, Signal, VALUES_MAX, Vocabulary};
use crate::yaml;
use raw::{RawFile, Spot};
use schema::{Diagnostic, nearest};
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn parse(file: &str, text: &str) -> Result<Policy, Vec<Diagnostic>> {
    let raw: RawFile = yaml::read(file, text, POLICY_BYTES_MAX).map_err(|d| vec![d])?;
    let mut reader = Reader { file, diagnostics: Vec::new() };
    let mut policy = reader.policy(raw, text);
    policy.fill_blanks();
    if reader.diagnostics.is_empty() { Ok(policy) } else { Err(reader.diagnostics) }
}

/// Collects what is wrong while reading on, so that one run tells of everything.
struct Reader<'a> {
    file: &'a str,
    diagnostics: Vec<Diagnostic>,
}

/// The names conditions may use at one stage of a judgement.
struct Names {
    vocabulary: Vocabulary,
    derived: Vec<String>,
    decisions: Vec<String>,
    has_score: bool,
}

impl Reader<'_> {
    fn wrong(&mut self, code: &str, at: Location, message: impl Into<String>, hint: &str) {
        self.diagnostics
            .push(Diagnostic::new(code, yaml::place(self.file, Some(at)), message).hint(hint));
    }

    fn condition(&mut self, text: &Spot, names: &mut Names) -> Condition {
        let decisions: &[String] = if names.has_score { &names.decisions } else { &[] };
        let mut scope = Scope {
            vocabulary: &mut names.vocabulary,
            derived: &names.derived,
            decisions,
            has_score: names.has_score,
        };
        match expr::compile(&text.value, &mut scope) {
            Ok(condition) => condition,
            Err(wrong) => {
                let at = text.referenced;
                // The quote stands before the text.
                let column = at.column() + wrong.at as u64 + 1;
                let place = match at.line() {
                    0 => self.file.to_owned(),
                    line => format!("{}:{line}:{column}", self.file),
                };
                self.diagnostics.push(
                    Diagnostic::new(
                        "bad-condition",
                        place,
                        format!("{} in `{}`", wrong.message, clipped(&text.value)),
                    )
                    .hint(wrong.hint),
                );
                Condition::Constant(false)
            }
        }
    }

    /// Points from 0 to 100, in the engine's unit.
    fn points(&mut self, value: &Spanned<f64>, what: &str) -> i64 {
        self.number(value, what, 0.0, 100.0, POINT)
    }

    #[expect(clippy::cast_possible_truncation, reason = "within the bounds just checked")]
    #[expect(clippy::cast_precision_loss, reason = "a unit of a million is exact")]
    fn number(&mut self, value: &Spanned<f64>, what: &str, min: f64, max: f64, unit: i64) -> i64 {
        // NaN is in no range.
        if !(min..=max).contains(&value.value) {
            self.wrong(
                "out-of-range",
                value.referenced,
                format!("{what} is {}", value.value),
                &format!("use a number from {min} to {max}"),
            );
            return 0;
        }
        (value.value * unit as f64).round() as i64
    }

    fn few(&mut self, count: usize, max: usize, what: &str) {
        if count > max {
            self.diagnostics.push(
                Diagnostic::new(
                    "too-many",
                    self.file,
                    format!("{count} {what} are more than {max}"),
                )
                .hint("join those that differ only in their condition"),
            );
        }
    }

    fn unique(&mut self, seen: &mut BTreeSet<String>, id: &Spot, what: &str) {
        let is_slug = (1..=63).contains(&id.value.len())
            && id.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_slug {
            self.wrong(
                "bad-id",
                id.referenced,
                format!("`{}` is not an id of {what}", clipped(&id.value)),
                "use 1 to 63 of `a-z`, `0-9` and `_`",
            );
        }
        if !seen.insert(id.value.clone()) {
            self.wrong(
                "duplicate-id",
                id.referenced,
                format!("{what} `{}` is there twice", id.value),
                "give one of them another id, or remove it",
            );
        }
    }

    fn policy(&mut self, raw: RawFile, text: &str) -> Policy {
        self.unique(&mut BTreeSet::new(), &Spanned::clone(&raw.policy), "a policy");
        let profiles = self.profiles(raw.profiles);
        let vocabulary = self.vocabulary(raw.signals);
        let (decision_kinds, decision_names) = self.decisions(raw.decisions);
        let mut names = Names {
            vocabulary,
            derived: Vec::new(),
            decisions: decision_names.clone(),
            has_score: false,
        };
        let derived = self.derived(raw.derived, &mut names);
        let through: Vec<u128> = derived.iter().map(|fact| fact.slots).collect();

        let unknown = self.points(&raw.points.unknown, "`unknown`");
        let unknown_sensitive = self.points(&raw.points.unknown_sensitive, "`unknown_sensitive`");
        let unverifiable = self.points(&raw.points.unverifiable, "`unverifiable`");
        let sensitive = self.condition(&raw.points.sensitive, &mut names);

        let mut ids = BTreeSet::new();
        let indicators = self.indicators(raw.indicators, &mut names, &through, &mut ids);
        let lenses = self.lenses(raw.sheets, &mut names);
        let mut families = Vec::new();
        self.few(raw.penalties.len(), ITEMS_MAX, "penalties");
        let mut penalties = Vec::new();
        for raw in raw.penalties {
            self.unique(&mut ids, &raw.id, "a penalty");
            let at =
                families.iter().position(|family| *family == raw.family).unwrap_or_else(|| {
                    families.push(raw.family.clone());
                    families.len() - 1
                });
            let percent = self.number(&raw.percent, "`percent`", 0.0, 100.0, POINT);
            let when = self.condition(&raw.when, &mut names);
            let family = u8::try_from(at).unwrap_or(u8::MAX);
            penalties.push(Penalty { id: raw.id.value.into(), family, percent, when });
        }
        let ceilings = self.caps(raw.ceilings, &profiles, &mut names, &mut ids);
        let caps = self.caps(raw.caps, &profiles, &mut names, &mut ids);

        names.has_score = true;
        let bands = self.bands(raw.bands, &decision_names);
        self.few(raw.rules.len(), ITEMS_MAX, "rules");
        let mut rules = Vec::new();
        for raw in raw.rules {
            self.unique(&mut ids, &raw.id, "a rule");
            let when = self.condition(&raw.when, &mut names);
            let add = self.bits(&raw.add, &decision_names);
            rules.push(Rule { id: raw.id.value.into(), when, add });
        }
        let missing = Missing {
            cap: self.points(&raw.missing.cap, "`cap`"),
            add: self.bits(&raw.missing.add, &decision_names),
        };
        let mut duty_ids = BTreeSet::new();
        self.few(raw.obligations.len(), ITEMS_MAX, "obligations");
        let mut obligations = Vec::new();
        for raw in raw.obligations {
            self.unique(&mut duty_ids, &raw.id, "an obligation");
            obligations.push(Duty { id: raw.id.value.into(), by: raw.by.into() });
        }
        let duties = self.duties(raw.oblige, &obligations, &mut names);
        let contradictions = self.duties(raw.contradictions, &obligations, &mut names);
        let policy = Policy {
            id: raw.policy.value,
            version: raw.version,
            hash: schema::sha256(text.as_bytes()).to_hex().into(),
            profiles,
            vocabulary: names.vocabulary,
            derived,
            sensitive,
            unknown,
            unknown_sensitive,
            unverifiable,
            indicators,
            lenses,
            penalties,
            families,
            ceilings,
            caps,
            decisions: decision_kinds,
            names: decision_names.into_iter().map(Into::into).collect(),
            bands,
            rules,
            missing,
            obligations,
            duties,
            contradictions,
            texts: BTreeMap::new(),
        };
        self.texts(raw.texts, policy)
    }

    fn profiles(&mut self, raw: Vec<raw::RawProfile>) -> Vec<Profile> {
        let mut seen = BTreeSet::new();
        if raw.is_empty() {
            self.diagnostics.push(
                Diagnostic::new("no-profile", self.file, "`profiles` is empty")
                    .hint("name at least one profile"),
            );
        }
        let mut profiles = Vec::new();
        for raw in raw {
            self.unique(&mut seen, &raw.id, "a profile");
            profiles
                .push(Profile { id: raw.id.value.into(), lines: raw.lines.map(|[a, b]| (a, b)) });
        }
        profiles
    }

    fn vocabulary(&mut self, raw: Vec<raw::RawSignal>) -> Vocabulary {
        self.few(raw.len(), SIGNALS_MAX, "signals");
        let mut seen = BTreeSet::new();
        let mut signals = Vec::new();
        for raw in raw.into_iter().take(SIGNALS_MAX) {
            self.unique(&mut seen, &raw.id, "a signal");
            let at = raw.id.referenced;
            let kind = match raw.kind {
                raw::RawKind::Bool => Kind::Bool,
                raw::RawKind::Integer => Kind::Integer {
                    min: raw.min.unwrap_or(0),
                    max: raw.max.unwrap_or(1_000_000_000),
                },
                raw::RawKind::Enum => Kind::Enum(raw.values.clone()),
                raw::RawKind::Text => Kind::Text { named: Vec::new() },
            };
            if let Kind::Enum(values) = &kind
                && (values.is_empty() || values.len() > VALUES_MAX)
            {
                self.wrong(
                    "bad-values",
                    at,
                    format!("signal `{}` has {} values", raw.id.value, values.len()),
                    &format!("list 1 to {VALUES_MAX} `values`"),
                );
            }
            let worse = self.order(&raw, &kind);
            signals.push(Signal {
                name: raw.id.value,
                kind,
                worse,
                more_is_worse: raw.more.map(|more| more == raw::RawMore::Worse),
            });
        }
        Vocabulary::new(signals)
    }

    /// For each value, those worse than it: what the chains say, and what follows from them.
    fn order(&mut self, raw: &raw::RawSignal, kind: &Kind) -> Vec<u64> {
        let values: Vec<String> = match kind {
            Kind::Bool => vec!["false".to_owned(), "true".to_owned()],
            Kind::Enum(values) => values.clone(),
            Kind::Integer { .. } | Kind::Text { .. } => Vec::new(),
        };
        let mut worse = vec![0_u64; values.len()];
        for chain in &raw.worse {
            let mut places = Vec::new();
            for value in &chain.value {
                match values.iter().position(|known| *known == value.0) {
                    Some(place) => places.push(place),
                    None => {
                        let known = values.iter().map(String::as_str);
                        let hint = nearest(&value.0, known).map_or_else(
                            || format!("use {}", kind.example()),
                            |name| format!("did you mean `{name}`?"),
                        );
                        self.wrong(
                            "unknown-value",
                            chain.referenced,
                            format!("`{}` is not a value of `{}`", value.0, raw.id.value),
                            &hint,
                        );
                    }
                }
            }
            for pair in places.windows(2) {
                if let [better, worst] = pair
                    && let Some(bits) = worse.get_mut(*better)
                {
                    *bits |= 1 << worst;
                }
            }
        }
        // As many rounds as a chain can be long.
        for _ in 0..values.len() {
            let before = worse.clone();
            for bits in &mut worse {
                for (place, further) in before.iter().enumerate() {
                    if *bits >> place & 1 == 1 {
                        *bits |= further;
                    }
                }
            }
        }
        if let Some(place) = worse.iter().enumerate().position(|(i, bits)| *bits >> i & 1 == 1) {
            let value = values.get(place).cloned().unwrap_or_default();
            self.wrong(
                "order-loops",
                raw.id.referenced,
                format!("`{value}` of `{}` comes out worse than itself", raw.id.value),
                "let the chains of `worse` go one way only",
            );
        }
        worse
    }

    fn decisions(&mut self, raw: Vec<raw::RawDecision>) -> (Vec<DecisionKind>, Vec<String>) {
        self.few(raw.len(), DECISIONS_MAX, "decisions");
        let mut seen = BTreeSet::new();
        let names: Vec<String> = raw.iter().map(|d| d.id.value.clone()).collect();
        let family_bits = |family: &str| -> u32 {
            raw.iter()
                .enumerate()
                .filter(|(bit, d)| *bit < DECISIONS_MAX && d.family == family)
                .fold(0, |bits, (bit, _)| bits | 1 << bit)
        };
        let kinds: Vec<DecisionKind> = raw
            .iter()
            .map(|decision| DecisionKind {
                permits: decision.permits,
                family: family_bits(&decision.family),
                drops: decision.drops.iter().fold(0, |bits, f| bits | family_bits(f)),
            })
            .collect();
        let families: Vec<&str> = raw.iter().map(|d| d.family.as_str()).collect();
        for decision in &raw {
            self.unique(&mut seen, &decision.id, "a decision");
            for family in &decision.drops {
                if !families.contains(&family.as_str()) {
                    self.wrong(
                        "unknown-family",
                        decision.id.referenced,
                        format!("no decision is of family `{family}`"),
                        "name a family that a decision has",
                    );
                }
            }
        }
        (kinds, names)
    }

    fn bits(&mut self, wanted: &[Spot], names: &[String]) -> u32 {
        let mut bits = 0;
        for name in wanted {
            match names.iter().position(|known| *known == name.value) {
                Some(bit) if bit < DECISIONS_MAX => bits |= 1 << bit,
                _ => self.unknown_name("decision", name, names),
            }
        }
        bits
    }

    fn unknown_name(&mut self, what: &str, name: &Spot, names: &[String]) {
        let known = names.iter().map(String::as_str);
        let hint = nearest(&name.value, known).map_or_else(
            || format!("list it as {what} first"),
            |name| format!("did you mean `{name}`?"),
        );
        self.wrong(
            "unknown-name",
            name.referenced,
            format!("there is no {what} `{}`", clipped(&name.value)),
            &hint,
        );
    }

    /// Facts in an order in which each needs only earlier ones; a loop is named.
    fn derived(&mut self, raw: Vec<raw::RawDerived>, names: &mut Names) -> Vec<Derived> {
        self.few(raw.len(), ITEMS_MAX, "derived facts");
        let mut seen: BTreeSet<String> = names.vocabulary.names().map(str::to_owned).collect();
        for fact in &raw {
            self.unique(&mut seen, &fact.id, "a signal or derived fact");
        }
        let all: BTreeSet<String> = raw.iter().map(|fact| fact.id.value.clone()).collect();
        let mut waiting: Vec<raw::RawDerived> = raw.into_iter().take(ITEMS_MAX).collect();
        let mut derived: Vec<Derived> = Vec::new();
        while !waiting.is_empty() {
            let is_ready = |fact: &raw::RawDerived| {
                expr::names(&fact.when.value)
                    .iter()
                    .all(|name| !all.contains(name) || names.derived.contains(name))
            };
            let Some(place) = waiting.iter().position(is_ready) else {
                for fact in &waiting {
                    self.wrong(
                        "derived-loops",
                        fact.id.referenced,
                        format!("`{}` needs itself to be known", fact.id.value),
                        "let derived facts rest on signals in the end",
                    );
                }
                break;
            };
            let fact = waiting.remove(place);
            let when = self.condition(&fact.when, names);
            let through: Vec<u128> = derived.iter().map(|fact| fact.slots).collect();
            let slots = when.slots(&through);
            names.derived.push(fact.id.value);
            derived.push(Derived { when, slots });
        }
        derived
    }

    fn indicators(
        &mut self,
        raw: Vec<raw::RawIndicator>,
        names: &mut Names,
        through: &[u128],
        ids: &mut BTreeSet<String>,
    ) -> Vec<Indicator> {
        self.few(raw.len(), ITEMS_MAX, "indicators");
        let mut indicators = Vec::new();
        for raw in raw.into_iter().take(ITEMS_MAX) {
            self.unique(ids, &raw.id, "an indicator");
            let category = match CATEGORIES.iter().position(|name| *name == raw.category.value) {
                Some(place) => u8::try_from(place).unwrap_or(0),
                None => {
                    let known = CATEGORIES.map(str::to_owned);
                    self.unknown_name("category", &raw.category, &known);
                    0
                }
            };
            let share = self.number(&raw.share, "`share`", 0.0, 1_000.0, 1_000);
            let not_applicable = raw.not_applicable.as_ref().map(|w| self.condition(w, names));
            let lift = raw.lift.as_ref().map(|lift| Lift {
                when: self.condition(&lift.when, names),
                to: self.points(&lift.to, "`to`"),
                percent: self.number(&lift.percent, "`percent`", 0.0, 100.0, 1),
            });
            let mut slots = not_applicable.as_ref().map_or(0, |w| w.slots(through))
                | lift.as_ref().map_or(0, |lift| lift.when.slots(through));
            let mut cases = Vec::new();
            for case in &raw.cases {
                let when = self.condition(&case.when, names);
                slots |= when.slots(through);
                cases.push((when, self.points(&case.points, "`points`")));
            }
            indicators.push(Indicator {
                id: raw.id.value.into(),
                category,
                share,
                not_applicable,
                lift,
                cases,
                slots,
                blank: None,
            });
        }
        indicators
    }

    fn lenses(&mut self, raw: Vec<raw::RawSheet>, names: &mut Names) -> Vec<Lens> {
        self.few(raw.len(), ITEMS_MAX, "sheets");
        let mut lenses = Vec::new();
        let mut has_default = false;
        for raw in raw.into_iter().take(ITEMS_MAX) {
            let mut weights = [0_i64; CATEGORIES.len()];
            for (name, weight) in &raw.weights {
                let place = CATEGORIES.iter().position(|category| category == name);
                match place.and_then(|place| weights.get_mut(place)) {
                    Some(slot) => {
                        *slot = self.number(weight, "a weight", 0.0, 1_000.0, 1_000);
                    }
                    None => {
                        let at = Spanned {
                            value: name.clone(),
                            referenced: weight.referenced,
                            defined: weight.defined,
                        };
                        self.unknown_name("category", &at, &CATEGORIES.map(str::to_owned));
                    }
                }
            }
            if weights.iter().sum::<i64>() == 0 {
                self.wrong(
                    "no-weight",
                    raw.sheet.referenced,
                    format!("sheet {} weighs nothing", raw.sheet.value),
                    "give at least one category a weight",
                );
            }
            let lens = Lens {
                sheet: raw.sheet.value,
                when: raw.when.as_ref().map(|when| self.condition(when, names)),
                replaces_default: raw.replaces_default,
                weights,
            };
            match (&lens.when, has_default) {
                (None, false) => {
                    has_default = true;
                    lenses.insert(0, lens);
                }
                (None, true) => self.wrong(
                    "two-defaults",
                    raw.sheet.referenced,
                    "two sheets have no `when`",
                    "the default sheet is one; say when the other applies",
                ),
                (Some(_), _) => lenses.push(lens),
            }
        }
        if !has_default {
            self.diagnostics.push(
                Diagnostic::new("no-default", self.file, "no sheet applies by default")
                    .hint("leave `when` out of one sheet"),
            );
        }
        lenses
    }

    fn caps(
        &mut self,
        raw: Vec<raw::RawCap>,
        profiles: &[Profile],
        names: &mut Names,
        ids: &mut BTreeSet<String>,
    ) -> Vec<Cap> {
        self.few(raw.len(), ITEMS_MAX, "caps");
        let mut caps = Vec::new();
        for raw in raw {
            self.unique(ids, &raw.id, "a cap");
            let when = self.condition(&raw.when, names);
            for (name, points) in &raw.points {
                if profiles.iter().all(|profile| *profile.id != **name) {
                    self.wrong(
                        "unknown-name",
                        points.referenced,
                        format!("there is no profile `{}`", clipped(name)),
                        "list it under `profiles`",
                    );
                }
            }
            let mut points = Vec::new();
            for profile in profiles {
                match raw.points.get(&*profile.id) {
                    Some(value) => points.push(self.points(value, "`points`")),
                    None => self.wrong(
                        "missing-profile",
                        raw.id.referenced,
                        format!("cap `{}` says nothing for `{}`", raw.id.value, profile.id),
                        "give every profile its points; 100 caps nothing",
                    ),
                }
            }
            caps.push(Cap { id: raw.id.value.into(), when, points });
        }
        caps
    }

    fn bands(&mut self, raw: Vec<raw::RawBand>, names: &[String]) -> Vec<Band> {
        let mut bands = Vec::new();
        let mut last = i64::MAX;
        let first = raw.first().map(|band| band.min.referenced);
        for raw in raw {
            let min = self.points(&raw.min, "`min`");
            if min >= last {
                self.wrong(
                    "bands-out-of-order",
                    raw.min.referenced,
                    "a band begins at or above the one before it",
                    "list bands from the highest score down",
                );
            }
            last = min;
            let decisions = self.bits(&raw.decide, names);
            bands.push(Band { min, decisions, ttl_secs: raw.ttl_secs.min(super::TTL_SECS_MAX) });
        }
        if bands.last().is_none_or(|band| band.min != 0) {
            self.diagnostics.push(
                Diagnostic::new(
                    "no-lowest-band",
                    yaml::place(self.file, first),
                    "no band reaches down to 0",
                )
                .hint("end `bands` with `min: 0`"),
            );
        }
        bands
    }

    fn duties(
        &mut self,
        raw: Vec<raw::RawDuty>,
        obligations: &[Duty],
        names: &mut Names,
    ) -> Vec<DutyRule> {
        self.few(raw.len(), ITEMS_MAX, "rules of obligations");
        let known: Vec<String> = obligations.iter().map(|duty| duty.id.to_string()).collect();
        let mut rules = Vec::new();
        for raw in raw {
            let when = self.condition(&raw.when, names);
            let mut add = Vec::new();
            for name in &raw.add {
                match known.iter().position(|id| *id == name.value) {
                    Some(place) => add.push(u16::try_from(place).unwrap_or(u16::MAX)),
                    None => self.unknown_name("obligation", name, &known),
                }
            }
            rules.push(DutyRule { when, add });
        }
        rules
    }

    /// Every code a decision may show has its words in three languages, and no word is left over.
    fn texts(
        &mut self,
        raw: BTreeMap<String, Spanned<raw::RawText>>,
        mut policy: Policy,
    ) -> Policy {
        let codes = policy.codes();
        for code in &codes {
            if !raw.contains_key(code) {
                self.diagnostics.push(
                    Diagnostic::new("missing-text", self.file, format!("`{code}` has no words"))
                        .hint(format!("add `{code}: {{ko: …, en: …, ja: …}}` under `texts`")),
                );
            }
        }
        for (code, text) in raw {
            if !codes.contains(&code) {
                let known = codes.iter().map(String::as_str);
                let hint = nearest(&code, known).map_or_else(
                    || "remove it".to_owned(),
                    |name| format!("did you mean `{name}`?"),
                );
                self.wrong(
                    "unused-text",
                    text.referenced,
                    format!("nothing has the code `{}`", clipped(&code)),
                    &hint,
                );
            }
            let raw::RawText { ko, en, ja } = text.value;
            policy.texts.insert(code, Text { ko, en, ja });
        }
        policy
    }
}

impl From<raw::RawBy> for By {
    fn from(by: raw::RawBy) -> Self {
        match by {
            raw::RawBy::Enforcer => By::Enforcer,
            raw::RawBy::Response => By::Response,
        }
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(120).collect()
}
