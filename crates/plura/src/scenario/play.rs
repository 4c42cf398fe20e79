//! Plays a script through the real engines, without sockets, clock or chance.

use super::script::{HumanAct, Mode, Script, stamp_log};
use super::turns::{Said, What, turns};
use super::waf::Watch;
use crate::shop::{Request, Response, Shop};
use gateway::config::SiteConfig;
use gateway::enforce::{Enforcer, Pattern, RequestKeys, Verdict};
use gateway::evidence::{
    CapturedBody, Enforced, Exchange, Keys, RequestHead, Scheme, SessionBook, Site, observe,
    request_keys,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use normalize::{Parser, Source};
use respond::{BlastCounter, Context, PolicySet, Protected};
use schema::{
    Action, ActionState, Event, Finding, Incident, Rung, TenantId, Timestamp, parse_time,
};
use serde::Serialize;
use server::pipeline::{Act, Engine};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// The demo's sites, as a gateway's configuration says them.
pub const SITES: &str = include_str!("../../../../scenarios/site/sites.yaml");

/// The key of all hashes in stories. It protects nothing: every value in a story is made up.
const STORY_KEY: [u8; 32] = *b"a key for stories, never for use";

/// Time is told to the engine at least this often, as the server does.
const TICK_MS: i64 = 1_000;

/// The gateway's half without sockets: what it would record of an exchange, and whom it would hold up.
pub struct Capture {
    sites: Vec<Guarded>,
    keys: Keys,
    book: SessionBook,
    gateway: Arc<str>,
    sequence: u64,
}

/// A site as the gateway holds it.
struct Guarded {
    config: SiteConfig,
    site: Site,
    /// What stays open to a visitor who has to prove who they are.
    open: Vec<Pattern>,
}

/// The shop, its visitors' cookies, and the capture in front of it.
pub struct Stage {
    pub shop: Shop,
    jars: BTreeMap<String, BTreeMap<String, String>>,
    pub capture: Capture,
    pub enforcer: Enforcer,
    pub watch: Watch,
}

impl Capture {
    pub fn new(gateway: &str, keys: Keys) -> Result<Capture, String> {
        let configs: Vec<SiteConfig> = serde_saphyr::from_str(SITES)
            .map_err(|error| format!("scenarios/site/sites.yaml: {error}"))?;
        let mut sites = Vec::new();
        for config in configs {
            let site = Site::compile(&config.name, &config.evidence()).map_err(|wrong| {
                wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            })?;
            let open = config
                .step_up
                .iter()
                .flat_map(|step_up| std::iter::once(&step_up.url).chain(&step_up.allow))
                .filter_map(|text| Pattern::parse(text))
                .collect();
            sites.push(Guarded { config, site, open });
        }
        Ok(Capture {
            sites,
            keys,
            book: SessionBook::default(),
            gateway: Arc::from(gateway),
            sequence: 0,
        })
    }

    fn guarded(&self, host: &str) -> Result<&Guarded, String> {
        self.sites
            .iter()
            .find(|guarded| guarded.config.hosts.iter().any(|h| h == host))
            .ok_or_else(|| format!("no site serves `{host}`"))
    }

    /// Whose request it is, before it is answered.
    fn keys(&self, guarded: &Guarded, head: &RequestHead, body: &[u8]) -> RequestKeys {
        let known = request_keys(head, Some(body), &guarded.site, &self.keys, &self.book);
        RequestKeys {
            site: guarded.site.name.clone(),
            credential: known.credential,
            session: known.session,
            account: known.account,
            device: None,
            address: Some(known.address.to_string()),
            endpoint: Some(known.endpoint),
        }
    }
}

impl Stage {
    pub fn new(capture: Capture) -> Stage {
        Stage {
            shop: Shop::new(1),
            jars: BTreeMap::new(),
            capture,
            enforcer: Enforcer::new(),
            watch: Watch::default(),
        }
    }

    /// One request: past the enforcer, to the shop, back, and what the gateway would have recorded.
    pub fn perform(&mut self, said: &Said, now: Timestamp) -> Result<(u16, Event), String> {
        let request = self.with_cookies(said);
        let guarded = self.capture.guarded(&request.host)?;
        let head = head(&request, &said.from, now)?;
        let keys = self.capture.keys(guarded, &head, &request.body);
        let verdict = self.enforcer.check(&keys, now);
        let is_open = matches!(verdict, Verdict::StepUp(_) | Verdict::Isolate(_))
            && guarded.open.iter().any(|pattern| pattern.matches(&request.method, &request.path));
        let held = if is_open { None } else { verdict.cause().cloned() };
        // Who may not pass costs no inspection.
        let watched = match &held {
            Some(_) => None,
            None => self.watch.request(&guarded.site.name, &head, &request.body)?,
        };
        let (mut watched, blocked) = watched.map_or((None, None), |(w, stop)| (Some(w), stop));
        let is_asked = held.is_none() && blocked.is_none();
        let mut response = match (&held, blocked) {
            (Some(_), _) => refusal(&verdict),
            (None, Some(blocked)) => blocked,
            (None, None) => self.shop.handle(&request, now),
        };
        if let Some(watched) = watched.as_mut().filter(|_| is_asked) {
            let headers = header_map(&response.headers)?;
            if let Some(instead) = watched.response(response.status, &headers, &response.body)? {
                response = instead;
            }
        }
        let sequence = self.capture.sequence;
        let waf = watched.map(|watched| watched.finish(&head, sequence, now));
        self.keep_cookies(said, &response);
        let exchange = Exchange {
            gateway: Arc::clone(&self.capture.gateway),
            sequence: self.capture.sequence,
            request: head,
            request_body: CapturedBody::whole(request.body.clone()),
            status: Some(response.status),
            response_headers: header_map(&response.headers)?,
            response_body: CapturedBody::whole(response.body.clone()),
            finished: now + 12,
            upstream: is_asked.then(|| "127.0.0.1:9000".to_owned()),
            enforced: held.map(|cause| Enforced {
                rung: cause.rung,
                action: cause.action,
                reason: cause.reason,
            }),
            waf,
            ..Exchange::default()
        };
        self.capture.sequence += 1;
        let guarded = self.capture.guarded(&request.host)?;
        let mut event = observe(&exchange, &guarded.site, &self.capture.keys, &self.capture.book);
        let has_proved = event.outcome_action.as_deref() == Some("step-up")
            && event.outcome_result() == schema::OutcomeResult::Success;
        if let Some(step_up) = guarded.config.step_up.as_ref().filter(|_| has_proved) {
            let pass_ms = i64::try_from(step_up.pass_secs).unwrap_or(i64::MAX / 2_000) * 1_000;
            self.enforcer.note_step_up(&keys, now, now + pass_ms);
        }
        event.received = now;
        Ok((response.status, event))
    }

    fn with_cookies(&self, said: &Said) -> Request {
        let mut request = said.request.clone();
        let jar = said.jar.as_ref().and_then(|jar| self.jars.get(jar));
        if let Some(jar) = jar.filter(|jar| !jar.is_empty()) {
            let pairs: Vec<String> =
                jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers.push(("cookie".to_owned(), pairs.join("; ")));
        }
        request
    }

    fn keep_cookies(&mut self, said: &Said, response: &Response) {
        let Some(jar) = &said.jar else { return };
        for (_, value) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().and_then(|pair| pair.split_once('='));
            if let Some((name, value)) = pair {
                self.jars.entry(jar.clone()).or_default().insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn head(request: &Request, from: &str, now: Timestamp) -> Result<RequestHead, String> {
    Ok(RequestHead {
        received: now,
        client_ip: from.parse::<IpAddr>().map_err(|_| format!("`{from}` is not an address"))?,
        client_port: 40_000,
        scheme: Scheme::Https,
        method: request
            .method
            .parse()
            .map_err(|_| format!("`{}` is not a method", request.method))?,
        path: request.path.clone(),
        query: request.query.clone(),
        host: request.host.clone(),
        version: http::Version::HTTP_11,
        headers: header_map(&request.headers)?,
    })
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        map.append(key, value);
    }
    Ok(map)
}

/// What a held-up visitor sees; the status is what a live gateway answers.
fn refusal(verdict: &Verdict) -> Response {
    let status = match verdict {
        Verdict::Limit { .. } => 429,
        Verdict::StepUp(_) | Verdict::Revoke(_) => 401,
        _ => 403,
    };
    Response { status, ..Response::default() }
}

/// What came of a story. Times are milliseconds after zero.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub events: u64,
    pub incidents: Vec<IncidentOutcome>,
    /// Findings by rule and severity, each counted once.
    pub findings: BTreeMap<String, u64>,
    pub actions: Vec<ActionOutcome>,
    /// The highest rung that was in force without a human's yes.
    pub highest_automatic_rung: Rung,
    /// Answers after zero: who got which status how often.
    pub answers: BTreeMap<String, BTreeMap<u16, u64>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct IncidentOutcome {
    pub title: String,
    pub severity: schema::Severity,
    pub opened_ms: i64,
    pub entities: Vec<String>,
    pub story: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ActionOutcome {
    pub at_ms: i64,
    pub rung: Rung,
    pub target: String,
    pub state: ActionState,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    pub history: Vec<String>,
}

/// Everything a play holds while it runs.
struct Run {
    tenant: TenantId,
    zero: Timestamp,
    stage: Stage,
    engine: Engine,
    past: Vec<Event>,
    findings: BTreeMap<Uuid, Finding>,
    restriction_version: u64,
    answers: BTreeMap<String, BTreeMap<u16, u64>>,
    told: Timestamp,
}

pub fn play(script: &Script) -> Result<Outcome, String> {
    let zero = parse_time(&script.zero).ok_or("`zero` is not a time")?;
    let mode = match script.mode {
        Mode::Observe => respond::Mode::Observe,
        Mode::Canary => respond::Mode::Canary,
        Mode::Enforce => respond::Mode::Enforce,
    };
    let tuning = tuning();
    let context = Context { mode, protected: Protected::default() };
    let policies = PolicySet::shipped()
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let mut stage = Stage::new(Capture::new("story-gateway", Keys::new(&STORY_KEY))?);
    stage.watch = Watch::of(script)?;
    let mut run = Run {
        tenant: "story".parse().map_err(|error: schema::InvalidTenant| error.to_string())?,
        zero,
        stage,
        engine: Engine::new(tuning.detect, tuning.group, policies, context, [7; 16]),
        past: Vec::new(),
        findings: BTreeMap::new(),
        restriction_version: 0,
        answers: BTreeMap::new(),
        told: zero - script.history.0,
    };
    for turn in turns(script)? {
        run.pass_time(turn.time);
        match &turn.what {
            What::Request(said) => run.request(said, turn.time)?,
            What::Logs(logs) => run.logs(script, logs, turn.time)?,
            What::Human(human) => run.human(human, turn.time),
        }
    }
    run.pass_time(zero + script.duration.0);
    Ok(run.outcome())
}

/// How engines judge in stories and in the demo: as shipped, and knowing which host serves the shop.
pub fn tuning() -> server::pipeline::worker::Tuning {
    let mut tuning = server::pipeline::worker::Tuning::default();
    let site = detect::SiteConfig { devices: vec!["web-1".to_owned()] };
    tuning.detect.sites.insert("shop".to_owned(), site.clone());
    tuning.group.sites.insert("shop".to_owned(), site);
    tuning
}

impl Run {
    fn pass_time(&mut self, now: Timestamp) {
        while self.told + TICK_MS <= now {
            // Nothing is in flight between turns, so a long silence is told in one step per tick at
            // most a minute long: windows close at the same event times either way.
            self.told += TICK_MS.max((now - self.told - TICK_MS).min(60_000));
            let findings = self.engine.advance(self.told);
            self.judge(findings, self.told);
            if !self.engine.expire(self.told).is_empty() {
                self.publish(self.told);
            }
        }
    }

    fn request(&mut self, said: &Said, now: Timestamp) -> Result<(), String> {
        let (status, event) = self.stage.perform(said, now)?;
        if now >= self.zero {
            *self.answers.entry(said.label.clone()).or_default().entry(status).or_default() += 1;
        }
        self.observe(event, now);
        Ok(())
    }

    fn logs(
        &mut self,
        script: &Script,
        logs: &super::script::Logs,
        now: Timestamp,
    ) -> Result<(), String> {
        let file = script.folder.join(&logs.logs);
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        let source = Source {
            name: logs.logs.clone(),
            format: logs
                .format
                .parse()
                .map_err(|error: normalize::UnknownFormat| error.to_string())?,
            device: logs.device.clone(),
            site: None,
            utc_offset_secs: 0,
        };
        let mut parser = Parser::new(self.tenant.clone(), source, 0);
        let text = stamp_log(&text, self.zero, 1.0)?;
        let first = parser.push(text.as_bytes(), now);
        let last = parser.finish(now);
        for event in first.events.into_iter().chain(last.events) {
            self.observe(event, now);
        }
        Ok(())
    }

    fn human(&mut self, human: &super::script::Human, now: Timestamp) {
        let (act, wanted) = match human.human {
            HumanAct::Approve => (Act::Approve, ActionState::AwaitingApproval),
            HumanAct::Reject => (Act::Reject, ActionState::AwaitingApproval),
            HumanAct::Undo => (Act::Undo, ActionState::Active),
        };
        let ids: Vec<Uuid> = self
            .engine
            .actions()
            .filter(|action| action.rung == human.rung && action.state == wanted)
            .map(|action| action.id)
            .collect();
        for id in ids {
            // A refusal (somebody was faster) shows in the outcome as a state that did not change.
            let _ = self.engine.act(id, &act, "user:story", &human.reason, now);
        }
        self.publish(now);
    }

    fn observe(&mut self, event: Event, now: Timestamp) {
        let findings = self.engine.observe(&event);
        self.past.push(event);
        self.judge(findings, now);
    }

    fn judge(&mut self, findings: Vec<Finding>, now: Timestamp) {
        for finding in findings {
            let considered = self.engine.consider(&finding, now);
            self.findings.insert(finding.id, finding);
            for proposal in considered.proposals {
                let blast = self.engine.blast_range(&proposal, now).map(|(since, until)| {
                    let target = proposal.action.target.clone();
                    let mut counter =
                        BlastCounter::new(target.clone(), proposal.action.sites.clone(), since);
                    for event in self.past.iter().filter(|e| e.time >= since && e.time < until) {
                        if event.entity(target.kind) == Some(target.value.as_str()) {
                            counter.count(event);
                        }
                    }
                    counter.radius()
                });
                self.engine.settle(proposal, blast, now);
            }
            self.publish(now);
        }
    }

    /// Restrictions reach the enforcer, and the gateway confirms them.
    fn publish(&mut self, now: Timestamp) {
        self.restriction_version += 1;
        self.stage.enforcer.load(&self.engine.restrictions(self.restriction_version, now));
        self.engine.confirm_all("gateway:story-gateway", now);
    }

    fn outcome(self) -> Outcome {
        let zero = self.zero;
        let mut findings = BTreeMap::new();
        for finding in self.findings.values() {
            *findings
                .entry(format!("{} {}", finding.rule, finding.severity.as_str()))
                .or_default() += 1;
        }
        let mut incidents: Vec<&Incident> = self.engine.incidents().collect();
        incidents.sort_by_key(|incident| (incident.opened, incident.id));
        let mut actions: Vec<&Action> = self.engine.actions().collect();
        actions.sort_by_key(|action| (action.created, action.rung, action.target.clone()));
        let highest = actions
            .iter()
            .filter(|action| was_automatic(action))
            .map(|action| action.rung)
            .max()
            .unwrap_or(Rung::Observe);
        Outcome {
            events: self.past.len() as u64,
            incidents: incidents
                .into_iter()
                .filter(|i| i.status.is_open())
                .map(|i| described(i, zero))
                .collect(),
            findings,
            highest_automatic_rung: highest,
            actions: actions.into_iter().map(|action| told(action, zero)).collect(),
            answers: self.answers,
        }
    }
}

/// Was it in force before any human said yes?
fn was_automatic(action: &Action) -> bool {
    action.history.first().is_some_and(|first| first.state.is_in_force())
}

fn described(incident: &Incident, zero: Timestamp) -> IncidentOutcome {
    // A step that repeats (ninety addresses limited one by one) is one line of the story.
    let mut story: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for step in &incident.story {
        let line = match &step.attack {
            Some(attack) => format!("{} {} {}", step.code, attack.tactic, attack.technique),
            None => step.code.clone(),
        };
        if seen.insert(line.clone()) {
            story.push(line);
        }
    }
    IncidentOutcome {
        title: incident.title.clone(),
        severity: incident.severity,
        opened_ms: incident.opened - zero,
        entities: incident.entities.iter().map(ToString::to_string).collect(),
        story,
    }
}

fn told(action: &Action, zero: Timestamp) -> ActionOutcome {
    ActionOutcome {
        at_ms: action.created - zero,
        rung: action.rung,
        target: action.target.to_string(),
        state: action.state,
        reason: action.reason.clone(),
        waits_for: action.approval.as_ref().map(|approval| approval.code.clone()),
        history: action
            .history
            .iter()
            .map(|change| {
                format!("+{} {} {}", change.time - zero, change.state.as_str(), change.actor)
            })
            .collect(),
    }
}
