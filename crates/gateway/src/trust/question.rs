//! What is asked about a request, and what makes two requests the same question.

use super::lru::Key;
use super::obligation::Obligations;
use crate::enforce::RequestKeys;
use crate::evidence::RequestHead;
use crate::proxy::live::Site;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, UPGRADE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use ring::digest::{Context, SHA256};
use schema::{Entity, EntityKind, Reconsider, Timestamp, format_time};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// Of a longer user agent, its beginning is asked about.
const USER_AGENT_BYTES_MAX: usize = 512;
/// Headers by which a GET becomes something else behind us (Ruby on Rails, ASP.NET, Google APIs).
static METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// One question to the decision point.
pub struct Question {
    pub site: Arc<Site>,
    pub keys: RequestKeys,
    pub method: Method,
    user_agent: Option<HeaderValue>,
    /// Equal for equal questions.
    pub key: Key,
    pub is_websocket: bool,
    /// It may change something behind us.
    pub is_writing: bool,
    /// `Content-Length` of the request.
    pub length: Option<u64>,
}

/// What the gateway can tell the decision point of the visitor's own proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// The method the site's `step_up` uses, where the site says so.
    pub method: Option<String>,
}

impl Question {
    pub fn new(site: &Arc<Site>, keys: RequestKeys, head: &RequestHead) -> Question {
        let user_agent = head.headers.get(USER_AGENT).cloned();
        let key = key_of(site, &keys, user_agent.as_ref());
        let is_websocket = head
            .headers
            .get(UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let is_reading = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS)
            && !METHOD_OVERRIDES.iter().any(|name| head.headers.contains_key(name));
        Question {
            key,
            user_agent,
            is_websocket,
            is_writing: !is_reading || is_websocket,
            length: head
                .headers
                .get(CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse().ok()),
            method: head.method.clone(),
            site: Arc::clone(site),
            keys,
        }
    }

    /// Whom the decision is about: the session, or what stands for one.
    pub fn subject(&self) -> (EntityKind, &str) {
        subject(&self.keys)
    }

    /// The subject on this site.
    pub fn bearer(&self) -> Key {
        bearer(&self.keys)
    }

    pub fn supported(&self) -> Obligations {
        self.site.trust.as_ref().map(|trust| trust.supported).unwrap_or_default()
    }

    pub fn about(&self) -> About {
        About::of(&self.keys)
    }

    /// The AuthZEN evaluation request (OpenID AuthZEN 1.0 §6.1).
    pub fn to_body(&self, now: Timestamp, proof: Option<&Proof>) -> Bytes {
        let (kind, id) = self.subject();
        let known = [
            (EntityKind::Account, &self.keys.account),
            (EntityKind::Credential, &self.keys.credential),
            (EntityKind::Device, &self.keys.device),
            (EntityKind::Session, &self.keys.session),
        ];
        let properties: Map<String, Value> = known
            .into_iter()
            .filter(|(other, _)| *other != kind)
            .filter_map(|(kind, value)| Some((kind.as_str().to_owned(), value.clone()?.into())))
            .collect();
        let mut context = Map::new();
        let mut put = |name: &str, value: Value| context.insert(name.to_owned(), value);
        if let Some(address) = &self.keys.address {
            put("address", address.as_str().into());
        }
        if let Some(agent) = &self.user_agent {
            let agent = agent.as_bytes();
            let agent = agent.get(..USER_AGENT_BYTES_MAX).unwrap_or(agent);
            // A tab is fine in a header and no part of a name.
            let agent = String::from_utf8_lossy(agent).replace('\t', " ");
            put("user_agent", agent.into());
        }
        put("time", format_time(now).into());
        if let Some(proof) = proof {
            let mut signals = Map::from_iter([("mfa_result".to_owned(), "success".into())]);
            if let Some(method) = &proof.method {
                signals.insert("mfa_method".to_owned(), method.as_str().into());
            }
            put("signals", signals.into());
        }
        let supported: Vec<&str> = self.supported().iter().map(|o| o.id()).collect();
        put("obligations_supported", supported.into());
        let kind_of_resource = self.site.trust.as_ref().map_or("route", |t| &t.resource_type);
        let endpoint = self.keys.endpoint.as_deref().unwrap_or_default();
        let body = json!({
            "subject": {"type": kind.as_str(), "id": id, "properties": properties},
            "action": {"name": self.method.as_str()},
            "resource": {
                "type": kind_of_resource,
                "id": format!("{}/{endpoint}", self.keys.site),
                "properties": {"site": self.keys.site},
            },
            "context": context,
        });
        Bytes::from(body.to_string())
    }
}

