//! Running a phase: rules in order, each at the values that could match it.

use super::expand::EXPANDED_BYTES_MAX;
use super::plan::Bits;
use super::store::Span;
use super::transaction::{Allowed, Matched, RemovedOf, RemovedTarget, Transaction};
use super::{ClassView, Engine, plan};
use crate::operator::{Effort, Operator};
use crate::rule::{
    Allow, Change, Control, Deed, Disruptive, EngineMode, Link, Phase, Rule, Sanitise, Step,
    Target, Text,
};
use crate::variable::{Collection, Selector};
use crate::verdict::{Interrupt, Interruption, Limit, MATCHES_MAX, Match, VALUE_BYTES_MAX};
use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton as _;
use aho_corasick::dfa::DFA;
use std::sync::Arc;

/// How much one transaction may cost: each test of a value counts its bytes and [`TEST_COST`], each transformation
/// what it reads and writes, each search for literals what it reads. A request at the default limits stays below a
/// hundredth of it; what reaches it is told, and no rule is tested any more.
pub const WORK_MAX: u64 = 4_000_000_000;
const TEST_COST: u64 = 32;

/// What the plan found: which rules could match which values.
#[derive(Debug, Default)]
struct Candidates {
    hot: Bits,
    /// Position of the rule and number of the cell, sorted.
    pairs: Vec<(u32, u32)>,
    /// By number: guards still to come that would jump. The rules they guard were left out.
    jumps: u128,
}

impl Candidates {
    fn of(&self, position: usize) -> &[(u32, u32)] {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        let from = self.pairs.partition_point(|(step, _)| *step < position);
        let to = self.pairs.partition_point(|(step, _)| *step <= position);
        self.pairs.get(from..to).unwrap_or_default()
    }

    /// Whether the run has come to rules that were left out: their guard did not jump after all, for TX had
    /// changed, or it was skipped.
    fn are_outrun(&mut self, guards: &[plan::Guard], at: usize) -> bool {
        let mut outrun = false;
        while self.jumps != 0
            && let Some(guard) = guards.get(self.jumps.trailing_zeros() as usize)
            && (guard.step as usize) < at
        {
            self.jumps &= self.jumps.wrapping_sub(1);
            outrun |= at < guard.lands as usize;
        }
        outrun
    }
}

/// The literals found in one value, kept between values for the memory.
#[derive(Debug, Default)]
struct Scan {
    hits: Vec<u32>,
    /// By what the transformations made of the value: where its literals are in `hits`.
    found: Vec<(usize, std::ops::Range<usize>)>,
    /// By literal: the last search that found it.
    seen: Vec<u32>,
    search: u32,
    /// States whose literals were noted, and in which search: most texts come by the same ones often.
    noted: Vec<(u32, u32)>,
}

/// So many states are remembered, by the highest bits of their hash.
const NOTED_BITS: u32 = 8;

impl Scan {
    /// Notes each literal that `text` has, once. Literals are short, so few end at one byte: time is linear.
    fn look(&mut self, automaton: &DFA, text: &[u8], literals: usize) {
        self.seen.resize(literals, 0);
        self.noted.resize(1 << NOTED_BITS, (0, 0));
        self.search += 1;
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
        for byte in text {
            state = automaton.next_state(Anchored::No, state, *byte);
            if !automaton.is_special(state) || !automaton.is_match(state) {
                continue;
            }
            let place = state.as_u32().wrapping_mul(0x9e37_79b1) >> (u32::BITS - NOTED_BITS);
            if let Some(noted) = self.noted.get_mut(place as usize) {
                let here = (self.search, state.as_u32());
                if *noted == here {
                    continue;
                }
                *noted = here;
            }
            for index in 0..automaton.match_len(state) {
                let literal = automaton.match_pattern(state, index).as_u32();
                if let Some(seen) = self.seen.get_mut(literal as usize)
                    && *seen != self.search
                {
                    *seen = self.search;
                    self.hits.push(literal);
                }
            }
        }
    }
}

