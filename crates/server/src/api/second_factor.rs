//! One's own second factor: one-time codes, passkeys, recovery codes; and signing in with a passkey.

use super::extract::Json;
use super::login::{
    LoggedIn, PersonNow, Proof, heard_address, heard_person, login_leaves, own_password,
    refuse_login, start_session,
};
use crate::app::{App, Blocking};
use crate::handle::now;
use crate::identity::guard::Peer;
use crate::identity::passkey::{self, ALGORITHMS, Answer, Site, Wrong};
use crate::identity::secrets::{one_time_password, random};
use crate::identity::{Caller, Principal, codes};
use crate::problem::Problem;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use schema::{Digest, LeafKind, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use store::meta::{MetaError, OneTimeCodes, Passkey, Tx};
use utoipa::ToSchema;
use uuid::Uuid;

/// Passkeys of one person.
const PASSKEYS_MAX: usize = 20;
/// Characters of a passkey's name.
const NAME_CHARS_MAX: usize = 100;
/// A browser's question waits this long for its answer (WebAuthn Level 3, §15.1 recommends 5 minutes).
const CHALLENGE_MS: i64 = 300_000;
/// Characters of what a browser sends; far above what authenticators answer.
const ANSWER_CHARS_MAX: usize = 8_192;

/// A secret nobody confirmed is void after this.
const PROPOSED_MS: i64 = 600_000;

/// What the caller has beside the password.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecondFactor {
    /// Nobody works here without one (`sessions.second_factor_required`).
    pub required: bool,
    /// One-time codes are in force since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codes_since: Option<Timestamp>,
    pub passkeys: Vec<PasskeyView>,
    pub recovery_codes_left: i64,
    /// Passkeys belong to a host name: there are none where the address is a number.
    pub passkeys_possible: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyView {
    /// base64url.
    pub id: String,
    pub name: String,
    pub created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Timestamp>,
}

/// Whoever changes how they sign in says their password again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
}

/// Not in force until a code of it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodesProposed {
    /// Base32, to type into an app; shown only here.
    pub secret: String,
    /// `otpauth://totp/…`, to show as a QR code.
    pub uri: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedCode {
    /// Six digits.
    #[schema(value_type = String)]
    pub code: Secret,
}

/// For the day the device is lost; each works once and they are shown only here.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Empty when earlier ones are still there.
    pub recovery_codes: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// The passkey to remove; absent for the one-time codes.
    #[serde(default)]
    pub passkey: Option<String>,
}

/// What a browser needs to make a key (`navigator.credentials.create`).
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyQuestion {
    /// base64url, as all that is binary here.
    pub challenge: String,
    /// The host name the key is for.
    pub site: String,
    /// The person, as the key names them.
    pub user: String,
    pub name: String,
    pub display: String,
    /// Keys the person has already.
    pub known: Vec<String>,
    /// COSE's numbers.
    pub algorithms: Vec<i64>,
    pub timeout_ms: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasskey {
    /// What the person calls it.
    pub name: String,
    pub id: String,
    /// `clientDataJSON`.
    pub client_data: String,
    /// `getAuthenticatorData()`.
    pub authenticator_data: String,
    /// `getPublicKey()`: SubjectPublicKeyInfo.
    pub public_key: String,
}

/// What a browser needs to sign in (`navigator.credentials.get`).
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInQuestion {
    pub challenge: String,
    pub site: String,
    pub timeout_ms: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLogin {
    pub id: String,
    pub client_data: String,
    pub authenticator_data: String,
    pub signature: String,
}

/// Where the browser thinks it is.
pub struct Authority(String);

impl<S: Send + Sync> FromRequestParts<S> for Authority {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let of_uri = parts.uri.authority().map(|authority| authority.as_str());
        let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        Ok(Authority(of_uri.or_else(host).unwrap_or_default().to_lowercase()))
    }
}

impl Authority {
    fn site(&self) -> Site<'_> {
        Site { authority: &self.0 }
    }

    fn name(&self) -> Result<&str, Problem> {
        let Authority(authority) = self;
        self.site().name().ok_or_else(|| {
            Problem::new(
                StatusCode::CONFLICT,
                "passkeys-need-a-name",
                format!("a passkey belongs to a host name, and this is `{authority}`"),
            )
            .hint("open the console by its name (https://plura.example/), or use one-time codes")
        })
    }
}

/// What one has beside the password.
#[utoipa::path(get, path = "/api/v1/second-factor", tag = "identity",
    responses((status = 200, body = SecondFactor), (status = "default", description = "problem", body = Problem)))]
