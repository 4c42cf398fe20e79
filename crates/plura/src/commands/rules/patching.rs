//! `plura rules patch`: flags in, a rule file out, with what it would have done so far. See `docs/waf.md`.

use super::patch::{Demand, Part, Patch, Shape};
use crate::commands::Context;
use crate::commands::waf::replay::{self, Replay, Seen};
use crate::commands::waf::stored::Range;
use crate::output::{EXIT_USAGE, Failure, Format, complain, printable, say, say_json};
use clap::Args;
use inspect::{Disk, Inspector, Rules, Settings};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// How long a patch holds unless it is said: thirty days.
const HOLDS: &str = "30d";

#[derive(Args)]
pub struct PatchArgs {
    /// Only this host; every host without it
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// `/search`, `/orders/{id}`, `/api/*`
    #[arg(long)]
    path: String,
    /// Only this method; every method without it
    #[arg(long)]
    method: Option<String>,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    demand: DemandArgs,
    /// Why, in a sentence
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A CVE or ticket (repeat for several)
    #[arg(long, value_name = "NAME")]
    reference: Vec<String>,
    /// How long it holds: 12h, 30d
    #[arg(long = "for", value_name = "TIME", default_value = HOLDS)]
    holds: String,
    /// The rule's id, 1 to 99999; else one made of place and part
    #[arg(long, value_name = "N")]
    id: Option<u64>,
    /// Where to write the rule; else it is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Stored traffic to try it on
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Only traffic of this site
    #[arg(long)]
    site: Option<String>,
    /// Try it on events of a file (OCSF, one a line) instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "no_replay"])]
    events: Option<PathBuf>,
    /// Do not try it on stored traffic
    #[arg(long)]
    no_replay: bool,
}

/// What is looked at.
#[derive(Args)]
#[group(multiple = false)]
struct PartArgs {
    /// A parameter of query or form
    #[arg(long, value_name = "NAME")]
    parameter: Option<String>,
    /// A field of a JSON body: `user.name`, `items.*.id`
    #[arg(long, value_name = "PATH")]
    field: Option<String>,
    /// A request header
    #[arg(long, value_name = "NAME")]
    header: Option<String>,
    /// A cookie
    #[arg(long, value_name = "NAME")]
    cookie: Option<String>,
}

/// What passes, or does not.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct DemandArgs {
    /// Only values of this shape pass
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["allow_pattern", "one_of", "refuse_pattern", "refuse_sql", "refuse_script", "deny"])]
    allow: Option<Shape>,
    /// Nothing longer passes: characters of the shape, else bytes
    #[arg(long, value_name = "N", conflicts_with_all = ["allow_pattern", "one_of", "refuse_pattern", "refuse_sql", "refuse_script", "deny"])]
    max_length: Option<u32>,
    /// Only values that fit this regular expression as a whole pass
    #[arg(long, value_name = "REGEX", conflicts_with_all = ["one_of", "refuse_pattern", "refuse_sql", "refuse_script", "deny"])]
    allow_pattern: Option<String>,
    /// Only these values pass (repeat, or separate by commas)
    #[arg(long, value_name = "VALUE", value_delimiter = ',', conflicts_with_all = ["refuse_pattern", "refuse_sql", "refuse_script", "deny"])]
    one_of: Vec<String>,
    /// Values in which this regular expression is found do not pass
    #[arg(long, value_name = "REGEX", conflicts_with_all = ["refuse_sql", "refuse_script", "deny"])]
    refuse_pattern: Option<String>,
    /// Values with SQL in them do not pass
    #[arg(long, conflicts_with_all = ["refuse_script", "deny"])]
    refuse_sql: bool,
    /// Values with script in them do not pass
    #[arg(long, conflicts_with = "deny")]
    refuse_script: bool,
    /// Nothing passes: no request, or none with this part
    #[arg(long)]
    deny: bool,
}

