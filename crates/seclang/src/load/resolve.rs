//! From what was written to what is run: defaults, exceptions and chains put into each rule.

use super::directives::phase_of;
use super::{Loader, RawLink, RawRule, RawStep, index_of};
use crate::parse::Problem;
use crate::parse::actions::Action;
use crate::rule::{Disruptive, Link, Phase, Rule, Step};
use crate::transform::Transformation;
use std::collections::BTreeSet;

/// What a rule without `status` answers with.
const STATUS: u16 = 403;

/// What `redirect` answers with when `status` names no redirect.
const STATUS_REDIRECT: u16 = 302;

impl Loader<'_> {
    /// A program for each phase.
    pub(super) fn resolve(&mut self) -> [Vec<Step>; 5] {
        let mut phases: [Vec<Step>; 5] = Default::default();
        let idle = self.exceptions.idle(|ranges| {
            ranges.iter().any(|range| self.ids.range(range.from..=range.to).next().is_some())
        });
        for (place, problem) in idle {
            self.notice(&place, problem);
        }
        let markers: BTreeSet<String> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                RawStep::Marker(name) => Some(name.clone()),
                RawStep::Rule(_) => None,
            })
            .collect();
        for step in std::mem::take(&mut self.steps) {
            match step {
                RawStep::Marker(name) => {
                    for steps in &mut phases {
                        steps.push(Step::Marker(name.clone()));
                    }
                }
                RawStep::Rule(rule) if self.exceptions.removes(&rule) => {}
                RawStep::Rule(mut rule) => {
                    for place in self.exceptions.update(&mut rule) {
                        let subject = format!("id:{}", rule.id);
                        let problem = Problem::new(subject, "has too many variables or actions");
                        self.problem(&place, problem.hint("leave some updates out"));
                    }
                    let Some(rule) = self.rule_of(rule) else { continue };
                    if let Some(marker) =
                        rule.skip_after.as_ref().filter(|marker| !markers.contains(*marker))
                    {
                        let problem = Problem::new(
                            format!("skipAfter:{marker}"),
                            "no such marker: it skips the rest of the phase",
                        );
                        self.notice(&rule.place, problem.hint("add `SecMarker`, or mend the name"));
                    }
                    if let Some(steps) = phases.get_mut(index_of(rule.phase)) {
                        steps.push(Step::Rule(Box::new(rule)));
                    }
                }
            }
        }
        phases
    }

    fn rule_of(&mut self, raw: RawRule) -> Option<Rule> {
        let starter = raw.links.first()?;
        let place = starter.place.clone();
        let phase = phase_of(&starter.actions).unwrap_or(Phase::RequestBody);
        let defaults: &[Action] = match self.defaults.get(index_of(phase)) {
            Some(Some(defaults)) => &defaults.actions,
            _ => &[],
        };
        let mut rule = Rule {
            id: raw.id,
            place,
            phase,
            links: Vec::with_capacity(raw.links.len()),
            disruptive: Disruptive::Pass,
            blocks: false,
            status: STATUS,
            log: true,
            audit_log: true,
            skip: 0,
            skip_after: None,
            severity: None,
            tags: Vec::new(),
            revision: String::new(),
            version: String::new(),
            maturity: None,
            accuracy: None,
        };
        // The last link's actions are done first, the starter's last: its word stands.
        for link in raw.links.iter().rev() {
            log(&mut rule, defaults);
            log(&mut rule, &link.actions);
        }
        let mut status = status_of(defaults);
        for link in raw.links.iter().rev() {
            status = status_of(&link.actions).or(status);
            shared(&mut rule, &link.actions);
        }
        starter_only(&mut rule, &starter.actions);
        let links = raw.links.iter().map(|link| link.actions.as_slice());
        for action in links.chain([defaults]).flatten() {
            if let Action::Tag(tag) = action {
                rule.tags.push(tag.clone());
            }
        }
        if rule.blocks {
            rule.disruptive = disruptive_of(defaults).unwrap_or(Disruptive::Pass);
        }
        rule.status = match (&rule.disruptive, status) {
            (Disruptive::Redirect(_), Some(status)) if (301..=307).contains(&status) => status,
            (Disruptive::Redirect(_), _) => STATUS_REDIRECT,
            (_, status) => status.unwrap_or(STATUS),
        };
        let transformed = transformations(&[], defaults);
        rule.links = raw.links.into_iter().map(|link| link_of(link, &transformed)).collect();
        Some(rule)
    }
}

fn log(rule: &mut Rule, actions: &[Action]) {
    for action in actions {
        match action {
            Action::Log(true) => rule.log = true,
            Action::Log(false) => (rule.log, rule.audit_log) = (false, false),
            Action::AuditLog(audit) => rule.audit_log = *audit,
            _ => {}
        }
    }
}

fn status_of(actions: &[Action]) -> Option<u16> {
    actions.iter().rev().find_map(|action| match action {
        Action::Status(status) => Some(*status),
        _ => None,
    })
}

/// What links may say too.
fn shared(rule: &mut Rule, actions: &[Action]) {
    for action in actions {
        match action {
            Action::Severity(severity) => rule.severity = Some(*severity),
            Action::Skip(rules) => rule.skip = *rules,
            Action::SkipAfter(marker) => rule.skip_after = Some(marker.clone()),
            _ => {}
        }
    }
}

fn starter_only(rule: &mut Rule, actions: &[Action]) {
    for action in actions {
        match action {
            Action::Disruptive(disruptive) => {
                (rule.disruptive, rule.blocks) = (disruptive.clone(), false);
            }
            Action::Block => rule.blocks = true,
            Action::Revision(revision) => rule.revision.clone_from(revision),
            Action::Version(version) => rule.version.clone_from(version),
            Action::Maturity(maturity) => rule.maturity = Some(*maturity),
            Action::Accuracy(accuracy) => rule.accuracy = Some(*accuracy),
            _ => {}
        }
    }
}

fn disruptive_of(actions: &[Action]) -> Option<Disruptive> {
    actions.iter().rev().find_map(|action| match action {
        Action::Disruptive(disruptive) => Some(disruptive.clone()),
        _ => None,
    })
}

/// Those before, and these; `t:none` forgets what came before it.
fn transformations(before: &[Transformation], actions: &[Action]) -> Vec<Transformation> {
    let mut found = before.to_vec();
    for action in actions {
        match action {
            Action::Transform(Some(transformation)) => found.push(*transformation),
            Action::Transform(None) => found.clear(),
            _ => {}
        }
    }
    found
}

fn link_of(raw: RawLink, defaults: &[Transformation]) -> Link {
    let mut link = Link {
        place: raw.place,
        targets: raw.targets,
        excluded: raw.excluded,
        test: raw.test,
        transformations: transformations(defaults, &raw.actions),
        multi_match: raw.actions.contains(&Action::MultiMatch),
        capture: raw.actions.contains(&Action::Capture),
        message: None,
        log_data: None,
        deeds: Vec::new(),
    };
    for action in raw.actions {
        match action {
            Action::Message(text) => link.message = Some(text),
            Action::LogData(text) => link.log_data = Some(text),
            Action::Deed(deed) => link.deeds.push(deed),
            _ => {}
        }
    }
    link
}
