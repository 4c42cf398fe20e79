//! What an enforcement point is told.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;
use std::sync::Arc;
use trust::{By, Decision, Points, Policy, Reason};
use utoipa::ToSchema;
use uuid::Uuid;

/// Requests a minute that `throttle` leaves: one every two seconds lets a person work on and
/// stops a tool.
const THROTTLE_PER_MINUTE: u32 = 30;

/// Seconds that `session_ttl_short` leaves a session: OWASP Session Management Cheat Sheet, idle
/// time-out of applications that matter (15 minutes).
const SESSION_TTL_SHORT_SECS: u32 = 900;

/// Reasons put into one sentence for people.
const REASONS_MAX: usize = 5;

/// What five reasons need in one language, mostly.
const SAID_BYTES: usize = 256;

/// An AuthZEN decision.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answer {
    pub decision: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<AnswerContext>,
}

/// Why, for how long, and on which conditions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnswerContext {
    Judged(Box<JudgedContext>),
    /// The question could not be judged (in a batch).
    Failed {
        error: Failure,
    },
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Failure {
    pub status: u16,
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JudgedContext {
    /// The decision's record, if it is kept, has this id.
    pub id: Uuid,
    /// 0 to 100.
    #[schema(value_type = f64)]
    pub score: Points,
    #[schema(value_type = Vec<String>)]
    pub decisions: Vec<Arc<str>>,
    /// The answer holds this long, unless the server says to ask again.
    pub ttl_secs: u32,
    /// SHA-256 of the policy's text.
    #[schema(value_type = String)]
    pub policy: Arc<str>,
    #[schema(value_type = String)]
    pub profile: Arc<str>,
    /// What the enforcement point must do; one that cannot, denies.
    pub obligations: Vec<Obligation>,
    pub reason_admin: Texts,
    pub reason_user: Texts,
    /// Codes of what was noticed about the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Obligation {
    pub id: String,
    #[schema(value_type = Object)]
    pub attributes: Map<String, Json>,
}

/// The same in three languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Texts {
    #[schema(value_type = String)]
    pub en: Cow<'static, str>,
    #[schema(value_type = String)]
    pub ko: Cow<'static, str>,
    #[schema(value_type = String)]
    pub ja: Cow<'static, str>,
}

/// What the enforcement point must do itself.
pub fn obligations(policy: &Policy, decision: &Decision) -> Vec<Obligation> {
    let codes =
        decision.obligations.iter().filter(|c| policy.performed_by(c) == Some(By::Enforcer));
    codes
        .map(|code| {
            let attributes = match &**code {
                "throttle" => json!({ "rate_per_minute": THROTTLE_PER_MINUTE }),
                "session_ttl_short" => json!({ "ttl_secs": SESSION_TTL_SHORT_SECS }),
                _ => Json::Null,
            };
            let attributes = match attributes {
                Json::Object(attributes) => attributes,
                _ => Map::new(),
            };
            Obligation { id: code.to_string(), attributes }
        })
        .collect()
}

/// The gravest reasons in words, for whoever runs the system.
pub fn reason_admin(policy: &Policy, decision: &Decision) -> Texts {
    let mut said = [(); 3].map(|()| String::with_capacity(SAID_BYTES));
    for reason in decision.reasons.iter().take(REASONS_MAX) {
        say(policy, reason, &mut said);
    }
    let [en, ko, ja] = said.map(Cow::Owned);
    Texts { en, ko, ja }
}

/// Adds the policy's words for a reason, its parameters filled in; its code where there are none.
fn say(policy: &Policy, reason: &Reason, said: &mut [String; 3]) {
    let words = |code| policy.texts(code).unwrap_or([code; 3]);
    let fills: Vec<(&str, [&str; 3])> =
        reason.parameters.iter().map(|(name, value)| (name.as_str(), words(value))).collect();
    for (language, (said, text)) in said.iter_mut().zip(words(&reason.code)).enumerate() {
        if !said.is_empty() {
            said.push_str("; ");
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            said.push_str(before);
            let fill = after.split_once('}').and_then(|(name, after)| {
                let (_, words) = fills.iter().find(|(known, _)| *known == name)?;
                Some((words.get(language)?, after))
            });
            rest = match fill {
                Some((word, after)) => {
                    said.push_str(word);
                    after
                }
                None => {
                    said.push('{');
                    after
                }
            };
        }
        said.push_str(rest);
    }
}

/// What the person in front of it may read: what to do, not what gave them away.
pub fn reason_user(permit: bool, decision: &Decision) -> Texts {
    let has = |name: &str| decision.decisions.iter().any(|decision| &**decision == name);
    let (en, ko, ja) = if permit {
        ("access is given", "접근이 허용되었습니다", "アクセスが許可されました")
    } else if has("step_up") {
        (
            "please confirm who you are to go on",
            "계속하려면 본인임을 다시 확인해 주세요",
            "続けるには本人確認を行ってください",
        )
    } else {
        (
            "access is refused; please ask your administrator and name the id of this decision",
            "접근이 거부되었습니다. 관리자에게 이 결정의 id를 알려 주세요",
            "アクセスが拒否されました。管理者にこの決定の id を伝えてください",
        )
    };
    Texts { en: en.into(), ko: ko.into(), ja: ja.into() }
}

impl Answer {
    /// A question of a batch that could not be judged: a refusal that says why.
    pub fn failed(status: u16, code: &str, message: String) -> Answer {
        let error = Failure { status, code: code.to_owned(), message };
        Answer { decision: false, context: Some(AnswerContext::Failed { error }) }
    }

    pub fn judged(&self) -> Option<&JudgedContext> {
        match &self.context {
            Some(AnswerContext::Judged(context)) => Some(context),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_reason_is_said_in_three_languages_with_its_parameters_filled_in() {
        let policy = Policy::shipped();
        let about = |code: &str, indicator: &str| Reason {
            code: code.into(),
            parameters: BTreeMap::from([("indicator".to_owned(), indicator.to_owned())]),
        };
        let mut said = [const { String::new() }; 3];
        say(&policy, &about("low_indicator", "mfa"), &mut said);
        say(&policy, &about("no_such_code", "mfa"), &mut said);
        for (said, language) in
            said.iter().zip([trust::Language::En, trust::Language::Ko, trust::Language::Ja])
        {
            let word = policy.text("mfa", language).unwrap_or("mfa");
            let text = policy.text("low_indicator", language).unwrap();
            let expected = text.replace("{indicator}", word) + "; no_such_code";
            assert_eq!(*said, expected);
        }
    }
}
