//! Enforces trust decisions: asks the decision point about a request, keeps what it said for as
//! long as it may, and performs what it obliges to.
//!
//! The server decides (`POST /access/v1/evaluation`, OpenID AuthZEN 1.0), the gateway enforces.
//! [`Asker::ask`] is the way in; [`judge`] says what the answer means for a request. What cannot be
//! asked, read or performed is denied, unless the site wants it let through while the decision
//! point cannot be asked.

mod answer;
mod bearers;
mod judge;
mod lru;
mod metrics;
mod obligation;
mod pdp;
mod question;
mod refused;
mod streams;

pub use answer::{Decision, Fault, Ruling};
pub use judge::{LARGE_TRANSFER_BYTES, Way};
pub use obligation::{Obligation, Obligations};
pub use question::{Proof, Question};
pub use refused::{Held, Refused};
pub use streams::{End, Ticket};

use crate::config::{ServerConfig, Unavailable};
use crate::enforce::RequestKeys;
use crate::proxy::shared::now;
use answer::FaultyAnswer;
use bearers::Bearers;
use lru::Key;
pub(crate) use lru::Lru;
use metrics::TrustMetrics;
use pdp::{AskError, Pdp};
use question::{About, bearer};
use schema::{Diagnostic, Entity, Reconsider, Timestamp, id_from_seed};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streams::{Stream, Streams};
use tokio::sync::watch;

/// Decisions kept; the ones used least recently go first. They take about 60 MiB.
pub const DECISIONS_MAX: usize = 100_000;
/// Each part has its own lock: workers seldom wait for each other, and forgetting what changed
/// holds none of them for long.
const PARTS: usize = 16;
/// Times a question is asked anew because something changed meanwhile; then the answer counts for
/// those who wait, and is not kept.
const ROUNDS_MAX: usize = 3;
/// How often streams are looked at whose decision ran out.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A stream let through without a decision is asked about again after this long.
const UNAVAILABLE_AGAIN: Duration = Duration::from_secs(5);

/// Asks, and remembers; shared by all workers.
pub struct Asker {
    pdp: Pdp,
    kept: Vec<Mutex<Lru<Kept>>>,
    flights: Mutex<HashMap<Key, Arc<Flight>>>,
    pub bearers: Bearers,
    pub streams: Arc<Streams>,
    pub metrics: TrustMetrics,
    /// What the last set asked to reconsider: each change voids once, whenever it is seen first.
    seen: Mutex<HashSet<(Option<Entity>, Timestamp)>>,
    health: AtomicU8,
}

struct Kept {
    decision: Arc<Decision>,
    until: Instant,
    about: About,
}

/// A question under way.
struct Flight {
    about: About,
    /// Something changed since it was asked.
    is_void: AtomicBool,
    answer: watch::Receiver<Option<Answer>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With when it runs out.
    Decided(Arc<Decision>, Instant),
    Faulty(Fault),
    Unavailable,
}

/// What is said of a request: whether it passes, and what is on record about it.
pub struct Verdict {
    pub decision: Option<Arc<Decision>>,
    pub performed: Obligations,
    pub result: Result<(), Held>,
    /// When what goes on has to be asked about again.
    pub due: Option<Instant>,
    pub is_unavailable: bool,
}

/// How the decision point did last, to log only when that changes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Health {
    Unknown,
    Good,
    Faulty,
    Unavailable,
}

impl Asker {
    pub fn new(server: &ServerConfig) -> Result<Asker, Diagnostic> {
        Ok(Asker {
            pdp: Pdp::new(server)?,
            kept: (0..PARTS).map(|_| Mutex::new(Lru::new(DECISIONS_MAX / PARTS))).collect(),
            flights: Mutex::default(),
            bearers: Bearers::new(),
            streams: Arc::default(),
            metrics: TrustMetrics::new(),
            seen: Mutex::default(),
            health: AtomicU8::new(Health::Unknown as u8),
        })
    }

