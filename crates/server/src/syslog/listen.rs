//! Listeners: sockets to batches of events.
//!
//! A stream sender is held back by its own connection while the store is busy. A datagram cannot
//! be, so it waits in a queue; what the queue cannot hold is counted, reported as a loss and attested.

use super::framing::{Framer, MESSAGE_BYTES_MAX};
use crate::api::gateway::record_loss;
use crate::app::{App, Blocking};
use crate::config::{SyslogListener, SyslogProtocol};
use crate::handle::now;
use crate::identity::secrets::new_id;
use normalize::{Parser, Source};
use schema::{Event, Timestamp};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::meta::Loss;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Messages that wait for the store, per listener.
const QUEUE_MESSAGES: usize = 8_192;
/// A batch is stored when it has this many messages…
const BATCH_MESSAGES: usize = 1_024;
/// …or when its first has waited this long.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// Numbers taken from the metadata at once: one fsync per so many messages. A restart skips the rest.
const NUMBERS_AT_ONCE: u64 = 10_000;
/// Connections of one listener at once.
const CONNECTIONS_MAX: usize = 512;
/// A sender silent for longer is gone; its next message opens a new connection.
const IDLE_MAX: Duration = Duration::from_secs(3600);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often drops are written down.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Before a batch the store refused is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A listener that runs, and where.
#[derive(Debug, Clone)]
pub struct Bound {
    pub name: String,
    pub address: SocketAddr,
}

/// The listeners, and the tasks that end once everything received is stored and every loss told.
pub struct Started {
    pub bound: Vec<Bound>,
    pub storing: JoinSet<()>,
}

/// Binds and starts every configured listener.
pub async fn start(app: &App, tls: &TlsAcceptor) -> io::Result<Started> {
    let (mut bound, mut storing) = (Vec::new(), JoinSet::new());
    for listener in &app.config.syslog {
        let (sender, receiver) = mpsc::channel(QUEUE_MESSAGES);
        let lost = Arc::new(Lost::default());
        let address = match listener.protocol {
            SyslogProtocol::Udp => {
                let socket = UdpSocket::bind(listener.listen).await?;
                let address = socket.local_addr()?;
                tokio::spawn(datagrams(app.clone(), socket, sender, Arc::clone(&lost)));
                address
            }
            SyslogProtocol::Tcp | SyslogProtocol::Tls => {
                let socket = TcpListener::bind(listener.listen).await?;
                let address = socket.local_addr()?;
                let tls = (listener.protocol == SyslogProtocol::Tls).then(|| tls.clone());
                tokio::spawn(streams(app.clone(), socket, tls, sender));
                address
            }
        };
        storing.spawn(store(app.clone(), listener.clone(), receiver));
        storing.spawn(report(app.clone(), listener.clone(), lost));
        bound.push(Bound { name: listener.name.clone(), address });
    }
    Ok(Started { bound, storing })
}

#[derive(Debug, Default)]
struct Lost {
    count: AtomicU64,
}

