//! `plura waf replay`: rules over traffic that is stored already.

use super::report::{Counting, Report};
use super::{StoredArgs, say_report, stored};
use crate::commands::Context;
use crate::commands::rules::Folder;
use crate::output::{EXIT_USAGE, Failure, Format, say, say_json};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use inspect::{Inspector, Record, Settings, put, told};
use schema::{Event, waf_sets};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Longest line of a file of events: two bodies of 128 KiB, escaped sixfold, and room.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Args)]
pub struct ReplayArgs {
    /// A CRS checkout, a folder of rule files, or one; each is a rule set of its own (repeat for several)
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    stored: StoredArgs,
    /// Events of a file (OCSF, one a line; `-`: standard input) instead of the server's
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    events: Option<PathBuf>,
    /// The paranoia level that rules block at; else what the files say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
    /// The inbound anomaly score that blocks; else what the files say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threshold: Option<u32>,
    /// Leave out what turns bodies on and picks their parser, as `base: false` does
    #[arg(long)]
    no_base: bool,
}

/// Rule sets over requests, and what comes of it.
pub struct Replay {
    inspectors: Vec<Inspector>,
    counting: Counting,
    seen: Seen,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Requests that the rules looked at.
    pub requests: u64,
    /// Events that are no requests, or lines that are no events.
    pub passed_over: u64,
    pub would_block: u64,
    /// Requests in which a limit was reached.
    pub limited: u64,
    /// Requests by what their record does not hold.
    pub unseen: BTreeMap<&'static str, u64>,
}

impl Replay {
    pub fn new(inspectors: Vec<Inspector>) -> Replay {
        Replay { inspectors, counting: Counting::default(), seen: Seen::default() }
    }

    pub fn add(&mut self, mut event: Event) {
        let Some(record) = Record::of(&event) else {
            self.seen.passed_over += 1;
            return;
        };
        self.seen.requests += 1;
        for unseen in &record.unseen {
            *self.seen.unseen.entry(unseen.code()).or_default() += 1;
        }
        // Instead of what a gateway told of it, if one did.
        let outcomes: Vec<_> =
            self.inspectors.iter().map(|inspector| inspector.inspect(&record)).collect();
        put(&mut event, told(&outcomes, &record));
        let sets = waf_sets(&event);
        self.seen.would_block += u64::from(sets.iter().any(|set| set.would_block));
        self.seen.limited += u64::from(is_limited(&event));
        self.counting.add(&event);
    }

    pub fn finish(self) -> (Seen, Report) {
        (self.seen, self.counting.report())
    }
}

fn is_limited(event: &Event) -> bool {
    let sets = event.rest.get("plura").and_then(|ours| ours.get("waf")?.as_array());
    sets.into_iter().flatten().any(|set| set.get("limits").is_some())
}

pub fn run(context: &Context, args: ReplayArgs) -> Result<ExitCode, Failure> {
    let wanted = Settings {
        paranoia: args.paranoia,
        inbound_threshold: args.threshold,
        ..Settings::default()
    };
    let mut replay = Replay::new(inspectors(&args.rules, &wanted, !args.no_base)?);
    let site = args.stored.site.clone();
    let (since, complete) = match &args.events {
        Some(file) => {
            each_of(file, context.format, |event| match event {
                Some(event) if site.is_some() && event.site != site => {}
                Some(event) => replay.add(event),
                None => replay.seen.passed_over += 1,
            })?;
            (None, true)
        }
        None => {
            let range = stored::Range::of(&args.stored.since, args.stored.site)?;
            let complete = over_stored(context, &range, &mut replay)?;
            (Some(schema::format_time(range.since)), complete)
        }
    };
    let (seen, report) = replay.finish();
    if context.format == Format::Json {
        say_json(&json!({
            "since": since,
            "site": site,
            "complete": complete,
            "requests": seen.requests,
            "passed_over": seen.passed_over,
            "would_block": seen.would_block,
            "limited": seen.limited,
            "unseen": seen.unseen,
            "events": report.events,
            "sets": report.sets,
            "rules": report.rules,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    say_report(&report);
    say(&summary(&seen, &report));
    if !complete {
        say("(there are more requests than were looked at: ask for less with --since or --site)");
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines under the tables.
pub fn summary(seen: &Seen, report: &Report) -> String {
    let mut lines = format!(
        "({} requests: {} matched something, {} would have been blocked, {} reached a limit; {} events or lines \
         are no requests)",
        seen.requests, report.events, seen.would_block, seen.limited, seen.passed_over
    );
    if !seen.unseen.is_empty() {
        let each: Vec<String> =
            seen.unseen.iter().map(|(code, count)| format!("{code} ({count})")).collect();
        lines.push_str(&format!("\n(not in the records: {})", each.join(", ")));
    }
    lines
}

/// Runs it over what the server has; false: there is more.
pub fn over_stored(
    context: &Context,
    range: &stored::Range,
    replay: &mut Replay,
) -> Result<bool, Failure> {
    let client = context.client()?;
    let bar = super::bar(stored::count_requests(&client, range)?, context.format);
    let complete = stored::each_request(&client, range, |event| {
        replay.add(event);
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    Ok(complete)
}

/// Each line of a file; `None`: it is no event.
pub fn each_of(
    file: &Path,
    format: Format,
    mut visit: impl FnMut(Option<Event>),
) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", file.display()))
    };
    let (mut reader, bar): (Box<dyn BufRead>, _) = if file == Path::new("-") {
        (Box::new(BufReader::new(std::io::stdin())), ProgressBar::hidden())
    } else {
        let opened = File::open(file).map_err(cannot)?;
        let bar = match (format, opened.metadata()) {
            (Format::Human, Ok(about)) => ProgressBar::new(about.len()),
            _ => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        (Box::new(BufReader::new(bar.wrap_read(opened))), bar)
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(cannot)? == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value = serde_json::from_slice::<serde_json::Value>(&line).ok();
        visit(value.filter(serde_json::Value::is_object).map(|value| Event::from_ocsf(value).0));
    }
}

/// A rule set for each path, called by its last part.
fn inspectors(paths: &[PathBuf], wanted: &Settings, base: bool) -> Result<Vec<Inspector>, Failure> {
    let mut named = BTreeMap::new();
    let mut inspectors = Vec::new();
    for path in paths {
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        let name = name.map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| path.display().to_string());
        if let Some(other) = named.insert(name.clone(), path) {
            let message =
                format!("`{}` and `{}` are both called `{name}`", other.display(), path.display());
            return Err(Failure::new(EXIT_USAGE, message)
                .hint("reports tell rule sets apart by the last part of their path: rename one"));
        }
        let rules = Folder::open(path)?.rule_set(&name, base)?;
        inspectors.push(Inspector::new(Arc::new(rules), wanted));
    }
    Ok(inspectors)
}

#[cfg(test)]
mod tests;
