//! Requests as other enforcement points tell of them (nginx, Traefik, Envoy), made into a question.

use super::wire::{Context, Named, Question};
use data_encoding::HEXLOWER;
use schema::{TenantId, sha256};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::net::IpAddr;

/// Cookies looked at as the one that holds the session.
const COOKIES_MAX: usize = 256;

/// Hex digits of a session's digest that become its name: 128 bits.
const SESSION_HEX: usize = 32;

/// How a request that another enforcement point tells of says whose it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrontConfig {
    /// Cookies that may hold the session id. Where two are there with different values the request
    /// is refused: name the one your application uses.
    pub session_cookies: Vec<String>,
    /// Believe `Plura-Session`, `Plura-Account`, `Plura-Credential`, `Plura-Device` and
    /// `Plura-Address`. Only for proxies that set or clear every one of them themselves.
    pub identity_headers: bool,
    /// Where a person proves again who they are; `{url}` becomes the address they came for.
    pub step_up_url: Option<String>,
}

impl Default for FrontConfig {
    fn default() -> Self {
        FrontConfig {
            session_cookies: ["session", "sessionid", "sid", "JSESSIONID", "PHPSESSID"]
                .map(str::to_owned)
                .into(),
            identity_headers: false,
            step_up_url: None,
        }
    }
}

/// A request somebody else has in hand.
pub struct Front<'a, H: Fn(&str) -> Option<&'a str>> {
    pub site: &'a str,
    pub method: &'a str,
    /// Path and query, as the client sent them.
    pub target: &'a str,
    /// The client's address, as whoever asks saw it.
    pub address: Option<&'a str>,
    /// Who the client proved to be to whoever asks (mutual TLS).
    pub principal: Option<&'a str>,
    /// The request's own headers.
    pub header: H,
}

/// Why a request cannot be asked about; it is refused then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontFault {
    MethodInvalid,
    /// Two readers could take the path for two different ones.
    PathAmbiguous,
    SiteInvalid,
    AddressInvalid,
    /// Two cookies could hold the session: a decoy beside a stolen one, or a list too long.
    SessionAmbiguous,
}

impl FrontFault {
    pub fn code(self) -> &'static str {
        match self {
            FrontFault::MethodInvalid => "method-invalid",
            FrontFault::PathAmbiguous => "path-ambiguous",
            FrontFault::SiteInvalid => "site-invalid",
            FrontFault::AddressInvalid => "address-invalid",
            FrontFault::SessionAmbiguous => "session-ambiguous",
        }
    }
}

