//! `plura rules`: rules as files. The reference is `docs/waf-exam.md` for SecLang, `docs/hunt.md` for Sigma.

mod folder;
mod patch;
mod patching;
mod sigma;
mod signed;

pub use folder::{Folder, Setup, loaded};

use super::hunt::OptionArgs;
use super::{Context, waf};
use crate::output::{EXIT_FOUND, EXIT_USAGE, Failure, Format, printable, say, say_json};
use clap::Subcommand;
use patching::PatchArgs;
use seclang::{Diagnostic, RuleSet};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum RulesCommand {
    /// Load rule files or folders and say what is wrong with them
    Check {
        /// SecLang: rule files, folders of `.conf` files, or a CRS checkout; loaded together, in this
        /// order. Sigma: `.yml` files, folders of them, or a checkout of SigmaHQ's rules
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        sigma: OptionArgs,
    },
    /// Try rules: SecLang's on requests (tests in go-ftw's form), Sigma's on the cases beside them
    Test {
        /// Files or folders of tests; without `--rules`, Sigma rules with `NAME.test.yml` beside them
        #[arg(required = true, value_name = "FILE")]
        tests: Vec<PathBuf>,
        /// SecLang: a rule file, a folder of them, or a CRS checkout
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
    /// What an update of Sigma rules changes: rules added, removed, and changed field by field
    Diff(sigma::DiffArgs),
    /// Sign a folder of Sigma rules, so that servers can tell that it is yours and whole
    Sign(signed::SignArgs),
    /// Check that a folder of Sigma rules is as it was signed
    Verify(signed::VerifyArgs),
    /// Sit SigmaHQ's exam: every case has to make its rule fire
    Exam(sigma::ExamArgs),
    /// Say in plain words what a rule does
    Explain {
        /// The rule's `id`
        id: u64,
        /// A rule file, a folder of them, or a CRS checkout
        #[arg(long, value_name = "DIR")]
        rules: PathBuf,
    },
    /// Write a virtual patch: one rule before a hole, until it is closed
    Patch(Box<PatchArgs>),
}

pub fn run(context: &Context, command: RulesCommand) -> Result<ExitCode, Failure> {
    match command {
        RulesCommand::Check { paths, sigma } if sigma::is_sigma(&paths)? => {
            sigma::check(context, &paths, &sigma)
        }
        RulesCommand::Check { paths, .. } => check(context, &paths),
        RulesCommand::Test { tests, rules: Some(rules) } => waf::test(context, &tests, &rules),
        RulesCommand::Test { tests, rules: None } => sigma::test(context, &tests),
        RulesCommand::Diff(args) => sigma::diff(context, &args),
        RulesCommand::Sign(args) => signed::sign(context, &args),
        RulesCommand::Verify(args) => signed::verify(context, &args),
        RulesCommand::Exam(args) => sigma::exam(context, &args),
        RulesCommand::Patch(args) => patching::run(context, *args),
        RulesCommand::Explain { id, rules } => explain(context, id, &Folder::open(&rules)?),
    }
}

fn check(context: &Context, paths: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut folder = Folder::default();
    for path in paths {
        folder.join(Folder::open(path)?);
    }
    let (rules, problems) = match folder.load(None) {
        Ok(rules) => (Some(rules), Vec::new()),
        Err(problems) => (None, problems),
    };
    let notices = rules.as_ref().map_or(&[][..], |rules| &rules.notices);
    match context.format {
        Format::Json => say_json(&json!({
            "ok": problems.is_empty(),
            "files": folder.roots(),
            "rules": rules.as_ref().map(RuleSet::len),
            "phases": rules.as_ref().map(counts),
            "problems": problems.iter().map(as_json).collect::<Vec<_>>(),
            "notices": notices.iter().map(as_json).collect::<Vec<_>>(),
        })),
        Format::Human => {
            for diagnostic in &problems {
                say(&printable(&diagnostic.to_string()));
            }
            for notice in notices {
                say(&format!("note: {}", printable(&notice.to_string())));
            }
            if let Some(rules) = &rules {
                let [one, two, three, four, five] = counts(rules);
                say(&format!(
                    "{} rules: {one} in phase 1, {two} in phase 2, {three} in phase 3, {four} in \
                     phase 4, {five} in phase 5; {} notices",
                    rules.len(),
                    notices.len(),
                ));
            } else {
                say(&format!("{} problems; nothing is loaded", problems.len()));
            }
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn counts(rules: &RuleSet) -> [usize; 5] {
    let mut counts = [0; 5];
    for rule in rules.rules() {
        if let Some(count) = counts.get_mut(rule.phase as usize - 1) {
            *count += 1;
        }
    }
    counts
}

fn as_json(diagnostic: &Diagnostic) -> Value {
    json!({
        "file": &*diagnostic.place.file,
        "line": diagnostic.place.line,
        "subject": diagnostic.subject,
        "problem": diagnostic.problem,
        "hint": diagnostic.hint,
    })
}

fn explain(context: &Context, id: u64, folder: &Folder) -> Result<ExitCode, Failure> {
    let rules = loaded(folder.load(None))?;
    let Some(explanation) = seclang::explain(&rules, id) else {
        return Err(Failure::new(EXIT_USAGE, format!("there is no rule {id}"))
            .hint("`plura rules check` counts what is loaded; a removed rule is not there"));
    };
    match context.format {
        Format::Json => say_json(&explanation),
        Format::Human => {
            let mut lines = explanation.words().into_iter();
            if let Some(first) = lines.next() {
                say(&printable(&first));
            }
            lines.for_each(|line| say(&format!("  {}", printable(&line))));
        }
    }
    Ok(ExitCode::SUCCESS)
}
