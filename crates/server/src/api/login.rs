//! Login, logout, one's own password, and who one is.

use super::extract::Json;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::guard::{COOKIE, HOME, Peer};
use crate::identity::password;
use crate::identity::secrets::{csrf_of, new_id, session_id};
use crate::identity::{Caller, lockout};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::{Digest, Leaf, LeafKind, Secret, TenantId, Timestamp, sha256};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use store::meta::{Attempts, Meta, Role, Session, User};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub name: String,
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Membership {
    pub tenant: TenantId,
    #[schema(value_type = String)]
    pub role: Role,
}

/// Who is logged in, and what they may do here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub user: Uuid,
    pub name: String,
    /// The tenant this answer is about.
    pub tenant: TenantId,
    pub rights: Vec<&'static str>,
    pub tenants: Vec<Membership>,
    /// To be sent as `Plura-Csrf` with every write; absent for API tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
    pub must_change_password: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedIn {
    pub user: Uuid,
    /// To be sent as `Plura-Csrf` with every write.
    pub csrf: String,
    pub tenants: Vec<Membership>,
    pub must_change_password: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    #[schema(value_type = String, format = Password)]
    pub current: Secret,
    #[schema(value_type = String, format = Password)]
    pub new: Secret,
}

/// Characters of a login name.
pub const NAME_CHARS_MAX: usize = 128;

/// Log in with name and password; answers a session cookie.
#[utoipa::path(post, path = "/api/v1/login", tag = "identity", security(()), request_body = Login,
    responses((status = 200, body = LoggedIn), (status = "default", description = "problem", body = Problem)))]
pub async fn login(
    State(app): State<App>,
    Peer(peer): Peer,
    Json(login): Json<Login>,
) -> Result<Response, Problem> {
    let address = peer.ip().to_canonical();
    let name = login.name.clone();
    let (user, counts) = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| Ok((read.user_by_name(&name)?, counts(read, &name, address)?)))
        })
        .await?;
    let time = now();
    heard(&counts, time)?;
    let stored = user.as_ref().filter(|user| !user.disabled).and_then(|u| u.password_hash.clone());
    let is_long = login.password.reveal().chars().count() > password::PASSWORD_CHARS_MAX;
    let stored = stored.filter(|_| !is_long && login.name.chars().count() <= NAME_CHARS_MAX);
    let attempt = if is_long { Secret::default() } else { login.password };
    let is_right = app.passwords.is_right(attempt, stored).await?;
    let Some(user) = user.filter(|_| is_right) else {
        app.counters.logins_failed.fetch_add(1, Ordering::Relaxed);
        let known =
            app.meta.blocking(move |meta| meta.read(|r| r.user_by_name(&login.name))).await?;
        app.meta
            .blocking_problem(move |meta| note_failure(meta, known.as_ref(), &counts, time))
            .await?;
        app.ledgers.wake();
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "login-failed",
            "name and password do not belong together",
        )
        .hint("check both; a forgotten password is reset by an owner or admin"));
    };
    start_session(&app, user, address, time).await
}

/// What failures are counted against here: the account (at an address it knows, the two together)
/// and the address.
fn counts(
    read: &store::meta::Read<'_>,
    name: &str,
    address: IpAddr,
) -> store::meta::Result<[(String, Attempts); 2]> {
    let known = lockout::known(name, address);
    let by_account = match read.counted(&known)? {
        Some(attempts) => (known, attempts),
        None => {
            let account = lockout::account(name);
            let attempts = read.attempts(&account)?;
            (account, attempts)
        }
    };
    let address = lockout::address(address);
    let attempts = read.attempts(&address)?;
    Ok([by_account, (address, attempts)])
}

/// Refuses a try that comes too early.
fn heard(counts: &[(String, Attempts); 2], time: Timestamp) -> Result<(), Problem> {
    let wait = counts.iter().map(|(_, attempts)| lockout::wait_ms(*attempts, time)).max();
    match wait {
        None | Some(0) => Ok(()),
        Some(wait) => {
            let secs = u64::try_from((wait + 999) / 1000).unwrap_or(1);
            Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "login-locked",
                format!("too many failed logins: the next try is heard in {secs} s"),
            )
            .hint("wait; the right password works then")
            .retry_after(secs))
        }
    }
}

fn note_failure(
    meta: &Meta,
    known: Option<&User>,
    counts: &[(String, Attempts)],
    time: Timestamp,
) -> Result<(), Problem> {
    let leaves = match known {
        Some(user) => login_leaves(user, LeafKind::LoginFailed, "password-wrong", time),
        None => {
            let home: TenantId = HOME.parse().map_err(|cause| Problem::internal(&cause))?;
            let subject = new_id(time)?;
            let leaf = deeds::leaf(
                &home,
                LeafKind::LoginFailed,
                "system",
                subject,
                &"unknown-account",
                "account-unknown",
                time,
            );
            vec![leaf]
        }
    };
    meta.write(|tx| {
        for (key, attempts) in counts {
            tx.set_attempts(key, lockout::failed(key, *attempts, time))?;
        }
        tx.attest(&leaves)
    })?;
    Ok(())
}