impl Transaction {
    /// Runs a phase, unless the transaction has been stopped or let go before.
    pub(super) fn run(&mut self, phase: Phase) -> Option<&Interruption> {
        let engine = Arc::clone(&self.engine);
        if self.mode() == EngineMode::Off {
            return None;
        }
        if phase != Phase::Logging {
            if self.interruption.is_some() {
                return self.interruption.as_ref();
            }
            let request = phase <= Phase::RequestBody;
            if self.allowed == Allowed::All || (self.allowed == Allowed::Request && request) {
                return None;
            }
        }
        self.allowed = Allowed::No;
        if self.store.is_full() {
            self.reached(Limit::Work);
        }
        let index = phase as usize - 1;
        let (Some(steps), Some(plan)) =
            (engine.rules.phases.get(index), engine.plan.phases.get(index))
        else {
            return None;
        };
        let mut candidates: Option<Candidates> = None;
        let mut at = 0;
        while at < steps.len() {
            if candidates.as_mut().is_some_and(|found| found.are_outrun(&plan.guards, at)) {
                candidates = None;
            }
            let next = if !engine.planned {
                Some(at)
            } else if let Some(found) = &candidates {
                match (plan.always.next(at), found.hot.next(at)) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                }
            } else {
                match plan.always.next(at) {
                    Some(next) if next < plan.first => Some(next),
                    _ if plan.first < steps.len() => {
                        candidates = Some(self.candidates(&engine, index, at));
                        continue;
                    }
                    next => next,
                }
            };
            let Some(position) = next else { break };
            let Some(Step::Rule(rule)) = steps.get(position) else {
                at = position + 1;
                continue;
            };
            at = position + 1;
            let pairs = match &candidates {
                Some(found) if !plan.always.contains(position) => Some(found.of(position)),
                _ => None,
            };
            if !self.run_rule(&engine, rule, (index, position), pairs) {
                continue;
            }
            if rule.skip_after.is_some() {
                // A marker that never comes skips the rest of the phase, as it does in ModSecurity.
                at = engine.info(index, position).map_or(steps.len(), |info| info.landing);
            } else if rule.skip > 0 {
                at = after_skipping(steps, at, rule.skip);
            }
            if self.interruption.is_some() && phase != Phase::Logging {
                break;
            }
            if self.allowed != Allowed::No {
                break;
            }
        }
        self.current = None;
        if self.store.is_full() {
            self.reached(Limit::Work);
        }
        self.interruption.as_ref()
    }

    /// Asks the plan which rules from `at` on could match which values.
    fn candidates(&mut self, engine: &Engine, phase: usize, at: usize) -> Candidates {
        let mut jumps = 0u128;
        for (number, guard) in engine.guards(phase).iter().enumerate().take(128) {
            if guard.step as usize >= at && self.guard_jumps(engine, phase, guard.step as usize) {
                jumps |= 1 << number;
            }
        }
        let view = engine.view(phase, jumps);
        let steps = engine.rules.phases.get(phase).map_or(0, |steps| steps.len());
        let mut found =
            Candidates { hot: Bits::with_len(steps), pairs: Vec::with_capacity(64), jumps };
        let Some(plan) = engine.plan.phases.get(phase) else { return found };
        let mut scan = Scan::default();
        for cell in 0..self.store.len() {
            let class = self.store.cell(cell).map_or(0, |cell| usize::from(cell.class));
            let Some(class) = view.classes.get(class).filter(|c| !c.wanted.is_empty()) else {
                continue;
            };
            if self.is_spent() {
                self.reached(Limit::Work);
                break;
            }
            let mark = self.store.mark();
            self.store.make(cell, class.wanted, &engine.plan);
            self.work =
                self.work.saturating_add(self.scan(plan, class, cell, &mut scan, &mut found));
            self.store.release(mark);
        }
        found.pairs.sort_unstable();
        found.pairs.dedup();
        for (position, _) in &found.pairs {
            found.hot.insert(*position as usize);
        }
        found
    }

    /// What was searched for literals comes back, in bytes.
    fn scan(
        &self,
        plan: &plan::PhasePlan,
        class: &ClassView,
        cell: usize,
        scan: &mut Scan,
        found: &mut Candidates,
    ) -> u64 {
        let Ok(number) = u32::try_from(cell) else { return 0 };
        let mut searched = 0;
        let made = self.store.made(cell);
        for (nth, one) in made.iter().enumerate() {
            let chains = one.chains.and(class.wanted);
            if chains.is_empty() {
                continue;
            }
            let text = self.store.text(one.text);
            let mut ask = |probe: &plan::Probe| {
                if chains.meets(probe.chains)
                    && text.len() >= probe.length_min as usize
                    && probe.bytes.iter().all(|needed| needed.meets(one.bytes))
                {
                    found.pairs.push((probe.step, number));
                }
            };
            let special =
                if class.special.meets(one.bytes) { &class.without_literal[..] } else { &[] };
            let rest = class.unspecial.iter().chain(special);
            for probe in rest.filter_map(|p| plan.probes.get(*p as usize)) {
                ask(probe);
            }
            let Some(automaton) = plan.automaton.as_ref().filter(|_| class.has_literals) else {
                continue;
            };
            // Literals are found in any case of letters: what differs in case only is searched once.
            let before = made.get(..nth).unwrap_or_default().iter().enumerate();
            let known = before.rev().find(|(_, other)| {
                other.text.to - other.text.from == one.text.to - one.text.from
                    && self.store.text(other.text).eq_ignore_ascii_case(text)
            });
            match known.and_then(|(other, _)| scan.found.iter().find(|(n, _)| *n == other)) {
                Some((_, range)) => scan.found.push((nth, range.clone())),
                None => {
                    let from = scan.hits.len();
                    scan.look(automaton, text, plan.by_literal.len());
                    searched += text.len() as u64;
                    scan.found.push((nth, from..scan.hits.len()));
                }
            }
            let range = scan.found.last().map_or(0..0, |(_, range)| range.clone());
            for literal in scan.hits.get(range).unwrap_or_default() {
                for probe in plan.by_literal.get(*literal as usize).into_iter().flatten() {
                    if class.probes.contains(*probe as usize)
                        && let Some(probe) = plan.probes.get(*probe as usize)
                    {
                        ask(probe);
                    }
                }
            }
        }
        scan.found.clear();
        scan.hits.clear();
        searched
    }

    fn is_spent(&self) -> bool {
        self.work.saturating_add(self.store.worked()) >= WORK_MAX
    }

    /// Whether a guard would jump with TX as it is now. Being wrong costs time only: the rule itself runs, and
    /// the plan is asked again when it does not jump.
    fn guard_jumps(&self, engine: &Engine, phase: usize, position: usize) -> bool {
        let Some(Step::Rule(rule)) = engine.rules.phases.get(phase).and_then(|s| s.get(position))
        else {
            return false;
        };
        let Some(Link { targets, test: Some(test), .. }) = rule.links.first() else {
            return false;
        };
        let (Some(Target { selector: Selector::Name(name), .. }), Some(argument)) =
            (targets.first(), argument(&test.operator).and_then(Text::literal))
        else {
            return false;
        };
        self.tx
            .get(name)
            .is_some_and(|value| test.operator.test(value, argument, None) != test.negated)
    }

    /// Runs one rule. `pairs` are the values the plan found for it; without, it looks at all.
    fn run_rule(
        &mut self,
        engine: &Engine,
        rule: &Rule,
        current: (usize, usize),
        pairs: Option<&[(u32, u32)]>,
    ) -> bool {
        if self.is_removed(rule) {
            return false;
        }
        self.current = Some(current);
        self.matched.clear();
        let mark = self.store.mark();
        let matched = self.try_rule(engine, rule, current, pairs);
        // What matched is told by now.
        self.matched.clear();
        self.store.release(mark);
        matched
    }

    fn try_rule(
        &mut self,
        engine: &Engine,
        rule: &Rule,
        current: (usize, usize),
        pairs: Option<&[(u32, u32)]>,
    ) -> bool {
        let chains = engine.info(current.0, current.1).map_or(&[][..], |info| &info.chains);
        for (number, link) in rule.links.iter().enumerate() {
            let pairs = if number == 0 { pairs } else { None };
            let chain = chains.get(number).copied().flatten();
            if !self.run_link(engine, rule, link, chain, pairs) {
                return false;
            }
        }
        self.after_match(rule);
        true
    }

    fn is_removed(&self, rule: &Rule) -> bool {
        let control = &self.control;
        if control.removed_ids.is_empty()
            && control.removed_tags.is_empty()
            && control.removed_messages.is_empty()
        {
            return false;
        }
        control.removed_ids.iter().any(|range| range.contains(rule.id))
            || control.removed_tags.iter().any(|tag| self.has_tag(rule, tag))
            || control.removed_messages.iter().any(|message| has_message(rule, message))
    }

    fn has_tag(&self, rule: &Rule, tag: &str) -> bool {
        rule.tags.iter().any(|known| match known.literal() {
            Some(text) => text == tag.as_bytes(),
            None => self.expand(known) == tag.as_bytes(),
        })
    }

    fn run_link(
        &mut self,
        engine: &Engine,
        rule: &Rule,
        link: &Link,
        chain: Option<u8>,
        pairs: Option<&[(u32, u32)]>,
    ) -> bool {
        let Some(test) = &link.test else {
            self.do_deeds(&link.deeds);
            return true;
        };
        let expanded;
        let argument: &[u8] = match argument(&test.operator) {
            None => b"",
            Some(text) => match text.literal() {
                Some(literal) => literal,
                None => {
                    expanded = self.expand(text);
                    &expanded
                }
            },
        };
        // A pattern with macros is another each time, but the same for all values.
        let pattern = match &test.operator {
            Operator::RxText(_) => Some(Operator::rx_now(argument)),
            _ => None,
        };
        let lost = if matches!(pattern, Some(Operator::NoMatch)) {
            Some(Limit::Work)
        } else {
            (argument.len() >= EXPANDED_BYTES_MAX).then_some(Limit::Variables)
        };
        let operator = pattern.as_ref().unwrap_or(&test.operator);
        let looking =
            Looking { engine, rule, link, chain, operator, negated: test.negated, argument, lost };
        let mut matched = false;
        for target in &link.targets {
            matched |= self.look_at(&looking, target, pairs);
        }
        matched
    }

    fn look_at(
        &mut self,
        looking: &Looking<'_>,
        target: &Target,
        pairs: Option<&[(u32, u32)]>,
    ) -> bool {
        if target.count {
            let count = self.count(looking, target);
            let value = self.store.keep(count.to_string().as_bytes());
            let name = self.selector_name(&target.selector);
            return self.try_value(looking, target.collection, name, value, None);
        }
        let mut matched = false;
        let parts = plan::parts_of(target.collection);
        if !parts.is_empty() {
            let path = self.path_of(looking.engine, &target.selector);
            match pairs {
                Some(pairs) => {
                    for (_, cell) in pairs {
                        matched |= self.try_cell(looking, target, parts, path, *cell as usize);
                    }
                }
                None => {
                    for cell in self.store.range_of(parts) {
                        matched |= self.try_cell(looking, target, parts, path, cell);
                    }
                }
            }
            return matched;
        }
        // A number in TX against a constant is what most rules that always run are.
        if let (Collection::Tx, Selector::Name(name)) = (target.collection, &target.selector)
            && looking.link.transformations.is_empty()
        {
            let Some(value) = self.tx.get(name) else { return false };
            if !looking.link.capture {
                let mut effort = Effort::default();
                let (operator, argument) = (looking.operator, looking.argument);
                let matches = operator.test_telling(value, argument, None, &mut effort);
                if matches == looking.negated && !effort.gave_up && looking.lost.is_none() {
                    return false;
                }
            }
        }
        let values = self.values(target.collection, &target.selector);
        for (name, value) in values.iter() {
            let name = self.store.keep(name);
            let value = self.store.keep(value);
            matched |= self.try_value(looking, target.collection, name, value, None);
        }
        self.bag = values;
        matched
    }

    fn count(&self, looking: &Looking<'_>, target: &Target) -> usize {
        let parts = plan::parts_of(target.collection);
        if parts.is_empty() {
            return self.count_of(target.collection, &target.selector);
        }
        let path = self.path_of(looking.engine, &target.selector);
        let cells = self.store.cells_of(parts);
        cells
            .filter(|cell| selects(&target.selector, path, cell.path, self.store.text(cell.name)))
            .count()
    }

    fn path_of(&self, engine: &Engine, selector: &Selector) -> Option<u16> {
        match selector {
            Selector::Path(path) => engine.plan.path_of(path),
            _ => None,
        }
    }

    fn try_cell(
        &mut self,
        looking: &Looking<'_>,
        target: &Target,
        parts: &[Collection],
        wanted: Option<u16>,
        cell: usize,
    ) -> bool {
        let Some(found) = self.store.cell(cell) else { return false };
        if !parts.contains(&found.collection) {
            return false;
        }
        let (name, value, path) = (found.name, found.value, found.path);
        if !selects(&target.selector, wanted, path, self.store.text(name)) {
            return false;
        }
        self.try_value(looking, target.collection, name, value, Some(cell))
    }

    /// Tests one value; what follows from a match is done at once.
    fn try_value(
        &mut self,
        looking: &Looking<'_>,
        collection: Collection,
        name: Span,
        value: Span,
        cell: Option<usize>,
    ) -> bool {
        if self.is_excluded(looking, collection, name) || self.is_overlooked(collection, value) {
            return false;
        }
        if looking.link.multi_match {
            let mut matched = self.test_text(looking, collection, name, value);
            let mut text = value;
            for transformation in &looking.link.transformations {
                if let Some(changed) = self.store.transformed(*transformation, text) {
                    text = changed;
                    matched |= self.test_text(looking, collection, name, text);
                }
            }
            return matched;
        }
        let transformations = &looking.link.transformations;
        let plan = &looking.engine.plan;
        let text = match (cell, transformations.is_empty()) {
            (_, true) => value,
            (Some(cell), false) => match looking.chain {
                Some(chain) => self.store.result(cell, chain, plan),
                None => self.transform(transformations, value),
            },
            (None, false) => self.transform(transformations, value),
        };
        self.test_text(looking, collection, name, text)
    }

    fn transform(
        &mut self,
        transformations: &[crate::transform::Transformation],
        mut text: Span,
    ) -> Span {
        for transformation in transformations {
            text = self.store.transformed(*transformation, text).unwrap_or(text);
        }
        text
    }

    fn test_text(
        &mut self,
        looking: &Looking<'_>,
        collection: Collection,
        name: Span,
        text: Span,
    ) -> bool {
        if self.is_spent() {
            self.reached(Limit::Work);
            return false;
        }
        let value = self.store.text(text);
        self.work = self.work.saturating_add(TEST_COST + value.len() as u64);
        let captures = looking.link.capture.then(|| {
            self.captures.groups.clear();
            &mut self.captures
        });
        let mut effort = Effort::default();
        let matches = looking.operator.test_telling(value, looking.argument, captures, &mut effort);
        self.work = self.work.saturating_add(effort.bytes);
        if effort.gave_up {
            self.reached(Limit::Work);
        }
        if let Some(limit) = looking.lost {
            self.reached(limit);
        }
        if matches == looking.negated {
            return false;
        }
        self.matched.push(Matched { collection, name, value: text });
        if looking.link.capture {
            self.keep_captures();
        }
        self.do_deeds(&looking.link.deeds);
        true
    }

    fn keep_captures(&mut self) {
        const NAMES: [&[u8]; 10] = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"];
        for (name, group) in NAMES.into_iter().zip(&self.captures.groups) {
            self.tx.set(name, group);
        }
        let caught = self.captures.groups.len().min(NAMES.len());
        for name in NAMES.into_iter().take(self.caught).skip(caught) {
            self.tx.remove(name);
        }
        self.caught = caught;
    }

    fn is_excluded(&self, looking: &Looking<'_>, collection: Collection, name: Span) -> bool {
        let name = self.store.text(name);
        let out = |(excluded, selector): (Collection, &Selector)| {
            covers(excluded, collection) && selects(selector, None, 0, name)
        };
        looking.link.excluded.iter().any(|(c, s)| out((*c, s)))
            || self.control.removed_targets.iter().any(|removed| {
                out((removed.collection, &removed.selector)) && self.is_of(removed, looking.rule)
            })
    }

    /// What rules made themselves is never masked.
    fn is_overlooked(&self, collection: Collection, value: Span) -> bool {
        collection != Collection::Tx
            && self.control.overlooked.is_some_and(|is| is(self.store.text(value)))
    }

    fn is_of(&self, removed: &RemovedTarget, rule: &Rule) -> bool {
        match &removed.of {
            RemovedOf::Ids(ranges) => ranges.iter().any(|range| range.contains(rule.id)),
            RemovedOf::Tag(tag) => self.has_tag(rule, tag),
            RemovedOf::Message(message) => has_message(rule, message),
        }
    }

    fn do_deeds(&mut self, deeds: &[Deed]) {
        for deed in deeds {
            match deed {
                Deed::Set { collection, name, change } => self.set(*collection, name, change),
                Deed::Expire { collection, name, seconds } => {
                    self.expire(*collection, name, seconds);
                }
                Deed::Deprecate { collection, name, amount, seconds } => {
                    self.deprecate(*collection, name, *amount, *seconds);
                }
                Deed::Open { collection, key } => self.open(*collection, key),
                Deed::Control(control) => self.control_by(control),
                Deed::SetEnv { name, value } => {
                    let value = self.expand_all(value);
                    if !self.env.set(name.as_bytes(), &value) {
                        self.reached(Limit::Variables);
                    }
                }
                // What is not to be shown is decided where evidence is protected: in the gateway.
                Deed::Sanitise(
                    Sanitise::Matched
                    | Sanitise::MatchedBytes
                    | Sanitise::Argument(_)
                    | Sanitise::RequestHeader(_)
                    | Sanitise::ResponseHeader(_),
                ) => {}
            }
        }
    }

    fn set(&mut self, collection: Collection, name: &Text, change: &Change) {
        let expanded;
        let name: &[u8] = match name.literal() {
            Some(literal) => literal,
            None => {
                expanded = self.expand(name);
                &expanded
            }
        };
        let value = match change {
            Change::Remove => None,
            Change::To(text) => Some(self.expand(text)),
            Change::Add(text) | Change::Subtract(text) => {
                let by = super::vars::number(&self.expand(text));
                let now = self.vars(collection).and_then(|vars| vars.get(name));
                let now = now.map_or(0, super::vars::number);
                let sum = match change {
                    Change::Subtract(_) => now.saturating_sub(by),
                    _ => now.saturating_add(by),
                };
                Some(sum.to_string().into_bytes())
            }
        };
        let Some(vars) = self.vars_mut(collection) else { return };
        let kept = match value {
            None => {
                vars.remove(name);
                true
            }
            Some(value) => vars.set(name, &value) && value.len() < EXPANDED_BYTES_MAX,
        };
        if !kept {
            self.reached(Limit::Variables);
        }
    }

    fn control_by(&mut self, control: &Control) {
        let own = &mut self.control;
        match control {
            Control::RuleEngine(mode) => own.engine = Some(*mode),
            Control::AuditEngine(mode) => own.audit = Some(*mode),
            Control::RequestBodyAccess(on) => own.request_body_access = Some(*on),
            Control::ResponseBodyAccess(on) => own.response_body_access = Some(*on),
            Control::RequestBodyProcessor(processor) => {
                own.request_processor = Some(*processor);
                self.facts.processor = match processor {
                    crate::rule::BodyProcessor::UrlEncoded => "URLENCODED",
                    crate::rule::BodyProcessor::Multipart => "MULTIPART",
                    crate::rule::BodyProcessor::Json => "JSON",
                    crate::rule::BodyProcessor::Xml => "XML",
                    crate::rule::BodyProcessor::Raw => "RAW",
                };
            }
            Control::ResponseBodyProcessor(processor) => own.response_processor = Some(*processor),
            Control::RequestBodyLimit(bytes) => own.request_body_limit = Some(*bytes),
            Control::ResponseBodyLimit(bytes) => own.response_body_limit = Some(*bytes),
            Control::ForceRequestBodyVariable(on) => own.force_request_body = *on,
            Control::ForceResponseBodyVariable(on) => own.force_response_body = *on,
            Control::RemoveById(ranges) => add_new(&mut own.removed_ids, ranges),
            Control::RemoveByTag(tag) => add_new(&mut own.removed_tags, [tag]),
            Control::RemoveByMessage(message) => add_new(&mut own.removed_messages, [message]),
            Control::RemoveTargetById(ranges, collection, selector) => {
                own.leave_out(RemovedTarget {
                    of: RemovedOf::Ids(ranges.clone()),
                    collection: *collection,
                    selector: selector.clone(),
                });
            }
            Control::RemoveTargetByTag(tag, collection, selector) => {
                own.leave_out(RemovedTarget {
                    of: RemovedOf::Tag(tag.clone()),
                    collection: *collection,
                    selector: selector.clone(),
                });
            }
            Control::RemoveTargetByMessage(message, collection, selector) => {
                own.leave_out(RemovedTarget {
                    of: RemovedOf::Message(message.clone()),
                    collection: *collection,
                    selector: selector.clone(),
                });
            }
            Control::AuditLogParts(_) | Control::DebugLogLevel | Control::None => {}
        }
    }

    /// All links matched: tell of it, and do what the rule is for.
    fn after_match(&mut self, rule: &Rule) {
        if let Some(severity) = rule.severity {
            self.highest = Some(self.highest.map_or(severity, |known| known.min(severity)));
        }
        let disruptive = match &rule.disruptive {
            Disruptive::Pass => None,
            Disruptive::Allow(allow) => {
                if self.mode() == EngineMode::On {
                    self.allowed = match allow {
                        Allow::All => Allowed::All,
                        Allow::Phase => Allowed::Phase,
                        Allow::Request => Allowed::Request,
                    };
                }
                None
            }
            Disruptive::Deny => Some(Interrupt::Deny { status: rule.status }),
            Disruptive::Drop => Some(Interrupt::Drop),
            Disruptive::Redirect(location) => Some(Interrupt::Redirect {
                status: if (300..400).contains(&rule.status) { rule.status } else { 302 },
                location: self.expand(location),
            }),
        };
        if rule.log || rule.audit_log || disruptive.is_some() {
            self.note(rule, disruptive.is_some());
        }
        if let Some(deed) = disruptive {
            let interruption = Interruption { rule: rule.id, phase: rule.phase, deed };
            if self.mode() == EngineMode::On {
                self.interruption.get_or_insert(interruption);
            } else {
                self.would.get_or_insert(interruption);
            }
        }
    }

    fn note(&mut self, rule: &Rule, disruptive: bool) {
        self.audit |= rule.audit_log;
        if self.matches.len() >= MATCHES_MAX {
            self.matches_dropped += 1;
            self.reached(Limit::Matches);
            return;
        }
        let text = |pick: fn(&Link) -> Option<&Text>| {
            rule.links.iter().find_map(pick).map_or_else(Vec::new, |text| self.expand(text))
        };
        let message = text(|link| link.message.as_ref());
        let log_data = text(|link| link.log_data.as_ref());
        let (variable, mut value) = match self.matched.last() {
            None => (Vec::new(), Vec::new()),
            Some(last) => {
                let name = full_name(last.collection, self.store.text(last.name));
                (name, self.store.text(last.value).to_vec())
            }
        };
        value.truncate(VALUE_BYTES_MAX);
        let last = rule.links.last();
        self.matches.push(Match {
            rule: rule.id,
            place: rule.place.clone(),
            phase: rule.phase,
            message,
            log_data,
            severity: rule.severity,
            tags: rule.tags.iter().map(|tag| Arc::from(self.expand(tag))).collect(),
            variable,
            value,
            transformations: last.map_or_else(Vec::new, |link| link.transformations.clone()),
            test: last
                .and_then(|link| link.test.as_ref())
                .map_or_else(String::new, |test| test.text.clone()),
            logged: rule.log,
            audited: rule.audit_log,
            disruptive,
        });
    }
}

