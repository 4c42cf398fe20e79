//! Test cases beside rules: `NAME.test.yml` beside `NAME.yml`.
//!
//! A list of cases, or `cases` with a `logsource` that says for all of them what their events are. A case has a `name`,
//! `fires: true` or `false`, and an `event` (a map, or JSON text), or `events` of `{at: seconds, times, event}`, `{n}` in
//! texts being the number of the repetition. It may say with `rule` which rule of the file is meant and with
//! `logsource` what its events are.

use crate::kind::{Kind, is_ocsf, kind_of};
use crate::limits::{TRIAL_BYTES_MAX, TRIAL_EVENTS_MAX, YAML_BYTES_MAX};
use crate::rules::{RuleFiles, TRIAL_ENDS, load, text_of};
use schema::{Diagnostic, Event as Ocsf};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sigma::correlation::{Correlator, State};
use sigma::ocsf::views;
use sigma::{Event, LogSource, Meta, Options, RuleSet};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Bare(Vec<Case>),
    Whole(Whole),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    logsource: Option<LogSource>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    fires: bool,
    event: Option<Value>,
    #[serde(default)]
    events: Vec<Timed>,
    logsource: Option<LogSource>,
    rule: Option<String>,
}

/// An event that comes some seconds after the beginning, once or several times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timed {
    at: i64,
    times: Option<u64>,
    event: Value,
}

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialAnswer {
    pub file: String,
    pub case: String,
    /// The rule's id, name or title.
    pub rule: String,
    pub expected: bool,
    pub fired: bool,
}

/// All cases of some rule files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Trial {
    pub passed: usize,
    pub total: usize,
    /// Rule files without cases.
    pub untested: Vec<String>,
    /// Rule files whose cases all fire, or all stay quiet: half a test.
    pub one_sided: Vec<String>,
    /// Cases that did not pass.
    pub failed: Vec<TrialAnswer>,
    pub problems: Vec<Diagnostic>,
}

/// Tries every rule file that has cases beside it, each file by itself.
pub fn trials(files: &RuleFiles, options: &Options) -> Trial {
    let mut trial = Trial { problems: files.problems.clone(), ..Trial::default() };
    for (name, text) in &files.files {
        let Some(path) = beside(Path::new(name)) else {
            trial.untested.push(name.clone());
            continue;
        };
        let one = RuleFiles { files: vec![(name.clone(), text.clone())], problems: Vec::new() };
        let set = load(&one, options);
        trial.problems.extend(set.refused.iter().flat_map(|refused| refused.problems.clone()));
        match read_cases(&path) {
            Ok(cases) => {
                let fires = |wanted: bool| cases.iter().any(|case| case.fires == wanted);
                if !fires(true) || !fires(false) {
                    trial.one_sided.push(name.clone());
                }
                let placeholders = options.placeholders.clone();
                let plain = load(&one, &Options { placeholders, ..Options::default() });
                let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
                let file = path.display().to_string();
                let bench = Bench { set: &set, plain: &plain, stem, file };
                cases.iter().for_each(|case| bench.try_one(case, &mut trial));
            }
            Err(problem) => trial.problems.push(problem),
        }
    }
    trial
}

fn beside(rule: &Path) -> Option<PathBuf> {
    let stem = rule.file_stem()?.to_str()?;
    TRIAL_ENDS.iter().map(|end| rule.with_file_name(format!("{stem}{end}"))).find(|p| p.is_file())
}

fn read_cases(path: &Path) -> Result<Vec<Case>, Diagnostic> {
    let bad = |message: String| {
        Diagnostic::new("bad-cases", path.display().to_string(), message).hint(
            "write a list of `name`, `fires`, `event` (or `events` of `at`, `times`, `event`), and if needed \
             `logsource` and `rule`",
        )
    };
    let text = text_of(path, YAML_BYTES_MAX)?;
    let written = serde_saphyr::from_str(&text)
        .map_err(|error| bad(format!("cannot read test cases: {error}")))?;
    let cases = match written {
        Written::Bare(cases) => cases,
        Written::Whole(Whole { logsource, cases }) => {
            let said =
                |case: Case| Case { logsource: case.logsource.or(logsource.clone()), ..case };
            cases.into_iter().map(said).collect()
        }
    };
    match cases.iter().find(|case| case.event.is_some() != case.events.is_empty()) {
        Some(case) => {
            Err(bad(format!("`{}` has neither or both of `event` and `events`", case.name)))
        }
        None => Ok(cases),
    }
}

/// A rule file to be tried.
struct Bench<'b> {
    set: &'b RuleSet,
    /// The same for events in OCSF, which need no pipelines.
    plain: &'b RuleSet,
    stem: Option<&'b str>,
    file: String,
}

