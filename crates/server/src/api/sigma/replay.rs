//! What a rule would have found in what is stored, before it is switched on.

use super::super::extract::{Json, Params, Path, read_time};
use super::Shelf;
use super::reports::date;
use super::rules::detail;
use crate::app::{App, in_background};
use crate::handle::now;
use crate::identity::Caller;
use crate::pipeline::rules::DAY_MS;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use schema::{Event, Timestamp};
use serde::{Deserialize, Serialize};
use sigma::ocsf::{matches, views};
use sigma::{Engine, Options, RuleSet, Runner};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Events one replay looks at; a narrower time sees the rest.
const REPLAY_EVENTS_MAX: u64 = 2_000_000;
/// The longest stretch of time.
const REPLAY_DAYS_MAX: i64 = 92;
/// Well below the time a request may take; whoever hangs up ends it sooner.
const REPLAY_TIME_MAX: Duration = Duration::from_secs(40);
/// Replays at once: each takes a core.
const REPLAYS_MAX: usize = 1;
/// Entities told, those hit most.
const ENTITIES_TOLD_MAX: usize = 50;
/// Entities counted; hits of others are in the totals only.
const ENTITIES_COUNTED_MAX: usize = 100_000;
const EVIDENCE_TOLD_MAX: usize = 20;

static TURNS: Semaphore = Semaphore::const_new(REPLAYS_MAX);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReplayQuery {
    /// Received from here on (RFC 3339 or milliseconds); a week ago without it.
    pub from: Option<String>,
    /// Received before here; now without it.
    pub to: Option<String>,
}

#[derive(Debug, Default, Clone, Serialize, ToSchema)]
pub struct Replay {
    /// Events looked at.
    pub events: u64,
    pub hits: u64,
    /// Hits by day of the event.
    #[schema(value_type = Object)]
    pub by_day: BTreeMap<String, u64>,
    /// Who would have been named first, those hit most.
    pub entities: Vec<EntityHits>,
    pub entities_total: usize,
    /// The first events it would have fired on.
    pub evidence: Vec<Uuid>,
    /// False: it ended early, and `stopped` says at which limit.
    pub complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<&'static str>,
    pub from: Timestamp,
    pub to: Timestamp,
    /// What was looked at was received up to here.
    pub reached: Timestamp,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EntityHits {
    pub entity: String,
    pub hits: u64,
}

#[derive(Default)]
struct Tally {
    told: Replay,
    days: BTreeMap<i64, u64>,
    entities: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, runner: &mut Runner, event: &Event) {
        self.told.events += 1;
        self.told.reached = event.received;
        if matches(runner, &views(event)).is_empty() {
            return;
        }
        self.told.hits += 1;
        *self.days.entry(event.time.div_euclid(DAY_MS)).or_default() += 1;
        if self.told.evidence.len() < EVIDENCE_TOLD_MAX {
            self.told.evidence.push(event.id);
        }
        let who = crate::pipeline::rules::entities(event).into_iter().next();
        let who = who.map_or_else(|| "nobody".to_owned(), |entity| entity.to_string());
        if self.entities.len() < ENTITIES_COUNTED_MAX || self.entities.contains_key(&who) {
            *self.entities.entry(who).or_default() += 1;
        }
    }

    fn end(mut self) -> Replay {
        self.told.by_day = self.days.into_iter().map(|(day, hits)| (date(day), hits)).collect();
        self.told.entities_total = self.entities.len();
        let mut all: Vec<EntityHits> =
            self.entities.into_iter().map(|(entity, hits)| EntityHits { entity, hits }).collect();
        all.sort_by(|one, two| two.hits.cmp(&one.hits).then_with(|| one.entity.cmp(&two.entity)));
        all.truncate(ENTITIES_TOLD_MAX);
        self.told.entities = all;
        self.told
    }
}

/// Run a rule over stored events; nothing comes of it but counts. Hanging up ends it.
#[utoipa::path(post, path = "/api/v1/sigma/rules/{id}/replay", tag = "rules", params(("id" = String, Path), ReplayQuery),
    responses((status = 200, body = Replay), (status = "default", description = "problem", body = Problem)))]
pub async fn replay(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Params(query): Params<ReplayQuery>,
) -> Result<Json<Replay>, Problem> {
    let time = now();
    let to = read_time("to", query.to.as_deref())?.unwrap_or(time.saturating_add(1));
    let from = read_time("from", query.from.as_deref())?.unwrap_or(to.saturating_sub(7 * DAY_MS));
    if from >= to || to.saturating_sub(from) > REPLAY_DAYS_MAX * DAY_MS {
        return Err(Problem::bad_request(
            "time-invalid",
            format!("`from` is not before `to`, or more than {REPLAY_DAYS_MAX} days before it"),
        ));
    }
    let found = detail(Shelf::of(&app, &caller.tenant).await?, id.clone()).await?;
    let text = found.text.ok_or_else(|| Problem::not_found("text of rule", &id))?;
    let set = in_background(move || {
        let mut set = RuleSet::load([("rule.yml", text.as_str())], &Options::default());
        // A rule below a correlation stands for itself here.
        set.rules.retain(|rule| rule.meta.key() == id || found.rule.kind == "correlation");
        set
    })
    .await?;
    if set.rules.is_empty() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "rule-unusable",
            "the rule cannot run, so there is nothing to replay",
        )
        .hint("`POST /api/v1/sigma/rules/check` says why"));
    }
    let Ok(_turn) = TURNS.try_acquire() else {
        return Err(
            Problem::unavailable("replay-busy", "another replay is running").retry_after(10)
        );
    };
    let tally = Arc::new(Mutex::new(Tally::default()));
    let full = Arc::new(Notify::new());
    let (counting, filling) = (Arc::clone(&tally), Arc::clone(&full));
    let runner = Mutex::new(Arc::new(Engine::new(Arc::new(set))).runner());
    let run = app.store.replay(&caller.tenant, from, to, move |event| {
        let mut tally = counting.lock().unwrap_or_else(PoisonError::into_inner);
        if tally.told.events >= REPLAY_EVENTS_MAX {
            filling.notify_one();
        } else {
            let mut runner = runner.lock().unwrap_or_else(PoisonError::into_inner);
            tally.count(&mut runner, &event);
        }
    });
    let stopped = tokio::select! {
        done = run => {
            done?;
            None
        }
        () = full.notified() => Some("events"),
        () = tokio::time::sleep(REPLAY_TIME_MAX) => Some("time"),
    };
    let mut locked = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let mut told = std::mem::take(&mut *locked).end();
    drop(locked);
    told.complete = stopped.is_none();
    told.stopped = stopped;
    (told.from, told.to) = (from, to);
    Ok(Json(told))
}
