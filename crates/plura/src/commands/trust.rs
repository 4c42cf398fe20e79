use super::{Context, list};
use crate::output::{EXIT_FOUND, EXIT_USAGE, Failure, Format, printable, say, say_json, table};
use crate::words::{Language, language, word};
use clap::{Args, Subcommand};
use schema::Diagnostic;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trust::compare::{Comparison, Judged, Profiled};
use trust::exam::{self, Case, Row};
use trust::vary::{Spread, robustness};
use trust::{Decision, Demands, Knowledge, Part, Policy, Reading, Readings, decide};

/// Bytes of a request file: far more than every signal there is.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a file of decision records.
const RECORDS_BYTES_MAX: u64 = 512 << 20;
/// Random states that `check` tries.
const STATES: u32 = 20_000;

#[derive(Subcommand)]
pub enum TrustCommand {
    /// Check a trust policy: its syntax, names, words, and what every policy has to keep to
    Check {
        /// A policy file
        file: PathBuf,
    },
    /// Judge one access and say why
    Score {
        /// `{"signals": {…}, "silent": […], "required": […]}`; `-` reads standard input
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        #[command(flatten)]
        by: By,
        /// Every contribution, reason and obligation
        #[arg(long)]
        explain: bool,
    },
    /// Sit a policy down before cases: scores, decisions and obligations against what is expected
    Exam {
        /// Cases in the form of `scenarios.yaml`
        #[arg(long, value_name = "FILE")]
        cases: PathBuf,
        #[command(flatten)]
        by: By,
        /// Also shake the policy's numbers this many times and see which cases leave their range
        #[arg(long, value_name = "MODELS", default_value_t = 0)]
        shake: u32,
        /// Print the table of docs/trust.md
        #[arg(long)]
        markdown: bool,
    },
    /// Who would be judged differently by another policy
    Diff {
        /// The policy of today
        old: PathBuf,
        /// The policy of tomorrow
        new: PathBuf,
        /// Decisions the server kept: `last:7d`, `last:12h`
        #[arg(long, value_name = "SPAN", conflicts_with_all = ["records", "cases"])]
        replay: Option<String>,
        /// Decision records, one JSON object a line
        #[arg(long, value_name = "FILE", conflicts_with = "cases")]
        records: Option<PathBuf>,
        /// Cases in the form of `scenarios.yaml`
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
        /// Judge by this profile instead of that of each record
        #[arg(long)]
        profile: Option<String>,
    },
    /// List the signals a policy knows
    Signals {
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct By {
    /// A policy file; otherwise the one that comes with Plura
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The profile to judge by; otherwise what fits the case, or the policy's most lenient
    #[arg(long)]
    profile: Option<String>,
}

pub fn run(context: &Context, command: TrustCommand) -> Result<ExitCode, Failure> {
    match command {
        TrustCommand::Check { file } => check(context, &file),
        TrustCommand::Score { request, by, explain } => score(context, &request, &by, explain),
        TrustCommand::Exam { cases, by, shake, markdown } => {
            exam(context, &cases, &by, shake, markdown)
        }
        TrustCommand::Diff { old, new, replay, records, cases, profile } => {
            let source = match (replay, records, cases) {
                (Some(span), _, _) => Source::Server(span),
                (_, Some(file), _) => Source::Records(file),
                (_, _, Some(file)) => Source::Cases(file),
                _ => {
                    return Err(Failure::new(EXIT_USAGE, "nothing to judge by both policies")
                        .hint("add --replay last:7d, --records FILE or --cases FILE"));
                }
            };
            diff(context, &old, &new, &source, profile.as_deref())
        }
        TrustCommand::Signals { policy } => signals(context, policy.as_deref()),
    }
}

fn read(file: &Path, bytes_max: u64) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::input(format!("cannot read `{}`: {error}", file.display()))
    };
    let too_large = || {
        Failure::input(format!("`{}` is larger than {bytes_max} bytes", file.display()))
            .hint("split it, or leave out what is not asked for")
    };
    let bytes = if file == Path::new("-") {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
        bytes
    } else {
        if fs::metadata(file).map_err(failed)?.len() > bytes_max {
            return Err(too_large());
        }
        fs::read(file).map_err(failed)?
    };
    if bytes.len() as u64 > bytes_max {
        return Err(too_large());
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::input(format!("`{}` is not UTF-8 text", file.display())))
}

