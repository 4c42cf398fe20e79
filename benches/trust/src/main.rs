//! Our trust engine beside Cedar (`cedar-policy`) and Rego (`regorus`), deciding the thirty cases.
//!
//! `cargo run --release --manifest-path benches/trust/Cargo.toml`, with `../shared` (or `PLURA_SHARED`)
//! beside the repository. CPU time of this thread per decision, medians of interleaved runs; everybody
//! has the same allocator and build profile, and has compiled its rules and parsed its input before.
//!
//! **The equal rule set.** Every condition of the shipped policy (indicator cases, not-applicables,
//! lift, sheets, sensitivity, penalties, ceilings, caps, decision rules and obligation rules, derived
//! facts expanded) becomes one Cedar policy and one Rego rule, made at start from the policy's text.
//! What is unknown is not in their input, and each test asks for it first (Cedar's `has`; in Rego
//! what is not there is undefined), so that they fire on evidence only, as ours do. Rego gets a body
//! for each disjunct.
//!
//! **What they do less.** They name the conditions that fire, and that is all: no score, no interval
//! over the unknown (for which ours walks the conditions three times), no contributions, no order of
//! gravity, no reasons, no obligations. What asks about the score or the decisions is taken as true
//! for them, and a condition about nothing else is left out, as both are known only after scoring.
//! **What they do more.** Ours stops at the first case of an indicator that fires; they evaluate all
//! of them. So they are measured once more with no indicator cases at all, which is less than any
//! judgement could do with.
//!
//! Before anything is measured, all of them must agree on every case: Cedar, regorus' interpreter and
//! its virtual machine on what fires, and our decision with that (points of each indicator, sheet,
//! penalties, ceilings, caps, rules, obligations: `agree.rs`). Else the run ends with exit 1.

mod agree;
mod condition;
mod peers;
mod rules;

use cedar_policy::Request;
use peers::{Cedar, Fired, Rego};
use rules::Rules;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::process::ExitCode;
use trust::exam::{self, parse_cases};
use trust::{Demands, Policy, Readings, State, decide};

/// Medians are of this many runs.
const RUNS: usize = 15;
/// What one engine does in one run, at least.
const RUN_SECS: f64 = 0.1;
const CASES: usize = 30;
const GOAL_MICROS: f64 = 15.0;
const GOAL_TIMES: f64 = 3.0;

/// One case, in the form each engine wants it.
struct Question {
    id: String,
    profile: usize,
    readings: Readings,
    state: State,
    request: Request,
    input: regorus::Value,
}

/// Something measured: what it is called, whether it is a peer with the equal rule set, and the work.
struct Engine<'a> {
    name: &'static str,
    is_peer: bool,
    decide: Box<dyn FnMut(&Question) + 'a>,
    micros: Vec<f64>,
}

impl<'a> Engine<'a> {
    fn new(name: &'static str, is_peer: bool, decide: impl FnMut(&Question) + 'a) -> Self {
        Engine { name, is_peer, decide: Box::new(decide), micros: Vec::new() }
    }

