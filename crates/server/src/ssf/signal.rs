//! Events of CAEP (and RISC's credential compromise), as the book takes them.

use schema::{Entity, EntityKind, Finding, OutcomeResult, Severity, Timestamp, id_from_seed};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use trust::{Book, DeviceRecord, MdmState, MfaMethod, MfaResult};

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

/// Characters of a subject's name.
const NAME_CHARS_MAX: usize = 512;

/// What another system told of somebody or something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Signal {
    DeviceCompliance {
        device: String,
        is_compliant: bool,
        at: Timestamp,
    },
    /// How a session authenticated.
    Assurance {
        session: String,
        has_mfa: bool,
        is_phishing_resistant: bool,
        at: Timestamp,
    },
    SessionRevoked {
        session: String,
        jti: String,
        at: Timestamp,
    },
    /// An account may be in other hands, or no longer is.
    Suspicion {
        account: String,
        is_suspected: bool,
        at: Timestamp,
    },
    /// Something about an account's credentials changed: what was decided before is void.
    CredentialChanged {
        account: String,
        at: Timestamp,
    },
}

impl Signal {
    /// `None` for an event we make nothing of, or a subject it cannot be about.
    pub fn read(
        kind: &str,
        event: &Json,
        subject: &Json,
        jti: &str,
        issued: Timestamp,
    ) -> Option<Signal> {
        let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
        // Never later than the token says it was written: a future report would never grow old.
        let at = event.get("event_timestamp").and_then(Json::as_i64);
        let at = at.and_then(|secs| secs.checked_mul(1000)).map_or(issued, |at| at.min(issued));
        if let Some(kind) = kind.strip_prefix(RISC) {
            let account = named(subject, "user")?;
            return (kind == "credential-compromise").then_some(Signal::Suspicion {
                account,
                is_suspected: true,
                at,
            });
        }
        match kind.strip_prefix(CAEP)? {
            "device-compliance-change" => {
                let device = named(subject, "device")?;
                match text("current_status") {
                    "compliant" => {
                        Some(Signal::DeviceCompliance { device, is_compliant: true, at })
                    }
                    "not-compliant" => {
                        Some(Signal::DeviceCompliance { device, is_compliant: false, at })
                    }
                    _ => None,
                }
            }
            "assurance-level-change" => {
                let session = named(subject, "session")?;
                let level = text("current_level").to_ascii_lowercase();
                // NIST SP 800-63B-4: AAL2 takes two factors, AAL3 one that resists phishing.
                let (has_mfa, is_phishing_resistant) = match (text("namespace"), level.as_str()) {
                    ("NIST-AAL", "nist-aal3") => (true, true),
                    ("NIST-AAL", "nist-aal2") => (true, false),
                    ("NIST-AAL", "nist-aal1") => (false, false),
                    _ if text("change_direction") == "decrease" => (false, false),
                    _ => return None,
                };
                Some(Signal::Assurance { session, has_mfa, is_phishing_resistant, at })
            }
            "session-revoked" => {
                let session = named(subject, "session")?;
                Some(Signal::SessionRevoked { session, jti: jti.to_owned(), at })
            }
            "risk-level-change" if text("principal").eq_ignore_ascii_case("USER") => {
                let account = named(subject, "user")?;
                let is_suspected = text("current_level").eq_ignore_ascii_case("HIGH");
                Some(Signal::Suspicion { account, is_suspected, at })
            }
            "credential-change" => {
                Some(Signal::CredentialChanged { account: named(subject, "user")?, at })
            }
            _ => None,
        }
    }

    /// Under which name it replaces what was told of the same before.
    pub fn id(&self) -> String {
        match self {
            Signal::DeviceCompliance { device, .. } => format!("device-compliance {device}"),
            Signal::Assurance { session, .. } => format!("assurance {session}"),
            Signal::SessionRevoked { session, .. } => format!("session-revoked {session}"),
            Signal::Suspicion { account, .. } => format!("suspicion {account}"),
            Signal::CredentialChanged { account, .. } => format!("credential {account}"),
        }
    }

