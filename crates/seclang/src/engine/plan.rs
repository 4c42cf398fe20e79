//! What is worked out once, when a rule set is loaded, so that a value decides which rules look at it
//! instead of every rule looking at every value.
//!
//! A rule is *planned* when its first link can be told apart by what a value must have: a literal out of a
//! set, or bytes out of sets. All other rules run always. Leaving a rule out of the plan is never wrong,
//! only slower; `tests` run every corpus with and without.

use crate::byteset::ByteSet;
use crate::operator::Operator;
use crate::rule::{Link, Phase, Rule, Step, Target};
use crate::ruleset::RuleSet;
use crate::transform::Transformation;
use crate::variable::{Collection, Selector, XmlPath};
use aho_corasick::MatchKind;
use aho_corasick::dfa::DFA;
use std::collections::BTreeMap;

/// A set of chains of transformations, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chains(u128);

impl Chains {
    pub const NONE: Self = Self(0);

    pub fn one(chain: u8) -> Self {
        Self(1u128.checked_shl(u32::from(chain)).unwrap_or(0))
    }

    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of its chains, lowest first.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let number = u8::try_from(left.trailing_zeros()).ok().filter(|n| *n < 128)?;
            left &= left - 1;
            Some(number)
        })
    }
}

/// A place in the tree of chains: chains that begin alike share their beginning.
#[derive(Debug, Default)]
pub struct Node {
    pub ending: Chains,
    /// Chains that end here or further down.
    pub below: Chains,
    pub children: Vec<(Transformation, u16)>,
}

/// What one planned rule asks of a value.
#[derive(Debug)]
pub struct Probe {
    /// Which rule: its position in the phase's steps.
    pub step: u32,
    /// What it looks at: several with `multiMatch`.
    pub chains: Chains,
    pub slots: u128,
    pub length_min: u32,
    pub bytes: Vec<ByteSet>,
}

/// One phase's plan.
#[derive(Debug, Default)]
pub struct PhasePlan {
    /// By position: the rules that run always (and all markers).
    pub always: Bits,
    pub probes: Vec<Probe>,
    /// Finds the literals of all probes at once; `None` when there are none.
    pub automaton: Option<DFA>,
    /// By literal: the probes that ask for it.
    pub by_literal: Vec<Vec<u32>>,
    /// Probes that no literal tells: looked at for every value.
    pub without_literal: Vec<u32>,
    /// The first position with a planned rule: the plan is asked there, when rules before it have run.
    pub first: usize,
    pub guards: Vec<Guard>,
}

/// A rule that decides by a number in TX whether those after it are skipped: CRS's paranoia levels.
#[derive(Debug)]
pub struct Guard {
    pub step: u32,
    /// The position it jumps to.
    pub lands: u32,
}

/// The most chains and slots that a plan tells apart; rules beyond them run always.
pub const CHAINS_MAX: usize = 128;
pub const SLOTS_MAX: usize = 128;

#[derive(Debug, Default)]
pub struct Plan {
    pub phases: [PhasePlan; 5],
    chains: Vec<Vec<Transformation>>,
    nodes: Vec<Node>,
    /// By chain: a value that has none of these bytes comes out as it went in.
    chain_touches: Vec<ByteSet>,
    slots: Vec<Slot>,
    /// Values that the same slots look at are of one class. Class 0 is looked at by none.
    classes: Vec<u128>,
    classes_by_collection: Vec<ClassesOf>,
    /// The XML paths that rules use, in the order their values are numbered.
    pub paths: Vec<XmlPath>,
}

#[derive(Debug, PartialEq, Eq)]
struct Slot {
    collection: Collection,
    path: u16,
    /// `None`: whatever its name.
    name: Option<Vec<u8>>,
}

/// The classes of a collection's values.
#[derive(Debug)]
struct ClassesOf {
    collection: Collection,
    path: u16,
    /// Of values that no slot names.
    others: u16,
    named: Vec<(Vec<u8>, u16)>,
}

/// A set of positions.
#[derive(Clone, Debug, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    pub fn with_len(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    pub fn insert(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub fn contains(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// The first member at `from` or after it.
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut index = from / 64;
        let mut word = self.0.get(index)? & (u64::MAX << (from % 64));
        loop {
            if word != 0 {
                return Some(index * 64 + word.trailing_zeros() as usize);
            }
            index += 1;
            word = *self.0.get(index)?;
        }
    }
}

