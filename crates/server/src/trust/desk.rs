//! One tenant's desk: its policy, what it knows, and what was last asked and answered.
//!
//! A decision touches no disk, and holds the desk's lock only while it gathers and remembers.

use super::answer::{self, Answer, AnswerContext, JudgedContext};
use super::evidence::{Evidence, Met};
use super::recent::{Last, Outcome, Recent, what};
use super::record::{OPENED, Previous, Record, session_of};
use super::wire::Question;
use crate::identity::secrets::new_id;
use crate::problem::Problem;
use schema::{Diagnostic, Entity, Event, Finding, TenantId, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trust::{Policy, TTL_SECS_MAX, decide};
use uuid::Uuid;

/// The same refusal to the same session at the same resource is written down again after this.
const REPEAT_MS: i64 = 60_000;

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
    inner: Mutex<Inner>,
    pub permitted: AtomicU64,
    pub refused: AtomicU64,
}

struct Inner {
    rules: Rules,
    evidence: Evidence,
    recent: Recent,
    /// Grows with everything that may change an answer.
    changes: u64,
}

/// What a question is judged by, taken out from under the lock.
struct View {
    rules: Rules,
    met: Met,
    site: Option<String>,
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
            inner: Mutex::new(Inner { rules, evidence, recent: Recent::default(), changes: 0 }),
            permitted: AtomicU64::default(),
            refused: AtomicU64::default(),
        }
    }

    /// Decides. Faults in the signals are told, and nothing is decided then.
    pub fn judge(&self, question: Question, now: Timestamp) -> Result<Judged, Problem> {
        let id = new_id(now)?;
        let (view, changes) = {
            let inner = self.lock();
            (inner.view(&question, now), inner.changes)
        };
        let mut judged = view.conclude(&question, id, now).map_err(bad_signals)?;
        let (answer, record) = {
            let mut inner = self.lock();
            if inner.changes != changes {
                // What was seen is not what is known any more.
                judged = inner.judge(&question, id, now).map_err(bad_signals)?;
            }
            let session = session_of(&question);
            let account = judged.account.take();
            let opening = inner.recent.opening(&judged.record);
            let last = inner.recent.entry(session, question, account);
            let (previous, keep) = last.note(&judged, opening.is_some(), now);
            if let (Some(opening), Some(_)) = (opening, &keep) {
                inner.recent.opened(opening);
            }
            let Fresh { answer, mut record, .. } = judged;
            let record = keep.map(|cause| {
                record.cause = cause.code.to_owned();
                record.repeats = cause.repeats;
                record.previous = previous;
                record
            });
            (answer, record)
        };
        let counter = if answer.decision { &self.permitted } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Judged { answer, record })
    }

    /// Decides without leaving a trace: what-if, search.
    pub fn would(&self, question: &Question, now: Timestamp) -> Result<bool, Problem> {
        let judged = self.lock().judge(question, Uuid::nil(), now).map_err(bad_signals)?;
        Ok(judged.answer.decision)
    }

    /// Takes part of the stored past in: nobody is judged again by it.
    pub fn learn(&self, event: &Event, findings: &[Finding]) {
        let mut inner = self.lock();
        inner.evidence.observe(event);
        for finding in findings {
            inner.evidence.find(finding);
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
        let mut inner = self.lock();
        let mut concerned = change(&mut inner.evidence);
        if concerned.as_ref().is_none_or(|all| !all.is_empty()) {
            inner.changes += 1;
        }
        let turned = inner.again(concerned.as_deref(), cause, causes, now)?;
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
        let mut inner = self.lock();
        inner.rules = rules;
        inner.changes += 1;
        let turned = inner.again(None, Cause::Policy, causes, now)?;
        Ok(Changed { concerned: None, turned })
    }

    pub fn rules(&self) -> Rules {
        self.lock().rules.clone()
    }

    /// What was last answered about a session, and what would be answered now to the same question.
    pub fn standing(
        &self,
        session: &str,
        now: Timestamp,
    ) -> Result<(Option<Previous>, Option<Record>), Problem> {
        let inner = self.lock();
        let Some(last) = inner.recent.get(session) else { return Ok((None, None)) };
        let fresh = inner.judge(&last.question, Uuid::nil(), now).map_err(bad_signals)?;
        Ok((last.newest().cloned(), Some(fresh.record)))
    }

    pub fn with<T>(&self, ask: impl FnOnce(&Evidence) -> T) -> T {
        ask(&self.lock().evidence)
    }

    /// Whether somebody may hold an answer that can become void: one given here, or by the server
    /// that ran before this one.
    pub fn is_used(&self, now: Timestamp) -> bool {
        now - self.born <= i64::from(TTL_SECS_MAX) * 1000 || !self.lock().recent.is_empty()
    }

    /// Sessions remembered.
    pub fn sessions(&self) -> usize {
        self.lock().recent.len()
    }

    /// A panic while holding the lock leaves every part of what is inside whole, if not the newest.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A judgement just made.
pub(super) struct Fresh {
    pub answer: Answer,
    pub record: Record,
    /// Whose account it is taken to be.
    pub account: Option<String>,
}

impl Inner {
    fn view(&self, question: &Question, now: Timestamp) -> View {
        View {
            rules: self.rules.clone(),
            met: self.evidence.gather(&self.rules.policy, question, now),
            site: self.evidence.site_hash(),
        }
    }

    fn judge(
        &self,
        question: &Question,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Fresh, Vec<Diagnostic>> {
        self.view(question, now).conclude(question, id, now)
    }

    /// Judges again what was last asked of everybody who is, or uses, one of `about`.
    fn again(
        &mut self,
        about: Option<&[Entity]>,
        cause: Cause,
        causes: &[Uuid],
        now: Timestamp,
    ) -> Result<Vec<Turned>, Problem> {
        let mut turned = Vec::new();
        for (session, question) in self.recent.concerned(about) {
            let id = new_id(now)?;
            // A question that was judged before can only fail now if the policy no longer knows
            // its signals; whoever asks again is told so.
            let Ok(Fresh { mut record, .. }) = self.judge(&question, id, now) else { continue };
            let what = what(&question);
            let Some(last) = self.recent.get_mut(&session) else { continue };
            let Some(outcome) = last.outcome_mut(what) else { continue };
            if outcome.is_alike(&record) {
                continue;
            }
            record.cause = cause.as_str().to_owned();
            record.causes = causes.to_vec();
            record.previous = Some(outcome.previous());
            *outcome = Outcome::of(what, &record, true);
            let entities = last.entities.clone();
            turned.push(Turned { record, entities });
        }
        Ok(turned)
    }
}

impl View {
    fn conclude(
        self,
        question: &Question,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Fresh, Vec<Diagnostic>> {
        let View { rules: Rules { policy, profile }, met, site } = self;
        let (policy, Met { readings, demands, account, mut notes }) = (policy.as_ref(), met);
        // The caller's own signals are checked by themselves, so that a fault is theirs.
        policy.state(&question.context.signals)?;
        let state = policy.state(&readings)?;
        let decision = decide(policy, profile, &state, &demands);
        let obligations = answer::obligations(policy, &decision);
        notes.extend(question.context.time_fault(now).map(str::to_owned));
        let performs = |id: &str| {
            question
                .context
                .obligations_supported
                .as_ref()
                .is_none_or(|all| all.iter().any(|performed| performed == id))
        };
        let mut permit = decision.permit;
        if permit && obligations.iter().any(|obligation| !performs(&obligation.id)) {
            permit = false;
            notes.push("obligation-unsupported".to_owned());
        }
        let context = JudgedContext {
            id,
            score: decision.score,
            decisions: decision.decisions.iter().map(|d| d.to_string()).collect(),
            ttl_secs: decision.ttl_secs,
            policy: decision.policy.to_string(),
            profile: decision.profile.to_string(),
            obligations,
            reason_admin: answer::reason_admin(policy, &decision),
            reason_user: answer::reason_user(permit, &decision),
            notes: notes.clone(),
        };
        let reason_admin = context.reason_admin.clone();
        let record = Record {
            id,
            time: now,
            session: session_of(question),
            action: question.action.clone(),
            resource: format!("{}:{}", question.resource.kind, question.resource.id),
            subject_properties: question.subject.properties.clone(),
            address: question.context.address.clone(),
            user_agent: question.context.user_agent.clone(),
            readings,
            demands,
            site,
            decision,
            permit,
            cause: String::new(),
            causes: Vec::new(),
            previous: None,
            repeats: 0,
            reason_admin,
            notes,
        };
        let context = Some(AnswerContext::Judged(Box::new(context)));
        Ok(Fresh { answer: Answer { decision: permit, context }, record, account })
    }
}

/// Why a record is kept.
pub(super) struct Keep {
    pub code: &'static str,
    pub repeats: u64,
}

impl Last {
    /// Remembers the outcome; what it was before, and why to keep the record, if so. `is_opening`:
    /// a permission that is not on record today.
    fn note(
        &mut self,
        fresh: &Fresh,
        is_opening: bool,
        now: Timestamp,
    ) -> (Option<Previous>, Option<Keep>) {
        let record = &fresh.record;
        let what = what(&self.question);
        let Some(known) = self.outcome_mut(what) else {
            let keep = match (record.permit, is_opening) {
                (false, _) => Some(Keep { code: "refused", repeats: 0 }),
                (true, true) => Some(Keep { code: OPENED, repeats: 0 }),
                (true, false) => None,
            };
            self.put(Outcome::of(what, record, keep.is_some()));
            return (None, keep);
        };
        let previous = known.previous();
        let is_alike = known.is_alike(record);
        let is_due = now - known.recorded >= REPEAT_MS;
        let repeats = known.repeats;
        let keep = match (is_alike, record.permit) {
            (false, _) => Some(Keep { code: "changed", repeats }),
            (true, false) if is_due => Some(Keep { code: "refused", repeats }),
            (true, true) if is_opening => Some(Keep { code: OPENED, repeats }),
            _ => None,
        };
        let recorded = known.recorded;
        *known = Outcome::of(what, record, keep.is_some());
        if keep.is_none() {
            known.recorded = recorded;
            known.repeats = repeats + 1;
        }
        // An opening is no turn: whoever looks for those finds none in it.
        let is_turn = keep.as_ref().is_none_or(|keep| keep.code != OPENED);
        (is_turn.then_some(previous), keep)
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
