//! Login, logout, one's own password, and who one is.

use super::extract::Json;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::guard::{COOKIE, HOME, Peer};
use crate::identity::password;
use crate::identity::secrets::{csrf_of, new_id, session_id};
use crate::identity::{Caller, Principal, codes, lockout};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::{Digest, Leaf, LeafKind, Secret, TenantId, Timestamp, sha256};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use store::meta::{Attempts, Meta, Role, Session, Tx, User};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub name: String,
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// A one-time code of six digits or a recovery code, from who has a second factor.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret>,
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
    /// Nothing else is open until a second factor is added.
    pub must_add_second_factor: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedIn {
    pub user: Uuid,
    /// To be sent as `Plura-Csrf` with every write.
    pub csrf: String,
    pub tenants: Vec<Membership>,
    pub must_change_password: bool,
    /// Nothing else is open until a second factor is added.
    pub must_add_second_factor: bool,
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

/// Characters of a typed code, with what people put between them.
const CODE_CHARS_MAX: usize = 64;

/// What failures are counted against, with their counts.
pub(super) type Counts = Vec<(String, Attempts)>;

/// How somebody proved who they are; taken in the transaction that makes the session.
pub(super) enum Proof {
    Password,
    /// The time step of a one-time code.
    Code(i64),
    Recovery(Digest),
    Passkey {
        id: String,
        challenge: String,
        expires: Timestamp,
        signatures: u32,
    },
}

impl Proof {
    fn reason(&self) -> &'static str {
        match self {
            Proof::Password => "password",
            Proof::Code(_) => "password-and-code",
            Proof::Recovery(_) => "password-and-recovery-code",
            Proof::Passkey { .. } => "passkey",
        }
    }

    /// What is said and written down when it is not taken.
    fn refusal(&self) -> (&'static str, Problem) {
        match self {
            Proof::Passkey { .. } => ("passkey-wrong", passkey_spent()),
            _ => ("code-wrong", code_wrong()),
        }
    }

    /// False when it was taken before, or is no longer good.
    fn take(&self, tx: &Tx<'_>, user: Uuid, time: Timestamp) -> store::meta::Result<bool> {
        match self {
            // A second factor may have been added since the password was read.
            Proof::Password => Ok(!tx.has_second_factor(user)?),
            Proof::Code(step) => tx.take_step(user, *step),
            Proof::Recovery(digest) => tx.take_recovery_code(user, digest),
            Proof::Passkey { id, challenge, expires, signatures } => Ok(*expires > time
                && tx.note_answered(challenge, *expires, time)?
                && tx.use_passkey(id, *signatures, time)?),
        }
    }
}

/// Log in with name and password, and a code where there is a second factor; answers a session cookie.
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
    still_heard(&app, &counts, time).await?;
    let Some(user) = user.filter(|_| is_right) else {
        let known =
            app.meta.blocking(move |meta| meta.read(|r| r.user_by_name(&login.name))).await?;
        refuse_login(&app, known, counts, "password-wrong", time).await?;
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "login-failed",
            "name and password do not belong together",
        )
        .hint("check both; a forgotten password is reset by an owner or admin"));
    };
    match second_factor(&app, &user, login.code, time).await? {
        Second::Proven(proof) => start_session(&app, user, address, time, counts, proof).await,
        Second::Needed { code, hint } => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            code,
            "the password is right, and this account has a second factor",
        )
        .hint(hint)),
        Second::Unreadable => Err(Problem::new(
            StatusCode::CONFLICT,
            "codes-unreadable",
            "the server cannot check one-time codes: its key is not the one they were kept under",
        )
        .hint("sign in with a recovery code or a passkey; whoever runs the server restores keys/identity.key")),
        Second::Wrong => {
            refuse_login(&app, Some(user), counts, "code-wrong", time).await?;
            Err(code_wrong())
        }
    }
}

fn code_wrong() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "code-wrong",
        "that is neither the code of now nor a recovery code, or it was used",
    )
    .hint("type the newest code, or a recovery code you did not use yet; an owner or admin can reset the second factor")
}

fn passkey_spent() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "passkey-refused",
        "the question was answered already or is too old, or a copy of this key is about",
    )
    .hint("try again; when it goes on, sign in in another way and register the passkey anew")
}

enum Second {
    Proven(Proof),
    Needed {
        code: &'static str,
        hint: &'static str,
    },
    Wrong,
    /// The server lost the key: no fault of whoever types.
    Unreadable,
}

