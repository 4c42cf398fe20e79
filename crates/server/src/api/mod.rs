//! The API: routes, and what they share.

mod actions;
mod audit;
pub(crate) mod authzen;
mod connectors;
mod entities;
mod events;
mod export;
pub mod extract;
mod findings;
mod forward_auth;
pub(crate) mod gateway;
mod health;
mod incidents;
mod intake;
mod login;
mod metrics;
pub mod openapi;
mod policies;
mod second_factor;
mod sigma;
mod ssf;
mod tables;
mod tenants;
mod tokens;
mod trust;
mod trust_bench;
mod users;

use crate::app::App;
use crate::console;
use crate::identity::guard::guard;
use crate::problem::Problem;
use crate::rights::ROUTES;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A list answers at most this many records; ask for the next page with its `next`.
pub const PAGE_MAX: usize = 500;
pub const PAGE_DEFAULT: usize = 50;

/// Characters of a reason or comment a person writes.
pub const TEXT_CHARS_MAX: usize = 4_000;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A long poll may take this long beyond the ordinary request time.
const LONG_POLL_EXTRA: Duration = Duration::from_secs(30);

/// The whole API as one service.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/v1/login", post(login::login))
        .route("/api/v1/logout", post(login::logout))
        .route("/api/v1/password", post(login::password))
        .route("/api/v1/me", get(login::me))
        .route("/api/v1/login/passkey/options", post(second_factor::ask_to_sign_in))
        .route("/api/v1/login/passkey", post(second_factor::sign_in))
        .route("/api/v1/second-factor", get(second_factor::state))
        .route("/api/v1/second-factor/codes", post(second_factor::propose_codes))
        .route("/api/v1/second-factor/codes/confirm", post(second_factor::confirm_codes))
        .route("/api/v1/second-factor/passkeys/options", post(second_factor::ask_for_passkey))
        .route("/api/v1/second-factor/passkeys", post(second_factor::add_passkey))
        .route("/api/v1/second-factor/recovery-codes", post(second_factor::renew_recovery))
        .route("/api/v1/second-factor/remove", post(second_factor::remove))
        .route("/api/v1/health", get(health::details))
        .route("/api/v1/tenants", get(tenants::list).post(tenants::create))
        .route("/api/v1/tenant", patch(tenants::update))
        .route("/api/v1/users", get(users::list).post(users::create))
        .route("/api/v1/users/{id}", patch(users::update).delete(users::remove))
        .route("/api/v1/people", get(users::people))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/tokens/{id}", delete(tokens::revoke))
        .route("/api/v1/events", get(events::search))
        .route("/api/v1/events/{id}", get(events::one))
        .route("/api/v1/events/{id}/reveal", post(events::reveal))
        .route("/api/v1/query", post(events::query))
        .route("/api/v1/findings", get(findings::list_findings))
        .route("/api/v1/findings/{id}", get(findings::one))
        .route("/api/v1/incidents", get(incidents::list_incidents))
        .route("/api/v1/incidents/{id}", get(incidents::one).patch(incidents::update))
        .route("/api/v1/incidents/{id}/comments", post(incidents::comment))
        .route("/api/v1/incidents/{id}/export", post(export::export))
        .route("/api/v1/actions", get(actions::list_actions))
        .route("/api/v1/actions/{id}", get(actions::one))
        .route("/api/v1/actions/{id}/approve", post(actions::approve))
        .route("/api/v1/actions/{id}/reject", post(actions::reject))
        .route("/api/v1/actions/{id}/undo", post(actions::undo))
        .route("/api/v1/actions/{id}/reapply", post(actions::reapply))
        .route("/api/v1/actions/{id}/extend", post(actions::extend))
        .route("/api/v1/entities/{entity}", get(entities::one))
        .route("/api/v1/entities/{entity}/timeline", get(entities::timeline))
        .route("/api/v1/restrictions", get(entities::restrictions))
        .route("/api/v1/connectors", get(connectors::list_connectors))
        .route("/api/v1/connectors/{name}/test", post(connectors::test))
        .route("/api/v1/incidents/{id}/tell", post(connectors::tell))
        .route("/api/v1/policy", put(policies::replace).get(policies::current))
        .route("/api/v1/policy/check", post(policies::check))
        .route("/api/v1/policy/versions", get(policies::history))
        .route("/api/v1/policy/versions/{version}", get(policies::version))
        .route("/api/v1/sigma/rules", get(sigma::rules::list_rules).post(sigma::rules::create))
        .route("/api/v1/sigma/rules/check", post(sigma::rules::check))
        .route(
            "/api/v1/sigma/rules/{id}",
            get(sigma::rules::one).put(sigma::rules::update).delete(sigma::rules::remove),
        )
        .route("/api/v1/sigma/rules/{id}/replay", post(sigma::replay::replay))
        .route(
            "/api/v1/sigma/selection",
            get(sigma::reports::selection).put(sigma::reports::put_selection),
        )
        .route("/api/v1/sigma/packs", get(sigma::reports::packs))
        .route("/api/v1/sigma/coverage", get(sigma::reports::coverage))
        .route("/api/v1/sigma/noise", get(sigma::reports::noise))
        .route(
            "/api/v1/sigma/exceptions",
            get(sigma::exceptions::list_exceptions).post(sigma::exceptions::create),
        )
        .route("/api/v1/sigma/exceptions/{id}", delete(sigma::exceptions::remove))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/audit/checkpoint", get(audit::checkpoint))
        .route("/api/v1/audit/{index}/proof", get(audit::proof))
        .route("/api/v1/intake/events", post(intake::events))
        .route("/api/v1/intake/logs", post(intake::logs))
        .route("/api/v1/gateway/restrictions", get(gateway::restrictions))
        .route("/api/v1/gateway/applied", post(gateway::applied))
        .route("/api/v1/gateway/loss", post(gateway::loss))
        .route("/.well-known/authzen-configuration", get(authzen::configuration))
        .route("/access/v1/evaluation", post(authzen::evaluation))
        .route("/access/v1/evaluations", post(authzen::evaluations))
        .route("/access/v1/search/subject", post(authzen::subjects))
        .route("/access/v1/search/resource", post(authzen::resources))
        .route("/access/v1/search/action", post(authzen::actions))
        .route("/api/v1/trust/forward-auth", get(forward_auth::forward_auth))
        .route("/.well-known/ssf-configuration", get(ssf::configuration))
        .route("/api/v1/ssf/jwks.json", get(ssf::jwks))
        .route("/api/v1/ssf/events", post(ssf::push))
        .route("/api/v1/trust/what-if", post(trust_bench::what_if))
        .route("/api/v1/trust/policy/check", post(trust_bench::check))
        .route("/api/v1/trust/policy/compare", post(trust_bench::compare))
        .route("/api/v1/trust/policy", get(trust::policy).put(trust::put_policy))
        .route("/api/v1/trust/policy/versions", get(trust::policy_history))
        .route("/api/v1/trust/site", get(trust::site).put(trust::put_site))
        .route("/api/v1/trust/registers/{register}", get(trust::entries))
        .route(
            "/api/v1/trust/registers/{register}/{entry}",
            put(trust::put_entry).delete(trust::remove_entry),
        )
        .route("/api/v1/trust/decisions", get(trust::decisions))
        .route("/api/v1/trust/decisions/{id}", get(trust::decision))
        .route("/api/v1/trust/sessions/{id}", get(trust::session))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(app.clone(), guard))
        .layer(from_fn_with_state(app.clone(), rim))
        .with_state(app)
}

