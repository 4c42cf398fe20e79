//! The guard in front of every route: who asks, in which tenant, and may they.

use crate::api::extract::discard;
use crate::app::{App, Blocking};
use crate::config::Sessions;
use crate::handle::now;
use crate::identity::secrets::{csrf_of, is_same, parse_token};
use crate::problem::Problem;
use crate::rights::{self, Access, Right, Rights, Scope};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schema::{Actor, Digest, TenantId, Timestamp, sha256};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::meta::{Meta, Role, Session, Token, User};
use uuid::Uuid;

/// The tenant of the installation's first owner: rights over the installation count here only.
pub const HOME: &str = "default";

/// `__Host-`: the browser keeps it to this host, over TLS, for every path (RFC 6265bis §4.1.3.2).
pub const COOKIE: &str = "__Host-plura";

/// The header a page sends with every write; another site cannot set it.
pub const CSRF_HEADER: &str = "plura-csrf";

pub const TENANT_HEADER: &str = "plura-tenant";

/// The last use of a session or token is written down at most this often: a write is an fsync.
const TOUCH_EVERY_MS: i64 = 60_000;

/// Routes open to somebody who still has to choose a password.
const BEFORE_PASSWORD: [&str; 3] = ["/api/v1/me", "/api/v1/password", "/api/v1/logout"];

/// Routes below this are open, beside those, to somebody who still has to add a second factor.
const SECOND_FACTOR: &str = "/api/v1/second-factor";

/// Routes whose writes change who may do what.
const IDENTITY: [&str; 3] = ["/api/v1/tokens", "/api/v1/users", "/api/v1/tenant"];

/// How long a token that was just looked up is taken for what it was. An enforcement point asks
/// thousands of times a second with the same one; whatever people change about tokens and users
/// here makes all of them be looked up again at once.
const KNOWN_MS: i64 = 1_000;

/// Tokens remembered; more than an installation has enforcement points.
const KNOWN_MAX: usize = 1_024;

/// Tokens that were looked up within the last second.
#[derive(Clone, Default)]
pub struct KnownTokens(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Grows when everything is forgotten: what was looked up before is not kept after.
    generation: u64,
    tokens: HashMap<String, (Digest, Arc<Principal>, Timestamp)>,
}

impl KnownTokens {
    /// Something about tokens, users or roles changed.
    pub fn forget(&self) {
        let mut known = self.lock();
        known.generation += 1;
        known.tokens.clear();
    }

    fn generation(&self) -> u64 {
        self.lock().generation
    }

    fn find(
        &self,
        prefix: &str,
        digest: &Digest,
        asked: Option<&TenantId>,
        now: Timestamp,
    ) -> Option<Arc<Principal>> {
        let known = self.lock();
        let (of, principal, looked_up) = known.tokens.get(prefix)?;
        let is_fresh = (0..KNOWN_MS).contains(&(now - looked_up));
        let is_asked = asked.is_none_or(|asked| *asked == principal.tenant);
        (is_fresh && is_asked && is_same(&of.0, &digest.0)).then(|| Arc::clone(principal))
    }

    fn keep(
        &self,
        prefix: String,
        digest: Digest,
        principal: &Arc<Principal>,
        now: Timestamp,
        generation: u64,
    ) {
        let mut known = self.lock();
        if known.generation != generation {
            return;
        }
        if known.tokens.len() >= KNOWN_MAX {
            known.tokens.clear();
        }
        known.tokens.insert(prefix, (digest, Arc::clone(principal), now));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Who asks, and where.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The person; for a token, the one who made it.
    pub user: Uuid,
    pub name: String,
    pub tenant: TenantId,
    /// The role in that tenant; none for a token that outlived its maker's.
    pub role: Option<Role>,
    pub rights: Rights,
    /// Present when a person is logged in; absent for an API token.
    pub session: Option<Digest>,
    pub token: Option<Uuid>,
    pub csrf: Option<String>,
    pub must_change_password: bool,
    pub must_add_second_factor: bool,
    /// Every tenant the person belongs to; for a token only its own.
    pub tenants: Vec<(TenantId, Role)>,
}

impl Principal {
    /// As history and ledger name them. A token acts for whoever made it, machines for themselves.
    pub fn actor(&self) -> Actor {
        match (self.token, self.role) {
            (Some(token), None) => format!("token:{token}"),
            _ => format!("user:{}", self.user),
        }
    }
}

/// The authenticated caller, as a handler's argument.
pub struct Caller(pub Principal);

/// The same without a copy, for what is asked thousands of times a second.
pub struct SharedCaller(pub Arc<Principal>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let SharedCaller(caller) = SharedCaller::of(parts)?;
        Ok(Caller(Principal::clone(&caller)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SharedCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        SharedCaller::of(parts)
    }
}

impl SharedCaller {
    fn of(parts: &Parts) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Arc<Principal>>().cloned();
        caller.map(SharedCaller).ok_or_else(unauthenticated)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Peer>()
            .copied()
            .ok_or_else(|| Problem::internal(&"a connection without an address"))
    }
}

/// Lets a request through or answers it.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let path = path.as_str();
    let Some(access) = rights::access(request.method().as_str(), path) else {
        // A known path with another method: the router answers 405. Nothing unlisted has a handler.
        return if rights::ROUTES.iter().any(|route| route.path == path) {
            next.run(request).await
        } else {
            Problem::new(StatusCode::FORBIDDEN, "route-closed", "this route is open to nobody")
                .into_response()
        };
    };
    // A body cannot be shared between threads, so the request itself stays out of what waits.
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    match admit(&app, &parts.headers, &parts.method, peer, access, path).await {
        Ok(None) => next.run(Request::from_parts(parts, body)).await,
        Ok(Some(principal)) => {
            let is_read = parts.method == Method::GET;
            parts.extensions.insert(principal);
            let response = next.run(Request::from_parts(parts, body)).await;
            if !is_read && IDENTITY.iter().any(|of| path.starts_with(of)) {
                app.known_tokens.forget();
            }
            response
        }
        Err(problem) => {
            Box::pin(discard(Request::from_parts(parts, body))).await;
            problem.into_response()
        }
    }
}

