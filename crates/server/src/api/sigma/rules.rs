//! Rules: list, read, add, change, remove, and a check before any of it.

use super::super::extract::{Json, Params, Path, list, page_size, word, words};
use super::Shelf;
use super::views::RuleView;
use crate::app::{App, Blocking, in_background};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::pipeline::rules::packs::{Loaded, SITE};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use schema::{Diagnostic, Stage, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sigma::{Options, RuleSet};
use std::sync::Arc;
use store::meta::SigmaRule;
use utoipa::{IntoParams, ToSchema};

/// What a rule text under check is called in diagnostics.
const CHECKED: &str = "rule.yml";
/// A pack's rule looks at all there is, until somebody switches it.
const FROM_THE_BEGINNING: Timestamp = 1;
/// Bytes of an id: findings, exceptions and addresses carry it.
const ID_BYTES_MAX: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RulesQuery {
    /// `site` or the name of a pack.
    pub origin: Option<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub level: Option<String>,
    /// A tag, as `attack.t1059`.
    pub tag: Option<String>,
    pub enabled: Option<bool>,
    /// `shadow`, `canary` or `enforce`; several with commas.
    pub stage: Option<String>,
    /// Only what cannot run.
    pub broken: Option<bool>,
    /// `next` of the page before: the last id.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RulesPage {
    pub items: Vec<RuleView>,
    /// Ask again with `after` set to this for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub total: usize,
    pub enabled: usize,
    pub broken: usize,
    /// Files that could not be read at all.
    pub faults: Vec<Diagnostic>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDetail {
    #[serde(flatten)]
    pub rule: RuleView,
    /// YAML.
    pub text: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// YAML: one rule, or correlations with the rules they stand on.
    pub text: String,
    pub reason: String,
    /// `false` keeps it quiet, to be replayed first.
    pub enabled: Option<bool>,
    /// `enforce` without it.
    pub stage: Option<Stage>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleUpdate {
    /// Only of rules of the site's own.
    pub text: Option<String>,
    pub enabled: Option<bool>,
    /// Holds for what is received from now on.
    pub stage: Option<Stage>,
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    pub text: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RuleCheck {
    pub valid: bool,
    pub diagnostics: Vec<Diagnostic>,
    /// What was understood and may not be what was meant.
    pub notices: Vec<Diagnostic>,
    pub rules: Vec<CheckedRule>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedRule {
    pub id: String,
    pub title: String,
    pub logsource: String,
    /// Whether events of any source this server reads can answer to it.
    pub served: bool,
}

/// Rules of packs and of the site, by id.
#[utoipa::path(get, path = "/api/v1/sigma/rules", tag = "rules", params(RulesQuery),
    responses((status = 200, body = RulesPage), (status = "default", description = "problem", body = Problem)))]
pub async fn list_rules(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<RulesQuery>,
) -> Result<Json<RulesPage>, Problem> {
    let limit = page_size(query.limit)?;
    let stages: Vec<Stage> = list("stage", query.stage.as_deref(), word)?;
    let shelf = Shelf::of(&app, &caller.tenant).await?;
    let faults = shelf.packs.faults.clone();
    let all = shelf.views().await?;
    let enabled = all.iter().filter(|view| view.enabled).count();
    let broken = all.iter().filter(|view| !view.problems.is_empty()).count();
    let total = all.len();
    let is_wanted = |view: &RuleView| {
        query.origin.as_ref().is_none_or(|origin| *origin == view.origin)
            && query.level.as_deref().is_none_or(|level| view.level == Some(level))
            && query.tag.as_ref().is_none_or(|tag| view.tags.contains(tag))
            && query.enabled.is_none_or(|enabled| view.enabled == enabled)
            && (stages.is_empty() || stages.contains(&view.stage))
            && query.broken.is_none_or(|broken| view.problems.is_empty() != broken)
            && query.after.as_ref().is_none_or(|after| view.id > *after)
    };
    let mut items: Vec<RuleView> =
        all.into_iter().filter(is_wanted).take(limit.saturating_add(1)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(RulesPage { items, next, total, enabled, broken, faults }))
}

/// One rule with its text.
#[utoipa::path(get, path = "/api/v1/sigma/rules/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = RuleDetail), (status = "default", description = "problem", body = Problem)))]
pub async fn one(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Json<RuleDetail>, Problem> {
    let shelf = Shelf::of(&app, &caller.tenant).await?;
    Ok(Json(detail(shelf, id).await?))
}

pub(super) async fn detail(shelf: Shelf, id: String) -> Result<RuleDetail, Problem> {
    let (stored, packs) = (shelf.stored.clone(), Arc::clone(&shelf.packs));
    let rule = shelf.views().await?.into_iter().find(|view| view.id == id);
    let rule = rule.ok_or_else(|| Problem::not_found("rule", &id))?;
    let own = rule.stored.as_ref().unwrap_or(&rule.id);
    let text = match stored.into_iter().find(|s| s.id == *own && !s.text.is_empty()) {
        Some(stored) => Some(stored.text),
        None => packs.text_at(&rule.place).map(str::to_owned),
    };
    Ok(RuleDetail { rule, text })
}

/// Check a rule text without using it.
#[utoipa::path(post, path = "/api/v1/sigma/rules/check", tag = "rules", request_body = RuleText,
    responses((status = 200, body = RuleCheck), (status = "default", description = "problem", body = Problem)))]
pub async fn check(Json(body): Json<RuleText>) -> Result<Json<RuleCheck>, Problem> {
    in_background(move || Json(checked(&body.text))).await
}

fn checked(text: &str) -> RuleCheck {
    let set = RuleSet::load([(CHECKED, text)], &Options::default());
    let mut diagnostics: Vec<Diagnostic> =
        set.refused.into_iter().flat_map(|refused| refused.problems).collect();
    if diagnostics.is_empty() && set.rules.is_empty() && set.correlations.is_empty() {
        let nothing =
            Diagnostic::new("no-rule", CHECKED, "the text holds no rule and no correlation");
        diagnostics
            .push(nothing.hint("a filter alone is an exception: `POST /api/v1/sigma/exceptions`"));
    }
    let rules: Vec<CheckedRule> = set
        .rules
        .iter()
        .map(|rule| CheckedRule {
            id: rule.meta.key().to_owned(),
            title: rule.meta.title.clone(),
            logsource: rule.logsource.to_string(),
            served: sigma::ocsf::is_served(&rule.logsource),
        })
        .collect();
    let mut notices = set.notices;
    for rule in rules.iter().filter(|rule| !rule.served) {
        let message = format!("no source this server reads is `{}`", rule.logsource);
        let hint =
            "docs/sigma.md lists the sources; `product: ocsf` with a class as `category` fits any";
        notices.push(Diagnostic::new("logsource-unserved", CHECKED, message).hint(hint));
    }
    RuleCheck { valid: diagnostics.is_empty(), diagnostics, notices, rules }
}

fn invalid(diagnostics: Vec<Diagnostic>) -> Problem {
    Problem::bad_request("rule-invalid", "the rule cannot be used as it is")
        .hint("the diagnostics name each place; nothing was changed")
        .diagnostics(diagnostics)
}

/// The id a text is stored under, if it can run beside the tenant's other rules.
async fn accepted(shelf: Shelf, text: String, replaces: Option<String>) -> Result<String, Problem> {
    in_background(move || {
        let result = checked(&text);
        if !result.valid {
            return Err(invalid(result.diagnostics));
        }
        let alone = RuleSet::load([(CHECKED, text.as_str())], &Options::default());
        let first = alone.rules.first().map(|rule| &rule.meta);
        let first = first.or_else(|| alone.correlations.first().map(|one| &one.meta));
        let id = first.map(|meta| meta.key().to_owned()).unwrap_or_default();
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            let message =
                format!("the rule's id has no letters, or more than {ID_BYTES_MAX} bytes");
            let fault = Diagnostic::new("id-invalid", CHECKED, message);
            return Err(invalid(vec![fault.hint("give it an `id`: a UUID of its own")]));
        }
        let keys: Vec<&str> = alone
            .rules
            .iter()
            .map(|rule| rule.meta.key())
            .chain(alone.correlations.iter().map(|one| one.meta.key()))
            .collect();
        let others: Vec<SigmaRule> = shelf
            .stored
            .into_iter()
            .filter(|rule| !rule.text.is_empty() && replaces.as_ref() != Some(&rule.id))
            .map(|rule| SigmaRule { enabled: true, ..rule })
            .collect();
        let site = Loaded::site(&others);
        let is_taken = |key: &&&str| {
            let has = |loaded: &Loaded| {
                loaded.set.rules.iter().any(|rule| rule.meta.key() == **key)
                    || loaded.correlation(key).is_some()
            };
            has(&site) || has(&shelf.packs) || others.iter().any(|rule| rule.id == **key)
        };
        if let Some(key) = keys.iter().find(is_taken) {
            let taken = format!("there is a rule `{key}` already");
            return Err(Problem::new(StatusCode::CONFLICT, "rule-exists", taken)
                .hint("change that one, or give this one an id of its own"));
        }
        Ok(id)
    })
    .await?
}

/// Add a rule; it looks at what is received from now on.
#[utoipa::path(post, path = "/api/v1/sigma/rules", tag = "rules", request_body = NewRule,
    responses((status = 201, body = RuleDetail), (status = "default", description = "problem", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewRule>,
) -> Result<(StatusCode, Json<RuleDetail>), Problem> {
    let reason = words("reason", &body.reason)?;
    let shelf = Shelf::of(&app, &caller.tenant).await?;
    let id = accepted(shelf, body.text.clone(), None).await?;
    let rule = SigmaRule {
        id: id.clone(),
        version: 0,
        text: body.text,
        enabled: body.enabled.unwrap_or(true),
        stage: body.stage.unwrap_or_default(),
        origin: SITE.to_owned(),
        author: caller.actor(),
        reason,
        changed: 0,
        since: 0,
        removed: false,
    };
    harmless(&rule).await?;
    put(&app, &caller.tenant, rule, "rule-added").await?;
    let shelf = Shelf::of(&app, &caller.tenant).await?;
    Ok((StatusCode::CREATED, Json(detail(shelf, id).await?)))
}

/// Change a rule's text, or switch a rule on and off or move it to another stage, one of a pack too.
#[utoipa::path(put, path = "/api/v1/sigma/rules/{id}", tag = "rules", params(("id" = String, Path)),
    request_body = RuleUpdate,
    responses((status = 200, body = RuleDetail), (status = "default", description = "problem", body = Problem)))]
