//! Which techniques the rules cover, which of them make noise, and which were chosen.

use super::super::extract::{Json, Params, words};
use super::Shelf;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::pipeline::rules::DAY_MS;
use crate::pipeline::rules::packs::{Choice, Pack};
use crate::pipeline::worker::rules::CHOICE;
use crate::problem::Problem;
use axum::extract::State;
use schema::{LeafKind, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::meta::{SIGMA_HITS_DAYS, SigmaHits};
use utoipa::{IntoParams, ToSchema};

/// Days a report looks back unless it is told.
const DAYS: i64 = 30;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DaysQuery {
    /// 1 to 400; 30 by default.
    pub days: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Packs {
    pub items: Vec<Pack>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Technique {
    /// `T1059.004`.
    pub technique: String,
    /// Ids of the rules that are tagged with it.
    pub rules: Vec<String>,
    pub enabled: usize,
    pub hits: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Coverage {
    pub days: i64,
    pub techniques: Vec<Technique>,
    /// Rules without a technique.
    pub untagged: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Noise {
    pub days: i64,
    /// The loudest first.
    pub rules: Vec<Loud>,
    /// Rules at work that never fired, of sources this server reads.
    pub never_fired: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Loud {
    pub rule: String,
    pub title: Option<String>,
    pub hits: u64,
    /// Of these, kept quiet by exceptions.
    pub suppressed: u64,
    /// Hits by day.
    #[schema(value_type = Object)]
    pub by_day: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChoice {
    pub selection: Choice,
    pub reason: String,
}

/// `2026-11-22` of a day counted from 1970.
pub(super) fn date(day: i64) -> String {
    let text = schema::format_time(day.saturating_mul(DAY_MS));
    text.split('T').next().unwrap_or_default().to_owned()
}

fn span(days: Option<i64>) -> Result<i64, Problem> {
    match days.unwrap_or(DAYS) {
        days if (1..=SIGMA_HITS_DAYS).contains(&days) => Ok(days),
        days => Err(Problem::bad_request(
            "days-invalid",
            format!("`days` is {days}, and should be 1 to {SIGMA_HITS_DAYS}"),
        )),
    }
}

async fn hits(app: &App, tenant: &TenantId, days: i64) -> Result<Vec<SigmaHits>, Problem> {
    let (tenant, since) = (tenant.clone(), now().div_euclid(DAY_MS) - days + 1);
    app.meta.blocking(move |meta| meta.read(|read| read.sigma_hits(&tenant, since))).await
}

/// The folders of rules that all tenants share, and who signed them as what.
#[utoipa::path(get, path = "/api/v1/sigma/packs", tag = "rules",
    responses((status = 200, body = Packs), (status = "default", description = "problem", body = Problem)))]
pub async fn packs(State(app): State<App>, Caller(_): Caller) -> Result<Json<Packs>, Problem> {
    let loaded = app.pipeline.packs().map(|packs| packs.current()).unwrap_or_default();
    Ok(Json(Packs { items: loaded.packs.clone() }))
}

/// ATT&CK techniques, the rules for each, and how often those fired.
#[utoipa::path(get, path = "/api/v1/sigma/coverage", tag = "rules", params(DaysQuery),
    responses((status = 200, body = Coverage), (status = "default", description = "problem", body = Problem)))]
pub async fn coverage(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<DaysQuery>,
) -> Result<Json<Coverage>, Problem> {
    let days = span(query.days)?;
    let mut of_rule: BTreeMap<String, u64> = BTreeMap::new();
    for hit in hits(&app, &caller.tenant, days).await? {
        *of_rule.entry(hit.rule).or_default() += hit.hits;
    }
    let views = Shelf::of(&app, &caller.tenant).await?.views().await?;
    let (mut all, mut untagged) = (BTreeMap::<String, Technique>::new(), 0);
    for view in views.iter().filter(|view| view.problems.is_empty()) {
        let techniques = sigma::attack::techniques(&view.tags);
        untagged += usize::from(techniques.is_empty());
        for technique in techniques {
            let entry = all.entry(technique.clone()).or_default();
            entry.technique = technique;
            entry.rules.push(view.id.clone());
            entry.enabled += usize::from(view.enabled);
            entry.hits += of_rule.get(&view.id).copied().unwrap_or(0);
        }
    }
    Ok(Json(Coverage { days, techniques: all.into_values().collect(), untagged }))
}

/// How often each rule fired, and which never did.
#[utoipa::path(get, path = "/api/v1/sigma/noise", tag = "rules", params(DaysQuery),
    responses((status = 200, body = Noise), (status = "default", description = "problem", body = Problem)))]
pub async fn noise(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<DaysQuery>,
) -> Result<Json<Noise>, Problem> {
    let days = span(query.days)?;
    let counted = hits(&app, &caller.tenant, days).await?;
    let views = Shelf::of(&app, &caller.tenant).await?.views().await?;
    let titles: BTreeMap<&str, &str> =
        views.iter().map(|view| (view.id.as_str(), view.title.as_str())).collect();
    let mut rules: BTreeMap<String, Loud> = BTreeMap::new();
    for SigmaHits { rule, day, hits, suppressed } in counted {
        let loud = rules.entry(rule.clone()).or_insert_with(|| Loud {
            title: titles.get(rule.as_str()).map(|title| (*title).to_owned()),
            rule,
            hits: 0,
            suppressed: 0,
            by_day: BTreeMap::new(),
        });
        loud.hits += hits;
        loud.suppressed += suppressed;
        *loud.by_day.entry(date(day)).or_default() += hits;
    }
    let never_fired = views
        .iter()
        .filter(|view| view.enabled && view.served && !rules.contains_key(&view.id))
        .map(|view| view.id.clone())
        .collect();
    let mut rules: Vec<Loud> = rules.into_values().collect();
    rules.sort_by(|one, two| two.hits.cmp(&one.hits).then_with(|| one.rule.cmp(&two.rule)));
    Ok(Json(Noise { days, rules, never_fired }))
}

/// Which rules of packs are at work, by level, status and tag.
#[utoipa::path(get, path = "/api/v1/sigma/selection", tag = "rules",
    responses((status = 200, body = Choice), (status = "default", description = "problem", body = Problem)))]
pub async fn selection(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Choice>, Problem> {
    Ok(Json(Shelf::of(&app, &caller.tenant).await?.choice))
}

/// Choose which rules of packs are at work. Rules that were switched by id stay as they were switched.
#[utoipa::path(put, path = "/api/v1/sigma/selection", tag = "rules", request_body = NewChoice,
    responses((status = 200, body = Choice), (status = "default", description = "problem", body = Problem)))]
pub async fn put_selection(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewChoice>,
) -> Result<Json<Choice>, Problem> {
    words("reason", &body.reason)?;
    let choice = body.selection.clone();
    let text = serde_json::to_string(&choice).map_err(|cause| Problem::internal(&cause))?;
    let (tenant, actor, time) = (caller.tenant.clone(), caller.actor(), now());
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.set_setting(&tenant, CHOICE, &text)?;
                let subject = deeds::subject_of_rule(&tenant, CHOICE);
                let kind = LeafKind::RuleChange;
                let code = "rule-selection-changed";
                tx.attest(&[deeds::leaf(
                    &tenant,
                    kind,
                    &actor,
                    subject,
                    &body.selection,
                    code,
                    time,
                )])
            })
        })
        .await?;
    app.ledgers.wake();
    app.pipeline.rules_changed(caller.tenant).await?;
    Ok(Json(choice))
}