fn load(file: Option<&Path>) -> Result<Policy, Failure> {
    let Some(file) = file else { return Ok(Policy::shipped()) };
    let text = read(file, trust::POLICY_BYTES_MAX as u64)?;
    Policy::parse(&file.display().to_string(), &text).map_err(|found| told(&found))
}

/// Every diagnostic as one failure.
fn told(found: &[Diagnostic]) -> Failure {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    Failure::input(lines.join("\n"))
}

fn profile_of(policy: &Policy, named: Option<&str>) -> Result<Option<usize>, Failure> {
    let Some(name) = named else { return Ok(None) };
    policy.profile(name).map(Some).ok_or_else(|| {
        Failure::new(EXIT_USAGE, format!("the policy has no profile `{name}`"))
            .hint(format!("use one of {}", policy.profiles().join(", ")))
    })
}

fn check(context: &Context, file: &Path) -> Result<ExitCode, Failure> {
    let text = read(file, trust::POLICY_BYTES_MAX as u64)?;
    let name = file.display().to_string();
    let (policy, mut found) = match Policy::parse(&name, &text) {
        Ok(policy) => (Some(policy), Vec::new()),
        Err(found) => (None, found),
    };
    let is_read = policy.is_some();
    if let Some(policy) = &policy {
        found.extend(trust::soundness::check(policy, &name, STATES, 1));
    }
    match context.format {
        Format::Json => say_json(&json!({
            "file": name,
            "policy": policy.as_ref().map(Policy::id),
            "version": policy.as_ref().map(Policy::version),
            "hash": policy.as_ref().map(Policy::hash),
            "states_tried": if is_read { STATES } else { 0 },
            "ok": found.is_empty(),
            "diagnostics": found,
        })),
        Format::Human => {
            for diagnostic in &found {
                say(&printable(&diagnostic.to_string()));
            }
            if let (Some(policy), true) = (&policy, found.is_empty()) {
                say(&format!(
                    "{name}: {} version {}, profiles {}; sound in {STATES} states",
                    policy.id(),
                    policy.version(),
                    policy.profiles().join(", "),
                ));
            }
        }
    }
    Ok(match (found.is_empty(), is_read) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(EXIT_FOUND),
        (false, false) => ExitCode::from(crate::output::EXIT_INPUT),
    })
}

/// An access to judge, as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    signals: BTreeMap<String, trust::Value>,
    /// Signals among them that fell silent after they said this.
    #[serde(default)]
    silent: Vec<String>,
    /// Signals the resource demands to be known.
    #[serde(default)]
    required: Vec<String>,
    /// At least this profile, because the resource says so.
    profile: Option<String>,
}

impl Request {
    fn readings(&self) -> Readings {
        let reading = |(name, value): (&String, &trust::Value)| {
            let is_silent = self.silent.contains(name);
            (name.clone(), Reading { value: value.clone(), is_silent })
        };
        self.signals.iter().map(reading).collect()
    }
}

