//! A workbench for trust: what would be said of an access, of cases, and of decisions that were made.
//! Nothing comes of it.

use super::extract::{Json, read_time};
use super::trust::read_record;
use crate::app::{App, Blocking, in_background};
use crate::identity::Caller;
use crate::problem::Problem;
use crate::trust::{PROFILE_DEFAULT, parse_policy};
use ::trust::compare::{Comparison, Judged, Profiled};
use ::trust::{
    Decision, Demands, Language, Policy, Reading, Readings, SignalKind, exam, soundness,
};
use axum::extract::State;
use schema::{Diagnostic, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use store::meta::{Cursor, TrustDecisionFilter, TrustText};
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;

/// Questions at the workbench at once: each may take a core for a while.
static TURNS: Semaphore = Semaphore::const_new(2);

async fn turn() -> Result<SemaphorePermit<'static>, Problem> {
    TURNS.acquire().await.map_err(|cause| Problem::internal(&cause))
}

/// Random states in which a policy's soundness is tried; `plura trust check` tries ten times as many.
const STATES: u32 = 2_000;
/// Decisions judged again.
const COMPARED_MAX: usize = 5_000;
/// Decisions asked of the database at a time.
const PAGE: usize = 500;
/// Differences told one by one; the rest is counted.
const CHANGES_MAX: usize = 200;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatIf {
    /// YAML; absent: the policy in force.
    #[serde(default)]
    pub policy: Option<String>,
    /// Absent: the profile in force.
    #[serde(default)]
    pub profile: Option<String>,
    /// What is known, by signal.
    #[schema(value_type = Object)]
    pub signals: BTreeMap<String, ::trust::Value>,
    /// Those among them that fell silent after they said this.
    #[serde(default)]
    pub silent: Vec<String>,
    /// What the resource asks for.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub demands: Demands,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WhatIfAnswer {
    #[schema(value_type = Object)]
    pub decision: Decision,
    /// Its reasons as sentences, by language.
    pub sentences: BTreeMap<&'static str, Vec<String>>,
    /// The words of every code in it, by language.
    pub words: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// What each signal of the policy may say.
    #[schema(value_type = Object)]
    pub signals: Value,
    pub profiles: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustCheck {
    /// YAML.
    pub policy: String,
    /// Cases in the form of `plura trust exam`: scores, decisions and obligations that are expected.
    #[serde(default)]
    pub cases: Option<String>,
    /// Absent: what fits each case.
    #[serde(default)]
    pub profile: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrustChecked {
    pub hash: String,
    pub profiles: Vec<String>,
    /// What every policy has to keep to, and this one does not.
    pub unsound: Vec<Diagnostic>,
    /// How the cases ended, when there were some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub exam: Option<exam::Exam>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustCompare {
    /// YAML: compared with the policy in force.
    pub policy: String,
    /// Judge by this profile instead of that of each decision.
    #[serde(default)]
    pub profile: Option<String>,
    /// From this time on (RFC 3339 or milliseconds).
    #[serde(default)]
    pub since: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrustCompared {
    /// Judged, other scores, other decisions, which could not be read, and the differences (200 at most).
    #[schema(value_type = Object)]
    pub comparison: Comparison,
    /// There were more than 5,000 decisions: the newest were judged.
    pub truncated: bool,
}

/// The policy in force and its profile.
async fn in_force(app: &App, tenant: &TenantId) -> Result<(String, String), Problem> {
    let of = tenant.clone();
    let ask =
        move |meta: &store::meta::Meta| meta.read(|read| read.trust_text(&of, TrustText::Policy));
    let stored = app.meta.blocking(ask).await?;
    Ok(stored.map_or_else(
        || (String::new(), PROFILE_DEFAULT.to_owned()),
        |stored| (stored.text, stored.profile),
    ))
}

/// Judge an access that never was. Nothing is kept of it.
#[utoipa::path(post, path = "/api/v1/trust/what-if", tag = "trust", request_body = WhatIf,
    responses((status = 200, body = WhatIfAnswer), (status = "default", description = "problem", body = Problem)))]
pub async fn what_if(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<WhatIf>,
) -> Result<Json<WhatIfAnswer>, Problem> {
    let (text, profile) = in_force(&app, &caller.tenant).await?;
    let text = body.policy.unwrap_or(text);
    let profile = body.profile.unwrap_or(profile);
    let turn = turn().await?;
    in_background(move || {
        let _turn = turn;
        let rules = parse_policy(&text, &profile)?;
        let silent: HashSet<String> = body.silent.into_iter().collect();
        let reading = |(name, value): (String, ::trust::Value)| {
            let is_silent = silent.contains(&name);
            (name, Reading { value, is_silent })
        };
        let readings: Readings = body.signals.into_iter().map(reading).collect();
        let state = rules.policy.state(&readings).map_err(|faults| {
            Problem::bad_request("signals-invalid", "the signals are not what the policy knows")
                .hint("`signals` of the answer to an empty question has their names and values")
                .diagnostics(faults)
        })?;
        let decision = ::trust::decide(&rules.policy, rules.profile, &state, &body.demands);
        Ok(Json(told(&rules.policy, decision)))
    })
    .await?
}

fn told(policy: &Policy, decision: Decision) -> WhatIfAnswer {
    let codes = decision
        .contributions
        .iter()
        .map(|part| &part.code)
        .chain(&decision.decisions)
        .chain(&decision.obligations)
        .collect::<Vec<_>>();
    let words = |language| {
        let word = |code: &&std::sync::Arc<str>| {
            policy.text(code, language).map(|text| (code.to_string(), text.to_owned()))
        };
        codes.iter().filter_map(word).collect()
    };
    let kinds: BTreeMap<&str, SignalKind<'_>> = policy.signal_kinds().collect();
    WhatIfAnswer {
        sentences: Language::ALL.map(|(name, of)| (name, policy.sentences(&decision, of))).into(),
        words: Language::ALL.map(|(name, of)| (name, words(of))).into(),
        signals: json!(kinds),
        profiles: policy.profiles().into_iter().map(str::to_owned).collect(),
        decision,
    }
}

/// Check a policy's text, its soundness, and cases if there are some, without using it.
#[utoipa::path(post, path = "/api/v1/trust/policy/check", tag = "trust", request_body = TrustCheck,
    responses((status = 200, body = TrustChecked), (status = "default", description = "problem", body = Problem)))]