pub async fn state(
    State(app): State<App>,
    Caller(caller): Caller,
    authority: Authority,
) -> Result<Json<SecondFactor>, Problem> {
    let person = person(&caller)?;
    let required = app.config.sessions.second_factor_required;
    let passkeys_possible = authority.name().is_ok();
    let state = app.meta.blocking(move |meta| {
        meta.read(|read| {
            let view = |key: Passkey| PasskeyView {
                id: key.id,
                name: key.name,
                created: key.created,
                last_used: key.last_used,
            };
            Ok(SecondFactor {
                required,
                codes_since: read.one_time_codes(person)?.and_then(|codes| codes.confirmed),
                passkeys: read.passkeys(person)?.into_iter().map(view).collect(),
                recovery_codes_left: read.recovery_codes_left(person)?,
                passkeys_possible,
            })
        })
    });
    Ok(Json(state.await?))
}

/// Begin with one-time codes: a secret for an authenticator app. In force once a code of it is confirmed.
#[utoipa::path(post, path = "/api/v1/second-factor/codes", tag = "identity", request_body = OwnPassword,
    responses((status = 200, body = CodesProposed), (status = "default", description = "problem", body = Problem)))]
pub async fn propose_codes(
    State(app): State<App>,
    Peer(peer): Peer,
    Caller(caller): Caller,
    Json(body): Json<OwnPassword>,
) -> Result<Json<CodesProposed>, Problem> {
    let PersonNow { user, time, .. } = own_password(&app, peer, &caller, body.password).await?;
    let secret = random::<{ codes::SECRET_BYTES }>()?;
    let sealed = app.seal.seal(user.id, &secret)?;
    let id = user.id;
    let proposed =
        app.meta.blocking(move |m| m.write(|tx| tx.propose_one_time_codes(id, &sealed, time)));
    proposed.await?;
    Ok(Json(CodesProposed {
        secret: codes::text(&secret).reveal().to_owned(),
        uri: codes::uri(&secret, &user.name),
    }))
}

/// Put one-time codes in force by showing one, within 10 minutes; every other session of the account ends. Answers recovery codes, shown only here.
#[utoipa::path(post, path = "/api/v1/second-factor/codes/confirm", tag = "identity", request_body = TypedCode,
    responses((status = 200, body = RecoveryCodes), (status = "default", description = "problem", body = Problem)))]
pub async fn confirm_codes(
    State(app): State<App>,
    Peer(peer): Peer,
    Caller(caller): Caller,
    Json(body): Json<TypedCode>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let id = person(&caller)?;
    let time = now();
    let counts = heard_person(&app, &caller, peer, time).await?;
    let stored = app.meta.blocking(move |meta| meta.read(|read| read.one_time_codes(id))).await?;
    let is_waiting = |codes: &OneTimeCodes| {
        codes.confirmed.is_none() && (0..PROPOSED_MS).contains(&(time - codes.created))
    };
    let stored = stored.filter(is_waiting).ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "codes-not-proposed", "there is no secret to confirm")
            .hint("begin with `POST /api/v1/second-factor/codes`")
    })?;
    let secret = app.seal.unseal(id, &stored.sealed).ok_or_else(unreadable)?;
    let Some(step) = codes::step_of(&secret, body.code.reveal(), time) else {
        let user = app.meta.blocking(move |meta| meta.read(|read| read.user(id))).await?;
        refuse_login(&app, user, counts, "code-wrong", time).await?;
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "code-wrong",
            "that is not the code of now",
        )
        .hint("type the newest; a clock that is a minute off shows others"));
    };
    let added = add(&app, caller, time, "codes-added", move |tx| {
        tx.confirm_one_time_codes(id, &stored.sealed, step, time)
    });
    added.await.map(Json)
}

/// Renew the recovery codes: the earlier ones are void.
#[utoipa::path(post, path = "/api/v1/second-factor/recovery-codes", tag = "identity", request_body = OwnPassword,
    responses((status = 200, body = RecoveryCodes), (status = "default", description = "problem", body = Problem)))]
pub async fn renew_recovery(
    State(app): State<App>,
    Peer(peer): Peer,
    Caller(caller): Caller,
    Json(body): Json<OwnPassword>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let PersonNow { user, time, .. } = own_password(&app, peer, &caller, body.password).await?;
    let (recovery_codes, digests) = draw_recovery()?;
    let leaves = login_leaves(&user, LeafKind::UserChange, "recovery-codes-renewed", time);
    let renewed = app.meta.blocking(move |meta| {
        meta.write(|tx| {
            if !tx.has_second_factor(user.id)? {
                return Err(MetaError::Refused(
                    "there is no second factor to recover: add one first",
                ));
            }
            tx.set_recovery_codes(user.id, &digests)?;
            tx.attest(&leaves)
        })
    });
    renewed.await?;
    app.ledgers.wake();
    Ok(Json(RecoveryCodes { recovery_codes }))
}