impl<'a, H: Fn(&str) -> Option<&'a str>> Front<'a, H> {
    /// The question this request asks.
    pub fn question(
        &self,
        tenant: &TenantId,
        config: &FrontConfig,
    ) -> Result<Question, FrontFault> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if self.method.is_empty() || self.method.len() > 32 || !self.method.chars().all(is_token) {
            return Err(FrontFault::MethodInvalid);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
        if self.site.is_empty() || self.site.len() > 255 || !self.site.chars().all(is_name) {
            return Err(FrontFault::SiteInvalid);
        }
        let path = plain_path(self.target).ok_or(FrontFault::PathAmbiguous)?;
        let named = |name: &str| {
            let value = (self.header)(name).filter(|_| config.identity_headers);
            value.map(str::trim).filter(|value| is_value(value)).map(str::to_owned)
        };
        let address = match named("plura-address").or_else(|| self.address.map(str::to_owned)) {
            None => None,
            Some(text) => Some(address(&text).ok_or(FrontFault::AddressInvalid)?.to_string()),
        };
        let account = named("plura-account")
            .or_else(|| self.principal.filter(|name| is_value(name)).map(str::to_owned));
        let session = match named("plura-session") {
            Some(session) => Some(session),
            None => self
                .session_cookie(&config.session_cookies)?
                .map(|cookie| session_name(tenant, self.site, &cookie)),
        };
        let (credential, device) = (named("plura-credential"), named("plura-device"));
        let (kind, id) = [
            ("session", &session),
            ("credential", &credential),
            ("account", &account),
            ("address", &address),
        ]
        .into_iter()
        .find_map(|(kind, id)| id.clone().map(|id| (kind, id)))
        .unwrap_or_else(|| ("address", "unknown".to_owned()));
        let mut properties = Map::new();
        for (name, value) in [("account", account), ("credential", credential), ("device", device)]
        {
            if let Some(value) = value {
                properties.insert(name.to_owned(), Json::String(value));
            }
        }
        let mut resource = Map::new();
        resource.insert("site".to_owned(), Json::String(self.site.to_owned()));
        let user_agent: Option<String> = (self.header)("user-agent")
            .map(|text| text.chars().filter(|c| !c.is_control()).take(512).collect());
        Ok(Question {
            subject: Named { kind: kind.to_owned(), id, properties },
            action: self.method.to_owned(),
            action_properties: Map::new(),
            resource: Named {
                kind: "route".to_owned(),
                id: format!("{}/{} {path}", self.site, self.method),
                properties: resource,
            },
            context: Context { address, user_agent, ..Context::default() },
        })
    }

    /// The one value that may be the session. Which of two the application goes by nobody here
    /// knows, and whoever judges the wrong one lets a stolen session hide behind a made-up one.
    fn session_cookie(&self, names: &[String]) -> Result<Option<String>, FrontFault> {
        let header = (self.header)("cookie").unwrap_or_default();
        if header.split(';').nth(COOKIES_MAX).is_some() {
            return Err(FrontFault::SessionAmbiguous);
        }
        let mut found: Option<String> = None;
        for pair in header.split(';') {
            let Some((key, value)) = pair.split_once('=') else { continue };
            if !names.iter().any(|name| name == key.trim()) {
                continue;
            }
            let value = cookie_value(value);
            match &found {
                _ if value.is_empty() => {}
                Some(known) if *known != value => return Err(FrontFault::SessionAmbiguous),
                _ => found = Some(value),
            }
        }
        Ok(found)
    }
}

/// What the laxest of applications reads: blanks, quotes and percent signs make no other session of it.
fn cookie_value(value: &str) -> String {
    let mut bytes = value.trim().trim_matches('"').bytes();
    let mut read = Vec::with_capacity(bytes.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let mut hex = || char::from(ahead.next()?).to_digit(16);
        let code = if byte == b'%' { hex().zip(hex()) } else { None };
        match code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(decoded) => {
                read.push(decoded);
                bytes = ahead;
            }
            None => read.push(byte),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn is_value(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control)
}

/// What a session is called here: never the id itself, which would let its reader in.
fn session_name(tenant: &TenantId, site: &str, id: &str) -> String {
    let digest = sha256(format!("plura session\0{tenant}\0{site}\0{id}").as_bytes());
    let mut text = HEXLOWER.encode(&digest.0);
    text.truncate(SESSION_HEX);
    text
}

/// An address, with or without a port or brackets. A list is none: nobody can say which of it is the client.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The path every reader agrees on: decoded where that changes no structure, without dot segments
/// and doubled slashes. `None` when readers may disagree.
pub fn plain_path(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    // An absolute target names the host again; its path begins after it.
    let path = match path.split_once("://") {
        Some((_, rest)) if !path.starts_with('/') => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => path,
    };
    if !path.starts_with('/') || path.len() > super::wire::TEXT_CHARS_MAX {
        return None;
    }
    let decoded = decode(path)?;
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        // A path parameter is part of a segment to some readers and not to others.
        let name = segment.split(';').next().unwrap_or_default();
        match name {
            "" | "." if name == segment => {}
            ".." if name == segment => {
                segments.pop()?;
            }
            "" | "." | ".." => return None,
            // Readers that know no parameters see one more name; those that do see this one.
            _ => segments.push(name),
        }
    }
    let mut plain = String::with_capacity(decoded.len());
    for segment in &segments {
        plain.push('/');
        plain.push_str(segment);
    }
    if plain.is_empty() || (decoded.ends_with('/') && !segments.is_empty()) {
        plain.push('/');
    }
    Some(plain)
}

fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            let byte = u8::try_from(high * 16 + low).ok()?;
            // An encoded separator, or a percent that would decode again, means two things.
            if matches!(byte, b'/' | b'\\' | b'%' | b';') {
                return None;
            }
            byte
        } else {
            byte
        };
        if decoded.is_ascii_control() || decoded == b'\\' {
            return None;
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_every_reader_takes_it_for() {
        for (target, plain) in [
            ("/", Some("/")),
            ("/a/b?x=/../c", Some("/a/b")),
            ("/public/../admin/./x", Some("/admin/x")),
            ("/%61dmin//x/", Some("/admin/x/")),
            ("/public/%2e%2e/admin", Some("/admin")),
            ("https://shop.example/a", Some("/a")),
            ("/a/%2e%2e%2fadmin", None),
            ("/a%5c..%5cadmin", None),
            ("/a/..;/admin", None),
            ("/admin;x/users", Some("/admin/users")),
            ("/admin%3bx/users", None),
            ("/%252e%252e/admin", None),
            ("/../etc", None),
            ("/a%00", None),
            ("/a%zz", None),
            ("/%ff", None),
            ("a", None),
        ] {
            assert_eq!(plain_path(target).as_deref(), plain, "{target}");
        }
    }

    fn ask(headers: &[(&str, &'static str)], config: &FrontConfig) -> Result<Question, FrontFault> {
        let headers = headers.to_vec();
        let front = Front {
            site: "shop",
            method: "GET",
            target: "/orders/7",
            address: Some("203.0.113.7"),
            principal: None,
            header: |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v),
        };
        front.question(&"default".parse().unwrap(), config)
    }

    #[test]
    fn whose_it_is_comes_from_the_cookie_unless_the_proxy_is_believed() {
        let sent = [("cookie", "a=1; sid=secret"), ("plura-account", "mallory")];
        let question = ask(&sent, &FrontConfig::default()).unwrap();
        assert_eq!(question.subject.kind, "session");
        assert!(!question.subject.id.contains("secret"));
        assert!(question.subject.properties.is_empty(), "a client may have sent it");
        assert_eq!(question.resource.id, "shop/GET /orders/7");

        let decoy = ask(&[("cookie", "session=made-up; sid=secret")], &FrontConfig::default());
        assert_eq!(decoy, Err(FrontFault::SessionAmbiguous));
        let one = FrontConfig { session_cookies: vec!["sid".to_owned()], ..FrontConfig::default() };
        let named = ask(&[("cookie", "session=other; sid=secret")], &one).unwrap();
        assert_eq!(named.subject.id, question.subject.id);

        for spelt in [
            "sid =secret",
            "sid= secret",
            "sid=\"secret\"",
            "sid=%73ecre%74",
            "; a; sid=; sid=secret",
        ] {
            let spelt = ask(&[("cookie", spelt)], &FrontConfig::default()).unwrap();
            assert_eq!(spelt.subject.id, question.subject.id, "the application reads the same");
        }
        let decoy = ask(&[("cookie", "session=made-up; sid =secret")], &FrontConfig::default());
        assert_eq!(decoy, Err(FrontFault::SessionAmbiguous));
        let hidden: &str = Box::leak((";".repeat(COOKIES_MAX) + "sid=secret").into_boxed_str());
        let hidden = ask(&[("cookie", hidden)], &FrontConfig::default());
        assert_eq!(
            hidden,
            Err(FrontFault::SessionAmbiguous),
            "what is not read is not taken for nothing"
        );

        let believed = FrontConfig { identity_headers: true, ..FrontConfig::default() };
        let question = ask(&sent, &believed).unwrap();
        assert_eq!(question.subject.properties["account"], "mallory");
        assert_eq!(ask(&[], &believed).unwrap().subject.kind, "address");
        let unreadable = ask(&[("plura-address", "198.51.100.1, 10.0.0.1")], &believed);
        assert_eq!(unreadable, Err(FrontFault::AddressInvalid));
    }
}
