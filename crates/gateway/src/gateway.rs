//! Starts, reloads and stops a gateway.

mod keeping;

use crate::config::{Config, ListenerConfig};
use crate::enforce::Enforcer;
use crate::evidence::Shipper;
use crate::metrics::Metrics;
use crate::proxy::health;
use crate::proxy::live::Live;
use crate::proxy::shared::{Evidence, Shared};
use crate::proxy::worker::{Listener, Worker};
use crate::trust::Asker;
use crate::{admin, poller};
use schema::{Diagnostic, Restrictions};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// The way in: [`Gateway::start`].
pub struct Gateway;

/// A running gateway. Dropped, it stops at once; [`GatewayHandle::shutdown`] is the kind way.
pub struct GatewayHandle {
    shared: Arc<Shared>,
    admin: SocketAddr,
    running: Mutex<Running>,
    drain: watch::Sender<bool>,
    stop_control: watch::Sender<bool>,
}

struct Running {
    config: Config,
    listeners: Vec<(ListenerConfig, Arc<Listener>)>,
    workers: Vec<WorkerThread>,
    control: Option<JoinHandle<()>>,
}

struct WorkerThread {
    thread: JoinHandle<()>,
    listeners: mpsc::UnboundedSender<(Arc<Listener>, TcpListener)>,
}

/// What a gateway has done so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    pub requests: u64,
    pub connections_open: i64,
    pub exchanges_lost: u64,
    pub restrictions_version: u64,
}

impl Gateway {
    /// Binds, starts the workers, the recorder, the shipper and the poller, and returns. Every fault
    /// of the configuration is told.
    pub fn start(config: Config) -> Result<GatewayHandle, Vec<Diagnostic>> {
        let (evidence, shipper) = keeping::start(&config)?;
        Gateway::start_all(config, evidence, shipper)
    }

    /// As [`Gateway::start`], with an evidence half of the caller's; nothing is shipped.
    pub fn start_with(
        config: Config,
        evidence: Evidence,
    ) -> Result<GatewayHandle, Vec<Diagnostic>> {
        Gateway::start_all(config, evidence, None)
    }

    fn start_all(
        config: Config,
        evidence: Evidence,
        shipper: Option<Shipper>,
    ) -> Result<GatewayHandle, Vec<Diagnostic>> {
        let faults = config.faults("gateway.yaml");
        if !faults.is_empty() {
            return Err(faults);
        }
        let live = Live::build(config.clone(), None)?;
        let enforcer = Arc::new(Enforcer::new());
        let gateway = Arc::from(config.gateway.as_str());
        let asker = config.server.as_ref().map(Asker::new).transpose().map_err(|f| vec![f])?;
        let asker = asker.map(Arc::new);
        let shared = Arc::new(Shared::new(gateway, live, enforcer, evidence, asker));
        let poller = poller::Poller::new(&config, Arc::clone(&shared))?;

        let drain = watch::Sender::new(false);
        let mut running = Running {
            config: config.clone(),
            listeners: Vec::new(),
            workers: Vec::new(),
            control: None,
        };
        let mut bound = Vec::new();
        for listener in &config.listeners {
            bound.push(bind(listener)?);
        }
        let admin_socket = listen(config.admin, "admin").map_err(|fault| vec![fault])?;
        let admin = admin_socket.local_addr().map_err(|e| vec![thread_fault(&e)])?;

        let shutdown = Duration::from_millis(config.limits.shutdown_ms);
        for index in 0..config.workers {
            let worker = Worker { shared: Arc::clone(&shared), index, drain: drain.subscribe() };
            running.workers.push(start_worker(worker, shutdown)?);
        }
        for (listener_config, (listener, socket)) in config.listeners.iter().zip(bound) {
            hand_out(&running.workers, &listener, socket)?;
            running.listeners.push((listener_config.clone(), listener));
        }
        let stop_control = watch::Sender::new(false);
        running.control =
            Some(start_control(&shared, admin_socket, poller, shipper, stop_control.subscribe())?);
        tracing::info!(gateway = config.gateway, workers = config.workers, "gateway started");
        Ok(GatewayHandle { shared, admin, running: Mutex::new(running), drain, stop_control })
    }
}