async fn datagrams(app: App, socket: UdpSocket, queue: mpsc::Sender<Vec<u8>>, lost: Arc<Lost>) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let mut ending = app.ending.clone();
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let length = match received {
            Ok((length, _)) => length,
            Err(error) => {
                tracing::warn!(%error, "cannot receive a syslog datagram");
                continue;
            }
        };
        let message = buffer.get(..length).unwrap_or_default().trim_ascii_end();
        if !message.is_empty() && queue.try_send(message.to_vec()).is_err() {
            lost.count.fetch_add(1, Ordering::Relaxed);
            app.counters.syslog_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn streams(
    app: App,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    queue: mpsc::Sender<Vec<u8>>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut ending = app.ending.clone();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a syslog connection");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        };
        let (app, tls, queue) = (app.clone(), tls.clone(), queue.clone());
        tokio::spawn(async move {
            let _permit = permit;
            match tls {
                None => read(app, stream, peer, queue).await,
                Some(tls) => {
                    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                        Ok(Ok(stream)) => read(app, stream, peer, queue).await,
                        _ => {
                            app.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }
        });
    }
}

async fn read(
    app: App,
    mut stream: impl AsyncRead + Unpin,
    peer: SocketAddr,
    queue: mpsc::Sender<Vec<u8>>,
) {
    let mut framer = Framer::default();
    let mut buffer = vec![0; 16 << 10];
    let mut ending = app.ending.clone();
    let mut messages = Vec::new();
    loop {
        let count = tokio::select! {
            read = tokio::time::timeout(IDLE_MAX, stream.read(&mut buffer)) => match read {
                Ok(Ok(count)) => count,
                _ => 0,
            },
            _ = ending.wait_for(|ending| *ending) => 0,
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        let framed = framer.push(bytes, |message| messages.push(message.to_vec()));
        if count == 0 {
            framer.finish(|message| messages.push(message.to_vec()));
        }
        for message in messages.drain(..) {
            // The queue is full: the sender waits, as TCP lets it.
            if queue.send(message).await.is_err() {
                return;
            }
        }
        if let Err(error) = framed {
            tracing::warn!(%peer, %error, "syslog connection closed");
            return;
        }
        if count == 0 {
            return;
        }
    }
}

/// Batches messages, numbers them, and hands them to the pipeline until it took them.
async fn store(app: App, listener: SyslogListener, mut queue: mpsc::Receiver<Vec<u8>>) {
    let source = Source {
        name: listener.name.clone(),
        format: listener.format,
        device: None,
        site: listener.site.clone(),
        utc_offset_secs: listener.utc_offset_secs,
    };
    let mut parser: Option<Parser> = None;
    let mut last_number = 0;
    loop {
        let mut batch = Vec::new();
        // Audit groups wait for their last record; when nothing more comes they are closed by age.
        let wait = if parser.is_some() { Duration::from_secs(2) } else { IDLE_MAX };
        let is_over =
            match tokio::time::timeout(wait, queue.recv_many(&mut batch, BATCH_MESSAGES)).await {
                Ok(count) => count == 0,
                Err(_) => false,
            };
        if !batch.is_empty() && batch.len() < BATCH_MESSAGES {
            tokio::time::sleep(BATCH_WAIT).await;
            while batch.len() < BATCH_MESSAGES {
                match queue.try_recv() {
                    Ok(message) => batch.push(message),
                    Err(_) => break,
                }
            }
        }
        let needed = parser.as_ref().map_or(0, Parser::next_sequence) + batch.len() as u64;
        let mut events = Vec::new();
        if parser.is_none() || needed > last_number {
            if let Some(mut old) = parser.take() {
                events.extend(old.finish(now()).events);
            }
            let first = numbers(&app, &listener).await;
            last_number = first + NUMBERS_AT_ONCE;
            parser = Some(Parser::new(listener.tenant.clone(), source.clone(), first));
        }
        if let Some(parser) = parser.as_mut() {
            let received = now();
            let mut text = Vec::new();
            for message in &batch {
                line(message, &mut text);
            }
            events.extend(parser.push(&text, received).events);
            if is_over {
                events.extend(parser.finish(received).events);
            }
        }
        app.counters.syslog_messages.fetch_add(batch.len() as u64, Ordering::Relaxed);
        ingest(&app, &listener, events).await;
        if is_over {
            return;
        }
    }
}

/// A message becomes one line: a newline inside is written as rsyslog does, `#012`.
fn line(message: &[u8], into: &mut Vec<u8>) {
    for byte in message {
        match byte {
            b'\n' => into.extend_from_slice(b"#012"),
            byte => into.push(*byte),
        }
    }
    into.push(b'\n');
}

async fn numbers(app: &App, listener: &SyslogListener) -> u64 {
    loop {
        let (tenant, source) = (listener.tenant.clone(), listener.name.clone());
        let taken = app
            .meta
            .blocking(move |m| m.write(|tx| tx.take_sequences(&tenant, &source, NUMBERS_AT_ONCE)))
            .await;
        match taken {
            Ok(first) => return first,
            // Messages wait, then senders do: nothing is dropped for it but datagrams, which are counted.
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

async fn ingest(app: &App, listener: &SyslogListener, events: Vec<Event>) {
    if events.is_empty() {
        return;
    }
    loop {
        match app.pipeline.ingest(listener.tenant.clone(), events.clone()).await {
            Ok(answer) => {
                app.counters.events_accepted.fetch_add(answer.accepted, Ordering::Relaxed);
                return;
            }
            Err(problem) => {
                tracing::warn!(listener = listener.name, code = problem.code, "syslog batch waits");
                if *app.ending.borrow() {
                    return;
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Writes down what was dropped, stretch by stretch.
async fn report(app: App, listener: SyslogListener, lost: Arc<Lost>) {
    let mut ending = app.ending.clone();
    let mut since: Timestamp = now();
    let mut untold: VecDeque<Loss> = VecDeque::new();
    loop {
        let is_over = tokio::select! {
            () = tokio::time::sleep(REPORT_EVERY) => false,
            _ = ending.wait_for(|ending| *ending) => true,
        };
        let until = now();
        let dropped = lost.count.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            untold.push_back(Loss {
                source: listener.name.clone(),
                since,
                until,
                reason: "syslog-queue-full".to_owned(),
                dropped,
                received: until,
            });
        }
        since = until;
        while let Some(loss) = untold.front().cloned() {
            let Ok(subject) = new_id(until) else { break };
            match record_loss(&app, listener.tenant.clone(), loss, subject).await {
                Ok(_) => untold.pop_front(),
                Err(_) => break,
            };
        }
        if is_over {
            return;
        }
    }
}
