//! OpenID AuthZEN Authorization API 1.0: may this subject do this with that, now?

use super::extract::read_body;
use crate::app::App;
use crate::handle::now;
use crate::identity::{Caller, SharedCaller};
use crate::problem::Problem;
use crate::trust::answer::Answer;
use crate::trust::wire::{
    self, Asked, AskedMany, AskedSearch, EVALUATIONS_MAX, Fault, Question, Semantic,
};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Results of one page of a search.
const PAGE_MAX: usize = 100;
/// What a search looks through at most; each is judged.
const CANDIDATES_MAX: usize = 1_000;

/// The answers to a batch, in the order of its questions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answers {
    pub evaluations: Vec<Answer>,
}

/// A page of a search: who may, what with, or what may be done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Found {
    #[schema(value_type = Vec<Object>)]
    pub results: Vec<Value>,
    pub page: FoundPage,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FoundPage {
    /// Empty at the end.
    pub next_token: String,
    pub count: usize,
}

/// A body as the certification profile wants it refused: anything that is not JSON is 400.
async fn read<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = media.eq_ignore_ascii_case("application/json");
    let body = read_body(request, app.config.limits.body_bytes_max).await?;
    if !is_json {
        return Err(Problem::bad_request("content-type-invalid", "this takes `application/json`")
            .hint("set `Content-Type: application/json`"));
    }
    wire::parse(&body).map_err(|error| {
        Problem::bad_request("body-invalid", format!("the body is not what this takes: {error}"))
            .hint("OpenID AuthZEN 1.0 and docs/trust-api.md have the form of it")
    })
}

fn faulty(Fault { place, message }: Fault) -> Problem {
    Problem::bad_request("evaluation-invalid", message)
        .hint(format!("give `{place}` as it should be"))
}

/// Decide one access.
#[utoipa::path(post, path = "/access/v1/evaluation", tag = "trust", request_body = Asked,
    responses((status = 200, body = Answer), (status = "default", description = "problem", body = Problem)))]
pub async fn evaluation(
    State(app): State<App>,
    SharedCaller(caller): SharedCaller,
    request: Request,
) -> Result<Json<Answer>, Problem> {
    let asked: Asked = read(&app, request).await?;
    let question = asked.question().map_err(faulty)?;
    Ok(Json(app.desks.judge(&caller.tenant, question).await?))
}

/// Decide several, up to 500. Without `evaluations`, as a single one.
#[utoipa::path(post, path = "/access/v1/evaluations", tag = "trust", request_body = AskedMany,
    responses((status = 200, body = Answers), (status = "default", description = "problem", body = Problem)))]
pub async fn evaluations(
    State(app): State<App>,
    SharedCaller(caller): SharedCaller,
    request: Request,
) -> Result<Response, Problem> {
    let many: AskedMany = read(&app, request).await?;
    let (defaults, evaluations, semantic) = many.split();
    if evaluations.is_empty() {
        let question = defaults.question().map_err(faulty)?;
        return Ok(Json(app.desks.judge(&caller.tenant, question).await?).into_response());
    }
    if evaluations.len() > EVALUATIONS_MAX {
        return Err(Problem::bad_request(
            "too-many-evaluations",
            format!("the batch has {} questions and may have {EVALUATIONS_MAX}", evaluations.len()),
        )
        .hint("send it in smaller batches"));
    }
    let mut answers = Vec::with_capacity(evaluations.len());
    for asked in evaluations {
        let answer = match asked.or(&defaults).question() {
            Ok(question) => match app.desks.judge(&caller.tenant, question).await {
                Ok(answer) => answer,
                // What is wrong with one question is its own answer; what is wrong with us is everybody's.
                Err(problem) if problem.status < 500 => of_problem(&problem),
                Err(problem) => return Err(problem),
            },
            Err(fault) => Answer::failed(400, "evaluation-invalid", fault.message),
        };
        let is_last = semantic.ends_after(answer.decision);
        answers.push(answer);
        if is_last && semantic != Semantic::ExecuteAll {
            break;
        }
    }
    Ok(Json(Answers { evaluations: answers }).into_response())
}

fn of_problem(problem: &Problem) -> Answer {
    let said: Vec<String> =
        problem.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect();
    let message = if said.is_empty() { problem.detail.clone() } else { said.join("; ") };
    Answer::failed(problem.status, problem.code, message)
}

/// Where everything is.
#[utoipa::path(get, path = "/.well-known/authzen-configuration", tag = "trust", security(()),
    responses((status = 200, body = Object)))]
pub async fn configuration(State(app): State<App>, request: Request) -> Json<Value> {
    let base = base_url(&app, &request);
    Json(json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
        "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
        "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
        "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
        "search_action_endpoint": format!("{base}/access/v1/search/action"),
    }))
}

/// The address the client reaches us at, as configured or as it says itself.
pub fn base_url(app: &App, request: &Request) -> String {
    if let Some(url) = &app.config.trust.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let is_host = |text: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        !text.is_empty() && text.len() <= 255 && text.chars().all(fits)
    };
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or(host).filter(is_host).map(str::to_owned);
    format!("https://{}", host.unwrap_or_else(|| app.config.listen.to_string()))
}

/// Who may? Among the accounts the site's grants name.
#[utoipa::path(post, path = "/access/v1/search/subject", tag = "trust", request_body = AskedSearch,
    responses((status = 200, body = Found), (status = "default", description = "problem", body = Problem)))]
