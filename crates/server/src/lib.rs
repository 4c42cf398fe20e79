//! Where all meet: the API, identity and tenancy, intake, and the pipeline that runs the loop.
//!
//! [`start`] is the way in, for the command line and for tests alike.

pub mod api;
pub mod app;
pub mod config;
mod console;
pub mod deeds;
pub mod ext_authz;
mod files;
pub mod geoip;
pub mod handle;
pub mod identity;
pub mod ledgers;
pub mod local;
pub mod pipeline;
pub mod problem;
pub mod retention;
pub mod reveal;
pub mod rights;
mod serve;
pub mod ssf;
pub mod syslog;
mod tls;
pub mod trust;

pub use config::Config;

use crate::ssf::transmit::Transmitter;
use crate::trust::Desks;
use app::{App, Blocking, Counters, Parts, Sources};
use config::ExtAuthzConfig;
use handle::{PipelineHandle, Unjudged, now};
use identity::guard::KnownTokens;
use identity::owner::ensure_owner;
use identity::password::Passwords;
use ledgers::{Ledgers, LedgersError};
use pipeline::worker::{Judged, Tuning};
use problem::Problem;
use schema::{Diagnostic, Secret};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::meta::{Meta, MetaError};
use store::{Store, StoreConfig, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Before a ledger that could not be written is tried again.
const LEDGER_RETRY: Duration = Duration::from_secs(5);

/// At the end, for what syslog listeners still hold.
const STORING_MAX: Duration = Duration::from_secs(5);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot use the data folder `{path}`: {cause}: check its path and permissions")]
    Data { path: PathBuf, cause: io::Error },
    #[error("cannot listen on `{address}`: {cause}: is another server running there?")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("cannot listen for syslog: {0}: check `syslog` in the config")]
    Syslog(io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Meta(#[from] MetaError),
    #[error(transparent)]
    Ledger(#[from] LedgersError),
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error(
        "syslog listener `{listener}` is for tenant `{tenant}`, which does not exist: make it with `POST /api/v1/tenants` first"
    )]
    NoTenant { listener: String, tenant: String },
    #[error(
        "cannot take or send signals: {0}: check `trust.signal_issuers` and `trust.signal_receivers`"
    )]
    Signals(String),
    #[error("the key of people's second factors cannot be used: {0}")]
    Seal(String),
    #[error("{0}")]
    GeoIp(Diagnostic),
    #[error("cannot start: {0}")]
    Problem(Problem),
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        StartError::Problem(problem)
    }
}

/// A server that takes requests.
pub struct RunningServer {
    pub address: SocketAddr,
    /// Shown once, at the very first start.
    pub one_time_password: Option<Secret>,
    pub syslog: Vec<syslog::Bound>,
    /// Where Envoy asks.
    pub ext_authz: Option<SocketAddr>,
    pub app: App,
    end: watch::Sender<bool>,
    storing: JoinSet<()>,
    serving: JoinHandle<()>,
    envoys: Option<JoinHandle<()>>,
    appending: JoinHandle<()>,
}

impl RunningServer {
    /// Ends in order: no new connections, running requests finish, received syslog is stored,
    /// leaves reach their ledgers.
    pub async fn shutdown(mut self) {
        self.end.send_replace(true);
        let stored = async { while self.storing.join_next().await.is_some() {} };
        if tokio::time::timeout(STORING_MAX, stored).await.is_err() {
            tracing::error!("syslog messages could not be stored in time and are lost");
        }
        for task in [Some(self.serving), self.envoys, Some(self.appending)].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the server did not end well");
            }
        }
        if let Err(problem) = self.app.desks.writer().end().await {
            tracing::error!(%problem, "the last decisions could not be recorded");
        }
        // What the last requests left, now that there are no more.
        let ledgers = self.app.ledgers.clone();
        match tokio::task::spawn_blocking(move || ledgers.drain_all()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "ledger leaves wait for the next start"),
            Err(error) => tracing::error!(%error, "ledger leaves wait for the next start"),
        }
    }

    /// Reads the folders of Sigma rules again; every tenant has them when this answers.
    pub async fn reread_rules(&self) -> Result<(), Problem> {
        let Some(packs) = self.app.pipeline.packs().cloned() else { return Ok(()) };
        app::in_background(move || packs.reload()).await?;
        for tenant in self.app.meta.blocking(|meta| meta.read(|read| read.tenants())).await? {
            self.app.pipeline.rules_changed(tenant.id).await?;
        }
        Ok(())
    }

    /// Runs until SIGTERM or SIGINT, then ends in order. SIGHUP reads the folders of rules again.
    pub async fn run_until_signal(self) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    if let Err(problem) = self.reread_rules().await {
                        tracing::warn!(%problem, "rules could not be read again; those there were go on");
                    }
                }
            }
        }
        tracing::info!("ending: running requests finish first");
        self.shutdown().await;
        Ok(())
    }
}

