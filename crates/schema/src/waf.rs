//! What a gateway's rules told of an exchange: `plura.waf` of its event (docs/waf.md).

use crate::Event;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Rule sets read from one event.
const SETS_MAX: usize = 16;

/// One rule set's say.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct WafSet<'a> {
    #[serde(borrow)]
    pub rules: &'a str,
    pub version: &'a str,
    /// `shadow`, `canary` or `enforce`.
    pub stage: &'a str,
    /// It might block this client.
    pub enforced: bool,
    pub blocked: bool,
    /// It would have blocked where it may.
    pub would_block: bool,
    /// The rule that decided, and its phase.
    pub decided_by: Option<u64>,
    pub phase: Option<u8>,
    pub inbound_score: Option<i64>,
    pub inbound_threshold: Option<i64>,
    pub outbound_score: Option<i64>,
    pub outbound_threshold: Option<i64>,
    /// Held back because not all of it could be inspected.
    pub refused: bool,
    pub matches: Vec<WafMatch<'a>>,
    pub matches_dropped: u64,
}

/// One rule that matched.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct WafMatch<'a> {
    pub rule: u64,
    pub phase: u8,
    #[serde(borrow)]
    pub message: &'a str,
    pub tags: Vec<&'a str>,
    pub severity: Option<&'a str>,
    /// `ARGS:q`.
    pub variable: &'a str,
    /// What matched, where it may be told.
    pub data: Option<&'a str>,
}

/// What rules told of an event; empty where no rule had anything to tell.
///
/// Events come from anywhere: what is not in the shape of docs/waf.md is passed over.
pub fn waf_sets(event: &Event) -> Vec<WafSet<'_>> {
    waf_sets_of(&event.rest)
}

/// The same, of an event's fields beyond the columns.
pub fn waf_sets_of(rest: &Map<String, Value>) -> Vec<WafSet<'_>> {
    let told = rest.get("plura").and_then(|ours| ours.get("waf")).and_then(Value::as_array);
    let sets = told.into_iter().flatten().take(SETS_MAX);
    sets.filter_map(|set| WafSet::deserialize(set).ok()).collect()
}

impl WafSet<'_> {
    /// The request is over the mark: it was blocked, would have been, or its score says so.
    pub fn is_over_in(&self) -> bool {
        let is_decided = self.decided_by.is_some() && self.phase.unwrap_or(2) <= 2;
        self.is_judged(is_decided, self.inbound_score, self.inbound_threshold)
    }

    /// The response is.
    pub fn is_over_out(&self) -> bool {
        let is_decided = self.decided_by.is_some() && self.phase.is_some_and(|phase| phase >= 3);
        self.is_judged(is_decided, self.outbound_score, self.outbound_threshold)
    }

    fn is_judged(&self, is_decided: bool, score: Option<i64>, threshold: Option<i64>) -> bool {
        let is_scored = match (score, threshold) {
            (Some(score), Some(threshold)) => threshold > 0 && score >= threshold,
            _ => false,
        };
        !self.refused && ((self.blocked || self.would_block) && is_decided || is_scored)
    }
}

impl WafMatch<'_> {
    /// It is about attacks; rules that only sum up scores or report are not.
    pub fn is_telling(&self) -> bool {
        let is_sum = |tag: &&str| matches!(*tag, "anomaly-evaluation" | "reporting");
        (1..=4).contains(&self.phase)
            && !self.tags.iter().any(is_sum)
            && (self.attack_tags().next().is_some()
                || self.is_grave()
                || self.severity == Some("error"))
    }

    /// `sqli` of `attack-sqli`.
    pub fn attack_tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().filter_map(|tag| tag.strip_prefix("attack-"))
    }

    /// The rule's author says that no ordinary request matches it.
    pub fn is_grave(&self) -> bool {
        matches!(self.severity, Some("critical" | "alert" | "emergency"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(waf: Value) -> Event {
        let mut event = Event::default();
        event.rest.insert("plura".to_owned(), json!({ "waf": waf }));
        event
    }

    #[test]
    fn what_the_gateway_writes_is_read() {
        let event = event(json!([{
            "rules": "crs", "stage": "shadow", "would_block": true, "decided_by": 949_110, "phase": 2,
            "inbound_score": 5, "inbound_threshold": 5,
            "matches": [{ "rule": 942_100, "phase": 2, "tags": ["attack-sqli"], "severity": "critical",
                "variable": "ARGS:q", "transformations": ["lowercase"] },
                { "rule": 949_110, "phase": 2, "tags": ["anomaly-evaluation"], "severity": "critical" }],
        }]));
        let [set] = &waf_sets(&event)[..] else { panic!() };
        assert!(set.is_over_in() && !set.is_over_out());
        let telling: Vec<bool> = set.matches.iter().map(WafMatch::is_telling).collect();
        assert_eq!(telling, [true, false]);
        assert_eq!(set.matches[0].attack_tags().collect::<Vec<_>>(), ["sqli"]);
    }

    #[test]
    fn what_was_not_inspected_is_no_attack_and_nonsense_is_passed_over() {
        let refused = json!([{ "rules": "crs", "blocked": true, "refused": true }]);
        assert!(!waf_sets(&event(refused))[0].is_over_in());
        for wrong in [json!(7), json!([7, "x", { "rules": 3 }]), json!({ "rules": "crs" })] {
            assert_eq!(waf_sets(&event(wrong)), []);
        }
        let below = event(json!([{ "inbound_score": 3, "inbound_threshold": 5 }]));
        assert!(!waf_sets(&below)[0].is_over_in());
    }
}