pub fn run(context: &Context, args: PatchArgs) -> Result<ExitCode, Failure> {
    let made = jiff::Timestamp::now().as_millisecond();
    let holds =
        crate::scenario::span_ms(&args.holds).filter(|ms| *ms >= 1000).ok_or_else(|| {
            Failure::new(EXIT_USAGE, format!("`{}` is not a length of time", args.holds))
                .hint("write it like 12h or 30d; at most a year")
        })?;
    let patch = Patch {
        id: args.id,
        host: args.host,
        path: args.path,
        method: args.method,
        part: args.part.part(),
        demand: args.demand.demand(),
        reason: args.reason,
        references: args.reference,
        made,
        expires: made.saturating_add(holds),
    };
    let text = patch
        .seclang()
        .map_err(|fault| Failure::new(EXIT_USAGE, fault.message).hint(fault.hint))?;
    let inspector = checked(&text)?;
    if let Some(file) = &args.out {
        write(file, &text)?;
    }
    let wanted = match (&args.events, args.no_replay) {
        (Some(file), _) => Some(Traffic::File(file)),
        (None, true) => None,
        (None, false) => Some(Traffic::Stored(Range::of(&args.since, args.site)?)),
    };
    let replayed = match wanted {
        None => None,
        Some(traffic) => match replayed(context, traffic, inspector) {
            Ok(replayed) => Some(replayed),
            // The patch is made; that nobody can say what it would have done does not unmake it.
            Err(failure) if args.events.is_none() => {
                complain(&failure);
                None
            }
            Err(failure) => return Err(failure),
        },
    };
    let expires = schema::format_time(patch.expires);
    if context.format == Format::Json {
        say_json(&json!({
            "id": patch.id(),
            "refuses": patch.words(),
            "expires": expires,
            "file": args.out,
            "rule": text,
            "replay": replayed.as_ref().map(|(seen, report, complete)| json!({
                "complete": complete,
                "requests": seen.requests,
                "would_block": seen.would_block,
                "unseen": seen.unseen,
                "rules": report.rules,
            })),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    match &args.out {
        Some(file) => say(&format!("{}: rule {}, until {expires}", file.display(), patch.id())),
        None => say(printable(&text).trim_end()),
    }
    say(&format!("# Refuses: {}", printable(&patch.words())));
    match &replayed {
        None => say("# Not tried on stored traffic."),
        Some((seen, report, complete)) => {
            say(&format!(
                "# Of {} stored requests it would have refused {}{}.",
                seen.requests,
                seen.would_block,
                if *complete { "" } else { " (there are more requests than were looked at)" }
            ));
            for rule in &report.rules {
                let clients = rule.clients;
                let (first, last) = (rule.first_seen, rule.last_seen);
                let (first, last) = (schema::format_time(first), schema::format_time(last));
                say(&format!("#   of {clients} clients, from {first} to {last}"));
            }
            for (code, count) in &seen.unseen {
                say(&format!("#   {count} of the records lack: {code}"));
            }
        }
    }
    let file = args.out.as_deref().unwrap_or(Path::new("patch.conf"));
    say(&loading(file));
    Ok(ExitCode::SUCCESS)
}

/// What to write into `gateway.yaml`.
fn loading(file: &Path) -> String {
    format!(
        "# To load it, in gateway.yaml:\n\
         #   rule_sets:\n\
         #     patches: {{files: ['{}']}}   # or '…/*.conf' for all of a folder; `base` stays on\n\
         #   sites:\n\
         #     - name: …\n\
         #       waf: [{{rules: patches, stage: shadow}}]   # enforce, when `plura waf report` shows nobody it should not\n\
         # then `plura gateway --check` and reload (docs/waf.md).",
        file.display()
    )
}

enum Traffic<'a> {
    File(&'a Path),
    Stored(Range),
}

type Replayed = (Seen, crate::commands::waf::report::Report, bool);

fn replayed(
    context: &Context,
    traffic: Traffic<'_>,
    inspector: Inspector,
) -> Result<Replayed, Failure> {
    let mut replay = Replay::new(vec![inspector]);
    let complete = match traffic {
        Traffic::Stored(range) => replay::over_stored(context, &range, &mut replay)?,
        Traffic::File(file) => {
            replay::each_of(file, context.format, |event| {
                event.into_iter().for_each(|e| replay.add(e))
            })?;
            true
        }
    };
    let (seen, report) = replay.finish();
    Ok((seen, report, complete))
}

/// The rule as the engine understands it.
fn checked(text: &str) -> Result<Inspector, Failure> {
    const NAME: &str = "patch.conf";
    let disk = Disk { texts: vec![(NAME.to_owned(), text.to_owned())] };
    let rules = Rules::load("patch", &disk, &[NAME], true).map_err(|faults| {
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::new(EXIT_USAGE, format!("the rule cannot be loaded: {}", told.join("; ")))
            .hint("a regular expression has no look-around and no back-references")
    })?;
    Ok(Inspector::new(Arc::new(rules), &Settings::default()))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "name another file, or remove it first",
            _ => "check that the folder exists and may be written",
        };
        Failure::input(format!("cannot write `{}`: {error}", file.display())).hint(hint)
    })
}

impl PartArgs {
    fn part(self) -> Part {
        let named = [
            self.parameter.map(Part::Parameter),
            self.field.map(Part::Field),
            self.header.map(Part::Header),
            self.cookie.map(Part::Cookie),
        ];
        named.into_iter().flatten().next().unwrap_or(Part::Whole)
    }
}

impl DemandArgs {
    fn demand(self) -> Demand {
        if let Some(shape) = self.allow {
            return Demand::Shape(shape, self.max_length);
        }
        let named = [
            self.max_length.map(Demand::Length),
            self.allow_pattern.map(Demand::Only),
            (!self.one_of.is_empty()).then_some(Demand::OneOf(self.one_of)),
            self.refuse_pattern.map(Demand::Not),
            self.refuse_sql.then_some(Demand::NotSql),
            self.refuse_script.then_some(Demand::NotHtml),
        ];
        named.into_iter().flatten().next().unwrap_or(Demand::Nothing)
    }
}
