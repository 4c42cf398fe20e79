//! What trust is judged by, as people keep it, and what was judged.

use super::extract::{Json, Page, Params, Path, page_size, read_cursor, read_time, words};
use super::policies::HistoryQuery;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use crate::trust::record::{Previous, Record};
use crate::trust::register::{Entry, REGISTERS, RegisterEntry};
use crate::trust::wire::NAME_CHARS_MAX;
use crate::trust::{Cause, Changed, ENTRIES_MAX, PROFILE_DEFAULT, parse_policy, parse_site};
use axum::extract::State;
use axum::http::StatusCode;
use schema::{LeafKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::meta::{TrustDecisionFilter, TrustText, TrustVersion};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Decisions shown with a session.
const SESSION_DECISIONS: usize = 20;

#[derive(Debug, Serialize, ToSchema)]
pub struct TrustPolicyView {
    /// 0 while nobody put one: the shipped policy is in force.
    pub version: u32,
    /// YAML.
    pub text: String,
    /// SHA-256 of the text in force: decisions name it.
    pub hash: String,
    pub profile: String,
    /// Those of the policy, from lenient to strict.
    pub profiles: Vec<String>,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrustPolicy {
    /// YAML; see docs/trust.md. Absent or empty: the shipped policy.
    #[serde(default)]
    pub text: String,
    /// One of the policy's profiles; `balanced` when absent.
    #[serde(default)]
    pub profile: Option<String>,
    pub reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrustSiteView {
    /// 0 while nobody put one.
    pub version: u32,
    /// YAML.
    pub text: String,
    pub author: String,
    pub reason: String,
    pub created: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrustSite {
    /// YAML; see docs/trust-signals.md.
    pub text: String,
    pub reason: String,
}

/// The tenant's desk after its texts changed: the change is judged at once and told to gateways.
async fn changed(app: &App, tenant: &TenantId, changed: Changed) -> Result<(), Problem> {
    app.desks.keep(tenant, changed.turned).await?;
    app.pipeline.reconsider(tenant.clone(), changed.concerned).await
}

fn policy_view(stored: Option<TrustVersion>) -> Result<TrustPolicyView, Problem> {
    let stored = stored.unwrap_or_else(|| TrustVersion {
        version: 0,
        text: String::new(),
        profile: PROFILE_DEFAULT.to_owned(),
        author: "system".to_owned(),
        reason: "shipped".to_owned(),
        created: 0,
    });
    let TrustVersion { version, text, profile, author, reason, created } = stored;
    let rules = parse_policy(&text, &profile)?;
    Ok(TrustPolicyView {
        version,
        hash: rules.policy.hash().to_owned(),
        profiles: rules.policy.profiles().into_iter().map(str::to_owned).collect(),
        text: if text.is_empty() { ::trust::Policy::SHIPPED.to_owned() } else { text },
        profile,
        author,
        reason,
        created,
    })
}

/// The trust policy in force.
#[utoipa::path(get, path = "/api/v1/trust/policy", tag = "trust",
    responses((status = 200, body = TrustPolicyView), (status = "default", description = "problem", body = Problem)))]
pub async fn policy(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<TrustPolicyView>, Problem> {
    let of = caller.tenant;
    let ask =
        move |meta: &store::meta::Meta| meta.read(|read| read.trust_text(&of, TrustText::Policy));
    Ok(Json(policy_view(app.meta.blocking(ask).await?)?))
}

/// Replace the trust policy or choose a profile. A text with faults is refused whole.
#[utoipa::path(put, path = "/api/v1/trust/policy", tag = "trust", request_body = NewTrustPolicy,
    responses((status = 200, body = TrustPolicyView), (status = "default", description = "problem", body = Problem)))]
pub async fn put_policy(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewTrustPolicy>,
) -> Result<Json<TrustPolicyView>, Problem> {
    let reason = words("reason", &body.reason)?;
    let profile = body.profile.unwrap_or_else(|| PROFILE_DEFAULT.to_owned());
    let rules = parse_policy(&body.text, &profile)?;
    let text = TrustTextChange { what: TrustText::Policy, text: body.text, profile, reason };
    let (stored, leaf) = put_text(&app, &caller.tenant, caller.actor(), text).await?;
    let desk = app.desks.desk(&caller.tenant).await?;
    let turned = desk.set_rules(rules, &leaf.into_iter().collect::<Vec<_>>(), now())?;
    changed(&app, &caller.tenant, turned).await?;
    Ok(Json(policy_view(Some(stored))?))
}

struct TrustTextChange {
    what: TrustText,
    text: String,
    profile: String,
    reason: String,
}

/// Stores a version with its leaf; the leaf's subject when it is a new one.
async fn put_text(
    app: &App,
    tenant: &TenantId,
    actor: String,
    change: TrustTextChange,
) -> Result<(TrustVersion, Option<Uuid>), Problem> {
    let time = now();
    let (id, of) = (new_id(time)?, tenant.clone());
    let stored = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                let TrustTextChange { what, text, profile, reason } = &change;
                let put = tx.put_trust_text(&of, *what, text, profile, &actor, reason, time)?;
                let (stored, is_new) = &put;
                if *is_new {
                    let kind = match what {
                        TrustText::Policy => LeafKind::PolicyChange,
                        TrustText::Site => LeafKind::ConfigChange,
                    };
                    let code = format!("trust-{}-version-{}", what.as_str(), stored.version);
                    let about = (&stored.text, &stored.profile);
                    tx.attest(&[deeds::leaf(&of, kind, &actor, id, &about, &code, time)])?;
                }
                Ok(put)
            })
        })
        .await?;
    app.ledgers.wake();
    let (stored, is_new) = stored;
    Ok((stored, is_new.then_some(id)))
}

