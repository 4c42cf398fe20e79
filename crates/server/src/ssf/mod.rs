//! Shared signals (OpenID SSF 1.0, CAEP 1.0): what other systems tell of devices, credentials and
//! sessions, and what we tell them. A token is believed when a configured issuer signed it for us,
//! once.

pub mod set;
pub mod signal;
pub mod transmit;

use crate::config::SsfIssuer;
use schema::{TenantId, Timestamp};
use serde_json::{Map, Value as Json};
use set::{Keys, SetError, Unverified};
use signal::Signal;

/// Tokens may be delivered late, but not older than this…
const AGE_MAX_MS: i64 = 24 * 3600 * 1000;
/// …nor from further in the future than clocks are apart.
const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;
/// A token that was taken is remembered for longer than it could be taken again.
pub const SEEN_KEPT_MS: i64 = 2 * AGE_MAX_MS;
/// Characters of a token's id.
const JTI_CHARS_MAX: usize = 256;
/// Events in one token; SSF wants one.
const EVENTS_MAX: usize = 8;

/// An issuer whose tokens a tenant believes.
pub struct Issuer {
    pub name: String,
    pub audience: String,
    pub tenant: TenantId,
    pub keys: Keys,
}

/// Why a token was not taken: RFC 8935 §2.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub err: &'static str,
    pub description: String,
}

fn refused(err: &'static str, description: impl Into<String>) -> Refused {
    Refused { err, description: description.into() }
}

/// A token that is believed.
#[derive(Debug)]
pub struct Taken {
    pub issuer: String,
    pub jti: String,
    pub signals: Vec<Signal>,
    /// Event types we make nothing of.
    pub ignored: usize,
}

/// Reads the configured issuers' keys.
pub fn issuers(config: &[SsfIssuer]) -> Result<Vec<Issuer>, String> {
    config
        .iter()
        .map(|issuer| {
            let of = |cause: String| format!("issuer `{}`: {cause}", issuer.issuer);
            let text = match (&issuer.jwks_file, &issuer.jwks) {
                (Some(path), None) => std::fs::read_to_string(path)
                    .map_err(|cause| of(format!("cannot read `{}`: {cause}", path.display())))?,
                (None, Some(jwks)) => jwks.clone(),
                _ => return Err(of("give `jwks_file` or `jwks`, one of them".to_owned())),
            };
            Ok(Issuer {
                name: issuer.issuer.clone(),
                audience: issuer.audience.clone(),
                tenant: issuer.tenant.clone(),
                keys: Keys::parse(&text).map_err(of)?,
            })
        })
        .collect()
}

/// Checks a token as it was pushed.
pub fn take(
    token: &str,
    issuers: &[Issuer],
    tenant: &TenantId,
    now: Timestamp,
) -> Result<Taken, Refused> {
    let unverified =
        Unverified::parse(token).map_err(|error| refused("invalid_request", error.to_string()))?;
    let issuer = unverified
        .issuer()
        .and_then(|name| issuers.iter().find(|i| i.name == name && i.tenant == *tenant))
        .ok_or_else(|| refused("invalid_issuer", "the token's `iss` is not configured here"))?;
    let claims = unverified.verify(&issuer.keys).map_err(|error| match error {
        SetError::Key => refused("invalid_key", error.to_string()),
        SetError::Signature => refused("authentication_failed", error.to_string()),
        SetError::Malformed(_) => refused("invalid_request", error.to_string()),
    })?;
    let is_for_us = match claims.get("aud") {
        Some(Json::String(audience)) => *audience == issuer.audience,
        Some(Json::Array(all)) => all.iter().any(|a| a.as_str() == Some(&issuer.audience)),
        _ => false,
    };
    if !is_for_us {
        return Err(refused("invalid_audience", "the token's `aud` does not name this receiver"));
    }
    let issued = claims.get("iat").and_then(Json::as_i64).and_then(|secs| secs.checked_mul(1000));
    let issued = issued.ok_or_else(|| refused("invalid_request", "`iat` is missing"))?;
    if issued > now.saturating_add(AHEAD_MAX_MS) || now.saturating_sub(issued) > AGE_MAX_MS {
        return Err(refused("invalid_request", "`iat` is too far from this receiver's clock"));
    }
    let jti = claims.get("jti").and_then(Json::as_str).unwrap_or_default();
    if jti.is_empty() || jti.chars().count() > JTI_CHARS_MAX {
        return Err(refused("invalid_request", "`jti` is missing or too long"));
    }
    let events = claims.get("events").and_then(Json::as_object);
    let events = events
        .filter(|events| (1..=EVENTS_MAX).contains(&events.len()))
        .ok_or_else(|| refused("invalid_request", "`events` is not an object of events"))?;
    let (signals, ignored) = read(events, claims.get("sub_id"), jti, issued);
    Ok(Taken { issuer: issuer.name.clone(), jti: jti.to_owned(), signals, ignored })
}

