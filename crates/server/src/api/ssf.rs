//! Security events pushed to us (RFC 8935).

use super::extract::read_body;
use crate::app::{App, Blocking};
use crate::deeds;
use crate::handle::now;
use crate::identity::Caller;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use crate::ssf::set::TOKEN_CHARS_MAX;
use crate::ssf::{Refused, Taken, take};
use crate::trust::{Cause, register};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schema::LeafKind;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// RFC 8935 §2.3.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetRefusal {
    /// `invalid_request`, `invalid_key`, `invalid_issuer`, `invalid_audience`, `authentication_failed`.
    pub err: &'static str,
    pub description: String,
}

/// Who we are as a transmitter of security events.
#[utoipa::path(get, path = "/.well-known/ssf-configuration", tag = "trust", security(()),
    responses((status = 200, body = Object)))]
pub async fn configuration(State(app): State<App>, request: Request) -> Json<Value> {
    let base = super::authzen::base_url(&app, &request);
    Json(json!({
        "spec_version": "1_0",
        "issuer": base,
        "jwks_uri": format!("{base}/api/v1/ssf/jwks.json"),
        "delivery_methods_supported": ["urn:ietf:rfc:8935"],
    }))
}

/// The key our tokens are signed with (RFC 7517).
#[utoipa::path(get, path = "/api/v1/ssf/jwks.json", tag = "trust", security(()),
    responses((status = 200, body = Object)))]
pub async fn jwks(State(app): State<App>) -> Json<Value> {
    Json(app.desks.transmitter().jwks())
}

/// Take a security event token: device compliance, assurance, credentials, revoked sessions, risk.
#[utoipa::path(post, path = "/api/v1/ssf/events", tag = "trust",
    request_body(content = String, content_type = "application/secevent+jwt"),
    responses((status = 202, description = "taken; again changes nothing"),
        (status = 400, body = SetRefusal), (status = "default", description = "problem", body = Problem)))]
pub async fn push(
    State(app): State<App>,
    Caller(caller): Caller,
    request: Request,
) -> Result<Response, Problem> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let is_set = media.unwrap_or_default().starts_with("application/secevent+jwt");
    let body = read_body(request, TOKEN_CHARS_MAX).await?;
    let time = now();
    let token = std::str::from_utf8(&body).unwrap_or_default();
    let taken = if is_set {
        take(token, &app.issuers, &caller.tenant, time)
    } else {
        let description = "this takes `application/secevent+jwt`".to_owned();
        Err(Refused { err: "invalid_request", description })
    };
    let Taken { issuer, jti, signals, ignored } = match taken {
        Ok(taken) => taken,
        Err(Refused { err, description }) => {
            tracing::warn!(tenant = %caller.tenant, err, description, "a security event was refused");
            let refusal = SetRefusal { err, description };
            return Ok((StatusCode::BAD_REQUEST, Json(refusal)).into_response());
        }
    };
    if ignored > 0 {
        tracing::info!(tenant = %caller.tenant, jti, ignored, "events of kinds or subjects that mean nothing here");
    }
    let leaf = new_id(time)?;
    let (of, actor, kept) = (caller.tenant.clone(), caller.actor(), signals.clone());
    let is_new = app
        .meta
        .blocking(move |meta| {
            meta.write(|tx| {
                if !tx.see_token(&of, &issuer, &jti, time)? {
                    return Ok(false);
                }
                for signal in &kept {
                    let id = signal.id();
                    tx.put_trust_entry(&of, register::SIGNALS, &id, signal, &issuer, time)?;
                }
                let what = (&issuer, &jti, &kept);
                let kind = LeafKind::ConfigChange;
                tx.attest(&[deeds::leaf(&of, kind, &actor, leaf, &what, "trust-signals", time)])?;
                Ok(true)
            })
        })
        .await?;
    if is_new {
        app.ledgers.wake();
        let desk = app.desks.desk(&caller.tenant).await?;
        let changed = desk.change(Cause::Signal, &[leaf], time, |evidence| {
            let told = signals.iter().flat_map(|signal| signal.enter(&mut evidence.book));
            Some(told.collect())
        })?;
        app.desks.keep(&caller.tenant, changed.turned).await?;
        if changed.concerned.as_ref().is_some_and(|all| !all.is_empty()) {
            app.pipeline.reconsider(caller.tenant, changed.concerned).await?;
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}
