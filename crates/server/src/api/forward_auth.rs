//! nginx `auth_request` and Traefik ForwardAuth: the answer is a status and headers.
//!
//! Which headers tell of the request is the proxy's to say, in the address it asks at, where no
//! client can reach: a client may send any header it likes.

use super::extract::Params;
use crate::app::App;
use crate::identity::SharedCaller;
use crate::problem::Problem;
use crate::trust::front::Front;
use crate::trust::told;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForwardQuery {
    /// The site asked about; the request's host when absent.
    pub site: Option<String>,
    /// Whose headers tell of the request. Needed when both kinds are there.
    pub proxy: Option<ForwardProxy>,
    /// Obligations the proxy performs, with commas; an access that asks for another is refused.
    pub obligations: Option<String>,
    /// Answer 302 to the step-up page instead of 401, for proxies that pass it on (Traefik).
    pub redirect: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForwardProxy {
    /// `X-Original-URI` or `X-Original-URL`, `X-Original-Method`, `X-Real-IP`.
    Nginx,
    /// `X-Forwarded-Uri`, `X-Forwarded-Method`, `X-Forwarded-Host`, `X-Forwarded-For`.
    Traefik,
}

/// May the request that a proxy holds go on? 200, 401 (prove who you are) or 403, with headers.
#[utoipa::path(get, path = "/api/v1/trust/forward-auth", tag = "trust", params(ForwardQuery),
    responses((status = 200, description = "it may"), (status = 302, description = "to the step-up page"),
        (status = 401, description = "step-up required, or the proxy's own token is not valid"),
        (status = 403, description = "it may not"), (status = "default", description = "problem", body = Problem)))]
pub async fn forward_auth(
    State(app): State<App>,
    SharedCaller(caller): SharedCaller,
    headers: HeaderMap,
    Params(query): Params<ForwardQuery>,
) -> Result<Response, Problem> {
    // Several lines are one, and a byte nobody can read does not hide what stands beside it.
    let cookies: Vec<_> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let cookies = cookies.join("; ");
    let header = |name: &str| match name {
        "cookie" => Some(cookies.as_str()),
        _ => headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()),
    };
    let is_unreadable = |name: &str| headers.contains_key(name) && header(name).is_none();
    if ["x-original-uri", "x-original-url", "x-forwarded-uri"].into_iter().any(is_unreadable) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "path-ambiguous",
            "the path holds bytes that readers take differently",
        )
        .hint("encode them as UTF-8"));
    }
    let original = header("x-original-uri").or_else(|| header("x-original-url"));
    let forwarded = header("x-forwarded-uri");
    let proxy = match (query.proxy, original, forwarded) {
        (Some(proxy), _, _) => proxy,
        (None, Some(_), None) => ForwardProxy::Nginx,
        (None, None, Some(_)) => ForwardProxy::Traefik,
        (None, Some(_), Some(_)) => {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "headers-ambiguous",
                "the request is told of twice, and a client may have told one of them",
            )
            .hint("ask with `?proxy=nginx` or `?proxy=traefik`"));
        }
        (None, None, None) => return Err(untold()),
    };
    let (target, method, address) = match proxy {
        ForwardProxy::Nginx => (
            original,
            header("x-original-method"),
            header("x-real-ip").or_else(|| nearest(&headers)),
        ),
        ForwardProxy::Traefik => (forwarded, header("x-forwarded-method"), nearest(&headers)),
    };
    let target = target.ok_or_else(untold)?;
    let host = match proxy {
        ForwardProxy::Nginx => host_of(target).or_else(|| header("x-original-host")),
        ForwardProxy::Traefik => header("x-forwarded-host"),
    };
    let site = query.site.as_deref().or(host).ok_or_else(|| {
        Problem::bad_request("site-missing", "nothing says which site this is about")
            .hint("ask with `?site=<name>`")
    })?;
    let front = Front {
        site,
        method: method.ok_or_else(untold)?,
        target,
        address,
        principal: None,
        header,
    };
    let performs = query.obligations.as_deref().unwrap_or_default().split(',').map(str::trim);
    let performs = performs.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let told = told(&app, &caller, &front, performs).await?;
    let has_page = told.headers.iter().any(|(name, _)| name == "location");
    let is_redirect =
        told.status == StatusCode::UNAUTHORIZED && has_page && query.redirect == Some(true);
    let status = if is_redirect { StatusCode::FOUND } else { told.status };
    let mut response = (status, told.body).into_response();
    let out = response.headers_mut();
    if status != StatusCode::OK {
        let problem = HeaderValue::from_static("application/problem+json");
        out.insert(header::CONTENT_TYPE, problem);
    }
    for (name, value) in told.headers {
        let name = HeaderName::try_from(name).ok();
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            out.insert(name, value);
        }
    }
    Ok(response)
}

fn untold() -> Problem {
    Problem::bad_request("request-untold", "the proxy does not tell of the request it holds").hint(
        "nginx: `X-Original-URI` and `X-Original-Method`; Traefik sends `X-Forwarded-*` itself",
    )
}

/// The last of `X-Forwarded-For`: what the nearest proxy saw. What stands before it anybody may have sent.
fn nearest(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn host_of(target: &str) -> Option<&str> {
    let (_, rest) = target.split_once("://").filter(|_| !target.starts_with('/'))?;
    rest.split(['/', '?', '#']).next()
}