fn read(
    events: &Map<String, Json>,
    subject: Option<&Json>,
    jti: &str,
    issued: Timestamp,
) -> (Vec<Signal>, usize) {
    let (mut signals, mut ignored) = (Vec::new(), 0);
    for (kind, event) in events {
        // SSF 1.0 names the subject beside the events; drafts before it did so inside.
        let subject = subject.or_else(|| event.get("subject"));
        match subject.and_then(|subject| Signal::read(kind, event, subject, jti, issued)) {
            Some(signal) => signals.push(signal),
            None => ignored += 1,
        }
    }
    (signals, ignored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use set::Signer;

    const NOW: Timestamp = 1_795_000_000_000;
    const COMPLIANCE: &str =
        "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change";

    fn house() -> (Signer, Vec<Issuer>, TenantId) {
        let signer = Signer::open(&Signer::generate().unwrap()).unwrap();
        let tenant: TenantId = "default".parse().unwrap();
        let config = SsfIssuer {
            issuer: "https://idp.example".into(),
            audience: "https://plura.example".into(),
            tenant: tenant.clone(),
            jwks_file: None,
            jwks: Some(signer.jwks().to_string()),
        };
        (signer, issuers(&[config]).unwrap(), tenant)
    }

    fn claims() -> Json {
        json!({
            "iss": "https://idp.example", "aud": ["https://plura.example"], "iat": NOW / 1000, "jti": "a1",
            "sub_id": { "format": "complex", "device": { "format": "opaque", "id": "laptop-7" } },
            "events": { COMPLIANCE: { "current_status": "not-compliant", "previous_status": "compliant" } },
        })
    }

    #[test]
    fn a_token_of_a_configured_issuer_for_us_is_taken() {
        let (signer, issuers, tenant) = house();
        let token = signer.sign(&claims()).unwrap();
        let taken = take(&token, &issuers, &tenant, NOW).unwrap();
        assert_eq!((taken.jti.as_str(), taken.signals.len(), taken.ignored), ("a1", 1, 0));
    }

    #[test]
    fn every_other_is_refused_with_the_word_for_it() {
        let (signer, issuers, tenant) = house();
        let changed = |name: &str, value: Json| {
            let mut claims = claims();
            claims[name] = value;
            take(&signer.sign(&claims).unwrap(), &issuers, &tenant, NOW).unwrap_err().err
        };
        assert_eq!(changed("iss", json!("https://evil.example")), "invalid_issuer");
        assert_eq!(changed("aud", json!("https://other.example")), "invalid_audience");
        assert_eq!(changed("aud", json!(null)), "invalid_audience");
        for iat in
            [json!(NOW / 1000 + 301), json!(NOW / 1000 - 86_401), json!("now"), json!(i64::MAX)]
        {
            assert_eq!(changed("iat", iat), "invalid_request");
        }
        assert_eq!(changed("jti", json!("")), "invalid_request");
        assert_eq!(changed("events", json!({})), "invalid_request");
        let token = signer.sign(&claims()).unwrap();
        let other: TenantId = "other".parse().unwrap();
        assert_eq!(take(&token, &issuers, &other, NOW).unwrap_err().err, "invalid_issuer");
        let (stranger, ..) = house();
        let forged = stranger.sign(&claims()).unwrap();
        assert_eq!(take(&forged, &issuers, &tenant, NOW).unwrap_err().err, "invalid_key");
    }
}
