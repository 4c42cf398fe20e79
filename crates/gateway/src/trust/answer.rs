//! Reads what the decision point answered. What cannot be read is never an allow.

use super::obligation::{Obligation, Obligations};
use crate::enforce::RATE_PER_MINUTE_DEFAULT;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// No decision is kept longer, whatever the answer says; the server remembers what is to be
/// reconsidered as long.
pub const TTL_MAX: Duration = Duration::from_secs(900);
/// Of a `session_ttl_short` that does not say: as long as a decision may be kept.
pub const SESSION_TTL_SECS_DEFAULT: u32 = 900;
/// Decisions and obligations of one answer; ours has eleven and nine.
const ENTRIES_MAX: usize = 32;
/// Longest id, decision word, profile or policy hash: a SHA-256 in hex, and a prefix.
const WORD_BYTES_MAX: usize = 80;

/// What was decided about a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// By which an operator finds it again; the client is shown no more of it.
    pub id: Box<str>,
    pub ruling: Ruling,
    /// 0 to 100; a decision point that is not ours may have none.
    pub score: Option<f64>,
    pub decisions: Vec<String>,
    pub obligations: Obligations,
    /// For [`Obligation::Throttle`].
    pub rate_per_minute: u32,
    /// For [`Obligation::SessionTtlShort`].
    pub session_ttl_secs: u32,
    /// How long it may be used for equal requests; zero when the answer does not say.
    pub ttl: Duration,
    pub policy: Option<String>,
    pub profile: Option<String>,
}

/// What comes of a decision before its other obligations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    Allow,
    StepUp,
    Isolate,
    Deny,
}

impl Ruling {
    pub fn as_str(self) -> &'static str {
        match self {
            Ruling::Allow => "allow",
            Ruling::StepUp => "step-up",
            Ruling::Isolate => "isolate",
            Ruling::Deny => "deny",
        }
    }
}

/// Why an answer counts as a denial. Codes for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not AuthZEN, or it contradicts itself.
    Malformed,
    /// It asks for something this gateway cannot perform.
    UnknownObligation,
    /// The decision point would not answer such a question (400, 413, 422…).
    AskRefused,
}

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Malformed => "malformed-answer",
            Fault::UnknownObligation => "unknown-obligation",
            Fault::AskRefused => "ask-refused",
        }
    }
}

/// A [`Fault`] with what a person needs to find it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FaultyAnswer {
    pub fault: Fault,
    pub detail: String,
}