/// What a link looks with.
struct Looking<'a> {
    engine: &'a Engine,
    rule: &'a Rule,
    link: &'a Link,
    /// The number of the link's chain of transformations.
    chain: Option<u8>,
    operator: &'a Operator,
    negated: bool,
    argument: &'a [u8],
    /// Why it does not look for what the rule means: what a request put in is cut off, or no pattern.
    lost: Option<Limit>,
}

/// The operator's argument, for those that compare with text.
pub(crate) fn argument(operator: &Operator) -> Option<&Text> {
    match operator {
        Operator::BeginsWith(text)
        | Operator::Contains(text)
        | Operator::ContainsWord(text)
        | Operator::EndsWith(text)
        | Operator::StrMatch(text)
        | Operator::StrEq(text)
        | Operator::Within(text)
        | Operator::Eq(text)
        | Operator::Ge(text)
        | Operator::Gt(text)
        | Operator::Le(text)
        | Operator::Lt(text)
        | Operator::RxText(text) => Some(text),
        _ => None,
    }
}

/// Once is enough: a rule says it again for each value it matches.
fn add_new<'a, T: Clone + PartialEq + 'a>(
    list: &mut Vec<T>,
    more: impl IntoIterator<Item = &'a T>,
) {
    for one in more {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

fn has_message(rule: &Rule, message: &str) -> bool {
    let texts = rule.links.iter().filter_map(|link| link.message.as_ref());
    texts.filter_map(Text::literal).any(|text| text == message.as_bytes())
}

fn after_skipping(steps: &[Step], mut at: usize, mut left: u32) -> usize {
    while left > 0 {
        match steps.get(at) {
            None => break,
            Some(Step::Marker(_)) => {}
            Some(Step::Rule(_)) => left -= 1,
        }
        at += 1;
    }
    at
}

/// Whether leaving out `excluded` leaves out values that were found under `collection`.
fn covers(excluded: Collection, collection: Collection) -> bool {
    if excluded == collection {
        return true;
    }
    let parts = plan::parts_of(collection);
    !parts.is_empty()
        && (plan::parts_of(excluded) == parts
            || (parts.len() == 1 && plan::parts_of(excluded).contains(&collection)))
}

pub(super) fn selects(selector: &Selector, wanted: Option<u16>, path: u16, name: &[u8]) -> bool {
    match selector {
        Selector::All => true,
        Selector::Name(known) => known.eq_ignore_ascii_case(name),
        Selector::Pattern(pattern) => pattern.is_match(name),
        Selector::Path(_) => wanted == Some(path),
    }
}

/// `ARGS:q`; a variable without parts is just its name.
pub(super) fn full_name(collection: Collection, name: &[u8]) -> Vec<u8> {
    let mut full = collection.name().as_bytes().to_vec();
    if !name.is_empty() {
        full.push(b':');
        full.extend_from_slice(name);
    }
    full
}