/// What a right password still lacks.
async fn second_factor(
    app: &App,
    user: &User,
    code: Option<Secret>,
    time: Timestamp,
) -> Result<Second, Problem> {
    let id = user.id;
    let (codes, is_there) = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| Ok((read.one_time_codes(id)?, read.has_second_factor(id)?)))
        })
        .await?;
    if !is_there {
        return Ok(Second::Proven(Proof::Password));
    }
    let codes = codes.filter(|codes| codes.confirmed.is_some());
    let Some(code) = code.filter(|code| !code.reveal().trim().is_empty()) else {
        return Ok(if codes.is_some() {
            Second::Needed {
                code: "second-factor-needed",
                hint: "send the same with `code`: six digits of your app, or a recovery code",
            }
        } else {
            Second::Needed {
                code: "passkey-needed",
                hint: "sign in with your passkey, or send the same with a recovery code as `code`",
            }
        });
    };
    if code.reveal().chars().count() > CODE_CHARS_MAX {
        return Ok(Second::Wrong);
    }
    if let Some(codes) = codes {
        // A key that was lost must not make the recovery codes useless.
        match app.seal.unseal(id, &codes.sealed) {
            None => {
                tracing::error!(user = %id, "one-time codes do not open: keys/identity.key changed");
                if codes::is_code(code.reveal()) {
                    return Ok(Second::Unreadable);
                }
            }
            Some(secret) => {
                if let Some(step) = codes::step_of(&secret, code.reveal(), time) {
                    return Ok(Second::Proven(Proof::Code(step)));
                }
            }
        }
    }
    Ok(Second::Proven(Proof::Recovery(codes::recovery_digest(code.reveal()))))
}

/// Counts a failure and writes it down.
pub(super) async fn refuse_login(
    app: &App,
    known: Option<User>,
    counts: Counts,
    reason: &'static str,
    time: Timestamp,
) -> Result<(), Problem> {
    app.counters.logins_failed.fetch_add(1, Ordering::Relaxed);
    app.meta
        .blocking_problem(move |meta| note_failure(meta, known.as_ref(), &counts, reason, time))
        .await?;
    app.ledgers.wake();
    Ok(())
}

/// The count of an address alone, where no name is typed; refuses a try that comes too early.
pub(super) async fn heard_address(
    app: &App,
    address: IpAddr,
    time: Timestamp,
) -> Result<Counts, Problem> {
    let key = lockout::address(address);
    let attempts = {
        let key = key.clone();
        app.meta.blocking(move |meta| meta.read(|read| read.attempts(&key))).await?
    };
    let counts = vec![(key, attempts)];
    heard(&counts, time)?;
    Ok(counts)
}

/// What failures are counted against here: the account (at an address it knows, the two together)
/// and the address.
fn counts(
    read: &store::meta::Read<'_>,
    name: &str,
    address: IpAddr,
) -> store::meta::Result<Counts> {
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
    Ok(vec![by_account, (address, attempts)])
}

/// What failed while a password was checked counts too: right or wrong, a try that is late by then is
/// not answered, so that many at once tell no more than one after the other.
async fn still_heard(app: &App, counts: &Counts, time: Timestamp) -> Result<(), Problem> {
    let counts = counts.clone();
    let now = app.meta.blocking(move |meta| meta.read(|read| recount(read, &counts))).await?;
    heard(&now, time)
}

/// The same counts as they are now.
fn recount(read: &store::meta::Read<'_>, counts: &Counts) -> store::meta::Result<Counts> {
    counts.iter().map(|(key, _)| Ok((key.clone(), read.attempts(key)?))).collect()
}

/// The counts of somebody who is logged in, if they are heard now.
pub(super) async fn heard_person(
    app: &App,
    caller: &Principal,
    peer: SocketAddr,
    time: Timestamp,
) -> Result<Counts, Problem> {
    let (name, address) = (caller.name.clone(), peer.ip().to_canonical());
    let counts =
        app.meta.blocking(move |meta| meta.read(|read| counts(read, &name, address))).await?;
    heard(&counts, time)?;
    Ok(counts)
}

/// How long the next try has to wait.
fn wait_ms(counts: &[(String, Attempts)], time: Timestamp) -> i64 {
    counts.iter().map(|(_, attempts)| lockout::wait_ms(*attempts, time)).max().unwrap_or(0)
}

/// Refuses a try that comes too early.
fn heard(counts: &[(String, Attempts)], time: Timestamp) -> Result<(), Problem> {
    let wait = wait_ms(counts, time);
    if wait == 0 {
        return Ok(());
    }
    let secs = u64::try_from((wait + 999) / 1000).unwrap_or(1);
    Err(Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "login-locked",
        format!("too many failed logins: the next try is heard in {secs} s"),
    )
    .hint("wait; the right password works then")
    .retry_after(secs))
}

fn note_failure(
    meta: &Meta,
    known: Option<&User>,
    counts: &[(String, Attempts)],
    reason: &str,
    time: Timestamp,
) -> Result<(), Problem> {
    let leaves = match known {
        Some(user) => login_leaves(user, LeafKind::LoginFailed, reason, time),
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
        count_failure(tx, counts, time)?;
        tx.attest(&leaves)
    })?;
    Ok(())
}