fn subject(keys: &RequestKeys) -> (EntityKind, &str) {
    let known = [
        (EntityKind::Session, &keys.session),
        (EntityKind::Credential, &keys.credential),
        (EntityKind::Account, &keys.account),
    ];
    known
        .into_iter()
        .find_map(|(kind, value)| Some((kind, value.as_deref()?)))
        .unwrap_or_else(|| (EntityKind::Address, keys.address.as_deref().unwrap_or("unknown")))
}

/// Whom a proof, a rate and a session's age belong to.
pub fn bearer(keys: &RequestKeys) -> Key {
    let (kind, value) = subject(keys);
    digest([keys.site.as_bytes(), kind.as_str().as_bytes(), value.as_bytes()])
}

fn key_of(site: &Site, keys: &RequestKeys, user_agent: Option<&HeaderValue>) -> Key {
    let (kind, value) = subject(keys);
    digest([
        kind.as_str().as_bytes(),
        value.as_bytes(),
        keys.account.as_deref().unwrap_or_default().as_bytes(),
        keys.credential.as_deref().unwrap_or_default().as_bytes(),
        site.trust.as_ref().map_or(&b""[..], |trust| trust.resource_type.as_bytes()),
        keys.site.as_bytes(),
        // Begins with the method.
        keys.endpoint.as_deref().unwrap_or_default().as_bytes(),
        keys.address.as_deref().unwrap_or_default().as_bytes(),
        user_agent.map(HeaderValue::as_bytes).unwrap_or_default(),
    ])
}

fn digest<const N: usize>(parts: [&[u8]; N]) -> Key {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Whom a decision rests on, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    session: Option<Box<str>>,
    credential: Option<Box<str>>,
    account: Option<Box<str>>,
    address: Option<IpAddr>,
}

impl About {
    pub fn of(keys: &RequestKeys) -> About {
        let short = |value: &Option<String>| value.as_deref().map(Box::from);
        About {
            session: short(&keys.session),
            credential: short(&keys.credential),
            account: short(&keys.account),
            address: keys.address.as_deref().and_then(|text| text.parse().ok()),
        }
    }

    /// Whether it is of somebody who can prove who they are.
    pub fn has_bearer(&self) -> bool {
        self.session.is_some() || self.credential.is_some() || self.account.is_some()
    }

    /// Whether both are of the same session, or of what stands for one.
    pub fn is_same_bearer(&self, other: &About) -> bool {
        match (&self.session, &self.credential, &self.account) {
            (session @ Some(_), _, _) => *session == other.session,
            (None, credential @ Some(_), _) => *credential == other.credential,
            (None, None, account) => account.is_some() && *account == other.account,
        }
    }

    /// Whether it may have changed with `reconsider`. The decision point may know the account or
    /// device behind a session where the gateway does not: what is not known here may be the one.
    pub fn is_touched_by(&self, reconsider: &Reconsider) -> bool {
        let Some(Entity { kind, value }) = &reconsider.entity else { return true };
        let is = |mine: &Option<Box<str>>| mine.as_deref() == Some(value.as_str());
        let may_be_known = self.session.is_some() || self.credential.is_some();
        match kind {
            EntityKind::Session => is(&self.session),
            EntityKind::Credential => is(&self.credential),
            EntityKind::Account if self.account.is_some() => is(&self.account),
            EntityKind::Account | EntityKind::Device => may_be_known,
            EntityKind::Address => {
                let theirs: Option<IpAddr> = value.parse().ok();
                self.address.is_some() && self.address == theirs.map(|a| a.to_canonical())
            }
            EntityKind::Endpoint => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(session: Option<&str>, account: Option<&str>) -> About {
        About::of(&RequestKeys {
            session: session.map(str::to_owned),
            account: account.map(str::to_owned),
            address: Some("203.0.113.7".to_owned()),
            ..RequestKeys::default()
        })
    }

    #[test]
    fn what_changed_touches_whom_it_may_concern() {
        let touched = |about: &About, entity: &str| {
            let entity = (!entity.is_empty()).then(|| entity.parse().unwrap());
            about.is_touched_by(&Reconsider { entity, since: 1 })
        };
        let (kim, anonymous, visitor) =
            (about(Some("s1"), Some("kim")), about(Some("s1"), None), about(None, None));
        for (entity, expected) in [
            ("", [true, true, true]),
            ("session:s1", [true, true, false]),
            ("session:s2", [false, false, false]),
            ("account:kim", [true, true, false]),
            ("account:lee", [false, true, false]),
            ("device:laptop-7", [true, true, false]),
            ("credential:c", [false, false, false]),
            ("address:203.0.113.7", [true, true, true]),
            ("address:::ffff:203.0.113.7", [true, true, true]),
            ("address:203.0.113.8", [false, false, false]),
        ] {
            let found = [&kim, &anonymous, &visitor].map(|about| touched(about, entity));
            assert_eq!(found, expected, "{entity}");
        }
    }
}