pub async fn subjects(
    State(app): State<App>,
    Caller(caller): Caller,
    request: Request,
) -> Result<Json<Found>, Problem> {
    let search: AskedSearch = read(&app, request).await?;
    let subject = search.subject.clone().unwrap_or_default();
    let kind = wire::text("subject.type", subject.kind.clone()).map_err(faulty)?;
    let desk = app.desks.desk(&caller.tenant).await?;
    let candidates = desk.with(|evidence| evidence.accounts(&kind, CANDIDATES_MAX));
    let asked = Asked {
        subject: None,
        action: search.action,
        resource: search.resource,
        context: search.context,
    };
    let probe = |id: &str| {
        let mut asked = asked.clone();
        let part = wire::Part { id: Some(id.to_owned()), ..subject.clone() };
        asked.subject = Some(part);
        asked.question()
    };
    // What is missing is told even when nobody is a candidate.
    probe("-").map_err(faulty)?;
    found(&app, &caller.tenant, search.page.as_ref(), candidates, |id| {
        Some((probe(id).ok()?, json!({ "type": kind, "id": id })))
    })
    .await
}

/// With what? Among the resources the site's grants name one by one.
#[utoipa::path(post, path = "/access/v1/search/resource", tag = "trust", request_body = AskedSearch,
    responses((status = 200, body = Found), (status = "default", description = "problem", body = Problem)))]
pub async fn resources(
    State(app): State<App>,
    Caller(caller): Caller,
    request: Request,
) -> Result<Json<Found>, Problem> {
    let search: AskedSearch = read(&app, request).await?;
    let resource = search.resource.clone().unwrap_or_default();
    let kind = wire::text("resource.type", resource.kind.clone()).map_err(faulty)?;
    let desk = app.desks.desk(&caller.tenant).await?;
    let candidates = desk.with(|evidence| evidence.resources(&kind, CANDIDATES_MAX));
    let asked = Asked {
        resource: None,
        action: search.action,
        subject: search.subject,
        context: search.context,
    };
    let probe = |id: &str| {
        let mut asked = asked.clone();
        asked.resource = Some(wire::Part { id: Some(id.to_owned()), ..resource.clone() });
        asked.question()
    };
    probe("-").map_err(faulty)?;
    found(&app, &caller.tenant, search.page.as_ref(), candidates, |id| {
        Some((probe(id).ok()?, json!({ "type": kind, "id": id })))
    })
    .await
}

/// What may be done? Among the actions the site's grants name one by one.
#[utoipa::path(post, path = "/access/v1/search/action", tag = "trust", request_body = AskedSearch,
    responses((status = 200, body = Found), (status = "default", description = "problem", body = Problem)))]
pub async fn actions(
    State(app): State<App>,
    Caller(caller): Caller,
    request: Request,
) -> Result<Json<Found>, Problem> {
    let search: AskedSearch = read(&app, request).await?;
    let desk = app.desks.desk(&caller.tenant).await?;
    let candidates = desk.with(|evidence| evidence.actions(CANDIDATES_MAX));
    let asked = Asked {
        action: None,
        resource: search.resource,
        subject: search.subject,
        context: search.context,
    };
    let probe = |name: &str| {
        let mut asked = asked.clone();
        asked.action =
            Some(wire::ActionPart { name: Some(name.to_owned()), properties: Map::new() });
        asked.question()
    };
    probe("-").map_err(faulty)?;
    found(&app, &caller.tenant, search.page.as_ref(), candidates, |name| {
        Some((probe(name).ok()?, json!({ "name": name })))
    })
    .await
}

/// Judges the candidates behind the token, in order, until the page is full.
async fn found(
    app: &App,
    tenant: &schema::TenantId,
    page: Option<&wire::PageAsked>,
    candidates: Vec<String>,
    question: impl Fn(&str) -> Option<(Question, Value)>,
) -> Result<Json<Found>, Problem> {
    let limit = page.and_then(|page| page.limit).unwrap_or(PAGE_MAX as u32);
    let limit = usize::try_from(limit).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let token = page.and_then(|page| page.token.as_deref()).filter(|token| !token.is_empty());
    let after = token
        .map(|token| {
            let plain = BASE64URL_NOPAD.decode(token.as_bytes()).ok();
            plain.and_then(|plain| String::from_utf8(plain).ok()).ok_or_else(|| {
                Problem::bad_request("token-invalid", "`page.token` is not a `next_token` of ours")
                    .hint("leave it out for the first page")
            })
        })
        .transpose()?;
    let desk = app.desks.desk(tenant).await?;
    let (mut results, mut next_token) = (Vec::new(), String::new());
    let mut last = None;
    let left = candidates.iter().filter(|id| after.as_ref().is_none_or(|after| *id > after));
    for id in left {
        let Some((question, result)) = question(id) else { continue };
        if !desk.would(&question, now())? {
            continue;
        }
        if results.len() == limit {
            next_token = last
                .map_or_else(String::new, |last: &String| BASE64URL_NOPAD.encode(last.as_bytes()));
            break;
        }
        results.push(result);
        last = Some(id);
    }
    let count = results.len();
    Ok(Json(Found { results, page: FoundPage { next_token, count } }))
}
