//! The line to the decision point: AuthZEN over HTTP.

use crate::config::ServerConfig;
use crate::proxy::tls;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use schema::{Diagnostic, Secret};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Questions at a time; more wait their turn, within their own time limit.
const ASKS_MAX: usize = 256;
/// Connections kept while nobody asks.
const IDLE_MAX: usize = 32;
/// An answer has a few hundred bytes; three languages of reasons, a few thousand.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Of a refusal, what is logged: a problem's code and message.
const WHY_CHARS_MAX: usize = 400;
/// A token may be changed under a running gateway: it is read again after this long, and when it
/// is no longer accepted.
const TOKEN_KEPT: Duration = Duration::from_secs(10);
/// A kept connection may have closed meanwhile: then once more.
const TRIES: usize = 2;

pub struct Pdp {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    token_file: PathBuf,
    token: Mutex<Option<(HeaderValue, Instant)>>,
    room: Semaphore,
}

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("cannot read the token file `{0}`: {1}")]
    Token(PathBuf, std::io::Error),
    #[error("the token is not one a header can carry")]
    TokenText,
    #[error("cannot reach the server: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the server broke off its answer: {0}")]
    Broken(String),
    #[error("the server did not answer within {0:?}")]
    Late(Duration),
    #[error("the question cannot be sent: {0}")]
    Request(#[from] http::Error),
    /// The question is at fault, not the server: never a reason to let a request pass.
    #[error("the server refused the question with {0}: {1}")]
    Refused(StatusCode, String),
    #[error("the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

impl Pdp {
    pub fn new(server: &ServerConfig) -> Result<Pdp, Diagnostic> {
        let tls = tls::client_config(server.ca_file.as_deref())?;
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Pdp {
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(IDLE_MAX)
                .build(connector),
            url: format!("{}/access/v1/evaluation", server.url.trim_end_matches('/')),
            token_file: server.token_file.clone(),
            token: Mutex::default(),
            room: Semaphore::new(ASKS_MAX),
        })
    }

    /// Asks once; the answer's bytes.
    pub async fn evaluate(&self, body: Bytes, patience: Duration) -> Result<Bytes, AskError> {
        tokio::time::timeout(patience, self.ask(body))
            .await
            .map_err(|_| AskError::Late(patience))?
    }

    async fn ask(&self, body: Bytes) -> Result<Bytes, AskError> {
        // It is never closed.
        let _permit = self.room.acquire().await.ok();
        let mut tried = 0;
        let response = loop {
            tried += 1;
            let request = Request::post(&self.url)
                .header(AUTHORIZATION, self.token().await?)
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(body.clone()))?;
            match self.client.request(request).await {
                Ok(response) => break response,
                Err(error) if tried >= TRIES || error.is_connect() => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "asking for a decision once more"),
            }
        };
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Err(AskError::Status(status));
            }
            // An older server, or one that is busy.
            status @ (StatusCode::NOT_FOUND
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS) => return Err(AskError::Status(status)),
            status if status.is_client_error() => {
                let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
                let body = body.map(|body| body.to_bytes()).unwrap_or_default();
                let why: String =
                    String::from_utf8_lossy(&body).chars().take(WHY_CHARS_MAX).collect();
                return Err(AskError::Refused(status, why));
            }
            status => return Err(AskError::Status(status)),
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                AskError::TooLong
            } else {
                AskError::Broken(error.to_string())
            }
        })
    }

    async fn token(&self) -> Result<HeaderValue, AskError> {
        let kept = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, _)) = kept.filter(|(_, read)| read.elapsed() < TOKEN_KEPT) {
            return Ok(token);
        }
        let text = tokio::fs::read_to_string(&self.token_file)
            .await
            .map(|text| Secret::new(text.trim()))
            .map_err(|error| AskError::Token(self.token_file.clone(), error))?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", text.reveal()))
            .map_err(|_| AskError::TokenText)?;
        token.set_sensitive(true);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((token.clone(), Instant::now()));
        Ok(token)
    }
}