/// Remove the one-time codes or a passkey; every other session of the account ends.
#[utoipa::path(post, path = "/api/v1/second-factor/remove", tag = "identity", request_body = Removal,
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    Peer(peer): Peer,
    Caller(caller): Caller,
    Json(body): Json<Removal>,
) -> Result<StatusCode, Problem> {
    let PersonNow { user, session, time } =
        own_password(&app, peer, &caller, body.password).await?;
    let code = if body.passkey.is_some() { "passkey-removed" } else { "codes-removed" };
    let leaves = login_leaves(&user, LeafKind::UserChange, code, time);
    let removed = app.meta.blocking(move |meta| {
        meta.write(|tx| {
            match &body.passkey {
                Some(id) if !tx.remove_passkey(user.id, id)? => {
                    return Err(MetaError::Missing(format!("passkey {id}")));
                }
                Some(_) => {}
                None => tx.remove_one_time_codes(user.id)?,
            }
            tx.end_sessions(user.id, Some(&session))?;
            tx.attest(&leaves)
        })
    });
    removed.await?;
    app.ledgers.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Begin with a passkey: what the browser has to ask the device.
#[utoipa::path(post, path = "/api/v1/second-factor/passkeys/options", tag = "identity", request_body = OwnPassword,
    responses((status = 200, body = PasskeyQuestion), (status = "default", description = "problem", body = Problem)))]
pub async fn ask_for_passkey(
    State(app): State<App>,
    Peer(peer): Peer,
    Caller(caller): Caller,
    authority: Authority,
    Json(body): Json<OwnPassword>,
) -> Result<Json<PasskeyQuestion>, Problem> {
    let site = authority.name()?.to_owned();
    let PersonNow { user, time, .. } = own_password(&app, peer, &caller, body.password).await?;
    let challenge = BASE64URL_NOPAD.encode(&random::<32>()?);
    let (asked, id) = (challenge.clone(), user.id);
    let known = app.meta.blocking(move |meta| {
        meta.write(|tx| {
            tx.ask(id, &asked, time + CHALLENGE_MS)?;
            tx.passkeys(id)
        })
    });
    Ok(Json(PasskeyQuestion {
        challenge,
        site,
        user: BASE64URL_NOPAD.encode(user.id.as_bytes()),
        known: known.await?.into_iter().map(|key| key.id).collect(),
        name: user.name,
        display: user.display,
        algorithms: ALGORITHMS.to_vec(),
        timeout_ms: CHALLENGE_MS,
    }))
}

/// Keep a passkey the browser made; every other session of the account ends. Answers recovery codes when it is the first second factor.
#[utoipa::path(post, path = "/api/v1/second-factor/passkeys", tag = "identity", request_body = NewPasskey,
    responses((status = 200, body = RecoveryCodes), (status = "default", description = "problem", body = Problem)))]
pub async fn add_passkey(
    State(app): State<App>,
    Caller(caller): Caller,
    authority: Authority,
    Json(body): Json<NewPasskey>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let user = person(&caller)?;
    let time = now();
    let name = body.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::bad_request(
            "name-invalid",
            format!("a passkey's name has 1 to {NAME_CHARS_MAX} characters"),
        ));
    }
    bounded(&[&body.id, &body.client_data, &body.authenticator_data, &body.public_key])?;
    let answer =
        Answer { client_data: &body.client_data, authenticator_data: &body.authenticator_data };
    let made = passkey::made(&answer, &authority.site(), &body.id, &body.public_key);
    let made = made.map_err(|wrong| refused(wrong, StatusCode::BAD_REQUEST))?;
    let key = Passkey {
        user,
        id: body.id,
        name,
        site: authority.0.clone(),
        algorithm: made.algorithm,
        public_key: BASE64URL_NOPAD.encode(&made.public_key),
        signatures: made.signatures,
        created: time,
        last_used: None,
    };
    let added = add(&app, caller, time, "passkey-added", move |tx| {
        if !tx.take_question(user, &made.challenge, time)? {
            return Err(MetaError::Refused("the browser was asked too long ago: begin again"));
        }
        if tx.passkeys(user)?.len() >= PASSKEYS_MAX {
            return Err(MetaError::Refused("you have 20 passkeys: remove one first"));
        }
        tx.add_passkey(&key)
    });
    added.await.map(Json)
}

/// Begin signing in with a passkey, which needs no name and no password.
#[utoipa::path(post, path = "/api/v1/login/passkey/options", tag = "identity", security(()),
    responses((status = 200, body = SignInQuestion), (status = "default", description = "problem", body = Problem)))]
pub async fn ask_to_sign_in(
    State(app): State<App>,
    authority: Authority,
) -> Result<Json<SignInQuestion>, Problem> {
    let site = authority.name()?.to_owned();
    // Anybody may ask, so nothing is kept of a question until it was answered.
    let challenge = app.seal.ticket(now() + CHALLENGE_MS)?;
    Ok(Json(SignInQuestion { challenge, site, timeout_ms: CHALLENGE_MS }))
}