#[derive(Deserialize)]
struct Wire {
    decision: bool,
    #[serde(default)]
    context: Option<WireContext>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireContext {
    id: Option<String>,
    score: Option<f64>,
    decisions: Vec<String>,
    ttl_secs: Option<u64>,
    policy: Option<String>,
    profile: Option<String>,
    obligations: Vec<WireObligation>,
}

#[derive(Deserialize)]
struct WireObligation {
    id: String,
    #[serde(default)]
    attributes: Map<String, Value>,
}

/// Reads one AuthZEN answer. `fallback_id` names a decision whose answer gives no id.
pub fn read(
    body: &[u8],
    supported: Obligations,
    fallback_id: impl FnOnce() -> String,
) -> Result<Decision, FaultyAnswer> {
    let wire: Wire = serde_json::from_slice(body).map_err(|e| malformed(e.to_string()))?;
    let context = wire.context.unwrap_or_default();
    if context.decisions.len() > ENTRIES_MAX || context.obligations.len() > ENTRIES_MAX {
        return Err(malformed(format!("more than {ENTRIES_MAX} decisions or obligations")));
    }
    let texts = [&context.id, &context.policy, &context.profile];
    let words = texts.into_iter().flatten().chain(&context.decisions);
    if let Some(odd) = words.map(String::as_str).find(|word| !is_word(word)) {
        return Err(malformed(format!("`{}` is not a word", odd.escape_debug())));
    }
    if context.score.is_some_and(|score| !(0.0..=100.0).contains(&score)) {
        return Err(malformed("the score is not within 0 and 100".into()));
    }
    let mut decision = Decision {
        id: context.id.unwrap_or_else(fallback_id).into(),
        ruling: Ruling::Deny,
        score: context.score,
        decisions: context.decisions,
        obligations: Obligations::default(),
        rate_per_minute: RATE_PER_MINUTE_DEFAULT,
        session_ttl_secs: SESSION_TTL_SECS_DEFAULT,
        ttl: Duration::from_secs(context.ttl_secs.unwrap_or(0)).min(TTL_MAX),
        policy: context.policy,
        profile: context.profile,
    };
    for WireObligation { id, attributes } in &context.obligations {
        let known = Obligation::of_id(id).filter(|known| supported.contains(*known));
        let Some(obligation) = known else {
            let detail = format!("obligation `{}` cannot be performed here", id.escape_debug());
            return Err(FaultyAnswer { fault: Fault::UnknownObligation, detail });
        };
        match obligation {
            Obligation::Throttle => {
                decision.rate_per_minute =
                    number(attributes, "rate_per_minute", RATE_PER_MINUTE_DEFAULT)?;
            }
            Obligation::SessionTtlShort => {
                decision.session_ttl_secs =
                    number(attributes, "ttl_secs", SESSION_TTL_SECS_DEFAULT)?;
            }
            _ => {}
        }
        decision.obligations.insert(obligation);
    }
    decision.ruling = rule(wire.decision, &decision)?;
    Ok(decision)
}

/// Decisions of the shipped policy that do not allow (`packs/trust/policy.yaml`).
const REFUSING: [&str; 6] = ["step_up", "suspend", "isolate", "deny", "deny_lock", "revoke_wipe"];
/// Those beside which an obligation may still show a way out.
const HOLDING: [&str; 7] = [
    "allow",
    "allow_monitor",
    "allow_conditional",
    "allow_restricted",
    "throttle",
    "step_up",
    "isolate",
];

/// `decision` says whether; words and obligations say in which way. A policy may have words of its
/// own: beside `true` they are as good as any, beside `false` they refuse.
fn rule(permit: bool, said: &Decision) -> Result<Ruling, FaultyAnswer> {
    let has = |obligation| said.obligations.contains(obligation);
    let says = |words: &[&str]| said.decisions.iter().any(|word| words.contains(&word.as_str()));
    let is_held = permit || said.decisions.iter().all(|word| HOLDING.contains(&word.as_str()));
    if permit && says(&REFUSING) {
        return Err(malformed("`decision` is true beside a decision that refuses".into()));
    }
    Ok(if has(Obligation::SessionTerminate) || !is_held {
        Ruling::Deny
    } else if has(Obligation::SessionIsolate) {
        Ruling::Isolate
    } else if says(&["isolate"]) {
        Ruling::Deny
    } else if has(Obligation::StepUpMfa) {
        Ruling::StepUp
    } else if permit {
        Ruling::Allow
    } else {
        Ruling::Deny
    })
}

fn number(attributes: &Map<String, Value>, name: &str, default: u32) -> Result<u32, FaultyAnswer> {
    match attributes.get(name) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| malformed(format!("`{name}` is not a whole number"))),
    }
}

fn is_word(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
}