/// Opens the data folder and serves. The pipeline is the one `build` makes.
pub async fn start_with(
    config: Config,
    build: impl FnOnce(&Store, &Meta, &Ledgers, &Desks) -> Result<PipelineHandle, Problem>,
) -> Result<RunningServer, StartError> {
    let data = config.data.clone();
    files::own_folder(&data).map_err(|cause| StartError::Data { path: data.clone(), cause })?;
    let tls = TlsAcceptor::from(tls::server_config(&config)?);
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|cause| StartError::Listen { address: config.listen, cause })?;
    let address = listener
        .local_addr()
        .map_err(|cause| StartError::Listen { address: config.listen, cause })?;
    let geoip = config.geoip.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<_, StartError> {
        let geoip = geoip.open().map_err(StartError::GeoIp)?;
        let meta = Meta::open(&data.join("meta.sqlite"))?;
        let ledgers = Ledgers::new(data.clone(), meta.clone());
        // What a crash left in the outbox reaches the ledger before anything is added to it.
        ledgers.drain_all()?;
        let store = Store::open(StoreConfig::new(data))?;
        Ok((store, meta, ledgers, geoip))
    });
    let (store, meta, ledgers, geoip) =
        opened.await.map_err(|cause| StartError::Problem(Problem::internal(&cause)))??;
    for diagnostic in store.diagnostics() {
        tracing::warn!(code = diagnostic.code, place = diagnostic.place, "{}", diagnostic.message);
    }
    let sealed_before = meta.read(|read| read.has_one_time_codes()).map_err(Problem::from)?;
    if sealed_before && !config.data.join("keys/identity.key").exists() {
        tracing::error!(
            "keys/identity.key is missing, and one-time codes were sealed with it: restore it from the backup; until then people sign in with recovery codes or passkeys"
        );
    }
    let seal = identity::seal::Seal::open(&config.data).map_err(StartError::Seal)?;
    let passwords = Passwords::new()?;
    let one_time_password = ensure_owner(&meta, &passwords, now()).await?;
    for listener in &config.syslog {
        if meta.read(|read| read.tenant(&listener.tenant))?.is_none() {
            return Err(StartError::NoTenant {
                listener: listener.name.clone(),
                tenant: listener.tenant.to_string(),
            });
        }
    }
    let issuers = ssf::issuers(&config.trust.signal_issuers).map_err(StartError::Signals)?;
    let receivers = &config.trust.signal_receivers;
    let transmitter = Transmitter::start(&config.data, receivers, &meta, &ledgers);
    let transmitter = transmitter.map_err(StartError::Signals)?;
    let desks = Desks::new(meta.clone(), ledgers.clone(), transmitter, geoip);
    let pipeline = build(&store, &meta, &ledgers, &desks)?;
    let (end, ending) = watch::channel(false);
    let app = App::from(Parts {
        store,
        meta,
        ledgers: ledgers.clone(),
        pipeline,
        desks,
        issuers: Arc::new(issuers),
        passwords,
        seal,
        known_tokens: KnownTokens::default(),
        requests: Arc::new(Semaphore::new(config.limits.requests_max)),
        config: Arc::new(config),
        counters: Arc::<Counters>::default(),
        sources: Sources::default(),
        ending: ending.clone(),
        is_ready: Arc::new(AtomicBool::new(false)),
    });
    let syslog = syslog::start(&app, &tls).await.map_err(StartError::Syslog)?;
    ledgers.wake();
    let appending = tokio::spawn(append_leaves(ledgers, ending));
    let (ext_authz, envoys) = match &app.config.trust.ext_authz {
        None => (None, None),
        Some(ExtAuthzConfig { listen }) => {
            let cause = |cause| StartError::Listen { address: *listen, cause };
            let listener = TcpListener::bind(listen).await.map_err(cause)?;
            let address = listener.local_addr().map_err(cause)?;
            let router = ext_authz::listen::router(app.clone());
            let serving = serve::serve(listener, tls.clone(), app.clone(), router);
            (Some(address), Some(tokio::spawn(serving)))
        }
    };
    let serving = tokio::spawn(serve::serve(listener, tls, app.clone(), api::router(app.clone())));
    tokio::spawn(retention::run(app.clone()));
    app.is_ready.store(true, Ordering::Release);
    let syslog::Started { bound: syslog, storing } = syslog;
    Ok(RunningServer {
        address,
        one_time_password,
        syslog,
        ext_authz,
        app,
        end,
        storing,
        serving,
        envoys,
        appending,
    })
}

/// The server as it runs: [`start_with`] the real pipeline.
pub async fn start(config: Config, tuning: Tuning) -> Result<RunningServer, StartError> {
    start_with(config, |store, meta, ledgers, desks| {
        let (store, meta, ledgers) = (store.clone(), meta.clone(), ledgers.clone());
        let judged = Judged::start(store, meta, ledgers, desks.clone(), tuning)?;
        Ok(PipelineHandle::new(judged))
    })
    .await
}

/// [`start_with`], without detection: events are kept and found, decisions carried out and attested.
pub async fn start_unjudged(config: Config) -> Result<RunningServer, StartError> {
    start_with(config, |store, meta, ledgers, _| {
        Ok(PipelineHandle::new(Unjudged::new(store.clone(), meta.clone(), ledgers.clone())))
    })
    .await
}

/// Moves leaves from the outbox to the ledgers, as they come.
async fn append_leaves(ledgers: Ledgers, mut ending: watch::Receiver<bool>) {
    loop {
        let is_over = tokio::select! {
            () = ledgers.news() => false,
            _ = ending.wait_for(|ending| *ending) => true,
        };
        let of = ledgers.clone();
        let drained = tokio::task::spawn_blocking(move || of.drain_all()).await;
        if let Ok(Err(error)) = drained {
            tracing::error!(%error, "ledger leaves wait in the outbox");
            if !is_over {
                tokio::time::sleep(LEDGER_RETRY).await;
                ledgers.wake();
            }
        }
        if is_over {
            return;
        }
    }
}
