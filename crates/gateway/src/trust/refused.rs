//! How a request is held back that is not trusted.

use http::StatusCode;
use schema::Rung;

macro_rules! refused {
    ($( $(#[$doc:meta])* $name:ident => $code:literal, $status:ident );* $(;)?) => {
        /// In which way a request was held back, or a stream ended. Codes are permanent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refused { $( $(#[$doc])* $name ),* }

        impl Refused {
            pub const ALL: &[Refused] = &[ $( Refused::$name ),* ];

            /// The permanent code: in problem+json, in events, in `/metrics`.
            pub fn code(self) -> &'static str {
                match self { $( Refused::$name => $code ),* }
            }

            pub fn status(self) -> StatusCode {
                match self { $( Refused::$name => StatusCode::$status ),* }
            }
        }
    };
}

refused! {
    /// The decision, or a faulty answer in place of one: the reason tells which.
    Denied => "trust-denied", FORBIDDEN;
    Terminated => "trust-session-terminated", FORBIDDEN;
    /// Only what is needed to recover stays open.
    Isolated => "trust-isolated", FORBIDDEN;
    /// Only the way to prove who it is stays open.
    StepUp => "trust-step-up", UNAUTHORIZED;
    /// The session is older than trusted for.
    SessionExpired => "trust-session-expired", UNAUTHORIZED;
    ReadOnly => "trust-read-only", FORBIDDEN;
    DownloadBlocked => "trust-download-blocked", FORBIDDEN;
    TransferBlocked => "trust-transfer-blocked", FORBIDDEN;
    Throttled => "trust-throttled", TOO_MANY_REQUESTS;
    /// The decision point could not be asked, and the site wants none let through then.
    Unavailable => "trust-unavailable", SERVICE_UNAVAILABLE;
}

impl Refused {
    /// The rung it is like: what the gateway held back itself tells nothing of the application or
    /// of its visitor's habits.
    pub fn rung(self) -> Rung {
        match self {
            Refused::StepUp | Refused::SessionExpired => Rung::StepUp,
            Refused::Throttled => Rung::Limit,
            Refused::Isolated => Rung::Isolate,
            _ => Rung::Block,
        }
    }
}

/// A refusal with its why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub refused: Refused,
    /// Permanent code of the reason.
    pub reason: &'static str,
    pub retry_after_secs: Option<u64>,
}

impl Held {
    pub fn new(refused: Refused, reason: &'static str) -> Held {
        Held { refused, reason, retry_after_secs: None }
    }
}