/// Who asks, if they may; `None` where anybody may.
pub(crate) async fn admit(
    app: &App,
    headers: &HeaderMap,
    method: &Method,
    peer: Option<Peer>,
    access: Access,
    path: &str,
) -> Result<Option<Arc<Principal>>, Problem> {
    let right = match access {
        Access::Anyone => return Ok(None),
        Access::Metrics => {
            let is_local = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
            if is_local && headers.get(header::AUTHORIZATION).is_none() {
                return Ok(None);
            }
            Some(Right::MetricsRead)
        }
        Access::SignedIn => None,
        Access::Needs(right) => Some(right),
    };
    let principal = authenticate(app, headers, method, right.is_some()).await?;
    if principal.must_change_password && !BEFORE_PASSWORD.contains(&path) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "password-change-required",
            "this password was for one use",
        )
        .hint("choose your own with `POST /api/v1/password`, then go on"));
    }
    let is_before_factor = BEFORE_PASSWORD.contains(&path) || path.starts_with(SECOND_FACTOR);
    if principal.must_add_second_factor && !is_before_factor {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "second-factor-required",
            "nobody works here with a password alone",
        )
        .hint("add one-time codes or a passkey below `/api/v1/second-factor`, then go on"));
    }
    if let Some(right) = right.filter(|right| !principal.rights.has(*right)) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("this needs the right `{}` in tenant `{}`", right.as_str(), principal.tenant),
        )
        .hint("ask an owner of the tenant for a role or token that has it"));
    }
    Ok(Some(principal))
}

async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    method: &Method,
    needs_tenant: bool,
) -> Result<Arc<Principal>, Problem> {
    let asked = asked_tenant(headers)?;
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().ok().and_then(|text| text.split_once(' '));
        let (prefix, digest) = text
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| parse_token(token.trim()))
            .ok_or_else(unauthenticated)?;
        let time = now();
        if let Some(known) = app.known_tokens.find(prefix, &digest, asked.as_ref(), time) {
            return Ok(known);
        }
        let (prefix, generation) = (prefix.to_owned(), app.known_tokens.generation());
        let name = prefix.clone();
        let principal = app
            .meta
            .blocking_problem(move |meta| by_token(meta, &prefix, &digest, asked, time))
            .await?;
        let principal = Arc::new(principal);
        app.known_tokens.keep(name, digest, &principal, time, generation);
        return Ok(principal);
    }
    let id = cookie(headers).ok_or_else(unauthenticated)?;
    let csrf = csrf_of(id);
    if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let sent = headers.get(CSRF_HEADER).map(|value| value.as_bytes()).unwrap_or_default();
        if !is_same(sent, csrf.as_bytes()) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "csrf-missing",
                "a write with a session cookie needs the header `Plura-Csrf`",
            )
            .hint("`POST /api/v1/login` and `GET /api/v1/me` give its value as `csrf`"));
        }
    }
    let digest = sha256(id.as_bytes());
    let sessions = app.config.sessions;
    app.meta
        .blocking_problem(move |meta| {
            by_session(meta, digest, csrf, sessions, asked, needs_tenant, now())
        })
        .await
        .map(Arc::new)
}

