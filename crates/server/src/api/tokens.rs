//! API tokens: for gateways, sensors, scripts.

use super::extract::{Json, Path, words};
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::identity::secrets::{api_token, new_id};
use crate::problem::Problem;
use crate::rights::Scope;
use axum::extract::State;
use axum::http::StatusCode;
use schema::{LeafKind, Timestamp};
use serde::{Deserialize, Serialize};
use store::meta::Token;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    pub id: Uuid,
    pub name: String,
    /// The public part of the token's text: `plura_<prefix>_…`.
    pub prefix: String,
    pub scopes: Vec<String>,
    pub created_by: Uuid,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    /// Any of `intake`, `gateway`, `query`, `act`, `audit`, `reveal`, `metrics`, `admin`, `decide`, `signals`.
    pub scopes: Vec<String>,
    /// Days until it expires. Only `intake`, `gateway`, `decide` and `signals` tokens may do without.
    #[serde(default)]
    pub expires_days: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TokenMade {
    /// The token itself. It is shown only here.
    pub token: String,
    pub view: TokenView,
}

/// A token a person's work depends on is renewed at least this often.
const EXPIRES_DAYS_MAX: u32 = 365;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn view(token: Token) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        prefix: token.prefix,
        scopes: token.scopes,
        created_by: token.created_by,
        created: token.created,
        expires: token.expires,
        last_used: token.last_used,
        revoked: token.revoked,
    }
}

/// The tenant's tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "identity",
    responses((status = 200, body = [TokenView]), (status = "default", description = "problem", body = Problem)))]
pub async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<TokenView>>, Problem> {
    let tenant = caller.tenant;
    let tokens = app.meta.blocking(move |meta| meta.read(|read| read.tokens(&tenant))).await?;
    Ok(Json(tokens.into_iter().map(view).collect()))
}

/// Make a token. Its scopes may not reach further than the caller's own rights.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "identity", request_body = NewToken,
    responses((status = 201, body = TokenMade), (status = "default", description = "problem", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let name = words("name", &body.name)?;
    let mut scopes = Vec::new();
    for text in &body.scopes {
        let scope = Scope::parse(text).ok_or_else(|| {
            Problem::bad_request("scope-unknown", format!("`{text}` is not a scope")).hint(
                "use intake, gateway, query, act, audit, reveal, metrics, admin, decide or signals",
            )
        })?;
        if !scope.is_for_machines() && !caller.rights.covers(scope.rights()) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "scope-too-wide",
                format!("scope `{text}` reaches further than your own rights"),
            )
            .hint("`GET /api/v1/me` lists your rights"));
        }
        scopes.push(scope);
    }
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::bad_request("scope-missing", "a token needs at least one scope"));
    }
    let is_machine = scopes.iter().all(|scope| scope.is_for_machines());
    let is_allowed = match body.expires_days {
        Some(days) => (1..=EXPIRES_DAYS_MAX).contains(&days),
        None => is_machine,
    };
    if !is_allowed {
        return Err(Problem::bad_request(
            "expiry-invalid",
            format!("`expires_days` should be 1 to {EXPIRES_DAYS_MAX}"),
        )
        .hint("only tokens with no scope but `intake` and `gateway` may be without end"));
    }
    let time = now();
    let (secret, prefix, secret_sha256) = api_token()?;
    let token = Token {
        id: new_id(time)?,
        tenant: caller.tenant.clone(),
        prefix,
        secret_sha256,
        name,
        scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        created_by: caller.user,
        created: time,
        expires: body.expires_days.map(|days| time + i64::from(days) * DAY_MS),
        last_used: None,
        revoked: None,
    };
    let what = (token.id, &token.scopes, token.expires);
    let leaf = deeds::leaf(
        &caller.tenant,
        LeafKind::TokenChange,
        &caller.actor(),
        token.id,
        &what,
        "token-created",
        time,
    );
    let made = token.clone();
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.create_token(&token)?;
                tx.attest(&[leaf])
            })
        })
        .await?;
    app.ledgers.wake();
    let made = TokenMade { token: secret.reveal().to_owned(), view: view(made) };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revoke a token for good. Again changes nothing.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "identity", params(("id" = Uuid, Path)),
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn revoke(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let time = now();
    let leaf = deeds::leaf(
        &caller.tenant,
        LeafKind::TokenChange,
        &caller.actor(),
        id,
        &id,
        "token-revoked",
        time,
    );
    let tenant = caller.tenant;
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                if tx.revoke_token(&tenant, id, time)? {
                    tx.attest(&[leaf])?;
                }
                Ok(())
            })
        })
        .await?;
    app.ledgers.wake();
    Ok(StatusCode::NO_CONTENT)
}
