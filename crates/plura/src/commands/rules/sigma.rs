//! `plura rules check`, `test` and `exam` of Sigma rules. The reference is `docs/hunt.md`.

use crate::commands::Context;
use crate::commands::hunt::{OptionArgs, RuleArgs, all};
use crate::output::{EXIT_FOUND, EXIT_USAGE, Failure, Format, printable, say, say_json};
use ::hunt::{Changed, Named, TrialAnswer, difference, load, read_rules, sit, trials};
use clap::Args;
use schema::Diagnostic;
use serde_json::json;
use sigma::exam::Outcome;
use sigma::{Options, Refused};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct ExamArgs {
    #[command(flatten)]
    by: RuleArgs,
    /// SigmaHQ's `regression_data`, or a checkout with it
    #[arg(long, value_name = "DIR")]
    regression: PathBuf,
}

#[derive(Args)]
pub struct DiffArgs {
    /// The rules as they were: a file, a folder, or a checkout of SigmaHQ's rules
    #[arg(value_name = "OLD")]
    before: PathBuf,
    /// And as they are now
    #[arg(value_name = "NEW")]
    after: PathBuf,
}

/// Whether paths are Sigma rules, not SecLang: files called `.yml`, or folders of those without `.conf` files.
pub fn is_sigma(paths: &[PathBuf]) -> Result<bool, Failure> {
    let sigma = paths.iter().filter(|path| is_sigma_path(path)).count();
    if sigma > 0 && sigma < paths.len() {
        return Err(Failure::new(
            EXIT_USAGE,
            "some of these are Sigma rules and some are SecLang's",
        )
        .hint("check them one after the other"));
    }
    Ok(sigma > 0)
}

fn is_sigma_path(path: &Path) -> bool {
    match path.is_dir() {
        true => {
            super::Folder::open(path).is_err() && !read_rules(&[path.to_owned()]).files.is_empty()
        }
        false => path.extension().is_some_and(|end| end == "yml" || end == "yaml"),
    }
}

