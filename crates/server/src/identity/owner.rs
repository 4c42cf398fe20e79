//! First start: the home tenant and its owner.

use crate::deeds;
use crate::identity::guard::HOME;
use crate::identity::password::Passwords;
use crate::identity::secrets::{new_id, one_time_password};
use crate::problem::Problem;
use schema::{LeafKind, Secret, TenantId, Timestamp};
use std::collections::BTreeMap;
use store::meta::{Meta, Mode, RetentionDays, Role, Tenant, User};

/// The first owner's name.
pub const OWNER: &str = "owner";

/// Makes tenant and owner when there are none; the one-time password to show.
pub async fn ensure_owner(
    meta: &Meta,
    passwords: &Passwords,
    now: Timestamp,
) -> Result<Option<Secret>, Problem> {
    if meta.read(|read| read.has_users())? {
        return Ok(None);
    }
    let home: TenantId = HOME.parse().map_err(|cause| Problem::internal(&cause))?;
    let password = one_time_password()?;
    let owner = User {
        id: new_id(now)?,
        name: OWNER.to_owned(),
        display: "Owner".to_owned(),
        password_hash: Some(passwords.hash(password.clone()).await?),
        must_change_password: true,
        disabled: false,
        created: now,
        roles: BTreeMap::from([(home.clone(), Role::Owner)]),
    };
    let tenant = Tenant {
        id: home.clone(),
        name: "Default".to_owned(),
        mode: Mode::default(),
        retention: RetentionDays::default(),
        created: now,
    };
    meta.write(|tx| {
        if tx.tenant(&home)?.is_none() {
            tx.create_tenant(&tenant)?;
        }
        tx.create_user(&owner)?;
        let what = (owner.id, Role::Owner.as_str());
        tx.attest(&[deeds::leaf(
            &home,
            LeafKind::UserChange,
            "system",
            owner.id,
            &what,
            "first-owner",
            now,
        )])
    })?;
    Ok(Some(password))
}