/// Earlier versions of the trust policy, newest first.
#[utoipa::path(get, path = "/api/v1/trust/policy/versions", tag = "trust", params(HistoryQuery),
    responses((status = 200, body = [TrustPolicyView]), (status = "default", description = "problem", body = Problem)))]
pub async fn policy_history(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<HistoryQuery>,
) -> Result<Json<Vec<TrustPolicyView>>, Problem> {
    let limit = page_size(query.limit)?;
    let found = app
        .meta
        .blocking(move |meta| {
            meta.read(|r| r.trust_history(&caller.tenant, TrustText::Policy, query.before, limit))
        })
        .await?;
    Ok(Json(found.into_iter().map(|v| policy_view(Some(v))).collect::<Result<_, _>>()?))
}

fn site_view(stored: Option<TrustVersion>) -> TrustSiteView {
    match stored {
        None => TrustSiteView {
            version: 0,
            text: String::new(),
            author: "system".to_owned(),
            reason: "none".to_owned(),
            created: 0,
        },
        Some(TrustVersion { version, text, author, reason, created, .. }) => {
            TrustSiteView { version, text, author, reason, created }
        }
    }
}

/// What the tenant says of itself: networks, countries, hours, resources, grants, people.
#[utoipa::path(get, path = "/api/v1/trust/site", tag = "trust",
    responses((status = 200, body = TrustSiteView), (status = "default", description = "problem", body = Problem)))]
pub async fn site(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<TrustSiteView>, Problem> {
    let of = caller.tenant;
    let ask =
        move |meta: &store::meta::Meta| meta.read(|read| read.trust_text(&of, TrustText::Site));
    Ok(Json(site_view(app.meta.blocking(ask).await?)))
}

/// Replace it. A text with faults is refused whole.
#[utoipa::path(put, path = "/api/v1/trust/site", tag = "trust", request_body = NewTrustSite,
    responses((status = 200, body = TrustSiteView), (status = "default", description = "problem", body = Problem)))]
