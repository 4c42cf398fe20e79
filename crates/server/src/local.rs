//! What whoever holds the data folder may do without logging in: they could read its keys anyway.
//! Each deed is attested like any other, with the actor `local`.

use crate::deeds;
use crate::handle::now;
use crate::identity::secrets::{api_token, new_id};
use crate::problem::Problem;
use crate::rights::Scope;
use schema::{LeafKind, Secret, TenantId};
use store::meta::{Meta, Mode, Tenant, Token};

const ACTOR: &str = "local";
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Makes an API token of `tenant` in its first owner's name; the text is not stored.
pub fn issue_token(
    meta: &Meta,
    tenant: &TenantId,
    name: &str,
    scopes: &[Scope],
    expires_days: u32,
) -> Result<Secret, Problem> {
    let time = now();
    let owner = meta
        .read(|read| read.users(tenant))?
        .into_iter()
        .find(|user| user.roles.get(tenant) == Some(&store::meta::Role::Owner))
        .ok_or_else(|| {
            Problem::bad_request("no-owner", format!("tenant `{tenant}` has no owner"))
        })?;
    let (secret, prefix, secret_sha256) = api_token()?;
    let token = Token {
        id: new_id(time)?,
        tenant: tenant.clone(),
        prefix,
        secret_sha256,
        name: name.to_owned(),
        scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        created_by: owner.id,
        created: time,
        expires: Some(time + i64::from(expires_days) * DAY_MS),
        last_used: None,
        revoked: None,
    };
    let what = (token.id, &token.scopes, token.expires);
    let leaf =
        deeds::leaf(tenant, LeafKind::TokenChange, ACTOR, token.id, &what, "token-created", time);
    meta.write(|tx| {
        tx.create_token(&token)?;
        tx.attest(&[leaf])
    })?;
    Ok(secret)
}

/// Sets how far Plura may go on its own. A running server has to be told besides.
pub fn set_mode(meta: &Meta, tenant: &TenantId, mode: Mode) -> Result<Tenant, Problem> {
    let time = now();
    let mut changed = meta
        .read(|read| read.tenant(tenant))?
        .ok_or_else(|| Problem::not_found("tenant", tenant))?;
    changed.mode = mode;
    let subject = new_id(time)?;
    let leaf = deeds::leaf(
        tenant,
        LeafKind::ConfigChange,
        ACTOR,
        subject,
        &mode.as_str(),
        "mode-changed",
        time,
    );
    meta.write(|tx| {
        tx.update_tenant(&changed)?;
        tx.attest(&[leaf])
    })?;
    Ok(changed)
}