/// ARGS is what ARGS_GET and ARGS_POST hold.
pub fn parts_of(collection: Collection) -> &'static [Collection] {
    use Collection as C;
    match collection {
        C::Args => &[C::ArgsGet, C::ArgsPost],
        C::ArgsNames => &[C::ArgsGetNames, C::ArgsPostNames],
        C::ArgsGet => &[C::ArgsGet],
        C::ArgsPost => &[C::ArgsPost],
        C::ArgsGetNames => &[C::ArgsGetNames],
        C::ArgsPostNames => &[C::ArgsPostNames],
        C::RequestHeaders => &[C::RequestHeaders],
        C::RequestHeadersNames => &[C::RequestHeadersNames],
        C::RequestCookies => &[C::RequestCookies],
        C::RequestCookiesNames => &[C::RequestCookiesNames],
        C::Files => &[C::Files],
        C::FilesNames => &[C::FilesNames],
        C::FilesTmpContent => &[C::FilesTmpContent],
        C::MultipartFilename => &[C::MultipartFilename],
        C::MultipartName => &[C::MultipartName],
        C::MultipartPartHeaders => &[C::MultipartPartHeaders],
        C::QueryString => &[C::QueryString],
        C::RequestBasename => &[C::RequestBasename],
        C::RequestBody => &[C::RequestBody],
        C::RequestFilename => &[C::RequestFilename],
        C::RequestLine => &[C::RequestLine],
        C::RequestUri => &[C::RequestUri],
        C::RequestUriRaw => &[C::RequestUriRaw],
        C::Xml | C::RequestXml => &[C::Xml],
        C::ResponseArgs => &[C::ResponseArgs],
        C::ResponseXml => &[C::ResponseXml],
        C::ResponseBody => &[C::ResponseBody],
        C::ResponseHeaders => &[C::ResponseHeaders],
        C::ResponseHeadersNames => &[C::ResponseHeadersNames],
        _ => &[],
    }
}

impl Plan {
    pub fn new(rules: &RuleSet) -> Self {
        let mut plan = Self { nodes: vec![Node::default()], ..Self::default() };
        plan.find_paths(rules);
        for (index, steps) in rules.phases.iter().enumerate() {
            let phase = plan.phase(steps, Phase::ALL.get(index).copied());
            if let Some(slot) = plan.phases.get_mut(index) {
                *slot = phase;
            }
        }
        plan.classify();
        plan
    }

    pub fn node(&self, node: u16) -> Option<&Node> {
        self.nodes.get(usize::from(node))
    }

    /// Whether a transformation leaves alone what has only these bytes.
    pub fn is_settled(transformation: Transformation, bytes: ByteSet) -> bool {
        let touched = transformation.touches();
        touched != ByteSet::ALL && !touched.meets(bytes)
    }

    /// The number of a chain of transformations, for every chain that a rule of the set has.
    pub fn chain_of(&self, transformations: &[Transformation]) -> Option<u8> {
        let at = self.chains.iter().position(|chain| chain == transformations)?;
        u8::try_from(at).ok()
    }

    pub fn path_of(&self, path: &XmlPath) -> Option<u16> {
        let at = self.paths.iter().position(|known| known == path)?;
        u16::try_from(at).ok()
    }

    /// The class of a value: which places in the plan look at it.
    pub fn class_of(&self, collection: Collection, path: u16, name: &[u8]) -> u16 {
        let known = self
            .classes_by_collection
            .iter()
            .find(|c| c.collection == collection && c.path == path);
        known.map_or(0, |known| {
            let named = known.named.iter().find(|(wanted, _)| wanted.eq_ignore_ascii_case(name));
            named.map_or(known.others, |(_, class)| *class)
        })
    }

    /// By class: the slots that look at its values.
    pub fn classes(&self) -> &[u128] {
        &self.classes
    }

    /// The chains out of `wanted` that leave alone what has only these bytes.
    pub fn settled(&self, wanted: Chains, bytes: ByteSet) -> Chains {
        let mut settled = Chains::NONE;
        for chain in wanted.numbers() {
            if self.chain_touches.get(usize::from(chain)).is_some_and(|t| !t.meets(bytes)) {
                settled = settled.union(Chains::one(chain));
            }
        }
        settled
    }

