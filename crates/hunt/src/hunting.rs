//! The hunt itself: a record in, hits out. Pure.

use crate::details::{Details, details, details_of_ocsf, time_of};
use crate::hit::{Correlated, Hit, RuleInfo, Value as Pair};
use crate::kind::{Kind, is_ocsf, kind_of};
use crate::limits::EVENTS_NAMED_MAX;
use crate::read::Item;
use crate::rules::{Choice, RuleFiles, load};
use schema::{Diagnostic, Event as Ocsf, Timestamp};
use serde::Serialize;
use serde_json::Value;
use sigma::correlation::{Correlator, Finding, State, Told};
use sigma::ocsf::{matches, views};
use sigma::{Engine, Event, Json, LogSource, Match, Options, Reader, RuleSet, Runner};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// From when until when events are looked at, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl Span {
    fn is_bounded(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    fn has(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time <= to)
    }
}

/// What went through the hunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    pub records: u64,
    /// Records that are not JSON, or no object.
    pub unreadable: u64,
    /// Records of no kind we know: only rules without a log source were held against them.
    pub unknown_kind: u64,
    /// Records left out by their time.
    pub outside: u64,
    /// Records left out because they have no time, while only a span of it was wanted.
    pub untimed: u64,
    /// Hits that no correlation could count because they have no time.
    pub uncorrelated: u64,
}

/// Rules compiled for one way of looking at records, and what they remember of those so far.
#[derive(Debug)]
struct Side {
    runner: Runner,
    infos: Vec<Arc<RuleInfo>>,
    /// By the rule's number: whether it is told.
    told: Vec<bool>,
    correlator: Correlator,
    /// What is said of correlations, and whether they are told; by their keys.
    correlations: HashMap<String, (Arc<RuleInfo>, bool)>,
    state: State,
}

impl Side {
    fn new(set: RuleSet, choice: &Choice) -> Side {
        let rules = set.rules.iter();
        let told: Vec<bool> =
            rules.map(|rule| rule.standalone && choice.takes(&rule.meta)).collect();
        let mut tried = told.clone();
        let mut correlations = HashMap::new();
        for correlation in &set.correlations {
            let takes = choice.takes(&correlation.meta);
            let info = Arc::new(RuleInfo::of(&correlation.meta));
            correlations.insert(correlation.meta.key().to_owned(), (info, takes));
            for target in &correlation.targets {
                // A correlation wants its rules tried whether they are told or not.
                if let sigma::correlation::rule::Target::Rule(rule) = target
                    && let Some(tried) = tried.get_mut(*rule)
                {
                    *tried = true;
                }
            }
        }
        let infos = set.rules.iter().map(|rule| Arc::new(RuleInfo::of(&rule.meta))).collect();
        // Files come in any order: hits wait until the last, and are then taken by their times.
        let correlator = Correlator::new(&set, u64::MAX);
        let engine = Engine::of(Arc::new(set), &|rule| tried.get(rule).is_some_and(|tried| *tried));
        let runner = Arc::new(engine).runner();
        Side { runner, infos, told, correlator, correlations, state: State::default() }
    }

    /// Takes what a rule found; false if no correlation can count it, for want of a time.
    fn found(&mut self, found: Match, seen: &Seen<'_>, hits: &mut Vec<Hit>) -> bool {
        let Seen { file, number, details, .. } = seen;
        let counted = self.correlate(&found, seen);
        let told = self.told.get(found.rule).copied().unwrap_or_default();
        if let Some(info) = self.infos.get(found.rule).filter(|_| told) {
            let mut hit = Hit::new(Arc::clone(info), (*details).clone());
            let pair = |m: sigma::Matched| Pair { field: m.field, value: m.value };
            hit.matched = found.matched.into_iter().map(pair).collect();
            hit.pipeline = found.pipeline;
            hit.file = Some(Arc::clone(file));
            hit.record = Some(*number);
            hits.push(hit);
        }
        counted
    }

