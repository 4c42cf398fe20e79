//! Stories as tests: `plura scenario`. The reference is `docs/scenarios.md`.

mod expect;
mod play;
mod script;
mod turns;
mod waf;

pub use play::{Capture, SITES, Stage, tuning};
pub use script::{Peak, Script, Span, Traffic, load, span_ms, stamp_log};
pub use turns::{Said, Turn, What, turns};

use crate::commands::Context;
use crate::output::{EXIT_FOUND, Failure, Format, say, say_json, table};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum ScenarioCommand {
    /// List the stories
    List {
        /// Folder of stories
        #[arg(long, default_value = "scenarios")]
        folder: PathBuf,
    },
    /// Replay stories through the real engines and compare with what is expected
    Run(RunArgs),
}

#[derive(Args)]
pub struct RunArgs {
    /// Names of stories
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Folder of stories
    #[arg(long, default_value = "scenarios")]
    folder: PathBuf,
    /// Write what came out as what is expected from now on
    #[arg(long)]
    bless: bool,
}

pub fn run(context: &Context, command: ScenarioCommand) -> Result<ExitCode, Failure> {
    match command {
        ScenarioCommand::List { folder } => {
            let mut rows = Vec::new();
            for name in names(&folder)? {
                let script = read(&folder.join(&name))?;
                let language = match crate::words::language() {
                    crate::words::Language::English => "en",
                    crate::words::Language::Korean => "ko",
                    crate::words::Language::Japanese => "ja",
                };
                let title = script.title.get(language).or_else(|| script.title.get("en"));
                rows.push(vec![name, title.cloned().unwrap_or_default()]);
            }
            match context.format {
                Format::Json => say_json(&rows),
                Format::Human => say(&table(&["name", "title"], rows)),
            }
            Ok(ExitCode::SUCCESS)
        }
        ScenarioCommand::Run(args) => run_all(context, &args),
    }
}

fn run_all(context: &Context, args: &RunArgs) -> Result<ExitCode, Failure> {
    let names = if args.all { names(&args.folder)? } else { args.names.clone() };
    let mut stories = Vec::new();
    let mut failed = 0;
    for name in &names {
        let folder = args.folder.join(name);
        let script = read(&folder)?;
        let outcome = play::play(&script)
            .map_err(|error| Failure::input(format!("scenario `{name}`: {error}")))?;
        let file = folder.join("expected.json");
        if args.bless {
            expect::write(&file, &outcome)?;
        }
        let differences = expect::compare(&file, &outcome)?;
        let passed = differences.is_empty();
        failed += usize::from(!passed);
        if context.format == Format::Human {
            say(&format!("{} {name}", if passed { "ok  " } else { "FAIL" }));
            for difference in differences.iter().take(20) {
                say(&format!("       {difference}"));
            }
        }
        stories.push(json!({ "name": name, "passed": passed, "differences": differences, "outcome": outcome }));
    }
    match context.format {
        Format::Json => say_json(
            &json!({ "passed": names.len() - failed, "total": names.len(), "stories": stories }),
        ),
        Format::Human => say(&format!("{} passed, {failed} failed", names.len() - failed)),
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn read(folder: &Path) -> Result<Script, Failure> {
    load(folder).map_err(|d| {
        let failure = Failure::input(format!("{}: {} [{}]", d.place, d.message, d.code));
        match d.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Folders with a `scenario.yaml`, by name.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Failure::input(format!("cannot read stories in `{}`: {error}", folder.display()))
            .hint("run this in the project's folder, or name it with --folder")
    })?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("scenario.yaml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