pub async fn update(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Json(body): Json<RuleUpdate>,
) -> Result<Json<RuleDetail>, Problem> {
    let reason = words("reason", &body.reason)?;
    let shelf = Shelf::of(&app, &caller.tenant).await?;
    let stored = shelf.stored.iter().find(|rule| rule.id == id).cloned();
    let known = detail(Shelf::of(&app, &caller.tenant).await?, id.clone()).await;
    let current = match (stored, known) {
        (Some(stored), _) => stored,
        (None, Ok(found)) if found.rule.stored.is_none() && found.rule.origin != SITE => {
            SigmaRule {
                id: id.clone(),
                version: 0,
                text: String::new(),
                enabled: found.rule.enabled,
                stage: found.rule.stage,
                origin: found.rule.origin,
                author: String::new(),
                reason: String::new(),
                changed: 0,
                since: FROM_THE_BEGINNING,
                removed: false,
            }
        }
        (None, Ok(found)) => {
            let own = found.rule.stored.unwrap_or_default();
            let part = format!("rule `{id}` is part of the text that is stored as `{own}`");
            return Err(Problem::new(StatusCode::CONFLICT, "rule-part", part)
                .hint(format!("change `{own}`")));
        }
        (None, Err(problem)) => return Err(problem),
    };
    if let Some(text) = &body.text {
        if current.text.is_empty() {
            let of = format!("rule `{id}` came with pack `{}`", current.origin);
            return Err(Problem::new(StatusCode::CONFLICT, "rule-of-pack", of)
                .hint("switch it off, and add your own under another id"));
        }
        let named = accepted(shelf, text.clone(), Some(id.clone())).await?;
        if named != id {
            let other = format!("the text is of rule `{named}`, not `{id}`");
            return Err(Problem::bad_request("rule-id-changed", other)
                .hint("keep the id, or add it as a rule of its own"));
        }
    }
    let is_as_it_was = body.text.as_ref().is_none_or(|text| *text == current.text)
        && body.enabled.is_none_or(|enabled| enabled == current.enabled);
    let rule = SigmaRule {
        // A rule that only moves to another stage forgets nothing.
        since: if is_as_it_was { current.since } else { 0 },
        text: body.text.unwrap_or(current.text),
        enabled: body.enabled.unwrap_or(current.enabled),
        stage: body.stage.unwrap_or(current.stage),
        author: caller.actor(),
        reason,
        ..current
    };
    harmless(&rule).await?;
    put(&app, &caller.tenant, rule, "rule-changed").await?;
    let shelf = Shelf::of(&app, &caller.tenant).await?;
    Ok(Json(detail(shelf, id).await?))
}

