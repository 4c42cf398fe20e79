//! Notices when a visitor has proved who they are, and lets them through from then on.

use super::live::Site;
use super::shared::{Evidence, Shared};
use crate::enforce::RequestKeys;
use crate::evidence::{self, Exchange};
use crate::trust::Proof;
use http::HeaderValue;
use http::header::{COOKIE, SET_COOKIE};
use schema::OutcomeResult;

/// The action of routes (or outcome rules) whose success is a proof.
pub const STEP_UP_ACTION: &str = "step-up";
/// Cookies of one answer that may be a new session.
const COOKIES_MAX: usize = 8;

/// Judges a finished exchange by the site's own outcome rules. Only ways left open by `step_up` can
/// carry a proof, and only while something is restricted is there anything to prove.
pub fn look(shared: &Shared, site: &Site, exchange: &Exchange) {
    let Some(step_up) = &site.config.step_up else { return };
    let head = &exchange.request;
    let asks = site.trust.is_some() && shared.trust.is_some();
    let may_prove = asks || !shared.enforcer.is_empty();
    if !may_prove || !site.is_step_up_open(head.method.as_str(), &head.path) {
        return;
    }
    if !evidence::has_route(head, &site.evidence) {
        return;
    }
    let Evidence { keys, book, .. } = &shared.evidence;
    let event = evidence::observe(exchange, &site.evidence, keys, book);
    let proved = event.outcome_action.as_deref() == Some(STEP_UP_ACTION)
        && event.outcome_result() == OutcomeResult::Success;
    if !proved {
        return;
    }
    let until = exchange
        .finished
        .saturating_add(i64::try_from(step_up.pass_secs.saturating_mul(1_000)).unwrap_or(i64::MAX));
    let mut whose = shared.request_keys(site, head);
    let trust = shared.trust.as_ref().filter(|_| asks);
    let note = |whose: &RequestKeys| {
        if let Some(asker) = trust {
            let proof = Proof { method: step_up.mfa_method.clone() };
            asker.note_proof(whose, exchange.finished, until, proof);
        }
        shared.enforcer.note_step_up(whose, exchange.finished, until) + usize::from(asks)
    };
    let mut met = note(&whose);
    // An application does well to begin a new session here: that one has proved itself, too.
    let new_cookies = exchange.response_headers.get_all(SET_COOKIE).iter().take(COOKIES_MAX);
    for cookie in new_cookies {
        let pair = cookie.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
        let Ok(pair) = HeaderValue::from_bytes(pair) else { continue };
        let mut renewed = head.clone();
        renewed.headers.insert(COOKIE, pair);
        let session = shared.request_keys(site, &renewed).session;
        if session.is_some() && session != whose.session {
            whose.session = session;
            // What restricts the old session does not restrict the new one; what restricts the
            // account does.
            met += note(&whose);
        }
    }
    if met > 0 {
        shared.metrics.step_ups_passed.add(1);
        tracing::info!(site = site.config.name, actions = met, "step-up passed");
    }
}