fn malformed(detail: String) -> FaultyAnswer {
    FaultyAnswer { fault: Fault::Malformed, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<Ruling, Fault> {
        let all = Obligation::ALL.into_iter().collect();
        read(body.as_bytes(), all, || "made-here".into()).map(|d| d.ruling).map_err(|e| e.fault)
    }

    #[test]
    fn a_decision_is_as_strict_as_the_strictest_thing_it_says() {
        let of = |permit: bool, words: &str, obligation: &str| {
            check(&format!(
                r#"{{"decision":{permit},"context":{{"id":"d1","decisions":[{words}],"obligations":[{{"id":"{obligation}"}}]}}}}"#
            ))
        };
        assert_eq!(check(r#"{"decision":true}"#), Ok(Ruling::Allow));
        assert_eq!(check(r#"{"decision":false}"#), Ok(Ruling::Deny));
        assert_eq!(of(true, r#""allow_monitor""#, "watermark"), Ok(Ruling::Allow));
        assert_eq!(
            of(true, r#""allow_guests""#, "watermark"),
            Ok(Ruling::Allow),
            "a word of theirs"
        );
        assert_eq!(of(false, r#""step_up""#, "step_up_mfa"), Ok(Ruling::StepUp));
        assert_eq!(of(false, "", "step_up_mfa"), Ok(Ruling::StepUp));
        assert_eq!(of(true, "", "step_up_mfa"), Ok(Ruling::StepUp), "allowed, but not before that");
        assert_eq!(of(false, r#""step_up""#, "read_only"), Ok(Ruling::Deny), "no way was given");
        assert_eq!(of(false, r#""step_up","deny""#, "step_up_mfa"), Ok(Ruling::Deny));
        assert_eq!(of(false, r#""step_up","something_new""#, "step_up_mfa"), Ok(Ruling::Deny));
        assert_eq!(of(true, "", "session_terminate"), Ok(Ruling::Deny));
        assert_eq!(of(false, r#""isolate""#, "session_isolate"), Ok(Ruling::Isolate));
        assert_eq!(of(false, r#""isolate""#, "step_up_mfa"), Ok(Ruling::Deny));
    }

    #[test]
    fn what_cannot_be_read_or_done_is_told_apart() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"decision":"true"}"#,
            r#"{"decision":1}"#,
            r#"{"decision":true,"decision":false}"#,
            r#"{"decision":true,"context":{"score":101}}"#,
            r#"{"decision":true,"context":{"score":"high"}}"#,
            r#"{"decision":true,"context":{"ttl_secs":-1}}"#,
            r#"{"decision":true,"context":{"id":"a\r\nb"}}"#,
            r#"{"decision":true,"context":{"id":""}}"#,
            r#"{"decision":true,"context":{"decisions":["deny"]}}"#,
            r#"{"decision":true,"context":{"obligations":["read_only"]}}"#,
            r#"{"decision":true,"context":{"obligations":[{"id":"throttle","attributes":{"rate_per_minute":-1}}]}}"#,
            r#"{"decision":true,"context":{"obligations":[{"id":"throttle","attributes":{"rate_per_minute":4294967296}}]}}"#,
        ] {
            assert_eq!(check(body), Err(Fault::Malformed), "{body}");
        }
        let body = br#"{"decision":true,"context":{"obligations":[{"id":"watermark"}]}}"#;
        let cannot = read(body, Obligations::default(), String::new).unwrap_err();
        assert_eq!(cannot.fault, Fault::UnknownObligation);
        assert_eq!(
            check(r#"{"decision":true,"context":{"obligations":[{"id":"paint_it_blue"}]}}"#),
            Err(Fault::UnknownObligation)
        );
    }

    proptest::proptest! {
        /// Whatever comes back, it is an allow only when it says so and nothing against it.
        #[test]
        fn no_answer_allows_that_does_not_say_so(
            mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            at in 0usize..200,
            permit: bool,
            word in "(allow|allow_monitor|step_up|deny|suspend|isolate|[a-z_]{1,8})",
            id in "(read_only|step_up_mfa|session_isolate|session_terminate|throttle|[a-z_]{1,8})",
        ) {
            let all: Obligations = Obligation::ALL.into_iter().collect();
            let text = format!(r#"{{"decision":{permit},"context":{{"decisions":["{word}"],"obligations":[{{"id":"{id}"}}]}}}}"#);
            let refuses = !permit || REFUSING.contains(&word.as_str());
            let stops = ["step_up_mfa", "session_isolate", "session_terminate"].contains(&id.as_str());
            if let Ok(decision) = read(text.as_bytes(), all, || "x".into()) {
                proptest::prop_assert_eq!(decision.ruling == Ruling::Allow, !refuses && !stops);
                proptest::prop_assert!(Obligation::of_id(&id).is_some());
            }
            // The same, damaged: anything but a panic.
            let mut damaged = text.into_bytes();
            let at = at.min(damaged.len());
            let rest = damaged.split_off(at);
            damaged.append(&mut bytes);
            damaged.extend_from_slice(rest.get(1..).unwrap_or_default());
            let _ = read(&damaged, all, || "x".into());
        }
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_no_longer() {
        let ttl = |context: &str| {
            let body = format!(r#"{{"decision":true,"context":{{{context}}}}}"#);
            read(body.as_bytes(), Obligations::default(), || "x".into()).unwrap().ttl.as_secs()
        };
        assert_eq!(ttl(""), 0);
        assert_eq!(ttl(r#""ttl_secs":300"#), 300);
        assert_eq!(ttl(r#""ttl_secs":86400"#), 900);
    }
}