    fn correlate(&mut self, found: &Match, seen: &Seen<'_>) -> bool {
        if self.correlations.is_empty() {
            return true;
        }
        let name = match seen.id {
            Some(id) => id.to_owned(),
            None => format!("{}#{}", seen.file, seen.number),
        };
        let time = seen.details.time;
        let hit = self.correlator.hit(found.rule, time.unwrap_or_default(), &name, seen.event);
        match (hit, time) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(hit), Some(_)) => {
                // All wait for the end: nothing becomes certain before it but for want of room.
                self.correlator.observe(&mut self.state, hit);
                true
            }
        }
    }

    fn finish(&mut self) -> Vec<Hit> {
        let findings = self.correlator.finish(&mut self.state);
        findings.into_iter().filter_map(|finding| self.correlated(finding)).collect()
    }

    fn correlated(&self, finding: Finding) -> Option<Hit> {
        let (info, _) = self.correlations.get(&finding.correlation).filter(|(_, told)| *told)?;
        let host = finding.group.iter().find(|(field, _)| field == "Computer");
        let details = Details {
            time: Some(finding.time_ms),
            host: host.map(|(_, value)| value.clone()),
            ..Details::default()
        };
        let mut hit = Hit::new(Arc::clone(info), details);
        let pair = |(field, value)| Pair { field, value };
        hit.matched = finding.group.into_iter().map(pair).collect();
        hit.correlation = Some(Correlated {
            began: Some(finding.began_ms),
            figure: finding.figure,
            count: finding.events.len(),
            events: finding.events.into_iter().take(EVENTS_NAMED_MAX).collect(),
        });
        Some(hit)
    }
}

/// A record as it is seen and named.
struct Seen<'s> {
    file: &'s Arc<str>,
    number: u64,
    details: &'s Details,
    /// By which others know it too.
    id: Option<&'s str>,
    event: &'s dyn Event,
}

/// Rules, and what they remember of the records so far.
#[derive(Debug)]
pub struct Hunt {
    /// For records as their sources write them.
    native: Side,
    /// For events in OCSF, which need no pipelines: made when the first one comes.
    ocsf: Option<Side>,
    files: RuleFiles,
    placeholders: BTreeMap<String, Vec<String>>,
    choice: Choice,
    reader: Reader,
    /// The bytes of the record at hand.
    text: Vec<u8>,
    span: Span,
    said: Option<LogSource>,
    counts: Counts,
}