pub fn check(context: &Context, paths: &[PathBuf], more: &OptionArgs) -> Result<ExitCode, Failure> {
    let files = read_rules(paths);
    let set = load(&files, &more.read()?);
    let fine = set.refused.is_empty() && files.problems.is_empty();
    match context.format {
        Format::Json => say_json(&json!({
            "ok": fine,
            "files": files.files.len(),
            "rules": set.rules.len(),
            "correlations": set.correlations.len(),
            "refused": set.refused,
            "problems": files.problems,
            "notices": set.notices,
        })),
        Format::Human => {
            for problem in &files.problems {
                say(&printable(&problem.to_string()));
            }
            say_refused(&set.refused);
            for notice in &set.notices {
                say(&format!("note: {}", printable(&notice.to_string())));
            }
            say(&format!(
                "{} rules and {} correlations in {} files; {} refused, {} files not read, {} notices",
                set.rules.len(),
                set.correlations.len(),
                files.files.len(),
                set.refused.len(),
                files.problems.len(),
                set.notices.len(),
            ));
        }
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn say_refused(refused: &[Refused]) {
    for one in refused {
        let name = one.title.as_deref().or(one.id.as_deref()).unwrap_or(&one.file);
        say(&format!("refused: {}", printable(name)));
        for problem in &one.problems {
            say(&format!("  {}", printable(&problem.to_string()).replace('\n', "\n  ")));
        }
    }
}

/// Tries rules on the cases beside them.
pub fn test(context: &Context, paths: &[PathBuf]) -> Result<ExitCode, Failure> {
    let files = read_rules(paths);
    if files.files.is_empty() {
        return Err(match files.problems.is_empty() {
            true => Failure::input("there are no rule files")
                .hint("name Sigma rules (`.yml`), or SecLang's tests with --rules DIR"),
            false => all(&files.problems),
        });
    }
    let trial = trials(&files, &Options::shipped());
    if trial.total == 0 && trial.problems.is_empty() {
        return Err(Failure::input("none of the rules has test cases beside it")
            .hint("write `NAME.test.yml` beside `NAME.yml`; docs/hunt.md says how"));
    }
    let fine = trial.failed.is_empty() && trial.problems.is_empty();
    match context.format {
        Format::Json => say_json(&trial),
        Format::Human => {
            for problem in &trial.problems {
                say(&printable(&problem.to_string()));
            }
            for TrialAnswer { file, case, rule, expected, .. } in &trial.failed {
                let wrong = if *expected { "stays quiet" } else { "fires" };
                say(&printable(&format!("{file}: {case}: `{rule}` {wrong}")));
            }
            for file in &trial.one_sided {
                say(&printable(&format!("{file}: its cases all fire, or all stay quiet")));
            }
            say(&format!(
                "{} of {} cases as expected; {} rule files without cases",
                trial.passed,
                trial.total,
                trial.untested.len()
            ));
        }
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

/// Compares two states of rules; as `diff` does, it ends with 1 if they differ.
pub fn diff(context: &Context, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let [before, after] =
        [&args.before, &args.after].map(|path| read_rules(std::slice::from_ref(path)));
    for (path, files) in [(&args.before, &before), (&args.after, &after)] {
        if files.files.is_empty() {
            let reason = all(&files.problems).message;
            let message = format!("there are no rule files in `{}`\n{reason}", path.display());
            return Err(
                Failure::input(message.trim_end()).hint("name a file or folder of Sigma rules")
            );
        }
    }
    let told = difference(&before, &after);
    match context.format {
        Format::Json => say_json(&told),
        Format::Human => {
            for problem in &told.problems {
                say(&printable(&problem.to_string()));
            }
            told.added.iter().for_each(|rule| say(&format!("+ {}", named(rule))));
            told.removed.iter().for_each(|rule| say(&format!("- {}", named(rule))));
            told.changed.iter().for_each(say_changed);
            let otherwise = told.changed.iter().filter(|one| one.finds_otherwise).count();
            say(&format!(
                "{} added, {} removed, {} changed ({otherwise} of them in what they find), {} the same",
                told.added.len(),
                told.removed.len(),
                told.changed.len(),
                told.same,
            ));
        }
    }
    let fine = told.is_none() && told.problems.is_empty();
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn named(rule: &Named) -> String {
    let title = rule.title.as_deref().unwrap_or(&rule.file);
    let more = [&rule.level, &rule.id].into_iter().flatten();
    let more: Vec<&str> = more.map(String::as_str).collect();
    printable(&format!("{title} ({})", more.join(", ")))
}

fn say_changed(changed: &Changed) {
    let mark = if changed.finds_otherwise { "!" } else { "~" };
    say(&format!("{mark} {}", named(&changed.rule)));
    for change in &changed.changes {
        let [before, after] = [&change.before, &change.after].map(|value| match value {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        say(&printable(&format!("    {}: {}", change.field, shortened(&before))));
        say(&printable(&format!("    {:>1$}  {2}", "→", change.field.len(), shortened(&after))));
    }
}

/// One line of it; `-o json` has all.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// Sits SigmaHQ's exam.
pub fn exam(context: &Context, args: &ExamArgs) -> Result<ExitCode, Failure> {
    let files = read_rules(&args.by.rules);
    let set = load(&files, &args.by.options.read()?);
    let (report, problems) = sit(&set, &args.regression);
    if report.total == 0 {
        let folder = args.regression.display();
        let reasons: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let message = format!("`{folder}` has no cases\n{}", reasons.join("\n"));
        return Err(Failure::input(message.trim_end())
            .hint("a case is a folder with `info.yml` and events beside it"));
    }
    // A case that could not be read is in no answer; damage within a sample is in that of its case.
    let unread = |problem: &&Diagnostic| ["bad-case", "unreadable-file"].contains(&&*problem.code);
    let unread = problems.iter().filter(unread).count() + files.problems.len();
    let unexplained = report.unexplained + unread;
    let fine = report.passed == report.total && unexplained == 0;
    match context.format {
        Format::Json => say_json(&json!({
            "passed": report.passed,
            "total": report.total,
            "unexplained": unexplained,
            "rules": report.rules,
            "refused": report.refused,
            "answers": report.answers,
            "why_refused": set.refused,
            "problems": files.problems.iter().chain(&problems).collect::<Vec<_>>(),
        })),
        Format::Human => {
            say_refused(&set.refused);
            for problem in files.problems.iter().chain(&problems) {
                say(&printable(&problem.to_string()));
            }
            for answer in &report.answers {
                let why = match &answer.outcome {
                    Outcome::Passed => "passed",
                    Outcome::Refused(why) | Outcome::Failed(why) => why,
                };
                say(&printable(&format!("{}: `{}`: {why}", answer.case, answer.rule)));
            }
            say(&format!(
                "{} of {} cases passed, {unexplained} unexplained; {} rules, {} refused",
                report.passed, report.total, report.rules, report.refused,
            ));
        }
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}
