//! One tenant's desk: its policy, what it knows, and what was last asked and answered.
//!
//! A decision touches no disk. Many are judged at once; only remembering them is one by one, and
//! whatever changes what is known waits for those under way.

use super::answer::{self, Answer, AnswerContext, JudgedContext, Obligation, Texts};
use super::evidence::{Evidence, Met};
use super::recent::{Outcome, Recent, what};
use super::record::{Previous, Record, session_of};
use super::wire::Question;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use schema::{Diagnostic, Entity, Event, Finding, TenantId, Timestamp};
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use trust::{Decision, Demands, Policy, Readings, TTL_SECS_MAX, decide};
use uuid::Uuid;

/// The same refusal to the same session at the same resource is written down again after this.
pub(super) const REPEAT_MS: i64 = 60_000;

/// What a tenant judges by.
#[derive(Clone)]
pub struct Rules {
    pub policy: Arc<Policy>,
    /// A place in the policy's profiles.
    pub profile: usize,
}

pub struct Desk {
    pub tenant: TenantId,
    born: Timestamp,
    /// Taken before `recent`, where both are.
    known: RwLock<Known>,
    recent: Mutex<Recent>,
    pub permitted: AtomicU64,
    pub refused: AtomicU64,
}

struct Known {
    rules: Rules,
    evidence: Evidence,
}

/// An answer, and its record when it is one to keep.
pub struct Judged {
    pub answer: Answer,
    pub record: Option<Record>,
}

/// What a change of the evidence brought about.
pub struct Changed {
    /// Whose decisions are void; `None`: everybody's.
    pub concerned: Option<Vec<Entity>>,
    pub turned: Vec<Turned>,
}

/// A session whose standing changed without anybody asking.
pub struct Turned {
    pub record: Record,
    /// Whom it is about, strongest first.
    pub entities: Vec<Entity>,
}

/// Why decisions are looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Finding,
    Signal,
    Register,
    Site,
    Policy,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Finding => "finding",
            Cause::Signal => "signal",
            Cause::Register => "register",
            Cause::Site => "site",
            Cause::Policy => "policy",
        }
    }
}

impl Desk {
    pub fn new(tenant: TenantId, rules: Rules, evidence: Evidence, now: Timestamp) -> Desk {
        Desk {
            tenant,
            born: now,
            known: RwLock::new(Known { rules, evidence }),
            recent: Mutex::default(),
            permitted: AtomicU64::default(),
            refused: AtomicU64::default(),
        }
    }