/// Sign in with a passkey; answers a session cookie. The device verified its user: that is two factors.
#[utoipa::path(post, path = "/api/v1/login/passkey", tag = "identity", security(()), request_body = PasskeyLogin,
    responses((status = 200, body = LoggedIn), (status = "default", description = "problem", body = Problem)))]
pub async fn sign_in(
    State(app): State<App>,
    Peer(peer): Peer,
    authority: Authority,
    Json(body): Json<PasskeyLogin>,
) -> Result<Response, Problem> {
    let (address, time) = (peer.ip().to_canonical(), now());
    let counts = heard_address(&app, address, time).await?;
    bounded(&[&body.id, &body.client_data, &body.authenticator_data, &body.signature])?;
    let id = body.id.clone();
    let found = app.meta.blocking(move |meta| {
        meta.read(|read| {
            let Some(key) = read.passkey(&id)? else { return Ok(None) };
            let user = read.user(key.user)?;
            Ok(user.map(|user| (key, user)))
        })
    });
    authority.name()?;
    let found = found.await?.filter(|(key, user)| !user.disabled && key.site == authority.0);
    let answer =
        Answer { client_data: &body.client_data, authenticator_data: &body.authenticator_data };
    let proven = found.as_ref().ok_or(Wrong::Signature).and_then(|(key, _)| {
        let (algorithm, public) = (key.algorithm, &key.public_key);
        passkey::signed(&answer, &authority.site(), algorithm, public, &body.signature)
    });
    match (found, proven) {
        (Some((key, user)), Ok((challenge, signatures))) => {
            // What is not ours ended long ago.
            let expires = app.seal.ticket_end(&challenge).unwrap_or_default();
            let proof = Proof::Passkey { id: key.id, challenge, expires, signatures };
            start_session(&app, user, address, time, counts, proof).await
        }
        (found, proven) => {
            refuse_login(&app, found.map(|(_, user)| user), counts, "passkey-wrong", time).await?;
            Err(refused(proven.err().unwrap_or(Wrong::Signature), StatusCode::UNAUTHORIZED))
        }
    }
}

/// A person has a second factor; a token has none.
fn person(caller: &Principal) -> Result<Uuid, Problem> {
    if caller.session.is_some() {
        return Ok(caller.user);
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "session-required",
        "a second factor is a person's, not a token's",
    )
    .hint("log in with `POST /api/v1/login` first"))
}

fn unreadable() -> Problem {
    Problem::internal(
        &"one-time codes do not open: keys/identity.key is not the one they were sealed with",
    )
}

fn refused(wrong: Wrong, status: StatusCode) -> Problem {
    Problem::new(status, "passkey-refused", wrong.to_string())
        .hint("try again; when it goes on, sign in another way and register the passkey anew")
}

fn bounded(texts: &[&str]) -> Result<(), Problem> {
    if texts.iter().any(|text| text.len() > ANSWER_CHARS_MAX) {
        return Err(Problem::bad_request(
            "text-too-long",
            format!("a browser's answer has at most {ANSWER_CHARS_MAX} characters in each part"),
        ));
    }
    Ok(())
}

fn draw_recovery() -> Result<(Vec<String>, Vec<Digest>), Problem> {
    let mut texts = Vec::with_capacity(codes::RECOVERY_CODES);
    for _ in 0..codes::RECOVERY_CODES {
        texts.push(one_time_password()?.reveal().to_owned());
    }
    let digests = texts.iter().map(|text| codes::recovery_digest(text)).collect();
    Ok((texts, digests))
}

/// Adds a factor; the first comes with recovery codes.
async fn add(
    app: &App,
    caller: Principal,
    time: Timestamp,
    code: &'static str,
    change: impl FnOnce(&Tx<'_>) -> Result<(), MetaError> + Send + 'static,
) -> Result<RecoveryCodes, Problem> {
    let (mut recovery_codes, digests) = draw_recovery()?;
    let (id, session) = (caller.user, caller.session);
    let added = app.meta.blocking(move |meta| {
        meta.write(|tx| {
            change(tx)?;
            let is_first = tx.recovery_codes_left(id)? == 0;
            if is_first {
                tx.set_recovery_codes(id, &digests)?;
            }
            // Whoever came in with less than what is asked from now on comes in again.
            tx.end_sessions(id, session.as_ref())?;
            let user = tx.user(id)?.ok_or_else(|| MetaError::Missing(id.to_string()))?;
            tx.attest(&login_leaves(&user, LeafKind::UserChange, code, time))?;
            Ok(is_first)
        })
    });
    if !added.await? {
        recovery_codes.clear();
    }
    app.ledgers.wake();
    Ok(RecoveryCodes { recovery_codes })
}
