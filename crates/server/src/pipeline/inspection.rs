//! ModSecurity rules over records that no gateway inspected: on their way in, so that what the rules tell is
//! stored with the event and the detector sees it, now and in every replay (docs/waf.md).
//!
//! Nothing can be blocked here. Intake waits for rules no longer than [`WAIT_MAX`] and the batch's time; what
//! was not inspected by then says so (`limits: [overload]`) and is counted.

use inspect::{Disk, Inspector, Record, Rules, SetOutcome, Settings, put, told, uninspected};
use schema::{Diagnostic, Event};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a batch waits for its turn.
pub const WAIT_MAX: Duration = Duration::from_secs(1);
/// Each event goes through all that are for its site.
const RULE_SETS_MAX: usize = 16;
/// Batches inspected at once, whatever somebody wants.
const THREADS_MAX: usize = 64;
/// Longer would hold senders back more than it helps: they wait for their answer.
const BATCH_MS_MAX: u64 = 20_000;
/// What gateways call the format of their events.
const GATEWAY_FORMAT: &str = "gateway";

/// `waf` of `server.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WafConfig {
    /// ModSecurity rule files by name, as in `gateway.yaml`; paths are relative to the working folder.
    pub rule_sets: BTreeMap<String, RuleSetConfig>,
    /// What runs over which records.
    pub inspect: Vec<InspectConfig>,
    /// Batches inspected at once: each takes a core.
    pub threads: usize,
    /// How long one batch may take.
    pub batch_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSetConfig {
    /// In the order to load them; `*` and `?` may stand in the last part: `crs/rules/*.conf`.
    pub files: Vec<String>,
    /// Load what turns bodies on and picks their parser before them.
    #[serde(default = "yes")]
    pub base: bool,
}

/// One rule set at work. Its stage is `shadow`: what is written down already cannot be blocked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectConfig {
    /// Which of `rule_sets`.
    pub rules: String,
    /// Only records of these sites; all without it, also those that name none.
    #[serde(default)]
    pub sites: Vec<String>,
    /// CRS's paranoia level, 1 to 4. What is not said here is what the rule files say.
    #[serde(default)]
    pub paranoia: Option<u8>,
    /// A higher level whose rules are told of, and do not count.
    #[serde(default)]
    pub detection_paranoia: Option<u8>,
    #[serde(default)]
    pub inbound_threshold: Option<u32>,
    #[serde(default)]
    pub outbound_threshold: Option<u32>,
}

fn yes() -> bool {
    true
}

impl Default for WafConfig {
    fn default() -> Self {
        WafConfig {
            rule_sets: BTreeMap::new(),
            inspect: Vec::new(),
            // Half the machine at most: judging, storing and answering go on.
            threads: std::thread::available_parallelism()
                .map_or(1, |cores| cores.get().div_ceil(2)),
            batch_ms: 5_000,
        }
    }
}

/// Rule sets at work on the intake of all tenants.
#[derive(Debug)]
pub struct Inspection {
    runs: Vec<Run>,
    threads: Arc<Semaphore>,
    batch: Duration,
    pub counts: Counts,
}

#[derive(Debug)]
struct Run {
    inspector: Inspector,
    sites: Vec<String>,
}

/// What `/metrics` shows.
#[derive(Debug, Default)]
pub struct Counts {
    pub inspected: AtomicU64,
    pub matched: AtomicU64,
    pub would_block: AtomicU64,
    /// A limit of the rules or of the record was reached.
    pub limited: AtomicU64,
    /// There was no time for them.
    pub uninspected: AtomicU64,
    pub micros: AtomicU64,
}