impl Bench<'_> {
    fn try_one(&self, case: &Case, trial: &mut Trial) {
        let failed = |code, message: String| {
            Diagnostic::new(code, format!("{}: {}", self.file, case.name), message)
        };
        let events = match events(case) {
            Ok(events) => events,
            Err(message) => return trial.problems.push(failed("bad-cases", message)),
        };
        let meant = self.meant(case);
        if meant.is_empty() {
            let message = "no rule of the file that runs is meant by it".to_owned();
            return trial.problems.push(failed("no-rule", message));
        }
        let fired = self.fired(case, &events);
        for meta in meant {
            let fired = fired.contains(meta.key());
            trial.total += 1;
            if fired == case.fires {
                trial.passed += 1;
                continue;
            }
            trial.failed.push(TrialAnswer {
                file: self.file.clone(),
                case: case.name.clone(),
                rule: meta.key().to_owned(),
                expected: case.fires,
                fired,
            });
        }
    }

    /// The rule that a case names, or the one that the file is called after, or every one.
    fn meant(&self, case: &Case) -> Vec<&Meta> {
        let rules = self.set.rules.iter().map(|rule| &rule.meta);
        let all: Vec<&Meta> =
            rules.chain(self.set.correlations.iter().map(|own| &own.meta)).collect();
        let of = |word: &str| -> Vec<&Meta> {
            let is = |meta: &&Meta| {
                let own = [meta.id.as_deref(), meta.name.as_deref(), Some(meta.title.as_str())];
                own.contains(&Some(word))
            };
            all.iter().copied().filter(is).collect()
        };
        match (&case.rule, self.stem.map(of)) {
            (Some(word), _) => of(word),
            (None, Some(called)) if !called.is_empty() => called,
            (None, _) => all,
        }
    }

    /// Keys of all rules and correlations that fired on the events.
    fn fired(&self, case: &Case, events: &[(i64, Value)]) -> BTreeSet<String> {
        let mut fired = BTreeSet::new();
        for set in [self.set, self.plain] {
            let correlator = Correlator::new(set, 0);
            let (mut state, mut findings) = (State::default(), Vec::new());
            let mut see = |set: &RuleSet, at: usize, second: i64, event: &dyn Event| {
                for found in set.evaluate(event) {
                    let name = format!("{at}");
                    fired.extend(set.rules.get(found.rule).map(|rule| rule.meta.key().to_owned()));
                    let hit = correlator.hit(found.rule, second.saturating_mul(1000), &name, event);
                    let hits = hit.into_iter();
                    findings.extend(hits.flat_map(|hit| correlator.observe(&mut state, hit)));
                }
            };
            for (at, (second, event)) in events.iter().enumerate() {
                match (is_ocsf(event), std::ptr::eq(set, self.plain)) {
                    (true, true) => {
                        let (event, _) = Ocsf::from_ocsf(event.clone());
                        views(&event).iter().for_each(|view| see(set, at, *second, view));
                    }
                    (false, false) => {
                        for kind in self.kinds(case, event) {
                            see(set, at, *second, &kind.record(event));
                        }
                    }
                    _ => {}
                }
            }
            findings.extend(correlator.finish(&mut state));
            fired.extend(findings.into_iter().map(|finding| finding.correlation));
        }
        fired
    }

    /// What an event is: as the case says, as it says itself, or what the rules of the file ask for.
    fn kinds(&self, case: &Case, event: &Value) -> Vec<Kind> {
        if let Some(said) = &case.logsource {
            // A product alone means records of its event log.
            return vec![match (said.product.as_deref(), &said.category, &said.service) {
                (Some("windows"), None, None) => Kind::EventLog("windows"),
                (Some("linux"), None, None) => Kind::EventLog("linux"),
                _ => Kind::Other(said.clone()),
            }];
        }
        if let Some(kind) = kind_of(event, None) {
            return vec![kind];
        }
        let asked: BTreeSet<&LogSource> =
            self.set.rules.iter().map(|rule| &rule.logsource).collect();
        asked.into_iter().map(|asked| Kind::Other(asked.clone())).collect()
    }
}

/// The events of a case with their seconds.
fn events(case: &Case) -> Result<Vec<(i64, Value)>, String> {
    let read = |event: &Value| match event {
        Value::String(text) => {
            serde_json::from_str(text).map_err(|error| format!("the event is not JSON: {error}"))
        }
        event => Ok(event.clone()),
    };
    let mut all = Vec::new();
    if let Some(event) = &case.event {
        all.push((0, read(event)?));
    }
    let mut room = TRIAL_BYTES_MAX;
    for Timed { at, times, event } in &case.events {
        let event = read(event)?;
        let bytes = event.to_string().len();
        for number in 0..times.unwrap_or(1) {
            room = room.checked_sub(bytes).ok_or_else(|| {
                format!("its events, repetitions included, have more than {TRIAL_BYTES_MAX} bytes")
            })?;
            if all.len() >= TRIAL_EVENTS_MAX {
                return Err(format!("it has more than {TRIAL_EVENTS_MAX} events"));
            }
            all.push((*at, numbered(&event, number)));
        }
    }
    Ok(all)
}

/// `{n}` in texts is the number of the repetition.
fn numbered(value: &Value, number: u64) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("{n}", &number.to_string())),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
