//! Sigma rules over files of events, by our engine and by `rsigma-eval`, on the same records.
//!
//! For each file a line of JSON: how often each rule fired by either, and for each rule on which they differ in a
//! record, why. The explanation is measured, not told: a side that stayed quiet is asked again with every event let
//! through to the rule, its log source and mapping left aside. If it then fires, the difference is one of mapping.
//!
//!   plura-bench-sigma --rules DIR... -- PATH...
//!   plura-bench-sigma --rules DIR... --speed FILE.jsonl [-- PATH...]

mod speed;

use hunt::read::Told;
use hunt::{find, kind_of, load, options, read, read_rules};
use rsigma_eval::event::JsonEvent;
use rsigma_eval::{Engine, LogSourceExtractor};
use rsigma_parser::{LogSource as TheirLogSource, SigmaRule, parse_sigma_yaml};
use serde_json::{Map, Value, json};
use sigma::{LogSource, Options, Record, RuleSet, Runner};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Ours {
    runner: Runner,
    /// Rules as they are written, without any pipeline.
    plain: RuleSet,
    plain_by_id: HashMap<String, usize>,
}

impl Ours {
    fn set(&self) -> &RuleSet {
        self.runner.engine().set()
    }
}

pub struct Theirs {
    /// With the pipeline for Sysmon that it ships, and every event known to be of Windows.
    engine: Engine,
    /// Rules as they are written, each tried on each event.
    plain: Engine,
    refused: usize,
}

fn main() -> Result<(), String> {
    let mut rules = Vec::new();
    let mut paths = Vec::new();
    let mut stream = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rules" => rules.push(PathBuf::from(args.next().ok_or("--rules wants a folder")?)),
            "--speed" => stream = Some(PathBuf::from(args.next().ok_or("--speed wants a file")?)),
            "--" => paths.extend(args.by_ref().map(PathBuf::from)),
            _ => return Err(format!("unknown argument `{arg}`")),
        }
    }
    let files = read_rules(&rules);
    if let Some(stream) = stream {
        return speed::run(&files.files, &stream, &paths);
    }
    let set = load(&files, &options(&[], None).map_err(|p| format!("{p:?}"))?);
    let plain = load(&files, &Options { pipelines: Vec::new(), placeholders: BTreeMap::new() });
    let by_id = |(number, rule): (usize, &sigma::Compiled)| Some((rule.meta.id.clone()?, number));
    let plain_by_id = plain.rules.iter().enumerate().filter_map(by_id).collect();
    let runner = Arc::new(sigma::Engine::new(Arc::new(set))).runner();
    let mut ours = Ours { runner, plain, plain_by_id };
    let theirs = Theirs::load(&files.files)?;
    println!(
        "{}",
        json!({"rules": {"ours": ours.set().rules.len(), "ours_refused": ours.set().refused.len(),
            "rsigma": theirs.engine.rule_count(), "rsigma_refused": theirs.refused}})
    );
    let mut spent = [Duration::ZERO; 2];
    for input in find(&paths, false).inputs {
        let mut file = Compared::default();
        let mut problems = 0;
        let _ = read(&input, false, &|bytes| bytes, &mut |told| {
            match told {
                Told::Record(item) => match serde_json::from_slice(item.json) {
                    Ok(value) => compare(&mut ours, &theirs, &value, &mut file, &mut spent),
                    Err(_) => problems += 1,
                },
                Told::Problem(_) => problems += 1,
            }
            ControlFlow::Continue(())
        });
        println!(
            "{}",
            json!({"file": input.name(), "records": file.records, "problems": problems,
                "ours": file.ours, "rsigma": file.theirs, "differences": file.differences})
        );
    }
    let [ours, theirs] = spent.map(|spent| spent.as_secs_f64());
    println!("{}", json!({"seconds": {"ours": ours, "rsigma": theirs}}));
    Ok(())
}

impl Theirs {
    fn load(files: &[(String, String)]) -> Result<Theirs, String> {
        let sysmon = rsigma_eval::resolve_builtin_pipeline("sysmon")
            .ok_or("rsigma has no pipeline `sysmon`")?
            .map_err(|error| error.to_string())?;
        let mut rules: Vec<SigmaRule> = Vec::new();
        let mut refused = 0;
        for (_, text) in files {
            match parse_sigma_yaml(text) {
                Ok(more) => {
                    refused += more.errors.len();
                    rules.extend(more.rules);
                }
                Err(_) => refused += 1,
            }
        }
        let mut engine = Engine::new_with_pipeline(sysmon);
        refused += engine.add_rules(&rules).len();
        let windows = TheirLogSource { product: Some("windows".to_owned()), ..Default::default() };
        // No field is called so: the default holds for every event.
        let extractor = LogSourceExtractor::new().with_field_names("-", "-", "-");
        engine.set_logsource_extractor(Some(extractor.with_defaults(windows)));
        let mut plain = Engine::new();
        plain.add_rules(&rules);
        Ok(Theirs { engine, plain, refused })
    }
}