/// Around every request: how many at once, how long, and what every answer carries.
async fn rim(State(app): State<App>, request: Request, next: Next) -> Response {
    let secs = Duration::from_secs(app.config.limits.request_timeout_secs);
    // Told again in the answer, whatever it is (AuthZEN 1.0 §10.1.3).
    let request_id = request.headers().get(&REQUEST_ID).cloned();
    let finish = |app: &App, mut response: Response| {
        if let Some(id) = request_id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        finish(app, response)
    };
    let is_long_poll = request.uri().path() == "/api/v1/gateway/restrictions";
    // Long polls wait without working: they have a budget of their own, the connections.
    let _turn = if is_long_poll {
        None
    } else {
        match app.requests.clone().try_acquire_owned() {
            Ok(turn) => Some(turn),
            Err(_) => {
                app.counters.requests_shed.fetch_add(1, Ordering::Relaxed);
                let problem = Problem::unavailable("busy", "too many requests at once");
                return finish(&app, problem.into_response());
            }
        }
    };
    let limit = if is_long_poll { secs + LONG_POLL_EXTRA } else { secs };
    let response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            format!("the request was not done within {} s", limit.as_secs()),
        )
        .hint("ask for less at once, or send the body faster; a write may still come about, ask before you repeat it")
        .into_response(),
    };
    finish(&app, response)
}

fn finish(app: &App, mut response: Response) -> Response {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in ALWAYS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(counter) = app.counters.answers.get(class) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    response
}

/// No route of the API: the console's, or nobody's.
async fn no_route(request: Request) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    if let Some(answer) = console::answer(request.method(), path, headers) {
        return answer;
    }
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-route",
        format!("there is no `{}`", request.uri().path()),
    )
    .hint("`GET /api/openapi.json` lists every route")
    .into_response()
}

async fn no_method(request: Request) -> Response {
    let path = request.extensions().get::<axum::extract::MatchedPath>();
    let path = path.map_or_else(|| request.uri().path().to_owned(), |p| p.as_str().to_owned());
    let allowed: Vec<&str> =
        ROUTES.iter().filter(|route| route.path == path).map(|route| route.method).collect();
    let allowed = allowed.join(", ");
    let mut response = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("`{}` does not take {}", request.uri().path(), request.method()),
    )
    .hint(format!("it takes {allowed}"))
    .into_response();
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}
