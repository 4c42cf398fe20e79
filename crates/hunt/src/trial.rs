//! Test cases beside rules: `NAME.test.yml` beside `NAME.yml`.
//!
//! A list; each case has a `name`, an `event` (a map, or JSON text) and `fires: true` or `false`, and may say with
//! `rule` which rule of the file is meant and with `logsource` what the event is.

use crate::kind::{Kind, kind_of};
use crate::limits::YAML_BYTES_MAX;
use crate::rules::{RuleFiles, TRIAL_ENDS, load, text_of};
use schema::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sigma::{LogSource, Options, RuleSet};
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    event: Value,
    fires: bool,
    logsource: Option<LogSource>,
    rule: Option<String>,
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
    /// Cases that did not pass.
    pub failed: Vec<TrialAnswer>,
    pub problems: Vec<Diagnostic>,
}

/// Tries every rule file that has cases beside it, each file by itself.
pub fn trials(files: &RuleFiles, options: &Options) -> Trial {
    let mut trial = Trial { problems: files.problems.clone(), ..Trial::default() };
    for (name, text) in &files.files {
        let Some(cases) = beside(Path::new(name)) else {
            trial.untested.push(name.clone());
            continue;
        };
        let one = RuleFiles { files: vec![(name.clone(), text.clone())], problems: Vec::new() };
        let set = load(&one, options);
        trial.problems.extend(set.refused.iter().flat_map(|refused| refused.problems.clone()));
        match read_cases(&cases) {
            Ok(written) => try_all(&set, &cases, written, &mut trial),
            Err(problem) => trial.problems.push(problem),
        }
    }
    trial
}

fn beside(rule: &Path) -> Option<PathBuf> {
    let stem = rule.file_stem()?.to_str()?;
    TRIAL_ENDS.iter().map(|end| rule.with_file_name(format!("{stem}{end}"))).find(|p| p.is_file())
}

fn read_cases(path: &Path) -> Result<Vec<Written>, Diagnostic> {
    let text = text_of(path, YAML_BYTES_MAX)?;
    serde_saphyr::from_str(&text).map_err(|error| {
        let place = path.display().to_string();
        Diagnostic::new("bad-cases", place, format!("cannot read test cases: {error}"))
            .hint("write a list of `name`, `event`, `fires`, and if needed `logsource` and `rule`")
    })
}

fn try_all(set: &RuleSet, file: &Path, cases: Vec<Written>, trial: &mut Trial) {
    let file = file.display().to_string();
    for case in cases {
        let failed =
            |code, message| Diagnostic::new(code, format!("{file}: {}", case.name), message);
        let event = match &case.event {
            Value::String(text) => match serde_json::from_str(text) {
                Ok(event) => event,
                Err(error) => {
                    let message = format!("the event is not JSON: {error}");
                    trial.problems.push(failed("bad-cases", message));
                    continue;
                }
            },
            event => event.clone(),
        };
        let meant = |rule: &sigma::Compiled| match &case.rule {
            None => true,
            Some(word) => [rule.meta.id.as_ref(), rule.meta.name.as_ref(), Some(&rule.meta.title)]
                .into_iter()
                .flatten()
                .any(|own| own == word),
        };
        let mut any = false;
        for (number, rule) in set.rules.iter().enumerate().filter(|(_, rule)| meant(rule)) {
            any = true;
            let said = case.logsource.as_ref().unwrap_or(&rule.logsource);
            let kind = match &case.logsource {
                Some(said) => Kind::Other(said.clone()),
                None => kind_of(&event, Some(said)).unwrap_or_else(|| Kind::Other(said.clone())),
            };
            let fired = set.evaluate_rule(number, &kind.record(&event)).is_some();
            trial.total += 1;
            if fired == case.fires {
                trial.passed += 1;
            } else {
                trial.failed.push(TrialAnswer {
                    file: file.clone(),
                    case: case.name.clone(),
                    rule: rule.meta.key().to_owned(),
                    expected: case.fires,
                    fired,
                });
            }
        }
        if !any {
            let message = "no rule of the file that runs is meant by it".to_owned();
            trial.problems.push(failed("no-rule", message));
        }
    }
}

#[cfg(test)]
mod tests;