#[derive(Default)]
struct Compared {
    records: u64,
    ours: BTreeMap<String, u64>,
    theirs: BTreeMap<String, u64>,
    /// Rule, and which side alone fired for which reason, to the number of records.
    differences: BTreeMap<String, BTreeMap<String, u64>>,
}

fn compare(
    ours: &mut Ours,
    theirs: &Theirs,
    value: &Value,
    file: &mut Compared,
    spent: &mut [Duration; 2],
) {
    file.records += 1;
    let Some(kind) = kind_of(value, None) else { return };
    let began = Instant::now();
    let record = kind.record(value);
    let found = ours.runner.evaluate(&record);
    spent[0] += began.elapsed();
    let mut mine = BTreeMap::new();
    for found in found {
        let key = ours.set().rules[found.rule].meta.key().to_owned();
        mine.insert(key, found.pipeline.unwrap_or_else(|| "-".to_owned()));
    }
    let flat = flat(value);
    let began = Instant::now();
    let its = keys(&theirs.engine, &flat);
    spent[1] += began.elapsed();
    for key in mine.keys() {
        *file.ours.entry(key.clone()).or_default() += 1;
    }
    for key in &its {
        *file.theirs.entry(key.clone()).or_default() += 1;
    }
    let mut differ = |key: &String, why: String| {
        *file.differences.entry(key.clone()).or_default().entry(why).or_default() += 1;
    };
    let mut its_plain = None;
    for (key, pipeline) in mine.iter().filter(|(key, _)| !its.contains(*key)) {
        let plain = its_plain.get_or_insert_with(|| keys(&theirs.plain, &flat));
        let why = if plain.contains(key) { "log source" } else { "fields or language" };
        differ(key, format!("ours alone: {why} (pipeline {pipeline})"));
    }
    for key in its.iter().filter(|key| !mine.contains_key(*key)) {
        let fires = ours.plain_by_id.get(key).is_some_and(|rule| {
            let own = ours.plain.rules[*rule].logsource.clone();
            ours.plain.evaluate_rule(*rule, &as_of(value, own)).is_some()
        });
        differ(key, format!("rsigma alone: {}", if fires { "log source" } else { "language" }));
    }
}

fn as_of(value: &Value, logsource: LogSource) -> Record<'_> {
    Record::event_log("windows", value).with_logsource(logsource)
}

fn keys(engine: &Engine, event: &Value) -> BTreeSet<String> {
    let results = engine.evaluate(&JsonEvent::borrow(event));
    let key = |result: rsigma_eval::EvaluationResult| {
        result.header.rule_id.unwrap_or(result.header.rule_title)
    };
    results.into_iter().map(key).collect()
}

/// `rsigma` looks for fields at the top: header and data are laid there, under the names that rules use.
fn flat(value: &Value) -> Value {
    let event = value.get("Event").unwrap_or(value);
    let Some(system) = event.get("System").and_then(Value::as_object) else { return value.clone() };
    let mut flat = Map::new();
    for (name, value) in system {
        let attributes = value.get("#attributes").and_then(Value::as_object);
        for (attribute, value) in attributes.into_iter().flatten() {
            flat.insert(format!("{name}_{attribute}"), value.clone());
        }
        let text = value.get("#text").unwrap_or(value);
        if !text.is_object() {
            flat.insert(name.clone(), text.clone());
        }
    }
    let data = event.get("EventData").and_then(Value::as_object).into_iter();
    let user = event.get("UserData").and_then(Value::as_object);
    let user = user.into_iter().flat_map(Map::values).filter_map(Value::as_object);
    for (name, value) in data.chain(user).flatten() {
        let text = value.get("#text").unwrap_or(value).clone();
        // Rules write names without the spaces that some events have.
        flat.insert(name.replace(' ', ""), text.clone());
        flat.insert(name.clone(), text);
    }
    Value::Object(flat)
}