pub async fn put_site(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(body): Json<NewTrustSite>,
) -> Result<Json<TrustSiteView>, Problem> {
    let reason = words("reason", &body.reason)?;
    let site = parse_site(&body.text)?;
    let profile = String::new();
    let text = TrustTextChange { what: TrustText::Site, text: body.text, profile, reason };
    let (stored, leaf) = put_text(&app, &caller.tenant, caller.actor(), text).await?;
    let desk = app.desks.desk(&caller.tenant).await?;
    let causes: Vec<Uuid> = leaf.into_iter().collect();
    let turned = desk.change(Cause::Site, &causes, now(), |evidence| {
        evidence.site = site;
        None
    })?;
    changed(&app, &caller.tenant, turned).await?;
    Ok(Json(site_view(Some(stored))))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegisterQuery {
    /// Entries after this id.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

fn known_register(name: &str) -> Result<&'static str, Problem> {
    REGISTERS.into_iter().find(|known| *known == name).ok_or_else(|| {
        Problem::not_found("register", name).hint(format!("there are {}", REGISTERS.join(", ")))
    })
}

/// A register's entries by id: `devices`, `trips` or `invitations`.
#[utoipa::path(get, path = "/api/v1/trust/registers/{register}", tag = "trust",
    params(("register" = String, Path), RegisterQuery),
    responses((status = 200, body = Page<RegisterEntry>), (status = "default", description = "problem", body = Problem)))]
pub async fn entries(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(register): Path<String>,
    Params(query): Params<RegisterQuery>,
) -> Result<Json<Page<RegisterEntry>>, Problem> {
    let register = known_register(&register)?;
    let limit = page_size(query.limit)?;
    let found = app
        .meta
        .blocking(move |meta| {
            meta.read(|read| {
                let after = query.after.as_deref();
                read.trust_entries(&caller.tenant, register, after, limit + 1)
            })
        })
        .await?;
    let is_more = found.len() > limit;
    let items: Vec<RegisterEntry> = found.into_iter().take(limit).map(Into::into).collect();
    let next = items.last().filter(|_| is_more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

/// Enter or replace one.
#[utoipa::path(put, path = "/api/v1/trust/registers/{register}/{entry}", tag = "trust",
    params(("register" = String, Path), ("entry" = String, Path)), request_body = Object,
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn put_entry(
    State(app): State<App>,
    Caller(caller): Caller,
    Path((register, id)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Result<StatusCode, Problem> {
    let register = known_register(&register)?;
    if id.is_empty() || id.len() > NAME_CHARS_MAX || id.chars().any(char::is_control) {
        return Err(Problem::bad_request(
            "entry-invalid",
            format!("an entry's id is 1 to {NAME_CHARS_MAX} printable bytes"),
        ));
    }
    let time = now();
    let entry = Entry::parse(register, &id, body, time)?;
    let (leaf, of, actor, stored) =
        (new_id(time)?, caller.tenant.clone(), caller.actor(), entry.clone());
    let written = app
        .meta
        .blocking_problem(move |meta| {
            let is_full = meta.read(|read| {
                Ok(read.trust_entry(&of, register, &id)?.is_none()
                    && read.trust_entries_count(&of, register)? >= ENTRIES_MAX as u64)
            })?;
            if is_full {
                return Err(Problem::new(
                    StatusCode::CONFLICT,
                    "register-full",
                    format!("`{register}` has {ENTRIES_MAX} entries and takes no more"),
                )
                .hint("delete what is over"));
            }
            Ok(meta.write(|tx| {
                let is_new = tx.put_trust_entry(&of, register, &id, &stored, &actor, time)?;
                if is_new {
                    let code = format!("trust-{register}-entered");
                    let kind = LeafKind::ConfigChange;
                    tx.attest(&[deeds::leaf(
                        &of,
                        kind,
                        &actor,
                        leaf,
                        &(&id, &stored),
                        &code,
                        time,
                    )])?;
                }
                Ok(is_new)
            })?)
        })
        .await?;
    if written {
        app.ledgers.wake();
        let desk = app.desks.desk(&caller.tenant).await?;
        let turned = desk.change(Cause::Register, &[leaf], time, |evidence| {
            Some(entry.enter(&mut evidence.book))
        })?;
        changed(&app, &caller.tenant, turned).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Take one out.
#[utoipa::path(delete, path = "/api/v1/trust/registers/{register}/{entry}", tag = "trust",
    params(("register" = String, Path), ("entry" = String, Path)),
    responses((status = 204), (status = "default", description = "problem", body = Problem)))]
pub async fn remove_entry(
    State(app): State<App>,
    Caller(caller): Caller,
    Path((register, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let register = known_register(&register)?;
    let time = now();
    let (leaf, of, actor) = (new_id(time)?, caller.tenant.clone(), caller.actor());
    let name = id.clone();
    let gone = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                let Some(known) = tx.trust_entry(&of, register, &id)? else { return Ok(None) };
                tx.delete_trust_entry(&of, register, &id)?;
                let code = format!("trust-{register}-removed");
                let about = (&id, &known.doc);
                let kind = LeafKind::ConfigChange;
                tx.attest(&[deeds::leaf(&of, kind, &actor, leaf, &about, &code, time)])?;
                Ok(Some(known))
            })
        })
        .await?;
    let known = gone.ok_or_else(|| Problem::not_found("entry", &name))?;
    app.ledgers.wake();
    let entry = Entry::read(register, &known.doc)?;
    let desk = app.desks.desk(&caller.tenant).await?;
    let turned = desk.change(Cause::Register, &[leaf], time, |evidence| {
        Some(entry.remove(&mut evidence.book))
    })?;
    changed(&app, &caller.tenant, turned).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DecisionsQuery {
    /// Of this session, as records name it: `session:9f2c…`, `user:alice`.
    pub session: Option<String>,
    pub permit: Option<bool>,
    pub since: Option<String>,
    pub until: Option<String>,
    /// The `next` of an earlier page.
    pub after: Option<String>,
    /// 1 to 500; 50 by default.
    pub limit: Option<usize>,
}

pub(super) fn read_record(stored: &store::meta::TrustDecision) -> Result<Record, Problem> {
    Record::read(&stored.doc).map_err(|cause| Problem::internal(&cause))
}

/// Decisions that were kept, newest first: refusals, and every change of a session's standing.
#[utoipa::path(get, path = "/api/v1/trust/decisions", tag = "trust", params(DecisionsQuery),
    responses((status = 200, body = Page<Record>), (status = "default", description = "problem", body = Problem)))]
pub async fn decisions(
    State(app): State<App>,
    Caller(caller): Caller,
    Params(query): Params<DecisionsQuery>,
) -> Result<Json<Page<Record>>, Problem> {
    let limit = page_size(query.limit)?;
    let filter = TrustDecisionFilter {
        session: query.session,
        permit: query.permit,
        since: read_time("since", query.since.as_deref())?,
        until: read_time("until", query.until.as_deref())?,
        after: read_cursor(query.after.as_deref())?,
        limit: limit + 1,
    };
    let found = app
        .meta
        .blocking(move |meta| meta.read(|read| read.trust_decisions(&caller.tenant, &filter)))
        .await?;
    let records = found.iter().map(read_record).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::of(records, limit, |record| (record.time, record.id))))
}

