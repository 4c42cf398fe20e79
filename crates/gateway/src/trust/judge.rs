//! What a decision means for one request.

use super::answer::{Decision, Ruling};
use super::bearers::Bearers;
use super::obligation::{Obligation, Obligations};
use super::question::Question;
use super::refused::{Held, Refused};
use schema::{EntityKind, Timestamp};

/// A body of this size is a large transfer: 10 MiB, some thousand rows of a table or a day's photos.
pub const LARGE_TRANSFER_BYTES: u64 = 10 * 1024 * 1024;

/// Where a request stands that the decision does not know.
pub struct Way<'a> {
    /// On a way that stays open for proving who one is, and for recovering.
    pub is_open: &'a dyn Fn() -> bool,
    /// It signs in or out, and so ends the session that grew too old.
    pub is_sign_in: &'a dyn Fn() -> bool,
    /// Under way already: no token is taken.
    pub is_under_way: bool,
}

/// Performs what concerns the request; says what was performed, or how it is held back.
pub fn judge(
    decision: &Decision,
    question: &Question,
    bearers: &Bearers,
    now: Timestamp,
    way: &Way<'_>,
) -> (Obligations, Result<(), Held>) {
    let mut performed = Obligations::default();
    let result = perform(decision, question, bearers, now, way, &mut performed);
    (performed, result)
}

fn perform(
    decision: &Decision,
    question: &Question,
    bearers: &Bearers,
    now: Timestamp,
    way: &Way<'_>,
    performed: &mut Obligations,
) -> Result<(), Held> {
    let asked = decision.obligations;
    let mut does = |obligation: Obligation| {
        let is_asked = asked.contains(obligation);
        if is_asked {
            performed.insert(obligation);
        }
        is_asked
    };
    match decision.ruling {
        Ruling::Deny if does(Obligation::SessionTerminate) => {
            return Err(Held::new(Refused::Terminated, Obligation::SessionTerminate.id()));
        }
        Ruling::Deny => return Err(Held::new(Refused::Denied, "denied")),
        Ruling::Isolate => {
            does(Obligation::SessionIsolate);
            if !(way.is_open)() {
                return Err(Held::new(Refused::Isolated, Obligation::SessionIsolate.id()));
            }
        }
        Ruling::StepUp => {
            does(Obligation::StepUpMfa);
            let has_proved = bearers.proof(&question.bearer(), now).is_some();
            if !has_proved && !(way.is_open)() {
                return Err(Held::new(Refused::StepUp, Obligation::StepUpMfa.id()));
            }
        }
        Ruling::Allow => {}
    }
    if does(Obligation::SessionTtlShort) && is_too_old(decision, question, bearers, now) {
        let may = (way.is_open)() || (way.is_sign_in)();
        if !may {
            return Err(Held::new(Refused::SessionExpired, Obligation::SessionTtlShort.id()));
        }
    }
    if does(Obligation::ReadOnly) && question.is_writing && !(way.is_open)() {
        return Err(Held::new(Refused::ReadOnly, Obligation::ReadOnly.id()));
    }
    if does(Obligation::BlockLargeTransfer)
        && question.length.is_some_and(|length| length > LARGE_TRANSFER_BYTES)
    {
        return Err(Held::new(Refused::TransferBlocked, Obligation::BlockLargeTransfer.id()));
    }
    does(Obligation::DownloadBlock);
    if does(Obligation::Throttle)
        && !way.is_under_way
        && let Err(wait) = bearers.take(&question.bearer(), decision.rate_per_minute, now)
    {
        let held = Held::new(Refused::Throttled, Obligation::Throttle.id());
        return Err(Held { retry_after_secs: Some(wait), ..held });
    }
    Ok(())
}

/// A visitor without session or credential has nothing that could grow old.
fn is_too_old(decision: &Decision, question: &Question, bearers: &Bearers, now: Timestamp) -> bool {
    ends_at(decision, question, bearers, now).is_some_and(|end| now >= end)
}

/// When the session is to be proved anew.
pub fn ends_at(
    decision: &Decision,
    question: &Question,
    bearers: &Bearers,
    now: Timestamp,
) -> Option<Timestamp> {
    let (kind, _) = question.subject();
    let has_age = matches!(kind, EntityKind::Session | EntityKind::Credential)
        && decision.obligations.contains(Obligation::SessionTtlShort);
    has_age.then(|| {
        bearers.since(&question.bearer(), now) + i64::from(decision.session_ttl_secs) * 1_000
    })
}