    /// Writes it into the book; whom it may concern.
    pub fn enter(&self, book: &mut Book) -> Vec<Entity> {
        match self {
            Signal::DeviceCompliance { device, is_compliant, at } => {
                let state = if *is_compliant { MdmState::Healthy } else { MdmState::Noncompliant };
                book.device(&DeviceRecord {
                    id: device.clone(),
                    mdm_state: Some(state),
                    reported_at: *at,
                    ..DeviceRecord::default()
                })
            }
            Signal::Assurance { session, has_mfa, is_phishing_resistant, at } => {
                let result = if *has_mfa { MfaResult::Success } else { MfaResult::NotUsed };
                let method = is_phishing_resistant.then_some(MfaMethod::PhishingResistant);
                book.assurance(session, result, method, *at)
            }
            Signal::SessionRevoked { session, jti, at } => {
                book.finding(&revoked(session, jti, *at))
            }
            Signal::Suspicion { account, is_suspected, at } => {
                book.suspicion(account, *is_suspected, *at)
            }
            Signal::CredentialChanged { account, .. } => {
                vec![Entity::new(EntityKind::Account, account.as_str())]
            }
        }
    }
}

/// A revoked session is as good as one with the gravest finding on it.
fn revoked(session: &str, jti: &str, at: Timestamp) -> Finding {
    Finding {
        id: id_from_seed(at, format!("session-revoked\0{session}\0{jti}").as_bytes()),
        rule: "session-revoked".to_owned(),
        rule_version: 1,
        analytic: None,
        time: at,
        first_seen: at,
        last_seen: at,
        severity: Severity::Critical,
        confidence: 100,
        entities: vec![Entity::new(EntityKind::Session, session)],
        site: None,
        outcome: OutcomeResult::Unknown,
        outcome_reason: None,
        attack: Vec::new(),
        evidence: Vec::new(),
        evidence_total: 0,
        numbers: BTreeMap::new(),
    }
}

/// The name of a subject's part (SSF 1.0 §3.4, RFC 9493), or of the subject itself when it is simple.
fn named(subject: &Json, part: &str) -> Option<String> {
    let is_complex = subject.get("format").and_then(Json::as_str).is_none_or(|f| f == "complex");
    let of = if is_complex { subject.get(part)? } else { subject };
    let text = |name: &str| of.get(name).and_then(Json::as_str);
    let name = match of.get("format").and_then(Json::as_str)? {
        "opaque" => text("id"),
        "email" => text("email"),
        "iss_sub" => text("sub"),
        "account" | "uri" | "url" | "did" => text("uri").or_else(|| text("url")),
        "phone_number" => text("phone_number"),
        _ => None,
    }?;
    let fits = !name.is_empty()
        && name.chars().nth(NAME_CHARS_MAX).is_none()
        && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: &str, event: Json, subject: Json) -> Option<Signal> {
        Signal::read(&format!("{CAEP}{kind}"), &event, &subject, "j", 5_000)
    }

    #[test]
    fn events_are_read_for_the_part_they_are_about() {
        let complex = json!({
            "format": "complex",
            "user": { "format": "email", "email": "kim@corp.example" },
            "session": { "format": "opaque", "id": "s-1" },
            "device": { "format": "iss_sub", "iss": "https://mdm.example", "sub": "laptop-7" },
        });
        let compliant = json!({ "current_status": "compliant", "event_timestamp": 3 });
        assert_eq!(
            read("device-compliance-change", compliant, complex.clone()),
            Some(Signal::DeviceCompliance {
                device: "laptop-7".into(),
                is_compliant: true,
                at: 3_000
            })
        );
        let aal3 =
            json!({ "namespace": "NIST-AAL", "current_level": "nist-aal3", "event_timestamp": 9 });
        let assured = read("assurance-level-change", aal3, complex.clone()).unwrap();
        let expected = Signal::Assurance {
            session: "s-1".into(),
            has_mfa: true,
            is_phishing_resistant: true,
            at: 5_000,
        };
        assert_eq!(assured, expected, "never later than it was issued");
        let email = json!({ "format": "email", "email": "kim@corp.example" });
        assert!(read("credential-change", json!({ "change_type": "revoke" }), email).is_some());
        let user_only = json!({ "format": "complex", "user": { "format": "opaque", "id": "kim" } });
        assert_eq!(read("session-revoked", json!({}), user_only), None, "no session is named");
        assert_eq!(read("token-claims-change", json!({}), complex), None);
    }
}