    fn classify(&mut self) {
        self.classes.push(0);
        let mut kinds: Vec<(Collection, u16)> =
            self.slots.iter().map(|slot| (slot.collection, slot.path)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for (collection, path) in kinds {
            let slots = self.slots.iter().enumerate();
            let here: Vec<(usize, &Slot)> = slots
                .filter(|(_, slot)| slot.collection == collection && slot.path == path)
                .collect();
            let looking = |name: Option<&[u8]>| {
                here.iter()
                    .filter(|(_, slot)| {
                        slot.name.as_ref().is_none_or(|wanted| Some(wanted.as_slice()) == name)
                    })
                    .fold(0u128, |all, (number, _)| all | 1u128 << number)
            };
            let mut classes: Vec<(Option<Vec<u8>>, u128)> = vec![(None, looking(None))];
            for name in here.iter().filter_map(|(_, slot)| slot.name.clone()) {
                let slots = looking(Some(&name));
                classes.push((Some(name), slots));
            }
            let mut of = ClassesOf { collection, path, others: 0, named: Vec::new() };
            for (name, slots) in classes {
                let class = u16::try_from(self.classes.len()).unwrap_or(0);
                self.classes.push(slots);
                match name {
                    None => of.others = class,
                    Some(name) => of.named.push((name, class)),
                }
            }
            self.classes_by_collection.push(of);
        }
    }

    fn find_paths(&mut self, rules: &RuleSet) {
        let links =
            rules.phases.iter().flat_map(|steps| steps.iter()).filter_map(|step| match step {
                Step::Rule(rule) => Some(&rule.links),
                Step::Marker(_) => None,
            });
        for target in links.flatten().flat_map(|link| &link.targets) {
            if let Selector::Path(path) = &target.selector
                && !self.paths.contains(path)
                && self.paths.len() < usize::from(u16::MAX)
            {
                self.paths.push(path.clone());
            }
        }
    }

    fn phase(&mut self, steps: &[Step], phase: Option<Phase>) -> PhasePlan {
        let mut made = PhasePlan { always: Bits::with_len(steps.len()), ..PhasePlan::default() };
        made.first = steps.len();
        let mut literals: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for (position, step) in steps.iter().enumerate() {
            let Step::Rule(rule) = step else { continue };
            if let Some(guard) = guard(rule, position, steps) {
                made.guards.push(guard);
            }
            for link in &rule.links {
                self.add_chain(&link.transformations);
                if link.multi_match {
                    for end in 0..link.transformations.len() {
                        self.add_chain(link.transformations.get(..end).unwrap_or_default());
                    }
                }
            }
            let probe = match phase {
                Some(Phase::Logging) | None => None,
                Some(_) => self.probe(rule, position),
            };
            let Some((probe, literal)) = probe else {
                made.always.insert(position);
                continue;
            };
            made.first = made.first.min(position);
            let Ok(number) = u32::try_from(made.probes.len()) else { continue };
            made.probes.push(probe);
            match literal {
                None => made.without_literal.push(number),
                Some(words) => {
                    for mut word in words {
                        word.make_ascii_lowercase();
                        let probes = literals.entry(word).or_default();
                        if probes.last() != Some(&number) {
                            probes.push(number);
                        }
                    }
                }
            }
        }
        if !literals.is_empty() {
            let (words, probes): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
            let built = DFA::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .start_kind(aho_corasick::StartKind::Unanchored)
                .build(&words);
            match built {
                Ok(automaton) => {
                    made.automaton = Some(automaton);
                    made.by_literal = probes;
                }
                // Too many words for one automaton: these rules are asked for every value.
                Err(_) => {
                    let mut all: Vec<u32> = probes.into_iter().flatten().collect();
                    all.sort_unstable();
                    all.dedup();
                    made.without_literal.extend(all);
                }
            }
        }
        made
    }

    /// What the rule's first link asks of a value, unless it has to run always.
    fn probe(&mut self, rule: &Rule, position: usize) -> Option<(Probe, Option<Vec<Vec<u8>>>)> {
        let link = rule.links.first()?;
        let test = link.test.as_ref()?;
        if test.negated || link.targets.is_empty() {
            return None;
        }
        let needs = test.operator.needs();
        if needs.literals.is_none() && needs.byte_sets.is_empty() && needs.min_len == 0 {
            return None;
        }
        let mut chains = Chains::one(self.chain_of(&link.transformations)?);
        if link.multi_match {
            for end in 0..link.transformations.len() {
                let beginning = link.transformations.get(..end).unwrap_or_default();
                chains = chains.union(Chains::one(self.chain_of(beginning)?));
            }
        }
        let slots = self.slots(link)?;
        let probe = Probe {
            step: u32::try_from(position).ok()?,
            chains,
            slots,
            length_min: u32::try_from(needs.min_len).unwrap_or(u32::MAX),
            bytes: needs.byte_sets,
        };
        Some((probe, needs.literals))
    }

    /// `None`: it looks at something that is not in the store.
    fn slots(&mut self, link: &Link) -> Option<u128> {
        let mut all = 0u128;
        for target in &link.targets {
            if target.count {
                return None;
            }
            let parts = parts_of(target.collection);
            if parts.is_empty() {
                return None;
            }
            for part in parts {
                all |= 1u128 << self.slot(*part, target)?;
            }
        }
        Some(all)
    }

    fn slot(&mut self, collection: Collection, target: &Target) -> Option<u8> {
        let (path, name) = match &target.selector {
            Selector::All | Selector::Pattern(_) => (0, None),
            Selector::Name(name) => (0, Some(name.clone())),
            Selector::Path(path) => (self.path_of(path)?, None),
        };
        let slot = Slot { collection, path, name };
        if let Some(at) = self.slots.iter().position(|known| *known == slot) {
            return u8::try_from(at).ok();
        }
        if self.slots.len() >= SLOTS_MAX {
            return None;
        }
        let number = u8::try_from(self.slots.len()).ok()?;
        self.slots.push(slot);
        Some(number)
    }

    fn add_chain(&mut self, transformations: &[Transformation]) {
        if self.chain_of(transformations).is_some() || self.chains.len() >= CHAINS_MAX {
            return;
        }
        let Ok(number) = u8::try_from(self.chains.len()) else { return };
        self.chains.push(transformations.to_vec());
        let touched = transformations.iter().map(|transformation| transformation.touches());
        self.chain_touches.push(touched.fold(ByteSet::NONE, ByteSet::union));
        let chain = Chains::one(number);
        let mut node = 0usize;
        for transformation in transformations {
            let Some(here) = self.nodes.get_mut(node) else { return };
            here.below = here.below.union(chain);
            let known = here.children.iter().find(|(t, _)| t == transformation).map(|(_, n)| *n);
            node = match known {
                Some(child) => usize::from(child),
                None => {
                    let Ok(child) = u16::try_from(self.nodes.len()) else { return };
                    if let Some(here) = self.nodes.get_mut(node) {
                        here.children.push((*transformation, child));
                    }
                    self.nodes.push(Node::default());
                    usize::from(child)
                }
            };
        }
        if let Some(last) = self.nodes.get_mut(node) {
            last.ending = last.ending.union(chain);
            last.below = last.below.union(chain);
        }
    }
}

/// A rule whose only link compares a number in TX with a constant and skips ahead.
fn guard(rule: &Rule, position: usize, steps: &[Step]) -> Option<Guard> {
    let marker = rule.skip_after.as_ref()?;
    let [link] = rule.links.as_slice() else { return None };
    let [Target { collection: Collection::Tx, selector: Selector::Name(_), count: false }] =
        link.targets.as_slice()
    else {
        return None;
    };
    let operator = &link.test.as_ref()?.operator;
    let numeric = matches!(
        operator,
        Operator::Eq(_) | Operator::Ge(_) | Operator::Gt(_) | Operator::Le(_) | Operator::Lt(_)
    );
    super::run::argument(operator).and_then(crate::rule::Text::literal)?;
    let plain = numeric && link.transformations.is_empty() && link.excluded.is_empty();
    let lands = steps.iter().enumerate().skip(position).find_map(|(at, step)| match step {
        Step::Marker(name) if name == marker => Some(at),
        _ => None,
    })?;
    plain.then_some(())?;
    Some(Guard { step: u32::try_from(position).ok()?, lands: u32::try_from(lands).ok()? })
}