impl GatewayHandle {
    /// The addresses listened on, in the order of the configuration.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.running().listeners.iter().map(|(_, listener)| listener.address).collect()
    }

    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The enforcer of this gateway: for a caller that decides in the same process.
    pub fn enforcer(&self) -> Arc<Enforcer> {
        Arc::clone(&self.shared.enforcer)
    }

    /// Puts a set in force as the poller does, for a caller that decides in the same process.
    pub fn apply(&self, restrictions: &Restrictions) {
        self.shared.apply(restrictions);
    }

    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    pub fn stats(&self) -> Stats {
        Stats {
            requests: self.shared.live().sites.iter().map(|s| s.metrics.total()).sum(),
            connections_open: self.shared.metrics.connections_open.get(),
            exchanges_lost: self.shared.metrics.exchanges_lost.get(),
            restrictions_version: self.shared.enforcer.version(),
        }
    }

    /// Takes a new configuration. Requests under way end with the old one; on any fault the old
    /// one stays in force, all of it.
    pub fn reload(&self, config: Config) -> Result<(), Vec<Diagnostic>> {
        let result = self.try_reload(config);
        match &result {
            Ok(()) => {
                self.shared.metrics.reloads.add(1);
                tracing::info!("configuration reloaded");
            }
            Err(faults) => self.refuse_reload(faults),
        }
        result
    }

    fn refuse_reload(&self, faults: &[Diagnostic]) {
        self.shared.metrics.reloads_refused.add(1);
        for fault in faults {
            tracing::error!(code = fault.code, place = fault.place, "{}", fault.message);
        }
    }

    fn try_reload(&self, config: Config) -> Result<(), Vec<Diagnostic>> {
        let mut running = self.running();
        let mut faults = config.faults("gateway.yaml");
        let fixed = [
            ("gateway", config.gateway == running.config.gateway),
            ("workers", config.workers == running.config.workers),
            ("admin", config.admin == running.config.admin),
            ("server", config.server == running.config.server),
            ("state_dir", config.state_dir == running.config.state_dir),
            ("key_file", config.key_file == running.config.key_file),
            (
                "limits.connections_max",
                config.limits.connections_max == running.config.limits.connections_max,
            ),
            ("limits.shutdown_ms", config.limits.shutdown_ms == running.config.limits.shutdown_ms),
            ("spool", config.spool == running.config.spool),
        ];
        for (field, same) in fixed {
            if !same {
                faults.push(
                    Diagnostic::new(
                        "needs-restart",
                        format!("gateway.yaml: {field}"),
                        format!("`{field}` cannot change while the gateway runs"),
                    )
                    .hint("restart the gateway, or put the old value back"),
                );
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let live = Live::build(config.clone(), Some(&self.shared.live()))?;
        // Everything that can fail happens before anything changes.
        let mut listeners = Vec::new();
        let mut changes: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        let mut fresh = Vec::new();
        let mut left = std::mem::take(&mut running.listeners);
        let prepared = (|| {
            for wanted in &config.listeners {
                let kept = left.iter().position(|(old, listener)| {
                    old.address == wanted.address || listener.address == wanted.address
                });
                match kept.map(|i| left.swap_remove(i)) {
                    Some((old, listener)) => {
                        if old != *wanted || wanted.tls.is_some() {
                            // Certificate files may have new content under the same name.
                            match listener.prepare(wanted) {
                                Ok(change) => changes.push(Box::new(change)),
                                Err(faults) => {
                                    left.push((old, listener));
                                    return Err(faults);
                                }
                            }
                        }
                        listeners.push((wanted.clone(), old, listener));
                    }
                    None => {
                        let (listener, socket) = bind(wanted)?;
                        fresh.push((wanted.clone(), listener, socket));
                    }
                }
            }
            Ok(())
        })();
        if let Err(faults) = prepared {
            left.extend(listeners.into_iter().map(|(_, old, listener)| (old, listener)));
            running.listeners = left;
            return Err(faults);
        }
        self.shared.replace_live(live);
        changes.into_iter().for_each(|change| change());
        running.listeners =
            listeners.into_iter().map(|(wanted, _, listener)| (wanted, listener)).collect();
        for (wanted, listener, socket) in fresh {
            hand_out(&running.workers, &listener, socket)?;
            running.listeners.push((wanted, listener));
        }
        left.iter().for_each(|(_, listener)| listener.close());
        running.listeners.sort_by_key(|(wanted, _)| {
            config.listeners.iter().position(|c| c == wanted).unwrap_or(usize::MAX)
        });
        running.config = config;
        Ok(())
    }

    /// Stops taking connections, lets what is under way end (for `shutdown_ms` at most), keeps what
    /// was recorded, and returns. Blocks: call it outside an event loop.
    pub fn shutdown(self) {
        self.stop();
    }

    fn stop(&self) {
        self.drain.send_replace(true);
        let (workers, control) = {
            let mut running = self.running();
            (std::mem::take(&mut running.workers), running.control.take())
        };
        for worker in workers {
            drop(worker.listeners);
            if worker.thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
        self.stop_control.send_replace(true);
        if let Some(control) = control {
            if control.join().is_err() {
                tracing::error!("the control thread ended by a panic");
            }
            self.shared.evidence.recorder.stop();
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the gateway of a configuration file until the process is asked to end (SIGTERM, SIGINT).
/// SIGHUP reads the file again; a bad one is told and changes nothing.
pub fn run(path: &Path, started: impl FnOnce(&GatewayHandle)) -> Result<(), Vec<Diagnostic>> {
    let handle = Gateway::start(Config::load(path)?)?;
    started(&handle);
    let signals = event_loop()?;
    signals.block_on(async {
        let listen = |kind| signal(kind).map_err(|e| vec![thread_fault(&e)]);
        let mut hangup = listen(SignalKind::hangup())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        loop {
            tokio::select! {
                _ = hangup.recv() => match Config::load(path) {
                    // Its faults are logged and counted where it is refused.
                    Ok(config) => drop(handle.reload(config)),
                    Err(faults) => handle.refuse_reload(&faults),
                },
                _ = terminate.recv() => return Ok::<(), Vec<Diagnostic>>(()),
                _ = interrupt.recv() => return Ok(()),
            }
        }
    })?;
    handle.shutdown();
    Ok(())
}

impl Drop for GatewayHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind(config: &ListenerConfig) -> Result<(Arc<Listener>, TcpListener), Vec<Diagnostic>> {
    let socket = listen(config.address, "listeners").map_err(|fault| vec![fault])?;
    let address = socket.local_addr().map_err(|e| vec![thread_fault(&e)])?;
    Ok((Arc::new(Listener::new(address, config)?), socket))
}

fn listen(address: SocketAddr, place: &str) -> Result<TcpListener, Diagnostic> {
    let socket = TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    socket.map_err(|error| {
        Diagnostic::new(
            "address-unavailable",
            format!("gateway.yaml: {place}"),
            format!("cannot listen on `{address}`: {error}"),
        )
        .hint("check that nothing else listens there and that the gateway may use the port")
    })
}

fn start_worker(worker: Worker, shutdown: Duration) -> Result<WorkerThread, Vec<Diagnostic>> {
    let (listeners, incoming) = mpsc::unbounded_channel();
    let runtime = event_loop()?;
    let thread = std::thread::Builder::new()
        .name(format!("gateway-{}", worker.index))
        .spawn(move || {
            runtime.block_on(worker.run(incoming, shutdown));
            // Tunnels and detached tasks end with their event loop.
            runtime.shutdown_background();
        })
        .map_err(|e| vec![thread_fault(&e)])?;
    Ok(WorkerThread { thread, listeners })
}

fn start_control(
    shared: &Arc<Shared>,
    admin_socket: TcpListener,
    poller: Option<poller::Poller>,
    shipper: Option<Shipper>,
    mut stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, Vec<Diagnostic>> {
    let runtime = event_loop()?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("gateway-control".into())
        .spawn(move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(admin_socket) {
                    Ok(socket) => drop(tokio::spawn(admin::serve(Arc::clone(&shared), socket))),
                    Err(error) => tracing::error!(%error, "cannot serve the admin address"),
                }
                if let Some(asker) = &shared.trust {
                    tokio::spawn(Arc::clone(asker).keep_watch());
                }
                tokio::spawn(health::watch(shared));
                if let Some(poller) = poller {
                    tokio::spawn(poller.run());
                }
                if let Some(shipper) = shipper {
                    tokio::spawn(shipper.run(stop.clone()));
                }
                // An error means the handle is gone: then it is over, too.
                let _ = stop.wait_for(|stop| *stop).await;
            });
            runtime.shutdown_background();
        })
        .map_err(|e| vec![thread_fault(&e)])
}

fn hand_out(
    workers: &[WorkerThread],
    listener: &Arc<Listener>,
    socket: TcpListener,
) -> Result<(), Vec<Diagnostic>> {
    for worker in workers {
        let socket = socket.try_clone().map_err(|e| vec![thread_fault(&e)])?;
        if worker.listeners.send((Arc::clone(listener), socket)).is_err() {
            tracing::error!("a worker is gone and takes no listener");
        }
    }
    Ok(())
}

fn event_loop() -> Result<Runtime, Vec<Diagnostic>> {
    Builder::new_current_thread().enable_all().build().map_err(|e| vec![thread_fault(&e)])
}

fn thread_fault(error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(
        "system-refused",
        "gateway",
        format!("the system refused a socket or thread: {error}"),
    )
    .hint("check the limits on open files and threads")
}