/// One decision with everything it was made from.
#[utoipa::path(get, path = "/api/v1/trust/decisions/{id}", tag = "trust", params(("id" = Uuid, Path)),
    responses((status = 200, body = Record), (status = "default", description = "problem", body = Problem)))]
pub async fn decision(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Record>, Problem> {
    let found = app
        .meta
        .blocking(move |meta| meta.read(|read| read.trust_decision(&caller.tenant, id)))
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("decision", id))?;
    Ok(Json(read_record(&found)?))
}

/// A session's standing.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    pub session: String,
    /// What was last answered, if that is remembered.
    pub last: Option<Previous>,
    /// What would be answered now to what was last asked.
    pub current: Option<Record>,
    /// The latest that were kept, newest first.
    pub decisions: Vec<Record>,
}

/// How a session stands: `session:9f2c…`, `user:alice`.
#[utoipa::path(get, path = "/api/v1/trust/sessions/{id}", tag = "trust", params(("id" = String, Path)),
    responses((status = 200, body = SessionView), (status = "default", description = "problem", body = Problem)))]
pub async fn session(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(session): Path<String>,
) -> Result<Json<SessionView>, Problem> {
    let desk = app.desks.desk(&caller.tenant).await?;
    let (last, current) = desk.standing(&session, now())?;
    let filter = TrustDecisionFilter {
        session: Some(session.clone()),
        limit: SESSION_DECISIONS,
        ..TrustDecisionFilter::default()
    };
    let found = app
        .meta
        .blocking(move |meta| meta.read(|read| read.trust_decisions(&caller.tenant, &filter)))
        .await?;
    if last.is_none() && found.is_empty() {
        return Err(Problem::not_found("session", &session));
    }
    let decisions = found.iter().map(read_record).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(SessionView { session, last, current, decisions }))
}