/// One more failure, of what is counted now: of many tries at once, each counts.
fn count_failure(
    tx: &Tx<'_>,
    counts: &[(String, Attempts)],
    time: Timestamp,
) -> store::meta::Result<()> {
    for (key, _) in counts {
        let attempts = tx.attempts(key)?;
        tx.set_attempts(key, lockout::failed(key, attempts, time))?;
    }
    Ok(())
}

/// One leaf in every tenant the person belongs to: each of them wants to know.
pub(super) fn login_leaves(
    user: &User,
    kind: LeafKind,
    reason: &str,
    time: Timestamp,
) -> Vec<Leaf> {
    let actor = format!("user:{}", user.id);
    let tenants = user.roles.keys();
    tenants.map(|t| deeds::leaf(t, kind, &actor, user.id, &user.id, reason, time)).collect()
}

/// What became of a proof.
enum Taken {
    Yes,
    No,
    Locked(Counts),
}

/// Takes the proof and makes a session, in one transaction: no code makes two.
pub(super) async fn start_session(
    app: &App,
    user: User,
    address: IpAddr,
    time: Timestamp,
    counts: Counts,
    proof: Proof,
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
    let is_required = app.config.sessions.second_factor_required;
    let answer = LoggedIn {
        user: user.id,
        csrf: csrf_of(id.reveal()),
        tenants: memberships(user.roles.iter().map(|(tenant, role)| (tenant.clone(), *role))),
        must_change_password: user.must_change_password,
        must_add_second_factor: is_required && matches!(proof, Proof::Password),
    };
    let (reason, refusal) = proof.refusal();
    let taken = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                // What failed meanwhile counts too: of many tries at once, not one more gets through.
                let now = recount(tx, &counts)?;
                if wait_ms(&now, time) > 0 {
                    return Ok(Taken::Locked(now));
                }
                if !proof.take(tx, user.id, time)? {
                    count_failure(tx, &counts, time)?;
                    tx.attest(&login_leaves(&user, LeafKind::LoginFailed, reason, time))?;
                    return Ok(Taken::No);
                }
                tx.clear_attempts(&lockout::account(&user.name))?;
                let known = Attempts { last: time, ..Attempts::default() };
                tx.set_attempts(&lockout::known(&user.name, address), known)?;
                tx.forget_known(time - lockout::KNOWN_MS)?;
                tx.create_session(&session)?;
                tx.attest(&login_leaves(&user, LeafKind::Login, proof.reason(), time))?;
                Ok(Taken::Yes)
            })
        })
        .await?;
    match taken {
        Taken::Yes => {}
        Taken::No => {
            app.counters.logins_failed.fetch_add(1, Ordering::Relaxed);
            app.ledgers.wake();
            return Err(refusal);
        }
        Taken::Locked(counts) => heard(&counts, time)?,
    }
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
    let PersonNow { user, session, time } = own_password(&app, peer, &caller, body.current).await?;
    password::check(&body.new, &user.name)?;
    let hash = app.passwords.hash(body.new).await?;
    change_password(&app, user, hash, session, time).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A person who just said their password again.
pub(super) struct PersonNow {
    pub user: User,
    pub session: Digest,
    pub time: Timestamp,
}

/// Asks for the password again, before how one signs in changes.
pub(super) async fn own_password(
    app: &App,
    peer: SocketAddr,
    caller: &Principal,
    typed: Secret,
) -> Result<PersonNow, Problem> {
    let Some(session) = caller.session else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "session-required",
            "how somebody signs in is changed by the person, not by a token",
        )
        .hint("log in with `POST /api/v1/login` first"));
    };
    let (id, name, address) = (caller.user, caller.name.clone(), peer.ip().to_canonical());
    let (user, counts) = app
        .meta
        .blocking(move |meta| meta.read(|read| Ok((read.user(id)?, counts(read, &name, address)?))))
        .await?;
    let time = now();
    heard(&counts, time)?;
    let user = user.ok_or_else(|| Problem::not_found("user", id))?;
    let is_long = typed.reveal().chars().count() > password::PASSWORD_CHARS_MAX;
    let stored = user.password_hash.clone().filter(|_| !is_long);
    let typed = if is_long { Secret::default() } else { typed };
    let is_right = app.passwords.is_right(typed, stored).await?;
    still_heard(app, &counts, time).await?;
    if !is_right {
        app.meta
            .blocking_problem(move |meta| {
                note_failure(meta, Some(&user), &counts, "password-wrong", time)
            })
            .await?;
        app.ledgers.wake();
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "password-wrong",
            "the current password is another one",
        )
        .hint("type the one you logged in with"));
    }
    Ok(PersonNow { user, session, time })
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
        must_add_second_factor: caller.must_add_second_factor,
    })
}
