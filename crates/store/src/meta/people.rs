//! Tenants, users and their roles.

use super::{MetaError, Read, Result, Tx, document, parsed, to_json};
use schema::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// How far a tenant lets Plura go on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Decisions are made and shown, nothing is done: the dry run every tenant starts with.
    #[default]
    Observe,
    /// Learns; then acts on deviations up to `limit`.
    Canary,
    Enforce,
}

/// A person's part in one tenant. What each may do is a table in the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Owner,
    Admin,
    Responder,
    Analyst,
    Auditor,
    Viewer,
}

impl Role {
    pub const ALL: [Role; 6] =
        [Role::Owner, Role::Admin, Role::Responder, Role::Analyst, Role::Auditor, Role::Viewer];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Responder => "responder",
            Role::Analyst => "analyst",
            Role::Auditor => "auditor",
            Role::Viewer => "viewer",
        }
    }
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Observe, Mode::Canary, Mode::Enforce];

    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Canary => "canary",
            Mode::Enforce => "enforce",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is unknown here: use one of {1}")]
pub struct UnknownWord(String, &'static str);

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> std::result::Result<Self, UnknownWord> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            UnknownWord(text.to_owned(), "owner, admin, responder, analyst, auditor or viewer")
        })
    }
}

impl FromStr for Mode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> std::result::Result<Self, UnknownWord> {
        Mode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned(), "observe, canary or enforce"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long events are kept; `None` is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionDays {
    #[serde(default)]
    pub default_days: Option<u32>,
    /// By OCSF `class_uid`, where it differs from the default.
    #[serde(default)]
    pub class_days: BTreeMap<i64, u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub mode: Mode,
    pub retention: RetentionDays,
    pub created: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: Uuid,
    /// What the user types to log in.
    pub name: String,
    pub display: String,
    /// PHC string; `None` for an account that cannot log in by password.
    pub password_hash: Option<String>,
    pub must_change_password: bool,
    pub disabled: bool,
    pub created: Timestamp,
    pub roles: BTreeMap<TenantId, Role>,
}

const TENANT: &str = "SELECT id, name, mode, retention, created FROM tenants";
const USER: &str =
    "SELECT id, name, display, password_hash, must_change_password, disabled, created FROM users";

impl Read<'_> {
    pub fn tenants(&self) -> Result<Vec<Tenant>> {
        self.all(&format!("{TENANT} ORDER BY id"), (), tenant)
    }

    pub fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        self.maybe(&format!("{TENANT} WHERE id = ?1"), (id.as_str(),), tenant)
    }

    pub fn user(&self, id: Uuid) -> Result<Option<User>> {
        let found = self.maybe(&format!("{USER} WHERE id = ?1"), (id.to_string(),), user)?;
        found.map(|user| self.with_roles(user)).transpose()
    }

    pub fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        let found = self.maybe(&format!("{USER} WHERE name = ?1"), (name,), user)?;
        found.map(|user| self.with_roles(user)).transpose()
    }

    /// Everyone with a role in `tenant`, by name.
    pub fn users(&self, tenant: &TenantId) -> Result<Vec<User>> {
        let found = self.all(
            &format!(
                "{USER} JOIN roles ON roles.user = users.id WHERE roles.tenant = ?1 ORDER BY name"
            ),
            (tenant.as_str(),),
            user,
        )?;
        found.into_iter().map(|user| self.with_roles(user)).collect()
    }

    pub fn has_users(&self) -> Result<bool> {
        self.one("SELECT EXISTS (SELECT 1 FROM users)", ())
    }

    fn with_roles(&self, mut user: User) -> Result<User> {
        let roles = self.all(
            "SELECT tenant, role FROM roles WHERE user = ?1",
            (user.id.to_string(),),
            |row| Ok((parsed(row, 0)?, parsed(row, 1)?)),
        )?;
        user.roles = roles.into_iter().collect();
        Ok(user)
    }

    /// Owners of `tenant` who can log in, `except` left out.
    fn other_owners(&self, tenant: &TenantId, except: Uuid) -> Result<i64> {
        self.one(
            "SELECT count(*) FROM roles JOIN users ON users.id = roles.user
             WHERE roles.tenant = ?1 AND role = 'owner' AND disabled = 0 AND user <> ?2",
            (tenant.as_str(), except.to_string()),
        )
    }
}

const LAST_OWNER: MetaError =
    MetaError::Refused("the last owner of a tenant cannot go: make another user owner first");

