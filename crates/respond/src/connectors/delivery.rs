use super::{RetryConfig, Rim};
use schema::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    Notify,
    Apply,
    Undo,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Notify => "notify",
            Operation::Apply => "apply",
            Operation::Undo => "undo",
        }
    }
}

/// What came of asking one connector, after its last try. To be recorded, whichever way it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    pub connector: String,
    pub operation: Operation,
    /// The action, or the id of the notice.
    pub subject: Uuid,
    /// 0 when nothing was sent at all.
    pub attempts: u32,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub result: Result<Done, Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Done {
    /// HTTP status or SMTP reply code.
    pub status: u16,
}

/// Why it did not work. Holds neither secrets nor what the other side answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Permanent.
    pub code: &'static str,
    pub message: String,
    pub hint: &'static str,
    /// Whether the same may work later.
    #[serde(skip)]
    pub(crate) retry: bool,
    /// What the other side asked us to wait.
    #[serde(skip)]
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: String, hint: &'static str) -> Self {
        Failure { code, message, hint, retry: false, retry_after: None }
    }

    pub(crate) fn transient(code: &'static str, message: String, hint: &'static str) -> Self {
        Failure { retry: true, ..Failure::new(code, message, hint) }
    }

    pub(crate) fn unknown(name: &str) -> Self {
        Failure::new(
            "unknown-connector",
            format!("there is no connector `{name}`"),
            "add it to the connectors, or correct `notify` in the policy",
        )
    }

    /// The call went through, but its effect was not seen. Effects take time to show: tried again.
    pub(crate) fn not_verified(cause: Failure) -> Self {
        Failure {
            code: "not-verified",
            message: format!("the effect was not seen: {}", cause.message),
            hint: "look at the identity provider: it accepted the call but does not show it",
            retry: cause.retry || cause.code == "expectation-failed",
            retry_after: cause.retry_after,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl Delivery {
    pub fn is_done(&self) -> bool {
        self.result.is_ok()
    }

    /// One line for an action's history.
    pub fn reason(&self) -> String {
        let (connector, operation) = (&self.connector, self.operation.as_str());
        match &self.result {
            Ok(done) => format!(
                "connector {connector}: {operation} done ({}, try {})",
                done.status, self.attempts
            ),
            Err(failure) => format!(
                "connector {connector}: {operation} failed after {} tries: {failure}",
                self.attempts
            ),
        }
    }

    pub(crate) fn log(&self) {
        let (connector, operation) = (self.connector.as_str(), self.operation.as_str());
        match &self.result {
            Ok(done) => tracing::info!(
                connector, operation, subject = %self.subject, attempts = self.attempts, status = done.status,
                "connector done"
            ),
            Err(failure) => tracing::warn!(
                connector, operation, subject = %self.subject, attempts = self.attempts, code = failure.code,
                message = %failure.message, "connector failed"
            ),
        }
    }
}

/// Bounded tries with exponential back-off and equal jitter: half of the pause is fixed, half is
/// chance ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
pub(crate) struct Tries<'a> {
    retry: &'a RetryConfig,
    rim: &'a dyn Rim,
    started: Timestamp,
    done: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(retry: &'a RetryConfig, rim: &'a dyn Rim) -> Self {
        Tries { retry, rim, started: rim.now(), done: 0 }
    }

    /// Counts a failed try. `None` after the pause when there is another one; the failure when not.
    pub(crate) async fn again(&mut self, failure: Failure) -> Option<Failure> {
        self.done += 1;
        if !failure.retry || self.done >= self.retry.attempts {
            return Some(failure);
        }
        let doubled = self.retry.base_ms.saturating_mul(1 << (self.done - 1).min(20));
        let pause_ms = doubled.min(self.retry.pause_max_ms);
        let jittered = pause_ms / 2 + self.rim.chance(pause_ms / 2);
        let asked = failure.retry_after.map_or(0, |wait| wait.as_millis() as u64);
        let wait_ms = jittered.max(asked.min(self.retry.pause_max_ms));
        self.rim.pause(Duration::from_millis(wait_ms)).await;
        None
    }

    pub(crate) fn delivery(
        self,
        connector: &str,
        operation: Operation,
        subject: Uuid,
        result: Result<Done, Failure>,
    ) -> Delivery {
        let delivery = Delivery {
            connector: connector.to_owned(),
            operation,
            subject,
            attempts: self.done + u32::from(result.is_ok()),
            started: self.started,
            finished: self.rim.now(),
            result,
        };
        delivery.log();
        delivery
    }
}