/// Remove a rule of the site's own, or what was said of a pack's rule. Its findings stay.
#[utoipa::path(delete, path = "/api/v1/sigma/rules/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.tenant.clone();
    let of = id.clone();
    let found =
        app.meta.blocking(move |meta| meta.read(|read| read.sigma_rule(&tenant, &of))).await?;
    let found = found.ok_or_else(|| Problem::not_found("rule", &id))?;
    let rule = SigmaRule {
        text: String::new(),
        enabled: false,
        removed: true,
        author: caller.actor(),
        reason: "removed".to_owned(),
        ..found
    };
    put(&app, &caller.tenant, rule, "rule-removed").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A filter may hold for rules of other texts, and silences them at once: it has no stage.
async fn harmless(rule: &SigmaRule) -> Result<(), Problem> {
    if rule.stage == Stage::Enforce || rule.text.is_empty() {
        return Ok(());
    }
    let text = rule.text.clone();
    in_background(move || {
        let alone = RuleSet::load([(CHECKED, text.as_str())], &Options::default());
        if alone.filters == 0 {
            return Ok(());
        }
        let message = "a filter would hold for rules of other texts at once, whatever the stage";
        let fault = Diagnostic::new("filter-staged", CHECKED, message);
        Err(invalid(vec![fault.hint("make it an exception: `POST /api/v1/sigma/exceptions`")]))
    })
    .await?
}

/// Stores the next version with its leaf; it holds when this has answered.
async fn put(app: &App, tenant: &TenantId, rule: SigmaRule, code: &str) -> Result<(), Problem> {
    let (of, code) = (tenant.clone(), code.to_owned());
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                let rule = tx.put_sigma_rule(&of, &rule, now())?;
                tx.attest(&[deeds::of_rule(&of, &rule, &code)])
            })
        })
        .await?;
    app.ledgers.wake();
    app.pipeline.rules_changed(tenant.clone()).await
}
