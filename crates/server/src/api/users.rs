//! The people of a tenant.

use super::extract::{Json, Path};
use super::login::NAME_CHARS_MAX;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::guard::HOME;
use crate::identity::secrets::{new_id, one_time_password};
use crate::identity::{Caller, Principal};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use schema::{Leaf, LeafKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::meta::{MetaError, Role, User};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    pub id: Uuid,
    pub name: String,
    pub display: String,
    /// In this tenant.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    pub disabled: bool,
    pub must_change_password: bool,
    /// One-time codes or a passkey are in force.
    pub second_factor: bool,
    pub created: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What the user types to log in: letters, digits and `.`, `_`, `-`, `@`, `+`.
    pub name: String,
    #[serde(default)]
    pub display: Option<String>,
    /// `owner`, `admin`, `responder`, `analyst`, `auditor` or `viewer`.
    #[schema(value_type = String)]
    pub role: Role,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    #[serde(default)]
    pub display: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    #[serde(default)]
    pub disabled: Option<bool>,
    /// `true` gives a new one-time password and ends every session.
    #[serde(default)]
    pub reset_password: bool,
    /// `true` removes one-time codes, passkeys and recovery codes of somebody who lost them, and ends every session.
    #[serde(default)]
    pub reset_second_factor: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UserMade {
    pub user: UserView,
    /// To hand over; works once and is shown only here. Absent when the account existed already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_password: Option<String>,
}

fn view(user: User, tenant: &TenantId, second_factor: bool) -> UserView {
    UserView {
        role: user.roles.get(tenant).copied(),
        id: user.id,
        name: user.name,
        display: user.display,
        disabled: user.disabled,
        must_change_password: user.must_change_password,
        second_factor,
        created: user.created,
    }
}

/// Everyone with a role in this tenant.
#[utoipa::path(get, path = "/api/v1/users", tag = "identity",
    responses((status = 200, body = [UserView]), (status = "default", description = "problem", body = Problem)))]
pub async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<UserView>>, Problem> {
    let tenant = caller.tenant;
    let users = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| {
                let users = read.users(&tenant)?.into_iter();
                let seen = users.map(|user| {
                    let second_factor = read.has_second_factor(user.id)?;
                    Ok(view(user, &tenant, second_factor))
                });
                seen.collect()
            })
        })
        .await?;
    Ok(Json(users))
}

/// Somebody of this tenant, by the name their colleagues know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    pub id: Uuid,
    pub display: String,
    /// In this tenant.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    pub disabled: bool,
}

/// Who works here: for names beside comments and decisions, and to give an incident to somebody.
#[utoipa::path(get, path = "/api/v1/people", tag = "identity",
    responses((status = 200, body = [Person]), (status = "default", description = "problem", body = Problem)))]
pub async fn people(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<Person>>, Problem> {
    let tenant = caller.tenant;
    let users = app
        .meta
        .blocking(move |meta| {
            let users = meta.read(|read| read.users(&tenant))?.into_iter();
            let person = |user: User| Person {
                role: user.roles.get(&tenant).copied(),
                id: user.id,
                display: user.display,
                disabled: user.disabled,
            };
            Ok(users.map(person).collect())
        })
        .await?;
    Ok(Json(users))
}

/// Only an owner makes, changes or removes an owner.
fn may_give(caller: &Principal, role: Role) -> Result<(), Problem> {
    if role == Role::Owner && caller.role != Some(Role::Owner) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "owner-required",
            "only an owner makes, changes or removes an owner",
        )
        .hint("ask an owner of this tenant"));
    }
    Ok(())
}

fn user_leaf(
    caller: &Principal,
    user: Uuid,
    what: &impl Serialize,
    code: &str,
    time: Timestamp,
) -> Leaf {
    deeds::leaf(&caller.tenant, LeafKind::UserChange, &caller.actor(), user, what, code, time)
}

/// Make an account with a role here. Owners of the home tenant may also give a role to an account that exists.
#[utoipa::path(post, path = "/api/v1/users", tag = "identity", request_body = NewUser,
    responses((status = 201, body = UserMade), (status = "default", description = "problem", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewUser>,
) -> Result<(StatusCode, Json<UserMade>), Problem> {
    may_give(&caller, body.role)?;
    let is_allowed = |c: char| c.is_alphanumeric() || ".-_@+".contains(c);
    if body.name.is_empty()
        || body.name.chars().count() > NAME_CHARS_MAX
        || !body.name.chars().all(is_allowed)
    {
        return Err(Problem::bad_request(
            "name-invalid",
            format!("a login name is 1 to {NAME_CHARS_MAX} letters, digits and `.-_@+`"),
        ));
    }
    let name = body.name.clone();
    let known = app.meta.blocking(move |meta| meta.read(|read| read.user_by_name(&name))).await?;
    let time = now();
    if let Some(known) = known {
        return join(&app, caller, known, body.role, time).await;
    }
    let password = one_time_password()?;
    let user = User {
        id: new_id(time)?,
        display: body.display.unwrap_or_else(|| body.name.clone()),
        name: body.name,
        password_hash: Some(app.passwords.hash(password.clone()).await?),
        must_change_password: true,
        disabled: false,
        created: time,
        roles: BTreeMap::from([(caller.tenant.clone(), body.role)]),
    };
    let leaf = user_leaf(&caller, user.id, &(user.id, body.role), "user-created", time);
    let made = user.clone();
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.create_user(&user)?;
                tx.attest(&[leaf])
            })
        })
        .await?;
    app.ledgers.wake();
    let user = view(made, &caller.tenant, false);
    let one_time_password = Some(password.reveal().to_owned());
    Ok((StatusCode::CREATED, Json(UserMade { user, one_time_password })))
}

