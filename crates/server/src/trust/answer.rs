//! What an enforcement point is told.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use trust::{By, Decision, Language, Points, Policy, Reason};
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
    pub decisions: Vec<String>,
    /// The answer holds this long, unless the server says to ask again.
    pub ttl_secs: u32,
    /// SHA-256 of the policy's text.
    pub policy: String,
    pub profile: String,
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
    pub en: String,
    pub ko: String,
    pub ja: String,
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
    let say = |language| {
        let said: Vec<String> = decision
            .reasons
            .iter()
            .take(REASONS_MAX)
            .map(|reason| sentence(policy, reason, language))
            .collect();
        said.join("; ")
    };
    Texts { en: say(Language::En), ko: say(Language::Ko), ja: say(Language::Ja) }
}

/// The policy's words for a reason, its parameters filled in; its code where there are none.
pub fn sentence(policy: &Policy, reason: &Reason, language: Language) -> String {
    let Some(text) = policy.text(&reason.code, language) else { return reason.code.to_string() };
    let mut text = text.to_owned();
    for (name, value) in &reason.parameters {
        let word = policy.text(value, language).unwrap_or(value);
        text = text.replace(&format!("{{{name}}}"), word);
    }
    text
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
    Texts { en: en.to_owned(), ko: ko.to_owned(), ja: ja.to_owned() }
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