impl Hunt {
    /// `said`: what records are that do not say it themselves.
    pub fn new(
        files: RuleFiles,
        options: &Options,
        choice: Choice,
        span: Span,
        said: Option<LogSource>,
    ) -> Hunt {
        Hunt {
            native: Side::new(load(&files, options), &choice),
            ocsf: None,
            files,
            placeholders: options.placeholders.clone(),
            choice,
            reader: Reader::default(),
            text: Vec::new(),
            span,
            said,
            counts: Counts::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn rules(&self) -> &RuleSet {
        self.native.runner.engine().set()
    }

    /// What was wrong with the files of the rules.
    pub fn rule_problems(&self) -> &[Diagnostic] {
        &self.files.problems
    }

    /// How many rules and correlations were chosen to be told.
    pub fn chosen(&self) -> usize {
        let told = self.native.told.iter().filter(|told| **told).count();
        told + self.native.correlations.values().filter(|(_, takes)| *takes).count()
    }

    /// Rules that run on records as their sources write them, and not on events in OCSF: those whose placeholders
    /// only a pipeline fills.
    pub fn refused_in_ocsf(&self) -> Vec<Diagnostic> {
        let refused =
            |set: &RuleSet| set.refused.iter().map(|one| one.file.clone()).collect::<BTreeSet<_>>();
        let Some(ocsf) = self.ocsf.as_ref().map(|side| side.runner.engine().set()) else {
            return Vec::new();
        };
        let known = refused(self.rules());
        let new = ocsf.refused.iter().filter(|one| !known.contains(&one.file));
        new.flat_map(|one| one.problems.iter().cloned()).collect()
    }

    /// What went wrong with correlations, counted.
    pub fn correlation_counts(&self) -> Told {
        let ocsf = self.ocsf.as_ref().map(|side| side.state.told).unwrap_or_default();
        self.native.state.told + ocsf
    }

    /// Takes a record as a reader gives it; it may hold several, as CloudTrail's files do.
    pub fn take(
        &mut self,
        file: &Arc<str>,
        item: &Item<'_>,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Diagnostic> {
        if self.is_quiet(item) {
            self.counts.records += 1;
            return Ok(());
        }
        let failed = |message: String| {
            let place = format!("{file}:{}", item.number);
            Diagnostic::new("bad-json", place, message)
        };
        let value: Value = match serde_json::from_slice(item.json) {
            Ok(value) => value,
            Err(error) => {
                self.counts.unreadable += 1;
                return Err(failed(format!("the record is not JSON: {error}")));
            }
        };
        let many = value.as_object().filter(|object| object.len() == 1);
        match many.and_then(|object| object.get("Records")).and_then(Value::as_array) {
            Some(many) => {
                many.iter().for_each(|value| self.observe(file, item.number, value, hits))
            }
            None if value.is_object() => self.observe(file, item.number, &value, hits),
            None => {
                self.counts.unreadable += 1;
                return Err(failed("the record is JSON but no object".to_owned()));
            }
        }
        Ok(())
    }

    /// Whether no rule fires on a record, told without taking it apart; false where that is not enough.
    fn is_quiet(&mut self, item: &Item<'_>) -> bool {
        if self.span.is_bounded() {
            return false;
        }
        self.text.clear();
        self.text.extend_from_slice(item.json);
        let Ok(doc) = self.reader.read(&mut self.text) else { return false };
        let root = doc.root();
        let is_one = root.is_object() && (root.count() > 1 || root.get("Records").is_none());
        let is_one = is_one && !is_ocsf(root);
        let kind = kind_of(root, self.said.as_ref()).filter(|_| is_one);
        let quiet =
            kind.is_some_and(|kind| self.native.runner.evaluate(&kind.record(root)).is_empty());
        self.reader.done(doc);
        quiet
    }

    /// Takes a record.
    pub fn observe(&mut self, file: &Arc<str>, number: u64, value: &Value, hits: &mut Vec<Hit>) {
        if is_ocsf(value) {
            let (event, _) = Ocsf::from_ocsf(value.clone());
            return self.observe_ocsf(file, number, &event, hits);
        }
        if !self.is_wanted(time_of(value)) {
            return;
        }
        let kind = kind_of(value, self.said.as_ref()).unwrap_or_else(|| {
            self.counts.unknown_kind += 1;
            Kind::Other(LogSource::default())
        });
        let record = kind.record(value);
        let mut known: Option<Details> = None;
        for found in self.native.runner.evaluate(&record) {
            let details = known.get_or_insert_with(|| details(&kind, value, &record));
            let seen = Seen { file, number, details, id: None, event: &record };
            let counted = self.native.found(found, &seen, hits);
            self.counts.uncorrelated += u64::from(!counted);
        }
    }

    /// Takes an event in OCSF: rules see it by the names of the source it came from.
    pub fn observe_ocsf(
        &mut self,
        file: &Arc<str>,
        number: u64,
        event: &Ocsf,
        hits: &mut Vec<Hit>,
    ) {
        let details = details_of_ocsf(event);
        if !self.is_wanted(details.time) {
            return;
        }
        let views = views(event);
        let side = self.ocsf.get_or_insert_with(|| {
            let placeholders = self.placeholders.clone();
            let options = Options { placeholders, ..Options::default() };
            Side::new(load(&self.files, &options), &self.choice)
        });
        for (view, found) in matches(&mut side.runner, &views) {
            if let Some(event) = views.get(view) {
                let id = details.record_id.as_deref();
                let seen = Seen { file, number, details: &details, id, event };
                let counted = side.found(found, &seen, hits);
                self.counts.uncorrelated += u64::from(!counted);
            }
        }
    }

    /// Counts a record, and says whether it is of the time that is asked for.
    fn is_wanted(&mut self, time: Option<Timestamp>) -> bool {
        self.counts.records += 1;
        match time {
            _ if !self.span.is_bounded() => return true,
            Some(time) if self.span.has(time) => return true,
            Some(_) => self.counts.outside += 1,
            None => self.counts.untimed += 1,
        }
        false
    }

    /// After the last record: what correlations found.
    pub fn finish(&mut self) -> Vec<Hit> {
        let mut hits = self.native.finish();
        hits.extend(self.ocsf.iter_mut().flat_map(Side::finish));
        hits
    }
}

#[cfg(test)]
mod tests;
