//! One actor walking through an endpoint's objects.

use super::{Rule, points, share};
use crate::book::Draft;
use crate::detector::Detector;
use crate::entities::{Endpoint, account, credential};
use crate::hash::{Key, Of, pair};
use crate::seen::Seen;
use schema::{EntityKind, Finding, OutcomeResult, Severity};

/// Objects from which the events are kept as evidence; an ordinary visit stays below.
const TRAIL_FROM: u32 = 8;

impl Detector {
    pub(crate) fn enumeration(
        &mut self,
        seen: &Seen<'_>,
        actor: (EntityKind, Key),
        found: &mut Vec<Finding>,
    ) {
        let Some(endpoint) = seen.endpoint else { return };
        let event = seen.event;
        let template = event.endpoint.as_deref().unwrap_or("");
        // Where no rule names the object, the path below a template does.
        let Some(object) = event
            .outcome_object
            .as_deref()
            .or(event.path.as_deref().filter(|_| template.contains('{')))
        else {
            return;
        };
        let (config, learning) = (&self.config.enumeration, &self.config.learning);
        let key = pair(actor.1, endpoint);
        let object_key = self.hasher.key(Of::Object, 0, object);
        let walk = self.walks.touch(key, Default::default);
        let Some(cell) = walk.at(seen.time, config.window_secs) else {
            self.stats.late += 1;
            return;
        };
        cell.requests += 1;
        if let Some(number) = last_number(object) {
            cell.steps +=
                u32::from(number == cell.last_number + 1 || number + 1 == cell.last_number);
            cell.last_number = number;
        }
        let before = cell.objects.count();
        let grew = cell.objects.insert(object_key);
        if seen.denied {
            cell.denied.insert(object_key);
        }
        let after = if grew { cell.objects.count() } else { before };
        let (now, old) = (&walk.now, &walk.before);
        let most = now.objects.count() + old.objects.count();
        if most >= TRAIL_FROM && grew {
            self.book
                .trail(Rule::ObjectEnumeration, key, seen.time, config.window_secs * 2)
                .cite(event);
        }
        // The union is dear; below the mark the sum will do.
        let objects = if most >= config.denied_objects_min {
            now.objects.union_count(&old.objects)
        } else {
            most
        };

        if !grew {
            return;
        }
        let state = self.endpoints.touch(endpoint, || Endpoint::new(seen.time, learning));
        state.objects.climb(before, after, seen.time);
        match actor.0 {
            EntityKind::Credential => {
                self.credentials.get_mut(actor.1).into_iter().for_each(|state| {
                    state.history.reach(credential::OBJECTS, objects, seen.time, learning);
                })
            }
            EntityKind::Account => self.accounts.get_mut(actor.1).into_iter().for_each(|state| {
                state.history.reach(account::OBJECTS, objects, seen.time, learning);
            }),
            _ => {}
        }
        if objects < config.denied_objects_min {
            return;
        }
        let usual =
            match actor.0 {
                EntityKind::Credential => self.credentials.get(actor.1).and_then(|state| {
                    state.history.expected(credential::OBJECTS, seen.time, learning)
                }),
                EntityKind::Account => self.accounts.get(actor.1).and_then(|state| {
                    state.history.expected(account::OBJECTS, seen.time, learning)
                }),
                _ => None,
            };
        let denied = now.denied.union_count(&old.denied);
        let denied_share = share(denied, objects);
        let guessing = denied_share >= config.denied_share_min;
        let floor =
            f64::from(if guessing { config.denied_objects_min } else { config.objects_min });
        let peers = self
            .endpoints
            .get(endpoint)
            .and_then(|state| state.objects.upper(seen.time, 100, config.peers_min, learning));
        let mark = match (usual, peers) {
            // Its own habit, and never below what one in a hundred others does here.
            (Some(usual), peers) => usual.limit.max(floor).max(peers.unwrap_or(0.0)),
            (None, Some(peers)) => (peers * config.peers_factor).max(floor),
            // Nothing was learned yet: only guessing speaks.
            (None, None) if guessing => floor,
            (None, None) => return,
        };
        if f64::from(objects) < mark {
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
        let (requests, steps) = (now.requests + old.requests, now.steps + old.steps);
        let sequential = share(steps, requests);
        let mut draft = Draft::new(Rule::ObjectEnumeration, subject, key, event);
        draft.involve_all(event);
        draft.trail =
            self.book.known_trail(Rule::ObjectEnumeration, key).cloned().unwrap_or_default();
        let read = objects.saturating_sub(denied);
        draft.severity = if read >= config.objects_min && sequential > 0.5 {
            Severity::High
        } else {
            Severity::Medium
        };
        draft.confidence = (45
            + points(f64::from(objects) / mark, 8.0, 20.0)
            + 15 * u32::from(sequential > 0.5)
            + 10 * u32::from(guessing)
            + 5 * u32::from(usual.is_some())) as u8;
        draft.outcome = if read > denied { OutcomeResult::Success } else { OutcomeResult::Failure };
        draft.reason = Some(if read > denied { "objects-read" } else { "objects-refused" });
        draft.attack(&[("TA0009", "T1119"), ("TA0009", "T1213")]);
        if matches!(template, t if t.contains("user") || t.contains("account") || t.contains("member"))
        {
            draft.attack(&[("TA0007", "T1087")]);
        }
        draft.magnitude = f64::from(objects);
        draft.numbers = vec![
            ("objects", f64::from(objects)),
            ("objects_mark", mark),
            ("objects_usual", usual.map_or(0.0, |usual| usual.median)),
            ("objects_peers", peers.unwrap_or(0.0)),
            ("denied", f64::from(denied)),
            ("denied_share", denied_share),
            ("sequential_share", sequential),
            ("requests", f64::from(requests)),
            ("window_secs", f64::from(config.window_secs)),
        ];
        found.extend(self.book.report(draft));
    }
}

/// The last run of digits, at most 18 of them.
fn last_number(object: &str) -> Option<u64> {
    let end = object.rfind(|c: char| c.is_ascii_digit())?;
    let digits = object.get(..=end)?;
    let start = digits.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| {
        at + digits.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    });
    digits.get(start..).filter(|run| run.len() <= 18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_number_is_found() {
        for (object, number) in [
            ("order 1042", Some(1042)),
            ("/users/7/orders", Some(7)),
            ("주문9", Some(9)),
            ("abc", None),
        ] {
            assert_eq!(super::last_number(object), number, "{object}");
        }
    }
}
