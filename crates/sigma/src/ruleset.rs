//! Rules of many files as one set, and what each of them finds in an event.

use crate::collection::read_file;
use crate::compile::{Check, Options, Variant, compile};
use crate::correlation::rule::Correlation;
use crate::document::{Document, Notes};
use crate::event::{Event, Scalar, cut, of_header};
use crate::limits::{MATCHED_BYTES_MAX, MATCHED_MAX, REFERENCE_VALUES_MAX, RULES_MAX};
use crate::predicate::{Predicate, Predicates, Test, relates};
use crate::rule::{Block, Filter, LogSource, Meta, Rule, Targets};
use schema::Diagnostic;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// A rule that can run.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub meta: Meta,
    pub logsource: LogSource,
    pub variants: Vec<Variant>,
    /// Whether it is told by itself; not when it only feeds a correlation of its own file.
    pub standalone: bool,
    pub(crate) file: String,
}

/// A document that cannot run, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    pub file: String,
    pub title: Option<String>,
    pub id: Option<String>,
    pub problems: Vec<Diagnostic>,
}

/// Everything that was loaded, and everything that was not.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    pub rules: Vec<Compiled>,
    pub correlations: Vec<Correlation>,
    pub refused: Vec<Refused>,
    /// What was understood and may not be what was meant.
    pub notices: Vec<Diagnostic>,
    pub predicates: Predicates,
    /// Filters among the documents.
    pub filters: usize,
}

/// A rule that fired on an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// Its number in the set.
    pub rule: usize,
    /// How it was seen.
    pub pipeline: Option<String>,
    /// What it was that made it fire; not what was absent.
    pub matched: Vec<Matched>,
}

/// A field and the value that a predicate held of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    pub field: String,
    /// The beginning of it.
    pub value: String,
    pub predicate: u32,
}