    /// Seconds of CPU for so many rounds over all questions.
    fn time(&mut self, questions: &[Question], rounds: usize) -> f64 {
        let start = cpu_secs();
        for _ in 0..rounds {
            for question in questions {
                (self.decide)(black_box(question));
            }
        }
        cpu_secs() - start
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let policy = Policy::shipped();
    let rules = Rules::parse(Policy::SHIPPED)?;
    let questions = questions(&policy)?;
    let (cedar, mut rego) = (Cedar::new(&rules.conditions)?, Rego::new(&rules.conditions)?);
    check(&policy, &rules, &questions, &cedar, &mut rego)?;

    let few = rules.without_cases();
    let (few_cedar, mut few_rego) = (Cedar::new(&few)?, Rego::new(&few)?);
    check_few(&questions, &cedar, &few_cedar, &mut few_rego)?;
    println!(
        "{} conditions each, {} without indicator cases; {} left out: about the score or decisions alone",
        rules.conditions.len(),
        few.len(),
        rules.unasked
    );

    let judge = |question: &Question, state: &State| {
        decide(&policy, question.profile, state, &Demands::default())
    };
    // Each closure needs one of its own: both keep their input.
    let (mut interpreter, machine) = (Rego::new(&rules.conditions)?, &mut rego);
    let mut few_interpreter = Rego::new(&few)?;
    let mut engines = [
        Engine::new("ours: state to explained decision", false, |question| {
            black_box(judge(question, &question.state));
        }),
        Engine::new("ours: readings to explained decision", false, |question| {
            if let Ok(state) = policy.state(&question.readings) {
                black_box(judge(question, &state));
            }
        }),
        Engine::new("ours: state to JSON bytes", false, |question| {
            black_box(serde_json::to_vec(&judge(question, &question.state)).ok());
        }),
        Engine::new("Cedar: is_authorized", true, |question| {
            black_box(cedar.ask(&question.request));
        }),
        Engine::new("regorus: eval_rule", true, |question| {
            black_box(interpreter.interpret(&question.input).ok());
        }),
        Engine::new("regorus: virtual machine", true, |question| {
            black_box(machine.run(&question.input).ok());
        }),
        Engine::new("Cedar, no indicator cases", false, |question| {
            black_box(few_cedar.ask(&question.request));
        }),
        Engine::new("regorus: eval_rule, no indicator cases", false, |question| {
            black_box(few_interpreter.interpret(&question.input).ok());
        }),
        Engine::new("regorus: virtual machine, no indicator cases", false, |question| {
            black_box(few_rego.run(&question.input).ok());
        }),
    ];
    measure(&mut engines, &questions);
    report(&engines);
    Ok(())
}

fn questions(policy: &Policy) -> Result<Vec<Question>, String> {
    let root = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let file = format!("{root}/trust/scenarios.yaml");
    let text = std::fs::read_to_string(&file)
        .map_err(|why| format!("cannot read `{file}`: {why}\nhint: set PLURA_SHARED"))?;
    let cases = parse_cases(&file, &text).map_err(|why| format!("{why:?}"))?;
    if cases.len() != CASES {
        return Err(format!("`{file}` has {} cases, not {CASES}", cases.len()));
    }
    let question = |case: exam::Case| {
        Ok(Question {
            profile: exam::fitting(policy, &case),
            state: policy.state(&case.readings).map_err(|why| format!("{}: {why:?}", case.id))?,
            request: Cedar::request(&case.readings)?,
            input: Rego::input(&case.readings)?,
            readings: case.readings,
            id: case.id,
        })
    };
    cases.into_iter().map(question).collect()
}

fn check(
    policy: &Policy,
    rules: &Rules,
    questions: &[Question],
    cedar: &Cedar,
    rego: &mut Rego,
) -> Result<(), String> {
    let (mut fires, mut ever) = (0, Fired::new());
    let mut wrong = Vec::new();
    for question in questions {
        let fired = same(question, cedar, rego)?;
        let decision = decide(policy, question.profile, &question.state, &Demands::default());
        let found = agree::disagreements(rules, &decision.profile, &decision, &fired);
        wrong.extend(found.iter().map(|why| format!("{}: {why}", question.id)));
        fires += fired.len();
        ever.extend(fired);
    }
    if !wrong.is_empty() {
        return Err(format!("ours and the peers disagree:\n{}", wrong.join("\n")));
    }
    println!(
        "all agree on {} cases: {fires} conditions fired, {} different ones",
        questions.len(),
        ever.len()
    );
    Ok(())
}

/// Without the indicator cases the others still fire as before.
fn check_few(
    questions: &[Question],
    cedar: &Cedar,
    few_cedar: &Cedar,
    few_rego: &mut Rego,
) -> Result<(), String> {
    for question in questions {
        let mut all = cedar.fired(&question.request)?;
        all.retain(|name| !rules::is_case(name));
        if same(question, few_cedar, few_rego)? != all {
            return Err(format!("{}: other conditions fire without the cases", question.id));
        }
    }
    Ok(())
}

/// What fires, as all peers have it.
fn same(question: &Question, cedar: &Cedar, rego: &mut Rego) -> Result<Fired, String> {
    let fired = cedar.fired(&question.request)?;
    let found = [
        ("eval_rule", Rego::fired(&rego.interpret(&question.input)?)?),
        ("virtual machine", Rego::fired(&rego.run(&question.input)?)?),
    ];
    for (name, others) in found {
        let apart: Vec<&String> = fired.symmetric_difference(&others).collect();
        if !apart.is_empty() {
            return Err(format!(
                "{}: Cedar and regorus' {name} disagree on {apart:?}",
                question.id
            ));
        }
    }
    Ok(fired)
}

fn measure(engines: &mut [Engine<'_>], questions: &[Question]) {
    // Once to warm up, and to learn how many rounds make a run.
    let rounds: Vec<usize> = engines
        .iter_mut()
        .map(|engine| {
            let mut rounds = 1;
            while engine.time(questions, rounds) < RUN_SECS {
                rounds *= 2;
            }
            rounds
        })
        .collect();
    for run in 0..RUNS {
        // Each begins a run as often as the others.
        for turn in 0..engines.len() {
            let at = (run + turn) % engines.len();
            if let (Some(engine), Some(rounds)) = (engines.get_mut(at), rounds.get(at)) {
                let secs = engine.time(questions, *rounds);
                engine.micros.push(secs * 1e6 / (*rounds * questions.len()) as f64);
            }
        }
    }
}

fn report(engines: &[Engine<'_>]) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let peers = engines.iter().filter(|engine| engine.is_peer);
    let fastest = peers.map(|peer| median(&peer.micros)).fold(f64::INFINITY, f64::min);
    println!(
        "µs of CPU per decision, medians of {RUNS} runs (least to most), load {}",
        load.trim()
    );
    for engine in engines {
        let micros = median(&engine.micros);
        let least = engine.micros.iter().copied().fold(f64::INFINITY, f64::min);
        let most = engine.micros.iter().copied().fold(0.0, f64::max);
        println!(
            "{:<46} {micros:>8.2} ({least:.2} to {most:.2}); the fastest peer takes {:.2} times as long",
            engine.name,
            fastest / micros
        );
    }
    let ours = engines.first().map_or(f64::NAN, |engine| median(&engine.micros));
    let times = fastest / ours;
    let verdict = |is_met: bool| if is_met { "met" } else { "MISSED" };
    println!(
        "goals: at most {GOAL_MICROS} µs: {}; at least {GOAL_TIMES} times faster: {}",
        verdict(ours <= GOAL_MICROS),
        verdict(times >= GOAL_TIMES)
    );
}

/// Seconds of CPU this thread has had, so that neighbours on the machine count little.
fn cpu_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(list: &[f64]) -> f64 {
    let mut list = list.to_vec();
    list.sort_by(f64::total_cmp);
    list.get(list.len() / 2).copied().unwrap_or(f64::NAN)
}
