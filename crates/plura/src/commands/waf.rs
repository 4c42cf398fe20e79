//! `plura waf exam`: CRS's own tests, sat by the engine or by a server that runs. See `docs/waf-exam.md`.

mod live;
mod suite;

use super::Context;
use super::rules::{Folder, Setup, loaded};
use crate::output::{
    EXIT_FOUND, EXIT_UNREACHABLE, EXIT_USAGE, Failure, Format, say, say_json, table,
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use live::Live;
use seclang::Engine;
use seclang::exam::{
    Expected, Failed, Native, NoAnswer, Outcome, Overrides, Target, Test, run as sit,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Subcommand)]
pub enum WafCommand {
    /// Run tests in go-ftw's form and compare with what they expect
    Exam(ExamArgs),
}

#[derive(Args)]
pub struct ExamArgs {
    /// A CRS checkout, a folder of rule files, or one
    #[arg(long, value_name = "DIR", required_unless_present = "live")]
    rules: Option<PathBuf>,
    /// A file of tests, or a folder with such files at any depth
    #[arg(long, value_name = "DIR")]
    tests: PathBuf,
    /// Expectations that are others here, with the reason (repeat for several; the first one wins)
    #[arg(long, value_name = "FILE")]
    overrides: Vec<PathBuf>,
    /// The paranoia level that rules block at; the suite is made for 4
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
    /// Examine a server instead of the engine
    #[arg(long, value_name = "URL", requires = "log", conflicts_with_all = ["rules", "paranoia"])]
    live: Option<String>,
    /// The log that the server writes its matches to, one line each
    #[arg(long, value_name = "FILE", requires = "live")]
    log: Option<PathBuf>,
}

pub fn run(context: &Context, command: WafCommand) -> Result<ExitCode, Failure> {
    let WafCommand::Exam(args) = command;
    let tests = suite::tests(std::slice::from_ref(&args.tests))?;
    let overrides = suite::overrides(&args.overrides)?;
    if let (Some(url), Some(log)) = (&args.live, &args.log) {
        let mut target = Live::new(url, log)?;
        return exam(context, &mut target, &tests, &overrides);
    }
    let Some(rules) = &args.rules else {
        return Err(Failure::new(EXIT_USAGE, "nothing to examine")
            .hint("add --rules DIR, or --live URL with --log FILE"));
    };
    let folder = Folder::open(rules)?;
    if args.paranoia.is_some() && !folder.is_crs() {
        return Err(Failure::new(EXIT_USAGE, "--paranoia is for OWASP CRS")
            .hint("name a CRS checkout with its `crs-setup.conf` or `crs-setup.conf.example`"));
    }
    exam(context, &mut native(&folder, args.paranoia)?, &tests, &overrides)
}

/// `plura rules test`.
pub fn test(context: &Context, tests: &[PathBuf], rules: &Path) -> Result<ExitCode, Failure> {
    let tests = suite::tests(tests)?;
    let mut target = native(&Folder::open(rules)?, None)?;
    exam(context, &mut target, &tests, &Overrides::default())
}

/// CRS is set up as its suite demands; other rules say themselves how they run.
fn native(folder: &Folder, paranoia: Option<u8>) -> Result<Native, Failure> {
    let setup = folder.is_crs().then_some(Setup { paranoia });
    Ok(Native::new(Arc::new(Engine::new(loaded(folder.load(setup))?))))
}

fn exam(
    context: &Context,
    target: &mut dyn Target,
    tests: &[Test],
    overrides: &Overrides,
) -> Result<ExitCode, Failure> {
    let bar = bar(tests.len() as u64, context.format);
    let mut outcomes = Vec::with_capacity(tests.len());
    for test in tests {
        let outcome = sit(target, test, overrides).map_err(|NoAnswer::Unusable(why)| {
            NoAnswer::Broken(why) | {
                Failure::new(EXIT_UNREACHABLE, format!("test {}-{}: {why}", test.rule, test.id))
                    .hint("docs/waf-exam.md says what a live exam needs")
            }
        })?;
        bar.inc(1);
        outcomes.push(outcome);
    }
    bar.finish_and_clear();
    let failures: Vec<(&Outcome, &Failed)> =
        outcomes.iter().filter_map(|outcome| Some((outcome, outcome.failure.as_ref()?))).collect();
    let excused: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.passed() && outcome.excused.is_some()).collect();
    let passed = outcomes.len() - failures.len() - excused.len();
    match context.format {
        Format::Json => say_json(&json!({
            "passed": passed,
            "total": outcomes.len(),
            "excused": excused.iter().map(|outcome| json!({
                "rule_id": outcome.rule,
                "test_id": outcome.id,
                "reason": outcome.excused,
            })).collect::<Vec<_>>(),
            "failures": failures.iter().map(|(outcome, failed)| as_json(outcome, failed)).collect::<Vec<_>>(),
        })),
        Format::Human => {
            if !failures.is_empty() {
                let row = |(outcome, failed): &(&Outcome, &Failed)| {
                    let refused = failed.got.refused.as_ref();
                    let refused = refused.map(|why| format!(" (refused: {why})"));
                    vec![
                        format!("{}-{}", outcome.rule, outcome.id),
                        format!("{}:{}", outcome.file, outcome.line),
                        format!("{}{}", failed.why.join("; "), refused.unwrap_or_default()),
                    ]
                };
                say(&table(&["test", "place", "why"], failures.iter().map(row).collect()));
            }
            if !excused.is_empty() {
                let row = |outcome: &&Outcome| {
                    let name = format!("{}-{}", outcome.rule, outcome.id);
                    vec![name, outcome.excused.clone().unwrap_or_default()]
                };
                say(&table(&["excused", "reason"], excused.iter().map(row).collect()));
            }
            say(&format!(
                "{passed} passed, {} excused, {} failed of {}",
                excused.len(),
                failures.len(),
                outcomes.len(),
            ));
        }
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn as_json(outcome: &Outcome, failed: &Failed) -> Value {
    let Expected { status, expect_ids, no_expect_ids, .. } = &failed.expected;
    json!({
        "rule_id": outcome.rule,
        "test_id": outcome.id,
        "file": &*outcome.file,
        "line": outcome.line,
        "stage": failed.stage,
        "expected": {
            "status": status,
            "expect_ids": expect_ids,
            "no_expect_ids": no_expect_ids,
            "match_regex": failed.expected.match_regexes,
            "no_match_regex": failed.expected.no_match_regexes,
            "response_contains": failed.expected.response_contains,
            "expect_error": failed.expected.expect_error,
        },
        "got": {
            "status": failed.got.status,
            "ids": failed.got.ids,
            "refused": failed.got.refused,
        },
        "why": failed.why,
    })
}

/// On standard error, where there is a terminal.
fn bar(tests: u64, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(tests);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