/// An account that exists joins this tenant.
async fn join(
    app: &App,
    caller: Principal,
    mut known: User,
    role: Role,
    time: Timestamp,
) -> Result<(StatusCode, Json<UserMade>), Problem> {
    let is_home_owner = caller.tenants.iter().any(|(t, r)| t.as_str() == HOME && *r == Role::Owner);
    if !is_home_owner || known.roles.contains_key(&caller.tenant) {
        return Err(MetaError::Exists(known.name).into());
    }
    let leaf = user_leaf(&caller, known.id, &(known.id, role), "user-joined", time);
    let (tenant, id) = (caller.tenant.clone(), known.id);
    let second_factor = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.set_role(&tenant, id, role)?;
                tx.attest(&[leaf])?;
                tx.has_second_factor(id)
            })
        })
        .await?;
    app.ledgers.wake();
    known.roles.insert(caller.tenant.clone(), role);
    let user = view(known, &caller.tenant, second_factor);
    Ok((StatusCode::CREATED, Json(UserMade { user, one_time_password: None })))
}

/// The user, if it is one of this tenant's and the caller may touch it.
async fn member(app: &App, caller: &Principal, id: Uuid) -> Result<(User, Role), Problem> {
    let user = app.meta.blocking(move |meta| meta.read(|read| read.user(id))).await?;
    let user = user.ok_or_else(|| Problem::not_found("user", id))?;
    let role = user.roles.get(&caller.tenant).copied();
    let role = role.ok_or_else(|| Problem::not_found("user", id))?;
    may_give(caller, role)?;
    Ok((user, role))
}

/// Change a user's display name or role, disable, enable, or reset the password or the second factor.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "identity", params(("id" = Uuid, Path)), request_body = UserChange,
    responses((status = 200, body = UserMade), (status = "default", description = "problem", body = Problem)))]
pub async fn update(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(change): Json<UserChange>,
) -> Result<Json<UserMade>, Problem> {
    let (user, _) = member(&app, &caller, id).await?;
    if let Some(role) = change.role {
        may_give(&caller, role)?;
    }
    let reaches_further =
        change.disabled.is_some() || change.reset_password || change.reset_second_factor;
    if reaches_further && user.roles.len() > 1 {
        // Whoever could reset it would log in to the other tenants too.
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "account-shared",
            "this account belongs to other tenants too",
        )
        .hint("take away its role here with DELETE; the person changes the password themselves"));
    }
    if change.reset_second_factor && (caller.session.is_none() || caller.user == id) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "session-required",
            "a second factor is reset by a person, for somebody else",
        )
        .hint("log in; one's own is removed at `POST /api/v1/second-factor/remove`"));
    }
    let password = change.reset_password.then(one_time_password).transpose()?;
    let hash = match &password {
        Some(password) => Some(app.passwords.hash(password.clone()).await?),
        None => None,
    };
    let time = now();
    let codes = [
        (change.role.is_some(), "role-changed"),
        (change.disabled == Some(true), "user-disabled"),
        (change.disabled == Some(false), "user-enabled"),
        (change.reset_password, "password-reset"),
        (change.reset_second_factor, "second-factor-reset"),
        (change.display.is_some(), "user-renamed"),
    ];
    let what =
        (id, change.role, change.disabled, change.reset_password, change.reset_second_factor);
    let leaves: Vec<Leaf> = codes
        .iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, code)| user_leaf(&caller, id, &what, code, time))
        .collect();
    let tenant = caller.tenant.clone();
    let (user, second_factor) = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                if let Some(role) = change.role {
                    tx.set_role(&tenant, id, role)?;
                }
                if let Some(disabled) = change.disabled {
                    tx.set_disabled(id, disabled)?;
                }
                if let Some(hash) = &hash {
                    tx.set_password(id, hash, true, None)?;
                }
                if change.reset_second_factor {
                    tx.reset_second_factors(id)?;
                }
                if let Some(display) = &change.display {
                    tx.set_display(id, display)?;
                }
                tx.attest(&leaves)?;
                let user = tx.user(id)?.ok_or_else(|| MetaError::Missing(id.to_string()))?;
                Ok((user, tx.has_second_factor(id)?))
            })
        })
        .await?;
    app.ledgers.wake();
    let one_time_password = password.map(|password| password.reveal().to_owned());
    Ok(Json(UserMade { user: view(user, &caller.tenant, second_factor), one_time_password }))
}

/// Take away a user's role in this tenant. The account stays, with nothing to see here.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "identity", params(("id" = Uuid, Path)),
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    member(&app, &caller, id).await?;
    let leaf = user_leaf(&caller, id, &id, "user-removed", now());
    let tenant = caller.tenant;
    app.meta
        .blocking(move |meta| {
            meta.write(|tx| {
                tx.remove_role(&tenant, id)?;
                tx.attest(&[leaf])
            })
        })
        .await?;
    app.ledgers.wake();
    Ok(StatusCode::NO_CONTENT)
}
