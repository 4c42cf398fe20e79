//! `plura hunt`: Sigma rules over files of events, offline. The reference is `docs/hunt.md`.

mod report;
mod saved;
mod stored;

use super::Context;
use crate::client::Client;
use crate::output::{EXIT_FOUND, EXIT_INPUT, EXIT_USAGE, Failure, Format};
use ::hunt::read::{Item, Told};
use ::hunt::{Choice, Form, Found, Hunt, Span, Summary, find, options, read, read_rules};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use report::Problems;
use saved::Saved;
use schema::Diagnostic;
use sigma::{Level, LogSource, Options, Status};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records between two looks at the clock for the progress bar.
const RECORDS_BETWEEN_LOOKS: u64 = 1024;

#[derive(Args)]
pub struct HuntArgs {
    /// Files, or folders of them at any depth; `-` reads standard input
    #[arg(required_unless_present = "stored", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Hunt in the events that the server has stored of this tenant, instead of files
    #[arg(long, conflicts_with_all = ["paths", "product", "category", "service"])]
    stored: bool,
    #[command(flatten)]
    by: RuleArgs,
    /// Only rules of this level or worse
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    min_level: Option<Level>,
    /// Only rules of this status (repeat for several)
    #[arg(long, value_name = "STATUS", value_parser = parse_status, value_delimiter = ',')]
    status: Vec<Status>,
    /// Only rules with this tag or one below it: `attack.t1059` (repeat for several)
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    tag: Vec<String>,
    /// Leave out a rule by id, name or title, or all that a file lists, one on each line
    #[arg(long, value_name = "ID|FILE")]
    exclude: Vec<String>,
    /// Only events from this time on: 2026-01-31T07:40:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<i64>,
    /// Only events until this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<i64>,
    /// What events are that do not say it themselves: the product that rules name
    #[arg(long)]
    product: Option<String>,
    /// Their category
    #[arg(long)]
    category: Option<String>,
    /// Their service
    #[arg(long)]
    service: Option<String>,
    /// Write every hit, in the order they are found; to standard output without `--save`
    #[arg(long, value_enum)]
    timeline: Option<TimelineForm>,
    /// The timeline's file; its name says the form where `--timeline` does not
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Rules, and what has to be known to read them.
#[derive(Args)]
pub struct RuleArgs {
    /// Rule files, folders of them, or a checkout of SigmaHQ's rules (repeat for several)
    #[arg(long, required = true, value_name = "DIR")]
    pub rules: Vec<PathBuf>,
    #[command(flatten)]
    pub options: OptionArgs,
}

#[derive(Args)]
pub struct OptionArgs {
    /// A pipeline in pySigma's form, beside those that are shipped (repeat for several)
    #[arg(long, value_name = "FILE")]
    pub pipeline: Vec<PathBuf>,
    /// Values for `%name%` in rules: a YAML map
    #[arg(long, value_name = "FILE")]
    pub placeholders: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TimelineForm {
    Jsonl,
    Csv,
    Timesketch,
}

impl TimelineForm {
    fn of(path: &Path) -> Self {
        match path.extension().is_some_and(|end| end == "csv") {
            true => TimelineForm::Csv,
            false => TimelineForm::Jsonl,
        }
    }
}

impl From<TimelineForm> for Form {
    fn from(form: TimelineForm) -> Form {
        match form {
            TimelineForm::Jsonl => Form::Jsonl,
            TimelineForm::Csv => Form::Csv,
            TimelineForm::Timesketch => Form::Timesketch,
        }
    }
}

impl OptionArgs {
    pub fn read(&self) -> Result<Options, Failure> {
        options(&self.pipeline, self.placeholders.as_deref()).map_err(|problems| all(&problems))
    }
}

/// Problems as one failure.
pub fn all(problems: &[Diagnostic]) -> Failure {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::input(lines.join("\n"))
}

fn parse_level(word: &str) -> Result<Level, String> {
    serde_json::from_value(word.into())
        .map_err(|_| "levels are informational, low, medium, high and critical".to_owned())
}

fn parse_status(word: &str) -> Result<Status, String> {
    serde_json::from_value(word.into()).map_err(|_| {
        "statuses are stable, test, experimental, deprecated and unsupported".to_owned()
    })
}

fn parse_time(text: &str) -> Result<i64, String> {
    schema::parse_time(text).ok_or_else(|| "write it as 2026-01-31T07:40:00Z".to_owned())
}

pub fn run(context: &Context, args: &HuntArgs) -> Result<ExitCode, Failure> {
    if args.timeline.is_some() && args.save.is_none() && context.format == Format::Json {
        return Err(Failure::new(EXIT_USAGE, "both the summary and the timeline would be printed")
            .hint("name the timeline's file with --save FILE"));
    }
    let files = read_rules(&args.by.rules);
    let options = args.by.options.read()?;
    let choice = choice(args)?;
    let said = LogSource {
        product: args.product.clone(),
        category: args.category.clone(),
        service: args.service.clone(),
    };
    let said = Some(said).filter(|said| *said != LogSource::default());
    let texts = said.is_some();
    let span = Span { from: args.from, to: args.to };
    let form = args.timeline.or_else(|| args.save.as_deref().map(TimelineForm::of));
    let hunt = Hunt::new(files, &options, choice, span, said);
    let set = hunt.rules();
    if set.rules.is_empty() && set.correlations.is_empty() {
        let mut problems = hunt.rule_problems().to_vec();
        let refused = set.refused.iter().flat_map(|refused| refused.problems.iter().cloned());
        problems.extend(refused.take(10));
        let reason = all(&problems).message;
        return Err(Failure::input(format!("no rule can be run\n{reason}").trim_end())
            .hint("name files or folders of Sigma rules (`.yml`) with --rules"));
    }
    let client = if args.stored { Some(context.client()?) } else { None };
    let mut saved = Saved::open(form.map(Form::from), args.save.as_deref())?;
    let found = find(&args.paths, texts);
    let mut run = Run { hunt, summary: Summary::default(), problems: Problems::default(), texts };
    let began = Instant::now();
    let wrong = run.hunt.rule_problems().iter().chain(&found.problems).cloned();
    wrong.collect::<Vec<_>>().into_iter().for_each(|problem| run.problems.add(problem));
    match client {
        Some(client) => run.stored(&client, span, &mut saved, context.format)?,
        None => run.all(&found, &mut saved, context.format)?,
    }
    saved.finish()?;
    run.hunt.refused_in_ocsf().into_iter().for_each(|problem| run.problems.add(problem));
    let told = report::Report {
        found: &found,
        hunt: &run.hunt,
        summary: &run.summary,
        problems: &run.problems,
        took: began.elapsed(),
        // Standard output has the timeline.
        aside: form.is_some() && args.save.is_none(),
    };
    told.say(context.format);
    Ok(match (run.summary.hits, run.problems.inputs) {
        (1.., _) => ExitCode::from(EXIT_FOUND),
        (0, 1..) => ExitCode::from(EXIT_INPUT),
        (0, 0) => ExitCode::SUCCESS,
    })
}

fn choice(args: &HuntArgs) -> Result<Choice, Failure> {
    let mut choice = Choice {
        level_min: args.min_level,
        statuses: args.status.clone(),
        tags: args.tag.clone(),
        excluded: Vec::new(),
    };
    for word in &args.exclude {
        choice.exclude(word).map_err(|problem| all(&[problem]))?;
    }
    Ok(choice)
}

struct Run {
    hunt: Hunt,
    summary: Summary,
    problems: Problems,
    texts: bool,
}

impl Run {
    fn all(&mut self, found: &Found, saved: &mut Saved, format: Format) -> Result<(), Failure> {
        let bytes = found.inputs.iter().map(|input| input.bytes).sum();
        let bar = bar(bytes, "{bar:30} {bytes}/{total_bytes} {eta} {wide_msg}", format);
        let began = Instant::now();
        let mut hits = Vec::new();
        for (number, input) in (1..).zip(&found.inputs) {
            let file: Arc<str> = input.name().into();
            let mut failed = Ok(());
            let through =
                |bytes: Box<dyn Read>| -> Box<dyn Read> { Box::new(bar.wrap_read(bytes)) };
            let _ = read(input, self.texts, &through, &mut |told| {
                match told {
                    Told::Problem(problem) => self.problems.add(problem),
                    Told::Record(item) => {
                        self.take(&file, &item, &mut hits);
                        failed = saved.write(&mut hits, &mut self.summary);
                    }
                }
                let records = self.hunt.counts().records;
                if records.is_multiple_of(RECORDS_BETWEEN_LOOKS) {
                    tell(&bar, number, found.inputs.len(), records, began.elapsed());
                }
                match failed {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
            failed?;
        }
        bar.finish_and_clear();
        hits.extend(self.hunt.finish());
        saved.write(&mut hits, &mut self.summary)
    }

    /// Over what the server has, oldest first.
    fn stored(
        &mut self,
        client: &Client,
        span: Span,
        saved: &mut Saved,
        format: Format,
    ) -> Result<(), Failure> {
        let place: Arc<str> = client.base().into();
        let count = stored::count(client, span).unwrap_or(0);
        let bar = bar(count, "{bar:30} {human_pos}/{human_len} {eta} {wide_msg}", format);
        let mut hits = Vec::new();
        stored::each(client, span, |event| {
            self.hunt.observe_ocsf(&place, self.hunt.counts().records + 1, event, &mut hits);
            bar.inc(1);
            if bar.position().is_multiple_of(RECORDS_BETWEEN_LOOKS) {
                bar.set_message(schema::format_time(event.time));
            }
            saved.write(&mut hits, &mut self.summary)
        })?;
        bar.finish_and_clear();
        hits.extend(self.hunt.finish());
        saved.write(&mut hits, &mut self.summary)
    }

    fn take(&mut self, file: &Arc<str>, item: &Item<'_>, hits: &mut Vec<::hunt::Hit>) {
        if let Err(problem) = self.hunt.take(file, item, hits) {
            self.problems.add(problem);
        }
    }
}

fn tell(bar: &ProgressBar, file: usize, files: usize, records: u64, took: Duration) {
    let each_second = records as f64 / took.as_secs_f64().max(0.001);
    bar.set_message(format!("{file}/{files} files, {records} records, {each_second:.0}/s"));
}

/// On standard error, where there is a terminal.
fn bar(length: u64, template: &str, format: Format) -> ProgressBar {
    if format == Format::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