pub async fn check(
    Caller(_): Caller,
    Json(body): Json<TrustCheck>,
) -> Result<Json<TrustChecked>, Problem> {
    let turn = turn().await?;
    in_background(move || {
        let _turn = turn;
        let profile = body.profile.as_deref();
        let rules = parse_policy(&body.policy, profile.unwrap_or(PROFILE_DEFAULT))?;
        let cases = body.cases.as_deref().map(|text| exam::parse_cases("cases.yaml", text));
        let cases = cases.transpose().map_err(|fault| {
            Problem::bad_request("cases-invalid", "the cases cannot be read")
                .diagnostics(vec![fault])
        })?;
        let policy = &rules.policy;
        Ok(Json(TrustChecked {
            hash: policy.hash().to_owned(),
            profiles: policy.profiles().into_iter().map(str::to_owned).collect(),
            unsound: soundness::check(policy, "trust-policy.yaml", STATES, 1),
            exam: cases.map(|cases| exam::sit(policy, &cases, profile.map(|_| rules.profile))),
        }))
    })
    .await?
}

/// Judge decisions that were kept by another policy, beside the one in force: who would be treated differently?
#[utoipa::path(post, path = "/api/v1/trust/policy/compare", tag = "trust", request_body = TrustCompare,
    responses((status = 200, body = TrustCompared), (status = "default", description = "problem", body = Problem)))]
pub async fn compare(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<TrustCompare>,
) -> Result<Json<TrustCompared>, Problem> {
    let (text, profile) = in_force(&app, &caller.tenant).await?;
    let since = read_time("since", body.since.as_deref())?;
    let meta = app.meta.clone();
    let turn = turn().await?;
    in_background(move || {
        let _turn = turn;
        let old = parse_policy(&text, &profile)?;
        let new = parse_policy(&body.policy, body.profile.as_deref().unwrap_or(&profile))?;
        let (mut comparison, mut seen, mut after) = (Comparison::default(), 0, None);
        let truncated = loop {
            let filter =
                TrustDecisionFilter { since, after, limit: PAGE, ..TrustDecisionFilter::default() };
            let found = meta.read(|read| read.trust_decisions(&caller.tenant, &filter))?;
            for stored in &found {
                after = Some(Cursor { time: stored.time, id: stored.id });
                let record = match read_record(stored) {
                    Ok(record) => record,
                    Err(problem) => {
                        let place = format!("decision {}", stored.id);
                        let why = Diagnostic::new(problem.code, place, problem.detail);
                        comparison.unreadable.push(why);
                        continue;
                    }
                };
                let access = Judged {
                    id: record.id.to_string(),
                    session: record.session,
                    readings: record.readings,
                    demands: record.demands,
                    decision: Some(Profiled { profile: record.decision.profile.to_string() }),
                };
                comparison.add(&old.policy, &new.policy, &access, body.profile.as_deref());
                comparison.changes.truncate(CHANGES_MAX);
                comparison.unreadable.truncate(CHANGES_MAX);
            }
            seen += found.len();
            if found.len() < PAGE {
                break false;
            }
            if seen >= COMPARED_MAX {
                break true;
            }
        };
        Ok(Json(TrustCompared { comparison, truncated }))
    })
    .await?
}