impl Tx<'_> {
    pub fn create_tenant(&self, tenant: &Tenant) -> Result<()> {
        if self.tenant(&tenant.id)?.is_some() {
            return Err(MetaError::Exists(tenant.id.to_string()));
        }
        self.run(
            "INSERT INTO tenants (id, name, mode, retention, created) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                tenant.id.as_str(),
                &tenant.name,
                tenant.mode.as_str(),
                to_json("retention", &tenant.retention)?,
                tenant.created,
            ),
        )?;
        Ok(())
    }

    /// Changes everything but the id and the day of creation.
    pub fn update_tenant(&self, tenant: &Tenant) -> Result<()> {
        let touched = self.run(
            "UPDATE tenants SET name = ?2, mode = ?3, retention = ?4 WHERE id = ?1",
            (
                tenant.id.as_str(),
                &tenant.name,
                tenant.mode.as_str(),
                to_json("retention", &tenant.retention)?,
            ),
        )?;
        if touched == 0 { Err(MetaError::Missing(tenant.id.to_string())) } else { Ok(()) }
    }

    /// Creates the user with its roles.
    pub fn create_user(&self, user: &User) -> Result<()> {
        if self.user_by_name(&user.name)?.is_some() {
            return Err(MetaError::Exists(user.name.clone()));
        }
        self.run(
            "INSERT INTO users (id, name, display, password_hash, must_change_password, disabled, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                user.id.to_string(),
                &user.name,
                &user.display,
                &user.password_hash,
                user.must_change_password,
                user.disabled,
                user.created,
            ),
        )?;
        for (tenant, role) in &user.roles {
            self.set_role(tenant, user.id, *role)?;
        }
        Ok(())
    }

    /// Gives or changes a role. The last owner stays owner.
    pub fn set_role(&self, tenant: &TenantId, user: Uuid, role: Role) -> Result<()> {
        if role != Role::Owner {
            self.keep_an_owner(tenant, user)?;
        }
        self.run(
            "INSERT INTO roles (tenant, user, role) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET role = excluded.role",
            (tenant.as_str(), user.to_string(), role.as_str()),
        )?;
        Ok(())
    }

    /// Takes the user's role in `tenant` away, and the sessions with it.
    pub fn remove_role(&self, tenant: &TenantId, user: Uuid) -> Result<()> {
        self.keep_an_owner(tenant, user)?;
        self.run(
            "DELETE FROM roles WHERE tenant = ?1 AND user = ?2",
            (tenant.as_str(), user.to_string()),
        )?;
        self.end_sessions(user, None)
    }

    fn keep_an_owner(&self, tenant: &TenantId, user: Uuid) -> Result<()> {
        let is_owner =
            self.user(user)?.is_some_and(|user| user.roles.get(tenant) == Some(&Role::Owner));
        if is_owner && self.other_owners(tenant, user)? == 0 {
            return Err(LAST_OWNER);
        }
        Ok(())
    }

    pub fn set_display(&self, user: Uuid, display: &str) -> Result<()> {
        self.run("UPDATE users SET display = ?2 WHERE id = ?1", (user.to_string(), display))?;
        Ok(())
    }

    /// Disabling ends every session; the last owner of a tenant cannot be disabled.
    pub fn set_disabled(&self, user: Uuid, disabled: bool) -> Result<()> {
        if disabled {
            let roles = self.user(user)?.map(|user| user.roles).unwrap_or_default();
            for tenant in roles.keys() {
                self.keep_an_owner(tenant, user)?;
            }
            self.end_sessions(user, None)?;
        }
        self.run("UPDATE users SET disabled = ?2 WHERE id = ?1", (user.to_string(), disabled))?;
        Ok(())
    }

    /// Sets the password and ends every session but `keep`.
    pub fn set_password(
        &self,
        user: Uuid,
        hash: &str,
        must_change: bool,
        keep: Option<&schema::Digest>,
    ) -> Result<()> {
        let touched = self.run(
            "UPDATE users SET password_hash = ?2, must_change_password = ?3 WHERE id = ?1",
            (user.to_string(), hash, must_change),
        )?;
        if touched == 0 {
            return Err(MetaError::Missing(user.to_string()));
        }
        self.end_sessions(user, keep)
    }
}

fn tenant(row: &rusqlite::Row<'_>) -> rusqlite::Result<Tenant> {
    Ok(Tenant {
        id: parsed(row, 0)?,
        name: row.get(1)?,
        mode: parsed(row, 2)?,
        retention: document(row, 3)?,
        created: row.get(4)?,
    })
}

fn user(row: &rusqlite::Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: parsed(row, 0)?,
        name: row.get(1)?,
        display: row.get(2)?,
        password_hash: row.get(3)?,
        must_change_password: row.get(4)?,
        disabled: row.get(5)?,
        created: row.get(6)?,
        roles: BTreeMap::new(),
    })
}