    /// Decides. Faults in the signals are told, and nothing is decided then.
    pub fn judge(&self, question: Question, now: Timestamp) -> Result<Judged, Problem> {
        let id = new_id(now)?;
        let session = session_of(&question);
        // Held to the end: nothing changes between judging and remembering.
        let known = self.known();
        let mut fresh = known.judge(&question, id, now).map_err(bad_signals)?;
        let answer = fresh.answer(&known.rules.policy);
        let mut recent = self.recent();
        let keep = recent.note(&session, question, &fresh);
        let record = keep.zip(recent.get(&session)).map(|(keep, last)| {
            let words = answer.judged().map(|context| context.reason_admin.clone());
            let mut record = known.record(fresh, &last.question, words);
            record.cause = keep.code.to_owned();
            record.repeats = keep.repeats;
            record.previous = keep.previous;
            record
        });
        drop((recent, known));
        let counter = if answer.decision { &self.permitted } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Judged { answer, record })
    }

    /// Decides without leaving a trace: what-if, search.
    pub fn would(&self, question: &Question, now: Timestamp) -> Result<bool, Problem> {
        Ok(self.known().judge(question, Uuid::nil(), now).map_err(bad_signals)?.permit)
    }

    /// Takes part of the stored past in: nobody is judged again by it.
    pub fn learn(&self, event: &Event, findings: &[Finding]) {
        let mut known = self.known_mut();
        known.evidence.observe(event);
        for finding in findings {
            known.evidence.find(finding);
        }
    }

    /// Changes what is known. `change` says whom that may concern (`None`: everybody); they are
    /// judged again.
    pub fn change(
        &self,
        cause: Cause,
        causes: &[Uuid],
        now: Timestamp,
        change: impl FnOnce(&mut Evidence) -> Option<Vec<Entity>>,
    ) -> Result<Changed, Problem> {
        let mut known = self.known_mut();
        let mut concerned = change(&mut known.evidence);
        let turned = known.again(&mut self.recent(), concerned.as_deref(), cause, causes, now)?;
        if let Some(concerned) = &mut concerned {
            // An enforcement point may know a session and not whose it is.
            for first in turned.iter().filter_map(|turned| turned.entities.first()) {
                if !concerned.contains(first) {
                    concerned.push(first.clone());
                }
            }
        }
        Ok(Changed { concerned, turned })
    }

    /// Judges by other rules from now on; the sessions that turned.
    pub fn set_rules(
        &self,
        rules: Rules,
        causes: &[Uuid],
        now: Timestamp,
    ) -> Result<Changed, Problem> {
        let mut known = self.known_mut();
        known.rules = rules;
        let turned = known.again(&mut self.recent(), None, Cause::Policy, causes, now)?;
        Ok(Changed { concerned: None, turned })
    }

    pub fn rules(&self) -> Rules {
        self.known().rules.clone()
    }

    /// What was last answered about a session, and what would be answered now to the same question.
    pub fn standing(
        &self,
        session: &str,
        now: Timestamp,
    ) -> Result<(Option<Previous>, Option<Record>), Problem> {
        let known = self.known();
        let recent = self.recent();
        let Some(last) = recent.get(session) else { return Ok((None, None)) };
        let fresh = known.judge(&last.question, Uuid::nil(), now).map_err(bad_signals)?;
        Ok((last.newest().cloned(), Some(known.record(fresh, &last.question, None))))
    }

    pub fn with<T>(&self, ask: impl FnOnce(&Evidence) -> T) -> T {
        ask(&self.known().evidence)
    }

    /// Whether somebody may hold an answer that can become void: one given here, or by the server
    /// that ran before this one.
    pub fn is_used(&self, now: Timestamp) -> bool {
        now - self.born <= i64::from(TTL_SECS_MAX) * 1000 || !self.recent().is_empty()
    }

    /// Sessions remembered.
    pub fn sessions(&self) -> usize {
        self.recent().len()
    }

    // A panic while holding a lock leaves every part of what is inside whole, if not the newest.

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A judgement just made. What is said of it, and what is kept, is made of it where somebody asks.
pub(super) struct Fresh {
    pub id: Uuid,
    pub time: Timestamp,
    pub decision: Decision,
    /// What the enforcement point is told.
    pub permit: bool,
    /// Whose account it is taken to be.
    pub account: Option<String>,
    obligations: Vec<Obligation>,
    readings: Readings,
    demands: Demands,
    notes: Vec<String>,
}

/// Why a record is kept.
pub(super) struct Keep {
    pub code: &'static str,
    pub repeats: u64,
    pub previous: Option<Previous>,
}