impl Inspection {
    /// Loads the rules. `None`: there are none to run.
    pub fn open(config: &WafConfig) -> Result<Option<Arc<Inspection>>, Vec<Diagnostic>> {
        let mut faults = config.faults();
        let mut loaded = BTreeMap::new();
        for (name, set) in &config.rule_sets {
            let at = format!("server.yaml: waf.rule_sets.{name}");
            match Rules::open(name, &Disk::default(), &set.files, set.base, &at) {
                Ok(rules) => drop(loaded.insert(name.as_str(), Arc::new(rules))),
                Err(mut found) => faults.append(&mut found),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let run = |wanted: &InspectConfig| {
            let rules = Arc::clone(loaded.get(wanted.rules.as_str())?);
            let settings = Settings {
                paranoia: wanted.paranoia,
                detection_paranoia: wanted.detection_paranoia,
                inbound_threshold: wanted.inbound_threshold,
                outbound_threshold: wanted.outbound_threshold,
            };
            let inspector = Inspector::new(rules, &settings);
            Some(Run { inspector, sites: wanted.sites.clone() })
        };
        let runs: Vec<Run> = config.inspect.iter().filter_map(run).collect();
        Ok((!runs.is_empty()).then(|| {
            Arc::new(Inspection {
                runs,
                threads: Arc::new(Semaphore::new(config.threads)),
                batch: Duration::from_millis(config.batch_ms),
                counts: Counts::default(),
            })
        }))
    }

    /// The events with what the rules told of them. Never fails, and never takes longer than [`WAIT_MAX`],
    /// the batch's time and one event more.
    pub async fn over(self: &Arc<Self>, events: Vec<Event>) -> Vec<Event> {
        if !events.iter().any(|event| self.is_for(event)) {
            return events;
        }
        let turn = Arc::clone(&self.threads).acquire_owned();
        let permit = tokio::time::timeout(WAIT_MAX, turn).await;
        let (events, mut answers) = match permit {
            Ok(Ok(permit)) => {
                let (all, of) = (Arc::new(events), Arc::clone(self));
                let theirs = Arc::clone(&all);
                let work = tokio::task::spawn_blocking(move || {
                    let answers = of.answers(&theirs);
                    drop(theirs);
                    drop(permit);
                    answers
                });
                let answers = work.await.unwrap_or_else(|error| {
                    tracing::error!(%error, "an inspection ended by a panic");
                    Vec::new()
                });
                (Arc::unwrap_or_clone(all), answers)
            }
            Ok(Err(_)) | Err(_) => (events, Vec::new()),
        };
        answers.resize(events.len(), Answer::NoTime);
        let mut events = events;
        for (event, answer) in events.iter_mut().zip(answers) {
            match answer {
                Answer::Told(told) => put(event, Some(told)),
                Answer::NoTime if self.is_for(event) => {
                    self.counts.uninspected.fetch_add(1, Ordering::Relaxed);
                    put(event, Some(uninspected(&self.inspectors(event), "overload")));
                }
                Answer::Quiet | Answer::NoTime => {}
            }
        }
        events
    }

    /// In the events' order; shorter: there was no time for the rest.
    fn answers(&self, events: &[Event]) -> Vec<Answer> {
        let began = Instant::now();
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            if began.elapsed() >= self.batch {
                break;
            }
            answers.push(if self.is_for(event) { self.answer(event) } else { Answer::Quiet });
        }
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counts.micros.fetch_add(took, Ordering::Relaxed);
        answers
    }

    fn answer(&self, event: &Event) -> Answer {
        let Some(record) = Record::of(event) else { return Answer::Quiet };
        let outcomes: Vec<SetOutcome> =
            self.inspectors(event).iter().map(|inspector| inspector.inspect(&record)).collect();
        let count = |counter: &AtomicU64, is_so: &dyn Fn(&SetOutcome) -> bool| {
            counter.fetch_add(u64::from(outcomes.iter().any(is_so)), Ordering::Relaxed);
        };
        count(&self.counts.inspected, &|_| true);
        count(&self.counts.matched, &|set| !set.matches.is_empty());
        count(&self.counts.would_block, &|set| set.decided.is_some());
        count(&self.counts.limited, &|set| !set.limits.is_empty());
        told(&outcomes, &record).map_or(Answer::Quiet, Answer::Told)
    }

    /// It tells of a request, and no gateway has looked at that.
    fn is_for(&self, event: &Event) -> bool {
        let is_told = event.rest.get("plura").is_some_and(|ours| ours.get("waf").is_some());
        Record::is_in(event)
            && !is_told
            && event.log_format.as_deref() != Some(GATEWAY_FORMAT)
            && self.runs.iter().any(|run| run.is_for(event))
    }

    fn inspectors(&self, event: &Event) -> Vec<&Inspector> {
        self.runs.iter().filter(|run| run.is_for(event)).map(|run| &run.inspector).collect()
    }
}

impl Run {
    fn is_for(&self, event: &Event) -> bool {
        self.sites.is_empty() || event.site.as_ref().is_some_and(|site| self.sites.contains(site))
    }
}

#[derive(Clone)]
enum Answer {
    /// Nothing to tell, or nothing to look at.
    Quiet,
    Told(Value),
    NoTime,
}

impl WafConfig {
    fn faults(&self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        let mut add = |at: &str, message: String, hint: &str| {
            let at = format!("server.yaml: waf.{at}");
            faults.push(Diagnostic::new("config-invalid", at, message).hint(hint));
        };
        for (name, set) in &self.rule_sets {
            if set.files.is_empty() {
                let hint = "name them: `files: [crs/crs-setup.conf, 'crs/rules/*.conf']`";
                add(
                    &format!("rule_sets.{name}.files"),
                    format!("rule set `{name}` has no files"),
                    hint,
                );
            }
        }
        for (name, count) in [("rule_sets", self.rule_sets.len()), ("inspect", self.inspect.len())]
        {
            if count > RULE_SETS_MAX {
                let message = format!("`{name}` has {count} entries, more than {RULE_SETS_MAX}");
                add(name, message, "join some of them");
            }
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            let message = format!("`threads` is {}", self.threads);
            add("threads", message, "use 1 to 64, or leave it out for half of the cores");
        }
        if !(1..=BATCH_MS_MAX).contains(&self.batch_ms) {
            let message = format!("`batch_ms` is {}", self.batch_ms);
            add("batch_ms", message, "use 1 to 20000, or leave it out for 5000");
        }
        if self.inspect.is_empty() && !self.rule_sets.is_empty() {
            let message = "no rule set is at work".to_owned();
            add("inspect", message, "add `inspect: [{rules: …}]`");
        }
        for (i, wanted) in self.inspect.iter().enumerate() {
            let at = format!("inspect[{i}]");
            if !self.rule_sets.contains_key(&wanted.rules) {
                let known: Vec<&str> = self.rule_sets.keys().map(String::as_str).collect();
                let hint = format!("there are: {}", known.join(", "));
                let message = format!("there is no rule set `{}`", wanted.rules);
                add(&format!("{at}.rules"), message, &hint);
            }
            for (field, level) in
                [("paranoia", wanted.paranoia), ("detection_paranoia", wanted.detection_paranoia)]
            {
                if let Some(level) = level.filter(|level| !(1..=4).contains(level)) {
                    add(&format!("{at}.{field}"), format!("`{field}` is {level}"), "use 1 to 4");
                }
            }
            for (field, threshold) in [
                ("inbound_threshold", wanted.inbound_threshold),
                ("outbound_threshold", wanted.outbound_threshold),
            ] {
                if threshold == Some(0) {
                    let message = format!("`{field}` is 0: every request would reach it");
                    add(&format!("{at}.{field}"), message, "CRS uses 5 inbound and 4 outbound");
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests;