fn by_token(
    meta: &Meta,
    prefix: &str,
    digest: &Digest,
    asked: Option<TenantId>,
    now: Timestamp,
) -> Result<Principal, Problem> {
    let found = meta.read(|read| {
        let Some(token) = read.token_by_prefix(prefix)? else { return Ok(None) };
        let maker = read.user(token.created_by)?;
        Ok(Some((token, maker)))
    })?;
    let (token, maker) = found
        .filter(|(token, _)| is_same(&token.secret_sha256.0, &digest.0))
        .ok_or_else(unauthenticated)?;
    if token.revoked.is_some() || token.expires.is_some_and(|end| end <= now) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token-expired",
            format!("token `{}` is revoked or has expired", token.name),
        )
        .hint("make a new one with `POST /api/v1/tokens`"));
    }
    if asked.is_some_and(|asked| asked != token.tenant) {
        return Err(not_a_member());
    }
    if token.last_used.is_none_or(|last| now - last >= TOUCH_EVERY_MS) {
        meta.write(|tx| tx.touch_token(token.id, now))?;
    }
    let role = maker
        .filter(|maker| !maker.disabled)
        .and_then(|maker| maker.roles.get(&token.tenant).copied());
    let rights = token_rights(&token, role);
    let is_machine = scopes(&token).all(Scope::is_for_machines);
    Ok(Principal {
        user: token.created_by,
        name: token.name,
        tenants: role.map(|role| (token.tenant.clone(), role)).into_iter().collect(),
        tenant: token.tenant,
        role: role.filter(|_| !is_machine),
        rights,
        session: None,
        token: Some(token.id),
        csrf: None,
        must_change_password: false,
        must_add_second_factor: false,
    })
}

fn scopes(token: &Token) -> impl Iterator<Item = Scope> {
    token.scopes.iter().filter_map(|text| Scope::parse(text))
}

/// A machine's scopes as they are; the others as far as their maker's role reaches today.
fn token_rights(token: &Token, role: Option<Role>) -> Rights {
    let of_maker = role.map(Rights::of_role).unwrap_or_default();
    let rights = scopes(token).fold(Rights::default(), |all, scope| {
        let rights = scope.rights();
        all.or(if scope.is_for_machines() { rights } else { rights.and(of_maker) })
    });
    if token.tenant.as_str() == HOME { rights } else { rights.outside_home() }
}

fn by_session(
    meta: &Meta,
    digest: Digest,
    csrf: String,
    sessions: Sessions,
    asked: Option<TenantId>,
    needs_tenant: bool,
    now: Timestamp,
) -> Result<Principal, Problem> {
    let idle_ms = i64::from(sessions.idle_minutes) * 60_000;
    let found = meta.read(|read| {
        let Some(session) = read.session(&digest)? else { return Ok(None) };
        let user = read.user(session.user)?;
        let lacks = sessions.second_factor_required && !read.has_second_factor(session.user)?;
        Ok(user.map(|user| (session, user, lacks)))
    })?;
    let (session, user, must_add_second_factor) = found
        .filter(|(session, user, _)| !user.disabled && is_alive(session, idle_ms, now))
        .ok_or_else(unauthenticated)?;
    if now - session.last_seen >= TOUCH_EVERY_MS.min(idle_ms / 2) {
        meta.write(|tx| tx.touch_session(&digest, now))?;
    }
    let (tenant, role) = choose(&user, asked, needs_tenant)?;
    let rights = Rights::of_role(role);
    let rights = if tenant.as_str() == HOME { rights } else { rights.outside_home() };
    Ok(Principal {
        user: user.id,
        name: user.name,
        tenant,
        role: Some(role),
        rights,
        session: Some(digest),
        token: None,
        csrf: Some(csrf),
        must_change_password: user.must_change_password,
        must_add_second_factor,
        tenants: user.roles.into_iter().collect(),
    })
}

fn is_alive(session: &Session, idle_ms: i64, now: Timestamp) -> bool {
    now < session.expires && now - session.last_seen < idle_ms
}

/// The tenant asked for, or the only one there is.
fn choose(
    user: &User,
    asked: Option<TenantId>,
    needs_tenant: bool,
) -> Result<(TenantId, Role), Problem> {
    let mut roles = user.roles.iter().map(|(tenant, role)| (tenant.clone(), *role));
    match asked {
        Some(asked) => roles.find(|(tenant, _)| *tenant == asked).ok_or_else(not_a_member),
        None if user.roles.len() > 1 && needs_tenant => Err(Problem::bad_request(
            "tenant-required",
            "you belong to several tenants, and this is about one of them",
        )
        .hint("say which with the header `Plura-Tenant`; `GET /api/v1/me` lists yours")),
        None => roles.next().ok_or_else(not_a_member),
    }
}

fn asked_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, Problem> {
    let Some(value) = headers.get(TENANT_HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    text.parse().map(Some).map_err(|error: schema::InvalidTenant| {
        Problem::bad_request("tenant-invalid", error.to_string())
    })
}

/// The same for a tenant that exists and one that does not.
fn not_a_member() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "not-a-member",
        "this credential does not belong to that tenant",
    )
    .hint("`GET /api/v1/me` lists the tenants it belongs to")
}

fn unauthenticated() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "this needs a session or an API token that is valid now",
    )
    .hint("log in with `POST /api/v1/login`, or send `Authorization: Bearer plura_…`")
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}
