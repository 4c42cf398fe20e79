//! The API's description, from the code that serves it.

use super::{
    actions, audit, authzen, connectors, entities, events, export, findings, forward_auth, gateway,
    health, incidents, intake, login, metrics, policies, second_factor, sigma, ssf, tenants,
    tokens, trust, trust_bench, users,
};
use crate::identity::guard::COOKIE;
use crate::problem::Problem;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::sync::OnceLock;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Plura API",
        description = "Errors are problem+json (RFC 9457) with a permanent `code` and a `hint`. Times are milliseconds since 1970 (UTC). The credential decides the tenant; a person with several chooses with `Plura-Tenant`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        health::healthz, health::readyz, health::details, metrics::metrics, document,
        login::login, login::logout, login::password, login::me,
        second_factor::ask_to_sign_in, second_factor::sign_in, second_factor::state, second_factor::propose_codes,
        second_factor::confirm_codes, second_factor::ask_for_passkey, second_factor::add_passkey,
        second_factor::renew_recovery, second_factor::remove,
        tenants::list, tenants::create, tenants::update,
        users::list, users::create, users::update, users::remove, users::people,
        tokens::list, tokens::create, tokens::revoke,
        events::search, events::one, events::reveal, events::query,
        findings::list_findings, findings::one,
        incidents::list_incidents, incidents::one, incidents::update, incidents::comment,
        export::export,
        actions::list_actions, actions::one, actions::approve, actions::reject, actions::undo, actions::reapply, actions::extend,
        entities::one, entities::timeline, entities::restrictions,
        connectors::list_connectors, connectors::test, connectors::tell,
        policies::current, policies::replace, policies::check, policies::history, policies::version,
        sigma::rules::list_rules, sigma::rules::create, sigma::rules::check, sigma::rules::one,
        sigma::rules::update, sigma::rules::remove, sigma::replay::replay,
        sigma::reports::selection, sigma::reports::put_selection, sigma::reports::packs, sigma::reports::coverage, sigma::reports::noise,
        sigma::exceptions::list_exceptions, sigma::exceptions::create, sigma::exceptions::remove,
        audit::list, audit::checkpoint, audit::proof,
        intake::events, intake::logs,
        gateway::restrictions, gateway::applied, gateway::loss,
        authzen::configuration, authzen::evaluation, authzen::evaluations,
        authzen::subjects, authzen::resources, authzen::actions, forward_auth::forward_auth, ssf::configuration, ssf::jwks, ssf::push,
        trust_bench::what_if, trust_bench::check, trust_bench::compare, trust::policy, trust::put_policy, trust::policy_history, trust::site, trust::put_site,
        trust::entries, trust::put_entry, trust::remove_entry,
        trust::decisions, trust::decision, trust::session,
    ),
    components(schemas(Problem, forward_auth::ForwardProxy)),
    modifiers(&Security, &Names)
)]
pub struct Api;

/// Session cookie or bearer token, unless a route says otherwise.
struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let cookie = ApiKey::Cookie(ApiKeyValue::new(COOKIE));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        api.security = Some(
            ["session", "token"]
                .map(|name| SecurityRequirement::new(name, Vec::<String>::new()))
                .to_vec(),
        );
    }
}

/// Each operation is named by its method and path: what is made from this file needs one name each.
struct Names;

impl Modify for Names {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut api.paths.paths {
            let operations = [
                ("get", &mut item.get),
                ("put", &mut item.put),
                ("post", &mut item.post),
                ("delete", &mut item.delete),
                ("patch", &mut item.patch),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
                    let words =
                        std::iter::once(method).chain(words.filter(|word| !word.is_empty()));
                    operation.operation_id = Some(words.collect::<Vec<_>>().join("-"));
                }
            }
        }
    }
}

fn text() -> Result<&'static str, Problem> {
    static TEXT: OnceLock<String> = OnceLock::new();
    if let Some(text) = TEXT.get() {
        return Ok(text);
    }
    let text = Api::openapi().to_json().map_err(|cause| Problem::internal(&cause))?;
    Ok(TEXT.get_or_init(|| text))
}

/// This description, as OpenAPI 3.1.
#[utoipa::path(get, path = "/api/openapi.json", tag = "health", security(()),
    responses((status = 200, body = Object, content_type = "application/json")))]
pub async fn document() -> Result<Response, Problem> {
    let mut response = text()?.into_response();
    let media = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}