/// One leaf in every tenant the person belongs to: each of them wants to know.
fn login_leaves(user: &User, kind: LeafKind, reason: &str, time: Timestamp) -> Vec<Leaf> {
    let actor = format!("user:{}", user.id);
    let tenants = user.roles.keys();
    tenants.map(|t| deeds::leaf(t, kind, &actor, user.id, &user.id, reason, time)).collect()
}

async fn start_session(
    app: &App,
    user: User,
    address: IpAddr,
    time: Timestamp,
) -> Result<Response, Problem> {
    let id = session_id()?;
    let absolute_ms = i64::from(app.config.sessions.absolute_hours) * 3_600_000;
    let session = Session {
        id_sha256: sha256(id.reveal().as_bytes()),
        user: user.id,
        created: time,
        last_seen: time,
        expires: time + absolute_ms,
        address,
    };
    let answer = LoggedIn {
        user: user.id,
        csrf: csrf_of(id.reveal()),
        tenants: memberships(user.roles.iter().map(|(tenant, role)| (tenant.clone(), *role))),
        must_change_password: user.must_change_password,
    };
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.clear_attempts(&lockout::account(&user.name))?;
                let known = Attempts { last: time, ..Attempts::default() };
                tx.set_attempts(&lockout::known(&user.name, address), known)?;
                tx.forget_known(time - lockout::KNOWN_MS)?;
                tx.create_session(&session)?;
                tx.attest(&login_leaves(&user, LeafKind::Login, "password", time))
            })
        })
        .await?;
    app.ledgers.wake();
    let cookie = format!(
        "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
        id.reveal(),
        absolute_ms / 1000
    );
    let mut response = Json(answer).into_response();
    let cookie = HeaderValue::from_str(&cookie).map_err(|cause| Problem::internal(&cause))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

fn memberships(roles: impl Iterator<Item = (TenantId, Role)>) -> Vec<Membership> {
    roles.map(|(tenant, role)| Membership { tenant, role }).collect()
}

/// End this session. A token has none to end.
#[utoipa::path(post, path = "/api/v1/logout", tag = "identity",
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn logout(State(app): State<App>, Caller(caller): Caller) -> Result<Response, Problem> {
    if let Some(session) = caller.session {
        app.meta.blocking(move |meta| meta.write(|tx| tx.end_session(&session))).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let gone = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    let gone = HeaderValue::from_str(&gone).map_err(|cause| Problem::internal(&cause))?;
    response.headers_mut().insert(header::SET_COOKIE, gone);
    Ok(response)
}

/// Choose a new password; every other session of this account ends.
#[utoipa::path(post, path = "/api/v1/password", tag = "identity", request_body = NewPassword,
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn password(
    State(app): State<App>,
    Peer(peer): Peer,
    Caller(caller): Caller,
    Json(body): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let Some(session) = caller.session else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "session-required",
            "a password is changed by the person, not by a token",
        )
        .hint("log in with `POST /api/v1/login` first"));
    };
    let (id, name, address) = (caller.user, caller.name, peer.ip().to_canonical());
    let (user, counts) = app
        .meta
        .blocking(move |meta| meta.read(|read| Ok((read.user(id)?, counts(read, &name, address)?))))
        .await?;
    let time = now();
    heard(&counts, time)?;
    let user = user.ok_or_else(|| Problem::not_found("user", id))?;
    if !app.passwords.is_right(body.current, user.password_hash.clone()).await? {
        app.meta
            .blocking_problem(move |meta| note_failure(meta, Some(&user), &counts, time))
            .await?;
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "password-wrong",
            "the current password is another one",
        )
        .hint("type the one you logged in with"));
    }
    password::check(&body.new, &user.name)?;
    let hash = app.passwords.hash(body.new).await?;
    change_password(&app, user, hash, session, time).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change_password(
    app: &App,
    user: User,
    hash: String,
    session: Digest,
    time: Timestamp,
) -> Result<(), Problem> {
    let leaves = login_leaves(&user, LeafKind::UserChange, "password-changed", time);
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.set_password(user.id, &hash, false, Some(&session))?;
                tx.attest(&leaves)
            })
        })
        .await?;
    app.ledgers.wake();
    Ok(())
}

/// Who is asking, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "identity",
    responses((status = 200, body = Me), (status = "default", description = "problem", body = Problem)))]
pub async fn me(Caller(caller): Caller) -> Json<Me> {
    Json(Me {
        user: caller.user,
        name: caller.name,
        tenant: caller.tenant,
        rights: caller.rights.names().map(crate::rights::Right::as_str).collect(),
        tenants: memberships(caller.tenants.into_iter()),
        csrf: caller.csrf,
        must_change_password: caller.must_change_password,
    })
}