    /// The decision about a request: a kept one, the one somebody else is asking for, or a new one.
    pub async fn ask(self: &Arc<Self>, question: &Arc<Question>, patience: Duration) -> Answer {
        if let Some(kept) = self.kept(&question.key) {
            self.metrics.hits.add(1);
            return kept;
        }
        let mut answer = {
            let mut flights = self.flights();
            if let Some(flight) = flights.get(&question.key) {
                self.metrics.coalesced.add(1);
                flight.answer.clone()
            } else if let Some(kept) = self.kept(&question.key) {
                self.metrics.hits.add(1);
                return kept;
            } else {
                let (sender, answer) = watch::channel(None);
                let flight = Arc::new(Flight {
                    about: question.about(),
                    is_void: AtomicBool::new(false),
                    answer: answer.clone(),
                });
                flights.insert(question.key, Arc::clone(&flight));
                let question = Arc::clone(question);
                let pilot = Pilot { asker: Arc::clone(self), question, flight, sender };
                // On its own: a client that leaves takes nobody else's answer along.
                tokio::spawn(async move { pilot.fly(patience).await });
                answer
            }
        };
        match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Answer::Unavailable),
            Err(_) => Answer::Unavailable,
        }
    }

    fn kept(&self, key: &Key) -> Option<Answer> {
        let mut part = self.part(key)?;
        let kept = part.get(key)?;
        if Instant::now() >= kept.until {
            part.remove(key);
            return None;
        }
        Some(Answer::Decided(Arc::clone(&kept.decision), kept.until))
    }

    fn part(&self, key: &Key) -> Option<MutexGuard<'_, Lru<Kept>>> {
        let [first, ..] = key;
        let part = self.kept.get(usize::from(*first) % PARTS)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the decision point.
    async fn inquire(&self, question: &Question, patience: Duration) -> Answer {
        let began = Instant::now();
        let now = now();
        let proof = self.bearers.proof(&question.bearer(), now);
        let body = question.to_body(now, proof.as_ref().map(|(_, proof)| proof));
        let answered = self.pdp.evaluate(body, patience).await;
        self.metrics.asks.observe(began.elapsed());
        let read = match answered {
            Ok(body) => answer::read(&body, question.supported(), || {
                id_from_seed(now, &question.key).to_string()
            }),
            Err(error @ AskError::Refused(..)) => {
                Err(FaultyAnswer { fault: Fault::AskRefused, detail: error.to_string() })
            }
            Err(error @ AskError::TooLong) => {
                Err(FaultyAnswer { fault: Fault::Malformed, detail: error.to_string() })
            }
            Err(error) => {
                self.metrics.unavailable();
                if self.is_news(Health::Unavailable) {
                    tracing::warn!(%error, "no trust decisions: the server cannot be asked");
                }
                return Answer::Unavailable;
            }
        };
        match read {
            Ok(decision) => {
                self.metrics.ruled(decision.ruling);
                if self.is_news(Health::Good) {
                    tracing::info!("trust decisions are being answered");
                }
                // Since when it is known, for its age.
                self.bearers.since(&question.bearer(), now);
                let mut until = Instant::now() + decision.ttl;
                if let Some((end, _)) = proof {
                    // What was told of the proof holds no longer than the proof.
                    let left = u64::try_from(end.saturating_sub(now)).unwrap_or(0);
                    until = until.min(Instant::now() + Duration::from_millis(left));
                }
                Answer::Decided(Arc::new(decision), until)
            }
            Err(FaultyAnswer { fault, detail }) => {
                self.metrics.faulty(fault);
                if self.is_news(Health::Faulty) {
                    tracing::error!(
                        code = fault.as_str(),
                        detail,
                        "a trust decision cannot be used: denied"
                    );
                }
                Answer::Faulty(fault)
            }
        }
    }

    fn is_news(&self, health: Health) -> bool {
        self.health.swap(health as u8, Ordering::Relaxed) != health as u8
    }

    /// What an answer means for a request of this site.
    pub fn judge(
        &self,
        answer: Answer,
        question: &Question,
        now: Timestamp,
        way: &Way<'_>,
    ) -> Verdict {
        let mut verdict = Verdict {
            decision: None,
            performed: Obligations::default(),
            result: Ok(()),
            due: None,
            is_unavailable: false,
        };
        match answer {
            Answer::Decided(decision, until) => {
                (verdict.performed, verdict.result) =
                    judge::judge(&decision, question, &self.bearers, now, way);
                let end = judge::ends_at(&decision, question, &self.bearers, now);
                let left = end.and_then(|end| u64::try_from(end.saturating_sub(now)).ok());
                let end = left.map(|left| Instant::now() + Duration::from_millis(left));
                let until = (!decision.ttl.is_zero()).then_some(until);
                verdict.due = [until, end].into_iter().flatten().min();
                verdict.decision = Some(decision);
            }
            Answer::Faulty(fault) => {
                verdict.result = Err(Held::new(Refused::Denied, fault.as_str()));
            }
            Answer::Unavailable => {
                verdict.is_unavailable = true;
                verdict.due = Some(Instant::now() + UNAVAILABLE_AGAIN);
                let choice = question.site.trust.as_ref().map(|trust| trust.unavailable);
                if choice != Some(Unavailable::Allow) {
                    let held = Held::new(Refused::Unavailable, "unavailable");
                    let wait = Some(UNAVAILABLE_AGAIN.as_secs());
                    verdict.result = Err(Held { retry_after_secs: wait, ..held });
                }
            }
        }
        verdict
    }

    /// The visitor proved who they are: that satisfies `step_up_mfa` until `until`, and the decision
    /// point is told when it is asked next.
    pub fn note_proof(&self, keys: &RequestKeys, now: Timestamp, until: Timestamp, proof: Proof) {
        let about = About::of(keys);
        // An address proves nothing: others are behind it.
        if !about.has_bearer() {
            return;
        }
        self.bearers.note_proof(&bearer(keys), now, until, proof);
        self.forget(|other| !other.is_same_bearer(&about));
    }

    /// Takes over what a set of restrictions asks to reconsider. A change is known by its entity and
    /// moment, not compared with our clock: whatever was decided before it was heard of is void.
    pub fn reconsider(&self, all: &[Reconsider]) {
        let fresh: Vec<&Reconsider> = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::take(&mut *seen);
            let name = |change: &Reconsider| (change.entity.clone(), change.since);
            *seen = all.iter().map(name).collect();
            all.iter().filter(|change| !before.contains(&name(change))).collect()
        };
        if fresh.is_empty() {
            return;
        }
        let gone = self.forget(|about| !fresh.iter().any(|change| about.is_touched_by(change)));
        self.metrics.reconsidered.add(gone as u64);
        self.streams.reconsider(&fresh);
    }

    /// Forgets the decisions `keep` does not want, and has those under way asked for anew.
    fn forget(&self, keep: impl Fn(&About) -> bool) -> usize {
        // Nothing lands while this is held.
        let flights = self.flights();
        for flight in flights.values().filter(|flight| !keep(&flight.about)) {
            flight.is_void.store(true, Ordering::Release);
        }
        self.kept
            .iter()
            .map(|part| {
                let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
                part.retain(|kept| keep(&kept.about))
            })
            .sum()
    }

    /// Asks again about streams under way, when something changed or their decision ran out. Runs
    /// until the gateway ends.
    pub async fn keep_watch(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.streams.wake.notified() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            for stream in self.streams.to_review(Instant::now()) {
                tokio::spawn(Arc::clone(&self).review(stream));
            }
        }
    }

    async fn review(self: Arc<Self>, stream: Arc<Stream>) {
        stream.begin_review();
        let question = &stream.question;
        let patience = question.site.trust.as_ref().map_or(Duration::ZERO, |trust| trust.timeout);
        let answer = self.ask(question, patience).await;
        let way = Way { is_open: &|| stream.is_open, is_sign_in: &|| false, is_under_way: true };
        let mut verdict = self.judge(answer, question, now(), &way);
        if stream.is_download && verdict.performed.contains(Obligation::DownloadBlock) {
            let held = Held::new(Refused::DownloadBlocked, Obligation::DownloadBlock.id());
            verdict.result = verdict.result.and(Err(held));
        }
        match verdict.result {
            Ok(()) => stream.go_on(verdict.due),
            Err(held) => {
                self.metrics.streams_ended.add(1);
                self.metrics.refused(held.refused);
                stream.end(End { held, decision: verdict.decision });
            }
        }
        self.streams.reviewed(&stream);
    }

    /// Appends its metrics.
    pub fn write_metrics(&self, out: &mut String) {
        let lock =
            |part: &Mutex<Lru<Kept>>| part.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.metrics.write(out, self.kept.iter().map(lock).sum(), self.streams.len());
    }
}

/// Carries one question out and its answer in, and takes it off the list however it ends.
struct Pilot {
    asker: Arc<Asker>,
    question: Arc<Question>,
    flight: Arc<Flight>,
    sender: watch::Sender<Option<Answer>>,
}

impl Pilot {
    async fn fly(&self, patience: Duration) {
        let Pilot { asker, question, flight, sender } = self;
        for round in 1..=ROUNDS_MAX {
            let answer = asker.inquire(question, patience).await;
            let mut flights = asker.flights();
            let is_void = flight.is_void.swap(false, Ordering::AcqRel);
            if is_void && round < ROUNDS_MAX {
                continue;
            }
            if let Answer::Decided(decision, until) = &answer
                && !is_void
                && *until > Instant::now()
                && let Some(mut part) = asker.part(&question.key)
            {
                let about = question.about();
                part.insert(
                    question.key,
                    Kept { decision: Arc::clone(decision), until: *until, about },
                );
            }
            flights.remove(&question.key);
            drop(flights);
            sender.send_replace(Some(answer));
            return;
        }
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        // Still listed only when its event loop ended: the sender goes, and tells whoever waits.
        let mut flights = self.asker.flights();
        let key = &self.question.key;
        if flights.get(key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(key);
        }
    }
}
