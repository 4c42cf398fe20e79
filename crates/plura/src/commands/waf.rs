//! `plura waf exam`: CRS's own tests, sat by the engine or by a server that runs. See `docs/waf-exam.md`.
//! `plura waf report`, `replay` and `suggest`: from shadow to enforce, by what was stored. See `docs/waf.md`.

mod live;
pub mod replay;
pub mod report;
mod shapes;
pub mod stored;
mod suggest;
mod suite;

use super::Context;
use super::rules::{Folder, Setup, loaded};
use crate::output::{
    EXIT_FOUND, EXIT_UNREACHABLE, EXIT_USAGE, Failure, Format, say, say_json, table,
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use live::Live;
use replay::ReplayArgs;
use seclang::Engine;
use seclang::exam::{
    Expected, Failed, Native, NoAnswer, Outcome, Overrides, Target, Test, run as sit,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Places whose ordinary traffic is asked for; each is one query.
const PLACES_ASKED_MAX: usize = 100;

#[derive(Subcommand)]
pub enum WafCommand {
    /// Run tests in go-ftw's form and compare with what they expect
    Exam(ExamArgs),
    /// What rules did, and would have done, with stored traffic
    Report(StoredArgs),
    /// What rules would have done with stored traffic: run over it now, loaded in no gateway
    Replay(ReplayArgs),
    /// Exceptions for what looks like false positives in stored traffic, to look at and paste
    Suggest(SuggestArgs),
}

#[derive(Args)]
pub struct StoredArgs {
    /// How far back: 12h, 7d
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Only this site
    #[arg(long)]
    site: Option<String>,
}

#[derive(Args)]
pub struct SuggestArgs {
    #[command(flatten)]
    stored: StoredArgs,
    /// Visitors a rule has to match at one place
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    visitors: u16,
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
    match command {
        WafCommand::Exam(args) => run_exam(context, args),
        WafCommand::Report(args) => report_stored(context, args),
        WafCommand::Replay(args) => replay::run(context, args),
        WafCommand::Suggest(args) => suggest_exceptions(context, args),
    }
}

fn run_exam(context: &Context, args: ExamArgs) -> Result<ExitCode, Failure> {
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

fn report_stored(context: &Context, args: StoredArgs) -> Result<ExitCode, Failure> {
    let client = context.client()?;
    let range = stored::Range::of(&args.since, args.site)?;
    let mut counting = report::Counting::default();
    let complete = stored::each_told(&client, &range, |event| counting.add(event))?;
    let report = counting.report();
    if context.format == Format::Json {
        say_json(&json!({
            "since": schema::format_time(range.since),
            "site": range.site,
            "complete": complete,
            "events": report.events,
            "sets": report.sets,
            "rules": report.rules,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    say_report(&report);
    let rest = if complete { "" } else { "; there are more: ask for less with --since or --site" };
    say(&format!("({} events since {}{rest})", report.events, schema::format_time(range.since)));
    Ok(ExitCode::SUCCESS)
}

/// The counts as tables: rule sets, then rules.
fn say_report(report: &report::Report) {
    let set = |set: &report::SetReport| {
        vec![
            set.rules.clone(),
            set.stage.clone(),
            set.events.to_string(),
            set.clients.to_string(),
            set.would_block.to_string(),
            set.blocked.to_string(),
            set.uninspected.to_string(),
        ]
    };
    let sets = report.sets.iter().map(set).collect();
    say(&table(
        &["rules", "stage", "events", "clients", "would block", "blocked", "uninspected"],
        sets,
    ));
    let tops = |tops: &[report::Top]| {
        let each = tops.iter().map(|top| format!("{} ({})", top.name, top.hits));
        each.collect::<Vec<_>>().join(", ")
    };
    let rule = |rule: &report::RuleReport| {
        vec![
            rule.rules.clone(),
            rule.stage.clone(),
            rule.rule.to_string(),
            rule.hits.to_string(),
            rule.clients.to_string(),
            rule.would_block.to_string(),
            rule.blocked.to_string(),
            rule.alone.to_string(),
            tops(&rule.paths),
            tops(&rule.parameters),
            schema::format_time(rule.first_seen),
            schema::format_time(rule.last_seen),
            rule.message.clone(),
        ]
    };
    say("");
    say(&table(
        &[
            "rules",
            "stage",
            "rule",
            "hits",
            "clients",
            "would block",
            "blocked",
            "alone",
            "paths",
            "parameters",
            "first",
            "last",
            "message",
        ],
        report.rules.iter().map(rule).collect(),
    ));
}

fn suggest_exceptions(context: &Context, args: SuggestArgs) -> Result<ExitCode, Failure> {
    let client = context.client()?;
    let range = stored::Range::of(&args.stored.since, args.stored.site)?;
    let visitors_min = usize::from(args.visitors);
    let mut learning = suggest::Learning::default();
    // Without all findings an attacker may pass for a visitor.
    if !stored::each_finding(&client, &range, |finding| learning.flag(finding))? {
        return Err(Failure::input("there are more findings than can be looked at")
            .hint("ask for less with --since"));
    }
    let complete = stored::each_told(&client, &range, |event| learning.add(event))?;
    let mut shapes = BTreeMap::new();
    let places: BTreeSet<(String, String)> = learning
        .candidates(visitors_min)
        .map(|place| (place.host.clone(), place.path.clone()))
        .take(PLACES_ASKED_MAX)
        .collect();
    for (host, path) in places {
        let mut seen = shapes::Shapes::default();
        stored::ordinary(&client, &range, &host, &path, |event| seen.add(event))?;
        shapes.insert((host, path), seen);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let (suggested, declined) = learning.suggest(visitors_min, &shapes, now);
    if context.format == Format::Json {
        say_json(&json!({ "complete": complete, "exceptions": suggested, "declined": declined }));
        return Ok(ExitCode::SUCCESS);
    }
    if suggested.is_empty() {
        say("# nothing looks like a false positive");
    } else {
        say(crate::output::printable(&suggest::yaml(&suggested)).trim_end());
    }
    for not in &declined {
        let about = format!(
            "# not suggested: {} in {} at {} of {}: {}",
            not.rule, not.parameter, not.path, not.host, not.why
        );
        say(&crate::output::printable(&about.replace('\n', " ")));
    }
    if !complete {
        say("# there are more events than were looked at: ask for less with --since or --site");
    }
    Ok(ExitCode::SUCCESS)
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
        let outcome = sit(target, test, overrides).map_err(|error| {
            let (NoAnswer::Unusable(why) | NoAnswer::Broken(why)) = error;
            Failure::new(EXIT_UNREACHABLE, format!("test {}-{}: {why}", test.rule, test.id))
                .hint("docs/waf-exam.md says what a live exam needs")
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
