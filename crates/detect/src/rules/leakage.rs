//! Personal data leaving in responses, per actor.

use super::{Rule, points};
use crate::book::Draft;
use crate::detector::Detector;
use crate::entities::{Site, account, credential};
use crate::hash::Key;
use crate::seen::Seen;
use schema::{EntityKind, Finding, OutcomeResult, Severity};

impl Detector {
    /// `old` and `new`: the running cell's personal data before and with this event.
    pub(crate) fn leakage(
        &mut self,
        seen: &Seen<'_>,
        actor: (EntityKind, Key),
        old: u32,
        new: u32,
        found: &mut Vec<Finding>,
    ) {
        if new == old {
            return;
        }
        let (config, learning) = (&self.config.leakage, &self.config.learning);
        let site = self.sites.touch(seen.scope, || Site::new(seen.time, learning));
        site.personal.climb(old, new, seen.time);
        let sum = |usage: &crate::window::Pair<crate::entities::Usage>| {
            usage.now.personal.saturating_add(usage.before.personal)
        };
        let (personal, usual) = match actor.0 {
            EntityKind::Credential => match self.credentials.get_mut(actor.1) {
                Some(state) => {
                    let personal = sum(&state.usage);
                    state.history.reach(credential::PERSONAL, personal, seen.time, learning);
                    (
                        personal,
                        (personal >= config.personal_min)
                            .then(|| {
                                state.history.expected(credential::PERSONAL, seen.time, learning)
                            })
                            .flatten(),
                    )
                }
                None => return,
            },
            EntityKind::Account => match self.accounts.get_mut(actor.1) {
                Some(state) => {
                    let personal = sum(&state.usage);
                    state.history.reach(account::PERSONAL, personal, seen.time, learning);
                    (
                        personal,
                        (personal >= config.personal_min)
                            .then(|| state.history.expected(account::PERSONAL, seen.time, learning))
                            .flatten(),
                    )
                }
                None => return,
            },
            _ => match self.visitors.get(actor.1) {
                Some(state) => (sum(&state.usage), None),
                None => return,
            },
        };
        let floor = f64::from(config.personal_min);
        if personal >= config.personal_min / 4 {
            let trail =
                self.book.trail(Rule::ResponseLeakage, actor.1, seen.time, config.window_secs * 2);
            trail.cite(seen.event);
            trail.name(seen.time, EntityKind::Endpoint, seen.event.endpoint.as_deref(), 8);
        }
        if f64::from(personal) < floor {
            return;
        }
        let peers = site.personal.upper(seen.time, 100, config.peers_min, learning);
        let mark = match (usual, peers) {
            (Some(usual), peers) => usual.limit.max(floor).max(peers.unwrap_or(0.0)),
            (None, Some(peers)) => (peers * config.peers_factor).max(floor),
            (None, None) => return,
        };
        if f64::from(personal) < mark {
            return;
        }
        match actor.0 {
            EntityKind::Credential => self
                .credentials
                .get_mut(actor.1)
                .into_iter()
                .for_each(|state| state.history.taint()),
            EntityKind::Account => {
                self.accounts.get_mut(actor.1).into_iter().for_each(|state| state.history.taint())
            }
            _ => {}
        }
        let Some(subject) = seen.entity(actor.0) else { return };
        let factor = f64::from(personal) / mark;
        let mut draft = Draft::new(Rule::ResponseLeakage, subject, actor.1, seen.event);
        draft.involve_all(seen.event);
        draft.trail =
            self.book.known_trail(Rule::ResponseLeakage, actor.1).cloned().unwrap_or_default();
        draft.severity = if factor >= 10.0 { Severity::High } else { Severity::Medium };
        draft.confidence = (50 + points(factor, 8.0, 30.0) + 10 * u32::from(usual.is_some())) as u8;
        // It was in the responses: it is out.
        draft.outcome = OutcomeResult::Success;
        draft.reason = Some("personal-data-sent");
        draft.attack(&[("TA0009", "T1213"), ("TA0010", "T1567")]);
        draft.magnitude = f64::from(personal);
        draft.numbers = vec![
            ("personal_data", f64::from(personal)),
            ("personal_data_mark", mark),
            ("personal_data_usual", usual.map_or(0.0, |usual| usual.median)),
            ("personal_data_peers", peers.unwrap_or(0.0)),
            ("window_secs", f64::from(config.window_secs)),
        ];
        found.extend(self.book.report(draft));
    }
}
