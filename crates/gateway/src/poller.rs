//! Asks the server for restrictions, applies them, says so, and remembers them.

mod memory;

use crate::config::{Config, ServerConfig};
use crate::proxy::shared::{Shared, now};
use crate::proxy::tls;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use memory::Memory;
use ring::rand::{SecureRandom, SystemRandom};
use schema::{Diagnostic, Restrictions, Secret};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long the server may hold an answer back while nothing is new.
const WAIT_SECS: u64 = 25;
/// Beyond that the connection is taken for dead.
const PATIENCE: Duration = Duration::from_secs(WAIT_SECS + 10);
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);
/// 100,000 restrictions take about 20 MiB of JSON.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Pauses after failures double from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_LAST: Duration = Duration::from_secs(10);

type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub struct Poller {
    shared: Arc<Shared>,
    client: HttpsClient,
    url: String,
    token_file: PathBuf,
    memory: Option<Memory>,
    /// The first answer replaces whatever the disk remembered.
    in_step: bool,
    confirmed: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error("cannot read the token file `{0}`: {1}")]
    Token(PathBuf, std::io::Error),
    #[error("cannot reach the server: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the server took longer than {0:?}")]
    Late(Duration),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("cannot read the server's answer: {0}")]
    Answer(String),
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
}

impl Poller {
    /// Applies what the disk remembers at once; `None` when there is no server to ask.
    pub fn new(config: &Config, shared: Arc<Shared>) -> Result<Option<Poller>, Vec<Diagnostic>> {
        let memory = config.state_dir.as_ref().map(|dir| Memory::open(dir)).transpose();
        let memory = memory.map_err(|fault| vec![fault])?;
        if let Some(restrictions) = memory.as_ref().and_then(Memory::read) {
            shared.apply(&restrictions);
            tracing::info!(
                version = restrictions.version,
                "restrictions remembered from the last run"
            );
        }
        let Some(ServerConfig { url, token_file, ca_file }) = &config.server else {
            return Ok(None);
        };
        let tls = tls::client_config(ca_file.as_deref()).map_err(|fault| vec![fault])?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        shared.contact.note(now());
        Ok(Some(Poller {
            shared,
            client: Client::builder(TokioExecutor::new()).build(connector),
            url: url.trim_end_matches('/').to_owned(),
            token_file: token_file.clone(),
            memory,
            in_step: false,
            confirmed: None,
        }))
    }

    /// Polls until the gateway ends.
    pub async fn run(mut self) {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.poll().await {
                Ok(()) => {
                    pause = PAUSE_FIRST;
                    self.shared.metrics.polls.add(1);
                    self.shared.metrics.server_reachable.set(1);
                    self.shared.contact.note(now());
                    self.confirm().await;
                }
                Err(error) => {
                    self.shared.metrics.poll_failures.add(1);
                    if self.shared.metrics.server_reachable.get() != 0 || pause == PAUSE_FIRST {
                        tracing::warn!(%error, "the server cannot be asked for restrictions");
                    }
                    self.shared.metrics.server_reachable.set(0);
                    tokio::time::sleep(jittered(pause)).await;
                    pause = (pause * 2).min(PAUSE_LAST);
                }
            }
        }
    }

    async fn poll(&mut self) -> Result<(), PollError> {
        let enforcer = Arc::clone(&self.shared.enforcer);
        let (after, wait) = if self.in_step { (enforcer.version(), WAIT_SECS) } else { (0, 0) };
        let path = format!("/api/v1/gateway/restrictions?after={after}&wait={wait}");
        let (status, body) = self.ask(Method::GET, &path, Bytes::new(), PATIENCE).await?;
        let restrictions = match status {
            StatusCode::OK => serde_json::from_slice::<Restrictions>(&body)
                .map_err(|error| PollError::Answer(error.to_string()))?,
            // The server never restricted anything: neither do we, whatever the disk remembered.
            StatusCode::NOT_MODIFIED if !self.in_step => Restrictions::default(),
            StatusCode::NOT_MODIFIED => return Ok(()),
            status => return Err(PollError::Status(status)),
        };
        // In force first; the disk is for the next start.
        self.shared.apply(&restrictions);
        self.in_step = true;
        tracing::info!(
            version = restrictions.version,
            total = restrictions.restrictions.len(),
            "restrictions applied"
        );
        if let Some(memory) = self.memory.clone() {
            let kept = tokio::task::spawn_blocking(move || memory.write(&restrictions)).await;
            if let Ok(Err(error)) = kept {
                tracing::error!(%error, "restrictions cannot be kept on disk");
            }
        }
        Ok(())
    }

    /// Tells the server what is in force; when that fails, after the next poll again.
    async fn confirm(&mut self) {
        let version = self.shared.enforcer.version();
        if self.confirmed == Some(version) {
            return;
        }
        let body = serde_json::json!({ "gateway": &*self.shared.gateway, "version": version });
        let path = "/api/v1/gateway/applied";
        match self.ask(Method::POST, path, Bytes::from(body.to_string()), CONFIRM_PATIENCE).await {
            Ok((status, _)) if status.is_success() => self.confirmed = Some(version),
            Ok((status, _)) => tracing::warn!(%status, "the server did not take the confirmation"),
            Err(error) => tracing::warn!(%error, "the confirmation did not reach the server"),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), PollError> {
        // Read anew each time: a token may be changed under a running gateway.
        let token = tokio::fs::read_to_string(&self.token_file)
            .await
            .map(|text| Secret::new(text.trim()))
            .map_err(|error| PollError::Token(self.token_file.clone(), error))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
            .map_err(http::Error::from)?;
        authorization.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answered = tokio::time::timeout(patience, async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| PollError::Answer(error.to_string()))?;
            Ok::<_, PollError>((status, body.to_bytes()))
        });
        answered.await.map_err(|_| PollError::Late(patience))?
    }
}

/// Half to all of `pause`, so that many gateways do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0u8; 1];
    // Without chance, all of it.
    let share = if SystemRandom::new().fill(&mut byte).is_ok() {
        let [byte] = byte;
        0.5 + f64::from(byte) / 510.0
    } else {
        1.0
    };
    pause.mul_f64(share)
}
