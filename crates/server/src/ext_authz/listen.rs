//! The listener: HTTP/2 with the server's certificate, one method, the token in `authorization`.

use super::proto::{CheckRequest, CheckResponse};
use crate::api::extract::read_body;
use crate::app::App;
use crate::identity::guard::{Peer, admit};
use crate::problem::Problem;
use crate::rights::{Access, Right};
use crate::trust::front::Front;
use crate::trust::wire::OBLIGATIONS_MAX;
use crate::trust::{Told, told};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;

/// The only method there is.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Envoy sends the head of a request, and its body only where its configuration says so.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A gRPC frame: a byte that says whether it is compressed, and its length in four.
const PREFIX_BYTES: usize = 5;

/// `google.rpc.Code`, as far as we answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Ok = 0,
    InvalidArgument = 3,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// The service as a router of its own: it shares nothing with the API but the identity.
pub fn router(app: App) -> Router {
    Router::new()
        .route(CHECK, post(check))
        .fallback(async || status(Code::Unimplemented, "this server has one method, `Check`"))
        .with_state(app)
}

async fn check(State(app): State<App>, request: Request) -> Response {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if !media.unwrap_or_default().starts_with("application/grpc") {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let Ok(_turn) = app.requests.clone().try_acquire_owned() else {
        return status(Code::Unavailable, "too many requests at once");
    };
    match answer(&app, request).await {
        Ok(response) => {
            let message = response.encode();
            let mut framed = BytesMut::with_capacity(message.len() + PREFIX_BYTES);
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
            framed.extend_from_slice(&message);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(Code::Ok as u16));
            let body = Full::new(framed.freeze())
                .with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
            grpc(Body::new(body))
        }
        Err((code, message)) => status(code, &message),
    }
}

async fn answer(app: &App, request: Request) -> Result<CheckResponse, (Code, String)> {
    let peer = request.extensions().get::<Peer>().copied();
    let (headers, method) = (request.headers().clone(), request.method().clone());
    let access = Access::Needs(Right::TrustDecide);
    let caller = admit(app, &headers, &method, peer, access, CHECK).await.map_err(of_problem)?;
    let caller = caller.ok_or((Code::Unauthenticated, String::new()))?;
    let body = read_body(request, MESSAGE_BYTES_MAX + PREFIX_BYTES).await.map_err(of_problem)?;
    let asked = CheckRequest::parse(message(&body)?)
        .map_err(|_| (Code::InvalidArgument, "the message is not a CheckRequest".to_owned()))?;
    let extension = |name: &str| asked.extensions.get(name).map(String::as_str);
    let front = Front {
        site: extension("site").unwrap_or(&asked.host),
        method: &asked.method,
        target: &asked.path,
        address: asked.source_address.as_deref(),
        principal: asked.source_principal.as_deref(),
        header: |name: &str| asked.headers.get(name).map(String::as_str),
    };
    let performs: Vec<String> = extension("obligations")
        .unwrap_or_default()
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .take(OBLIGATIONS_MAX)
        .map(str::to_owned)
        .collect();
    let Told { status, headers, body } =
        told(app, &caller, &front, performs).await.map_err(of_problem)?;
    Ok(if status == StatusCode::OK {
        CheckResponse::Allow {
            headers,
            // What a client says under our names is not ours.
            remove: Vec::new(),
        }
    } else {
        CheckResponse::Deny { status: status.as_u16(), headers, body }
    })
}

/// The one message of a unary call.
fn message(body: &Bytes) -> Result<&[u8], (Code, String)> {
    let broken = || (Code::InvalidArgument, "the body is not one gRPC message".to_owned());
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES).ok_or_else(broken)?;
    let [compressed, length @ ..] = prefix else { return Err(broken()) };
    if *compressed != 0 {
        return Err((Code::Unimplemented, "compressed messages are not taken".to_owned()));
    }
    let length = <[u8; 4]>::try_from(length).map(u32::from_be_bytes).map_err(|_| broken())?;
    if usize::try_from(length) == Ok(message.len()) { Ok(message) } else { Err(broken()) }
}

fn of_problem(problem: Problem) -> (Code, String) {
    let code = match problem.status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        413 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        _ => Code::Internal,
    };
    (code, problem.to_string())
}

/// An answer without a message: the status is in the headers.
fn status(code: Code, message: &str) -> Response {
    let mut response = grpc(Body::empty());
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(code as u16));
    let message: String = message.chars().filter(|c| matches!(c, ' '..='~') && *c != '%').collect();
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert("grpc-message", message);
    }
    response
}

fn grpc(body: Body) -> Response {
    let mut response = Response::new(body);
    let media = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}