fn score(context: &Context, file: &Path, by: &By, explain: bool) -> Result<ExitCode, Failure> {
    let policy = load(by.policy.as_deref())?;
    let profile = profile_of(&policy, by.profile.as_deref())?.unwrap_or(0);
    let text = read(file, REQUEST_BYTES_MAX)?;
    let request: Request = serde_json::from_str(&text).map_err(|error| {
        Failure::input(format!("`{}`: {error}", file.display())).hint(
            "write {\"signals\": {\"mfa_result\": \"success\"}}; `plura trust signals` lists them",
        )
    })?;
    let state = policy.state(&request.readings()).map_err(|found| told(&found))?;
    let demands = Demands { profile: request.profile.clone(), required: request.required.clone() };
    let decision = decide(&policy, profile, &state, &demands);
    match context.format {
        Format::Json if explain => say_json(&explained(&policy, &decision)),
        Format::Json => say_json(&decision),
        Format::Human => say(&in_words(&policy, &decision, explain)),
    }
    Ok(if decision.permit { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

/// The decision with its words in every language.
fn explained(policy: &Policy, decision: &Decision) -> Value {
    let mut value = serde_json::to_value(decision).unwrap_or_default();
    let words: BTreeMap<&str, Vec<String>> = trust::Language::ALL
        .iter()
        .map(|(name, language)| (*name, policy.sentences(decision, *language)))
        .collect();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("sentences".to_owned(), json!(words));
    }
    value
}

fn spoken() -> trust::Language {
    match language() {
        Language::English => trust::Language::En,
        Language::Korean => trust::Language::Ko,
        Language::Japanese => trust::Language::Ja,
    }
}

fn in_words(policy: &Policy, decision: &Decision, explain: bool) -> String {
    let spoken = spoken();
    let name = |code: &str| policy.text(code, spoken).unwrap_or(code).to_owned();
    let names = |codes: &[std::sync::Arc<str>]| {
        codes.iter().map(|code| name(code)).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![
        format!(
            "{}  ({} – {})  {}",
            decision.score,
            decision.low,
            decision.high,
            names(&decision.decisions)
        ),
        format!(
            "{} {} · {} {} % · {} {} s",
            word("label-profile"),
            decision.profile,
            word("label-coverage"),
            decision.coverage,
            word("label-ttl"),
            decision.ttl_secs,
        ),
    ];
    lines.extend(policy.sentences(decision, spoken).into_iter().map(|line| format!("  · {line}")));
    if !decision.obligations.is_empty() {
        lines.push(format!("{}: {}", word("label-obligations"), names(&decision.obligations)));
    }
    if explain {
        let rows = decision
            .contributions
            .iter()
            .map(|part| {
                let kind = match (part.part, part.knowledge) {
                    (Part::Indicator, Some(Knowledge::Unknown)) => word("label-unknown"),
                    (Part::Indicator, Some(Knowledge::Silent)) => word("label-silent"),
                    (Part::Indicator, _) => String::new(),
                    (Part::Penalty, _) => word("label-penalty"),
                    (Part::Ceiling | Part::Cap, _) => word("label-cap"),
                };
                let of = part.most.map_or_else(String::new, |most| format!("/ {most}"));
                vec![format!("{:>8}", part.points.to_string()), of, name(&part.code), kind]
            })
            .collect();
        lines.push(String::new());
        lines.push(table(&["", "", "", ""], rows));
        lines.push(format!(
            "{:>8}  = {} ({} {})",
            decision.score.to_string(),
            word("label-score"),
            word("label-sheet"),
            decision.sheet
        ));
    }
    lines.join("\n")
}

fn cases_of(file: &Path) -> Result<Vec<Case>, Failure> {
    let text = read(file, exam::CASES_BYTES_MAX as u64)?;
    exam::parse_cases(&file.display().to_string(), &text).map_err(|found| told(&[found]))
}

fn exam(
    context: &Context,
    file: &Path,
    by: &By,
    models: u32,
    markdown: bool,
) -> Result<ExitCode, Failure> {
    let policy = load(by.policy.as_deref())?;
    let profile = profile_of(&policy, by.profile.as_deref())?;
    let cases = cases_of(file)?;
    let sat = exam::sit(&policy, &cases, profile);
    let shaken = (models > 0).then(|| robustness(&policy, &cases, models, Spread::default(), 1));
    match context.format {
        Format::Json => {
            let mut value = serde_json::to_value(&sat).unwrap_or_default();
            if let (Some(fields), Some(shaken)) = (value.as_object_mut(), &shaken) {
                fields.insert("robustness".to_owned(), json!(shaken));
            }
            say_json(&value);
        }
        Format::Human if markdown => say(&exam::markdown(&sat)),
        Format::Human => {
            let rows = sat.cases.iter().map(exam_row).collect();
            say(&table(&["", "case", "profile", "score", "expected", "decision", ""], rows));
            say(&format!("{} of {} passed", sat.passed, sat.total));
            if let Some(shaken) = &shaken {
                say(&format!(
                    "every case in range in {} of {} shaken models; left range: {}",
                    shaken.all_in_range,
                    shaken.models,
                    serde_json::to_string(&shaken.left_range).unwrap_or_default(),
                ));
            }
        }
    }
    Ok(if sat.passed == sat.total { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn exam_row(row: &Row) -> Vec<String> {
    let mut wrong: Vec<String> = row.diagnostics.iter().map(ToString::to_string).collect();
    if row.diagnostics.is_empty() {
        if !row.in_range {
            wrong.push("score out of range".to_owned());
        }
        if !row.decision_equal {
            wrong.push(format!("expected {}", row.expected_decisions.join(", ")));
        }
        if !row.obligations_missing.is_empty() {
            wrong.push(format!("missing {}", row.obligations_missing.join(", ")));
        }
        if !row.obligations_contradicting.is_empty() {
            wrong.push(format!("contradicting {}", row.obligations_contradicting.join(", ")));
        }
    }
    vec![
        if row.passed { "ok" } else { "FAILED" }.to_owned(),
        row.id.clone(),
        row.profile.clone(),
        row.score.to_string(),
        format!("{}–{}", row.expected[0], row.expected[1]),
        row.decisions.join(", "),
        wrong.join("; "),
    ]
}

enum Source {
    Server(String),
    Records(PathBuf),
    Cases(PathBuf),
}

fn diff(
    context: &Context,
    old: &Path,
    new: &Path,
    source: &Source,
    profile: Option<&str>,
) -> Result<ExitCode, Failure> {
    let (old, new) = (load(Some(old))?, load(Some(new))?);
    let records = records(context, source, &old)?;
    let mut told = Comparison::default();
    for record in &records {
        told.add(&old, &new, record, profile);
    }
    match context.format {
        Format::Json => say_json(&json!(told)),
        Format::Human => {
            if records.is_empty() {
                say("no decision to judge again; the server keeps those it made, or use --cases");
            }
            let rows: Vec<Vec<String>> = told
                .changes
                .iter()
                .map(|change| {
                    vec![
                        change.id.clone(),
                        change.session.clone(),
                        format!("{} → {}", change.old_score, change.new_score),
                        format!(
                            "{} → {}",
                            change.old_decisions.join(", "),
                            change.new_decisions.join(", ")
                        ),
                    ]
                })
                .collect();
            if !rows.is_empty() {
                say(&table(&["id", "session", "score", "decision"], rows));
            }
            for diagnostic in told.unreadable.iter().take(5) {
                say(&printable(&diagnostic.to_string()));
            }
            say(&format!(
                "{} judged, {} with another score, {} decided differently, {} unreadable",
                told.judged,
                told.other_score,
                told.other_decision,
                told.unreadable.len(),
            ));
        }
    }
    Ok(if told.changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) })
}

fn records(context: &Context, source: &Source, policy: &Policy) -> Result<Vec<Judged>, Failure> {
    match source {
        Source::Cases(file) => Ok(cases_of(file)?
            .into_iter()
            .map(|case| Judged {
                decision: policy
                    .profiles()
                    .get(exam::fitting(policy, &case))
                    .map(|name| Profiled { profile: (*name).to_owned() }),
                id: case.id,
                session: case.title_en,
                readings: case.readings,
                demands: Demands::default(),
            })
            .collect()),
        Source::Records(file) => read(file, RECORDS_BYTES_MAX)?
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(at, line)| {
                serde_json::from_str(line).map_err(|error| {
                    Failure::input(format!("`{}` line {}: {error}", file.display(), at + 1)).hint(
                        "write one record a line, as `GET /api/v1/trust/decisions` gives them",
                    )
                })
            })
            .collect(),
        Source::Server(span) => from_server(context, span),
    }
}

fn from_server(context: &Context, span: &str) -> Result<Vec<Judged>, Failure> {
    let length =
        span.strip_prefix("last:").and_then(crate::scenario::span_ms).ok_or_else(|| {
            Failure::new(EXIT_USAGE, format!("`{span}` is not a stretch of time"))
                .hint("write last:7d or last:12h")
        })?;
    let since = jiff::Timestamp::now().as_millisecond() - length;
    let client = context.client()?;
    let mut found = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let query = super::query_string(&[
            ("since", Some(since.to_string())),
            ("limit", Some("500".to_owned())),
            ("after", next.clone()),
        ]);
        let answer = client.get(&format!("/api/v1/trust/decisions{query}"))?;
        for item in list(&answer, "/items") {
            found.push(serde_json::from_value(item.clone()).map_err(|error| {
                Failure::input(format!("the server's record cannot be read: {error}"))
                    .hint("use a `plura` of the server's version")
            })?);
        }
        next = answer.get("next").and_then(Value::as_str).map(str::to_owned);
        if next.is_none() {
            return Ok(found);
        }
    }
}

fn signals(context: &Context, policy: Option<&Path>) -> Result<ExitCode, Failure> {
    let policy = load(policy)?;
    match context.format {
        Format::Json => {
            let all: BTreeMap<&str, String> = policy.signals().collect();
            say_json(&all);
        }
        Format::Human => {
            let rows = policy.signals().map(|(name, kind)| vec![name.to_owned(), kind]).collect();
            say(&table(&["signal", "values"], rows));
        }
    }
    Ok(ExitCode::SUCCESS)
}