impl Known {
    fn judge(
        &self,
        question: &Question,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Fresh, Vec<Diagnostic>> {
        let Rules { policy, profile } = &self.rules;
        let context = &question.context;
        // The caller's own signals are checked by themselves, so that a fault is theirs.
        if !context.signals.is_empty() {
            policy.state(&context.signals)?;
        }
        let met = self.evidence.gather(policy, question, now);
        let Met { readings, demands, account, mut notes } = met;
        let decision = decide(policy, *profile, &policy.state(&readings)?, &demands);
        let obligations = answer::obligations(policy, &decision);
        notes.extend(context.time_fault(now).map(str::to_owned));
        let performs = |id: &str| {
            let supported = context.obligations_supported.as_ref();
            supported.is_none_or(|all| all.iter().any(|performed| performed == id))
        };
        let mut permit = decision.permit;
        if permit && obligations.iter().any(|obligation| !performs(&obligation.id)) {
            permit = false;
            notes.push("obligation-unsupported".to_owned());
        }
        Ok(Fresh {
            id,
            time: now,
            decision,
            permit,
            account,
            obligations,
            readings,
            demands,
            notes,
        })
    }

    /// What is kept of it; `words` are its reasons, where they were put into words already.
    fn record(&self, fresh: Fresh, question: &Question, words: Option<Texts>) -> Record {
        let Fresh { id, time, decision, permit, readings, demands, notes, .. } = fresh;
        let words = words.unwrap_or_else(|| answer::reason_admin(&self.rules.policy, &decision));
        Record {
            id,
            time,
            session: session_of(question),
            action: question.action.clone(),
            resource: format!("{}:{}", question.resource.kind, question.resource.id),
            subject_properties: question.subject.properties.clone(),
            address: question.context.address.clone(),
            user_agent: question.context.user_agent.clone(),
            readings,
            demands,
            site: self.evidence.site_hash(),
            decision,
            permit,
            cause: String::new(),
            causes: Vec::new(),
            previous: None,
            repeats: 0,
            reason_admin: words,
            notes,
        }
    }

    /// Judges again what was last asked of everybody who is, or uses, one of `about`.
    fn again(
        &self,
        recent: &mut Recent,
        about: Option<&[Entity]>,
        cause: Cause,
        causes: &[Uuid],
        now: Timestamp,
    ) -> Result<Vec<Turned>, Problem> {
        let mut turned = Vec::new();
        for session in recent.concerned(about) {
            let Some(last) = recent.get_mut(&session) else { continue };
            // A question that was judged before can only fail now if the policy no longer knows
            // its signals; whoever asks again is told so.
            let fresh = self.judge(&last.question, Uuid::nil(), now);
            let Ok(mut fresh) = fresh else { continue };
            let what = what(&last.question);
            let Some(outcome) = last.outcome_mut(what) else { continue };
            if outcome.is_alike(&fresh) {
                continue;
            }
            fresh.id = new_id(now)?;
            let previous = outcome.previous();
            *outcome = Outcome::of(what, &fresh, true);
            let mut record = self.record(fresh, &last.question, None);
            record.cause = cause.as_str().to_owned();
            record.causes = causes.to_vec();
            record.previous = Some(previous);
            let entities = last.entities.clone();
            turned.push(Turned { record, entities });
        }
        Ok(turned)
    }
}

impl Fresh {
    /// What the enforcement point is told; its obligations go with it.
    fn answer(&mut self, policy: &Policy) -> Answer {
        let decision = &self.decision;
        let context = JudgedContext {
            id: self.id,
            score: decision.score,
            decisions: decision.decisions.clone(),
            ttl_secs: decision.ttl_secs,
            policy: Arc::clone(&decision.policy),
            profile: Arc::clone(&decision.profile),
            obligations: take(&mut self.obligations),
            reason_admin: answer::reason_admin(policy, decision),
            reason_user: answer::reason_user(self.permit, decision),
            notes: self.notes.clone(),
        };
        let context = Some(AnswerContext::Judged(Box::new(context)));
        Answer { decision: self.permit, context }
    }
}

fn bad_signals(diagnostics: Vec<Diagnostic>) -> Problem {
    Problem::bad_request("signal-invalid", "the signals are not what the policy knows")
        .hint("each diagnostic names a signal and what it may say; nothing was decided")
        .diagnostics(diagnostics)
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Asked, parse};
    use super::super::{PROFILE_DEFAULT, parse_policy, parse_site};
    use super::*;
    use schema::EntityKind;

    const NOW: Timestamp = 1_795_000_000_000;

