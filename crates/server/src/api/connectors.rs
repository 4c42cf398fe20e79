//! Connectors: which there are, whether they are heard, and telling one of an incident.
//!
//! They are set up in files (docs/response.md): their secrets never pass through here.

use super::extract::{Json, Path, words};
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::{Amendment, now};
use crate::identity::Caller;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use respond::connectors::{Connectors, Delivery, Notice, Personal};
use respond::policy::Title;
use schema::{Incident, LeafKind, Notification, NotificationAnswer, TenantId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// An answer waits this long for a connector; its tries go on after that.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectorView {
    pub name: String,
    /// `webhook`, `ticket`, `email` or `identity`.
    pub kind: &'static str,
    /// Whether people can be told through it; an `identity` connector carries out actions.
    pub takes_notices: bool,
    /// Whether it is told accounts as `k***@example.com`.
    pub masked: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Telling {
    pub connector: String,
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorTest {
    pub reason: String,
}

/// The tenant's connectors, in the order of their file.
#[utoipa::path(get, path = "/api/v1/connectors", tag = "response",
    responses((status = 200, body = [ConnectorView]), (status = "default", description = "problem", body = Problem)))]
pub async fn list_connectors(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Json<Vec<ConnectorView>> {
    let connectors = app.pipeline.connectors(&caller.tenant);
    let listed = connectors.iter().flat_map(|connectors| connectors.list());
    let view = |one: respond::connectors::Listed<'_>| ConnectorView {
        name: one.name.to_owned(),
        kind: one.kind,
        takes_notices: one.takes_notices,
        masked: one.takes_notices && one.personal == Personal::Masked,
    };
    Json(listed.map(view).collect())
}

/// Send a notice that says it is a test (a ticket connector makes a ticket of it); 202 when there is no answer within 20 s.
#[utoipa::path(post, path = "/api/v1/connectors/{name}/test", tag = "response", params(("name" = String, Path)), request_body = ConnectorTest,
    responses((status = 200, body = NotificationAnswer), (status = 202, description = "its tries go on"), (status = "default", description = "problem", body = Problem)))]
pub async fn test(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Json(body): Json<ConnectorTest>,
) -> Result<(StatusCode, Json<Option<NotificationAnswer>>), Problem> {
    let reason = words("reason", &body.reason)?;
    let connectors = listening(&app, &caller.tenant, &name)?;
    let time = now();
    let subject = schema::id_from_seed(time, format!("connector\0{name}").as_bytes());
    let (kind, actor) = (LeafKind::ConfigChange, caller.actor());
    let leaf = deeds::leaf(
        &caller.tenant,
        kind,
        &actor,
        subject,
        &(&name, &reason),
        "connector-tested",
        time,
    );
    app.meta.blocking(move |meta| meta.write(|tx| tx.attest(&[leaf]))).await?;
    app.ledgers.wake();
    let tenant = caller.tenant;
    let sent = tokio::spawn(async move {
        let title = Title {
            ko: "시험 알림입니다".to_owned(),
            en: "This is a test".to_owned(),
            ja: "テスト通知です".to_owned(),
        };
        connectors.notify(&name, &Notice::test(&tenant, &title, time)).await
    });
    Ok(match tokio::time::timeout(PATIENCE, sent).await {
        Ok(delivery) => {
            let delivery = delivery.map_err(|cause| Problem::internal(&cause))?;
            (StatusCode::OK, Json(Some(answer(&delivery))))
        }
        Err(_) => (StatusCode::ACCEPTED, Json(None)),
    })
}

/// Tell somebody of an incident through a connector, as a ticket or a notice. What came of it stands
/// in the incident's `told`; 202 when there is no answer within 20 s.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/tell", tag = "incidents", params(("id" = Uuid, Path)), request_body = Telling,
    responses((status = 200, body = Incident), (status = 202, body = Incident, description = "its tries go on"),
        (status = "default", description = "problem", body = Problem)))]
pub async fn tell(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(body): Json<Telling>,
) -> Result<(StatusCode, Json<Incident>), Problem> {
    let reason = words("reason", &body.reason)?;
    let connectors = listening(&app, &caller.tenant, &body.connector)?;
    let (tenant, actor) = (caller.tenant.clone(), caller.actor());
    let of = tenant.clone();
    let known = app.meta.blocking(move |meta| meta.read(|read| read.incident(&of, id))).await?;
    let known = known.ok_or_else(|| Problem::not_found("incident", id))?;
    if known.told.len() >= Incident::TOLD_MAX {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "told-too-often",
            format!("of one incident one can tell {} times", Incident::TOLD_MAX),
        )
        .hint("go on in the ticket"));
    }
    let time = now();
    let told = Notification {
        id: schema::id_from_seed(time, format!("told\0{id}\0{actor}\0{reason}").as_bytes()),
        time,
        author: actor.strip_prefix("user:").unwrap_or(&actor).to_owned(),
        connector: body.connector,
        reason,
        answer: None,
    };
    // Written down before it is done: what a crash cuts short is seen.
    let asked = Amendment { told: Some(told.clone()), ..Amendment::default() };
    let incident = app.pipeline.amend(tenant.clone(), id, actor.clone(), asked).await?;
    let base = app.config.trust.public_url.as_ref().map(|url| url.trim_end_matches('/'));
    let link = base.map(|url| format!("{url}/incidents/{}", incident.id));
    let asked = incident.clone();
    let sent = tokio::spawn(async move {
        let notice = Notice::of_incident(&tenant, &incident, link.as_deref(), told.time);
        let delivery = connectors.notify(&told.connector, &notice).await;
        let told = Notification { answer: Some(answer(&delivery)), ..told };
        let amendment = Amendment { told: Some(told), ..Amendment::default() };
        let written = app.pipeline.amend(tenant.clone(), id, actor, amendment).await;
        if let Err(problem) = &written {
            // Perhaps nobody waits for the answer any more.
            tracing::error!(%tenant, incident = %id, %problem, "what came of telling is not written down");
        }
        written
    });
    Ok(match tokio::time::timeout(PATIENCE, sent).await {
        Ok(incident) => {
            let incident = incident.map_err(|cause| Problem::internal(&cause))??;
            (StatusCode::OK, Json(incident))
        }
        Err(_) => (StatusCode::ACCEPTED, Json(asked)),
    })
}

fn answer(delivery: &Delivery) -> NotificationAnswer {
    let failure = delivery.result.as_ref().err();
    NotificationAnswer {
        time: delivery.finished,
        tries: delivery.attempts,
        status: delivery.result.as_ref().ok().map(|done| done.status),
        failure: failure.map(|failure| failure.code.to_owned()),
        message: failure.map(|failure| failure.message.clone()),
    }
}

/// The tenant's connectors, if this one takes notices.
fn listening(app: &App, tenant: &TenantId, name: &str) -> Result<Arc<Connectors>, Problem> {
    let connectors = app.pipeline.connectors(tenant);
    let found = connectors.as_ref().and_then(|all| all.list().find(|one| one.name == name));
    let takes_notices = found.ok_or_else(|| Problem::not_found("connector", name))?.takes_notices;
    match connectors.filter(|_| takes_notices) {
        Some(connectors) => Ok(connectors),
        None => Err(Problem::bad_request(
            "not-a-notice",
            format!("`{name}` carries out actions and takes no notices"),
        )
        .hint("name a webhook, ticket or e-mail connector")),
    }
}