impl RuleSet {
    /// Reads and compiles files, given by name and text. What cannot run is in `refused`, with the reason.
    pub fn load<'t>(
        files: impl IntoIterator<Item = (&'t str, &'t str)>,
        options: &Options,
    ) -> RuleSet {
        let mut set = RuleSet::default();
        let mut rules = Vec::new();
        let mut filters = Vec::new();
        for (file, text) in files {
            for read in read_file(file, text) {
                set.notices.extend(read.notices);
                match read.document {
                    Some(Document::Rule(rule)) if rules.len() < RULES_MAX => rules.push(rule),
                    Some(Document::Filter(filter)) if filters.len() < RULES_MAX => {
                        filters.push(filter)
                    }
                    Some(Document::Correlation(body)) if set.correlations.len() < RULES_MAX => {
                        set.correlations.push(body);
                    }
                    document => {
                        let mut problems = read.problems;
                        if document.is_some() {
                            let message = format!("the set has more than {RULES_MAX} documents");
                            let problem = Diagnostic::new("too-many-rules", file, message);
                            problems.push(problem.hint("load fewer folders"));
                        }
                        let (title, id) = (read.title, read.id);
                        set.refused.push(Refused { file: file.to_owned(), title, id, problems });
                    }
                }
            }
        }
        set.filters = filters.len();
        set.without_doubles(&mut rules);
        set.filters_without_targets(&rules, &filters);
        for rule in &rules {
            set.add(rule, &filters, options);
        }
        set.resolve_correlations();
        set.predicates.close();
        set
    }

    fn refuse(&mut self, file: &str, meta: &Meta, problems: Vec<Diagnostic>) {
        self.refused.push(Refused {
            file: file.to_owned(),
            title: Some(meta.title.clone()),
            id: meta.id.clone(),
            problems,
        });
    }

    /// Two rules of one id or name could not be told apart.
    fn without_doubles(&mut self, rules: &mut Vec<Rule>) {
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut kept = Vec::new();
        for rule in rules.drain(..) {
            let keys: Vec<String> =
                [&rule.meta.id, &rule.meta.name].into_iter().flatten().cloned().collect();
            let double = keys.iter().find_map(|key| seen.get(key).map(|place| (key, place)));
            if let Some((key, place)) = double {
                let problem = Diagnostic::new(
                    "duplicate-id",
                    rule.meta.place.clone(),
                    format!("`{key}` is the id or name of the rule at {place} too"),
                )
                .hint("give one of them another");
                self.refuse(&rule.file, &rule.meta, vec![problem]);
                continue;
            }
            for key in keys {
                seen.insert(key, rule.meta.place.clone());
            }
            kept.push(rule);
        }
        *rules = kept;
    }

    fn filters_without_targets(&mut self, rules: &[Rule], filters: &[Filter]) {
        let names: HashSet<&str> = rules
            .iter()
            .flat_map(|rule| [rule.meta.id.as_deref(), rule.meta.name.as_deref()])
            .flatten()
            .collect();
        for filter in filters {
            let Targets::Named(wanted) = &filter.targets else { continue };
            for name in wanted.iter().filter(|name| !names.contains(name.as_str())) {
                let message = format!("the filter names `{name}`, which is no rule here");
                let notice = Diagnostic::new("unknown-rule", filter.meta.place.clone(), message);
                self.notices.push(notice.hint("load that rule too, or take the name out"));
            }
        }
    }

    fn add(&mut self, rule: &Rule, filters: &[Filter], options: &Options) {
        let blocks: Vec<&Block> = filters
            .iter()
            .filter(|filter| applies(filter, rule))
            .map(|filter| &filter.block)
            .collect();
        let mut notes = Notes { file: &rule.file, problems: Vec::new(), notices: Vec::new() };
        match compile(rule, &blocks, options, &mut self.predicates, &mut notes) {
            Some(variants) => self.rules.push(Compiled {
                meta: rule.meta.clone(),
                logsource: rule.logsource.clone(),
                variants,
                standalone: true,
                file: rule.file.clone(),
            }),
            None => self.refuse(&rule.file, &rule.meta, notes.problems),
        }
    }

    fn resolve_correlations(&mut self) {
        let correlations = std::mem::take(&mut self.correlations);
        let (sound, broken) = crate::correlation::rule::resolve(correlations, &self.rules);
        for (correlation, problems) in broken {
            self.refuse(&correlation.file, &correlation.meta, problems);
        }
        for correlation in &sound {
            for index in correlation.detections() {
                if let Some(rule) = self.rules.get_mut(index)
                    && rule.file == correlation.file
                    && !correlation.generate
                {
                    rule.standalone = false;
                }
            }
        }
        self.correlations = sound;
    }

    /// Every rule that fires on the event, by the order of the set. The plain way: each rule is tried.
    pub fn evaluate(&self, event: &dyn Event) -> Vec<Match> {
        (0..self.rules.len()).filter_map(|rule| self.evaluate_rule(rule, event)).collect()
    }

    /// One rule against one event.
    pub fn evaluate_rule(&self, rule: usize, event: &dyn Event) -> Option<Match> {
        self.tell(rule, event, &mut |_| true)
    }

    /// As [`RuleSet::evaluate_rule`], where it may be known of a predicate that it does not hold.
    pub(crate) fn tell(
        &self,
        rule: usize,
        event: &dyn Event,
        may: &mut dyn FnMut(u32) -> bool,
    ) -> Option<Match> {
        let compiled = self.rules.get(rule)?;
        compiled.variants.iter().find_map(|variant| {
            let mut matched = Vec::new();
            let fires = variant.logsource.covers(event.logsource())
                && self.check(&variant.check, event, may, &mut matched);
            fires.then(|| {
                matched.truncate(MATCHED_MAX);
                Match { rule, pipeline: variant.pipeline.clone(), matched }
            })
        })
    }

    fn check(
        &self,
        check: &Check,
        event: &dyn Event,
        may: &mut dyn FnMut(u32) -> bool,
        matched: &mut Vec<Matched>,
    ) -> bool {
        let before = matched.len();
        let holds = match check {
            Check::All(parts) => parts.iter().all(|part| self.check(part, event, may, matched)),
            Check::Any(parts) => parts.iter().any(|part| self.check(part, event, may, matched)),
            Check::Not(part) => {
                let holds = !self.check(part, event, may, matched);
                // What made the inner part hold or fail is not what is told.
                matched.truncate(before);
                holds
            }
            Check::Is(id) => may(*id) && self.holds(*id, event, matched),
        };
        if !holds {
            matched.truncate(before);
        }
        holds
    }

    fn holds(&self, id: u32, event: &dyn Event, matched: &mut Vec<Matched>) -> bool {
        let Some(predicate) = self.predicates.predicate(id) else { return false };
        let mut tell = |field: &str, value: &Scalar<'_>| {
            let text = value.text().unwrap_or_default();
            matched.push(Matched {
                field: of_header(field).unwrap_or(field).to_owned(),
                value: cut(&text, MATCHED_BYTES_MAX).to_owned(),
                predicate: id,
            });
        };
        let Predicate { field: Some(field), test } = predicate else {
            let mut found = false;
            event.every(&mut |field, value| {
                found = self.predicates.fits(id, &value);
                if found {
                    tell(field, &value);
                }
                !found
            });
            return found;
        };
        let mut found = false;
        match test {
            Test::Exists(wanted) => return event.field(field, &mut |_| false) == *wanted,
            Test::Null => {
                let there = event.field(field, &mut |value| {
                    found = value == Scalar::Null;
                    !found
                });
                return found || !there;
            }
            Test::Field { other, anchor, cased } => {
                let mut others = Vec::new();
                event.field(other, &mut |value| {
                    others.push(value);
                    others.len() < REFERENCE_VALUES_MAX
                });
                event.field(field, &mut |value| {
                    found = others.iter().any(|other| relates(&value, other, *anchor, *cased));
                    if found {
                        tell(field, &value);
                    }
                    !found
                });
            }
            _ => {
                event.field(field, &mut |value| {
                    found = self.predicates.fits(id, &value);
                    if found {
                        tell(field, &value);
                    }
                    !found
                });
            }
        }
        found
    }
}

fn applies(filter: &Filter, rule: &Rule) -> bool {
    let named = match &filter.targets {
        Targets::Any => true,
        Targets::Named(names) => {
            let is = |own: &Option<String>| own.as_ref().is_some_and(|own| names.contains(own));
            is(&rule.meta.id) || is(&rule.meta.name)
        }
    };
    named && filter.logsource.covers(&rule.logsource)
}

#[cfg(test)]
mod tests;