    fn desk(site: &str) -> Desk {
        let rules = parse_policy("", PROFILE_DEFAULT).unwrap();
        let evidence = Evidence::new(parse_site(site).unwrap(), None);
        Desk::new("default".parse().unwrap(), rules, evidence, NOW)
    }

    fn question(performs: &str) -> Question {
        let text = format!(
            r#"{{"subject":{{"type":"session","id":"s-1","properties":{{"account":"kim"}}}},
                "action":{{"name":"GET"}},"resource":{{"type":"route","id":"shop/GET /"}},
                "context":{{"obligations_supported":[{performs}]}}}}"#
        );
        parse::<Asked>(text.as_bytes()).unwrap().question().unwrap()
    }

    #[test]
    fn a_refusal_is_kept_once_a_minute_and_counts_what_lay_between() {
        let desk = desk("grants: []");
        let ask = |at| desk.judge(question(""), at).unwrap().record;
        assert_eq!(ask(NOW).map(|record| record.cause), Some("refused".to_owned()));
        assert!(ask(NOW + 1_000).is_none() && ask(NOW + 59_000).is_none());
        let again = ask(NOW + 60_000).unwrap();
        assert_eq!((again.repeats, again.previous.map(|p| p.permit)), (2, Some(false)));
        assert!(ask(NOW + 61_000).is_none(), "counted from the record before");
    }

    #[test]
    fn a_permission_is_kept_once_a_day_and_when_it_changes_something() {
        let desk = desk("");
        let ask = |at| desk.judge(question(""), at).unwrap();
        let opened = ask(NOW);
        assert!(opened.answer.decision && ask(NOW + 1).record.is_none());
        let opened = opened.record.unwrap();
        assert_eq!((opened.cause.as_str(), opened.is_attested()), ("opened", false));
        let kim = Entity::new(EntityKind::Account, "kim");
        let suspected = |is_suspected, at| {
            let enter =
                |evidence: &mut Evidence| Some(evidence.book.suspicion("kim", is_suspected, at));
            desk.change(Cause::Signal, &[], at, enter).unwrap()
        };
        let changed = suspected(true, NOW + 2);
        assert!(changed.concerned.unwrap().contains(&kim));
        let [turned] = &changed.turned[..] else { panic!("one session turned") };
        assert!(!turned.record.permit && turned.record.previous.as_ref().unwrap().permit);
        // Whoever asks now is told the same; it is on record already.
        assert!(ask(NOW + 3).record.is_none());
        suspected(false, NOW + 4);
        let back = desk.standing("session:s-1", NOW + 5).unwrap().0.unwrap();
        assert!(back.permit, "and back again");
        assert!(ask(NOW + 5).record.is_none(), "on record already");
        let tomorrow = ask(NOW + 24 * 60 * 60 * 1000).record.unwrap();
        assert_eq!((tomorrow.cause.as_str(), tomorrow.previous), ("opened", None));
    }

    #[test]
    fn an_obligation_the_enforcement_point_cannot_perform_is_a_refusal() {
        let site = "people: [{accounts: [kim], user_type: guest, domain_approved: true, mfa_exempt: true}]";
        let desk = desk(site);
        let judged = desk.judge(question(""), NOW).unwrap().answer;
        let context = judged.judged().unwrap();
        assert!(!judged.decision && context.notes.contains(&"obligation-unsupported".to_owned()));
        let names: Vec<String> =
            context.obligations.iter().map(|o| format!("{:?}", o.id)).collect();
        assert!(names.contains(&"\"read_only\"".to_owned()), "{names:?}");
        let able = desk.judge(question(&names.join(",")), NOW + 1).unwrap();
        assert!(able.answer.decision);
        let attributes = able.answer.judged().unwrap().obligations.iter();
        let short = attributes.clone().find(|o| o.id == "session_ttl_short").unwrap();
        assert_eq!(short.attributes["ttl_secs"], 900);
    }
}
